/*
 * sketch_aggregate.c
 *		cluster_sketch: a sample of rows that merges, for the beginning of fits over a query.
 *
 * An aggregate without a final function: its result is its state, whose rows
 * cluster_sketch_rows lists.  The costs by which rows are drawn are the distances to the nearest
 * centre of a model; without a model, all are 1.
 */
#include "pg_clustering.h"

#include <math.h>

#include "catalog/pg_type.h"
#include "funcapi.h"
#include "utils/array.h"
#include "utils/tuplestore.h"

#include "model_value.h"
#include "points.h"
#include "sketch.h"
#include "sketch_value.h"
#include "state_value.h"

PG_FUNCTION_INFO_V1(clustering_sketch_transition);
PG_FUNCTION_INFO_V1(clustering_sketch_bits_transition);
PG_FUNCTION_INFO_V1(clustering_sketch_combine);
PG_FUNCTION_INFO_V1(clustering_sketch_rows);

#define ARG_STATE 0
#define ARG_POINT 1
#define ARG_MODEL 2
#define ARG_SIZE 3
#define ARG_SEED 4
#define ARG_FLAGS 5
#define ARG_WEIGHT 6

#define MOST_BYTES (Size)(64 * 1024 * 1024)

/* ---- values ---- */

const void *
clu_pg_sketch_check(bytea *value, bool quick)
{
	clu_error  error = {0};
	clu_status status =
		clu_sketch_check(clu_pg_state(value), clu_pg_state_size(value), quick, &error);

	if (status != CLU_OK)
		clu_pg_report(status, &error);
	return clu_pg_state(value);
}

/* As many rows as asked for, or as fit into memory. */
static uint32
rows_for(int n, int d, int width)
{
	Size one = clu_sketch_size(d, width, 1);

	return (uint32) Max(Min((Size) Max(n, 1), MOST_BYTES / one), 1);
}

static bytea *
make_sketch(int d, int width, uint32 most, int64 seed)
{
	Size   size = clu_sketch_size(d, width, most);
	bytea *value;

	if (size > CLU_PG_LARGEST_STATE)
		ereport(ERROR, (errcode(ERRCODE_PROGRAM_LIMIT_EXCEEDED),
						errmsg("points are too large for a sample"),
						errdetail("A point has %d dimensions.", d)));
	value = clu_pg_state_new(size);
	clu_sketch_clear(clu_pg_state(value), d, width, most, seed);
	return value;
}

static int64
skipped_by(bytea *value)
{
	return value == NULL ? 0 : clu_sketch_head(clu_pg_state(value))->skipped;
}

static bool
has_points(bytea *value)
{
	return value != NULL && clu_sketch_head(clu_pg_state(value))->d > 0;
}

/* The sketch for points of d dimensions, in the place of one that has not seen any. */
static bytea *
begin_sketch(FunctionCallInfo fcinfo, bytea *before, int d)
{
	int	   width = (PG_GETARG_INT32(ARG_FLAGS) & CLU_PG_SKETCH_PACKED) ? CLU_PACKED : 8;
	uint32 most = rows_for(PG_GETARG_INT32(ARG_SIZE), d, width);
	bytea *value = make_sketch(d, width, most, PG_GETARG_INT64(ARG_SEED));

	clu_sketch_skip(clu_pg_state(value), skipped_by(before));
	return value;
}

/* ---- transition ---- */

/* What a row costs: its distance, squared for K-means, from the nearest centre. */
static double
cost_of(FunctionCallInfo fcinfo, const double *row, int d)
{
	clu_pg_cached *cached;
	double		  *distance, least = INFINITY;

	if (PG_ARGISNULL(ARG_MODEL))
		return 1;
	cached = clu_pg_model(fcinfo, ARG_MODEL);
	if (cached->model->d != d)
		ereport(ERROR, (errcode(ERRCODE_ARRAY_SUBSCRIPT_ERROR),
						errmsg("point and model have different numbers of dimensions"),
						errdetail("The point has %d, the model has %d.", d, cached->model->d)));
	distance = palloc((Size) cached->model->k * sizeof(double));
	cached->scorer.verbs->distances(&cached->scorer, row, distance);
	for (int c = 0; c < cached->model->k; c++)
		least = fmin(least, distance[c]);
	pfree(distance);
	return cached->model->algorithm == CLU_KMEANS ? least * least : least;
}

static void
check_dimensions(const void *sketch, const clu_pg_point *point, int64 where)
{
	int d = clu_sketch_head(sketch)->d;

	if (point->d != d)
		ereport(ERROR, (errcode(ERRCODE_ARRAY_SUBSCRIPT_ERROR),
						errmsg("points must all have the same number of dimensions"),
						errdetail("Row " INT64_FORMAT " has %d, the rows before it have %d.", where,
								  point->d, d)));
	if (point->type != VARBITOID)
		(void) clu_pg_point_width(point->type);
}

/* Read the row in the form in which the sketch has it; false where it's to be skipped. */
static bool
read_row(FunctionCallInfo fcinfo, const void *sketch, const clu_pg_point *point, double *values,
		 void *row, int64 where)
{
	bool skip = (PG_GETARG_INT32(ARG_FLAGS) & CLU_PG_SKETCH_SKIP) != 0;
	int	 invalid;
	bool valid;

	if (clu_sketch_head(sketch)->width == CLU_PACKED)
		valid = clu_pg_point_pack(point, row, values, where, &invalid);
	else
		valid = clu_pg_point_read(point, 8, values, &invalid);
	if (!valid && !skip)
		clu_pg_point_report(point, invalid, where, true);
	for (int j = 0; j < point->d && valid && row == values; j++)
		values[j] += 0.0; /* -0 becomes 0, for equal rows are to be equal bytes */
	return valid;
}

static void
add_row(FunctionCallInfo fcinfo, void *sketch, const clu_pg_point *point, double weight,
		int64 where)
{
	bool	packed = clu_sketch_head(sketch)->width == CLU_PACKED;
	double *values = palloc((Size) point->d * sizeof(double));
	void   *row = packed ? palloc0(clu_row_size(point->d, CLU_PACKED)) : values;
	double	cost;

	if (!read_row(fcinfo, sketch, point, values, row, where))
		clu_sketch_skip(sketch, 1);
	else
	{
		cost = cost_of(fcinfo, values, point->d);
		clu_sketch_add(sketch, row, PG_ARGISNULL(ARG_MODEL) ? 1 : cost * weight, weight);
	}
	if (packed)
		pfree(row);
	pfree(values);
}

static void
check_arguments(FunctionCallInfo fcinfo)
{
	if (!AggCheckCallContext(fcinfo, NULL))
		elog(ERROR, "sketch transition function called in non-aggregate context");
	for (int argument = ARG_SIZE; argument <= ARG_FLAGS; argument++)
		if (PG_ARGISNULL(argument))
			ereport(ERROR, (errcode(ERRCODE_NULL_VALUE_NOT_ALLOWED),
							errmsg("n, seed and flags must not be NULL")));
}

static bytea *
open_sketch(FunctionCallInfo fcinfo)
{
	bytea *value;

	if (PG_ARGISNULL(ARG_STATE))
		return make_sketch(0, 8, 0, 0);
	value = clu_pg_state_open(PG_GETARG_DATUM(ARG_STATE), true);
	(void) clu_pg_sketch_check(value, true);
	return value;
}

static Datum
transition(FunctionCallInfo fcinfo, clu_pg_open open)
{
	bytea		*value;
	clu_pg_point point;
	double		 weight;
	int64		 where;

	check_arguments(fcinfo);
	value = open_sketch(fcinfo);
	where = clu_sketch_head(clu_pg_state(value))->rows + skipped_by(value) + 1;
	weight = clu_pg_weight(fcinfo, ARG_WEIGHT, where);
	if (weight == 0 || PG_ARGISNULL(ARG_POINT))
	{
		clu_sketch_skip(clu_pg_state(value), 1);
		PG_RETURN_BYTEA_P(value);
	}
	open(&point, PG_GETARG_DATUM(ARG_POINT), where);
	if (!has_points(value))
		value = begin_sketch(fcinfo, value, point.d);
	check_dimensions(clu_pg_state(value), &point, where);
	add_row(fcinfo, clu_pg_state(value), &point, weight, where);
	PG_RETURN_BYTEA_P(value);
}

Datum
clustering_sketch_transition(PG_FUNCTION_ARGS)
{
	return transition(fcinfo, clu_pg_point_open);
}

Datum
clustering_sketch_bits_transition(PG_FUNCTION_ARGS)
{
	return transition(fcinfo, clu_pg_bits_open);
}

/* ---- combine ---- */

Datum
clustering_sketch_combine(PG_FUNCTION_ARGS)
{
	bool   in_place = AggCheckCallContext(fcinfo, NULL);
	bytea *a, *b;

	if (PG_ARGISNULL(0) && PG_ARGISNULL(1))
		PG_RETURN_NULL();
	a = clu_pg_state_open(PG_GETARG_DATUM(PG_ARGISNULL(0) ? 1 : 0), in_place);
	(void) clu_pg_sketch_check(a, false);
	if (PG_ARGISNULL(0) || PG_ARGISNULL(1))
		PG_RETURN_BYTEA_P(a);
	b = clu_pg_state_open(PG_GETARG_DATUM(1), false);
	(void) clu_pg_sketch_check(b, false);
	if (!has_points(a) || !has_points(b))
	{
		bytea *whole = has_points(a) ? a : b;

		clu_sketch_skip(clu_pg_state(whole), skipped_by(whole == a ? b : a));
		PG_RETURN_BYTEA_P(whole);
	}
	if (!clu_sketch_same_kind(clu_pg_state(a), clu_pg_state(b)))
		ereport(ERROR, (errcode(ERRCODE_INVALID_PARAMETER_VALUE),
						errmsg("samples of different kinds can't be combined"),
						errhint("All points must have the same number of dimensions.")));
	clu_sketch_merge(clu_pg_state(a), clu_pg_state(b), &clu_pg_interrupt);
	PG_RETURN_BYTEA_P(a);
}

/* ---- the rows ---- */

void
clu_pg_sketch_values(const void *sketch, uint32 i, double *values, double *weight)
{
	const clu_sketch_header *header = sketch;
	const void				*row = clu_sketch_row(sketch, i, weight);

	if (header->width == CLU_PACKED)
		clu_unpack(row, header->d, values);
	else
		memcpy(values, row, (Size) header->d * sizeof(double));
}

/* Rows of the sample with their weights; only these add up, so weights of 0 are none. */
Datum
clustering_sketch_rows(PG_FUNCTION_ARGS)
{
	bytea		  *value = clu_pg_state_open(PG_GETARG_DATUM(0), true);
	const void	  *sketch = clu_pg_sketch_check(value, false);
	ReturnSetInfo *result = (ReturnSetInfo *) fcinfo->resultinfo;
	int			   d = clu_sketch_head(sketch)->d;
	Size		   size = ARR_OVERHEAD_NONULLS(1) + (Size) d * sizeof(float8);
	ArrayType	  *array;

	InitMaterializedSRF(fcinfo, 0);
	array = palloc0(size);
	SET_VARSIZE(array, size);
	array->ndim = 1;
	array->elemtype = FLOAT8OID;
	ARR_DIMS(array)[0] = d;
	ARR_LBOUND(array)[0] = 1;
	for (uint32 i = 0; i < clu_sketch_head(sketch)->listed; i++)
	{
		Datum  values[2];
		bool   nulls[2] = {false, false};
		double weight;

		clu_pg_sketch_values(sketch, i, (double *) ARR_DATA_PTR(array), &weight);
		values[0] = PointerGetDatum(array);
		values[1] = Float8GetDatum(weight);
		tuplestore_putvalues(result->setResult, result->setDesc, values, nulls);
		CHECK_FOR_INTERRUPTS();
	}
	PG_RETURN_NULL();
}
