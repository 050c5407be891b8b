/*
 * base.c
 *		Statuses and workspaces.
 */
#include "base.h"

clu_status
clu_fail(clu_error *error, clu_status status, const char *reason, double expected, double found)
{
	if (error != NULL)
	{
		error->reason = reason;
		error->expected = expected;
		error->found = found;
	}
	return status;
}

size_t
clu_size_product(size_t a, size_t b)
{
	return (b != 0 && a > SIZE_MAX / b) ? SIZE_MAX : a * b;
}

void *
clu_arena_take(clu_arena *arena, size_t count, size_t width)
{
	size_t size = clu_size_product(count, width);
	size_t start = arena->used;

	if (size > SIZE_MAX - CLU_ALIGNMENT || start > SIZE_MAX - CLU_ALIGNMENT - size)
	{
		arena->used = SIZE_MAX;
		return NULL;
	}
	arena->used = start + (size + CLU_ALIGNMENT - 1) / CLU_ALIGNMENT * CLU_ALIGNMENT;
	return arena->base == NULL ? NULL : arena->base + start;
}
