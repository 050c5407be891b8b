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

#define CHECK_KEYS 16384  /* of light work between two checks for interrupts */
#define CHECK_LOOKUPS 256 /* of groups of equal keys likewise */
#define SHORT_COLUMN 192  /* below, insertion is faster than counting digits */

/* Less than so many values are not worth asking others for help. */
#define WORTH_SHARING 100000

void
clu_ranks_layout(clu_ranks *ranks, clu_arena *arena, const clu_points *points, int members)
{
	size_t n = points->n, d = (size_t) points->d;

	CLU_TAKE(arena, ranks->order, clu_size_product(d, n));
	clu_words_layout(&ranks->words, arena, n < SHORT_COLUMN ? 0 : n,
					 n < SHORT_COLUMN ? 0 : members);
	CLU_TAKE(arena, ranks->least, d);
	CLU_TAKE(arena, ranks->most, d);
	CLU_TAKE(arena, ranks->shift, d);
	CLU_TAKE(arena, ranks->member, (size_t) members);
	for (int m = 0; m < members; m++)
	{
		clu_rank_member	 measured;
		clu_rank_member *member = ranks->member == NULL ? &measured : &ranks->member[m];

		CLU_TAKE(arena, member->least, d);
		CLU_TAKE(arena, member->most, d);
		CLU_TAKE(arena, member->row, d);
	}
}

/* ---- keys ---- */

static void
forget_range(uint64_t *least, uint64_t *most, size_t d)
{
	memset(least, 0xff, d * sizeof(uint64_t));
	memset(most, 0, d * sizeof(uint64_t));
}

/* Where the points of a share begin, and where they end. */
static void
find_share(const clu_points *points, size_t number, size_t *first, size_t *end)
{
	size_t block, after;

	clu_points_share(points, number, &block, &after);
	*first = clu_points_block(points, block).first;
	*end = after < clu_points_blocks(points) ? clu_points_block(points, after).first : points->n;
}

/* The range of the ordered bits of every column, in a share of the points. */
static void
ranges_of_share(void *work, size_t item, int member, const clu_interrupt *interrupt)
{
	const clu_ranks		  *ranks = work;
	const clu_rank_member *own = &ranks->member[member];
	size_t				   d = (size_t) ranks->points->d, first, end;
	uint64_t			  *least = own->least, *most = own->most;

	forget_range(least, most, d);
	find_share(ranks->points, item, &first, &end);
	for (size_t i = first; i < end; i++)
	{
		const double *x = clu_point(ranks->points, i, own->row);

		for (size_t j = 0; j < d; j++)
		{
			uint64_t bits = clu_ordered_bits(x[j]);

			least[j] = CLU_MIN(least[j], bits);
			most[j] = CLU_MAX(most[j], bits);
		}
		clu_check_row(interrupt, i, (int) d);
	}
}

static void
collect_ranges(void *work, size_t item, int member)
{
	clu_ranks			  *ranks = work;
	const clu_rank_member *own = &ranks->member[member];

	(void) item;
	for (int j = 0; j < ranks->points->d; j++)
	{
		ranks->least[j] = CLU_MIN(ranks->least[j], own->least[j]);
		ranks->most[j] = CLU_MAX(ranks->most[j], own->most[j]);
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

/* Put the keys of a share where the order will be: the upper 32 bits of the columns' ranges. */
static void
keys_of_share(void *work, size_t item, int member, const clu_interrupt *interrupt)
{
	const clu_ranks *ranks = work;
	size_t			 n = ranks->points->n, d = (size_t) ranks->points->d, first, end;

	find_share(ranks->points, item, &first, &end);
	for (size_t i = first; i < end; i++)
	{
		const double *x = clu_point(ranks->points, i, ranks->member[member].row);

		for (size_t j = 0; j < d; j++)
			ranks->order[j * n + i] =
				(uint32_t) ((clu_ordered_bits(x[j]) - ranks->least[j]) >> ranks->shift[j]);
		clu_check_row(interrupt, i, (int) d);
	}
}

const clu_task clu_rank_ranges_task = {ranges_of_share, collect_ranges};
const clu_task clu_rank_keys_task = {keys_of_share, NULL};

static void
make_keys(clu_ranks *ranks, clu_team *team, const clu_interrupt *interrupt)
{
	size_t	  n = ranks->points->n, d = (size_t) ranks->points->d;
	clu_team *helpers = n * d >= WORTH_SHARING ? team : NULL;

	forget_range(ranks->least, ranks->most, d);
	clu_team_run(helpers, CLU_JOB_RANK_RANGES, ranks, clu_points_shares(ranks->points), interrupt);
	for (size_t j = 0; j < d; j++)
		ranks->shift[j] = key_shift(ranks, (int) j);
	clu_team_run(helpers, CLU_JOB_RANK_KEYS, ranks, clu_points_shares(ranks->points), interrupt);
}

/* ---- sorting ---- */

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

/* The points of sorted words. */
static void
read_words(const uint64_t *sorted, uint32_t *index, size_t n, const clu_interrupt *interrupt)
{
	for (size_t i = 0; i < n; i++)
	{
		index[i] = (uint32_t) sorted[i];
		if (i % CHECK_KEYS == 0)
			clu_check(interrupt);
	}
}

/* Sort points with the same key by what the key leaves out. */
static void
sort_same_key(const clu_ranks *ranks, uint32_t *index, size_t n, clu_word_list *scratch,
			  const clu_interrupt *interrupt)
{
	uint64_t least = ranks->least[ranks->column];
	uint64_t rest = (UINT64_C(1) << ranks->shift[ranks->column]) - 1;

	if (n < SHORT_COLUMN)
	{
		sort_few(ranks, ranks->column, index, n);
		return;
	}
	for (size_t i = 0; i < n; i++)
	{
		uint64_t bits = clu_ordered_bits(clu_value(ranks->points, index[i], ranks->column)) - least;

		scratch->word[i] = (bits & rest) << 32 | index[i];
		if (i % CHECK_KEYS == 0)
			clu_check(interrupt);
	}
	read_words(clu_words_sort(scratch, n, interrupt), index, n, interrupt);
}

/* Sort words of the column, which no others share a key with, and put their points into its order. */
static void
sort_words(const clu_ranks *ranks, clu_word_list *words, uint32_t *index, size_t n,
		   const clu_interrupt *interrupt)
{
	bool complete = ranks->shift[ranks->column] == 0; /* the keys are all of the values */
	const uint64_t *sorted = clu_words_sort(words, n, interrupt);
	size_t			same = 0;

	read_words(sorted, index, n, interrupt);
	for (size_t first = 0, end; first < n && !complete; first = end)
	{
		for (end = first + 1; end < n && sorted[end] >> 32 == sorted[first] >> 32;)
			end++;
		/* the words are written up to end - first, and read again from end on */
		if (end > first + 1)
			sort_same_key(ranks, index + first, end - first, words, interrupt);

		/* values are looked up all over the points: each may touch another page */
		if (end > first + 1 && ++same % CHECK_LOOKUPS == 0)
			clu_check(interrupt);
		else if (first / CHECK_KEYS != end / CHECK_KEYS)
			clu_check(interrupt);
	}
}

static uint32_t *
column_of(const clu_ranks *ranks)
{
	return ranks->order + (size_t) ranks->column * ranks->points->n;
}

/* Words of a column, from its keys. */
static void
make_words(const clu_ranks *ranks, size_t first, size_t end, const clu_interrupt *interrupt)
{
	const uint32_t *key = column_of(ranks);

	for (size_t i = first; i < end; i++)
	{
		ranks->words.word[i] = (uint64_t) key[i] << 32 | i;
		if (i % CHECK_KEYS == 0)
			clu_check(interrupt);
	}
}

static void
words_of_share(void *work, size_t item, int member, const clu_interrupt *interrupt)
{
	const clu_ranks *ranks = work;

	(void) member;
	make_words(ranks, clu_share_first(ranks->points->n, item),
			   clu_share_first(ranks->points->n, item + 1), interrupt);
}

static void
rank_piece(void *work, size_t item, int member, const clu_interrupt *interrupt)
{
	const clu_ranks *ranks = work;
	clu_word_list	 words = clu_words_piece(&ranks->words, item, member);
	size_t			 n = clu_words_in_piece(&ranks->words, item);

	if (n > 0)
		sort_words(ranks, &words, column_of(ranks) + ranks->words.parting->first[item], n,
				   interrupt);
}

const clu_task clu_rank_words_task = {words_of_share, NULL};
const clu_task clu_rank_piece_task = {rank_piece, NULL};

/* Replace the keys of a column by its order. */
static void
rank_column(clu_ranks *ranks, clu_team *team, const clu_interrupt *interrupt)
{
	size_t n = ranks->points->n;

	if (n < CLU_MANY_WORDS || clu_team_members(team) == 1)
	{
		make_words(ranks, 0, n, interrupt);
		sort_words(ranks, &ranks->words, column_of(ranks), n, interrupt);
		return;
	}
	clu_team_run(team, CLU_JOB_RANK_WORDS, ranks, clu_shares(n), interrupt);
	clu_words_part(&ranks->words, n, team, interrupt);
	clu_team_run(team, CLU_JOB_RANK_PIECE, ranks, CLU_WORD_PIECES, interrupt);
}

/* The same for few points, without keys. */
static void
rank_short_column(const clu_ranks *ranks)
{
	uint32_t *index = column_of(ranks);

	for (size_t i = 0; i < ranks->points->n; i++)
		index[i] = (uint32_t) i;
	sort_few(ranks, ranks->column, index, ranks->points->n);
}

void
clu_ranks_sort(clu_ranks *ranks, const clu_points *points, const clu_word_list *scratch,
			   clu_team *team, const clu_interrupt *interrupt)
{
	ranks->points = points;
	ranks->words.word = scratch->word;
	ranks->words.spare = scratch->spare;
	if (points->n >= SHORT_COLUMN)
		make_keys(ranks, team, interrupt);
	for (int j = 0; j < points->d; j++)
	{
		ranks->column = j;
		if (points->n >= SHORT_COLUMN)
			rank_column(ranks, team, interrupt);
		else
			rank_short_column(ranks);
		clu_check(interrupt);
	}
}
