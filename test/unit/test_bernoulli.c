/*
 * test_bernoulli.c
 *		Bernoulli mixtures against a plain reference, closed forms, and themselves.
 *
 * The reference keeps its rows as doubles, multiplies nothing that may vanish, and uses the C
 * library's log and exp.
 */
#include "algebra.h"
#include "algorithms.h"
#include "order.h"
#include "bernoulli.h"
#include "elementary.h"
#include "tap.h"
#include "test_memory.h"

#define TOLERANCE 1e-9

static clu_random source = {1, 0};

static int
draw_below(int n)
{
	return (int) clu_random_below(&source, (uint64_t) n);
}

static bool
close(double a, double b)
{
	return a == b || fabs(a - b) <= TOLERANCE * fmax(1, fabs(b));
}

/* ---- data ---- */

typedef struct data
{
	int		  n, d;
	double	 *x; /* n * d */
	double	 *w; /* NULL: all 1 */
	uint64_t *bits;
} data;

static data
new_data(int n, int d)
{
	data set = {.n = n, .d = d};

	set.x = calloc((size_t) n * (size_t) d, sizeof(double));
	set.bits = calloc((size_t) n * clu_words(d), sizeof(uint64_t));
	return set;
}

static void
pack(data *set)
{
	for (int i = 0; i < set->n; i++)
		clu_pack(set->x + (size_t) i * (size_t) set->d, set->d,
				 set->bits + (size_t) i * clu_words(set->d));
}

static void
free_data(data *set)
{
	free(set->x);
	free(set->w);
	free(set->bits);
}

/* Rows from a few prototypes with noise; some columns may be constant. */
static data
random_data(int n, int d, int prototypes, bool weighted)
{
	data	set = new_data(n, d);
	double *p = malloc(sizeof(double) * (size_t) prototypes * (size_t) d);

	for (int i = 0; i < prototypes * d; i++)
		p[i] = draw_below(5) == 0 ? draw_below(2) : clu_random_uniform(&source);
	for (int i = 0; i < n; i++)
	{
		const double *from = p + (size_t) draw_below(prototypes) * (size_t) d;

		for (int j = 0; j < d; j++)
			set.x[i * d + j] = clu_random_uniform(&source) < from[j];
	}
	free(p);
	if (weighted)
	{
		set.w = malloc(sizeof(double) * (size_t) n);
		for (int i = 0; i < n; i++)
			set.w[i] = (1 + draw_below(40)) / 8.0;
	}
	pack(&set);
	return set;
}

/* ---- the reference ---- */

typedef struct mixture
{
	int		k, d;
	double *weight;
	double *theta;
	double	log_likelihood;
} mixture;

static mixture
new_mixture(int k, int d)
{
	mixture m = {.k = k, .d = d};

	m.weight = calloc((size_t) k, sizeof(double));
	m.theta = calloc((size_t) k * (size_t) d, sizeof(double));
	return m;
}

static void
free_mixture(mixture *m)
{
	free(m->weight);
	free(m->theta);
}

static mixture
random_mixture(int k, int d)
{
	mixture m = new_mixture(k, d);
	double	sum = 0;

	for (int c = 0; c < k; c++)
		sum += m.weight[c] = 0.1 + clu_random_uniform(&source);
	for (int c = 0; c < k; c++)
		m.weight[c] /= sum;
	for (int i = 0; i < k * d; i++)
		m.theta[i] = 0.02 + 0.96 * clu_random_uniform(&source);
	return m;
}

/* Responsibilities of a point; returns its log density. */
static double
reference_point(const mixture *m, const double *x, double *r)
{
	double most = -INFINITY, sum = 0;

	for (int c = 0; c < m->k; c++)
	{
		r[c] = log(m->weight[c]);
		for (int j = 0; j < m->d; j++)
			r[c] += log(x[j] == 1 ? m->theta[c * m->d + j] : 1 - m->theta[c * m->d + j]);
		most = fmax(most, r[c]);
	}
	if (most == -INFINITY)
		return most;
	for (int c = 0; c < m->k; c++)
		sum += r[c] = exp(r[c] - most);
	for (int c = 0; c < m->k; c++)
		r[c] /= sum;
	return most + log(sum);
}

/* The log likelihood, and with sums the M-step. */
static double
reference_pass(mixture *m, const data *set, bool refit, bool uniform, double smoothing)
{
	double *size = calloc((size_t) m->k, sizeof(double));
	double *sum = calloc((size_t) (m->k * m->d), sizeof(double));
	double *r = calloc((size_t) m->k, sizeof(double));
	double	log_likelihood = 0, total = 0;

	for (int i = 0; i < set->n; i++)
	{
		const double *x = set->x + (size_t) i * (size_t) set->d;
		double		  w = set->w == NULL ? 1 : set->w[i];

		log_likelihood += w * reference_point(m, x, r);
		total += w;
		for (int c = 0; c < m->k; c++)
		{
			size[c] += w * r[c];
			for (int j = 0; j < m->d; j++)
				sum[c * m->d + j] += w * r[c] * x[j];
		}
	}
	for (int c = 0; c < m->k && refit; c++)
	{
		m->weight[c] = uniform ? 1.0 / m->k : size[c] / total;
		for (int j = 0; j < m->d; j++)
			m->theta[c * m->d + j] = (sum[c * m->d + j] + smoothing) / (size[c] + 2 * smoothing);
	}
	free(size);
	free(sum);
	free(r);
	return log_likelihood;
}

/* ---- fits ---- */

typedef struct tracer
{
	double last;
	int	   entries;
	bool   fell;
} tracer;

static void
watch(void *context, const clu_trace *entry)
{
	tracer *t = context;

	if (entry->iteration > 1 && entry->objective > t->last + 1e-9 * fabs(t->last))
		t->fell = true;
	t->last = entry->objective;
	t->entries++;
}

typedef struct fitted
{
	clu_status status;
	clu_model  model;
	tracer	   trace;
	void	  *memory;
} fitted;

static void *
collapse(const data *set, clu_points *points, bool movable)
{
	clu_rows rows = {
		.x = set->bits, .w = set->w, .n = (size_t) set->n, .d = set->d, .movable = movable};
	clu_order order;
	clu_arena arena = {0};
	void	 *memory;
	size_t	  distinct;

	clu_order_layout(&order, &arena, rows.n, 1);
	arena = (clu_arena) {.base = memory = test_memory(arena.used)};
	clu_order_layout(&order, &arena, rows.n, 1);
	distinct = clu_order_sort(&order, &rows, NULL, NULL);
	arena = (clu_arena) {0};
	clu_points_layout(points, &arena, &rows, distinct, 1);
	arena = (clu_arena) {.base = test_memory(arena.used)};
	clu_points_layout(points, &arena, &rows, distinct, 1);
	clu_points_collapse(points, &order, &rows, NULL, NULL, NULL);
	free(memory);
	return arena.base;
}

static fitted
fit(const data *set, int k, const clu_options *options, const mixture *start)
{
	fitted	   result = {0};
	clu_points points;
	void	  *memory = collapse(set, &points, false);
	clu_model  from = {.algorithm = CLU_BERNOULLI, .k = k, .d = set->d};
	double	  *parameter = calloc(clu_parameter_count(CLU_BERNOULLI, 0, k, set->d), sizeof(double));
	clu_fit	   job = {.verbs = &clu_bernoulli_verbs, .points = &points};
	clu_error  error;
	clu_arena  arena = {0};

	job.error = &error;
	job.trace = watch;
	job.trace_context = &result.trace;
	job.model.algorithm = CLU_BERNOULLI;
	job.model.d = set->d;
	job.model.options = *options;
	result.status = clu_fit_clusters(options, k, points.n, &job.model.k, &error);
	if (start != NULL)
	{
		clu_model_bind(&from, parameter);
		memcpy(from.weight, start->weight, sizeof(double) * (size_t) k);
		memcpy(from.center, start->theta, sizeof(double) * (size_t) k * (size_t) set->d);
		job.start_model = &from;
	}
	if (result.status == CLU_OK)
	{
		clu_fit_layout(&job, &arena);
		arena = (clu_arena) {.base = result.memory = test_memory(arena.used)};
		clu_fit_layout(&job, &arena);
		result.status = clu_fit_run(&job);
		result.model = job.model;
	}
	free(parameter);
	free(memory);
	return result;
}

static clu_options
defaults(void)
{
	clu_options options;

	clu_options_default(&options, CLU_BERNOULLI);
	return options;
}

static clu_options
iterations(int n)
{
	clu_options options = defaults();

	clu_option_set_number(&options, CLU_TOL, 0);
	clu_option_set_integer(&options, CLU_MAX_ITER, n);
	return options;
}

static bool
same_parameters(const clu_model *a, const clu_model *b)
{
	return a->k == b->k && a->d == b->d &&
		   memcmp(a->parameter, b->parameter,
				  sizeof(double) * clu_parameter_count(CLU_BERNOULLI, 0, a->k, a->d)) == 0 &&
		   a->log_likelihood == b->log_likelihood;
}

/* ---- tests ---- */

static void
test_packing(void)
{
	bool same = true, ordered = true, refused = true;

	for (int trial = 0; trial < 200; trial++)
	{
		int		 d = 1 + draw_below(200), row = draw_below(d);
		double	 x[2][200], back[200];
		uint64_t bits[2][4] = {{0}};
		int		 by_value = 0, by_word = 0;

		for (int j = 0; j < d; j++)
		{
			x[0][j] = draw_below(2);
			x[1][j] = j < row ? x[0][j] : draw_below(2);
		}
		same = same && clu_pack(x[0], d, bits[0]) == d && clu_pack(x[1], d, bits[1]) == d;
		clu_unpack(bits[0], d, back);
		same = same && memcmp(back, x[0], sizeof(double) * (size_t) d) == 0;
		for (int j = d - 1; j >= 0; j--)
			by_value = x[0][j] != x[1][j] ? (x[0][j] < x[1][j] ? -1 : 1) : by_value;
		for (int j = (int) clu_words(d) - 1; j >= 0; j--)
			by_word = bits[0][j] != bits[1][j] ? (bits[0][j] < bits[1][j] ? -1 : 1) : by_word;
		ordered = ordered && by_value == by_word;
		x[0][row] = trial % 2 == 0 ? 0.5 : NAN;
		refused = refused && clu_pack(x[0], d, bits[0]) == row;
	}
	ok(same, "rows come out of their packed form as they went in");
	ok(ordered, "words order as the values do");
	ok(refused, "packing tells the first value that is neither 0 nor 1");
}

/* The points of packed rows are those of the same rows as doubles. */
static bool
same_points(const data *set)
{
	clu_rows   rows = {.x = set->x, .w = set->w, .n = (size_t) set->n, .d = set->d, .width = 8};
	clu_points packed, plain;
	clu_order  order;
	clu_arena  arena = {0}, other = {0};
	void	  *memory = collapse(set, &packed, false);
	bool	   same;

	clu_order_layout(&order, &arena, rows.n, 1);
	arena = (clu_arena) {.base = test_memory(arena.used)};
	clu_order_layout(&order, &arena, rows.n, 1);
	plain.n = clu_order_sort(&order, &rows, NULL, NULL);
	clu_points_layout(&plain, &other, &rows, plain.n, 1);
	other = (clu_arena) {.base = test_memory(other.used)};
	clu_points_layout(&plain, &other, &rows, plain.n, 1);
	clu_points_collapse(&plain, &order, &rows, NULL, NULL, NULL);

	same = plain.n == packed.n && plain.rows == packed.rows &&
		   plain.total_weight == packed.total_weight && (plain.w == NULL) == (packed.w == NULL);
	for (size_t i = 0; same && i < plain.n; i++)
		for (int j = 0; j < set->d; j++)
			same = same && ((double *) plain.x)[i * (size_t) set->d + (size_t) j] ==
							   clu_bit((uint64_t *) packed.x + i * clu_words(set->d), j);
	for (size_t i = 0; same && plain.w != NULL && i < plain.n; i++)
		same = plain.w[i] == packed.w[i];
	free(arena.base);
	free(other.base);
	free(memory);
	return same;
}

static bool
equal_points(const clu_points *a, const clu_points *b)
{
	size_t size = a->n * clu_row_size(a->d, a->width);

	return a->n == b->n && a->rows == b->rows && a->total_weight == b->total_weight &&
		   (a->w == NULL) == (b->w == NULL) && memcmp(a->x, b->x, size) == 0 &&
		   (a->w == NULL || memcmp(a->w, b->w, a->n * sizeof(double)) == 0);
}

/* The rows are ordered where they lie, and are still the same rows when that happens again. */
static bool
moves_in_place(data *set)
{
	clu_points copied, moved, again;
	void	  *first = collapse(set, &copied, false), *second = collapse(set, &moved, true);
	bool	   same = (moved.x == (void *) set->bits) == (clu_words(set->d) >= 4) &&
				equal_points(&copied, &moved);
	void *third = collapse(set, &again, true);

	same = same && equal_points(&copied, &again);
	free(first);
	free(second);
	free(third);
	return same;
}

static void
test_points(void)
{
	static const int shape[][2] = {{1, 1},	  {7, 3},	  {500, 9},	  {6000, 12}, {9000, 70},
								   {5000, 1}, {300, 250}, {6000, 64}, {2, 4200}};
	bool			 same = true, moved = true;

	for (int i = 0; i < 9; i++)
	{
		data set = random_data(shape[i][0], shape[i][1], 3, i % 2 == 1);

		same = same && same_points(&set);
		moved = moved && moves_in_place(&set);
		free_data(&set);
	}
	ok(same, "packed rows sort and collapse as the same rows of doubles do");
	ok(moved, "and where they lie, as often as one likes");
}

static bool
agrees(const clu_model *model, const mixture *m, double log_likelihood)
{
	bool same =
		close(model->log_likelihood, log_likelihood) && model->objective == -model->log_likelihood;

	for (int c = 0; c < m->k; c++)
		same = same && close(model->weight[c], m->weight[c]);
	for (int i = 0; i < m->k * m->d; i++)
		same = same && close(model->center[i], m->theta[i]);
	return same;
}

static void
test_reference(void)
{
	static const int shape[][3] = {{1, 40, 3},	  {2, 100, 15},	 {5, 300, 64},
								   {8, 700, 65},  {9, 200, 7},	 {16, 600, 130},
								   {17, 150, 33}, {40, 400, 90}, {3, 9000, 40}};
	bool			 same = true;

	for (int trial = 0; trial < 18; trial++)
	{
		const int  *s = shape[trial % 9];
		data		set = random_data(s[1], s[2], 4, trial >= 9);
		mixture		m = random_mixture(s[0], s[2]);
		clu_options options = iterations(6);
		bool		uniform = trial % 3 == 1;
		double		smoothing = trial % 4 == 2 ? 0.75 : 0;
		fitted		f;

		clu_option_set_integer(&options, CLU_ALLOW_FEWER, 0);
		if (uniform)
			clu_option_set_text(&options, CLU_WEIGHTS, "uniform", 7);
		clu_option_set_number(&options, CLU_SMOOTHING, smoothing);
		for (int c = 0; c < m.k && uniform; c++)
			m.weight[c] = 1.0 / m.k;
		f = fit(&set, s[0], &options, &m);
		if (f.status == CLU_OK)
		{
			for (int i = 0; i < f.model.iterations; i++)
				reference_pass(&m, &set, true, uniform, smoothing);
			same = same && agrees(&f.model, &m, reference_pass(&m, &set, false, uniform, 0));
			same = same && !f.trace.fell;
		}
		else
			same = false;
		free(f.memory);
		free_mixture(&m);
		free_data(&set);
	}
	ok(same, "theta, weights and log-likelihood are the reference's after six iterations");
}

static clu_scorer
make_scorer(const clu_model *model, void **memory)
{
	clu_scorer scorer;
	clu_arena  arena = {0};

	clu_score_layout(&scorer, &arena, model);
	arena = (clu_arena) {.base = *memory = test_memory(arena.used)};
	clu_score_layout(&scorer, &arena, model);
	clu_score_prepare(&scorer);
	return scorer;
}

static clu_model
model_of(const mixture *m)
{
	clu_model model = {.algorithm = CLU_BERNOULLI, .k = m->k, .d = m->d};

	clu_model_bind(&model,
				   calloc(clu_parameter_count(CLU_BERNOULLI, 0, m->k, m->d), sizeof(double)));
	memcpy(model.weight, m->weight, sizeof(double) * (size_t) m->k);
	memcpy(model.center, m->theta, sizeof(double) * (size_t) m->k * (size_t) m->d);
	return model;
}

static void
test_scores(void)
{
	bool density = true, shares = true, label = true, distance = true;

	for (int trial = 0; trial < 60; trial++)
	{
		int		   k = 1 + draw_below(20), d = 1 + draw_below(150);
		data	   set = random_data(5, d, 3, false);
		mixture	   m = random_mixture(k, d);
		clu_model  model = model_of(&m);
		void	  *memory;
		clu_scorer scorer = make_scorer(&model, &memory);

		for (int i = 0; i < set.n; i++)
		{
			const double *x = set.x + i * d;
			const double *packed = (const double *) (set.bits + (size_t) i * clu_words(d));
			double		  r[20], mine[20], log_density = reference_point(&m, x, r);
			int			  best = 0;

			density = density && close(scorer.verbs->log_density(&scorer, packed), log_density);
			scorer.verbs->probabilities(&scorer, packed, mine);
			for (int c = 0; c < k; c++)
			{
				shares = shares && close(mine[c], r[c]);
				best = r[c] > r[best] ? c : best;
			}
			label = label && scorer.verbs->label(&scorer, packed) == best;
			scorer.verbs->distances(&scorer, packed, mine);
			for (int c = 0; c < k; c++)
			{
				double sum = 0;

				for (int j = 0; j < d; j++)
					sum += fabs(x[j] - m.theta[c * d + j]);
				distance = distance && close(mine[c], sum);
			}
		}
		free(memory);
		free(model.parameter);
		free_mixture(&m);
		free_data(&set);
	}
	ok(density, "log densities are the reference's");
	ok(shares, "responsibilities are the reference's");
	ok(label, "the label is the component with the greatest responsibility");
	ok(distance, "distances are expected Hamming distances");
}

/* k = 1: theta is the mean of each column, 0 and 1 exactly where it is constant. */
static void
test_one_component(void)
{
	data		set = new_data(30, 4);
	clu_options options = defaults();
	fitted		f;

	for (int i = 0; i < 30; i++)
	{
		set.x[i * 4] = 1;
		set.x[i * 4 + 2] = i < 10;
		set.x[i * 4 + 3] = i % 2;
	}
	set.w = malloc(30 * sizeof(double));
	for (int i = 0; i < 30; i++)
		set.w[i] = 0.1;
	pack(&set);
	f = fit(&set, 1, &options, NULL);
	ok(f.status == CLU_OK && f.model.center[0] == 1 && f.model.center[1] == 0 &&
		   close(f.model.center[2], 1.0 / 3) && close(f.model.center[3], 0.5) &&
		   f.model.weight[0] == 1,
	   "one component: the means, and exactly 0 and 1 for constant columns");
	ok(close(f.model.log_likelihood, 3 * (log(0.5) + log(1.0 / 3) / 3 + log(2.0 / 3) * 2 / 3)),
	   "and minus the entropy as log-likelihood, where 0 log 0 is 0");
	ok(close(f.model.size[0], 3) && (f.model.flags & CLU_MODEL_CONVERGED) &&
		   (f.model.flags & CLU_MODEL_LIKELIHOOD),
	   "the size is the total weight, and the fit has converged");
	free(f.memory);
	free_data(&set);
}

/* Two rows, two components: each takes one, and nothing is left to chance. */
static void
test_two_rows(void)
{
	data		set = new_data(2, 100);
	clu_options options = defaults();
	fitted		f, three;
	bool		sharp = true;

	for (int j = 0; j < 100; j++)
		set.x[100 + j] = 1;
	pack(&set);
	f = fit(&set, 2, &options, NULL);
	for (int i = 0; i < 200; i++)
		sharp = sharp && (f.model.center[i] == 0 || f.model.center[i] == 1);
	ok(f.status == CLU_OK && sharp && close(f.model.log_likelihood, 2 * log(0.5)) &&
		   f.model.size[0] == 1 && f.model.size[1] == 1,
	   "two rows are two components with thetas of 0 and 1");
	three = fit(&set, 3, &options, NULL);
	ok(three.status == CLU_FEWER_POINTS, "three components on two distinct rows are refused");
	clu_option_set_boolean(&options, CLU_ALLOW_FEWER, true);
	three = fit(&set, 3, &options, NULL);
	ok(three.status == CLU_OK && three.model.k == 2 && same_parameters(&three.model, &f.model),
	   "or become two with allow_fewer");
	free(three.memory);
	free(f.memory);
	free_data(&set);
}

static void
test_impossible(void)
{
	mixture		 m = new_mixture(3, 4);
	data		 set = new_data(4, 4);
	clu_model	 model;
	clu_scorer	 scorer;
	void		*memory;
	double		 r[3];
	const double theta[12] = {0, 0, 0, 0.5, 1, 1, 0, 0.25, 1, 1, 1, 0.5};
	/* the first row contradicts 1 and 2 in one bit, the third 3 in one, the last 2 in none */
	const double x[16] = {1, 0, 0, 0, 1, 0, 0, 1, 0, 1, 1, 0, 1, 1, 0, 1};
	clu_options	 options = iterations(5);
	fitted		 f;

	memcpy(m.theta, theta, sizeof(theta));
	m.weight[0] = m.weight[1] = 0.25;
	m.weight[2] = 0.5;
	memcpy(set.x, x, sizeof(x));
	pack(&set);
	model = model_of(&m);
	scorer = make_scorer(&model, &memory);
	ok(scorer.verbs->log_density(&scorer, (const double *) (set.bits + 2)) == -INFINITY,
	   "the log density of an impossible point is -infinity");
	scorer.verbs->probabilities(&scorer, (const double *) (set.bits + 2), r);
	ok(scorer.verbs->label(&scorer, (const double *) (set.bits + 2)) == 2 && r[0] == 0 &&
		   r[1] == 0 && r[2] == 1,
	   "it belongs to the component with the fewest contradicted bits");
	ok(scorer.verbs->label(&scorer, (const double *) set.bits) == 1,
	   "among equals, to the one that makes the other bits likelier");
	ok(close(scorer.verbs->log_density(&scorer, (const double *) (set.bits + 3)), log(0.0625)) &&
		   scorer.verbs->label(&scorer, (const double *) (set.bits + 3)) == 1,
	   "a point that agrees with all thetas of 0 and 1 is possible");
	f = fit(&set, 3, &options, &m);
	ok(f.status == CLU_OK && isfinite(f.model.log_likelihood) && !f.trace.fell,
	   "a fit from a start that forbids points finds its way");
	free(f.memory);
	free(memory);
	free(model.parameter);
	free_mixture(&m);
	free_data(&set);
}

/* A component that no point belongs to: weight 0, theta as it was. */
static void
test_dead_component(void)
{
	data		set = random_data(50, 600, 1, false);
	mixture		m = random_mixture(2, 600);
	clu_options options = iterations(3);
	fitted		f;

	for (int j = 0; j < 600; j++)
	{
		m.theta[j] = 0.5;
		m.theta[600 + j] = set.x[j] == 1 ? 1e-9 : 1 - 1e-9;
	}
	f = fit(&set, 2, &options, &m);
	ok(f.status == CLU_OK && f.model.weight[1] == 0 && f.model.weight[0] == 1 &&
		   f.model.center[600] == m.theta[600] && isfinite(f.model.log_likelihood),
	   "a component without points keeps its theta and has weight 0");
	free(f.memory);
	free_mixture(&m);
	free_data(&set);
}

static void
test_monotone(void)
{
	bool rises = true, valid = true, smooth = true;

	for (int trial = 0; trial < 80; trial++)
	{
		data set =
			random_data(5 + draw_below(300), 1 + draw_below(90), 1 + draw_below(5), trial % 2 == 0);
		clu_options options = iterations(40);
		fitted		f;

		clu_option_set_boolean(&options, CLU_ALLOW_FEWER, true);
		clu_option_set_integer(&options, CLU_SEED, trial);
		if (trial % 5 == 0)
			clu_option_set_text(&options, CLU_WEIGHTS, "uniform", 7);
		if (trial % 3 == 0)
			clu_option_set_text(&options, CLU_INIT, "random", 6);
		if (trial % 7 == 0)
			clu_option_set_number(&options, CLU_SMOOTHING, 0.5);
		f = fit(&set, 1 + draw_below(12), &options, NULL);
		rises = rises && f.status == CLU_OK && !f.trace.fell && isfinite(f.model.log_likelihood);
		for (int i = 0; i < f.model.k * f.model.d; i++)
		{
			valid = valid && f.model.center[i] >= 0 && f.model.center[i] <= 1;
			smooth = smooth && (trial % 7 != 0 || (f.model.center[i] > 0 && f.model.center[i] < 1));
		}
		free(f.memory);
		free_data(&set);
	}
	ok(rises, "the log-likelihood never falls, nor with smoothing the posterior");
	ok(valid, "thetas are probabilities");
	ok(smooth, "and with smoothing never 0 or 1");
}

static void
test_kernels(void)
{
	static const char *const names[] = {"base", "avx2", "avx512"};
	bool					 same = true;

	for (int trial = 0; trial < 6; trial++)
	{
		data		set = random_data(700, 30 + 41 * trial, 5, trial % 2 == 0);
		clu_options options = iterations(20);
		int			k = 3 + 5 * trial;
		fitted		first, next;

		clu_kernel_force("base");
		first = fit(&set, k, &options, NULL);
		for (int i = 1; i < 3; i++)
			if (clu_kernel_force(names[i]))
			{
				next = fit(&set, k, &options, NULL);
				same = same && same_parameters(&first.model, &next.model);
				free(next.memory);
			}
		free(first.memory);
		free_data(&set);
	}
	clu_kernel_choose();
	ok(same, "all instruction sets give the same bits");
}

/* Terms from near to far below the largest, some of them, or all of a row, -infinity. */
static bool
shares_out(int kp, int n)
{
	size_t	 count = (size_t) (kp * n);
	double	*a = malloc(count * sizeof(double)), *plain = malloc(count * sizeof(double));
	double	*log_sum = malloc((size_t) n * sizeof(double)), plain_sum;
	uint8_t *counts = malloc(count / 8);
	bool	 right = true;

	for (size_t i = 0; i < count; i++)
		a[i] = draw_below(5) == 0 || draw_below(9) < (int) (i / (size_t) kp) % 10
				   ? -INFINITY
				   : -50 * clu_random_uniform(&source) * draw_below(20) - 700;
	memcpy(plain, a, count * sizeof(double));
	clu_kernel->softmax(a, kp, n, log_sum, counts);
	for (int i = 0; i < n; i++)
	{
		clu_softmax(plain + i * kp, (size_t) kp, &plain_sum);
		right = right && log_sum[i] == plain_sum;
	}
	right = right && memcmp(a, plain, count * sizeof(double)) == 0;
	for (size_t i = 0; i < count; i++)
		right = right && (counts[i / 8] >> i % 8 & 1) == (a[i] >= CLU_NEGLIGIBLE);
	free(a);
	free(plain);
	free(log_sum);
	free(counts);
	return right;
}

static void
test_softmax(void)
{
	static const char *const names[] = {"base", "avx2", "avx512"};
	bool					 right = true;

	for (int kernel = 0; kernel < 3; kernel++)
		if (clu_kernel_force(names[kernel]))
			for (int trial = 0; trial < 300; trial++)
				right = right && shares_out(8 * (1 + draw_below(6)), 1 + draw_below(100));
	clu_kernel_choose();
	ok(right, "softmax of many rows is that of one, and tells what isn't negligible");
}

/* Listed rows with shares over a wide range; column 0 has a 1 in all rows, column 1 in none. */
static bool
adds_ones(int words, int n)
{
	static const char *const names[] = {"base", "avx2", "avx512"};
	size_t					 columns = (size_t) words * 64;
	uint64_t				*x = calloc((size_t) (100 * words), sizeof(uint64_t));
	double					*sum[3], share[100];
	uint32_t				 row[100];
	bool					 right = true;

	for (int i = 0; i < 100 * words; i++)
		x[i] = clu_random_bits(&source);
	for (int i = 0; i < 100; i++)
	{
		x[i * words] |= UINT64_C(1) << 63;
		x[i * words] &= ~(UINT64_C(1) << 62);
		row[i] = (uint32_t) (i * 37 % 100);
		share[i] = ldexp(clu_random_uniform(&source), -draw_below(60));
	}
	for (int kernel = 0; kernel < 3; kernel++)
	{
		sum[kernel] = calloc(columns + 1, sizeof(double));
		if (!clu_kernel_force(names[kernel]))
			continue;
		clu_kernel->add_ones(x, (size_t) words, row, share, n, sum[kernel]);
		right = right && memcmp(sum[0], sum[kernel], (columns + 1) * sizeof(double)) == 0;
	}
	for (size_t j = 0; j < columns; j++)
	{
		long double plain = 0;
		double		found = sum[0][clu_ones_place(j)];

		for (int i = 0; i < n; i++)
			plain += clu_bit(x + row[i] * (size_t) words, (int) j) ? share[i] : 0;
		right = right && fabs((double) plain - found) <= 1e-14 * (double) plain &&
				found <= sum[0][columns];
	}
	right = right && sum[0][clu_ones_place(0)] == sum[0][columns];
	for (int kernel = 0; kernel < 3; kernel++)
		free(sum[kernel]);
	free(x);
	return right;
}

static void
test_ones(void)
{
	bool right = true;

	for (int words = 1; words <= 9; words++)
		for (int n = 0; n <= 100; n++)
			right = right && adds_ones(words, n);
	clu_kernel_choose();
	ok(right, "shares of listed rows add up by columns, to the sum of all where all have a 1");
}

static void
test_order(void)
{
	data		set = random_data(800, 20, 4, false);
	data		shuffled = new_data(800, 20), doubled = new_data(1600, 20);
	data		weighted = new_data(800, 20);
	clu_options options = defaults();
	fitted		a, b, c, e;

	for (int i = 0; i < 800; i++)
	{
		int to = (i * 337) % 800;

		memcpy(shuffled.x + to * 20, set.x + i * 20, 20 * sizeof(double));
		memcpy(doubled.x + to * 20, set.x + i * 20, 20 * sizeof(double));
		memcpy(doubled.x + (800 + i) * 20, set.x + i * 20, 20 * sizeof(double));
		memcpy(weighted.x + i * 20, set.x + i * 20, 20 * sizeof(double));
	}
	weighted.w = malloc(800 * sizeof(double));
	for (int i = 0; i < 800; i++)
		weighted.w[i] = 2;
	pack(&shuffled);
	pack(&doubled);
	pack(&weighted);
	a = fit(&set, 4, &options, NULL);
	b = fit(&shuffled, 4, &options, NULL);
	c = fit(&doubled, 4, &options, NULL);
	e = fit(&weighted, 4, &options, NULL);
	ok(same_parameters(&a.model, &b.model),
	   "the order of the rows makes no difference, to the bit");
	ok(same_parameters(&c.model, &e.model) && c.model.rows == 1600 && e.model.rows == 1600,
	   "nor whether rows come twice or with weight 2");
	free(a.memory);
	free(b.memory);
	free(c.memory);
	free(e.memory);
	free_data(&set);
	free_data(&shuffled);
	free_data(&doubled);
	free_data(&weighted);
}

static void
test_sizes(void)
{
	data		one = new_data(9, 1), wide = random_data(60, 10000, 3, false);
	clu_options options = defaults();
	fitted		f;

	for (int i = 0; i < 9; i++)
		one.x[i] = i < 3;
	pack(&one);
	f = fit(&one, 2, &options, NULL);
	ok(f.status == CLU_OK && close(f.model.log_likelihood, 3 * log(1.0 / 3) + 6 * log(2.0 / 3)),
	   "one column: any mixture is one coin");
	free(f.memory);
	f = fit(&wide, 3, &options, NULL);
	ok(f.status == CLU_OK && isfinite(f.model.log_likelihood) && f.model.log_likelihood < -1000 &&
		   (f.model.flags & CLU_MODEL_CONVERGED),
	   "10,000 columns: nothing underflows");
	free(f.memory);
	free_data(&one);
	free_data(&wide);
}

/* A sample is drawn from more points than 8192; heavy points must not leave fewer than k. */
static void
test_sampled_start(void)
{
	data		set = random_data(12000, 40, 6, true);
	clu_options options = iterations(3);
	fitted		f;

	for (int i = 0; i < 4; i++)
		set.w[i * 1000] = 1e9;
	f = fit(&set, 30, &options, NULL);
	ok(f.status == CLU_OK && f.model.k == 30 && isfinite(f.model.log_likelihood) && !f.trace.fell,
	   "a start from a sample, with a few points that outweigh the others");
	free(f.memory);
	free_data(&set);
}

/* Rows of the zoo: best known log-likelihoods, found by thousands of random starts. */
static void
test_zoo(void)
{
	static const double best[] = {-852.56668728, -649.38110400, -569.05625522, -507.65923391};
	FILE			   *file = popen("gzip -dc test/data/zoo.csv.gz", "r");
	data				set = new_data(101, 15);
	bool				found = file != NULL;

	for (int i = 0; i < 101 * 15 && found; i++)
		found = fscanf(file, "%lf%*c", &set.x[i]) == 1;
	pack(&set);
	for (int k = 1; k <= 4 && found; k++)
	{
		clu_options options = defaults();
		fitted		f;

		clu_option_set_number(&options, CLU_TOL, 1e-12);
		f = fit(&set, k, &options, NULL);
		found = fabs(f.model.log_likelihood - best[k - 1]) < 1e-7;
		free(f.memory);
	}
	ok(found, "the zoo's best known log-likelihoods for 1 to 4 components");
	if (file != NULL)
		pclose(file);
	free_data(&set);
}

/* Moments of the mixture against those of all 2^d rows, and of rows drawn from it. */
static void
test_moments(void)
{
	mixture		m = random_mixture(3, 6);
	clu_model	model = model_of(&m);
	double		mean[6], covariance[36], first[6] = {0}, second[36] = {0}, drawn[6] = {0}, r[3];
	int			counts[3] = {0};
	bool		same = true, sampled = true;
	clu_arena	arena = {0};
	clu_sampler sampler;

	for (int row = 0; row < 64; row++)
	{
		double x[6], p;

		for (int j = 0; j < 6; j++)
			x[j] = (row >> j) & 1;
		p = exp(reference_point(&m, x, r));
		for (int j = 0; j < 6; j++)
			first[j] += p * x[j];
		for (int i = 0; i < 36; i++)
			second[i] += p * x[i / 6] * x[i % 6];
	}
	clu_mixture_mean(&model, mean);
	clu_mixture_covariance(&model, mean, covariance, NULL);
	for (int i = 0; i < 36; i++)
		same = same && close(mean[i % 6], first[i % 6]) &&
			   close(covariance[i], second[i] - first[i / 6] * first[i % 6]);
	ok(same, "mean and covariance are those of the distribution over all rows");
	clu_sampler_layout(&sampler, &arena, &model);
	arena = (clu_arena) {.base = test_memory(arena.used)};
	clu_sampler_layout(&sampler, &arena, &model);
	clu_sampler_begin(&sampler, 7, NULL);
	for (int i = 0; i < 40000; i++)
	{
		double x[6];

		counts[clu_sampler_next(&sampler, x)]++;
		for (int j = 0; j < 6; j++)
			drawn[j] += x[j] / 40000;
	}
	for (int j = 0; j < 6; j++)
		sampled = sampled && fabs(drawn[j] - mean[j]) < 0.0125; /* five standard errors */
	for (int c = 0; c < 3; c++)
		sampled = sampled && fabs(counts[c] / 40000.0 - m.weight[c]) < 0.0125;
	ok(sampled, "drawn rows come with the shares and means of the mixture");
	free(arena.base);
	free(model.parameter);
	free_mixture(&m);
}

int
main(void)
{
	clu_kernel_choose();
	test_packing();
	test_points();
	test_reference();
	test_scores();
	test_one_component();
	test_two_rows();
	test_impossible();
	test_dead_component();
	test_monotone();
	test_kernels();
	test_softmax();
	test_ones();
	test_order();
	test_sizes();
	test_sampled_start();
	test_moments();
	test_zoo();
	return finish_tests();
}
