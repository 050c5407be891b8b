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
 * twice the bound on their errors.
 */
#include <math.h>
#include <string.h>

#include "algorithms.h"
#include "elementary.h"
#include "kernel.h"
#include "score.h"

/* Squared distances outside of these may have lost terms to overflow or underflow. */
#define SAFE_LEAST 0x1p-900
#define SAFE_MOST 0x1p1000

/* What the filter is worth its while for. */
#define FILTER_CENTERS 24
#define FILTER_DIMENSIONS 32
#define FILTER_VALUES 2048

/* Models whose centres are farther from their mean, or nearer, are not filtered. */
#define WIDEST 0x1p300
#define NARROWEST 0x1p-300

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
	{
		size_t d = (size_t) model->d, padded = (size_t) panels(model) * CLU_LANES;

		CLU_TAKE(arena, tables->shift, d);
		CLU_TAKE(arena, tables->panel, clu_size_product(padded, d));
		CLU_TAKE(arena, tables->half_norm, padded);
		CLU_TAKE(arena, tables->x, d);
		CLU_TAKE(arena, tables->score, padded);
	}
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
prepare_filter(hard_tables *tables, const clu_model *model)
{
	size_t d = (size_t) model->d;
	int	   exponent;

	measure_centers(tables, model);
	if (!(tables->widest > NARROWEST && tables->widest < WIDEST))
		return;
	(void) frexp(tables->widest, &exponent);
	tables->unit = ldexp(1, -exponent);
	tables->widest *= tables->unit;
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

/* The label, if the filter proves one; else -1. */
static int
filtered_label(clu_scorer *scorer, const double *x)
{
	hard_tables		*tables = scorer->tables;
	const clu_model *model = scorer->model;
	double			 squared = center_point(tables, x, model->d), length, error;
	float			 least = INFINITY, second = INFINITY;
	int				 best = 0;

	if (!(squared < 1e30))
		return -1;
	length = sqrt(squared) * (1 + 1e-6) + 0x1p-70;
	error = clu_filter_error(clu_filter_gamma(model->d), model->d, length, tables->widest);
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

static int
label(clu_scorer *scorer, const double *x)
{
	hard_tables		*tables = scorer->tables;
	const clu_model *model = scorer->model;
	double			 distance;
	int				 best = tables->unit > 0 ? filtered_label(scorer, x) : -1;

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
