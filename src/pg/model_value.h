/*
 * model_value.h
 *		Models as values of type bytea, and the failures of the core as errors of the server.
 */
#ifndef CLU_PG_MODEL_VALUE_H
#define CLU_PG_MODEL_VALUE_H

#include "postgres.h"

#include "compat.h"
#include "model.h"

/*
 * A model of zeros in the current memory context, all of it in one allocation (pfree(model) gives
 * it back), with the default options.  An error where its value would be too large for a bytea.
 */
extern clu_model *clu_pg_model_new(clu_algorithm algorithm, int structure, int k, int d);

/* Room for the brackets of a model, in one allocation that begins with the ranges. */
extern void clu_pg_brackets_new(clu_model *model, uint32 taken);

/*
 * A copy in the current memory context, with room for so many more entries of the trace; to be
 * given back by clu_pg_model_free.
 */
extern clu_model *clu_pg_model_copy(const clu_model *model, Size more_trace);
extern void		  clu_pg_model_free(clu_model *copy);

/* Whether a model is one: clu_model_check, with memory for it. */
extern clu_status clu_pg_check(const clu_model *model, clu_error *error);

/* The value, palloc'd; sets model->identity.  An invalid model is an internal error. */
extern bytea *clu_pg_encode(clu_model *model);

/* The model of a value, in one allocation of the given context; an error where it is damaged. */
extern clu_model *clu_pg_decode(const uint8 *bytes, Size length, MemoryContext context);

/* The sentence of a failure, with its numbers put in; "" where there is none. */
extern char *clu_pg_reason(const clu_error *error);

/* The one place where a status becomes an error. */
pg_noreturn extern void clu_pg_report(clu_status status, const clu_error *error);

#endif
