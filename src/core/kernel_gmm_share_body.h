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
 * What limits it: the exponentials, and what is done to each of them besides: a difference, two
 * comparisons, a sum and the multiplication by the share.
 */
#define LEAST_LOG (-46.051701859880914) /* the log of CLU_NEGLIGIBLE */

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
	double number[EXP_LANES];

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
	for (int lane = 0; lane < EXP_LANES; lane++)
		owner[lane] = (uint32_t) (int32_t) number[lane];
}

static void
gmm_share(double *a, int k, const double *w, const double *largest, double *total, uint32_t *owner,
		  bool *active)
{
	memset(active, 0, (size_t) k * sizeof(bool));
	for (int lane = 0; lane < CLU_LANES; lane += EXP_LANES)
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
