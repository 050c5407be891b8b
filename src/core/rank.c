/*
 * rank.c
 *		Sorting every column; the order is described in rank.h.
 *
 * Doubles as ordered bits have 64 of them, mostly the same ones at the top.  Of every column the
 * least value's bits are taken away, and of what is left the upper 32 bits are the key.  All keys
 * are made in one reading of the points, in the place where the order will be.  Points whose keys
 * agree though their values may not are sorted by the lower bits afterwards.  Few such points are
 * looked up.  Where there are many (values on both sides of 0 have nearly all exponents there are,
 * which takes up eleven of the 32 bits), the lower bits of all points are put where the keys were: values looked up in
 * no order would each be a cache miss, or a page to be read, the lower bits of one column are not.
 */
#include "rank.h"

#include <string.h>

#define CHECK_KEYS 16384  /* of light work between two checks for interrupts */
#define CHECK_LOOKUPS 256 /* of what lies anywhere: each may touch another page */
#define SHORT_COLUMN 192  /* below, insertion is faster than counting digits */

/* With more points of the same key than that, reading all points once is faster than looking them up. */
#define MANY_TIES(n) ((n) / 64)

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

static uint32_t *
column_of(const clu_ranks *ranks)
{
	return ranks->order + (size_t) ranks->column * ranks->points->n;
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

/* ---- few points ---- */

/* Insertion; equal values stay in their order. */
static void
rank_short_column(const clu_ranks *ranks)
{
	uint32_t *index = column_of(ranks);

	for (uint32_t point = 0; point < ranks->points->n; point++)
	{
		size_t at = point;
		double value = clu_value(ranks->points, point, ranks->column);

		for (; at > 0 && clu_value(ranks->points, index[at - 1], ranks->column) > value; at--)
			index[at] = index[at - 1];
		index[at] = point;
	}
}

/* ---- words of a column ---- */

static void
words_of_share(void *work, size_t item, int member, const clu_interrupt *interrupt)
{
	const clu_ranks *ranks = work;
	const uint32_t	*key = column_of(ranks);
	size_t			 end = clu_share_first(ranks->points->n, item + 1);

	(void) member;
	for (size_t i = clu_share_first(ranks->points->n, item); i < end; i++)
	{
		ranks->words.word[i] = (uint64_t) key[i] << 32 | i;
		if (i % CHECK_KEYS == 0)
			clu_check(interrupt);
	}
}

/* A piece of the words, for a member to sort. */
static clu_word_list
piece_of(const clu_ranks *ranks, size_t number, int member, size_t *first, size_t *n)
{
	if (ranks->pieces == 1)
	{
		*first = 0;
		*n = ranks->points->n;
		return ranks->words;
	}
	*first = ranks->words.parting->first[number];
	*n = clu_words_in_piece(&ranks->words, number);
	return clu_words_piece(&ranks->words, number, member);
}

/* How many of the words have the same key as the one before them. */
static size_t
count_ties(const uint64_t *word, size_t n, const clu_interrupt *interrupt)
{
	size_t tied = 0;

	for (size_t i = 1; i < n; i++)
	{
		tied += word[i] >> 32 == word[i - 1] >> 32;
		if (i % CHECK_KEYS == 0)
			clu_check(interrupt);
	}
	return tied;
}

/* To where words are to be, if they are elsewhere. */
static void
copy_words(uint64_t *to, const uint64_t *from, size_t n, const clu_interrupt *interrupt)
{
	for (size_t i = 0; i < n && to != from; i += CHECK_KEYS)
	{
		memcpy(to + i, from + i, CLU_MIN(n - i, CHECK_KEYS) * sizeof(uint64_t));
		clu_check(interrupt);
	}
}

/* Put a piece in order by the keys; it ends up in words.word. */
static void
rank_piece(void *work, size_t item, int member, const clu_interrupt *interrupt)
{
	clu_ranks	 *ranks = work;
	size_t		  first, n;
	clu_word_list words = piece_of(ranks, item, member, &first, &n);
	uint64_t	 *to = ranks->words.word + first;

	ranks->tied[item] = 0;
	if (n == 0)
		return;
	copy_words(to, clu_words_sort(&words, n, interrupt), n, interrupt);
	if (ranks->shift[ranks->column] > 0)
		ranks->tied[item] = count_ties(to, n, interrupt);
}

/* ---- points with the same key ---- */

/* What the key of a point leaves out. */
static inline uint32_t
make_rest(const clu_ranks *ranks, size_t point)
{
	uint64_t bits = clu_ordered_bits(clu_value(ranks->points, point, ranks->column));
	int		 shift = ranks->shift[ranks->column];

	return (uint32_t) ((bits - ranks->least[ranks->column]) & ((UINT64_C(1) << shift) - 1));
}

static void
rests_of_share(void *work, size_t item, int member, const clu_interrupt *interrupt)
{
	const clu_ranks *ranks = work;
	uint32_t		*rest = column_of(ranks);
	size_t			 end = clu_share_first(ranks->points->n, item + 1);

	(void) member;
	for (size_t i = clu_share_first(ranks->points->n, item); i < end; i++)
	{
		rest[i] = make_rest(ranks, i);
		clu_check_row(interrupt, i, ranks->points->d);
	}
}

/* Sort words with the same key by what it leaves out, which takes its place. */
static void
sort_ties(const clu_ranks *ranks, clu_word_list *ties, size_t n, const clu_interrupt *interrupt)
{
	uint64_t *word = ties->word;

	for (size_t i = 0; i < n; i++)
	{
		uint32_t point = (uint32_t) word[i];
		uint32_t rest = ranks->rests ? column_of(ranks)[point] : make_rest(ranks, point);

		word[i] = (uint64_t) rest << 32 | point;
		if ((i + 1) % CHECK_LOOKUPS == 0)
			clu_check(interrupt);
	}
	if (n < SHORT_COLUMN)
	{
		for (size_t i = 1; i < n; i++)
		{
			uint64_t here = word[i];
			size_t	 at = i;

			for (; at > 0 && word[at - 1] > here; at--)
				word[at] = word[at - 1];
			word[at] = here;
		}
		return;
	}
	copy_words(word, clu_words_sort(ties, n, interrupt), n, interrupt);
}

static void
ties_of_piece(void *work, size_t item, int member, const clu_interrupt *interrupt)
{
	const clu_ranks *ranks = work;
	size_t			 begin, n;
	clu_word_list	 words = piece_of(ranks, item, member, &begin, &n);
	const uint64_t	*word = ranks->words.word + begin;
	size_t			 looked = 0;

	for (size_t first = 0, end; first < n && ranks->tied[item] > 0; first = end)
	{
		clu_word_list ties = {
			.word = ranks->words.word + begin + first,
			.spare = ranks->words.spare + begin + first,
			.count = words.count,
		};

		for (end = first + 1; end < n && word[end] >> 32 == word[first] >> 32;)
			end++;
		if (end > first + 1)
			sort_ties(ranks, &ties, end - first, interrupt);
		if (++looked % CHECK_LOOKUPS == 0)
			clu_check(interrupt);
	}
}

static void
order_of_share(void *work, size_t item, int member, const clu_interrupt *interrupt)
{
	const clu_ranks *ranks = work;
	uint32_t		*index = column_of(ranks);
	size_t			 end = clu_share_first(ranks->points->n, item + 1);

	(void) member;
	for (size_t i = clu_share_first(ranks->points->n, item); i < end; i++)
	{
		index[i] = (uint32_t) ranks->words.word[i];
		if (i % CHECK_KEYS == 0)
			clu_check(interrupt);
	}
}

const clu_task clu_rank_words_task = {words_of_share, NULL};
const clu_task clu_rank_piece_task = {rank_piece, NULL};
const clu_task clu_rank_rests_task = {rests_of_share, NULL};
const clu_task clu_rank_ties_task = {ties_of_piece, NULL};
const clu_task clu_rank_order_task = {order_of_share, NULL};

/* Replace the keys of a column by its order. */
static void
rank_column(clu_ranks *ranks, clu_team *team, const clu_interrupt *interrupt)
{
	size_t	  n = ranks->points->n, shares = clu_shares(n), tied = 0;
	clu_team *helpers = n >= WORTH_SHARING ? team : NULL;

	ranks->pieces = n < CLU_MANY_WORDS ? 1 : CLU_WORD_PIECES;
	clu_team_run(helpers, CLU_JOB_RANK_WORDS, ranks, shares, interrupt);
	if (ranks->pieces > 1)
		clu_words_part(&ranks->words, n, helpers, interrupt);
	clu_team_run(helpers, CLU_JOB_RANK_PIECE, ranks, ranks->pieces, interrupt);
	for (size_t piece = 0; piece < ranks->pieces; piece++)
		tied += ranks->tied[piece];
	ranks->rests = tied > MANY_TIES(n);
	if (ranks->rests)
		clu_team_run(helpers, CLU_JOB_RANK_RESTS, ranks, shares, interrupt);
	if (tied > 0)
		clu_team_run(helpers, CLU_JOB_RANK_TIES, ranks, ranks->pieces, interrupt);
	clu_team_run(helpers, CLU_JOB_RANK_ORDER, ranks, shares, interrupt);
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
