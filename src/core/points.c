/*
 * points.c
 *		Distinct points in canonical order, from rows whose order is known.
 */
#include "points.h"

#include <math.h>
#include <string.h>

#include "exact.h"
#include "order.h"

#define CHECK_ROWS 16384	 /* rows of light work between two checks for interrupts */
#define MOVED_WORDS 4		 /* packed rows from this size on are ordered where they lie */
#define AHEAD 8				 /* rows that are fetched before they are copied */
#define MOST_VALUE 0x1p900	 /* leaves room for sums, and for the splitting of products */
#define SHARE_POINTS 2048	 /* in a share, at least */
#define BLOCK_POINTS 1024	 /* in a block, at most */
#define LEAST_RANGE 0x1p-400 /* whose square does not vanish */

int
clu_pack(const double *x, int d, uint64_t *row)
{
	for (int first = 0; first < d; first += CLU_WORD_BITS)
	{
		int		 end = CLU_MIN(first + CLU_WORD_BITS, d);
		uint64_t word = 0;

		for (int j = first; j < end; j++)
		{
			if (x[j] != 0 && x[j] != 1)
				return j;
			word |= (uint64_t) (x[j] == 1) << (CLU_WORD_BITS - 1 - (j - first));
		}
		*row++ = word;
	}
	return d;
}

void
clu_unpack(const uint64_t *row, int d, double *x)
{
	for (int j = 0; j < d; j++)
		x[j] = clu_bit(row, j);
}

/*
 * Whether the rows become the points where they lie.  Moving them is a chase from row to row,
 * copying is not: short rows are copied, which costs little memory.
 */
static bool
in_place(const clu_rows *rows)
{
	return rows->width == CLU_PACKED && rows->movable && clu_words(rows->d) >= MOVED_WORDS;
}

void
clu_points_layout(clu_points *points, clu_arena *arena, const clu_rows *rows, size_t distinct)
{
	char *x;

	CLU_TAKE(arena, x,
			 in_place(rows) ? 0 : clu_size_product(distinct, clu_row_size(rows->d, rows->width)));
	points->x = in_place(rows) ? (void *) rows->x : x;
	CLU_TAKE(arena, points->w, rows->w != NULL || distinct < rows->n ? distinct : 0);
	CLU_TAKE(arena, points->largest, (size_t) rows->d);
	CLU_TAKE(arena, points->least, (size_t) rows->d);
	CLU_TAKE(arena, points->low, (size_t) rows->d);
	CLU_TAKE(arena, points->high, (size_t) rows->d);
	points->n = distinct;
	points->d = rows->d;
	points->width = rows->width;
}

double
clu_unit_for(double largest)
{
	int exponent = 0;

	if (!(largest > 0))
		return 1.0;
	(void) frexp(largest, &exponent);
	return exponent > 400 || exponent < -400 ? ldexp(1.0, CLU_MAX(exponent - 1, -1000)) : 1.0;
}

/*
 * The largest absolute value of every column, and the least that isn't 0.  Returns the widest
 * range of a column: what squares of differences are made of.
 */
static double
find_largest_values(clu_points *points, const clu_rows *rows, const clu_interrupt *interrupt)
{
	double *restrict largest = points->largest;
	double *restrict least = points->least;
	double *restrict low = points->low;
	double *restrict high = points->high;
	size_t d = (size_t) rows->d;
	double widest = 0;

	for (size_t j = 0; j < d; j++)
	{
		least[j] = low[j] = INFINITY;
		high[j] = -INFINITY;
	}
	for (size_t i = 0; i < rows->n; i++)
	{
		for (size_t j = 0; j < d; j++)
		{
			double value = rows->width == 8 ? ((const double *) rows->x)[i * d + j]
											: ((const float *) rows->x)[i * d + j];
			double size = value == 0 ? INFINITY : fabs(value);

			low[j] = value < low[j] ? value : low[j];
			high[j] = value > high[j] ? value : high[j];
			least[j] = size < least[j] ? size : least[j];
		}
		if (i % CHECK_ROWS == 0 || d > CHECK_ROWS / 64)
			clu_check(interrupt);
	}
	for (size_t j = 0; j < d; j++)
	{
		largest[j] = CLU_MAX(fabs(low[j]), fabs(high[j]));
		widest = CLU_MAX(widest, high[j] / 2 - low[j] / 2);
	}
	return widest;
}

/* What the weights add up to, whether all are whole numbers, and their unit. */
static clu_status
sum_weights(clu_points *points, const clu_rows *rows, const clu_interrupt *interrupt,
			clu_error *error)
{
	double	largest = 1, rough = 0, scale;
	int64_t hi = 0, lo = 0;
	bool	whole = true;

	if (rows->w == NULL)
	{
		points->weight_unit = points->largest_weight = 1;
		points->rows = points->total_weight = (double) rows->n;
		return CLU_OK;
	}
	largest = 0;
	for (size_t i = 0; i < rows->n; i++)
	{
		largest = fmax(largest, rows->w[i]);
		whole = whole && rows->w[i] == rint(rows->w[i]);
		rough += rows->w[i];
	}
	if (!isfinite(rough))
		return clu_fail(error, CLU_UNDERFLOW, "The sum of the weights overflows.", 0, 0);
	points->weight_unit = clu_unit_for(largest);
	rough = rough / points->weight_unit * 1.001;
	scale = clu_exact_scale(largest / points->weight_unit, rough);
	for (size_t i = 0; i < rows->n; i++)
	{
		clu_exact_add(&hi, &lo, rows->w[i] / points->weight_unit, scale);
		if (i % CHECK_ROWS == 0)
		{
			clu_exact_carry(&hi, &lo, 1);
			clu_check(interrupt);
		}
	}
	clu_exact_carry(&hi, &lo, 1);
	points->total_weight = clu_dd_value(clu_exact_value(hi, lo, scale));
	points->rows = whole && points->total_weight * points->weight_unit <= 0x1p53
					   ? points->total_weight * points->weight_unit
					   : (double) rows->n;
	return CLU_OK;
}

/* The weight of the rows order[first .. end), which are equal. */
static double
weight_of_run(const clu_points *points, const clu_order *order, const clu_rows *rows, size_t first,
			  size_t end)
{
	int64_t hi = 0, lo = 0;
	double	scale;

	if (rows->w == NULL)
		return (double) (end - first);
	if (end == first + 1)
		return rows->w[order->index[first]] / points->weight_unit;
	scale = clu_exact_scale(points->total_weight, points->total_weight);
	for (size_t i = first; i < end; i++)
	{
		clu_exact_add(&hi, &lo, rows->w[order->index[i]] / points->weight_unit, scale);
		if ((i - first) % CLU_EXACT_CARRY == 0)
			clu_exact_carry(&hi, &lo, 1);
	}
	clu_exact_carry(&hi, &lo, 1);
	return clu_dd_value(clu_exact_value(hi, lo, scale));
}

/* Begin to bring a row into the cache: rows in canonical order lie anywhere. */
static void
fetch_row(const clu_rows *rows, uint32_t row)
{
	size_t		size = clu_row_size(rows->d, rows->width);
	const char *x = (const char *) rows->x + row * size;

	__builtin_prefetch(x);
	__builtin_prefetch(x + CLU_MIN(size, 64));
}

static void
copy_row(clu_points *points, size_t to, const clu_rows *rows, uint32_t from)
{
	size_t d = (size_t) rows->d;

	if (rows->width == CLU_PACKED)
	{
		size_t words = clu_words(rows->d);

		memcpy((uint64_t *) points->x + to * words, (const uint64_t *) rows->x + from * words,
			   words * sizeof(uint64_t));
	}
	else if (rows->width == 4)
	{
		const float *source = (const float *) rows->x + from * d;
		float		*target = (float *) points->x + to * d;

		for (size_t j = 0; j < d; j++)
			target[j] = source[j] + 0.0f; /* -0 becomes 0 */
	}
	else
	{
		const double *source = (const double *) rows->x + from * d;
		double		 *target = (double *) points->x + to * d;

		for (size_t j = 0; j < d; j++)
			target[j] = source[j] / points->unit + 0.0;
	}
}

/* ---- rows put in order where they lie ---- */

/*
 * Which row goes where: the first row of every run in the order of the runs, then all the others.
 * The row that goes to place i is left in order->spare[i].
 */
static void
plan_moves(const clu_points *points, const clu_order *order, size_t n)
{
	size_t first = 0, other = points->n;

	for (size_t i = 0; i < n; i++)
		if (order->tied[i])
			order->spare[other++] = order->index[i];
		else
			order->spare[first++] = order->index[i];
}

static inline void
copy_words(uint64_t *to, const uint64_t *from, size_t words)
{
	for (size_t i = 0; i < words; i++)
		to[i] = from[i];
}

/* Move the rows of a cycle one place on each; buffer has room for a row. */
static void
move_cycle(uint32_t *from, size_t start, uint64_t *x, size_t words, double *w, uint64_t *buffer)
{
	size_t at = start;
	double weight = w == NULL ? 0 : w[start];

	copy_words(buffer, x + start * words, words);
	while (from[at] != start)
	{
		size_t next = from[at];

		copy_words(x + at * words, x + next * words, words);
		if (w != NULL)
			w[at] = w[next];
		from[at] = (uint32_t) at;
		at = next;
	}
	copy_words(x + at * words, buffer, words);
	if (w != NULL)
		w[at] = weight;
	from[at] = (uint32_t) at;
}

static void
move_rows(const clu_points *points, const clu_order *order, const clu_rows *rows, void *buffer,
		  const clu_interrupt *interrupt)
{
	plan_moves(points, order, rows->n);
	for (size_t i = 0; i < rows->n; i++)
	{
		if (order->spare[i] != i)
			move_cycle(order->spare, i, points->x, clu_words(rows->d), (double *) rows->w, buffer);
		if (i % CHECK_ROWS == 0)
			clu_check(interrupt);
	}
}

/*
 * The unit for the columns: what squares of differences need, and where that leaves the values
 * themselves too large, what these need, if the differences can stand it.
 */
static clu_status
choose_unit(clu_points *points, double widest, double largest, clu_error *error)
{
	points->unit = clu_unit_for(widest);
	if (largest / points->unit <= MOST_VALUE)
		return CLU_OK;
	points->unit = clu_unit_for(largest);
	if (widest == 0 || widest / points->unit >= LEAST_RANGE)
		return CLU_OK;
	return clu_fail(error, CLU_UNDERFLOW,
					"The values differ from one another by too little for their size.", 0, 0);
}

/* Measure the columns, and bring them to their unit. */
static clu_status
measure_columns(clu_points *points, const clu_rows *rows, const clu_interrupt *interrupt,
				clu_error *error)
{
	double	   widest = find_largest_values(points, rows, interrupt), largest = 0;
	clu_status status = CLU_OK;

	for (int j = 0; j < rows->d; j++)
		largest = CLU_MAX(largest, points->largest[j]);
	if (rows->width == 8)
		status = choose_unit(points, widest, largest, error);
	for (int j = 0; j < rows->d; j++)
	{
		points->largest[j] /= points->unit;
		points->least[j] /= points->unit;
	}
	return status;
}

clu_status
clu_points_collapse(clu_points *points, const clu_order *order, const clu_rows *rows,
					const clu_interrupt *interrupt, clu_error *error)
{
	clu_status status = sum_weights(points, rows, interrupt, error);
	size_t	   to = 0;

	points->unit = 1;
	if (status == CLU_OK && rows->width != CLU_PACKED)
		status = measure_columns(points, rows, interrupt, error);
	if (status != CLU_OK)
		return status;

	points->largest_weight = 0;
	points->least_weight = INFINITY;
	for (size_t first = 0, end; first < rows->n; first = end)
	{
		double w;

		for (end = first + 1; end < rows->n && order->tied[end];)
			end++;
		if (!in_place(rows))
		{
			if (first + AHEAD < rows->n)
				fetch_row(rows, order->index[first + AHEAD]);
			copy_row(points, to, rows, order->index[first]);
		}
		w = weight_of_run(points, order, rows, first, end);
		if (rows->w != NULL || points->n < rows->n)
			points->w[to] = w;
		points->largest_weight = CLU_MAX(points->largest_weight, w);
		points->least_weight = CLU_MIN(points->least_weight, w);
		to++;
		if (first / CHECK_ROWS != end / CHECK_ROWS || (size_t) rows->d > CHECK_ROWS / 64)
			clu_check(interrupt);
	}
	if ((rows->w == NULL && points->n == rows->n) ||
		(points->largest_weight == 1 && points->total_weight == (double) points->n))
		points->w = NULL;

	/* a row has fewer words than there are columns: largest lends itself as a buffer */
	if (in_place(rows))
		move_rows(points, order, rows, points->largest, interrupt);
	return CLU_OK;
}

/*
 * A block is a multiple of 32 points and at most 128 kB: small enough for the second-level cache,
 * and for an answer to a cancel request within milliseconds.  Of packed points it is less, since
 * there is more to do and to remember for each byte of them.
 */
static size_t
block_size(const clu_points *points)
{
	size_t size;

	if (points->width == CLU_PACKED)
		return CLU_MAX(CLU_MIN(8192 / clu_words(points->d) / 32 * 32, 512), 64);
	size = 16384 / (size_t) points->d / 32 * 32;
	return CLU_MAX(CLU_MIN(size, BLOCK_POINTS), 32);
}

size_t
clu_points_blocks(const clu_points *points)
{
	return (points->n + block_size(points) - 1) / block_size(points);
}

clu_block
clu_points_block(const clu_points *points, size_t number)
{
	size_t	  first = number * block_size(points);
	size_t	  offset = first * clu_row_size(points->d, points->width);
	clu_block block = {
		.x = points->x == NULL ? NULL : (const char *) points->x + offset,
		.w = points->w == NULL ? NULL : points->w + first,
		.first = first,
		.n = CLU_MIN(block_size(points), points->n - first),
		.d = points->d,
		.width = points->width,
	};

	return block;
}

static size_t
blocks_in_share(const clu_points *points)
{
	size_t size = block_size(points);

	return (SHARE_POINTS + size - 1) / size;
}

size_t
clu_points_shares(const clu_points *points)
{
	size_t blocks = blocks_in_share(points);

	return (clu_points_blocks(points) + blocks - 1) / blocks;
}

void
clu_points_share(const clu_points *points, size_t number, size_t *first, size_t *end)
{
	size_t blocks = blocks_in_share(points);

	*first = number * blocks;
	*end = CLU_MIN(*first + blocks, clu_points_blocks(points));
}
