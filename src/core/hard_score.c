/*
 * hard_score.c
 *		Applying K-means and K-medians models.
 *
 * The label is the one that a fit gives: the lowest number with the least distance, computed in
 * the order of the dimensions.  Squares of differences beyond 1e154 overflow and those below
 * 1e-154 vanish; then the point is compared again, with everything divided by a power of two that
 * brings the difference at hand to about one.
 *
 * With many centres and dimensions the filter of the fit comes first (assign.h): scores in single
 * precision about the mean of the centres, of which the best is the label if it leads by more than
 * twice the bound on their errors.  Where the CPU has products of bytes, and there is enough to do,
 * bounds from small integers come before that (coarse.h): of the centres that they leave, the
 * nearest is the label if its distance is less than the others' by more than rounding.
 */
#include <float.h>
#include <math.h>
#include <string.h>

#include "algorithms.h"
#include "elementary.h"
#include "kernel.h"
#include "narrow.h"
#include "score.h"

/* Squared distances outside of these may have lost terms to overflow or underflow. */
#define SAFE_LEAST 0x1p-900
#define SAFE_MOST 0x1p1000

/* What the filter is worth its while for. */
#define FILTER_CENTERS 24
#define FILTER_DIMENSIONS 32
#define FILTER_VALUES 2048

#define MOST_LEFT 24 /* centres of which distances are computed; with more, of all */

/* Models whose centres are farther from their mean, or nearer, are not filtered. */
#define WIDEST 0x1p300
#define NARROWEST 0x1p-300

/*
 * Nor are points that are farther from it than that, squared and in units of the centres' extent.
 */
#define FURTHEST 1e30

typedef struct hard_tables
{
	clu_metric metric;
	double	  *packed;
	double	  *distance; /* k, padded */

	/* the filter's; unit is 0 where there is none */
	double	unit; /* power of two that brings centred centres below 1 */
	double	widest;
	double *shift;
	float  *panel; /* centres in panels: packed[panel][j][32] */
	float  *half_norm;
	float  *x;
	float  *score;

	/* instead of panel and half_norm, those of small integers */
	bool		   coarse;
	clu_coarse_set set;
	uint8_t		  *place;
} hard_tables;

static bool
worth_filtering(const clu_model *model)
{
	return model->algorithm == CLU_KMEANS && model->k >= FILTER_CENTERS &&
		   model->d >= FILTER_DIMENSIONS && (double) model->k * (double) model->d >= FILTER_VALUES;
}

/* Of centres. */
static int
panels(const clu_model *model)
{
	return (model->k + CLU_LANES - 1) / CLU_LANES;
}

static void
layout_filter(hard_tables *tables, clu_arena *arena, const clu_model *model)
{
	size_t d = (size_t) model->d, padded = (size_t) panels(model) * CLU_LANES;

	tables->coarse = clu_coarse_pays(model->k, model->d);
	CLU_TAKE(arena, tables->shift, d);
	CLU_TAKE(arena, tables->score, padded);
	if (tables->coarse)
	{
		clu_coarse_set_layout(&tables->set, arena, model->k, model->d, CLU_LANES);
		CLU_TAKE(arena, tables->x, tables->set.stride);
		CLU_TAKE(arena, tables->place, tables->set.stride);
		return;
	}
	CLU_TAKE(arena, tables->x, d);
	CLU_TAKE(arena, tables->panel, clu_size_product(padded, d));
	CLU_TAKE(arena, tables->half_norm, padded);
}

static void
layout(clu_scorer *scorer, clu_arena *arena)
{
	hard_tables		*tables;
	hard_tables		 measured;
	const clu_model *model = scorer->model;

	CLU_TAKE(arena, tables, 1);
	scorer->tables = tables;
	if (tables == NULL)
		tables = &measured;
	CLU_TAKE(arena, tables->packed, clu_packed_size(model->k, model->d));
	CLU_TAKE(arena, tables->distance, (size_t) model->k + CLU_GROUP);
	if (worth_filtering(model))
		layout_filter(tables, arena, model);
}

/* The mean of the centres, and how far from it they are. */
static void
measure_centers(hard_tables *tables, const clu_model *model)
{
	size_t d = (size_t) model->d;

	memset(tables->shift, 0, d * sizeof(double));
	tables->widest = 0;
	for (int c = 0; c < model->k; c++)
		for (size_t j = 0; j < d; j++)
			tables->shift[j] += model->center[(size_t) c * d + j] / model->k;
	for (int c = 0; c < model->k; c++)
	{
		double norm = 0;

		for (size_t j = 0; j < d; j++)
		{
			double value = model->center[(size_t) c * d + j] - tables->shift[j];

			norm += value * value;
		}
		tables->widest = fmax(tables->widest, norm);
	}
	tables->widest = sqrt(tables->widest) * (1 + 1e-6);
}

static void
prepare_panels(hard_tables *tables, const clu_model *model)
{
	size_t d = (size_t) model->d;

	for (int c = 0; c < panels(model) * CLU_LANES; c++)
	{
		float *to = tables->panel + (size_t) (c / CLU_LANES) * d * CLU_LANES + c % CLU_LANES;
		double norm = 0;

		for (size_t j = 0; j < d; j++)
		{
			const double *center = model->center + (size_t) CLU_MIN(c, model->k - 1) * d;
			double		  value = (center[j] - tables->shift[j]) * tables->unit;

			norm += value * value;
			to[j * CLU_LANES] = c < model->k ? (float) value : 0.0f;
		}
		tables->half_norm[c] = c < model->k ? (float) (norm / 2) : INFINITY;
	}
}

static void
prepare_filter(hard_tables *tables, const clu_model *model)
{
	int exponent;

	measure_centers(tables, model);
	if (!(tables->widest > NARROWEST && tables->widest < WIDEST))
		return;
	(void) frexp(tables->widest, &exponent);
	tables->unit = ldexp(1, -exponent);
	tables->widest *= tables->unit;
	if (tables->coarse)
	{
		clu_frame frame = {.shift = tables->shift, .unit = tables->unit};

		clu_coarse_pack(&tables->set, model->center, &frame, tables->x, NULL);
	}
	else
		prepare_panels(tables, model);
}

static void
prepare(clu_scorer *scorer)
{
	hard_tables		*tables = scorer->tables;
	const clu_model *model = scorer->model;

	tables->metric = model->algorithm == CLU_KMEDIANS ? CLU_L1 : CLU_SQUARED;
	clu_pack_centers(model->center, model->k, model->d, tables->packed);
	tables->unit = 0;
	if (worth_filtering(model))
		prepare_filter(tables, model);
}

/* Of centres, as they are packed. */
static int
groups(const clu_model *model)
{
	return (model->k + CLU_GROUP - 1) / CLU_GROUP;
}

static void
plain_distances(const clu_scorer *scorer, const double *x)
{
	hard_tables		*tables = scorer->tables;
	const clu_model *model = scorer->model;

	clu_kernel->point_distances(tables->metric, x, model->d, tables->packed, groups(model),
								tables->distance);
}

/* The largest absolute difference of x and c, both times the factor. */
static double
largest_difference(const double *x, const double *c, int d, double factor)
{
	double largest = 0;

	for (int j = 0; j < d; j++)
		largest = CLU_MAX(largest, fabs(x[j] * factor - c[j] * factor));
	return largest;
}

/* Euclidean or L1 distance without overflow on the way; infinite only where the distance is. */
static double
careful_distance(const clu_scorer *scorer, const double *x, int c)
{
	const hard_tables *tables = scorer->tables;
	int				   d = scorer->model->d, exponent = 0;
	const double	  *center = scorer->model->center + (size_t) c * (size_t) d;
	double			   factor = 1, largest = largest_difference(x, center, d, 1), sum = 0;

	if (largest == INFINITY)
	{
		/* not otherwise: halves of the least numbers are rounded */
		factor = 0.5;
		largest = largest_difference(x, center, d, factor);
	}
	if (largest == 0)
		return 0;
	(void) frexp(largest, &exponent);
	for (int j = 0; j < d; j++)
	{
		double part = ldexp(x[j] * factor - center[j] * factor, -exponent);

		sum += tables->metric == CLU_L1 ? fabs(part) : part * part;
	}
	return ldexp(tables->metric == CLU_L1 ? sum : sqrt(sum), exponent) / factor;
}

static bool
is_safe(const hard_tables *tables, double distance)
{
	return tables->metric == CLU_L1 ? distance < INFINITY
									: distance > SAFE_LEAST && distance < SAFE_MOST;
}

static int
least_of(const double *distance, int k)
{
	double least = distance[0];
	int	   best = 0;

	for (int c = 1; c < k; c++)
		if (distance[c] < least)
		{
			least = distance[c];
			best = c;
		}
	return best;
}

/* Fill tables->x; returns its squared norm. */
static double
center_point(hard_tables *tables, const double *x, int d)
{
	double sum[8] = {0};
	int	   j = 0;

	for (; j + 8 <= d; j += 8)
		for (int i = 0; i < 8; i++)
		{
			double value = (x[j + i] - tables->shift[j + i]) * tables->unit;

			tables->x[j + i] = (float) value;
			sum[i] += value * value;
		}
	for (; j < d; j++)
	{
		double value = (x[j] - tables->shift[j]) * tables->unit;

		tables->x[j] = (float) value;
		sum[0] += value * value;
	}
	return ((sum[0] + sum[1]) + (sum[2] + sum[3])) + ((sum[4] + sum[5]) + (sum[6] + sum[7]));
}

/* The label, if the scores prove one; else -1. */
static int
label_by_scores(const hard_tables *tables, const clu_model *model, double error)
{
	float least = INFINITY, second = INFINITY;
	int	  best = 0;

	clu_kernel->point_scores(tables->x, model->d, tables->panel, tables->half_norm, panels(model),
							 tables->score);
	for (int c = 0; c < model->k; c++)
	{
		float score = tables->score[c];

		if (score < least)
		{
			second = least;
			least = score;
			best = c;
		}
		else if (score < second)
			second = score;
	}
	return (double) second - (double) least > 2 * error ? best : -1;
}

static double
rough_distance(const clu_model *model, const double *x, int c)
{
	return clu_kernel->point_squared(x, 8, model->d,
									 model->center + (size_t) c * (size_t) model->d);
}

static int
least_bound(const float *bound, int k)
{
	int best = 0;

	for (int c = 1; c < k; c++)
		best = bound[c] < bound[best] ? c : best;
	return best;
}

/*
 * The nearest of the centres whose bounds are not above the score of the nearest so far, if there
 * are few and it's nearer than the others beyond rounding; else -1.
 */
static int
nearest_within_bounds(const hard_tables *tables, const clu_model *model, const double *x,
					  double norm, double error)
{
	int	   first = least_bound(tables->score, model->k), best = first, left = MOST_LEFT;
	double least = rough_distance(model, x, first), second = INFINITY;
	double slack = 8 * (model->d + 4) * DBL_EPSILON;
	float  limit = clu_bound_limit(least, tables->unit, norm, error);

	for (int c = 0; c < model->k; c++)
	{
		double distance;

		if (!(tables->score[c] <= limit) || c == first)
			continue;
		if (left-- == 0)
			return -1;
		distance = rough_distance(model, x, c);
		second = CLU_MIN(second, CLU_MAX(least, distance));
		if (distance >= least)
			continue;
		least = distance;
		best = c;
		limit = clu_bound_limit(least, tables->unit, norm, error);
	}
	return second > SAFE_LEAST && least * (1 + slack) < second * (1 - slack) ? best : -1;
}

static int
label_by_bounds(const hard_tables *tables, const clu_model *model, const double *x)
{
	clu_frame frame = {.shift = tables->shift, .unit = tables->unit};
	clu_grain grain;
	double	  norm, length;

	clu_coarse_row(x, model->d, &frame, tables->x, tables->place, &grain);
	norm = grain.norm;
	if (!(norm < FURTHEST))
		return -1;
	clu_kernel->coarse_point(tables->place, (int) (tables->set.stride / 4), &tables->set.centers,
							 panels(model), grain.scale, grain.loss, clu_coarse_reach(&grain),
							 tables->score);
	length = clu_greatest_length(norm);
	return nearest_within_bounds(tables, model, x, norm * (1 - 4 * FLT_EPSILON),
								 clu_coarse_error(model->d, length, tables->widest));
}

/* The label, if the filter proves one; else -1. */
static int
filtered_label(hard_tables *tables, const clu_model *model, const double *x)
{
	double squared, length, gamma = clu_filter_gamma(model->d);

	if (tables->coarse)
		return label_by_bounds(tables, model, x);
	squared = center_point(tables, x, model->d);
	if (!(squared < FURTHEST))
		return -1;
	length = clu_greatest_length(squared);
	return label_by_scores(tables, model,
						   clu_filter_error(gamma, model->d, length, tables->widest));
}

static int
label(clu_scorer *scorer, const double *x)
{
	hard_tables		*tables = scorer->tables;
	const clu_model *model = scorer->model;
	double			 distance;
	int				 best = tables->unit > 0 ? filtered_label(tables, model, x) : -1;

	if (best >= 0)
		return best;
	best = clu_kernel->point_nearest(tables->metric, x, model->d, tables->packed, groups(model),
									 &distance);
	if (is_safe(tables, distance))
		return best;
	for (int c = 0; c < model->k; c++)
		tables->distance[c] = careful_distance(scorer, x, c);
	return least_of(tables->distance, model->k);
}

static void
distances(clu_scorer *scorer, const double *x, double *out)
{
	hard_tables *tables = scorer->tables;

	plain_distances(scorer, x);
	for (int c = 0; c < scorer->model->k; c++)
	{
		double distance = tables->distance[c];

		if (!is_safe(tables, distance))
			out[c] = careful_distance(scorer, x, c);
		else
			out[c] = tables->metric == CLU_L1 ? distance : sqrt(distance);
	}
}

/* softmax(-beta * squared distance) for soft K-means, else one at the label */
static void
probabilities(clu_scorer *scorer, const double *x, double *out)
{
	const clu_model *model = scorer->model;
	double			 beta, least, log_sum;

	if (!clu_model_is_soft(model))
	{
		memset(out, 0, (size_t) model->k * sizeof(double));
		out[label(scorer, x)] = 1;
		return;
	}
	beta = clu_option_number(&model->options, CLU_BETA);
	distances(scorer, x, out);
	least = out[least_of(out, model->k)];
	for (int c = 0; c < model->k; c++)
	{
		/* the difference of the squares as a product: the squares alone may overflow */
		double excess = beta * (out[c] - least) * (out[c] + least);

		out[c] = excess > 0 ? -excess : 0;
	}
	clu_softmax(out, (size_t) model->k, &log_sum);
}

const clu_score_verbs clu_hard_score_verbs = {
	.layout = layout,
	.prepare = prepare,
	.label = label,
	.distances = distances,
	.probabilities = probabilities,
};
