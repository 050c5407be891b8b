/*
 * bernoulli_algebra.c
 *		Bernoulli mixtures as distributions: mean, covariance, random rows.
 *
 * Within a component the columns are independent, with means theta and variances
 * theta (1 - theta); what covariance a mixture has comes from its components' being different (the
 * law of total covariance):
 *
 *		E[x]   = sum_k pi_k theta_k
 *		Cov[x] = sum_k pi_k (diag(theta_k (1 - theta_k)) + (theta_k - E[x]) (theta_k - E[x])')
 *
 * The second moments are taken about the mean: about 0 they'd cancel.
 */
#include "bernoulli.h"

#include <string.h>

void
clu_bernoulli_mean(const clu_model *model, double *mean)
{
	memset(mean, 0, (size_t) model->d * sizeof(double));
	for (int c = 0; c < model->k; c++)
		for (int j = 0; j < model->d; j++)
			mean[j] +=
				model->weight[c] * model->center[(size_t) c * (size_t) model->d + (size_t) j];
}

/* The lower triangle of what one component adds. */
static void
add_component(const clu_model *model, int c, const double *mean, double *covariance)
{
	size_t		  d = (size_t) model->d;
	const double *theta = model->center + (size_t) c * d;
	double		  weight = model->weight[c];

	for (size_t i = 0; i < d; i++)
	{
		double from_mean = weight * (theta[i] - mean[i]);

		for (size_t j = 0; j <= i; j++)
			covariance[i * d + j] += from_mean * (theta[j] - mean[j]);
		covariance[i * d + i] += weight * (theta[i] * (1 - theta[i]));
	}
}

void
clu_bernoulli_covariance(const clu_model *model, double *mean, double *covariance,
						 const clu_interrupt *interrupt)
{
	size_t d = (size_t) model->d;

	clu_bernoulli_mean(model, mean);
	memset(covariance, 0, d * d * sizeof(double));
	for (int c = 0; c < model->k; c++)
	{
		add_component(model, c, mean, covariance);
		clu_check(interrupt);
	}
	for (size_t i = 0; i < d; i++)
		for (size_t j = i + 1; j < d; j++)
			covariance[i * d + j] = covariance[j * d + i];
}

int
clu_bernoulli_sample(const clu_model *model, clu_random *random, double *x)
{
	double		  u = clu_random_uniform(random);
	int			  c = 0, last = 0;
	const double *theta;

	for (c = 0; c < model->k; c++)
	{
		if (model->weight[c] > 0)
			last = c;
		u -= model->weight[c];
		if (u < 0)
			break;
	}
	c = CLU_MIN(c, last);
	theta = model->center + (size_t) c * (size_t) model->d;
	for (int j = 0; j < model->d; j++)
		x[j] = clu_random_uniform(random) < theta[j];
	return c;
}
