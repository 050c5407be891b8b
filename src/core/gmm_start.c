/*
 * gmm_start.c
 *		Where a Gaussian mixture begins.
 *
 * The likelihood of a mixture has many local maxima, and which of them a fit climbs is decided by
 * its start.  So several are tried, as in Biernacki, Celeux and Govaert, "Choosing starting values
 * for the EM algorithm" (Comput. Stat. Data Anal. 41, 2003): each is followed for a few
 * iterations, on a sample where there are many points, and the fit then begins where the most
 * promising one began.
 *
 * A start is a clustering by K-means, turned into means and covariances of the clusters.  What
 * K-means sees of the data takes turns (gmm_sample.c); for the spherical and the fixed covariance
 * it sees the columns as they are.  Some of these clusterings are left unfinished on purpose,
 * because finished ones are all alike.  One view is learnt on the way: scales by which the
 * components of the best trial so far are round, so that small clusters far from all others,
 * which blow up the variance of the whole, don't hide what is near together.
 *
 * Starts whose trial ends with components held up by the floor (gmm_mstep.c) come after all
 * others: they live on a singularity.  Where a run ends on one in spite of its trial, others are
 * tried for longer before that is taken for the result.
 */
#include "gmm.h"

#include <limits.h>
#include <math.h>
#include <string.h>

#include "algorithms.h"
#include "elementary.h"
#include "kernel.h"
#include "kmeans.h"
#include "linalg.h"

#define UNFINISHED 2   /* iterations of an unfinished clustering */
#define WITHIN_EVERY 9 /* trials, one more as the best of them suggests */
#define MOST_RETRIES 2 /* after a run that ended on a singularity */
#define LONGER 8	   /* are the trials then followed */

/* Per unit of weight: a trial that gains less has shown what it's worth. */
#define STEADY 1e-5
#define STEADY_LONGER 1e-7

/*
 * How many trials and how long, by the work of one iteration in multiplications: small fits can
 * afford more, and need it more, since their likelihoods are rougher.
 */
typedef struct effort
{
	double work;
	int	   trials;
	int	   iterations;
} effort;

static const effort efforts[] = {{1e6, 20, 50}, {2e7, 12, 30}, {INFINITY, 8, 15}};

static const clu_gmm_view full_views[] = {CLU_GMM_STANDARD, CLU_GMM_WHITE, CLU_GMM_PRINCIPAL};
static const clu_gmm_view diag_views[] = {CLU_GMM_STANDARD, CLU_GMM_PRINCIPAL};
static const clu_gmm_view plain_views[] = {CLU_GMM_AS_IT_IS};

/* Whether K-means may see other than the columns as they are. */
static bool
has_views(const clu_model *model)
{
	return model->d > 1 && model->structure != CLU_COV_SPHERICAL &&
		   model->structure != CLU_COV_FIXED;
}

static int
views_of(const clu_model *model, const clu_gmm_view **views)
{
	*views = plain_views;
	if (!has_views(model))
		return 1;
	*views = model->structure == CLU_COV_DIAG ? diag_views : full_views;
	return model->structure == CLU_COV_DIAG ? 2 : 3;
}

void
clu_gmm_start_layout(clu_fit *fit, clu_gmm *state, clu_arena *arena)
{
	clu_model *model = &fit->model;

	if (fit->start_model != NULL && fit->start_model->k == model->k)
		return;
	clu_gmm_sample_layout(fit, state, arena);
	CLU_TAKE(arena, state->champion,
			 clu_parameter_count(CLU_GMM, model->structure, model->k, model->d));
	CLU_TAKE(arena, state->within, clu_covariance_count(CLU_GMM, model->structure, 1, model->d));
	CLU_TAKE(arena, state->kept,
			 clu_parameter_count(CLU_GMM, model->structure, model->k, model->d));
	CLU_TAKE(arena, state->pooled, clu_parameter_count(CLU_GMM, model->structure, 1, model->d));
	clu_seed_layout(&state->seeder, arena, CLU_SQUARED, state->sample.n, model->k, model->d, NULL,
					1);
	clu_kmeans_within_layout(&state->kmeans, arena, fit, &state->sample);
}

/* ---- from clusters to parameters ---- */

static clu_fit *
fit_on_sample(clu_fit *fit, const clu_model *model)
{
	clu_gmm *state = fit->state;

	state->on_sample = *fit;
	state->on_sample.points = &state->sample;
	state->on_sample.model = *model;
	return &state->on_sample;
}

/* Parameters of clusters; a cluster without points keeps what the model says. */
static void
refit_to_labels(clu_fit *fit, clu_model *model, const uint32_t *label)
{
	clu_gmm *state = fit->state;
	clu_fit *sample = fit_on_sample(fit, model);

	memset(model->center, 0, (size_t) model->k * (size_t) model->d * sizeof(double));
	state->label = label;
	clu_fit_pass(sample);
	state->label = NULL;
	clu_gmm_close(state);
	clu_gmm_refit(sample);
}

/* The mean and covariance of all: a mixture of one component. */
static clu_model
pool(clu_fit *fit)
{
	clu_gmm	 *state = fit->state;
	clu_model pooled = fit->model;
	uint32_t *label = state->seeder.member;

	pooled.k = 1;
	clu_model_bind(&pooled, state->pooled);
	memset(pooled.parameter, 0,
		   clu_parameter_count(CLU_GMM, pooled.structure, 1, pooled.d) * sizeof(double));
	if (pooled.structure == CLU_COV_FIXED)
		pooled.covariance[0] = state->known_variance;
	memset(label, 0, state->sample.n * sizeof(uint32_t));
	refit_to_labels(fit, &pooled, label);
	return pooled;
}

void
clu_gmm_take_sample(clu_fit *fit)
{
	clu_gmm *state = fit->state;

	clu_gmm_fill_sample(fit);
	state->whole = pool(fit);
}

/* The label of each point of the sample by the centres of the K-means fit. */
static void
label_sample(clu_fit *fit, uint32_t *label)
{
	clu_gmm			 *state = fit->state;
	const clu_points *sample = state->kmeans.points;
	double			 *panel = state->member[0].panel;
	double			  least[CLU_LANES], second[CLU_LANES], index[CLU_LANES];

	for (size_t first = 0; first < sample->n; first += CLU_LANES)
	{
		int n = (int) CLU_MIN(CLU_LANES, sample->n - first);

		clu_panel_from(panel, sample->x, sample->width, sample->d, first, n);
		clu_kernel->nearest(CLU_SQUARED, panel, sample->d, state->kmeans.model.center,
							state->kmeans.model.k, least, second, index);
		for (int lane = 0; lane < n; lane++)
			label[first + (size_t) lane] = (uint32_t) index[lane];
	}
}

/* Every component the whole, but for the means. */
static void
spread_pooled(clu_model *model, const clu_model *pooled, double shrink)
{
	size_t all = clu_covariance_count(CLU_GMM, model->structure, model->k, model->d);
	size_t one = clu_covariance_count(CLU_GMM, model->structure, 1, model->d);

	for (size_t i = 0; i < all; i++)
		model->covariance[i] = pooled->covariance[i % one] * shrink;
	for (int c = 0; c < model->k; c++)
	{
		model->weight[c] = 1.0 / model->k;
		model->size[c] = model->cost[c] = 0;
	}
}

static void
start_from_kmeans(clu_fit *fit, const clu_points *sample, int most, int64_t seed)
{
	clu_gmm	 *state = fit->state;
	clu_fit	 *kmeans = &state->kmeans;
	uint32_t *label = state->seeder.member;

	kmeans->points = sample;
	kmeans->model.options.value[CLU_MAX_ITER].integer = most;
	clu_kmeans_within_run(kmeans, seed);
	label_sample(fit, label);
	spread_pooled(&fit->model, &state->whole, 1);
	refit_to_labels(fit, &fit->model, label);
}

/* Random points for means, and the covariance of all, shrunk to their share of the volume. */
static void
start_from_points(clu_fit *fit, clu_random *random)
{
	clu_gmm	  *state = fit->state;
	clu_model *model = &fit->model;
	double	   shrink = clu_exp(-2 * clu_log(model->k) / model->d);

	clu_seed_random(&state->seeder, &state->sample, model->center, random, fit->interrupt);
	spread_pooled(model, &state->whole, model->structure == CLU_COV_FIXED ? 1 : shrink);
}

/* ---- trials ---- */

static const effort *
effort_for(const clu_fit *fit)
{
	const clu_gmm *state = fit->state;
	double work = (double) state->sample.n * (double) state->sums.width * (double) fit->model.k;
	const effort *found = efforts;

	while (work > found->work)
		found++;
	return found;
}

typedef struct trial
{
	int	   flaws;
	double log_likelihood;
} trial;

/* A trial is never followed for longer than the fit will be. */
static trial
follow(clu_fit *fit, int64_t most, double steady)
{
	clu_gmm *state = fit->state;
	clu_fit *sample = fit_on_sample(fit, &fit->model);
	trial	 result = {.log_likelihood = -INFINITY};
	double	 gain;

	most = CLU_MIN(most, clu_option_integer(&fit->model.options, CLU_MAX_ITER));
	for (int64_t i = 0;; i++)
	{
		clu_fit_pass(sample);
		clu_gmm_close(state);
		gain = *clu_gmm_sum_of(state->sums.total) - result.log_likelihood;
		gain = clu_counted_gain(&fit->model.options, gain);
		result.log_likelihood = *clu_gmm_sum_of(state->sums.total);
		if (i == most || gain < steady * state->sample.total_weight)
			return result;
		clu_gmm_refit(sample);
		result.flaws = state->flaws;
	}
}

static bool
is_better(const trial *a, const trial *b)
{
	if (a->flaws != b->flaws)
		return a->flaws < b->flaws;
	return a->log_likelihood > b->log_likelihood + 1e-9 * fabs(b->log_likelihood);
}

/* What the components vary by within themselves, on average. */
static void
keep_within(clu_fit *fit)
{
	clu_gmm			*state = fit->state;
	const clu_model *model = &fit->model;
	size_t			 count = clu_covariance_count(CLU_GMM, model->structure, 1, model->d);
	const double	*covariance = model->covariance;

	memset(state->within, 0, count * sizeof(double));
	for (int c = 0; c < model->k; c++)
	{
		for (size_t i = 0; i < count; i++)
			state->within[i] += model->weight[c] * covariance[i];
		if (model->structure != CLU_COV_TIED)
			covariance += count;
		clu_check(fit->interrupt);
	}
}

/* Follow one start; what is best so far is kept. */
static void
try_start(clu_fit *fit, clu_gmm_view view, bool finished, int64_t seed, trial *best)
{
	clu_gmm		 *state = fit->state;
	const effort *effort = effort_for(fit);
	double		 *start = fit->spare;
	size_t size = clu_parameter_count(CLU_GMM, fit->model.structure, fit->model.k, fit->model.d) *
				  sizeof(double);
	trial this;

	start_from_kmeans(fit, clu_gmm_see(fit, view), finished ? 300 : UNFINISHED, seed);
	memcpy(start, fit->model.parameter, size);
	if (state->retries > 0)
		this = follow(fit, effort->iterations * LONGER, STEADY_LONGER);
	else
		this = follow(fit, effort->iterations, STEADY);
	if (!is_better(&this, best))
		return;
	*best = this;
	memcpy(state->champion, start, size);
	if (has_views(&fit->model))
		keep_within(fit);
}

/*
 * Leave the start of the most promising trial in the model.  After the finished clusterings, and
 * now and then later, the best trial so far says how K-means is to see the data next.
 */
static void
start_from_trials(clu_fit *fit, clu_random *random)
{
	clu_gmm			   *state = fit->state;
	const clu_gmm_view *views;
	int					count = views_of(&fit->model, &views), trials = effort_for(fit)->trials;
	trial				best = {.flaws = INT_MAX};

	for (int i = 0; i < trials; i++)
	{
		int64_t seed = (int64_t) (clu_random_bits(random) >> 1);
		int		after = i - (count - 1);

		try_start(fit, views[i % count], i < count, seed, &best);
		if (has_views(&fit->model) && after >= 0 && after % WITHIN_EVERY == 0)
			try_start(fit, CLU_GMM_WITHIN, true, seed, &best);
	}
	memcpy(fit->model.parameter, state->champion,
		   clu_parameter_count(CLU_GMM, fit->model.structure, fit->model.k, fit->model.d) *
			   sizeof(double));
	state->sound = best.flaws == 0;
}

static void
start_again(clu_fit *fit, clu_random *random)
{
	clu_gmm *state = fit->state;

	state->sound = false;
	if (clu_option_integer(&fit->model.options, CLU_INIT) == CLU_INIT_RANDOM)
		start_from_points(fit, random);
	else if (fit->model.k == 1)
	{
		spread_pooled(&fit->model, &state->whole, 1);
		memcpy(fit->model.center, state->whole.center, (size_t) fit->model.d * sizeof(double));
	}
	else
		start_from_trials(fit, random);
}

void
clu_gmm_start(clu_fit *fit, clu_random *random)
{
	clu_gmm *state = fit->state;

	state->retries = 0;
	start_again(fit, random);
}

/* ---- a run that ended on a singularity, though its trial had not ---- */

static void
keep(clu_fit *fit, size_t size)
{
	clu_gmm *state = fit->state;

	memcpy(state->kept, fit->model.parameter, size);
	state->kept_flaws = fit->flaws;
	state->kept_objective = fit->objective;
	state->kept_iteration = fit->iteration;
	state->kept_converged = fit->converged;
}

static void
take_kept(clu_fit *fit, size_t size)
{
	clu_gmm *state = fit->state;

	memcpy(fit->model.parameter, state->kept, size);
	fit->flaws = state->kept_flaws;
	fit->objective = state->kept_objective;
	fit->iteration = state->kept_iteration;
	fit->converged = state->kept_converged;
}

clu_improvement
clu_gmm_improve(clu_fit *fit, bool converged, clu_random *random)
{
	clu_gmm *state = fit->state;
	size_t	 size = clu_parameter_count(CLU_GMM, fit->model.structure, fit->model.k, fit->model.d) *
				  sizeof(double);

	(void) converged;
	if (fit->flaws == 0 || (state->retries == 0 && !state->sound))
		return CLU_FINAL;
	if (state->retries == 0 || fit->flaws < state->kept_flaws)
		keep(fit, size);
	if (state->retries == MOST_RETRIES)
	{
		take_kept(fit, size);
		return CLU_FINAL;
	}
	state->retries++;
	start_again(fit, random);
	state->last_objective = INFINITY;
	return CLU_ATTEMPT;
}
