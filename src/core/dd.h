/*
 * dd.h
 *		Double-double arithmetic for sums of a few numbers that must not lose their low bits.
 *
 * A value is hi + lo with |lo| <= ulp(hi)/2, about 106 bits.  TwoSum is Knuth's, TwoProduct is
 * Dekker's with Veltkamp's splitting: without a fused multiply-add, so that the same bits come
 * out where there is none in hardware (T. J. Dekker, Numer. Math. 18, 1971).
 */
#ifndef CLU_DD_H
#define CLU_DD_H

#include <math.h>

typedef struct clu_dd
{
	double hi;
	double lo;
} clu_dd;

static inline clu_dd
clu_dd_two_sum(double a, double b)
{
	double sum = a + b;
	double bb = sum - a;

	return (clu_dd) {sum, (a - (sum - bb)) + (b - bb)};
}

static inline clu_dd
clu_dd_two_product(double a, double b)
{
	const double split = 134217729.0; /* 2^27 + 1 */
	double		 product = a * b;
	double		 t = split * a;
	double		 ah = t - (t - a);
	double		 al = a - ah;
	double		 bh, bl;

	t = split * b;
	bh = t - (t - b);
	bl = b - bh;
	return (clu_dd) {product, ((ah * bh - product) + ah * bl + al * bh) + al * bl};
}

static inline clu_dd
clu_dd_add(clu_dd a, clu_dd b)
{
	clu_dd s = clu_dd_two_sum(a.hi, b.hi);
	clu_dd t = clu_dd_two_sum(a.lo, b.lo);

	s = clu_dd_two_sum(s.hi, s.lo + t.hi);
	return clu_dd_two_sum(s.hi, s.lo + t.lo);
}

static inline clu_dd
clu_dd_negate(clu_dd a)
{
	return (clu_dd) {-a.hi, -a.lo};
}

static inline clu_dd
clu_dd_add_double(clu_dd a, double b)
{
	clu_dd s = clu_dd_two_sum(a.hi, b);

	return clu_dd_two_sum(s.hi, s.lo + a.lo);
}

/* The sum of logarithms, which is -infinity where one of them is, and not a NaN. */
static inline clu_dd
clu_dd_add_logs(clu_dd a, clu_dd b)
{
	clu_dd sum = clu_dd_add(a, b);

	return isnan(sum.hi) ? (clu_dd) {-INFINITY, 0} : sum;
}

static inline clu_dd
clu_dd_product(clu_dd a, clu_dd b)
{
	clu_dd p = clu_dd_two_product(a.hi, b.hi);

	return clu_dd_two_sum(p.hi, p.lo + (a.hi * b.lo + a.lo * b.hi));
}

/* a / b, with one correction: about 106 bits */
static inline clu_dd
clu_dd_quotient(clu_dd a, clu_dd b)
{
	double q = a.hi / b.hi;
	clu_dd r = clu_dd_add(a, clu_dd_negate(clu_dd_product((clu_dd) {q, 0}, b)));

	return clu_dd_two_sum(q, r.hi / b.hi);
}

static inline double
clu_dd_value(clu_dd a)
{
	return a.hi + a.lo;
}

#endif
