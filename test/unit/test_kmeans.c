/*
 * test_kmeans.c
 *		K-means from given starts against a plain Lloyd iteration; determinism; extreme data.
 *
 * Stand-alone; prints TAP.  What the fit makes of starts of its own is in test_kmeans_quality.c.
 */
#include "fitting.h"

#include <float.h>

/* ---- the reference ---- */

/*
 * Lloyd's iteration, as plainly as it can be written: distinct points in lexicographic order, every
 * distance computed, means of sums in a wide type.
 */
typedef struct lloyd
{
	size_t	n; /* distinct points */
	int		d, k;
	double *x, *w;
	double *center;
	int	   *label;
	int		refits;
	bool	converged;
	double	objective;
	double *size, *cost;
} lloyd;

static int compared_d;

static int
compare_points(const void *a, const void *b)
{
	const double *x = a, *y = b;

	for (int j = 0; j < compared_d; j++)
		if (x[j] != y[j])
			return x[j] < y[j] ? -1 : 1;
	return 0;
}

/* Distinct rows with their weights. */
static void
collect_points(lloyd *l, const clu_rows *rows)
{
	size_t	width = (size_t) rows->d + 1;
	double *sorted = test_memory(rows->n * width * sizeof(double));

	for (size_t i = 0; i < rows->n; i++)
	{
		for (int j = 0; j < rows->d; j++)
			sorted[i * width + (size_t) j] = get_value(rows, i, j);
		sorted[i * width + (size_t) rows->d] = get_weight(rows, i);
	}
	compared_d = rows->d;
	qsort(sorted, rows->n, width * sizeof(double), compare_points);
	l->x = test_memory(rows->n * (size_t) rows->d * sizeof(double));
	l->w = test_memory(rows->n * sizeof(double));
	l->n = 0;
	for (size_t i = 0; i < rows->n; i++)
	{
		if (i > 0 && compare_points(sorted + i * width, sorted + (i - 1) * width) == 0)
			l->w[l->n - 1] += sorted[i * width + (size_t) rows->d];
		else
		{
			memcpy(l->x + l->n * (size_t) rows->d, sorted + i * width,
				   (size_t) rows->d * sizeof(double));
			l->w[l->n++] = sorted[i * width + (size_t) rows->d];
		}
	}
	free(sorted);
}

static double
squared_distance(const double *x, const double *c, int d)
{
	double sum = 0;

	for (int j = 0; j < d; j++)
		sum += (x[j] - c[j]) * (x[j] - c[j]);
	return sum;
}

static int
nearest_center(const double *x, const double *center, int k, int d)
{
	int best = 0;

	for (int c = 1; c < k; c++)
		if (squared_distance(x, center + c * d, d) < squared_distance(x, center + best * d, d))
			best = c;
	return best;
}

/* Every point to its nearest centre; how many changed. */
static size_t
assign_points(lloyd *l)
{
	size_t changed = 0;

	for (size_t i = 0; i < l->n; i++)
	{
		int label = nearest_center(l->x + i * (size_t) l->d, l->center, l->k, l->d);

		changed += label != l->label[i];
		l->label[i] = label;
	}
	return changed;
}

/* Every empty cluster, in turn, takes the farthest point of a cluster that keeps another one. */
static void
fill_empty(lloyd *l)
{
	size_t *count = calloc((size_t) l->k, sizeof(size_t));
	double *distance = test_memory(l->n * sizeof(double));

	for (size_t i = 0; i < l->n; i++)
	{
		distance[i] =
			squared_distance(l->x + i * (size_t) l->d, l->center + l->label[i] * l->d, l->d);
		count[l->label[i]]++;
	}
	for (int c = 0; c < l->k; c++)
		if (count[c] == 0)
		{
			size_t farthest = l->n;

			for (size_t i = 0; i < l->n; i++)
				if (count[l->label[i]] > 1 &&
					(farthest == l->n || distance[i] > distance[farthest]))
					farthest = i;
			count[l->label[farthest]]--;
			count[c]++;
			l->label[farthest] = c;
		}
	free(count);
	free(distance);
}

static void
refit(lloyd *l)
{
	for (int c = 0; c < l->k; c++)
		for (int j = 0; j < l->d; j++)
		{
			wide sum = 0, weight = 0;

			for (size_t i = 0; i < l->n; i++)
				if (l->label[i] == c)
				{
					sum += (wide) l->w[i] * l->x[i * (size_t) l->d + (size_t) j];
					weight += l->w[i];
				}
			l->center[c * l->d + j] = (double) (sum / weight);
		}
}

static void
measure(lloyd *l)
{
	wide objective = 0;

	for (int c = 0; c < l->k; c++)
	{
		wide size = 0, cost = 0;

		for (size_t i = 0; i < l->n; i++)
			if (l->label[i] == c)
			{
				size += l->w[i];
				cost += (wide) l->w[i] *
						squared_distance(l->x + i * (size_t) l->d, l->center + c * l->d, l->d);
			}
		l->size[c] = (double) size;
		l->cost[c] = (double) cost;
		objective += cost;
	}
	l->objective = (double) objective;
}

static void
run_lloyd(lloyd *l, const clu_rows *rows, int k, const double *start, int max_iter)
{
	size_t count = (size_t) k * (size_t) rows->d;

	memset(l, 0, sizeof(*l));
	l->d = rows->d;
	l->k = k;
	collect_points(l, rows);
	l->center = test_memory(count * sizeof(double));
	memcpy(l->center, start, count * sizeof(double));
	l->label = test_memory(l->n * sizeof(int));
	l->size = test_memory((size_t) k * sizeof(double));
	l->cost = test_memory((size_t) k * sizeof(double));
	for (size_t i = 0; i < l->n; i++)
		l->label[i] = -1;
	for (;;)
	{
		l->converged = assign_points(l) == 0;
		if (l->converged || l->refits == max_iter)
			break;
		fill_empty(l);
		refit(l);
		l->refits++;
	}
	measure(l);
}

static void
free_lloyd(lloyd *l)
{
	free(l->x);
	free(l->w);
	free(l->center);
	free(l->label);
	free(l->size);
	free(l->cost);
}

/* ---- cases ---- */

enum
{
	GRID, /* small integers: ties and duplicates everywhere */
	NORMAL,
	CLUSTERS,
	OFFSET,
	SCALES,
	LINE, /* few values in one of the columns */
	CASES
};

static const char *const case_names[] = {
	"small integers",
	"normal data",
	"clustered data",
	"data far from the origin",
	"columns of very different scales",
	"data with a nearly constant column",
};

enum
{
	FROM_ROWS,
	FROM_SAME_ROW, /* all centres are the same: all but one are empty */
	FROM_AFAR,
	FROM_ANYWHERE,
	STARTS
};

static double
case_value(int kind, size_t i, int j)
{
	switch (kind)
	{
		case GRID:
			return (double) random_below(6);
		case CLUSTERS:
			return random_normal() + (double) ((i * 5 + (size_t) j) % 4 * 15);
		case OFFSET:
			return 1e9 + random_normal();
		case SCALES:
			return random_normal() * pow(10, 4 * (j % 3) - 4);
		case LINE:
			return j % 2 ? (double) (random_below(20) == 0) : random_normal();
		default:
			return random_normal();
	}
}

static clu_rows
case_rows(int kind, size_t n, int d, int width, int weighting)
{
	clu_rows rows = make_rows(n, d, width);

	for (size_t i = 0; i < n; i++)
		for (int j = 0; j < d; j++)
			set_value(&rows, i, j, case_value(kind, i, j));
	if (weighting > 0)
	{
		double *w = add_weights(&rows);

		for (size_t i = 0; i < n; i++)
			w[i] = weighting == 1	? (double) (1 + random_below(4))
				   : weighting == 2 ? 0.01 + random_unit()
									: ldexp(1, (int) random_below(20) - 10);
	}
	return rows;
}

static double *
case_start(int how, const clu_rows *rows, int kind, int k)
{
	double *start = test_memory((size_t) k * (size_t) rows->d * sizeof(double));
	size_t	same = random_below(rows->n);

	for (int c = 0; c < k; c++)
	{
		size_t row = how == FROM_SAME_ROW ? same : random_below(rows->n);

		for (int j = 0; j < rows->d; j++)
			start[c * rows->d + j] = how == FROM_AFAR		? 1e4 * random_normal()
									 : how == FROM_ANYWHERE ? case_value(kind, (size_t) c, j)
															: get_value(rows, row, j);
	}
	return start;
}

/* Distinct rows, as many clusters as a case may have. */
static size_t
count_distinct(const clu_rows *rows)
{
	prepared p;

	prepare_points(&p, rows);
	free_points(&p);
	return p.distinct;
}

/* ---- comparison ---- */

static int	  compared, bit_equal;
static double worst_center;

static bool
same_result(const fitted *f, const lloyd *l, const clu_rows *rows)
{
	const clu_model *m = &f->fit.model;
	bool			 good = f->status == CLU_OK && m->k == l->k && m->iterations == l->refits &&
				f->trace_count == (size_t) l->refits &&
				((m->flags & CLU_MODEL_CONVERGED) != 0) == l->converged;

	if (!good)
	{
		printf("# status %d, %d refits instead of %d\n", f->status, (int) m->iterations, l->refits);
		return false;
	}
	for (int i = 0; i < m->k * m->d; i++)
	{
		compared++;
		bit_equal += m->center[i] == l->center[i];
		if (m->center[i] != l->center[i])
			worst_center = fmax(worst_center, fabs(m->center[i] / l->center[i] - 1));
		good = good && near(m->center[i], l->center[i], 1e-12);
	}
	for (int c = 0; c < m->k; c++)
		good = good && near(m->size[c], l->size[c], 1e-13) && near(m->cost[c], l->cost[c], 1e-12) &&
			   near(m->weight[c], l->size[c] / m->total_weight, 1e-13);
	good = good && near(m->objective, l->objective, 1e-12);
	for (size_t i = 0; i < l->n && good; i++)
		good = nearest_center(l->x + i * (size_t) l->d, m->center, m->k, m->d) == l->label[i];
	return good && rows->n > 0;
}

static bool
case_passes(int kind, size_t n, int d, int k, int width, int weighting, int how, int max_iter)
{
	clu_rows	rows = case_rows(kind, n, d, width, weighting);
	clu_options options = default_options();
	double	   *start;
	fitted		f;
	lloyd		l;
	bool		good;
	size_t		distinct = count_distinct(&rows);

	k = (size_t) k > distinct ? (int) distinct : k;
	start = case_start(how, &rows, kind, k);
	clu_option_set_integer(&options, CLU_MAX_ITER, max_iter);
	fit_rows(&f, &rows, k, &options, start);
	run_lloyd(&l, &rows, k, start, max_iter);
	good = same_result(&f, &l, &rows);
	if (!good)
		printf("# %s, n %zu (%zu distinct), d %d, k %d, width %d, weights %d, start %d\n",
			   case_names[kind], n, distinct, d, k, width, weighting, how);
	free(start);
	free_fit(&f);
	free_lloyd(&l);
	free_rows(&rows);
	return good;
}

static void
test_small_cases(void)
{
	for (int kind = 0; kind < CASES; kind++)
	{
		bool good = true;

		random_seed((uint64_t) kind);
		for (int repeat = 0; repeat < 1500; repeat++)
			good &= case_passes(kind, 1 + random_below(repeat % 5 ? 30 : 150),
								1 + (int) random_below(4), 1 + (int) random_below(12),
								repeat % 3 == 2 ? 4 : 8, repeat % 4, repeat / 4 % STARTS,
								repeat % 7 == 0 ? 1 + (int) random_below(3) : 300);
		ok(good, "1,500 fits like the plain iteration: %s", case_names[kind]);
	}
}

static void
test_large_cases(void)
{
	bool good = true;

	for (int kind = 0; kind < CASES; kind++)
	{
		good &= case_passes(kind, 3000, 2, 40, 8, 0, FROM_ROWS, 300);
		good &= case_passes(kind, 1000, 17, 25, 4, 2, FROM_ANYWHERE, 300);
		good &= case_passes(kind, 300, 400, 12, 8, 1, FROM_ROWS, 300);
		good &= case_passes(kind, 60, 2000, 15, 4, 0, FROM_ROWS, 300);
		good &= case_passes(kind, 700, 1, 200, 8, 0, FROM_SAME_ROW, 30);
	}
	ok(good, "large fits like the plain iteration");
}

static void
test_every_kernel(void)
{
	for (int kernel = 0; kernel < KERNELS; kernel++)
	{
		bool good = true;

		if (!use_kernel(kernel))
		{
			ok(true, "kernel %s # SKIP not on this machine", kernel_names[kernel]);
			continue;
		}
		random_seed(5);
		for (int repeat = 0; repeat < 200; repeat++)
			good &= case_passes(repeat % CASES, 1 + random_below(200), 1 + (int) random_below(10),
								1 + (int) random_below(40), repeat % 2 ? 4 : 8, repeat % 4,
								repeat % STARTS, 300);
		ok(good, "200 fits like the plain iteration with kernel %s", kernel_names[kernel]);
	}
	clu_kernel_choose();
}

/* ---- determinism ---- */

/* A fit from k with all sorts of options. */
static clu_options
some_options(int repeat)
{
	clu_options options = default_options();

	clu_option_set_integer(&options, CLU_SEED, repeat);
	clu_option_set_boolean(&options, CLU_ALLOW_FEWER, true);
	clu_option_set_integer(&options, CLU_N_INIT, 1 + repeat % 3);
	if (repeat % 5 == 0)
		clu_option_set_text(&options, CLU_INIT, "random", 6);
	if (repeat % 7 == 0)
		clu_option_set_integer(&options, CLU_MAX_ITER, 2);
	if (repeat % 11 == 0)
		clu_option_set_number(&options, CLU_TOL, 1e-3);
	if (repeat % 4 == 3)
		clu_option_set_number(&options, CLU_BETA, 0.5);
	return options;
}

/* The rows as they are, and the same set in another form, must give the same model. */
static bool
same_fits(const clu_rows *a, const clu_rows *b, int k, const clu_options *options)
{
	fitted fa, fb;
	bool   same;

	fit_rows(&fa, a, k, options, NULL);
	fit_rows(&fb, b, k, options, NULL);
	same = same_models(&fa, &fb);
	free_fit(&fa);
	free_fit(&fb);
	return same;
}

static void
test_order_of_rows(void)
{
	bool good = true;

	for (int repeat = 0; repeat < 200; repeat++)
	{
		clu_rows rows =
			case_rows(repeat % CASES, 20 + random_below(200), 1 + repeat % 3, 8, repeat % 4);
		size_t	   *index = shuffled_index(rows.n);
		clu_rows	shuffled = pick_rows(&rows, index, rows.n, 8);
		clu_options options = some_options(repeat);

		good &= same_fits(&rows, &shuffled, 1 + (int) random_below(5), &options);
		free(index);
		free_rows(&rows);
		free_rows(&shuffled);
	}
	ok(good, "the rows in another order give the same model");
}

static void
test_duplicates_as_weights(void)
{
	bool good = true;

	for (int repeat = 0; repeat < 200; repeat++)
	{
		clu_rows	rows = case_rows(repeat % CASES, 20 + random_below(100), 1 + repeat % 3, 8, 1);
		size_t	   *index = test_memory(rows.n * 5 * sizeof(size_t)), n = 0;
		clu_rows	many;
		clu_options options = some_options(repeat);

		for (size_t i = 0; i < rows.n; i++)
			for (int copy = 0; copy < (int) rows.w[i]; copy++)
				index[n++] = i;
		many = pick_rows(&rows, index, n, 8);
		free((void *) many.w);
		many.w = NULL;
		good &= same_fits(&rows, &many, 1 + (int) random_below(5), &options);
		free(index);
		free_rows(&rows);
		free_rows(&many);
	}
	ok(good, "rows repeated give the same model as whole weights");
}

static void
test_width(void)
{
	bool good = true;

	for (int repeat = 0; repeat < 200; repeat++)
	{
		int		 kind = repeat % CASES == OFFSET ? NORMAL : repeat % CASES;
		clu_rows floats = case_rows(kind, 20 + random_below(200), 1 + repeat % 20, 4, repeat % 4);
		size_t	*index = shuffled_index(floats.n);
		clu_rows doubles = pick_rows(&floats, index, floats.n, 8);
		clu_options options = some_options(repeat);

		good &= same_fits(&floats, &doubles, 1 + (int) random_below(15), &options);
		free(index);
		free_rows(&floats);
		free_rows(&doubles);
	}
	ok(good, "values stored in 4 bytes give the same model as the same values in 8");
}

static void
test_kernels_agree(void)
{
	bool good = true;

	for (int repeat = 0; repeat < 120; repeat++)
	{
		clu_rows	rows = case_rows(repeat % CASES, 20 + random_below(300), 1 + repeat % 20,
									 repeat % 3 ? 8 : 4, repeat % 4);
		clu_options options = some_options(repeat);
		fitted		f[KERNELS];
		int			k = 1 + (int) random_below(20);

		for (int kernel = 0; kernel < KERNELS; kernel++)
			if (use_kernel(kernel))
			{
				fit_rows(&f[kernel], &rows, k, &options, NULL);
				if (kernel > 0)
					good = good && same_models(&f[0], &f[kernel]);
			}
		for (int kernel = 0; kernel < KERNELS; kernel++)
			if (use_kernel(kernel))
				free_fit(&f[kernel]);
		free_rows(&rows);
	}
	clu_kernel_choose();
	ok(good, "all kernels give the same model, bit for bit");
}

/* A power of two changes the exponents, and nothing else. */
static void
test_scaling(void)
{
	const int exponents[] = {1, -1, 30, -30, 300, -300, 390, -390};
	bool	  good = true;

	for (int repeat = 0; repeat < 160; repeat++)
	{
		double	 factor = ldexp(1, exponents[repeat % 8]);
		clu_rows rows =
			case_rows(repeat % CASES, 20 + random_below(100), 1 + repeat % 3, 8, repeat % 4);
		clu_rows	scaled = make_rows(rows.n, rows.d, 8);
		clu_options options = default_options();
		fitted		a, b;
		int			k = 1 + (int) random_below(8);

		for (size_t i = 0; i < rows.n; i++)
			for (int j = 0; j < rows.d; j++)
				set_value(&scaled, i, j, get_value(&rows, i, j) * factor);
		if (rows.w != NULL)
			memcpy(add_weights(&scaled), rows.w, rows.n * sizeof(double));
		clu_option_set_integer(&options, CLU_SEED, repeat);
		clu_option_set_boolean(&options, CLU_ALLOW_FEWER, true);
		fit_rows(&a, &rows, k, &options, NULL);
		fit_rows(&b, &scaled, k, &options, NULL);
		good = good && a.status == CLU_OK && b.status == CLU_OK &&
			   a.fit.model.iterations == b.fit.model.iterations &&
			   a.fit.model.objective * factor * factor == b.fit.model.objective;
		for (int c = 0; good && c < a.fit.model.k; c++)
			good = a.fit.model.size[c] == b.fit.model.size[c];
		for (int i = 0; good && i < a.fit.model.k * rows.d; i++)
			good = a.fit.model.center[i] * factor == b.fit.model.center[i];
		free_fit(&a);
		free_fit(&b);
		free_rows(&rows);
		free_rows(&scaled);
	}
	ok(good, "data times a power of two give centres times that power of two");
}

/* The same data 1e8 spreads away from the origin: no label changes. */
static void
test_translation(void)
{
	bool good = true;

	for (int repeat = 0; repeat < 200; repeat++)
	{
		/* coordinates are multiples of 2^-20 within 16, so that the sum with 2^27 is exact */
		clu_rows	rows = make_rows(100, 3, 8), moved = make_rows(100, 3, 8);
		double		offset = repeat % 2 ? 0x1p27 : -0x1p30;
		double	   *start, *moved_start;
		fitted		a, b;
		clu_options options = default_options();

		for (size_t i = 0; i < rows.n; i++)
			for (int j = 0; j < 3; j++)
			{
				double value = rint(random_normal() * 0x1p20) * 0x1p-20;

				set_value(&rows, i, j, value);
				set_value(&moved, i, j, value + offset);
			}
		start = case_start(FROM_ROWS, &rows, NORMAL, 6);
		moved_start = test_memory(18 * sizeof(double));
		for (int i = 0; i < 18; i++)
			moved_start[i] = start[i] + offset;
		fit_rows(&a, &rows, 6, &options, start);
		fit_rows(&b, &moved, 6, &options, moved_start);
		good = good && a.fit.model.iterations == b.fit.model.iterations &&
			   near(a.fit.model.objective, b.fit.model.objective, 1e-9);
		for (size_t i = 0; i < rows.n && good; i++)
		{
			double x[3], y[3];

			for (int j = 0; j < 3; j++)
			{
				x[j] = get_value(&rows, i, j);
				y[j] = get_value(&moved, i, j);
			}
			good = nearest_center(x, a.fit.model.center, 6, 3) ==
				   nearest_center(y, b.fit.model.center, 6, 3);
		}
		free(start);
		free(moved_start);
		free_fit(&a);
		free_fit(&b);
		free_rows(&rows);
		free_rows(&moved);
	}
	ok(good, "data 1e8 spreads away from the origin get the same labels");
}

/* ---- fits from k ---- */

static bool
trace_is_monotone(const fitted *f)
{
	for (size_t i = 0; i < f->trace_count; i++)
	{
		const clu_trace *now = &f->trace[i], *before = now - 1;

		if (i == 0 || now->run != before->run)
		{
			if (now->iteration != 1 || now->run < (i == 0 ? 1 : before->run))
				return false;
		}
		else if (now->iteration != before->iteration + 1 ||
				 now->objective > before->objective * (1 + 1e-12))
			return false;
	}
	return true;
}

/* A fit from k is at a fixed point: one more plain iteration changes nothing. */
static bool
is_fixed_point(const fitted *f, const clu_rows *rows)
{
	lloyd l;
	bool  good;

	run_lloyd(&l, rows, f->fit.model.k, f->fit.model.center, 300);
	good = l.refits == 1 && near(l.objective, f->fit.model.objective, 1e-12);
	for (int i = 0; i < l.k * l.d && good; i++)
		good = near(l.center[i], f->fit.model.center[i], 1e-12);
	for (int c = 0; c < l.k && good; c++)
		good = near(l.size[c], f->fit.model.size[c], 1e-12);
	free_lloyd(&l);
	return good;
}

static bool
numbered_by_size(const clu_model *m)
{
	for (int c = 1; c < m->k; c++)
		if (m->size[c] > m->size[c - 1] ||
			(m->size[c] == m->size[c - 1] &&
			 (compared_d = m->d,
			  compare_points(m->center + c * m->d, m->center + (c - 1) * m->d) < 0)))
			return false;
	return true;
}

static void
test_from_k(void)
{
	bool fixed = true, monotone = true, numbered = true, traced = true, tolerated = true;

	for (int repeat = 0; repeat < 600; repeat++)
	{
		clu_rows	rows = case_rows(repeat % CASES, 1 + random_below(200), 1 + repeat % 3,
									 repeat % 5 ? 8 : 4, repeat % 4);
		clu_options options = default_options();
		fitted		f, loose;

		clu_option_set_integer(&options, CLU_SEED, repeat);
		clu_option_set_integer(&options, CLU_N_INIT, 1 + repeat % 3);
		clu_option_set_boolean(&options, CLU_ALLOW_FEWER, true);
		if (repeat % 6 == 0)
			clu_option_set_text(&options, CLU_INIT, "random", 6);
		fit_rows(&f, &rows, 1 + (int) random_below(12), &options, NULL);
		if (f.status != CLU_OK || !(f.fit.model.flags & CLU_MODEL_CONVERGED) ||
			!is_fixed_point(&f, &rows))
		{
			printf("# %s, n %zu, d %d, repeat %d\n", case_names[repeat % CASES], rows.n, rows.d,
				   repeat);
			fixed = false;
			if (f.status != CLU_OK)
				goto next;
		}
		if (!trace_is_monotone(&f))
		{
			printf("# the trace rises: %s, n %zu, d %d, repeat %d\n", case_names[repeat % CASES],
				   rows.n, rows.d, repeat);
			monotone = false;
		}
		numbered = numbered && numbered_by_size(&f.fit.model);

		/* the winning run ended with the objective of the model, but for its centres' rounding */
		{
			double ulp = fabs(get_value(&rows, 0, 0)) * 0x1p-52;
			double rounding = f.fit.model.total_weight * rows.d * ulp * ulp +
							  f.fit.model.total_weight * 1e4 * 0x1p-80;
			bool found = false;

			for (size_t i = 0; i < f.trace_count; i++)
				found = found || (f.trace[i].iteration == f.fit.model.iterations &&
								  fabs(f.trace[i].objective - f.fit.model.objective) <=
									  f.fit.model.objective * 1e-11 + rounding);
			if (!found)
			{
				printf("# objective %.17g is not in the trace: %s, n %zu, d %d, repeat %d\n",
					   f.fit.model.objective, case_names[repeat % CASES], rows.n, rows.d, repeat);
				traced = false;
			}
		}

		/* with a tolerance the result is at most that much worse, or at another optimum */
		clu_option_set_number(&options, CLU_TOL, 1e-6);
		fit_rows(&loose, &rows, f.fit.model.k, &options, NULL);
		tolerated = tolerated && loose.status == CLU_OK &&
					(loose.fit.model.flags & CLU_MODEL_CONVERGED) != 0;
		free_fit(&loose);
	next:
		free_fit(&f);
		free_rows(&rows);
	}
	ok(fixed, "a fit from k ends at a fixed point of the plain iteration");
	ok(monotone, "the objective never rises within a run, runs and iterations count from 1");
	ok(numbered, "clusters are numbered by size, then by centre");
	ok(traced, "the trace has the objective of the model");
	ok(tolerated, "a fit with a tolerance converges");
}

/* What max_iter says is done, no more and no less. */
static void
test_max_iter(void)
{
	bool good = true;

	for (int repeat = 0; repeat < 100; repeat++)
	{
		clu_rows	rows = case_rows(NORMAL, 500, 2, 8, 0);
		clu_options options = default_options();
		int			most = 1 + (int) random_below(6);
		fitted		f;

		clu_option_set_integer(&options, CLU_MAX_ITER, most);
		clu_option_set_integer(&options, CLU_SEED, repeat);
		fit_rows(&f, &rows, 20, &options, NULL);
		for (size_t i = 0; i < f.trace_count; i++)
			good = good && f.trace[i].iteration <= (uint32_t) most;
		good = good &&
			   (f.fit.model.iterations == most || (f.fit.model.flags & CLU_MODEL_CONVERGED) != 0);
		free_fit(&f);
		free_rows(&rows);
	}
	ok(good, "max_iter bounds the refits of every start");
}

/* ---- extremes ---- */

static clu_rows
rows_of(const double *values, size_t n, int d)
{
	clu_rows rows = make_rows(n, d, 8);

	memcpy((void *) rows.x, values, n * (size_t) d * sizeof(double));
	return rows;
}

/*
 * Fit k clusters to a few values of one dimension and compare the centres: from k, in any order, or
 * from a start, which is what is wanted but for a little.
 */
static bool
centers_are(const double *values, const double *weights, size_t n, int k, const double *want,
			const double *start)
{
	clu_rows	rows = rows_of(values, n, 1);
	fitted		f;
	bool		good;
	clu_options options = default_options();

	clu_option_set_integer(&options, CLU_N_INIT, 5);
	if (weights != NULL)
		memcpy(add_weights(&rows), weights, n * sizeof(double));
	fit_rows(&f, &rows, k, &options, start);
	good = f.status == CLU_OK;
	if (!good)
		printf("# status %d: %s\n", f.status, f.error.reason == NULL ? "" : f.error.reason);
	for (int c = 0; c < k && good; c++)
	{
		bool found = false;

		for (int other = 0; other < k; other++)
			found = found || near(f.fit.model.center[other], want[c], 1e-12);
		if (!found)
		{
			good = false;
			printf("# centres");
			for (int other = 0; other < k; other++)
				printf(" %.17g", f.fit.model.center[other]);
			printf(", of which none is %.17g\n", want[c]);
		}
	}
	free_fit(&f);
	free_rows(&rows);
	return good;
}

#define VALUES(...) ((double[]) {__VA_ARGS__})

#define TINY(n) ((n) *0x1p-1074)

static void
test_extremes(void)
{
	const double *ends = VALUES(0, 11);

	ok(centers_are(VALUES(1e9, 1e9 + 1, 1e9 + 100, 1e9 + 101), NULL, 4, 2,
				   VALUES(1e9 + 0.5, 1e9 + 100.5), NULL),
	   "an offset of 1e9");
	ok(centers_are(VALUES(1e15, 1e15 + 1, 1e15 + 8, 1e15 + 9), NULL, 4, 2,
				   VALUES(1e15 + 0.5, 1e15 + 8.5), NULL),
	   "an offset of 1e15");
	ok(centers_are(VALUES(1e140, 1.5e140, -1e140, -3e140), NULL, 4, 2, VALUES(1.25e140, -2e140),
				   NULL),
	   "values of 1e140");
	ok(centers_are(VALUES(1e-300, 2e-300, 5e-300, 6e-300), NULL, 4, 2, VALUES(1.5e-300, 5.5e-300),
				   NULL),
	   "values of 1e-300");
	ok(centers_are(VALUES(TINY(8), TINY(10), TINY(80), TINY(100)), NULL, 4, 2,
				   VALUES(TINY(9), TINY(90)), NULL),
	   "denormal values");
	ok(centers_are(VALUES(TINY(1), TINY(3), TINY(8), TINY(10)), NULL, 4, 2,
				   VALUES(TINY(2), TINY(9)), NULL),
	   "the smallest denormal values");
	ok(centers_are(VALUES(0, 1, 10, 11), VALUES(1e300, 1e300, 1e300, 1e300), 4, 2,
				   VALUES(0.5, 10.5), NULL),
	   "weights of 1e300");
	ok(centers_are(VALUES(0, 1, 10, 11), VALUES(1e-310, 1e-310, 1e-310, 1e-310), 4, 2,
				   VALUES(0.5, 10.5), NULL),
	   "weights of 1e-310");
	ok(centers_are(VALUES(0, 1, 10, 11), VALUES(1, 1, 1e-12, 1e-12), 4, 2, VALUES(0.5, 10.5), ends),
	   "weights of 1 and of 1e-12");
	ok(centers_are(VALUES(0, 1, 10, 11.5), VALUES(1, 1, 1e-20, 2e-20), 4, 2, VALUES(0.5, 11), ends),
	   "weights of 1 and of 1e-20");
	ok(centers_are(VALUES(0, 1, 10, 11.5), VALUES(1, 1, 1e-30, 2e-30), 4, 2, VALUES(0.5, 11), ends),
	   "weights of 1 and of 1e-30");
	ok(centers_are(VALUES(0, 1, 10, 11.5), VALUES(1e200, 1e200, 1, 2), 4, 2, VALUES(0.5, 11), ends),
	   "weights of 1e200 and 1");
	ok(centers_are(VALUES(1, 2, 3, 4, 1e12), NULL, 5, 3, VALUES(1.5, 3.5, 1e12),
				   VALUES(1, 4, 1e12)),
	   "one value of 1e12 among small ones");
	ok(centers_are(VALUES(1, 1.7, 3.3, 4, 1e16), NULL, 5, 3, VALUES(1.35, 3.65, 1e16),
				   VALUES(1, 4, 1e16)),
	   "one value of 1e16 among small ones");
	ok(centers_are(VALUES(1, 1.7, 3.3, 4, 1e20), NULL, 5, 3, VALUES(1.35, 3.65, 1e20),
				   VALUES(1, 4, 1e20)),
	   "one value of 1e20 among small ones");
	ok(centers_are(VALUES(1, 1.7, 3.3, 4, 1e30), NULL, 5, 3, VALUES(1.35, 3.65, 1e30),
				   VALUES(1, 4, 1e30)),
	   "one value of 1e30 among small ones");
	ok(centers_are(VALUES(1, 1.7, 3.3, 4, 1e100), NULL, 5, 3, VALUES(1.35, 3.65, 1e100),
				   VALUES(1, 4, 1e100)),
	   "one value of 1e100 among small ones");
	ok(centers_are(VALUES(1, 1.7, 3.3, 4, 1e200), NULL, 5, 3, VALUES(1.35, 3.65, 1e200), NULL),
	   "one value of 1e200 among small ones");
	ok(centers_are(VALUES(1, 1.7, 3.3, 4, 0x1p900), NULL, 5, 3, VALUES(1.35, 3.65, 0x1p900), NULL),
	   "one value of 2^900 among small ones");
	ok(centers_are(VALUES(7), NULL, 1, 1, VALUES(7), NULL), "one row");
	ok(centers_are(VALUES(-0.0, 0.0), NULL, 2, 1, VALUES(0), NULL),
	   "zeros of both signs are one point");
}

/*
 * Small values beside a large one: the same as beside a smaller one, to the last bit, for as long as
 * they have squares; then an error.
 */
static void
test_out_of_proportion(void)
{
	int exponents[] = {399, 400, 401, 402, 500, 700, 850, 890, 1000, 1023}, different = 0,
		found = 0;

	for (int i = 0; i < 10; i++)
	{
		clu_rows	rows = make_rows(60, 2, 8), nearer = make_rows(60, 2, 8);
		clu_options options = default_options();
		double		start[8] = {1, 1, 51, 51, 101, 101, 51, ldexp(1, exponents[i])};
		fitted		a, b;

		for (size_t row = 0; row < 60; row++)
			for (int j = 0; j < 2; j++)
			{
				double value = (double) (row % 3) * 50 + 1 + random_unit();

				set_value(&rows, row, j, row == 7 && j == 1 ? ldexp(1, exponents[i]) : value);
				set_value(&nearer, row, j, row == 7 && j == 1 ? 0x1p60 : value);
			}
		fit_rows(&a, &rows, 4, &options, start);
		start[7] = 0x1p60;
		fit_rows(&b, &nearer, 4, &options, start);
		found += a.status == CLU_VANISHED;
		if ((a.status == CLU_VANISHED) != (exponents[i] >= 1000))
			different++;
		if (a.status == CLU_OK)
			different += !same_bits(a.fit.model.objective, b.fit.model.objective) ||
						 a.fit.model.objective == 0 ||
						 memcmp(a.fit.model.center, b.fit.model.center, 6 * sizeof(double)) != 0;
		free_fit(&a);
		free_fit(&b);
		free_rows(&rows);
		free_rows(&nearer);
	}
	ok(different == 0 && found == 2,
	   "what is out of proportion doesn't change the other clusters, or is refused");
}

/* Sums of weights times values, whose squares a step of the iteration needs. */
static void
test_heavy(void)
{
	clu_rows	rows = make_rows(40, 1, 8);
	clu_options options = default_options();
	double	   *w = add_weights(&rows);
	bool		known;
	fitted		f;

	for (size_t i = 0; i < 40; i++)
	{
		set_value(&rows, i, 0, (i % 2 == 0 ? 1e110 : -1e110) + (double) i * 1e100);
		w[i] = 1e80;
	}
	fit_rows(&f, &rows, 2, &options, NULL);
	known = f.status == CLU_OK && f.trace_count > 0 &&
			near(f.trace[f.trace_count - 1].objective, f.fit.model.objective, 1e-2);
	ok(known, "weights of 1e80 and values of 1e110: the objective of the trace is known");
	free_fit(&f);
	free_rows(&rows);
}

/* Either the right answer or an error with a reason; never garbage. */
static void
test_right_or_refused(void)
{
	struct
	{
		const char *text;
		double		x[8];
		double		w[4];
	} const cases[] = {
		{"1.7e308", {1.7e308, 0, 1.6e308, 0, -1.7e308, 0, -1.6e308, 0}, {1, 1, 1, 1}},
		{"1e300", {1e300, 0, 2e300, 0, -1e300, 0, -2e300, 0}, {1, 1, 1, 1}},
		{"1e160", {1e160, 0, 2e160, 0, -1e160, 0, -2e160, 0}, {1, 1, 1, 1}},
		{"1e110 and weights of 1e110",
		 {1e110, 0, 2e110, 0, -1e110, 0, -2e110, 0},
		 {1e110, 1e110, 1e110, 1e110}},
		{"1e110 and weights of 1e-110",
		 {1e110, 0, 2e110, 0, -1e110, 0, -2e110, 0},
		 {1e-110, 1e-110, 1e-110, 1e-110}},
		{"1e-110 and weights of 1e-110",
		 {1e-110, 0, 2e-110, 0, -1e-110, 0, -2e-110, 0},
		 {1e-110, 1e-110, 1e-110, 1e-110}},
		{"1e-165 beside a column of 1",
		 {1e-165, 1, 2e-165, 1, -1e-165, 1, -2e-165, 1},
		 {1, 1, 1, 1}},
		{"1 beside a column of 1e300", {1, 1e300, 2, 1e300, -1, 1e300, -2, 1e300}, {1, 1, 1, 1}},
		{"1 beside a column of 1e200", {1, 1e200, 2, 1e200, -1, 1e200, -2, 1e200}, {1, 1, 1, 1}},
		{"1 beside a column of 1.7e308",
		 {1, 1.7e308, 2, 1.7e308, -1, 1.7e308, -2, 1.7e308},
		 {1, 1, 1, 1}},
		{"1e-160 beside a column of 1",
		 {1e-160, 1, 3e-160, 1, -1e-160, 1, -3e-160, 1},
		 {1, 1, 1, 1}},
	};

	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++)
	{
		clu_rows rows = rows_of(cases[i].x, 4, 2);
		fitted	 f;
		bool	 good;

		memcpy(add_weights(&rows), cases[i].w, sizeof(cases[i].w));
		fit_rows(&f, &rows, 2, NULL, NULL);
		if (f.status == CLU_OK)
		{
			const clu_model *m = &f.fit.model;
			double			 a = m->center[0], b = m->center[2];

			/* rows 1 and 2 together, rows 3 and 4 together; the smaller centre comes first */
			good = near(a, cases[i].x[4] / 2 + cases[i].x[6] / 2, 1e-12) &&
				   near(b, cases[i].x[0] / 2 + cases[i].x[2] / 2, 1e-12) &&
				   m->center[1] == cases[i].x[1] && m->center[3] == cases[i].x[1];

			/* each pair adds half the square of its difference, times its weight */
			wide low = (wide) cases[i].x[2] - cases[i].x[0];
			wide high = (wide) cases[i].x[6] - cases[i].x[4];
			wide objective = (low * low + high * high) / 2 * cases[i].w[0];

			good = good && objective <= DBL_MAX &&
				   fabs(m->objective - (double) objective) <= 1e-9 * (double) objective + DBL_MIN;
			if (!good)
				printf("# centres (%g, %g), (%g, %g), objective %g\n", a, m->center[1], b,
					   m->center[3], m->objective);
		}
		else
		{
			good = f.status == CLU_UNDERFLOW && f.error.reason != NULL;
			printf("# refused: %s\n", f.error.reason == NULL ? "" : f.error.reason);
		}
		ok(good, "right or refused: values of %s", cases[i].text);
		free_fit(&f);
		free_rows(&rows);
	}
}

static void
test_fewer(void)
{
	clu_rows	rows = rows_of(VALUES(3, 1, 3, 2, 1, 3), 6, 1);
	clu_options options = default_options();
	double		start[5] = {0, 9, 5, 5, 5};
	fitted		f;

	fit_rows(&f, &rows, 4, &options, NULL);
	ok(f.status == CLU_FEWER_POINTS && f.error.expected == 4 && f.error.found == 3,
	   "fewer distinct points than clusters is an error with both numbers");
	free_fit(&f);

	fit_rows(&f, &rows, 3, &options, NULL);
	ok(f.status == CLU_OK && f.fit.model.objective == 0 && f.fit.model.center[0] == 3 &&
		   f.fit.model.center[1] == 1 && f.fit.model.center[2] == 2 && f.fit.model.size[0] == 3,
	   "as many clusters as distinct points: each is one, the largest first");
	free_fit(&f);

	clu_option_set_boolean(&options, CLU_ALLOW_FEWER, true);
	fit_rows(&f, &rows, 5, &options, NULL);
	ok(f.status == CLU_OK && f.fit.model.k == 3 && f.fit.model.objective == 0,
	   "allow_fewer gives as many clusters as there are points");
	free_fit(&f);

	fit_rows(&f, &rows, 5, &options, start);
	ok(f.status == CLU_OK && f.fit.model.k == 3 && f.fit.model.objective == 0,
	   "and so it does from a start with more clusters");
	free_fit(&f);
	free_rows(&rows);
}

int
main(void)
{
	clu_kernel_choose();
	test_small_cases();
	test_large_cases();
	test_every_kernel();
	printf("# %d of %d coordinates equal to the bit, the others within %.3g\n", bit_equal, compared,
		   worst_center);
	test_order_of_rows();
	test_duplicates_as_weights();
	test_width();
	test_kernels_agree();
	test_scaling();
	test_translation();
	test_from_k();
	test_max_iter();
	test_fewer();
	test_extremes();
	test_out_of_proportion();
	test_heavy();
	test_right_or_refused();
	return finish_tests();
}
