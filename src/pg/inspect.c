/*
 * inspect.c
 *		What a model says of itself: cluster_info, cluster_components, cluster_trace.
 */
#include "pg_clustering.h"

#include <math.h>

#include "access/htup_details.h"
#include "catalog/pg_type.h"
#include "funcapi.h"
#include "utils/array.h"
#include "utils/builtins.h"
#include "utils/jsonb.h"

#include "model_bytes.h"
#include "model_value.h"
#include "options_value.h"

PG_FUNCTION_INFO_V1(clustering_cluster_info);
PG_FUNCTION_INFO_V1(clustering_cluster_components);
PG_FUNCTION_INFO_V1(clustering_cluster_trace);

#define INFO_COLUMNS 16
#define COMPONENT_COLUMNS 6
#define TRACE_COLUMNS 4

static clu_model *
decode_argument(FunctionCallInfo fcinfo)
{
	bytea *bytes = PG_GETARG_BYTEA_PP(0);

	return clu_pg_decode((const uint8 *) VARDATA_ANY(bytes), VARSIZE_ANY_EXHDR(bytes),
						 CurrentMemoryContext);
}

/* ---- cluster_info ---- */

typedef struct row
{
	Datum *values;
	bool  *nulls;
	int	   n;
} row;

static void
put(row *to, Datum value, bool known)
{
	to->values[to->n] = value;
	to->nulls[to->n++] = !known;
}

static void
put_criteria(row *to, const clu_model *model)
{
	bool   known = (model->flags & CLU_MODEL_LIKELIHOOD) != 0;
	double parameters = clu_free_parameters(model);
	double twice = 2 * model->log_likelihood;

	put(to, Float8GetDatum(model->log_likelihood), known);
	put(to, Float8GetDatum(2 * parameters - twice), known);
	put(to, Float8GetDatum(known ? parameters * log(model->total_weight) - twice : 0), known);
	put(to, Int64GetDatum((int64) parameters), true);
}

Datum
clustering_cluster_info(PG_FUNCTION_ARGS)
{
	clu_model *model = decode_argument(fcinfo);
	bool	   fitted = (model->flags & CLU_MODEL_FITTED) != 0;
	Datum	   values[INFO_COLUMNS];
	bool	   nulls[INFO_COLUMNS];
	row		   to = {values, nulls, 0};
	TupleDesc  tuple;

	if (get_call_result_type(fcinfo, NULL, &tuple) != TYPEFUNC_COMPOSITE)
		elog(ERROR, "return type must be a row type");
	put(&to, CStringGetTextDatum(clu_algorithm_name(model->algorithm)), true);
	put(&to, Int32GetDatum(model->k), true);
	put(&to, Int32GetDatum(model->d), true);
	put(&to, Int64GetDatum(model->rows), fitted);
	put(&to, Int64GetDatum(model->skipped), fitted);
	put(&to, Float8GetDatum(model->total_weight), fitted);
	put(&to, Int64GetDatum(model->iterations), fitted);
	put(&to, BoolGetDatum((model->flags & CLU_MODEL_CONVERGED) != 0), fitted);
	put(&to, Float8GetDatum(model->objective), fitted);
	put_criteria(&to, model);
	put(&to, Int64GetDatum(clu_option_integer(&model->options, CLU_SEED)), fitted);
	put(&to, JsonbPGetDatum(clu_pg_options_to_jsonb(&model->options)), true);
	put(&to, Int32GetDatum(CLU_FORMAT_VERSION), true);
	PG_RETURN_DATUM(HeapTupleGetDatum(heap_form_tuple(BlessTupleDesc(tuple), values, nulls)));
}

/* ---- cluster_components ---- */

static Datum
array_of(const double *values, int ndim, int rows, int columns)
{
	int	   dims[2] = {rows, columns}, bounds[2] = {1, 1};
	int	   n = ndim == 1 ? rows : rows * columns;
	Datum *elements = palloc((Size) n * sizeof(Datum));

	for (int i = 0; i < n; i++)
		elements[i] = Float8GetDatum(values[i]);
	return PointerGetDatum(construct_md_array(elements, NULL, ndim, dims, bounds, FLOAT8OID,
											  sizeof(float8), FLOAT8PASSBYVAL, TYPALIGN_DOUBLE));
}

/* The covariance of a component, as it's parametrised: a matrix, a diagonal or one variance. */
static Datum
covariance_of(const clu_model *model, int c)
{
	int d = model->d;

	switch (model->structure)
	{
		case CLU_COV_FULL:
			return array_of(model->covariance + (Size) c * (Size) d * (Size) d, 2, d, d);
		case CLU_COV_TIED:
			return array_of(model->covariance, 2, d, d);
		case CLU_COV_DIAG:
			return array_of(model->covariance + (Size) c * (Size) d, 1, d, 1);
		case CLU_COV_SPHERICAL:
			return array_of(model->covariance + c, 1, 1, 1);
		default:
			return array_of(model->covariance, 1, 1, 1);
	}
}

Datum
clustering_cluster_components(PG_FUNCTION_ARGS)
{
	clu_model	  *model = decode_argument(fcinfo);
	bool		   fitted = (model->flags & CLU_MODEL_FITTED) != 0;
	ReturnSetInfo *result = (ReturnSetInfo *) fcinfo->resultinfo;

	InitMaterializedSRF(fcinfo, 0);
	for (int c = 0; c < model->k; c++)
	{
		Datum values[COMPONENT_COLUMNS];
		bool  nulls[COMPONENT_COLUMNS];
		row	  to = {values, nulls, 0};

		put(&to, Int32GetDatum(c + 1), true);
		put(&to, Float8GetDatum(model->weight[c]), true);
		put(&to, Float8GetDatum(model->size[c]), fitted);
		put(&to, array_of(model->center + (Size) c * (Size) model->d, 1, model->d, 1), true);
		if (model->algorithm == CLU_GMM)
			put(&to, covariance_of(model, c), true);
		else
			put(&to, (Datum) 0, false);
		put(&to, Float8GetDatum(model->cost[c]),
			fitted && !clu_model_is_mixture(model) && !clu_model_is_soft(model));
		tuplestore_putvalues(result->setResult, result->setDesc, values, nulls);
		CHECK_FOR_INTERRUPTS();
	}
	return (Datum) 0;
}

/* ---- cluster_trace ---- */

Datum
clustering_cluster_trace(PG_FUNCTION_ARGS)
{
	clu_model	  *model = decode_argument(fcinfo);
	ReturnSetInfo *result = (ReturnSetInfo *) fcinfo->resultinfo;

	InitMaterializedSRF(fcinfo, 0);
	for (Size i = 0; i < model->trace_count; i++)
	{
		Datum values[TRACE_COLUMNS];
		bool  nulls[TRACE_COLUMNS];
		row	  to = {values, nulls, 0};

		put(&to, Int32GetDatum((int32) model->trace[i].run), true);
		put(&to, Int32GetDatum((int32) model->trace[i].iteration), true);
		put(&to, Float8GetDatum(model->trace[i].objective), true);
		put(&to, Int64GetDatum((int64) model->trace[i].changed), !clu_model_is_mixture(model));
		tuplestore_putvalues(result->setResult, result->setDesc, values, nulls);
		CHECK_FOR_INTERRUPTS();
	}
	return (Datum) 0;
}
