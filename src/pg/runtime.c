/*
 * runtime.c
 *		What the core asks its caller for: interrupts and memory.
 */
#include "pg_clustering.h"

static void
check_for_interrupts(void *context)
{
	(void) context;
	CHECK_FOR_INTERRUPTS();
}

const clu_interrupt clu_pg_interrupt = {check_for_interrupts, NULL};

void
clu_pg_arena(clu_arena *arena, MemoryContext context)
{
	char *memory;

	if (arena->used > SIZE_MAX / 2 - CLU_ALIGNMENT)
		ereport(ERROR, (errcode(ERRCODE_PROGRAM_LIMIT_EXCEEDED),
						errmsg("the model is too large for memory"),
						errhint("Use fewer clusters or dimensions.")));
	memory = MemoryContextAllocHuge(context, arena->used + CLU_ALIGNMENT);
	arena->base = (char *) TYPEALIGN(CLU_ALIGNMENT, memory);
	arena->used = 0;
}
