/*
 * test_rank.c
 *		The points in the order of each column: as a sort by comparison has it, alone and in a team.
 */
#include <math.h>

#include "fitting.h"
#include "rank.h"
#include "threads.h"

#define D 3

/* Columns of different kinds: what decides is how many points share a key. */
static double
value_of(int kind, int column)
{
	switch (kind)
	{
		case 0: /* few share one */
			return 1 + random_unit();
		case 1: /* most do: values on both sides of 0 have all exponents */
			return column == 2 ? ldexp(random_normal(), (int) random_below(600) - 300)
							   : random_normal();
		case 2: /* all do, and few values there are */
			return (double) random_below(column == 0 ? 7 : 500) - 3;
		case 3: /* a constant, and keys that are all of the values */
			return column == 0 ? 5 : 1 + (double) random_below(1 << 20) * 0x1p-52;
		default: /* groups that differ by less than a key does, both large and small */
			return (double) random_below(2) +
				   (double) random_below(column == 0 ? 3 : 100000) * 0x1p-50;
	}
}

static const clu_points *compared;
static int				 compared_column;

static int
compare_points(const void *a, const void *b)
{
	uint32_t i = *(const uint32_t *) a, j = *(const uint32_t *) b;
	double x = clu_value(compared, i, compared_column), y = clu_value(compared, j, compared_column);

	return x != y ? (x < y ? -1 : 1) : (i > j) - (i < j);
}

/* Whether all columns are as a sort by comparison has them. */
static bool
right(const clu_ranks *ranks, const clu_points *points)
{
	uint32_t *expected = test_memory(points->n * sizeof(uint32_t));
	bool	  same = true;

	compared = points;
	for (int j = 0; j < points->d; j++)
	{
		compared_column = j;
		for (uint32_t i = 0; i < points->n; i++)
			expected[i] = i;
		qsort(expected, points->n, sizeof(uint32_t), compare_points);
		same = same && memcmp(expected, ranks->order + (size_t) j * points->n,
							  points->n * sizeof(uint32_t)) == 0;
	}
	free(expected);
	return same;
}

static bool
rank_right(const clu_points *points, clu_team *team)
{
	static const clu_interrupt never = {NULL, NULL};
	clu_ranks				   ranks;
	clu_arena				   arena = {0};
	clu_word_list			   scratch = {
					 .word = test_memory(points->n * sizeof(uint64_t)),
					 .spare = test_memory(points->n * sizeof(uint64_t)),
	 };
	void *memory;
	bool  good;

	clu_ranks_layout(&ranks, &arena, points, clu_team_members(team));
	memory = test_memory(arena.used);
	arena = (clu_arena) {.base = memory};
	clu_ranks_layout(&ranks, &arena, points, clu_team_members(team));
	clu_ranks_sort(&ranks, points, &scratch, team, &never);
	good = right(&ranks, points);
	free(scratch.word);
	free(scratch.spare);
	free(memory);
	return good;
}

static void
try_points(int kind, size_t n, int width)
{
	clu_rows	rows = make_rows(n, D, width);
	clu_points	points = {.x = (void *) rows.x, .n = n, .d = D, .width = width};
	thread_team threads;

	make_threads(&threads, 3);
	for (size_t i = 0; i < n; i++)
		for (int j = 0; j < D; j++)
			set_value(&rows, i, j, value_of(kind, j) + 0.0);
	ok(rank_right(&points, NULL), "kind %d, %zu points of width %d", kind, n, width);
	ok(rank_right(&points, &threads.team), "... in a team");
	free_rows(&rows);
}

int
main(void)
{
	static const size_t sizes[] = {1, 2, 150, 192, 3000, 40000, 150000};

	for (int kind = 0; kind < 5; kind++)
		for (size_t i = 0; i < sizeof(sizes) / sizeof(*sizes); i++)
		{
			try_points(kind, sizes[i], 8);
			try_points(kind, sizes[i], 4);
		}
	return finish_tests();
}
