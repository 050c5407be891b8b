/*
 * test_team.c
 *		Fits by a team: whoever does what, the model is the same, bit for bit.
 */
#include "fitting.h"
#include "threads.h"

static clu_rows
random_rows(size_t n, int d, int width, bool weighted)
{
	clu_rows rows = make_rows(n, d, width);

	for (size_t i = 0; i < n; i++)
		for (int j = 0; j < d; j++)
			set_value(&rows, i, j, (double) random_below(9) + random_normal() * 0.3);
	if (weighted)
	{
		double *w = add_weights(&rows);

		for (size_t i = 0; i < n; i++)
			w[i] = 0.1 + random_unit();
	}
	return rows;
}

/* By one and by several; the models of several clusters need not be of several shares. */
static void
compare_teams(const char *name, const clu_rows *rows, int k, const clu_options *options)
{
	fitted alone;

	fit_rows(&alone, rows, k, options, NULL);
	for (int members = 2; members <= 5; members += 3)
	{
		thread_team threads;
		fitted		together;

		make_threads(&threads, members);
		fit_rows_in_team(&together, rows, k, options, NULL, &threads.team);
		ok(same_models(&alone, &together) && threads.shared > 0, "%s: the same from %d", name,
		   members);
		free_fit(&together);
	}
	free_fit(&alone);
}

static void
test_kmeans(void)
{
	clu_options once = default_options();
	clu_rows	rows = random_rows(30000, 3, 8, false);

	once.value[CLU_MAX_ITER].integer = 20;
	compare_teams("K-means", &rows, 14, &once);
	free_rows(&rows);

	rows = random_rows(20000, 2, 4, true);
	compare_teams("K-means of weighted floats", &rows, 5, &once);
	free_rows(&rows);

	/* sums of such values have no room in fixed point numbers */
	rows = random_rows(10000, 2, 8, false);
	for (size_t i = 0; i < rows.n; i++)
		set_value(&rows, i, 0, get_value(&rows, i, 0) * (i % 2 == 0 ? 1e-30 : 1));
	compare_teams("K-means of far apart magnitudes", &rows, 5, &once);
	free_rows(&rows);
}

int
main(void)
{
	clu_kernel_choose();
	test_kmeans();
	return finish_tests();
}
