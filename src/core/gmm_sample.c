/*
 * gmm_sample.c
 *		The sample on which starts of a Gaussian mixture are tried, and what K-means sees of it.
 *
 * With every column's variance made one, K-means finds round components.  With the covariance made
 * spherical, it finds long and thin ones that lie side by side.  On the first principal component
 * alone, it finds those that lie in a line, whatever the other columns do.  With the covariance
 * within the components of a trial made spherical, it finds those whose own extents say nothing
 * of how far they are apart: the whole's extents then mislead, as where small clusters are far out.
 */
#include <math.h>
#include <string.h>

#include "gmm.h"
#include "linalg.h"

#define SAMPLE_POINTS 20000
#define SAMPLE_PER_CLUSTER 200
#define POWER_ITERATIONS 10 /* enough for a direction that is to be seen along */

static size_t
sample_size(size_t n, int k)
{
	return CLU_MIN(n, CLU_MAX(SAMPLE_POINTS, clu_size_product(SAMPLE_PER_CLUSTER, (size_t) k)));
}

static void
sample_layout(clu_points *sample, clu_arena *arena, size_t n, int d, bool weighted)
{
	double *x;

	CLU_TAKE(arena, x, clu_size_product(n, (size_t) d));
	CLU_TAKE(arena, sample->w, weighted ? n : 0);
	CLU_TAKE(arena, sample->largest, (size_t) d);
	CLU_TAKE(arena, sample->least, (size_t) d);
	if (!weighted)
		sample->w = NULL;
	sample->x = x;
	sample->n = n;
	sample->d = d;
	sample->width = sizeof(double);
	sample->unit = sample->weight_unit = 1;
}

void
clu_gmm_sample_layout(const clu_fit *fit, clu_gmm *state, clu_arena *arena)
{
	size_t n = sample_size(fit->points->n, fit->model.k);
	bool   weighted = fit->points->w != NULL;

	sample_layout(&state->sample, arena, n, fit->model.d, weighted);
	sample_layout(&state->seen, arena, n, fit->model.d, weighted);
}

/* What clu_points_collapse would have found out. */
static void
describe(clu_points *sample)
{
	double *x = sample->x;
	int		d = sample->d;

	for (int j = 0; j < d; j++)
	{
		sample->largest[j] = 0;
		sample->least[j] = INFINITY;
	}
	sample->largest_weight = sample->total_weight = 0;
	sample->least_weight = INFINITY;
	for (size_t i = 0; i < sample->n; i++)
	{
		double w = clu_weight(sample->w, i);

		for (int j = 0; j < d; j++)
		{
			double value = fabs(x[i * (size_t) d + (size_t) j]);

			sample->largest[j] = CLU_MAX(sample->largest[j], value);
			if (value > 0)
				sample->least[j] = CLU_MIN(sample->least[j], value);
		}
		sample->largest_weight = CLU_MAX(sample->largest_weight, w);
		sample->least_weight = CLU_MIN(sample->least_weight, w);
		sample->total_weight += w;
	}
	sample->rows = (double) sample->n;
}

void
clu_gmm_fill_sample(clu_fit *fit)
{
	const clu_points *points = fit->points;
	clu_gmm			 *state = fit->state;
	clu_points		 *sample = &state->sample;
	size_t			  d = (size_t) points->d;
	double			 *x = sample->x, *row = state->member[0].scratch;

	for (size_t i = 0; i < sample->n; i++)
	{
		size_t		  from = sample->n == points->n
								 ? i
								 : (size_t) ((double) i / (double) sample->n * (double) points->n);
		const double *p = clu_point(points, from, row);

		for (size_t j = 0; j < d; j++)
			x[i * d + j] = (p[j] - state->frame.shift[j]) * state->frame.scale[j];
		if (sample->w != NULL)
			sample->w[i] = points->w[from];
		clu_check_row(fit->interrupt, i, points->d);
	}
	describe(sample);
}

/* ---- what K-means sees ---- */

/* False where the matrix is singular. */
static bool
make_white(clu_fit *fit, const double *covariance)
{
	clu_gmm *state = fit->state;
	double	*matrix = state->member[0].matrix[0], *columns = state->member[0].matrix[1];
	double	 log_sum;
	size_t	 d = (size_t) fit->model.d;

	if (!clu_whitening_factor(covariance, fit->model.d, matrix, &log_sum, fit->interrupt))
		return false;
	clu_factor_columns(matrix, fit->model.d, columns);
	for (size_t i = 0; i < state->sample.n; i++)
	{
		clu_factor_apply(columns, fit->model.d, (const double *) state->sample.x + i * d,
						 (double *) state->seen.x + i * d);
		clu_check_row(fit->interrupt, i, fit->model.d);
	}
	return true;
}

static void
check_row(const clu_fit *fit, size_t row)
{
	if (row % 256 == 0)
		clu_check(fit->interrupt);
}

/* Columns with other units: each such that a variance becomes one. */
static void
make_even(clu_fit *fit, const double *variance)
{
	clu_gmm		 *state = fit->state;
	size_t		  n = state->sample.n, d = (size_t) state->sample.d;
	const double *x = state->sample.x;
	double		 *z = state->seen.x, *scale = state->member[0].scratch;

	for (size_t j = 0; j < d; j++)
		scale[j] = 1 / sqrt(variance[j]);
	for (size_t i = 0; i < n; i++)
	{
		for (size_t j = 0; j < d; j++)
			z[i * d + j] = x[i * d + j] * scale[j];
		check_row(fit, i);
	}
}

/* Columns about their means, with variances of one; constant ones are left out. */
static void
make_standard(clu_fit *fit)
{
	clu_gmm			 *state = fit->state;
	const clu_points *sample = &state->sample;
	size_t			  n = sample->n, d = (size_t) sample->d;
	const double	 *x = sample->x;
	double			 *z = state->seen.x;
	double			 *mean = state->member[0].scratch, *scale = mean + d;

	memset(mean, 0, 2 * d * sizeof(double));
	for (size_t i = 0; i < n; i++)
	{
		for (size_t j = 0; j < d; j++)
			mean[j] += clu_weight(sample->w, i) * x[i * d + j];
		check_row(fit, i);
	}
	for (size_t j = 0; j < d; j++)
		mean[j] /= sample->total_weight;
	for (size_t i = 0; i < n; i++)
	{
		for (size_t j = 0; j < d; j++)
		{
			double way = x[i * d + j] - mean[j];

			scale[j] += clu_weight(sample->w, i) * way * way;
		}
		check_row(fit, i);
	}
	for (size_t j = 0; j < d; j++)
		scale[j] = scale[j] > 0 ? sqrt(sample->total_weight / scale[j]) : 0;
	for (size_t i = 0; i < n; i++)
	{
		for (size_t j = 0; j < d; j++)
			z[i * d + j] = (x[i * d + j] - mean[j]) * scale[j];
		check_row(fit, i);
	}
}

/* One power iteration towards the first principal component: direction becomes Z'Z direction. */
static void
turn_to_principal(const clu_points *seen, double *direction, double *next,
				  const clu_interrupt *interrupt)
{
	size_t		  d = (size_t) seen->d;
	const double *z = seen->x;
	double		  length = 0;

	memset(next, 0, d * sizeof(double));
	for (size_t i = 0; i < seen->n; i++)
	{
		double along = 0;

		for (size_t j = 0; j < d; j++)
			along += z[i * d + j] * direction[j];
		along *= clu_weight(seen->w, i);
		for (size_t j = 0; j < d; j++)
			next[j] += along * z[i * d + j];
		clu_check_row(interrupt, i, seen->d);
	}
	for (size_t j = 0; j < d; j++)
		length += next[j] * next[j];
	for (size_t j = 0; j < d && length > 0; j++)
		direction[j] = next[j] / sqrt(length);
}

/* The first principal component in the first column, nothing in the others. */
static void
make_principal(clu_fit *fit)
{
	clu_gmm *state = fit->state;
	size_t	 n = state->seen.n, d = (size_t) state->seen.d;
	double	*z = state->seen.x, *direction = state->member[0].matrix[0],
		   *next = state->member[0].matrix[1];

	for (size_t j = 0; j < d; j++)
		direction[j] = 1.0 + (double) j / (double) d; /* orthogonal to nothing by accident */
	for (int i = 0; i < POWER_ITERATIONS; i++)
		turn_to_principal(&state->seen, direction, next, fit->interrupt);
	for (size_t i = 0; i < n; i++)
	{
		double along = 0;

		for (size_t j = 0; j < d; j++)
			along += z[i * d + j] * direction[j];
		memset(z + i * d, 0, d * sizeof(double));
		z[i * d] = along;
	}
}

/* By the covariance of the whole, or within; false where that can't be, or isn't asked for. */
static bool
make_round(clu_fit *fit, clu_gmm_view how)
{
	clu_gmm *state = fit->state;

	if (how == CLU_GMM_WHITE)
		return make_white(fit, state->whole.covariance);
	if (how != CLU_GMM_WITHIN)
		return false;
	if (state->matrices)
		return make_white(fit, state->within);
	make_even(fit, state->within);
	return true;
}

const clu_points *
clu_gmm_see(clu_fit *fit, clu_gmm_view how)
{
	clu_gmm *state = fit->state;

	if (how == CLU_GMM_AS_IT_IS)
		return &state->sample;
	state->seen.w = state->sample.w;
	if (!make_round(fit, how))
		make_standard(fit);
	if (how == CLU_GMM_PRINCIPAL)
		make_principal(fit);
	describe(&state->seen);
	return &state->seen;
}
