/*
 * options_value.h
 *		The options of a fit as jsonb.
 */
#ifndef CLU_PG_OPTIONS_VALUE_H
#define CLU_PG_OPTIONS_VALUE_H

#include "postgres.h"

#include "compat.h"
#include "options.h"

/*
 * Read the object over the defaults of the algorithm; NULL stands for an empty object, and a
 * JSON null for the default.  Anything that is not allowed is an error that names the key.
 */
extern void clu_pg_options_parse(Jsonb *object, clu_algorithm algorithm, clu_options *options);

/* The same without defaults: only what the object says is set afterwards. */
extern void clu_pg_options_read(JsonbContainer *object, clu_algorithm algorithm,
								clu_options *options);

/* The options that are set. */
extern Jsonb *clu_pg_options_to_jsonb(const clu_options *options);
extern void	  clu_pg_options_push(clu_pg_json *json, const clu_options *options);

#endif
