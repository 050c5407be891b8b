/*
 * fit_run.c
 *		Fitting a model to the rows that have been collected.
 *
 * Rows become points, points become a model; where they lie and who helps is decided here.
 */
#include "fit_run.h"

#include "executor/instrument.h"
#include "utils/guc.h"

#include "arrange.h"
#include "fit.h"
#include "merge.h"
#include "model_bytes.h"
#include "model_value.h"
#include "order.h"
#include "progress.h"
#include "workers.h"

/* What a fit takes at most, in rows' sizes: to keep small temp_file_limits from failing it. */
#define MOST_ROW_SIZES 8

typedef struct trace_buffer
{
	clu_trace *entries;
	Size	   count;
	Size	   capacity;
} trace_buffer;

/* A fit under way. */
typedef struct fitting
{
	const clu_pg_request *request;
	clu_pg_rows			 *rows;
	clu_pg_room			 *room;
	clu_pg_workers		 *workers;
	clu_interrupt		  interrupt;
	clu_fit				 *fit;
	trace_buffer		  trace;
	clu_pg_progress		  progress;
	unsigned			  checks;
	clu_error			  error;
} fitting;

#define CHECKS_PER_LOOK 16 /* at the clock, which takes longer than all else of a check */

/* ---- what the core calls ---- */

static void
report_progress(fitting *f)
{
	const clu_fit  *fit = f->fit;
	clu_pg_position position = {0};

	if (fit != NULL)
	{
		position.start = fit->start;
		position.iteration = fit->iteration;
		position.objective = clu_in_input_units(fit, fit->objective);
		position.seen = (double) fit->seen * fit->points->rows / (double) fit->points->n;
	}
	clu_pg_progress_report(&f->progress, &position);
}

static void
check_fit(void *context)
{
	fitting *f = context;

	CHECK_FOR_INTERRUPTS();
	clu_pg_room_tidy(f->room);
	if (++f->checks % CHECKS_PER_LOOK == 0 && clu_pg_progress_due(&f->progress))
		report_progress(f);
}

static void
keep_trace(void *context, const clu_trace *entry)
{
	fitting		 *f = context;
	trace_buffer *trace = &f->trace;

	if (trace->count == trace->capacity)
	{
		trace->capacity = trace->capacity == 0 ? 32 : trace->capacity * 2;
		trace->entries = trace->entries == NULL
							 ? palloc(trace->capacity * sizeof(clu_trace))
							 : repalloc_huge(trace->entries, trace->capacity * sizeof(clu_trace));
	}
	trace->entries[trace->count++] = *entry;

	/* points in files are read once an iteration, more or less */
	if (f->room->thrifty)
		pgBufferUsage.temp_blks_read +=
			(int64) (f->fit->points->n * clu_row_size(f->rows->d, f->rows->width) / BLCKSZ);
}

/* ---- room and workers ---- */

/* Whether the files of a shared room would be within temp_file_limit, more or less. */
static bool
files_allowed(const clu_pg_rows *rows)
{
	double size = (double) rows->n * (double) clu_row_size(rows->d, rows->width) * MOST_ROW_SIZES;

	return temp_file_limit < 0 || rows->value_file != NULL || size / 1024 <= temp_file_limit;
}

static void
find_room(fitting *f)
{
	Size   limit = get_hash_memory_limit();
	double work = (double) f->rows->n * f->rows->d * f->request->k;
	int	   wanted = clu_pg_workers_wanted(work);

	if (wanted > 0 && files_allowed(f->rows))
		f->room = clu_pg_room_new(limit, true);
	if (f->room != NULL)
		f->workers = clu_pg_workers_start(wanted, f->room, &f->interrupt);
	if (f->workers == NULL)
		f->room = clu_pg_room_new(limit, false);
	f->room->thrifty = f->rows->value_file != NULL;
}

/* ---- points ---- */

/* A copy of rows in memory that workers see. */
static void
share_rows(fitting *f, clu_rows *view)
{
	view->x = clu_pg_room_copy(f->room, view->x, view->n * clu_row_size(view->d, view->width));
	if (view->w != NULL)
		view->w = (double *) clu_pg_room_copy(f->room, view->w, view->n * sizeof(double));
}

/* The rows as the core sees them. */
static clu_rows
view_rows(fitting *f)
{
	clu_pg_rows *rows = f->rows;
	clu_rows	 view = {.n = rows->n, .d = rows->d, .width = rows->width};

	if (rows->value_file == NULL)
	{
		view.x = rows->values;
		view.w = rows->weights;
		view.movable = true;
		if (f->workers != NULL)
			share_rows(f, &view);
		return view;
	}
	view.x = clu_pg_room_map(f->room, rows->value_file);
	if (rows->weight_file != NULL)
		view.w = (const double *) clu_pg_room_map(f->room, rows->weight_file);
	pgBufferUsage.temp_blks_read += (int64) (rows->value_file->size / BLCKSZ);
	return view;
}

/* Put the rows in their canonical order; returns the number of distinct ones. */
static Size
order_rows(fitting *f, const clu_rows *view, clu_order *order)
{
	clu_team   *team = clu_pg_workers_team(f->workers);
	int			members = clu_team_members(team);
	clu_arena	arena = {0};
	clu_arrange arrange;
	clu_merge	merge;

	if (clu_arrange_pays(view, members))
	{
		Size distinct;

		clu_arrange_layout(&arrange, &arena, view);
		clu_pg_room_arena(f->room, &arena);
		clu_arrange_layout(&arrange, &arena, view);
		distinct = clu_arrange_rows(&arrange, view, &f->interrupt);
		*order = arrange.order;
		return distinct;
	}
	if (f->rows->runs == 0)
	{
		clu_order_layout(order, &arena, view->n, members);
		clu_pg_room_arena(f->room, &arena);
		clu_order_layout(order, &arena, view->n, members);
		return clu_order_sort(order, view, team, &f->interrupt);
	}
	clu_merge_layout(&merge, &arena, view->n, f->rows->runs);
	clu_pg_room_arena(f->room, &arena);
	clu_merge_layout(&merge, &arena, view->n, f->rows->runs);
	*order = merge.order;
	return clu_merge_runs(&merge, view, f->rows->ends, &f->interrupt);
}

static void
check_status(const fitting *f, clu_status status)
{
	if (status != CLU_OK)
		clu_pg_report(status, &f->error);
}

/* Distinct points in canonical order, of k or more; sets the number of clusters. */
static clu_points *
make_points(fitting *f, int *clusters)
{
	const clu_pg_request *request = f->request;
	clu_team			 *team = clu_pg_workers_team(f->workers);
	int					  members = clu_team_members(team);
	MemoryContext old, sorting = AllocSetContextCreate(CurrentMemoryContext, "clustering order",
													   ALLOCSET_SMALL_SIZES);
	clu_rows	  view = view_rows(f);
	int			  rows = f->room->files, ordered; /* files up to there */
	clu_arena	  arena = {0};
	clu_points	  shape, *points;
	clu_order	  order;
	Size		  distinct;

	old = MemoryContextSwitchTo(sorting);
	distinct = order_rows(f, &view, &order);
	MemoryContextSwitchTo(old);
	ordered = f->room->files;
	check_status(f, clu_fit_clusters(&request->options, request->k, distinct, clusters, &f->error));

	CLU_TAKE(&arena, points, 1);
	clu_points_layout(&shape, &arena, &view, distinct, members);
	clu_pg_room_arena(f->room, &arena);
	CLU_TAKE(&arena, points, 1);
	clu_points_layout(points, &arena, &view, distinct, members);
	check_status(f, clu_points_collapse(points, &order, &view, team, &f->interrupt, &f->error));

	points->in_files = f->room->thrifty;

	/* the rows themselves may have become the points */
	for (int i = points->x == view.x ? rows : 0; i < ordered; i++)
		clu_pg_room_leave(f->room, i);
	MemoryContextDelete(sorting);
	return points;
}

/* ---- the fit ---- */

/* A model that no bytea can hold is refused before any memory is asked for. */
static void
check_model_size(const clu_model *model)
{
	size_t count = clu_parameter_count(model->algorithm, model->structure, model->k, model->d);

	if (count < MaxAllocSize / sizeof(double))
		return;
	ereport(ERROR,
			(errcode(ERRCODE_PROGRAM_LIMIT_EXCEEDED), errmsg("the model is too large"),
			 errdetail("A model of %d clusters in %d dimensions takes %.0f MB, and may take %d MB.",
					   model->k, model->d, (double) count * sizeof(double) / 1024 / 1024,
					   (int) (MaxAllocSize / 1024 / 1024)),
			 errhint("Use fewer clusters or dimensions%s.",
					 model->algorithm == CLU_GMM ? ", or a simpler covariance" : "")));
}

static void
fill_in(fitting *f, clu_fit *fit)
{
	const clu_pg_request *request = f->request;

	memset(fit, 0, sizeof(*fit));
	fit->model.algorithm = request->algorithm;
	fit->model.options = request->options;
	fit->model.d = f->rows->d;
	fit->model.k = request->k;
	if (request->algorithm == CLU_GMM)
		fit->model.structure = (int) clu_option_integer(&fit->model.options, CLU_COVARIANCE);
	if (request->start != NULL)
		fit->start_model = clu_pg_decode((const uint8 *) VARDATA(request->start),
										 VARSIZE(request->start) - VARHDRSZ, CurrentMemoryContext);
	fit->verbs = clu_fit_verbs(request->algorithm, &fit->model.options);
	fit->skipped = request->skipped;
	fit->interrupt = &f->interrupt;
	fit->team = clu_pg_workers_team(f->workers);
	fit->trace = keep_trace;
	fit->trace_context = f;
	fit->error = &f->error;
}

/* The fit lies where all who work on it see it. */
static void
run_fit(fitting *f)
{
	clu_arena arena = {0};
	clu_fit	  shape, *fit;

	find_room(f);
	fill_in(f, &shape);
	shape.points = make_points(f, &shape.model.k);
	check_model_size(&shape.model);
	CLU_TAKE(&arena, fit, 1);
	clu_fit_layout(&shape, &arena);
	clu_pg_room_arena(f->room, &arena);
	CLU_TAKE(&arena, fit, 1);
	*fit = shape;
	clu_fit_layout(fit, &arena);
	f->fit = fit;
	check_status(f, clu_fit_run(fit));
	fit->model.trace = f->trace.entries;
	fit->model.trace_count = f->trace.count;
}

bytea *
clu_pg_fit(const clu_pg_request *request, clu_pg_rows *rows, clu_model *summary)
{
	MemoryContext caller = CurrentMemoryContext;
	MemoryContext context = AllocSetContextCreate(caller, "clustering fit", ALLOCSET_SMALL_SIZES);
	fitting		  f = {.request = request, .rows = rows, .interrupt = {check_fit, &f}};
	bytea		 *result;

	MemoryContextSwitchTo(context);
	clu_pg_rows_finish(rows);
	clu_pg_progress_begin(
		&f.progress, request->algorithm,
		request->start != NULL ? 1 : clu_option_integer(&request->options, CLU_N_INIT));
	run_fit(&f);
	MemoryContextSwitchTo(caller);
	result = clu_pg_encode(&f.fit->model);
	*summary = f.fit->model;
	clu_pg_workers_end(f.workers);
	clu_pg_room_end(f.room);
	MemoryContextDelete(context);
	return result;
}
