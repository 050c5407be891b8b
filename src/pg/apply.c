/*
 * apply.c
 *		Functions of a model and a point: labels, distances, probabilities, densities.
 */
#include "pg_clustering.h"

#include "catalog/pg_type.h"
#include "utils/array.h"

PG_FUNCTION_INFO_V1(clustering_cluster_predict);
PG_FUNCTION_INFO_V1(clustering_cluster_probabilities);
PG_FUNCTION_INFO_V1(clustering_cluster_distance);
PG_FUNCTION_INFO_V1(clustering_cluster_distances);
PG_FUNCTION_INFO_V1(clustering_cluster_center);
PG_FUNCTION_INFO_V1(clustering_cluster_log_density);

/* The model of argument 0, and the point of argument 1 in its scratch row. */
static clu_pg_cached *
open_arguments(FunctionCallInfo fcinfo)
{
	clu_pg_cached *cached = clu_pg_model(fcinfo, 0);
	clu_pg_point   point;
	int			   invalid;

	clu_pg_point_open(&point, PG_GETARG_DATUM(1), 0);
	if (point.d != cached->model->d)
		ereport(ERROR, (errcode(ERRCODE_ARRAY_SUBSCRIPT_ERROR),
						errmsg("point and model have different numbers of dimensions"),
						errdetail("The point has %d, the model has %d.", point.d, cached->model->d),
						errhint("Apply the model to the columns that it was fitted to.")));
	(void) clu_pg_point_width(point.type);
	if (!clu_pg_point_read(&point, 8, cached->row, &invalid))
		clu_pg_point_report(&point, invalid, 0, false);
	return cached;
}

static ArrayType *
make_array(int n)
{
	Size	   size = ARR_OVERHEAD_NONULLS(1) + (Size) n * sizeof(float8);
	ArrayType *array = palloc0(size);

	SET_VARSIZE(array, size);
	array->ndim = 1;
	array->elemtype = FLOAT8OID;
	ARR_DIMS(array)[0] = n;
	ARR_LBOUND(array)[0] = 1;
	return array;
}

Datum
clustering_cluster_predict(PG_FUNCTION_ARGS)
{
	clu_pg_cached *cached = open_arguments(fcinfo);

	PG_RETURN_INT32(cached->scorer.verbs->label(&cached->scorer, cached->row) + 1);
}

Datum
clustering_cluster_probabilities(PG_FUNCTION_ARGS)
{
	clu_pg_cached *cached = open_arguments(fcinfo);
	ArrayType	  *result = make_array(cached->model->k);

	cached->scorer.verbs->probabilities(&cached->scorer, cached->row,
										(double *) ARR_DATA_PTR(result));
	PG_RETURN_ARRAYTYPE_P(result);
}

Datum
clustering_cluster_distances(PG_FUNCTION_ARGS)
{
	clu_pg_cached *cached = open_arguments(fcinfo);
	ArrayType	  *result = make_array(cached->model->k);

	cached->scorer.verbs->distances(&cached->scorer, cached->row, (double *) ARR_DATA_PTR(result));
	PG_RETURN_ARRAYTYPE_P(result);
}

Datum
clustering_cluster_distance(PG_FUNCTION_ARGS)
{
	clu_pg_cached *cached = open_arguments(fcinfo);
	int			   label = cached->scorer.verbs->label(&cached->scorer, cached->row);
	double		  *distance = palloc((Size) cached->model->k * sizeof(double));
	double		   result;

	cached->scorer.verbs->distances(&cached->scorer, cached->row, distance);
	result = distance[label];
	pfree(distance);
	PG_RETURN_FLOAT8(result);
}

Datum
clustering_cluster_center(PG_FUNCTION_ARGS)
{
	clu_pg_cached *cached = open_arguments(fcinfo);
	int			   label = cached->scorer.verbs->label(&cached->scorer, cached->row);
	int			   d = cached->model->d;
	ArrayType	  *result = make_array(d);

	memcpy(ARR_DATA_PTR(result), cached->model->center + (Size) label * (Size) d,
		   (Size) d * sizeof(double));
	PG_RETURN_ARRAYTYPE_P(result);
}

Datum
clustering_cluster_log_density(PG_FUNCTION_ARGS)
{
	clu_pg_cached *cached = open_arguments(fcinfo);

	if (cached->scorer.verbs->log_density == NULL)
		ereport(ERROR, (errcode(ERRCODE_INVALID_PARAMETER_VALUE), errmsg("model has no density"),
						errdetail("It is a %s model, which is no probability distribution.",
								  clu_algorithm_name(cached->model->algorithm)),
						errhint("Use a model of gmm_fit or bernoulli_fit, or cluster_distance.")));
	PG_RETURN_FLOAT8(cached->scorer.verbs->log_density(&cached->scorer, cached->row));
}
