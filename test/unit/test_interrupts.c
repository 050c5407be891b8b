/*
 * test_interrupts.c
 *		Fits of every algorithm ask for interrupts often enough, and may be left by a jump at any of them.
 *
 * Time is that of the CPU, so that other work on the machine doesn't count.  CLUSTERING_TEST_LONG=1
 * tries sizes at which a pass over the parameters alone takes long, and more jumps.
 */
#include "problems.h"

#include "merge.h"
#include "rank.h"
#include "sketch.h"
#include "step.h"

#include <setjmp.h>
#include <time.h>

#define MOST_MS 50 /* half of what is promised: other machines are slower */

/* ---- what a check does ---- */

typedef struct watch
{
	uint64_t checks;
	uint64_t jump_at; /* number of the check, or 0 */
	double	 last;	  /* ms */
	double	 longest; /* ms between two checks */
	jmp_buf	 out;
} watch;

static double
cpu_ms(void)
{
	struct timespec now;

	clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &now);
	return (double) now.tv_sec * 1e3 + (double) now.tv_nsec / 1e6;
}

static void
look_at_watch(void *context)
{
	watch *w = context;
	double now = cpu_ms();

	w->longest = fmax(w->longest, now - w->last);
	w->last = now;
	if (++w->checks == w->jump_at)
		longjmp(w->out, 1);
}

/* ---- fits that are watched ---- */

typedef struct shape
{
	const char *name;
	size_t		n;
	int			d, k;
	bool		equal; /* rows, but for a few */
	bool		weighted;
} shape;

static clu_rows
rows_of_shape(const shape *s, clu_algorithm algorithm)
{
	clu_rows rows = make_rows(s->n, s->d, 8);
	double	*w = s->weighted ? add_weights(&rows) : NULL;

	for (size_t i = 0; i < s->n; i++)
	{
		uint64_t first = random_bits();

		for (int j = 0; j < s->d; j++)
		{
			double value = s->equal && i >= (size_t) s->k
							   ? 1
							   : (double) ((first ^ (uint64_t) j * 0x9e3779b97f4a7c15) % 1000003);

			set_value(&rows, i, j, algorithm == CLU_BERNOULLI ? (int) value % 2 : value);
		}
		if (w != NULL)
			w[i] = 0.5 + (double) (i % 7);
	}
	if (algorithm == CLU_BERNOULLI)
	{
		clu_rows packed = packed_rows(&rows);

		free_rows(&rows);
		return packed;
	}
	return rows;
}

/* Everything that is done between rows and a model, in memory that lasts whatever happens. */
typedef struct job
{
	clu_algorithm algorithm;
	clu_options	  options;
	clu_rows	  rows;
	int			  k;
	clu_interrupt interrupt;
	void		 *memory[3];
	clu_points	  points;
	clu_fit		  fit;
	clu_error	  error;
	clu_status	  status;
} job;

static void
give_memory(job *j, int number, clu_arena *arena)
{
	free(j->memory[number]);
	j->memory[number] = test_memory(arena->used);
	*arena = (clu_arena) {j->memory[number], 0};
	((watch *) j->interrupt.context)->last = cpu_ms(); /* that was not the core's work */
}

static void
do_job(job *j)
{
	clu_arena arena = {NULL, 0};
	clu_order order;
	size_t	  distinct;

	clu_order_layout(&order, &arena, j->rows.n, 1);
	give_memory(j, 0, &arena);
	clu_order_layout(&order, &arena, j->rows.n, 1);
	distinct = clu_order_sort(&order, &j->rows, NULL, &j->interrupt);

	arena = (clu_arena) {NULL, 0};
	clu_points_layout(&j->points, &arena, &j->rows, distinct, 1);
	give_memory(j, 1, &arena);
	clu_points_layout(&j->points, &arena, &j->rows, distinct, 1);
	j->status = clu_points_collapse(&j->points, &order, &j->rows, NULL, &j->interrupt, &j->error);

	memset(&j->fit, 0, sizeof(j->fit));
	j->fit.model.algorithm = j->algorithm;
	j->fit.model.options = j->options;
	j->fit.model.d = j->rows.d;
	j->fit.model.structure =
		j->algorithm == CLU_GMM ? (int) clu_option_integer(&j->options, CLU_COVARIANCE) : 0;
	j->fit.model.k = (int) CLU_MIN((size_t) j->k, distinct);
	j->fit.verbs = clu_fit_verbs(j->algorithm, &j->options);
	j->fit.points = &j->points;
	j->fit.interrupt = &j->interrupt;
	j->fit.error = &j->error;
	arena = (clu_arena) {NULL, 0};
	clu_fit_layout(&j->fit, &arena);
	give_memory(j, 2, &arena);
	clu_fit_layout(&j->fit, &arena);
	j->status = clu_fit_run(&j->fit);
}

static void
free_job(job *j)
{
	for (int i = 0; i < 3; i++)
		free(j->memory[i]);
	free_rows(&j->rows);
}

/* The variants of algorithms whose loops are different ones. */
static const char *const variant_names[] = {
	"kmeans",	"soft kmeans",	 "kmedians",  "gmm full",  "gmm diag",
	"gmm tied", "gmm spherical", "gmm fixed", "bernoulli",
};

#define VARIANTS 9

static job
new_job(int variant, const shape *s, int64_t max_iter)
{
	static const clu_algorithm algorithms[VARIANTS] = {CLU_KMEANS, CLU_KMEANS, CLU_KMEDIANS,
													   CLU_GMM,	   CLU_GMM,	   CLU_GMM,
													   CLU_GMM,	   CLU_GMM,	   CLU_BERNOULLI};
	static const char *const   structures[VARIANTS] = {
		  [3] = "full", [4] = "diag", [5] = "tied", [6] = "spherical", [7] = "fixed"};
	job j = {.algorithm = algorithms[variant], .k = s->k};

	j.rows = rows_of_shape(s, j.algorithm);
	clu_options_default(&j.options, j.algorithm);
	clu_option_set_integer(&j.options, CLU_MAX_ITER, max_iter);
	if (variant == 1)
		clu_option_set_number(&j.options, CLU_BETA, 1e-10);
	if (structures[variant] != NULL)
		clu_option_set_text(&j.options, CLU_COVARIANCE, structures[variant],
							strlen(structures[variant]));
	clu_option_set_number(&j.options, CLU_VARIANCE, 1e10);
	return j;
}

/* ---- how long between two checks ---- */

/* Starts of mixtures are many passes, and full covariances d * d numbers each. */
static bool
is_affordable(const shape *s, int variant)
{
	double work = (double) s->n * s->d * s->k;
	bool   matrices = variant == 3 || variant == 5;

	return variant == 0 || variant == 2 || (variant == 1 && work < 1e9) ||
		   work * (matrices ? s->d : 1) < 2e7;
}

static void
test_shape(const shape *s)
{
	double worst = 0;

	for (int variant = 0; variant < VARIANTS; variant++)
	{
		watch  w = {.last = 0};
		job	   j;
		double begin = cpu_ms();

		if (!is_affordable(s, variant))
			continue;
		j = new_job(variant, s, 2);
		j.interrupt = (clu_interrupt) {look_at_watch, &w};
		begin = w.last = cpu_ms();
		do_job(&j);
		look_at_watch(&w);
		printf("# %s, %s: %.1f ms at most, of %.0f\n", s->name, variant_names[variant], w.longest,
			   w.last - begin);
		worst = fmax(worst, w.longest);
		free_job(&j);
	}
	ok(worst < MOST_MS * SLOWER, "%s: interrupts are asked for within %d ms (%.1f)", s->name,
	   MOST_MS * SLOWER, worst);
}

static void
test_often_enough(void)
{
	static const shape few[] = {
		{"many rows", 200000 / SLOWER, 2, 3, false, false},
		{"many equal rows", 400000 / SLOWER, 3, 4, true, true},
		{"wide rows", 40, 16000 / SLOWER, 8, false, false},
		{"many clusters", 10000 / SLOWER, 2, 4000 / SLOWER, false, false},
	};
	static const shape large[] = {
		{"4,000,000 rows", 4000000, 2, 3, false, false},
		{"10,000,000 equal rows with weights", 10000000, 1, 2, true, true},
		{"16,000 columns", 500, 16000, 5, false, false},
		{"10,000,000 parameters", 1100, 10000, 1000, false, false},
		{"20,000 clusters", 25000, 4, 20000, false, false},
	};

	for (size_t i = 0; i < sizeof(few) / sizeof(few[0]); i++)
		test_shape(&few[i]);
	for (size_t i = 0; i < sizeof(large) / sizeof(large[0]) && number_of_cases(0, 1) == 1; i++)
		test_shape(&large[i]);
}

/* ---- rows in runs, rows put in order where they lie, and states of steps ---- */

static void
test_watched(const char *name, watch *w)
{
	look_at_watch(w);
	ok(w->longest < MOST_MS * SLOWER, "%s: interrupts are asked for within %d ms (%.1f)", name,
	   MOST_MS * SLOWER, w->longest);
}

/* Every comparison of equal rows goes through all columns. */
static void
test_runs(void)
{
	watch		  w = {.last = 0};
	clu_interrupt interrupt = {look_at_watch, &w};
	clu_rows	  rows = make_rows(6000, 3000 / SLOWER, 4);
	size_t		  ends[40];
	clu_arena	  arena = {NULL, 0};
	clu_merge	  merge;
	void		 *memory;

	memset((void *) rows.x, 0, rows.n * (size_t) rows.d * 4);
	for (size_t i = 0; i < 40; i++)
		ends[i] = (i + 1) * rows.n / 40;
	clu_merge_layout(&merge, &arena, rows.n, 40);
	memory = test_memory(arena.used);
	arena = (clu_arena) {memory, 0};
	clu_merge_layout(&merge, &arena, rows.n, 40);
	w.last = cpu_ms();
	(void) clu_merge_runs(&merge, &rows, ends, &interrupt);
	test_watched("wide rows in runs, all equal", &w);
	free(memory);
	free_rows(&rows);
}

/* Of points that are so few that a column is no work, all columns are some. */
static void
test_short_columns(void)
{
	watch		  w = {.last = 0};
	clu_interrupt interrupt = {look_at_watch, &w};
	clu_rows	  rows = make_rows(190, 6000 / SLOWER, 8);
	clu_points	  points = {.x = (void *) rows.x, .n = rows.n, .d = rows.d, .width = 8, .unit = 1};
	uint64_t	  scratch[190];
	clu_arena	  arena = {NULL, 0};
	clu_ranks	  ranks;
	void		 *memory;

	for (size_t i = 0; i < rows.n * (size_t) rows.d; i++)
		set_value(&rows, i / (size_t) rows.d, (int) (i % (size_t) rows.d), (double) random_bits());
	clu_ranks_layout(&ranks, &arena, &points, 1);
	memory = test_memory(arena.used);
	arena = (clu_arena) {memory, 0};
	clu_ranks_layout(&ranks, &arena, &points, 1);
	w.last = cpu_ms();
	clu_ranks_part(&ranks, &points, scratch, NULL, &interrupt);
	for (int j = 0; j < rows.d; j++)
		for (size_t piece = 0; piece < ranks.pieces; piece++)
			clu_ranks_want(&ranks, j, piece);
	clu_ranks_sort(&ranks, NULL, &interrupt);
	test_watched("short columns", &w);
	free(memory);
	free_rows(&rows);
}

/* Most of them change places in one long cycle. */
static void
test_rows_in_place(void)
{
	watch		  w = {.last = 0};
	clu_interrupt interrupt = {look_at_watch, &w};
	clu_rows	  rows = {.n = 700000 / SLOWER, .d = 1024, .width = CLU_PACKED, .movable = true};
	uint64_t	 *bits = test_memory(rows.n * clu_row_size(rows.d, rows.width));
	clu_arena	  arena = {NULL, 0};
	clu_order	  order;
	clu_points	  points;
	clu_error	  error;
	size_t		  distinct;
	void		 *sorting, *memory;

	for (size_t i = 0; i < rows.n * clu_words(rows.d); i++)
		bits[i] = i * UINT64_C(0x9e3779b97f4a7c15);
	rows.x = bits;
	clu_order_layout(&order, &arena, rows.n, 1);
	sorting = test_memory(arena.used);
	arena = (clu_arena) {sorting, 0};
	clu_order_layout(&order, &arena, rows.n, 1);
	w.last = cpu_ms();
	distinct = clu_order_sort(&order, &rows, NULL, &interrupt);
	arena = (clu_arena) {NULL, 0};
	clu_points_layout(&points, &arena, &rows, distinct, 1);
	memory = test_memory(arena.used);
	arena = (clu_arena) {memory, 0};
	clu_points_layout(&points, &arena, &rows, distinct, 1);
	w.last = cpu_ms();
	(void) clu_points_collapse(&points, &order, &rows, NULL, &interrupt, &error);
	test_watched("rows put in order where they lie", &w);
	free(memory);
	free(sorting);
	free(bits);
}

static void
test_short_rows_in_place(bool weighted)
{
	watch		  w = {.last = 0};
	clu_interrupt interrupt = {look_at_watch, &w};
	clu_rows	  rows = make_rows(3000000 / SLOWER, 4, 8);
	clu_arena	  arena = {NULL, 0};
	clu_arrange	  arrange;
	void		 *memory;

	rows.movable = true;
	for (size_t i = 0; i < rows.n; i++)
		for (int j = 0; j < rows.d; j++)
			set_value(&rows, i, j, j == 0 && weighted ? 0 : random_normal());
	if (weighted)
		memset(add_weights(&rows), 0, rows.n * sizeof(double));
	clu_arrange_layout(&arrange, &arena, &rows);
	memory = test_memory(arena.used);
	arena = (clu_arena) {memory, 0};
	clu_arrange_layout(&arrange, &arena, &rows);
	w.last = cpu_ms();
	(void) clu_arrange_rows(&arrange, &rows, &interrupt);
	test_watched(weighted ? "short rows with weights put in order where they lie"
						  : "short rows put in order where they lie",
				 &w);
	free(memory);
	free_rows(&rows);
}

/* A state of K-medians as large as a value may be. */
static void
test_large_state(void)
{
	watch		  w = {.last = 0};
	clu_interrupt interrupt = {look_at_watch, &w};
	int			  k = 1000, d = (int) number_of_cases(100, 1000);
	clu_model	  model = {.algorithm = CLU_KMEDIANS, .k = k, .d = d};
	clu_step	  step = {.interrupt = &interrupt};
	clu_arena	  arena = {NULL, 0};
	clu_error	  error;
	double		 *parameter, *row;
	uint8_t		  bytes[128] = {0};
	void		 *memory, *state;

	step.error = &error;
	clu_options_default(&model.options, CLU_KMEDIANS);
	parameter = calloc(2 * clu_parameter_count(CLU_KMEDIANS, 0, k, d) + (size_t) d, sizeof(double));
	clu_model_bind(&model, parameter);
	for (int i = 0; i < k * d; i++)
		model.center[i] = i;
	clu_step_open(&step, &model, sizeof(bytes));
	clu_step_layout(&step, &arena);
	memory = test_memory(arena.used);
	arena = (clu_arena) {memory, 0};
	clu_step_layout(&step, &arena);
	state = test_memory(clu_step_size(&step));
	w.last = cpu_ms();
	(void) clu_step_prepare(&step);
	clu_step_clear(&step, state, bytes);
	for (int i = 0; i < 3 * CLU_LANES; i++)
	{
		row = clu_step_row(&step, state);
		memcpy(row, model.center + (size_t) i * (size_t) d, (size_t) d * sizeof(double));
		(void) clu_step_add(&step, state, i < CLU_LANES ? 1 : ldexp(0.3, 10 * i));
	}
	(void) clu_step_check(&step, state, clu_step_size(&step), false);
	(void) clu_step_merge(&step, state, state);
	test_watched("large states", &w);
	free(state);
	free(memory);
	free(parameter);
}

static void *
new_sample(int64_t first, uint32_t most)
{
	void *sketch = test_memory(clu_sketch_size(1, 8, most));

	clu_sketch_clear(sketch, 1, 8, most, 1);
	for (int64_t i = 0; i < most; i++)
	{
		double row = (double) (first + i);

		clu_sketch_add(sketch, &row, 1, 1);
	}
	return sketch;
}

static void
test_samples(void)
{
	watch		  w = {.last = 0};
	clu_interrupt interrupt = {look_at_watch, &w};
	uint32_t	  most = 60000;
	void		 *sketch = new_sample(0, most), *other = new_sample(most, most);

	w.last = cpu_ms();
	clu_sketch_merge(sketch, other, &interrupt);
	test_watched("large samples", &w);
	free(other);
	free(sketch);
}

/* ---- jumps ---- */

/* Do a job up to some check; in a function of its own, as variables of this one may be lost. */
static void
jump_out(job *j, uint64_t check)
{
	watch jumping = {.jump_at = check};

	j->interrupt = (clu_interrupt) {look_at_watch, &jumping};
	if (setjmp(jumping.out) == 0)
		do_job(j);
}

/* A job that is left by a jump, and then done again, ends as if nothing had been. */
static void
test_jumps(void)
{
	static const shape small = {"small", 1000, 3, 5, false, true};
	uint64_t		   jumps = number_of_cases(30, 1000);

	for (int variant = 0; variant < VARIANTS; variant++)
	{
		watch  w = {.last = 0};
		job	   undisturbed, j;
		size_t size;
		bool   same;

		random_seed((uint64_t) variant);
		undisturbed = new_job(variant, &small, 20);
		undisturbed.interrupt = (clu_interrupt) {look_at_watch, &w};
		do_job(&undisturbed);
		random_seed((uint64_t) variant);
		j = new_job(variant, &small, 20);
		for (uint64_t i = 0; i < jumps; i++)
			jump_out(&j, 1 + random_below(w.checks));
		j.interrupt = undisturbed.interrupt;
		do_job(&j);
		size = sizeof(double) *
			   clu_parameter_count(j.algorithm, j.fit.model.structure, j.fit.model.k, small.d);
		same = j.status == undisturbed.status &&
			   memcmp(j.fit.model.parameter, undisturbed.fit.model.parameter, size) == 0;
		ok(same, "%s: after %d jumps out of it a fit is what it was", variant_names[variant],
		   (int) jumps);
		free_job(&j);
		free_job(&undisturbed);
	}
}

int
main(void)
{
	test_often_enough();
	test_runs();
	test_short_columns();
	test_rows_in_place();
	test_short_rows_in_place(false);
	test_short_rows_in_place(true);
	test_samples();
	if (SLOWER == 1)
		test_large_state();
	test_jumps();
	return finish_tests();
}
