/*
 * soft_kmeans.c
 *		Soft K-means: every point belongs to every cluster a little.
 *
 * With an inverse temperature beta, point i belongs to cluster k with the responsibility
 *		r_ik = exp(-beta d_ik^2) / sum_l exp(-beta d_il^2),
 * and centre k is the mean of all points weighted with r_ik (D. J. C. MacKay, "Information Theory,
 * Inference, and Learning Algorithms", 2003, chapter 20.2).  Both steps lower the free energy
 *		F = -1/beta sum_i w_i ln sum_k exp(-beta d_ik^2),
 * which is the objective; for large beta it's the sum of squared distances, and the algorithm is
 * K-means.
 *
 * Traps: the least squared distance is taken out before exp, or all terms underflow far out.
 * Sums run about the current centre, in a fixed order, per block and then over blocks in double-
 * double, so that an offset of the data costs no digits.  A fixed point of floating point numbers
 * may wobble in the last bits for ever: the run is at its end when no centre moves by more than
 * that.
 */
#include <float.h>
#include <math.h>
#include <string.h>

#include "algorithms.h"
#include "assign.h"
#include "elementary.h"
#include "seed.h"

/* A centre that moves less than this share of the typical distance stands still. */
#define STANDS_STILL 1e-12

typedef struct soft_state
{
	double	   beta; /* in the units of the points */
	clu_seeder seeder;
	double	  *center_of_block; /* k * d: sums of w r (x - c) of a block */
	double	  *weight_of_block; /* k: sums of w r */
	clu_dd	  *sum;				/* k * d */
	clu_dd	  *weight;			/* k */
	clu_dd	   energy;
	double	   last_objective;
	double	   moved; /* farthest way of a centre in the last refit, as a share of what counts */
	double	  *panel;
	double	  *distance; /* k * 32 */
	double	  *share;	 /* k */
	double	  *row;
} soft_state;

static void
layout(clu_fit *fit, clu_arena *arena)
{
	size_t		k = (size_t) fit->model.k, d = (size_t) fit->model.d;
	soft_state *state;
	soft_state	measured;

	CLU_TAKE(arena, state, 1);
	fit->state = state;
	if (state == NULL)
		state = &measured;
	clu_seed_layout(&state->seeder, arena, CLU_SQUARED, fit->points->n, fit->model.k, fit->model.d);
	CLU_TAKE(arena, state->center_of_block, clu_size_product(k, d));
	CLU_TAKE(arena, state->weight_of_block, k);
	CLU_TAKE(arena, state->sum, clu_size_product(k, d));
	CLU_TAKE(arena, state->weight, k);
	CLU_TAKE(arena, state->panel, d * CLU_LANES);
	CLU_TAKE(arena, state->distance, clu_size_product(k, CLU_LANES));
	CLU_TAKE(arena, state->share, k);
	CLU_TAKE(arena, state->row, d);
}

static clu_status
begin(clu_fit *fit)
{
	soft_state *state = fit->state;
	double		unit = fit->points->unit;

	state->beta = clu_option_number(&fit->model.options, CLU_BETA) * unit * unit;
	if (!(state->beta > 0 && state->beta < INFINITY))
		return clu_fail(fit->error, CLU_UNDERFLOW,
						"Beta times a squared distance is beyond the range of double precision.", 0,
						0);
	fit->objective_power = 2;
	return CLU_OK;
}

static void
start(clu_fit *fit, clu_random *random)
{
	soft_state *state = fit->state;

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
	soft_state *state = fit->state;

	state->last_objective = INFINITY;
	state->moved = INFINITY;
}

static void
prepare(clu_fit *fit)
{
	soft_state *state = fit->state;
	size_t		k = (size_t) fit->model.k, d = (size_t) fit->model.d;

	memset(state->sum, 0, k * d * sizeof(clu_dd));
	memset(state->weight, 0, k * sizeof(clu_dd));
	state->energy = (clu_dd) {0, 0};
}

/* Responsibilities of one lane into share; returns the point's free energy. */
static double
share_out(soft_state *state, int k, int lane)
{
	double least = INFINITY, log_sum;

	for (int c = 0; c < k; c++)
		least = fmin(least, state->distance[c * CLU_LANES + lane]);
	for (int c = 0; c < k; c++)
		state->share[c] = -state->beta * (state->distance[c * CLU_LANES + lane] - least);
	clu_softmax(state->share, (size_t) k, &log_sum);
	return least - log_sum / state->beta;
}

static void
add_point(clu_fit *fit, const double *x, double w)
{
	soft_state *state = fit->state;
	int			k = fit->model.k, d = fit->model.d;

	for (int c = 0; c < k; c++)
	{
		double		  r = w * state->share[c];
		const double *center = fit->model.center + (size_t) c * (size_t) d;
		double		 *sum = state->center_of_block + (size_t) c * (size_t) d;

		if (r == 0)
			continue;
		state->weight_of_block[c] += r;
		for (int j = 0; j < d; j++)
			sum[j] += r * (x[j] - center[j]);
	}
}

static void
accumulate(clu_fit *fit, const clu_block *block, int member)
{
	soft_state *state = fit->state;
	int			k = fit->model.k, d = fit->model.d;
	size_t		count = (size_t) k * (size_t) d;
	double		energy = 0;

	(void) member;
	memset(state->center_of_block, 0, count * sizeof(double));
	memset(state->weight_of_block, 0, (size_t) k * sizeof(double));
	for (size_t first = 0; first < block->n; first += CLU_LANES)
	{
		uint32_t queue[CLU_LANES];
		int		 n = (int) CLU_MIN(block->n - first, CLU_LANES);

		for (int lane = 0; lane < n; lane++)
			queue[lane] = (uint32_t) first + (uint32_t) lane;
		clu_panel_fill(state->panel, block->x, block->width, d, queue, n);
		clu_kernel->distances(CLU_SQUARED, state->panel, d, fit->model.center, k, state->distance);
		for (int lane = 0; lane < n; lane++)
		{
			double w = clu_weight(block->w, queue[lane]);

			energy += w * share_out(state, k, lane);
			add_point(fit, clu_row(block->x, block->width, queue[lane], d, state->row), w);
		}
		clu_check(fit->interrupt);
	}
	for (size_t i = 0; i < count; i++)
		state->sum[i] = clu_dd_add_double(state->sum[i], state->center_of_block[i]);
	for (int c = 0; c < k; c++)
		state->weight[c] = clu_dd_add_double(state->weight[c], state->weight_of_block[c]);
	state->energy = clu_dd_add_double(state->energy, energy);
}

static bool
settled(clu_fit *fit)
{
	soft_state *state = fit->state;
	double		tol = clu_option_number(&fit->model.options, CLU_TOL);

	fit->objective = clu_dd_value(state->energy);
	if (state->moved <= 1)
		return true;
	return tol > 0 && state->last_objective < INFINITY &&
		   state->last_objective - fit->objective < tol * fabs(state->last_objective);
}

/* Move one centre; returns its way as a share of what still counts as moving. */
static double
refit_center(clu_fit *fit, int c, double typical)
{
	soft_state *state = fit->state;
	size_t		d = (size_t) fit->model.d;
	double	   *center = fit->model.center + (size_t) c * d;
	double		weight = clu_dd_value(state->weight[c]), way = 0, far = 0;

	fit->model.size[c] = weight;
	if (!(weight > 0))
		return 0;
	for (size_t j = 0; j < d; j++)
	{
		double step = clu_dd_value(state->sum[(size_t) c * d + j]) / weight;

		center[j] += step;
		way += step * step;
		far += center[j] * center[j];
	}
	return sqrt(way) / (STANDS_STILL * typical + 4 * DBL_EPSILON * sqrt(far) + DBL_MIN);
}

static clu_status
refit(clu_fit *fit)
{
	soft_state *state = fit->state;
	double		typical = sqrt(fabs(fit->objective) / fit->points->total_weight);

	state->last_objective = fit->objective;
	state->moved = 0;
	for (int c = 0; c < fit->model.k; c++)
		state->moved = fmax(state->moved, refit_center(fit, c, typical));
	return CLU_OK;
}

/* Sizes are sums of responsibilities; the costs share out the sum of r d^2. */
static void
finish(clu_fit *fit)
{
	soft_state *state = fit->state;
	clu_model  *model = &fit->model;

	prepare(fit);
	for (size_t b = 0; b < clu_points_blocks(fit->points); b++)
	{
		clu_block block = clu_points_block(fit->points, b);

		accumulate(fit, &block, 0);
		clu_check(fit->interrupt);
	}
	for (int c = 0; c < model->k; c++)
	{
		model->size[c] = clu_dd_value(state->weight[c]);
		model->weight[c] = model->size[c] / fit->points->total_weight;
		model->cost[c] = 0;
	}
	model->objective = clu_dd_value(state->energy);
}

static void
restore(clu_fit *fit)
{
	clu_model *model = &fit->model;

	for (int c = 0; c < model->k; c++)
		model->size[c] *= fit->points->weight_unit;
	model->objective = clu_in_input_units(fit, model->objective);
	for (size_t i = 0; i < (size_t) model->k * (size_t) model->d; i++)
		model->center[i] *= fit->points->unit;
}

static int
statistics(clu_fit *fit, clu_statistic *list)
{
	soft_state *state = fit->state;
	size_t		k = (size_t) fit->model.k, d = (size_t) fit->model.d;

	list[0] = (clu_statistic) {(double **) &state->sum, NULL, 2 * k * d, true};
	list[1] = (clu_statistic) {(double **) &state->weight, NULL, 2 * k, true};
	list[2] = (clu_statistic) {NULL, &state->energy.hi, 2, true};
	return 3;
}

const clu_verbs clu_soft_kmeans_verbs = {
	.late_objective = true,
	.layout = layout,
	.begin = begin,
	.start = start,
	.adopt = adopt,
	.reset = reset,
	.prepare = prepare,
	.accumulate = accumulate,
	.settled = settled,
	.refit = refit,
	.finish = finish,
	.restore = restore,
	.begin_step = begin,
	.statistics = statistics,
};
