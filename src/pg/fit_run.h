/*
 * fit_run.h
 *		Fitting a model to the rows that have been collected.
 */
#ifndef CLU_PG_FIT_RUN_H
#define CLU_PG_FIT_RUN_H

#include "pg_clustering.h"

#include "options.h"
#include "rows.h"

/* What a fit is asked for. */
typedef struct clu_pg_request
{
	clu_algorithm	algorithm;
	int32			k;	   /* or that of the start model */
	struct varlena *start; /* detoasted bytes of the start model; NULL: none */
	clu_options		options;
	int64			skipped;
} clu_pg_request;

/* The model, in the current memory context, of which nothing else is left there. */
extern bytea *clu_pg_fit(const clu_pg_request *request, clu_pg_rows *rows, clu_model *summary);

#endif
