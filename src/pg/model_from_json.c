/*
 * model_from_json.c
 *		cluster_from_json: a model out of the JSON that cluster_to_json makes, or that somebody
 *		wrote by hand.
 *
 * A key that is missing, that is not known, or that this kind of model does not have is an error:
 * a figure that was misspelt must not become a figure that is zero.  Types and lengths are
 * checked here, the values by the same check that every model passes.
 */
#include "postgres.h"

#include <math.h>

#include "fmgr.h"
#include "lib/stringinfo.h"
#include "miscadmin.h"
#include "utils/builtins.h"

#include "json_value.h"
#include "model_bytes.h"
#include "model_json.h"
#include "model_value.h"
#include "options_value.h"

PG_FUNCTION_INFO_V1(clustering_cluster_from_json);

/* An object of the document, with its name for messages: "", or "clusters" and a number. */
typedef struct Object
{
	JsonbContainer *container;
	const char	   *list;
	int				number;
} Object;

typedef struct Key
{
	const char *name;
	unsigned	needed; /* conditions of model_json.h under which it is there */
	bool		optional;
} Key;

static const Key model_keys[] = {
	{"format", 0, false},
	{"algorithm", 0, false},
	{"covariance_type", CLU_JSON_GMM, false},
	{"k", 0, false},
	{"dimensions", 0, false},
	{"fitted", 0, false},
	{"converged", CLU_JSON_FITTED, false},
	{"rows", CLU_JSON_FITTED, false},
	{"skipped", CLU_JSON_FITTED, false},
	{"total_weight", CLU_JSON_FITTED, false},
	{"iterations", CLU_JSON_FITTED, false},
	{"objective", CLU_JSON_FITTED, false},
	{"log_likelihood", CLU_JSON_FITTED | CLU_JSON_MIXTURE, true},
	{"options", 0, false},
	{"clusters", 0, false},
	{"covariance", CLU_JSON_SHARED, false},
	{"trace", CLU_JSON_FITTED, false},
	{"brackets", CLU_JSON_FITTED | CLU_JSON_MEDIANS, true},
	{NULL, 0, false},
};

static const Key cluster_keys[] = {
	{"weight", 0, false},
	{"size", CLU_JSON_FITTED, false},
	{"objective", CLU_JSON_FITTED | CLU_JSON_HARD, false},
	{"center", 0, false},
	{"covariance", CLU_JSON_SEPARATE, false},
	{"brackets", CLU_JSON_BRACKETS, false},
	{NULL, 0, false},
};

static const Key bracket_keys[] = {
	{"passes", 0, false},
	{"moved", 0, false},
	{"taken", 0, false},
	{NULL, 0, false},
};

static const Key taken_keys[] = {
	{"cluster", 0, false},
	{"row", 0, false},
	{NULL, 0, false},
};

static const Key trace_keys[] = {
	{"run", 0, false},	   {"iteration", 0, false}, {"objective", 0, false},
	{"changed", 0, false}, {NULL, 0, false},
};

/* ---- errors ---- */

static char *
path_of(const Object *object, const char *key)
{
	if (object->number == 0)
		return pstrdup(key);
	return psprintf("%s[%d].%s", object->list, object->number, key);
}

pg_noreturn static void
report_value(const char *path, const JsonbValue *value, const char *allowed)
{
	ereport(ERROR, (errcode(ERRCODE_INVALID_PARAMETER_VALUE),
					errmsg("key \"%s\" of the model has an invalid value", path),
					errdetail("The value is %s.", clu_pg_json_describe(value)),
					errhint("It may be %s.", allowed)));
	pg_unreachable();
}

static void
check_length(const char *path, JsonbContainer *array, int length)
{
	int found = (int) JsonContainerSize(array);

	if (found != length)
		ereport(ERROR, (errcode(ERRCODE_ARRAY_SUBSCRIPT_ERROR),
						errmsg("key \"%s\" of the model has the wrong length", path),
						errdetail("Expected %d, found %d.", length, found)));
}

/* ---- keys ---- */

static char *
names_of(const Key *keys, unsigned met)
{
	StringInfoData names;

	initStringInfo(&names);
	for (; keys->name != NULL; keys++)
		if (clu_json_applies(keys->needed, met))
			appendStringInfo(&names, "%s%s", names.len > 0 ? ", " : "", keys->name);
	return names.data;
}

static bool
is_key(const Key *keys, unsigned met, const JsonbValue *name)
{
	for (; keys->name != NULL; keys++)
		if (clu_json_applies(keys->needed, met) &&
			strlen(keys->name) == (size_t) name->val.string.len &&
			memcmp(keys->name, name->val.string.val, (size_t) name->val.string.len) == 0)
			return true;
	return false;
}

static bool
find(const Object *object, const char *key, JsonbValue *value)
{
	return getKeyJsonValueFromContainer(object->container, key, (int) strlen(key), value) != NULL;
}

pg_noreturn static void
report_missing(const Object *object, const char *key)
{
	ereport(ERROR, (errcode(ERRCODE_INVALID_PARAMETER_VALUE),
					errmsg("key \"%s\" of the model is missing", path_of(object, key))));
	pg_unreachable();
}

/* All keys that must be there are, and no others. */
static void
check_keys(const Object *object, const Key *keys, unsigned met)
{
	JsonbIterator	  *iterator = JsonbIteratorInit(object->container);
	JsonbIteratorToken token;
	JsonbValue		   value;

	while ((token = JsonbIteratorNext(&iterator, &value, true)) != WJB_DONE)
		if (token == WJB_KEY && !is_key(keys, met, &value))
			ereport(ERROR, (errcode(ERRCODE_INVALID_PARAMETER_VALUE),
							errmsg("unknown key \"%s\" of the model",
								   path_of(object, pnstrdup(value.val.string.val,
															(Size) value.val.string.len))),
							errhint("Such a model has here: %s.", names_of(keys, met))));
	for (; keys->name != NULL; keys++)
		if (clu_json_applies(keys->needed, met) && !keys->optional &&
			!find(object, keys->name, &value))
			report_missing(object, keys->name);
}

static JsonbValue
get(const Object *object, const char *key)
{
	JsonbValue value;

	if (!find(object, key, &value))
		report_missing(object, key);
	return value;
}

/* ---- scalars ---- */

static int64
get_integer(const Object *object, const char *key, int64 least, int64 most)
{
	JsonbValue value = get(object, key);
	int64	   integer;

	if (!clu_pg_json_to_integer(&value, &integer) || integer < least || integer > most)
		report_value(
			path_of(object, key), &value,
			psprintf("a whole number from %lld to %lld", (long long) least, (long long) most));
	return integer;
}

static bool
get_boolean(const Object *object, const char *key)
{
	JsonbValue value = get(object, key);

	if (value.type != jbvBool)
		report_value(path_of(object, key), &value, "true or false");
	return value.val.boolean;
}

static double
get_number(const Object *object, const char *key)
{
	JsonbValue value = get(object, key);
	double	   number;

	if (!clu_pg_json_to_double(&value, &number))
		report_value(path_of(object, key), &value, "a number in the range of double precision");
	return number;
}

static bool
is_text(const JsonbValue *value, const char *text)
{
	return value->type == jbvString && (size_t) value->val.string.len == strlen(text) &&
		   memcmp(value->val.string.val, text, strlen(text)) == 0;
}

/* A figure of a mixture may be infinite; that those of others are not is checked later. */
static double
get_figure(const Object *object, const char *key)
{
	JsonbValue value = get(object, key);
	double	   number;

	if (is_text(&value, "Infinity"))
		return INFINITY;
	if (is_text(&value, "-Infinity"))
		return -INFINITY;
	if (!clu_pg_json_to_double(&value, &number))
		report_value(path_of(object, key), &value,
					 "a number in the range of double precision, \"Infinity\" or \"-Infinity\"");
	return number;
}

/* ---- arrays ---- */

static JsonbContainer *
as_array(const char *path, const JsonbValue *value, const char *allowed)
{
	if (value->type != jbvBinary || !JsonContainerIsArray(value->val.binary.data))
		report_value(path, value, allowed);
	return value->val.binary.data;
}

static void
read_vector(const char *path, const JsonbValue *value, double *number, int count)
{
	JsonbContainer	  *array = as_array(path, value, "an array of numbers");
	JsonbIterator	  *iterator = JsonbIteratorInit(array);
	JsonbIteratorToken token;
	JsonbValue		   element;
	int				   i = 0;

	check_length(path, array, count);
	while ((token = JsonbIteratorNext(&iterator, &element, true)) != WJB_DONE)
		if (token == WJB_ELEM)
		{
			if (!clu_pg_json_to_double(&element, &number[i]))
				report_value(psprintf("%s[%d]", path, i + 1), &element,
							 "a number in the range of double precision");
			i++;
		}
	CHECK_FOR_INTERRUPTS();
}

/* An array of rows, each of so many numbers. */
static void
read_rows(const char *path, const JsonbValue *value, double *number, int rows, int columns)
{
	JsonbContainer	  *array = as_array(path, value, "an array of arrays of numbers");
	JsonbIterator	  *iterator = JsonbIteratorInit(array);
	JsonbIteratorToken token;
	JsonbValue		   row;
	int				   i = 0;

	check_length(path, array, rows);
	while ((token = JsonbIteratorNext(&iterator, &row, true)) != WJB_DONE)
		if (token == WJB_ELEM)
		{
			char *row_path = psprintf("%s[%d]", path, i + 1);

			read_vector(row_path, &row, number + (Size) i * columns, columns);
			pfree(row_path);
			i++;
		}
}

static void
read_matrix(const char *path, const JsonbValue *value, double *number, int d)
{
	read_rows(path, value, number, d, d);
}

/* The covariance of an object: that of a cluster, or the one they share. */
static void
read_covariance(const Object *object, const clu_model *model, int cluster)
{
	JsonbValue value = get(object, "covariance");
	char	  *path = path_of(object, "covariance");
	Size	   d = (Size) model->d;

	switch (model->structure)
	{
		case CLU_COV_FULL:
		case CLU_COV_TIED:
			read_matrix(path, &value, model->covariance + cluster * d * d, model->d);
			break;
		case CLU_COV_DIAG:
			read_vector(path, &value, model->covariance + cluster * d, model->d);
			break;
		default:
			model->covariance[cluster] = get_number(object, "covariance");
	}
	pfree(path);
}

/* ---- lists of objects ---- */

typedef void (*read_object)(const Object *object, clu_model *model);

static void
read_list(const char *list, JsonbContainer *array, clu_model *model, read_object read)
{
	JsonbIterator	  *iterator = JsonbIteratorInit(array);
	JsonbIteratorToken token;
	JsonbValue		   value;
	Object			   object = {.list = list};

	while ((token = JsonbIteratorNext(&iterator, &value, true)) != WJB_DONE)
	{
		if (token != WJB_ELEM)
			continue;
		object.number++;
		if (value.type != jbvBinary || !JsonContainerIsObject(value.val.binary.data))
			report_value(psprintf("%s[%d]", list, object.number), &value, "an object");
		object.container = value.val.binary.data;
		read(&object, model);
	}
}

static void
read_ranges(const Object *object, clu_model *model, int cluster)
{
	JsonbValue value = get(object, "brackets");
	char	  *path = path_of(object, "brackets");

	read_rows(path, &value, model->brackets.range + 2 * (Size) cluster * model->d, model->d, 2);
	pfree(path);
}

static void
read_cluster(const Object *object, clu_model *model)
{
	unsigned   met = clu_json_conditions(model);
	int		   c = object->number - 1;
	JsonbValue center;
	char	  *path;

	check_keys(object, cluster_keys, met);
	model->weight[c] = get_number(object, "weight");
	if (clu_json_applies(CLU_JSON_FITTED, met))
		model->size[c] = get_number(object, "size");
	if (clu_json_applies(CLU_JSON_FITTED | CLU_JSON_HARD, met))
		model->cost[c] = get_number(object, "objective");
	center = get(object, "center");
	path = path_of(object, "center");
	read_vector(path, &center, model->center + (Size) c * model->d, model->d);
	pfree(path);
	if (clu_json_applies(CLU_JSON_SEPARATE, met))
		read_covariance(object, model, c);
	if (clu_json_applies(CLU_JSON_BRACKETS, met))
		read_ranges(object, model, c);
}

static void
read_trace_entry(const Object *object, clu_model *model)
{
	clu_trace *entry = &model->trace[object->number - 1];

	check_keys(object, trace_keys, 0);
	entry->run = (uint32) get_integer(object, "run", 1, PG_INT32_MAX);
	entry->iteration = (uint32) get_integer(object, "iteration", 1, PG_INT32_MAX);
	entry->objective = get_figure(object, "objective");
	entry->changed = (uint64) get_integer(object, "changed", 0, PG_INT64_MAX);
	CHECK_FOR_INTERRUPTS();
}

/* ---- the model ---- */

/* One of the rows that clusters have taken. */
static void
read_taken(const Object *object, clu_model *model)
{
	int		   i = object->number - 1;
	JsonbValue row;
	char	  *path;

	check_keys(object, taken_keys, 0);
	model->brackets.taker[i] = (uint32) get_integer(object, "cluster", 1, model->k) - 1;
	row = get(object, "row");
	path = path_of(object, "row");
	read_vector(path, &row, model->brackets.row + (Size) i * model->d, model->d);
	pfree(path);
}

/* What is there besides the brackets of the clusters; room for these too. */
static void
read_brackets(const Object *object, clu_model *model)
{
	JsonbValue		value = get(object, "brackets"), taken;
	Object			brackets = {.list = ""};
	JsonbContainer *rows;

	if (value.type != jbvBinary || !JsonContainerIsObject(value.val.binary.data))
		report_value("brackets", &value, "an object");
	brackets.container = value.val.binary.data;
	check_keys(&brackets, bracket_keys, 0);
	taken = get(&brackets, "taken");
	rows = as_array("taken", &taken, "an array of objects");
	model->brackets.passes = (uint32) get_integer(&brackets, "passes", 0, PG_UINT32_MAX);
	model->brackets.moved = (uint32) get_integer(&brackets, "moved", 0, model->k);
	model->brackets.taken = JsonContainerSize(rows);
	clu_pg_brackets_new(model, model->brackets.taken);
	read_list("taken", rows, model, read_taken);
}

/* The index of a name in a list that ends with NULL. */
static int
get_choice(const Object *object, const char *key, const char *const *choices)
{
	JsonbValue	   value = get(object, key);
	StringInfoData allowed;

	initStringInfo(&allowed);
	for (int i = 0; choices[i] != NULL; i++)
	{
		if (is_text(&value, choices[i]))
			return i;
		appendStringInfo(&allowed, "%s\"%s\"", i == 0 ? "" : ", ", choices[i]);
	}
	report_value(path_of(object, key), &value, allowed.data);
}

static void
check_format(const Object *object)
{
	int64	  format = get_integer(object, "format", 1, PG_INT32_MAX);
	clu_error error = {NULL, CLU_JSON_FORMAT, (double) format};

	if (format > CLU_JSON_FORMAT)
		clu_pg_report(CLU_NEWER_FORMAT, &error);
}

/* What decides which other keys there are, and how much memory is needed. */
static clu_model
read_shape(const Object *object)
{
	const char *algorithms[CLU_ALGORITHMS + 1] = {NULL};
	clu_model	shape = {0};
	JsonbValue	brackets;

	for (int i = 0; i < CLU_ALGORITHMS; i++)
		algorithms[i] = clu_algorithm_name(i + 1);
	shape.algorithm = (clu_algorithm) (get_choice(object, "algorithm", algorithms) + 1);
	if (shape.algorithm == CLU_GMM)
		shape.structure =
			get_choice(object, "covariance_type", clu_option_table[CLU_COVARIANCE].choices);
	if (get_boolean(object, "fitted"))
		shape.flags = CLU_MODEL_FITTED;
	if (find(object, "brackets", &brackets))
		shape.flags |= CLU_MODEL_BRACKETS;
	shape.k = (int) get_integer(object, "k", 1, PG_INT32_MAX);
	shape.d = (int) get_integer(object, "dimensions", 1, PG_INT32_MAX);
	return shape;
}

static void
read_fit(const Object *object, clu_model *model)
{
	JsonbValue		trace = get(object, "trace");
	JsonbContainer *entries = as_array("trace", &trace, "an array of objects");
	JsonbValue		likelihood;

	if (get_boolean(object, "converged"))
		model->flags |= CLU_MODEL_CONVERGED;
	model->rows = get_integer(object, "rows", 0, PG_INT64_MAX);
	model->skipped = get_integer(object, "skipped", 0, PG_INT64_MAX);
	model->iterations = get_integer(object, "iterations", 0, PG_INT64_MAX);
	model->total_weight = get_number(object, "total_weight");
	model->objective = get_figure(object, "objective");
	if (find(object, "log_likelihood", &likelihood))
	{
		model->flags |= CLU_MODEL_LIKELIHOOD;
		model->log_likelihood = get_figure(object, "log_likelihood");
	}
	model->trace_count = JsonContainerSize(entries);
	model->trace = palloc(model->trace_count * sizeof(clu_trace));
	read_list("trace", entries, model, read_trace_entry);
}

static void
read_options(const Object *object, clu_model *model)
{
	JsonbValue value = get(object, "options");

	if (value.type != jbvBinary || !JsonContainerIsObject(value.val.binary.data))
		report_value("options", &value, "an object");
	memset(&model->options, 0, sizeof(model->options));
	clu_pg_options_read(value.val.binary.data, model->algorithm, &model->options);
}

/*
 * No memory is taken on the word of k and dimensions alone: as many clusters must be there, and
 * the first of them must have a center of that length.
 */
static JsonbContainer *
get_clusters(const Object *object, const clu_model *shape)
{
	JsonbValue		value = get(object, "clusters");
	JsonbContainer *clusters = as_array("clusters", &value, "an array of objects");
	JsonbValue	   *first, center;
	Object			cluster = {.list = "clusters", .number = 1};

	check_length("clusters", clusters, shape->k);
	first = getIthJsonbValueFromContainer(clusters, 0);
	if (first->type != jbvBinary || !JsonContainerIsObject(first->val.binary.data))
		report_value("clusters[1]", first, "an object");
	cluster.container = first->val.binary.data;
	center = get(&cluster, "center");
	check_length("clusters[1].center",
				 as_array("clusters[1].center", &center, "an array of numbers"), shape->d);
	return clusters;
}

static clu_model *
read_model(const Object *object)
{
	clu_model		shape;
	clu_model	   *model;
	JsonbContainer *clusters;

	check_format(object);
	shape = read_shape(object);
	check_keys(object, model_keys, clu_json_conditions(&shape));
	clusters = get_clusters(object, &shape);

	model = clu_pg_model_new(shape.algorithm, shape.structure, shape.k, shape.d);
	model->flags = shape.flags;
	read_options(object, model);
	if (model->flags & CLU_MODEL_FITTED)
		read_fit(object, model);
	if (clu_model_has_brackets(model))
		read_brackets(object, model);
	read_list("clusters", clusters, model, read_cluster);
	if (clu_json_applies(CLU_JSON_SHARED, clu_json_conditions(model)))
		read_covariance(object, model, 0);
	return model;
}

Datum
clustering_cluster_from_json(PG_FUNCTION_ARGS)
{
	Jsonb	  *json = PG_GETARG_JSONB_P(0);
	Object	   object = {.container = &json->root, .list = ""};
	clu_error  error = {NULL, 0, 0};
	clu_model *model;

	if (!JB_ROOT_IS_OBJECT(json))
		ereport(ERROR, (errcode(ERRCODE_INVALID_PARAMETER_VALUE),
						errmsg("a model as JSON must be an object")));
	model = read_model(&object);
	if (clu_pg_check(model, &error) != CLU_OK)
		ereport(ERROR, (errcode(ERRCODE_INVALID_PARAMETER_VALUE),
						errmsg("JSON does not describe a valid model"),
						errdetail_internal("%s", clu_pg_reason(&error))));
	PG_RETURN_BYTEA_P(clu_pg_encode(model));
}
