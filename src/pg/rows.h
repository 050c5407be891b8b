/*
 * rows.h
 *		The rows of a fit as they are collected: in memory, and beyond work_mem in temporary files.
 *
 * Rows in memory lie as they came.  Where they become too many they are written out, as a run that
 * is in canonical order; the runs are merged in the end.  The limit is the executor's for a hash
 * table, work_mem * hash_mem_multiplier, and holds for all groups of an aggregate together: a
 * group that has no memory to grow into writes out what it has, unless that is little.
 */
#ifndef CLU_PG_ROWS_H
#define CLU_PG_ROWS_H

#include "pg_clustering.h"

#include "points.h"
#include "room.h"

#define CLU_PG_MOST_ROWS (UINT32_MAX - 1)

typedef struct clu_pg_rows
{
	MemoryContext context;
	bool		  windowed; /* no callback tells of the end; see clu_pg_file_open */
	int			  d;
	int			  width;
	Size		  n; /* all */

	/* in memory */
	Size	size; /* of a row; known with the first */
	Size	kept;
	Size	ready; /* rows whose memory can be used, at most capacity */
	Size	capacity;
	char   *values;
	double *weights; /* NULL while all are 1 */
	Size	weights_capacity;

	/* written out */
	clu_pg_file *value_file;  /* NULL: nothing is */
	clu_pg_file *weight_file; /* NULL while all weights are 1 */
	Size		*ends;		  /* of the runs: rows up to there */
	int			 runs;
} clu_pg_rows;

/* Make room for one more row, and for a weight that isn't 1 like all before it. */
extern void clu_pg_rows_make_room(clu_pg_rows *rows);
extern void clu_pg_rows_keep_weight(clu_pg_rows *rows, double weight);

/* Room for one more row; where its values go. */
static inline char *
clu_pg_rows_next(clu_pg_rows *rows)
{
	if (unlikely(rows->kept == rows->ready || rows->n >= CLU_PG_MOST_ROWS))
		clu_pg_rows_make_room(rows);
	return rows->values + rows->kept * rows->size;
}

/* Now it's there, with this weight. */
static inline void
clu_pg_rows_add(clu_pg_rows *rows, double weight)
{
	if (unlikely(rows->weights != NULL || weight != 1))
		clu_pg_rows_keep_weight(rows, weight);
	rows->kept++;
	rows->n++;
}

/* If some rows are written out, write out all. */
extern void clu_pg_rows_finish(clu_pg_rows *rows);

/* Close the files. */
extern void clu_pg_rows_close(clu_pg_rows *rows);

#endif
