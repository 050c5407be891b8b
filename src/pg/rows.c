/*
 * rows.c
 *		The rows of a fit as they are collected; see rows.h.
 */
#include "rows.h"

#include <sys/mman.h>
#include <unistd.h>

#include "order.h"

#define FIRST_CAPACITY 4
#define LEAST_RUN (1024 * 1024)	  /* bytes that are worth being written out */
#define WRITE_BUFFER (256 * 1024) /* bytes */
#define CHECK_WEIGHTS 65536		  /* between two checks for interrupts */
#define PIECE (1024 * 1024)		  /* bytes whose pages are asked for together */
#define MANY_PIECES (16 * PIECE)  /* bytes beside which a piece that isn't needed is little */

/* What the sort of a run needs for each row: numbers, keys, weight. */
#define SORT_SIZE 40

/* ---- writing out ---- */

/* Append values of this size, in an order; the buffer has room for one or more. */
static void
append_in_order(clu_pg_file *file, const void *values, Size size, const uint32 *index, Size n,
				char *buffer, Size room)
{
	Size filled = 0;

	for (Size i = 0; i < n; i++)
	{
		memcpy(buffer + filled, (const char *) values + index[i] * size, size);
		filled += size;
		if (filled + size > room || i + 1 == n)
		{
			clu_pg_file_append(file, buffer, filled);
			filled = 0;
		}
	}
}

/* Weights of rows that had none. */
static void
append_ones(clu_pg_file *file, Size n)
{
	double ones[1024];

	for (Size i = 0; i < lengthof(ones); i++)
		ones[i] = 1;
	for (Size done = 0; done < n; done += lengthof(ones))
		clu_pg_file_append(file, ones, Min(n - done, lengthof(ones)) * sizeof(double));
}

static void
sort_kept(const clu_pg_rows *rows, clu_order *order, MemoryContext context)
{
	clu_rows  kept = {.x = rows->values, .n = rows->kept, .d = rows->d, .width = rows->width};
	clu_arena arena = {0};

	clu_order_layout(order, &arena, kept.n, 1);
	clu_pg_arena(&arena, context);
	clu_order_layout(order, &arena, kept.n, 1);
	(void) clu_order_sort(order, &kept, NULL, &clu_pg_interrupt);
}

/* A file that ends with the state. */
static clu_pg_file *
open_file(const clu_pg_rows *rows)
{
	MemoryContext old = MemoryContextSwitchTo(rows->context);
	clu_pg_file	 *file = clu_pg_file_open(rows->windowed);

	MemoryContextSwitchTo(old);
	return file;
}

static void
note_run(clu_pg_rows *rows)
{
	if (rows->ends == NULL)
		rows->ends = MemoryContextAlloc(rows->context, sizeof(Size));
	else if ((rows->runs & (rows->runs - 1)) == 0) /* a power of two: full */
		rows->ends = repalloc_huge(rows->ends, 2 * (Size) rows->runs * sizeof(Size));
	rows->ends[rows->runs++] = rows->n;
}

/* Write the rows in memory out as a run. */
static void
write_run(clu_pg_rows *rows)
{
	MemoryContext sorting =
		AllocSetContextCreate(CurrentMemoryContext, "clustering run", ALLOCSET_SMALL_SIZES);
	Size	  room = Max(WRITE_BUFFER, rows->size);
	char	 *buffer = MemoryContextAllocHuge(sorting, room);
	clu_order order;

	sort_kept(rows, &order, sorting);
	if (rows->value_file == NULL)
		rows->value_file = open_file(rows);
	append_in_order(rows->value_file, rows->values, rows->size, order.index, rows->kept, buffer,
					room);
	if (rows->weights != NULL && rows->weight_file == NULL)
	{
		rows->weight_file = open_file(rows);
		append_ones(rows->weight_file, rows->n - rows->kept);
	}
	if (rows->weights != NULL)
		append_in_order(rows->weight_file, rows->weights, sizeof(double), order.index, rows->kept,
						buffer, room);
	else if (rows->weight_file != NULL)
		append_ones(rows->weight_file, rows->kept);
	note_run(rows);
	rows->kept = 0;
	MemoryContextDelete(sorting);
}

/* ---- collecting ---- */

static bool
may_grow(const clu_pg_rows *rows)
{
	Size row = rows->size + sizeof(double) + SORT_SIZE;

	return rows->capacity * row < LEAST_RUN ||
		   MemoryContextMemAllocated(rows->context, true) + rows->capacity * row <=
			   get_hash_memory_limit();
}

static void
grow(clu_pg_rows *rows)
{
	rows->capacity = rows->capacity == 0 ? FIRST_CAPACITY : rows->capacity * 2;
	if (rows->values == NULL)
		rows->values = MemoryContextAllocHuge(rows->context, rows->capacity * rows->size);
	else
		rows->values = repalloc_huge(rows->values, rows->capacity * rows->size);
}

/* Have the pages from one address to another, as far as they are whole, where that's possible. */
static void
fetch_pages(const char *from, const char *to)
{
#ifdef MADV_POPULATE_WRITE
	uintptr_t page = (uintptr_t) sysconf(_SC_PAGESIZE);
	uintptr_t first = TYPEALIGN_DOWN(page, (uintptr_t) from);

	(void) madvise((void *) first, TYPEALIGN_DOWN(page, (uintptr_t) to) - first,
				   MADV_POPULATE_WRITE);
#else
	(void) from;
	(void) to;
#endif
}

/*
 * Make memory for the next rows ready.  A large block has no pages before they are touched, and a
 * fault for each takes longer than to copy its rows: so they are asked for some at a time.
 */
static void
get_ready(clu_pg_rows *rows)
{
	if (rows->capacity * rows->size < MANY_PIECES)
	{
		rows->ready = rows->capacity;
		return;
	}
	rows->ready = Min(rows->kept + Max(PIECE / rows->size, 1), rows->capacity);
	fetch_pages(rows->values + rows->kept * rows->size, rows->values + rows->ready * rows->size);
}

void
clu_pg_rows_make_room(clu_pg_rows *rows)
{
	if (rows->n >= CLU_PG_MOST_ROWS)
		ereport(ERROR, (errcode(ERRCODE_PROGRAM_LIMIT_EXCEEDED),
						errmsg("a fit can't take more than %u rows", CLU_PG_MOST_ROWS),
						errhint("Fit a sample of the rows, or use cluster_step.")));
	rows->size = clu_row_size(rows->d, rows->width);
	if (rows->kept == rows->capacity)
	{
		if (rows->capacity == 0 || may_grow(rows))
			grow(rows);
		else
			write_run(rows);
	}
	get_ready(rows);
}

void
clu_pg_rows_keep_weight(clu_pg_rows *rows, double weight)
{
	Size size = rows->capacity * sizeof(double);

	if (rows->weights == NULL)
	{
		rows->weights = MemoryContextAllocHuge(rows->context, size);
		for (Size i = 0; i < rows->kept; i++)
		{
			rows->weights[i] = 1;
			if (i % CHECK_WEIGHTS == 0)
				CHECK_FOR_INTERRUPTS();
		}
	}
	else if (rows->weights_capacity < rows->capacity)
		rows->weights = repalloc_huge(rows->weights, size);
	rows->weights_capacity = rows->capacity;
	rows->weights[rows->kept] = weight;
}

void
clu_pg_rows_finish(clu_pg_rows *rows)
{
	if (rows->value_file == NULL)
		return;
	if (rows->kept > 0)
		write_run(rows);

	if (rows->values != NULL)
		pfree(rows->values);
	if (rows->weights != NULL)
		pfree(rows->weights);
	rows->values = NULL;
	rows->weights = NULL;
	rows->capacity = rows->ready = rows->weights_capacity = 0;
}

void
clu_pg_rows_close(clu_pg_rows *rows)
{
	if (rows->value_file != NULL)
		clu_pg_file_close(rows->value_file);
	if (rows->weight_file != NULL)
		clu_pg_file_close(rows->weight_file);
}
