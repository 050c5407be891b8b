/*
 * fitting.h
 *		Rows, points and fits for tests.
 */
#ifndef FITTING_H
#define FITTING_H

#include "tap.h"
#include "test_memory.h"

#include "arrange.h"
#include "fit.h"
#include "order.h"
#include "kernel.h"

/* ---- rows ---- */

static inline clu_rows
make_rows(size_t n, int d, int width)
{
	return (clu_rows) {.x = test_memory(n * (size_t) d * (size_t) width),
					   .w = NULL,
					   .n = n,
					   .d = d,
					   .width = width};
}

static inline void
free_rows(clu_rows *rows)
{
	free((void *) rows->x);
	free((void *) rows->w);
}

static inline double
get_value(const clu_rows *rows, size_t row, int column)
{
	size_t at = row * (size_t) rows->d + (size_t) column;

	return rows->width == 8 ? ((const double *) rows->x)[at] : ((const float *) rows->x)[at];
}

static inline void
set_value(clu_rows *rows, size_t row, int column, double value)
{
	size_t at = row * (size_t) rows->d + (size_t) column;

	if (rows->width == 8)
		((double *) rows->x)[at] = value;
	else
		((float *) rows->x)[at] = (float) value;
}

static inline double *
add_weights(clu_rows *rows)
{
	double *w = test_memory(rows->n * sizeof(double));

	rows->w = w;
	return w;
}

static inline double
get_weight(const clu_rows *rows, size_t row)
{
	return rows->w == NULL ? 1 : rows->w[row];
}

/* The rows of another set in a given order; index may repeat or leave out. */
static inline clu_rows
pick_rows(const clu_rows *from, const size_t *index, size_t n, int width)
{
	clu_rows rows = make_rows(n, from->d, width);
	double	*w = from->w == NULL ? NULL : add_weights(&rows);

	for (size_t i = 0; i < n; i++)
	{
		for (int j = 0; j < from->d; j++)
			set_value(&rows, i, j, get_value(from, index[i], j));
		if (w != NULL)
			w[i] = from->w[index[i]];
	}
	return rows;
}

static inline size_t *
shuffled_index(size_t n)
{
	size_t *index = test_memory(n * sizeof(size_t));

	for (size_t i = 0; i < n; i++)
		index[i] = i;
	for (size_t i = n; i > 1; i--)
	{
		size_t other = random_below(i), value = index[i - 1];

		index[i - 1] = index[other];
		index[other] = value;
	}
	return index;
}

/* ---- data with known answers ---- */

/* A file of test/data; the tests run at the top of the tree.  Rows of no numbers: n is 0. */
static inline clu_rows
read_data(const char *name)
{
	clu_rows rows = {.d = 0, .width = 8};
	double	*x = NULL;
	size_t	 count = 0, room = 0;
	char	 command[200], line[4096];
	FILE	*file;

	snprintf(command, sizeof(command), "gzip -dc test/data/%s.csv.gz", name);
	file = popen(command, "r");
	while (file != NULL && fgets(line, sizeof(line), file) != NULL)
	{
		char *at = line, *end;

		rows.d = 0;
		for (;; at = end + 1)
		{
			double value = strtod(at, &end);

			if (end == at)
				break;
			if (count == room)
				x = realloc(x, (room = room * 2 + 1000) * sizeof(double));
			x[count++] = value;
			rows.d++;
			if (*end != ',')
				break;
		}
		rows.n += rows.d > 0;
	}
	if (file != NULL)
		pclose(file);
	if (rows.n * (size_t) rows.d != count)
		rows.n = 0;
	rows.x = x;
	return rows;
}

/* ---- points ---- */

typedef struct prepared
{
	clu_status status;
	clu_error  error;
	clu_points points;
	size_t	   distinct;
	void	  *memory;
} prepared;

static inline void
prepare_points_in_team(prepared *p, const clu_rows *rows, clu_team *team)
{
	clu_arena	arena = {NULL, 0};
	clu_arrange arrange;
	clu_order	order;

	memset(p, 0, sizeof(*p));
	if (clu_arrange_pays(rows, clu_team_members(team)))
	{
		clu_arrange_layout(&arrange, &arena, rows);
		arena = (clu_arena) {test_memory(arena.used), 0};
		clu_arrange_layout(&arrange, &arena, rows);
		p->distinct = clu_arrange_rows(&arrange, rows, NULL);
		order = arrange.order;
	}
	else
	{
		clu_order_layout(&order, &arena, rows->n, clu_team_members(team));
		arena = (clu_arena) {test_memory(arena.used), 0};
		clu_order_layout(&order, &arena, rows->n, clu_team_members(team));
		p->distinct = clu_order_sort(&order, rows, team, NULL);
	}

	{
		clu_arena own = {NULL, 0};

		clu_points_layout(&p->points, &own, rows, p->distinct, clu_team_members(team));
		own = (clu_arena) {p->memory = test_memory(own.used), 0};
		clu_points_layout(&p->points, &own, rows, p->distinct, clu_team_members(team));
	}
	p->status = clu_points_collapse(&p->points, &order, rows, team, NULL, &p->error);
	free(arena.base);
}

static inline void
prepare_points(prepared *p, const clu_rows *rows)
{
	prepare_points_in_team(p, rows, NULL);
}

static inline void
free_points(prepared *p)
{
	free(p->memory);
}

/* ---- fits ---- */

typedef struct fitted
{
	clu_status status;
	clu_error  error;
	prepared   data;
	clu_fit	   fit;
	clu_trace *trace;
	size_t	   trace_count;
	size_t	   trace_room;
	void	  *memory;
} fitted;

static inline void
keep_trace(void *context, const clu_trace *entry)
{
	fitted *f = context;

	if (f->trace_count == f->trace_room)
		f->trace = realloc(f->trace, (f->trace_room = f->trace_room * 2 + 32) * sizeof(clu_trace));
	f->trace[f->trace_count++] = *entry;
}

static inline clu_options
default_options(void)
{
	clu_options options;

	clu_options_default(&options, CLU_KMEANS);
	return options;
}

/* Fit a model; start and team may be NULL. */
static inline void
fit_in_team(fitted *f, const clu_rows *rows, clu_algorithm algorithm, int k,
			const clu_options *options, const clu_model *start, clu_team *team)
{
	clu_arena				   arena = {NULL, 0};
	static const clu_interrupt never = {NULL, NULL};

	memset(f, 0, sizeof(*f));
	prepare_points_in_team(&f->data, rows, team);
	f->status = f->data.status;
	f->error = f->data.error;
	if (f->status != CLU_OK)
		return;
	f->fit.model.algorithm = algorithm;
	f->fit.model.options = *options;
	if (algorithm == CLU_GMM)
		f->fit.model.structure = (int) clu_option_integer(options, CLU_COVARIANCE);
	f->fit.model.d = rows->d;
	f->status = clu_fit_clusters(options, k, f->data.distinct, &f->fit.model.k, &f->error);
	if (f->status != CLU_OK)
		return;
	f->fit.start_model = start;
	f->fit.verbs = clu_fit_verbs(algorithm, options);
	f->fit.points = &f->data.points;
	f->fit.interrupt = &never;
	f->fit.team = team;
	f->fit.trace = keep_trace;
	f->fit.trace_context = f;
	f->fit.error = &f->error;
	clu_fit_layout(&f->fit, &arena);
	arena = (clu_arena) {f->memory = test_memory(arena.used), 0};
	clu_fit_layout(&f->fit, &arena);
	f->status = clu_fit_run(&f->fit);
	f->fit.model.trace = f->trace;
	f->fit.model.trace_count = f->trace_count;
	f->fit.start_model = NULL;
}

/* Fit k clusters by K-means; start is k * d doubles or NULL, and so may be the team. */
static inline void
fit_rows_in_team(fitted *f, const clu_rows *rows, int k, const clu_options *options,
				 const double *start, clu_team *team)
{
	clu_options defaults = default_options();
	clu_model	start_model = {.algorithm = CLU_KMEANS, .k = k, .d = rows->d};
	double	   *parameter = calloc(clu_parameter_count(CLU_KMEANS, 0, k, rows->d), sizeof(double));

	clu_model_bind(&start_model, parameter);
	if (start != NULL)
		memcpy(start_model.center, start, (size_t) k * (size_t) rows->d * sizeof(double));
	fit_in_team(f, rows, CLU_KMEANS, k, options == NULL ? &defaults : options,
				start == NULL ? NULL : &start_model, team);
	free(parameter);
}

static inline void
fit_rows(fitted *f, const clu_rows *rows, int k, const clu_options *options, const double *start)
{
	fit_rows_in_team(f, rows, k, options, start, NULL);
}

static inline void
free_fit(fitted *f)
{
	free(f->memory);
	free(f->trace);
	free_points(&f->data);
}

/* Whether two fits gave the same model, bit for bit. */
static inline bool
same_models(const fitted *a, const fitted *b)
{
	const clu_model *ma = &a->fit.model, *mb = &b->fit.model;

	return a->status == CLU_OK && b->status == CLU_OK && ma->k == mb->k && ma->d == mb->d &&
		   ma->flags == mb->flags && ma->rows == mb->rows && ma->iterations == mb->iterations &&
		   same_bits(ma->total_weight, mb->total_weight) &&
		   same_bits(ma->objective, mb->objective) &&
		   same_bits(ma->log_likelihood, mb->log_likelihood) && a->trace_count == b->trace_count &&
		   memcmp(a->trace, b->trace, a->trace_count * sizeof(clu_trace)) == 0 &&
		   memcmp(ma->parameter, mb->parameter,
				  clu_parameter_count(ma->algorithm, ma->structure, ma->k, ma->d) *
					  sizeof(double)) == 0;
}

/* ---- kernels ---- */

static const char *const kernel_names[] = {"base", "avx2", "avx512", "avx512vnni"};

#define KERNELS 4

/* Whether this machine has it, and from now on uses it. */
static inline bool
use_kernel(int number)
{
	return clu_kernel_force(kernel_names[number]);
}

#endif
