/*
 * kernel_moments_body.h
 *		The M-step of Gaussian mixtures: moments of a component about its current mean.
 *
 * Part of kernel_body.h.
 *
 * Sums over points run in eight partial sums, point i into sum i mod 8, whatever the length of a
 * vector, and are added up as one tree (vd_sum_eight); without fused multiply-adds, as in
 * kernel_gmm_body.h.  Panels without responsibility are left out beforehand.
 *
 * The moments are taken over a few panels at once, so that the tile of the matrix at hand stays in
 * registers: four rows by four on the diagonal, with the differences and what they weigh computed
 * on the way, and MOMENT_COLUMNS columns elsewhere.
 *
 * Of up to eight columns, AVX-512 has registers for all sums of the first five rows, and then for
 * those of the others.
 *
 * What limits it (test/bench/peak.c): with AVX-512, loops of few columns run at the rate of the
 * adders, which have differences and first moments on top; with the sums of lanes that is 63 % of
 * the peak at d = 8.  Otherwise a tile of sixteen sums takes eight loads for sixteen
 * multiplications and additions: 79 % at d = 64.  With AVX2 a tile of eight sums takes six loads,
 * and with few columns the sums of the eight lanes and the loop over panels count: 39 % at d = 8
 * and 58 % at d = 64.
 */
#define SUM_LANES 8

/* Vectors of a sum's eight lanes: chains of additions that don't wait for one another. */
#define SUM_VECTORS (SUM_LANES / VD_LANES)

INLINE double
total_share(const double *const *r, int panels)
{
	vd sum[SUM_VECTORS];

	for (int v = 0; v < SUM_VECTORS; v++)
		sum[v] = vd_set(0);
	for (int p = 0; p < panels; p++)
#pragma GCC unroll 16
		for (int v = 0; v < CLU_LANES / VD_LANES; v++)
			sum[v % SUM_VECTORS] = vd_add(sum[v % SUM_VECTORS], vd_load(r[p] + v * VD_LANES));
	return vd_sum_eight(sum);
}

/*
 * In the scratch, a dimension's points lie together, so that a tile runs through its rows in one
 * go; from one dimension to the next it's mostly no power of two, which caches don't like.
 */
INLINE size_t
scratch_stride(int panels, int d)
{
	return (size_t) (panels * CLU_LANES + panels * CLU_LANES / d / SUM_LANES * SUM_LANES);
}

/* Sums of a tile on the diagonal, and of first moments. */
typedef struct corner
{
	vd sum[FACTOR_ROWS][FACTOR_ROWS], total[FACTOR_ROWS];
} corner;

/*
 * Add a vector of points of rows columns, a constant.  What they differ by, and that times their
 * share, is left for other tiles where these ask for it.
 */
INLINE void
add_to_corner(const double *x, vd share, const double *mean, const int rows, size_t stride,
			  double *difference, double *weighted, corner *to)
{
	vd less[FACTOR_ROWS];

#pragma GCC unroll 4
	for (int a = 0; a < rows; a++)
	{
		vd y;

		less[a] = vd_sub(vd_load(x + a * CLU_LANES), vd_set(mean[a]));
		y = vd_mul(less[a], share);
		if (difference != NULL)
			vd_store(difference + (size_t) a * stride, less[a]);
		if (weighted != NULL)
			vd_store(weighted + (size_t) a * stride, y);
		to->total[a] = vd_add(to->total[a], y);
#pragma GCC unroll 4
		for (int b = 0; b <= a; b++)
		{
			to->sum[a][b] = vd_add(to->sum[a][b], vd_mul(y, less[b]));
			vd_keep(to->sum[a][b]);
		}
	}
}

/*
 * The tile on the diagonal, of rows i .. i + rows, a constant, and their first moments.  It comes
 * before the other tiles of these rows: what they need is left in the scratch.
 */
INLINE void
corner_tile(const double *panel, const double *const *r, const int *which, int panels, int d,
			const double *mean, int i, const int rows, const bool is_first, const bool is_last,
			double *difference, double *weighted, double *first, double *second)
{
	size_t stride = scratch_stride(panels, d);
	vd	   lanes[FACTOR_ROWS][FACTOR_ROWS + 1][SUM_VECTORS];

	for (int h = 0; h < SUM_LANES; h += VD_LANES)
	{
		corner sums;

#pragma GCC unroll 4
		for (int a = 0; a < rows; a++)
		{
			sums.total[a] = vd_set(0);
#pragma GCC unroll 4
			for (int b = 0; b <= a; b++)
				sums.sum[a][b] = vd_set(0);
		}
		for (int p = 0; p < panels; p++)
		{
			const double *x = panel + ((size_t) which[p] * (size_t) d + (size_t) i) * CLU_LANES;
			size_t		  to = (size_t) i * stride + (size_t) p * CLU_LANES;

#pragma GCC unroll 1
			for (int lane = h; lane < CLU_LANES; lane += SUM_LANES)
				add_to_corner(x + lane, vd_load(r[p] + lane), mean + i, rows, stride,
							  is_last ? NULL : difference + to + lane,
							  is_first ? NULL : weighted + to + lane, &sums);
		}
#pragma GCC unroll 4
		for (int a = 0; a < rows; a++)
		{
			lanes[a][FACTOR_ROWS][h / VD_LANES] = sums.total[a];
#pragma GCC unroll 4
			for (int b = 0; b <= a; b++)
				lanes[a][b][h / VD_LANES] = sums.sum[a][b];
		}
	}
	for (int a = 0; a < rows; a++)
	{
		size_t row = (size_t) (i + a) * (size_t) (i + a + 1) / 2 + (size_t) i;

		first[i + a] += vd_sum_eight(lanes[a][FACTOR_ROWS]);
		for (int b = 0; b <= a; b++)
			second[row + (size_t) b] += vd_sum_eight(lanes[a][b]);
	}
}

/* Add a vector of points to the sums of a tile below, rows by columns; both constants. */
INLINE void
add_to_tile(const double *left, const double *right, size_t stride, const int rows,
			const int columns, vd (*sum)[MOMENT_COLUMNS])
{
	vd x[MOMENT_COLUMNS];

#pragma GCC unroll 4
	for (int c = 0; c < columns; c++)
		x[c] = vd_load(right + (size_t) c * stride);
#pragma GCC unroll 4
	for (int r = 0; r < rows; r++)
	{
		vd y = vd_load(left + (size_t) r * stride), product[MOMENT_COLUMNS];

#pragma GCC unroll 4
		for (int c = 0; c < columns; c++)
		{
			product[c] = vd_mul(y, x[c]);
			vd_keep(product[c]);
		}
#pragma GCC unroll 4
		for (int c = 0; c < columns; c++)
		{
			sum[r][c] = vd_add(sum[r][c], product[c]);
			vd_keep(sum[r][c]);
		}
	}
}

/* A tile of the second moments below the diagonal. */
INLINE void
moment_tile(const double *weighted, const double *difference, int points, size_t stride, int i,
			int j, const int rows, const int columns, double *second)
{
	const double *left = weighted + (size_t) i * stride;
	const double *right = difference + (size_t) j * stride;
	vd			  lanes[FACTOR_ROWS][MOMENT_COLUMNS][SUM_VECTORS];

	for (int h = 0; h < SUM_LANES; h += VD_LANES)
	{
		vd sum[FACTOR_ROWS][MOMENT_COLUMNS];

#pragma GCC unroll 4
		for (int r = 0; r < rows; r++)
#pragma GCC unroll 4
			for (int c = 0; c < columns; c++)
				sum[r][c] = vd_set(0);
		for (int lane = h; lane < points; lane += SUM_LANES)
			add_to_tile(left + lane, right + lane, stride, rows, columns, sum);
#pragma GCC unroll 4
		for (int r = 0; r < rows; r++)
#pragma GCC unroll 4
			for (int c = 0; c < columns; c++)
				lanes[r][c][h / VD_LANES] = sum[r][c];
	}
	for (int r = 0; r < rows; r++)
	{
		size_t row = (size_t) (i + r) * (size_t) (i + r + 1) / 2 + (size_t) j;

		for (int c = 0; c < columns; c++)
			second[row + (size_t) c] += vd_sum_eight(lanes[r][c]);
	}
}

/* Rows i .. i + rows, a constant; also, whether they are the first ones, and the last. */
INLINE void
moment_rows(const double *panel, const double *const *r, const int *which, int panels, int d,
			const double *mean, int i, const int rows, const bool is_first, const bool is_last,
			double *scratch, double *first, double *second)
{
	size_t	stride = scratch_stride(panels, d);
	double *difference = scratch, *weighted = scratch + stride * (size_t) d;

	corner_tile(panel, r, which, panels, d, mean, i, rows, is_first, is_last, difference, weighted,
				first, second);
	for (int j = 0; !is_first && j < i; j += MOMENT_COLUMNS)
		moment_tile(weighted, difference, panels * CLU_LANES, stride, i, j, rows, MOMENT_COLUMNS,
					second);
}

INLINE void
last_moment_rows(const double *panel, const double *const *r, const int *which, int panels, int d,
				 const double *mean, int i, const bool is_first, double *scratch, double *first,
				 double *second)
{
	switch (d - i)
	{
		case 1:
			moment_rows(panel, r, which, panels, d, mean, i, 1, is_first, true, scratch, first,
						second);
			break;
		case 2:
			moment_rows(panel, r, which, panels, d, mean, i, 2, is_first, true, scratch, first,
						second);
			break;
		case 3:
			moment_rows(panel, r, which, panels, d, mean, i, 3, is_first, true, scratch, first,
						second);
			break;
		default:
			moment_rows(panel, r, which, panels, d, mean, i, 4, is_first, true, scratch, first,
						second);
	}
}

#ifdef FEW_VECTORS

/* Add up the lanes of n sums, a constant of at most 32, each to its place. */
INLINE void
add_eights(const vd *sum, const int n, double *to)
{
#pragma GCC unroll 4
	for (int i = 0; i < 32; i += 8)
		if (i < n)
		{
			vd eight[8];

#pragma GCC unroll 8
			for (int j = 0; j < 8; j++)
				eight[j] = i + j < n ? sum[i + j] : vd_set(0);
			vd_add_eights(eight, CLU_MIN(8, n - i), to + i);
		}
}

#define FIRST_FEW 5 /* rows of few columns, of which all sums are taken at once */

/* Of these rows the sums: first that of row a's first moment, then those of its second moments. */
#define MOST_SUMS (MOST_FEW * (MOST_FEW + 3) / 2)
#define ROW_AT(a) ((a) * ((a) + 3) / 2)

/* Rows first .. end of one vector of points: products in pairs (see kernel_gmm_body.h). */
INLINE void
add_few_moments(const vd *less, vd share, const int first, const int end, const double *difference,
				vd *sum)
{
	vd product[2], y = share;

#pragma GCC unroll 8
	for (int a = 0; a < MOST_FEW; a++)
#pragma GCC unroll 9
		for (int b = -1; b < MOST_FEW; b++)
			if (a >= first && a < end && b <= a)
			{
				const int at = ROW_AT(a) + 1 + b, odd = at % 2;
				vd		  other = share;

				if (b >= 0)
					other = b < first ? vd_load(difference + b * VD_LANES) : less[b];
				product[odd] = vd_mul(b < 0 ? less[a] : y, other);
				vd_keep(product[odd]);
				if (b < 0)
					y = product[odd];
				if (odd)
				{
					sum[at - 1] = vd_add(sum[at - 1], product[0]);
					vd_keep(sum[at - 1]);
				}
				if (odd || at == ROW_AT(end) - 1)
				{
					sum[at] = vd_add(sum[at], product[odd]);
					vd_keep(sum[at]);
				}
			}
}

/* The differences of rows first .. end of a vector of points, left for later rows if there are. */
INLINE void
few_lesses(const double *x, const double *mean, const int first, const int end, const int d,
		   double *difference, vd *less)
{
#pragma GCC unroll 8
	for (int a = 0; a < MOST_FEW; a++)
		if (a >= first && a < end)
		{
			vd at = vd_load(x + a * CLU_LANES), middle = vd_value_at(mean + a);

			less[a] = a % 2 == 0 ? vd_sub(at, middle) : vd_sub_multiplying(at, middle);
			vd_keep(less[a]);
			if (end < d)
				vd_store(difference + a * VD_LANES, less[a]);
		}
}

/* The sums of rows first .. end, each to its place. */
INLINE void
add_few_sums(const vd *sum, const int first, const int end, double *to_first, double *to_second)
{
	const int below = first * (first + 1) / 2;
	vd		  total[MOST_FEW], second[MOST_FEW * (MOST_FEW + 1) / 2];

#pragma GCC unroll 8
	for (int a = 0; a < MOST_FEW; a++)
	{
		total[a] = sum[ROW_AT(a)];
#pragma GCC unroll 8
		for (int b = 0; b < MOST_FEW; b++)
			if (b <= a)
				second[a * (a + 1) / 2 + b] = sum[ROW_AT(a) + b + 1];
	}
	add_eights(total + first, end - first, to_first + first);
	add_eights(second + below, end * (end + 1) / 2 - below, to_second + below);
}

/*
 * Rows first .. end of few columns, with all columns below: first and second moments.  All of
 * these are constants.  The differences of the first rows are left for the others.
 */
INLINE void
few_moments(const double *panel, const double *const *r, const int *which, int panels, const int d,
			const double *mean, const int first, const int end, double *difference,
			double *to_count, double *to_first, double *to_second)
{
	vd sum[MOST_SUMS], count = vd_set(0);

#pragma GCC unroll 44
	for (int i = 0; i < MOST_SUMS; i++)
		sum[i] = vd_set(0);
	for (int p = 0; p < panels; p++)
	{
		const double *x = panel + (size_t) which[p] * (size_t) d * CLU_LANES, *share = r[p];

#pragma GCC unroll 1
		for (int lane = 0; lane < CLU_LANES; lane += VD_LANES)
		{
			vd less[MOST_FEW];

			if (first == 0)
				count = vd_add(count, vd_load(share + lane));
			few_lesses(x + lane, mean, first, end, d, difference, less);
			add_few_moments(less, vd_load(share + lane), first, end, difference, sum);
			difference += FIRST_FEW * VD_LANES;
		}
	}
	if (first == 0)
		*to_count += vd_sum_eight(&count);
	add_few_sums(sum, first, end, to_first, to_second);
}

INLINE void
all_few_moments(const double *panel, const double *const *r, const int *which, int panels,
				const int d, const double *mean, double *scratch, double *count, double *first,
				double *second)
{
	few_moments(panel, r, which, panels, d, mean, 0, CLU_MIN(d, FIRST_FEW), scratch, count, first,
				second);
	if (d > FIRST_FEW)
		few_moments(panel, r, which, panels, d, mean, FIRST_FEW, d, scratch, count, first, second);
}

#define FEW_MOMENTS(few)                                                                    \
	case few:                                                                               \
		all_few_moments(panel, r, which, panels, few, mean, scratch, count, first, second); \
		return

#endif

static void
gmm_moments_full(const double *panel, const double *const *r, const int *which, int panels, int d,
				 const double *mean, double *scratch, double *count, double *first, double *second)
{
	int i = FACTOR_ROWS;

#ifdef FEW_VECTORS
	switch (d)
	{
		FEW_MOMENTS(1);
		FEW_MOMENTS(2);
		FEW_MOMENTS(3);
		FEW_MOMENTS(4);
		FEW_MOMENTS(5);
		FEW_MOMENTS(6);
		FEW_MOMENTS(7);
		FEW_MOMENTS(8);
	}
#endif
	*count += total_share(r, panels);
	if (d <= FACTOR_ROWS)
	{
		last_moment_rows(panel, r, which, panels, d, mean, 0, true, scratch, first, second);
		return;
	}
	moment_rows(panel, r, which, panels, d, mean, 0, FACTOR_ROWS, true, false, scratch, first,
				second);
	for (; i + FACTOR_ROWS < d; i += FACTOR_ROWS)
		moment_rows(panel, r, which, panels, d, mean, i, FACTOR_ROWS, false, false, scratch, first,
					second);
	last_moment_rows(panel, r, which, panels, d, mean, i, false, scratch, first, second);
}

/* Columns whose sums make eight chains, of first and second moments. */
#define DIAG_COLUMNS (4 / SUM_VECTORS)

/* Columns j .. j + columns of first and second moments; columns is a constant. */
INLINE void
moment_columns(const double *panel, const double *const *r, const int *which, int panels, int d,
			   const double *mean, int j, const int columns, double *first, double *second)
{
	vd sum[DIAG_COLUMNS][SUM_VECTORS], square[DIAG_COLUMNS][SUM_VECTORS], center[DIAG_COLUMNS];

#pragma GCC unroll 4
	for (int c = 0; c < columns; c++)
	{
#pragma GCC unroll 4
		for (int v = 0; v < SUM_VECTORS; v++)
			sum[c][v] = square[c][v] = vd_set(0);
		center[c] = vd_set(mean[j + c]);
	}
	for (int p = 0; p < panels; p++)
	{
		const double *x = panel + ((size_t) which[p] * (size_t) d + (size_t) j) * CLU_LANES;

#pragma GCC unroll 1
		for (int lane = 0; lane < CLU_LANES; lane += SUM_LANES)
#pragma GCC unroll 4
			for (int v = 0; v < SUM_VECTORS; v++)
			{
				vd share = vd_load(r[p] + lane + v * VD_LANES);

#pragma GCC unroll 4
				for (int c = 0; c < columns; c++)
				{
					vd less = vd_sub(vd_load(x + c * CLU_LANES + lane + v * VD_LANES), center[c]);
					vd weighted = vd_mul(less, share);

					sum[c][v] = vd_add(sum[c][v], weighted);
					square[c][v] = vd_add(square[c][v], vd_mul(weighted, less));
				}
			}
	}
#pragma GCC unroll 4
	for (int c = 0; c < columns; c++)
	{
		first[j + c] += vd_sum_eight(sum[c]);
		second[j + c] += vd_sum_eight(square[c]);
	}
}

static void
gmm_moments_diag(const double *panel, const double *const *r, const int *which, int panels, int d,
				 const double *mean, double *count, double *first, double *second)
{
	int j = 0;

	*count += total_share(r, panels);
	for (; j + DIAG_COLUMNS <= d; j += DIAG_COLUMNS)
		moment_columns(panel, r, which, panels, d, mean, j, DIAG_COLUMNS, first, second);
	for (; j < d; j++)
		moment_columns(panel, r, which, panels, d, mean, j, 1, first, second);
}
