/*
 * elementary.h
 *		exp and log with the same bits on every machine, and what is made of them.
 *
 * The C library's differ from release to release and from CPU to CPU (glibc picks a variant with
 * fused multiply-add where there is one), and a prediction may stand in an index.  These here are
 * plain additions, multiplications and one division in a fixed order, which IEEE 754 defines to
 * the last bit.  exp and log need neither a table nor a branch, so that a loop over them
 * vectorises: they are given as inline bodies, to be used inside kernels for whatever instruction
 * set; each lane gives the bits of the scalar function.  clu_exp_negative has a small table, and
 * vectors of its own in kernel_exp_body.h.
 *
 * Compile with -ffp-contract=off.  Errors are below 0.75 ulp (exp; 0.85 where the result is
 * denormal) and 0.75 ulp (log), those of clu_exp_negative it says itself;
 * test/unit/test_elementary.c measures them and pins the bits.
 *
 * How they work is told in elementary.c.
 */
#ifndef CLU_ELEMENTARY_H
#define CLU_ELEMENTARY_H

#include <stddef.h>
#include <stdint.h>
#include <string.h>

#ifdef __clang__
#pragma STDC FP_CONTRACT OFF
#endif

/* ln 2 in two parts; the first has 42 bits, so that a product with an 11 bit integer is exact. */
#define CLU_LN2_HI 0x1.62e42fefa38p-1
#define CLU_LN2_LO 0x1.ef35793c7673p-45

static inline uint64_t
clu_double_bits(double x)
{
	uint64_t bits;

	memcpy(&bits, &x, sizeof(bits));
	return bits;
}

static inline double
clu_bits_double(uint64_t bits)
{
	double x;

	memcpy(&x, &bits, sizeof(x));
	return x;
}

#define CLU_SIGN UINT64_C(0x8000000000000000)
#define CLU_MANTISSA UINT64_C(0x000fffffffffffff)
#define CLU_ONE UINT64_C(0x3ff0000000000000)
#define CLU_INFINITY UINT64_C(0x7ff0000000000000)
#define CLU_NAN UINT64_C(0x7ff8000000000000)

/*
 * All ones where a < b, else 0, for a and b below 2^63: so compare the bits of positive doubles.
 * Written as a ?: of doubles, a compiler that minds floating point traps makes a branch of it and
 * gives up on vectors.
 */
static inline uint64_t
clu_less(uint64_t a, uint64_t b)
{
	return 0 - ((a - b) >> 63);
}

static inline uint64_t
clu_select(uint64_t mask, uint64_t then, uint64_t otherwise)
{
	return (then & mask) | (otherwise & ~mask);
}

/* exp(r) - 1 - r for |r| <= ln(2)/2, off by less than 2^-60 in exact arithmetic */
static inline double
clu_exp_tail(double r)
{
	/* of (exp(r) - 1 - r) / r^2, from the constant on */
	static const double c[] = {0.5,
							   0x1.555555555555bp-3,
							   0x1.5555555555503p-5,
							   0x1.111111110ec65p-7,
							   0x1.6c16c16c30426p-10,
							   0x1.a01a01b37b3a3p-13,
							   0x1.a01a0136a55e8p-16,
							   0x1.71ddf0286b6a5p-19,
							   0x1.27e5b42764f24p-22,
							   0x1.af6bda6320e58p-26,
							   0x1.1e3d486527376p-29};
	double				r2 = r * r;
	double				r4 = r2 * r2;
	double				low = (c[0] + c[1] * r) + (c[2] + c[3] * r) * r2;
	double				middle = (c[4] + c[5] * r) + (c[6] + c[7] * r) * r2;
	double				high = (c[8] + c[9] * r) + c[10] * r2;

	return r2 * (low + r4 * (middle + r4 * high));
}

static inline double
clu_exp_inline(double x)
{
	/* Adding 1.5 * 2^52 rounds to an integer; 1023 more, and its low bits are an exponent. */
	const double   integer = 0x1.8p52;
	const double   exponent = 0x1.8p52 + 1023;
	const uint64_t limit = UINT64_C(0x4087500000000000); /* 746: beyond it, infinity or 0 */
	uint64_t	   sign = clu_double_bits(x) & CLU_SIGN;
	uint64_t	   magnitude = clu_double_bits(x) & ~CLU_SIGN;
	uint64_t	   inside = clu_less(magnitude, limit);
	uint64_t	   bounded = clu_select(inside, magnitude, limit);
	uint64_t	   vanished = ~inside & (0 - (sign >> 63));
	uint64_t	   nan = clu_less(CLU_INFINITY, magnitude) & CLU_NAN;
	double		   e, e1, e2, r, high, low, sum, value;

	/* x = e ln(2) + r, and r itself as r + low */
	x = clu_bits_double(bounded | sign);
	e = (x * 0x1.71547652b82fep+0 + integer) - integer;
	high = x - e * CLU_LN2_HI;
	low = e * CLU_LN2_LO;
	r = high - low;
	low = (high - r) - low;

	/* 1 + r exactly as sum + low, then the rest, which is small */
	sum = 1 + r;
	low += (1 - sum) + r;
	value = sum + (low + clu_exp_tail(r));

	/* Far components of a mixture come by here: 0 times something is fast, an underflow is not. */
	value = clu_bits_double(clu_double_bits(value) & ~vanished);

	/* 2^e in two factors, of which the second rounds a denormal result, once */
	e1 = e * 0.5 + exponent;
	e2 = (e - (e1 - exponent)) + exponent;
	value = value * clu_bits_double(clu_double_bits(e1) << 52) *
			clu_bits_double(clu_double_bits(e2) << 52);
	return clu_bits_double(clu_double_bits(value) | nan);
}

/* The bits of 2^(j/16), less j where the highest bits of a mantissa are. */
#define CLU_EXP_ROOTS                                                                             \
	UINT64_C(0x3ff0000000000000), UINT64_C(0x3fefb5586cf9890f), UINT64_C(0x3fef72b83c7d517b),     \
		UINT64_C(0x3fef387a6e756238), UINT64_C(0x3fef06fe0a31b715), UINT64_C(0x3feedea64c123422), \
		UINT64_C(0x3feebfdad5362a27), UINT64_C(0x3feeab07dd485429), UINT64_C(0x3feea09e667f3bcd), \
		UINT64_C(0x3feea11473eb0187), UINT64_C(0x3feeace5422aa0db), UINT64_C(0x3feec49182a3f090), \
		UINT64_C(0x3feee89f995ad3ad), UINT64_C(0x3fef199bdd85529c), UINT64_C(0x3fef5818dcfba487), \
		UINT64_C(0x3fefa4afa2a490da)

/* Coefficients of (exp(r) - 1 - r) / r^2 for |r| <= ln(2)/32, from the constant on. */
#define CLU_EXP_SHORT_SERIES                                                                \
	0x1.0000000000005p-1, 0x1.555555548f869p-3, 0x1.555555545eb57p-5, 0x1.11123aafe9fc6p-7, \
		0x1.6c185de50baa5p-10

#define CLU_LN2_16 0x1.62e42fefa39efp-5
#define CLU_16_LOG2_E 0x1.71547652b82fep+4

/* Below it clu_exp_negative is 0, and everything on its way above still far from denormal. */
#define CLU_LEAST_EXP (-700.0)

/*
 * exp of a number that isn't above 0, for sums of such, a third as dear: within 1.2 + 1.5 |x| ulp,
 * and 1.2 * 2^-53 in all, about what a sum with 1 is rounded by.  What is next to nothing is 0, so
 * that no sum or product with it is slow; NaN stays NaN.
 */
static inline double
clu_exp_negative(double x)
{
	static const uint64_t root[] = {CLU_EXP_ROOTS};
	static const double	  c[] = {CLU_EXP_SHORT_SERIES};
	const double		  integer = 0x1.8p52;
	double				  sum = x * CLU_16_LOG2_E + integer;
	double				  e = sum - integer;
	double				  r = x - e * CLU_LN2_16;
	double				  r2 = r * r;
	double				  tail = r2 * ((c[0] + c[1] * r) + r2 * ((c[2] + c[3] * r) + c[4] * r2));
	uint64_t			  bits = clu_double_bits(sum);
	double				  value;

	/* the low bits of the sum are those of e: four choose a root, the others are an exponent */
	value = clu_bits_double(root[bits % 16] + (bits << 48));
	return x < CLU_LEAST_EXP ? 0 : value + value * (r + tail);
}

/* log(m) - f + f^2/2 as a multiple of s = f / (2 + f), where f = m - 1 and half = f^2/2 */
static inline double
clu_log_tail(double s, double half)
{
	double z = s * s;
	double z2 = z * z;
	double odd = 0x1.999999997fdafp-2 + z2 * (0x1.c71c520905348p-3 + z2 * 0x1.39a1b90ca1110p-3);
	double even =
		0x1.5555555555592p-1 +
		z2 * (0x1.24924941f1956p-2 + z2 * (0x1.74663ef9ae888p-3 + z2 * 0x1.2f0573b085777p-3));

	return s * (half + (z * even + z2 * odd));
}

/* What to add to the log of a number that has none: 0 for all others. */
static inline double
clu_log_special(uint64_t bits)
{
	uint64_t magnitude = bits & ~CLU_SIGN;
	uint64_t infinite = clu_less(CLU_INFINITY - 1, magnitude) & CLU_INFINITY;
	uint64_t nan = (clu_less(CLU_INFINITY, magnitude) | (0 - (bits >> 63))) & CLU_NAN;

	return clu_bits_double(
		clu_select(clu_less(magnitude, 1), CLU_INFINITY | CLU_SIGN, infinite | nan));
}

static inline double
clu_log_inline(double x)
{
	const uint64_t root_half = UINT64_C(0x3fe6a09e667f3bcd); /* sqrt(1/2) */
	const uint64_t normal = UINT64_C(0x0010000000000000);	 /* 2^-1022 */
	const uint64_t bits_54 = UINT64_C(0x404b000000000000);	 /* 54.0 */
	const double   integer = 0x1p52;
	uint64_t	   denormal = clu_less(clu_double_bits(x) & ~CLU_SIGN, normal);
	double		   lift = clu_bits_double(CLU_ONE + (denormal & (UINT64_C(54) << 52)));
	double		   bias = 1023 + clu_bits_double(denormal & bits_54);
	uint64_t	   bits = clu_double_bits(x * lift) + (CLU_ONE - root_half);
	double		   e, f, f1, f2, half, half_low, sum, high, low;

	/* x = 2^e (1 + f), sqrt(1/2) <= 1 + f < sqrt(2); e, as an integer, is put below 2^52 */
	e = clu_bits_double((bits >> 52) | clu_double_bits(integer)) - integer - bias;
	f = clu_bits_double((bits & CLU_MANTISSA) + root_half) - 1;

	/* f - f^2/2 as sum + low, exact but for the rounding of half_low */
	f1 = clu_bits_double(clu_double_bits(f) & UINT64_C(0xfffffffff8000000));
	f2 = f - f1;
	half = f1 * f1 * 0.5;
	half_low = f2 * (f + f1) * 0.5;
	sum = f - half;
	low = ((f - sum) - half) - half_low;

	/* and added to e ln(2), again without loss */
	high = e * CLU_LN2_HI + sum;
	low += (e * CLU_LN2_HI - high) + sum;
	low += clu_log_tail(f / (2 + f), half + half_low) + e * CLU_LN2_LO;
	return (high + low) + clu_log_special(clu_double_bits(x));
}

/* Out of line.  A NaN that comes out is always the positive quiet one without payload. */
double clu_exp(double x);
double clu_log(double x);

/* Elementwise, the bits of the scalar functions; out may be in, but not overlap it otherwise. */
void clu_exp_array(const double *in, double *out, size_t n);
void clu_log_array(const double *in, double *out, size_t n);

/*
 * log(sum of exp(a[i])).  -infinity where there is nothing to sum (n = 0, or all are -infinity),
 * +infinity where one is; NaN only where one is NaN.
 */
double clu_log_sum_exp(const double *a, size_t n);

/*
 * Turn log weights into probabilities, in place, and give the log of their sum as
 * clu_log_sum_exp does, to the same bits.  When all are -infinity there is nothing to share out:
 * all probabilities are 0 and it is the caller's to choose.  Entries of +infinity share alike.
 */
void clu_softmax(double *a, size_t n, double *log_sum);

#endif
