/*
 * test_team.c
 *		Fits by a team: whoever does what, the model is the same, bit for bit.
 */
#include <math.h>

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

/* ---- canonical order ---- */

static bool
same_doubles(const double *a, const double *b, size_t n)
{
	return (a == NULL) == (b == NULL) && (a == NULL || memcmp(a, b, n * sizeof(double)) == 0);
}

static bool
same_points(const clu_points *a, const clu_points *b)
{
	size_t columns = a->width == CLU_PACKED ? 0 : (size_t) a->d;

	return a->n == b->n && memcmp(a->x, b->x, a->n * clu_row_size(a->d, a->width)) == 0 &&
		   same_doubles(a->w, b->w, a->n) && same_doubles(a->largest, b->largest, columns) &&
		   same_doubles(a->least, b->least, columns) && same_doubles(a->low, b->low, columns) &&
		   same_doubles(a->high, b->high, columns) && same_bits(a->rows, b->rows) &&
		   same_bits(a->total_weight, b->total_weight) && same_bits(a->unit, b->unit) &&
		   same_bits(a->largest_weight, b->largest_weight) &&
		   same_bits(a->least_weight, b->least_weight);
}

static void
compare_orders(const char *name, clu_rows *rows)
{
	prepared alone;

	prepare_points(&alone, rows);
	for (int members = 2; members <= 5; members += 3)
	{
		thread_team threads;
		prepared	together;

		make_threads(&threads, members);
		prepare_points_in_team(&together, rows, &threads.team);
		ok(alone.status == CLU_OK && together.status == CLU_OK &&
			   same_points(&alone.points, &together.points) && threads.shared > 0,
		   "order of %s: the same from %d", name, members);
		free_points(&together);
	}
	free_points(&alone);
	free_rows(rows);
}

static clu_rows
random_bits_of(size_t n, int d, bool weighted)
{
	size_t	  words = n * clu_words(d);
	clu_rows  rows = {.x = test_memory(words * sizeof(uint64_t)), .n = n, .d = d};
	uint64_t *x = (uint64_t *) rows.x;
	uint64_t  used = ~UINT64_C(0) << (CLU_WORD_BITS - 1 - (d - 1) % CLU_WORD_BITS);

	for (size_t i = 0; i < words; i++)
		x[i] = (random_bits() & random_bits() & random_bits()) &
			   ((i + 1) % clu_words(d) == 0 ? used : ~UINT64_C(0));
	for (size_t i = 0; weighted && i < n; i++)
		(rows.w == NULL ? add_weights(&rows) : (double *) rows.w)[i] = 1 + (double) random_below(5);
	return rows;
}

static void
test_order(void)
{
	clu_rows rows = random_rows(100000, 2, 8, false);

	compare_orders("doubles", &rows);
	rows = random_rows(90000, 3, 4, true);
	compare_orders("weighted floats", &rows);

	rows = random_rows(150000, 3, 8, true);
	for (size_t i = 0; i < rows.n; i++)
		set_value(&rows, i, 0, (double) (random_below(10) / 7));
	compare_orders("rows with few first values", &rows);

	rows = random_rows(100000, 3, 8, false);
	for (size_t i = 0; i < rows.n; i++)
	{
		set_value(&rows, i, 0, 7);
		set_value(&rows, i, 1, i % 3 == 0 ? get_value(&rows, i, 1) : -0.0);
		set_value(&rows, i, 2, (double) random_below(4));
	}
	compare_orders("rows with a constant column and many equal ones", &rows);

	rows = random_rows(50000, 1, 8, false);
	for (size_t i = 0; i < rows.n; i++)
		set_value(&rows, i, 0, i == 7 ? 1e300 : 1 + 0x1p-52 * (double) random_below(99999));
	compare_orders("values close together but one", &rows);

	rows = make_rows(40000, 2, 8);
	for (size_t i = 0; i < rows.n; i++)
		set_value(&rows, i, 0, 1), set_value(&rows, i, 1, 2);
	compare_orders("equal rows", &rows);

	rows = random_bits_of(60000, 20, false);
	compare_orders("bits", &rows);
	rows = random_bits_of(40000, 150, true);
	compare_orders("weighted bits of several words", &rows);
}

/* ---- fits ---- */

static void
compare_teams(const char *name, const clu_rows *rows, int k, const clu_options *options)
{
	compare_fits(name, rows, CLU_KMEANS, k, options, NULL);
}

/* One centre is among the points, the others are so far away that nobody goes there. */
static void
compare_with_empty_clusters(const char *name, const clu_rows *rows, clu_algorithm algorithm, int k,
							const clu_options *options)
{
	clu_model start = {.algorithm = algorithm, .k = k, .d = rows->d};
	double	 *parameter = calloc(clu_parameter_count(algorithm, 0, k, rows->d), sizeof(double));

	clu_model_bind(&start, parameter);
	for (int i = rows->d; i < k * rows->d; i++)
		start.center[i] = 1000 + i;
	compare_fits(name, rows, algorithm, k, options, &start);
	free(parameter);
}

/* Rows around so many places: starts often miss some of them, and exchanges find them. */
static clu_rows
clustered_rows(size_t n, int d, int places, int width, bool weighted)
{
	clu_rows rows = random_rows(n, d, width, weighted);
	double	*place = test_memory((size_t) places * (size_t) d * sizeof(double));

	for (int i = 0; i < places * d; i++)
		place[i] = 100 * random_unit();
	for (size_t i = 0; i < n; i++)
		for (int j = 0; j < d; j++)
			set_value(&rows, i, j,
					  place[(i % (size_t) places) * (size_t) d + (size_t) j] + random_normal());
	free(place);
	return rows;
}

static void
test_kmeans(void)
{
	clu_options defaults = default_options(), once = defaults, one_step = defaults;
	clu_rows	rows = random_rows(30000, 3, 8, false);

	once.value[CLU_MAX_ITER].integer = 20;
	one_step.value[CLU_MAX_ITER].integer = 1;
	compare_teams("K-means", &rows, 14, &once);
	free_rows(&rows);

	rows = random_rows(20000, 2, 4, true);
	compare_teams("K-means of weighted floats", &rows, 5, &once);
	free_rows(&rows);

	/* work enough for the seeding to be shared out; with distances kept, and without */
	rows = random_rows(60000, 16, 8, true);
	compare_teams("K-means of many starting centres", &rows, 30, &one_step);
	free_rows(&rows);
	rows = random_rows(120000, 4, 4, false);
	compare_teams("K-means of many starting centres of few columns", &rows, 30, &one_step);
	free_rows(&rows);

	rows = clustered_rows(20000, 3, 25, 8, false);
	compare_teams("K-means with exchanges", &rows, 25, &defaults);
	compare_with_empty_clusters("K-means with empty clusters", &rows, CLU_KMEANS, 9, &once);
	free_rows(&rows);
	rows = clustered_rows(20000, 6, 20, 4, true);
	compare_teams("K-means of weighted floats with exchanges", &rows, 17, &defaults);
	free_rows(&rows);

	/* sums of such values have no room in fixed point numbers */
	rows = random_rows(10000, 2, 8, false);
	for (size_t i = 0; i < rows.n; i++)
		set_value(&rows, i, 0, get_value(&rows, i, 0) * (i % 2 == 0 ? 1e-30 : 1));
	compare_teams("K-means of far apart magnitudes", &rows, 5, &once);
	free_rows(&rows);
}

static void
compare_medians(const char *name, const clu_rows *rows, int k, const clu_options *options)
{
	compare_fits(name, rows, CLU_KMEDIANS, k, options, NULL);
}

/* Rows of small integers, around few places: columns with many ties, and medians between two. */
static clu_rows
integer_rows(size_t n, int d, int width, bool weighted)
{
	clu_rows rows = random_rows(n, d, width, weighted);

	for (size_t i = 0; i < n; i++)
		for (int j = 0; j < d; j++)
			set_value(&rows, i, j,
					  (double) (i % 5) * 4 + floor(get_value(&rows, i, j) / (j % 3 + 1)));
	return rows;
}

static void
test_kmedians(void)
{
	clu_options options, once;
	clu_rows	rows;

	clu_options_default(&options, CLU_KMEDIANS);
	once = options;
	once.value[CLU_MAX_ITER].integer = 12;
	rows = random_rows(40000, 3, 8, false);
	compare_medians("K-medians", &rows, 9, &once);
	free_rows(&rows);

	rows = random_rows(40000, 5, 4, true);
	compare_medians("K-medians of weighted floats", &rows, 6, &once);
	compare_with_empty_clusters("K-medians with empty clusters", &rows, CLU_KMEDIANS, 6, &once);
	free_rows(&rows);

	rows = integer_rows(150000, 4, 8, false);
	compare_medians("K-medians with many ties", &rows, 7, &options);
	free_rows(&rows);
	rows = integer_rows(40000, 20, 8, true);
	compare_medians("K-medians of many columns with ties", &rows, 8, &once);
	free_rows(&rows);

	rows = clustered_rows(20000, 3, 20, 8, false);
	compare_medians("K-medians with exchanges", &rows, 20, &options);
	free_rows(&rows);
	rows = clustered_rows(15000, 5, 20, 4, true);
	compare_medians("K-medians of weighted floats with exchanges", &rows, 17, &options);
	free_rows(&rows);
	rows = random_rows(6000, 50, 8, false);
	compare_medians("K-medians of many columns and clusters", &rows, 50, &once);
	free_rows(&rows);
	rows = random_rows(100000, 1, 8, true);
	compare_medians("K-medians of one column", &rows, 40, &once);
	free_rows(&rows);
}

int
main(void)
{
	clu_kernel_choose();
	test_order();
	test_kmeans();
	test_kmedians();
	return finish_tests();
}
