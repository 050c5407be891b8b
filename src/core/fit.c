/*
 * fit.c
 *		Starts, iterations, the best of several runs, and the numbering of the clusters.
 */
#include "fit.h"

#include <float.h>
#include <math.h>
#include <string.h>

#include "algorithms.h"

/* Runs whose objectives differ by less than this are equally good: the earlier one is kept. */
#define SAME_OBJECTIVE 1e-12

/* Without labels it's only rounding that the numbers change. */
#define MOST_ROUNDINGS 10

const clu_verbs *
clu_fit_verbs(clu_algorithm algorithm, const clu_options *options)
{
	switch (algorithm)
	{
		case CLU_KMEANS:
			return clu_option_is_set(options, CLU_BETA) ? &clu_soft_kmeans_verbs
														: &clu_kmeans_verbs;
		case CLU_KMEDIANS:
			return &clu_kmedians_verbs;
		case CLU_GMM:
			return &clu_gmm_verbs;
		case CLU_BERNOULLI:
			return &clu_bernoulli_verbs;
	}
	return NULL;
}

clu_status
clu_fit_clusters(const clu_options *options, int k, size_t distinct, int *clusters,
				 clu_error *error)
{
	*clusters = k;
	if (distinct >= (size_t) k)
		return CLU_OK;
	if (!clu_option_integer(options, CLU_ALLOW_FEWER))
		return clu_fail(error, CLU_FEWER_POINTS, NULL, k, (double) distinct);
	*clusters = (int) distinct;
	return CLU_OK;
}

static size_t
parameter_count(const clu_model *model)
{
	return clu_parameter_count(model->algorithm, model->structure, model->k, model->d);
}

void
clu_fit_layout(clu_fit *fit, clu_arena *arena)
{
	size_t	count = parameter_count(&fit->model);
	double *parameter;

	CLU_TAKE(arena, parameter, count);
	CLU_TAKE(arena, fit->best, count);
	CLU_TAKE(arena, fit->spare, count);
	if (parameter != NULL)
		clu_model_bind(&fit->model, parameter);
	fit->verbs->layout(fit, arena);
}

/* ---- a pass over the points ---- */

/* The fit as a member of the team sees it: with functions of its own process. */
static clu_fit
seen_by_member(const clu_fit *fit, const clu_interrupt *interrupt)
{
	clu_fit seen = {0};

	/* all but what is counted meanwhile */
	memcpy(&seen, fit, offsetof(clu_fit, seen));
	seen.verbs = clu_fit_verbs(fit->model.algorithm, &fit->model.options);
	seen.interrupt = interrupt;
	return seen;
}

static void
pass_share(void *work, size_t item, int member, const clu_interrupt *interrupt)
{
	clu_fit *all = work;
	clu_fit	 fit = seen_by_member(all, interrupt);
	size_t	 block, end;

	if (fit.verbs->whole_shares)
	{
		clu_block share = clu_points_share_block(fit.points, item);

		fit.verbs->accumulate(&fit, &share, member);
		__atomic_fetch_add(&all->seen, share.n, __ATOMIC_RELAXED);
		return;
	}
	for (clu_points_share(fit.points, item, &block, &end); block < end; block++)
	{
		clu_block at = clu_points_block(fit.points, block);

		fit.verbs->accumulate(&fit, &at, member);
		__atomic_fetch_add(&all->seen, at.n, __ATOMIC_RELAXED);
		clu_check(interrupt);
	}
}

static void
collect_share(void *work, size_t item, int member)
{
	clu_fit fit = seen_by_member(work, NULL);

	(void) item;
	fit.verbs->collect(&fit, member);
}

const clu_task clu_pass_task = {pass_share, NULL};
const clu_task clu_collecting_pass_task = {pass_share, collect_share};

void
clu_fit_pass(clu_fit *fit)
{
	clu_job job = fit->verbs->collect == NULL ? CLU_JOB_PASS : CLU_JOB_COLLECTING_PASS;

	fit->changed = 0;
	fit->verbs->prepare(fit);
	clu_team_run(fit->team, job, fit, clu_points_shares(fit->points), fit->interrupt);
}

/* ---- runs ---- */

static void
record(clu_fit *fit)
{
	clu_trace entry = {
		.run = fit->run,
		.iteration = (uint32_t) fit->iteration,
		.objective = fmin(clu_in_input_units(fit, fit->objective), DBL_MAX),
		.changed = fit->changed,
	};

	if (fit->trace != NULL)
		fit->trace(fit->trace_context, &entry);
}

/* Refits until the run comes to its end, converged or not. */
static clu_status
run(clu_fit *fit)
{
	int64_t	   most = clu_option_integer(&fit->model.options, CLU_MAX_ITER);
	clu_status status = CLU_OK;

	for (;;)
	{
		clu_fit_pass(fit);
		fit->converged = fit->verbs->settled(fit);
		if (fit->verbs->late_objective && fit->iteration > 0)
			record(fit);
		if (fit->converged || fit->iteration >= most)
			return CLU_OK;
		fit->iteration++;
		status = fit->verbs->refit(fit);
		if (status != CLU_OK)
			return status;
		if (!fit->verbs->late_objective)
			record(fit);
	}
}

static void
begin_run(clu_fit *fit)
{
	fit->run++;
	fit->iteration = 0;
	fit->converged = false;
	fit->flaws = 0;
}

/* From one start to the best that is found from there. */
static clu_status
run_and_improve(clu_fit *fit, clu_random *random)
{
	clu_improvement improvement = CLU_FINAL;
	bool			attempting = false;

	begin_run(fit);
	fit->objective = INFINITY;
	fit->verbs->reset(fit);
	do
	{
		clu_status status = run(fit);

		if (status != CLU_OK)
			return status;
		if (fit->verbs->improve == NULL || !(fit->converged || attempting))
			return CLU_OK;
		improvement = fit->verbs->improve(fit, fit->converged, random);
		if (improvement == CLU_ATTEMPT)
			begin_run(fit);
		attempting = improvement == CLU_ATTEMPT || (attempting && improvement == CLU_BETTER);
	} while (improvement != CLU_FINAL);
	return CLU_OK;
}

/* Whether the run that has ended is better than the best before it. */
static bool
is_better(const clu_fit *fit, double best, int best_flaws)
{
	if (fit->flaws != best_flaws)
		return fit->flaws < best_flaws;
	return fit->objective < best - SAME_OBJECTIVE * fabs(best);
}

/* The starts from k; the parameters of the best end up in fit->model. */
static clu_status
run_starts(clu_fit *fit)
{
	const clu_options *options = &fit->model.options;
	int64_t			   starts = clu_option_integer(options, CLU_N_INIT);
	size_t			   size = parameter_count(&fit->model) * sizeof(double);
	double			   best = INFINITY;
	int64_t			   best_iteration = 0;
	bool			   best_converged = false;
	int				   best_flaws = 0;

	for (int64_t i = 1; i <= starts; i++)
	{
		clu_random random = clu_random_start(clu_option_integer(options, CLU_SEED), (uint64_t) i);
		clu_status status;

		fit->start = i;
		fit->verbs->start(fit, &random);
		status = run_and_improve(fit, &random);
		if (status != CLU_OK)
			return status;
		if (i == 1 || is_better(fit, best, best_flaws))
		{
			best = fit->objective;
			best_flaws = fit->flaws;
			best_iteration = fit->iteration;
			best_converged = fit->converged;
			memcpy(fit->best, fit->model.parameter, size);
		}
	}
	memcpy(fit->model.parameter, fit->best, size);
	fit->objective = best;
	fit->iteration = best_iteration;
	fit->converged = best_converged;
	return CLU_OK;
}

clu_status
clu_fit_adopt(clu_fit *fit)
{
	memcpy(fit->model.parameter, fit->start_model->parameter,
		   parameter_count(&fit->model) * sizeof(double));
	fit->verbs->adopt(fit);
	if (!clu_model_in_range(&fit->model))
		return clu_fail(fit->error, CLU_UNDERFLOW,
						"The start model is too large or too small beside the points.", 0, 0);
	return CLU_OK;
}

static clu_status
run_from_model(clu_fit *fit)
{
	const clu_model *start = fit->start_model;

	if (start->k == fit->model.k)
	{
		clu_status status = clu_fit_adopt(fit);

		if (status != CLU_OK)
			return status;
	}
	else
	{
		/* fewer distinct points than clusters: each point is a cluster */
		clu_random random = clu_random_start(0, 1);

		fit->verbs->start(fit, &random);
	}
	fit->start = 1;
	begin_run(fit);
	fit->objective = INFINITY;
	fit->verbs->reset(fit);
	return run(fit);
}

/* ---- numbering ---- */

/* Whether cluster a comes before b: larger first, then the smaller centre. */
static bool
comes_before(const clu_model *model, int a, int b)
{
	const double *ca = model->center + (size_t) a * (size_t) model->d;
	const double *cb = model->center + (size_t) b * (size_t) model->d;

	if (model->size[a] != model->size[b])
		return model->size[a] > model->size[b];
	for (int j = 0; j < model->d; j++)
		if (ca[j] != cb[j])
			return ca[j] < cb[j];
	return false;
}

/* Heap sort of cluster numbers. */
static void
sort_clusters(const clu_model *model, int *order)
{
	int n = model->k;

	for (int start = n / 2 - 1, end = n; end > 1;)
	{
		int at, value;

		if (start >= 0)
			at = start--;
		else
		{
			value = order[--end];
			order[end] = order[0];
			order[0] = value;
			at = 0;
		}
		value = order[at];
		for (int child; (child = 2 * at + 1) < end; at = child)
		{
			if (child + 1 < end && comes_before(model, order[child], order[child + 1]))
				child++;
			if (!comes_before(model, value, order[child]))
				break;
			order[at] = order[child];
		}
		order[at] = value;
	}
}

void
clu_permute(const double *from, double *to, const int *order, int k, size_t width)
{
	for (int c = 0; c < k; c++)
		memcpy(to + (size_t) c * width, from + (size_t) order[c] * width, width * sizeof(double));
}

bool
clu_fit_renumber(clu_fit *fit)
{
	clu_model *model = &fit->model;
	int		  *order = (int *) fit->best; /* no longer needed */
	int		   k = model->k;
	size_t	   d = (size_t) model->d;
	size_t	   covariances = clu_covariance_count(model->algorithm, model->structure, k, model->d);
	clu_model  sorted = *model;
	bool	   moved = false;

	for (int c = 0; c < k; c++)
		order[c] = c;
	sort_clusters(model, order);
	for (int c = 0; c < k; c++)
		moved = moved || order[c] != c;
	if (!moved)
		return false;

	clu_model_bind(&sorted, fit->spare);
	clu_permute(model->weight, sorted.weight, order, k, 1);
	clu_permute(model->size, sorted.size, order, k, 1);
	clu_permute(model->cost, sorted.cost, order, k, 1);
	clu_permute(model->center, sorted.center, order, k, d);
	if (model->structure == CLU_COV_TIED || model->structure == CLU_COV_FIXED)
		memcpy(sorted.covariance, model->covariance, covariances * sizeof(double));
	else
		clu_permute(model->covariance, sorted.covariance, order, k, covariances / (size_t) k);
	memcpy(model->parameter, fit->spare, parameter_count(model) * sizeof(double));
	return true;
}

/* The same during a fit, whose state may know the numbers. */
static bool
renumber(clu_fit *fit)
{
	if (!clu_fit_renumber(fit))
		return false;
	if (fit->verbs->renumber != NULL)
		fit->verbs->renumber(fit, (const int *) fit->best);
	return true;
}

/*
 * Number by size until that changes no size any more; how many labels it changed.  A point between
 * centres belongs to the first of them.  So those before the first place that changes keep what
 * they have, a larger cluster gets that place and can only gain there, and it comes to an end.
 */
static uint64_t
number_by_size(clu_fit *fit, int *most)
{
	uint64_t changed = 0;

	for (; *most > 0 && renumber(fit); (*most)--)
	{
		fit->verbs->finish(fit);
		changed += fit->changed;
	}
	return changed;
}

/* Refit to labels that changed with the numbers, and go on from there if that moves a centre. */
static clu_status
follow_labels(clu_fit *fit, uint64_t changed)
{
	clu_model *model = &fit->model;
	size_t	   size = parameter_count(model) * sizeof(double);
	clu_model  before = *model;
	clu_status status;

	clu_model_bind(&before, fit->spare);
	memcpy(before.parameter, model->parameter, size);
	fit->verbs->reset(fit);
	clu_fit_pass(fit);
	fit->changed = changed;
	status = fit->verbs->refit(fit);
	if (status != CLU_OK)
		return status;
	if (memcmp(model->center, before.center,
			   (size_t) model->k * (size_t) model->d * sizeof(double)) == 0)
	{
		memcpy(model->parameter, before.parameter, size);
		return CLU_OK;
	}
	begin_run(fit);
	fit->iteration = 1;
	record(fit);
	status = run(fit);
	if (status == CLU_OK)
		fit->verbs->finish(fit);
	return status;
}

/*
 * Number the clusters, and find their figures.  What has converged is at its end with these
 * numbers: every time that they have changed labels, centres follow.  Nothing says that sizes are
 * in order after that, so this is done again, but not forever: the last centres keep their numbers.
 */
static clu_status
number_clusters(clu_fit *fit)
{
	bool	   labelled = fit->verbs->label != NULL;
	int		   most = labelled ? CLU_MOST_RENUMBERINGS : MOST_ROUNDINGS;
	clu_status status = CLU_OK;
	uint64_t   changed;

	if (labelled && fit->converged)
		fit->verbs->label(fit); /* by the best run's centres, before they have other numbers */
	renumber(fit);
	fit->verbs->finish(fit);
	changed = fit->changed + number_by_size(fit, &most);
	while (labelled && fit->converged && changed > 0 && status == CLU_OK)
	{
		status = follow_labels(fit, changed);
		changed = status == CLU_OK ? number_by_size(fit, &most) : 0;
	}
	return status;
}

/* ---- the whole ---- */

clu_status
clu_fit_vanished(const clu_fit *fit)
{
	return clu_fail(
		fit->error, CLU_VANISHED,
		"Squares of differences between points vanish beside that of the largest value.", 0, 0);
}

clu_status
clu_fit_run(clu_fit *fit)
{
	clu_model *model = &fit->model;
	clu_status status;

	model->flags = CLU_MODEL_FITTED;
	model->rows = (int64_t) fit->points->rows;
	model->skipped = fit->skipped;
	model->total_weight = fit->points->total_weight * fit->points->weight_unit;
	fit->objective_power = 0;
	fit->objective_offset = 0;
	fit->lost = false;
	status = fit->verbs->begin(fit);
	if (status == CLU_OK)
		status = fit->start_model == NULL ? run_starts(fit) : run_from_model(fit);
	if (status != CLU_OK)
		return status;
	if (fit->start_model == NULL)
		status = number_clusters(fit);
	else
		fit->verbs->finish(fit);
	if (status != CLU_OK)
		return status;
	model->iterations = fit->iteration;
	model->flags |= fit->converged ? CLU_MODEL_CONVERGED : 0;
	fit->verbs->restore(fit);
	status = clu_model_check_range(model, fit->error);
	return status == CLU_OK && fit->lost ? clu_fit_vanished(fit) : status;
}
