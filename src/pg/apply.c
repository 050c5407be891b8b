/*
 * apply.c
 *		Functions of a model and a point: labels, distances, probabilities, densities.
 */
#include "pg_clustering.h"

#include <math.h>

#include "catalog/pg_type.h"
#include "utils/array.h"

PG_FUNCTION_INFO_V1(clustering_cluster_predict);
PG_FUNCTION_INFO_V1(clustering_cluster_predict_bits);
PG_FUNCTION_INFO_V1(clustering_cluster_probabilities);
PG_FUNCTION_INFO_V1(clustering_cluster_probabilities_bits);
PG_FUNCTION_INFO_V1(clustering_cluster_distance);
PG_FUNCTION_INFO_V1(clustering_cluster_distance_bits);
PG_FUNCTION_INFO_V1(clustering_cluster_distances);
PG_FUNCTION_INFO_V1(clustering_cluster_distances_bits);
PG_FUNCTION_INFO_V1(clustering_cluster_center);
PG_FUNCTION_INFO_V1(clustering_cluster_center_bits);
PG_FUNCTION_INFO_V1(clustering_cluster_log_density);
PG_FUNCTION_INFO_V1(clustering_cluster_log_density_bits);

/* A model, and a point as its scorer takes it. */
typedef struct application
{
	clu_model	 *model;
	clu_scorer	 *scorer;
	const double *x;
} application;

static void
check_dimensions(const clu_pg_point *point, const clu_model *model)
{
	if (point->d != model->d)
		ereport(ERROR, (errcode(ERRCODE_ARRAY_SUBSCRIPT_ERROR),
						errmsg("point and model have different numbers of dimensions"),
						errdetail("The point has %d, the model has %d.", point->d, model->d),
						errhint("Apply the model to the columns that it was fitted to.")));
}

/* The point, read into the scratch of the model. */
static application
read_point(const clu_pg_point *point, clu_pg_cached *cached)
{
	bool packed = cached->scorer.verbs->packed;
	int	 invalid;

	check_dimensions(point, cached->model);
	if (!(packed ? clu_pg_point_pack(point, cached->packed, cached->row, 0, &invalid)
				 : clu_pg_point_read(point, 8, cached->row, &invalid)))
		clu_pg_point_report(point, invalid, 0, false);
	return (application) {
		.model = cached->model,
		.scorer = &cached->scorer,
		.x = packed ? (const double *) (const void *) cached->packed : cached->row,
	};
}

static application
open_array(FunctionCallInfo fcinfo)
{
	clu_pg_cached *cached = clu_pg_model(fcinfo, 0);
	clu_pg_point   point;

	clu_pg_point_open(&point, PG_GETARG_DATUM(1), 0);
	(void) clu_pg_point_width(point.type);
	return read_point(&point, cached);
}

static application
open_bits(FunctionCallInfo fcinfo)
{
	clu_pg_cached *cached = clu_pg_model(fcinfo, 0);
	clu_pg_point   point;

	if (!cached->scorer.verbs->packed)
		ereport(ERROR,
				(errcode(ERRCODE_INVALID_PARAMETER_VALUE),
				 errmsg("model can't be applied to bit strings"),
				 errdetail("It is a %s model.", clu_algorithm_name(cached->model->algorithm)),
				 errhint("Use a model of bernoulli_fit, or an array of numbers.")));
	clu_pg_bits_open(&point, PG_GETARG_DATUM(1), 0);
	return read_point(&point, cached);
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

/* What double precision can't hold is no answer. */
static void
check_distance(double value)
{
	if (unlikely(isinf(value)))
		ereport(ERROR, (errcode(ERRCODE_NUMERIC_VALUE_OUT_OF_RANGE),
						errmsg("distance is out of the range of double precision"),
						errdetail("The point is too far from the centres of the model.")));
}

static Datum
predict(application a)
{
	PG_RETURN_INT32(a.scorer->verbs->label(a.scorer, a.x) + 1);
}

static Datum
probabilities(application a)
{
	ArrayType *result = make_array(a.model->k);

	a.scorer->verbs->probabilities(a.scorer, a.x, (double *) ARR_DATA_PTR(result));
	PG_RETURN_ARRAYTYPE_P(result);
}

static Datum
distances(application a)
{
	ArrayType *result = make_array(a.model->k);

	a.scorer->verbs->distances(a.scorer, a.x, (double *) ARR_DATA_PTR(result));
	for (int c = 0; c < a.model->k; c++)
		check_distance(((double *) ARR_DATA_PTR(result))[c]);
	PG_RETURN_ARRAYTYPE_P(result);
}

static Datum
distance(application a)
{
	int		label = a.scorer->verbs->label(a.scorer, a.x);
	double *all = palloc((Size) a.model->k * sizeof(double));
	double	result;

	a.scorer->verbs->distances(a.scorer, a.x, all);
	result = all[label];
	pfree(all);
	check_distance(result);
	PG_RETURN_FLOAT8(result);
}

static Datum
center(application a)
{
	int		   label = a.scorer->verbs->label(a.scorer, a.x);
	int		   d = a.model->d;
	ArrayType *result = make_array(d);

	memcpy(ARR_DATA_PTR(result), a.model->center + (Size) label * (Size) d,
		   (Size) d * sizeof(double));
	PG_RETURN_ARRAYTYPE_P(result);
}

static Datum
log_density(application a)
{
	if (a.scorer->verbs->log_density == NULL)
		ereport(ERROR, (errcode(ERRCODE_INVALID_PARAMETER_VALUE), errmsg("model has no density"),
						errdetail("It is a %s model, which is no probability distribution.",
								  clu_algorithm_name(a.model->algorithm)),
						errhint("Use a model of gmm_fit or bernoulli_fit, or cluster_distance.")));
	PG_RETURN_FLOAT8(a.scorer->verbs->log_density(a.scorer, a.x));
}

/* ---- functions, each for arrays and for bit strings ---- */

Datum
clustering_cluster_predict(PG_FUNCTION_ARGS)
{
	return predict(open_array(fcinfo));
}

Datum
clustering_cluster_predict_bits(PG_FUNCTION_ARGS)
{
	return predict(open_bits(fcinfo));
}

Datum
clustering_cluster_probabilities(PG_FUNCTION_ARGS)
{
	return probabilities(open_array(fcinfo));
}

Datum
clustering_cluster_probabilities_bits(PG_FUNCTION_ARGS)
{
	return probabilities(open_bits(fcinfo));
}

Datum
clustering_cluster_distance(PG_FUNCTION_ARGS)
{
	return distance(open_array(fcinfo));
}

Datum
clustering_cluster_distance_bits(PG_FUNCTION_ARGS)
{
	return distance(open_bits(fcinfo));
}

Datum
clustering_cluster_distances(PG_FUNCTION_ARGS)
{
	return distances(open_array(fcinfo));
}

Datum
clustering_cluster_distances_bits(PG_FUNCTION_ARGS)
{
	return distances(open_bits(fcinfo));
}

Datum
clustering_cluster_center(PG_FUNCTION_ARGS)
{
	return center(open_array(fcinfo));
}

Datum
clustering_cluster_center_bits(PG_FUNCTION_ARGS)
{
	return center(open_bits(fcinfo));
}

Datum
clustering_cluster_log_density(PG_FUNCTION_ARGS)
{
	return log_density(open_array(fcinfo));
}

Datum
clustering_cluster_log_density_bits(PG_FUNCTION_ARGS)
{
	return log_density(open_bits(fcinfo));
}
