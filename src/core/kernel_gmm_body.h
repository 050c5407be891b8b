/*
 * kernel_gmm_body.h
 *		The inner loops of Gaussian mixtures; included by kernel_body.h for each instruction set.
 *
 * The bits are the same everywhere.  There are no fused multiply-adds: on CPUs of this decade
 * additions have execution units of their own and a fused one gains little, while a CPU without
 * it would be a hundred times slower.  Sums over points run in eight partial sums, point i into
 * sum i mod 8, whatever the length of a vector, and are added up as one tree (add_lanes).
 *
 * E-step: points in lanes.  A component's inverse Cholesky factor is read in blocks of four rows,
 * each value being broadcast once for GMM_VECTORS vectors of points.
 *
 * M-step: the moments of a component about its current mean, over a few panels at once, so that
 * the tile of the moment matrix at hand stays in registers: four rows by MOMENT_COLUMNS columns.
 * Panels without responsibility are left out beforehand.
 *
 * With AVX-512 and d = 8, a quarter of the time goes into the densities, a quarter into exp and log,
 * and half into the moments; with d = 64, a third and two thirds, and exp is free.
 */
#include "elementary.h"

#define FACTOR_ROWS 4
#define SUM_LANES 8

/* Mahalanobis distances stop here, so that what overflows is a large number and not a NaN. */
#define FARTHEST 1e300

/* ---- E-step ---- */

/* z = rows of the factor times the differences; adds z^2 to squared.  rows is a constant. */
INLINE const double *
factor_rows(const double *difference, int first, const double *factor, const int rows, vd *squared)
{
	vd z[FACTOR_ROWS][GMM_VECTORS];

#pragma GCC unroll 4
	for (int r = 0; r < rows; r++)
#pragma GCC unroll 4
		for (int v = 0; v < GMM_VECTORS; v++)
			z[r][v] = vd_set(0);
	for (int j = 0; j < first; j++, factor += rows)
	{
		vd x[GMM_VECTORS];

#pragma GCC unroll 4
		for (int v = 0; v < GMM_VECTORS; v++)
			x[v] = vd_load(difference + j * CLU_LANES + v * VD_LANES);
#pragma GCC unroll 4
		for (int r = 0; r < rows; r++)
		{
			vd value = vd_set(factor[r]);

#pragma GCC unroll 4
			for (int v = 0; v < GMM_VECTORS; v++)
				z[r][v] = vd_add(z[r][v], vd_mul(value, x[v]));
		}
	}
	/* the triangle at the end of the rows */
#pragma GCC unroll 4
	for (int j = 0; j < rows; j++)
	{
		const double *x = difference + (first + j) * CLU_LANES;

#pragma GCC unroll 4
		for (int r = j; r < rows; r++)
		{
			double one = *factor++;
			vd	   value = vd_set(one);

#pragma GCC unroll 4
			for (int v = 0; v < GMM_VECTORS; v++)
				z[r][v] = vd_add(z[r][v], vd_mul(value, vd_load(x + v * VD_LANES)));
		}
	}
#pragma GCC unroll 4
	for (int r = 0; r < rows; r++)
#pragma GCC unroll 4
		for (int v = 0; v < GMM_VECTORS; v++)
			squared[v] = vd_add(squared[v], vd_mul(z[r][v], z[r][v]));
	return factor;
}

INLINE void
store_log_terms(double *out, double constant, const vd *squared)
{
#pragma GCC unroll 4
	for (int v = 0; v < GMM_VECTORS; v++)
	{
		vd bounded = vd_min(squared[v], vd_set(FARTHEST)); /* and NaN becomes FARTHEST */

		vd_store(out + v * VD_LANES, vd_sub(vd_set(constant), vd_mul(bounded, vd_set(0.5))));
	}
}

static void
gmm_full(const double *panel, int d, const double *mean, const double *factor, double constant,
		 double *difference, double *out)
{
	for (int j = 0; j < d; j++)
		for (int lane = 0; lane < CLU_LANES; lane += VD_LANES)
			vd_store(difference + j * CLU_LANES + lane,
					 vd_sub(vd_load(panel + j * CLU_LANES + lane), vd_set(mean[j])));
	for (int lane = 0; lane < CLU_LANES; lane += GMM_VECTORS * VD_LANES)
	{
		const double *row = factor;
		vd			  squared[GMM_VECTORS];
		int			  i = 0;

		for (int v = 0; v < GMM_VECTORS; v++)
			squared[v] = vd_set(0);
		for (; i + FACTOR_ROWS <= d; i += FACTOR_ROWS)
			row = factor_rows(difference + lane, i, row, FACTOR_ROWS, squared);
		if (d - i == 1)
			factor_rows(difference + lane, i, row, 1, squared);
		else if (d - i == 2)
			factor_rows(difference + lane, i, row, 2, squared);
		else if (d - i == 3)
			factor_rows(difference + lane, i, row, 3, squared);
		store_log_terms(out + lane, constant, squared);
	}
}

static void
gmm_diag(const double *panel, int d, const double *mean, const double *root, double constant,
		 double *out)
{
	for (int lane = 0; lane < CLU_LANES; lane += GMM_VECTORS * VD_LANES)
	{
		vd squared[GMM_VECTORS];

		for (int v = 0; v < GMM_VECTORS; v++)
			squared[v] = vd_set(0);
		for (int j = 0; j < d; j++)
		{
			vd center = vd_set(mean[j]), factor = vd_set(root[j]);

#pragma GCC unroll 4
			for (int v = 0; v < GMM_VECTORS; v++)
			{
				vd x = vd_load(panel + j * CLU_LANES + lane + v * VD_LANES);
				vd z = vd_mul(vd_sub(x, center), factor);

				squared[v] = vd_add(squared[v], vd_mul(z, z));
			}
		}
		store_log_terms(out + lane, constant, squared);
	}
}

/*
 * Log terms of a panel to responsibilities.  Those below 1e-20 of the greatest are made 0: they
 * change nothing and would cost a share in the moments.  Where all of a panel's are far below,
 * they aren't even computed.
 */
#define NEGLIGIBLE 1e-20
#define FAR_BELOW (-47.0) /* exp of it is less */

/* The terms less their largest; whether any is worth an exp. */
INLINE bool
subtract_largest(double *term, const double *largest)
{
	double lanes[VD_LANES];
	vd	   most = vd_set(-INFINITY);
	bool   any = false;

	for (int lane = 0; lane < CLU_LANES; lane += VD_LANES)
	{
		vd less = vd_sub(vd_load(term + lane), vd_load(largest + lane));

		vd_store(term + lane, less);
		most = vd_max(most, less);
	}
	vd_store(lanes, most);
	for (int lane = 0; lane < VD_LANES; lane++)
		any = any || lanes[lane] > FAR_BELOW;
	return any;
}

INLINE void
add_exponentials(double *restrict term, double *restrict sum)
{
	double value[CLU_LANES];

	for (int lane = 0; lane < CLU_LANES; lane++)
		value[lane] = clu_exp_inline(term[lane]);
	for (int lane = 0; lane < CLU_LANES; lane += VD_LANES)
	{
		vd v = vd_load(value + lane);

		v = vd_select_less(v, vd_set(NEGLIGIBLE), vd_set(0), v);
		vd_store(term + lane, v);
		vd_store(sum + lane, vd_add(vd_load(sum + lane), v));
	}
}

static void
gmm_share(double *a, int k, size_t stride, const double *w, double *log_density, bool *active)
{
	double largest[CLU_LANES], sum[CLU_LANES], share[CLU_LANES];

	for (int lane = 0; lane < CLU_LANES; lane++)
	{
		largest[lane] = a[lane];
		sum[lane] = 0;
	}
	for (int c = 1; c < k; c++)
		for (int lane = 0; lane < CLU_LANES; lane += VD_LANES)
			vd_store(largest + lane,
					 vd_max(vd_load(largest + lane), vd_load(a + (size_t) c * stride + lane)));
	for (int c = 0; c < k; c++)
	{
		active[c] = subtract_largest(a + (size_t) c * stride, largest);
		if (active[c])
			add_exponentials(a + (size_t) c * stride, sum);
	}
	for (int lane = 0; lane < CLU_LANES; lane++)
	{
		log_density[lane] = largest[lane] + clu_log_inline(sum[lane]);
		share[lane] = w[lane] / sum[lane];
	}
	for (int c = 0; c < k; c++)
		for (int lane = 0; active[c] && lane < CLU_LANES; lane += VD_LANES)
			vd_store(a + (size_t) c * stride + lane,
					 vd_mul(vd_load(a + (size_t) c * stride + lane), vd_load(share + lane)));
}

/* ---- M-step ---- */

INLINE double
add_lanes(const double *s)
{
	return ((s[0] + s[4]) + (s[2] + s[6])) + ((s[1] + s[5]) + (s[3] + s[7]));
}

INLINE double
total_share(const double *const *r, int panels)
{
	double lanes[SUM_LANES];

	for (int h = 0; h < SUM_LANES; h += VD_LANES)
	{
		vd sum = vd_set(0);

		for (int p = 0; p < panels; p++)
			for (int lane = h; lane < CLU_LANES; lane += SUM_LANES)
				sum = vd_add(sum, vd_load(r[p] + lane));
		vd_store(lanes + h, sum);
	}
	return add_lanes(lanes);
}

/* From one panel of the scratch to the next: never a power of two, which caches don't like. */
INLINE size_t
scratch_stride(int d)
{
	return ((size_t) d + 1) * CLU_LANES;
}

/*
 * Differences from the mean, and these times the responsibilities, of the active panels; and
 * from them the zeroth and first moments.
 */
INLINE void
weigh_differences(const double *panel, const double *const *r, const int *which, int panels, int d,
				  const double *mean, double *difference, double *weighted, double *count,
				  double *first)
{
	double lanes[SUM_LANES];

	*count += total_share(r, panels);
	for (int j = 0; j < d; j++)
	{
		vd center = vd_set(mean[j]);

		for (int h = 0; h < SUM_LANES; h += VD_LANES)
		{
			vd sum = vd_set(0);

			for (int p = 0; p < panels; p++)
			{
				size_t from = ((size_t) which[p] * (size_t) d + (size_t) j) * CLU_LANES;
				size_t to = (size_t) p * scratch_stride(d) + (size_t) j * CLU_LANES;

#pragma GCC unroll 4
				for (int lane = h; lane < CLU_LANES; lane += SUM_LANES)
				{
					vd less = vd_sub(vd_load(panel + from + lane), center);
					vd share = vd_mul(less, vd_load(r[p] + lane));

					vd_store(difference + to + lane, less);
					vd_store(weighted + to + lane, share);
					sum = vd_add(sum, share);
				}
			}
			vd_store(lanes + h, sum);
		}
		first[j] += add_lanes(lanes);
	}
}

/*
 * One tile of the second moments, rows by columns; both constants.  With corner, it lies on the
 * diagonal and only its lower triangle is computed.  Moments are packed by rows of the triangle.
 */
INLINE void
moment_tile(const double *weighted, const double *difference, int panels, size_t size, int i, int j,
			const int rows, const int columns, const bool corner, double *second)
{
	double lanes[FACTOR_ROWS][FACTOR_ROWS][SUM_LANES];

	for (int h = 0; h < SUM_LANES; h += VD_LANES)
	{
		vd sum[FACTOR_ROWS][FACTOR_ROWS];

#pragma GCC unroll 4
		for (int r = 0; r < rows; r++)
#pragma GCC unroll 4
			for (int c = 0; c < columns; c++)
				sum[r][c] = vd_set(0);
		for (int p = 0; p < panels; p++)
		{
			const double *left = weighted + (size_t) p * size + (size_t) i * CLU_LANES + h;
			const double *right = difference + (size_t) p * size + (size_t) j * CLU_LANES + h;

#pragma GCC unroll 1
			for (int lane = 0; lane < CLU_LANES; lane += SUM_LANES)
			{
				vd x[FACTOR_ROWS];

#pragma GCC unroll 4
				for (int c = 0; c < columns; c++)
					x[c] = vd_load(right + c * CLU_LANES + lane);
#pragma GCC unroll 4
				for (int r = 0; r < rows; r++)
				{
					vd y = vd_load(left + r * CLU_LANES + lane);

#pragma GCC unroll 4
					for (int c = 0; c < columns; c++)
						if (!corner || c <= r)
							sum[r][c] = vd_add(sum[r][c], vd_mul(y, x[c]));
				}
			}
		}
#pragma GCC unroll 4
		for (int r = 0; r < rows; r++)
#pragma GCC unroll 4
			for (int c = 0; c < columns; c++)
				if (!corner || c <= r)
					vd_store(&lanes[r][c][h], sum[r][c]);
	}
	for (int r = 0; r < rows; r++)
	{
		size_t row = (size_t) (i + r) * (size_t) (i + r + 1) / 2 + (size_t) j;

		for (int c = 0; c < (corner ? r + 1 : columns); c++)
			second[row + (size_t) c] += add_lanes(lanes[r][c]);
	}
}

INLINE void
moment_rows(const double *weighted, const double *difference, int panels, size_t size, int i,
			const int rows, double *second)
{
	for (int j = 0; j < i; j += MOMENT_COLUMNS)
		moment_tile(weighted, difference, panels, size, i, j, rows, MOMENT_COLUMNS, false, second);
	moment_tile(weighted, difference, panels, size, i, i, rows, rows, true, second);
}

static void
gmm_moments_full(const double *panel, const double *const *r, const int *which, int panels, int d,
				 const double *mean, double *scratch, double *count, double *first, double *second)
{
	size_t	size = scratch_stride(d);
	double *difference = scratch, *weighted = scratch + size * (size_t) panels;
	int		i = 0;

	weigh_differences(panel, r, which, panels, d, mean, difference, weighted, count, first);
	for (; i + FACTOR_ROWS <= d; i += FACTOR_ROWS)
		moment_rows(weighted, difference, panels, size, i, FACTOR_ROWS, second);
	if (d - i == 1)
		moment_rows(weighted, difference, panels, size, i, 1, second);
	else if (d - i == 2)
		moment_rows(weighted, difference, panels, size, i, 2, second);
	else if (d - i == 3)
		moment_rows(weighted, difference, panels, size, i, 3, second);
}

/* Columns j .. j + columns of first and second moments; columns is a constant. */
INLINE void
moment_columns(const double *panel, const double *const *r, const int *which, int panels, int d,
			   const double *mean, int j, const int columns, double *first, double *second)
{
	double one[MOMENT_COLUMNS][SUM_LANES], two[MOMENT_COLUMNS][SUM_LANES];

	for (int h = 0; h < SUM_LANES; h += VD_LANES)
	{
		vd sum[MOMENT_COLUMNS], square[MOMENT_COLUMNS], center[MOMENT_COLUMNS];

#pragma GCC unroll 4
		for (int c = 0; c < columns; c++)
		{
			sum[c] = square[c] = vd_set(0);
			center[c] = vd_set(mean[j + c]);
		}
		for (int p = 0; p < panels; p++)
		{
			const double *x = panel + ((size_t) which[p] * (size_t) d + (size_t) j) * CLU_LANES;

#pragma GCC unroll 1
			for (int lane = h; lane < CLU_LANES; lane += SUM_LANES)
			{
				vd share = vd_load(r[p] + lane);

#pragma GCC unroll 4
				for (int c = 0; c < columns; c++)
				{
					vd less = vd_sub(vd_load(x + c * CLU_LANES + lane), center[c]);
					vd weighted = vd_mul(less, share);

					sum[c] = vd_add(sum[c], weighted);
					square[c] = vd_add(square[c], vd_mul(weighted, less));
				}
			}
		}
#pragma GCC unroll 4
		for (int c = 0; c < columns; c++)
		{
			vd_store(&one[c][h], sum[c]);
			vd_store(&two[c][h], square[c]);
		}
	}
	for (int c = 0; c < columns; c++)
	{
		first[j + c] += add_lanes(one[c]);
		second[j + c] += add_lanes(two[c]);
	}
}

static void
gmm_moments_diag(const double *panel, const double *const *r, const int *which, int panels, int d,
				 const double *mean, double *count, double *first, double *second)
{
	int j = 0;

	*count += total_share(r, panels);
	for (; j + MOMENT_COLUMNS <= d; j += MOMENT_COLUMNS)
		moment_columns(panel, r, which, panels, d, mean, j, MOMENT_COLUMNS, first, second);
	for (; j < d; j++)
		moment_columns(panel, r, which, panels, d, mean, j, 1, first, second);
}
