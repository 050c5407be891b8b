/*
 * rank.c
 *		Parting columns, and sorting pieces of them; the order is described in rank.h.
 *
 * The points come in the order of the first column, theirs being lexicographic.  Of every other one
 * the least value's bits are taken away, and of what is left the upper 32 bits are the key.  All
 * keys are made in one reading of the points, in the place where the order will be.  Where the
 * pieces part is learned from a sample of the keys; a key that is frequent gets a piece for itself,
 * so that pieces don't become long for it.
 *
 * To sort a piece, its values are looked up, which lie anywhere.  In mostly short pieces it's then
 * counted for each how many are less, in vectors and without a branch.  What is left is a Shell
 * sort, which needs no memory and makes nothing of equal values.
 */
#include "rank.h"

#include <string.h>

#include "kernel.h"
#include "random.h"

#define SHORT_COLUMN 1024  /* shorter ones are a piece */
#define POINTS_IN_PIECE 64 /* at least */
#define MOST_PIECES 2048   /* more places than that are no longer written to fast */
#define SAMPLES 8		   /* for each piece */
#define FEW_POINTS 192	   /* up to so many, values are compared with all others */
#define SEARCHES 8		   /* for pieces of keys, side by side */
#define CHECK_KEYS 16384   /* of light work between two checks for interrupts */
#define CHECK_LOOKUPS 256  /* of what lies anywhere: each may touch another page */

/* Less than so many values are not worth asking others for help. */
#define WORTH_SHARING 100000

/* A power of two. */
static size_t
count_pieces(size_t n)
{
	size_t pieces = 1;

	while (n >= SHORT_COLUMN && pieces < MOST_PIECES && n / (2 * pieces) >= POINTS_IN_PIECE)
		pieces *= 2;
	return pieces;
}

void
clu_ranks_layout(clu_ranks *ranks, clu_arena *arena, const clu_points *points, int members)
{
	size_t n = points->n, d = (size_t) points->d;
	size_t pieces = count_pieces(n);
	bool   parted = pieces > 1;

	ranks->pieces = pieces;
	CLU_TAKE(arena, ranks->order, clu_size_product(d, n));
	CLU_TAKE(arena, ranks->first, clu_size_product(d, pieces + 1));
	CLU_TAKE(arena, ranks->sorted, clu_size_product(d, pieces));
	CLU_TAKE(arena, ranks->wanted, clu_size_product(d, pieces));
	CLU_TAKE(arena, ranks->list, pieces);
	CLU_TAKE(arena, ranks->least, d);
	CLU_TAKE(arena, ranks->shift, d);
	CLU_TAKE(arena, ranks->splitter, pieces);
	CLU_TAKE(arena, ranks->count, parted ? clu_shares(n) * pieces : 0);
	clu_words_layout(&ranks->words, arena, 0, parted);
	CLU_TAKE(arena, ranks->row, (size_t) members);
	for (int m = 0; m < members; m++)
	{
		double *row;

		CLU_TAKE(arena, row, d);
		if (ranks->row != NULL)
			ranks->row[m] = row;
	}
}

static uint32_t *
column_of(const clu_ranks *ranks)
{
	return ranks->order + (size_t) ranks->column * ranks->points->n;
}

static uint32_t *
firsts_of(const clu_ranks *ranks)
{
	return ranks->first + (size_t) ranks->column * (ranks->pieces + 1);
}

/* ---- keys ---- */

/* The range of the keys of a column. */
static void
find_range(const clu_ranks *ranks, int column)
{
	const clu_points *points = ranks->points;
	uint64_t		  most = clu_ordered_bits(points->high[column] / points->unit);
	int				  shift = 0;

	ranks->least[column] = clu_ordered_bits(points->low[column] / points->unit);
	while (((most - ranks->least[column]) >> shift) > UINT32_MAX)
		shift++;
	ranks->shift[column] = shift;
}

/* Put the keys of a share where the order will be, but for the first column, which needs none. */
static void
keys_of_share(void *work, size_t item, int member, const clu_interrupt *interrupt)
{
	const clu_ranks *ranks = work;
	size_t			 n = ranks->points->n, d = (size_t) ranks->points->d;
	clu_block		 share = clu_points_share_block(ranks->points, item);

	for (size_t i = share.first; i < share.first + share.n; i++)
	{
		const double *x = clu_point(ranks->points, i, ranks->row[member]);

		for (size_t j = 1; j < d; j++)
			ranks->order[j * n + i] =
				(uint32_t) ((clu_ordered_bits(x[j]) - ranks->least[j]) >> ranks->shift[j]);
		clu_check_row(interrupt, i, (int) d);
	}
}

/* ---- parting ---- */

/*
 * Splitters that leave about equally many points to each piece.  The sample is drawn at random:
 * every so many points might have anything in common.
 */
static void
choose_splitters(clu_ranks *ranks, const clu_interrupt *interrupt)
{
	const uint32_t *key = column_of(ranks);
	size_t			samples = ranks->pieces * SAMPLES;
	clu_word_list	sample = ranks->words;
	clu_random		random = clu_random_start(0, (uint64_t) ranks->column);
	const uint64_t *sorted;

	sample.spare = sample.word + samples;
	for (size_t i = 0; i < samples; i++)
		sample.word[i] = (uint64_t) key[clu_random_below(&random, ranks->points->n)] << 32;
	sorted = clu_words_sort(&sample, samples, interrupt);
	for (size_t piece = 0; piece + 1 < ranks->pieces; piece++)
	{
		uint32_t last = piece == 0 ? 0 : ranks->splitter[piece - 1];
		uint32_t least = piece == 0 ? 0 : last + (last < UINT32_MAX);

		/* no two are equal, so the piece of a key that is met twice ends right after it */
		ranks->splitter[piece] = CLU_MAX((uint32_t) (sorted[(piece + 1) * SAMPLES] >> 32), least);
	}
}

/*
 * The numbers of splitters that are not above each of some keys.  Without branches, none of which
 * could be foreseen, and for many keys side by side, since each step waits for the one before.
 */
static inline void
find_pieces(const clu_ranks *ranks, const uint32_t *restrict key, uint32_t *restrict piece)
{
	const uint32_t *restrict splitter = ranks->splitter;

	memset(piece, 0, SEARCHES * sizeof(*piece));
	for (uint32_t step = (uint32_t) ranks->pieces / 2; step > 0; step /= 2)
		for (int i = 0; i < SEARCHES; i++)
			piece[i] += splitter[piece[i] + step - 1] <= key[i] ? step : 0;
}

/* Note the piece of each point of a share, and count those of each piece. */
static void
count_share(void *work, size_t item, int member, const clu_interrupt *interrupt)
{
	const clu_ranks *ranks = work;
	const uint32_t	*column = column_of(ranks);
	uint32_t		*count = ranks->count + item * ranks->pieces;
	size_t			 end = clu_share_first(ranks->points->n, item + 1);

	(void) member;
	memset(count, 0, ranks->pieces * sizeof(uint32_t));
	for (size_t first = clu_share_first(ranks->points->n, item); first < end; first += SEARCHES)
	{
		uint32_t key[SEARCHES] = {0}, piece[SEARCHES];
		size_t	 n = CLU_MIN(end - first, SEARCHES);

		memcpy(key, column + first, n * sizeof(*key));
		find_pieces(ranks, key, piece);
		for (size_t i = 0; i < n; i++)
		{
			ranks->piece[first + i] = (uint16_t) piece[i];
			count[piece[i]]++;
		}
		if (first % CHECK_KEYS < SEARCHES)
			clu_check(interrupt);
	}
}

/* From the counts, where every piece begins. */
static void
find_firsts(const clu_ranks *ranks)
{
	uint32_t *first = firsts_of(ranks), before = 0;

	memset(first, 0, (ranks->pieces + 1) * sizeof(*first));
	for (size_t share = 0; share < clu_shares(ranks->points->n); share++)
		for (size_t piece = 0; piece < ranks->pieces; piece++)
			first[piece] += ranks->count[share * ranks->pieces + piece];
	for (size_t piece = 0; piece <= ranks->pieces; piece++)
	{
		uint32_t here = first[piece];

		first[piece] = before;
		before += here;
	}
}

/*
 * And where the points of each share that are in a piece go.  Share after share: by pieces,
 * counts lie far apart.
 */
static void
find_places(const clu_ranks *ranks)
{
	uint32_t *place = ranks->splitter; /* which have done their work */

	find_firsts(ranks);
	memcpy(place, firsts_of(ranks), ranks->pieces * sizeof(*place));
	for (size_t share = 0; share < clu_shares(ranks->points->n); share++)
	{
		uint32_t *count = ranks->count + share * ranks->pieces;

		for (size_t piece = 0; piece < ranks->pieces; piece++)
		{
			uint32_t here = count[piece];

			count[piece] = place[piece];
			place[piece] += here;
		}
	}
}

static void
part_share(void *work, size_t item, int member, const clu_interrupt *interrupt)
{
	const clu_ranks *ranks = work;
	uint32_t		*index = column_of(ranks);
	uint32_t		*to = ranks->count + item * ranks->pieces;
	size_t			 end = clu_share_first(ranks->points->n, item + 1);

	(void) member;
	for (size_t i = clu_share_first(ranks->points->n, item); i < end; i++)
	{
		index[to[ranks->piece[i]]++] = (uint32_t) i;
		if (i % CHECK_KEYS == 0)
			clu_check(interrupt);
	}
}

const clu_task clu_rank_keys_task = {keys_of_share, NULL};
const clu_task clu_rank_count_task = {count_share, NULL};
const clu_task clu_rank_part_task = {part_share, NULL};

/* Replace the keys of a column by its order. */
static void
part_column(clu_ranks *ranks, clu_team *team, const clu_interrupt *interrupt)
{
	size_t	  n = ranks->points->n;
	clu_team *helpers = n >= WORTH_SHARING ? team : NULL;

	choose_splitters(ranks, interrupt);
	clu_team_run(helpers, CLU_JOB_RANK_COUNT, ranks, clu_shares(n), interrupt);
	find_places(ranks);
	clu_team_run(helpers, CLU_JOB_RANK_PART, ranks, clu_shares(n), interrupt);
}

/*
 * The points are in the order of the first column, and in as good as any of a column that is one
 * piece.
 */
static void
take_column(const clu_ranks *ranks, bool sorted)
{
	uint32_t *index = column_of(ranks), *first = firsts_of(ranks);
	size_t	  n = ranks->points->n;

	for (size_t piece = 0; piece <= ranks->pieces; piece++)
		first[piece] = (uint32_t) (n * piece / ranks->pieces);
	for (uint32_t i = 0; i < n; i++)
		index[i] = i;
	memset(ranks->sorted + (size_t) ranks->column * ranks->pieces, sorted, ranks->pieces);
}

void
clu_ranks_part(clu_ranks *ranks, const clu_points *points, uint64_t *scratch, clu_team *team,
			   const clu_interrupt *interrupt)
{
	size_t	  n = points->n, d = (size_t) points->d;
	clu_team *helpers = n * d >= WORTH_SHARING ? team : NULL;

	ranks->points = points;
	ranks->words.word = ranks->bits = scratch;
	ranks->piece = (uint16_t *) scratch;
	memset(ranks->sorted, 0, d * ranks->pieces * sizeof(bool));
	memset(ranks->wanted, 0, d * ranks->pieces * sizeof(bool));
	for (int j = 1; j < points->d && ranks->pieces > 1; j++)
		find_range(ranks, j);
	if (ranks->pieces > 1 && points->d > 1)
		clu_team_run(helpers, CLU_JOB_RANK_KEYS, ranks, clu_points_shares(points), interrupt);
	for (ranks->column = 0; ranks->column < points->d; ranks->column++)
	{
		if (ranks->pieces > 1 && ranks->column > 0)
			part_column(ranks, team, interrupt);
		else
			take_column(ranks, ranks->column == 0);
		clu_check(interrupt);
	}
}

size_t
clu_ranks_piece(const clu_ranks *ranks, int column, size_t rank)
{
	size_t piece = 0;

	for (size_t step = ranks->pieces / 2; step > 0; step /= 2)
		if (clu_ranks_first(ranks, column, piece + step) <= rank)
			piece += step;
	return piece;
}

/* ---- sorting ---- */

/* About 4/9 of it, in the end 1 and 0 (Tokuda 1992). */
static size_t
next_gap(size_t gap)
{
	return gap > 2 ? (gap * 4 + 8) / 9 : gap - 1;
}

/* Sort points by bits, and the bits; equal ones by number. */
static void
sort_by_bits(uint64_t *bits, uint32_t *point, size_t n, const clu_interrupt *interrupt)
{
	for (size_t gap = next_gap(n); gap > 0; gap = next_gap(gap))
		for (size_t i = gap; i < n; i++)
		{
			uint64_t here = bits[i];
			uint32_t number = point[i];
			size_t	 at = i;

			for (; at >= gap &&
				   (bits[at - gap] > here || (bits[at - gap] == here && point[at - gap] > number));
				 at -= gap)
			{
				bits[at] = bits[at - gap];
				point[at] = point[at - gap];
			}
			bits[at] = here;
			point[at] = number;
			if (i % CHECK_KEYS == 0)
				clu_check(interrupt);
		}
}

/* Few points, in the order of their numbers: equal values stay in that. */
static void
sort_few(const clu_ranks *ranks, uint32_t *index, int n)
{
	double	 x[FEW_POINTS] = {0}, less[FEW_POINTS];
	uint32_t point[FEW_POINTS];

	for (int i = 0; i < n; i++)
		x[i] = clu_value(ranks->points, index[i], ranks->column);
	clu_kernel->count_less(x, n, less);
	memcpy(point, index, (size_t) n * sizeof(*point));
	memset(index, 0xff, (size_t) n * sizeof(*index));
	for (int i = 0; i < n; i++)
	{
		int place = (int) less[i];

		while (index[place] != UINT32_MAX)
			place++;
		index[place] = point[i];
	}
}

static void
sort_many(const clu_ranks *ranks, uint64_t *bits, uint32_t *index, size_t n,
		  const clu_interrupt *interrupt)
{
	bool sorted = true;

	for (size_t i = 0; i < n; i++)
	{
		bits[i] = clu_ordered_bits(clu_value(ranks->points, index[i], ranks->column));
		sorted = sorted && (i == 0 || bits[i - 1] <= bits[i]);
		if ((i + 1) % CHECK_LOOKUPS == 0)
			clu_check(interrupt);
	}
	if (!sorted)
		sort_by_bits(bits, index, n, interrupt);
}

/* One of the pieces that are listed. */
static void
sort_piece(void *work, size_t item, int member, const clu_interrupt *interrupt)
{
	const clu_ranks *ranks = work;
	const uint32_t	*first = firsts_of(ranks) + ranks->list[item];
	size_t			 n = first[1] - first[0];
	uint32_t		*index = column_of(ranks) + first[0];

	(void) member;
	if (n <= FEW_POINTS)
		sort_few(ranks, index, (int) n);
	else
		sort_many(ranks, ranks->bits + first[0], index, n, interrupt);
	clu_check(interrupt);
}

const clu_task clu_rank_sort_task = {sort_piece, NULL};

/* List the pieces of a column that are wanted, as sorted from now on; returns their number. */
static size_t
list_wanted(clu_ranks *ranks, size_t *points)
{
	const uint32_t *first = firsts_of(ranks);
	size_t			offset = (size_t) ranks->column * ranks->pieces, listed = 0;

	*points = 0;
	for (size_t piece = 0; piece < ranks->pieces; piece++)
	{
		if (!ranks->wanted[offset + piece])
			continue;
		ranks->wanted[offset + piece] = false;
		ranks->sorted[offset + piece] = true;
		ranks->list[listed++] = (uint32_t) piece;
		*points += first[piece + 1] - first[piece];
	}
	return listed;
}

void
clu_ranks_sort(clu_ranks *ranks, clu_team *team, const clu_interrupt *interrupt)
{
	for (ranks->column = 0; ranks->column < ranks->points->d; ranks->column++)
	{
		size_t points, listed = list_wanted(ranks, &points);

		clu_team_run(points >= WORTH_SHARING / 10 ? team : NULL, CLU_JOB_RANK_SORT, ranks, listed,
					 interrupt);
		clu_check(interrupt);
	}
}
