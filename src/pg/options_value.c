/*
 * options_value.c
 *		The options of a fit as jsonb: reading, writing, and the functions that build the object.
 *
 * All follow the table of the core (core/options.h), so that an option is added in one place.  A
 * value reaches clu_options in one way only, as a jsonb value, be it from an object or from the
 * argument of a function; the checks and the errors are the same.
 */
#include "postgres.h"

#include "fmgr.h"
#include "lib/stringinfo.h"
#include "utils/builtins.h"

#include "json_value.h"
#include "options_value.h"

PG_FUNCTION_INFO_V1(clustering_kmeans_options);
PG_FUNCTION_INFO_V1(clustering_kmedians_options);
PG_FUNCTION_INFO_V1(clustering_gmm_options);
PG_FUNCTION_INFO_V1(clustering_bernoulli_options);

/* ---- errors ---- */

static char *
allowed_keys(clu_algorithm algorithm)
{
	StringInfoData keys;

	initStringInfo(&keys);
	for (int option = 0; option < CLU_OPTION_COUNT; option++)
		if (clu_option_applies(option, algorithm))
			appendStringInfo(&keys, "%s%s", keys.len > 0 ? ", " : "",
							 clu_option_table[option].name);
	return keys.data;
}

pg_noreturn static void
report_key(const char *message, const char *key, int length, clu_algorithm algorithm)
{
	JsonbValue name = clu_pg_json_text(key, length);

	ereport(ERROR,
			(errcode(ERRCODE_INVALID_PARAMETER_VALUE),
			 errmsg_internal(message, clu_pg_json_describe(&name), clu_algorithm_name(algorithm)),
			 errhint("Options of %s are: %s.", clu_algorithm_name(algorithm),
					 allowed_keys(algorithm))));
	pg_unreachable();
}

pg_noreturn static void
report_value(int option, const JsonbValue *value)
{
	const clu_option_info *info = &clu_option_table[option];

	ereport(ERROR, (errcode(ERRCODE_INVALID_PARAMETER_VALUE),
					errmsg("option \"%s\" has an invalid value", info->name),
					errdetail("The value is %s.", clu_pg_json_describe(value)),
					errhint("It may be %s.", info->allowed)));
	pg_unreachable();
}

/* ---- reading ---- */

static bool
set_number(clu_options *options, int option, const JsonbValue *value)
{
	int64  integer;
	double number;

	if (clu_pg_json_to_integer(value, &integer))
		return clu_option_set_integer(options, option, integer);
	return clu_pg_json_to_double(value, &number) && clu_option_set_number(options, option, number);
}

static void
set_option(clu_options *options, int option, const JsonbValue *value)
{
	bool set = false;

	switch (value->type)
	{
		case jbvString:
			set = clu_option_set_text(options, option, value->val.string.val,
									  (size_t) value->val.string.len);
			break;
		case jbvNumeric:
			set = set_number(options, option, value);
			break;
		case jbvBool:
			set = clu_option_set_boolean(options, option, value->val.boolean);
			break;
		default:
			break;
	}
	if (!set)
		report_value(option, value);
}

static int
find_option(const JsonbValue *key, clu_algorithm algorithm)
{
	const char *name = key->val.string.val;
	int			length = key->val.string.len;
	int			option = clu_option_find(name, (size_t) length);

	if (option < 0)
		report_key("unknown option %s", name, length, algorithm);
	if (!clu_option_applies(option, algorithm))
		report_key("option %s does not apply to %s", name, length, algorithm);
	return option;
}

void
clu_pg_options_read(JsonbContainer *object, clu_algorithm algorithm, clu_options *options)
{
	JsonbIterator	  *iterator = JsonbIteratorInit(object);
	JsonbValue		   value;
	JsonbIteratorToken token;
	int				   option = -1;

	while ((token = JsonbIteratorNext(&iterator, &value, true)) != WJB_DONE)
		if (token == WJB_KEY)
			option = find_option(&value, algorithm);
		else if (token == WJB_VALUE && value.type != jbvNull)
			set_option(options, option, &value);
}

static void
check_object(Jsonb *object, clu_algorithm algorithm)
{
	JsonbValue value;

	if (JB_ROOT_IS_OBJECT(object))
		return;
	if (!JsonbExtractScalar(&object->root, &value))
		value.type = jbvArray;
	ereport(ERROR,
			(errcode(ERRCODE_INVALID_PARAMETER_VALUE), errmsg("options must be a JSON object"),
			 errdetail("The value is %s.", clu_pg_json_describe(&value)),
			 errhint("Build it with %s_options().", clu_algorithm_name(algorithm))));
}

void
clu_pg_options_parse(Jsonb *object, clu_algorithm algorithm, clu_options *options)
{
	clu_options_default(options, algorithm);
	if (object == NULL)
		return;
	check_object(object, algorithm);
	clu_pg_options_read(&object->root, algorithm, options);
}

/* ---- writing ---- */

static JsonbValue
option_value(const clu_options *options, int option)
{
	const clu_option_info *info = &clu_option_table[option];
	clu_option_value	   value = options->value[option];
	const char			  *choice;

	switch (info->kind)
	{
		case CLU_KIND_CHOICE:
			choice = info->choices[value.integer];
			return clu_pg_json_text(choice, (int) strlen(choice));
		case CLU_KIND_INTEGER:
			return clu_pg_json_integer(value.integer);
		case CLU_KIND_NUMBER:
			return clu_pg_json_double(value.number);
		case CLU_KIND_BOOLEAN:
			return clu_pg_json_boolean(value.integer != 0);
	}
	pg_unreachable();
}

void
clu_pg_options_push(clu_pg_json *json, const clu_options *options)
{
	clu_pg_json_push(json, WJB_BEGIN_OBJECT, NULL);
	for (int option = 0; option < CLU_OPTION_COUNT; option++)
		if (clu_option_is_set(options, (clu_option) option))
			clu_pg_json_field(json, clu_option_table[option].name, option_value(options, option));
	clu_pg_json_push(json, WJB_END_OBJECT, NULL);
}

Jsonb *
clu_pg_options_to_jsonb(const clu_options *options)
{
	clu_pg_json json = {0};

	clu_pg_options_push(&json, options);
	return clu_pg_json_finish(&json);
}

/* ---- functions ---- */

/* The type of an argument follows from the kind of its option; of the integers one is a bigint. */
static JsonbValue
argument_value(FunctionCallInfo fcinfo, int argument, int option)
{
	text *choice;

	switch (clu_option_table[option].kind)
	{
		case CLU_KIND_CHOICE:
			choice = PG_GETARG_TEXT_PP(argument);
			return clu_pg_json_text(VARDATA_ANY(choice), (int) VARSIZE_ANY_EXHDR(choice));
		case CLU_KIND_INTEGER:
			return clu_pg_json_integer(option == CLU_SEED ? PG_GETARG_INT64(argument)
														  : PG_GETARG_INT32(argument));
		case CLU_KIND_NUMBER:
			return clu_pg_json_double(PG_GETARG_FLOAT8(argument));
		case CLU_KIND_BOOLEAN:
			return clu_pg_json_boolean(PG_GETARG_BOOL(argument));
	}
	pg_unreachable();
}

/*
 * Arguments stand in the order of the table.  An install script older than the library may have
 * fewer of them, since options are added at the end.
 */
static Datum
options_from_arguments(FunctionCallInfo fcinfo, clu_algorithm algorithm)
{
	clu_options options = {0};
	int			argument = 0;

	for (int option = 0; option < CLU_OPTION_COUNT && argument < PG_NARGS(); option++)
	{
		JsonbValue value;

		if (!clu_option_applies(option, algorithm))
			continue;
		if (!PG_ARGISNULL(argument))
		{
			value = argument_value(fcinfo, argument, option);
			set_option(&options, option, &value);
		}
		argument++;
	}
	PG_RETURN_JSONB_P(clu_pg_options_to_jsonb(&options));
}

Datum
clustering_kmeans_options(PG_FUNCTION_ARGS)
{
	return options_from_arguments(fcinfo, CLU_KMEANS);
}

Datum
clustering_kmedians_options(PG_FUNCTION_ARGS)
{
	return options_from_arguments(fcinfo, CLU_KMEDIANS);
}

Datum
clustering_gmm_options(PG_FUNCTION_ARGS)
{
	return options_from_arguments(fcinfo, CLU_GMM);
}

Datum
clustering_bernoulli_options(PG_FUNCTION_ARGS)
{
	return options_from_arguments(fcinfo, CLU_BERNOULLI);
}
