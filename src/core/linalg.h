/*
 * linalg.h
 *		Small dense matrices: what mixtures of Gaussians need beside Cholesky's factorisation.
 *
 * Matrices are d x d, row after row.  A covariance matrix S has the factor U of clu_cholesky,
 * S = U^T U, in its upper triangle; its inverse factor is the lower triangular F = U^-T, with
 * which z = F (x - mean) has unit covariance, |z|^2 is the squared Mahalanobis distance and
 * log det S = -2 sum log F_ii.  Everything runs in a fixed order, with plain additions and
 * multiplications, so that the bits are the same everywhere.
 */
#ifndef CLU_LINALG_H
#define CLU_LINALG_H

#include "base.h"
#include "cholesky.h"

#define CLU_LOG_TWO_PI 1.8378770664093454836

/* Doubles in a packed triangle. */
static inline size_t
clu_triangle(int d)
{
	return (size_t) d * ((size_t) d + 1) / 2;
}

/* Copy the upper triangle over the lower one. */
void clu_symmetrize(double *matrix, int d);

/* From U in the upper triangle to F in the lower one, whose diagonal is the same memory. */
void clu_invert_factor(double *matrix, int d, const clu_interrupt *interrupt);

/*
 * From a covariance matrix to F in the lower triangle of factor (d x d).  Sets the sum of the logs
 * of its diagonal, which is -log(det S)/2; false where the matrix is not positive definite.
 */
bool clu_whitening_factor(const double *matrix, int d, double *factor, double *log_sum,
						  const clu_interrupt *interrupt);

/*
 * F, the lower triangle of matrix, as the kernels read it (kernel.h, gmm_full): four rows at a
 * time, column by column; clu_triangle(d) doubles.
 */
void clu_factor_pack(const double *matrix, int d, double *packed);

/*
 * F as clu_factor_apply reads it: columns, each from its diagonal on; clu_triangle(d) doubles.
 */
void clu_factor_columns(const double *matrix, int d, double *columns);

/* z = F x, from the columns of F; x is used up. */
void clu_factor_apply(const double *columns, int d, const double *x, double *z);

/*
 * Eigenvalues and eigenvectors of a symmetric matrix, by Jacobi's method: matrix is overwritten
 * with the eigenvalues on its diagonal, vectors (d x d) gets the eigenvectors as its rows.
 */
void clu_eigen(double *matrix, int d, double *vectors, const clu_interrupt *interrupt);

#endif
