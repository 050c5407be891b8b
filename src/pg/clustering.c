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

/* ---- the instruction set, for tests and measurements (doc/development.md) ---- */

static char *instruction_set;

static bool
is_best(const char *name)
{
	return strcmp(name, "best") == 0;
}

static bool
check_instruction_set(char **name, void **extra, GucSource source)
{
	(void) extra;
	(void) source;
	if (is_best(*name) || clu_kernel_can(*name))
		return true;
	GUC_check_errdetail("It may be \"base\", \"avx2\", \"avx512\" or \"avx512vnni\", where the CPU "
						"can, or \"best\".");
	return false;
}

static void
assign_instruction_set(const char *name, void *extra)
{
	(void) extra;
	if (is_best(name))
		clu_kernel_choose();
	else
		(void) clu_kernel_force(name);
}

/* For a whole session: tables laid out for one set can't be read by another. */
static void
define_instruction_set(void)
{
	DefineCustomStringVariable("clustering.instruction_set",
							   "Instruction set of the inner loops; no result depends on it.", NULL,
							   &instruction_set, "best", PGC_BACKEND,
							   GUC_NOT_IN_SAMPLE | GUC_NO_SHOW_ALL, check_instruction_set,
							   assign_instruction_set, NULL);
}

/* ---- all settings ---- */

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
	define_instruction_set();
	define_settings();
	MarkGUCPrefixReserved("clustering");
}
