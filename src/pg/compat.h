/*
 * compat.h
 *		What differs between the versions of PostgreSQL, and nothing else.
 */
#ifndef CLU_PG_COMPAT_H
#define CLU_PG_COMPAT_H

#include "postgres.h"

#include "utils/jsonb.h"

/* 16 moved the access to variable-length values out of postgres.h. */
#if PG_VERSION_NUM >= 160000
#include "varatt.h"
#endif

/* 18 has it, and puts it before the declaration; what the older ones have goes behind. */
#ifndef pg_noreturn
#define pg_noreturn __attribute__((noreturn))
#endif

/* A jsonb value that is being built; begins as {0}.  19 keeps the result in the state itself. */
#if PG_VERSION_NUM >= 190000
typedef JsonbInState clu_pg_json;
#else
typedef struct clu_pg_json
{
	JsonbParseState *state;
	JsonbValue		*result;
} clu_pg_json;
#endif

static inline void
clu_pg_json_push(clu_pg_json *json, JsonbIteratorToken token, JsonbValue *value)
{
#if PG_VERSION_NUM >= 190000
	pushJsonbValue(json, token, value);
#else
	json->result = pushJsonbValue(&json->state, token, value);
#endif
}

#endif
