/*
 * order.c
 *		Putting rows in their canonical order; the method is described in order.h.
 *
 * To the sort a column of packed rows is a whole word.
 */
#include "order.h"

#define DIGIT_BITS 11
#define DIGIT_SIZE (1 << DIGIT_BITS)
#define WORD_DIGITS 3	 /* of 32 bits */
#define SHORT_RUN 1024	 /* below, merging is faster than counting digits */
#define CHECK_ROWS 16384 /* rows of light work between two checks for interrupts */

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
	CLU_TAKE(arena, order->tied, n);
	CLU_TAKE(arena, order->key, large ? n : 0);
	CLU_TAKE(arena, order->spare_key, large ? n : 0);
	CLU_TAKE(arena, order->count, large ? CLU_RADIX_COUNTS : 0);
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

int
clu_order_compare(const clu_rows *rows, uint32_t a, uint32_t b)
{
	return compare_rows(rows, a, b, 0);
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
merge_sort(const sorter *s, uint32_t *index, bool *tied, size_t n, int column)
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
	for (size_t i = 1; i < n; i++)
		tied[i] = compare_rows(s->rows, index[i - 1], index[i], column) == 0;
}

/* One digit of a radix sort, from its counts. */
static void
scatter(const uint64_t *from, uint64_t *to, size_t n, uint32_t *count, int shift,
		const clu_interrupt *interrupt)
{
	uint32_t before = 0;

	for (int value = 0; value < DIGIT_SIZE; value++)
	{
		uint32_t here = count[value];

		count[value] = before;
		before += here;
	}
	for (size_t i = 0; i < n; i++)
	{
		to[count[(from[i] >> shift) % DIGIT_SIZE]++] = from[i];
		if (i % CHECK_ROWS == 0)
			clu_check(interrupt);
	}
}

const uint64_t *
clu_order_words(clu_order *order, size_t n, const clu_interrupt *interrupt)
{
	uint64_t *from = order->key, *to = order->spare_key, *swap;
	uint32_t *count = order->count;

	memset(order->count, 0, WORD_DIGITS * DIGIT_SIZE * sizeof(uint32_t));
	for (size_t i = 0; i < n; i++)
	{
		for (int digit = 0; digit < WORD_DIGITS; digit++)
			count[digit * DIGIT_SIZE + (from[i] >> (32 + digit * DIGIT_BITS)) % DIGIT_SIZE]++;
		if (i % CHECK_ROWS == 0)
			clu_check(interrupt);
	}
	for (int digit = 0; digit < WORD_DIGITS; digit++)
	{
		uint32_t *here = count + digit * DIGIT_SIZE;
		int		  shift = 32 + digit * DIGIT_BITS;

		clu_check(interrupt);
		if (here[(from[0] >> shift) % DIGIT_SIZE] == n)
			continue;
		scatter(from, to, n, here, shift, interrupt);
		swap = from;
		from = to;
		to = swap;
	}
	return from;
}

/*
 * Sort a run by the upper bits of one column; false where the column is constant.  Rows that are
 * the same in them are left tied.
 */
static bool
sort_by_column(const sorter *s, uint32_t *index, bool *tied, size_t n, int column)
{
	uint64_t	   *key = s->order->key, least = UINT64_MAX, most = 0;
	const uint64_t *sorted;
	int				shift = 0;

	for (size_t i = 0; i < n; i++)
	{
		key[i] = column_key(s->rows, index[i], column);
		least = CLU_MIN(least, key[i]);
		most = CLU_MAX(most, key[i]);
		if (i % CHECK_ROWS == 0)
			clu_check(s->interrupt);
	}
	if (least == most)
		return false;
	while (((most - least) >> shift) > UINT32_MAX)
		shift++;
	for (size_t i = 0; i < n; i++)
	{
		key[i] = ((key[i] - least) >> shift) << 32 | index[i];
		if (i % CHECK_ROWS == 0)
			clu_check(s->interrupt);
	}
	sorted = clu_order_words(s->order, n, s->interrupt);
	for (size_t i = 0; i < n; i++)
	{
		index[i] = (uint32_t) sorted[i];
		if (i > 0)
			tied[i] = sorted[i] >> 32 == sorted[i - 1] >> 32;
		if (i % CHECK_ROWS == 0)
			clu_check(s->interrupt);
	}
	return true;
}

static size_t
run_length(const bool *tied, size_t at, size_t n)
{
	size_t end = at + 1;

	while (end < n && tied[end])
		end++;
	return end - at;
}

/*
 * Sort a run by the columns from the given one on, and say which rows are tied.  Runs of ties are
 * sorted further: all but the longest by recursion, so that the depth is at most log2(n).
 */
static void
sort_run(const sorter *s, uint32_t *index, bool *tied, size_t n, int column)
{
	while (n >= SHORT_RUN)
	{
		size_t longest = 0, longest_at = 0, looked = 0;

		if (!sort_by_column(s, index, tied, n, column))
		{
			if (++column < sort_columns(s->rows))
				continue;
			memset(tied + 1, true, n - 1);
			return;
		}
		for (size_t at = 0, length; at < n; at += length)
		{
			length = run_length(tied, at, n);
			if (++looked % CHECK_ROWS == 0)
				clu_check(s->interrupt);
			if (length > longest)
			{
				longest = length;
				longest_at = at;
			}
		}
		for (size_t at = 0, length; at < n && longest > 1; at += length)
		{
			length = run_length(tied, at, n);
			if (++looked % CHECK_ROWS == 0)
				clu_check(s->interrupt);
			if (at != longest_at && length > 1)
				sort_run(s, index + at, tied + at, length, column);
		}
		index += longest_at;
		tied += longest_at;
		n = longest;
	}
	if (n > 1)
		merge_sort(s, index, tied, n, column);
}

size_t
clu_order_sort(clu_order *order, const clu_rows *rows, const clu_interrupt *interrupt)
{
	sorter s = {rows, order, interrupt};
	size_t distinct = 0;

	for (size_t i = 0; i < rows->n; i++)
		order->index[i] = (uint32_t) i;
	if (rows->n > 0)
		order->tied[0] = false;
	sort_run(&s, order->index, order->tied, rows->n, 0);
	for (size_t i = 0; i < rows->n; i++)
	{
		distinct += !order->tied[i];
		if (i % CHECK_ROWS == 0)
			clu_check(interrupt);
	}
	return distinct;
}
