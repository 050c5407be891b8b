/*
 * test_points.c
 *		Canonical order, collapsing of equal rows, weights, and the unit of extreme values.
 *
 * Stand-alone; prints TAP.  The reference is qsort with a comparison of whole rows.
 */
#include "fitting.h"

/* ---- the reference ---- */

static const clu_rows *compared_rows;

static int
compare_values(const clu_rows *rows, size_t a, size_t b)
{
	for (int j = 0; j < rows->d; j++)
	{
		double va = get_value(rows, a, j), vb = get_value(rows, b, j);

		if (va != vb)
			return va < vb ? -1 : 1;
	}
	return 0;
}

static int
compare_index(const void *a, const void *b)
{
	return compare_values(compared_rows, *(const size_t *) a, *(const size_t *) b);
}

static size_t *
sorted_index(const clu_rows *rows)
{
	size_t *index = test_memory(rows->n * sizeof(size_t));

	for (size_t i = 0; i < rows->n; i++)
		index[i] = i;
	compared_rows = rows;
	qsort(index, rows->n, sizeof(size_t), compare_index);
	return index;
}

/* The end of the run of equal rows that begins at first. */
static size_t
end_of_run(const clu_rows *rows, const size_t *index, size_t first)
{
	size_t end = first + 1;

	while (end < rows->n && compare_values(rows, index[first], index[end]) == 0)
		end++;
	return end;
}

/* ---- values ---- */

enum
{
	FEW_INTEGERS,
	SIGNS_OF_ZERO,
	NORMAL,
	CONSTANT_COLUMNS,
	LAST_COLUMN_DIFFERS,
	RANDOM_BITS,
	CLOSE_TOGETHER,
	ASCENDING,
	DESCENDING,
	OUTLIERS,
	DENORMALS,
	HEAVY_TAILS,
	MOSTLY_ZERO,
	HALVED,
	ALL_EQUAL,
	KINDS
};

static const char *const kind_names[] = {
	"few integers",
	"zeros of both signs",
	"normal",
	"constant columns",
	"last column differs",
	"random bits",
	"close together",
	"ascending",
	"descending",
	"outliers",
	"denormals",
	"heavy tails",
	"mostly zeros",
	"values each of which is half of another",
	"all equal",
};

/* Any finite double; of floats too where they are kept as such. */
static double
random_finite(int width)
{
	for (;;)
	{
		uint64_t bits = random_bits();
		uint32_t half = (uint32_t) bits;
		double	 value;
		float	 single;

		memcpy(&value, &bits, sizeof(value));
		memcpy(&single, &half, sizeof(single));
		if (width == 4)
			value = single;
		if (isfinite(value))
			return value;
	}
}

static double
make_value(int kind, size_t i, int j, size_t n, int d, int width)
{
	switch (kind)
	{
		case FEW_INTEGERS:
			return (double) random_below(4) - 2;
		case SIGNS_OF_ZERO:
			return ((double[]) {-1, -0.0, 0.0, 1})[random_below(4)];
		case NORMAL:
			return random_normal();
		case CONSTANT_COLUMNS:
			return j % 3 == 2 ? random_normal() : -7.25 * j;
		case LAST_COLUMN_DIFFERS:
			return j == d - 1 ? random_normal() : 3;
		case RANDOM_BITS:
			return random_finite(width);
		case CLOSE_TOGETHER:
			return width == 8 ? 1 + 0x1p-52 * (double) random_below(50)
							  : 1 + 0x1p-23 * (double) random_below(50);
		case ASCENDING:
			return (double) (i / 3);
		case DESCENDING:
			return (double) ((n - i) / 3);
		case OUTLIERS:
			return random_below(1000) > 0 ? random_normal()
										  : random_normal() * (width == 8 ? 1e300 : 1e30);
		case DENORMALS:
			return ((double) random_below(2000) - 1000) * (width == 8 ? 5e-324 : 0x1p-149);
		case HEAVY_TAILS:
			return random_normal() / (random_unit() * random_unit() * random_unit() + 1e-30);
		case MOSTLY_ZERO:
			return random_below(10) > 0 ? (random_below(2) ? -0.0 : 0) : random_normal();
		case HALVED:
			return ldexp(1 + (double) random_below(2),
						 -(int) random_below(width == 8 ? 2000 : 250) + (width == 8 ? 1000 : 120));
		default:
			return 42;
	}
}

static clu_rows
random_rows(int kind, size_t n, int d, int width)
{
	clu_rows rows = make_rows(n, d, width);

	for (size_t i = 0; i < n; i++)
		for (int j = 0; j < d; j++)
			set_value(&rows, i, j, make_value(kind, i, j, n, d, width));
	return rows;
}

/* ---- weights ---- */

enum
{
	NO_WEIGHTS,
	ALL_ONE,
	WHOLE,
	FRACTIONAL,
	TINY,
	HUGE_ONES,
	WEIGHTINGS
};

static const char *const weighting_names[] = {"no weights",			"weights of 1", "whole weights",
											  "fractional weights", "tiny weights", "huge weights"};

static double
make_weight(int weighting)
{
	switch (weighting)
	{
		case WHOLE:
			return 1 + (double) random_below(9);
		case FRACTIONAL:
			return 0.01 + random_unit();
		case TINY:
			return (1 + random_unit()) * 1e-305;
		case HUGE_ONES:
			return (1 + random_unit()) * 1e300;
		default:
			return 1;
	}
}

static void
random_weights(clu_rows *rows, int weighting)
{
	double *w = add_weights(rows);

	for (size_t i = 0; i < rows->n; i++)
		w[i] = make_weight(weighting);
}

/* ---- order ---- */

static bool
sorted_as_reference(const clu_rows *rows)
{
	clu_arena arena = {NULL, 0};
	clu_order order;
	size_t	 *want = sorted_index(rows);
	bool	 *seen = calloc(rows->n, sizeof(bool));
	bool	  good = true;
	size_t	  distinct, want_distinct = 0;

	clu_order_layout(&order, &arena, rows->n, 1);
	arena = (clu_arena) {test_memory(arena.used), 0};
	clu_order_layout(&order, &arena, rows->n, 1);
	distinct = clu_order_sort(&order, rows, NULL, NULL);

	for (size_t first = 0; first < rows->n; first = end_of_run(rows, want, first))
		want_distinct++;
	for (size_t i = 0; i < rows->n && good; i++)
	{
		good = order.index[i] < rows->n && !seen[order.index[i]] &&
			   compare_values(rows, order.index[i], want[i]) == 0;
		seen[order.index[i]] = true;
	}
	free(arena.base);
	free(want);
	free(seen);
	return good && distinct == want_distinct;
}

static void
test_order(void)
{
	const size_t sizes[] = {1, 2, 7, 8, 9, 64, 1000, 4095, 4096, 4097, 20000};

	for (int kind = 0; kind < KINDS; kind++)
	{
		bool good = true;

		for (size_t s = 0; s < sizeof(sizes) / sizeof(sizes[0]); s++)
			for (int width = 4; width <= 8; width += 4)
				for (int d = 1; d <= 5; d += 2)
				{
					clu_rows rows = random_rows(kind, sizes[s], d, width);

					if (!sorted_as_reference(&rows))
					{
						printf("# n %zu, d %d, width %d\n", sizes[s], d, width);
						good = false;
					}
					free_rows(&rows);
				}
		ok(good, "rows of %s are in lexicographic order", kind_names[kind]);
	}
}

/* ---- rows in order where they lie ---- */

/* What a row and its weight are, whatever the sign of a 0. */
static uint64_t
hash_of_row(const clu_rows *rows, size_t row)
{
	uint64_t hash = clu_ordered_bits(get_weight(rows, row));

	for (int j = 0; j < rows->d; j++)
		hash = clu_mix64(hash ^ clu_ordered_bits(get_value(rows, row, j)));
	return hash;
}

static uint64_t
hash_of_rows(const clu_rows *rows)
{
	uint64_t sum = 0;

	for (size_t i = 0; i < rows->n; i++)
		sum += hash_of_row(rows, i);
	return sum;
}

/* Arranges the rows, which are the same ones then, in order, without a -0. */
static bool
arranged(clu_rows *rows)
{
	clu_arena	arena = {NULL, 0};
	clu_arrange arrange;
	uint64_t	before = hash_of_rows(rows);
	size_t		distinct, want = 0;
	bool		good = true;

	rows->movable = true;
	good = clu_arrange_pays(rows, 1) && !clu_arrange_pays(rows, 2);
	clu_arrange_layout(&arrange, &arena, rows);
	arena = (clu_arena) {test_memory(arena.used), 0};
	clu_arrange_layout(&arrange, &arena, rows);
	distinct = clu_arrange_rows(&arrange, rows, NULL);
	for (size_t i = 0; i < rows->n && good; i++)
	{
		int compared = i == 0 ? -1 : compare_values(rows, i - 1, i);

		want += compared < 0;
		good = compared <= 0 && arrange.order.tied[i] == (compared == 0);
		for (int j = 0; j < rows->d; j++)
			good = good && same_bits(get_value(rows, i, j), get_value(rows, i, j) + 0.0);
	}
	free(arena.base);
	return good && distinct == want && hash_of_rows(rows) == before;
}

static void
test_arrange(void)
{
	const size_t sizes[] = {1, 2, 1000, 32768, 32769, 60000, 200000};

	for (int kind = 0; kind < KINDS; kind++)
	{
		bool good = true;

		for (size_t s = 0; s < sizeof(sizes) / sizeof(sizes[0]); s++)
			for (int width = 4; width <= 8; width += 4)
				for (int d = 1; d <= 9; d += 4)
				{
					clu_rows rows = random_rows(kind, sizes[s], d, width);

					if (s % 2)
						random_weights(&rows, FRACTIONAL);
					if (!arranged(&rows))
					{
						printf("# n %zu, d %d, width %d\n", sizes[s], d, width);
						good = false;
					}
					free_rows(&rows);
				}
		ok(good, "rows of %s are put in order where they lie", kind_names[kind]);
	}
}

/* Columns of many equal values, one after the other, and rows that are equal altogether. */
static void
test_deep_arrange(void)
{
	clu_rows few = random_rows(FEW_INTEGERS, 300000, 16, 8);
	clu_rows last = random_rows(LAST_COLUMN_DIFFERS, 100000, 32, 4);
	clu_rows sparse = random_rows(MOSTLY_ZERO, 300000, 16, 8);
	clu_rows none = {.x = NULL, .n = 0, .d = 3, .width = 8};

	ok(arranged(&few), "300,000 rows of 16 columns with 4 values each are put in order");
	ok(arranged(&last), "100,000 rows that only differ in the last of 32 columns");
	ok(arranged(&sparse), "300,000 rows of 16 columns that are mostly 0");
	ok(arranged(&none), "no rows at all");
	free_rows(&few);
	free_rows(&last);
	free_rows(&sparse);
}

/* Long runs of equal values in every column: the sort goes from column to column. */
static void
test_deep_order(void)
{
	clu_rows few = random_rows(FEW_INTEGERS, 100000, 12, 8);
	clu_rows wide_rows = random_rows(LAST_COLUMN_DIFFERS, 5000, 300, 4);
	clu_rows many = random_rows(NORMAL, 200000, 1, 8);
	clu_rows skewed = make_rows(50000, 4, 8);

	/* nine of ten are equal to the first value, in every column */
	for (size_t i = 0; i < skewed.n; i++)
		for (int j = 0; j < skewed.d; j++)
			set_value(&skewed, i, j, random_below(10) > 0 ? 0.5 : random_unit());
	ok(sorted_as_reference(&few), "100,000 rows of 12 columns with 4 values each");
	ok(sorted_as_reference(&wide_rows), "5,000 rows that only differ in the last of 300 columns");
	ok(sorted_as_reference(&many), "200,000 rows of one column");
	ok(sorted_as_reference(&skewed), "50,000 rows most of which share a value");
	free_rows(&few);
	free_rows(&wide_rows);
	free_rows(&many);
	free_rows(&skewed);
}

/* ---- collapsing ---- */

/* Points, weights and totals against the reference. */
static bool
collapsed_as_reference(const clu_rows *rows, int weighting)
{
	prepared p;
	size_t	*index, to = 0;
	bool	 good;
	wide	 total = 0;
	double	 largest_weight = 0;

	prepare_points(&p, rows);
	index = sorted_index(rows);
	good = p.status == CLU_OK && p.points.n == p.distinct;
	for (size_t first = 0, end; first < rows->n && good; first = end, to++)
	{
		wide weight = 0;

		end = end_of_run(rows, index, first);
		for (size_t i = first; i < end; i++)
			weight += get_weight(rows, index[i]);
		total += weight;
		largest_weight = fmax(largest_weight, (double) weight);
		for (int j = 0; j < rows->d; j++)
		{
			double value = rows->width == 8
							   ? ((double *) p.points.x)[to * (size_t) rows->d + (size_t) j]
							   : ((float *) p.points.x)[to * (size_t) rows->d + (size_t) j];

			/* adding 0 makes 0 of -0 */
			good = good && same_bits(value * p.points.unit, get_value(rows, index[first], j) + 0.0);
		}
		good =
			good && near(clu_weight(p.points.w, to) * p.points.weight_unit, (double) weight, 1e-15);
	}
	good = good && to == p.points.n &&
		   near(p.points.total_weight * p.points.weight_unit, (double) total, 1e-15) &&
		   near(p.points.largest_weight * p.points.weight_unit, largest_weight, 1e-15);
	good = good && p.points.rows == (weighting == WHOLE ? (double) total : (double) rows->n);
	free(index);
	free_points(&p);
	return good;
}

static void
test_collapse(void)
{
	for (int weighting = 0; weighting < WEIGHTINGS; weighting++)
	{
		bool good = true;

		for (int kind = 0; kind < KINDS; kind++)
			for (int width = 4; width <= 8; width += 4)
				for (size_t n = 1; n < 10000; n = n * 7 + 1)
				{
					clu_rows rows = random_rows(kind, n, 2, width);

					if ((kind == RANDOM_BITS || kind == HALVED) && width == 8)
						goto next; /* see test_units */
					if (weighting != NO_WEIGHTS)
						random_weights(&rows, weighting);
					for (int movable = 0; movable < 2; movable++)
					{
						rows.movable = movable;
						if (!collapsed_as_reference(&rows, weighting))
						{
							printf("# %s, n %zu, width %d, movable %d\n", kind_names[kind], n,
								   width, movable);
							good = false;
						}
					}
				next:
					free_rows(&rows);
				}
		ok(good, "equal rows collapse, %s", weighting_names[weighting]);
	}
}

/* Long rows become the points where they lie, with the equal ones behind them. */
static void
test_collapse_long(void)
{
	bool good = true, moved = true;

	for (int kind = 0; kind < KINDS; kind++)
		for (int width = 4; width <= 8; width += 4)
			for (int weighting = 0; weighting < WEIGHTINGS; weighting++)
			{
				clu_rows rows = random_rows(kind, 300, 65, width);
				uint64_t hash;
				prepared p;

				if (weighting != NO_WEIGHTS)
					random_weights(&rows, weighting);
				for (size_t i = 1; i < 300; i += 3)
					for (int j = 0; j < 65; j++)
						set_value(&rows, i, j, get_value(&rows, i - 1, j));
				hash = hash_of_rows(&rows);
				rows.movable = true;
				if (!((kind == RANDOM_BITS || kind == HALVED) && width == 8))
					good = good && collapsed_as_reference(&rows, weighting);
				prepare_points(&p, &rows);
				moved = moved && (p.points.x == rows.x) == (p.points.unit == 1);
				good = good && hash_of_rows(&rows) == hash;
				free_points(&p);
				free_rows(&rows);
			}
	ok(good, "long rows collapse where they lie, and are the same rows then");
	ok(moved, "unless they need another unit");
}

/* Whether two sets of points are the same, to the bit. */
static bool
same_points(const clu_points *a, const clu_points *b)
{
	bool same = a->n == b->n && a->d == b->d && a->width == b->width && a->rows == b->rows &&
				a->unit == b->unit && a->weight_unit == b->weight_unit &&
				same_bits(a->total_weight, b->total_weight) &&
				same_bits(a->largest_weight, b->largest_weight) &&
				memcmp(a->x, b->x, a->n * (size_t) a->d * (size_t) a->width) == 0 &&
				memcmp(a->largest, b->largest, (size_t) a->d * sizeof(double)) == 0;

	for (size_t i = 0; i < a->n && same; i++)
		same = same_bits(clu_weight(a->w, i), clu_weight(b->w, i));
	return same;
}

static void
test_shuffled(void)
{
	for (int weighting = NO_WEIGHTS; weighting < WEIGHTINGS; weighting++)
	{
		bool good = true;

		for (int repeat = 0; repeat < 20; repeat++)
		{
			clu_rows rows = random_rows(repeat % 2 ? FEW_INTEGERS : SIGNS_OF_ZERO,
										repeat < 10 ? 200 : 6000, 3, repeat % 4 < 2 ? 8 : 4);
			clu_rows shuffled;
			size_t	*index = shuffled_index(rows.n);
			prepared a, b;

			if (weighting != NO_WEIGHTS)
				random_weights(&rows, weighting);
			shuffled = pick_rows(&rows, index, rows.n, rows.width);
			shuffled.movable = repeat % 8 < 4;
			prepare_points(&a, &rows);
			prepare_points(&b, &shuffled);
			good = good && same_points(&a.points, &b.points);
			free_points(&a);
			free_points(&b);
			free_rows(&rows);
			free_rows(&shuffled);
			free(index);
		}
		ok(good, "any order of the rows gives the same points, %s", weighting_names[weighting]);
	}
}

/* A row with weight 3 is three rows, and three rows of a third each are (nearly) one. */
static void
test_duplicates(void)
{
	bool good = true;

	for (int repeat = 0; repeat < 50; repeat++)
	{
		clu_rows rows = random_rows(repeat % 2 ? FEW_INTEGERS : NORMAL, 100, 2, 8), many;
		size_t	*index = test_memory(100 * 9 * sizeof(size_t)), n = 0;
		prepared a, b;

		random_weights(&rows, WHOLE);
		for (size_t i = 0; i < rows.n; i++)
			for (int copy = 0; copy < (int) rows.w[i]; copy++)
				index[n++] = i;
		many = pick_rows(&rows, index, n, 8);
		free((void *) many.w);
		many.w = NULL;
		prepare_points(&a, &rows);
		prepare_points(&b, &many);
		good = good && same_points(&a.points, &b.points);
		free_points(&a);
		free_points(&b);
		free_rows(&rows);
		free_rows(&many);
		free(index);
	}
	ok(good, "a row of weight n is the row n times");
}

/* ---- units ---- */

static void
check_unit(double largest, bool scaled, const char *text)
{
	clu_rows rows = make_rows(4, 2, 8);
	double	 values[8] = {largest, -largest / 3, largest / 1e6, 0, -largest, largest / 7, 0, 0};
	prepared p;
	bool	 exact = true;
	int		 exponent;

	for (int i = 0; i < 8; i++)
		set_value(&rows, (size_t) i / 2, i % 2, values[i]);
	prepare_points(&p, &rows);
	for (size_t i = 0; i < p.points.n; i++)
		for (int j = 0; j < 2; j++)
		{
			double value = ((double *) p.points.x)[i * 2 + (size_t) j];
			bool   found = false;

			for (int v = 0; v < 8; v++)
				found = found || values[v] == value * p.points.unit;
			exact = exact && found && value * value < INFINITY &&
					(value == 0 || value * value > 1e-290);
		}
	ok(exact && (p.points.unit != 1) == scaled && frexp(p.points.unit, &exponent) == 0.5,
	   "the unit of values up to %s is a power of two and squares stay inside", text);
	free_points(&p);
	free_rows(&rows);
}

static void
test_units(void)
{
	clu_rows rows = make_rows(3, 1, 8);
	double	*w = add_weights(&rows);
	prepared p;

	check_unit(1, false, "1");
	check_unit(1e100, false, "1e100");
	check_unit(1e-100, false, "1e-100");
	check_unit(1e300, true, "1e300");
	check_unit(1.7e308, true, "1.7e308");
	check_unit(1e-200, true, "1e-200");
	check_unit(1e-300, true, "1e-300");

	for (size_t i = 0; i < 3; i++)
		set_value(&rows, i, 0, (double) (i + 1) * 5e-324);
	w[0] = w[1] = w[2] = 1e308;
	prepare_points(&p, &rows);
	ok(p.status == CLU_UNDERFLOW && p.error.reason != NULL,
	   "weights whose sum overflows are an error");
	free_points(&p);

	w[0] = w[1] = w[2] = 5e307;
	prepare_points(&p, &rows);
	ok(p.status == CLU_OK && p.points.total_weight * p.points.weight_unit == 1.5e308,
	   "weights whose sum just doesn't overflow are added up");
	ok(((double *) p.points.x)[0] * p.points.unit == 5e-324 &&
		   ((double *) p.points.x)[2] * p.points.unit == 3 * 5e-324 &&
		   ((double *) p.points.x)[0] > 1e-100,
	   "the smallest denormals are told apart, with squares that don't vanish");
	free_points(&p);
	free_rows(&rows);
}

/* ---- blocks ---- */

static void
test_blocks(void)
{
	const int dims[] = {1, 2, 3, 100, 511, 512, 513, 20000};
	bool	  good = true;

	random_seed(1); /* no two rows are equal */

	for (size_t s = 0; s < sizeof(dims) / sizeof(dims[0]); s++)
		for (size_t n = 1; n < 20000 && n * (size_t) dims[s] < 2000000; n = n * 3 + 1)
			for (int weighted = 0; weighted < 2; weighted++)
			{
				clu_rows rows = random_rows(NORMAL, n, dims[s], 4);
				prepared p;
				size_t	 next = 0;

				if (weighted)
					random_weights(&rows, FRACTIONAL);
				prepare_points(&p, &rows);
				for (size_t b = 0; b < clu_points_blocks(&p.points); b++)
				{
					clu_block block = clu_points_block(&p.points, b);

					good = good && block.first == next && block.n > 0 && block.d == dims[s] &&
						   (block.n % 32 == 0 || next + block.n == n) && block.width == 4 &&
						   block.x == (float *) p.points.x + next * (size_t) dims[s] &&
						   block.w == (weighted ? p.points.w + next : NULL);
					next += block.n;
				}
				good = good && next == n;
				free_points(&p);
				free_rows(&rows);
			}
	ok(good, "the blocks are all of the points, in order, each once");
}

int
main(void)
{
	test_order();
	test_deep_order();
	test_arrange();
	test_deep_arrange();
	test_collapse();
	test_collapse_long();
	test_shuffled();
	test_duplicates();
	test_units();
	test_blocks();
	return finish_tests();
}
