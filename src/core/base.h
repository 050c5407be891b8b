/*
 * base.h
 *		What every file of the core shares: statuses, workspaces, the interrupt callback.
 *
 * The core is plain C.  It includes no PostgreSQL header, allocates nothing, and keeps nothing
 * between two calls: memory is the caller's, and each room publishes how much it needs by running
 * its own layout function over an arena that has no memory behind it (see clu_arena).
 *
 * The interrupt callback may leave by longjmp.  Nothing in the core holds anything that would
 * have to be given back.
 */
#ifndef CLU_BASE_H
#define CLU_BASE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/*
 * Why something could not be done.  The numbers that a message needs travel beside the status in
 * clu_error; the PostgreSQL side turns both into an ereport.
 */
typedef enum clu_status
{
	CLU_OK,
	CLU_FEWER_POINTS,  /* expected: clusters asked for; found: distinct points */
	CLU_TOO_LARGE,	   /* sizes that do not fit into memory addresses */
	CLU_DAMAGED,	   /* bytes that are not a model; reason says where */
	CLU_DAMAGED_STATE, /* bytes that are not a state of a step; reason says where */
	CLU_NEWER_FORMAT,  /* expected: newest known format; found: the value's */
	CLU_UNDERFLOW,	   /* distances vanish or overflow in double precision; reason says which */
	CLU_VANISHED	   /* so do distances between points, beside those of others; likewise */
} clu_status;

typedef struct clu_error
{
	const char *reason; /* a constant sentence, or NULL */
	double		expected;
	double		found;
} clu_error;

/* Record the numbers of a failure and return its status. */
clu_status clu_fail(clu_error *error, clu_status status, const char *reason, double expected,
					double found);

/* Called every few hundred microseconds of work; may longjmp. */
typedef struct clu_interrupt
{
	void (*check)(void *context);
	void *context;
} clu_interrupt;

static inline void
clu_check(const clu_interrupt *interrupt)
{
	if (interrupt != NULL && interrupt->check != NULL)
		interrupt->check(interrupt->context);
}

/* In a loop over rows of d values: check often enough, but not after every short row. */
static inline void
clu_check_row(const clu_interrupt *interrupt, size_t row, int d)
{
	if (row % 1024 == 0 || d > 64)
		clu_check(interrupt);
}

/*
 * A workspace carved from one piece of memory.  With base NULL nothing is handed out but all is
 * counted, so the same layout function first says how much it needs and then divides it.
 * Sizes that overflow stick at SIZE_MAX, which no caller can allocate.
 */
typedef struct clu_arena
{
	char  *base;
	size_t used;
} clu_arena;

#define CLU_ALIGNMENT 64

void *clu_arena_take(clu_arena *arena, size_t count, size_t width);

/* a * b, or SIZE_MAX where that overflows */
size_t clu_size_product(size_t a, size_t b);

/* Allocate count elements of the type of *pointer. */
#define CLU_TAKE(arena, pointer, count) \
	((pointer) = clu_arena_take((arena), (count), sizeof(*(pointer))))

/* Eight partial sums, added up as a tree. */
static inline double
clu_sum_eight(const double *sum)
{
	return ((sum[0] + sum[4]) + (sum[2] + sum[6])) + ((sum[1] + sum[5]) + (sum[3] + sum[7]));
}

#define CLU_MIN(a, b) ((a) < (b) ? (a) : (b))
#define CLU_MAX(a, b) ((a) > (b) ? (a) : (b))

#endif
