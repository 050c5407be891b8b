/*
 * kmeans.c
 *		K-means: the sum of squared distances to the centre of the cluster, minimised.
 *
 * Lloyd's iteration (S. P. Lloyd, "Least squares quantization in PCM", IEEE Trans. Inf. Theory
 * 28, 1982): each point goes to its nearest centre, each centre to the weighted mean of its
 * points, until no point changes its cluster.  Both steps are exact: the labels are those of
 * double precision arithmetic without shortcuts (assign.h), the means are quotients of exact sums
 * (sums.h), correct to the last bit or nearly so.
 *
 * The objective of the trace is not summed over the points.  With sums S_k and weights W_k taken
 * about a common shift s it is sum w |x - s|^2 - sum_k |S_k - W_k s|^2 / W_k: the trap of that
 * formula is cancellation, and 106-bit arithmetic on exact sums has room for it.  The objective
 * of the finished model is summed over the points, from their distances.
 */
#include "kmeans.h"

#include <math.h>
#include <string.h>

#include "algorithms.h"

/* What is left of a sum of exact squares, by rounding, where nothing should be. */
#define NOISE 0x1p-95

static void
layout(clu_fit *fit, clu_arena *arena)
{
	clu_kmeans *state;
	clu_kmeans	measured;

	CLU_TAKE(arena, state, 1);
	fit->state = state;
	if (state == NULL)
		state = &measured;
	clu_hard_layout(&state->hard, arena, CLU_SQUARED, fit);
	CLU_TAKE(arena, state->explained, (size_t) fit->model.k);
	CLU_TAKE(arena, state->sums, (size_t) state->hard.members);
	for (int m = 0; m < state->hard.members; m++)
	{
		clu_sums unused;

		clu_sums_layout(state->sums == NULL ? &unused : &state->sums[m], arena, fit->model.k,
						fit->model.d);
	}
}

static clu_status
begin(clu_fit *fit)
{
	clu_kmeans *state = fit->state;

	clu_hard_begin(fit);
	for (int m = 0; m < state->hard.members; m++)
		clu_sums_measure(&state->sums[m], fit->points);
	return CLU_OK;
}

static void
reset(clu_fit *fit)
{
	clu_kmeans *state = fit->state;

	clu_hard_reset(fit);
	for (int m = 0; m < state->hard.members; m++)
		clu_sums_clear(&state->sums[m]);
	state->stale = true;
}

static void
move_point(clu_fit *fit, int member, const clu_block *block, uint32_t point, uint32_t from,
		   uint32_t to)
{
	clu_kmeans	 *state = fit->state;
	clu_sums	 *sums = &state->sums[member];
	double		 *row = state->hard.member[member].row;
	const double *x = clu_row(block->x, block->width, point, block->d, row);
	double		  w = clu_weight(block->w, point);

	if (from != CLU_NO_LABEL)
		clu_sums_add(sums, from, x, w, true);
	clu_sums_add(sums, to, x, w, false);
}

static void
accumulate(clu_fit *fit, const clu_block *block, int member)
{
	clu_hard_accumulate(fit, block, member, move_point);
}

static bool
any_empty(const clu_kmeans *state)
{
	for (int c = 0; c < state->sums->k; c++)
		if (!(clu_dd_value(clu_sums_weight(state->sums, c)) > 0))
			return true;
	return false;
}

/* ---- refit ---- */

/* Set centre c to the mean of its points, and find what that takes off the objective. */
static void
refit_center(clu_fit *fit, int c)
{
	clu_kmeans *state = fit->state;
	double	   *center = fit->model.center + (size_t) c * (size_t) fit->model.d;
	clu_dd		weight = clu_sums_weight(state->sums, c);
	clu_dd		explained = {0, 0};

	for (int j = 0; j < fit->model.d; j++)
	{
		clu_dd sum = clu_sums_value(state->sums, c, j);
		clu_dd about_shift = clu_dd_product(weight, (clu_dd) {-state->hard.frame.shift[j], 0});

		center[j] = clu_dd_value(clu_dd_quotient(sum, weight));
		about_shift = clu_dd_add(sum, about_shift);
		explained = clu_dd_add(explained, clu_dd_product(about_shift, about_shift));
	}
	fit->model.size[c] = clu_dd_value(weight);
	state->explained[c] = clu_dd_quotient(explained, weight);
}

/* Bring the sums up to date with the labels. */
static void
finish_sums(clu_fit *fit)
{
	clu_kmeans *state = fit->state;

	if (state->sums->wide)
	{
		clu_sums_recompute(state->sums, fit->points, state->hard.assigner.label,
						   state->hard.member[0].row, fit->interrupt);
		return;
	}
	clu_sums_carry(state->sums);
	for (int m = 1; m < state->hard.members; m++)
	{
		clu_sums_merge(state->sums, &state->sums[m]);
		clu_sums_clear(&state->sums[m]);
	}
}

static clu_status
refit(clu_fit *fit)
{
	clu_kmeans *state = fit->state;
	clu_dd		objective = state->hard.frame.spread;

	finish_sums(fit);
	if (any_empty(state))
	{
		clu_status status = clu_hard_fill_empty(fit, move_point);

		if (status != CLU_OK)
			return status;
		finish_sums(fit);
	}
	for (int c = 0; c < fit->model.k; c++)
	{
		if (state->stale || state->sums->changed[c])
			refit_center(fit, c);
		objective = clu_dd_add(objective, clu_dd_negate(state->explained[c]));
		clu_check(fit->interrupt);
	}
	state->stale = false;
	clu_sums_settle(state->sums);
	state->hard.last_objective = fit->objective;
	fit->objective = clu_dd_value(objective);
	if (fit->objective < NOISE * state->hard.frame.spread.hi)
		fit->objective = 0;
	return CLU_OK;
}

static clu_improvement
improve(clu_fit *fit, bool converged, clu_random *random)
{
	clu_kmeans	   *state = fit->state;
	clu_improvement improvement = clu_kmeans_improve(fit, converged, random);

	state->stale = true;
	return improvement;
}

const clu_verbs clu_kmeans_verbs = {
	.layout = layout,
	.begin = begin,
	.start = clu_hard_start,
	.adopt = clu_hard_adopt,
	.reset = reset,
	.prepare = clu_hard_prepare,
	.accumulate = accumulate,
	.whole_shares = true,
	.settled = clu_hard_settled,
	.refit = refit,
	.improve = improve,
	.label = clu_hard_label,
	.renumber = clu_hard_renumber,
	.finish = clu_hard_finish,
	.restore = clu_hard_restore,
};

/* ---- as a part of another fit ---- */

void
clu_kmeans_within_layout(clu_fit *kmeans, clu_arena *arena, const clu_fit *fit,
						 const clu_points *points)
{
	memset(kmeans, 0, sizeof(*kmeans));
	kmeans->verbs = &clu_kmeans_verbs;
	kmeans->points = points;
	kmeans->interrupt = fit->interrupt;
	kmeans->team = fit->team;
	kmeans->error = fit->error;
	kmeans->model.algorithm = CLU_KMEANS;
	kmeans->model.k = fit->model.k;
	kmeans->model.d = fit->model.d;
	clu_options_default(&kmeans->model.options, CLU_KMEANS);
	clu_fit_layout(kmeans, arena);
}

void
clu_kmeans_within_run(clu_fit *kmeans, int64_t seed)
{
	kmeans->run = 0;
	kmeans->model.options.value[CLU_SEED].integer = seed;
	(void) clu_fit_run(kmeans); /* whatever it came to is a start */
}
