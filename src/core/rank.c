/*
 * rank.c
 *		Sorting every column; the order is described in rank.h.
 *
 * Doubles as ordered bits have 64 of them, mostly the same ones at the top.  Of every column the
 * least value's bits are taken away, and of what is left the upper 32 bits are the key.  All keys
 * are made in one reading of the points, in the place where the order will be.  Points whose keys
 * agree though their values may not are few, and are sorted by the lower bits afterwards.
 */
#include "rank.h"

#include <string.h>

#define SHORT_COLUMN 192 /* below, insertion is faster than counting digits */

void
clu_ranks_layout(clu_ranks *ranks, clu_arena *arena, const clu_points *points)
{
	size_t n = points->n, d = (size_t) points->d;

	CLU_TAKE(arena, ranks->order, clu_size_product(d, n));
	clu_words_layout(&ranks->words, arena, n < SHORT_COLUMN ? 0 : n, n < SHORT_COLUMN ? 0 : 1);
	CLU_TAKE(arena, ranks->least, d);
	CLU_TAKE(arena, ranks->most, d);
	CLU_TAKE(arena, ranks->row, d);
}

/* The range of the ordered bits of every column. */
static void
measure_columns(clu_ranks *ranks, const clu_interrupt *interrupt)
{
	size_t	  n = ranks->points->n, d = (size_t) ranks->points->d;
	uint64_t *least = ranks->least, *most = ranks->most;

	memset(least, 0xff, d * sizeof(uint64_t));
	memset(most, 0, d * sizeof(uint64_t));
	for (size_t i = 0; i < n; i++)
	{
		const double *x = clu_point(ranks->points, i, ranks->row);

		for (size_t j = 0; j < d; j++)
		{
			uint64_t bits = clu_ordered_bits(x[j]);

			least[j] = CLU_MIN(least[j], bits);
			most[j] = CLU_MAX(most[j], bits);
		}
		clu_check_row(interrupt, i, (int) d);
	}
}

/* How many low bits of a column its 32-bit keys leave out. */
static int
key_shift(const clu_ranks *ranks, int column)
{
	uint64_t range = ranks->most[column] - ranks->least[column];
	int		 shift = 0;

	while ((range >> shift) > UINT32_MAX)
		shift++;
	return shift;
}

/* Put the keys of all columns where their order will be: the upper 32 bits of their range. */
static void
make_keys(clu_ranks *ranks, const clu_interrupt *interrupt)
{
	size_t	  n = ranks->points->n, d = (size_t) ranks->points->d;
	uint64_t *shift = ranks->most; /* the range is no longer needed */

	for (size_t j = 0; j < d; j++)
		shift[j] = (uint64_t) key_shift(ranks, (int) j);
	for (size_t i = 0; i < n; i++)
	{
		const double *x = clu_point(ranks->points, i, ranks->row);

		for (size_t j = 0; j < d; j++)
			ranks->order[j * n + i] =
				(uint32_t) ((clu_ordered_bits(x[j]) - ranks->least[j]) >> shift[j]);
		clu_check_row(interrupt, i, (int) d);
	}
}

/* Insertion, for few points; equal values stay in their order. */
static void
sort_few(const clu_ranks *ranks, int column, uint32_t *index, size_t n)
{
	for (size_t i = 1; i < n; i++)
	{
		size_t	 at = i;
		uint32_t point = index[i];
		double	 value = clu_value(ranks->points, point, column);

		for (; at > 0 && clu_value(ranks->points, index[at - 1], column) > value; at--)
			index[at] = index[at - 1];
		index[at] = point;
	}
}

/* Sort points with the same key by what the key leaves out. */
static void
sort_same_key(const clu_ranks *ranks, int column, uint32_t *index, size_t n, clu_word_list *scratch,
			  const clu_interrupt *interrupt)
{
	uint64_t		least = ranks->least[column];
	uint64_t		rest = (UINT64_C(1) << ranks->most[column]) - 1;
	const uint64_t *sorted;

	if (n < SHORT_COLUMN)
	{
		sort_few(ranks, column, index, n);
		return;
	}
	for (size_t i = 0; i < n; i++)
	{
		uint64_t bits = clu_ordered_bits(clu_value(ranks->points, index[i], column)) - least;

		scratch->word[i] = (bits & rest) << 32 | index[i];
	}
	sorted = clu_words_sort(scratch, n, interrupt);
	for (size_t i = 0; i < n; i++)
		index[i] = (uint32_t) sorted[i];
}

/* Replace the keys of a column by its order. */
static void
rank_column(const clu_ranks *ranks, int column, clu_word_list *scratch,
			const clu_interrupt *interrupt)
{
	size_t			n = ranks->points->n;
	uint32_t	   *index = ranks->order + (size_t) column * n;
	bool			complete = ranks->most[column] == 0; /* the keys are all of the values */
	const uint64_t *sorted;

	for (size_t i = 0; i < n; i++)
		scratch->word[i] = (uint64_t) index[i] << 32 | i;
	sorted = clu_words_sort(scratch, n, interrupt);
	for (size_t i = 0; i < n; i++)
		index[i] = (uint32_t) sorted[i];
	for (size_t first = 0, end; first < n && !complete; first = end)
	{
		for (end = first + 1; end < n && sorted[end] >> 32 == sorted[first] >> 32;)
			end++;
		/* the scratch is written up to end - first, and read again from end on */
		if (end > first + 1)
			sort_same_key(ranks, column, index + first, end - first, scratch, interrupt);
	}
}

void
clu_ranks_sort(clu_ranks *ranks, const clu_points *points, clu_word_list *scratch,
			   const clu_interrupt *interrupt)
{
	size_t n = points->n;

	ranks->points = points;
	scratch->count = ranks->words.count;
	if (n >= SHORT_COLUMN)
	{
		measure_columns(ranks, interrupt);
		make_keys(ranks, interrupt);
	}
	for (int j = 0; j < points->d; j++)
	{
		uint32_t *index = ranks->order + (size_t) j * n;

		if (n >= SHORT_COLUMN)
		{
			rank_column(ranks, j, scratch, interrupt);
			continue;
		}
		for (size_t i = 0; i < n; i++)
			index[i] = (uint32_t) i;
		sort_few(ranks, j, index, n);
	}
}
