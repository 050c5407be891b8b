/*
 * kernel_coarse_body.h
 *		Bounds of scores from small integers (coarse.h): dot products of bytes, four columns at a time.
 *
 * Included after kernel_body.h where there is an instruction for them.  The including file defines
 * vectors vi of 32-bit lanes, the operations on them used below, and vi_dot(sum, a, b), which adds
 * to each lane the products of its four unsigned bytes of a with the signed bytes of b, exactly.
 *
 * What limits it: that instruction, which does four columns in the time that the filter takes for
 * one.  The five operations that make a bound of a sum cost as much as 20 columns.
 */

/* ---- to whole numbers ---- */

static float
coarse_center(const double *x, int d, const double *shift, double unit, size_t padded, float *out,
			  double *norm)
{
	vd	   squares[1] = {vd_set(0)}, most[1] = {vd_set(0)};
	double largest;
	int	   j = 0;

	for (; j + VD_LANES <= d; j += VD_LANES)
	{
		vd value = vd_mul(vd_sub(vd_load(x + j), vd_load(shift + j)), vd_set(unit));

		vd_store_floats(out + j, value);
		squares[0] = vd_add(squares[0], vd_mul(value, value));
		most[0] = vd_max(most[0], vd_abs(value));
	}
	*norm = vd_sum_eight(squares);
	largest = vd_max_eight(most);
	for (; j < d; j++)
	{
		double value = (x[j] - shift[j]) * unit;

		out[j] = (float) value;
		*norm += value * value;
		largest = fmax(largest, fabs(value));
	}
	memset(out + d, 0, (padded - (size_t) d) * sizeof(float));
	return (float) largest;
}

static double
coarse_round(const float *x, size_t padded, float scale, uint8_t *out)
{
	vf	   s = vf_set(scale), inverse = vf_set(1 / scale), squares = vf_set(0);
	float  lane[VF_LANES];
	double sum = 0;

	for (size_t j = 0; j < padded; j += VF_LANES)
	{
		vf value = vf_load(x + j);
		vi whole = vi_rounded(vf_mul(value, inverse));
		vf left = vf_minus_product(value, vf_of(whole), s);

		vi_store_bytes(out + j, vi_add(whole, vi_set(CLU_COARSE_RAISED)));
		squares = vf_plus_product(squares, left, left);
	}
	vf_store(lane, squares);
	for (int i = 0; i < VF_LANES; i++)
		sum += (double) lane[i];
	return sum;
}

/* ---- panels of points ---- */

/* Four bytes of 32 rows at a time, as the filter's panel has floats. */
static void
coarse_panel(const uint8_t *const *row, int quads, uint8_t *place)
{
	for (int lane = 0; lane < CLU_LANES; lane += 4)
		for (int quad = 0; quad < quads; quad += 4)
		{
			const void *at[4];

#pragma GCC unroll 4
			for (int i = 0; i < 4; i++)
				at[i] = row[lane + i] + 4 * quad;
			transpose_four(at, place + 4 * (quad * CLU_LANES + lane));
		}
}

/* The sums of products of two vectors of points with a group of centres. */
INLINE void
coarse_products(const uint8_t *place, int quads, const int8_t *packed, const int32_t *start,
				vi (*sum)[PAIR])
{
#pragma GCC unroll 16
	for (int c = 0; c < FILTER_GROUP; c++)
		sum[c][0] = sum[c][1] = vi_set(start[c]);
	for (int quad = 0; quad < quads; quad++)
	{
		vi x0 = vi_load(place), x1 = vi_load(place + 4 * VF_LANES);

#pragma GCC unroll 16
		for (int c = 0; c < FILTER_GROUP; c++)
		{
			int32_t four_bytes;
			vi		value;

			memcpy(&four_bytes, packed + 4 * c, sizeof(four_bytes));
			value = vi_set(four_bytes);
			sum[c][0] = vi_dot(sum[c][0], x0, value);
			sum[c][1] = vi_dot(sum[c][1], x1, value);
			vd_keep(sum[c][0]);
			vd_keep(sum[c][1]);
		}
		place += 4 * CLU_LANES;
		packed += 4 * FILTER_GROUP;
	}
}

/* What the scores of two vectors of points are not below, for a group of centres. */
INLINE void
coarse_bounds(const clu_coarse_panel *panel, int lane, int quads, const clu_coarse_centers *centers,
			  int group, vf (*bound)[PAIR])
{
	int first = group * FILTER_GROUP;
	vi	sum[FILTER_GROUP][PAIR];

	coarse_products(panel->place + 4 * lane, quads,
					centers->packed + (size_t) first * (size_t) quads * 4, centers->start + first,
					sum);
#pragma GCC unroll 16
	for (int c = 0; c < FILTER_GROUP; c++)
#pragma GCC unroll 2
		for (int p = 0; p < PAIR; p++)
		{
			int at = lane + p * VF_LANES;
			vf	product = vf_mul(vf_of(sum[c][p]), vf_set(centers->scale[first + c]));
			vf	value = vf_minus_product(vf_set(centers->half_norm[first + c]), product,
										 vf_load(panel->scale + at));

			value = vf_minus_product(value, vf_load(panel->loss + at),
									 vf_set(centers->length[first + c]));
			bound[c][p] = vf_minus_product(value, vf_load(panel->reach + at),
										   vf_set(centers->loss[first + c]));
		}
}

static void
coarse_list(const clu_coarse_panel *panel, int quads, const clu_coarse_centers *centers, int groups,
			float *limit, int most, float *rest, uint32_t *list, int *count)
{
	begin_lists(rest, count);
	for (int lane = 0; lane < CLU_LANES; lane += PAIR * VF_LANES)
		for (int group = 0; group < groups; group++)
		{
			vf bound[FILTER_GROUP][PAIR];

			coarse_bounds(panel, lane, quads, centers, group, bound);
			list_group(bound, group * FILTER_GROUP, limit + lane, most, rest + lane,
					   list + (size_t) lane * (size_t) most, count + lane);
		}
}

static void
coarse_nearest(const clu_coarse_panel *panel, int quads, const clu_coarse_centers *centers,
			   int groups, float *index_out)
{
	for (int lane = 0; lane < CLU_LANES; lane += PAIR * VF_LANES)
	{
		vf least[PAIR] = {vf_set(INFINITY), vf_set(INFINITY)};
		vf index[PAIR] = {vf_set(0), vf_set(0)};

		for (int group = 0; group < groups; group++)
		{
			vf bound[FILTER_GROUP][PAIR];

			coarse_bounds(panel, lane, quads, centers, group, bound);
#pragma GCC unroll 16
			for (int c = 0; c < FILTER_GROUP; c++)
#pragma GCC unroll 2
				for (int p = 0; p < PAIR; p++)
				{
					vf number = vf_set((float) (group * FILTER_GROUP + c));

					index[p] = vf_select_less(bound[c][p], least[p], number, index[p]);
					least[p] = vf_min(least[p], bound[c][p]);
				}
		}
		for (int p = 0; p < PAIR; p++)
			vf_store(index_out + lane + p * VF_LANES, index[p]);
	}
}

/* ---- one point: centres in lanes ---- */

/* Its bounds for one or two groups of 32 centres. */
INLINE void
coarse_panels(const uint8_t *place, int quads, const clu_coarse_centers *centers, size_t first,
			  const int panels, vf scale, vf loss, vf reach, float *bound)
{
	const int	  vectors = panels * CLU_LANES / VF_LANES;
	const int8_t *packed = centers->packed + first * (size_t) quads * 4;
	vi			  sum[2 * CLU_LANES / VF_LANES];

#pragma GCC unroll 4
	for (int v = 0; v < vectors; v++)
		sum[v] = vi_load(centers->start + first + v * VF_LANES);
	for (int quad = 0; quad < quads; quad++)
	{
		int32_t four_bytes;
		vi		x;

		memcpy(&four_bytes, place + 4 * quad, sizeof(four_bytes));
		x = vi_set(four_bytes);
#pragma GCC unroll 4
		for (int v = 0; v < vectors; v++)
		{
			const int panel = v * VF_LANES / CLU_LANES, at = v * VF_LANES % CLU_LANES;

			sum[v] =
				vi_dot(sum[v], x,
					   vi_load(packed + ((size_t) panel * (size_t) quads * CLU_LANES + at) * 4));
			vd_keep(sum[v]);
		}
		packed += 4 * CLU_LANES;
	}
#pragma GCC unroll 4
	for (int v = 0; v < vectors; v++)
	{
		size_t at = first + (size_t) v * VF_LANES;
		vf	   value = vf_load(centers->half_norm + at);

		value = vf_minus_product(value, vf_mul(vf_of(sum[v]), vf_load(centers->scale + at)), scale);
		value = vf_minus_product(value, loss, vf_load(centers->length + at));
		vf_store(bound + at, vf_minus_product(value, reach, vf_load(centers->loss + at)));
	}
}

static void
coarse_point(const uint8_t *place, int quads, const clu_coarse_centers *centers, int panels,
			 float scale, float loss, float reach, float *bound)
{
	vf	s = vf_set(scale), l = vf_set(loss), r = vf_set(reach);
	int p = 0;

	for (; p + 2 <= panels; p += 2)
		coarse_panels(place, quads, centers, (size_t) p * CLU_LANES, 2, s, l, r, bound);
	if (p < panels)
		coarse_panels(place, quads, centers, (size_t) p * CLU_LANES, 1, s, l, r, bound);
}
