/*
 * gmm_mstep.c
 *		New parameters from the sums of a pass, and what keeps covariances from collapsing.
 *
 * With N_k, s_k and T_k of gmm_estep.c and N = sum N_k, the expected log-likelihood is greatest at
 *
 *		pi_k = N_k / N,   mu_k = mu_k + s_k / N_k,   S_k = T_k / N_k - (s_k / N_k)(s_k / N_k)^T
 *
 * (full); its diagonal (diag); the mean of its diagonal (spherical); the mean of all S_k with
 * weights N_k (tied).  Uniform weights and the fixed covariance are left as they are.
 *
 * The likelihood of a mixture has no maximum: a component that shrinks onto one point, onto equal
 * points or into a plane gains without limit.  So variances are bounded from below, as Hathaway
 * proposed ("A constrained formulation of maximum-likelihood estimation for normal mixture
 * distributions", Ann. Stat. 13, 1985): no component may have in any direction less than 1e-6 of
 * the variance that the data have, up to a factor of two from the rounding of units.  Under this
 * constraint the M-step still has a closed form: eigenvalues below the bound are raised to it.
 * So the likelihood never falls, and as long as no component comes near the bound (they mostly
 * don't) the fit is maximum likelihood, unchanged.  For matrices of more than 64 columns, the
 * bound is added to the diagonal instead, since eigenvalues are dear.
 *
 * An explicit reg_covar is added to the diagonal of every covariance, as is common elsewhere, and
 * the bound only comes in where that leaves a matrix singular in double precision.
 */
#include "gmm.h"

#include <math.h>
#include <string.h>

#include "linalg.h"

#define ROUNDING (32 * DBL_EPSILON)
#define MOST_EIGEN 64
#define SINGULAR 1e-13 /* the part of a variance that the other columns don't explain */

/* ---- the floor ---- */

/* Whether a factored matrix (U in the upper triangle) is far enough from singular. */
static bool
well_conditioned(const double *factor, const double *matrix, int d)
{
	size_t n = (size_t) d;

	for (size_t i = 0; i < n; i++)
		if (!(factor[i * n + i] * factor[i * n + i] >= SINGULAR * matrix[i * n + i]))
			return false;
	return true;
}

static bool
is_above_floor(clu_gmm *state, const double *matrix, int d, const clu_interrupt *interrupt)
{
	double *work = state->matrix[0];
	size_t	n = (size_t) d;

	memcpy(work, matrix, n * n * sizeof(double));
	if (!state->explicit_ridge)
		for (size_t i = 0; i < n; i++)
			work[i * n + i] -= CLU_GMM_FLOOR;
	return clu_cholesky(work, d, interrupt) &&
		   (!state->explicit_ridge || well_conditioned(work, matrix, d));
}

/* Raise all eigenvalues below the floor to it. */
static void
raise_eigenvalues(clu_gmm *state, double *matrix, int d, const clu_interrupt *interrupt)
{
	double *work = state->matrix[0], *vectors = state->matrix[1];
	size_t	n = (size_t) d;

	memcpy(work, matrix, n * n * sizeof(double));
	clu_eigen(work, d, vectors, interrupt);
	memset(matrix, 0, n * n * sizeof(double));
	for (size_t e = 0; e < n; e++)
	{
		const double *v = vectors + e * n;
		double		  value = fmax(work[e * n + e], CLU_GMM_FLOOR);

		for (size_t i = 0; i < n; i++)
			for (size_t j = i; j < n; j++)
				matrix[i * n + j] += value * v[i] * v[j];
	}
	clu_symmetrize(matrix, d);
}

bool
clu_gmm_hold_up(clu_gmm *state, double *matrix, int d, const clu_interrupt *interrupt)
{
	size_t n = (size_t) d;

	if (is_above_floor(state, matrix, d, interrupt))
		return false;
	if (d <= MOST_EIGEN)
		raise_eigenvalues(state, matrix, d, interrupt);
	else
		for (size_t i = 0; i < n; i++)
			matrix[i * n + i] = fmax(matrix[i * n + i], 0) + CLU_GMM_FLOOR;
	return true;
}

/* ---- parameters ---- */

/* Set a parameter; a change that is rounding, on a scale of the parameter's own, counts as none. */
static void
assign(clu_gmm *state, double *to, double value, double scale)
{
	if (!(fabs(value - *to) <= ROUNDING * scale))
		state->unchanged = false;
	*to = value;
}

/* One variance: with the ridge, and not below the floor. */
static void
assign_variance(clu_gmm *state, double *to, double variance, double ridge, bool *raised)
{
	double least = state->explicit_ridge ? SINGULAR : CLU_GMM_FLOOR;

	variance += ridge;
	if (!(variance >= least))
	{
		*raised = true;
		variance = CLU_GMM_FLOOR;
	}
	assign(state, to, variance, variance);
}

/* T/N - (s/N)(s/N)^T into the matrix, or the like for a sum of components: to += share * that. */
static void
add_matrix(const clu_gmm_sums *sums, int c, double share, double *matrix)
{
	const double *first = clu_gmm_first_of(sums, sums->total, c);
	const double *second = clu_gmm_second_of(sums, sums->total, c);
	double		  count = *clu_gmm_count_of(sums->total, c);
	size_t		  n = (size_t) sums->d;

	for (size_t i = 0; i < n; i++)
		for (size_t j = 0; j <= i; j++)
			matrix[j * n + i] += share * (second[i * (i + 1) / 2 + j] / count -
										  first[i] / count * (first[j] / count));
}

static void
refit_matrix(clu_gmm *state, clu_model *model, double *matrix, double *to,
			 const clu_interrupt *interrupt)
{
	size_t n = (size_t) model->d;

	for (size_t j = 0; j < n; j++)
		matrix[j * n + j] += state->ridge[j];
	clu_symmetrize(matrix, model->d);
	if (clu_gmm_hold_up(state, matrix, model->d, interrupt))
		state->flaws++;
	for (size_t i = 0; i < n; i++)
		for (size_t j = 0; j < n; j++)
			assign(state, &to[i * n + j], matrix[i * n + j],
				   sqrt(matrix[i * n + i] * matrix[j * n + j]));
}

static void
refit_full(clu_gmm *state, clu_model *model, int c, const clu_interrupt *interrupt)
{
	size_t	n = (size_t) model->d;
	double *matrix = state->matrix[2];

	memset(matrix, 0, n * n * sizeof(double));
	add_matrix(&state->sums, c, 1, matrix);
	refit_matrix(state, model, matrix, model->covariance + (size_t) c * n * n, interrupt);
}

/* The pooled T less what the means went, over all components. */
static void
refit_tied(clu_gmm *state, clu_model *model, double weight, const clu_interrupt *interrupt)
{
	const clu_gmm_sums *sums = &state->sums;
	size_t				n = (size_t) model->d;
	double			   *matrix = state->matrix[2];
	const double	   *second = clu_gmm_second_of(sums, sums->total, 0);

	memset(matrix, 0, n * n * sizeof(double));
	for (size_t i = 0; i < n; i++)
		for (size_t j = 0; j <= i; j++)
			matrix[j * n + i] = second[i * (i + 1) / 2 + j] / weight;
	for (int c = 0; c < model->k; c++)
	{
		const double *first = clu_gmm_first_of(sums, sums->total, c);
		double		  count = *clu_gmm_count_of(sums->total, c);

		if (!(count > 0))
			continue;
		for (size_t i = 0; i < n; i++)
			for (size_t j = 0; j <= i; j++)
				matrix[j * n + i] -= count / weight * (first[i] / count) * (first[j] / count);
	}
	refit_matrix(state, model, matrix, model->covariance, interrupt);
}

/* The diagonal, column by column or its mean. */
static void
refit_variances(clu_gmm *state, clu_model *model, int c)
{
	const clu_gmm_sums *sums = &state->sums;
	const double	   *first = clu_gmm_first_of(sums, sums->total, c);
	const double	   *second = clu_gmm_second_of(sums, sums->total, c);
	double				count = *clu_gmm_count_of(sums->total, c), sum = 0;
	bool				raised = false;

	for (int j = 0; j < model->d; j++)
	{
		double variance = second[j] / count - first[j] / count * (first[j] / count);

		sum += variance;
		if (model->structure == CLU_COV_DIAG)
			assign_variance(state, &model->covariance[(size_t) c * (size_t) model->d + (size_t) j],
							variance, state->ridge[j], &raised);
	}
	if (model->structure == CLU_COV_SPHERICAL)
		assign_variance(state, &model->covariance[c], sum / model->d, state->ridge[0], &raised);
	state->flaws += raised;
}

static void
refit_mean(clu_gmm *state, clu_model *model, int c)
{
	const double *first = clu_gmm_first_of(&state->sums, state->sums.total, c);
	double		 *mean = model->center + (size_t) c * (size_t) model->d;

	for (int j = 0; j < model->d; j++)
		assign(state, &mean[j], mean[j] + first[j] / model->size[c], 1 + fabs(mean[j]));
}

void
clu_gmm_refit(clu_gmm *state, clu_model *model, const clu_interrupt *interrupt)
{
	clu_dd weight = {0, 0};
	bool   uniform = clu_option_integer(&model->options, CLU_WEIGHTS) == CLU_WEIGHTS_UNIFORM;

	state->unchanged = true;
	state->flaws = 0;
	for (int c = 0; c < model->k; c++)
	{
		model->size[c] = fmax(*clu_gmm_count_of(state->sums.total, c), 0);
		weight = clu_dd_add_double(weight, model->size[c]);
	}
	for (int c = 0; c < model->k; c++)
	{
		if (!uniform)
			assign(state, &model->weight[c], model->size[c] / clu_dd_value(weight), 1);
		if (!(model->size[c] > 0))
			continue; /* nobody's: it stays where it is, with weight 0 */
		if (model->structure == CLU_COV_FULL)
			refit_full(state, model, c, interrupt);
		else if (model->structure == CLU_COV_DIAG || model->structure == CLU_COV_SPHERICAL)
			refit_variances(state, model, c);
		refit_mean(state, model, c);
	}
	if (model->structure == CLU_COV_TIED)
		refit_tied(state, model, clu_dd_value(weight), interrupt);
}
