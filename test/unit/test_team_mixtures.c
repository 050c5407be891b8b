/*
 * test_team_mixtures.c
 *		Fits by a team of what shares points out: soft K-means, Gaussian and Bernoulli mixtures.
 *
 * Whoever does what, the model is the same, bit for bit.  That it is right is tested elsewhere, by
 * fits of one (test_soft_kmeans.c, test_gmm.c, test_bernoulli.c), with more than a share of points.
 */
#include "gmm_fitting.h"
#include "threads.h"

static void
set_text(clu_options *options, clu_option option, const char *text)
{
	clu_option_set_text(options, option, text, strlen(text));
}

static void
compare_teams(const char *name, const clu_rows *rows, clu_algorithm algorithm, int k,
			  const clu_options *options)
{
	compare_fits(name, rows, algorithm, k, options, NULL);
}

static void
weigh(clu_rows *rows)
{
	double *w = add_weights(rows);

	for (size_t i = 0; i < rows->n; i++)
		w[i] = 0.1 + random_unit();
}

/* The same rows, as floats. */
static clu_rows
as_floats(clu_rows *rows)
{
	clu_rows floats = make_rows(rows->n, rows->d, 4);

	for (size_t i = 0; i < rows->n; i++)
		for (int j = 0; j < rows->d; j++)
			set_value(&floats, i, j, get_value(rows, i, j));
	free_rows(rows);
	return floats;
}

/* ---- soft K-means ---- */

static void
test_soft_kmeans(void)
{
	clu_options options = default_options();
	clu_rows	rows = random_mixture(20000, 3, 4, 3);

	clu_option_set_number(&options, CLU_BETA, 0.2);
	clu_option_set_integer(&options, CLU_MAX_ITER, 10);
	compare_teams("soft K-means", &rows, CLU_KMEANS, 4, &options);
	rows = as_floats(&rows);
	weigh(&rows);
	compare_teams("soft K-means of weighted floats", &rows, CLU_KMEANS, 5, &options);
	free_rows(&rows);
}

/* ---- Gaussian mixtures ---- */

static void
test_structures(void)
{
	for (int s = 0; s < STRUCTURES; s++)
	{
		clu_options options = gmm_options(s, 0, 6);
		clu_rows	rows = random_mixture(12000, 3, 3, 2);

		compare_teams(structure_names[s], &rows, CLU_GMM, 3, &options);
		free_rows(&rows);
	}
}

/* The starts see a sample of the points. */
static void
test_gmm_sample(void)
{
	clu_options options = gmm_options(CLU_COV_FULL, 1e-4, 6);
	clu_rows	rows = random_mixture(30000, 2, 4, 2);

	rows = as_floats(&rows);
	weigh(&rows);
	set_text(&options, CLU_WEIGHTS, "uniform");
	compare_teams("full, weighted floats, uniform weights", &rows, CLU_GMM, 4, &options);
	free_rows(&rows);
}

/* Flat data are held up by the floor, run after run. */
static void
test_flaws(void)
{
	clu_options options = gmm_options(CLU_COV_FULL, 1e-4, 5);
	clu_rows	rows = random_mixture(12000, 3, 3, 2);

	for (size_t i = 0; i < rows.n; i++)
		set_value(&rows, i, 2, get_value(&rows, i, 0) - get_value(&rows, i, 1));
	compare_teams("full, in a plane", &rows, CLU_GMM, 3, &options);
	free_rows(&rows);
}

/* Where matrices are large, the components are shared out, too. */
static void
test_large_matrices(void)
{
	clu_options options = gmm_options(CLU_COV_FULL, 0, 3);
	clu_rows	rows = random_mixture(4500, 101, 4, 1);

	for (size_t i = 0; i < rows.n; i++)
		set_value(&rows, i, 100, get_value(&rows, i, 0));
	set_text(&options, CLU_INIT, "random");
	compare_teams("full, a hundred columns, two of them the same", &rows, CLU_GMM, 4, &options);
	free_rows(&rows);
}

static void
test_from_model(void)
{
	double		center[] = {0, 0, 1, 1, -1, 2};
	clu_options options = gmm_options(CLU_COV_FULL, 0, 5);
	clu_rows	rows = random_mixture(20000, 2, 3, 2);
	clu_model	start = start_at(CLU_COV_FULL, center, 3, 2, 4);

	compare_fits("full, from a model", &rows, CLU_GMM, 3, &options, &start);
	free_model(&start);
	free_rows(&rows);
}

/* ---- Bernoulli mixtures ---- */

static clu_rows
packed_rows(size_t n, int d)
{
	clu_rows  rows = {.n = n, .d = d, .width = CLU_PACKED};
	uint64_t *words = test_memory(n * clu_row_size(d, CLU_PACKED));
	double	 *x = test_memory((size_t) d * sizeof(double));

	for (size_t i = 0; i < n; i++)
	{
		uint64_t kind = random_below(3);

		for (int j = 0; j < d; j++)
			x[j] = random_below(10) < (kind + (uint64_t) j) % 5 * 2;
		clu_pack(x, d, words + i * clu_words(d));
	}
	free(x);
	rows.x = words;
	return rows;
}

static void
test_bernoulli(void)
{
	clu_options options;
	clu_rows	rows = packed_rows(12000, 20);

	clu_options_default(&options, CLU_BERNOULLI);
	clu_option_set_integer(&options, CLU_MAX_ITER, 10);
	compare_teams("Bernoulli", &rows, CLU_BERNOULLI, 3, &options);
	free_rows(&rows);

	rows = packed_rows(9000, 70);
	weigh(&rows);
	clu_option_set_number(&options, CLU_SMOOTHING, 0.5);
	set_text(&options, CLU_WEIGHTS, "uniform");
	set_text(&options, CLU_INIT, "random");
	compare_teams("Bernoulli, smoothed, weighted rows, uniform weights", &rows, CLU_BERNOULLI, 20,
				  &options);
	free_rows(&rows);
}

/* Every point contradicts both components of the start. */
static void
test_impossible_bits(void)
{
	clu_options options;
	clu_rows	rows = packed_rows(9000, 40);
	clu_model	start = {.algorithm = CLU_BERNOULLI, .k = 2, .d = 40};

	clu_model_bind(&start, calloc(clu_parameter_count(CLU_BERNOULLI, 0, 2, 40), sizeof(double)));
	for (int i = 0; i < 2 * 40; i++)
		start.center[i] = (i + i / 40) % 2;
	start.weight[0] = start.weight[1] = 0.5;
	clu_options_default(&options, CLU_BERNOULLI);
	clu_option_set_integer(&options, CLU_MAX_ITER, 4);
	compare_fits("Bernoulli, from a model that all rows contradict", &rows, CLU_BERNOULLI, 2,
				 &options, &start);
	free_model(&start);
	free_rows(&rows);
}

int
main(void)
{
	clu_kernel_choose();
	test_soft_kmeans();
	test_structures();
	test_gmm_sample();
	test_flaws();
	test_large_matrices();
	test_from_model();
	test_bernoulli();
	test_impossible_bits();
	return finish_tests();
}
