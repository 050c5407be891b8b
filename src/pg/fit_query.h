/*
 * fit_query.h
 *		What the parts of a fit over a query share.
 */
#ifndef CLU_PG_FIT_QUERY_H
#define CLU_PG_FIT_QUERY_H

#include "pg_clustering.h"

#include "query_source.h"

typedef struct clu_pg_query_fit
{
	clu_pg_source source;
	clu_algorithm algorithm;
	clu_options	  options;
	int			  k;
	MemoryContext context; /* of the whole fit */
	MemoryContext pass;	   /* reset after each */
	int64		  skipped; /* rows, of a sample */
	int64		  rows;
	int64		  fractional; /* of them, those with a weight that is no whole number */
} clu_pg_query_fit;

/* The pass of a step. */
extern SPIPlanPtr clu_pg_query_prepare_step(const clu_pg_query_fit *fit);

/* Run it: a state, in the context of the pass. */
extern bytea *clu_pg_query_run_step(clu_pg_query_fit *fit, SPIPlanPtr plan, const clu_model *model);

/* The model with the figures that a pass measures; an error where there are no rows any more. */
extern clu_model *clu_pg_query_measure(clu_pg_query_fit *fit, SPIPlanPtr plan,
									   const clu_model *model);

/* The error for a query that had rows in an earlier pass. */
pg_noreturn extern void clu_pg_query_report_no_rows(void);

/* The parameters of a model alone, with the options of the fit: what a fit starts from. */
extern clu_model *clu_pg_query_start_from(const clu_pg_query_fit *fit, const clu_model *model);

/*
 * The model to start from; with *complete the model itself, since the sample had all rows.  NULL
 * where there are no rows.
 */
extern clu_model *clu_pg_query_find_start(clu_pg_query_fit *fit, bool *complete);

#endif
