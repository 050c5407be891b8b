/*
 * test_step.c
 *		Steps in pieces, and samples, under the sanitizers: whole, divided, merged and damaged.
 *
 * Stand-alone; prints TAP.
 */
#include "fitting.h"

#include "algorithms.h"
#include "sketch.h"
#include "step.h"

#define MODEL_BYTES 200 /* steps don't read the bytes of the model */
#define ROWS 2000

typedef struct stepper
{
	const char *name;
	clu_model	model;
	double	   *parameter;
	clu_step	step;
	clu_error	error;
	void	   *memory;
	size_t		size; /* of a state */
	double	   *x;	  /* ROWS * d */
	double	   *w;
} stepper;

/* ---- models and rows ---- */

static void
set_covariances(clu_model *model)
{
	size_t d = (size_t) model->d;
	size_t count = clu_covariance_count(model->algorithm, model->structure, model->k, model->d);
	bool   matrices = model->structure == CLU_COV_FULL || model->structure == CLU_COV_TIED;

	for (size_t i = 0; i < count; i++)
		model->covariance[i] = !matrices || i / d % d == i % d ? 1 : 0;
}

static void
make_model(stepper *s, clu_algorithm algorithm, int structure, int k, int d, bool soft)
{
	clu_model *model = &s->model;

	memset(model, 0, sizeof(*model));
	model->algorithm = algorithm;
	model->structure = structure;
	model->k = k;
	model->d = d;
	clu_options_default(&model->options, algorithm);
	if (soft)
		clu_option_set_number(&model->options, CLU_BETA, 0.5);
	if (algorithm == CLU_GMM)
		model->options.value[CLU_COVARIANCE].integer = structure;
	s->parameter = calloc(clu_parameter_count(algorithm, structure, k, d), sizeof(double));
	clu_model_bind(model, s->parameter);
	for (int c = 0; c < k; c++)
		model->weight[c] = 1.0 / k;
	for (int i = 0; i < k * d; i++)
		model->center[i] =
			algorithm == CLU_BERNOULLI ? 0.1 + 0.8 * random_unit() : 4 * random_normal();
	set_covariances(model);
}

static void
make_rows_for(stepper *s)
{
	int d = s->model.d;

	s->x = malloc(ROWS * (size_t) d * sizeof(double));
	s->w = malloc(ROWS * sizeof(double));
	for (int i = 0; i < ROWS; i++)
	{
		s->w[i] = random_below(2) == 0 ? 1 : 0.1 + random_unit();
		for (int j = 0; j < d; j++)
			s->x[i * d + j] =
				s->model.algorithm == CLU_BERNOULLI
					? (double) random_below(2)
					: s->model.center[random_below((uint64_t) s->model.k) * (uint64_t) d +
									  (uint64_t) j] +
						  random_normal();
	}
}

static void
begin_stepper(stepper *s)
{
	clu_arena arena = {0};

	memset(&s->step, 0, sizeof(s->step));
	s->step.error = &s->error;
	clu_step_open(&s->step, &s->model, MODEL_BYTES);
	clu_step_layout(&s->step, &arena);
	s->memory = test_memory(arena.used);
	arena = (clu_arena) {s->memory, 0};
	clu_step_layout(&s->step, &arena);
	if (clu_step_prepare(&s->step) != CLU_OK)
		abort();
	s->size = clu_step_size(&s->step);
}

static void
open_stepper(stepper *s, const char *name, clu_algorithm algorithm, int structure, int k, int d,
			 bool soft)
{
	s->name = name;
	make_model(s, algorithm, structure, k, d, soft);
	make_rows_for(s);
	begin_stepper(s);
}

static void
close_stepper(stepper *s)
{
	free(s->memory);
	free(s->parameter);
	free(s->x);
	free(s->w);
}

/* ---- states ---- */

static void *
new_state(const stepper *s)
{
	static const uint8_t model[MODEL_BYTES];
	void				*state = malloc(s->size);

	clu_step_clear(&s->step, state, model);
	return state;
}

static void
add_row(stepper *s, void *state, int i)
{
	int		d = s->model.d;
	double *x = s->x + i * d;

	if (s->step.width == CLU_PACKED)
		clu_pack(x, d, clu_step_row(&s->step, state));
	else
		memcpy(clu_step_row(&s->step, state), x, (size_t) d * sizeof(double));
	if (clu_step_add(&s->step, state, s->w[i]) != CLU_OK)
		abort();
}

/* The state of all rows, divided among so many. */
static void *
state_of_parts(stepper *s, int parts)
{
	void **state = malloc((size_t) parts * sizeof(void *));
	void  *whole;

	for (int p = 0; p < parts; p++)
		state[p] = new_state(s);
	for (int i = ROWS - 1; i >= 0; i--)
		add_row(s, state[random_below((uint64_t) parts)], i);
	for (int p = parts - 1; p > 0; p--)
	{
		int to = (int) random_below((uint64_t) p);

		if (clu_step_merge(&s->step, state[to], state[p]) != CLU_OK)
			abort();
		free(state[p]);
	}
	whole = state[0];
	free(state);
	return whole;
}

/* The parameters after the step; free them. */
static double *
refit(stepper *s, void *state, clu_status *status)
{
	size_t count =
		clu_parameter_count(s->model.algorithm, s->model.structure, s->model.k, s->model.d);
	clu_model result = s->model;
	double	 *parameter = malloc(count * sizeof(double));
	clu_trace trace[1];

	memcpy(parameter, s->parameter, count * sizeof(double));
	clu_model_bind(&result, parameter);
	result.trace = trace;
	*status = clu_step_refit(&s->step, state, &result, false);
	if (clu_step_prepare(&s->step) != CLU_OK)
		abort();
	return parameter;
}

static double
largest_difference(const stepper *s, const double *a, const double *b)
{
	size_t count =
		clu_parameter_count(s->model.algorithm, s->model.structure, s->model.k, s->model.d);
	double largest = 0;

	for (size_t i = 0; i < count; i++)
		largest = fmax(largest, fabs(a[i] - b[i]) / (1 + fabs(a[i])));
	return largest;
}

static void
test_parts(stepper *s)
{
	bool	   exact = !clu_model_is_mixture(&s->model) && !clu_model_is_soft(&s->model);
	clu_status status;
	void	  *state = state_of_parts(s, 1);
	double	  *whole = refit(s, state, &status), worst = 0;

	free(state);
	for (int parts = 2; parts <= 40; parts += 7)
	{
		double *other;

		state = state_of_parts(s, parts);
		other = refit(s, state, &status);
		worst = fmax(worst, largest_difference(s, whole, other));
		free(other);
		free(state);
	}
	ok(status == CLU_OK && worst <= (exact ? 0 : 1e-12), "%s: parts add up to the whole (%g)",
	   s->name, worst);
	free(whole);
}

/* ---- a step is a refit of a fit, whatever it starts from ---- */

#define STEP_COLUMNS 5

/*
 * Columns that a start can be out of proportion to: far from 0, whole numbers with a variance of 2
 * (where units jump), constant, all 0, and a plain one.
 */
static void
make_odd_rows(stepper *s)
{
	s->x = malloc(ROWS * STEP_COLUMNS * sizeof(double));
	s->w = malloc(ROWS * sizeof(double));
	for (int i = 0; i < ROWS; i++)
	{
		double *x = s->x + i * STEP_COLUMNS;

		s->w[i] = 1 + i / 5 % 3;
		x[0] = 1e6 + 3 * (i / 5 % 2) + random_normal();
		x[1] = i % 5;
		x[2] = 1024;
		x[3] = 0;
		x[4] = 4 * (i / 5 % 2) + random_normal();
	}
}

/* Of a component the mean, and one variance for all but the whole numbers, which have their own. */
static void
set_component(clu_model *model, int c, double mean, double variance, double whole)
{
	const double at[STEP_COLUMNS] = {1e6, 0, 1020, 1, 0};
	size_t		 d = STEP_COLUMNS, to = (size_t) c;

	for (int j = 0; j < STEP_COLUMNS; j++)
	{
		double value = j == 1 ? whole : variance;

		model->center[to * d + (size_t) j] = at[j] + (j == 1 ? c + 0.1 : mean);
		if (model->structure == CLU_COV_FULL)
			model->covariance[to * d * d + (size_t) j * (d + 1)] = value;
		else if (model->structure == CLU_COV_TIED)
			model->covariance[(size_t) j * (d + 1)] = value;
		else if (model->structure == CLU_COV_DIAG)
			model->covariance[to * d + (size_t) j] = value;
		else
			model->covariance[model->structure == CLU_COV_SPHERICAL ? to : 0] = variance;
	}
}

static double
variance_in(const clu_model *model, int c, int j)
{
	size_t d = (size_t) model->d, at = (size_t) c, i = (size_t) j;

	return model->structure == CLU_COV_FULL		   ? model->covariance[at * d * d + i * (d + 1)]
		   : model->structure == CLU_COV_TIED	   ? model->covariance[i * (d + 1)]
		   : model->structure == CLU_COV_DIAG	   ? model->covariance[at * d + i]
		   : model->structure == CLU_COV_SPHERICAL ? model->covariance[at]
												   : model->covariance[0];
}

/* The largest difference of means and variances, in standard deviations or relative. */
static double
worst_difference(const clu_model *fit, const clu_model *step)
{
	double worst = 0;

	for (int c = 0; c < fit->k; c++)
	{
		worst = fmax(worst, fabs(fit->weight[c] - step->weight[c]));
		for (int j = 0; j < fit->d; j++)
		{
			double a = variance_in(fit, c, j), b = variance_in(step, c, j);
			double way = fit->center[c * fit->d + j] - step->center[c * fit->d + j];

			worst = fmax(worst, fabs(a - b) / a);
			way = fmax(fabs(way) - 4e-16 * fabs(fit->center[c * fit->d + j]), 0);
			worst = fmax(worst, way / sqrt(a));
		}
	}
	return worst;
}

static void
fit_once(stepper *s, fitted *f)
{
	clu_rows	rows = {.x = s->x, .w = s->w, .n = ROWS, .d = STEP_COLUMNS, .width = 8};
	clu_options options = s->model.options;

	options.value[CLU_MAX_ITER].integer = 1;
	clu_option_set_number(&options, CLU_TOL, 0);
	fit_in_team(f, &rows, CLU_GMM, s->model.k, &options, &s->model, NULL);
}

static void
test_odd_start(int structure, const char *name, double far, double variance, double whole,
			   double ridge)
{
	stepper	   s = {.name = name};
	fitted	   f;
	clu_status status;
	clu_model  result;
	double	   worst = 0;

	make_model(&s, CLU_GMM, structure, 3, STEP_COLUMNS, false);
	memset(s.model.covariance, 0,
		   clu_covariance_count(CLU_GMM, structure, 3, STEP_COLUMNS) * sizeof(double));
	if (ridge > 0)
		clu_option_set_number(&s.model.options, CLU_REG_COVAR, ridge);
	make_odd_rows(&s);
	set_component(&s.model, 0, far, variance, whole);
	set_component(&s.model, 1, 2, variance, whole);
	set_component(&s.model, 2, 0, structure == CLU_COV_TIED ? variance : 10, whole);
	begin_stepper(&s);
	fit_once(&s, &f);
	result = s.model;
	for (int parts = 1; parts < 20 && f.status == CLU_OK; parts += 6)
	{
		void   *state = state_of_parts(&s, parts);
		double *parameter = refit(&s, state, &status);

		clu_model_bind(&result, parameter);
		worst = status == CLU_OK ? fmax(worst, worst_difference(&f.fit.model, &result)) : INFINITY;
		free(parameter);
		free(state);
	}
	ok(f.status == CLU_OK && worst <= 1e-9, "%s of structure %d: a step is a refit of a fit (%g)",
	   name, structure, worst);
	free_fit(&f);
	close_stepper(&s);
}

static void
test_odd_starts(void)
{
	for (int structure = 0; structure <= CLU_COV_FIXED; structure++)
	{
		test_odd_start(structure, "a start in proportion", 3, 2, 2, 0);
		test_odd_start(structure, "a wide component", 3, 1e10, 1, 0);
		test_odd_start(structure, "a component far out", 1e9, 2, 2, 0);
		test_odd_start(structure, "a narrow column", 3, 1e4, 1e-4, 0);
		test_odd_start(structure, "a ridge", 1e7, 1e6, 1e-4, 1e-3);
	}
}

/* States with damage pass the check or don't; what passes does no harm. */
static void
test_damage(stepper *s)
{
	void *good = state_of_parts(s, 1), *bad = malloc(s->size);
	int	  refused = 0, rounds = s->size < 200000 ? 3000 : 300;

	for (int round = 0; round < rounds; round++)
	{
		clu_status status;
		size_t	   at = MODEL_BYTES + sizeof(clu_step_header);

		memcpy(bad, good, s->size);
		at = random_below(4) == 0 ? random_below(sizeof(clu_step_header))
								  : at + random_below(s->size - at);
		((uint8_t *) bad)[at] = (uint8_t) random_bits();
		status = clu_step_check_header(bad, s->size, &s->error);
		if (status == CLU_OK)
			status = clu_step_check(&s->step, bad, s->size, false);
		refused += status != CLU_OK;
		if (status != CLU_OK)
			continue;
		(void) clu_step_merge(&s->step, bad, good);
		if (clu_step_head(bad)->buffered < s->step.capacity)
			free(refit(s, bad, &status));
	}
	ok(refused > 0, "%s: damaged states are refused (%d of %d) or do no harm", s->name, refused,
	   rounds);
	free(good);
	free(bad);
}

/* ---- samples ---- */

static void *
sketch_of(const double *x, int n, int d, uint32_t most, int parts)
{
	size_t size = clu_sketch_size(d, 8, most);
	void  *part[8];

	for (int p = 0; p < parts; p++)
	{
		part[p] = malloc(size);
		clu_sketch_clear(part[p], d, 8, most, 5);
	}
	for (int i = 0; i < n; i++)
		clu_sketch_add(part[random_below((uint64_t) parts)], x + i * d, 1, i % 3 == 0 ? 0.7 : 1);
	for (int p = parts - 1; p > 0; p--)
	{
		clu_sketch_merge(part[p - 1], part[p], NULL);
		free(part[p]);
	}
	return part[0];
}

static void
test_sketch(uint32_t most, int distinct)
{
	enum
	{
		N = 5000,
		D = 3
	};
	static double x[N * D];
	void		 *whole, *parts;
	bool		  same = true;
	double		  a, b, total = 0;

	for (int i = 0; i < N * D; i++)
		x[i] = (double) random_below((uint64_t) distinct);
	whole = sketch_of(x, N, D, most, 1);
	parts = sketch_of(x, N, D, most, 7);
	same = clu_sketch_head(whole)->listed == clu_sketch_head(parts)->listed &&
		   clu_sketch_head(whole)->rows == clu_sketch_head(parts)->rows &&
		   (clu_sketch_head(whole)->left_out == 0) == (clu_sketch_head(parts)->left_out == 0);
	for (uint32_t i = 0; same && i < clu_sketch_head(whole)->listed; i++)
	{
		same = memcmp(clu_sketch_row(whole, i, &a), clu_sketch_row(parts, i, &b),
					  D * sizeof(double)) == 0;
		same = same && a == b;
		total += a;
	}
	ok(same && clu_sketch_check(whole, clu_sketch_size(D, 8, most), false, NULL) == CLU_OK,
	   "samples of parts merge to the sample of the whole, %u rows of %d^3", most, distinct);
	if (clu_sketch_head(whole)->left_out == 0)
		ok(near(total, N - (N / 3 + 1) * 0.3, 1e-12), "which has all the weight");
	free(whole);
	free(parts);
}

int
main(void)
{
	static const struct
	{
		const char	 *name;
		clu_algorithm algorithm;
		int			  structure, k, d;
		bool		  soft;
	} cases[] = {
		{"kmeans", CLU_KMEANS, 0, 5, 3, false},
		{"kmeans with the filter", CLU_KMEANS, 0, 70, 17, false},
		{"kmedians", CLU_KMEDIANS, 0, 5, 3, false},
		{"kmedians of many clusters", CLU_KMEDIANS, 0, 70, 17, false},
		{"soft kmeans", CLU_KMEANS, 0, 4, 5, true},
		{"gmm full", CLU_GMM, CLU_COV_FULL, 3, 4, false},
		{"gmm diag", CLU_GMM, CLU_COV_DIAG, 3, 4, false},
		{"gmm spherical", CLU_GMM, CLU_COV_SPHERICAL, 3, 4, false},
		{"gmm tied", CLU_GMM, CLU_COV_TIED, 3, 4, false},
		{"gmm fixed", CLU_GMM, CLU_COV_FIXED, 3, 4, false},
		{"bernoulli", CLU_BERNOULLI, 0, 9, 70, false},
	};

	clu_kernel_choose();
	for (size_t i = 0; i < sizeof(cases) / sizeof(*cases); i++)
	{
		stepper s;

		open_stepper(&s, cases[i].name, cases[i].algorithm, cases[i].structure, cases[i].k,
					 cases[i].d, cases[i].soft);
		test_parts(&s);
		test_damage(&s);
		close_stepper(&s);
	}
	test_odd_starts();
	test_sketch(100, 40);
	test_sketch(2000, 5);
	return finish_tests();
}
