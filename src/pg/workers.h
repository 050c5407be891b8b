/*
 * workers.h
 *		Parallel workers for a fit: the team of the core (team.h), out of PostgreSQL's own pool.
 */
#ifndef CLU_PG_WORKERS_H
#define CLU_PG_WORKERS_H

#include "pg_clustering.h"

#include "room.h"
#include "team.h"

/* clustering.max_parallel_workers; -1: max_parallel_workers_per_gather */
extern int clu_pg_max_parallel_workers;

typedef struct clu_pg_workers clu_pg_workers;

/* How many workers a fit of so many multiplications a pass should ask for. */
extern int clu_pg_workers_wanted(double work);

/*
 * Start workers that see this room.  NULL where there are none to be had.  The core's interrupt
 * callback is what the leader calls while it works and waits.
 */
extern clu_pg_workers *clu_pg_workers_start(int wanted, clu_pg_room *room,
											const clu_interrupt *interrupt);

/* The team, of which the caller is the first member; NULL without workers. */
extern clu_team *clu_pg_workers_team(clu_pg_workers *workers);

/* Send them home.  After an error the end of the transaction does. */
extern void clu_pg_workers_end(clu_pg_workers *workers);

#endif
