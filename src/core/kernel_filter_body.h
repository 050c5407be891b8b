/*
 * kernel_filter_body.h
 *		The filter of assign.c, in single precision: panels, scores, and what the scores prove.
 *
 * Part of kernel_body.h.
 *
 * What limits it: one fused multiply-add per point, centre and dimension, and one broadcast load
 * for two of them, so that it runs at the rate of the multipliers once there are more than about
 * 16 dimensions; with fewer, the five operations that keep the two least scores take over.  A
 * panel takes eight instructions for four values, most of them to round them and to turn
 * rows into columns, and, with many dimensions, the way of the rows from memory.
 */

/* ---- panels ---- */

#define STRIP 64 /* columns that are centred together */

typedef float four __attribute__((vector_size(16)));
typedef int	  four_places __attribute__((vector_size(16)));

INLINE void
center_doubles(const double *restrict x, const double *restrict shift, double unit, int n,
			   float *restrict out)
{
	for (int j = 0; j < n; j++)
		out[j] = (float) ((x[j] - shift[j]) * unit);
}

INLINE void
center_floats(const float *restrict x, const double *restrict shift, double unit, int n,
			  float *restrict out)
{
	for (int j = 0; j < n; j++)
		out[j] = (float) ((x[j] - shift[j]) * unit);
}

/* Sixteen bytes of four rows, four bytes to a column: four lanes of the panel. */
INLINE void
transpose_four(const void *const *row, void *panel)
{
	four r[4], low[2], high[2], column[4];

#pragma GCC unroll 4
	for (int i = 0; i < 4; i++)
		memcpy(&r[i], row[i], sizeof(four));
#pragma GCC unroll 2
	for (int i = 0; i < 2; i++)
	{
		low[i] = SHUFFLE(four_places, r[i], r[i + 2], 0, 4, 1, 5);
		high[i] = SHUFFLE(four_places, r[i], r[i + 2], 2, 6, 3, 7);
	}
	column[0] = SHUFFLE(four_places, low[0], low[1], 0, 4, 1, 5);
	column[1] = SHUFFLE(four_places, low[0], low[1], 2, 6, 3, 7);
	column[2] = SHUFFLE(four_places, high[0], high[1], 0, 4, 1, 5);
	column[3] = SHUFFLE(four_places, high[0], high[1], 2, 6, 3, 7);
#pragma GCC unroll 4
	for (int i = 0; i < 4; i++)
		memcpy((float *) panel + i * CLU_LANES, &column[i], sizeof(four));
}

/* Four lanes of n columns of the panel, from four rows. */
INLINE void
fill_four(const void *x, const int width, const size_t *start, int n, const double *shift,
		  double unit, float *panel)
{
	float strip[4][STRIP];
	int	  j = 0;

#pragma GCC unroll 4
	for (int i = 0; i < 4; i++)
		if (width == 8)
			center_doubles((const double *) x + start[i], shift, unit, n, strip[i]);
		else
			center_floats((const float *) x + start[i], shift, unit, n, strip[i]);
	for (; j + 4 <= n; j += 4)
	{
		const void *row[] = {strip[0] + j, strip[1] + j, strip[2] + j, strip[3] + j};

		transpose_four(row, panel + j * CLU_LANES);
	}
	for (; j < n; j++)
		for (int i = 0; i < 4; i++)
			panel[j * CLU_LANES + i] = strip[i][j];
}

INLINE void
add_squares(const float *panel, int n, float *norm)
{
	for (int lane = 0; lane < CLU_LANES; lane += VF_LANES)
	{
		vf sum = vf_load(norm + lane);

		for (int j = 0; j < n; j++)
		{
			vf x = vf_load(panel + j * CLU_LANES + lane);

			sum = vf_plus_product(sum, x, x);
		}
		vf_store(norm + lane, sum);
	}
}

INLINE void
fill_strips(const void *x, const int width, int d, const uint32_t *row, int n, const double *shift,
			double unit, float *panel, float *norm)
{
	for (int first = 0; first < d; first += STRIP)
	{
		int columns = d - first < STRIP ? d - first : STRIP;

		for (int lane = 0; lane < CLU_LANES; lane += 4)
		{
			size_t start[4];

			for (int i = 0; i < 4; i++)
				start[i] = (size_t) row[lane + i < n ? lane + i : 0] * (size_t) d + (size_t) first;
			fill_four(x, width, start, columns, shift + first, unit,
					  panel + first * CLU_LANES + lane);
		}
		add_squares(panel + first * CLU_LANES, columns, norm);
	}
}

static void
filter_panel(const void *x, int width, int d, const uint32_t *row, int n, const double *shift,
			 double unit, float *panel, float *norm)
{
	memset(norm, 0, CLU_LANES * sizeof(float));
	if (width == 8)
		fill_strips(x, 8, d, row, n, shift, unit, panel, norm);
	else
		fill_strips(x, 4, d, row, n, shift, unit, panel, norm);
}

/* ---- scores ---- */

/* The scores of two vectors of points for a group of centres. */
INLINE void
group_scores(const float *panel, int d, const float *packed, const float *half_norm,
			 vf (*score)[PAIR])
{
#pragma GCC unroll 16
	for (int c = 0; c < FILTER_GROUP; c++)
		score[c][0] = score[c][1] = vf_set(half_norm[c]);
	for (int j = 0; j < d; j++)
	{
		vf x0 = vf_load(panel + j * CLU_LANES);
		vf x1 = vf_load(panel + j * CLU_LANES + VF_LANES);

#pragma GCC unroll 16
		for (int c = 0; c < FILTER_GROUP; c++)
		{
			vf value = vf_set(packed[j * FILTER_GROUP + c]);

			score[c][0] = vf_minus_product(score[c][0], x0, value);
			score[c][1] = vf_minus_product(score[c][1], x1, value);
		}
	}
}

/* Keep the two least of the scores of two vectors of points. */
INLINE void
keep_two_least(vf (*score)[PAIR], const int count, int first, vf *least, vf *second, vf *index)
{
#pragma GCC unroll 16
	for (int c = 0; c < count; c++)
#pragma GCC unroll 2
		for (int p = 0; p < PAIR; p++)
		{
			second[p] = vf_min(second[p], vf_max(least[p], score[c][p]));
			index[p] = vf_select_less(score[c][p], least[p], vf_set((float) (first + c)), index[p]);
			least[p] = vf_min(least[p], score[c][p]);
		}
}

INLINE void
begin_two_least(vf *least, vf *second, vf *index)
{
	for (int p = 0; p < PAIR; p++)
	{
		least[p] = second[p] = vf_set(INFINITY);
		index[p] = vf_set(0);
	}
}

INLINE void
store_two_least(const vf *least, const vf *second, const vf *index, float *least_out,
				float *second_out, float *index_out)
{
	for (int p = 0; p < PAIR; p++)
	{
		vf_store(least_out + p * VF_LANES, least[p]);
		vf_store(second_out + p * VF_LANES, second[p]);
		vf_store(index_out + p * VF_LANES, index[p]);
	}
}

INLINE void
filter_group(const float *panel, int d, const float *packed, const float *half_norm, int first,
			 vf *least, vf *second, vf *index)
{
	vf score[FILTER_GROUP][PAIR];

	group_scores(panel, d, packed, half_norm, score);
	keep_two_least(score, FILTER_GROUP, first, least, second, index);
}

static void
filter(const float *panel, int d, const float *packed, const float *half_norm, int groups,
	   float *least_out, float *second_out, float *index_out)
{
	for (int lane = 0; lane < CLU_LANES; lane += PAIR * VF_LANES)
	{
		vf least[PAIR], second[PAIR], index[PAIR];

		begin_two_least(least, second, index);
		for (int group = 0; group < groups; group++)
			filter_group(panel + lane, d, packed + (size_t) group * FILTER_GROUP * (size_t) d,
						 half_norm + group * FILTER_GROUP, group * FILTER_GROUP, least, second,
						 index);
		store_two_least(least, second, index, least_out + lane, second_out + lane,
						index_out + lane);
	}
}

/* ---- scores for L1 ---- */

/*
 * |x - c| is 2 max(x, c) - x - c, and the x are the same for all centres: two operations a term, of
 * which processors do one beside the other, instead of three.
 */
INLINE void
filter_l1_group(const float *panel, int d, const float *centers, const float *start, int first,
				const int count, vf *least, vf *second, vf *index)
{
	vf score[FILTER_GROUP][PAIR];

#pragma GCC unroll 16
	for (int c = 0; c < count; c++)
		score[c][0] = score[c][1] = vf_set(start[first + c]);
	centers += (size_t) first * (size_t) d;
	for (int j = 0; j < d; j++)
	{
		vf x0 = vf_load(panel + j * CLU_LANES);
		vf x1 = vf_load(panel + j * CLU_LANES + VF_LANES);

#pragma GCC unroll 16
		for (int c = 0; c < count; c++)
		{
			vf value = vf_set(centers[(size_t) c * (size_t) d + (size_t) j]);

			score[c][0] = vf_add(score[c][0], vf_max(x0, value));
			score[c][1] = vf_add(score[c][1], vf_max(x1, value));
		}
	}
	keep_two_least(score, count, first, least, second, index);
}

static void
filter_l1(const float *panel, int d, const float *centers, const float *start, int k,
		  float *least_out, float *second_out, float *index_out)
{
	for (int lane = 0; lane < CLU_LANES; lane += PAIR * VF_LANES)
	{
		vf	least[PAIR], second[PAIR], index[PAIR];
		int c = 0;

		begin_two_least(least, second, index);
		for (; c + FILTER_GROUP <= k; c += FILTER_GROUP)
			filter_l1_group(panel + lane, d, centers, start, c, FILTER_GROUP, least, second, index);
		for (; c + 2 <= k; c += 2)
			filter_l1_group(panel + lane, d, centers, start, c, 2, least, second, index);
		if (c < k)
			filter_l1_group(panel + lane, d, centers, start, c, 1, least, second, index);
		store_two_least(least, second, index, least_out + lane, second_out + lane,
						index_out + lane);
	}
}

/* ---- all scores ---- */

static void
scores(const float *panel, int d, const float *packed, const float *half_norm, int groups,
	   float *out)
{
	for (int group = 0; group < groups; group++)
		for (int lane = 0; lane < CLU_LANES; lane += PAIR * VF_LANES)
		{
			vf score[FILTER_GROUP][PAIR];

			group_scores(panel + lane, d, packed + (size_t) group * FILTER_GROUP * (size_t) d,
						 half_norm + group * FILTER_GROUP, score);
#pragma GCC unroll 16
			for (int c = 0; c < FILTER_GROUP; c++)
			{
				float *to = out + (group * FILTER_GROUP + c) * CLU_LANES + lane;

				vf_store(to, score[c][0]);
				vf_store(to + VF_LANES, score[c][1]);
			}
		}
}

/* ---- one point: centres in lanes ---- */

INLINE void
point_panels(const float *x, int d, const float *packed, const float *half_norm, const int panels,
			 float *out)
{
	const int vectors = CLU_LANES / VF_LANES;
	vf		  score[2 * CLU_LANES / VF_LANES];

#pragma GCC unroll 16
	for (int v = 0; v < panels * vectors; v++)
		score[v] = vf_load(half_norm + v * VF_LANES);
	for (int j = 0; j < d; j++)
	{
		vf value = vf_set(x[j]);

#pragma GCC unroll 2
		for (int p = 0; p < panels; p++)
#pragma GCC unroll 8
			for (int v = 0; v < vectors; v++)
				score[p * vectors + v] = vf_minus_product(
					score[p * vectors + v], value,
					vf_load(packed + ((size_t) p * (size_t) d + (size_t) j) * CLU_LANES +
							v * VF_LANES));
	}
#pragma GCC unroll 16
	for (int v = 0; v < panels * vectors; v++)
		vf_store(out + v * VF_LANES, score[v]);
}

static void
point_scores(const float *x, int d, const float *packed, const float *half_norm, int panels,
			 float *out)
{
	size_t size = (size_t) d * CLU_LANES;
	int	   p = 0;

	for (; p + 2 <= panels; p += 2)
		point_panels(x, d, packed + (size_t) p * size, half_norm + p * CLU_LANES, 2,
					 out + p * CLU_LANES);
	if (p < panels)
		point_panels(x, d, packed + (size_t) p * size, half_norm + p * CLU_LANES, 1,
					 out + p * CLU_LANES);
}

/* ---- lists ---- */

/*
 * List a centre for those lanes whose limit it doesn't exceed.  A lane whose list is too long
 * already has no limit any more.
 */
INLINE void
list_center(vf score, int c, float *limit, int most, float *rest, uint32_t *list, int *count)
{
	unsigned listed = vf_not_less(vf_load(limit), score);
	vf		 beyond = vf_select_less(vf_load(limit), score, score, vf_set(INFINITY));

	beyond = vf_min(vf_load(rest), beyond);
	vf_store(rest, beyond);
	for (; listed != 0; listed &= listed - 1)
	{
		int lane = __builtin_ctz(listed);

		if (count[lane] < most)
			list[lane * most + count[lane]] = (uint32_t) c;
		else
			limit[lane] = -INFINITY;
		count[lane]++;
	}
}

/* The centres of a group, by the scores of two vectors of points. */
INLINE void
list_group(vf (*score)[PAIR], int first, float *limit, int most, float *rest, uint32_t *list,
		   int *count)
{
	vf low[PAIR];

#pragma GCC unroll 2
	for (int p = 0; p < PAIR; p++)
	{
		low[p] = score[0][p];
#pragma GCC unroll 16
		for (int c = 1; c < FILTER_GROUP; c++)
			low[p] = vf_min(low[p], score[c][p]);
	}
#pragma GCC unroll 2
	for (int p = 0; p < PAIR; p++)
	{
		int at = p * VF_LANES;

		if (vf_not_less(vf_load(limit + at), low[p]) == 0)
		{
			low[p] = vf_min(vf_load(rest + at), low[p]);
			vf_store(rest + at, low[p]);
			continue;
		}
		for (int c = 0; c < FILTER_GROUP; c++)
			list_center(score[c][p], first + c, limit + at, most, rest + at,
						list + (size_t) at * (size_t) most, count + at);
	}
}

INLINE void
begin_lists(float *rest, int *count)
{
	for (int lane = 0; lane < CLU_LANES; lane++)
	{
		rest[lane] = INFINITY;
		count[lane] = 0;
	}
}

static void
filter_list(const float *panel, int d, const float *packed, const float *half_norm, int groups,
			float *limit, int most, float *rest, uint32_t *list, int *count)
{
	begin_lists(rest, count);
	for (int lane = 0; lane < CLU_LANES; lane += PAIR * VF_LANES)
		for (int group = 0; group < groups; group++)
		{
			vf score[FILTER_GROUP][PAIR];

			group_scores(panel + lane, d, packed + (size_t) group * FILTER_GROUP * (size_t) d,
						 half_norm + group * FILTER_GROUP, score);
			list_group(score, group * FILTER_GROUP, limit + lane, most, rest + lane,
					   list + (size_t) lane * (size_t) most, count + lane);
		}
}

/* ---- proofs ---- */

static void
filter_gaps(const float *restrict least, const float *restrict second, const float *restrict norm,
			int d, double widest, float *restrict gap)
{
	double gamma = clu_filter_gamma(d);

	for (int lane = 0; lane < CLU_LANES; lane++)
	{
		double squared = norm[lane], length = sqrt(squared) * (1 + gamma) + 0x1p-70;
		double error = clu_filter_error(gamma, d, length, widest);
		double near = 2 * (least[lane] + error) + squared * (1 + 2 * gamma);
		double far = 2 * (second[lane] - error) + squared * (1 - 2 * gamma);
		double lead = (double) second[lane] - (double) least[lane] - 2 * error;
		double sure = sqrt(far > 0 ? far : 0) * (1 - 1e-9) - sqrt(near > 0 ? near : 0) * (1 + 1e-9);

		/* down to a float, and a little more */
		sure *= 1 - 2 * FLT_EPSILON;
		sure = sure > FLT_MIN ? sure : 0;
		gap[lane] = lead > 0 ? (float) sure : -1;
	}
}

/* Distances differ by twice what scores do. */
static void
filter_l1_gaps(const float *restrict least, const float *restrict second,
			   const float *restrict norm, int d, double widest, float *restrict gap)
{
	float slope, fixed;

	clu_filter_l1_error(d, widest, &slope, &fixed);
	for (int lane = 0; lane < CLU_LANES; lane++)
	{
		float lead = second[lane] - least[lane] - 2 * (fixed + slope * sqrtf(norm[lane]));

		/* and a little less, for the rounding of this */
		gap[lane] = lead > FLT_MIN ? 2 * lead * (1 - 4 * FLT_EPSILON) : -1;
	}
}

static void
exact_gaps(clu_metric metric, const double *restrict least, const double *restrict second, int d,
		   double unit, float *restrict gap)
{
	if (metric == CLU_L1)
		for (int lane = 0; lane < CLU_LANES; lane++)
			gap[lane] = clu_exact_gap(CLU_L1, least[lane], second[lane], d, unit);
	else
		for (int lane = 0; lane < CLU_LANES; lane++)
			gap[lane] = clu_exact_gap(CLU_SQUARED, least[lane], second[lane], d, unit);
}

/* What is left of 32 reaches; few labels are looked up in registers, where that can be done. */
INLINE void
what_is_left(const float *restrict reach, const uint32_t *restrict label,
			 const float *restrict gone, int k, vf *left)
{
	float here[CLU_LANES];

#ifdef vf_look_up
	if (k <= CLU_FEW_LABELS)
	{
#pragma GCC unroll 8
		for (int v = 0; v < CLU_LANES / VF_LANES; v++)
			left[v] = vf_sub(vf_load(reach + v * VF_LANES), vf_look_up(gone, label + v * VF_LANES));
		return;
	}
#endif
	(void) k;
	for (int lane = 0; lane < CLU_LANES; lane++)
		here[lane] = reach[lane] - gone[label[lane]];
	for (int v = 0; v < CLU_LANES / VF_LANES; v++)
		left[v] = vf_load(here + v * VF_LANES);
}

static uint32_t
used_up(const float *restrict reach, const uint32_t *restrict label, const float *restrict gone,
		int k, float *least)
{
	vf		 left[CLU_LANES / VF_LANES], low;
	float	 lane[VF_LANES];
	uint32_t used = 0;

	what_is_left(reach, label, gone, k, left);
	low = left[0];
#pragma GCC unroll 8
	for (int v = 0; v < CLU_LANES / VF_LANES; v++)
	{
		used |= vf_not_less(vf_set(0), left[v]) << (v * VF_LANES);
		low = vf_min(low, left[v]);
	}
	if (used != 0)
		return used;
	vf_store(lane, low);
	*least = lane[0];
	for (int i = 1; i < VF_LANES; i++)
		*least = lane[i] < *least ? lane[i] : *least;
	return 0;
}
