/*
 * clustering.c
 *		The module: what happens when the library is loaded.
 */
#include "pg_clustering.h"

#include "kernel.h"

PG_MODULE_MAGIC;

void _PG_init(void);

void
_PG_init(void)
{
	clu_kernel_choose();
}
