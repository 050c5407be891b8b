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

#include "catalog/pg_type.h"
#include "executor/nodeAgg.h"
#include "utils/builtins.h"
#include "utils/jsonb.h"

#include "fit_run.h"
#include "model_value.h"
#include "options_value.h"

PG_FUNCTION_INFO_V1(clustering_kmeans_transition);
PG_FUNCTION_INFO_V1(clustering_kmedians_transition);
PG_FUNCTION_INFO_V1(clustering_gmm_transition);
PG_FUNCTION_INFO_V1(clustering_bernoulli_transition);
PG_FUNCTION_INFO_V1(clustering_bernoulli_bits_transition);
PG_FUNCTION_INFO_V1(clustering_fit_final);

/* What may not change within a group, as it came. */
typedef struct fit_arguments
{
	bool			 fixed;		   /* by the statement: it can't give others within a group */
	struct varlena	*options_json; /* detoasted; NULL: none given */
	clu_pg_model_key start_key;	   /* of the start model's datum */
	int				 structure;	   /* of its covariances */
	double			 variance;	   /* the known one of a "fixed" start model */
} fit_arguments;

typedef struct fit_state
{
	fit_arguments  arguments;
	clu_pg_request request;
	clu_pg_rows	   rows;
	Oid			   type;	/* of the elements; InvalidOid: no row has come yet */
	double		  *scratch; /* d, for numbers on their way to packed rows */
	int64		   rows_seen;
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
	if (model->algorithm != state->request.algorithm)
		ereport(ERROR,
				(errcode(ERRCODE_INVALID_PARAMETER_VALUE),
				 errmsg("start is a model of another algorithm"),
				 errdetail("It is a %s model, the fit is %s.", clu_algorithm_name(model->algorithm),
						   clu_algorithm_name(state->request.algorithm))));
	state->request.start = start;
	clu_pg_model_key_make(&state->arguments.start_key, PG_GETARG_DATUM(ARG_CLUSTERS),
						  CurrentMemoryContext);
	state->request.k = model->k;
	state->arguments.structure = model->structure;
	state->arguments.variance = model->structure == CLU_COV_FIXED ? model->covariance[0] : 0;
	state->rows.d = model->d;
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

/*
 * Whether nothing but the point and its weight can change from row to row: constants can't, and
 * parameters of the executor, such as a scalar subquery, only where the aggregate begins anew.
 */
static bool
are_fixed(FunctionCallInfo fcinfo)
{
	Aggref	 *call = AggGetAggref(fcinfo);
	AggState *executor = (AggState *) fcinfo->context;

	/* for an aggregate inside another one, the executor knows the arguments of the outer one */
	if (call == NULL || &executor->curpertrans->transfn != fcinfo->flinfo)
		return false;
	for (int argument = ARG_CLUSTERS; argument <= ARG_OPTIONS && argument < PG_NARGS(); argument++)
	{
		TargetEntry *entry = list_nth(call->args, argument - ARG_POINT);

		if (!IsA(entry->expr, Const) && !IsA(entry->expr, Param))
			return false;
	}
	return true;
}

static void
read_arguments(FunctionCallInfo fcinfo, fit_state *state)
{
	fit_arguments  *arguments = &state->arguments;
	clu_pg_request *request = &state->request;

	arguments->fixed = are_fixed(fcinfo);
	if (starts_from_model(fcinfo))
		read_start(fcinfo, state);
	else
		request->k = clusters_argument(fcinfo);
	if (has_argument(fcinfo, ARG_OPTIONS))
	{
		arguments->options_json = PG_DETOAST_DATUM_COPY(PG_GETARG_DATUM(ARG_OPTIONS));
		clu_pg_options_parse((Jsonb *) arguments->options_json, request->algorithm,
							 &request->options);
	}
	else
		clu_options_default(&request->options, request->algorithm);
	if (request->start != NULL && request->algorithm == CLU_GMM)
		clu_pg_take_structure(&request->options, arguments->structure, arguments->variance);
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
	const fit_arguments	 *arguments = &state->arguments;
	const clu_pg_request *request = &state->request;

	if (request->start == NULL)
	{
		if (clusters_argument(fcinfo) != request->k)
			report_change("k");
	}
	else if (PG_ARGISNULL(ARG_CLUSTERS) ||
			 !(clu_pg_model_key_matches(&arguments->start_key, PG_GETARG_DATUM(ARG_CLUSTERS)) ||
			   clu_pg_same_model(PG_GETARG_DATUM(ARG_CLUSTERS), request->start)))
		report_change("start");
	if (!same_options(fcinfo, arguments->options_json))
		report_change("options");
}

/* ---- collecting ---- */

/* What kind of rows they are, by the first of them. */
static void
begin_rows(fit_state *state, const clu_pg_point *point)
{
	state->type = point->type;
	if (point->type != VARBITOID)
		state->rows.width = clu_pg_point_width(point->type);
	if (state->rows.d == 0)
		state->rows.d = point->d;
	if (state->request.algorithm == CLU_BERNOULLI)
		state->rows.width = CLU_PACKED;
	if (state->request.algorithm == CLU_BERNOULLI && point->type != VARBITOID)
		state->scratch =
			MemoryContextAllocHuge(state->rows.context, (Size) state->rows.d * sizeof(double));
}

/*
 * Columns of the pseudo-type anyarray, as in pg_stats, hold arrays of other types from row to row:
 * each says itself what it is.
 */
static void
check_type(const fit_state *state, const clu_pg_point *point)
{
	if (point->type != state->type)
		ereport(ERROR, (errcode(ERRCODE_DATATYPE_MISMATCH),
						errmsg("points must all be arrays of the same type"),
						errdetail("Row " INT64_FORMAT " has elements of type %s, the rows before "
								  "it of type %s.",
								  state->rows_seen, format_type_be(point->type),
								  format_type_be(state->type))));
}

static void
check_dimensions(const fit_state *state, const clu_pg_point *point)
{
	if (point->d == state->rows.d)
		return;
	if (state->request.start != NULL)
		ereport(ERROR, (errcode(ERRCODE_ARRAY_SUBSCRIPT_ERROR),
						errmsg("point and start have different numbers of dimensions"),
						errdetail("Row " INT64_FORMAT " has %d, the start model has %d.",
								  state->rows_seen, point->d, state->rows.d)));
	ereport(ERROR, (errcode(ERRCODE_ARRAY_SUBSCRIPT_ERROR),
					errmsg("points must all have the same number of dimensions"),
					errdetail("Row " INT64_FORMAT " has %d, the rows before it have %d.",
							  state->rows_seen, point->d, state->rows.d)));
}

/* Copy the values of a point behind those of the others; false where they're invalid. */
static bool
copy_values(fit_state *state, const clu_pg_point *point, int *invalid)
{
	char *row = clu_pg_rows_next(&state->rows);

	if (state->rows.width == CLU_PACKED)
		return clu_pg_point_pack(point, (uint64 *) row, state->scratch, state->rows_seen, invalid);
	return clu_pg_point_read(point, state->rows.width, row, invalid);
}

static void
add_row(FunctionCallInfo fcinfo, fit_state *state, clu_pg_open open)
{
	double		 weight = clu_pg_weight(fcinfo, ARG_WEIGHT, state->rows_seen);
	clu_pg_point point;
	int			 invalid;

	if (weight == 0 || PG_ARGISNULL(ARG_POINT))
	{
		state->request.skipped++;
		return;
	}
	open(&point, PG_GETARG_DATUM(ARG_POINT), state->rows_seen);
	if (state->type == InvalidOid)
		begin_rows(state, &point);
	check_type(state, &point);
	check_dimensions(state, &point);
	if (copy_values(state, &point, &invalid))
		clu_pg_rows_add(&state->rows, weight);
	else if (clu_option_integer(&state->request.options, CLU_INVALID) == CLU_INVALID_SKIP)
		state->request.skipped++;
	else
		clu_pg_point_report(&point, invalid, state->rows_seen, true);
}

static void
close_rows(Datum rows)
{
	clu_pg_rows_close((clu_pg_rows *) DatumGetPointer(rows));
}

static Datum
transition(FunctionCallInfo fcinfo, clu_algorithm algorithm, clu_pg_open open)
{
	fit_state	 *state = PG_ARGISNULL(0) ? NULL : (fit_state *) PG_GETARG_POINTER(0);
	MemoryContext context;
	int			  kind = AggCheckCallContext(fcinfo, &context);

	if (kind == 0)
		elog(ERROR, "fit transition function called in non-aggregate context");
	if (state == NULL)
	{
		MemoryContext old = MemoryContextSwitchTo(context);

		state = palloc0(sizeof(fit_state));
		state->rows.context = context;
		state->rows.windowed = kind == AGG_CONTEXT_WINDOW;
		state->request.algorithm = algorithm;
		read_arguments(fcinfo, state);
		if (kind == AGG_CONTEXT_AGGREGATE)
			AggRegisterCallback(fcinfo, close_rows, PointerGetDatum(&state->rows));
		MemoryContextSwitchTo(old);
	}
	else if (!state->arguments.fixed)
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

void
clu_pg_warn_not_converged(const clu_model *model)
{
	if (model->flags & CLU_MODEL_CONVERGED)
		return;
	ereport(WARNING, (errmsg("%s fit did not converge", clu_algorithm_name(model->algorithm)),
					  errdetail_plural("It stopped after " INT64_FORMAT " iteration.",
									   "It stopped after " INT64_FORMAT " iterations.",
									   (unsigned long) model->iterations, model->iterations),
					  errhint("Increase the option \"max_iter\" or \"tol\"; cluster_info shows "
							  "which models have converged.")));
}

/* Once per query, however many groups it has. */
static void
warn_once(FunctionCallInfo fcinfo, const clu_model *model)
{
	static char warned;

	if ((model->flags & CLU_MODEL_CONVERGED) || fcinfo->flinfo->fn_extra == &warned)
		return;
	fcinfo->flinfo->fn_extra = &warned;
	clu_pg_warn_not_converged(model);
}

Datum
clustering_fit_final(PG_FUNCTION_ARGS)
{
	fit_state *state = PG_ARGISNULL(0) ? NULL : (fit_state *) PG_GETARG_POINTER(0);
	clu_model  summary;
	bytea	  *result;

	if (state == NULL || state->rows.n == 0)
		PG_RETURN_NULL();
	result = clu_pg_fit(&state->request, &state->rows, &summary);
	warn_once(fcinfo, &summary);
	PG_RETURN_BYTEA_P(result);
}
