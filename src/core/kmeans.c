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
 *
 * A cluster without points takes the point that is farthest from its centre, out of a cluster
 * that keeps at least one other; the lowest-numbered empty cluster first, and the first of equally
 * far points in the order of the points.
 */
#include "kmeans.h"

#include <math.h>
#include <string.h>

#include "algorithms.h"
#include "exact.h"

/* What is left of a sum of exact squares, by rounding, where nothing should be. */
#define NOISE 0x1p-95

static void
layout(clu_fit *fit, clu_arena *arena)
{
	int			k = fit->model.k, d = fit->model.d;
	size_t		n = fit->points->n;
	size_t		block = clu_points_block(fit->points, 0).n;
	clu_kmeans *state;
	clu_kmeans	measured;

	CLU_TAKE(arena, state, 1);
	fit->state = state;
	if (state == NULL)
		state = &measured;
	clu_frame_layout(&state->frame, arena, d);
	clu_assign_layout(&state->assigner, arena, CLU_SQUARED, n, k, d);
	clu_seed_layout(&state->seeder, arena, CLU_SQUARED, n, k, d);
	clu_sums_layout(&state->sums, arena, k, d);
	clu_exchange_layout(state, arena, k, d);
	CLU_TAKE(arena, state->changes, block);
	CLU_TAKE(arena, state->distance, block);
	CLU_TAKE(arena, state->previous, clu_size_product((size_t) k, (size_t) d));
	CLU_TAKE(arena, state->row, (size_t) d);
}

static clu_status
begin(clu_fit *fit)
{
	clu_kmeans *state = fit->state;

	clu_frame_measure(&state->frame, fit->points, fit->interrupt);
	clu_sums_measure(&state->sums, fit->points);
	state->assigner.frame = &state->frame;
	fit->objective_power = 2;
	return CLU_OK;
}

static void
start(clu_fit *fit, clu_random *random)
{
	clu_kmeans *state = fit->state;

	if (clu_option_integer(&fit->model.options, CLU_INIT) == CLU_INIT_RANDOM)
		clu_seed_random(&state->seeder, fit->points, fit->model.center, random, fit->interrupt);
	else
		clu_seed_plusplus(&state->seeder, fit->points, fit->model.center, random, fit->interrupt);
}

static void
adopt(clu_fit *fit)
{
	for (size_t i = 0; i < (size_t) fit->model.k * (size_t) fit->model.d; i++)
		fit->model.center[i] /= fit->points->unit;
}

static void
reset(clu_fit *fit)
{
	clu_kmeans *state = fit->state;

	clu_assign_reset(&state->assigner, fit->points->n);
	clu_sums_clear(&state->sums);
	state->has_previous = false;
	state->last_objective = INFINITY;
	state->rounds = 0;
	state->trying = state->attempting = false;
}

static void
prepare(clu_fit *fit)
{
	clu_kmeans *state = fit->state;

	clu_assign_prepare(&state->assigner, fit->model.center,
					   state->has_previous ? state->previous : NULL);
	memcpy(state->previous, fit->model.center,
		   (size_t) fit->model.k * (size_t) fit->model.d * sizeof(double));
	state->has_previous = true;
}

static void
move_point(clu_kmeans *state, const clu_block *block, uint32_t point, uint32_t from, uint32_t to)
{
	const double *x = clu_row(block->x, block->width, point, block->d, state->row);
	double		  w = clu_weight(block->w, point);

	if (from != CLU_NO_LABEL)
		clu_sums_add(&state->sums, from, x, w, true);
	clu_sums_add(&state->sums, to, x, w, false);
}

static void
accumulate(clu_fit *fit, const clu_block *block)
{
	clu_kmeans	   *state = fit->state;
	const uint32_t *label = state->assigner.label + block->first;
	size_t changed = clu_assign_block(&state->assigner, block, state->changes, fit->interrupt);

	for (size_t i = 0; i < changed; i++)
	{
		uint32_t point = state->changes[i].point;

		move_point(state, block, point, state->changes[i].from, label[point]);
	}
	fit->changed += changed;
}

static bool
settled(clu_fit *fit)
{
	clu_kmeans *state = fit->state;
	double		tol = clu_option_number(&fit->model.options, CLU_TOL);

	if (fit->changed == 0 || clu_exchange_hopeless(fit))
		return true;
	return tol > 0 && state->last_objective < INFINITY &&
		   state->last_objective - fit->objective < tol * state->last_objective;
}

/* ---- empty clusters ---- */

/* Every point's distance from its centre, and how many points each cluster has. */
static void
measure_points(clu_fit *fit, double *distance, size_t *count)
{
	clu_kmeans *state = fit->state;

	memset(count, 0, (size_t) fit->model.k * sizeof(size_t));
	for (size_t b = 0; b < clu_points_blocks(fit->points); b++)
	{
		clu_block		block = clu_points_block(fit->points, b);
		const uint32_t *label = state->assigner.label + block.first;

		clu_own_distances(CLU_SQUARED, &block, fit->model.center, label, distance + block.first,
						  state->row);
		for (size_t i = 0; i < block.n; i++)
			count[label[i]]++;
		clu_check(fit->interrupt);
	}
}

static void
fill_empty_clusters(clu_fit *fit)
{
	clu_kmeans *state = fit->state;
	uint32_t   *label = state->assigner.label;
	double	   *distance = state->seeder.cost;
	size_t	   *count = state->seeder.count;
	clu_block	all = {fit->points->x, fit->points->w, 0,
					   fit->points->n, fit->points->d, fit->points->width};

	measure_points(fit, distance, count);
	for (int c = 0; c < fit->model.k; c++)
	{
		size_t farthest = fit->points->n;

		if (count[c] > 0)
			continue;
		for (size_t i = 0; i < fit->points->n; i++)
			if (count[label[i]] > 1 &&
				(farthest == fit->points->n || distance[i] > distance[farthest]))
				farthest = i;
		count[label[farthest]]--;
		count[c] = 1;
		move_point(state, &all, (uint32_t) farthest, label[farthest], (uint32_t) c);
		label[farthest] = (uint32_t) c;
		state->assigner.gap[farthest] = 0;
		fit->changed++;
		clu_check(fit->interrupt);
	}
}

static bool
any_empty(const clu_kmeans *state)
{
	for (int c = 0; c < state->sums.k; c++)
		if (state->sums.weight_hi[c] == 0 && state->sums.weight_lo[c] == 0)
			return true;
	return false;
}

/* ---- refit ---- */

/* Set centre c to the mean of its points; returns what it takes off the objective. */
static clu_dd
refit_center(clu_fit *fit, int c)
{
	clu_kmeans *state = fit->state;
	double	   *center = fit->model.center + (size_t) c * (size_t) fit->model.d;
	clu_dd		weight = clu_sums_weight(&state->sums, c);
	clu_dd		explained = {0, 0};

	for (int j = 0; j < fit->model.d; j++)
	{
		clu_dd sum = clu_sums_value(&state->sums, c, j);
		clu_dd about_shift = clu_dd_product(weight, (clu_dd) {-state->frame.shift[j], 0});

		center[j] = clu_dd_value(clu_dd_quotient(sum, weight));
		about_shift = clu_dd_add(sum, about_shift);
		explained = clu_dd_add(explained, clu_dd_product(about_shift, about_shift));
	}
	fit->model.size[c] = clu_dd_value(weight);
	return clu_dd_quotient(explained, weight);
}

static clu_status
refit(clu_fit *fit)
{
	clu_kmeans *state = fit->state;
	clu_dd		objective = state->frame.spread;

	if (any_empty(state))
		fill_empty_clusters(fit);
	clu_sums_carry(&state->sums);
	for (int c = 0; c < fit->model.k; c++)
		objective = clu_dd_add(objective, clu_dd_negate(refit_center(fit, c)));
	state->last_objective = fit->objective;
	fit->objective = clu_dd_value(objective);
	if (fit->objective < NOISE * state->frame.spread.hi)
		fit->objective = 0;
	return CLU_OK;
}

/* ---- figures of the final model ---- */

static void
finish(clu_fit *fit)
{
	clu_kmeans *state = fit->state;
	clu_model  *model = &fit->model;
	int64_t	   *hi = state->sums.hi, *lo = state->sums.lo; /* k * d, of which k are needed */
	double		reach = 4 * state->frame.radius * state->frame.radius;
	double		scale =
		clu_exact_scale(fit->points->largest_weight * reach, fit->points->total_weight * reach);
	clu_dd objective = {0, 0};

	reset(fit);
	prepare(fit);
	for (size_t b = 0; b < clu_points_blocks(fit->points); b++)
	{
		clu_block		block = clu_points_block(fit->points, b);
		const uint32_t *label = state->assigner.label + block.first;

		clu_assign_block(&state->assigner, &block, state->changes, fit->interrupt);
		clu_own_distances(CLU_SQUARED, &block, model->center, label, state->distance, state->row);
		for (size_t i = 0; i < block.n; i++)
		{
			double w = clu_weight(block.w, i);

			clu_exact_add(&hi[label[i]], &lo[label[i]], w * state->distance[i], scale);
			clu_exact_add(&state->sums.weight_hi[label[i]], &state->sums.weight_lo[label[i]], w,
						  state->sums.weight_scale);
		}
		clu_sums_carry(&state->sums);
		clu_check(fit->interrupt);
	}
	for (int c = 0; c < model->k; c++)
	{
		clu_dd cost = clu_exact_value(hi[c], lo[c], scale);

		objective = clu_dd_add(objective, cost);
		model->cost[c] = clu_dd_value(cost);
		model->size[c] = clu_dd_value(clu_sums_weight(&state->sums, c));
		model->weight[c] = model->size[c] / fit->points->total_weight;
	}
	model->objective = clu_dd_value(objective);
}

static void
restore(clu_fit *fit)
{
	clu_model *model = &fit->model;

	for (int c = 0; c < model->k; c++)
	{
		model->size[c] *= fit->points->weight_unit;
		model->cost[c] = clu_in_input_units(fit, model->cost[c]);
	}
	model->objective = clu_in_input_units(fit, model->objective);
	for (size_t i = 0; i < (size_t) model->k * (size_t) model->d; i++)
		model->center[i] *= fit->points->unit;
}

const clu_verbs clu_kmeans_verbs = {
	.layout = layout,
	.begin = begin,
	.start = start,
	.adopt = adopt,
	.reset = reset,
	.prepare = prepare,
	.accumulate = accumulate,
	.settled = settled,
	.refit = refit,
	.improve = clu_exchange,
	.finish = finish,
	.restore = restore,
};
