/*
 * kernel_gmm_body.h
 *		The E-step of Gaussian mixtures as far as the terms: panels and log densities.
 *
 * Part of kernel_body.h; from the terms on, kernel_gmm_share_body.h goes on.
 *
 * The bits are the same everywhere.  There are no fused multiply-adds: on CPUs of this decade
 * additions have execution units of their own and a fused one gains little, while a CPU without
 * it would be a hundred times slower.
 *
 * E-step: points in lanes.  A component's inverse Cholesky factor is read in blocks of four rows,
 * each value being multiplied to GMM_VECTORS vectors of points.  With AVX-512 the differences of up
 * to eight columns stay in registers for all rows, of FEW_VECTORS vectors of points.
 *
 * Where components are well apart, points come in the order of their owners (gmm_estep.c), and most
 * of the work is left out: a component's rows of z are given up after every eight columns at which
 * its terms are seen to be far below the largest.
 *
 * Two products or more come before the sums that they go to, in all kernels of mixtures.  Zen deals
 * operations out in turn to two schedulers, each of which has one multiplier and one adder: where
 * products and sums alternate, all products meet in one of them.
 *
 * What limits it (test/bench/peak.c): with AVX-512, densities reach 72 % of the peak at d = 8,
 * where squares, differences and the largest terms are more for the adders than for the
 * multipliers, and 90 % at d = 64.  AVX2 has 16 registers: 49 % and 80 %.
 */
#define FACTOR_ROWS 4
#define DIAG_VECTORS 4
#define MOST_FEW 8 /* columns that fit into registers */

/* Mahalanobis distances stop here, so that what overflows is a large number and not a NaN. */
#define FARTHEST 1e300

/* ---- panels ---- */

/* Columns j .. j + 4 of four rows: four lanes of the panel. */
INLINE void
fill_quads(const void *const *row, const int width, int j, const double *shift, const double *scale,
		   double *panel)
{
	quad r[4], less, factor;

	memcpy(&less, shift + j, sizeof(quad));
	memcpy(&factor, scale + j, sizeof(quad));
#pragma GCC unroll 4
	for (int i = 0; i < 4; i++)
	{
		load_quad(row[i], width, j, &r[i]);
		r[i] = (r[i] - less) * factor;
	}
	store_turned(r, panel + j * CLU_LANES);
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

/* ---- densities ---- */

/* Add value * x to some sums, or begin them with that. */
INLINE void
add_products(vd *sum, const double *value, const vd *x, const bool begin)
{
	vd product[GMM_VECTORS];

	mul_number(product, x, value, GMM_VECTORS);
#pragma GCC unroll 4
	for (int v = 0; v < GMM_VECTORS; v++)
	{
		sum[v] = begin ? product[v] : vd_add(sum[v], product[v]);
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
		add_products(z[r], &factor[r], x, begin);
	return factor + rows;
}

/* z = rows of the factor times the points; rows is a constant, and whether they are the first. */
INLINE const double *
factor_products(const double *difference, int first, const double *factor, const int rows,
				const bool at_first, vd (*z)[GMM_VECTORS])
{
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
			add_products(z[r], factor++, x, at_first && j == 0);
	}
	return factor;
}

/* The same of differences; adds z^2 to squared. */
INLINE const double *
factor_rows(const double *difference, int first, const double *factor, const int rows,
			const bool at_first, vd *squared)
{
	vd z[FACTOR_ROWS][GMM_VECTORS];

	factor = factor_products(difference, first, factor, rows, at_first, z);
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

/* Rows first .. first + rows of the factor times points, rows a constant. */
INLINE const double *
white_rows(const double *panel, int first, const double *factor, const int rows, double *out)
{
	vd z[FACTOR_ROWS][GMM_VECTORS];

	if (first == 0)
		factor = factor_products(panel, 0, factor, rows, true, z);
	else
		factor = factor_products(panel, first, factor, rows, false, z);
#pragma GCC unroll 4
	for (int r = 0; r < rows; r++)
#pragma GCC unroll 4
		for (int v = 0; v < GMM_VECTORS; v++)
			vd_store(out + (first + r) * CLU_LANES + v * VD_LANES, z[r][v]);
	return factor;
}

static void
gmm_white(const double *panel, int d, const double *factor, double *out)
{
	for (int lane = 0; lane < CLU_LANES; lane += GMM_VECTORS * VD_LANES)
	{
		const double *at = factor;
		int			  i = 0;

		for (; i + FACTOR_ROWS <= d; i += FACTOR_ROWS)
			at = white_rows(panel + lane, i, at, FACTOR_ROWS, out + lane);
		if (d - i == 1)
			white_rows(panel + lane, i, at, 1, out + lane);
		else if (d - i == 2)
			white_rows(panel + lane, i, at, 2, out + lane);
		else if (d - i == 3)
			white_rows(panel + lane, i, at, 3, out + lane);
	}
}

/* Terms so far below the largest have negligible responsibilities, which become 0 in any case. */
#define FAR_BELOW (-47.0) /* less than LEAST_LOG */

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

INLINE vd
term_of(vd squared, double constant)
{
	return vd_sub(vd_set(constant), vd_mul(bounded(squared), vd_set(0.5)));
}

INLINE void
store_term(double *out, double *largest, vd term)
{
	vd_store(out, term);
	vd_store(largest, vd_max(vd_load(largest), term));
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
		store_term(out + v * VD_LANES, largest + v * VD_LANES,
				   vd_select_less(bounded(squared[v]), limit[v], term_of(squared[v], constant),
								  vd_set(-INFINITY)));
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
		vd center = vd_value_at(mean + j);

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

#ifdef FEW_VECTORS

/*
 * Loops below run to constants, whatever is to be done: gcc and clang unroll these, and only then
 * are arrays registers.
 */

/* The differences of a few columns, which stay in registers. */
INLINE void
few_differences(const double *panel, const int d, const double *mean, vd (*x)[FEW_VECTORS])
{
#pragma GCC unroll 8
	for (int j = 0; j < MOST_FEW; j++)
		if (j < d)
		{
			vd center = vd_value_at(mean + j);

#pragma GCC unroll 2
			for (int v = 0; v < FEW_VECTORS; v++)
				x[j][v] = vd_sub(vd_load(panel + j * CLU_LANES + v * VD_LANES), center);
		}
}

/* Rows first .. first + rows of the factor times these; all are constants. */
INLINE void
few_rows(vd (*x)[FEW_VECTORS], const int first, const int rows, const double *factor, vd *squared)
{
	vd z[FACTOR_ROWS][FEW_VECTORS], product[FEW_VECTORS];

#pragma GCC unroll 8
	for (int j = 0; j < MOST_FEW; j++)
#pragma GCC unroll 4
		for (int r = 0; r < FACTOR_ROWS; r++)
			if (r < rows && j <= first + r)
			{
				mul_number(product, x[j], factor++, FEW_VECTORS);
#pragma GCC unroll 2
				for (int v = 0; v < FEW_VECTORS; v++)
				{
					z[r][v] = j == 0 ? product[v] : vd_add(z[r][v], product[v]);
					vd_keep(z[r][v]);
				}
			}
#pragma GCC unroll 4
	for (int r = 0; r < FACTOR_ROWS; r++)
		if (r < rows)
		{
			mul_vectors(z[r], z[r], z[r], FEW_VECTORS);
#pragma GCC unroll 2
			for (int v = 0; v < FEW_VECTORS; v++)
			{
				squared[v] = first + r == 0 ? z[r][v] : vd_add(squared[v], z[r][v]);
				vd_keep(squared[v]);
			}
		}
}

/* For a panel of few columns, d a constant; what is far is left to gmm_share. */
INLINE void
few_terms(const double *panel, const int d, const double *mean, const double *factor,
		  double constant, double *largest, double *out)
{
	/* not a loop: gcc would keep the address of every value over it */
#pragma GCC unroll 2
	for (int lane = 0; lane < CLU_LANES; lane += FEW_VECTORS * VD_LANES)
	{
		vd x[MOST_FEW][FEW_VECTORS], squared[FEW_VECTORS];

		few_differences(panel + lane, d, mean, x);
		few_rows(x, 0, CLU_MIN(d, FACTOR_ROWS), factor, squared);
		if (d > FACTOR_ROWS)
			few_rows(x, FACTOR_ROWS, d - FACTOR_ROWS, factor + FACTOR_ROWS * (FACTOR_ROWS + 1) / 2,
					 squared);
#pragma GCC unroll 2
		for (int v = 0; v < FEW_VECTORS; v++)
			store_term(out + lane + v * VD_LANES, largest + lane + v * VD_LANES,
					   term_of(squared[v], constant));
	}
}

#else

/* Registers are too few for that: with d a constant, at least without a loop over columns. */
INLINE void
few_terms(const double *panel, const int d, const double *mean, const double *factor,
		  double constant, double *largest, double *out)
{
	double difference[MOST_FEW * CLU_LANES];

	for (int lane = 0; lane < CLU_LANES; lane += GMM_VECTORS * VD_LANES)
		full_terms(panel + lane, d, mean, factor, constant, difference + lane, largest + lane,
				   out + lane);
}

#endif

#define FEW_COLUMNS(few)                                             \
	case few:                                                        \
		few_terms(panel, few, mean, factor, constant, largest, out); \
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
	for (int lane = 0; lane < CLU_LANES; lane += GMM_VECTORS * VD_LANES)
		full_terms(panel + lane, d, mean, factor, constant, difference + lane, largest + lane,
				   out + lane);
}

/* Columns first .. end, for DIAG_VECTORS vectors of points. */
INLINE void
diag_columns(const double *panel, const double *mean, const double *root, int first, int end,
			 vd *squared)
{
	for (int j = first; j < end; j++)
	{
		vd center = vd_value_at(mean + j), z[DIAG_VECTORS];

#pragma GCC unroll 4
		for (int v = 0; v < DIAG_VECTORS; v++)
		{
			z[v] = vd_sub(vd_load(panel + j * CLU_LANES + v * VD_LANES), center);
			vd_keep(z[v]);
		}
		mul_number(z, z, root + j, DIAG_VECTORS);
		mul_vectors(z, z, z, DIAG_VECTORS);
		add_vectors(squared, squared, z, DIAG_VECTORS);
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
