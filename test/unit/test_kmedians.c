/*
 * test_kmedians.c
 *		K-medians against brute force, on thousands of small random cases.
 */
#include "fitting.h"

#include "medians.h"

/* ---- data ---- */

enum
{
	FEW_INTEGERS,
	REALS,
	HALF_CONSTANT, /* every other column */
	FAR_AWAY,	   /* from the origin */
	CLUMPED,	   /* far away, but for a few: most have the same upper bits */
	HUGE_REALS,
	TINY_REALS,
	FLOATS,
	KINDS
};

enum
{
	NO_WEIGHTS,
	WHOLE,
	TENTHS, /* where no points collapse, or else eighths, whose sums are exact */
	WEIGHTINGS
};

typedef struct sample
{
	clu_rows rows;
	double	*x; /* as doubles, whatever the width */
	void	*values;
	double	*w; /* or NULL */
} sample;

static double
value_of(int kind, int column)
{
	switch (kind)
	{
		case FEW_INTEGERS:
			return (double) random_below(4);
		case HALF_CONSTANT:
			return column % 2 ? 7.25 : (double) random_below(6) / 4;
		case FAR_AWAY:
			return 1e8 + random_unit();
		case CLUMPED:
			return random_below(8) == 0 ? random_unit() - 0.5 : 1e8 + random_unit();
		case HUGE_REALS:
			return (random_unit() - 0.5) * 1e300;
		case TINY_REALS:
			return (random_unit() - 0.5) * 1e-300;
	}
	return (random_unit() - 0.5) * 10;
}

static double
weight_of(int weighting, int kind)
{
	if (weighting == WHOLE)
		return (double) (1 + random_below(4));
	return (kind == FEW_INTEGERS || kind == HALF_CONSTANT ? 0.125 : 0.1) *
		   (double) (1 + random_below(7));
}

static sample
make_sample(int kind, int weighting, size_t n, int d)
{
	sample s = {.rows = {.n = n, .d = d, .width = kind == FLOATS ? 4 : 8}};
	size_t count = n * (size_t) d;

	s.x = malloc(count * sizeof(double));
	s.values = malloc(count * (size_t) s.rows.width);
	s.w = weighting == NO_WEIGHTS ? NULL : malloc(n * sizeof(double));
	for (size_t i = 0; i < count; i++)
	{
		s.x[i] = value_of(kind, (int) (i % (size_t) d));
		if (kind == FLOATS)
			s.x[i] = ((float *) s.values)[i] = (float) s.x[i];
		else
			((double *) s.values)[i] = s.x[i];
	}
	for (size_t i = 0; s.w != NULL && i < n; i++)
		s.w[i] = weight_of(weighting, kind);
	s.rows.x = s.values;
	s.rows.w = s.w;
	return s;
}

static void
free_sample(sample s)
{
	free(s.x);
	free(s.values);
	free(s.w);
}

static double
w_of(const sample *s, size_t i)
{
	return s->w == NULL ? 1 : s->w[i];
}

/* ---- fits ---- */

typedef struct outcome
{
	clu_status status;
	clu_model  model;
	double	   last; /* objective in the trace */
	uint32_t   last_run;
	bool	   rose; /* ever, within a run */
	double	   tolerance;
	char	  *memory;
} outcome;

static void
trace(void *context, const clu_trace *entry)
{
	outcome *result = context;

	if (entry->run == result->last_run && entry->objective > result->last * (1 + result->tolerance))
		result->rose = true;
	result->last = entry->objective;
	result->last_run = entry->run;
}

/* The distinct points of rows; the memory is *memory. */
static clu_points
collapse(const clu_rows *rows, char **memory)
{
	clu_order  order;
	clu_points points = {0};
	clu_arena  arena = {0};
	char	  *scratch;
	size_t	   distinct;

	clu_order_layout(&order, &arena, rows->n, 1);
	arena.base = scratch = test_memory(arena.used);
	arena.used = 0;
	clu_order_layout(&order, &arena, rows->n, 1);
	distinct = clu_order_sort(&order, rows, NULL, NULL);
	arena = (clu_arena) {0};
	clu_points_layout(&points, &arena, rows, distinct, 1);
	arena.base = *memory = test_memory(arena.used);
	arena.used = 0;
	clu_points_layout(&points, &arena, rows, distinct, 1);
	if (clu_points_collapse(&points, &order, rows, NULL, NULL, NULL) != CLU_OK)
		abort();
	free(scratch);
	return points;
}

static clu_options
defaults(int64_t seed)
{
	clu_options options;

	clu_options_default(&options, CLU_KMEDIANS);
	clu_option_set_integer(&options, CLU_SEED, seed);
	return options;
}

static outcome
fit_with(clu_algorithm algorithm, const clu_rows *rows, int k, const clu_options *options,
		 const clu_model *start, double tolerance)
{
	outcome	   result = {.tolerance = tolerance};
	clu_arena  arena = {0};
	clu_error  error;
	char	  *memory;
	clu_points points = collapse(rows, &memory);
	clu_fit	   fit = {
		   .verbs = clu_fit_verbs(algorithm, options),
		   .points = &points,
		   .start_model = start,
		   .trace = trace,
		   .trace_context = &result,
		   .error = &error,
		   .model = {.algorithm = algorithm, .d = rows->d, .options = *options},
	   };

	fit.model.k = (int) CLU_MIN((size_t) k, points.n);
	clu_fit_layout(&fit, &arena);
	arena.base = result.memory = test_memory(arena.used);
	memset(result.memory, 0xa5, arena.used);
	arena.used = 0;
	clu_fit_layout(&fit, &arena);
	result.status = clu_fit_run(&fit);
	result.model = fit.model;
	free(memory);
	return result;
}

static outcome
fit_model(const clu_rows *rows, int k, const clu_options *options, const clu_model *start)
{
	return fit_with(CLU_KMEDIANS, rows, k, options, start, 1e-13);
}

static bool
same_outcomes(const outcome *a, const outcome *b)
{
	const clu_model *ma = &a->model, *mb = &b->model;

	return ma->k == mb->k && ma->flags == mb->flags && ma->rows == mb->rows &&
		   ma->iterations == mb->iterations && ma->objective == mb->objective &&
		   ma->total_weight == mb->total_weight &&
		   memcmp(ma->parameter, mb->parameter,
				  clu_parameter_count(CLU_KMEDIANS, 0, ma->k, ma->d) * sizeof(double)) == 0;
}

/* ---- brute force ---- */

typedef struct weighted
{
	double x, w;
} weighted;

static int
compare(const void *a, const void *b)
{
	double xa = ((const weighted *) a)->x, xb = ((const weighted *) b)->x;

	return (xa > xb) - (xa < xb);
}

/* By the definition; sums in a type that holds those of a few tenths exactly. */
static double
brute_median(weighted *v, size_t n)
{
	long double total = 0, so_far = 0;
	size_t		i = 0;

	qsort(v, n, sizeof(*v), compare);
	for (size_t j = 0; j < n; j++)
		total += v[j].w;
	for (;; i++)
	{
		so_far += v[i].w;
		if (i + 1 < n && v[i + 1].x == v[i].x)
			continue;
		if (2 * so_far >= total)
			break;
	}
	return 2 * so_far == total ? v[i].x + (v[i + 1].x - v[i].x) / 2 : v[i].x;
}

static long double
brute_cost(const weighted *v, size_t n, double c)
{
	long double cost = 0;

	for (size_t i = 0; i < n; i++)
		cost += (long double) v[i].w * fabsl((long double) v[i].x - c);
	return cost;
}

static int
brute_label(const clu_model *model, const double *x)
{
	double scale = 1, largest = 0, best = INFINITY;
	int	   label = 0;

	/* as fits do, so that sums do not overflow */
	for (int j = 0; j < model->d; j++)
		largest = fmax(largest, fabs(x[j]));
	if (largest > 1e200)
		scale = 0x1p-100;
	for (int c = 0; c < model->k; c++)
	{
		double distance = 0;

		for (int j = 0; j < model->d; j++)
			distance += fabs(x[j] * scale - model->center[c * model->d + j] * scale);
		if (distance < best)
		{
			best = distance;
			label = c;
		}
	}
	return label;
}

typedef struct verdict
{
	int medians;   /* centres that are not the median of their points */
	int better;	   /* centre coordinates with a better value among the points */
	int sizes;	   /* sizes or costs that are not those of the points */
	int objective; /* objectives that are not the sum of the distances */
	int rose;	   /* traces */
	int stuck;	   /* fits that did not converge */
} verdict;

static void
judge_cluster(const sample *s, const clu_model *model, const int *label, int c, verdict *verdict)
{
	weighted   *v = malloc(s->rows.n * sizeof(*v));
	long double cost = 0, size = 0;

	for (int j = 0; j < model->d; j++)
	{
		double		center = model->center[c * model->d + j];
		long double here;
		size_t		n = 0;

		size = 0;
		for (size_t i = 0; i < s->rows.n; i++)
			if (label[i] == c)
			{
				v[n++] = (weighted) {s->x[i * (size_t) model->d + (size_t) j], w_of(s, i)};
				size += w_of(s, i);
			}
		here = brute_cost(v, n, center);
		cost += here;
		verdict->medians += n == 0 || brute_median(v, n) != center;
		for (size_t i = 0; i < n; i++)
			if (brute_cost(v, n, v[i].x) < here * (1 - 1e-15L))
			{
				verdict->better++;
				break;
			}
	}
	verdict->sizes += fabsl(size - model->size[c]) > 1e-14L * size ||
					  fabsl(cost - model->cost[c]) > 1e-13L * (cost + model->objective);
	free(v);
}

static void
judge(const sample *s, const outcome *result, verdict *verdict)
{
	const clu_model *model = &result->model;
	int				*label = malloc(s->rows.n * sizeof(int));
	long double		 objective = 0;

	for (size_t i = 0; i < s->rows.n; i++)
	{
		const double *x = s->x + i * (size_t) model->d;

		label[i] = brute_label(model, x);
		for (int j = 0; j < model->d; j++)
			objective += (long double) w_of(s, i) *
						 fabsl((long double) x[j] - model->center[label[i] * model->d + j]);
	}
	for (int c = 0; c < model->k; c++)
		judge_cluster(s, model, label, c, verdict);
	verdict->objective += fabsl(objective - model->objective) > 1e-13L * objective;
	verdict->rose += result->rose;
	verdict->stuck += !(model->flags & CLU_MODEL_CONVERGED);
	free(label);
}

static void
test_small_cases(void)
{
	verdict bad = {0}, numbered = {0};
	int		cases = 0, refused = 0;

	for (int i = 0; i < 6000; i++)
	{
		int			kind = (int) random_below(KINDS);
		sample		s = make_sample(kind, (int) random_below(WEIGHTINGS), 1 + random_below(40),
									1 + (int) random_below(4));
		clu_options options = defaults((int64_t) random_below(1000));
		outcome		first, result;

		if (random_below(3) == 0)
			clu_option_set_integer(&options, CLU_INIT, CLU_INIT_RANDOM);
		first = fit_model(&s.rows, 1 + (int) random_below(6), &options, NULL);
		refused += first.status != CLU_OK;
		bad.rose += first.rose;

		judge(&s, &first, &numbered);
		result = fit_model(&s.rows, first.model.k, &options, &first.model);
		judge(&s, &result, &bad);
		cases++;
		free(result.memory);
		free(first.memory);
		free_sample(s);
	}
	printf("# %d cases\n", cases);
	ok(refused == 0, "small random cases are fitted, whatever their values");
	ok(numbered.medians == 0 && numbered.better == 0 && numbered.sizes == 0 &&
		   numbered.objective == 0 && numbered.stuck == 0,
	   "what comes back from k, with its own numbers, has the medians and figures of its points");
	ok(bad.medians == 0, "each centre is the median of the points that are nearest to it");
	ok(bad.better == 0, "no value of a cluster's points makes a better centre coordinate");
	ok(bad.sizes == 0, "sizes and costs are those of the points");
	ok(bad.objective == 0, "the objective is the sum of the distances");
	ok(bad.rose == 0, "the objective never rises from one step to the next");
	ok(bad.stuck == 0, "all of them come to an end");
}

/* ---- the statistics alone, with points that move at random ---- */

static long double
brute_refit(const clu_points *points, const uint32_t *label, int k, const double *center,
			int *wrong)
{
	weighted   *v = malloc(points->n * sizeof(*v));
	long double total = 0;
	double		row[8];

	for (int c = 0; c < k; c++)
		for (int j = 0; j < points->d; j++)
		{
			size_t n = 0;

			for (size_t i = 0; i < points->n; i++)
				if (label[i] == (uint32_t) c)
					v[n++] = (weighted) {clu_point(points, i, row)[j], clu_weight(points->w, i)};
			*wrong += brute_median(v, n) != center[c * points->d + j];
			total += brute_cost(v, n, center[c * points->d + j]);
		}
	free(v);
	return total;
}

/* Points of a mostly narrow range jump between clusters; returns whether all refits were right. */
static bool
jumps_are_followed(int kind, int weighting, size_t n, int d, int most)
{
	sample		s = make_sample(kind, weighting, n, d);
	char	   *memory;
	clu_points	points = collapse(&s.rows, &memory);
	clu_medians medians;
	clu_arena	arena = {0};
	size_t		size = points.n;
	int			k = CLU_MIN(most, (int) size / 2);
	uint64_t   *scratch = malloc(size * sizeof(*scratch));
	uint32_t   *label = malloc(2 * size * sizeof(*label));
	double	   *center = malloc((size_t) k * (size_t) d * sizeof(double));
	double	   *sizes = malloc((size_t) k * sizeof(double));
	int			wrong = 0;

	clu_medians_layout(&medians, &arena, &points, k, 1);
	arena.base = test_memory(arena.used);
	memset(arena.base, 0xa5, arena.used);
	arena.used = 0;
	clu_medians_layout(&medians, &arena, &points, k, 1);
	clu_medians_begin(&medians, &points, scratch, NULL, NULL);
	clu_medians_reset(&medians);
	for (size_t i = 0; i < size; i++)
	{
		label[i] = (uint32_t) (i < (size_t) k ? i : random_below((uint64_t) k));
		clu_medians_move(&medians, 0, (uint32_t) i, CLU_NO_LABEL, label[i]);
	}
	for (int round = 0; round < 25; round++)
	{
		double		cost;
		long double brute;
		size_t		jumps = random_below(3) == 0 ? random_below(size) : random_below(8);

		points.in_files = round % 2 == 1; /* then hardly any values are looked up */
		cost = clu_dd_value(clu_medians_refit(&medians, label, center, sizes, NULL, NULL));
		brute = brute_refit(&points, label, k, center, &wrong);
		wrong += fabsl(brute - cost) > 1e-14L * brute;
		for (; jumps > 0; jumps--)
		{
			uint32_t point = (uint32_t) ((size_t) k + random_below(size - (size_t) k));
			uint32_t to = (uint32_t) random_below((uint64_t) k);

			if (to == label[point])
				continue;
			clu_medians_move(&medians, 0, point, label[point], to);
			label[point] = to;
		}
	}
	free(arena.base);
	free(sizes);
	free(center);
	free(label);
	free(scratch);
	free(memory);
	free_sample(s);
	return wrong == 0;
}

static void
test_moving_points(void)
{
	static const char *const names[KINDS] = {
		"integers", "reals", "constant columns", "values far from 0", "clumps", NULL,
		NULL,		"floats"};
	static const size_t sizes[] = {100, 100, 900, 3000};

	for (int kind = 0; kind < KINDS; kind++)
	{
		bool followed = true;

		if (names[kind] == NULL)
			continue;
		for (int i = 0; i < 12; i++)
		{
			int k = i == 11 ? 300 : 2 + i % 5 * (i % 4 == 0 ? 8 : 1);

			followed = followed && jumps_are_followed(kind, i % WEIGHTINGS, sizes[i / 3], 4, k);
		}
		ok(followed, "medians follow points that move at random: %s", names[kind]);
	}
}

/* ---- what must not matter ---- */

static void
test_kernels(void)
{
	int different = 0, forced = 0;

	for (int i = 0; i < 60; i++)
	{
		sample		s = make_sample(i % KINDS, i % WEIGHTINGS, 50 + random_below(600),
									1 + (int) random_below(20));
		clu_options options = defaults(i);
		outcome		first = {0};
		int			k = 1 + (int) random_below(30);

		for (int name = 0; name < KERNELS; name++)
		{
			outcome result;

			if (!use_kernel(name))
				continue;
			forced++;
			result = fit_model(&s.rows, k, &options, NULL);
			if (name == 0)
				first = result;
			else
			{
				different += !same_outcomes(&first, &result);
				free(result.memory);
			}
		}
		free(first.memory);
		free_sample(s);
	}
	clu_kernel_choose();
	printf("# %d kernels\n", forced / 60);
	ok(different == 0, "every instruction set gives the same bits");
}

static void
swap_rows(sample *s, size_t a, size_t b)
{
	size_t width = (size_t) s->rows.d * (size_t) s->rows.width;
	char   row[1024];
	char  *x = s->values;

	memcpy(row, x + a * width, width);
	memcpy(x + a * width, x + b * width, width);
	memcpy(x + b * width, row, width);
	if (s->w != NULL)
	{
		double w = s->w[a];

		s->w[a] = s->w[b];
		s->w[b] = w;
	}
}

static void
test_row_order(void)
{
	int different = 0;

	for (int i = 0; i < 300; i++)
	{
		sample		s = make_sample(i % KINDS, i % WEIGHTINGS, 1 + random_below(300),
									1 + (int) random_below(5));
		clu_options options = defaults(i);
		int			k = 1 + (int) random_below(8);
		outcome		first = fit_model(&s.rows, k, &options, NULL), second;

		for (size_t row = s.rows.n; row > 1; row--)
			swap_rows(&s, row - 1, random_below(row));
		second = fit_model(&s.rows, k, &options, NULL);
		different += !same_outcomes(&first, &second);
		free(first.memory);
		free(second.memory);
		free_sample(s);
	}
	ok(different == 0, "the order of the rows does not matter");
}

/* Each row as many times as its weight says. */
static sample
repeat_rows(const sample *s)
{
	sample	many = {.rows = s->rows};
	size_t	d = (size_t) s->rows.d;
	double *x = malloc(s->rows.n * 4 * d * sizeof(double));

	many.rows.n = 0;
	for (size_t i = 0; i < s->rows.n; i++)
		for (int copy = 0; copy < (int) s->w[i]; copy++)
			memcpy(x + many.rows.n++ * d, s->x + i * d, d * sizeof(double));
	many.rows.x = many.values = x;
	many.rows.w = NULL;
	return many;
}

static void
test_duplicates(void)
{
	int different = 0;

	for (int i = 0; i < 300; i++)
	{
		sample s = make_sample(i % FLOATS, WHOLE, 1 + random_below(200), 1 + (int) random_below(5));
		sample many = repeat_rows(&s);
		clu_options options = defaults(i);
		int			k = 1 + (int) random_below(8);
		outcome		first = fit_model(&s.rows, k, &options, NULL);
		outcome		second = fit_model(&many.rows, k, &options, NULL);

		different += !same_outcomes(&first, &second);
		free(first.memory);
		free(second.memory);
		free(many.values);
		free_sample(s);
	}
	ok(different == 0, "a row of weight 3 is three rows");
}

/* ---- start models and empty clusters ---- */

static clu_model
model_of(double *parameter, int k, int d, const double *center)
{
	clu_model model = {.algorithm = CLU_KMEDIANS, .k = k, .d = d};

	clu_model_bind(&model, parameter);
	memset(parameter, 0, clu_parameter_count(CLU_KMEDIANS, 0, k, d) * sizeof(double));
	memcpy(model.center, center, (size_t) (k * d) * sizeof(double));
	return model;
}

static void
test_start_models(void)
{
	double		x[] = {0, 1, 2, 10, 11, 12, 13};
	double		apart[] = {12, 1}, same[] = {5, 5, 5}, far[] = {1, 11, 1e6};
	double		parameter[20];
	clu_rows	rows = {.x = x, .n = 7, .d = 1, .width = 8};
	clu_options options = defaults(0);
	clu_model	start = model_of(parameter, 2, 1, apart);
	outcome		result = fit_model(&rows, 2, &options, &start);

	ok(result.model.center[0] == 11.5 && result.model.center[1] == 1 &&
		   result.model.objective == 6 && result.model.size[0] == 4,
	   "a start model's numbering is kept, and the midpoint is taken where halves balance");
	free(result.memory);

	start = model_of(parameter, 3, 1, same);
	result = fit_model(&rows, 3, &options, &start);
	ok(result.status == CLU_OK && result.model.size[0] > 0 && result.model.size[1] > 0 &&
		   result.model.size[2] > 0 && !result.rose,
	   "equal starting centres: the empty clusters take the farthest points");
	free(result.memory);

	start = model_of(parameter, 3, 1, far);
	clu_option_set_integer(&options, CLU_MAX_ITER, 1);
	result = fit_model(&rows, 3, &options, &start);
	ok(result.model.iterations == 1 && result.model.center[2] == 13,
	   "a centre that no point is near takes the farthest point");
	free(result.memory);
}

/* ---- outliers ---- */

/* Largest distance of a model's centres from the true ones, 0 and 10 in both columns. */
static double
displacement(const clu_model *model)
{
	double worst = 0;

	for (int c = 0; c < 2; c++)
	{
		double low = fabs(model->center[2 * c]) + fabs(model->center[2 * c + 1]);
		double high = fabs(model->center[2 * c] - 10) + fabs(model->center[2 * c + 1] - 10);

		worst = fmax(worst, fmin(low, high));
	}
	return worst;
}

static void
test_outliers(void)
{
	sample		s = make_sample(REALS, NO_WEIGHTS, 1000, 2);
	double	   *x = s.values;
	clu_options options = defaults(0), means;
	outcome		result;

	for (size_t i = 0; i < 1000; i++)
	{
		bool outlier = i % 20 == 7;

		x[2 * i] = outlier ? 150 * cos((double) i) : (i % 2 ? 10 : 0) + random_unit() - 0.5;
		x[2 * i + 1] = outlier ? 150 * sin((double) i) : (i % 2 ? 10 : 0) + random_unit() - 0.5;
	}
	result = fit_model(&s.rows, 2, &options, NULL);
	ok(displacement(&result.model) < 0.3, "5 %% of points far away: the medians stay");
	free(result.memory);
	clu_options_default(&means, CLU_KMEANS);
	result = fit_with(CLU_KMEANS, &s.rows, 2, &means, NULL, 1e-9);
	ok(displacement(&result.model) > 5, "and the means do not");
	free(result.memory);
	free_sample(s);
}

/* ---- data with known answers ---- */

/* The worst of some seeds, as a share of the best known objective. */
static double
worst_fit(const clu_rows *rows, int k, int seeds, double best)
{
	double worst = 0;

	for (int seed = 0; seed < seeds; seed++)
	{
		clu_options options = defaults(seed);
		outcome		result = fit_model(rows, k, &options, NULL);

		worst = fmax(worst, result.model.objective / best);
		free(result.memory);
	}
	return worst;
}

/* The best known are those of 100 random starts and more. */
static void
test_known_answers(void)
{
	static const struct
	{
		const char *name;
		int			k, seeds;
		double		best;
	} known[] = {
		{"iris", 2, 10, 216.7},		   {"iris", 3, 10, 159.2},		  {"iris", 4, 10, 136.5},
		{"iris", 5, 10, 124.6},		   {"faithful", 2, 10, 1342.017}, {"faithful", 3, 10, 1005.463},
		{"wine", 3, 10, 18953.615999}, {"s1", 15, 10, 213810586},	  {"s2", 15, 10, 261358047},
		{"zoo", 4, 10, 164},		   {"letter", 26, 2, 314645},
	};

	for (size_t i = 0; i < sizeof(known) / sizeof(known[0]); i++)
	{
		clu_rows rows = read_data(known[i].name);
		double	 worst =
			  rows.n == 0 ? INFINITY : worst_fit(&rows, known[i].k, known[i].seeds, known[i].best);

		ok(worst < 1.02, "%s, k=%d: every seed within 2 %% of the best known (%+.2f %%)",
		   known[i].name, known[i].k, 100 * (worst - 1));
		free((void *) rows.x);
	}
}

int
main(void)
{
	clu_kernel_choose();
	test_small_cases();
	test_moving_points();
	test_kernels();
	test_row_order();
	test_duplicates();
	test_start_models();
	test_outliers();
	test_known_answers();
	return finish_tests();
}
