/*
 * kernel_body.h
 *		The kernels, written once over vectors; each instruction set includes this file.
 *
 * The including file defines the vectors vf (floats) and vd (doubles), their lane counts VF_LANES
 * and VD_LANES, the operations used below, and how much fits into the registers: FILTER_GROUP and
 * EXACT_GROUP are centres beside two vectors of points, GMM_VECTORS vectors of points beside four
 * rows of a factor, MOMENT_COLUMNS columns of moments beside four rows and, where few columns fit
 * as a whole, FEW_VECTORS vectors of points beside those.  KERNEL_TABLE is the name of the table,
 * and KERNEL_NAME what users call it.  vd_keep(v) has v computed before what follows, and changes
 * nothing: gcc puts sums off until they fill more than the registers.
 *
 * vd_sub_multiplying(a, b) is a - b to the last bit, as a * 1 - b: on CPUs that have adders and
 * multipliers these are given some differences, so that both have as much to do.
 *
 * What limits the exact kernels: three operations where the filter needs one.  The others say it in
 * their own files.
 */
#include "kernel.h"

#include <float.h>
#include <math.h>
#include <string.h>

#define INLINE static inline __attribute__((always_inline))
#define PAIR 2 /* vectors of points in registers */

#define ROUND 0x1.8p52 /* added and taken away, rounds to a whole number, whose bits it shows */

typedef unsigned long long vd_bits __attribute__((vector_size(sizeof(vd))));

/* The elements of two vectors at these places, a constant of the type places. */
#ifdef __clang__
#define SHUFFLE(places, a, b, ...) __builtin_shufflevector((a), (b), __VA_ARGS__)
#else
#define SHUFFLE(places, a, b, ...) __builtin_shuffle((a), (b), (places) {__VA_ARGS__})
#endif

#ifndef vd_value_at

/* A value for all lanes. */
static inline vd
vd_value_at(const double *p)
{
	vd all = vd_set(*p);

	vd_keep(all);
	return all;
}

#endif

#include "kernel_filter_body.h"
#include "kernel_panel_body.h"

/* ---- exact distances ---- */

INLINE vd
add_size(clu_metric metric, vd sum, vd difference)
{
	return vd_add(sum, metric == CLU_L1 ? vd_abs(difference) : vd_mul(difference, difference));
}

INLINE vd
add_difference(clu_metric metric, vd sum, vd x, vd c)
{
	return add_size(metric, sum, vd_sub(x, c));
}

/* The same for two vectors. */
INLINE void
add_differences(clu_metric metric, vd *sum, const vd *x, vd c)
{
	sum[0] = add_difference(metric, sum[0], x[0], c);
	sum[1] = add_size(metric, sum[1], vd_sub_multiplying(x[1], c));
}

/* The distances of two vectors of points to count centres, count a constant. */
INLINE void
distance_group(clu_metric metric, const double *panel, int d, const double *centers,
			   const int count, vd (*distance)[PAIR])
{
#pragma GCC unroll 8
	for (int c = 0; c < count; c++)
		distance[c][0] = distance[c][1] = vd_set(0);
	for (int j = 0; j < d; j++)
	{
		vd x[PAIR] = {vd_load(panel + j * CLU_LANES), vd_load(panel + j * CLU_LANES + VD_LANES)};

#pragma GCC unroll 8
		for (int c = 0; c < count; c++)
		{
			vd value = vd_value_at(centers + (size_t) c * (size_t) d + (size_t) j);

			add_differences(metric, distance[c], x, value);
		}
	}
}

INLINE void
nearest_group(clu_metric metric, const double *panel, int d, const double *centers, int first,
			  const int count, vd *least, vd *second, vd *index)
{
	vd distance[EXACT_GROUP][PAIR];

	distance_group(metric, panel, d, centers, count, distance);
#pragma GCC unroll 8
	for (int c = 0; c < count; c++)
#pragma GCC unroll 2
		for (int p = 0; p < PAIR; p++)
		{
			second[p] = vd_min(second[p], vd_max(least[p], distance[c][p]));
			index[p] = vd_select_less(distance[c][p], least[p], vd_set(first + c), index[p]);
			least[p] = vd_min(least[p], distance[c][p]);
		}
}

INLINE void
nearest_metric(clu_metric metric, const double *panel, int d, const double *centers, int k,
			   double *least_out, double *second_out, double *index_out)
{
	for (int lane = 0; lane < CLU_LANES; lane += PAIR * VD_LANES)
	{
		vd	least[PAIR], second[PAIR], index[PAIR];
		int c = 0;

		for (int p = 0; p < PAIR; p++)
		{
			least[p] = second[p] = vd_set(INFINITY);
			index[p] = vd_set(0);
		}
		for (; c + EXACT_GROUP <= k; c += EXACT_GROUP)
			nearest_group(metric, panel + lane, d, centers + (size_t) c * (size_t) d, c,
						  EXACT_GROUP, least, second, index);
		for (; c < k; c++)
			nearest_group(metric, panel + lane, d, centers + (size_t) c * (size_t) d, c, 1, least,
						  second, index);
		for (int p = 0; p < PAIR; p++)
		{
			vd_store(least_out + lane + p * VD_LANES, least[p]);
			vd_store(second_out + lane + p * VD_LANES, second[p]);
			vd_store(index_out + lane + p * VD_LANES, index[p]);
		}
	}
}

static void
nearest(clu_metric metric, const double *panel, int d, const double *centers, int k, double *least,
		double *second, double *index)
{
	if (metric == CLU_L1)
		nearest_metric(CLU_L1, panel, d, centers, k, least, second, index);
	else
		nearest_metric(CLU_SQUARED, panel, d, centers, k, least, second, index);
}

INLINE void
distances_group(clu_metric metric, const double *panel, int d, const double *centers,
				const int count, double *out)
{
	vd distance[EXACT_GROUP][PAIR];

	distance_group(metric, panel, d, centers, count, distance);
#pragma GCC unroll 8
	for (int c = 0; c < count; c++)
	{
		vd_store(out + c * CLU_LANES, distance[c][0]);
		vd_store(out + c * CLU_LANES + VD_LANES, distance[c][1]);
	}
}

INLINE void
distances_metric(clu_metric metric, const double *panel, int d, const double *centers, int k,
				 double *out)
{
	for (int lane = 0; lane < CLU_LANES; lane += PAIR * VD_LANES)
	{
		int c = 0;

		for (; c + EXACT_GROUP <= k; c += EXACT_GROUP)
			distances_group(metric, panel + lane, d, centers + (size_t) c * (size_t) d, EXACT_GROUP,
							out + (size_t) c * CLU_LANES + lane);
		for (; c < k; c++)
			distances_group(metric, panel + lane, d, centers + (size_t) c * (size_t) d, 1,
							out + (size_t) c * CLU_LANES + lane);
	}
}

static void
distances(clu_metric metric, const double *panel, int d, const double *centers, int k, double *out)
{
	if (metric == CLU_L1)
		distances_metric(CLU_L1, panel, d, centers, k, out);
	else
		distances_metric(CLU_SQUARED, panel, d, centers, k, out);
}

/* ---- one distance, as fast as it goes ---- */

INLINE vd
load_values(const void *x, const int width, size_t at)
{
	return width == 8 ? vd_load((const double *) x + at) : vd_load_floats((const float *) x + at);
}

INLINE double
rough_squared(const void *x, const int width, int d, const double *center)
{
	vd	   sum[4] = {vd_set(0), vd_set(0), vd_set(0), vd_set(0)};
	double lane[VD_LANES], total = 0;
	int	   j = 0;

	for (; j + 4 * VD_LANES <= d; j += 4 * VD_LANES)
#pragma GCC unroll 4
		for (int i = 0; i < 4; i++)
			sum[i] = add_difference(CLU_SQUARED, sum[i],
									load_values(x, width, (size_t) j + (size_t) i * VD_LANES),
									vd_load(center + j + i * VD_LANES));
	for (; j + VD_LANES <= d; j += VD_LANES)
		sum[0] = add_difference(CLU_SQUARED, sum[0], load_values(x, width, (size_t) j),
								vd_load(center + j));
	vd_store(lane, vd_add(vd_add(sum[0], sum[1]), vd_add(sum[2], sum[3])));
	for (int i = 0; i < VD_LANES; i++)
		total += lane[i];
	for (; j < d; j++)
	{
		double difference =
			(width == 8 ? ((const double *) x)[j] : ((const float *) x)[j]) - center[j];

		total += difference * difference;
	}
	return total;
}

static double
point_squared(const void *x, int width, int d, const double *center)
{
	return width == 8 ? rough_squared(x, 8, d, center) : rough_squared(x, 4, d, center);
}

/* ---- one point against all centres: centres in lanes ---- */

#define GROUP_VECTORS (CLU_GROUP / VD_LANES)

/* The distances to the centres of one or two groups. */
INLINE void
point_groups(clu_metric metric, const double *x, int d, const double *packed, const int groups,
			 vd *sum)
{
#pragma GCC unroll 8
	for (int v = 0; v < groups * GROUP_VECTORS; v++)
		sum[v] = vd_set(0);
	for (int j = 0; j < d; j++)
	{
		vd value = vd_set(x[j]);

#pragma GCC unroll 2
		for (int g = 0; g < groups; g++)
#pragma GCC unroll 4
			for (int v = 0; v < GROUP_VECTORS; v++)
				sum[g * GROUP_VECTORS + v] = add_difference(
					metric, sum[g * GROUP_VECTORS + v], value,
					vd_load(packed + ((size_t) g * (size_t) d + (size_t) j) * CLU_GROUP +
							v * VD_LANES));
	}
}

INLINE void
point_distances_groups(clu_metric metric, const double *x, int d, const double *packed,
					   const int groups, double *out)
{
	vd sum[2 * GROUP_VECTORS];

	point_groups(metric, x, d, packed, groups, sum);
#pragma GCC unroll 8
	for (int v = 0; v < groups * GROUP_VECTORS; v++)
		vd_store(out + v * VD_LANES, sum[v]);
}

INLINE void
point_distances_metric(clu_metric metric, const double *x, int d, const double *packed, int groups,
					   double *out)
{
	size_t size = (size_t) d * CLU_GROUP;
	int	   g = 0;

	for (; g + 2 <= groups; g += 2)
		point_distances_groups(metric, x, d, packed + g * size, 2, out + g * CLU_GROUP);
	if (g < groups)
		point_distances_groups(metric, x, d, packed + g * size, 1, out + g * CLU_GROUP);
}

static void
point_distances(clu_metric metric, const double *x, int d, const double *packed, int groups,
				double *out)
{
	if (metric == CLU_L1)
		point_distances_metric(CLU_L1, x, d, packed, groups, out);
	else
		point_distances_metric(CLU_SQUARED, x, d, packed, groups, out);
}

#ifndef POINT_NEAREST
#define POINT_NEAREST point_nearest

/* The least distance of each lane so far, and the number of the vector that it came from. */
INLINE void
point_nearest_groups(clu_metric metric, const double *x, int d, const double *packed, int first,
					 const int groups, vd *least, vd *from)
{
	vd sum[2 * GROUP_VECTORS];

	point_groups(metric, x, d, packed, groups, sum);
#pragma GCC unroll 8
	for (int v = 0; v < groups * GROUP_VECTORS; v++)
	{
		*from = vd_select_less(sum[v], *least, vd_set(first * GROUP_VECTORS + v), *from);
		*least = vd_min(sum[v], *least);
	}
}

INLINE double
least_lane(vd v)
{
	double lane[VD_LANES], least;

	vd_store(lane, v);
	least = lane[0];
#pragma GCC unroll 8
	for (int i = 1; i < VD_LANES; i++)
		least = lane[i] < least ? lane[i] : least;
	return least;
}

/* The lowest centre of those with the least distance. */
INLINE int
nearest_lane(vd least, vd from, double *distance)
{
	static const double number[] = {0, 1, 2, 3, 4, 5, 6, 7};
	vd					center = vd_add(vd_mul(from, vd_set(VD_LANES)), vd_load(number));

	*distance = least_lane(least);
	return (int) least_lane(vd_select_less(vd_set(*distance), least, vd_set(INFINITY), center));
}

INLINE int
point_nearest_metric(clu_metric metric, const double *x, int d, const double *packed, int groups,
					 double *distance)
{
	vd	   least = vd_set(INFINITY), from = vd_set(0);
	size_t size = (size_t) d * CLU_GROUP;
	int	   g = 0;

	for (; g + 2 <= groups; g += 2)
		point_nearest_groups(metric, x, d, packed + g * size, g, 2, &least, &from);
	if (g < groups)
		point_nearest_groups(metric, x, d, packed + g * size, g, 1, &least, &from);
	return nearest_lane(least, from, distance);
}

static int
point_nearest(clu_metric metric, const double *x, int d, const double *packed, int groups,
			  double *distance)
{
	if (metric == CLU_L1)
		return point_nearest_metric(CLU_L1, x, d, packed, groups, distance);
	return point_nearest_metric(CLU_SQUARED, x, d, packed, groups, distance);
}

#endif

#include "kernel_exp_body.h"
#include "kernel_bernoulli_body.h"

/* ---- few numbers in order ---- */

static void
count_less(const double *restrict x, int n, double *restrict less)
{
	for (int i = 0; i < n; i += PAIR * VD_LANES)
	{
		vd x0 = vd_load(x + i), x1 = vd_load(x + i + VD_LANES);
		vd less0 = vd_set(0), less1 = vd_set(0);

		for (int j = 0; j < n; j++)
		{
			vd other = vd_set(x[j]);

			less0 = vd_add(less0, vd_select_less(other, x0, vd_set(1), vd_set(0)));
			less1 = vd_add(less1, vd_select_less(other, x1, vd_set(1), vd_set(0)));
		}
		vd_store(less + i, less0);
		vd_store(less + i + VD_LANES, less1);
	}
}

/* ---- sums in fixed point ---- */

INLINE int64_t
whole_bits(double rounded)
{
	int64_t bits;
	int64_t zero = INT64_C(0x4338000000000000); /* the bits of ROUND */

	__builtin_memcpy(&bits, &rounded, sizeof(bits));
	return bits - zero;
}

/* One term in units of the scale, and rest further units of it, as its two parts. */
INLINE void
add_term(int64_t *hi, int64_t *lo, double scaled, double rest, int64_t mask)
{
	double shifted = scaled + ROUND;
	double low = ((scaled - (shifted - ROUND)) + rest) * 0x1p40 + ROUND;

	*hi += (whole_bits(shifted) ^ mask) - mask; /* negates where mask is all ones */
	*lo += (whole_bits(low) ^ mask) - mask;
}

/* Dekker's product, so that weight * x loses nothing before it is scaled. */
typedef struct split_weight
{
	double weight, high, low;
} split_weight;

INLINE split_weight
split(double weight)
{
	double high = 134217729.0 * weight - (134217729.0 * weight - weight);

	return (split_weight) {weight, high, weight - high};
}

INLINE double
product_of(double x, split_weight w, double *error)
{
	double t = 134217729.0 * x;
	double xh = t - (t - x);
	double xl = x - xh;
	double p = w.weight * x;

	*error = ((w.high * xh - p) + w.high * xl + w.low * xh) + w.low * xl;
	return p;
}

INLINE void
add_product(int64_t *hi, int64_t *lo, double x, split_weight w, double scale, int64_t mask)
{
	double error, p = product_of(x, w, &error);

	add_term(hi, lo, p * scale, error * scale, mask);
}

static void
add_row(int64_t *restrict hi, int64_t *restrict lo, const double *restrict x, double weight,
		bool subtract, const double *restrict scale, int d)
{
	split_weight w = split(weight);
	int64_t		 mask = subtract ? -1 : 0;

	if (weight == 1)
		for (int j = 0; j < d; j++)
			add_term(&hi[j], &lo[j], x[j] * scale[j], 0, mask);
	else
		for (int j = 0; j < d; j++)
			add_product(&hi[j], &lo[j], x[j], w, scale[j], mask);
}

/* All ones where x is below. */
INLINE int64_t
below_mask(double x, double bound, double point, double bound_point)
{
	return -(int64_t) ((x < bound) | ((x == bound) & (point < bound_point)));
}

/*
 * Arrays that don't overlap are told to be so as parameters: of pointers out of a structure
 * compilers don't believe it where types tell them nothing either, as in the server's builds.
 */
INLINE void
add_sides(int64_t *restrict hi, int64_t *restrict lo, int64_t *restrict below_hi,
		  int64_t *restrict below_lo, const double *restrict bound,
		  const double *restrict bound_point, const double *restrict scale,
		  const double *restrict x, double point, double weight, int64_t weight_hi,
		  int64_t weight_lo, int64_t mask, int d)
{
	split_weight w = split(weight);

	if (weight == 1 && weight_lo == 0)
		for (int j = 0; j < d; j++)
		{
			int64_t below = below_mask(x[j], bound[j], point, bound_point[j]);

			add_term(&hi[j], &lo[j], x[j] * scale[j], 0, mask ^ below);
			below_hi[j] += weight_hi & below;
		}
	else
		for (int j = 0; j < d; j++)
		{
			int64_t below = below_mask(x[j], bound[j], point, bound_point[j]);

			add_product(&hi[j], &lo[j], x[j], w, scale[j], mask ^ below);
			below_hi[j] += weight_hi & below;
			below_lo[j] += weight_lo & below;
		}
}

static void
add_sided(const clu_sided *to, const double *x, double point, double weight, int64_t weight_hi,
		  int64_t weight_lo, bool subtract, int d)
{
	int64_t mask = subtract ? -1 : 0;

	add_sides(to->hi, to->lo, to->below_hi, to->below_lo, to->bound, to->bound_point, to->scale, x,
			  point, weight, (weight_hi ^ mask) - mask, (weight_lo ^ mask) - mask, mask, d);
}

#include "kernel_gmm_body.h"
#include "kernel_gmm_share_body.h"
#include "kernel_moments_body.h"

/* The digits of wide.h, the first in units of the scale; lo is a term of its own. */
INLINE void
add_four_digits(int64_t *restrict digit, const double hi, const double lo, size_t stride)
{
	double a = hi, b = lo;

#pragma GCC unroll 4
	for (int i = 0; i < 4; i++)
	{
		double ra = a + ROUND, rb = b + ROUND;

		/* unsigned: it may wrap where a forged state wants it to */
		digit[(size_t) i * stride] =
			(int64_t) ((uint64_t) digit[(size_t) i * stride] + (uint64_t) whole_bits(ra) +
					   (uint64_t) whole_bits(rb));
		a = (a - (ra - ROUND)) * 0x1p28;
		b = (b - (rb - ROUND)) * 0x1p28;
	}
}

static void
add_digits(int64_t *restrict digit, const double *restrict x, double weight,
		   const double *restrict scale, int d)
{
	split_weight w = split(weight);

	if (weight == 1)
		for (int j = 0; j < d; j++)
			add_four_digits(digit + j, x[j] * scale[j], 0, (size_t) d);
	else
		for (int j = 0; j < d; j++)
		{
			double error, p = product_of(x[j], w, &error);

			add_four_digits(digit + j, p * scale[j], error * scale[j], (size_t) d);
		}
}

static bool available(void);

/* What stands in the tables of all sets that these functions are for. */
#define KERNEL_FUNCTIONS                                                                          \
	.filter_group = FILTER_GROUP, .filter_panel = filter_panel, .filter = filter,                 \
	.filter_l1 = filter_l1, .filter_l1_gaps = filter_l1_gaps, .filter_gaps = filter_gaps,         \
	.exact_gaps = exact_gaps, .used_up = used_up, .filter_list = filter_list, .scores = scores,   \
	.point_scores = point_scores, .panel = panel, .nearest = nearest, .distances = distances,     \
	.deviations = deviations, .add_side_by_side = add_side_by_side,                               \
	.point_squared = point_squared, .point_distances = point_distances,                           \
	.point_nearest = POINT_NEAREST, .gather = gather, .scatter = scatter, .add_ones = add_ones,   \
	.softmax = softmax, .hamming = hamming, .count_less = count_less, .add_row = add_row,         \
	.add_sided = add_sided, .gmm_panel = gmm_panel, .gmm_white = gmm_white, .gmm_full = gmm_full, \
	.gmm_diag = gmm_diag, .gmm_share = gmm_share, .gmm_log_sum = gmm_log_sum,                     \
	.gmm_moments_full = gmm_moments_full, .gmm_moments_diag = gmm_moments_diag,                   \
	.add_digits = add_digits

const clu_kernels KERNEL_TABLE = {.name = KERNEL_NAME, .available = available, KERNEL_FUNCTIONS};
