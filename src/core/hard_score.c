/*
 * hard_score.c
 *		Applying K-means and K-medians models.
 *
 * The label is the one that a fit gives: the lowest number with the least distance, computed in
 * the order of the dimensions.  Squares of differences beyond 1e154 overflow and those below
 * 1e-154 vanish; then the point is compared again, with everything divided by a power of two that
 * brings the difference at hand to about one.
 */
#include <float.h>
#include <math.h>
#include <string.h>

#include "algorithms.h"
#include "elementary.h"
#include "kernel.h"
#include "score.h"

/* Squared distances outside of these may have lost terms to overflow or underflow. */
#define SAFE_LEAST 0x1p-900
#define SAFE_MOST 0x1p1000

typedef struct hard_tables
{
	clu_metric metric;
	double	  *packed;
	double	  *distance; /* k, padded */
} hard_tables;

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
}

static void
prepare(clu_scorer *scorer)
{
	hard_tables		*tables = scorer->tables;
	const clu_model *model = scorer->model;

	tables->metric = model->algorithm == CLU_KMEDIANS ? CLU_L1 : CLU_SQUARED;
	clu_pack_centers(model->center, model->k, model->d, tables->packed);
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

static int
label(clu_scorer *scorer, const double *x)
{
	hard_tables		*tables = scorer->tables;
	const clu_model *model = scorer->model;
	double			 distance;
	int best = clu_kernel->point_nearest(tables->metric, x, model->d, tables->packed, groups(model),
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
