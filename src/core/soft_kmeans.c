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
 * A refit is what the E-step and the M-step of Gaussian mixtures do, and their kernels do it, for a
 * few panels of points at once.  Responsibilities below 1e-20 of a point's greatest become 0.
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
#include "kernel.h"
#include "soft_kmeans.h"

/* A centre that moves less than this share of the typical distance stands still. */
#define STANDS_STILL 1e-12

static void
member_layout(clu_soft_member *member, clu_arena *arena, size_t panels, size_t k, size_t d)
{
	size_t points = panels * CLU_LANES;

	CLU_TAKE(arena, member->sum, clu_size_product(k, d));
	CLU_TAKE(arena, member->weight, k);
	CLU_TAKE(arena, member->panel, points * d);
	CLU_TAKE(arena, member->term, clu_size_product(k, points));
	CLU_TAKE(arena, member->point_weight, points);
	CLU_TAKE(arena, member->total, points);
	CLU_TAKE(arena, member->active, k * panels);
	CLU_TAKE(arena, member->square, d);
}

static void
layout(clu_fit *fit, clu_arena *arena)
{
	size_t	  k = (size_t) fit->model.k, d = (size_t) fit->model.d;
	clu_soft *state;
	clu_soft  measured;

	CLU_TAKE(arena, state, 1);
	fit->state = state;
	if (state == NULL)
		state = &measured;
	clu_soft_start_layout(fit, state, arena);
	CLU_TAKE(arena, state->sum, clu_size_product(k, d));
	CLU_TAKE(arena, state->weight, k);
	state->members = clu_team_members(fit->team);
	CLU_TAKE(arena, state->member, (size_t) state->members);
	for (int m = 0; m < state->members; m++)
	{
		clu_soft_member measured_member;

		member_layout(state->member == NULL ? &measured_member : &state->member[m], arena,
					  (size_t) clu_panels_together(fit->model.d), k, d);
	}
}

static clu_status
begin(clu_fit *fit)
{
	clu_soft *state = fit->state;
	double	  unit = fit->points->unit;

	state->beta = clu_option_number(&fit->model.options, CLU_BETA) * unit * unit;
	if (!(state->beta > 0 && state->beta < INFINITY))
		return clu_fail(fit->error, CLU_UNDERFLOW,
						"Beta times a squared distance is beyond the range of double precision.", 0,
						0);
	state->pricing = false;
	fit->objective_power = 2;
	return CLU_OK;
}

void
clu_soft_adopt(clu_fit *fit)
{
	for (size_t i = 0; i < (size_t) fit->model.k * (size_t) fit->model.d; i++)
		fit->model.center[i] /= fit->points->unit;
}

static void
reset(clu_fit *fit)
{
	clu_soft *state = fit->state;

	state->last_objective = INFINITY;
	state->moved = INFINITY;
}

static void
prepare(clu_fit *fit)
{
	clu_soft *state = fit->state;
	size_t	  k = (size_t) fit->model.k, d = (size_t) fit->model.d;

	memset(state->sum, 0, k * d * sizeof(clu_dd));
	memset(state->weight, 0, k * sizeof(clu_dd));
	state->energy = (clu_dd) {0, 0};
	for (int m = 0; m < state->members; m++)
	{
		clu_soft_member *member = &state->member[m];

		memset(member->sum, 0, k * d * sizeof(double));
		memset(member->weight, 0, k * sizeof(double));
		memset(member->square, 0, d * sizeof(double));
		member->energy = (clu_dd) {0, 0};
	}
}

/* ---- a chunk of a block ---- */

/* The points of a panel, and all squared distances. */
static void
measure_panel(const clu_soft_chunk *at, int p)
{
	const clu_block *block = at->block;
	clu_soft_member *own = at->own;
	size_t			 lane = (size_t) p * CLU_LANES, n = CLU_MIN(at->n - lane, CLU_LANES);
	double			*panel = own->panel + lane * (size_t) block->d;

	for (size_t i = 0; i < CLU_LANES; i++)
		own->point_weight[lane + i] = i < n ? clu_weight(block->w, at->first + lane + i) : 0;
	clu_panel_from(panel, block->x, block->width, block->d, at->first + lane, (int) n);
	clu_kernel->distances(CLU_SQUARED, panel, block->d, at->model->center, at->model->k,
						  clu_soft_terms(at, p, 0));
}

/*
 * Squared distances to terms, of which the largest is 0; the weighted least squared distances are
 * added to eight sums.
 */
static void
make_terms(const clu_soft_chunk *at, int p, double *sum)
{
	const double *w = at->own->point_weight + p * CLU_LANES;
	double		  least[CLU_LANES], beta = at->state->beta;

	memcpy(least, clu_soft_terms(at, p, 0), sizeof(least));
	for (int c = 1; c < at->model->k; c++)
	{
		const double *distance = clu_soft_terms(at, p, c);

		for (int lane = 0; lane < CLU_LANES; lane++)
			least[lane] = CLU_MIN(least[lane], distance[lane]);
	}
	for (int c = 0; c < at->model->k; c++)
	{
		double *term = clu_soft_terms(at, p, c);

		for (int lane = 0; lane < CLU_LANES; lane++)
			term[lane] = -beta * (term[lane] - least[lane]);
	}
	for (int lane = 0; lane < CLU_LANES; lane++)
		sum[lane % 8] += w[lane] * least[lane];
}

/* Terms to weights times responsibilities; returns the free energy. */
static double
share_out(const clu_soft_chunk *at)
{
	static const double none[CLU_MOST_PANELS * CLU_LANES] = {0};
	clu_soft_member	   *own = at->own;
	double				least[8] = {0}, log_sum[8] = {0};

	for (int p = 0; p < at->panels; p++)
	{
		int		 lane = p * CLU_LANES;
		uint32_t owner[CLU_LANES];

		make_terms(at, p, least);
		clu_kernel->gmm_share(clu_soft_terms(at, p, 0), at->model->k, own->point_weight + lane,
							  none, own->total + lane, owner, own->active + p * at->model->k);
	}
	clu_kernel->gmm_log_sum(at->panels * CLU_LANES, own->point_weight, none, own->total, log_sum);
	return clu_sum_eight(least) - clu_sum_eight(log_sum) / at->state->beta;
}

static void
add_prices(const clu_soft_chunk *at, const clu_interrupt *interrupt)
{
	double unused[8] = {0};

	for (int p = 0; p < at->panels; p++)
	{
		make_terms(at, p, unused);
		clu_soft_add_prices(at, p, interrupt);
	}
}

/* The moments of a cluster about its centre. */
static void
add_moments(const clu_soft_chunk *at, int c)
{
	clu_soft_member *own = at->own;
	size_t			 d = (size_t) at->model->d;
	const double	*r[CLU_MOST_PANELS];
	int				 which[CLU_MOST_PANELS];
	int panels = clu_active_panels(own->active, own->term, at->panels, at->model->k, c, r, which);

	if (panels > 0)
		clu_kernel->gmm_moments_diag(own->panel, r, which, panels, at->model->d,
									 at->model->center + (size_t) c * d, &own->weight[c],
									 own->sum + (size_t) c * d, own->square);
}

static void
accumulate(clu_fit *fit, const clu_block *block, int member)
{
	const clu_soft	*state = fit->state;
	clu_soft_member *own = &state->member[member];
	size_t			 size = (size_t) clu_panels_together(block->d) * CLU_LANES;
	clu_soft_chunk	 at = {.state = state, .own = own, .model = &fit->model, .block = block};
	double			 energy = 0;

	for (; at.first < block->n; at.first += size)
	{
		at.n = CLU_MIN(block->n - at.first, size);
		at.panels = (int) ((at.n + CLU_LANES - 1) / CLU_LANES);
		for (int p = 0; p < at.panels; p++)
		{
			measure_panel(&at, p);
			clu_check(fit->interrupt);
		}
		if (state->pricing)
		{
			add_prices(&at, fit->interrupt);
			continue;
		}
		energy += share_out(&at);
		clu_check(fit->interrupt);
		for (int c = 0; c < fit->model.k; c++)
		{
			add_moments(&at, c);
			clu_check_row(fit->interrupt, (size_t) c, block->d);
		}
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
	clu_soft		*state = fit->state;
	clu_soft_member *own = &state->member[member];
	size_t			 k = (size_t) fit->model.k, d = (size_t) fit->model.d;

	move_to_sums(state->sum, own->sum, k * d);
	move_to_sums(state->weight, own->weight, k);
	state->energy = clu_dd_add(state->energy, own->energy);
	own->energy = (clu_dd) {0, 0};
}

static bool
settled(clu_fit *fit)
{
	clu_soft *state = fit->state;
	double	  tol = clu_option_number(&fit->model.options, CLU_TOL);

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
	clu_soft *state = fit->state;
	size_t	  d = (size_t) fit->model.d;
	double	 *center = fit->model.center + (size_t) c * d;
	double	  weight = clu_dd_value(state->weight[c]), way = 0, far = 0;

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
	clu_soft *state = fit->state;
	double	  typical = sqrt(fabs(fit->objective) / fit->points->total_weight);

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
	clu_soft  *state = fit->state;
	clu_model *model = &fit->model;

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
	clu_soft *state = fit->state;
	size_t	  k = (size_t) fit->model.k, d = (size_t) fit->model.d;

	list[0] = (clu_statistic) {(double **) &state->sum, NULL, 2 * k * d, true};
	list[1] = (clu_statistic) {(double **) &state->weight, NULL, 2 * k, true};
	list[2] = (clu_statistic) {NULL, &state->energy.hi, 2, true};
	return 3;
}

const clu_verbs clu_soft_kmeans_verbs = {
	.late_objective = true,
	.layout = layout,
	.begin = begin,
	.start = clu_soft_start,
	.adopt = clu_soft_adopt,
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
