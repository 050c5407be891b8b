/*
 * fit_aggregate.c
 *		The fit aggregates: rows are collected as they come, and fitted at the end.
 *
 * One pair of functions serves all algorithms and all forms; what a form's arguments are, the
 * transition function asks of its own declaration.  The state of a small group is small: the
 * values themselves, and some two hundred bytes.  It's never changed by the final function, so
 * the aggregates work as window functions with growing frames too.
 */
#include "pg_clustering.h"

#include <math.h>

#include "catalog/pg_type.h"
#include "utils/jsonb.h"

#include "fit.h"
#include "model_bytes.h"
#include "model_value.h"
#include "options_value.h"
#include "order.h"

PG_FUNCTION_INFO_V1(clustering_kmeans_transition);
PG_FUNCTION_INFO_V1(clustering_kmedians_transition);
PG_FUNCTION_INFO_V1(clustering_gmm_transition);
PG_FUNCTION_INFO_V1(clustering_bernoulli_transition);
PG_FUNCTION_INFO_V1(clustering_bernoulli_bits_transition);
PG_FUNCTION_INFO_V1(clustering_fit_final);

#define FIRST_CAPACITY 4

/* What may not change within a group. */
typedef struct fit_arguments
{
	int32			 k;			   /* asked for, or of the start model */
	struct varlena	*options_json; /* detoasted; NULL: none given */
	clu_pg_model_key start_key;	   /* the start model's datum as it came */
	struct varlena	*start;		   /* detoasted bytes of the start model; NULL: none */
	int				 structure;	   /* of its covariances */
	double			 variance;	   /* the known one of a "fixed" start model */
	clu_options		 options;
} fit_arguments;

typedef struct fit_state
{
	MemoryContext context;
	clu_algorithm algorithm;
	fit_arguments arguments;

	Oid		type; /* of the elements */
	int		width;
	int		d;
	Size	n;
	Size	capacity; /* rows that values has room for */
	char   *values;
	double *scratch; /* d, for numbers on their way to packed rows */
	double *weights; /* NULL while all are 1 */
	Size	weights_capacity;
	int64	rows_seen;
	int64	skipped;
} fit_state;

/* ---- arguments ---- */

/* Position of an argument of the aggregate in the call of the transition function, or -1. */
#define ARG_POINT 1
#define ARG_CLUSTERS 2
#define ARG_OPTIONS 3
#define ARG_WEIGHT 4

static bool
has_argument(FunctionCallInfo fcinfo, int argument)
{
	return PG_NARGS() > argument && !PG_ARGISNULL(argument);
}

static bool
starts_from_model(FunctionCallInfo fcinfo)
{
	return get_fn_expr_argtype(fcinfo->flinfo, ARG_CLUSTERS) == BYTEAOID;
}

static int32
clusters_argument(FunctionCallInfo fcinfo)
{
	int32 k;

	if (PG_ARGISNULL(ARG_CLUSTERS))
		ereport(ERROR, (errcode(ERRCODE_NULL_VALUE_NOT_ALLOWED),
						errmsg("%s must not be NULL", starts_from_model(fcinfo) ? "start" : "k")));
	k = PG_GETARG_INT32(ARG_CLUSTERS);
	if (k < 1)
		ereport(ERROR, (errcode(ERRCODE_INVALID_PARAMETER_VALUE), errmsg("k must be at least 1"),
						errdetail("It is %d.", k)));
	return k;
}

static void
read_start(FunctionCallInfo fcinfo, fit_state *state)
{
	struct varlena *start;
	clu_model	   *model;

	if (PG_ARGISNULL(ARG_CLUSTERS))
		(void) clusters_argument(fcinfo);
	start = PG_DETOAST_DATUM_COPY(PG_GETARG_DATUM(ARG_CLUSTERS));
	model = clu_pg_decode((const uint8 *) VARDATA(start), VARSIZE(start) - VARHDRSZ,
						  CurrentMemoryContext);
	if (model->algorithm != state->algorithm)
		ereport(ERROR,
				(errcode(ERRCODE_INVALID_PARAMETER_VALUE),
				 errmsg("start is a model of another algorithm"),
				 errdetail("It is a %s model, the fit is %s.", clu_algorithm_name(model->algorithm),
						   clu_algorithm_name(state->algorithm))));
	state->arguments.start = start;
	clu_pg_model_key_make(&state->arguments.start_key, PG_GETARG_DATUM(ARG_CLUSTERS),
						  CurrentMemoryContext);
	state->arguments.k = model->k;
	state->arguments.structure = model->structure;
	state->arguments.variance = model->structure == CLU_COV_FIXED ? model->covariance[0] : 0;
	state->d = model->d;
	pfree(model);
}

void
clu_pg_take_structure(clu_options *options, int structure, double variance)
{
	const char *const *names = clu_option_table[CLU_COVARIANCE].choices;
	clu_options		   defaults;
	int				   wanted = (int) clu_option_integer(options, CLU_COVARIANCE);

	clu_options_default(&defaults, CLU_GMM);
	if (wanted != structure && wanted != clu_option_integer(&defaults, CLU_COVARIANCE))
		ereport(
			ERROR,
			(errcode(ERRCODE_INVALID_PARAMETER_VALUE),
			 errmsg("option \"covariance\" differs from the start model's"),
			 errdetail("The option is \"%s\", the start model has \"%s\".", names[wanted],
					   names[structure]),
			 errhint("Leave the option out, or make a start model of the structure you want.")));
	options->value[CLU_COVARIANCE].integer = structure;
	if (structure == CLU_COV_FIXED &&
		clu_option_number(options, CLU_VARIANCE) == clu_option_number(&defaults, CLU_VARIANCE))
		options->value[CLU_VARIANCE].number = variance;
}

static void
read_arguments(FunctionCallInfo fcinfo, fit_state *state)
{
	fit_arguments *arguments = &state->arguments;

	if (starts_from_model(fcinfo))
		read_start(fcinfo, state);
	else
		arguments->k = clusters_argument(fcinfo);
	if (has_argument(fcinfo, ARG_OPTIONS))
	{
		arguments->options_json = PG_DETOAST_DATUM_COPY(PG_GETARG_DATUM(ARG_OPTIONS));
		clu_pg_options_parse((Jsonb *) arguments->options_json, state->algorithm,
							 &arguments->options);
	}
	else
		clu_options_default(&arguments->options, state->algorithm);
	if (arguments->start != NULL && state->algorithm == CLU_GMM)
		clu_pg_take_structure(&arguments->options, arguments->structure, arguments->variance);
}

static void
report_change(const char *argument)
{
	ereport(ERROR, (errcode(ERRCODE_INVALID_PARAMETER_VALUE),
					errmsg("%s must be the same for all rows of a group", argument),
					errhint("Put it into GROUP BY, or use a constant.")));
}

static bool
same_options(FunctionCallInfo fcinfo, const struct varlena *json)
{
	struct varlena *given;
	bool			same;

	if (json == NULL || !has_argument(fcinfo, ARG_OPTIONS))
		return json == NULL && !has_argument(fcinfo, ARG_OPTIONS);
	given = PG_DETOAST_DATUM_PACKED(PG_GETARG_DATUM(ARG_OPTIONS));
	same = VARSIZE_ANY_EXHDR(given) == VARSIZE_ANY_EXHDR(json) &&
		   memcmp(VARDATA_ANY(given), VARDATA_ANY(json), VARSIZE_ANY_EXHDR(json)) == 0;
	if ((Pointer) given != DatumGetPointer(PG_GETARG_DATUM(ARG_OPTIONS)))
		pfree(given);
	return same;
}

static void
check_arguments(FunctionCallInfo fcinfo, const fit_state *state)
{
	const fit_arguments *arguments = &state->arguments;

	if (arguments->start == NULL)
	{
		if (clusters_argument(fcinfo) != arguments->k)
			report_change("k");
	}
	else if (PG_ARGISNULL(ARG_CLUSTERS) ||
			 !(clu_pg_model_key_matches(&arguments->start_key, PG_GETARG_DATUM(ARG_CLUSTERS)) ||
			   clu_pg_same_model(PG_GETARG_DATUM(ARG_CLUSTERS), arguments->start)))
		report_change("start");
	if (!same_options(fcinfo, arguments->options_json))
		report_change("options");
}

/* ---- collecting ---- */

/* Room for one more row; geometric growth. */
static void
grow(fit_state *state)
{
	Size row = clu_row_size(state->d, state->width);

	if (state->n < state->capacity)
		return;
	if (state->n >= UINT32_MAX - 1)
		ereport(ERROR, (errcode(ERRCODE_PROGRAM_LIMIT_EXCEEDED),
						errmsg("a fit can't take more than %u rows", UINT32_MAX - 1),
						errhint("Fit a sample of the rows.")));
	state->capacity = state->capacity == 0 ? FIRST_CAPACITY : state->capacity * 2;
	if (state->values == NULL)
		state->values = MemoryContextAllocHuge(state->context, state->capacity * row);
	else
		state->values = repalloc_huge(state->values, state->capacity * row);
}

/* Remember the weight of the row about to be added; memory only from the first that isn't 1. */
static void
keep_weight(fit_state *state, double weight)
{
	if (weight == 1 && state->weights == NULL)
		return;
	if (state->weights == NULL)
	{
		state->weights_capacity = state->capacity;
		state->weights =
			MemoryContextAllocHuge(state->context, state->weights_capacity * sizeof(double));
		for (Size i = 0; i < state->n; i++)
			state->weights[i] = 1;
	}
	if (state->weights_capacity < state->capacity)
	{
		state->weights_capacity = state->capacity;
		state->weights = repalloc_huge(state->weights, state->weights_capacity * sizeof(double));
	}
	state->weights[state->n] = weight;
}

/* What kind of rows they are, by the first of them. */
static void
begin_rows(fit_state *state, const clu_pg_point *point)
{
	state->type = point->type;
	if (point->type != VARBITOID)
		state->width = clu_pg_point_width(point->type);
	if (state->d == 0)
		state->d = point->d;
	if (state->algorithm == CLU_BERNOULLI)
		state->width = CLU_PACKED;
	if (state->algorithm == CLU_BERNOULLI && point->type != VARBITOID)
		state->scratch = MemoryContextAllocHuge(state->context, (Size) state->d * sizeof(double));
}

static void
check_dimensions(fit_state *state, const clu_pg_point *point)
{
	if (state->type == InvalidOid)
		begin_rows(state, point);
	if (point->d == state->d)
		return;
	if (state->arguments.start != NULL)
		ereport(ERROR, (errcode(ERRCODE_ARRAY_SUBSCRIPT_ERROR),
						errmsg("point and start have different numbers of dimensions"),
						errdetail("Row " INT64_FORMAT " has %d, the start model has %d.",
								  state->rows_seen, point->d, state->d)));
	ereport(ERROR, (errcode(ERRCODE_ARRAY_SUBSCRIPT_ERROR),
					errmsg("points must all have the same number of dimensions"),
					errdetail("Row " INT64_FORMAT " has %d, the rows before it have %d.",
							  state->rows_seen, point->d, state->d)));
}

/* Copy the values of a point behind those of the others; false where they're invalid. */
static bool
copy_values(fit_state *state, const clu_pg_point *point, int *invalid)
{
	char *row = state->values + state->n * clu_row_size(state->d, state->width);

	if (state->width == CLU_PACKED)
		return clu_pg_point_pack(point, (uint64 *) row, state->scratch, state->rows_seen, invalid);
	return clu_pg_point_read(point, state->width, row, invalid);
}

typedef void (*open_function)(clu_pg_point *point, Datum datum, int64 where);

static void
add_row(FunctionCallInfo fcinfo, fit_state *state, open_function open)
{
	double		 weight = clu_pg_weight(fcinfo, ARG_WEIGHT, state->rows_seen);
	clu_pg_point point;
	int			 invalid;

	if (weight == 0 || PG_ARGISNULL(ARG_POINT))
	{
		state->skipped++;
		return;
	}
	open(&point, PG_GETARG_DATUM(ARG_POINT), state->rows_seen);
	check_dimensions(state, &point);
	grow(state);
	if (copy_values(state, &point, &invalid))
	{
		keep_weight(state, weight);
		state->n++;
	}
	else if (clu_option_integer(&state->arguments.options, CLU_INVALID) == CLU_INVALID_SKIP)
		state->skipped++;
	else
		clu_pg_point_report(&point, invalid, state->rows_seen, true);
}

static Datum
transition(FunctionCallInfo fcinfo, clu_algorithm algorithm, open_function open)
{
	fit_state	 *state = PG_ARGISNULL(0) ? NULL : (fit_state *) PG_GETARG_POINTER(0);
	MemoryContext context;

	if (!AggCheckCallContext(fcinfo, &context))
		elog(ERROR, "fit transition function called in non-aggregate context");
	if (state == NULL)
	{
		MemoryContext old = MemoryContextSwitchTo(context);

		state = palloc0(sizeof(fit_state));
		state->context = context;
		state->algorithm = algorithm;
		read_arguments(fcinfo, state);
		MemoryContextSwitchTo(old);
	}
	else
		check_arguments(fcinfo, state);
	state->rows_seen++;
	add_row(fcinfo, state, open);
	PG_RETURN_POINTER(state);
}

Datum
clustering_kmeans_transition(PG_FUNCTION_ARGS)
{
	return transition(fcinfo, CLU_KMEANS, clu_pg_point_open);
}

Datum
clustering_bernoulli_transition(PG_FUNCTION_ARGS)
{
	return transition(fcinfo, CLU_BERNOULLI, clu_pg_point_open);
}

Datum
clustering_bernoulli_bits_transition(PG_FUNCTION_ARGS)
{
	return transition(fcinfo, CLU_BERNOULLI, clu_pg_bits_open);
}

Datum
clustering_kmedians_transition(PG_FUNCTION_ARGS)
{
	return transition(fcinfo, CLU_KMEDIANS, clu_pg_point_open);
}

Datum
clustering_gmm_transition(PG_FUNCTION_ARGS)
{
	return transition(fcinfo, CLU_GMM, clu_pg_point_open);
}

/* ---- fitting ---- */

typedef struct trace_buffer
{
	clu_trace *entries;
	Size	   count;
	Size	   capacity;
} trace_buffer;

static void
keep_trace(void *context, const clu_trace *entry)
{
	trace_buffer *buffer = context;

	if (buffer->count == buffer->capacity)
	{
		buffer->capacity = buffer->capacity == 0 ? 32 : buffer->capacity * 2;
		buffer->entries =
			buffer->entries == NULL
				? palloc(buffer->capacity * sizeof(clu_trace))
				: repalloc_huge(buffer->entries, buffer->capacity * sizeof(clu_trace));
	}
	buffer->entries[buffer->count++] = *entry;
}

/* Distinct points in canonical order, of k or more; sets the number of clusters. */
static void
collect_points(const fit_state *state, clu_points *points, int *clusters)
{
	clu_rows	  rows = {.x = state->values,
						  .w = state->weights,
						  .n = state->n,
						  .d = state->d,
						  .width = state->width,
						  .movable = true};
	clu_arena	  arena = {0};
	clu_error	  error = {0};
	clu_order	  order;
	clu_status	  status;
	Size		  distinct;
	MemoryContext sorting =
		AllocSetContextCreate(CurrentMemoryContext, "clustering order", ALLOCSET_SMALL_SIZES);

	clu_order_layout(&order, &arena, rows.n);
	clu_pg_arena(&arena, sorting);
	clu_order_layout(&order, &arena, rows.n);
	distinct = clu_order_sort(&order, &rows, &clu_pg_interrupt);
	status =
		clu_fit_clusters(&state->arguments.options, state->arguments.k, distinct, clusters, &error);
	if (status != CLU_OK)
		clu_pg_report(status, &error);

	arena = (clu_arena) {0};
	clu_points_layout(points, &arena, &rows, distinct);
	clu_pg_arena(&arena, CurrentMemoryContext);
	clu_points_layout(points, &arena, &rows, distinct);
	status = clu_points_collapse(points, &order, &rows, &clu_pg_interrupt, &error);
	if (status != CLU_OK)
		clu_pg_report(status, &error);
	MemoryContextDelete(sorting);
}

/* Fit; everything it needs stays in the current context. */
static void
run_fit(const fit_state *state, clu_fit *fit, trace_buffer *trace, clu_points *points)
{
	const struct varlena *start = state->arguments.start;
	clu_error			  error = {0};
	clu_arena			  arena = {0};
	clu_status			  status;

	memset(fit, 0, sizeof(*fit));
	fit->model.algorithm = state->algorithm;
	fit->model.options = state->arguments.options;
	fit->model.d = state->d;
	if (state->algorithm == CLU_GMM)
		fit->model.structure = (int) clu_option_integer(&fit->model.options, CLU_COVARIANCE);
	collect_points(state, points, &fit->model.k);
	if (start != NULL)
		fit->start_model = clu_pg_decode((const uint8 *) VARDATA(start), VARSIZE(start) - VARHDRSZ,
										 CurrentMemoryContext);
	fit->verbs = clu_fit_verbs(state->algorithm, &fit->model.options);
	fit->points = points;
	fit->skipped = state->skipped;
	fit->interrupt = &clu_pg_interrupt;
	fit->trace = keep_trace;
	fit->trace_context = trace;
	fit->error = &error;

	clu_fit_layout(fit, &arena);
	clu_pg_arena(&arena, CurrentMemoryContext);
	clu_fit_layout(fit, &arena);
	status = clu_fit_run(fit);
	if (status != CLU_OK)
		clu_pg_report(status, &error);
	fit->model.trace = trace->entries;
	fit->model.trace_count = trace->count;
}

/* Once per query, however many groups it has. */
static void
warn_not_converged(FunctionCallInfo fcinfo, const clu_model *model)
{
	static char warned;

	if ((model->flags & CLU_MODEL_CONVERGED) || fcinfo->flinfo->fn_extra == &warned)
		return;
	fcinfo->flinfo->fn_extra = &warned;
	ereport(WARNING, (errmsg("%s fit did not converge", clu_algorithm_name(model->algorithm)),
					  errdetail_plural("It stopped after " INT64_FORMAT " iteration.",
									   "It stopped after " INT64_FORMAT " iterations.",
									   (unsigned long) model->iterations, model->iterations),
					  errhint("Increase the option \"max_iter\" or \"tol\"; cluster_info shows "
							  "which models have converged.")));
}

Datum
clustering_fit_final(PG_FUNCTION_ARGS)
{
	fit_state	 *state = PG_ARGISNULL(0) ? NULL : (fit_state *) PG_GETARG_POINTER(0);
	MemoryContext fitting, caller;
	trace_buffer  trace = {0};
	clu_points	  points;
	clu_fit		  fit;
	bytea		 *result;

	if (state == NULL || state->n == 0)
		PG_RETURN_NULL();
	fitting = AllocSetContextCreate(CurrentMemoryContext, "clustering fit", ALLOCSET_SMALL_SIZES);
	caller = MemoryContextSwitchTo(fitting);
	run_fit(state, &fit, &trace, &points);
	MemoryContextSwitchTo(caller);
	result = clu_pg_encode(&fit.model);
	warn_not_converged(fcinfo, &fit.model);
	MemoryContextDelete(fitting);
	PG_RETURN_BYTEA_P(result);
}
