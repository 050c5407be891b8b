/*
 * bernoulli.c
 *		Mixtures of Bernoulli distributions, fitted by expectation maximisation.
 *
 * A row of d bits comes from one of k components, from component c with probability pi_c; within
 * it the bits are independent and bit j is 1 with probability theta_cj:
 *
 *		p(x) = sum_c pi_c prod_j theta_cj^x_j (1 - theta_cj)^(1 - x_j)
 *
 * EM (Dempster, Laird and Rubin, JRSS B 39, 1977; for this model Bishop, Pattern Recognition and
 * Machine Learning, 9.3.3) alternates, for points i of weight w_i,
 *
 *		E	r_ic = pi_c p(x_i | c) / p(x_i)
 *		M	N_c = sum_i w_i r_ic,  theta_cj = sum_i w_i r_ic x_ij / N_c,  pi_c = N_c / sum_i w_i
 *
 * and the log likelihood sum_i w_i ln p(x_i) never falls.  With smoothing s, theta_cj is
 * (sum_i w_i r_ic x_ij + s) / (N_c + 2 s): the mode under a Beta(1 + s, 1 + s) prior for each
 * theta, and what never falls is the log likelihood plus s sum_cj ln(theta_cj (1 - theta_cj)).
 *
 * Everything is in logarithms: a product of 784 factors is less than the least double.  Both
 * steps run over the same tables: the E-step looks rows up in them (bernoulli_tables.c), the
 * M-step adds responsibilities where it looked (bernoulli_sums.c).
 *
 * Ones and zeros are both summed, and theta is ones / (ones + zeros): it is exactly 0 or 1 where
 * all points of a component agree, which a quotient of two differently rounded sums would miss.
 * Such thetas are legitimate maxima and stay; tables with -infinity are correct for them.
 *
 * A point that all components call impossible can only be met in the first pass from a start
 * model with zeros and ones.  It then belongs to the component that it contradicts least.  A
 * component that no point belongs to keeps its theta and has a weight of 0.
 *
 * All sums run in the order of the points, in shares, so the same points give the same bits on
 * every machine.
 */
#include "bernoulli.h"

#include <math.h>
#include <string.h>

#include "algorithms.h"

static void
member_layout(clu_bernoulli_member *member, clu_arena *arena, const clu_bits *bits, size_t block)
{
	size_t kp = (size_t) bits->kp;

	CLU_TAKE(arena, member->responsibility, clu_size_product(block, kp));
	CLU_TAKE(arena, member->log_density, block);
	CLU_TAKE(arena, member->counts, block * kp / 8);
	clu_bernoulli_sums_layout(member, arena, bits, block);
}

static void
layout(clu_fit *fit, clu_arena *arena)
{
	size_t		   block = clu_points_block(fit->points, 0).n;
	clu_bernoulli *state;
	clu_bernoulli  measured;
	clu_bits	   bits = clu_bits_shape(fit->model.k, fit->model.d);
	size_t		   k = (size_t) bits.k, kp = (size_t) bits.kp, d = (size_t) bits.d;

	CLU_TAKE(arena, state, 1);
	fit->state = state;
	if (state == NULL)
		state = &measured;
	state->bits = bits;
	CLU_TAKE(arena, state->table, clu_bits_table_size(&bits));
	CLU_TAKE(arena, state->sums.ones, clu_size_product(k, d));
	CLU_TAKE(arena, state->sums.zeros, clu_size_product(k, d));
	CLU_TAKE(arena, state->log_weight, kp);
	CLU_TAKE(arena, state->passed, clu_size_product(k, d + 1));
	CLU_TAKE(arena, state->scratch, 2 * d);
	state->members = clu_team_members(fit->team);
	CLU_TAKE(arena, state->member, (size_t) state->members);
	for (int m = 0; m < state->members; m++)
	{
		clu_bernoulli_member unused;

		member_layout(state->member == NULL ? &unused : &state->member[m], arena, &bits, block);
	}
	clu_bernoulli_start_layout(state, arena, fit);
}

static bool
uniform_weights(const clu_fit *fit)
{
	return clu_option_integer(&fit->model.options, CLU_WEIGHTS) == CLU_WEIGHTS_UNIFORM;
}

static clu_status
begin(clu_fit *fit)
{
	clu_bernoulli *state = fit->state;

	state->smoothing =
		clu_option_number(&fit->model.options, CLU_SMOOTHING) / fit->points->weight_unit;
	memset(fit->model.cost, 0, (size_t) fit->model.k * sizeof(double));
	if (fit->start_model == NULL || fit->start_model->k != fit->model.k)
		clu_bernoulli_draw_sample(fit);
	return CLU_OK;
}

static void
adopt(clu_fit *fit)
{
	memset(fit->model.cost, 0, (size_t) fit->model.k * sizeof(double));
	if (uniform_weights(fit))
		for (int c = 0; c < fit->model.k; c++)
			fit->model.weight[c] = 1.0 / fit->model.k;
}

static void
reset(clu_fit *fit)
{
	clu_bernoulli *state = fit->state;

	state->moved = true;
}

/* ---- E-step ---- */

static void
clear(clu_bernoulli *state)
{
	const clu_bits *bits = &state->bits;
	size_t			columns = (size_t) bits->k * (size_t) bits->d;

	memset(state->sums.ones, 0, columns * sizeof(double));
	memset(state->sums.zeros, 0, columns * sizeof(double));
	state->log_likelihood = (clu_dd) {0, 0};
	for (int m = 0; m < state->members; m++)
	{
		clu_bernoulli_member *member = &state->member[m];

		clu_bernoulli_clear_sums(bits, member);
		member->log_likelihood = (clu_dd) {0, 0};
	}
}

static void
remember_parameters(const clu_fit *fit)
{
	const clu_bernoulli *state = fit->state;
	size_t				 k = (size_t) fit->model.k, d = (size_t) fit->model.d;

	memcpy(state->passed, fit->model.weight, k * sizeof(double));
	memcpy(state->passed + k, fit->model.center, k * d * sizeof(double));
}

/* Whether the last pass was with the parameters at hand. */
static bool
has_passed(const clu_fit *fit)
{
	const clu_bernoulli *state = fit->state;
	size_t				 k = (size_t) fit->model.k, d = (size_t) fit->model.d;

	return memcmp(state->passed, fit->model.weight, k * sizeof(double)) == 0 &&
		   memcmp(state->passed + k, fit->model.center, k * d * sizeof(double)) == 0;
}

static void
prepare(clu_fit *fit)
{
	clu_bernoulli *state = fit->state;
	double		   s = state->smoothing;

	state->prior = 0;
	clu_bits_fill(&state->bits, fit->model.center, state->table, state->scratch,
				  s > 0 ? &state->prior : NULL);
	state->prior *= s;
	clu_bits_log_weights(&state->bits, fit->model.weight, state->log_weight);
	remember_parameters(fit);
	clear(state);
}

/* Give the points that nobody claims to the component that they contradict least. */
static void
place_impossible(const clu_fit *fit, const clu_block *block, clu_bernoulli_member *own)
{
	const clu_bernoulli *state = fit->state;
	const clu_bits		*bits = &state->bits;

	for (size_t i = 0; i < block->n; i++)
	{
		const uint64_t *x = (const uint64_t *) block->x + i * bits->words;
		int				c;

		if (own->log_density[i] > -INFINITY)
			continue;
		c = clu_bits_least_disagreement(bits, x, fit->model.weight, fit->model.center);
		own->responsibility[i * (size_t) bits->kp + (size_t) c] = 1;
		own->counts[(i * (size_t) bits->kp + (size_t) c) / 8] = (uint8_t) (1 << c % 8);
	}
}

/* Sum of weight * log density over a block, in eight partial sums. */
static double
weighted_sum(const double *value, const clu_block *block)
{
	double sum[8] = {0};

	for (size_t i = 0; i < block->n; i++)
		sum[i % 8] += clu_weight(block->w, i) * value[i];
	return clu_sum_eight(sum);
}

static void
expect(const clu_fit *fit, const clu_block *block, clu_bernoulli_member *own)
{
	const clu_bernoulli *state = fit->state;
	const clu_bits		*bits = &state->bits;
	double				 sum;

	clu_bits_log_joint(bits, block->x, (int) block->n, state->table, state->log_weight,
					   own->responsibility, fit->interrupt);
	clu_kernel->softmax(own->responsibility, bits->kp, (int) block->n, own->log_density,
						own->counts);
	sum = weighted_sum(own->log_density, block);
	if (!(sum > -INFINITY))
		place_impossible(fit, block, own);
	own->log_likelihood = clu_dd_add_logs(own->log_likelihood, (clu_dd) {sum, 0});
}

static void
accumulate(clu_fit *fit, const clu_block *block, int member)
{
	const clu_bernoulli	 *state = fit->state;
	clu_bernoulli_member *own = &state->member[member];

	expect(fit, block, own);
	clu_bernoulli_add(&state->bits, block, own, fit->interrupt);
}

static void
collect(clu_fit *fit, int member)
{
	clu_bernoulli		 *state = fit->state;
	clu_bernoulli_member *own = &state->member[member];

	state->log_likelihood = clu_dd_add_logs(state->log_likelihood, own->log_likelihood);
	own->log_likelihood = (clu_dd) {0, 0};
	clu_bernoulli_collect_sums(state, own);
}

/* ---- M-step ---- */

static void
set(clu_bernoulli *state, double *parameter, double value)
{
	state->moved = state->moved || *parameter != value;
	*parameter = value;
}

/* The sum of the responsibilities of a component. */
static double
size_of(const clu_bernoulli *state, int c)
{
	size_t first = (size_t) c * (size_t) state->bits.d;

	return state->sums.ones[first] + state->sums.zeros[first];
}

static void
refit_component(clu_fit *fit, int c, double total)
{
	clu_bernoulli *state = fit->state;
	size_t		   d = (size_t) state->bits.d;
	double		  *theta = fit->model.center + (size_t) c * d;
	const double  *ones = state->sums.ones + (size_t) c * d;
	const double  *zeros = state->sums.zeros + (size_t) c * d;
	double		   s = state->smoothing, size = size_of(state, c);

	fit->model.size[c] = size;
	if (uniform_weights(fit))
		fit->model.weight[c] = 1.0 / fit->model.k;
	else
		set(state, &fit->model.weight[c], size / total);
	if (!(size + s > 0))
		return;
	for (size_t j = 0; j < d; j++)
		set(state, &theta[j], (ones[j] + s) / (ones[j] + zeros[j] + 2 * s));
}

/* The sums over the components' sizes make the weights sum to one, to the last bits. */
static void
maximise(clu_fit *fit)
{
	clu_bernoulli *state = fit->state;
	double		   total = 0;

	for (int c = 0; c < fit->model.k; c++)
		total += size_of(state, c);
	state->moved = false;
	for (int c = 0; c < fit->model.k; c++)
		refit_component(fit, c, total);
}

static clu_status
refit(clu_fit *fit)
{
	maximise(fit);
	return CLU_OK;
}

static double
objective_of_pass(const clu_fit *fit)
{
	const clu_bernoulli *state = fit->state;

	return -clu_dd_value(clu_dd_add_logs(state->log_likelihood, (clu_dd) {state->prior, 0}));
}

static bool
settled(clu_fit *fit)
{
	clu_bernoulli *state = fit->state;
	double		   tol = clu_option_number(&fit->model.options, CLU_TOL);
	double		   before = fit->objective;

	fit->objective = objective_of_pass(fit);
	if (fit->iteration == 0)
		return false;
	return !state->moved || (tol > 0 && before - fit->objective < tol * fit->points->total_weight);
}

double
clu_bernoulli_iterate(clu_fit *fit)
{
	clu_fit_pass(fit);
	maximise(fit);
	return objective_of_pass(fit);
}

/* ---- figures of the final model ---- */

/*
 * A run ends with a pass; another one is needed after another run, or when components changed
 * places.
 */
static void
finish(clu_fit *fit)
{
	clu_bernoulli *state = fit->state;
	clu_model	  *model = &fit->model;

	if (!has_passed(fit))
		clu_fit_pass(fit);
	for (int c = 0; c < model->k; c++)
		model->size[c] = size_of(state, c);
	model->log_likelihood = clu_dd_value(state->log_likelihood);
	model->objective = -model->log_likelihood;
	model->flags |= CLU_MODEL_LIKELIHOOD;
}

static void
restore(clu_fit *fit)
{
	clu_model *model = &fit->model;

	for (int c = 0; c < model->k; c++)
		model->size[c] *= fit->points->weight_unit;
	model->log_likelihood *= fit->points->weight_unit;
	model->objective *= fit->points->weight_unit;
}

static int
statistics(clu_fit *fit, clu_statistic *list)
{
	clu_bernoulli *state = fit->state;
	size_t		   count = (size_t) state->bits.k * (size_t) state->bits.d;

	list[0] = (clu_statistic) {NULL, &state->log_likelihood.hi, 2, true};
	list[1] = (clu_statistic) {&state->sums.ones, NULL, count, false};
	list[2] = (clu_statistic) {&state->sums.zeros, NULL, count, false};
	return 3;
}

const clu_verbs clu_bernoulli_verbs = {
	.late_objective = true,
	.layout = layout,
	.begin = begin,
	.start = clu_bernoulli_start,
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
