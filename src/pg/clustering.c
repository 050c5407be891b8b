/*
 * clustering.c
 *		The module: what happens when the library is loaded.
 */
#include "pg_clustering.h"

#include <limits.h>

#include "utils/guc.h"

#include "kernel.h"
#include "progress.h"
#include "workers.h"

PG_MODULE_MAGIC;

void _PG_init(void);

static void
define_settings(void)
{
	DefineCustomIntVariable(
		"clustering.max_parallel_workers",
		"Sets the maximum number of parallel workers that a fit may use.",
		"-1 means the value of max_parallel_workers_per_gather; 0 turns them off.",
		&clu_pg_max_parallel_workers, -1, -1, 1024, PGC_USERSET, 0, NULL, NULL, NULL);
	DefineCustomIntVariable("clustering.progress_interval",
							"Sets the time between two notices of how far a long fit is.",
							"0 turns them off.", &clu_pg_progress_interval, 10000, 0, INT_MAX,
							PGC_USERSET, GUC_UNIT_MS, NULL, NULL, NULL);
}

void
_PG_init(void)
{
	clu_kernel_choose();
	define_settings();
	MarkGUCPrefixReserved("clustering");
}
