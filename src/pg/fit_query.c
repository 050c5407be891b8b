/*
 * fit_query.c
 *		Fits over a query: one scan per iteration, in memory for the model and not for the rows.
 *
 * The pattern is Lloyd's or EM's, with cluster_step_partial over the query as the pass.  All
 * passes run under the snapshot of the statement that called the function, read-only, and the
 * planner may use parallel workers for them.
 *
 * A fit from k begins with a sample (query_start.c).
 */
#include "fit_query.h"

#include <math.h>

#include "utils/builtins.h"
#include "utils/jsonb.h"

#include "fit.h"
#include "model_value.h"
#include "options_value.h"
#include "progress.h"

PG_FUNCTION_INFO_V1(clustering_kmeans_fit_query);
PG_FUNCTION_INFO_V1(clustering_kmeans_fit_query_start);
PG_FUNCTION_INFO_V1(clustering_kmedians_fit_query);
PG_FUNCTION_INFO_V1(clustering_kmedians_fit_query_start);
PG_FUNCTION_INFO_V1(clustering_gmm_fit_query);
PG_FUNCTION_INFO_V1(clustering_gmm_fit_query_start);
PG_FUNCTION_INFO_V1(clustering_bernoulli_fit_query);
PG_FUNCTION_INFO_V1(clustering_bernoulli_fit_query_start);

/* ---- iterations ---- */

/* How the last two refits went. */
typedef struct objectives
{
	double last;	  /* objective before the last refit; infinite at first */
	double objective; /* after it, for K-means: with the rows where they were */
} objectives;

/* More than any data need, as long as each pass sees the same. */
#define MOST_PASSES 100

/* All of the error but its detail. */
static int
say_other_rows(void)
{
	errcode(ERRCODE_INVALID_PARAMETER_VALUE);
	errmsg("query gives other rows each time it runs");
	return errhint("Do without volatile functions, and without LIMIT or TABLESAMPLE where the rows "
				   "are not determined.");
}

void
clu_pg_query_report_no_rows(void)
{
	ereport(ERROR, (say_other_rows(), errdetail("A pass found no rows, after one that did.")));
}

static void
check_passes(const clu_model *next)
{
	if (next->brackets.passes > MOST_PASSES)
		ereport(ERROR,
				(say_other_rows(), errdetail("Medians were not found in %d passes.", MOST_PASSES)));
}

/*
 * Whether the pass found the fit at its end: what verbs.settled says of a fit in memory.  Nothing
 * moves, or the last refit gained little.  Of the passes that a refit of K-medians takes the first
 * one says what the refit before it gained, and only the last one whether something moves.
 */
static bool
has_settled(const clu_pg_query_fit *fit, const clu_step *step, const clu_model *next,
			objectives *at)
{
	double tol = clu_option_number(&fit->options, CLU_TOL);
	bool   mixture = clu_model_is_mixture(next);
	bool   kmeans = next->algorithm == CLU_KMEANS && !clu_model_is_soft(next);
	double before = at->last, now = kmeans ? at->objective : step->objective;
	double share = mixture ? next->total_weight : fabs(before);
	double gain = clu_counted_gain(&fit->options, before - now);
	bool   settled = step->refitted && step->moved == 0;

	check_passes(next);
	if (step->model->brackets.passes > 0)
		return settled;
	if (tol > 0 && before < INFINITY && now < INFINITY && gain < tol * share)
		settled = true;
	at->last = now;
	at->objective = next->objective - step->gain;
	return settled;
}

/* The model of the pass, with the figures that it measured. */
static clu_model *
measure(bytea *state, bool converged)
{
	clu_step   done;
	clu_model *model = clu_pg_step_refit(PointerGetDatum(state), true, &done);

	if (converged)
		model->flags |= CLU_MODEL_CONVERGED;
	return model;
}

/* Refit until the end, from a model whose objective is the given one, infinite if not known. */
static clu_model *
iterate(clu_pg_query_fit *fit, SPIPlanPtr plan, clu_model *model, double objective)
{
	int64			most = clu_option_integer(&fit->options, CLU_MAX_ITER);
	objectives		at = {objective, objective};
	clu_pg_progress shown;
	clu_pg_position position = {.start = 1};
	bool			seen = fit->rows > 0; /* by the pass of the sample, or one of these */

	clu_pg_progress_begin(&shown, fit->algorithm, 1);
	for (;;)
	{
		MemoryContext old = MemoryContextSwitchTo(fit->pass);
		bytea		 *state = clu_pg_query_run_step(fit, plan, model);
		clu_model	 *next, *result = NULL;
		clu_step	  done;
		bool		  settled;

		next = state == NULL ? NULL : clu_pg_step_refit(PointerGetDatum(state), false, &done);
		if (next == NULL && seen)
			clu_pg_query_report_no_rows();
		if (next == NULL)
		{
			MemoryContextSwitchTo(old);
			return NULL;
		}
		seen = true;
		settled = has_settled(fit, &done, next, &at);
		position.iteration = model->iterations;
		position.objective = next->objective;
		position.seen += (double) next->rows;
		if (clu_pg_progress_due(&shown))
			clu_pg_progress_report(&shown, &position);
		MemoryContextSwitchTo(fit->context);
		if (settled || model->iterations >= most)
			result = clu_pg_model_copy(measure(state, settled), 0);
		else
			next = clu_pg_model_copy(next, 0);
		MemoryContextSwitchTo(old);
		MemoryContextReset(fit->pass);
		if (result != NULL)
			return result;
		clu_pg_model_free(model);
		model = next;
	}
}

/* ---- numbering ---- */

/* Put the clusters in the order of their sizes; false where they were in it. */
static bool
renumber(clu_model *model)
{
	clu_fit scratch = {.model = *model};
	Size	size = clu_parameter_count(model->algorithm, model->structure, model->k, model->d) *
				sizeof(double);
	bool moved;

	scratch.best = palloc_extended(size, MCXT_ALLOC_HUGE);
	scratch.spare = palloc_extended(size, MCXT_ALLOC_HUGE);
	moved = clu_fit_renumber(&scratch);
	pfree(scratch.best);
	pfree(scratch.spare);
	return moved;
}

/* Lay brackets about medians that are known: it takes one pass to see that they are still these. */
static void
lay_brackets(clu_model *model)
{
	Size medians = (Size) model->k * (Size) model->d;

	clu_pg_brackets_new(model, 0);
	for (Size i = 0; i < medians; i++)
		model->brackets.range[2 * i] = model->brackets.range[2 * i + 1] = model->center[i] + 0.0;
	model->flags |= CLU_MODEL_BRACKETS;
	model->flags &= ~(uint32) CLU_MODEL_CONVERGED;
}

/*
 * Number the clusters of a fit from k.  Rows between centres belong to the first of them: a hard
 * model is measured again, and refitted where its centres are no longer those of their rows.
 */
static clu_model *
number_clusters(clu_pg_query_fit *fit, SPIPlanPtr plan, clu_model *model)
{
	for (int i = 0; i < CLU_MOST_RENUMBERINGS && model != NULL && renumber(model); i++)
	{
		bool converged = (model->flags & CLU_MODEL_CONVERGED) != 0;

		if (clu_model_is_mixture(model))
			return model;
		if (clu_model_is_soft(model))
		{
			clu_model *again = clu_pg_query_measure(fit, plan, model);

			again->flags |= converged ? CLU_MODEL_CONVERGED : 0;
			return again;
		}
		if (model->algorithm == CLU_KMEDIANS)
			lay_brackets(model);
		model = iterate(fit, plan, model, converged ? model->objective : INFINITY);
	}
	return model;
}

/* ---- the functions ---- */

/* A fit in memory knows rows only by their weights, and nothing of those that were left out. */
static void
correct_counts(const clu_pg_query_fit *fit, clu_model *model)
{
	if (fit->fractional > 0 || model->rows != (int64) model->total_weight)
		model->rows = fit->rows;
	model->skipped = fit->skipped;
}

static clu_model *
run_fit(clu_pg_query_fit *fit, const clu_model *start)
{
	SPIPlanPtr plan;
	bool	   complete = false;
	clu_model *model = start == NULL ? clu_pg_query_find_start(fit, &complete)
									 : clu_pg_query_start_from(fit, start);

	if (model == NULL)
		return NULL;
	if (complete)
		correct_counts(fit, model);
	else
	{
		plan = clu_pg_query_prepare_step(fit);
		model = iterate(fit, plan, clu_pg_model_copy(model, 0), INFINITY);
		if (model != NULL && start == NULL)
			model = number_clusters(fit, plan, model);
	}
	if (model != NULL)
		clu_pg_warn_not_converged(model);
	return model;
}

static void
check_argument(FunctionCallInfo fcinfo, int argument, const char *name)
{
	if (PG_ARGISNULL(argument))
		ereport(ERROR,
				(errcode(ERRCODE_NULL_VALUE_NOT_ALLOWED), errmsg("%s must not be NULL", name)));
}

static void
read_options(FunctionCallInfo fcinfo, clu_pg_query_fit *fit)
{
	clu_pg_options_parse(PG_ARGISNULL(2) ? NULL : PG_GETARG_JSONB_P(2), fit->algorithm,
						 &fit->options);
}

static clu_model *
read_start(FunctionCallInfo fcinfo, clu_pg_query_fit *fit)
{
	bytea	  *bytes = PG_GETARG_BYTEA_P(1);
	clu_model *start = clu_pg_decode((const uint8 *) VARDATA(bytes), VARSIZE(bytes) - VARHDRSZ,
									 CurrentMemoryContext);

	if (start->algorithm != fit->algorithm)
		ereport(ERROR,
				(errcode(ERRCODE_INVALID_PARAMETER_VALUE),
				 errmsg("start is a model of another algorithm"),
				 errdetail("It is a %s model, the fit is %s.", clu_algorithm_name(start->algorithm),
						   clu_algorithm_name(fit->algorithm))));
	if (start->algorithm == CLU_GMM)
		clu_pg_take_structure(&fit->options, start->structure, start->covariance[0]);
	fit->k = start->k;
	return start;
}

static void
read_clusters(FunctionCallInfo fcinfo, clu_pg_query_fit *fit)
{
	fit->k = PG_GETARG_INT32(1);
	if (fit->k < 1)
		ereport(ERROR, (errcode(ERRCODE_INVALID_PARAMETER_VALUE), errmsg("k must be at least 1"),
						errdetail("It is %d.", fit->k)));
}

static Datum
fit_query(FunctionCallInfo fcinfo, clu_algorithm algorithm, bool from_model)
{
	clu_pg_query_fit fit = {.algorithm = algorithm};
	MemoryContext	 caller = CurrentMemoryContext;
	clu_model		*start = NULL, *model;
	bytea			*result = NULL;

	check_argument(fcinfo, 0, "query");
	check_argument(fcinfo, 1, from_model ? "start" : "k");
	read_options(fcinfo, &fit);
	if (from_model)
		start = read_start(fcinfo, &fit);
	else
		read_clusters(fcinfo, &fit);
	if (SPI_connect() != SPI_OK_CONNECT)
		elog(ERROR, "SPI_connect failed");
	fit.context = CurrentMemoryContext;
	fit.pass = AllocSetContextCreate(fit.context, "clustering pass", ALLOCSET_DEFAULT_SIZES);
	clu_pg_source_open(&fit.source, text_to_cstring(PG_GETARG_TEXT_PP(0)), algorithm,
					   fcinfo->flinfo->fn_oid);
	model = run_fit(&fit, start);
	if (model != NULL)
	{
		MemoryContextSwitchTo(caller);
		result = clu_pg_encode(model);
	}
	clu_pg_source_close(&fit.source);
	SPI_finish();
	MemoryContextSwitchTo(caller);
	if (result == NULL)
		PG_RETURN_NULL();
	PG_RETURN_BYTEA_P(result);
}

Datum
clustering_kmeans_fit_query(PG_FUNCTION_ARGS)
{
	return fit_query(fcinfo, CLU_KMEANS, false);
}

Datum
clustering_kmeans_fit_query_start(PG_FUNCTION_ARGS)
{
	return fit_query(fcinfo, CLU_KMEANS, true);
}

Datum
clustering_kmedians_fit_query(PG_FUNCTION_ARGS)
{
	return fit_query(fcinfo, CLU_KMEDIANS, false);
}

Datum
clustering_kmedians_fit_query_start(PG_FUNCTION_ARGS)
{
	return fit_query(fcinfo, CLU_KMEDIANS, true);
}

Datum
clustering_gmm_fit_query(PG_FUNCTION_ARGS)
{
	return fit_query(fcinfo, CLU_GMM, false);
}

Datum
clustering_gmm_fit_query_start(PG_FUNCTION_ARGS)
{
	return fit_query(fcinfo, CLU_GMM, true);
}

Datum
clustering_bernoulli_fit_query(PG_FUNCTION_ARGS)
{
	return fit_query(fcinfo, CLU_BERNOULLI, false);
}

Datum
clustering_bernoulli_fit_query_start(PG_FUNCTION_ARGS)
{
	return fit_query(fcinfo, CLU_BERNOULLI, true);
}
