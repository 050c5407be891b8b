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
 * What limits it: the exponentials.  Each takes 16 additions and as many multiplications, of which
 * 3/4 are at the adders' rate.
 */
#include "elementary.h"

#define LEAST_LOG (-46.051701859880914) /* the log of CLU_NEGLIGIBLE */

typedef unsigned long long vd_bits __attribute__((vector_size(sizeof(vd))));

/* Vectors of which the exp is taken together: its steps wait for one another, theirs don't. */
#define EXP_VECTORS 4

/* clu_exp_negative of some vectors, to the same bits where they are above -708. */
INLINE void
exp_negative(vd *x)
{
	vd sum[EXP_VECTORS], r[EXP_VECTORS], r2[EXP_VECTORS], tail[EXP_VECTORS];

#pragma GCC unroll 4
	for (int v = 0; v < EXP_VECTORS; v++)
		sum[v] = x[v] * 0x1.71547652b82fep+0 + 0x1.8p52;
#pragma GCC unroll 4
	for (int v = 0; v < EXP_VECTORS; v++)
	{
		vd e = sum[v] - 0x1.8p52;

		r[v] = (x[v] - e * CLU_LN2_HI) - e * CLU_LN2_LO;
		vd_keep(r[v]);
	}
#pragma GCC unroll 4
	for (int v = 0; v < EXP_VECTORS; v++)
	{
		r2[v] = r[v] * r[v];
		tail[v] = CLU_EXP_HIGH(r[v], r2[v]);
		vd_keep(tail[v]);
	}
#pragma GCC unroll 4
	for (int v = 0; v < EXP_VECTORS; v++)
	{
		tail[v] = CLU_EXP_MIDDLE(r[v], r2[v]) + r2[v] * r2[v] * tail[v];
		vd_keep(tail[v]);
	}
#pragma GCC unroll 4
	for (int v = 0; v < EXP_VECTORS; v++)
	{
		tail[v] = r2[v] * (CLU_EXP_LOW(r[v], r2[v]) + r2[v] * r2[v] * tail[v]);
		vd_keep(tail[v]);
	}
#pragma GCC unroll 4
	for (int v = 0; v < EXP_VECTORS; v++)
		x[v] = (vd) ((vd_bits) (1 + (r[v] + tail[v])) + ((vd_bits) sum[v] << 52));
}

/*
 * Responsibilities but for the division by their sum, of EXP_VECTORS vectors of points; adds these
 * to the sums.  Whether any is to count.
 */
INLINE bool
make_exponentials(double *term, const double *largest, vd component, vd *sum, vd *owner)
{
	vd	 value[EXP_VECTORS], less[EXP_VECTORS];
	bool far = true;

#pragma GCC unroll 4
	for (int v = 0; v < EXP_VECTORS; v++)
	{
		less[v] = vd_sub(vd_load(term + v * VD_LANES), vd_load(largest + v * VD_LANES));
		owner[v] = vd_select_less(less[v], vd_set(0), owner[v], component);
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

/* The terms of some points. */
INLINE void
share_some(double *term, int k, const double *w, const double *largest, double *log_density,
		   double *log_sum, uint32_t *owner, bool *active)
{
	vd	   sum[EXP_VECTORS], best[EXP_VECTORS], component = vd_set(0);
	double total[SHARED], share[SHARED], number[SHARED];

#pragma GCC unroll 4
	for (int v = 0; v < EXP_VECTORS; v++)
		sum[v] = best[v] = vd_set(0);
	for (int c = 0; c < k; c++)
	{
		active[c] |=
			make_exponentials(term + (size_t) c * CLU_LANES, largest, component, sum, best);
		component = vd_add(component, vd_set(1));
	}
#pragma GCC unroll 4
	for (int v = 0; v < EXP_VECTORS; v++)
	{
		vd_store(total + v * VD_LANES, sum[v]);
		vd_store(number + v * VD_LANES, best[v]);
	}
	for (int lane = 0; lane < SHARED; lane++)
	{
		log_density[lane] = largest[lane] + clu_log_inline(total[lane]);
		share[lane] = w[lane] / total[lane];
		owner[lane] = (uint32_t) (int32_t) number[lane];
	}
	for (int lane = 0; lane < SHARED; lane += 8)
		for (int i = 0; i < 8; i++)
			log_sum[i] += w[lane + i] * log_density[lane + i];
	for (int c = 0; c < k; c++)
		for (int lane = 0; active[c] && lane < SHARED; lane += VD_LANES)
		{
			double *at = term + (size_t) c * CLU_LANES + lane;

			vd_store(at, vd_mul(vd_load(at), vd_load(share + lane)));
		}
}

static void
gmm_share(double *a, int k, const double *w, const double *largest, double *log_density,
		  double *log_sum, uint32_t *owner, bool *active)
{
	memset(active, 0, (size_t) k * sizeof(bool));
	for (int lane = 0; lane < CLU_LANES; lane += SHARED)
		share_some(a + lane, k, w + lane, largest + lane, log_density + lane, log_sum, owner + lane,
				   active);
}
