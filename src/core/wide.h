/*
 * wide.h
 *		Sums that depend neither on the order of their terms nor on how these were grouped, of
 *		terms whose size nobody knows in advance.
 *
 * exact.h has it easier: it sees all terms first and fixes one unit for them.  Partial sums of
 * different tables, made on different machines, have no such unit in common.  So every term is
 * written as a number with digits of 28 bits, each from -2^27 to 2^27, at absolute places: digit
 * p counts units of 2^(28 p).  That expansion of a number is unique, whichever places one looks
 * at, so sums of digits, place by place, are integers that nothing can change but the terms.
 *
 * Four places are kept, down from the position of the largest term; when a larger one comes, the
 * places move up and the lowest are dropped, as they would have been had it come first (Demmel
 * and Nguyen, "Fast Reproducible Floating-Point Summation", ARITH 2013, bin numbers in the same
 * way).  That leaves at least 84 bits below the largest term, and room for 2^35 terms.
 *
 * Of the sums of a vector each has its own position; the adding is a kernel (kernel.h).
 */
#ifndef CLU_WIDE_H
#define CLU_WIDE_H

#include "base.h"
#include "dd.h"

#define CLU_WIDE_DIGITS 4
#define CLU_WIDE_BITS 28
#define CLU_WIDE_LEAST (-36) /* positions */
#define CLU_WIDE_MOST 36
#define CLU_WIDE_TERMS (INT64_C(1) << 35)

/* A sum of its own.  Zero is {CLU_WIDE_LEAST, 0, {0}}. */
typedef struct clu_wide
{
	int32_t position;
	int32_t unused; /* 0 */
	int64_t digit[CLU_WIDE_DIGITS];
} clu_wide;

/* The position that a term needs; a larger term never needs a lower one. */
int clu_wide_position(double term);

/* What a term is multiplied with to be in units of the highest digit. */
double clu_wide_scale(int position);

/* The most that it then may be. */
#define CLU_WIDE_HIGHEST 0x1p27

/* Digits that lie stride apart, moved down from one position to a higher one. */
void clu_wide_shift(int64_t *digit, size_t stride, int from, int to);

/* Add a term to digits that lie next to each other. */
void clu_wide_add_digits(int64_t *digit, double term, double scale);

/* The sum of digits that lie stride apart. */
clu_dd clu_wide_digits(int position, const int64_t *digit, size_t stride);

void   clu_wide_clear(clu_wide *sum);
void   clu_wide_add(clu_wide *sum, double term);
void   clu_wide_merge(clu_wide *sum, const clu_wide *other);
clu_dd clu_wide_value(const clu_wide *sum);

/* Add weight * term without rounding the product. */
void clu_wide_add_product(clu_wide *sum, double weight, double term);

/* Count a row; wraps where a forged state makes it overflow. */
static inline void
clu_wide_count(int64_t *rows)
{
	*rows = (int64_t) ((uint64_t) *rows + 1);
}

/* The sign of a sum and a whole number together. */
int clu_wide_sign(const clu_wide *sum, int64_t whole);

/* Whether what was read could be a sum. */
bool clu_wide_valid(const clu_wide *sum);

#endif
