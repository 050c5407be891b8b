/*
 * kernel_coarse_body.h
 *		Bounds of scores from small integers (coarse.h): dot products of bytes, four columns at a time.
 *
 * Included after kernel_body.h where there is an instruction for them.  The including file defines
 * vectors vi of 32-bit lanes, and vi_dot(sum, a, b), which adds to each lane the products of its four
 * unsigned bytes of a with the signed bytes of b, exactly.
 *
 * What limits it: that instruction, which does four columns in the time that the filter takes for
 * one.  The five operations that make a bound of a sum cost as much as 20 columns.
 */

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
			vf	product = vf_scaled(sum[c][p], vf_set(centers->scale[first + c]));
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
