/*
 * workers.c
 *		Parallel workers for a fit; see workers.h.
 *
 * The leader posts pieces of work one after the other, each with a number of its own, and waits for
 * the end of each.  Everybody, the leader included, claims items by adding one to a counter that
 * holds the number of the piece in its upper bits: a claim that comes late is of a piece that has
 * ended, and is seen to be so.  Numbers of pieces begin anew when these bits are full, long after
 * the last claim of an earlier piece of that number.  Workers may come at any time, or never.
 *
 * A worker that fails sends its error to the leader, which raises it at its next check for
 * interrupts; all waiting is done with such checks.  The leader's own error, or a cancel request,
 * ends the workers with the transaction, as after any parallel query.
 */
#include "workers.h"

#include "access/parallel.h"
#include "access/xact.h"
#include "optimizer/cost.h"
#include "pgstat.h"
#include "port/atomics.h"
#include "storage/condition_variable.h"
#include "tcop/tcopprot.h"
#include "utils/wait_event.h"

#define KEY_TEAM UINT64CONST(0xc1d5000000000001)
#define KEY_QUERY UINT64CONST(0xc1d5000000000002)
#define ITEM_BITS 40
#define ITEM_MASK ((UINT64CONST(1) << ITEM_BITS) - 1)
#define PIECE_MASK (PG_UINT64_MAX >> ITEM_BITS)

/* Multiplications that are worth a worker: some ten times what it costs to start one. */
#define WORK_OF_WORKER 8e6

/*
 * Rounds of looking before sleeping: some 300 microseconds.  To wake a process up takes a good part
 * of that, and what two members wait for each other is less most often: a tenth of an item.
 */
#define SPINS 12000

typedef struct shared_file
{
	char  path[MAXPGPATH];
	char *address;
	Size  size;
} shared_file;

/* What all processes of the team share, in the segment of the parallel context. */
typedef struct shared_team
{
	char *reserved; /* addresses of the room */

	/* the piece of work; valid for those who hold an item of it */
	pg_atomic_uint64 piece; /* its number */
	clu_job			 job;
	void			*work;
	uint64			 items;
	bool			 thrifty;
	int				 files;
	shared_file		 file[CLU_PG_MOST_MAPPED];

	pg_atomic_uint64 next; /* item to be claimed, and the piece it's of */
	pg_atomic_uint64 turn; /* item whose turn it is */
	pg_atomic_uint64 done; /* items */
	pg_atomic_uint32 over; /* there won't be any more */

	ConditionVariable posted;
	ConditionVariable moved_on; /* turn, or the last item done */
} shared_team;

struct clu_pg_workers
{
	clu_team			 team; /* first */
	clu_pg_room			*room;
	ParallelContext		*context;
	shared_team			*shared;
	uint64				 pieces;
	const clu_interrupt *interrupt;
};

PGDLLEXPORT void clu_pg_worker_main(dsm_segment *segment, shm_toc *toc);

int clu_pg_max_parallel_workers = -1;

/* ---- waiting ---- */

typedef bool (*condition)(shared_team *shared, uint64 value);

static bool
is_posted(shared_team *shared, uint64 seen)
{
	return pg_atomic_read_u64(&shared->next) >> ITEM_BITS != seen ||
		   pg_atomic_read_u32(&shared->over) != 0;
}

static bool
is_turn(shared_team *shared, uint64 item)
{
	return pg_atomic_read_u64(&shared->turn) == item;
}

static bool
is_done(shared_team *shared, uint64 items)
{
	return pg_atomic_read_u64(&shared->done) == items;
}

static void
wait_until(condition met, shared_team *shared, uint64 value, ConditionVariable *variable)
{
	for (int i = 0; i < SPINS; i++)
	{
		if (met(shared, value))
			return;
		pg_spin_delay();
	}
	ConditionVariablePrepareToSleep(variable);
	while (!met(shared, value))
		ConditionVariableSleep(variable, PG_WAIT_EXTENSION);
	ConditionVariableCancelSleep();
}

/* ---- doing items ---- */

/* See the files that the leader has added to the room. */
static void
join_files(clu_pg_room *room, const shared_team *shared)
{
	for (int i = room->files; i < shared->files; i++)
		clu_pg_room_join(room, shared->file[i].path, shared->file[i].address, shared->file[i].size);
	room->thrifty = shared->thrifty;
}

/* Claim items and do them, until there are none; room is the worker's, NULL for the leader. */
static uint64
do_items(shared_team *shared, int member, clu_pg_room *room, const clu_interrupt *interrupt)
{
	for (;;)
	{
		uint64			claim = pg_atomic_fetch_add_u64(&shared->next, 1);
		uint64			item = claim & ITEM_MASK, items = shared->items;
		const clu_task *task = clu_task_of(shared->job);
		void		   *work = shared->work;

		/* what was read is of the piece, if it still is the piece; then it stays so */
		pg_read_barrier();
		if (pg_atomic_read_u64(&shared->piece) != claim >> ITEM_BITS || item >= items)
			return claim >> ITEM_BITS;
		if (room != NULL)
			join_files(room, shared);
		task->item(work, (size_t) item, member, interrupt);
		clu_check(interrupt);
		if (task->in_turn != NULL)
		{
			wait_until(is_turn, shared, claim, &shared->moved_on);
			task->in_turn(work, (size_t) item, member);
			pg_atomic_write_u64(&shared->turn, claim + 1);
			ConditionVariableBroadcast(&shared->moved_on);
		}
		if (pg_atomic_add_fetch_u64(&shared->done, 1) == items)
			ConditionVariableBroadcast(&shared->moved_on);
	}
}

/* ---- the leader ---- */

int
clu_pg_workers_wanted(double work)
{
	int most = clu_pg_max_parallel_workers >= 0 ? clu_pg_max_parallel_workers
												: max_parallel_workers_per_gather;

	/* a worker has no workers, and without a postmaster there are none */
	if (IsParallelWorker() || !IsUnderPostmaster)
		return 0;
	return (int) Min(work / WORK_OF_WORKER, Min(most, max_parallel_workers));
}

static void
share_files(clu_pg_workers *workers)
{
	shared_team *shared = workers->shared;

	for (int i = 0; i < workers->room->files; i++)
	{
		const clu_pg_mapped *mapped = &workers->room->mapped[i];

		if (i >= shared->files && mapped->size > 0)
		{
			strlcpy(shared->file[i].path, FilePathName(mapped->file->file), MAXPGPATH);
			shared->file[i].address = mapped->address;
		}
		shared->file[i].size = mapped->size;
	}
	shared->files = workers->room->files;
	shared->thrifty = workers->room->thrifty;
}

static void
run(clu_team *team, clu_job job, void *work, size_t items)
{
	clu_pg_workers *workers = (clu_pg_workers *) team;
	shared_team	   *shared = workers->shared;
	uint64			piece = ++workers->pieces & PIECE_MASK, first = piece << ITEM_BITS;

	pg_atomic_write_u64(&shared->piece, piece);
	pg_write_barrier();
	shared->job = job;
	shared->work = work;
	shared->items = items;
	share_files(workers);
	pg_atomic_write_u64(&shared->turn, first);
	pg_atomic_write_u64(&shared->done, 0);
	pg_write_barrier();
	pg_atomic_write_u64(&shared->next, first);
	ConditionVariableBroadcast(&shared->posted);
	(void) do_items(shared, 0, NULL, workers->interrupt);
	wait_until(is_done, shared, items, &shared->moved_on);
}

static shared_team *
make_shared(ParallelContext *context, const clu_pg_room *room)
{
	shared_team *shared = shm_toc_allocate(context->toc, sizeof(shared_team));

	memset(shared, 0, sizeof(*shared));
	shared->reserved = room->reserved;
	pg_atomic_init_u64(&shared->piece, 0);
	pg_atomic_init_u64(&shared->next, 0);
	pg_atomic_init_u64(&shared->turn, 0);
	pg_atomic_init_u64(&shared->done, 0);
	pg_atomic_init_u32(&shared->over, 0);
	ConditionVariableInit(&shared->posted);
	ConditionVariableInit(&shared->moved_on);
	shm_toc_insert(context->toc, KEY_TEAM, shared);
	return shared;
}

/* With the end of the text; a process may have none. */
static Size
query_size(void)
{
	return debug_query_string == NULL ? 0 : strlen(debug_query_string) + 1;
}

static void
share_query(ParallelContext *context)
{
	Size size = query_size();

	if (size > 0)
		shm_toc_insert(context->toc, KEY_QUERY,
					   memcpy(shm_toc_allocate(context->toc, size), debug_query_string, size));
}

clu_pg_workers *
clu_pg_workers_start(int wanted, clu_pg_room *room, const clu_interrupt *interrupt)
{
	clu_pg_workers	*workers = palloc0(sizeof(clu_pg_workers));
	ParallelContext *context;

	EnterParallelMode();
	context = CreateParallelContext("$libdir/clustering", "clu_pg_worker_main", wanted);
	shm_toc_estimate_chunk(&context->estimator, sizeof(shared_team));
	shm_toc_estimate_chunk(&context->estimator, query_size());
	shm_toc_estimate_keys(&context->estimator, 2);
	InitializeParallelDSM(context);
	workers->context = context;
	workers->room = room;
	workers->interrupt = interrupt;
	workers->shared = make_shared(context, room);
	share_query(context);
	LaunchParallelWorkers(context);
	workers->team.members = context->nworkers_launched + 1;
	workers->team.run = run;
	if (context->nworkers_launched > 0)
		return workers;
	clu_pg_workers_end(workers);
	return NULL;
}

clu_team *
clu_pg_workers_team(clu_pg_workers *workers)
{
	return workers == NULL ? NULL : &workers->team;
}

void
clu_pg_workers_end(clu_pg_workers *workers)
{
	if (workers == NULL)
		return;
	pg_atomic_write_u32(&workers->shared->over, 1);
	ConditionVariableBroadcast(&workers->shared->posted);
	WaitForParallelWorkersToFinish(workers->context);
	DestroyParallelContext(workers->context);
	ExitParallelMode();
	pfree(workers);
}

/* ---- a worker ---- */

static void
check_worker(void *room)
{
	CHECK_FOR_INTERRUPTS();
	clu_pg_room_tidy(room);
}

/* In pg_stat_activity, and in the log beside what a worker has to say. */
static void
show_query(shm_toc *toc)
{
	debug_query_string = shm_toc_lookup(toc, KEY_QUERY, true);
	pgstat_report_activity(STATE_RUNNING, debug_query_string);
}

void
clu_pg_worker_main(dsm_segment *segment, shm_toc *toc)
{
	shared_team	 *shared = shm_toc_lookup(toc, KEY_TEAM, false);
	clu_pg_room	  room;
	clu_interrupt interrupt = {check_worker, &room};
	uint64		  seen = 0;

	(void) segment;
	show_query(toc);
	if (!clu_pg_room_enter(&room, shared->reserved))
		return; /* the fit goes on without it */
	while (pg_atomic_read_u32(&shared->over) == 0)
	{
		wait_until(is_posted, shared, seen, &shared->posted);
		if (pg_atomic_read_u32(&shared->over) == 0)
			seen = do_items(shared, ParallelWorkerNumber + 1, &room, &interrupt);
	}
}
