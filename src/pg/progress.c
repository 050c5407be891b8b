/*
 * progress.c
 *		Long fits say how far they are; see progress.h.
 */
#include "progress.h"

int clu_pg_progress_interval = 10000;

void
clu_pg_progress_begin(clu_pg_progress *progress, clu_algorithm algorithm, int64 starts)
{
	memset(progress, 0, sizeof(*progress));
	progress->algorithm = algorithm;
	progress->starts = starts;
	progress->last = GetCurrentTimestamp();
}

/* Rows a second since the last report, as text to follow others; nothing where none was seen. */
static char *
rate(const clu_pg_progress *progress, const clu_fit *fit, TimestampTz now)
{
	double rows =
		(double) (fit->seen - progress->seen) * fit->points->rows / (double) fit->points->n;

	if (rows == 0)
		return "";
	return psprintf(", %.0f rows per second", rows / (double) (now - progress->last) * 1e6);
}

static void
report(const clu_pg_progress *progress, const clu_fit *fit, TimestampTz now)
{
	const char *name = clu_algorithm_name(progress->algorithm);

	if (fit == NULL || fit->start == 0)
		ereport(NOTICE, (errmsg("%s fit: preparing the rows", name)));
	else if (fit->run == 0 || fit->iteration == 0)
		ereport(NOTICE, (errmsg("%s fit: start " INT64_FORMAT " of " INT64_FORMAT
								", finding where to begin",
								name, fit->start, progress->starts)));
	else
		ereport(NOTICE,
				(errmsg("%s fit: start " INT64_FORMAT " of " INT64_FORMAT
						", iteration " INT64_FORMAT ", objective %g%s",
						name, fit->start, progress->starts, fit->iteration,
						clu_in_input_units(fit, fit->objective), rate(progress, fit, now))));
}

void
clu_pg_progress_report(clu_pg_progress *progress, const clu_fit *fit)
{
	TimestampTz now;

	if (clu_pg_progress_interval == 0)
		return;
	now = GetCurrentTimestamp();
	if (now - progress->last < (TimestampTz) clu_pg_progress_interval * 1000)
		return;
	report(progress, fit, now);
	progress->last = now;
	progress->seen = fit == NULL ? 0 : fit->seen;
}
