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

/* What a member of the team works with. */
typedef struct refitting
{
	const clu_gmm		*state;
	clu_gmm_member		*own;
	clu_model			*model;
	const clu_interrupt *interrupt;
} refitting;

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
is_above_floor(const refitting *at, const double *matrix, int d)
{
	double *work = at->own->matrix[0];
	bool	explicit_ridge = at->state->explicit_ridge;
	size_t	n = (size_t) d;

	memcpy(work, matrix, n * n * sizeof(double));
	if (!explicit_ridge)
		for (size_t i = 0; i < n; i++)
			work[i * n + i] -= CLU_GMM_FLOOR;
	return clu_cholesky(work, d, at->interrupt) &&
		   (!explicit_ridge || well_conditioned(work, matrix, d));
}

/* Raise all eigenvalues below the floor to it. */
static void
raise_eigenvalues(const refitting *at, double *matrix, int d)
{
	double *work = at->own->matrix[0], *vectors = at->own->matrix[1];
	size_t	n = (size_t) d;

	memcpy(work, matrix, n * n * sizeof(double));
	clu_eigen(work, d, vectors, at->interrupt);
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

/* Raise what is below the floor of a covariance matrix; true where something was. */
static bool
hold_up(const refitting *at, double *matrix, int d)
{
	size_t n = (size_t) d;

	if (is_above_floor(at, matrix, d))
		return false;
	if (d <= MOST_EIGEN)
		raise_eigenvalues(at, matrix, d);
	else
		for (size_t i = 0; i < n; i++)
			matrix[i * n + i] = fmax(matrix[i * n + i], 0) + CLU_GMM_FLOOR;
	return true;
}

/* ---- parameters ---- */

/* Set a parameter; a change that is rounding, on a scale of the parameter's own, counts as none. */
static void
assign(const refitting *at, double *to, double value, double scale)
{
	if (!(fabs(value - *to) <= ROUNDING * scale))
		at->own->unchanged = false;
	*to = value;
}

/* One variance: with the ridge, and not below the floor. */
static void
assign_variance(const refitting *at, double *to, double variance, double ridge, bool *raised)
{
	double least = at->state->explicit_ridge ? SINGULAR : CLU_GMM_FLOOR;

	variance += ridge;
	if (!(variance >= least))
	{
		*raised = true;
		variance = CLU_GMM_FLOOR;
	}
	assign(at, to, variance, variance);
}

/* T/N - (s/N)(s/N)^T into the upper triangle of the matrix. */
static void
set_matrix(const clu_gmm_sums *sums, int c, double *matrix)
{
	const double *first = clu_gmm_first_of(sums, sums->total, c);
	const double *second = clu_gmm_second_of(sums, sums->total, c);
	double		  count = *clu_gmm_count_of(sums->total, c);
	size_t		  n = (size_t) sums->d;

	for (size_t i = 0; i < n; i++)
		for (size_t j = 0; j <= i; j++)
			matrix[j * n + i] =
				second[i * (i + 1) / 2 + j] / count - first[i] / count * (first[j] / count);
}

static void
refit_matrix(const refitting *at, double *matrix, double *to)
{
	int	   d = at->model->d;
	size_t n = (size_t) d;

	for (size_t j = 0; j < n; j++)
		matrix[j * n + j] += at->state->ridge[j];
	clu_symmetrize(matrix, d);
	if (hold_up(at, matrix, d))
		at->own->flaws++;
	for (size_t i = 0; i < n; i++)
		for (size_t j = 0; j < n; j++)
			assign(at, &to[i * n + j], matrix[i * n + j],
				   sqrt(matrix[i * n + i] * matrix[j * n + j]));
}

static void
refit_full(const refitting *at, int c)
{
	size_t	n = (size_t) at->model->d;
	double *matrix = at->own->matrix[2];

	set_matrix(&at->state->sums, c, matrix);
	refit_matrix(at, matrix, at->model->covariance + (size_t) c * n * n);
}

/* The pooled T less what the means went, over all components. */
static void
refit_tied(const refitting *at)
{
	const clu_gmm_sums *sums = &at->state->sums;
	size_t				n = (size_t) at->model->d;
	double			   *matrix = at->own->matrix[2], weight = at->state->sum_of_sizes;
	const double	   *second = clu_gmm_second_of(sums, sums->total, 0);

	memset(matrix, 0, n * n * sizeof(double));
	for (size_t i = 0; i < n; i++)
		for (size_t j = 0; j <= i; j++)
			matrix[j * n + i] = second[i * (i + 1) / 2 + j] / weight;
	for (int c = 0; c < at->model->k; c++)
	{
		const double *first = clu_gmm_first_of(sums, sums->total, c);
		double		  count = *clu_gmm_count_of(sums->total, c);

		if (!(count > 0))
			continue;
		for (size_t i = 0; i < n; i++)
			for (size_t j = 0; j <= i; j++)
				matrix[j * n + i] -= count / weight * (first[i] / count) * (first[j] / count);
	}
	refit_matrix(at, matrix, at->model->covariance);
}

/* The diagonal, column by column or its mean. */
static void
refit_variances(const refitting *at, int c)
{
	const clu_gmm_sums *sums = &at->state->sums;
	clu_model		   *model = at->model;
	const double	   *first = clu_gmm_first_of(sums, sums->total, c);
	const double	   *second = clu_gmm_second_of(sums, sums->total, c);
	double				count = *clu_gmm_count_of(sums->total, c), sum = 0;
	bool				raised = false;

	for (int j = 0; j < model->d; j++)
	{
		double variance = second[j] / count - first[j] / count * (first[j] / count);

		sum += variance;
		if (model->structure == CLU_COV_DIAG)
			assign_variance(at, &model->covariance[(size_t) c * (size_t) model->d + (size_t) j],
							variance, at->state->ridge[j], &raised);
	}
	if (model->structure == CLU_COV_SPHERICAL)
		assign_variance(at, &model->covariance[c], sum / model->d, at->state->ridge[0], &raised);
	at->own->flaws += raised;
}

static void
refit_mean(const refitting *at, int c)
{
	const clu_gmm_sums *sums = &at->state->sums;
	const double	   *first = clu_gmm_first_of(sums, sums->total, c);
	double			   *mean = at->model->center + (size_t) c * (size_t) at->model->d;

	for (int j = 0; j < at->model->d; j++)
		assign(at, &mean[j], mean[j] + first[j] / at->model->size[c], 1 + fabs(mean[j]));
}

static void
refit_component(void *work, size_t item, int member, const clu_interrupt *interrupt)
{
	clu_fit	  *fit = work;
	clu_gmm	  *state = fit->state;
	clu_model *model = &fit->model;
	refitting  at = {state, &state->member[member], model, interrupt};
	int		   c = (int) item;

	if (clu_option_integer(&model->options, CLU_WEIGHTS) != CLU_WEIGHTS_UNIFORM)
		assign(&at, &model->weight[c], model->size[c] / state->sum_of_sizes, 1);
	if (!(model->size[c] > 0))
		return; /* nobody's: it stays where it is, with weight 0 */
	if (model->structure == CLU_COV_FULL)
		refit_full(&at, c);
	else if (model->structure == CLU_COV_DIAG || model->structure == CLU_COV_SPHERICAL)
		refit_variances(&at, c);
	refit_mean(&at, c);
}

const clu_task clu_gmm_refit_task = {refit_component, NULL};

static void
measure_sizes(clu_fit *fit)
{
	clu_gmm *state = fit->state;
	clu_dd	 sum = {0, 0};

	for (int c = 0; c < fit->model.k; c++)
	{
		fit->model.size[c] = fmax(*clu_gmm_count_of(state->sums.total, c), 0);
		sum = clu_dd_add_double(sum, fit->model.size[c]);
	}
	state->sum_of_sizes = clu_dd_value(sum);
}

void
clu_gmm_refit(clu_fit *fit)
{
	clu_gmm	 *state = fit->state;
	refitting all = {state, &state->member[0], &fit->model, fit->interrupt};

	for (int m = 0; m < state->members; m++)
	{
		state->member[m].unchanged = true;
		state->member[m].flaws = 0;
	}
	measure_sizes(fit);
	clu_team_run(clu_gmm_matrix_team(fit), CLU_JOB_GMM_REFIT, fit, (size_t) fit->model.k,
				 fit->interrupt);
	if (fit->model.structure == CLU_COV_TIED)
		refit_tied(&all);
	state->unchanged = true;
	state->flaws = 0;
	for (int m = 0; m < state->members; m++)
	{
		state->unchanged = state->unchanged && state->member[m].unchanged;
		state->flaws += state->member[m].flaws;
	}
}
