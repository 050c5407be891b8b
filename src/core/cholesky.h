/*
 * cholesky.h
 *		The one test of positive definiteness.
 *
 * A fit, a constructor and the decoder must agree to the bit on which matrices are covariances:
 * otherwise a fit could make a model that nobody can read.  So all of them ask here.
 */
#ifndef CLU_CHOLESKY_H
#define CLU_CHOLESKY_H

#include <float.h>

#include "base.h"

/* Variances and pivots are normal numbers: their reciprocals and roots are finite. */
#define CLU_LEAST_VARIANCE DBL_MIN

/*
 * Factor the symmetric d x d matrix (row after row) in place into U^T U, with U in the upper
 * triangle; the lower one is neither read nor written.  False where a pivot is below
 * CLU_LEAST_VARIANCE or not a finite number; the matrix is then spoiled.
 */
bool clu_cholesky(double *matrix, int d, const clu_interrupt *interrupt);

#endif
