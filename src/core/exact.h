/*
 * exact.h
 *		Sums of vectors that do not depend on the order of their terms.
 *
 * The centre of a cluster is a sum over its points.  Added up in floating point, the sum depends
 * on the order of the rows, on the number of workers and on the history of an incremental update.
 * Here every term is rounded once to a fixed point number that is the same for the whole fit, and
 * fixed point numbers add without error: any order, any grouping, adding and taking away again
 * give the same bits.
 *
 * A number is hi + lo * 2^-40 in units of 2^-exponent, with both parts signed 64-bit integers.
 * The exponent is chosen per column so that no single term exceeds 2^50 and the sum of all of
 * them stays below 2^62 in hi; lo, at most 2^40 a term, is carried into hi at least every 2^20
 * terms (clu_exact_carry).  Relative to the largest term that leaves 79 bits with 5 million rows:
 * values 2^26 times smaller than the largest of their column are still exact to the last bit.
 *
 * The adding itself is a kernel (kernel.h), since it is the other half of the work of a pass.
 */
#ifndef CLU_EXACT_H
#define CLU_EXACT_H

#include "base.h"
#include "dd.h"

#define CLU_EXACT_LOW 0x1p40	   /* units of lo in one unit of hi */
#define CLU_EXACT_CARRY (1u << 20) /* terms that may be added between two carries */

/* The power of two that a term is multiplied with, given the bounds of a term and of the sum. */
double clu_exact_scale(double largest_term, double largest_sum);

void clu_exact_carry(int64_t *hi, int64_t *lo, size_t n);

/* rint of a number below 2^51, which is a call where the processor may be any. */
static inline double
clu_round_to_whole(double x)
{
	return (x + 0x1.8p52) - 0x1.8p52;
}

/* One term, for scalars. */
static inline void
clu_exact_add(int64_t *hi, int64_t *lo, double term, double scale)
{
	double scaled = term * scale;
	double whole = clu_round_to_whole(scaled);

	*hi += (int64_t) whole;
	*lo += (int64_t) clu_round_to_whole((scaled - whole) * CLU_EXACT_LOW);
}

/* The sum, after a carry. */
clu_dd clu_exact_value(int64_t hi, int64_t lo, double scale);

#endif
