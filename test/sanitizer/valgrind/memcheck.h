/*
 * memcheck.h
 *		PostgreSQL's hints to valgrind about its own allocator, told to the address sanitizer.
 *
 * A server built with USE_VALGRIND includes this name, and says of every piece of a memory context
 * whether it may be touched.  The sanitizer knows addressable memory only, not whether it has been
 * written.
 */
#ifndef CLUSTERING_MEMCHECK_H
#define CLUSTERING_MEMCHECK_H

#include <sanitizer/asan_interface.h>

#define VALGRIND_MAKE_MEM_NOACCESS(address, size) __asan_poison_memory_region(address, size)
#define VALGRIND_MAKE_MEM_UNDEFINED(address, size) __asan_unpoison_memory_region(address, size)
#define VALGRIND_MAKE_MEM_DEFINED(address, size) __asan_unpoison_memory_region(address, size)
#define VALGRIND_MEMPOOL_ALLOC(pool, address, size) __asan_unpoison_memory_region(address, size)
#define VALGRIND_MEMPOOL_CHANGE(pool, from, to, size) __asan_unpoison_memory_region(to, size)

/* What is freed has been made inaccessible when it was wiped. */
#define VALGRIND_MEMPOOL_FREE(pool, address) ((void) 0)
#define VALGRIND_CREATE_MEMPOOL(pool, redzone, zeroed) ((void) 0)
#define VALGRIND_DESTROY_MEMPOOL(pool) ((void) 0)
#define VALGRIND_CHECK_MEM_IS_DEFINED(address, size) ((void) 0)
#define VALGRIND_GET_VBITS(address, bits, size) ((void) 0)

#endif
