/*
 * test_coreset.c
 *		The sample that starting centres are looked for in: its sums are those of the points, and a
 *		few points far out are in it.
 */
#include "fitting.h"

#include "assign.h"
#include "coreset.h"

#define ROWS 260000
#define FAR 6 /* rows */

/* A broad group, and a few rows that lie together far from it. */
static clu_rows
group_and_few(int width, bool weighted)
{
	clu_rows rows = make_rows(ROWS, 2, width);
	double	*w = weighted ? add_weights(&rows) : NULL;

	for (size_t i = 0; i < rows.n; i++)
	{
		double far = i % (ROWS / FAR) == 0 && i / (ROWS / FAR) < FAR ? 3000 : 0;

		set_value(&rows, i, 0, random_normal() + far);
		set_value(&rows, i, 1, random_normal() * 3);
		if (weighted)
			w[i] = i % 3 == 0 ? 0.25 : 1 + random_unit();
	}
	return rows;
}

typedef struct sums
{
	double weight, distance, x;
	int	   far;
} sums;

static sums
add_up(const clu_points *points)
{
	double buffer[2], zero[2] = {0, 0};
	sums   s = {0};

	for (size_t i = 0; i < points->n; i++)
	{
		const double *x = clu_point(points, i, buffer);
		double		  w = clu_weight(points->w, i);

		s.weight += w;
		s.distance += w * clu_distance(CLU_SQUARED, x, zero, 2);
		s.x += w * x[1] * x[1];
		s.far += x[0] > 1000;
	}
	return s;
}

static void
test_sample(int width, bool weighted)
{
	clu_rows		  rows = group_and_few(width, weighted);
	clu_random		  random = clu_random_start(1, 1);
	clu_coreset		  coreset;
	clu_arena		  arena = {NULL, 0};
	prepared		  data;
	double			  center[2] = {0, 0}, *distance;
	const clu_points *sample;
	sums			  all, some;

	prepare_points(&data, &rows);
	clu_coreset_layout(&coreset, &arena, CLU_SQUARED, &data.points, 3);
	arena = (clu_arena) {test_memory(arena.used), 0};
	clu_coreset_layout(&coreset, &arena, CLU_SQUARED, &data.points, 3);
	distance = test_memory(data.points.n * sizeof(double));
	sample = clu_coreset_draw(&coreset, &data.points, center, distance, &random, NULL);
	all = add_up(&data.points);
	some = add_up(sample);

	ok(sample->n > 20000 && sample->n <= 50000, "%d bytes%s: a sample of %zu points", width,
	   weighted ? ", weighted" : "", sample->n);
	ok(near(all.weight, some.weight, 0.02) && near(all.distance, some.distance, 0.02) &&
		   near(all.x, some.x, 0.02),
	   "its sums are those of all points, to two parts in a hundred");
	ok(all.far == FAR && some.far == FAR, "the few points far out are in it");
	free(arena.base);
	free(distance);
	free_points(&data);
	free_rows(&rows);
}

/* The whole fit finds the few, which hardly weigh anything. */
static void
test_fit(void)
{
	clu_rows	rows = group_and_few(8, false);
	clu_options options = default_options();
	bool		found = false;
	fitted		f;

	options.value[CLU_MAX_ITER].integer = 10;
	fit_rows(&f, &rows, 3, &options, NULL);
	for (int c = 0; c < 3; c++)
		found = found || (f.fit.model.center[2 * c] > 2900 && f.fit.model.size[c] == FAR);
	ok(f.status == CLU_OK && found, "a fit of that many rows gives the few a cluster");
	free_fit(&f);
	free_rows(&rows);
}

static void
test_few_points(void)
{
	clu_rows	rows = make_rows(1000, 1, 8);
	clu_random	random = clu_random_start(1, 1);
	clu_coreset coreset;
	clu_arena	arena = {NULL, 0};
	prepared	data;
	double		center = 0;

	for (size_t i = 0; i < rows.n; i++)
		set_value(&rows, i, 0, random_normal());
	prepare_points(&data, &rows);
	clu_coreset_layout(&coreset, &arena, CLU_SQUARED, &data.points, 3);
	ok(clu_coreset_draw(&coreset, &data.points, &center, NULL, &random, NULL) == &data.points,
	   "few points stand for themselves");
	free_points(&data);
	free_rows(&rows);
}

int
main(void)
{
	clu_kernel_choose();
	random_seed(7);
	test_sample(8, false);
	test_sample(4, true);
	test_fit();
	test_few_points();
	return finish_tests();
}
