/*
 * kmedians.c
 *		K-medians: the sum of L1 distances to the centre of the cluster, minimised.
 *
 * The objective is sum_i w_i sum_j |x_ij - c_j|, with c the centre of the cluster of point i.  For
 * given clusters it falls apart into one problem per cluster and column, minimise f(c) = sum w_i
 * |x_i - c|.  f is convex, and where c is none of the x its slope is the weight below c less the
 * weight above it.  So the minimum is where neither side has more than half of the weight, at the
 * weighted median; where the halves balance exactly the slope is 0 all the way to the next value,
 * and the midpoint is taken.  For given centres each point goes to the one nearest in L1.  Neither
 * step can raise the objective (Bradley, Mangasarian and Street, "Clustering via concave
 * minimization", NIPS 1996), and they alternate until no point changes its cluster.
 *
 * Both steps are exact: the labels are those of double precision arithmetic without shortcuts
 * (assign.h), the medians are values of the data, or midpoints of two, found by exact sums of the
 * weights (medians.h).  Means move with every point that comes or goes, medians mostly stay; that
 * a fit is at its end is seen by the labels, not by the centres.
 */
#include "kmedians.h"

#include <math.h>

#include "algorithms.h"

/* Weights are compared with halves of their sum, which has room for 79 bits or more. */
#define LEAST_WEIGHT 0x1p-60

static void
layout_survey(clu_survey *survey, clu_arena *arena, int k)
{
	CLU_TAKE(arena, survey->loss, (size_t) k);
	CLU_TAKE(arena, survey->cost, (size_t) k);
}

static void
layout_member(clu_kmedians_member *member, clu_arena *arena, int k, int d)
{
	layout_survey(&member->survey, arena, k);
	CLU_TAKE(arena, member->sample, CLU_SPLIT_SAMPLE);
	CLU_TAKE(arena, member->sample_value, clu_size_product((size_t) d, CLU_SPLIT_SAMPLE));
	CLU_TAKE(arena, member->sample_order, clu_size_product((size_t) d, CLU_SPLIT_SAMPLE));
	CLU_TAKE(arena, member->next, 2 * (size_t) d);
}

static void
layout(clu_fit *fit, clu_arena *arena)
{
	clu_kmedians *state;
	clu_kmedians  measured;

	CLU_TAKE(arena, state, 1);
	fit->state = state;
	if (state == NULL)
		state = &measured;
	clu_hard_layout(&state->hard, arena, CLU_L1, fit);
	clu_medians_layout(&state->medians, arena, fit->points, fit->model.k, state->hard.members);
	layout_survey(&state->survey, arena, fit->model.k);
	CLU_TAKE(arena, state->member, (size_t) state->hard.members);
	for (int m = 0; m < state->hard.members; m++)
	{
		clu_kmedians_member unused;

		layout_member(state->member == NULL ? &unused : &state->member[m], arena, fit->model.k,
					  fit->model.d);
	}
}

static clu_status
begin(clu_fit *fit)
{
	clu_kmedians *state = fit->state;
	clu_hard	 *hard = &state->hard;

	if (fit->points->least_weight < LEAST_WEIGHT * fit->points->largest_weight)
		return clu_fail(fit->error, CLU_UNDERFLOW,
						"The weights differ by too many orders of magnitude.", 0, 0);
	clu_hard_begin(fit);
	clu_medians_begin(&state->medians, fit->points, (uint64_t *) hard->seeder.cost, fit->team,
					  fit->interrupt); /* which nobody needs in a refit */
	return CLU_OK;
}

static void
reset(clu_fit *fit)
{
	clu_kmedians *state = fit->state;

	clu_hard_reset(fit);
	clu_medians_reset(&state->medians);
}

static void
move_point(clu_fit *fit, int member, const clu_block *block, uint32_t point, uint32_t from,
		   uint32_t to)
{
	clu_kmedians *state = fit->state;

	clu_medians_move(&state->medians, member, (uint32_t) block->first + point, from, to);
}

static void
accumulate(clu_fit *fit, const clu_block *block, int member)
{
	clu_hard_accumulate(fit, block, member, move_point);
}

static bool
any_empty(const clu_kmedians *state)
{
	for (int c = 0; c < state->medians.k; c++)
		if (clu_medians_empty(&state->medians, c))
			return true;
	return false;
}

static clu_status
refit(clu_fit *fit)
{
	clu_kmedians *state = fit->state;
	clu_dd		  objective;

	clu_medians_collect(&state->medians);
	if (any_empty(state))
		(void) clu_hard_fill_empty(fit, move_point); /* no squares, nothing lost */
	objective = clu_medians_refit(&state->medians, state->hard.assigner.label, fit->model.center,
								  fit->model.size, fit->team, fit->interrupt);
	state->hard.last_objective = fit->objective;
	fit->objective = fmax(clu_dd_value(objective), 0);
	return CLU_OK;
}

const clu_verbs clu_kmedians_verbs = {
	.layout = layout,
	.begin = begin,
	.start = clu_hard_start,
	.adopt = clu_hard_adopt,
	.reset = reset,
	.prepare = clu_hard_prepare,
	.accumulate = accumulate,
	.settled = clu_hard_settled,
	.refit = refit,
	.improve = clu_kmedians_improve,
	.label = clu_hard_label,
	.renumber = clu_hard_renumber,
	.finish = clu_hard_finish,
	.restore = clu_hard_restore,
};
