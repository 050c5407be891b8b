/*
 * test_algebra.c
 *		Mixtures as distributions: what is known in closed form, and what samples show.
 */
#include "gmm_fitting.h"

#include "algebra.h"

static clu_model
full_example(void)
{
	clu_model m = make_model(CLU_COV_FULL, 2, 3);
	double	  center[] = {0, 1, 2, 4, -1, 0};
	double	  covariance[] = {2, 0.5, 0.3, 0.5, 1, -0.2, 0.3, -0.2, 3,
							  1, 0,	  0.4, 0,	2, 0.1,	 0.4, 0.1,	1};

	m.weight[0] = 0.25;
	m.weight[1] = 0.75;
	memcpy(m.center, center, sizeof(center));
	memcpy(m.covariance, covariance, sizeof(covariance));
	return m;
}

static clu_model
structured_example(int structure, int d)
{
	clu_model m = make_model(structure, 2, d);
	size_t	  count = clu_covariance_count(CLU_GMM, structure, 2, d);

	for (int i = 0; i < 2 * d; i++)
		m.center[i] = i % 5 - 2;
	for (size_t i = 0; i < count; i++)
		m.covariance[i] = 1 + (double) (i % 3);
	if (structure == CLU_COV_FULL || structure == CLU_COV_TIED)
		for (size_t i = 0; i < count; i++)
			m.covariance[i] =
				i % (size_t) (d * d) % (size_t) (d + 1) == 0 ? 2 + (double) (i % 4) : 0.25;
	return m;
}

/* ---- moments ---- */

static void
test_moments(void)
{
	clu_model m = full_example();
	double	  mean[3], covariance[9];
	double	  between[] = {4 * 4, 4 * -2, 4 * -2, 2 * 2};

	clu_mixture_mean(&m, mean);
	clu_mixture_covariance(&m, mean, covariance, NULL);
	ok(mean[0] == 3 && mean[1] == -0.5 && mean[2] == 0.5, "mean of a mixture");
	ok(near(covariance[0], 0.25 * 2 + 0.75 * 1 + 3.0 / 16 * between[0], 1e-15) &&
		   near(covariance[1], 0.25 * 0.5 + 3.0 / 16 * between[1], 1e-15) &&
		   near(covariance[4], 0.25 + 0.75 * 2 + 3.0 / 16 * between[3], 1e-15) &&
		   covariance[1] == covariance[3] && covariance[2] == covariance[6],
	   "covariance of a mixture");
	free_model(&m);
}

static void
test_bernoulli_moments(void)
{
	double	  parameter[] = {0.5, 0.5, 0, 0, 0, 0, 0.25, 1, 0.75, 0};
	clu_model m = {.algorithm = CLU_BERNOULLI, .k = 2, .d = 2};
	double	  mean[2], covariance[4];

	clu_model_bind(&m, parameter);
	clu_mixture_mean(&m, mean);
	clu_mixture_covariance(&m, mean, covariance, NULL);
	ok(mean[0] == 0.5 && mean[1] == 0.5 && covariance[0] == 0.25 && covariance[3] == 0.25 &&
		   covariance[1] == -0.125,
	   "moments of a Bernoulli mixture");
}

/* The moments of an unregularised fit are those of the rows. */
static void
test_moments_of_fit(void)
{
	clu_rows	rows = random_mixture(400, 3, 3, 2);
	double	   *w = add_weights(&rows);
	clu_options options = gmm_options(CLU_COV_FULL, 1e-6, 100);
	fitted		f;
	double		mean[3], covariance[9], total = 0, expected[3] = {0};
	bool		same = true;

	for (size_t i = 0; i < rows.n; i++)
		w[i] = 0.1 + random_unit();
	fit_gmm(&f, &rows, 4, &options, NULL);
	clu_mixture_mean(&f.fit.model, mean);
	clu_mixture_covariance(&f.fit.model, mean, covariance, NULL);
	for (size_t i = 0; i < rows.n; i++)
		total += w[i];
	for (size_t i = 0; i < rows.n; i++)
		for (int j = 0; j < 3; j++)
			expected[j] += w[i] * get_value(&rows, i, j) / total;
	for (int a = 0; a < 3; a++)
	{
		same = same && near(mean[a], expected[a], 1e-12);
		for (int b = 0; b < 3; b++)
		{
			double sum = 0;

			for (size_t i = 0; i < rows.n; i++)
				sum += w[i] / total * (get_value(&rows, i, a) - expected[a]) *
					   (get_value(&rows, i, b) - expected[b]);
			same = same && fabs(covariance[a * 3 + b] - sum) < 1e-11;
		}
	}
	ok(same, "mean and covariance of a fit are those of its weighted rows");
	free_fit(&f);
	free_rows(&rows);
}

/* ---- sums and marginals ---- */

static void
test_add(void)
{
	bool moments = true, valid = true;

	for (int s = 0; s < STRUCTURES; s++)
		for (int t = 0; t < STRUCTURES; t++)
		{
			clu_model a = structured_example(s, 3), b = structured_example(t, 3);
			clu_model sum = make_model(clu_gmm_add_structure(&a, &b), 4, 3);
			double	  mean[3][3], covariance[3][9];

			clu_gmm_add(&a, &b, &sum, NULL);
			clu_mixture_mean(&a, mean[0]);
			clu_mixture_mean(&b, mean[1]);
			clu_mixture_mean(&sum, mean[2]);
			clu_mixture_covariance(&a, mean[0], covariance[0], NULL);
			clu_mixture_covariance(&b, mean[1], covariance[1], NULL);
			clu_mixture_covariance(&sum, mean[2], covariance[2], NULL);
			for (int i = 0; i < 3; i++)
				moments = moments && near(mean[2][i], mean[0][i] + mean[1][i], 1e-14);
			for (int i = 0; i < 9; i++)
				moments =
					moments && near(covariance[2][i], covariance[0][i] + covariance[1][i], 1e-14);
			sum.options.set = 0;
			valid = valid && is_valid(&sum);
			free_model(&a);
			free_model(&b);
			free_model(&sum);
		}
	ok(moments, "moments of independent draws add, for all pairs of structures");
	ok(valid, "sums are models");
}

static void
test_marginal(void)
{
	clu_model m = full_example(), result = make_model(CLU_COV_FULL, 2, 2);
	int		  dims[] = {2, 0};

	clu_gmm_marginal(&m, dims, &result);
	ok(result.center[0] == 2 && result.center[1] == 0 && result.covariance[0] == 3 &&
		   result.covariance[1] == 0.3 && result.covariance[3] == 2 && result.weight[1] == 0.75 &&
		   result.covariance[4 + 1] == 0.4,
	   "a marginal takes the dimensions in the order asked for");
	free_model(&m);
	free_model(&result);
}

/* ---- conditionals: p(rest | given) p(given) = p(all) ---- */

static long double
log_density(const clu_model *m, const double *x)
{
	long double r[20];

	return plain_responsibilities(m, x, r);
}

static void
test_condition(void)
{
	for (int s = 0; s < STRUCTURES; s++)
	{
		clu_model m = structured_example(s, 4), rest = make_model(s, 2, 2);
		clu_model marginal = make_model(s, 2, 2);
		int		  dims[] = {3, 1}, order[4];
		double	  given[] = {0.5, 1.5};
		double	 *scratch = test_memory(clu_gmm_condition_scratch(&m) * sizeof(double));
		bool	  same = clu_gmm_condition(&m, dims, 2, given, &rest, order, scratch, NULL);

		clu_gmm_marginal(&m, dims, &marginal);
		for (int i = 0; i < 20; i++)
		{
			double x[4] = {random_normal(), given[1], 2 * random_normal(), given[0]};
			double left[2] = {x[0], x[2]};

			same = same && fabsl(log_density(&rest, left) + log_density(&marginal, given) -
								 log_density(&m, x)) < 1e-12L;
		}
		rest.options.set = 0;
		ok(same && is_valid(&rest), "%s: conditional times marginal is the whole",
		   structure_names[s]);
		given[0] = 1e200;
		ok(!clu_gmm_condition(&m, dims, 2, given, &rest, order, scratch, NULL),
		   "%s: a condition out of range is told", structure_names[s]);
		free(scratch);
		free_model(&m);
		free_model(&rest);
		free_model(&marginal);
	}
}

/* ---- divergence ---- */

static void
test_kl(void)
{
	double mean_p[] = {1, 2}, mean_q[] = {0, 1}, p[] = {2, 0.5, 0.5, 1}, q[] = {3, -1, -1, 2};
	double bad[] = {1, 2, 2, 1}, one[] = {1, 0, 0, 1}, four[] = {4, 0, 0, 4};
	double scratch[8], kl, expected, trace, quadratic;

	/* by hand: q^-1 = {{.4, .2}, {.2, .6}}, det p = 1.75, det q = 5 */
	trace = 0.4 * 2 + 0.2 * 0.5 * 2 + 0.6 * 1;
	quadratic = 0.4 + 2 * 0.2 + 0.6;
	expected = (trace + quadratic - 2 + log(5 / 1.75)) / 2;
	ok(clu_gaussian_kl(mean_p, p, mean_q, q, 2, scratch, &kl, NULL) == 0 &&
		   near(kl, expected, 1e-14),
	   "divergence of two Gaussians");
	ok(clu_gaussian_kl(mean_p, p, mean_p, p, 2, scratch, &kl, NULL) == 0 && kl == 0,
	   "it is zero for equal ones");
	(void) clu_gaussian_kl(mean_p, one, mean_p, four, 2, scratch, &kl, NULL);
	ok(near(kl, log(4) - 0.75, 1e-15), "and ln 4 - 3/4 for a twofold standard deviation");
	ok(clu_gaussian_kl(mean_p, bad, mean_q, q, 2, scratch, &kl, NULL) == 1 &&
		   clu_gaussian_kl(mean_p, p, mean_q, bad, 2, scratch, &kl, NULL) == 2,
	   "a matrix that is not positive definite is told");
}

/* ---- samples ---- */

static clu_sampler
make_sampler(const clu_model *model, int64_t seed)
{
	clu_sampler sampler;
	clu_arena	arena = {NULL, 0};

	clu_sampler_layout(&sampler, &arena, model);
	arena = (clu_arena) {test_memory(arena.used), 0};
	clu_sampler_layout(&sampler, &arena, model);
	clu_sampler_begin(&sampler, seed, NULL);
	return sampler;
}

/* Within five standard errors, for a seed that is fixed. */
static void
test_samples(void)
{
	int n = 40000;

	for (int s = 0; s < STRUCTURES; s++)
	{
		clu_model	m = structured_example(s, 3);
		clu_sampler sampler = make_sampler(&m, 7);
		double		x[3], mean[3], covariance[9], sum[3] = {0}, square[9] = {0};
		double		count[2] = {0};
		bool		close = true;

		m.weight[0] = 0.3;
		m.weight[1] = 0.7;
		clu_mixture_mean(&m, mean);
		clu_mixture_covariance(&m, mean, covariance, NULL);
		for (int i = 0; i < n; i++)
		{
			count[clu_sampler_next(&sampler, x)]++;
			for (int a = 0; a < 3; a++)
			{
				sum[a] += x[a] - mean[a];
				for (int b = 0; b < 3; b++)
					square[a * 3 + b] += (x[a] - mean[a]) * (x[b] - mean[b]);
			}
		}
		close = fabs(count[0] / n - 0.3) < 5 * sqrt(0.21 / n);
		for (int a = 0; a < 3; a++)
		{
			close = close && fabs(sum[a] / n) < 5 * sqrt(covariance[a * 4] / n);
			for (int b = 0; b < 3; b++)
				close = close && fabs(square[a * 3 + b] / n - covariance[a * 3 + b]) <
									 5 * 2 * sqrt(covariance[a * 4] * covariance[b * 4] / n);
		}
		ok(close, "%s: samples have the moments of the model", structure_names[s]);
		free(sampler.factor);
		free_model(&m);
	}
}

/* The first draws, as they came out once: they are the same on every machine. */
static void
test_same_everywhere(void)
{
	clu_model	m = full_example();
	clu_sampler a = make_sampler(&m, 42), b = make_sampler(&m, 42), c = make_sampler(&m, 43);
	double		x[3], y[3], z[3];
	bool		same = true, other = false;

	for (int i = 0; i < 100; i++)
	{
		int from = clu_sampler_next(&a, x);

		same = same && from == clu_sampler_next(&b, y) && memcmp(x, y, sizeof(x)) == 0;
		(void) clu_sampler_next(&c, z);
		other = other || x[0] != z[0];
		if (i == 0)
			ok(x[0] == 0x1.753f1360a2c88p+2 && x[1] == -0x1.aa7f0e66cb7fp+1 &&
				   x[2] == 0x1.a71f6904c07c2p+0,
			   "the first draw of seed 42");
	}
	ok(same && other, "the same seed gives the same draws, another one others");
	free(a.factor);
	free(b.factor);
	free(c.factor);
	free_model(&m);
}

int
main(void)
{
	random_seed(6);
	clu_kernel_choose();
	test_moments();
	test_bernoulli_moments();
	test_moments_of_fit();
	test_add();
	test_marginal();
	test_condition();
	test_kl();
	test_samples();
	test_same_everywhere();
	return finish_tests();
}
