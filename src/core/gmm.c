/*
 * gmm.c
 *		Gaussian mixtures: the likelihood of the data, maximised by expectation-maximisation.
 *
 * The density of a point is p(x) = sum_k pi_k N(x | mu_k, S_k).  Each iteration computes for every
 * point the probability with which it comes from each component (E-step, gmm_estep.c) and then the
 * parameters that fit best to these (M-step, gmm_mstep.c); the likelihood never falls (Dempster,
 * Laird and Rubin, "Maximum likelihood from incomplete data via the EM algorithm", J. R. Stat.
 * Soc. B 39, 1977), unless an explicit reg_covar adds to what fits best.  Where a fit from k
 * begins is the matter of gmm_start.c.
 *
 * The objective is the negative log-likelihood in the units of the data.  That of new parameters
 * is known only after the next pass, so a refit's objective is recorded then (late_objective).
 * With tol 0 a fit ends when a refit changes no parameter any more, but for rounding.
 */
#include "gmm.h"

#include <math.h>
#include <string.h>

#include "algorithms.h"
#include "elementary.h"
#include "linalg.h"

#define MOST_RIDGE 1e280 /* of variances near one: whatever is more is as much */

static void
layout(clu_fit *fit, clu_arena *arena)
{
	int		 k = fit->model.k, d = fit->model.d, structure = fit->model.structure;
	clu_gmm *state;
	clu_gmm	 measured = {0};

	CLU_TAKE(arena, state, 1);
	fit->state = state;
	if (state == NULL)
		state = &measured;
	CLU_TAKE(arena, state->frame.shift, (size_t) d);
	CLU_TAKE(arena, state->frame.scale, (size_t) d);
	CLU_TAKE(arena, state->identity.shift, (size_t) d);
	CLU_TAKE(arena, state->identity.scale, (size_t) d);
	CLU_TAKE(arena, state->ridge, (size_t) d);
	state->members = clu_team_members(fit->team);
	state->label = NULL;
	state->owned = NULL;
	clu_gmm_sums_layout(state, arena, structure, k, d);
	clu_gmm_tables_layout(state, arena, structure, k, d);
	clu_gmm_members_layout(state, arena, fit->points, k, d);
	clu_gmm_start_layout(fit, state, arena);
}

/* ---- the frame ---- */

/* The mean of each column, taken about the first point. */
static void
find_shift(clu_fit *fit, double *shift)
{
	const clu_points *points = fit->points;
	clu_gmm			 *state = fit->state;
	double			 *base = state->member[0].scratch, *row = base + points->d;
	int				  d = points->d;

	memcpy(base, clu_point(points, 0, row), (size_t) d * sizeof(double));
	memset(shift, 0, (size_t) d * sizeof(double));
	for (size_t i = 0; i < points->n; i++)
	{
		const double *x = clu_point(points, i, row);
		double		  w = clu_weight(points->w, i);

		for (int j = 0; j < d; j++)
			shift[j] += w * (x[j] - base[j]);
		clu_check_row(fit->interrupt, i, d);
	}
	for (int j = 0; j < d; j++)
		shift[j] = base[j] + shift[j] / points->total_weight;
}

/* The columns' variances in the units of the frame. */
static void
find_variance(clu_fit *fit, double *variance)
{
	const clu_points *points = fit->points;
	clu_gmm			 *state = fit->state;
	int				  d = points->d;

	memset(variance, 0, (size_t) d * sizeof(double));
	for (size_t i = 0; i < points->n; i++)
	{
		const double *x = clu_point(points, i, state->member[0].scratch);
		double		  w = clu_weight(points->w, i);

		for (int j = 0; j < d; j++)
		{
			double u = (x[j] - state->frame.shift[j]) * state->frame.scale[j];

			variance[j] += w * (u * u);
		}
		clu_check_row(fit->interrupt, i, d);
	}
	for (int j = 0; j < d; j++)
		variance[j] /= points->total_weight;
}

/* The power of two that brings a value into [1/2, 1); 1 for 0. */
static double
scale_of_value(double value)
{
	int exponent = 0;

	(void) frexp(value, &exponent);
	return ldexp(1, -exponent);
}

double
clu_gmm_scale_of_variance(double variance, double value)
{
	int exponent = 0;

	if (!(variance > 0))
		return value == 0 ? 1 : 0x1p10 * scale_of_value(value);
	(void) frexp(variance, &exponent);
	return ldexp(1, -(exponent >> 1));
}

/*
 * In two steps, so that no square underflows: first every column, or with one scale for all the
 * largest, is brought to values of about one.
 */
static void
find_scale(clu_fit *fit, double *variance)
{
	clu_gmm *state = fit->state;
	double	*scale = state->frame.scale;
	int		 d = fit->model.d;
	bool	 one = clu_gmm_has_one_scale(fit->model.structure);
	double	 mean = 0, largest = 0, offset = 0;

	for (int j = 0; j < d; j++)
	{
		largest = fmax(largest, fit->points->largest[j]);
		offset = fmax(offset, fabs(state->frame.shift[j]));
	}
	for (int j = 0; j < d; j++)
		scale[j] = scale_of_value(one ? largest : fit->points->largest[j]);
	find_variance(fit, variance);
	for (int j = 0; j < d; j++)
		mean += variance[j] / d;
	for (int j = 0; j < d; j++)
		scale[j] *= one ? clu_gmm_scale_of_variance(mean, offset * scale[j])
						: clu_gmm_scale_of_variance(variance[j], state->frame.shift[j] * scale[j]);
}

clu_status
clu_gmm_check_range(clu_fit *fit)
{
	clu_gmm *state = fit->state;

	for (int j = 0; j < fit->model.d; j++)
	{
		double unit = fit->points->unit / state->frame.scale[j];

		if (!(unit > 1e-150 && unit < 1e153))
			return clu_fail(fit->error, CLU_UNDERFLOW,
							"The variance of a column is beyond the range of double precision.", 0,
							unit);
	}
	if (!(state->known_variance > 1e-280 && state->known_variance < 1e280))
		return clu_fail(fit->error, CLU_UNDERFLOW,
						"The option variance is too far from the variance of the data.", 0, 0);
	return CLU_OK;
}

void
clu_gmm_set_units(clu_fit *fit)
{
	clu_gmm			  *state = fit->state;
	const clu_options *options = &fit->model.options;
	double			   unit = fit->points->unit, log_volume = 0;

	state->explicit_ridge = clu_option_is_set(options, CLU_REG_COVAR);
	for (int j = 0; j < fit->model.d; j++)
	{
		double scale = state->frame.scale[j] / unit;

		state->identity.shift[j] = 0;
		state->identity.scale[j] = 1;
		log_volume += clu_log(scale);
		state->ridge[j] =
			state->explicit_ridge ? clu_option_number(options, CLU_REG_COVAR) * scale * scale : 0;
		state->known_variance = clu_option_number(options, CLU_VARIANCE) * scale * scale;
	}
	if (fit->model.structure != CLU_COV_FIXED)
		state->known_variance = 1;
	fit->objective_offset = -log_volume;
}

static clu_status
begin(clu_fit *fit)
{
	clu_gmm *state = fit->state;

	find_shift(fit, state->frame.shift);
	find_scale(fit, state->ridge); /* room for the variances, until it's set */
	clu_gmm_set_units(fit);
	if (fit->start_model == NULL || fit->start_model->k != fit->model.k)
		clu_gmm_take_sample(fit);
	return clu_gmm_check_range(fit);
}

/* ---- units ---- */

/* What a covariance is to be multiplied with: units of columns i and j, to the power of sign. */
static void
scale_covariances(clu_fit *fit, int sign)
{
	clu_gmm	  *state = fit->state;
	clu_model *model = &fit->model;
	double	  *unit = state->member[0].scratch;
	size_t	   d = (size_t) model->d, i = 0;
	size_t	   count = clu_covariance_count(CLU_GMM, model->structure, model->k, model->d);

	for (size_t j = 0; j < d; j++)
		unit[j] = sign > 0 ? fit->points->unit / state->frame.scale[j]
						   : state->frame.scale[j] / fit->points->unit;
	for (; i < count; i++)
		if (state->matrices)
			model->covariance[i] *= unit[i / d % d] * unit[i % d];
		else if (model->structure == CLU_COV_DIAG)
			model->covariance[i] *= unit[i % d] * unit[i % d];
		else
			model->covariance[i] *= unit[0] * unit[0];
}

static void
adopt(clu_fit *fit)
{
	clu_gmm	  *state = fit->state;
	clu_model *model = &fit->model;
	size_t	   d = (size_t) model->d;

	for (size_t i = 0; i < (size_t) model->k * d; i++)
		model->center[i] = (model->center[i] / fit->points->unit - state->frame.shift[i % d]) *
						   state->frame.scale[i % d];
	scale_covariances(fit, -1);
	if (model->structure == CLU_COV_FIXED)
		model->covariance[0] = state->known_variance;
	for (int c = 0; c < model->k; c++)
	{
		model->size[c] = model->cost[c] = 0;
		if (clu_option_integer(&model->options, CLU_WEIGHTS) == CLU_WEIGHTS_UNIFORM)
			model->weight[c] = 1.0 / model->k;
	}
}

/* ---- the verbs of an iteration ---- */

static void
reset(clu_fit *fit)
{
	clu_gmm *state = fit->state;

	state->last_objective = INFINITY;
	state->owned = NULL;
	state->unchanged = false;
	state->flaws = 0;
}

/* In the units of the frame. */
static double
objective_of(const clu_fit *fit)
{
	const clu_gmm *state = fit->state;

	return -*clu_gmm_sum_of(state->sums.total);
}

static bool
settled(clu_fit *fit)
{
	clu_gmm *state = fit->state;
	double	 tol = clu_option_number(&fit->model.options, CLU_TOL);
	double	 gain;

	clu_gmm_close(state);
	fit->objective = objective_of(fit);
	gain = clu_counted_gain(&fit->model.options, state->last_objective - fit->objective) /
		   fit->points->total_weight;
	return state->unchanged || (tol > 0 && gain < tol);
}

static clu_status
refit(clu_fit *fit)
{
	clu_gmm *state = fit->state;

	state->last_objective = fit->objective;
	clu_gmm_refit(fit);
	fit->flaws = state->flaws;
	return CLU_OK;
}

/* ---- the end ---- */

static void
finish(clu_fit *fit)
{
	clu_gmm	  *state = fit->state;
	clu_model *model = &fit->model;

	clu_fit_pass(fit);
	clu_gmm_close(state);
	for (int c = 0; c < model->k; c++)
	{
		model->size[c] = *clu_gmm_count_of(state->sums.total, c);
		model->cost[c] = 0;
	}
	model->objective = objective_of(fit);
	model->flags |= CLU_MODEL_LIKELIHOOD;
}

static void
restore(clu_fit *fit)
{
	clu_gmm	  *state = fit->state;
	clu_model *model = &fit->model;
	size_t	   d = (size_t) model->d;

	for (size_t i = 0; i < (size_t) model->k * d; i++)
		model->center[i] =
			(model->center[i] / state->frame.scale[i % d] + state->frame.shift[i % d]) *
			fit->points->unit;
	scale_covariances(fit, 1);
	if (model->structure == CLU_COV_FIXED)
		model->covariance[0] = clu_option_number(&model->options, CLU_VARIANCE);
	for (int c = 0; c < model->k; c++)
		model->size[c] *= fit->points->weight_unit;
	model->objective = clu_in_input_units(fit, model->objective);
	model->log_likelihood = -model->objective;
}

const clu_verbs clu_gmm_verbs = {
	.late_objective = true,
	.whole_shares = true,
	.layout = layout,
	.begin = begin,
	.start = clu_gmm_start,
	.adopt = adopt,
	.reset = reset,
	.prepare = clu_gmm_prepare,
	.accumulate = clu_gmm_accumulate,
	.collect = clu_gmm_collect,
	.settled = settled,
	.refit = refit,
	.improve = clu_gmm_improve,
	.finish = finish,
	.restore = restore,
	.begin_step = clu_gmm_begin_step,
	.statistics = clu_gmm_statistics,
	.reframe_step = clu_gmm_reframe_step,
};
