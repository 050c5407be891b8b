/*
 * order.c
 *		Putting rows in their canonical order; the method is described in order.h.
 *
 * To the sort a column of packed rows is a whole word.
 */
#include "order.h"

#include <string.h>

#define SHORT_RUN 1024			/* below, merging is faster than counting digits */
#define LONG_RUN CLU_MANY_WORDS /* from here on, it's work for all members of a team */
#define CHECK_ROWS 16384		/* rows of light work between two checks for interrupts */
#define SAMPLES 64				/* that tell which keys are better */

/* What becomes of the bits of a column's values, in a word. */
typedef struct keying
{
	uint64_t least, most; /* bits */
	int		 shift;		  /* how many of the range don't fit into a word */
	bool	 linear;	  /* take the values, in equal steps from the least */
	double	 origin, scale;
} keying;

/* What a sort of some rows works with: scratch for as many as these. */
typedef struct sorter
{
	const clu_rows		*rows;
	uint32_t			*spare;
	clu_word_list		 words;
	const clu_interrupt *interrupt;
} sorter;

/* A long run, while it is sorted by the members of the team. */
struct clu_long_run
{
	clu_rows	  rows;
	clu_word_list words;
	uint32_t	 *index;
	uint32_t	 *spare;
	bool		 *tied;
	size_t		  n;
	int			  column;
	keying		  keys;

	uint64_t share_least[CLU_MOST_SHARES], share_most[CLU_MOST_SHARES];
	bool	 left[CLU_WORD_PIECES]; /* long runs of ties in the piece, for the whole team to sort */
};

void
clu_order_layout(clu_order *order, clu_arena *arena, size_t n, int members)
{
	bool large = n >= SHORT_RUN;

	CLU_TAKE(arena, order->index, n);
	CLU_TAKE(arena, order->spare, n);
	CLU_TAKE(arena, order->tied, n);
	CLU_TAKE(arena, order->words.word, large ? n : 0);
	CLU_TAKE(arena, order->words.spare, large ? n : 0);
	clu_words_layout(&order->words, arena, n, large ? members : 0);
	CLU_TAKE(arena, order->run, n >= LONG_RUN);
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

/* By insertion. */
static void
sort_few(const sorter *s, uint32_t *index, size_t n, int column)
{
	for (size_t i = 1; i < n; i++)
	{
		uint32_t row = index[i];
		size_t	 at = i;

		for (; at > 0 && compare_rows(s->rows, index[at - 1], row, column) > 0; at--)
			index[at] = index[at - 1];
		index[at] = row;
	}
}

/* Merge what is sorted up to the middle with what is sorted from there on. */
static void
merge(const sorter *s, const uint32_t *from, size_t middle, size_t n, int column, uint32_t *to)
{
	size_t left = 0, right = middle;

	for (size_t out = 0; out < n; out++)
		if (right >= n ||
			(left < middle && compare_rows(s->rows, from[left], from[right], column) <= 0))
			to[out] = from[left++];
		else
			to[out] = from[right++];
}

/* Merge sort of a short run, bottom up from runs of eight sorted by insertion. */
static void
merge_sort(const sorter *s, uint32_t *index, bool *tied, size_t n, int column)
{
	uint32_t *from = index;
	uint32_t *to = s->spare;

	for (size_t start = 0; start < n; start += 8)
	{
		sort_few(s, index + start, CLU_MIN(8, n - start), column);
		clu_check_row(s->interrupt, start, sort_columns(s->rows));
	}
	for (size_t length = 8; length < n; length *= 2)
	{
		uint32_t *merged = to;

		for (size_t start = 0; start < n; start += 2 * length)
			merge(s, from + start, CLU_MIN(length, n - start), CLU_MIN(2 * length, n - start),
				  column, to + start);
		to = from;
		from = merged;
		clu_check(s->interrupt);
	}
	if (from != index)
		memcpy(index, from, n * sizeof(*index));
	for (size_t i = 1; i < n; i++)
		tied[i] = compare_rows(s->rows, index[i - 1], index[i], column) == 0;
}

/* Keys of the rows of a run from first on, before end, and their range. */
static void
make_keys(const clu_rows *rows, const uint32_t *index, size_t first, size_t end, int column,
		  uint64_t *key, uint64_t *least, uint64_t *most, const clu_interrupt *interrupt)
{
	*least = UINT64_MAX;
	*most = 0;
	for (size_t i = first; i < end; i++)
	{
		key[i] = column_key(rows, index[i], column);
		*least = CLU_MIN(*least, key[i]);
		*most = CLU_MAX(*most, key[i]);
		if (i % CHECK_ROWS == 0)
			clu_check(interrupt);
	}
}

static inline uint32_t
linear_key(const keying *k, uint64_t bits)
{
	return (uint32_t) (int64_t) ((clu_value_of_bits(bits) - k->origin) * k->scale);
}

static inline uint32_t
bits_key(const keying *k, uint64_t bits)
{
	return (uint32_t) ((bits - k->least) >> k->shift);
}

/* The least first. */
static void
sort_sample(uint64_t *sample)
{
	for (size_t i = 1; i < SAMPLES; i++)
	{
		uint64_t here = sample[i];
		size_t	 at = i;

		for (; at > 0 && sample[at - 1] > here; at--)
			sample[at] = sample[at - 1];
		sample[at] = here;
	}
}

/*
 * How many parts of the rows, of so many that the sample cuts them into, will have keys of their
 * own.
 */
static double
told_apart(const keying *k, const uint64_t *sample, size_t n)
{
	double apart = 0;

	for (size_t i = 1; i < SAMPLES; i++)
	{
		double keys = k->linear ? linear_key(k, sample[i]) - linear_key(k, sample[i - 1])
								: bits_key(k, sample[i]) - bits_key(k, sample[i - 1]);

		apart += CLU_MIN(keys * SAMPLES / (double) n, 1);
	}
	return apart;
}

/* Choose the keys for n rows of which the bits are known, and their range. */
static void
choose_keys(keying *k, const clu_rows *rows, const uint64_t *bits, size_t n)
{
	uint64_t sample[SAMPLES];
	double	 by_bits;

	k->linear = false;
	k->shift = 0;
	while (((k->most - k->least) >> k->shift) > UINT32_MAX)
		k->shift++;
	if (k->shift == 0 || rows->width != 8)
		return;
	k->origin = clu_value_of_bits(k->least);
	k->scale = UINT32_MAX / (clu_value_of_bits(k->most) - k->origin);
	if (!(k->scale > 0 && k->scale < 0x1p1000))
		return;
	for (size_t i = 0; i < SAMPLES; i++)
		sample[i] = bits[i * n / SAMPLES];
	sort_sample(sample);
	by_bits = told_apart(k, sample, n);
	k->linear = true;
	k->linear = told_apart(k, sample, n) > by_bits;
}

/* Of bits make words. */
static void
make_words(const keying *k, uint64_t *key, const uint32_t *index, size_t first, size_t end,
		   const clu_interrupt *interrupt)
{
	for (size_t at = first; at < end; at += CHECK_ROWS)
	{
		size_t to = CLU_MIN(at + CHECK_ROWS, end);

		if (k->linear)
			for (size_t i = at; i < to; i++)
				key[i] = (uint64_t) linear_key(k, key[i]) << 32 | index[i];
		else
			for (size_t i = at; i < to; i++)
				key[i] = (uint64_t) bits_key(k, key[i]) << 32 | index[i];
		clu_check(interrupt);
	}
}

/* The order of sorted words; rows whose words have the same key are left tied. */
static void
read_words(const uint64_t *sorted, size_t n, uint32_t *index, bool *tied,
		   const clu_interrupt *interrupt)
{
	for (size_t i = 0; i < n; i++)
	{
		index[i] = (uint32_t) sorted[i];
		if (i > 0)
			tied[i] = sorted[i] >> 32 == sorted[i - 1] >> 32;
		if (i % CHECK_ROWS == 0)
			clu_check(interrupt);
	}
}

/*
 * Sort a run by the upper bits of one column; false where the column is constant.  Rows that are
 * the same in them are left tied.
 */
static bool
sort_by_column(sorter *s, uint32_t *index, bool *tied, size_t n, int column)
{
	uint64_t *key = s->words.word;
	keying	  k;

	make_keys(s->rows, index, 0, n, column, key, &k.least, &k.most, s->interrupt);
	if (k.least == k.most)
		return false;
	choose_keys(&k, s->rows, key, n);
	make_words(&k, key, index, 0, n, s->interrupt);
	read_words(clu_words_sort(&s->words, n, s->interrupt), n, index, tied, s->interrupt);
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

/* Where the longest run of ties is, and its length. */
static size_t
longest_run(const bool *tied, size_t n, size_t *longest_at, const clu_interrupt *interrupt)
{
	size_t longest = 0, looked = 0;

	for (size_t at = 0, length; at < n; at += length)
	{
		length = run_length(tied, at, n);
		if (++looked % CHECK_ROWS == 0)
			clu_check(interrupt);
		if (length > longest)
		{
			longest = length;
			*longest_at = at;
		}
	}
	return longest;
}

/*
 * Sort a run by the columns from the given one on, and say which rows are tied.  Runs of ties are
 * sorted further: all but the longest by recursion, so that the depth is at most log2(n).
 */
static void
sort_run(sorter *s, uint32_t *index, bool *tied, size_t n, int column)
{
	while (n >= SHORT_RUN)
	{
		size_t longest, longest_at = 0, looked = 0;

		if (!sort_by_column(s, index, tied, n, column))
		{
			if (++column < sort_columns(s->rows))
				continue;
			memset(tied + 1, true, n - 1);
			return;
		}
		longest = longest_run(tied, n, &longest_at, s->interrupt);
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

/* ---- long runs, by the members of the team ---- */

static void
keys_of_share(void *work, size_t item, int member, const clu_interrupt *interrupt)
{
	struct clu_long_run *run = work;

	(void) member;
	make_keys(&run->rows, run->index, clu_share_first(run->n, item),
			  clu_share_first(run->n, item + 1), run->column, run->words.word,
			  &run->share_least[item], &run->share_most[item], interrupt);
}

static void
words_of_share(void *work, size_t item, int member, const clu_interrupt *interrupt)
{
	struct clu_long_run *run = work;

	(void) member;
	make_words(&run->keys, run->words.word, run->index, clu_share_first(run->n, item),
			   clu_share_first(run->n, item + 1), interrupt);
}

/* Sort a piece, and the runs of ties in it but for the long ones. */
static void
sort_piece(void *work, size_t item, int member, const clu_interrupt *interrupt)
{
	struct clu_long_run *run = work;
	size_t				 first = run->words.parting->first[item];
	size_t				 n = clu_words_in_piece(&run->words, item), looked = 0;
	uint32_t			*index = run->index + first;
	bool				*tied = run->tied + first;
	sorter s = {&run->rows, run->spare + first, clu_words_piece(&run->words, item, member),
				interrupt};

	run->left[item] = false;
	if (n == 0)
		return;
	if (first > 0)
		tied[0] = false;
	read_words(clu_words_sort(&s.words, n, interrupt), n, index, tied, interrupt);
	for (size_t at = 0, length; at < n; at += length)
	{
		length = run_length(tied, at, n);
		if (++looked % CHECK_ROWS == 0)
			clu_check(interrupt);
		if (length >= LONG_RUN)
			run->left[item] = true;
		else if (length > 1)
			sort_run(&s, index + at, tied + at, length, run->column);
	}
}

const clu_task clu_keys_task = {keys_of_share, NULL};
const clu_task clu_words_task = {words_of_share, NULL};
const clu_task clu_sort_piece_task = {sort_piece, NULL};

/* Sort by the upper bits of one column; false where the column is constant. */
static bool
sort_long_by_column(struct clu_long_run *run, clu_team *team, const clu_interrupt *interrupt)
{
	size_t shares = clu_shares(run->n);

	clu_team_run(team, CLU_JOB_KEYS, run, shares, interrupt);
	run->keys.least = UINT64_MAX;
	run->keys.most = 0;
	for (size_t share = 0; share < shares; share++)
	{
		run->keys.least = CLU_MIN(run->keys.least, run->share_least[share]);
		run->keys.most = CLU_MAX(run->keys.most, run->share_most[share]);
	}
	if (run->keys.least == run->keys.most)
		return false;
	choose_keys(&run->keys, &run->rows, run->words.word, run->n);
	clu_team_run(team, CLU_JOB_WORDS, run, shares, interrupt);
	clu_words_part(&run->words, run->n, team, interrupt);
	clu_team_run(team, CLU_JOB_SORT_PIECE, run, CLU_WORD_PIECES, interrupt);
	return true;
}

static bool
any_left(const struct clu_long_run *run)
{
	for (int piece = 0; piece < CLU_WORD_PIECES; piece++)
		if (run->left[piece])
			return true;
	return false;
}

/* As sort_run; shorter runs of ties are sorted by whoever sorts the piece that they are in. */
static void
sort_long_run(struct clu_long_run *run, uint32_t *index, bool *tied, size_t n, int column,
			  clu_team *team, const clu_interrupt *interrupt)
{
	for (;;)
	{
		size_t longest, longest_at = 0, looked = 0;

		run->index = index;
		run->tied = tied;
		run->n = n;
		run->column = column;
		if (!sort_long_by_column(run, team, interrupt))
		{
			if (++column < sort_columns(&run->rows))
				continue;
			memset(tied + 1, true, n - 1);
			return;
		}
		if (!any_left(run))
			return;
		longest = longest_run(tied, n, &longest_at, interrupt);
		for (size_t at = 0, length; at < n; at += length)
		{
			length = run_length(tied, at, n);
			if (++looked % CHECK_ROWS == 0)
				clu_check(interrupt);
			if (at != longest_at && length >= LONG_RUN)
				sort_long_run(run, index + at, tied + at, length, column, team, interrupt);
		}
		index += longest_at;
		tied += longest_at;
		n = longest;
	}
}

/* The rows as they came. */
static void
begin(clu_order *order, size_t n, const clu_interrupt *interrupt)
{
	for (size_t i = 0; i < n; i++)
	{
		order->index[i] = (uint32_t) i;
		if (i % CHECK_ROWS == 0)
			clu_check(interrupt);
	}
	if (n > 0)
		order->tied[0] = false;
}

static size_t
count_distinct(const clu_order *order, size_t n, const clu_interrupt *interrupt)
{
	size_t distinct = 0;

	for (size_t i = 0; i < n; i++)
	{
		distinct += !order->tied[i];
		if (i % CHECK_ROWS == 0)
			clu_check(interrupt);
	}
	return distinct;
}

size_t
clu_order_sort_from(clu_order *order, const clu_rows *rows, int column,
					const clu_interrupt *interrupt)
{
	sorter s = {rows, order->spare, order->words, interrupt};

	begin(order, rows->n, interrupt);
	sort_run(&s, order->index, order->tied, rows->n, column);
	return count_distinct(order, rows->n, interrupt);
}

size_t
clu_order_sort(clu_order *order, const clu_rows *rows, clu_team *team,
			   const clu_interrupt *interrupt)
{
	if (rows->n < LONG_RUN || clu_team_members(team) == 1)
		return clu_order_sort_from(order, rows, 0, interrupt);
	begin(order, rows->n, interrupt);
	order->run->rows = *rows;
	order->run->words = order->words;
	order->run->spare = order->spare;
	sort_long_run(order->run, order->index, order->tied, rows->n, 0, team, interrupt);
	return count_distinct(order, rows->n, interrupt);
}
