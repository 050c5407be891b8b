/*
 * json_value.h
 *		Numbers and texts into jsonb and out of it.
 *
 * A double becomes the shortest decimal that gives back the same double, so that both ways
 * together are exact (but for the sign of zero, which a jsonb number does not have).
 */
#ifndef CLU_PG_JSON_VALUE_H
#define CLU_PG_JSON_VALUE_H

#include "postgres.h"

#include "compat.h"

/* Values; those of text share its memory. */
extern JsonbValue clu_pg_json_double(double value);
extern JsonbValue clu_pg_json_integer(int64 value);
extern JsonbValue clu_pg_json_boolean(bool value);
extern JsonbValue clu_pg_json_text(const char *text, int length);

/* Building. */
extern void	  clu_pg_json_key(clu_pg_json *json, const char *name);
extern void	  clu_pg_json_field(clu_pg_json *json, const char *name, JsonbValue value);
extern void	  clu_pg_json_element(clu_pg_json *json, JsonbValue value);
extern Jsonb *clu_pg_json_finish(clu_pg_json *json);

/*
 * Reading: false where the value is not a number, not whole or beyond a bigint; or where no double
 * is near it.
 */
extern bool clu_pg_json_to_integer(const JsonbValue *value, int64 *integer);
extern bool clu_pg_json_to_double(const JsonbValue *value, double *number);

/* The value for a message: short, palloc'd. */
extern char *clu_pg_json_describe(const JsonbValue *value);

#endif
