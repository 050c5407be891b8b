/*
 * algebra.h
 *		What mixtures can do as distributions: moments, sums, marginals, conditionals, samples,
 *		divergences.
 *
 * Results of the Gaussian algebra are models that the caller has made, of zeros, with the structure
 * and the numbers of components and dimensions as told below; what is set are their parameters.
 * Diagonal structures stay diagonal where the result is.
 */
#ifndef CLU_ALGEBRA_H
#define CLU_ALGEBRA_H

#include "model.h"
#include "random.h"

/* ---- moments: Gaussian and Bernoulli mixtures ---- */

/* The covariance matrix of a component, whatever the structure. */
void clu_component_covariance(const clu_model *model, int c, double *matrix);

/* d numbers */
void clu_mixture_mean(const clu_model *model, double *mean);

/* d * d numbers, symmetric, by the law of total covariance; mean is that of the mixture. */
void clu_mixture_covariance(const clu_model *model, const double *mean, double *covariance,
							const clu_interrupt *interrupt);

/* ---- Gaussian mixtures ---- */

/*
 * The distribution of a sum of independent draws: k_a * k_b components, number i * k_b + j being
 * a's i plus b's j, of the structure that clu_gmm_add_structure says.
 */
int	 clu_gmm_add_structure(const clu_model *a, const clu_model *b);
void clu_gmm_add(const clu_model *a, const clu_model *b, clu_model *sum,
				 const clu_interrupt *interrupt);

/* The dimensions dims[0 .. result->d), from 0, in that order; of the model's structure. */
void clu_gmm_marginal(const clu_model *model, const int *dims, clu_model *result);

/*
 * The other dimensions, in their order, given the values of dims[0 .. count); of the model's
 * structure.  False where the given values are too far out for any component to have a weight.
 * order has room for d.
 */
size_t clu_gmm_condition_scratch(const clu_model *model);
bool   clu_gmm_condition(const clu_model *model, const int *dims, int count, const double *given,
						 clu_model *result, int *order, double *scratch,
						 const clu_interrupt *interrupt);

/*
 * The Kullback-Leibler divergence of N(mean_p, cov_p) from N(mean_q, cov_q), in nats.  Returns 0,
 * or 1 or 2 where the first or second matrix is not positive definite.
 */
size_t clu_gaussian_kl_scratch(int d);
int	   clu_gaussian_kl(const double *mean_p, const double *cov_p, const double *mean_q,
					   const double *cov_q, int d, double *scratch, double *kl,
					   const clu_interrupt *interrupt);

/* ---- samples: Gaussian and Bernoulli mixtures ---- */

typedef struct clu_sampler
{
	const clu_model *model;
	clu_random		 random;
	double			 spare; /* normal number, if has_spare */
	bool			 has_spare;
	double			*factor; /* U of each covariance matrix, S = U^T U */
	double			*z;
} clu_sampler;

void clu_sampler_layout(clu_sampler *sampler, clu_arena *arena, const clu_model *model);
void clu_sampler_begin(clu_sampler *sampler, int64_t seed, const clu_interrupt *interrupt);

/* The next draw: its component, from 0, and d numbers. */
int clu_sampler_next(clu_sampler *sampler, double *x);

#endif
