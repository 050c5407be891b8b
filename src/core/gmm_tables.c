/*
 * gmm_tables.c
 *		What the E-step of a Gaussian mixture reads of its parameters (gmm_estep.c).
 *
 * Of a covariance S = U^T U it reads the inverse factor F = U^-T, packed by rows, or where S is
 * diagonal one over the roots of the variances; and of a component the part of the log density that
 * is the same for all points, ln pi - d/2 ln 2 pi + sum_i ln F_ii.  Where all components have one
 * covariance, it reads F mu of each mean as well.
 *
 * What limits it: the factors of full matrices, each about d^3/3 multiplications by way of
 * Cholesky's factor.  A component is one item of work for a team.
 */
#include "gmm.h"

#include <math.h>

#include "elementary.h"
#include "linalg.h"

#define MATRIX_WORK 4e6 /* k * d^3 from which a team pays: about a millisecond */

void
clu_gmm_tables_layout(clu_gmm *state, clu_arena *arena, int structure, int k, int d)
{
	size_t clusters = (size_t) k, dims = (size_t) d;
	size_t factors = structure == CLU_COV_TIED ? 1 : clusters;

	CLU_TAKE(arena, state->factor, clu_size_product(factors, state->sums.width));
	CLU_TAKE(arena, state->log_root, factors);
	CLU_TAKE(arena, state->white, state->sums.pooled ? clu_size_product(clusters, dims) : 0);
	CLU_TAKE(arena, state->ones, state->sums.pooled ? dims : 0);
	CLU_TAKE(arena, state->constant, clusters);
}

/* Inverse standard deviations; variances are one for each column, or with step 0 one for all. */
static double
make_roots(const double *variance, int step, int d, double *root)
{
	double sum = 0;

	for (int j = 0; j < d; j++)
	{
		root[j] = 1 / sqrt(variance[j * step]);
		sum += clu_log(root[j]);
	}
	return sum;
}

double
clu_gmm_factor(const clu_model *model, size_t c, double *factor, const clu_interrupt *interrupt)
{
	int	   d = model->d;
	size_t dims = (size_t) d;
	double sum = 0;

	switch (model->structure)
	{
		case CLU_COV_FULL:
		case CLU_COV_TIED:
			/* the M-step or the decoder has seen to it that this succeeds */
			(void) clu_whitening_factor(model->covariance + c * dims * dims, d, factor, &sum,
										interrupt);
			return sum;
		case CLU_COV_DIAG:
			return make_roots(model->covariance + c * dims, 1, d, factor);
		case CLU_COV_SPHERICAL:
			return make_roots(model->covariance + c, 0, d, factor);
		default:
			return make_roots(model->covariance, 0, d, factor);
	}
}

/* With tied, the factor times the means; it's left in the first matrix of the member. */
static void
make_white_means(const clu_fit *fit, const clu_gmm_member *own, const clu_interrupt *interrupt)
{
	clu_gmm *state = fit->state;
	size_t	 d = (size_t) fit->model.d;

	clu_factor_columns(own->matrix[0], fit->model.d, own->matrix[1]);
	for (size_t c = 0; c < (size_t) fit->model.k; c++)
	{
		clu_factor_apply(own->matrix[1], fit->model.d, fit->model.center + c * d,
						 state->white + c * d);
		clu_check_row(interrupt, c, fit->model.d);
	}
	for (size_t j = 0; j < d; j++)
		state->ones[j] = 1;
}

static void
make_table(void *work, size_t item, int member, const clu_interrupt *interrupt)
{
	const clu_fit *fit = work;
	clu_gmm		  *state = fit->state;
	double		  *factor = state->factor + item * state->sums.width;
	double		  *made = state->matrices ? state->member[member].matrix[0] : factor;

	state->log_root[item] = clu_gmm_factor(&fit->model, item, made, interrupt);
	if (state->matrices)
		clu_factor_pack(made, fit->model.d, factor);
	if (state->sums.pooled)
		make_white_means(fit, &state->member[member], interrupt);
}

const clu_task clu_gmm_factor_task = {make_table, NULL};

clu_team *
clu_gmm_matrix_team(const clu_fit *fit)
{
	double d = fit->model.d;

	return fit->model.structure == CLU_COV_FULL && fit->model.k * d * d * d > MATRIX_WORK
			   ? fit->team
			   : NULL;
}

void
clu_gmm_make_tables(clu_fit *fit)
{
	clu_gmm			*state = fit->state;
	const clu_model *model = &fit->model;
	bool			 pooled = state->sums.pooled;

	clu_team_run(clu_gmm_matrix_team(fit), CLU_JOB_GMM_FACTORS, fit, pooled ? 1 : (size_t) model->k,
				 fit->interrupt);
	for (int c = 0; c < model->k; c++)
		state->constant[c] = clu_log(model->weight[c]) +
							 (state->log_root[pooled ? 0 : c] - model->d * CLU_LOG_TWO_PI / 2);
}
