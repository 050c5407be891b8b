/*
 * merge.h
 *		The canonical order of rows that lie in runs, each of which is in that order already.
 *
 * Rows that were too many for memory were written out as sorted runs (see order.h for the order).
 * A tournament among the runs' next rows finds the order of all: every run is read from front to
 * back, and a row costs as many comparisons as the number of runs has binary digits.
 */
#ifndef CLU_MERGE_H
#define CLU_MERGE_H

#include "order.h"

/* Memory for index and tied of the order, and for the tournament; the rest of it stays empty. */
typedef struct clu_merge
{
	clu_order order;
	size_t	 *next;	  /* row of each run, or its end */
	uint32_t *winner; /* of each match: 1 the final, 2 and 3 the semifinals, ... */
	int		  runs;
} clu_merge;

void clu_merge_layout(clu_merge *merge, clu_arena *arena, size_t n, int runs);

/* Fill merge->order; run i ends before row ends[i].  Returns the number of distinct rows. */
size_t clu_merge_runs(clu_merge *merge, const clu_rows *rows, const size_t *ends,
					  const clu_interrupt *interrupt);

#endif
