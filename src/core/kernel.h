/*
 * kernel.h
 *		The inner loops, compiled for several instruction sets and chosen when the library loads.
 *
 * Points are computed on in panels: 32 points, one per lane, dimension after dimension
 * (panel[j * 32 + lane]).  A lane does what a plain loop over the dimensions would do, in the same
 * order, so that all instruction sets agree:
 *
 *	 - exact kernels (all but those of the filter and of small integers, and point_squared) use no
 *	   fused multiply-add, and give the same bits everywhere;
 *	 - the filter works in single precision, with fused multiply-add where there is one, and so do
 *	   bounds from small integers.  Their results are only ever used within proven bounds on their
 *	   errors (assign.h, coarse.h), so that the labels that come of them are the same everywhere
 *	   too.
 */
#ifndef CLU_KERNEL_H
#define CLU_KERNEL_H

#include <float.h>
#include <math.h>

#include "base.h"

#define CLU_LANES 32   /* points in a panel */
#define CLU_GROUP 8	   /* centres in a group of point_distances */
#define CLU_COUNTED 16 /* numbers that count_less looks at together */
#define CLU_FEW_LABELS 16
#define CLU_SIDE_BY_SIDE 16 /* sums of double-doubles */
#define CLU_AHEAD 64 /* points of a list beyond those of a panel, which are fetched meanwhile */

typedef enum clu_metric
{
	CLU_SQUARED, /* squared Euclidean distance */
	CLU_L1		 /* sum of absolute differences */
} clu_metric;

/* A responsibility that is less changes nothing in the sums over points. */
#define CLU_NEGLIGIBLE 1e-20

/*
 * The accumulators of add_sided, an element per column.  A value is below where it is less than
 * the bound, or where it equals the bound and its point has a lower number than bound_point.
 */
typedef struct clu_sided
{
	const double *bound;
	const double *bound_point;
	const double *scale;
	int64_t		 *hi, *lo;			   /* weight * x, of those below taken away */
	int64_t		 *below_hi, *below_lo; /* weight of those below */
} clu_sided;

#define CLU_COARSE_MOST 127	  /* the greatest of coarse.h's whole numbers */
#define CLU_COARSE_RAISED 128 /* added to those of points */

/* What coarse.h makes of centres, padded to whole groups. */
typedef struct clu_coarse_centers
{
	const int8_t  *packed; /* [group][quad of columns][centre in the group][4] */
	const int32_t *start;  /* makes up for what points have been raised by */
	const float	  *scale, *half_norm, *length, *loss;
} clu_coarse_centers;

/* And of 32 points. */
typedef struct clu_coarse_panel
{
	uint8_t *place; /* [quad of columns][32][4] */
	float	 scale[CLU_LANES], loss[CLU_LANES], reach[CLU_LANES];
} clu_coarse_panel;

typedef struct clu_kernels
{
	const char *name;
	bool (*available)(void);
	int filter_group; /* centres in a group of the filter's packed centres */

	/*
	 * The filter's panel of up to 32 rows, missing lanes repeating the first: (x - shift) * unit
	 * as floats, and their squared norms.
	 */
	void (*filter_panel)(const void *x, int width, int d, const uint32_t *row, int n,
						 const double *shift, double unit, float *panel, float *norm);

	/*
	 * The two least scores half_norm[c] - x.c over all centres, and the index of the least, for
	 * each of 32 points.  Centres are packed in groups: packed[group][j][filter_group].
	 */
	void (*filter)(const float *panel, int d, const float *packed, const float *half_norm,
				   int groups, float *least, float *second, float *index);

	/*
	 * What the scores prove, given the largest norm of a centre: how much farther, at least, the
	 * second centre is than the nearest, or -1 where the label isn't proven (assign.h).
	 */
	void (*filter_gaps)(const float *least, const float *second, const float *norm, int d,
						double widest, float *gap);

	/*
	 * The same for L1, where scores are start[c] and the larger one of each coordinate of the
	 * point and of the centre, added up; centres row after row.
	 */
	void (*filter_l1)(const float *panel, int d, const float *centers, const float *start, int k,
					  float *least, float *second, float *index);

	/* What those prove, given the largest L1 norm of a centre. */
	void (*filter_l1_gaps)(const float *least, const float *second, const float *norm, int d,
						   double widest, float *gap);

	/*
	 * How much farther the second centre is than the nearest, in some unit, by their exact
	 * distances (clu_exact_gap).
	 */
	void (*exact_gaps)(clu_metric metric, const double *least, const double *second, int d,
					   double unit, float *gap);

	/*
	 * The points of a panel, as bits, whose reach is not above what is gone of their label.  Where
	 * there are none, by how much it is above, at least, rounded to the nearest float.  Of k
	 * labels, gone has room for CLU_FEW_LABELS at least.
	 */
	uint32_t (*used_up)(const float *reach, const uint32_t *label, const float *gone, int k,
						float *least);

	/* All those scores: out[center * 32 + lane] */
	void (*scores)(const float *panel, int d, const float *packed, const float *half_norm,
				   int groups, float *out);

	/* Those of one point, where the centres lie in panels. */
	void (*point_scores)(const float *x, int d, const float *packed, const float *half_norm,
						 int panels, float *out);

	/*
	 * The centres whose scores are not above the limit, for each of 32 points: how many, and if
	 * that is at most most, which in list[lane * most]; and the least of the other scores.  Of
	 * longer lists only that they are too long is told, and limits are used up for that.
	 */
	void (*filter_list)(const float *panel, int d, const float *packed, const float *half_norm,
						int groups, float *limit, int most, float *rest, uint32_t *list,
						int *count);

	/*
	 * Bounds of scores from small integers, as coarse.h has them; all NULL where the CPU has no dot
	 * products of bytes.  First, (x - shift) * unit as floats, padded with zeros to a multiple of
	 * 16; returns the largest absolute value.  Then multiples of the scale of those, raised;
	 * returns the sum of squares of what is left.
	 */
	float (*coarse_center)(const double *x, int d, const double *shift, double unit, size_t padded,
						   float *out, double *norm);
	double (*coarse_round)(const float *x, size_t padded, float scale, uint8_t *out);

	/*
	 * The quads of 32 rows of bytes to a panel.  Then what filter_list does, and the centre with
	 * the least bound, of centres in groups of filter_group.
	 */
	void (*coarse_panel)(const uint8_t *const *row, int quads, uint8_t *place);
	void (*coarse_list)(const clu_coarse_panel *panel, int quads, const clu_coarse_centers *centers,
						int groups, float *limit, int most, float *rest, uint32_t *list,
						int *count);
	void (*coarse_nearest)(const clu_coarse_panel *panel, int quads,
						   const clu_coarse_centers *centers, int groups, float *index);

	/* The bounds for one point, of centres in groups of 32. */
	void (*coarse_point)(const uint8_t *place, int quads, const clu_coarse_centers *centers,
						 int panels, float scale, float loss, float reach, float *bound);

	/* Transpose up to 32 rows into a panel of doubles; missing lanes repeat the first row. */
	void (*panel)(double *panel, const void *x, int width, int d, const uint32_t *row, int n);

	/*
	 * The two least distances to k centres (k * d, row after row) and the index of the least;
	 * ties go to the lower index.  L1 or squared Euclidean by the metric.
	 */
	void (*nearest)(clu_metric metric, const double *panel, int d, const double *centers, int k,
					double *least, double *second, double *index);

	/* All distances of 32 points: out[center * 32 + lane] */
	void (*distances)(clu_metric metric, const double *panel, int d, const double *centers, int k,
					  double *out);

	/* Squared distances of 32 points to one centre, each as hi + lo; returns the largest hi. */
	double (*deviations)(const double *panel, int d, const double *center, double *hi, double *lo);

	/*
	 * Add n double-doubles to each of CLU_SIDE_BY_SIDE, as clu_dd_add does: every addition waits
	 * for the one before it, but not for those of other sums.
	 */
	void (*add_side_by_side)(double *hi, double *lo, const double *term_hi, const double *term_lo,
							 int n);

	/*
	 * The squared distance of one point to one centre, its terms added in any order: like
	 * the filter's scores it's only used within a bound on its error.
	 */
	double (*point_squared)(const void *x, int width, int d, const double *center);

	/* All distances of one point; centres packed as packed[group][j][CLU_GROUP]. */
	void (*point_distances)(clu_metric metric, const double *x, int d, const double *packed,
							int groups, double *out);

	/* The least of them, and the lowest centre that has it; nothing in particular if infinite. */
	int (*point_nearest)(clu_metric metric, const double *x, int d, const double *packed,
						 int groups, double *distance);

	/*
	 * One word of n packed rows, four bits at a time, against tables of vectors of lanes (4, 8,
	 * 12 or 16) doubles: table[nibble][16 patterns][lanes].  gather adds what the nibbles of a row
	 * point at to the row's vector in out, in the order of the nibbles; scatter adds the row's
	 * vector, times its weight (w NULL: 1), to each of what they point at, row after row.  Vectors
	 * lie kp doubles apart.
	 */
	void (*gather)(const uint64_t *x, size_t words, int n, const double *table, int nibbles,
				   int lanes, double *out, int kp);
	void (*scatter)(const uint64_t *x, size_t words, int n, double *table, int nibbles, int lanes,
					const double *from, int kp, const double *w);

	/*
	 * For every column of packed rows, add the shares of those among the n listed rows that have a
	 * 1 in it; and in the last place of sum, which has words * 64 + 1, those of all rows.  That
	 * is the sum of a column where all have a 1, and not less than any other.  The columns of
	 * a word are in the order of clu_ones_place.
	 */
	void (*add_ones)(const uint64_t *x, size_t words, const uint32_t *row, const double *share,
					 int n, double *sum);

	/*
	 * clu_softmax of n vectors of kp doubles, a multiple of 8, where the unused are -infinity; to
	 * the same bits.  Where all are -infinity the log of the sum is too, and the vector 0.
	 * counts has a bit for each element, eight to a byte and the lowest bit first: whether it
	 * isn't negligible.
	 */
	void (*softmax)(double *a, int kp, int n, double *log_sum, uint8_t *counts);

	/* The number of bits in which each of n packed rows differs from the one given. */
	void (*hamming)(const uint64_t *x, size_t words, size_t n, const uint64_t *row, uint32_t *out);

	/*
	 * For each of n numbers, how many of them are less.  less has room for a multiple of
	 * CLU_COUNTED, as x has, with anything but NaN in what is beyond n.
	 */
	void (*count_less)(const double *x, int n, double *less);

	/*
	 * Add weight * x, or with subtract take it away, in the fixed point numbers of exact.h, with
	 * a scale per column.
	 */
	void (*add_row)(int64_t *hi, int64_t *lo, const double *x, double weight, bool subtract,
					const double *scale, int d);

	/*
	 * Add a point, or with subtract take it away, on its side of a bound per column.  Its weight
	 * stands there twice: as a factor, and as the fixed point number that the weights add up in.
	 */
	void (*add_sided)(const clu_sided *to, const double *x, double point, double weight,
					  int64_t weight_hi, int64_t weight_lo, bool subtract, int d);

	/*
	 * Gaussian mixtures.  First, 32 rows of a width of 4 or 8 in the coordinates of a fit, as a
	 * panel of (x - shift) * scale.
	 */
	void (*gmm_panel)(const void *const *row, int width, int d, const double *shift,
					  const double *scale, double *panel);

	/* A panel of factor * x, with the factor packed by clu_factor_pack. */
	void (*gmm_white)(const double *panel, int d, const double *factor, double *out);

	/*
	 * The terms constant - |z|^2/2 for 32 points, z = factor (x - mean)
	 * with the factor packed by clu_factor_pack, or z = root (x - mean) element by element.
	 * largest is the largest term of each point so far, and is kept up to date; terms that can't
	 * but be far below it (gmm_share) may become -infinity.  difference is scratch, 32 * d.
	 */
	void (*gmm_full)(const double *panel, int d, const double *mean, const double *factor,
					 double constant, double *difference, double *largest, double *out);
	void (*gmm_diag)(const double *panel, int d, const double *mean, const double *root,
					 double constant, double *largest, double *out);

	/*
	 * From the terms of 32 points, a[component * 32 + lane], and the largest of each, to their
	 * weights times responsibilities in place, the totals of the exponentials of the terms less
	 * the largest, and a component whose term is the largest but for rounding.  Components without
	 * any are not active, and their terms undefined.
	 */
	void (*gmm_share)(double *a, int k, const double *w, const double *largest, double *total,
					  uint32_t *owner, bool *active);

	/*
	 * Add the weighted log densities of n points, a multiple of 8 and at most 256, to eight sums,
	 * that of point i to sum i mod 8: w (largest + log total).
	 */
	void (*gmm_log_sum)(int n, const double *w, const double *largest, const double *total,
						double *log_sum);

	/*
	 * Add the moments of a component about its mean, over the panels which[0 .. panels) with
	 * responsibilities r[0 .. panels).  Second moments are the lower triangle, packed by rows, or
	 * the diagonal.  scratch: 2 * panels * 32 * (d + 1).
	 */
	void (*gmm_moments_full)(const double *panel, const double *const *r, const int *which,
							 int panels, int d, const double *mean, double *scratch, double *count,
							 double *first, double *second);
	void (*gmm_moments_diag)(const double *panel, const double *const *r, const int *which,
							 int panels, int d, const double *mean, double *count, double *first,
							 double *second);

	/*
	 * What add_row does, in the digits of wide.h: digit[place * d + j], and a scale for the highest
	 * place of each column.
	 */
	void (*add_digits)(int64_t *digit, const double *x, double weight, const double *scale, int d);
} clu_kernels;

extern const clu_kernels clu_kernels_base;
extern const clu_kernels clu_kernels_avx2;
extern const clu_kernels clu_kernels_avx512;
extern const clu_kernels clu_kernels_avx512vnni;

/* The ones in use: the best that this CPU and its operating system can run. */
extern const clu_kernels *clu_kernel;

void clu_kernel_choose(void);

/* For tests and benchmarks: false where there are none of that name, or the CPU can't. */
bool clu_kernel_can(const char *name);
bool clu_kernel_force(const char *name);

/*
 * The groups of the filter that so many centres fill, and the centres with those that fill the
 * last.
 */
static inline int
clu_filter_groups(int k)
{
	return (k + clu_kernel->filter_group - 1) / clu_kernel->filter_group;
}

static inline size_t
clu_filter_padded(int k)
{
	return (size_t) clu_filter_groups(k) * (size_t) clu_kernel->filter_group;
}

/* Pack centres for point_distances; room for clu_packed_size(k, d) doubles. */
size_t clu_packed_size(int k, int d);
void   clu_pack_centers(const double *centers, int k, int d, double *packed);

/*
 * Where the sum of a column is that add_ones adds to: bit by bit of all bytes, the last ones
 * first.
 */
static inline size_t
clu_ones_place(size_t column)
{
	size_t place = 63 - column % 64;

	return column / 64 * 64 + place % 8 * 8 + place / 8;
}

/* The gamma of assign.h, and a little more. */
static inline double
clu_filter_gamma(int d)
{
	double u = FLT_EPSILON / 2;

	return (d + 6) * u / (1 - (d + 6) * u) * 1.01;
}

/* What a length is not above, of which the square was added up and rounded to a float. */
static inline double
clu_greatest_length(double squared)
{
	return sqrt(squared) * (1 + 1e-6) + 0x1p-70; /* for what underflows */
}

/*
 * What a score of the filter may be wrong by (assign.h), for a point and centres of these lengths;
 * in the last terms the rounding of the exact distances, and what underflows in a float.
 */
static inline double
clu_filter_error(double gamma, int d, double length, double widest)
{
	return gamma * (widest * widest / 2 + length * widest) +
		   (d + 4) * DBL_EPSILON * (length + widest) * (length + widest) + d * 0x1p-140;
}

/*
 * The same of an L1 score: so much for each unit of a point's Euclidean length, and so much for all
 * points with centres of this L1 length or less.
 */
static inline void
clu_filter_l1_error(int d, double widest, float *slope, float *fixed)
{
	double gamma = clu_filter_gamma(d), rounding = gamma + (d + 4) * DBL_EPSILON;

	/* in L1, for a Euclidean length of 1, which is a sum of floats itself */
	double longest = sqrt((double) d) * (1 + gamma);

	*slope = (float) (rounding * longest * 1.001);
	*fixed = (float) ((rounding * (1.5 * widest + longest * 0x1p-70) + d * 0x1p-140) * 1.001);
}

/*
 * The gap between two exact distances.  Their own rounding, (d+3) eps each way, is taken off, so
 * that a positive gap means that the computed distances differ in the same sense.
 */
static inline float
clu_exact_gap(clu_metric metric, double least, double second, int d, double unit)
{
	double slack = 4 * (d + 4) * DBL_EPSILON, gap;

	if (metric == CLU_SQUARED)
	{
		least = sqrt(least);
		second = sqrt(second);
	}
	gap = (second * (1 - slack) - least * (1 + slack)) * unit;

	/* down to a float, and a little more */
	return gap > FLT_MIN && second < INFINITY ? (float) (gap * (1 - 2 * FLT_EPSILON)) : 0;
}

/* What is point_nearest with AVX2, and with AVX-512 too. */
int clu_point_nearest_avx2(clu_metric metric, const double *x, int d, const double *packed,
						   int groups, double *distance);

/* Panels of d columns that mixtures work on together: they fit the second-level cache. */
#define CLU_MOST_PANELS 8

static inline int
clu_panels_together(int d)
{
	return CLU_MAX(1, CLU_MIN(CLU_MOST_PANELS, 1024 / d));
}

/*
 * Where a component is active, of panels with their terms (gmm_share) one after the other: what
 * the moments go over.  Returns the number of these panels.
 */
int clu_active_panels(const bool *active, const double *term, int panels, int k, int component,
					  const double **r, int *which);

/* A panel of rows first .. first + n. */
void clu_panel_from(double *panel, const void *x, int width, int d, size_t first, int n);

#endif
