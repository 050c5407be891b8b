/*
 * step_soft.c
 *		A step of what shares rows out: soft K-means, Gaussian and Bernoulli mixtures.
 *
 * The verbs of a fit do all the work (fit.h); what is different is that the points are never seen
 * together, and that the statistics lie in a state.  So a fit is set up without points: units come
 * from the given model, which all who work on the step have in common, and accumulate adds to
 * arrays of the state, or to numbers that are copied there.  When all of them have been added up,
 * a refit to which the units matter finds those of the points in the statistics.
 *
 * The statistics are sums of floating point numbers, most of them in two parts.  Unlike those of
 * K-means they depend on how the rows were divided, in the last bits: the sums over one buffer of
 * rows are plain ones.  Relative to the sum of the absolute values of the terms the difference
 * stays below 1e-13.
 */
#include <float.h>
#include <math.h>
#include <string.h>

#include "algorithms.h"
#include "step.h"

/* A parameter that moves less than this, relative to its own or the typical size, stands still. */
#define STANDS_STILL (32 * DBL_EPSILON)

#define CHECK_SUMS 65536 /* between two checks for interrupts */

typedef struct soft_tables
{
	clu_fit		  fit;
	clu_points	  points; /* none, but their shape and units */
	clu_statistic list[CLU_MOST_STATISTICS];
	double		 *own[CLU_MOST_STATISTICS]; /* what the pointers of the list pointed to */
	int			  lists;
	double		 *scaled; /* capacity * d: rows divided by the unit */
	double		 *given;  /* parameters of the model, in the units of the fit */
	size_t		  parameters;
} soft_tables;

/* ---- sizes: by a fit that is laid out, but has no memory ---- */

static void
shape_fit(const clu_step *step, clu_fit *fit, clu_points *points)
{
	const clu_model *model = step->model;

	memset(fit, 0, sizeof(*fit));
	memset(points, 0, sizeof(*points));
	points->n = (size_t) step->capacity;
	points->d = model->d;
	points->width = step->width;
	points->unit = points->weight_unit = points->largest_weight = 1;
	fit->model = *model;
	fit->verbs = clu_fit_verbs(model->algorithm, &model->options);
	fit->points = points;
	fit->start_model = model;
	fit->interrupt = step->interrupt;
	fit->error = step->error;
}

/* Doubles in the statistics, as statistics() will list them. */
static size_t
count_of(const clu_model *model)
{
	size_t k = (size_t) model->k, d = (size_t) model->d;
	size_t second;

	if (model->algorithm == CLU_KMEANS)
		return clu_size_product(2 * k, d + 1) + 2;
	if (model->algorithm == CLU_BERNOULLI)
		return clu_size_product(2 * d, k) + 2;
	second = model->structure == CLU_COV_FULL	? clu_size_product(k, d * (d + 1) / 2)
			 : model->structure == CLU_COV_TIED ? d * (d + 1) / 2
												: clu_size_product(k, d);
	return clu_size_product(2, 1 + k * (d + 1) + second);
}

static size_t
size(const clu_step *step)
{
	return clu_size_product(count_of(step->model), sizeof(double));
}

static void
clear(const clu_step *step, void *statistics)
{
	memset(statistics, 0, size(step));
}

/* ---- tables ---- */

static void
layout(clu_step *step, clu_arena *arena)
{
	size_t		 row = (size_t) step->model->d;
	soft_tables *tables;
	soft_tables	 measured;

	CLU_TAKE(arena, tables, 1);
	step->tables = tables;
	if (tables == NULL)
		tables = &measured;
	shape_fit(step, &tables->fit, &tables->points);
	clu_fit_layout(&tables->fit, arena);
	CLU_TAKE(arena, tables->scaled, (size_t) step->capacity * row);
	tables->parameters = clu_parameter_count(step->model->algorithm, step->model->structure,
											 step->model->k, step->model->d);
	CLU_TAKE(arena, tables->given, tables->parameters);
}

static double
largest_center(const clu_model *model)
{
	double largest = 0;

	for (size_t i = 0; i < (size_t) model->k * (size_t) model->d; i++)
		largest = fmax(largest, fabs(model->center[i]));
	return largest;
}

static clu_status
prepare(clu_step *step)
{
	soft_tables *tables = step->tables;
	clu_fit		*fit = &tables->fit;
	size_t		 bytes = tables->parameters * sizeof(double);
	clu_status	 status;

	if (step->width != CLU_PACKED)
		tables->points.unit = clu_unit_for(largest_center(step->model), CLU_MOST_EXPONENT);
	memcpy(fit->model.parameter, step->model->parameter, bytes);
	status = fit->verbs->begin_step(fit);
	if (status != CLU_OK)
		return status;
	fit->verbs->adopt(fit);
	fit->verbs->reset(fit);
	fit->verbs->prepare(fit);
	tables->lists = fit->verbs->statistics(fit, tables->list);
	for (int i = 0; i < tables->lists; i++)
		tables->own[i] = tables->list[i].pointer != NULL ? *tables->list[i].pointer : NULL;
	return CLU_OK;
}

/* ---- statistics ---- */

/* Let accumulate add to the statistics of a state, or to zero where it can't. */
static void
attach(soft_tables *tables, double *statistics)
{
	for (int i = 0; i < tables->lists; i++)
	{
		clu_statistic *list = &tables->list[i];

		if (list->pointer != NULL)
			*list->pointer = statistics;
		else
			memset(list->value, 0, list->count * sizeof(double));
		statistics += list->count;
	}
}

static void
add_array(double *to, const double *from, size_t count, bool paired, const clu_interrupt *interrupt)
{
	for (size_t i = 0; i < count; i += paired ? 2 : 1)
	{
		if (paired)
		{
			clu_dd sum =
				clu_dd_add_logs((clu_dd) {to[i], to[i + 1]}, (clu_dd) {from[i], from[i + 1]});

			to[i] = sum.hi;
			to[i + 1] = sum.lo;
		}
		else
			to[i] += from[i];
		if (i % CHECK_SUMS == 0)
			clu_check(interrupt);
	}
}

/* Add what could not be added there at once, and let go of the state. */
static void
detach(soft_tables *tables, double *statistics)
{
	for (int i = 0; i < tables->lists; i++)
	{
		clu_statistic *list = &tables->list[i];

		if (list->pointer != NULL)
			*list->pointer = tables->own[i];
		else
			add_array(statistics, list->value, list->count, list->paired, tables->fit.interrupt);
		statistics += list->count;
	}
}

static clu_status
accumulate(clu_step *step, void *statistics, const clu_block *block)
{
	soft_tables *tables = step->tables;
	clu_block	 scaled = *block;

	scaled.x = clu_step_divide(block, tables->points.unit, tables->scaled);
	attach(tables, statistics);
	tables->fit.verbs->accumulate(&tables->fit, &scaled, 0);
	if (tables->fit.verbs->collect != NULL)
		tables->fit.verbs->collect(&tables->fit, 0);
	detach(tables, statistics);
	return CLU_OK;
}

static void
merge(const clu_step *step, void *statistics, const void *others)
{
	const soft_tables *tables = step->tables;
	double			  *to = statistics;
	const double	  *from = others;

	for (int i = 0; i < tables->lists; i++)
	{
		size_t count = tables->list[i].count;

		add_array(to, from, count, tables->list[i].paired, step->interrupt);
		to += count;
		from += count;
	}
}

/* All numbers are; sums that overflow don't come from damage, but from points that are far out. */
static bool
valid(const clu_step *step, const void *statistics)
{
	(void) step;
	(void) statistics;
	return true;
}

/* ---- refit ---- */

static bool
are_finite(const double *value, size_t count)
{
	double zero = 0;

	/* zero unless some value is not finite */
	for (size_t i = 0; i < count; i++)
		zero += value[i] * 0.0;
	return zero == 0;
}

/* All sums are, but for the likelihood of a Bernoulli mixture that calls a row impossible. */
static bool
can_refit(const soft_tables *tables, const double *statistics)
{
	bool bits = tables->fit.model.algorithm == CLU_BERNOULLI;

	for (int i = 0; i < tables->lists; i++)
	{
		const clu_statistic *list = &tables->list[i];
		bool				 impossible =
			bits && list->pointer == NULL && statistics[0] == -INFINITY && statistics[1] == 0;

		if (!impossible && !are_finite(statistics, list->count))
			return false;
		statistics += list->count;
	}
	return true;
}

/* The statistics where the fit has them itself, to be used up. */
static void
load(soft_tables *tables, const double *statistics)
{
	for (int i = 0; i < tables->lists; i++)
	{
		const clu_statistic *list = &tables->list[i];

		memcpy(list->pointer != NULL ? *list->pointer : list->value, statistics,
			   list->count * sizeof(double));
		statistics += list->count;
	}
}

/* All has been added up: the units, and with them the parameters to begin from, may change. */
static clu_status
reframe(soft_tables *tables)
{
	clu_fit	  *fit = &tables->fit;
	clu_status status = CLU_OK;

	if (fit->verbs->reframe_step != NULL)
	{
		status = fit->verbs->reframe_step(fit);
		if (status == CLU_OK)
			status = clu_fit_adopt(fit);
	}
	memcpy(tables->given, fit->model.parameter, tables->parameters * sizeof(double));
	return status;
}

static bool
stands_still(const soft_tables *tables, const double *now, size_t count, double typical)
{
	const double *before = tables->given + (now - tables->fit.model.parameter);

	for (size_t i = 0; i < count; i++)
		if (!(fabs(now[i] - before[i]) <= STANDS_STILL * (typical + fabs(now[i]))))
			return false;
	return true;
}

/* Components with a centre that moved; at least one if anything else did. */
static int
count_moved(const soft_tables *tables)
{
	const clu_model *model = &tables->fit.model;
	bool			 soft = model->algorithm == CLU_KMEANS;
	double typical = soft ? sqrt(fabs(tables->fit.objective) / tables->points.total_weight) : 1;
	size_t k = (size_t) model->k, d = (size_t) model->d;
	size_t covariances =
		clu_covariance_count(model->algorithm, model->structure, model->k, model->d);
	int moved = 0;

	for (size_t c = 0; c < k; c++)
		moved += !stands_still(tables, model->center + c * d, d, typical);
	if (moved > 0 || soft)
		return moved;
	return !stands_still(tables, model->weight, k, 1) ||
		   !stands_still(tables, model->covariance, covariances, 1);
}

static void
copy_parameters(const clu_fit *fit, clu_model *result)
{
	const clu_model *from = &fit->model;
	size_t			 k = (size_t) result->k;

	memcpy(result->weight, from->weight, k * sizeof(double));
	memcpy(result->center, from->center, k * (size_t) result->d * sizeof(double));
	memcpy(result->covariance, from->covariance,
		   clu_covariance_count(from->algorithm, from->structure, from->k, from->d) *
			   sizeof(double));
}

/* The end of a fit by steps: nothing moves, or the last two objectives are near one another. */
static bool
has_converged(const clu_step *step, const clu_model *result)
{
	const clu_model *given = step->model;
	double			 tol = clu_option_number(&given->options, CLU_TOL);
	double			 gain = clu_counted_gain(&given->options, given->objective - step->objective);

	if (step->moved == 0)
		return true;
	if (!(tol > 0) || !isfinite(step->objective) || !clu_step_comparable(given, result))
		return false;
	return gain <
		   tol * (clu_model_is_mixture(given) ? result->total_weight : fabs(given->objective));
}

/* The log-likelihood is the negative objective, but for a prior, where it's kept apart. */
static double
log_likelihood(const soft_tables *tables, const double *statistics)
{
	for (int i = 0; i < tables->lists; i++)
	{
		if (tables->list[i].pointer == NULL)
			return statistics[0] + statistics[1];
		statistics += tables->list[i].count;
	}
	return -clu_in_input_units(&tables->fit, tables->fit.objective);
}

static void
set_figures(const clu_step *step, const double *statistics, clu_model *result, bool measuring)
{
	const soft_tables *tables = step->tables;

	for (int c = 0; c < result->k; c++)
	{
		result->size[c] = fmax(tables->fit.model.size[c], 0);
		result->cost[c] = 0;
		if (!clu_model_is_mixture(result))
			result->weight[c] = result->size[c] / result->total_weight;
	}
	result->objective = step->objective;
	if (!measuring || !clu_model_is_mixture(result))
		return;
	result->flags |= CLU_MODEL_LIKELIHOOD;
	result->log_likelihood = log_likelihood(tables, statistics);
	result->objective = -result->log_likelihood;
}

static clu_status
refit(clu_step *step, const void *statistics, clu_model *result, bool measuring)
{
	soft_tables *tables = step->tables;
	clu_fit		*fit = &tables->fit;
	clu_status	 status;

	if (!can_refit(tables, statistics))
		return clu_fail(step->error, CLU_UNDERFLOW,
						"A point is too large beside the centres of the model.", 0, 0);
	tables->points.total_weight = result->total_weight;
	load(tables, statistics);
	fit->iteration = 1;
	fit->objective = INFINITY;
	(void) fit->verbs->settled(fit);
	status = reframe(tables);
	if (status == CLU_OK)
		status = fit->verbs->refit(fit);
	if (status != CLU_OK)
		return status;
	step->objective = clu_in_input_units(fit, fit->objective);
	step->moved = count_moved(tables);
	fit->verbs->restore(fit);
	if (!measuring)
		copy_parameters(fit, result);
	set_figures(step, statistics, result, measuring);
	if (!measuring && has_converged(step, result))
		result->flags |= CLU_MODEL_CONVERGED;
	return CLU_OK;
}

const clu_step_verbs clu_soft_step_verbs = {
	.size = size,
	.layout = layout,
	.prepare = prepare,
	.clear = clear,
	.valid = valid,
	.accumulate = accumulate,
	.merge = merge,
	.refit = refit,
};
