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
 * Traps: the least squared distance is taken out before exp, or all terms underflow far out.  Sums
 * run about the current centre, in a fixed order, per share of the points and then over shares in
 * double-double, so that an offset of the data costs no digits.  A fixed point of floating point
 * numbers may wobble in the last bits for ever: the run is at its end when no centre moves by more
 * than that.
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

/* What a member of the team needs for itself. */
typedef struct soft_member
{
	/* over the share of the points at hand */
	double *sum;	/* k * d: of w r (x - c) */
	double *weight; /* k: of w r */
	clu_dd	energy;

	double *panel;
	double *distance;		/* k * 32 */
	double *responsibility; /* k: of a point */
	double *row;
} soft_member;

typedef struct soft_state
{
	double	   beta; /* in the units of the points */
	clu_seeder seeder;
	clu_dd	  *sum;	   /* k * d */
	clu_dd	  *weight; /* k */
	clu_dd	   energy;
	double	   last_objective;
	double	   moved; /* farthest way of a centre in the last refit, as a share of what counts */

	/* one for every member of the team */
	int			 members;
	soft_member *member;
} soft_state;

static void
member_layout(soft_member *member, clu_arena *arena, size_t k, size_t d)
{
	CLU_TAKE(arena, member->sum, clu_size_product(k, d));
	CLU_TAKE(arena, member->weight, k);
	CLU_TAKE(arena, member->panel, d * CLU_LANES);
	CLU_TAKE(arena, member->distance, clu_size_product(k, CLU_LANES));
	CLU_TAKE(arena, member->responsibility, k);
	CLU_TAKE(arena, member->row, d);
}

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
	clu_seed_layout(&state->seeder, arena, CLU_SQUARED, fit->points->n, fit->model.k, fit->model.d,
					NULL, clu_team_members(fit->team));
	CLU_TAKE(arena, state->sum, clu_size_product(k, d));
	CLU_TAKE(arena, state->weight, k);
	state->members = clu_team_members(fit->team);
	CLU_TAKE(arena, state->member, (size_t) state->members);
	for (int m = 0; m < state->members; m++)
	{
		soft_member measured_member;

		member_layout(state->member == NULL ? &measured_member : &state->member[m], arena, k, d);
	}
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
		clu_seed_plusplus(&state->seeder, fit->points, NULL, fit->model.center, random, NULL,
						  fit->interrupt);
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
	for (int m = 0; m < state->members; m++)
	{
		soft_member *member = &state->member[m];

		memset(member->sum, 0, k * d * sizeof(double));
		memset(member->weight, 0, k * sizeof(double));
		member->energy = (clu_dd) {0, 0};
	}
}

/* Responsibilities for the point of one lane; returns its free energy. */
static double
share_out(soft_member *own, double beta, int k, int lane)
{
	double least = INFINITY, log_sum;

	for (int c = 0; c < k; c++)
		least = fmin(least, own->distance[c * CLU_LANES + lane]);
	for (int c = 0; c < k; c++)
		own->responsibility[c] = -beta * (own->distance[c * CLU_LANES + lane] - least);
	clu_softmax(own->responsibility, (size_t) k, &log_sum);
	return least - log_sum / beta;
}

static void
add_point(soft_member *own, const clu_model *model, const double *x, double w)
{
	int d = model->d;

	for (int c = 0; c < model->k; c++)
	{
		double		  r = w * own->responsibility[c];
		const double *center = model->center + (size_t) c * (size_t) d;
		double		 *sum = own->sum + (size_t) c * (size_t) d;

		if (r == 0)
			continue;
		own->weight[c] += r;
		for (int j = 0; j < d; j++)
			sum[j] += r * (x[j] - center[j]);
	}
}

static void
accumulate(clu_fit *fit, const clu_block *block, int member)
{
	const soft_state *state = fit->state;
	soft_member		 *own = &state->member[member];
	int				  k = fit->model.k, d = fit->model.d;
	double			  energy = 0;

	for (size_t first = 0; first < block->n; first += CLU_LANES)
	{
		uint32_t queue[CLU_LANES];
		int		 n = (int) CLU_MIN(block->n - first, CLU_LANES);

		for (int lane = 0; lane < n; lane++)
			queue[lane] = (uint32_t) first + (uint32_t) lane;
		clu_panel_fill(own->panel, block->x, block->width, d, queue, n);
		clu_kernel->distances(CLU_SQUARED, own->panel, d, fit->model.center, k, own->distance);
		for (int lane = 0; lane < n; lane++)
		{
			double w = clu_weight(block->w, queue[lane]);

			energy += w * share_out(own, state->beta, k, lane);
			add_point(own, &fit->model, clu_row(block->x, block->width, queue[lane], d, own->row),
					  w);
		}
		clu_check(fit->interrupt);
	}
	own->energy = clu_dd_add_double(own->energy, energy);
}

/* Add numbers to sums, and clear them. */
static void
move_to_sums(clu_dd *sum, double *value, size_t count)
{
	for (size_t i = 0; i < count; i++)
	{
		sum[i] = clu_dd_add_double(sum[i], value[i]);
		value[i] = 0;
	}
}

static void
collect(clu_fit *fit, int member)
{
	soft_state	*state = fit->state;
	soft_member *own = &state->member[member];
	size_t		 k = (size_t) fit->model.k, d = (size_t) fit->model.d;

	move_to_sums(state->sum, own->sum, k * d);
	move_to_sums(state->weight, own->weight, k);
	state->energy = clu_dd_add(state->energy, own->energy);
	own->energy = (clu_dd) {0, 0};
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

	clu_fit_pass(fit);
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
	.collect = collect,
	.settled = settled,
	.refit = refit,
	.finish = finish,
	.restore = restore,
	.begin_step = begin,
	.statistics = statistics,
};
