/*
 * algebra.c
 *		Moments of mixtures, and samples from them.
 *
 * With weights p_k, means m_k and covariances S_k of the components,
 *
 *		E[x] = m = sum p_k m_k,    Cov[x] = sum p_k (S_k + (m_k - m)(m_k - m)^T).
 *
 * A draw chooses a component by its weight and then is m_k + U^T z, with S_k = U^T U and z
 * independent standard normal numbers.  These come from Marsaglia's polar method ("A convenient
 * method for generating normal variables", SIAM Review 6, 1964): of a point (u, v) drawn uniformly
 * in the unit disc with s = u^2 + v^2, u f and v f with f = sqrt(-2 ln(s) / s) are two of them.
 * Random bits, logarithm and root are the same on every machine, and so are the draws.
 */
#include "algebra.h"

#include <math.h>
#include <string.h>

#include "elementary.h"
#include "linalg.h"

void
clu_mixture_mean(const clu_model *model, double *mean)
{
	size_t d = (size_t) model->d;

	memset(mean, 0, d * sizeof(double));
	for (int c = 0; c < model->k; c++)
		for (size_t j = 0; j < d; j++)
			mean[j] += model->weight[c] * model->center[(size_t) c * d + j];
}

/* Add weight times the covariance of a component, its upper triangle. */
static void
add_covariance(const clu_model *model, int c, double weight, double *sum)
{
	size_t		  d = (size_t) model->d;
	const double *theta = model->center + (size_t) c * d;
	const double *full = NULL;

	if (model->algorithm == CLU_GMM && model->structure == CLU_COV_FULL)
		full = model->covariance + (size_t) c * d * d;
	if (model->algorithm == CLU_GMM && model->structure == CLU_COV_TIED)
		full = model->covariance;
	for (size_t i = 0; i < d; i++)
		if (full != NULL)
			for (size_t j = i; j < d; j++)
				sum[i * d + j] += weight * full[i * d + j];
		else if (model->algorithm == CLU_BERNOULLI)
			sum[i * d + i] += weight * (theta[i] * (1 - theta[i]));
		else if (model->structure == CLU_COV_DIAG)
			sum[i * d + i] += weight * model->covariance[(size_t) c * d + i];
		else
			sum[i * d + i] +=
				weight * model->covariance[model->structure == CLU_COV_SPHERICAL ? c : 0];
}

void
clu_component_covariance(const clu_model *model, int c, double *matrix)
{
	size_t d = (size_t) model->d;

	memset(matrix, 0, d * d * sizeof(double));
	add_covariance(model, c, 1, matrix);
	clu_symmetrize(matrix, model->d);
}

void
clu_mixture_covariance(const clu_model *model, const double *mean, double *covariance,
					   const clu_interrupt *interrupt)
{
	size_t d = (size_t) model->d;

	memset(covariance, 0, d * d * sizeof(double));
	for (int c = 0; c < model->k; c++)
	{
		const double *center = model->center + (size_t) c * d;

		/* what has no weight adds nothing, however far out it is */
		if (model->weight[c] == 0)
			continue;
		add_covariance(model, c, model->weight[c], covariance);
		for (size_t i = 0; i < d; i++)
			for (size_t j = i; j < d; j++)
				covariance[i * d + j] +=
					model->weight[c] * ((center[i] - mean[i]) * (center[j] - mean[j]));
		clu_check(interrupt);
	}
	clu_symmetrize(covariance, model->d);
}

/* ---- samples ---- */

static bool
is_gaussian_with_matrices(const clu_model *model)
{
	return model->algorithm == CLU_GMM &&
		   (model->structure == CLU_COV_FULL || model->structure == CLU_COV_TIED);
}

void
clu_sampler_layout(clu_sampler *sampler, clu_arena *arena, const clu_model *model)
{
	sampler->model = model;
	CLU_TAKE(arena, sampler->factor,
			 is_gaussian_with_matrices(model)
				 ? clu_covariance_count(CLU_GMM, model->structure, model->k, model->d)
				 : 0);
	CLU_TAKE(arena, sampler->z, (size_t) model->d);
}

void
clu_sampler_begin(clu_sampler *sampler, int64_t seed, const clu_interrupt *interrupt)
{
	const clu_model *model = sampler->model;
	size_t			 d = (size_t) model->d;
	size_t count = clu_covariance_count(model->algorithm, model->structure, model->k, model->d);

	sampler->random = clu_random_start(seed, 0);
	sampler->has_spare = false;
	if (!is_gaussian_with_matrices(model))
		return;
	memcpy(sampler->factor, model->covariance, count * sizeof(double));
	for (size_t at = 0; at < count; at += d * d)
		(void) clu_cholesky(sampler->factor + at, model->d, interrupt); /* of a valid model */
}

static double
next_normal(clu_sampler *sampler)
{
	double u, v, s, factor;

	if (sampler->has_spare)
	{
		sampler->has_spare = false;
		return sampler->spare;
	}
	do
	{
		u = 2 * clu_random_uniform(&sampler->random) - 1;
		v = 2 * clu_random_uniform(&sampler->random) - 1;
		s = u * u + v * v;
	} while (s >= 1 || s == 0);
	factor = sqrt(-2 * clu_log(s) / s);
	sampler->spare = v * factor;
	sampler->has_spare = true;
	return u * factor;
}

static int
next_component(clu_sampler *sampler)
{
	const clu_model *model = sampler->model;
	double			 rest = clu_random_uniform(&sampler->random);
	int				 last = 0;

	for (int c = 0; c < model->k; c++)
	{
		if (!(model->weight[c] > 0))
			continue;
		last = c;
		rest -= model->weight[c];
		if (rest < 0)
			return c;
	}
	return last;
}

/* x += U^T z */
static void
add_correlated(const double *factor, const double *z, int d, double *x)
{
	size_t n = (size_t) d;

	for (size_t i = 0; i < n; i++)
		for (size_t j = i; j < n; j++)
			x[j] += factor[i * n + j] * z[i];
}

static double
variance_of(const clu_model *model, int c, int j)
{
	switch (model->structure)
	{
		case CLU_COV_DIAG:
			return model->covariance[(size_t) c * (size_t) model->d + (size_t) j];
		case CLU_COV_SPHERICAL:
			return model->covariance[c];
		default:
			return model->covariance[0];
	}
}

int
clu_sampler_next(clu_sampler *sampler, double *x)
{
	const clu_model *model = sampler->model;
	size_t			 d = (size_t) model->d;
	int				 c = next_component(sampler);
	const double	*center = model->center + (size_t) c * d;

	if (model->algorithm == CLU_BERNOULLI)
	{
		for (size_t j = 0; j < d; j++)
			x[j] = clu_random_uniform(&sampler->random) < center[j] ? 1 : 0;
		return c;
	}
	for (size_t j = 0; j < d; j++)
		sampler->z[j] = next_normal(sampler);
	memcpy(x, center, d * sizeof(double));
	if (is_gaussian_with_matrices(model))
		add_correlated(sampler->factor +
						   (model->structure == CLU_COV_FULL ? (size_t) c * d * d : 0),
					   sampler->z, model->d, x);
	else
		for (size_t j = 0; j < d; j++)
			x[j] += sqrt(variance_of(model, c, (int) j)) * sampler->z[j];
	return c;
}
