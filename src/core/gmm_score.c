/*
 * gmm_score.c
 *		Applying Gaussian mixtures: responsibilities, densities, Mahalanobis distances.
 *
 * The log terms a_k of gmm_estep.c, for one point and in the units of the data.  In the far tails
 * every density underflows but the logs don't, so responsibilities still sum to one.  Squared
 * distances beyond 1e300 would overflow: then everything is done again with the differences
 * multiplied by 2^-600, the constants no longer matter, and the nearest component takes all.
 */
#include <math.h>
#include <string.h>

#include "algorithms.h"
#include "elementary.h"
#include "gmm.h"
#include "linalg.h"

#define SAFE_MOST 1e300
#define FAR_UNIT 0x1p-600

typedef struct gmm_tables
{
	bool	matrices;
	size_t	width;	  /* of a component's factor; 0 where they share one */
	double *factor;	  /* columns of inverse factors, or inverse standard deviations */
	double *constant; /* k */
	double *term;	  /* k */
	double *difference;
	double *z;
	double *matrix;
} gmm_tables;

static void
layout(clu_scorer *scorer, clu_arena *arena)
{
	const clu_model *model = scorer->model;
	size_t			 k = (size_t) model->k, d = (size_t) model->d;
	gmm_tables		*tables;
	gmm_tables		 measured;

	CLU_TAKE(arena, tables, 1);
	scorer->tables = tables;
	if (tables == NULL)
		tables = &measured;
	tables->matrices = model->structure == CLU_COV_FULL || model->structure == CLU_COV_TIED;
	tables->width = tables->matrices ? clu_triangle(model->d) : d;
	CLU_TAKE(arena, tables->factor,
			 clu_size_product(model->structure == CLU_COV_TIED ? 1 : k, tables->width));
	if (model->structure == CLU_COV_TIED)
		tables->width = 0;
	CLU_TAKE(arena, tables->constant, k);
	CLU_TAKE(arena, tables->term, k);
	CLU_TAKE(arena, tables->difference, d);
	CLU_TAKE(arena, tables->z, d);
	CLU_TAKE(arena, tables->matrix, tables->matrices ? d * d : 0);
}

/* The factor of a component; returns the sum of the logs of its diagonal. */
static double
prepare_component(const clu_scorer *scorer, int c)
{
	gmm_tables *tables = scorer->tables;
	double	   *factor = tables->factor + (size_t) c * tables->width;
	double	   *made = tables->matrices ? tables->matrix : factor;
	double		log_sum = clu_gmm_factor(scorer->model, (size_t) c, made, NULL);

	if (tables->matrices)
		clu_factor_columns(made, scorer->model->d, factor);
	return log_sum;
}

static void
prepare(clu_scorer *scorer)
{
	gmm_tables		*tables = scorer->tables;
	const clu_model *model = scorer->model;
	double			 log_sum = 0;

	for (int c = 0; c < model->k; c++)
	{
		if (c == 0 || model->structure != CLU_COV_TIED)
			log_sum = prepare_component(scorer, c);
		tables->constant[c] = clu_log(model->weight[c]) + (log_sum - model->d * CLU_LOG_TWO_PI / 2);
	}
}

/* |z|^2 for a component, with the differences multiplied by a unit. */
static double
squared_distance(const clu_scorer *scorer, const double *x, int c, double unit)
{
	const gmm_tables *tables = scorer->tables;
	int				  d = scorer->model->d;
	const double	 *mean = scorer->model->center + (size_t) c * (size_t) d;
	const double	 *factor = tables->factor + (size_t) c * tables->width;
	double			  sum = 0;

	for (int j = 0; j < d; j++)
		tables->difference[j] = unit == 1 ? x[j] - mean[j] : x[j] * unit - mean[j] * unit;
	if (tables->matrices)
		clu_factor_apply(factor, d, tables->difference, tables->z);
	else
		for (int j = 0; j < d; j++)
			tables->z[j] = tables->difference[j] * factor[j];
	for (int j = 0; j < d; j++)
		sum += tables->z[j] * tables->z[j];
	return sum;
}

/* Terms of all components; false where the point is too far for any to be a number. */
static bool
compute_terms(const clu_scorer *scorer, const double *x)
{
	gmm_tables *tables = scorer->tables;
	bool		any = false;

	for (int c = 0; c < scorer->model->k; c++)
	{
		double squared = squared_distance(scorer, x, c, 1);

		tables->term[c] = -INFINITY;
		if (squared < SAFE_MOST)
			tables->term[c] = tables->constant[c] - squared / 2;
		any = any || tables->term[c] > -INFINITY;
	}
	return any;
}

static int
greatest_of(const double *term, int k)
{
	int best = 0;

	for (int c = 1; c < k; c++)
		if (term[c] > term[best])
			best = c;
	return best;
}

/* The nearest component of those that have weight. */
static int
label_of_far_point(const clu_scorer *scorer, const double *x)
{
	gmm_tables *tables = scorer->tables;

	for (int c = 0; c < scorer->model->k; c++)
		tables->term[c] =
			scorer->model->weight[c] > 0 ? -squared_distance(scorer, x, c, FAR_UNIT) : -INFINITY;
	return greatest_of(tables->term, scorer->model->k);
}

static int
label(clu_scorer *scorer, const double *x)
{
	gmm_tables *tables = scorer->tables;

	if (!compute_terms(scorer, x))
		return label_of_far_point(scorer, x);
	return greatest_of(tables->term, scorer->model->k);
}

static void
distances(clu_scorer *scorer, const double *x, double *out)
{
	for (int c = 0; c < scorer->model->k; c++)
	{
		double squared = squared_distance(scorer, x, c, 1);

		if (squared < SAFE_MOST)
			out[c] = sqrt(squared);
		else
			out[c] = sqrt(squared_distance(scorer, x, c, FAR_UNIT)) / FAR_UNIT;
	}
}

static void
probabilities(clu_scorer *scorer, const double *x, double *out)
{
	gmm_tables *tables = scorer->tables;
	size_t		k = (size_t) scorer->model->k;
	double		log_sum;

	if (!compute_terms(scorer, x))
	{
		int nearest = label_of_far_point(scorer, x);

		memset(out, 0, k * sizeof(double));
		out[nearest] = 1;
		return;
	}
	memcpy(out, tables->term, k * sizeof(double));
	clu_softmax(out, k, &log_sum);
}

static double
log_density(clu_scorer *scorer, const double *x)
{
	gmm_tables *tables = scorer->tables;

	if (!compute_terms(scorer, x))
		return -INFINITY;
	return clu_log_sum_exp(tables->term, (size_t) scorer->model->k);
}

const clu_score_verbs clu_gmm_score_verbs = {
	.layout = layout,
	.prepare = prepare,
	.label = label,
	.distances = distances,
	.probabilities = probabilities,
	.log_density = log_density,
};
