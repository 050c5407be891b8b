/*
 * model_make.c
 *		Models made by hand, from arrays: for known mixtures, explicit starts, and codebooks.
 *
 * Arguments are checked one by one, so that an error can name the argument and the element; what
 * remains to be found by the general check of a model is whether its covariances are positive.
 */
#include "postgres.h"

#include <math.h>

#include "catalog/pg_type.h"
#include "common/shortest_dec.h"
#include "fmgr.h"
#include "lib/stringinfo.h"
#include "utils/array.h"
#include "utils/builtins.h"

#include "dd.h"
#include "model_value.h"

#define WEIGHT_TOLERANCE 1e-9
#define SYMMETRY_TOLERANCE 1e-12 /* of an element, relative to the diagonal's */

PG_FUNCTION_INFO_V1(clustering_kmeans_model);
PG_FUNCTION_INFO_V1(clustering_kmedians_model);
PG_FUNCTION_INFO_V1(clustering_gmm_model);
PG_FUNCTION_INFO_V1(clustering_bernoulli_model);

/* An argument: an array without NULLs, of finite numbers. */
typedef struct Numbers
{
	const char	 *name;
	ArrayType	 *array;
	const double *value;
	int			  count;
} Numbers;

/* ---- arguments ---- */

static char *
shape_of(const ArrayType *array)
{
	StringInfoData text;

	if (ARR_NDIM(array) == 0)
		return pstrdup("an empty array");
	initStringInfo(&text);
	for (int i = 0; i < ARR_NDIM(array); i++)
		appendStringInfo(&text, "[%d]", ARR_DIMS(array)[i]);
	return text.data;
}

/* Where an element is, as a subscript counted from 1. */
static char *
place_of(const Numbers *numbers, int element)
{
	char *place = pstrdup("");

	for (int i = ARR_NDIM(numbers->array) - 1; i >= 0; i--)
	{
		int length = ARR_DIMS(numbers->array)[i];

		place = psprintf("[%d]%s", element % length + 1, place);
		element /= length;
	}
	return place;
}

static char *
number_text(double value)
{
	return double_to_shortest_decimal(value);
}

pg_noreturn static void
report_element(const Numbers *numbers, int element, const char *rule)
{
	ereport(ERROR,
			(errcode(ERRCODE_INVALID_PARAMETER_VALUE), errmsg("%s must be %s", numbers->name, rule),
			 errdetail("Element %s is %s.", place_of(numbers, element),
					   number_text(numbers->value[element]))));
	pg_unreachable();
}

static Numbers
get_numbers(FunctionCallInfo fcinfo, int argument, const char *name)
{
	ArrayType *array = PG_GETARG_ARRAYTYPE_P(argument);
	Numbers	   numbers = {.name = name, .array = array};

	if (array_contains_nulls(array))
		ereport(ERROR, (errcode(ERRCODE_NULL_VALUE_NOT_ALLOWED),
						errmsg("%s must not contain a NULL", name)));
	if (ARR_ELEMTYPE(array) != FLOAT8OID)
		elog(ERROR, "%s is not of type double precision[]", name);
	numbers.value = (const double *) ARR_DATA_PTR(array);
	numbers.count = ArrayGetNItems(ARR_NDIM(array), ARR_DIMS(array));
	for (int i = 0; i < numbers.count; i++)
		if (!isfinite(numbers.value[i]))
			report_element(&numbers, i, "finite numbers");
	return numbers;
}

/* "wanted" is the shape in words of the documentation, dims the numbers behind it (-1: any). */
static void
check_shape(const Numbers *numbers, const char *wanted, int ndim, const int *dims)
{
	bool fits = ARR_NDIM(numbers->array) == ndim;

	for (int i = 0; fits && i < ndim; i++)
		fits = dims[i] < 0 || dims[i] == ARR_DIMS(numbers->array)[i];
	if (!fits)
		ereport(ERROR, (errcode(ERRCODE_ARRAY_SUBSCRIPT_ERROR),
						errmsg("argument \"%s\" has the wrong shape", numbers->name),
						errdetail("Expected %s, found %s.", wanted, shape_of(numbers->array))));
}

static void
check_matrix(const Numbers *numbers)
{
	check_shape(numbers, "[clusters][dimensions]", 2, (int[]) {-1, -1});
}

/* ---- parts of a model ---- */

/* A new model with these centres, and equal weights. */
static clu_model *
start_model(clu_algorithm algorithm, int structure, const Numbers *centers)
{
	const int *dims = ARR_DIMS(centers->array);
	clu_model *model = clu_pg_model_new(algorithm, structure, dims[0], dims[1]);

	for (int c = 0; c < model->k; c++)
		model->weight[c] = 1.0 / model->k;
	memcpy(model->center, centers->value, (Size) centers->count * sizeof(double));
	return model;
}

/* The sum is taken as the general check of a model takes it, so that both agree. */
static void
set_weights(clu_model *model, const Numbers *weights)
{
	clu_dd sum = {0, 0};

	check_shape(weights, psprintf("[%d]", model->k), 1, &model->k);
	for (int c = 0; c < model->k; c++)
	{
		if (weights->value[c] < 0)
			report_element(weights, c, "at least 0");
		model->weight[c] = weights->value[c];
		sum = clu_dd_add_double(sum, weights->value[c]);
	}
	if (!(fabs(clu_dd_value(sum) - 1) <= WEIGHT_TOLERANCE))
		ereport(ERROR, (errcode(ERRCODE_INVALID_PARAMETER_VALUE),
						errmsg("%s must sum to 1", weights->name),
						errdetail("They sum to %s.", number_text(clu_dd_value(sum)))));
}

static void
set_optional_weights(clu_model *model, FunctionCallInfo fcinfo, int argument)
{
	Numbers weights;

	if (PG_ARGISNULL(argument))
		return;
	weights = get_numbers(fcinfo, argument, "weights");
	set_weights(model, &weights);
}

static Datum
finished(clu_model *model)
{
	PG_RETURN_BYTEA_P(clu_pg_encode(model));
}

/* ---- covariances ---- */

static int
get_structure(FunctionCallInfo fcinfo, int argument)
{
	const clu_option_info *info = &clu_option_table[CLU_COVARIANCE];
	text				  *name = PG_GETARG_TEXT_PP(argument);
	clu_options			   options = {0};

	if (!clu_option_set_text(&options, CLU_COVARIANCE, VARDATA_ANY(name), VARSIZE_ANY_EXHDR(name)))
		ereport(ERROR, (errcode(ERRCODE_INVALID_PARAMETER_VALUE),
						errmsg("covariance cannot be \"%s\"", text_to_cstring(name)),
						errhint("It may be %s.", info->allowed)));
	return (int) clu_option_integer(&options, CLU_COVARIANCE);
}

static void
check_covariance_shape(const clu_model *model, const Numbers *covariances)
{
	int k = model->k, d = model->d;

	switch (model->structure)
	{
		case CLU_COV_FULL:
			check_shape(covariances, psprintf("[%d][%d][%d]", k, d, d), 3, (int[]) {k, d, d});
			break;
		case CLU_COV_DIAG:
			check_shape(covariances, psprintf("[%d][%d]", k, d), 2, (int[]) {k, d});
			break;
		case CLU_COV_SPHERICAL:
			check_shape(covariances, psprintf("[%d]", k), 1, (int[]) {k});
			break;
		case CLU_COV_TIED:
			check_shape(covariances, psprintf("[%d][%d]", d, d), 2, (int[]) {d, d});
			break;
		case CLU_COV_FIXED:
			check_shape(covariances, "[1]", 1, (int[]) {1});
			break;
	}
}

/*
 * Matrices computed elsewhere are often symmetric but for their last bits; those become symmetric
 * exactly.  A difference is small or large compared with the standard deviations of the two
 * dimensions, whatever the covariance itself is.
 */
static void
symmetrise(double *matrix, int d, const char *name, int number)
{
	for (int i = 0; i < d; i++)
		for (int j = 0; j < i; j++)
		{
			double *a = &matrix[(Size) i * d + j], *b = &matrix[(Size) j * d + i];
			double	unit =
				sqrt(fabs(matrix[(Size) i * d + i])) * sqrt(fabs(matrix[(Size) j * d + j]));

			if (*a == *b)
				continue;
			if (!(fabs(*a - *b) <= SYMMETRY_TOLERANCE * unit))
				ereport(
					ERROR,
					(errcode(ERRCODE_INVALID_PARAMETER_VALUE), errmsg("%s must be symmetric", name),
					 errdetail("In matrix %d, element [%d][%d] is %s and [%d][%d] is %s.", number,
							   i + 1, j + 1, number_text(*a), j + 1, i + 1, number_text(*b))));
			*a = *b = *a * 0.5 + *b * 0.5;
		}
}

static void
check_variances(const Numbers *variances)
{
	for (int i = 0; i < variances->count; i++)
		if (!(variances->value[i] > 0))
			report_element(variances, i, "positive");
}

static void
set_covariances(clu_model *model, const Numbers *covariances)
{
	Size elements = (Size) model->d * model->d;
	int matrices = model->structure == CLU_COV_FULL ? model->k : (model->structure == CLU_COV_TIED);

	check_covariance_shape(model, covariances);
	if (matrices == 0)
		check_variances(covariances);
	memcpy(model->covariance, covariances->value, (Size) covariances->count * sizeof(double));
	for (int c = 0; c < matrices; c++)
		symmetrise(model->covariance + c * elements, model->d, covariances->name, c + 1);
}

/* Everything else has been checked by now. */
static void
check_positive(const clu_model *model, const Numbers *covariances)
{
	clu_error error = {NULL, 0, 0};

	if (clu_pg_check(model, &error) != CLU_OK)
		ereport(ERROR, (errcode(ERRCODE_INVALID_PARAMETER_VALUE),
						errmsg("%s must be positive definite", covariances->name),
						errdetail_internal("%s", clu_pg_reason(&error))));
}

/* The options say what the model is, as if it had been fitted so. */
static void
set_covariance_options(clu_model *model)
{
	clu_options *options = &model->options;

	options->value[CLU_COVARIANCE].integer = model->structure;
	if (model->structure == CLU_COV_FIXED)
		options->value[CLU_VARIANCE].number = model->covariance[0];
}

/* ---- functions ---- */

static Datum
hard_model(FunctionCallInfo fcinfo, clu_algorithm algorithm)
{
	Numbers centers = get_numbers(fcinfo, 0, "centers");

	check_matrix(&centers);
	return finished(start_model(algorithm, 0, &centers));
}

Datum
clustering_kmeans_model(PG_FUNCTION_ARGS)
{
	return hard_model(fcinfo, CLU_KMEANS);
}

Datum
clustering_kmedians_model(PG_FUNCTION_ARGS)
{
	return hard_model(fcinfo, CLU_KMEDIANS);
}

Datum
clustering_gmm_model(PG_FUNCTION_ARGS)
{
	Numbers	   means, covariances;
	clu_model *model;
	int		   structure;

	if (PG_ARGISNULL(1) || PG_ARGISNULL(2) || PG_ARGISNULL(3))
		PG_RETURN_NULL();
	means = get_numbers(fcinfo, 1, "means");
	covariances = get_numbers(fcinfo, 2, "covariances");
	structure = get_structure(fcinfo, 3);
	check_matrix(&means);

	model = start_model(CLU_GMM, structure, &means);
	set_optional_weights(model, fcinfo, 0);
	set_covariances(model, &covariances);
	set_covariance_options(model);
	check_positive(model, &covariances);
	return finished(model);
}

Datum
clustering_bernoulli_model(PG_FUNCTION_ARGS)
{
	Numbers	   theta;
	clu_model *model;

	if (PG_ARGISNULL(1))
		PG_RETURN_NULL();
	theta = get_numbers(fcinfo, 1, "theta");
	check_matrix(&theta);
	for (int i = 0; i < theta.count; i++)
		if (theta.value[i] < 0 || theta.value[i] > 1)
			report_element(&theta, i, "between 0 and 1");

	model = start_model(CLU_BERNOULLI, 0, &theta);
	set_optional_weights(model, fcinfo, 0);
	return finished(model);
}
