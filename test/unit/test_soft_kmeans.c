/*
 * test_soft_kmeans.c
 *		Soft K-means against a plain iteration in long double, and its limits.
 *
 * Stand-alone; prints TAP.
 */
#include "fitting.h"

#include <float.h>

#include "score.h"

/* ---- the reference ---- */

typedef struct soft
{
	int			 k, d;
	double		 beta;
	long double *center, *share; /* share: of one point */
	long double *size;
	long double	 energy; /* with the centres as they are */
} soft;

/* Responsibilities of a point into s->share; returns its free energy. */
static long double
share_out(soft *s, const clu_rows *rows, size_t row)
{
	long double least = INFINITY, sum = 0;

	for (int c = 0; c < s->k; c++)
	{
		s->share[c] = 0;
		for (int j = 0; j < s->d; j++)
		{
			long double off = get_value(rows, row, j) - s->center[c * s->d + j];

			s->share[c] += off * off;
		}
		least = fminl(least, s->share[c]);
	}
	for (int c = 0; c < s->k; c++)
		sum += s->share[c] = expl(-s->beta * (s->share[c] - least));
	for (int c = 0; c < s->k; c++)
		s->share[c] /= sum;
	return least - logl(sum) / s->beta;
}

static void
measure(soft *s, const clu_rows *rows)
{
	s->energy = 0;
	memset(s->size, 0, (size_t) s->k * sizeof(long double));
	for (size_t i = 0; i < rows->n; i++)
	{
		s->energy += get_weight(rows, i) * share_out(s, rows, i);
		for (int c = 0; c < s->k; c++)
			s->size[c] += get_weight(rows, i) * s->share[c];
	}
}

static void
refit(soft *s, const clu_rows *rows)
{
	size_t		 count = (size_t) s->k * (size_t) s->d;
	long double *sum = calloc(count, sizeof(long double));

	memset(s->size, 0, (size_t) s->k * sizeof(long double));
	for (size_t i = 0; i < rows->n; i++)
	{
		share_out(s, rows, i);
		for (int c = 0; c < s->k; c++)
		{
			s->size[c] += get_weight(rows, i) * s->share[c];
			for (int j = 0; j < s->d; j++)
				sum[c * s->d + j] += get_weight(rows, i) * s->share[c] *
									 (get_value(rows, i, j) - s->center[c * s->d + j]);
		}
	}
	for (int c = 0; c < s->k; c++)
		for (int j = 0; j < s->d && s->size[c] > 0; j++)
			s->center[c * s->d + j] += sum[c * s->d + j] / s->size[c];
	free(sum);
	measure(s, rows);
}

static void
begin_soft(soft *s, const clu_rows *rows, int k, double beta, const double *start)
{
	size_t count = (size_t) k * (size_t) rows->d;

	*s = (soft) {.k = k, .d = rows->d, .beta = beta};
	s->center = calloc(count, sizeof(long double));
	s->share = calloc((size_t) k, sizeof(long double));
	s->size = calloc((size_t) k, sizeof(long double));
	for (size_t i = 0; i < count; i++)
		s->center[i] = start[i];
	measure(s, rows);
}

static void
end_soft(soft *s)
{
	free(s->center);
	free(s->share);
	free(s->size);
}

/* ---- cases ---- */

static clu_rows
random_rows(size_t n, int d, int width, double offset, bool weighted)
{
	clu_rows rows = make_rows(n, d, width);

	for (size_t i = 0; i < n; i++)
		for (int j = 0; j < d; j++)
			set_value(&rows, i, j, offset + random_normal() + (double) ((i + (size_t) j) % 3 * 4));
	if (weighted)
	{
		double *w = add_weights(&rows);

		for (size_t i = 0; i < n; i++)
			w[i] = 0.1 + 3 * random_unit();
	}
	return rows;
}

static double *
some_rows(const clu_rows *rows, int k)
{
	double *start = test_memory((size_t) k * (size_t) rows->d * sizeof(double));

	for (int c = 0; c < k; c++)
	{
		size_t row = (size_t) c * 7 % rows->n;

		for (int j = 0; j < rows->d; j++)
			start[c * rows->d + j] = get_value(rows, row, j) + 0.01 * random_normal();
	}
	return start;
}

static clu_options
soft_options(double beta, int max_iter)
{
	clu_options options = default_options();

	clu_option_set_number(&options, CLU_BETA, beta);
	clu_option_set_integer(&options, CLU_MAX_ITER, max_iter);
	return options;
}

/* Centres within a tolerance of the data's own spread. */
static bool
same_centers(const clu_model *m, const soft *s, double tolerance)
{
	for (int i = 0; i < m->k * m->d; i++)
		if (fabsl(m->center[i] - s->center[i]) >
			tolerance * (1 + 1e-3 * (double) fabsl(s->center[i])))
			return false;
	return true;
}

static void
test_reference(void)
{
	bool centers = true, figures = true, trace = true, monotone = true;

	for (int repeat = 0; repeat < 150; repeat++)
	{
		const double betas[] = {0.01, 0.3, 1, 5, 100};
		double		 beta = betas[repeat % 5], offset = repeat % 7 == 6 ? 1e6 : 0;
		size_t		 n = repeat % 50 == 49 ? 9000 : 5 + random_below(150);
		clu_rows	 rows =
			random_rows(n, 1 + repeat % 4, repeat % 3 || offset > 0 ? 8 : 4, offset, repeat % 2);
		int			k = 1 + (int) random_below(5), most = 1 + (int) random_below(8);
		double	   *start = some_rows(&rows, k), before = INFINITY;
		clu_options options = soft_options(beta, most);
		fitted		f;
		soft		s;

		fit_rows(&f, &rows, k, &options, start);
		begin_soft(&s, &rows, k, beta, start);
		centers = centers && f.status == CLU_OK && (int) f.trace_count == f.fit.model.iterations;
		for (size_t i = 0; f.status == CLU_OK && i < f.trace_count; i++)
		{
			double scale = f.fit.model.total_weight * (1 + 1 / beta);

			refit(&s, &rows);
			trace = trace && fabs(f.trace[i].objective - (double) s.energy) <= 1e-9 * scale;
			monotone = monotone && f.trace[i].objective <= before + 1e-12 * scale &&
					   f.trace[i].run == 1 && f.trace[i].iteration == i + 1;
			before = f.trace[i].objective;
		}
		if (f.status == CLU_OK)
		{
			double total = 0;

			centers = centers && same_centers(&f.fit.model, &s, 1e-9);
			figures = figures && fabs(f.fit.model.objective - (double) s.energy) <=
									 1e-9 * f.fit.model.total_weight * (1 + 1 / beta);
			for (int c = 0; c < k; c++)
			{
				figures = figures && fabs(f.fit.model.size[c] - (double) s.size[c]) <=
										 1e-9 * f.fit.model.total_weight;
				total += f.fit.model.weight[c];
			}
			figures = figures && fabs(total - 1) < 1e-12;
		}
		free(start);
		end_soft(&s);
		free_fit(&f);
		free_rows(&rows);
	}
	ok(centers, "centres are those of the plain iteration");
	ok(figures, "sizes, weights and free energy are those of the final centres");
	ok(trace, "the trace has the free energy of the centres that each refit made");
	ok(monotone, "the free energy never rises");
}

static void
test_fixed_point(void)
{
	bool good = true;

	for (int repeat = 0; repeat < 60; repeat++)
	{
		clu_rows	rows = random_rows(100, 2, 8, repeat % 2 ? 1e8 : 0, repeat % 3 == 0);
		clu_options options = soft_options(2, 100000);
		fitted		f;
		soft		s;

		clu_option_set_integer(&options, CLU_SEED, repeat);
		fit_rows(&f, &rows, 3, &options, NULL);
		good = good && f.status == CLU_OK && (f.fit.model.flags & CLU_MODEL_CONVERGED) != 0;
		if (f.status == CLU_OK)
		{
			begin_soft(&s, &rows, 3, 2, f.fit.model.center);
			refit(&s, &rows);
			for (int i = 0; i < 6; i++)
				good = good && fabsl(s.center[i] - f.fit.model.center[i]) <=
								   1e-10 + 1e-15 * fabs(f.fit.model.center[i]) * 4;
			end_soft(&s);
		}
		free_fit(&f);
		free_rows(&rows);
	}
	ok(good, "a fit ends at a fixed point, far from the origin too");
}

/* For large beta the fit is the hard one from the same start. */
static void
test_limit(void)
{
	bool good = true;

	for (int repeat = 0; repeat < 100; repeat++)
	{
		clu_rows	rows = random_rows(60, 2, 8, 0, repeat % 2);
		double	   *start = some_rows(&rows, 4);
		clu_options hard_options = default_options(), options = soft_options(1e9, 300);
		fitted		hard, f;

		fit_rows(&hard, &rows, 4, &hard_options, start);
		fit_rows(&f, &rows, 4, &options, start);
		good = good && hard.status == CLU_OK && f.status == CLU_OK &&
			   near(hard.fit.model.objective, f.fit.model.objective, 1e-9);
		for (int i = 0; i < 8 && good; i++)
			good = near(hard.fit.model.center[i], f.fit.model.center[i], 1e-9);
		for (int c = 0; c < 4 && good; c++)
			good = near(hard.fit.model.size[c], f.fit.model.size[c], 1e-9);
		free(start);
		free_fit(&hard);
		free_fit(&f);
		free_rows(&rows);
	}
	ok(good, "for large beta it is K-means");
	good = true;
	{
		clu_rows	rows = random_rows(60, 2, 8, 0, false);
		clu_options options = soft_options(1e-6, 300);
		fitted		f;

		fit_rows(&f, &rows, 3, &options, NULL);
		for (int j = 0; j < 2 && f.status == CLU_OK; j++)
		{
			double mean = 0;

			for (size_t i = 0; i < rows.n; i++)
				mean += get_value(&rows, i, j) / (double) rows.n;
			for (int c = 0; c < 3; c++)
				good = good && fabs(f.fit.model.center[c * 2 + j] - mean) < 1e-4;
		}
		ok(good && f.status == CLU_OK, "for small beta all centres are the mean");
		free_fit(&f);
		free_rows(&rows);
	}
}

/* ---- responsibilities ---- */

static void
test_probabilities(void)
{
	bool sum_to_one = true, right = true;

	for (int repeat = 0; repeat < 60; repeat++)
	{
		const double betas[] = {1e-3, 0.5, 20, 1e6};
		double		 beta = betas[repeat % 4];
		clu_rows	 rows = random_rows(40, 1 + repeat % 3, 8, 0, false);
		clu_options	 options = soft_options(beta, 5);
		fitted		 f;

		fit_rows(&f, &rows, 4, &options, NULL);
		if (f.status == CLU_OK)
		{
			clu_scorer scorer;
			clu_arena  arena = {NULL, 0};
			double	   out[4], sum;
			soft	   s;

			clu_score_layout(&scorer, &arena, &f.fit.model);
			arena = (clu_arena) {test_memory(arena.used), 0};
			clu_score_layout(&scorer, &arena, &f.fit.model);
			clu_score_prepare(&scorer);
			begin_soft(&s, &rows, 4, beta, f.fit.model.center);
			for (size_t i = 0; i < rows.n; i++)
			{
				double x[3];

				for (int j = 0; j < rows.d; j++)
					x[j] = get_value(&rows, i, j);
				scorer.verbs->probabilities(&scorer, x, out);
				share_out(&s, &rows, i);
				sum = 0;
				for (int c = 0; c < 4; c++)
				{
					sum += out[c];
					right = right && out[c] >= 0 &&
							fabs(out[c] - (double) s.share[c]) <= 1e-13 * (1 + 100 * beta);
				}
				sum_to_one = sum_to_one && fabs(sum - 1) < 1e-14;
			}
			end_soft(&s);
			free(arena.base);
		}
		else
			right = false;
		free_fit(&f);
		free_rows(&rows);
	}
	ok(sum_to_one, "responsibilities sum to one");
	ok(right, "responsibilities are those of the definition");
}

/* ---- where fits from k end ---- */

#define SEEDS 6

static double
energy_of_fit(const clu_rows *rows, int k, double beta, int seed, const char *init, int starts)
{
	clu_options options = soft_options(beta, 300);
	fitted		f;
	double		energy;

	clu_option_set_integer(&options, CLU_SEED, seed);
	clu_option_set_integer(&options, CLU_N_INIT, starts);
	clu_option_set_text(&options, CLU_INIT, init, strlen(init));
	fit_rows(&f, rows, k, &options, NULL);
	energy = f.status == CLU_OK ? f.fit.model.objective : NAN;
	free_fit(&f);
	return energy;
}

/*
 * Default fits with several seeds end within a share of the sum of squares of the best one known,
 * or of the best of many random starts.
 */
static void
check_quality(const char *name, const clu_rows *rows, int k, double beta, double squares,
			  double best)
{
	double worst = -INFINITY;

	if (isnan(best))
		best = energy_of_fit(rows, k, beta, 0, "random", 30);
	for (int seed = 0; seed < SEEDS; seed++)
		worst = fmax(worst, energy_of_fit(rows, k, beta, seed, "k-means++", 1));
	ok(worst <= best + 0.001 * squares, "%s, beta %g: fits from k end near the best known", name,
	   beta);
	printf("# the worst of %d is above by %.4f %% of the sum of squares\n", SEEDS,
		   100 * (worst - best) / squares);
}

/* Round clusters far apart, with a variance of 1 in either column, and few points in the last. */
static clu_rows
unbalanced_rows(void)
{
	static const int count[] = {2000, 1000, 500, 250, 120, 60, 30, 15};
	static const int x[] = {0, 9, 3, 18, 12, 0, 20, 11}, y[] = {0, 2, 11, 5, 14, 20, 19, 24};
	clu_rows		 rows = make_rows(3975, 2, 8);
	size_t			 row = 0;

	for (int c = 0; c < 8; c++)
		for (int i = 0; i < count[c]; i++, row++)
		{
			set_value(&rows, row, 0, x[c] + random_normal());
			set_value(&rows, row, 1, y[c] + random_normal());
		}
	return rows;
}

static void
test_quality(void)
{
	clu_rows rows = read_data("s1");

	check_quality("s1", &rows, 15, 2.8e-9, 8.917616e12, 8.91655051e12);
	check_quality("s1", &rows, 15, 5.6e-10, 8.917616e12, 8.89178506e12);
	free_rows(&rows);

	rows = unbalanced_rows();
	check_quality("unbalanced clusters", &rows, 8, 2.5, 2 * 3975, NAN);
	check_quality("unbalanced clusters", &rows, 8, 0.5, 2 * 3975, NAN);
	check_quality("unbalanced clusters", &rows, 8, 0.1, 2 * 3975, NAN);
	free_rows(&rows);
}

/* Among several starts are such that don't begin where K-means ends. */
static void
test_starts(void)
{
	bool helps = false, harms = false;

	for (int repeat = 0; repeat < 20; repeat++)
	{
		clu_rows rows = random_rows(60, 3, 8, 0, repeat % 2);
		double	 one = energy_of_fit(&rows, 5, 1, repeat, "k-means++", 1);
		double	 several = energy_of_fit(&rows, 5, 1, repeat, "k-means++", 6);

		helps = helps || several < one - 1e-3 * fabs(one);
		harms = harms || !(several <= one + 1e-9 * fabs(one));
		free_rows(&rows);
	}
	ok(helps && !harms, "several starts end at better optima than one");
}

/* ---- extremes ---- */

static void
test_extremes(void)
{
	clu_rows	rows = make_rows(4, 1, 8);
	clu_options options = soft_options(1e300, 10);
	double		start[2] = {0, 1e200};
	fitted		f;

	for (size_t i = 0; i < 4; i++)
		set_value(&rows, i, 0, (double) i);
	fit_rows(&f, &rows, 2, &options, NULL);
	ok(f.status == CLU_OK && isfinite(f.fit.model.objective), "beta of 1e300");
	free_fit(&f);

	options = soft_options(1, 10);
	fit_rows(&f, &rows, 2, &options, start);
	ok(f.status == CLU_OK && near(f.fit.model.center[0], 1.5, 1e-12) &&
		   f.fit.model.center[1] == 1e200 && f.fit.model.size[1] == 0,
	   "a centre out of the reach of all points stays where it is");
	free_fit(&f);

	start[0] = 1e200;
	fit_rows(&f, &rows, 2, &options, start);
	ok(f.status != CLU_OK || (isfinite(f.fit.model.center[0]) && isfinite(f.fit.model.objective)),
	   "all centres out of the reach of all points: an answer or an error, not NaN");
	free_fit(&f);

	for (size_t i = 0; i < 4; i++)
		set_value(&rows, i, 0, (double) i * 1e300);
	fit_rows(&f, &rows, 2, &options, NULL);
	ok(f.status == CLU_OK || f.status == CLU_UNDERFLOW, "values of 1e300: an answer or an error");
	free_fit(&f);

	for (size_t i = 0; i < 4; i++)
		set_value(&rows, i, 0, 5);
	fit_rows(&f, &rows, 1, &options, NULL);
	ok(f.status == CLU_OK && f.fit.model.center[0] == 5 && f.fit.model.objective == 0 &&
		   (f.fit.model.flags & CLU_MODEL_CONVERGED) != 0,
	   "equal rows are at their centre");
	free_fit(&f);
	free_rows(&rows);
}

int
main(void)
{
	clu_kernel_choose();
	test_reference();
	test_fixed_point();
	test_limit();
	test_probabilities();
	test_quality();
	test_starts();
	test_extremes();
	return finish_tests();
}
