/*
 * progress.h
 *		Long fits say how far they are.
 */
#ifndef CLU_PG_PROGRESS_H
#define CLU_PG_PROGRESS_H

#include "pg_clustering.h"

#include "utils/timestamp.h"

#include "model.h"

/* clustering.progress_interval, in milliseconds; 0: never */
extern int clu_pg_progress_interval;

typedef struct clu_pg_progress
{
	clu_algorithm algorithm;
	int64		  starts;
	TimestampTz	  last; /* report, or the beginning */
	double		  seen; /* rows by then */
} clu_pg_progress;

/* How far a fit is. */
typedef struct clu_pg_position
{
	int64  start;	  /* of the starts; 0: before the first */
	int64  iteration; /* 0: there is no objective yet */
	double objective;
	double seen; /* rows, in all passes so far */
} clu_pg_position;

extern void clu_pg_progress_begin(clu_pg_progress *progress, clu_algorithm algorithm, int64 starts);

/* Whether it's time for a NOTICE; and the NOTICE. */
extern bool clu_pg_progress_due(const clu_pg_progress *progress);
extern void clu_pg_progress_report(clu_pg_progress *progress, const clu_pg_position *position);

#endif
