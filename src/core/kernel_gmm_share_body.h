/*
 * kernel_gmm_share_body.h
 *		The E-step of Gaussian mixtures from the terms on: responsibilities and log densities.
 *
 * Part of kernel_body.h.
 *
 * Components in turn, with a few vectors of points side by side.  Responsibilities below
 * CLU_NEGLIGIBLE of the greatest are made 0: they would cost a share in the moments.  Where those
 * of a component are that for all of these points, its exponentials aren't even computed.
 *
 * What limits it: the exponentials.  Each takes 16 additions and as many multiplications, which
 * with the difference from the largest, the shift and the sum are 19 for the adders: with AVX-512,
 * three quarters of the time.
 */
#include "elementary.h"

#define LEAST_LOG (-46.051701859880914) /* the log of CLU_NEGLIGIBLE */

typedef unsigned long long vd_bits __attribute__((vector_size(sizeof(vd))));

/* Vectors of which the exp is taken together: its steps wait for one another, theirs don't. */
#define EXP_VECTORS 4

static const double exp_series[] = {CLU_EXP_SERIES};

/* clu_exp_tail of two vectors: what doesn't wait for anything comes first. */
INLINE void
exp_tail(const vd *r, vd *tail)
{
	vd line[5][PAIR], r2[PAIR], r4[PAIR];

	mul_vectors(r2, r, r, PAIR);
#pragma GCC unroll 5
	for (int i = 0; i < 5; i++)
		mul_number(line[i], r, &exp_series[2 * i + 1], PAIR);
#pragma GCC unroll 5
	for (int i = 0; i < 5; i++)
		add_number(line[i], line[i], &exp_series[2 * i], PAIR);
	mul_number(tail, r2, &exp_series[10], PAIR);
	mul_vectors(line[3], line[3], r2, PAIR);
	mul_vectors(r4, r2, r2, PAIR);
	mul_vectors(line[1], line[1], r2, PAIR);
	add_vectors(tail, line[4], tail, PAIR);
	add_vectors(line[2], line[2], line[3], PAIR);
	add_vectors(line[0], line[0], line[1], PAIR);
	mul_vectors(tail, r4, tail, PAIR);
	add_vectors(tail, line[2], tail, PAIR);
	mul_vectors(tail, r4, tail, PAIR);
	add_vectors(tail, line[0], tail, PAIR);
	mul_vectors(tail, r2, tail, PAIR);
}

/* clu_exp_negative of some vectors, to the same bits where they are above -708. */
INLINE void
exp_negative(vd *x)
{
	static const double log2_e = 0x1.71547652b82fep+0, whole = ROUND, one = 1;
	static const double ln2_hi = CLU_LN2_HI, ln2_lo = CLU_LN2_LO;
	vd					sum[EXP_VECTORS], e[EXP_VECTORS], r[EXP_VECTORS], part[EXP_VECTORS];

	mul_number(sum, x, &log2_e, EXP_VECTORS);
	add_number(sum, sum, &whole, EXP_VECTORS);
	sub_number(e, sum, &whole, EXP_VECTORS);
	mul_number(part, e, &ln2_hi, EXP_VECTORS);
	sub_vectors(r, x, part, EXP_VECTORS);
	mul_number(part, e, &ln2_lo, EXP_VECTORS);
	sub_vectors(r, r, part, EXP_VECTORS);
#pragma GCC unroll 2
	for (int v = 0; v < EXP_VECTORS; v += PAIR)
	{
		exp_tail(r + v, part + v);
		add_vectors(part + v, r + v, part + v, PAIR);
		add_number(part + v, part + v, &one, PAIR);
	}
#pragma GCC unroll 4
	for (int v = 0; v < EXP_VECTORS; v++)
		x[v] = (vd) ((vd_bits) part[v] + ((vd_bits) sum[v] << 52));
}

/*
 * Responsibilities but for the division by their sum, of EXP_VECTORS vectors of points; adds these
 * to the sums.  Whether any is to count.
 */
INLINE bool
make_exponentials(double *term, const double *largest, vd *sum)
{
	vd	 value[EXP_VECTORS], less[EXP_VECTORS];
	bool far = true;

#pragma GCC unroll 4
	for (int v = 0; v < EXP_VECTORS; v++)
	{
		less[v] = vd_sub(vd_load(term + v * VD_LANES), vd_load(largest + v * VD_LANES));
		far &= vd_all_less(less[v], vd_set(LEAST_LOG));
		value[v] = less[v];
	}
	if (!far)
		exp_negative(value);
#pragma GCC unroll 4
	for (int v = 0; v < EXP_VECTORS; v++)
	{
		value[v] = vd_select_less(less[v], vd_set(LEAST_LOG), vd_set(0), value[v]);
		vd_store(term + v * VD_LANES, value[v]);
		if (!far)
			sum[v] = vd_add(sum[v], value[v]);
	}
	return !far;
}

#define SHARED (EXP_VECTORS * VD_LANES) /* points */

/* Of one component: what has the largest term is 1 before the multiplication. */
INLINE void
share_component(double *value, const vd *share, vd component, vd *owner)
{
#pragma GCC unroll 4
	for (int v = 0; v < EXP_VECTORS; v++)
	{
		vd x = vd_load(value + v * VD_LANES);

		owner[v] = vd_select_less(x, vd_set(1), owner[v], component);
		vd_store(value + v * VD_LANES, vd_mul(x, share[v]));
	}
}

/* The terms of some points. */
INLINE void
share_some(double *term, int k, const double *w, const double *largest, double *total,
		   uint32_t *owner, bool *active)
{
	vd	   sum[EXP_VECTORS], best[EXP_VECTORS], component = vd_set(0);
	double number[SHARED];

#pragma GCC unroll 4
	for (int v = 0; v < EXP_VECTORS; v++)
		sum[v] = best[v] = vd_set(0);
	for (int c = 0; c < k; c++)
		active[c] |= make_exponentials(term + (size_t) c * CLU_LANES, largest, sum);
#pragma GCC unroll 4
	for (int v = 0; v < EXP_VECTORS; v++)
	{
		vd_store(total + v * VD_LANES, sum[v]);
		sum[v] = vd_div(vd_load(w + v * VD_LANES), sum[v]);
	}
	for (int c = 0; c < k; c++)
	{
		if (active[c])
			share_component(term + (size_t) c * CLU_LANES, sum, component, best);
		component = vd_add(component, vd_set(1));
	}
#pragma GCC unroll 4
	for (int v = 0; v < EXP_VECTORS; v++)
		vd_store(number + v * VD_LANES, best[v]);
	for (int lane = 0; lane < SHARED; lane++)
		owner[lane] = (uint32_t) (int32_t) number[lane];
}

static void
gmm_share(double *a, int k, const double *w, const double *largest, double *total, uint32_t *owner,
		  bool *active)
{
	memset(active, 0, (size_t) k * sizeof(bool));
	for (int lane = 0; lane < CLU_LANES; lane += SHARED)
		share_some(a + lane, k, w + lane, largest + lane, total + lane, owner + lane, active);
}

/* ---- log densities ---- */

/* By their bits: those of vectors are compared in one go. */
INLINE bool
are_equal(const double *w, int n)
{
	uint64_t differ = 0;

	for (int i = 0; i < n; i++)
		differ |= clu_double_bits(w[i]) ^ clu_double_bits(w[0]);
	return differ == 0;
}

/*
 * Of points with one weight, the logs of the totals are the log of their product: a total is
 * between 1 and k, and a logarithm takes as long as several exponentials.
 */
static void
gmm_log_sum(int n, const double *w, const double *largest, const double *total, double *log_sum)
{
	double product[8] = {1, 1, 1, 1, 1, 1, 1, 1}, sum[8] = {0};

	if (are_equal(w, n))
	{
		for (int first = 0; first < n; first += 8)
			for (int i = 0; i < 8; i++)
			{
				product[i] *= total[first + i];
				sum[i] += largest[first + i];
			}
		for (int i = 0; i < 8; i++)
			log_sum[i] += w[i] * (sum[i] + clu_log_inline(product[i]));
		return;
	}
	for (int first = 0; first < n; first += 8)
		for (int i = 0; i < 8; i++)
			log_sum[i] += w[first + i] * (largest[first + i] + clu_log_inline(total[first + i]));
}
