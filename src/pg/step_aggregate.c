/*
 * step_aggregate.c
 *		cluster_step: one refit of a model, as an aggregate that runs in pieces.
 *
 * The transition state is a bytea: four bytes of zeros behind the length, so that what follows is
 * aligned, and then a state of the core (step.h).  The transition function changes it where it
 * lies; the pieces of parallel workers, of shards or of whatever sent its state as a value are
 * added by the combine function.  That and the final function are ordinary functions too, and
 * believe nothing of what they are given.
 */
#include "pg_clustering.h"

#include "catalog/pg_type.h"

#include "model_bytes.h"
#include "model_value.h"
#include "points.h"
#include "state_value.h"

PG_FUNCTION_INFO_V1(clustering_step_transition);
PG_FUNCTION_INFO_V1(clustering_step_bits_transition);
PG_FUNCTION_INFO_V1(clustering_step_combine);
PG_FUNCTION_INFO_V1(clustering_step_final);

#define ARG_STATE 0
#define ARG_POINT 1
#define ARG_MODEL 2
#define ARG_WEIGHT 3

/* ---- states as values ---- */

/* A state of no rows, in the current context. */
static bytea *
new_state(const clu_pg_cached *cached)
{
	Size   size = clu_step_size(cached->step);
	bytea *state;

	if (size > CLU_PG_LARGEST_STATE)
		ereport(ERROR,
				(errcode(ERRCODE_PROGRAM_LIMIT_EXCEEDED), errmsg("model is too large for a step"),
				 errdetail("The sums need %zu bytes, a value of type bytea has at most %zu.", size,
						   (Size) CLU_PG_LARGEST_STATE),
				 errhint("Use fewer clusters or dimensions.")));
	state = clu_pg_state_new(size);
	clu_step_clear(cached->step, clu_pg_state(state), cached->bytes);
	return state;
}

/* A state in an argument, in place or copied (state_value.h); an error where it's none. */
static bytea *
state_argument(FunctionCallInfo fcinfo, int argument, bool in_place)
{
	bytea	  *state = clu_pg_state_open(PG_GETARG_DATUM(argument), in_place);
	clu_error  error = {0};
	clu_status status =
		clu_step_check_header(clu_pg_state(state), clu_pg_state_size(state), &error);

	if (status != CLU_OK)
		clu_pg_report(status, &error);
	return state;
}

/* ---- transition ---- */

static bool
is_of_model(bytea *state, const clu_pg_cached *cached)
{
	return clu_step_head(clu_pg_state(state))->model_length == cached->step->model_length &&
		   memcmp(clu_step_model(clu_pg_state(state)), cached->bytes, CLU_MODEL_HEADER) == 0;
}

static bytea *
open_state(FunctionCallInfo fcinfo, const clu_pg_cached *cached)
{
	bytea	  *state;
	clu_status status;

	if (PG_ARGISNULL(ARG_STATE))
		return new_state(cached);
	state = state_argument(fcinfo, ARG_STATE, true);
	if (!is_of_model(state, cached))
		ereport(ERROR, (errcode(ERRCODE_INVALID_PARAMETER_VALUE),
						errmsg("model must be the same for all rows of a group"),
						errhint("Put it into GROUP BY, or use a constant.")));
	status = clu_step_check(cached->step, clu_pg_state(state), clu_pg_state_size(state), true);
	if (status != CLU_OK)
		clu_pg_report(status, cached->step->error);
	return state;
}

/* The values into the state's buffer; false where they're invalid. */
static bool
copy_values(const clu_pg_point *point, const clu_pg_cached *cached, void *state, int64 where,
			int *invalid)
{
	void *row = clu_step_row(cached->step, state);

	if (cached->step->width == CLU_PACKED)
		return clu_pg_point_pack(point, row, cached->row, where, invalid);
	return clu_pg_point_read(point, 8, row, invalid);
}

static void
check_point(const clu_pg_point *point, const clu_model *model, int64 where)
{
	if (point->d != model->d)
		ereport(ERROR, (errcode(ERRCODE_ARRAY_SUBSCRIPT_ERROR),
						errmsg("point and model have different numbers of dimensions"),
						errdetail("Row " INT64_FORMAT " has %d, the model has %d.", where, point->d,
								  model->d)));
	if (point->type == VARBITOID && model->algorithm != CLU_BERNOULLI)
		ereport(ERROR, (errcode(ERRCODE_DATATYPE_MISMATCH), errmsg("points can't be bit strings"),
						errdetail("The model is a %s model.", clu_algorithm_name(model->algorithm)),
						errhint("Bit strings are for models of bernoulli_fit.")));
	if (point->type != VARBITOID)
		(void) clu_pg_point_width(point->type);
}

/* The point into the state's buffer; false where it is to be skipped. */
static bool
read_point(FunctionCallInfo fcinfo, const clu_pg_cached *cached, void *state, int64 where,
		   clu_pg_open open)
{
	const clu_options *options = &cached->model->options;
	bool			   skip = clu_option_is_set(options, CLU_INVALID) &&
				clu_option_integer(options, CLU_INVALID) == CLU_INVALID_SKIP;
	clu_pg_point point;
	int			 invalid;

	open(&point, PG_GETARG_DATUM(ARG_POINT), where);
	check_point(&point, cached->model, where);
	if (copy_values(&point, cached, state, where, &invalid))
		return true;
	if (!skip)
		clu_pg_point_report(&point, invalid, where, true);
	return false;
}

static Datum
transition(FunctionCallInfo fcinfo, clu_pg_open open)
{
	clu_pg_cached *cached;
	bytea		  *value;
	void		  *state;
	double		   weight;
	int64		   where;
	clu_status	   status = CLU_OK;

	if (!AggCheckCallContext(fcinfo, NULL))
		elog(ERROR, "step transition function called in non-aggregate context");
	if (PG_ARGISNULL(ARG_MODEL))
		ereport(ERROR, (errcode(ERRCODE_NULL_VALUE_NOT_ALLOWED), errmsg("model must not be NULL")));
	cached = clu_pg_step_model(fcinfo, ARG_MODEL);
	value = open_state(fcinfo, cached);
	state = clu_pg_state(value);
	where = clu_step_head(state)->rows + clu_step_head(state)->skipped + 1;
	weight = clu_pg_weight(fcinfo, ARG_WEIGHT, where);
	if (weight == 0 || PG_ARGISNULL(ARG_POINT) || !read_point(fcinfo, cached, state, where, open))
		clu_step_skip(state);
	else
		status = clu_step_add(cached->step, state, weight);
	if (status != CLU_OK)
		clu_pg_report(status, cached->step->error);
	PG_RETURN_BYTEA_P(value);
}

Datum
clustering_step_transition(PG_FUNCTION_ARGS)
{
	return transition(fcinfo, clu_pg_point_open);
}

Datum
clustering_step_bits_transition(PG_FUNCTION_ARGS)
{
	return transition(fcinfo, clu_pg_bits_open);
}

/* ---- combine and final ---- */

/* The step of a state, with a decoded model, all in the current context; checks the state. */
static clu_step *
step_of_state(bytea *state)
{
	Size	   length = clu_step_head(clu_pg_state(state))->model_length;
	clu_model *model =
		clu_pg_decode(clu_step_model(clu_pg_state(state)), length, CurrentMemoryContext);
	clu_step  *step = clu_pg_step_new(model, length);
	clu_status status = clu_step_check(step, clu_pg_state(state), clu_pg_state_size(state), false);

	if (status != CLU_OK)
		clu_pg_report(status, step->error);
	return step;
}

static bool
same_model(bytea *a, bytea *b)
{
	const clu_step_header *ha = clu_step_head(clu_pg_state(a)),
						  *hb = clu_step_head(clu_pg_state(b));

	return ha->model_length == hb->model_length &&
		   memcmp(clu_step_model(clu_pg_state(a)), clu_step_model(clu_pg_state(b)),
				  ha->model_length) == 0;
}

/* Add state b to a; both have valid headers. */
static void
combine(bytea *a, bytea *b)
{
	MemoryContext working =
		AllocSetContextCreate(CurrentMemoryContext, "clustering step", ALLOCSET_SMALL_SIZES);
	MemoryContext caller = MemoryContextSwitchTo(working);
	clu_step	 *step = step_of_state(a);
	clu_status	  status;

	if (!same_model(a, b))
		ereport(ERROR, (errcode(ERRCODE_INVALID_PARAMETER_VALUE),
						errmsg("states of different models can't be combined"),
						errhint("Make all of them from the same model.")));
	status = clu_step_check(step, clu_pg_state(b), clu_pg_state_size(b), false);
	if (status == CLU_OK)
		status = clu_step_merge(step, clu_pg_state(a), clu_pg_state(b));
	if (status != CLU_OK)
		clu_pg_report(status, step->error);
	MemoryContextSwitchTo(caller);
	MemoryContextDelete(working);
}

Datum
clustering_step_combine(PG_FUNCTION_ARGS)
{
	bool   in_place = AggCheckCallContext(fcinfo, NULL);
	bytea *a, *b;

	if (PG_ARGISNULL(0) && PG_ARGISNULL(1))
		PG_RETURN_NULL();
	if (PG_ARGISNULL(0) || PG_ARGISNULL(1))
		PG_RETURN_BYTEA_P(state_argument(fcinfo, PG_ARGISNULL(0) ? 1 : 0, in_place));
	a = state_argument(fcinfo, 0, in_place);
	b = state_argument(fcinfo, 1, true);
	if (a == b)
		a = DatumGetByteaPCopy(PointerGetDatum(a));
	combine(a, b);
	PG_RETURN_BYTEA_P(a);
}

clu_model *
clu_pg_step_refit(Datum datum, bool measuring, clu_step *done)
{
	bytea	  *state = DatumGetByteaPCopy(datum);
	clu_error  error = {0};
	clu_status status =
		clu_step_check_header(clu_pg_state(state), clu_pg_state_size(state), &error);
	clu_step  *step;
	clu_model *result;

	if (status != CLU_OK)
		clu_pg_report(status, &error);
	step = step_of_state(state);
	if (clu_step_head(clu_pg_state(state))->rows == 0)
		return NULL;
	result = clu_pg_model_copy(step->model, 1);
	status = clu_step_refit(step, clu_pg_state(state), result, measuring);
	if (status != CLU_OK)
		clu_pg_report(status, step->error);
	if (clu_pg_check(result, &error) != CLU_OK)
		clu_pg_report(CLU_DAMAGED_STATE, &error);
	*done = *step;
	return result;
}

Datum
clustering_step_final(PG_FUNCTION_ARGS)
{
	MemoryContext working =
		AllocSetContextCreate(CurrentMemoryContext, "clustering step", ALLOCSET_SMALL_SIZES);
	MemoryContext caller = MemoryContextSwitchTo(working);
	clu_step	  done;
	clu_model	 *model = clu_pg_step_refit(PG_GETARG_DATUM(0), false, &done);
	bytea		 *result;

	MemoryContextSwitchTo(caller);
	result = model == NULL ? NULL : clu_pg_encode(model);
	MemoryContextDelete(working);
	if (result == NULL)
		PG_RETURN_NULL();
	PG_RETURN_BYTEA_P(result);
}
