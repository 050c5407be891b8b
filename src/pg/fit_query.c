/*
 * fit_query.c
 *		Fits over a query: one scan per iteration, in memory for the model and not for the rows.
 *
 * The pattern is Lloyd's or EM's, with cluster_step_partial over the query as the pass.  All
 * passes run under the snapshot of the statement that called the function, read-only, and the
 * planner may use parallel workers for them.
 *
 * A fit from k begins with a sample of distinct rows (sketch.h).  Where that is all of them, the
 * fit in memory is exact and the only pass was that one.  Else, for the hard algorithms,
 * k-means||: to the centres of the sample come rows that are far from all candidates so far, in a
 * few rounds; each candidate gets the weight of the rows that are nearest to it; and the weighted
 * candidates are clustered in memory.  For mixtures, the sample itself is fitted in memory: sums
 * of squares need more than one row per place.
 */
#include "pg_clustering.h"

#include <math.h>

#include "catalog/pg_type.h"
#include "utils/builtins.h"
#include "utils/jsonb.h"

#include "algorithms.h"
#include "model_value.h"
#include "options_value.h"
#include "points.h"
#include "query_source.h"
#include "sketch_value.h"
#include "state_value.h"

PG_FUNCTION_INFO_V1(clustering_kmeans_fit_query);
PG_FUNCTION_INFO_V1(clustering_kmeans_fit_query_start);
PG_FUNCTION_INFO_V1(clustering_gmm_fit_query);
PG_FUNCTION_INFO_V1(clustering_gmm_fit_query_start);
PG_FUNCTION_INFO_V1(clustering_bernoulli_fit_query);
PG_FUNCTION_INFO_V1(clustering_bernoulli_fit_query_start);

#define SAMPLE_ROWS 20000 /* at least, and */
#define SAMPLE_ROWS_PER_CLUSTER 200
#define ROUNDS 2		 /* of k-means||, and */
#define ROWS_PER_ROUND 2 /* for each cluster */

typedef struct query_fit
{
	clu_pg_source source;
	clu_algorithm algorithm;
	clu_options	  options;
	int			  k;
	MemoryContext context; /* of the whole fit */
	MemoryContext pass;	   /* reset after each */
	int64		  skipped; /* rows, of a sample */
	int64		  rows;
} query_fit;

/* ---- passes ---- */

/* A state over the rows, in the context of the pass. */
static bytea *
run_step(query_fit *fit, SPIPlanPtr plan, const clu_model *model)
{
	clu_model *copy = clu_pg_model_copy(model, 0);
	Datum	   values[1] = {PointerGetDatum(clu_pg_encode(copy))};

	CHECK_FOR_INTERRUPTS();
	return clu_pg_source_run(plan, values, NULL, fit->pass);
}

static SPIPlanPtr
prepare_step(const query_fit *fit)
{
	Oid types[1] = {BYTEAOID};

	return clu_pg_source_prepare(&fit->source, "cluster_step_partial", "$1", false, 1, types);
}

/* A sample of so many rows by their distance from the model's centres; without one, uniform. */
static bytea *
run_sketch(query_fit *fit, clu_model *model, int64 rows, int64 seed)
{
	Oid	  types[4] = {BYTEAOID, INT4OID, INT8OID, INT4OID};
	bool  packed = fit->algorithm == CLU_BERNOULLI;
	bool  skip = clu_option_integer(&fit->options, CLU_INVALID) == CLU_INVALID_SKIP;
	int	  flags = (packed ? CLU_PG_SKETCH_PACKED : 0) | (skip ? CLU_PG_SKETCH_SKIP : 0);
	Datum values[4] = {model == NULL ? (Datum) 0 : PointerGetDatum(clu_pg_encode(model)),
					   Int32GetDatum((int32) Min(rows, (int64) INT_MAX)), Int64GetDatum(seed),
					   Int32GetDatum(flags)};
	SPIPlanPtr plan =
		clu_pg_source_prepare(&fit->source, "cluster_sketch", "$1, $2, $3, $4", true, 4, types);
	bytea *result = clu_pg_source_run(plan, values, model == NULL ? "n   " : NULL, fit->context);

	SPI_freeplan(plan);
	return result;
}

/* ---- fits in memory, of a sample or of candidates ---- */

static Datum
options_datum(const clu_options *options)
{
	return PointerGetDatum(clu_pg_options_to_jsonb(options));
}

/* Run a fit aggregate over the rows of a sample. */
static clu_model *
fit_sample(query_fit *fit, bytea *sketch, const clu_options *options)
{
	StringInfoData text;
	SPIPlanPtr	   plan;
	Oid			   types[3] = {BYTEAOID, INT4OID, JSONBOID};
	Datum  values[3] = {PointerGetDatum(sketch), Int32GetDatum(fit->k), options_datum(options)};
	bytea *model;

	initStringInfo(&text);
	appendStringInfo(&text,
					 "SELECT %s.%s_fit(s.x, $2, $3, s.weight) FROM %s.cluster_sketch_rows($1) AS s",
					 fit->source.schema, clu_algorithm_name(fit->algorithm), fit->source.schema);
	plan = SPI_prepare(text.data, 3, types);
	if (plan == NULL)
		elog(ERROR, "SPI_prepare failed: %s", SPI_result_code_string(SPI_result));
	model = clu_pg_source_run(plan, values, NULL, fit->context);
	SPI_freeplan(plan);
	return clu_pg_decode((const uint8 *) VARDATA(model), VARSIZE(model) - VARHDRSZ, fit->context);
}

/* Options for the fit of a sample, whose result is only a beginning. */
static clu_options
options_to_begin(const query_fit *fit)
{
	clu_options options = fit->options;

	options.set &= ~(1u << CLU_BETA);
	options.value[CLU_MAX_ITER].integer = 1000;
	if (fit->algorithm == CLU_GMM || fit->algorithm == CLU_BERNOULLI)
		options.value[CLU_TOL].number = fmax(options.value[CLU_TOL].number, 1e-6);
	return options;
}

/* ---- the start ---- */

/* The parameters alone, with the options of the fit: what a fit starts from. */
static clu_model *
start_from(const query_fit *fit, const clu_model *model)
{
	clu_model *start = clu_pg_model_new(model->algorithm, model->structure, model->k, model->d);
	Size	   k = (Size) model->k;

	memcpy(start->weight, model->weight, k * sizeof(double));
	memcpy(start->center, model->center, k * (Size) model->d * sizeof(double));
	memcpy(start->covariance, model->covariance,
		   clu_covariance_count(model->algorithm, model->structure, model->k, model->d) *
			   sizeof(double));
	start->options = fit->options;
	return start;
}

/* A model with rows of a sample as centres, behind those of another model. */
static clu_model *
add_candidates(query_fit *fit, const clu_model *model, const void *sketch, uint32 rows)
{
	int		   before = model == NULL ? 0 : model->k, d = clu_sketch_head(sketch)->d;
	clu_model *candidates = clu_pg_model_new(fit->algorithm, 0, before + (int) rows, d);
	double	   weight;

	candidates->options.value[CLU_INVALID] = fit->options.value[CLU_INVALID];
	for (int c = 0; c < candidates->k; c++)
		candidates->weight[c] = 1.0 / candidates->k;
	if (model != NULL)
		memcpy(candidates->center, model->center, (Size) before * (Size) d * sizeof(double));
	for (uint32 i = 0; i < rows; i++)
		clu_pg_sketch_values(sketch, i, candidates->center + ((Size) before + i) * (Size) d,
							 &weight);
	return candidates;
}

/* Candidates with the weight of the rows that are nearest to them, as a sample. */
static bytea *
weigh_candidates(query_fit *fit, const clu_model *candidates)
{
	SPIPlanPtr plan = prepare_step(fit);
	bytea	  *state = run_step(fit, plan, candidates);
	clu_step   done;
	clu_model *measured = clu_pg_step_refit(PointerGetDatum(state), true, &done);
	Size	   size = clu_sketch_size(candidates->d, 8, (uint32) candidates->k);
	bytea	  *sketch = clu_pg_state_new(size);

	clu_sketch_clear(clu_pg_state(sketch), candidates->d, 8, (uint32) candidates->k, 0);
	for (int c = 0; c < measured->k; c++)
		if (measured->size[c] > 0)
			clu_sketch_add(clu_pg_state(sketch), measured->center + (Size) c * (Size) measured->d,
						   1, measured->size[c]);
	SPI_freeplan(plan);
	return sketch;
}

/* k-means||, from the centres of a sample. */
static clu_model *
oversample(query_fit *fit, bytea *sample)
{
	clu_options options = options_to_begin(fit);
	int64		seed = clu_option_integer(&fit->options, CLU_SEED);
	clu_model  *candidates = fit_sample(fit, sample, &options);

	candidates = start_from(fit, candidates);
	clu_options_default(&candidates->options, fit->algorithm);
	for (int round = 1; round <= ROUNDS; round++)
	{
		bytea *far = run_sketch(fit, candidates, (int64) ROWS_PER_ROUND * fit->k, seed + round);
		const void *sketch = clu_pg_sketch_check(far, false);

		candidates = add_candidates(fit, candidates, sketch, clu_sketch_head(sketch)->listed);
	}
	return fit_sample(fit, weigh_candidates(fit, candidates), &options);
}

static int64
sample_size(const query_fit *fit)
{
	return Max((int64) SAMPLE_ROWS, (int64) SAMPLE_ROWS_PER_CLUSTER * fit->k);
}

static void
check_sample(const query_fit *fit, const clu_sketch_header *header)
{
	if (header->left_out > 0 && header->most < (uint32) fit->k)
		ereport(
			ERROR,
			(errcode(ERRCODE_PROGRAM_LIMIT_EXCEEDED),
			 errmsg("k (%d) is too large for points of %d dimensions", fit->k, header->d),
			 errdetail("The sample that a fit begins with has room for %u rows.", header->most),
			 errhint("Start from a model, or use %s_fit.", clu_algorithm_name(fit->algorithm))));
}

/*
 * The model to start from; with *complete the model itself, since the sample had all rows.  NULL
 * where there are no rows.
 */
static clu_model *
find_start(query_fit *fit, bool *complete)
{
	int64					 seed = clu_option_integer(&fit->options, CLU_SEED);
	clu_options				 options = options_to_begin(fit);
	bytea					*sample = run_sketch(fit, NULL, sample_size(fit), seed);
	const clu_sketch_header *header;
	bool random = clu_option_integer(&fit->options, CLU_INIT) == CLU_INIT_RANDOM;
	bool hard = fit->algorithm == CLU_KMEANS || fit->algorithm == CLU_KMEDIANS;

	if (sample == NULL)
		return NULL;
	header = clu_pg_sketch_check(sample, false);
	fit->skipped = header->skipped;
	fit->rows = header->rows;
	if (header->rows == 0)
		return NULL;
	check_sample(fit, header);
	*complete = header->left_out == 0;
	if (*complete)
		return fit_sample(fit, sample, &fit->options);
	if (!hard)
		return start_from(fit, fit_sample(fit, sample, &options));
	if (random)
		return start_from(fit, add_candidates(fit, NULL, header, (uint32) fit->k));
	return start_from(fit, oversample(fit, sample));
}

/* ---- iterations ---- */

/* How the last two refits went. */
typedef struct progress
{
	double last;	  /* objective before the last refit; infinite at first */
	double objective; /* after it, for hard models: with the rows where they were */
} progress;

/*
 * Whether the pass found the fit at its end: what verbs.settled says of a fit in memory.  Hard
 * models: nothing moves, or the last refit gained little.  Others: the last refit gained little.
 */
static bool
has_settled(const query_fit *fit, const clu_step *step, const clu_model *next, progress *at)
{
	double tol = clu_option_number(&fit->options, CLU_TOL);
	bool   mixture = clu_model_is_mixture(next), hard = !mixture && !clu_model_is_soft(next);
	double before = at->last, now = hard ? at->objective : step->objective;
	double share = mixture ? next->total_weight : fabs(before);
	bool   settled = step->moved == 0;

	if (tol > 0 && before < INFINITY && now < INFINITY && before - now < tol * share)
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

static clu_model *
iterate(query_fit *fit, SPIPlanPtr plan, clu_model *model)
{
	int64	 most = clu_option_integer(&fit->options, CLU_MAX_ITER);
	progress at = {INFINITY, INFINITY};

	for (;;)
	{
		MemoryContext old = MemoryContextSwitchTo(fit->pass);
		bytea		 *state = run_step(fit, plan, model);
		clu_model	 *next, *result = NULL;
		clu_step	  done;
		bool		  settled;

		next = state == NULL ? NULL : clu_pg_step_refit(PointerGetDatum(state), false, &done);
		if (next == NULL)
		{
			MemoryContextSwitchTo(old);
			return NULL;
		}
		settled = has_settled(fit, &done, next, &at);
		MemoryContextSwitchTo(fit->context);
		if (settled || model->iterations >= most)
			result = clu_pg_model_copy(measure(state, settled), 0);
		else
			next = clu_pg_model_copy(next, 0);
		MemoryContextSwitchTo(old);
		MemoryContextReset(fit->pass);
		if (result != NULL)
			return result;
		pfree(model->trace);
		pfree(model);
		model = next;
	}
}

/* Number the clusters of a fit from k.  A hard model is measured again, for rows between centres. */
static clu_model *
renumber(query_fit *fit, SPIPlanPtr plan, clu_model *model)
{
	clu_fit scratch = {.model = *model};
	Size	size = clu_parameter_count(model->algorithm, model->structure, model->k, model->d) *
				sizeof(double);
	uint32	   converged = model->flags & CLU_MODEL_CONVERGED;
	clu_model *again;
	clu_step   done;

	scratch.best = palloc_extended(size, MCXT_ALLOC_HUGE);
	scratch.spare = palloc_extended(size, MCXT_ALLOC_HUGE);
	if (!clu_fit_renumber(&scratch) || clu_model_is_mixture(model))
		return model;
	again = clu_pg_step_refit(PointerGetDatum(run_step(fit, plan, model)), true, &done);
	again->flags |= converged;
	return again;
}

/* ---- the functions ---- */

static void
warn_not_converged(const clu_model *model)
{
	if (model->flags & CLU_MODEL_CONVERGED)
		return;
	ereport(WARNING, (errmsg("%s fit did not converge", clu_algorithm_name(model->algorithm)),
					  errdetail("It stopped after " INT64_FORMAT " iterations.", model->iterations),
					  errhint("Increase the option \"max_iter\" or \"tol\"; cluster_info shows "
							  "which models have converged.")));
}

/* A fit in memory knows rows only by their weights, and nothing of those that were left out. */
static void
correct_counts(const query_fit *fit, clu_model *model)
{
	if (model->rows != (int64) model->total_weight)
		model->rows = fit->rows;
	model->skipped = fit->skipped;
}

static clu_model *
run_fit(query_fit *fit, const clu_model *start)
{
	SPIPlanPtr plan;
	bool	   complete = false;
	clu_model *model = start == NULL ? find_start(fit, &complete) : start_from(fit, start);

	if (model == NULL)
		return NULL;
	if (complete)
	{
		correct_counts(fit, model);
		return model;
	}
	plan = prepare_step(fit);
	model = iterate(fit, plan, clu_pg_model_copy(model, 0));
	if (model != NULL && start == NULL)
		model = renumber(fit, plan, model);
	if (model != NULL)
		warn_not_converged(model);
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
read_options(FunctionCallInfo fcinfo, query_fit *fit)
{
	clu_pg_options_parse(PG_ARGISNULL(2) ? NULL : PG_GETARG_JSONB_P(2), fit->algorithm,
						 &fit->options);
}

static clu_model *
read_start(FunctionCallInfo fcinfo, query_fit *fit)
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
read_clusters(FunctionCallInfo fcinfo, query_fit *fit)
{
	fit->k = PG_GETARG_INT32(1);
	if (fit->k < 1)
		ereport(ERROR, (errcode(ERRCODE_INVALID_PARAMETER_VALUE), errmsg("k must be at least 1"),
						errdetail("It is %d.", fit->k)));
}

static Datum
fit_query(FunctionCallInfo fcinfo, clu_algorithm algorithm, bool from_model)
{
	query_fit	  fit = {.algorithm = algorithm};
	MemoryContext caller = CurrentMemoryContext;
	clu_model	 *start = NULL, *model;
	bytea		 *result = NULL;

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
