/*
 * kernel_gmm_body.h
 *		The E-step of Gaussian mixtures: panels, densities and responsibilities.  Part of kernel_body.h.
 *
 * The bits are the same everywhere.  There are no fused multiply-adds: on CPUs of this decade
 * additions have execution units of their own and a fused one gains little, while a CPU without
 * it would be a hundred times slower.
 *
 * E-step: points in lanes.  A component's inverse Cholesky factor is read in blocks of four rows,
 * each value being broadcast once for GMM_VECTORS vectors of points.
 *
 * Where components are well apart, points come in the order of their owners (gmm_estep.c), and most
 * of the work is left out: a component's rows of z are given up after every eight columns at which
 * its terms are seen to be far below the largest.
 *
 * What limits it, with AVX2: densities reach 45 % of the peak at d = 8 and 75 % at d = 64
 * (test/bench/peak.c); each broadcast of a factor's value serves two multiplications.  An exp takes
 * five cycles, most of them because its steps wait for one another.  With few columns, half of the
 * time of a panel is the way of the rows from memory.
 */
#include "elementary.h"

#define FACTOR_ROWS 4
#define DIAG_VECTORS 4

/* Mahalanobis distances stop here, so that what overflows is a large number and not a NaN. */
#define FARTHEST 1e300

/* ---- panels ---- */

/* Four lanes, whatever the length of a vector: as much as a transposition takes at once. */
typedef double	  quad __attribute__((vector_size(32)));
typedef long long quad_places __attribute__((vector_size(32)));

/* Columns j .. j + 4 of a row. */
INLINE void
load_quad(const void *row, const int width, int j, quad *out)
{
	const float *x = (const float *) row + j;

	if (width == 8)
		memcpy(out, (const double *) row + j, sizeof(quad));
	else
		*out = (quad) {x[0], x[1], x[2], x[3]};
}

/* Columns j .. j + 4 of four rows: four lanes of the panel. */
INLINE void
fill_quads(const void *const *row, const int width, int j, const double *shift, const double *scale,
		   double *panel)
{
	quad r[4], column[4], even[2], odd[2], less, factor;

	memcpy(&less, shift + j, sizeof(quad));
	memcpy(&factor, scale + j, sizeof(quad));
#pragma GCC unroll 4
	for (int i = 0; i < 4; i++)
	{
		load_quad(row[i], width, j, &r[i]);
		r[i] = (r[i] - less) * factor;
	}
#pragma GCC unroll 2
	for (int i = 0; i < 2; i++)
	{
		even[i] = SHUFFLE(quad_places, r[2 * i], r[2 * i + 1], 0, 4, 2, 6);
		odd[i] = SHUFFLE(quad_places, r[2 * i], r[2 * i + 1], 1, 5, 3, 7);
	}
	column[0] = SHUFFLE(quad_places, even[0], even[1], 0, 1, 4, 5);
	column[1] = SHUFFLE(quad_places, odd[0], odd[1], 0, 1, 4, 5);
	column[2] = SHUFFLE(quad_places, even[0], even[1], 2, 3, 6, 7);
	column[3] = SHUFFLE(quad_places, odd[0], odd[1], 2, 3, 6, 7);
#pragma GCC unroll 4
	for (int i = 0; i < 4; i++)
		memcpy(panel + (j + i) * CLU_LANES, &column[i], sizeof(quad));
}

INLINE void
fill_panel(const void *const *row, const int width, int d, const double *shift, const double *scale,
		   double *panel)
{
	for (int lane = 0; lane < CLU_LANES; lane += 4)
	{
		int j = 0;

		for (; j + 4 <= d; j += 4)
			fill_quads(row + lane, width, j, shift, scale, panel + lane);
		for (; j < d; j++)
			for (int i = lane; i < lane + 4; i++)
			{
				double x = width == 8 ? ((const double *) row[i])[j] : ((const float *) row[i])[j];

				panel[j * CLU_LANES + i] = (x - shift[j]) * scale[j];
			}
	}
}

static void
gmm_panel(const void *const *row, int width, int d, const double *shift, const double *scale,
		  double *panel)
{
	if (width == 8)
		fill_panel(row, 8, d, shift, scale, panel);
	else
		fill_panel(row, 4, d, shift, scale, panel);
}

/* ---- E-step ---- */

/* Add value * x to some sums, or begin them with that. */
INLINE void
add_products(vd *sum, double value, const vd *x, const bool begin)
{
	vd all = vd_set(value);

	vd_keep(all);
#pragma GCC unroll 4
	for (int v = 0; v < GMM_VECTORS; v++)
	{
		vd product = vd_mul(all, x[v]);

		sum[v] = begin ? product : vd_add(sum[v], product);
		vd_keep(sum[v]);
	}
}

INLINE void
load_points(const double *difference, int j, vd *x)
{
#pragma GCC unroll 4
	for (int v = 0; v < GMM_VECTORS; v++)
		x[v] = vd_load(difference + j * CLU_LANES + v * VD_LANES);
}

/* Column j of all the rows; the factor moves on. */
INLINE const double *
factor_column(const double *difference, int j, const double *factor, const int rows,
			  vd (*z)[GMM_VECTORS], const bool begin)
{
	vd x[GMM_VECTORS];

	load_points(difference, j, x);
#pragma GCC unroll 4
	for (int r = 0; r < rows; r++)
		add_products(z[r], factor[r], x, begin);
	return factor + rows;
}

/*
 * z = rows of the factor times the differences; adds z^2 to squared.  rows is a constant, and
 * whether they are the first ones.
 */
INLINE const double *
factor_rows(const double *difference, int first, const double *factor, const int rows,
			const bool at_first, vd *squared)
{
	vd z[FACTOR_ROWS][GMM_VECTORS];

	if (!at_first)
		factor = factor_column(difference, 0, factor, rows, z, true);
#pragma GCC unroll 4
	for (int j = 1; j < first; j++)
		factor = factor_column(difference, j, factor, rows, z, false);
		/* the triangle at the end of the rows */
#pragma GCC unroll 4
	for (int j = 0; j < rows; j++)
	{
		vd x[GMM_VECTORS];

		load_points(difference, first + j, x);
#pragma GCC unroll 4
		for (int r = j; r < rows; r++)
			add_products(z[r], *factor++, x, at_first && j == 0);
	}
#pragma GCC unroll 4
	for (int r = 0; r < rows; r++)
#pragma GCC unroll 4
		for (int v = 0; v < GMM_VECTORS; v++)
		{
			squared[v] = vd_add(squared[v], vd_mul(z[r][v], z[r][v]));
			vd_keep(squared[v]);
		}
	return factor;
}

/*
 * Responsibilities below CLU_NEGLIGIBLE of the greatest are made 0: they would cost a share in the
 * moments.  Where all of a panel's are far below, they aren't even computed.
 */
#define FAR_BELOW (-47.0) /* exp of it is less */

/* Sums of squares as they count: what is not a number is as far as can be. */
INLINE vd
bounded(vd squared)
{
	return vd_min(squared, vd_set(FARTHEST));
}

/* The sums of squares above which terms are far below the largest so far. */
INLINE void
find_limits(double constant, const double *largest, vd *limit, const int vectors)
{
#pragma GCC unroll 4
	for (int v = 0; v < vectors; v++)
	{
		vd way = vd_sub(vd_set(constant - FAR_BELOW), vd_load(largest + v * VD_LANES));

		limit[v] = vd_add(way, way);
	}
}

/* Whether all of these points are beyond their limits: their sums of squares never fall. */
INLINE bool
are_far(const vd *squared, const vd *limit, const int vectors)
{
	bool near = false;

#pragma GCC unroll 4
	for (int v = 0; v < vectors; v++)
		near |= vd_any_less(bounded(squared[v]), limit[v]);
	return !near;
}

/*
 * Terms beyond their limits become -infinity.  Every point is judged by itself, so it makes no
 * difference which of them were together.
 */
INLINE void
store_terms(double *out, double *largest, double constant, const vd *squared, const vd *limit,
			const int vectors)
{
#pragma GCC unroll 4
	for (int v = 0; v < vectors; v++)
	{
		vd square = bounded(squared[v]);
		vd term = vd_sub(vd_set(constant), vd_mul(square, vd_set(0.5)));

		term = vd_select_less(square, limit[v], term, vd_set(-INFINITY));
		vd_store(out + v * VD_LANES, term);
		vd_store(largest + v * VD_LANES, vd_max(vd_load(largest + v * VD_LANES), term));
	}
}

INLINE void
store_far(double *out, const int vectors)
{
#pragma GCC unroll 4
	for (int v = 0; v < vectors; v++)
		vd_store(out + v * VD_LANES, vd_set(-INFINITY));
}

/* Columns first .. end of the differences from the mean, for GMM_VECTORS vectors of points. */
INLINE void
find_differences(const double *panel, const double *mean, int first, int end, double *difference)
{
#pragma GCC unroll 8
	for (int j = first; j < end; j++)
	{
		vd center = vd_set(mean[j]);

		vd_keep(center);
#pragma GCC unroll 4
		for (int v = 0; v < GMM_VECTORS; v++)
			vd_store(difference + j * CLU_LANES + v * VD_LANES,
					 vd_sub(vd_load(panel + j * CLU_LANES + v * VD_LANES), center));
	}
	/* from here on they are read from memory: the registers are for the sums */
	__asm__ volatile("" ::: "memory");
}

/* Rows or columns between two looks at whether the points are far. */
#define LOOK_AFTER 8

/* The last rows, fewer than FACTOR_ROWS. */
INLINE void
rest_of_rows(const double *difference, int rest, const double *factor, int i, const bool at_first,
			 vd *squared)
{
	if (rest == 1)
		factor_rows(difference, i, factor, 1, at_first, squared);
	else if (rest == 2)
		factor_rows(difference, i, factor, 2, at_first, squared);
	else if (rest == 3)
		factor_rows(difference, i, factor, 3, at_first, squared);
}

/* For GMM_VECTORS vectors of points. */
INLINE void
full_terms(const double *panel, int d, const double *mean, const double *factor, double constant,
		   double *difference, double *largest, double *out)
{
	vd	squared[GMM_VECTORS], limit[GMM_VECTORS];
	int i = 0;

	for (int v = 0; v < GMM_VECTORS; v++)
		squared[v] = vd_set(0);
	find_limits(constant, largest, limit, GMM_VECTORS);
	find_differences(panel, mean, 0, CLU_MIN(LOOK_AFTER, d), difference);
#pragma GCC unroll 2
	for (; i + FACTOR_ROWS <= d; i += FACTOR_ROWS)
	{
		if (i > 0 && i % LOOK_AFTER == 0)
		{
			if (are_far(squared, limit, GMM_VECTORS))
			{
				store_far(out, GMM_VECTORS);
				return;
			}
			find_differences(panel, mean, i, CLU_MIN(i + LOOK_AFTER, d), difference);
		}
		if (i == 0)
			factor = factor_rows(difference, 0, factor, FACTOR_ROWS, true, squared);
		else
			factor = factor_rows(difference, i, factor, FACTOR_ROWS, false, squared);
	}
	if (i > 0 && i % LOOK_AFTER == 0)
		find_differences(panel, mean, i, d, difference);
	if (i == 0)
		rest_of_rows(difference, d, factor, 0, true, squared);
	else
		rest_of_rows(difference, d - i, factor, i, false, squared);
	store_terms(out, largest, constant, squared, limit, GMM_VECTORS);
}

/* For a panel; where d is a constant, without a loop over columns. */
INLINE void
panel_terms(const double *panel, int d, const double *mean, const double *factor, double constant,
			double *difference, double *largest, double *out)
{
	for (int lane = 0; lane < CLU_LANES; lane += GMM_VECTORS * VD_LANES)
		full_terms(panel + lane, d, mean, factor, constant, difference + lane, largest + lane,
				   out + lane);
}

#define FEW_COLUMNS(few)                                                           \
	case few:                                                                      \
		panel_terms(panel, few, mean, factor, constant, difference, largest, out); \
		return

static void
gmm_full(const double *panel, int d, const double *mean, const double *factor, double constant,
		 double *difference, double *largest, double *out)
{
	switch (d)
	{
		FEW_COLUMNS(1);
		FEW_COLUMNS(2);
		FEW_COLUMNS(3);
		FEW_COLUMNS(4);
		FEW_COLUMNS(5);
		FEW_COLUMNS(6);
		FEW_COLUMNS(7);
		FEW_COLUMNS(8);
	}
	panel_terms(panel, d, mean, factor, constant, difference, largest, out);
}

/* Columns first .. end, for DIAG_VECTORS vectors of points. */
INLINE void
diag_columns(const double *panel, const double *mean, const double *root, int first, int end,
			 vd *squared)
{
	for (int j = first; j < end; j++)
	{
		vd center = vd_set(mean[j]), factor = vd_set(root[j]);

#pragma GCC unroll 4
		for (int v = 0; v < DIAG_VECTORS; v++)
		{
			vd x = vd_load(panel + j * CLU_LANES + v * VD_LANES);
			vd z = vd_mul(vd_sub(x, center), factor);

			squared[v] = vd_add(squared[v], vd_mul(z, z));
		}
	}
}

INLINE void
diag_terms(const double *panel, int d, const double *mean, const double *root, double constant,
		   double *largest, double *out)
{
	vd	squared[DIAG_VECTORS], limit[DIAG_VECTORS];
	int j = 0;

	for (int v = 0; v < DIAG_VECTORS; v++)
		squared[v] = vd_set(0);
	find_limits(constant, largest, limit, DIAG_VECTORS);
	for (; j + LOOK_AFTER < d; j += LOOK_AFTER)
	{
		diag_columns(panel, mean, root, j, j + LOOK_AFTER, squared);
		if (are_far(squared, limit, DIAG_VECTORS))
		{
			store_far(out, DIAG_VECTORS);
			return;
		}
	}
	diag_columns(panel, mean, root, j, d, squared);
	store_terms(out, largest, constant, squared, limit, DIAG_VECTORS);
}

static void
gmm_diag(const double *panel, int d, const double *mean, const double *root, double constant,
		 double *largest, double *out)
{
	for (int lane = 0; lane < CLU_LANES; lane += DIAG_VECTORS * VD_LANES)
		diag_terms(panel + lane, d, mean, root, constant, largest + lane, out + lane);
}

/* The terms less their largest; whether any is worth an exp.  Where it's 0, this is the owner. */
INLINE bool
subtract_largest(double *term, const double *largest, double component, double *owner)
{
	bool any = false;

	for (int lane = 0; lane < CLU_LANES; lane += VD_LANES)
	{
		vd less = vd_sub(vd_load(term + lane), vd_load(largest + lane));

		vd_store(term + lane, less);
		vd_store(owner + lane,
				 vd_select_less(less, vd_set(0), vd_load(owner + lane), vd_set(component)));
		any |= vd_any_less(vd_set(FAR_BELOW), less);
	}
	return any;
}

typedef unsigned long long vd_bits __attribute__((vector_size(sizeof(vd))));

/* Vectors of which the exp is taken together: its steps wait for one another, theirs don't. */
#define EXP_VECTORS 4

/* clu_exp_negative of some vectors, to the same bits. */
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
	{
		vd_bits value = (vd_bits) (1 + (r[v] + tail[v])) + ((vd_bits) sum[v] << 52);

		x[v] = vd_select_less(x[v], vd_set(-708), vd_set(0), (vd) value);
	}
}

INLINE void
add_exponentials(double *restrict term, double *restrict sum)
{
	for (int lane = 0; lane < CLU_LANES; lane += EXP_VECTORS * VD_LANES)
	{
		vd value[EXP_VECTORS];

#pragma GCC unroll 4
		for (int v = 0; v < EXP_VECTORS; v++)
			value[v] = vd_load(term + lane + v * VD_LANES);
		exp_negative(value);
#pragma GCC unroll 4
		for (int v = 0; v < EXP_VECTORS; v++)
		{
			double *to = sum + lane + v * VD_LANES;

			value[v] = vd_select_less(value[v], vd_set(CLU_NEGLIGIBLE), vd_set(0), value[v]);
			vd_store(term + lane + v * VD_LANES, value[v]);
			vd_store(to, vd_add(vd_load(to), value[v]));
		}
	}
}

static void
gmm_share(double *a, int k, const double *w, const double *largest, double *log_density,
		  double *owner, bool *active)
{
	double sum[CLU_LANES], share[CLU_LANES];

	for (int lane = 0; lane < CLU_LANES; lane += VD_LANES)
	{
		vd zero = vd_set(0);

		vd_keep(zero); /* a memset takes longer */
		vd_store(sum + lane, zero);
		vd_store(owner + lane, zero);
	}
	for (int c = 0; c < k; c++)
	{
		double *term = a + (size_t) c * CLU_LANES;

		active[c] = subtract_largest(term, largest, c, owner);
		if (active[c])
			add_exponentials(term, sum);
	}
	for (int lane = 0; lane < CLU_LANES; lane++)
	{
		log_density[lane] = largest[lane] + clu_log_inline(sum[lane]);
		share[lane] = w[lane] / sum[lane];
	}
	for (int c = 0; c < k; c++)
		for (int lane = 0; active[c] && lane < CLU_LANES; lane += VD_LANES)
			vd_store(a + (size_t) c * CLU_LANES + lane,
					 vd_mul(vd_load(a + (size_t) c * CLU_LANES + lane), vd_load(share + lane)));
}
