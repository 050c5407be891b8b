/*
 * algebra.c
 *		Mixtures as distributions: moments, sums, marginals, conditionals, samples, divergences.
 */
#include "pg_clustering.h"

#include <math.h>

#include "access/htup_details.h"
#include "catalog/pg_type.h"
#include "funcapi.h"
#include "utils/array.h"
#include "utils/builtins.h"

#include "algebra.h"
#include "model_value.h"

PG_FUNCTION_INFO_V1(clustering_cluster_mean);
PG_FUNCTION_INFO_V1(clustering_cluster_covariance);
PG_FUNCTION_INFO_V1(clustering_cluster_sample);
PG_FUNCTION_INFO_V1(clustering_gmm_add);
PG_FUNCTION_INFO_V1(clustering_gmm_marginal);
PG_FUNCTION_INFO_V1(clustering_gmm_condition);
PG_FUNCTION_INFO_V1(clustering_gaussian_kl);
PG_FUNCTION_INFO_V1(clustering_gmm_kl);

/* ---- arguments and results ---- */

static clu_model *
get_model(FunctionCallInfo fcinfo, int argument)
{
	bytea *bytes = PG_GETARG_BYTEA_PP(argument);

	return clu_pg_decode((const uint8 *) VARDATA_ANY(bytes), VARSIZE_ANY_EXHDR(bytes),
						 CurrentMemoryContext);
}

static clu_model *
get_mixture(FunctionCallInfo fcinfo, int argument)
{
	clu_model *model = get_model(fcinfo, argument);

	if (!clu_model_is_mixture(model))
		ereport(ERROR, (errcode(ERRCODE_INVALID_PARAMETER_VALUE),
						errmsg("model is no probability distribution"),
						errdetail("It is a %s model.", clu_algorithm_name(model->algorithm)),
						errhint("Use a model of gmm_fit or bernoulli_fit.")));
	return model;
}

static clu_model *
get_gmm(FunctionCallInfo fcinfo, int argument, const char *name)
{
	clu_model *model = get_model(fcinfo, argument);

	if (model->algorithm != CLU_GMM)
		ereport(ERROR, (errcode(ERRCODE_INVALID_PARAMETER_VALUE),
						errmsg("%s must be a Gaussian mixture", name),
						errdetail("It is a %s model.", clu_algorithm_name(model->algorithm)),
						errhint("Use a model of gmm_fit or gmm_model.")));
	return model;
}

static void
check_same_dimensions(const clu_model *a, const clu_model *b)
{
	if (a->d != b->d)
		ereport(ERROR, (errcode(ERRCODE_ARRAY_SUBSCRIPT_ERROR),
						errmsg("the two models have different numbers of dimensions"),
						errdetail("The first has %d, the second has %d.", a->d, b->d)));
}

/* An array of zeros of one or two dimensions, and where its values lie. */
static ArrayType *
new_array(int ndim, int rows, int columns, double **values)
{
	Size	   count = (Size) rows * (Size) columns;
	Size	   header = ARR_OVERHEAD_NONULLS(ndim);
	ArrayType *array;

	if (count > (MaxAllocSize - header) / sizeof(float8))
		ereport(ERROR, (errcode(ERRCODE_PROGRAM_LIMIT_EXCEEDED),
						errmsg("matrix is too large for an array"),
						errdetail("It has %d rows and %d columns.", rows, columns)));
	array = palloc0(header + count * sizeof(float8));
	SET_VARSIZE(array, header + count * sizeof(float8));
	array->ndim = ndim;
	array->elemtype = FLOAT8OID;
	for (int i = 0; i < ndim; i++)
	{
		ARR_DIMS(array)[i] = i == 0 ? rows : columns;
		ARR_LBOUND(array)[i] = 1;
	}
	*values = (double *) ARR_DATA_PTR(array);
	return array;
}

static ArrayType *
get_array(FunctionCallInfo fcinfo, int argument, const char *name)
{
	ArrayType *array = PG_GETARG_ARRAYTYPE_P(argument);

	if (array_contains_nulls(array))
		ereport(ERROR, (errcode(ERRCODE_NULL_VALUE_NOT_ALLOWED),
						errmsg("%s must not contain a NULL", name)));
	return array;
}

static void
check_finite(const double *values, int n, const char *name)
{
	for (int i = 0; i < n; i++)
		if (!isfinite(values[i]))
			ereport(ERROR, (errcode(ERRCODE_INVALID_PARAMETER_VALUE),
							errmsg("%s must be finite numbers", name),
							errdetail("Element %d is %g.", i + 1, values[i])));
}

/* A one-dimensional array of n numbers; with n 0 of any number, which is returned in *length. */
static const double *
get_vector(FunctionCallInfo fcinfo, int argument, const char *name, int n, int *length)
{
	ArrayType	 *array = get_array(fcinfo, argument, name);
	const double *values = (const double *) ARR_DATA_PTR(array);
	int			  found = ARR_NDIM(array) == 1 ? ARR_DIMS(array)[0] : 0;

	if (ARR_NDIM(array) != 1)
		ereport(ERROR, (errcode(ERRCODE_ARRAY_SUBSCRIPT_ERROR),
						errmsg("%s must be a one-dimensional array", name),
						errdetail("It has %d dimensions.", ARR_NDIM(array))));
	if (n != 0 && found != n)
		ereport(ERROR, (errcode(ERRCODE_ARRAY_SUBSCRIPT_ERROR),
						errmsg("%s has the wrong number of elements", name),
						errdetail("Expected %d, found %d.", n, found)));
	check_finite(values, found, name);
	if (length != NULL)
		*length = found;
	return values;
}

static int32
count_argument(FunctionCallInfo fcinfo, int argument, int32 least)
{
	int32 n = PG_GETARG_INT32(argument);

	if (n < least)
		ereport(ERROR, (errcode(ERRCODE_INVALID_PARAMETER_VALUE),
						errmsg("n must be at least %d", least), errdetail("It is %d.", n)));
	return n;
}

static double *
scratch_of(Size count)
{
	if (count > MaxAllocHugeSize / sizeof(double))
		ereport(ERROR, (errcode(ERRCODE_PROGRAM_LIMIT_EXCEEDED), errmsg("model is too large")));
	return MemoryContextAllocHuge(CurrentMemoryContext, count * sizeof(double));
}

/* Sums of numbers near the ends of the range of double precision can leave it. */
static void
check_range(const double *values, Size n)
{
	for (Size i = 0; i < n; i++)
		if (!isfinite(values[i]))
			ereport(ERROR, (errcode(ERRCODE_NUMERIC_VALUE_OUT_OF_RANGE),
							errmsg("the result is out of the range of double precision")));
}

/* A result can leave the range of double precision, or of what is positive definite in it. */
static Datum
finished(clu_model *model)
{
	clu_error error = {NULL, 0, 0};

	model->options.value[CLU_COVARIANCE].integer = model->structure;
	if (model->structure == CLU_COV_FIXED)
		model->options.value[CLU_VARIANCE].number = model->covariance[0];
	if (clu_pg_check(model, &error) != CLU_OK)
		ereport(ERROR, (errcode(ERRCODE_NUMERIC_VALUE_OUT_OF_RANGE),
						errmsg("the result is out of the range of double precision"),
						errdetail_internal("%s", clu_pg_reason(&error))));
	PG_RETURN_BYTEA_P(clu_pg_encode(model));
}

/* ---- moments ---- */

Datum
clustering_cluster_mean(PG_FUNCTION_ARGS)
{
	clu_model *model = get_mixture(fcinfo, 0);
	double	  *mean;
	ArrayType *array = new_array(1, model->d, 1, &mean);

	clu_mixture_mean(model, mean);
	check_range(mean, (Size) model->d);
	PG_RETURN_ARRAYTYPE_P(array);
}

Datum
clustering_cluster_covariance(PG_FUNCTION_ARGS)
{
	clu_model *model = get_mixture(fcinfo, 0);
	double	  *covariance, *mean = palloc((Size) model->d * sizeof(double));
	ArrayType *array = new_array(2, model->d, model->d, &covariance);

	clu_mixture_mean(model, mean);
	clu_mixture_covariance(model, mean, covariance, &clu_pg_interrupt);
	check_range(covariance, (Size) model->d * (Size) model->d);
	PG_RETURN_ARRAYTYPE_P(array);
}

/* ---- samples ---- */

static void
begin_sampler(clu_sampler *sampler, const clu_model *model, int64 seed)
{
	clu_arena arena = {0};

	clu_sampler_layout(sampler, &arena, model);
	clu_pg_arena(&arena, CurrentMemoryContext);
	clu_sampler_layout(sampler, &arena, model);
	clu_sampler_begin(sampler, seed, &clu_pg_interrupt);
}

Datum
clustering_cluster_sample(PG_FUNCTION_ARGS)
{
	clu_model	  *model = get_mixture(fcinfo, 0);
	int32		   n = count_argument(fcinfo, 1, 0);
	ReturnSetInfo *result = (ReturnSetInfo *) fcinfo->resultinfo;
	double		  *x;
	ArrayType	  *array = new_array(1, model->d, 1, &x);
	clu_sampler	   sampler;

	InitMaterializedSRF(fcinfo, 0);
	begin_sampler(&sampler, model, PG_GETARG_INT64(2));
	for (int32 i = 0; i < n; i++)
	{
		Datum values[2];
		bool  nulls[2] = {false, false};

		values[0] = Int32GetDatum(clu_sampler_next(&sampler, x) + 1);
		values[1] = PointerGetDatum(array);
		tuplestore_putvalues(result->setResult, result->setDesc, values, nulls);
		CHECK_FOR_INTERRUPTS();
	}
	return (Datum) 0;
}

/* ---- sums, marginals, conditionals ---- */

Datum
clustering_gmm_add(PG_FUNCTION_ARGS)
{
	clu_model *a = get_gmm(fcinfo, 0, "a");
	clu_model *b = get_gmm(fcinfo, 1, "b");
	clu_model *sum;

	check_same_dimensions(a, b);
	if ((int64) a->k * b->k > PG_INT32_MAX)
		ereport(ERROR, (errcode(ERRCODE_PROGRAM_LIMIT_EXCEEDED), errmsg("model is too large"),
						errdetail("It would have %d times %d components.", a->k, b->k)));
	sum = clu_pg_model_new(CLU_GMM, clu_gmm_add_structure(a, b), a->k * b->k, a->d);
	clu_gmm_add(a, b, sum, &clu_pg_interrupt);
	return finished(sum);
}

/* Dimensions, from 1 in the argument and from 0 in the result: in range, and each but once. */
static int *
get_dimensions(FunctionCallInfo fcinfo, int argument, int d, int *count)
{
	ArrayType	*array = get_array(fcinfo, argument, "dims");
	const int32 *given = (const int32 *) ARR_DATA_PTR(array);
	int			*dims;
	bool		*seen = palloc0((Size) d * sizeof(bool));

	if (ARR_NDIM(array) != 1)
		ereport(ERROR, (errcode(ERRCODE_ARRAY_SUBSCRIPT_ERROR),
						errmsg("dims must be a one-dimensional array that is not empty")));
	*count = ARR_DIMS(array)[0];
	dims = palloc((Size) *count * sizeof(int));
	for (int i = 0; i < *count; i++)
	{
		if (given[i] < 1 || given[i] > d)
			ereport(ERROR, (errcode(ERRCODE_ARRAY_SUBSCRIPT_ERROR),
							errmsg("dims must be dimensions of the model"),
							errdetail("Element %d is %d, the model has the dimensions 1 to %d.",
									  i + 1, given[i], d)));
		if (seen[given[i] - 1])
			ereport(ERROR, (errcode(ERRCODE_INVALID_PARAMETER_VALUE),
							errmsg("dims must be different from each other"),
							errdetail("Dimension %d is there twice.", given[i])));
		seen[given[i] - 1] = true;
		dims[i] = given[i] - 1;
	}
	return dims;
}

Datum
clustering_gmm_marginal(PG_FUNCTION_ARGS)
{
	clu_model *model = get_gmm(fcinfo, 0, "model");
	int		   count;
	int		  *dims = get_dimensions(fcinfo, 1, model->d, &count);
	clu_model *result = clu_pg_model_new(CLU_GMM, model->structure, model->k, count);

	clu_gmm_marginal(model, dims, result);
	return finished(result);
}

Datum
clustering_gmm_condition(PG_FUNCTION_ARGS)
{
	clu_model	 *model = get_gmm(fcinfo, 0, "model");
	int			  count;
	int			 *dims = get_dimensions(fcinfo, 1, model->d, &count);
	const double *given = get_vector(fcinfo, 2, "given", count, NULL);
	clu_model	 *result;

	if (count == model->d)
		ereport(ERROR, (errcode(ERRCODE_ARRAY_SUBSCRIPT_ERROR),
						errmsg("dims must leave a dimension of the model"),
						errdetail("The model has %d, and all of them are given.", model->d)));
	result = clu_pg_model_new(CLU_GMM, model->structure, model->k, model->d - count);
	if (!clu_gmm_condition(model, dims, count, given, result, palloc((Size) model->d * sizeof(int)),
						   scratch_of(clu_gmm_condition_scratch(model)), &clu_pg_interrupt))
		ereport(ERROR, (errcode(ERRCODE_NUMERIC_VALUE_OUT_OF_RANGE),
						errmsg("given is too far from all components"),
						errdetail("The logarithms of its densities are out of the range of double "
								  "precision.")));
	return finished(result);
}

/* ---- divergences ---- */

/*
 * A covariance as cluster_components shows it: a matrix, its diagonal, or one variance for all
 * dimensions.
 */
static double *
get_covariance(FunctionCallInfo fcinfo, int argument, const char *name, int d)
{
	ArrayType	 *array = get_array(fcinfo, argument, name);
	const double *given = (const double *) ARR_DATA_PTR(array);
	int			  ndim = ARR_NDIM(array), count = ArrayGetNItems(ndim, ARR_DIMS(array));
	bool		  whole = ndim == 2 && ARR_DIMS(array)[0] == d && ARR_DIMS(array)[1] == d;
	double		 *matrix;

	check_finite(given, count, name);
	if (!whole && (ndim != 1 || (count != d && count != 1)))
		ereport(ERROR,
				(errcode(ERRCODE_ARRAY_SUBSCRIPT_ERROR), errmsg("%s has the wrong shape", name),
				 errdetail("Expected [%d][%d] or [%d], found %d elements in %d dimensions.", d, d,
						   d, count, ndim)));
	matrix = scratch_of(clu_size_product((Size) d, (Size) d));
	if (whole)
	{
		memcpy(matrix, given, (Size) count * sizeof(double));
		return matrix;
	}
	memset(matrix, 0, (Size) d * (Size) d * sizeof(double));
	for (Size j = 0; j < (Size) d; j++)
		matrix[j * (Size) d + j] = given[count == 1 ? 0 : j];
	return matrix;
}

/* What others computed is often symmetric but for rounding; then both halves become their mean. */
static void
symmetrise(double *matrix, int d, const char *name)
{
	Size n = (Size) d;

	for (Size i = 0; i < n; i++)
		for (Size j = 0; j < i; j++)
		{
			double a = matrix[i * n + j], b = matrix[j * n + i];
			double unit = sqrt(fabs(matrix[i * n + i])) * sqrt(fabs(matrix[j * n + j]));

			if (!(fabs(a - b) <= 1e-12 * unit))
				ereport(ERROR, (errcode(ERRCODE_INVALID_PARAMETER_VALUE),
								errmsg("%s must be symmetric", name),
								errdetail("Element [%d][%d] is %g and [%d][%d] is %g.", (int) i + 1,
										  (int) j + 1, a, (int) j + 1, (int) i + 1, b)));
			matrix[i * n + j] = matrix[j * n + i] = a / 2 + b / 2;
		}
}

static double
divergence(const double *mean_p, const double *cov_p, const double *mean_q, const double *cov_q,
		   int d)
{
	double kl;
	int	   wrong = clu_gaussian_kl(mean_p, cov_p, mean_q, cov_q, d,
								   scratch_of(clu_gaussian_kl_scratch(d)), &kl, &clu_pg_interrupt);

	if (wrong != 0)
		ereport(ERROR, (errcode(ERRCODE_INVALID_PARAMETER_VALUE),
						errmsg("%s must be positive definite", wrong == 1 ? "cov_p" : "cov_q")));
	check_range(&kl, 1);
	return kl;
}

Datum
clustering_gaussian_kl(PG_FUNCTION_ARGS)
{
	int			  d;
	const double *mean_p = get_vector(fcinfo, 0, "mean_p", 0, &d);
	double		 *cov_p = get_covariance(fcinfo, 1, "cov_p", d);
	const double *mean_q = get_vector(fcinfo, 2, "mean_q", d, NULL);
	double		 *cov_q = get_covariance(fcinfo, 3, "cov_q", d);

	symmetrise(cov_p, d, "cov_p");
	symmetrise(cov_q, d, "cov_q");
	PG_RETURN_FLOAT8(divergence(mean_p, cov_p, mean_q, cov_q, d));
}

static void
begin_scorer(clu_scorer *scorer, const clu_model *model)
{
	clu_arena arena = {0};

	clu_score_layout(scorer, &arena, model);
	clu_pg_arena(&arena, CurrentMemoryContext);
	clu_score_layout(scorer, &arena, model);
	clu_score_prepare(scorer);
}

/* The mean of log p(x) - log q(x) over n draws from p, and its standard error. */
static void
estimate(const clu_model *p, const clu_model *q, int32 n, int64 seed, double *mean, double *error)
{
	clu_scorer	scorer_p, scorer_q;
	clu_sampler sampler;
	double	   *x = palloc((Size) p->d * sizeof(double)), squares = 0;

	begin_scorer(&scorer_p, p);
	begin_scorer(&scorer_q, q);
	begin_sampler(&sampler, p, seed);
	*mean = 0;
	for (int64 i = 1; i <= n; i++)
	{
		double value, delta;

		(void) clu_sampler_next(&sampler, x);
		value =
			scorer_p.verbs->log_density(&scorer_p, x) - scorer_q.verbs->log_density(&scorer_q, x);
		delta = value - *mean;
		*mean += delta / (double) i;
		squares += delta * (value - *mean);
		CHECK_FOR_INTERRUPTS();
	}
	*error = sqrt(squares / (n - 1.0) / n);
}

static void
exact_kl(const clu_model *p, const clu_model *q, double *kl)
{
	Size	elements = clu_size_product((Size) p->d, (Size) p->d);
	double *cov_p = scratch_of(elements), *cov_q = scratch_of(elements);

	clu_component_covariance(p, 0, cov_p);
	clu_component_covariance(q, 0, cov_q);
	*kl = divergence(p->center, cov_p, q->center, cov_q, p->d);
}

Datum
clustering_gmm_kl(PG_FUNCTION_ARGS)
{
	clu_model *p = get_gmm(fcinfo, 0, "p");
	clu_model *q = get_gmm(fcinfo, 1, "q");
	int32	   n = count_argument(fcinfo, 2, 2);
	double	   kl = 0, error = 0;
	Datum	   values[2];
	bool	   nulls[2] = {false, false};
	TupleDesc  tuple;

	if (get_call_result_type(fcinfo, NULL, &tuple) != TYPEFUNC_COMPOSITE)
		elog(ERROR, "return type must be a row type");
	check_same_dimensions(p, q);
	if (p->k == 1 && q->k == 1)
		exact_kl(p, q, &kl);
	else
		estimate(p, q, n, PG_GETARG_INT64(3), &kl, &error);
	check_range(&kl, 1);
	check_range(&error, 1);
	values[0] = Float8GetDatum(kl);
	values[1] = Float8GetDatum(error);
	PG_RETURN_DATUM(HeapTupleGetDatum(heap_form_tuple(BlessTupleDesc(tuple), values, nulls)));
}
