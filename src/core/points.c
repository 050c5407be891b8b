/*
 * points.c
 *		From rows in any order to distinct points in canonical order.
 *
 * The sort is a radix sort on the ordered bits of one column, 11 bits a digit, digits that are
 * the same everywhere left out; rows that are equal in that column are sorted by the next one.
 * Short runs are sorted by merging, with whole rows compared.  To the sort a column of packed rows
 * is a whole word.
 */
#include "points.h"

#include <math.h>
#include <string.h>

#include "exact.h"

#define DIGIT_BITS 11
#define DIGIT_SIZE (1 << DIGIT_BITS)
#define DIGITS 6		  /* of 64 bits */
#define SHORT_RUN 4096	  /* below, merging is faster than counting digits */
#define MOVED_WORDS 4	  /* packed rows from this size on are ordered where they lie */
#define CHECK_ROWS 16384u /* rows of light work between two checks for interrupts */

typedef struct sorter
{
	const clu_rows		*rows;
	clu_order			*order;
	const clu_interrupt *interrupt;
} sorter;

void
clu_order_layout(clu_order *order, clu_arena *arena, size_t n)
{
	bool large = n >= SHORT_RUN;

	CLU_TAKE(arena, order->index, n);
	CLU_TAKE(arena, order->spare, n);
	CLU_TAKE(arena, order->key, large ? n : 0);
	CLU_TAKE(arena, order->spare_key, large ? n : 0);
	CLU_TAKE(arena, order->count, large ? CLU_RADIX_COUNTS : 0);
}

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

/* What the sort takes for a column. */
static inline int
sort_columns(const clu_rows *rows)
{
	return rows->width == CLU_PACKED ? (int) clu_words(rows->d) : rows->d;
}

static inline uint64_t
word_at(const clu_rows *rows, uint32_t row, int column)
{
	return ((const uint64_t *) rows->x)[(size_t) row * clu_words(rows->d) + (size_t) column];
}

static inline double
value_at(const clu_rows *rows, uint32_t row, int column)
{
	size_t at = (size_t) row * (size_t) rows->d + (size_t) column;

	return rows->width == 8 ? ((const double *) rows->x)[at] : ((const float *) rows->x)[at];
}

static int
compare_packed(const clu_rows *rows, uint32_t a, uint32_t b, int column)
{
	int words = sort_columns(rows);

	for (int j = column; j < words; j++)
	{
		uint64_t wa = word_at(rows, a, j);
		uint64_t wb = word_at(rows, b, j);

		if (wa != wb)
			return wa < wb ? -1 : 1;
	}
	return 0;
}

/* Compare two rows from a column on; -0 equals 0, and there is no NaN. */
static int
compare_rows(const clu_rows *rows, uint32_t a, uint32_t b, int column)
{
	if (rows->width == CLU_PACKED)
		return compare_packed(rows, a, b, column);
	for (int j = column; j < rows->d; j++)
	{
		double va = value_at(rows, a, j);
		double vb = value_at(rows, b, j);

		if (va != vb)
			return va < vb ? -1 : 1;
	}
	return 0;
}

static inline uint64_t
column_key(const clu_rows *rows, uint32_t row, int column)
{
	float	 value;
	uint32_t bits;

	if (rows->width == CLU_PACKED)
		return word_at(rows, row, column);
	if (rows->width == 8)
		return clu_ordered_bits(value_at(rows, row, column));

	value = (float) value_at(rows, row, column) + 0.0f;
	memcpy(&bits, &value, sizeof(bits));
	return (bits >> 31) ? (uint32_t) ~bits : bits | (UINT32_C(1) << 31);
}

/* Merge sort of a short run, bottom up from runs of eight sorted by insertion. */
static void
merge_sort(const sorter *s, uint32_t *index, size_t n, int column)
{
	uint32_t *from = index;
	uint32_t *to = s->order->spare;

	for (size_t start = 0; start < n; start += 8)
		for (size_t i = start + 1; i < CLU_MIN(start + 8, n); i++)
		{
			uint32_t row = index[i];
			size_t	 at = i;

			for (; at > start && compare_rows(s->rows, index[at - 1], row, column) > 0; at--)
				index[at] = index[at - 1];
			index[at] = row;
		}

	for (size_t length = 8; length < n; length *= 2)
	{
		for (size_t start = 0; start < n; start += 2 * length)
		{
			size_t left = start, middle = CLU_MIN(start + length, n);
			size_t right = middle, end = CLU_MIN(start + 2 * length, n);

			for (size_t out = start; out < end; out++)
				if (right >= end ||
					(left < middle && compare_rows(s->rows, from[left], from[right], column) <= 0))
					to[out] = from[left++];
				else
					to[out] = from[right++];
		}
		{
			uint32_t *swap = from;

			from = to;
			to = swap;
		}
		clu_check(s->interrupt);
	}
	if (from != index)
		memcpy(index, from, n * sizeof(*index));
}

bool
clu_order_radix(clu_order *order, uint32_t *index, size_t n, const clu_interrupt *interrupt)
{
	uint64_t *key = order->key, *key_out = order->spare_key;
	uint32_t *in = index, *out = order->spare;
	uint32_t *count = order->count;
	bool	  moved = false;

	memset(count, 0, sizeof(*count) * DIGITS * DIGIT_SIZE);
	for (size_t i = 0; i < n; i++)
	{
		for (int digit = 0; digit < DIGITS; digit++)
			count[digit * DIGIT_SIZE + ((key[i] >> (digit * DIGIT_BITS)) & (DIGIT_SIZE - 1))]++;
		if (i % CHECK_ROWS == 0)
			clu_check(interrupt);
	}

	for (int digit = 0; digit < DIGITS; digit++)
	{
		uint32_t *start = count + digit * DIGIT_SIZE;
		uint32_t  before = 0;

		if (start[(key[0] >> (digit * DIGIT_BITS)) & (DIGIT_SIZE - 1)] == n)
			continue;
		for (int value = 0; value < DIGIT_SIZE; value++)
		{
			uint32_t here = start[value];

			start[value] = before;
			before += here;
		}
		for (size_t i = 0; i < n; i++)
		{
			uint32_t at = start[(key[i] >> (digit * DIGIT_BITS)) & (DIGIT_SIZE - 1)]++;

			key_out[at] = key[i];
			out[at] = in[i];
			if (i % CHECK_ROWS == 0)
				clu_check(interrupt);
		}
		{
			uint32_t *swap = in;
			uint64_t *swap_key = key;

			in = out;
			out = swap;
			key = key_out;
			key_out = swap_key;
		}
		moved = true;
	}
	if (in != index)
		memcpy(index, in, n * sizeof(*index));
	return moved;
}

/* Radix sort of a run by one column; false where the column is constant. */
static bool
radix_sort(const sorter *s, uint32_t *index, size_t n, int column)
{
	for (size_t i = 0; i < n; i++)
	{
		s->order->key[i] = column_key(s->rows, index[i], column);
		if (i % CHECK_ROWS == 0)
			clu_check(s->interrupt);
	}
	return clu_order_radix(s->order, index, n, s->interrupt);
}

static size_t
run_length(const clu_rows *rows, const uint32_t *index, size_t n, int column)
{
	uint64_t key = column_key(rows, index[0], column);
	size_t	 length = 1;

	while (length < n && column_key(rows, index[length], column) == key)
		length++;
	return length;
}

/*
 * Sort a run by the columns from the given one on.  Runs of equal values are sorted by the next
 * column: all but the longest by recursion, so that the depth is at most log2(n).
 */
static void
sort_run(const sorter *s, uint32_t *index, size_t n, int column)
{
	int columns = sort_columns(s->rows);

	while (n >= SHORT_RUN && column < columns)
	{
		size_t longest = 0, longest_at = 0;

		if (!radix_sort(s, index, n, column++) || column == columns)
			continue;
		for (size_t at = 0; at < n;)
		{
			size_t length = run_length(s->rows, index + at, n - at, column - 1);

			if (length > longest)
			{
				longest = length;
				longest_at = at;
			}
			at += length;
		}
		for (size_t at = 0; at < n;)
		{
			size_t length = run_length(s->rows, index + at, n - at, column - 1);

			if (at != longest_at && length > 1)
				sort_run(s, index + at, length, column);
			at += length;
		}
		index += longest_at;
		n = longest;
	}
	if (n > 1 && column < columns)
		merge_sort(s, index, n, column);
}

static bool
same_as_previous(const clu_order *order, const clu_rows *rows, size_t i)
{
	return i > 0 && compare_rows(rows, order->index[i - 1], order->index[i], 0) == 0;
}

size_t
clu_order_sort(clu_order *order, const clu_rows *rows, const clu_interrupt *interrupt)
{
	sorter s = {rows, order, interrupt};
	size_t distinct = 0;

	for (size_t i = 0; i < rows->n; i++)
		order->index[i] = (uint32_t) i;
	sort_run(&s, order->index, rows->n, 0);
	for (size_t i = 0; i < rows->n; i++)
	{
		distinct += !same_as_previous(order, rows, i);
		if (i % CHECK_ROWS == 0)
			clu_check(interrupt);
	}
	return distinct;
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
	points->n = distinct;
	points->d = rows->d;
	points->width = rows->width;
}

/* The power of two to divide by, so that squares neither overflow nor vanish; mostly 1. */
static double
unit_for(double largest)
{
	int exponent = 0;

	if (!(largest > 0))
		return 1.0;
	(void) frexp(largest, &exponent);
	return exponent > 400 || exponent < -400 ? ldexp(1.0, CLU_MAX(exponent, -1000)) : 1.0;
}

/* Whether the columns of packed rows have a 1 at all, by words that are or-ed together. */
static void
find_largest_bits(clu_points *points, const clu_rows *rows, const clu_interrupt *interrupt)
{
	int words = sort_columns(rows);

	for (int first = 0; first < words; first += CLU_WORD_BITS)
	{
		int		 count = CLU_MIN(words - first, CLU_WORD_BITS);
		uint64_t seen[CLU_WORD_BITS] = {0};

		for (size_t i = 0; i < rows->n; i++)
		{
			for (int j = 0; j < count; j++)
				seen[j] |= word_at(rows, (uint32_t) i, first + j);
			if (i % CHECK_ROWS == 0)
				clu_check(interrupt);
		}
		for (int j = 0; j < count * CLU_WORD_BITS && first * CLU_WORD_BITS + j < rows->d; j++)
			points->largest[first * CLU_WORD_BITS + j] = clu_bit(seen, j);
	}
}

/* The largest absolute value of every column. */
static void
find_largest_values(clu_points *points, const clu_rows *rows, const clu_interrupt *interrupt)
{
	double *largest = points->largest;
	size_t	d = (size_t) rows->d;

	if (rows->width == CLU_PACKED)
	{
		find_largest_bits(points, rows, interrupt);
		return;
	}
	memset(largest, 0, d * sizeof(double));
	for (size_t i = 0; i < rows->n; i++)
	{
		for (size_t j = 0; j < d; j++)
		{
			double value = rows->width == 8 ? fabs(((const double *) rows->x)[i * d + j])
											: fabsf(((const float *) rows->x)[i * d + j]);

			largest[j] = value > largest[j] ? value : largest[j];
		}
		if (i % CHECK_ROWS == 0)
			clu_check(interrupt);
	}
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
	points->weight_unit = unit_for(largest);
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
plan_moves(const clu_points *points, const clu_order *order, const clu_rows *rows)
{
	size_t first = 0, other = points->n;

	for (size_t i = 0; i < rows->n; i++)
		if (same_as_previous(order, rows, i))
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
	plan_moves(points, order, rows);
	for (size_t i = 0; i < rows->n; i++)
	{
		if (order->spare[i] != i)
			move_cycle(order->spare, i, points->x, clu_words(rows->d), (double *) rows->w, buffer);
		if (i % CHECK_ROWS == 0)
			clu_check(interrupt);
	}
}

clu_status
clu_points_collapse(clu_points *points, const clu_order *order, const clu_rows *rows,
					const clu_interrupt *interrupt, clu_error *error)
{
	clu_status status = sum_weights(points, rows, interrupt, error);
	double	   largest = 0;
	size_t	   to = 0;

	if (status != CLU_OK)
		return status;
	if (!in_place(rows))
		find_largest_values(points, rows, interrupt);
	for (int j = 0; j < rows->d && rows->width == 8; j++)
		largest = fmax(largest, points->largest[j]);
	points->unit = rows->width == 8 ? unit_for(largest) : 1.0;
	for (int j = 0; j < rows->d && rows->width == 8; j++)
		points->largest[j] /= points->unit;

	points->largest_weight = 0;
	for (size_t first = 0, end; first < rows->n; first = end)
	{
		double w;

		for (end = first + 1; end < rows->n && same_as_previous(order, rows, end);)
			end++;
		if (!in_place(rows))
			copy_row(points, to, rows, order->index[first]);
		w = weight_of_run(points, order, rows, first, end);
		if (rows->w != NULL || points->n < rows->n)
			points->w[to] = w;
		points->largest_weight = fmax(points->largest_weight, w);
		if (to++ % CHECK_ROWS == 0)
			clu_check(interrupt);
	}
	if ((rows->w == NULL && points->n == rows->n) ||
		(points->largest_weight == 1 && points->total_weight == (double) points->n))
		points->w = NULL;
	if (in_place(rows))
	{
		/* a row has fewer words than there are columns: largest lends itself as a buffer */
		move_rows(points, order, rows, points->largest, interrupt);
		find_largest_values(points, rows, interrupt);
	}
	return CLU_OK;
}

/*
 * A block is a multiple of 32 points and about 128 kB: small enough for the second-level cache,
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

	return CLU_MAX(size, 32);
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
	clu_block block = {
		.x = (const char *) points->x + first * clu_row_size(points->d, points->width),
		.w = points->w == NULL ? NULL : points->w + first,
		.first = first,
		.n = CLU_MIN(block_size(points), points->n - first),
		.d = points->d,
		.width = points->width,
	};

	return block;
}
