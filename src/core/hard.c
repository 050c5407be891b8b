/*
 * hard.c
 *		What K-means and K-medians share; see hard.h.
 */
#include "hard.h"

#include <float.h>
#include <math.h>
#include <string.h>

#define CHECK_POINTS 65536 /* relabelled between two checks for interrupts */

void
clu_hard_layout(clu_hard *hard, clu_arena *arena, clu_metric metric, const clu_fit *fit)
{
	int	   k = fit->model.k, d = fit->model.d;
	size_t n = fit->points->n;
	size_t share = clu_points_share_block(fit->points, 0).n;
	size_t block = clu_points_block(fit->points, 0).n;

	hard->metric = metric;
	clu_frame_layout(&hard->frame, arena, d, clu_team_members(fit->team));
	clu_narrow_layout(&hard->narrow, arena, n, metric == CLU_SQUARED ? k : 0, d);
	clu_assign_layout(&hard->assigner, arena, metric, n, k, d, &hard->narrow,
					  clu_team_members(fit->team));
	clu_coreset_layout(&hard->coreset, arena, metric, fit->points, k);
	clu_coarse_layout(&hard->sample, arena, hard->coreset.most, metric == CLU_SQUARED ? k : 0, d);
	clu_seed_layout(&hard->seeder, arena, metric, n, k, d,
					hard->coreset.most > 0 ? &hard->sample : &hard->narrow.coarse,
					clu_team_members(fit->team));
	clu_exchange_layout(&hard->exchange, arena, k, d);
	CLU_TAKE(arena, hard->previous, clu_size_product((size_t) k, (size_t) d));
	CLU_TAKE(arena, hard->cost, (size_t) k);
	CLU_TAKE(arena, hard->size, (size_t) k);
	hard->members = clu_team_members(fit->team);
	CLU_TAKE(arena, hard->member, (size_t) hard->members);
	for (int m = 0; m < hard->members; m++)
	{
		clu_hard_member	 measured;
		clu_hard_member *member = hard->member == NULL ? &measured : &hard->member[m];

		CLU_TAKE(arena, member->changes, share);
		CLU_TAKE(arena, member->row, (size_t) d);
		CLU_TAKE(arena, member->distance, block);
		CLU_TAKE(arena, member->count, (size_t) k);
		CLU_TAKE(arena, member->cost, (size_t) k);
		CLU_TAKE(arena, member->size, (size_t) k);
	}
}

void
clu_hard_begin(clu_fit *fit)
{
	clu_hard		  *hard = fit->state;
	clu_assign_member *own = &hard->assigner.member[0];

	clu_frame_measure(&hard->frame, fit->points, fit->team, fit->interrupt);
	hard->assigner.frame = &hard->frame;
	clu_narrow_begin(&hard->narrow, &own->narrow, fit->points, &hard->frame, own->filter_panel,
					 fit->interrupt);
	fit->objective_power = hard->metric == CLU_SQUARED ? 2 : 1;
}

void
clu_hard_start(clu_fit *fit, clu_random *random)
{
	clu_hard		 *hard = fit->state;
	const clu_points *points = fit->points;

	if (clu_option_integer(&fit->model.options, CLU_INIT) == CLU_INIT_RANDOM)
	{
		clu_seed_random(&hard->seeder, points, fit->model.center, random, fit->interrupt);
		return;
	}
	points = clu_coreset_draw(&hard->coreset, points, hard->frame.shift, hard->seeder.cost, random,
							  fit->interrupt);
	if (points != fit->points)
		clu_coarse_reset(&hard->sample, points->n);
	clu_seed_plusplus(&hard->seeder, points, &hard->frame, fit->model.center, random, fit->team,
					  fit->interrupt);
}

void
clu_hard_adopt(clu_fit *fit)
{
	for (size_t i = 0; i < (size_t) fit->model.k * (size_t) fit->model.d; i++)
		fit->model.center[i] /= fit->points->unit;
}

void
clu_hard_reset(clu_fit *fit)
{
	clu_hard *hard = fit->state;

	clu_assign_reset(&hard->assigner, fit->points->n);
	clu_exchange_reset(&hard->exchange);
	hard->has_previous = false;
	hard->last_objective = INFINITY;
}

void
clu_hard_prepare(clu_fit *fit)
{
	clu_hard *hard = fit->state;

	clu_assign_prepare(&hard->assigner, fit->model.center,
					   hard->has_previous ? hard->previous : NULL, fit->interrupt);
	memcpy(hard->previous, fit->model.center,
		   (size_t) fit->model.k * (size_t) fit->model.d * sizeof(double));
	hard->has_previous = true;
	for (int m = 0; m < hard->members; m++)
	{
		hard->member[m].changed = 0;
		hard->member[m].lost = false;
	}
}

bool
clu_hard_settled(clu_fit *fit)
{
	clu_hard *hard = fit->state;
	double	  tol = clu_option_number(&fit->model.options, CLU_TOL);

	for (int m = 0; m < hard->members; m++)
		fit->changed += hard->member[m].changed;
	if (fit->changed == 0 || clu_exchange_hopeless(fit))
		return true;
	return tol > 0 && hard->last_objective < INFINITY &&
		   hard->last_objective - fit->objective < tol * hard->last_objective;
}

/* ---- lost distances ---- */

/* Look for them among those of a block's points from their own centres. */
static void
look_for_lost(const clu_fit *fit, const clu_block *block, const double *distance,
			  clu_hard_member *own)
{
	const clu_hard *hard = fit->state;
	const uint32_t *label = hard->assigner.label + block->first;
	double			unit = fit->points->unit;

	if (hard->metric != CLU_SQUARED || unit <= 1)
		return;
	for (size_t i = 0; i < block->n && !own->lost; i++)
		own->lost = distance[i] < DBL_MIN &&
					clu_distance_is_lost(
						distance[i], clu_row(block->x, block->width, i, block->d, own->row),
						fit->model.center + label[i] * (size_t) block->d, block->d, unit);
}

static bool
any_lost(const clu_hard *hard)
{
	for (int m = 0; m < hard->members; m++)
		if (hard->member[m].lost)
			return true;
	return false;
}

/* ---- empty clusters ---- */

static void
measure_share(void *work, size_t item, int member, const clu_interrupt *interrupt)
{
	const clu_fit	*fit = work;
	clu_hard		*hard = fit->state;
	clu_hard_member *own = &hard->member[member];
	size_t			 number, end;

	memset(own->count, 0, (size_t) fit->model.k * sizeof(size_t));
	for (clu_points_share(fit->points, item, &number, &end); number < end; number++)
	{
		clu_block		block = clu_points_block(fit->points, number);
		const uint32_t *label = hard->assigner.label + block.first;

		clu_own_distances(hard->metric, &block, fit->model.center, label,
						  hard->seeder.cost + block.first, own->row);
		look_for_lost(fit, &block, hard->seeder.cost + block.first, own);
		for (size_t i = 0; i < block.n; i++)
			own->count[label[i]]++;
		clu_check(interrupt);
	}
}

static void
collect_counts(void *work, size_t item, int member)
{
	const clu_fit *fit = work;
	clu_hard	  *hard = fit->state;

	(void) item;
	for (int c = 0; c < fit->model.k; c++)
		hard->seeder.count[c] += hard->member[member].count[c];
}

const clu_task clu_own_distances_task = {measure_share, collect_counts};

/*
 * Every point's distance from its centre, to seeder.cost, and each cluster's points, to
 * seeder.count.
 */
static void
measure_points(clu_fit *fit)
{
	clu_hard *hard = fit->state;

	memset(hard->seeder.count, 0, (size_t) fit->model.k * sizeof(size_t));
	clu_team_run(fit->team, CLU_JOB_OWN_DISTANCES, fit, clu_points_shares(fit->points),
				 fit->interrupt);
}

clu_status
clu_hard_fill_empty(clu_fit *fit, clu_move_point move)
{
	clu_hard *hard = fit->state;
	uint32_t *label = hard->assigner.label;
	double	 *distance = hard->seeder.cost;
	size_t	 *count = hard->seeder.count;
	clu_block all = {fit->points->x, fit->points->w, 0,
					 fit->points->n, fit->points->d, fit->points->width};

	measure_points(fit);
	for (int c = 0; c < fit->model.k; c++)
	{
		size_t farthest = fit->points->n;

		if (count[c] > 0)
			continue;
		for (size_t i = 0; i < fit->points->n; i++)
			if (count[label[i]] > 1 &&
				(farthest == fit->points->n || distance[i] > distance[farthest]))
				farthest = i;
		if (any_lost(hard) && !(distance[farthest] > 0))
			return clu_fit_vanished(fit);
		count[label[farthest]]--;
		count[c] = 1;
		move(fit, 0, &all, (uint32_t) farthest, label[farthest], (uint32_t) c);
		label[farthest] = (uint32_t) c;
		clu_assign_doubt(&hard->assigner, farthest);
		fit->changed++;
		clu_check(fit->interrupt);
	}
	return CLU_OK;
}

/* ---- figures of the final model ---- */

/*
 * Labels get the new numbers, and gaps stay what they are: where one is positive no other centre is
 * as near, whatever its number.
 */
void
clu_hard_renumber(clu_fit *fit, const int *order)
{
	clu_hard *hard = fit->state;
	uint32_t *label = hard->assigner.label;
	size_t	 *number = hard->seeder.count; /* scratch: the new one of each cluster */
	size_t	  d = (size_t) fit->model.d, k = (size_t) fit->model.k;

	for (size_t c = 0; c < k; c++)
		number[order[c]] = c;
	clu_permute(hard->previous, fit->spare, order, (int) k, d);
	memcpy(hard->previous, fit->spare, k * d * sizeof(double));
	clu_assign_renumber(&hard->assigner, order, fit->spare);
	for (size_t i = 0; i < fit->points->n; i++)
	{
		label[i] = (uint32_t) number[label[i]];
		if (i % CHECK_POINTS == 0)
			clu_check(fit->interrupt);
	}
}

static void
clear_figures(clu_dd *cost, clu_dd *size, int k)
{
	memset(cost, 0, (size_t) k * sizeof(clu_dd));
	memset(size, 0, (size_t) k * sizeof(clu_dd));
}

static void
figures_of_block(const clu_fit *fit, const clu_block *block, clu_hard_member *own)
{
	const clu_hard *hard = fit->state;
	const uint32_t *label = hard->assigner.label + block->first;

	clu_own_distances(hard->metric, block, fit->model.center, label, own->distance, own->row);
	look_for_lost(fit, block, own->distance, own);
	for (size_t i = 0; i < block->n && block->w == NULL; i++)
	{
		clu_dd *cost = &own->cost[label[i]];

		*cost = clu_dd_add_double(*cost, own->distance[i]);
		own->size[label[i]].hi += 1;
	}
	for (size_t i = 0; i < block->n && block->w != NULL; i++)
	{
		clu_dd *cost = &own->cost[label[i]], *size = &own->size[label[i]];

		*cost = clu_dd_add_double(*cost, block->w[i] * own->distance[i]);
		*size = clu_dd_add_double(*size, block->w[i]);
	}
}

static void
figures_of_share(void *work, size_t item, int member, const clu_interrupt *interrupt)
{
	const clu_fit	*fit = work;
	clu_hard		*hard = fit->state;
	clu_hard_member *own = &hard->member[member];
	clu_block		 share = clu_points_share_block(fit->points, item);
	size_t			 number, end;

	own->changed += clu_assign_block(&hard->assigner, member, &share, own->changes, interrupt);
	if (hard->labels_only)
		return;
	clear_figures(own->cost, own->size, fit->model.k);
	for (clu_points_share(fit->points, item, &number, &end); number < end; number++)
	{
		clu_block block = clu_points_block(fit->points, number);

		figures_of_block(fit, &block, own);
		clu_check(interrupt);
	}
}

static void
add_figures(void *work, size_t item, int member)
{
	const clu_fit		  *fit = work;
	clu_hard			  *hard = fit->state;
	const clu_hard_member *own = &hard->member[member];

	(void) item;
	for (int c = 0; c < fit->model.k && !hard->labels_only; c++)
	{
		hard->cost[c] = clu_dd_add(hard->cost[c], own->cost[c]);
		hard->size[c] = clu_dd_add(hard->size[c], own->size[c]);
	}
}

const clu_task clu_figures_task = {figures_of_share, add_figures};

/* One more pass, with the final centres. */
static void
final_pass(clu_fit *fit, bool labels_only)
{
	clu_hard *hard = fit->state;

	clu_hard_prepare(fit);
	hard->labels_only = labels_only;
	clear_figures(hard->cost, hard->size, fit->model.k);
	clu_team_run(fit->team, CLU_JOB_FIGURES, fit, clu_points_shares(fit->points), fit->interrupt);
	fit->changed = 0;
	for (int m = 0; m < hard->members; m++)
		fit->changed += hard->member[m].changed;
}

void
clu_hard_label(clu_fit *fit)
{
	final_pass(fit, true);
}

/* Points are added up in their canonical order, so the sums need not be free of an order. */
void
clu_hard_finish(clu_fit *fit)
{
	clu_hard  *hard = fit->state;
	clu_model *model = &fit->model;
	clu_dd	   objective = {0, 0};

	final_pass(fit, false);
	for (int c = 0; c < model->k; c++)
	{
		objective = clu_dd_add(objective, hard->cost[c]);
		model->cost[c] = clu_dd_value(hard->cost[c]);
		model->size[c] = clu_dd_value(hard->size[c]);
		model->weight[c] = model->size[c] / fit->points->total_weight;
	}
	model->objective = clu_dd_value(objective);
	fit->lost = any_lost(hard);
}

void
clu_hard_restore(clu_fit *fit)
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
