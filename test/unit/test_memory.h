/*
 * test_memory.h
 *		Memory as a caller of the core would give it.
 *
 * It comes filled with ones, so that what nobody has set is NaN, or far out of any array; and every
 * piece has its exact size, so that a sanitizer sees each step beyond it.  The sanitizer that looks
 * for what nobody has set (`make unit CC=clang SANITIZE=memory`) gets it unfilled.
 */
#ifndef TEST_MEMORY_H
#define TEST_MEMORY_H

#include <stdlib.h>
#include <string.h>

#include "base.h"

#ifdef __has_feature
#if __has_feature(memory_sanitizer)
#define LEAVE_UNSET
#endif
#endif

static int memory_filling = 0xff;

static inline void *
test_memory(size_t size)
{
	void *memory = NULL;

	if (posix_memalign(&memory, CLU_ALIGNMENT, size > 0 ? size : 1) != 0)
		abort();
#ifndef LEAVE_UNSET
	memset(memory, memory_filling, size);
#endif
	return memory;
}

#endif
