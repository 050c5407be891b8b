/*
 * progress.c
 *		Long fits say how far they are; see progress.h.
 */
#include "progress.h"

#include <math.h>

int clu_pg_progress_interval = 10000;

void
clu_pg_progress_begin(clu_pg_progress *progress, clu_algorithm algorithm, int64 starts)
{
	memset(progress, 0, sizeof(*progress));
	progress->algorithm = algorithm;
	progress->starts = starts;
	progress->last = GetCurrentTimestamp();
}

bool
clu_pg_progress_due(const clu_pg_progress *progress)
{
	return clu_pg_progress_interval > 0 &&
		   GetCurrentTimestamp() - progress->last >= (TimestampTz) clu_pg_progress_interval * 1000;
}

/* Rows a second since the last report, as text to follow others; nothing where none was seen. */
static char *
rate(const clu_pg_progress *progress, const clu_pg_position *position, TimestampTz now)
{
	double rows = position->seen - progress->seen;

	return rows > 0
			   ? psprintf(", %.0f rows per second", rows / (double) (now - progress->last) * 1e6)
			   : "";
}

/* The same of the objective, which the first iteration doesn't know yet. */
static char *
objective(const clu_pg_position *position)
{
	return isfinite(position->objective) ? psprintf(", objective %g", position->objective) : "";
}

void
clu_pg_progress_report(clu_pg_progress *progress, const clu_pg_position *position)
{
	const char *name = clu_algorithm_name(progress->algorithm);
	TimestampTz now = GetCurrentTimestamp();

	if (position->start == 0)
		ereport(NOTICE, (errmsg("%s fit: preparing the rows", name)));
	else if (position->iteration == 0)
		ereport(NOTICE, (errmsg("%s fit: start " INT64_FORMAT " of " INT64_FORMAT
								", finding where to begin",
								name, position->start, progress->starts)));
	else
		ereport(NOTICE, (errmsg("%s fit: start " INT64_FORMAT " of " INT64_FORMAT
								", iteration " INT64_FORMAT "%s%s",
								name, position->start, progress->starts, position->iteration,
								objective(position), rate(progress, position, now))));
	progress->last = now;
	progress->seen = position->seen;
}
