/*
 * test_brackets.c
 *		K-medians in steps: bins against brute force, and loops of steps against fits in memory.
 *
 * Stand-alone; prints TAP.
 */
#include "fitting.h"

#include <float.h>

#include "algorithms.h"
#include "brackets.h"
#include "step.h"

/* 113 bits: of the C library where it has them, as on ARM, else of the compiler. */
#if LDBL_MANT_DIG == 113
typedef long double quad;
#else
typedef __float128 quad;
#endif

/* ---- columns of values ---- */

enum
{
	REALS,
	AROUND_ZERO,
	FEW_INTEGERS,
	FAR_AWAY,
	HEAVY_TAILS,
	DENORMALS,
	ALL_MAGNITUDES, /* in a wide range, and both signs: what no bins of equal width divide */
	NEIGHBOURS,		/* that differ in the last bit */
	CONSTANT,
	HUGE_REALS, /* whose differences overflow */
	KINDS
};

static const char *const kind_names[KINDS] = {
	"reals",	 "around zero",	   "few integers", "far away", "heavy tails",
	"denormals", "all magnitudes", "neighbours",   "constant", "huge reals"};

static double
value_of(int kind)
{
	switch (kind)
	{
		case AROUND_ZERO:
			return random_below(9) == 0 ? -0.0 : random_normal() * 1e-3;
		case FEW_INTEGERS:
			return (double) random_below(7) - 3;
		case FAR_AWAY:
			return 1e12 + random_unit();
		case HEAVY_TAILS:
			return random_normal() / (1e-9 + pow(random_unit(), 4));
		case DENORMALS:
			return ((double) random_below(2000) - 1000) * 0x1p-1074;
		case ALL_MAGNITUDES:
			return ldexp(random_unit() - 0.5, (int) random_below(700) - 350);
		case NEIGHBOURS:
			return 1 + (double) random_below(40) * DBL_EPSILON;
		case CONSTANT:
			return 7.25;
		case HUGE_REALS:
			return (random_unit() - 0.5) * 1.9 * 0x1p1023;
	}
	return random_unit() * 10;
}

enum
{
	NO_WEIGHTS,
	WHOLE,
	TENTHS,
	EIGHTHS,
	FAR_APART,
	WEIGHTINGS
};

static double
weight_of(int weighting)
{
	switch (weighting)
	{
		case WHOLE:
			return (double) (1 + random_below(4));
		case TENTHS:
			return 0.1 * (double) (1 + random_below(7));
		case EIGHTHS:
			return 0.125 * (double) (1 + random_below(7));
		case FAR_APART:
			return ldexp(1, (int) random_below(40) - 20);
	}
	return 1;
}

typedef struct weighted
{
	double value, weight;
} weighted;

static int
compare_values(const void *a, const void *b)
{
	double x = ((const weighted *) a)->value, y = ((const weighted *) b)->value;

	return (x > y) - (x < y);
}

/* Where nothing overflows or gets lost, but for the result. */
static double
midpoint(double low, double high)
{
	double largest = fmax(fabs(low), fabs(high));
	int	   exponent = largest > 1e300 ? -100 : largest < 1e-300 ? 100 : 0;

	low = ldexp(low, exponent);
	high = ldexp(high, exponent);
	return ldexp(low + (high - low) / 2, -exponent);
}

/* The definition, in numbers with more bits than the sums need. */
static double
brute_median(weighted *values, int n)
{
	quad whole = 0, sum = 0;

	qsort(values, (size_t) n, sizeof(*values), compare_values);
	for (int i = 0; i < n; i++)
		whole += values[i].weight;
	for (int i = 0;; i++)
	{
		sum += values[i].weight;
		if (i + 1 < n && values[i + 1].value == values[i].value)
			continue;
		if (2 * sum == whole)
			return midpoint(values[i].value, values[i + 1].value);
		if (2 * sum > whole)
			return values[i].value + 0.0;
	}
}

/* ---- one median, by bins ---- */

#define POSITION 0 /* of the weights' digits */

/* Passes until it's exact; 0 where it isn't after many. */
static int
passes_for(const weighted *values, int n, int bins, double low, double high, bool by_bits,
		   double *median)
{
	clu_bin *bin = malloc((size_t) bins * sizeof(*bin));
	double	 scale = clu_wide_scale(POSITION);

	for (int pass = 1; pass < 100; pass++)
	{
		clu_binning binning;
		clu_found	found;

		memset(bin, 0, (size_t) bins * sizeof(*bin));
		clu_binning_make(&binning, low, high, by_bits || pass > 4, bins);
		for (int i = 0; i < n; i++)
			clu_bin_add(&bin[clu_bin_of(&binning, values[i].value)], values[i].value,
						values[i].weight, scale);
		found = clu_find_median(bin, bins, POSITION, pass >= 4, 1);
		*median = found.median;
		if (found.exact)
		{
			free(bin);
			return pass;
		}
		low = found.low;
		high = found.high;
		by_bits = false;
	}
	free(bin);
	return 0;
}

static void
test_medians(int kind)
{
	weighted values[400];
	bool	 same = true, found = true;
	int		 most = 0;

	for (int round = 0; round < 1500; round++)
	{
		int	   n = 1 + (int) random_below(round % 2 == 0 ? 8 : 400), weighting = round % WEIGHTINGS;
		int	   bins = CLU_LEAST_BINS << random_below(4), passes;
		double median, expected;
		/* what is known before the first pass: nothing, or something wrong */
		bool   nothing = random_below(2) == 0;
		double low = nothing ? -DBL_MAX : value_of((int) random_below(KINDS));
		double high = nothing ? DBL_MAX : low + fabs(random_normal());

		for (int i = 0; i < n; i++)
			values[i] = (weighted) {value_of(kind), weight_of(weighting)};
		passes = passes_for(values, n, bins, low, high, nothing, &median);
		expected = brute_median(values, n);
		found = found && passes > 0;
		most = CLU_MAX(most, passes);
		if (same && passes > 0 && !same_bits(median + 0.0, expected + 0.0))
		{
			printf("# %d values, weights %d: %.17g, not %.17g\n", n, weighting, median, expected);
			same = false;
		}
	}
	ok(same && found && most <= 30, "%s: medians are those of the definition, after %d passes",
	   kind_names[kind], most);
}

/* Bins are in the order of the values, whatever the bracket. */
static void
test_order_of_bins(void)
{
	bool ordered = true;

	for (int round = 0; round < 20000; round++)
	{
		int	   bins = CLU_LEAST_BINS << random_below(7);
		double a = value_of((int) random_below(KINDS)), b = value_of((int) random_below(KINDS));
		double x = value_of((int) random_below(KINDS)), y = value_of((int) random_below(KINDS));
		double less = fmin(x, y), more = fmax(x, y);
		clu_binning binning;
		int			first, second;

		if (round % 50 == 0)
			less = -DBL_MAX, more = DBL_MAX;
		clu_binning_make(&binning, fmin(a, b), fmax(a, b), random_below(2) == 0, bins);
		first = clu_bin_of(&binning, less);
		second = clu_bin_of(&binning, more);
		ordered = ordered && first >= 0 && first <= second && second < bins;
	}
	ok(ordered, "bins are in the order of the values");
}

/* The sign of a sum and a whole number, against numbers with more bits. */
static void
test_signs(void)
{
	bool same = true;

	for (int round = 0; round < 20000; round++)
	{
		clu_wide sum;
		quad	 exact = 0;
		int64_t	 whole = (int64_t) random_below(2000) - 1000;

		clu_wide_clear(&sum);
		for (int i = 0; i < 6; i++)
		{
			double term = ldexp((double) random_below(64) - 32, (int) random_below(20) - 10);

			clu_wide_add(&sum, term);
			exact += term;
		}
		if (round % 3 == 0 && fabs((double) exact) < 1e15)
		{
			clu_wide_add(&sum, rint((double) exact) - (double) exact);
			whole = -(int64_t) rint((double) exact) + (int64_t) random_below(3) - 1;
			exact = rint((double) exact);
		}
		exact += whole;
		same = same && clu_wide_sign(&sum, whole) == (exact > 0) - (exact < 0);
	}
	ok(same, "signs of sums");
}

/* ---- steps ---- */

typedef struct stepping
{
	clu_rows   rows;
	clu_model  model; /* its arrays are of its own */
	clu_trace *trace;
	int		   passes;
	int		   refits;
	clu_status status;
} stepping;

static clu_model
copy_of(const clu_model *model, clu_trace *trace)
{
	clu_model copy = *model;
	size_t	  count = clu_parameter_count(model->algorithm, 0, model->k, model->d);
	size_t	  d = (size_t) model->d;

	clu_model_bind(&copy, malloc(count * sizeof(double)));
	memcpy(copy.parameter, model->parameter, count * sizeof(double));
	copy.trace = trace;
	if (clu_model_has_brackets(model))
	{
		copy.brackets.range = malloc(2 * (size_t) model->k * d * sizeof(double));
		copy.brackets.taker = malloc(CLU_MOST_TAKEN * sizeof(uint32_t));
		copy.brackets.row = malloc(CLU_MOST_TAKEN * d * sizeof(double));
		clu_brackets_copy(&copy.brackets, &model->brackets, model->k, model->d);
	}
	return copy;
}

static void
drop(clu_model *model)
{
	free(model->parameter);
	free(model->brackets.range);
	free(model->brackets.taker);
	free(model->brackets.row);
}

/* One step over the rows, divided among parts at random; the model is replaced. */
static void
take_step(stepping *s, int parts)
{
	static const uint8_t bytes[128];
	clu_arena			 arena = {0};
	clu_error			 error = {0};
	clu_step			 step = {.error = &error};
	void				*state[4];
	clu_model			 result, copy, old = s->model;

	clu_step_open(&step, &s->model, sizeof(bytes));
	clu_step_layout(&step, &arena);
	arena = (clu_arena) {test_memory(arena.used), 0};
	clu_step_layout(&step, &arena);
	s->status = clu_step_prepare(&step);
	for (int p = 0; p < parts; p++)
		clu_step_clear(&step, state[p] = malloc(clu_step_size(&step)), bytes);
	for (size_t i = 0; i < s->rows.n && s->status == CLU_OK; i++)
	{
		void   *part = state[random_below((uint64_t) parts)];
		double *to = clu_step_row(&step, part);

		for (int j = 0; j < s->rows.d; j++)
			to[j] = get_value(&s->rows, i, j);
		s->status = clu_step_add(&step, part, get_weight(&s->rows, i));
	}
	for (int p = parts - 1; p > 0 && s->status == CLU_OK; p--)
		s->status = clu_step_merge(&step, state[p - 1], state[p]);
	result = copy = copy_of(&s->model, s->trace);
	if (s->status == CLU_OK)
	{
		s->status = clu_step_check(&step, state[0], clu_step_size(&step), false);
		if (s->status == CLU_OK)
			s->status = clu_step_refit(&step, state[0], &result, false);
		s->passes++;
		s->refits += step.refitted;
		s->model = copy_of(&result, s->trace);
		drop(&old);
	}
	drop(&copy);
	for (int p = 0; p < parts; p++)
		free(state[p]);
	free(arena.base);
}

static void
start_from(stepping *s, const clu_rows *rows, int k, const double *center)
{
	memset(s, 0, sizeof(*s));
	s->rows = *rows;
	s->trace = malloc(3000 * sizeof(clu_trace));
	s->model.algorithm = CLU_KMEDIANS;
	s->model.k = k;
	s->model.d = rows->d;
	clu_options_default(&s->model.options, CLU_KMEDIANS);
	clu_model_bind(&s->model,
				   calloc(clu_parameter_count(CLU_KMEDIANS, 0, k, rows->d), sizeof(double)));
	for (int c = 0; c < k; c++)
		s->model.weight[c] = 1.0 / k;
	memcpy(s->model.center, center, (size_t) k * (size_t) rows->d * sizeof(double));
}

static void
stop(stepping *s)
{
	drop(&s->model);
	free(s->trace);
}

/* ---- fits in memory from the same start ---- */

typedef struct in_memory
{
	prepared  data;
	clu_fit	  fit;
	clu_error error;
	void	 *memory;
} in_memory;

static clu_status
fit_from(in_memory *m, const stepping *start)
{
	clu_arena  arena = {0};
	clu_status status;

	memset(m, 0, sizeof(*m));
	prepare_points(&m->data, &start->rows);
	m->fit.model.algorithm = CLU_KMEDIANS;
	m->fit.model.options = start->model.options;
	m->fit.model.k = start->model.k;
	m->fit.model.d = start->model.d;
	m->fit.start_model = &start->model;
	m->fit.verbs = clu_fit_verbs(CLU_KMEDIANS, &start->model.options);
	m->fit.points = &m->data.points;
	m->fit.error = &m->error;
	clu_fit_layout(&m->fit, &arena);
	m->memory = test_memory(arena.used);
	arena = (clu_arena) {m->memory, 0};
	clu_fit_layout(&m->fit, &arena);
	status = clu_fit_run(&m->fit);
	return status;
}

static bool
same_centers(const clu_model *a, const clu_model *b)
{
	bool same = true;

	for (int i = 0; i < a->k * a->d; i++)
		same = same && same_bits(a->center[i] + 0.0, b->center[i] + 0.0);
	return same;
}

/* Rows with values of a kind, and centres among them; some centres may be far from all rows. */
static void
make_case(clu_rows *rows, double *center, int kind, int weighting, int n, int d, int k, int far)
{
	*rows = make_rows((size_t) n, d, 8);
	for (int i = 0; i < n; i++)
		for (int j = 0; j < d; j++)
			set_value(rows, (size_t) i, j, value_of(kind));
	if (weighting != NO_WEIGHTS)
	{
		double *w = add_weights(rows);

		for (int i = 0; i < n; i++)
			w[i] = weight_of(weighting);
	}
	for (int c = 0; c < k; c++)
		for (int j = 0; j < d; j++)
			center[c * d + j] =
				c < k - far ? get_value(rows, random_below((uint64_t) n), j) : 1e9 * (c + 1);
}

/* Fits in memory round the sums of the weights of equal rows, which tenths would show. */
static int
weighting_for(int kind, int round)
{
	bool collapse = kind != REALS && kind != HEAVY_TAILS && kind != ALL_MAGNITUDES;

	return collapse && round % WEIGHTINGS == TENTHS ? EIGHTHS : round % WEIGHTINGS;
}

/* Loops of steps end where fits end, and any division of the rows takes them there the same way. */
static void
test_loops(int kind, int rounds, int n, int k, int far)
{
	bool same = true, divided = true, still = true, ended = true;
	int	 most = 0, passes = 0, refits = 0;

	for (int round = 0; round < rounds; round++)
	{
		int		  d = 1 + (int) random_below(3);
		double	  center[60];
		clu_rows  rows;
		stepping  s, parts;
		in_memory m;

		make_case(&rows, center, kind, weighting_for(kind, round), n, d, k, far);
		start_from(&s, &rows, k, center);
		start_from(&parts, &rows, k, center);
		if (fit_from(&m, &s) == CLU_OK && m.data.points.n > (size_t) k)
		{
			for (; s.passes < 2000 && !(s.model.flags & CLU_MODEL_CONVERGED) && s.status == CLU_OK;)
			{
				clu_model before = copy_of(&s.model, NULL);
				int		  refits_before = s.refits;

				take_step(&s, 1);
				take_step(&parts, 1 + (int) random_below(4));
				still = still && (s.refits > refits_before || same_centers(&before, &s.model));
				divided =
					divided && s.model.flags == parts.model.flags &&
					same_centers(&s.model, &parts.model) &&
					memcmp(s.model.parameter, parts.model.parameter,
						   clu_parameter_count(CLU_KMEDIANS, 0, k, d) * sizeof(double)) == 0 &&
					(!clu_model_has_brackets(&s.model) ||
					 memcmp(s.model.brackets.range, parts.model.brackets.range,
							2 * (size_t) (k * d) * sizeof(double)) == 0);
				most = CLU_MAX(most, (int) s.model.brackets.passes + 1);
				drop(&before);
			}
			ended = ended && (s.model.flags & CLU_MODEL_CONVERGED);
			/* a model has denormals rounded, which fits in memory scale and don't round */
			same = same &&
				   (kind == DENORMALS || (same_centers(&s.model, &m.fit.model) &&
										  s.model.iterations >= m.fit.model.iterations &&
										  s.model.iterations <= m.fit.model.iterations + 1 &&
										  near(s.model.objective, m.fit.model.objective, 1e-12)));
			passes += s.passes;
			refits += s.refits;
		}
		free(m.memory);
		free_points(&m.data);
		stop(&s);
		stop(&parts);
		free_rows(&rows);
	}
	ok(ended && same, "%s, %d empty: loops of steps end where fits do (%d passes for %d refits)",
	   kind_names[kind], far, passes, refits);
	ok(divided && still && refits > 0,
	   "the same way for any division of the rows; at most %d passes", most);
}

/* Brackets that come from elsewhere, or rows that have changed, lead to the same refit. */
static void
test_wrong_brackets(void)
{
	bool same = true;

	for (int round = 0; round < 60; round++)
	{
		double	 center[9];
		clu_rows rows, others;
		stepping s, lost;

		make_case(&rows, center, round % KINDS, NO_WEIGHTS, 300, 3, 3, 0);
		make_case(&others, center, (round / 2) % KINDS, NO_WEIGHTS, 300, 3, 3, round % 2);
		start_from(&s, &rows, 3, center);
		start_from(&lost, &others, 3, center);
		for (uint64_t i = random_below(6); i > 0; i--)
			take_step(&lost, 1);
		lost.rows = rows;
		if (clu_model_has_brackets(&lost.model) && lost.refits == 0)
		{
			while (s.refits < 1 && s.status == CLU_OK)
				take_step(&s, 1);
			while (lost.refits < 1 && lost.status == CLU_OK && lost.passes < 60)
				take_step(&lost, 1);
			same = same && s.status == lost.status && same_centers(&s.model, &lost.model);
		}
		stop(&s);
		stop(&lost);
		free_rows(&rows);
		free_rows(&others);
	}
	ok(same, "brackets made for other rows lead to the same refit");
}

/* Of whatever stands for a weight in a state that comes from elsewhere. */
static void
test_whole_weights(void)
{
	ok(clu_bin_counts(1) && clu_bin_counts(CLU_MOST_ONES) && !clu_bin_counts(0.5) &&
		   !clu_bin_counts(CLU_MOST_ONES + 1),
	   "small whole weights are counted");
	ok(!clu_bin_counts(-2e198) && !clu_bin_counts(-INFINITY) && !clu_bin_counts(INFINITY) &&
		   !clu_bin_counts(NAN),
	   "no others are");
}

int
main(void)
{
	clu_kernel_choose();
	test_whole_weights();
	test_order_of_bins();
	test_signs();
	for (int kind = 0; kind < KINDS; kind++)
		test_medians(kind);
	for (int kind = 0; kind < CONSTANT; kind++)
		test_loops(kind, 15, 200, 4, 0);
	test_loops(REALS, 15, 100, 7, 3);
	test_loops(FEW_INTEGERS, 15, 100, 6, 4);
	test_loops(HEAVY_TAILS, 10, 1500, 10, 1);
	test_wrong_brackets();
	return finish_tests();
}
