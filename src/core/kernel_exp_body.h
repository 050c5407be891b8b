/*
 * kernel_exp_body.h
 *		Exponentials of vectors, and the steps that such and the kernels of mixtures are made of.
 *
 * Part of kernel_body.h; elementary.c tells how the exponentials work.
 *
 * A few vectors go side by side, step by step: the steps of one wait for one another.  What limits
 * it: each takes nine additions and as many multiplications.
 */
#include "elementary.h"

/* A step of n vectors, a constant, one after the other. */
#define VECTOR_STEP(name, operation)                                                  \
	INLINE void name##_vectors(vd *to, const vd *a, const vd *b, const int n)         \
	{                                                                                 \
		_Pragma("GCC unroll 4") for (int v = 0; v < n; v++)                           \
		{                                                                             \
			to[v] = operation(a[v], b[v]);                                            \
			vd_keep(to[v]);                                                           \
		}                                                                             \
	}                                                                                 \
                                                                                      \
	INLINE void name##_number(vd *to, const vd *a, const double *number, const int n) \
	{                                                                                 \
		vd all = vd_value_at(number);                                                 \
                                                                                      \
		_Pragma("GCC unroll 4") for (int v = 0; v < n; v++)                           \
		{                                                                             \
			to[v] = operation(a[v], all);                                             \
			vd_keep(to[v]);                                                           \
		}                                                                             \
	}

VECTOR_STEP(add, vd_add)
VECTOR_STEP(sub, vd_sub)
VECTOR_STEP(mul, vd_mul)

/* Vectors of which the exp is taken together: its steps wait for one another, theirs don't. */
#define EXP_VECTORS 4
#define EXP_LANES (EXP_VECTORS * VD_LANES)

static const uint64_t exp_root[] = {CLU_EXP_ROOTS};
static const double	  exp_series[] = {CLU_EXP_SHORT_SERIES};

/* r^2 (c0 + c1 r + r^2 (c2 + c3 r + c4 r^2)) of two vectors: the series beyond r. */
INLINE void
exp_tail(const vd *r, vd *tail)
{
	vd low[PAIR], high[PAIR], r2[PAIR];

	mul_vectors(r2, r, r, PAIR);
	mul_number(low, r, &exp_series[1], PAIR);
	mul_number(tail, r, &exp_series[3], PAIR);
	add_number(low, low, &exp_series[0], PAIR);
	add_number(tail, tail, &exp_series[2], PAIR);
	mul_number(high, r2, &exp_series[4], PAIR);
	add_vectors(tail, tail, high, PAIR);
	mul_vectors(tail, r2, tail, PAIR);
	add_vectors(tail, low, tail, PAIR);
	mul_vectors(tail, r2, tail, PAIR);
}

/* clu_exp_negative of some vectors, to the same bits where they are above CLU_LEAST_EXP. */
INLINE void
exp_negative(vd *x)
{
	static const double per_step = CLU_16_LOG2_E, whole = ROUND;
	static const double step = CLU_LN2_16;
	vd					sum[EXP_VECTORS], e[EXP_VECTORS], r[EXP_VECTORS], part[EXP_VECTORS];

	mul_number(sum, x, &per_step, EXP_VECTORS);
	add_number(sum, sum, &whole, EXP_VECTORS);
	sub_number(e, sum, &whole, EXP_VECTORS);
	mul_number(part, e, &step, EXP_VECTORS);
	sub_vectors(r, x, part, EXP_VECTORS);
#pragma GCC unroll 4
	for (int v = 0; v < EXP_VECTORS; v++)
		x[v] = (vd) (vd_look_up(exp_root, (vd_bits) sum[v]) + ((vd_bits) sum[v] << 48));
#pragma GCC unroll 2
	for (int v = 0; v < EXP_VECTORS; v += PAIR)
	{
		exp_tail(r + v, part + v);
		add_vectors(part + v, r + v, part + v, PAIR);
		mul_vectors(part + v, x + v, part + v, PAIR);
		add_vectors(x + v, x + v, part + v, PAIR);
	}
}

/* Of some numbers, in place. */
INLINE void
some_exponentials(double *a)
{
	vd x[EXP_VECTORS], value[EXP_VECTORS];

#pragma GCC unroll 4
	for (int v = 0; v < EXP_VECTORS; v++)
		value[v] = x[v] = vd_load(a + v * VD_LANES);
	exp_negative(value);
#pragma GCC unroll 4
	for (int v = 0; v < EXP_VECTORS; v++)
		vd_store(a + v * VD_LANES,
				 vd_select_less(x[v], vd_set(CLU_LEAST_EXP), vd_set(0), value[v]));
}

/* clu_exp_negative of n numbers, in place. */
INLINE void
exponentials(double *a, size_t n)
{
	double rest[EXP_LANES] = {0};

	for (; n >= EXP_LANES; n -= EXP_LANES, a += EXP_LANES)
		some_exponentials(a);
	if (n == 0)
		return;
	memcpy(rest, a, n * sizeof(double));
	some_exponentials(rest);
	memcpy(a, rest, n * sizeof(double));
}
