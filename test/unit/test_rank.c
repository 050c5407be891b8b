/*
 * test_rank.c
 *		The points in the order of each column: as a sort by comparison has it, piece by piece as they
 *		are wanted, alone and in a team.
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

static int
compare_numbers(const void *a, const void *b)
{
	uint32_t i = *(const uint32_t *) a, j = *(const uint32_t *) b;

	return (i > j) - (i < j);
}

/* Whether all columns are as a sort by comparison has them, with the unsorted pieces by number. */
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
		for (size_t piece = 0; piece < ranks->pieces; piece++)
		{
			size_t first = clu_ranks_first(ranks, j, piece);

			if (!clu_ranks_sorted(ranks, j, piece))
				qsort(expected + first, clu_ranks_first(ranks, j, piece + 1) - first,
					  sizeof(uint32_t), compare_numbers);
		}
		same = same && clu_ranks_first(ranks, j, 0) == 0 &&
			   clu_ranks_first(ranks, j, ranks->pieces) == points->n &&
			   memcmp(expected, clu_ranks_order(ranks, j), points->n * sizeof(uint32_t)) == 0;
	}
	free(expected);
	return same;
}

/* Whether ranks are found in their pieces, and how many points the longest piece has. */
static size_t
longest_piece(const clu_ranks *ranks, bool *found)
{
	size_t longest = 0;

	*found = true;
	for (int j = 0; j < ranks->points->d; j++)
		for (size_t piece = 0; piece < ranks->pieces; piece++)
		{
			size_t first = clu_ranks_first(ranks, j, piece);
			size_t end = clu_ranks_first(ranks, j, piece + 1);

			if (first < end)
				*found = *found && clu_ranks_piece(ranks, j, first) == piece &&
						 clu_ranks_piece(ranks, j, end - 1) == piece;
			longest = CLU_MAX(longest, end - first);
		}
	return longest;
}

/* Want every so many of the pieces. */
static void
sort_pieces(clu_ranks *ranks, size_t every, clu_team *team, const clu_interrupt *interrupt)
{
	for (int j = 0; j < ranks->points->d; j++)
		for (size_t piece = random_below(every); piece < ranks->pieces; piece += every)
			clu_ranks_want(ranks, j, piece);
	clu_ranks_sort(ranks, team, interrupt);
}

static void
try_ranks(const clu_points *points, clu_team *team, const char *name, bool few_ties)
{
	static const clu_interrupt never = {NULL, NULL};
	clu_ranks				   ranks;
	clu_arena				   arena = {0};
	uint64_t				  *scratch = test_memory(points->n * sizeof(uint64_t));
	void					  *memory;
	size_t					   longest;
	bool					   found;

	clu_ranks_layout(&ranks, &arena, points, clu_team_members(team));
	memory = test_memory(arena.used);
	arena = (clu_arena) {.base = memory};
	clu_ranks_layout(&ranks, &arena, points, clu_team_members(team));
	clu_ranks_part(&ranks, points, scratch, team, &never);
	longest = longest_piece(&ranks, &found);
	ok(right(&ranks, points), "%s: parted", name);
	ok(found && (!few_ties || longest <= CLU_MAX(points->n / ranks.pieces * 6, 200)),
	   "... the pieces are found, the longest of %zu has %zu points", ranks.pieces, longest);
	memset(scratch, 0xff, points->n * sizeof(uint64_t));
	sort_pieces(&ranks, 5, team, &never);
	ok(right(&ranks, points), "... some pieces sorted");
	sort_pieces(&ranks, 1, team, &never);
	ok(right(&ranks, points), "... all pieces sorted");
	free(scratch);
	free(memory);
}

/* What a fit knows of its points' columns. */
static void
measure_columns(clu_points *points)
{
	points->unit = random_below(2) == 0 ? 1 : 0x1p10;
	points->low = test_memory((size_t) points->d * sizeof(double));
	points->high = test_memory((size_t) points->d * sizeof(double));
	for (int j = 0; j < points->d; j++)
	{
		points->low[j] = INFINITY;
		points->high[j] = -INFINITY;
		for (size_t i = 0; i < points->n; i++)
		{
			points->low[j] = fmin(points->low[j], clu_value(points, i, j) * points->unit);
			points->high[j] = fmax(points->high[j], clu_value(points, i, j) * points->unit);
		}
	}
}

static int
compare_values(const void *a, const void *b)
{
	double x = *(const double *) a, y = *(const double *) b;

	return (x > y) - (x < y);
}

/* The order that the points of a fit have. */
static void
sort_first_column(clu_rows *rows)
{
	double *value = test_memory(rows->n * sizeof(double));

	for (size_t i = 0; i < rows->n; i++)
		value[i] = get_value(rows, i, 0);
	qsort(value, rows->n, sizeof(double), compare_values);
	for (size_t i = 0; i < rows->n; i++)
		set_value(rows, i, 0, value[i]);
	free(value);
}

static void
try_points(int kind, size_t n, int width)
{
	clu_rows	rows = make_rows(n, D, width);
	clu_points	points = {.x = (void *) rows.x, .n = n, .d = D, .width = width};
	thread_team threads;
	char		name[100];
	bool		few_ties = kind == 0 || (kind == 1 && width == 8);

	make_threads(&threads, 3);
	for (size_t i = 0; i < n; i++)
		for (int j = 0; j < D; j++)
			set_value(&rows, i, j, value_of(kind, j) + 0.0);
	sort_first_column(&rows);
	measure_columns(&points);
	snprintf(name, sizeof(name), "kind %d, %zu points of width %d", kind, n, width);
	try_ranks(&points, NULL, name, few_ties);
	snprintf(name, sizeof(name), "... in a team");
	try_ranks(&points, &threads.team, name, few_ties);
	free(points.low);
	free(points.high);
	free_rows(&rows);
}

int
main(void)
{
	static const size_t sizes[] = {1, 2, 190, 1024, 3000, 40000, 150000};

	for (int kind = 0; kind < 5; kind++)
		for (size_t i = 0; i < sizeof(sizes) / sizeof(*sizes); i++)
		{
			try_points(kind, sizes[i], 8);
			try_points(kind, sizes[i], 4);
		}
	return finish_tests();
}
