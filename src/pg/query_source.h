/*
 * query_source.h
 *		A query as a source of points: what its columns are, and aggregates over it.
 */
#ifndef CLU_PG_QUERY_SOURCE_H
#define CLU_PG_QUERY_SOURCE_H

#include "postgres.h"

#include "executor/spi.h"

#include "compat.h"
#include "options.h"

typedef struct clu_pg_source
{
	char	   *query;
	const char *schema;		   /* of the extension, quoted */
	const char *cast;		   /* to the type in which points are passed on */
	bool		weighted;	   /* there's a second column */
	bool		bits;		   /* the points are bit strings */
	bool		was_read_only; /* the transaction, before */
} clu_pg_source;

/*
 * Look at the query, in an SPI connection: it must be one SELECT of a column of points and perhaps
 * one of weights.  Until the source is closed, or an error ends it, the transaction is read-only.
 */
extern void clu_pg_source_open(clu_pg_source *source, const char *query, clu_algorithm algorithm,
							   Oid function);
extern void clu_pg_source_close(const clu_pg_source *source);

/*
 * Prepare "SELECT schema.aggregate(x, arguments) FROM query", with the weight as the last
 * argument: 1 in its place where there is none and always_weighted says that there has to be one.
 * Parallel plans are welcome.
 */
extern SPIPlanPtr clu_pg_source_prepare(const clu_pg_source *source, const char *aggregate,
										const char *arguments, bool always_weighted, int nargs,
										Oid *types);

/*
 * Run a plan with one result, under the snapshot of the calling query and without writing.  The
 * result is in the given context; NULL where it's NULL.
 */
extern bytea *clu_pg_source_run(SPIPlanPtr plan, Datum *values, const char *nulls,
								MemoryContext context);

#endif
