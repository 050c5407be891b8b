/*
 * merge.c
 *		The canonical order of rows that lie in sorted runs; see merge.h.
 */
#include "merge.h"

#define CHECK_VALUES 65536 /* compared between two checks for interrupts */

typedef struct merging
{
	clu_merge	   *merge;
	const clu_rows *rows;
	const size_t   *ends;
} merging;

void
clu_merge_layout(clu_merge *merge, clu_arena *arena, size_t n, int runs)
{
	memset(merge, 0, sizeof(*merge));
	merge->runs = runs;
	CLU_TAKE(arena, merge->order.index, n);
	CLU_TAKE(arena, merge->order.tied, n);
	CLU_TAKE(arena, merge->next, (size_t) runs);
	CLU_TAKE(arena, merge->winner, 2 * (size_t) runs);
}

/* Whether the next row of run a comes before that of run b; a run at its end comes last. */
static bool
comes_before(const merging *m, uint32_t a, uint32_t b)
{
	size_t left = m->merge->next[a], right = m->merge->next[b];

	if (left == m->ends[a] || right == m->ends[b])
		return left < m->ends[a];
	return clu_order_compare(m->rows, (uint32_t) left, (uint32_t) right) <= 0;
}

/* The players of match i are the winners of the matches 2 i and 2 i + 1; from runs on, the runs. */
static void
play(merging *m, size_t match)
{
	uint32_t *winner = m->merge->winner;
	uint32_t  a = winner[2 * match], b = winner[2 * match + 1];

	winner[match] = comes_before(m, a, b) ? a : b;
}

static void
begin(merging *m)
{
	size_t runs = (size_t) m->merge->runs;

	for (size_t i = 0; i < runs; i++)
	{
		m->merge->next[i] = i == 0 ? 0 : m->ends[i - 1];
		m->merge->winner[runs + i] = (uint32_t) i;
	}
	m->merge->winner[0] = 0;
	for (size_t match = runs - 1; match > 0; match--)
		play(m, match);
}

/* The next row of all. */
static uint32_t
take(merging *m)
{
	size_t	 runs = (size_t) m->merge->runs;
	uint32_t run = m->merge->winner[1];
	uint32_t row = (uint32_t) m->merge->next[run]++;

	for (size_t match = (runs + run) / 2; match > 0; match /= 2)
		play(m, match);
	return row;
}

/* After how many rows to check for interrupts, if every match compares whole rows. */
static size_t
rows_between_checks(const clu_merge *merge, const clu_rows *rows)
{
	size_t values = (size_t) rows->d, most;

	for (int matches = merge->runs; matches > 0; matches /= 2)
		values += (size_t) rows->d;
	most = CHECK_VALUES / values;
	return CLU_MAX(most, 1);
}

size_t
clu_merge_runs(clu_merge *merge, const clu_rows *rows, const size_t *ends,
			   const clu_interrupt *interrupt)
{
	merging	   m = {merge, rows, ends};
	clu_order *order = &merge->order;
	size_t	   distinct = 0, between = rows_between_checks(merge, rows);

	begin(&m);
	for (size_t i = 0; i < rows->n; i++)
	{
		order->index[i] = take(&m);
		order->tied[i] =
			i > 0 && clu_order_compare(rows, order->index[i - 1], order->index[i]) == 0;
		distinct += !order->tied[i];
		if (i % between == 0)
			clu_check(interrupt);
	}
	return distinct;
}
