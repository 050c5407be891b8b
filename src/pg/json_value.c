/*
 * json_value.c
 *		Numbers and texts into jsonb and out of it.
 */
#include "postgres.h"

#include <errno.h>
#include <math.h>

#include "common/shortest_dec.h"
#include "fmgr.h"
#include "mb/pg_wchar.h"
#include "utils/builtins.h"
#include "utils/fmgrprotos.h"
#include "utils/numeric.h"

#include "json_value.h"

#define DESCRIBED_BYTES 60 /* of a text or a number in a message */

/* ---- values ---- */

JsonbValue
clu_pg_json_double(double value)
{
	char	   text[DOUBLE_SHORTEST_DECIMAL_LEN];
	JsonbValue json = {.type = jbvNumeric};

	double_to_shortest_decimal_buf(value, text);
	json.val.numeric = DatumGetNumeric(DirectFunctionCall3(
		numeric_in, CStringGetDatum(text), ObjectIdGetDatum(InvalidOid), Int32GetDatum(-1)));
	return json;
}

JsonbValue
clu_pg_json_integer(int64 value)
{
	JsonbValue json = {.type = jbvNumeric};

	json.val.numeric = int64_to_numeric(value);
	return json;
}

JsonbValue
clu_pg_json_boolean(bool value)
{
	JsonbValue json = {.type = jbvBool};

	json.val.boolean = value;
	return json;
}

JsonbValue
clu_pg_json_text(const char *text, int length)
{
	JsonbValue json = {.type = jbvString};

	json.val.string.val = unconstify(char *, text);
	json.val.string.len = length;
	return json;
}

/* ---- building ---- */

void
clu_pg_json_key(clu_pg_json *json, const char *name)
{
	JsonbValue key = clu_pg_json_text(name, (int) strlen(name));

	clu_pg_json_push(json, WJB_KEY, &key);
}

void
clu_pg_json_field(clu_pg_json *json, const char *name, JsonbValue value)
{
	clu_pg_json_key(json, name);
	clu_pg_json_push(json, WJB_VALUE, &value);
}

void
clu_pg_json_element(clu_pg_json *json, JsonbValue value)
{
	clu_pg_json_push(json, WJB_ELEM, &value);
}

Jsonb *
clu_pg_json_finish(clu_pg_json *json)
{
	return JsonbValueToJsonb(json->result);
}

/* ---- reading ---- */

static char *
numeric_text(Numeric number)
{
	return DatumGetCString(DirectFunctionCall1(numeric_out, NumericGetDatum(number)));
}

/* Whole numbers may be written 3.00. */
bool
clu_pg_json_to_integer(const JsonbValue *value, int64 *integer)
{
	char *text, *end;

	if (value->type != jbvNumeric)
		return false;
	text = numeric_text(value->val.numeric);
	errno = 0;
	*integer = strtoll(text, &end, 10);
	if (*end == '.')
		end += 1 + strspn(end + 1, "0");
	if (errno != 0 || end == text || *end != '\0')
		return false;
	pfree(text);
	return true;
}

bool
clu_pg_json_to_double(const JsonbValue *value, double *number)
{
	char *text;
	bool  is_zero;

	if (value->type != jbvNumeric)
		return false;
	text = numeric_text(value->val.numeric);
	*number = strtod(text, NULL);
	is_zero = strpbrk(text, "123456789") == NULL;
	pfree(text);
	return isfinite(*number) && (*number != 0 || is_zero);
}

static char *
shortened(const char *text, int length, const char *quote)
{
	int kept = length <= DESCRIBED_BYTES ? length : pg_mbcliplen(text, length, DESCRIBED_BYTES);

	return psprintf("%s%.*s%s%s", quote, kept, text, kept < length ? "..." : "", quote);
}

char *
clu_pg_json_describe(const JsonbValue *value)
{
	char *text;

	switch (value->type)
	{
		case jbvNull:
			return pstrdup("null");
		case jbvString:
			return shortened(value->val.string.val, value->val.string.len, "\"");
		case jbvNumeric:
			text = numeric_text(value->val.numeric);
			return shortened(text, (int) strlen(text), "");
		case jbvBool:
			return pstrdup(value->val.boolean ? "true" : "false");
		case jbvArray:
			return pstrdup("an array");
		case jbvBinary:
			return pstrdup(JsonContainerIsArray(value->val.binary.data) ? "an array" : "an object");
		default:
			return pstrdup("an object");
	}
}
