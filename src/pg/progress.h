/*
 * progress.h
 *		Long fits say how far they are.
 */
#ifndef CLU_PG_PROGRESS_H
#define CLU_PG_PROGRESS_H

#include "pg_clustering.h"

#include "utils/timestamp.h"

#include "fit.h"

/* clustering.progress_interval, in milliseconds; 0: never */
extern int clu_pg_progress_interval;

typedef struct clu_pg_progress
{
	clu_algorithm algorithm;
	int64		  starts;
	TimestampTz	  last; /* report, or the beginning */
	uint64		  seen; /* points by then */
} clu_pg_progress;

extern void clu_pg_progress_begin(clu_pg_progress *progress, clu_algorithm algorithm, int64 starts);

/* A NOTICE, if it's time for one; fit is NULL before the first start. */
extern void clu_pg_progress_report(clu_pg_progress *progress, const clu_fit *fit);

#endif
