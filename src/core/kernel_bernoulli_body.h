/*
 * kernel_bernoulli_body.h
 *		The kernels of Bernoulli mixtures; part of kernel_body.h.
 *
 * A row is its own list of table look-ups: four bits select one of 16 vectors, of which each
 * component has a lane.  Tables of a word take 16 kB for 8 components, and so stay in the
 * first-level cache while all rows of a block pass by.  Tables over eight bits would halve the
 * look-ups, but they leave that cache and lose more than they save.
 *
 * Where a row belongs to a few of the components, the same is done the other way round for each of
 * these: a column is a list of look-ups.  Over eight rows it has one of 256 patterns, and the sums
 * of the shares of all subsets of eight rows are made beforehand; columns of 8 rows become bytes by
 * a transposition of bits.  A column takes a look-up for eight rows, and a load and a store of its
 * sum for 32.  Of a few rows the bits are masks instead: for each column, the row's share or 0 is
 * added to a sum in a register.
 *
 * gather is limited by its loads, two a cycle, and by finding out where to load from; scatter by
 * its stores, one a cycle; add_ones by its loads, of the patterns and of what they point at.  A
 * lane adds what a plain loop over the nibbles would add, in the same order, whatever the vector's
 * length and however many rows go side by side.
 */
#include "points.h"

#define PATTERNS 16

/* What the first nibble of the word selects; lanes is 4, 8, 12 or 16.  One shift, not two. */
INLINE size_t
first_entry(uint64_t word, const int lanes)
{
	const int scale = lanes == 16 ? 4 : lanes == 8 ? 3 : 2;
	size_t	  entry = (word >> (60 - scale)) & (UINT64_C(15) << scale);

	return lanes == 12 ? 3 * entry : entry;
}

/*
 * Of the lanes some are taken as whole vectors (wide says how many), and what is left four by four.
 * For gather that's all of them where vectors of eight don't come out even: they would often lie
 * across two lines of the cache.  For scatter, whose stores are what counts, it's as few as can be.
 */
typedef double vd_four
	__attribute__((vector_size(4 * sizeof(double)), aligned(sizeof(double)), may_alias));

#define FOUR(p) (*(vd_four *) (p))
#define FOURS(lanes, wide) (((lanes) - (wide) *VD_LANES) / 4)
#define MOST_LANES 16
#define MOST_FOURS 3

/*
 * A row's sums are chains of additions, each waiting for the last.  So some rows go side by side:
 * as many as make eight chains, which hide the latency of an addition and still fit into the
 * registers.
 */
#define CHAINS 8

/* Sums of a row, as vectors. */
typedef struct row_sums
{
	vd		whole[MOST_LANES / VD_LANES];
	vd_four four[MOST_FOURS];
} row_sums;

/* Lanes and wide are constants. */
INLINE void
load_sums(row_sums *sums, const double *from, const int lanes, const int wide)
{
#pragma GCC unroll 8
	for (int v = 0; v < wide; v++)
		sums->whole[v] = vd_load(from + v * VD_LANES);
#pragma GCC unroll 4
	for (int v = 0; v < FOURS(lanes, wide); v++)
		sums->four[v] = FOUR(from + wide * VD_LANES + v * 4);
}

INLINE void
add_entry(row_sums *sums, const row_sums *before, const double *entry, const int lanes,
		  const int wide)
{
#pragma GCC unroll 8
	for (int v = 0; v < wide; v++)
		sums->whole[v] = vd_add(before->whole[v], vd_load(entry + v * VD_LANES));
#pragma GCC unroll 4
	for (int v = 0; v < FOURS(lanes, wide); v++)
		sums->four[v] = before->four[v] + FOUR(entry + wide * VD_LANES + v * 4);
}

INLINE void
store_sums(const row_sums *sums, double *to, const int lanes, const int wide)
{
#pragma GCC unroll 8
	for (int v = 0; v < wide; v++)
		vd_store(to + v * VD_LANES, sums->whole[v]);
#pragma GCC unroll 4
	for (int v = 0; v < FOURS(lanes, wide); v++)
		FOUR(to + wide * VD_LANES + v * 4) = sums->four[v];
}

/*
 * A row's other words lie between its word and that of the next row, so the caches may not see
 * what comes: the words of rows to come are asked for.
 */
#define ROWS_AHEAD 16

INLINE void
fetch_words(const uint64_t *x, size_t words, const int rows)
{
#pragma GCC unroll 8
	for (int i = 0; i < rows; i++)
		__builtin_prefetch(x + (size_t) (ROWS_AHEAD + i) * words);
}

/* Rows and lanes are constants. */
INLINE void
gather_few(const uint64_t *x, size_t words, const double *table, int nibbles, const int lanes,
		   const int wide, const int rows, double *out, int kp)
{
	uint64_t word[CHAINS];
	row_sums sums[CHAINS];

#pragma GCC unroll 8
	for (int i = 0; i < rows; i++)
	{
		word[i] = x[(size_t) i * words];
		load_sums(&sums[i], out + (size_t) i * (size_t) kp, lanes, wide);
	}
#pragma GCC unroll 2
	for (int nibble = 0; nibble < nibbles; nibble++, table += PATTERNS * lanes)
#pragma GCC unroll 8
		for (int i = 0; i < rows; i++)
		{
			add_entry(&sums[i], &sums[i], table + first_entry(word[i], lanes), lanes, wide);
			word[i] <<= 4;
		}
#pragma GCC unroll 8
	for (int i = 0; i < rows; i++)
		store_sums(&sums[i], out + (size_t) i * (size_t) kp, lanes, wide);
}

INLINE void
gather_rows(const uint64_t *x, size_t words, int n, const double *table, int nibbles,
			const int lanes, double *out, int kp)
{
	const int wide = lanes % VD_LANES == 0 ? lanes / VD_LANES : 0;
	const int rows = CHAINS / (wide + FOURS(lanes, wide));
	int		  i = 0;

	for (; i + rows <= n; i += rows)
	{
		if (words > 1)
			fetch_words(x + (size_t) i * words, words, rows);
		gather_few(x + (size_t) i * words, words, table, nibbles, lanes, wide, rows,
				   out + (size_t) i * (size_t) kp, kp);
	}
	for (; i < n; i++)
		gather_few(x + (size_t) i * words, words, table, nibbles, lanes, wide, 1,
				   out + (size_t) i * (size_t) kp, kp);
}

static void
gather(const uint64_t *x, size_t words, int n, const double *table, int nibbles, int lanes,
	   double *out, int kp)
{
	if (lanes == 16)
		gather_rows(x, words, n, table, nibbles, 16, out, kp);
	else if (lanes == 12)
		gather_rows(x, words, n, table, nibbles, 12, out, kp);
	else if (lanes == 8)
		gather_rows(x, words, n, table, nibbles, 8, out, kp);
	else
		gather_rows(x, words, n, table, nibbles, 4, out, kp);
}

/* Lanes and wide are constants. */
INLINE void
multiply_sums(row_sums *sums, double by, const int lanes, const int wide)
{
#pragma GCC unroll 8
	for (int v = 0; v < wide; v++)
		sums->whole[v] = vd_mul(sums->whole[v], vd_set(by));
#pragma GCC unroll 4
	for (int v = 0; v < FOURS(lanes, wide); v++)
		sums->four[v] *= by;
}

/* Lanes is a constant. */
INLINE void
scatter_rows(const uint64_t *x, size_t words, int n, double *table, int nibbles, const int lanes,
			 const double *from, int kp, const double *w)
{
	const int wide = lanes / VD_LANES;

	for (int i = 0; i < n; i++, from += kp)
	{
		uint64_t word = x[(size_t) i * words];
		double	*entries = table;
		row_sums share;

		if (words > 1)
			fetch_words(x + (size_t) i * words, words, 1);
		load_sums(&share, from, lanes, wide);
		multiply_sums(&share, clu_weight(w, (size_t) i), lanes, wide);
		for (int nibble = 0; nibble < nibbles; nibble++, entries += PATTERNS * lanes)
		{
			double	*entry = entries + first_entry(word, lanes);
			row_sums sums;

			word <<= 4;
			add_entry(&sums, &share, entry, lanes, wide);
			store_sums(&sums, entry, lanes, wide);
		}
	}
}

static void
scatter(const uint64_t *x, size_t words, int n, double *table, int nibbles, int lanes,
		const double *from, int kp, const double *w)
{
	if (lanes == 16)
		scatter_rows(x, words, n, table, nibbles, 16, from, kp, w);
	else if (lanes == 12)
		scatter_rows(x, words, n, table, nibbles, 12, from, kp, w);
	else if (lanes == 8)
		scatter_rows(x, words, n, table, nibbles, 8, from, kp, w);
	else
		scatter_rows(x, words, n, table, nibbles, 4, from, kp, w);
}

/* ---- ones of listed rows ---- */

/*
 * Sums are in an order of their own within the 64 columns of a word: first those of the last bits
 * of all bytes, then those of the bits before them (clu_ones_place).
 */
#define EIGHT 8
#define LAST_BITS UINT64_C(0x0101010101010101)

/* The last bits of the bytes of a word, that of the last byte first. */
INLINE uint64_t
collect_last_bits(uint64_t word)
{
	return (word & LAST_BITS) * UINT64_C(0x8040201008040201) >> (CLU_WORD_BITS - EIGHT);
}

/* Of one word, the sums from this bit of its bytes on: as many as fit into the registers. */
#define BITS_OF_BYTES VD_LANES
#define VECTORS_OF_BITS (EIGHT / VD_LANES)

INLINE void
add_ones_of(const uint64_t *x, size_t words, const uint32_t *row, const double *share, int n,
			int bit, double *out)
{
	vd sum[BITS_OF_BYTES][VECTORS_OF_BITS];

#pragma GCC unroll 8
	for (int b = 0; b < BITS_OF_BYTES; b++)
#pragma GCC unroll 4
		for (int v = 0; v < VECTORS_OF_BITS; v++)
			sum[b][v] = vd_load(out + b * EIGHT + v * VD_LANES);
	for (int i = 0; i < n; i++)
	{
		uint64_t word = x[row[i] * words] >> bit;
		vd		 value = vd_set(share[i]);

#pragma GCC unroll 8
		for (int b = 0; b < BITS_OF_BYTES; b++)
		{
			uint64_t bits = collect_last_bits(word >> b);

#pragma GCC unroll 4
			for (int v = 0; v < VECTORS_OF_BITS; v++)
				sum[b][v] =
					vd_add(sum[b][v], vd_where(bits >> (EIGHT - VD_LANES * (v + 1)), value));
		}
	}
#pragma GCC unroll 8
	for (int b = 0; b < BITS_OF_BYTES; b++)
#pragma GCC unroll 4
		for (int v = 0; v < VECTORS_OF_BITS; v++)
			vd_store(out + b * EIGHT + v * VD_LANES, sum[b][v]);
}

/* The listed rows one by one, and the sum of all their shares behind the columns. */
INLINE void
add_ones_by_masks(const uint64_t *x, size_t words, const uint32_t *row, const double *share, int n,
				  double *sum)
{
	for (size_t word = 0; word < words; word++, sum += CLU_WORD_BITS)
		for (int bit = 0; bit < EIGHT; bit += BITS_OF_BYTES)
			add_ones_of(x + word, words, row, share, n, bit, sum + bit * EIGHT);
	for (int i = 0; i < n; i++)
		*sum += share[i];
}

#define SUBSETS 256 /* of eight */
#define MOST_TABLES 4
#define ABREAST 4 /* words */

/* The sums of all subsets of eight shares: bit i of the index says whether share i is in it. */
INLINE void
sum_subsets(const double *share, double *restrict table)
{
	table[0] = 0;
#pragma GCC unroll 8
	for (int i = 0; i < EIGHT; i++)
		for (int v = 0; v < 1 << i; v++)
			table[(1 << i) + v] = table[v] + share[i];
}

typedef uint64_t vd_words __attribute__((vector_size(ABREAST * sizeof(uint64_t))));

/* The bits of a that the mask lets through when shifted go to b, and those of b to their places. */
INLINE void
exchange_bits(vd_words *a, vd_words *b, const int shift, const uint64_t mask)
{
	vd_words differ = ((*a >> shift) ^ *b) & mask;

	*b ^= differ;
	*a ^= differ << shift;
}

/*
 * The bytes at the same place in eight words are a matrix of eight rows and eight columns: it's
 * transposed (Warren, Hacker's Delight, 7-3).  For each column there is a byte then, of which bit
 * i is that of row i; the last columns of all bytes come first.
 */
INLINE void
patterns_of_eight(const uint64_t *x, size_t words, const uint32_t *row, size_t abreast,
				  uint64_t (*pattern)[ABREAST])
{
	vd_words a[EIGHT];

#pragma GCC unroll 8
	for (int i = 0; i < EIGHT; i++)
	{
		uint64_t part[ABREAST] = {0};

		if (abreast == ABREAST)
			memcpy(&a[i], x + row[i] * words, sizeof(a[i]));
		else
		{
			memcpy(part, x + row[i] * words, abreast * sizeof(*part));
			memcpy(&a[i], part, sizeof(a[i]));
		}
	}
#pragma GCC unroll 4
	for (int i = 0; i < 4; i++)
		exchange_bits(&a[i], &a[i + 4], 4, UINT64_C(0x0f0f0f0f0f0f0f0f));
#pragma GCC unroll 4
	for (int i = 0; i < 4; i++)
		exchange_bits(&a[i / 2 * 4 + i % 2], &a[i / 2 * 4 + i % 2 + 2], 2,
					  UINT64_C(0x3333333333333333));
#pragma GCC unroll 4
	for (int i = 0; i < 4; i++)
		exchange_bits(&a[2 * i], &a[2 * i + 1], 1, UINT64_C(0x5555555555555555));
#pragma GCC unroll 8
	for (int i = 0; i < EIGHT; i++)
		memcpy(pattern[i], &a[i], sizeof(a[i]));
}

/* Tables is a constant. */
INLINE double
look_up(const double (*table)[SUBSETS], const int tables, const uint64_t *pattern)
{
	double left = table[0][pattern[0] % SUBSETS];
	double right = tables > 2 ? table[2][pattern[2] % SUBSETS] : 0;

	left = tables > 1 ? left + table[1][pattern[1] % SUBSETS] : left;
	right = tables > 3 ? right + table[3][pattern[3] % SUBSETS] : right;
	return tables > 2 ? left + right : left;
}

/* Up to eight rows for each table; tables is a constant. */
INLINE void
add_ones_by_tables(const uint64_t *x, size_t words, const uint32_t *row, const double *share, int n,
				   const int tables, double *restrict sum)
{
	double	 table[MOST_TABLES][SUBSETS], part[MOST_TABLES * EIGHT];
	uint64_t pattern[MOST_TABLES][EIGHT][ABREAST];
	uint64_t now[MOST_TABLES] = {SUBSETS - 1, SUBSETS - 1, SUBSETS - 1, SUBSETS - 1};
	uint32_t list[MOST_TABLES * EIGHT];

	/* in place of missing rows the first one, without a share */
	for (int i = 0; i < tables * EIGHT; i++)
	{
		list[i] = row[i < n ? i : 0];
		part[i] = i < n ? share[i] : 0;
	}
	for (int t = 0; t < tables; t++)
		sum_subsets(part + t * EIGHT, table[t]);
	sum[words * CLU_WORD_BITS] += look_up(table, tables, now);
	for (size_t first = 0; first < words; first += ABREAST)
	{
		size_t abreast = CLU_MIN(words - first, ABREAST);

		for (int t = 0; t < tables; t++)
			patterns_of_eight(x + first, words, list + t * EIGHT, abreast, pattern[t]);
		for (size_t w = 0; w < abreast; w++)
			for (int bit = 0; bit < EIGHT; bit++, sum += EIGHT)
			{
				for (int t = 0; t < tables; t++)
				{
					now[t] = pattern[t][bit][w];
					/* as a lane of a vector, each look-up would have to fetch it from there */
					__asm__("" : "+r"(now[t]));
				}
#pragma GCC unroll 8
				for (int byte = 0; byte < EIGHT; byte++)
				{
					sum[byte] += look_up(table, tables, now);
					for (int t = 0; t < tables; t++)
						now[t] >>= EIGHT;
				}
			}
	}
}

/* From so many rows on a table pays. */
#define TABLE_PAYS 6

static void
add_ones(const uint64_t *x, size_t words, const uint32_t *row, const double *share, int n,
		 double *sum)
{
	while (n >= TABLE_PAYS)
	{
		int rows = CLU_MIN(n, MOST_TABLES * EIGHT);

		if (rows > 3 * EIGHT)
			add_ones_by_tables(x, words, row, share, rows, 4, sum);
		else if (rows > 2 * EIGHT)
			add_ones_by_tables(x, words, row, share, rows, 3, sum);
		else if (rows > EIGHT)
			add_ones_by_tables(x, words, row, share, rows, 2, sum);
		else
			add_ones_by_tables(x, words, row, share, rows, 1, sum);
		row += rows;
		share += rows;
		n -= rows;
	}
	if (n > 0)
		add_ones_by_masks(x, words, row, share, n, sum);
}

/* ---- softmax ---- */

/*
 * In stages over some rows, each a loop without dependence from row to row: a row alone is one
 * long chain of maximum, exponential, sum and logarithm.
 */
#define STAGE_ROWS 32

/* The largest of a row, or its sum in eight lanes. */
INLINE double
fold_row(const double *row, int kp, const bool sum)
{
	vd fold[8 / VD_LANES];

#pragma GCC unroll 4
	for (int v = 0; v < 8 / VD_LANES; v++)
		fold[v] = vd_load(row + v * VD_LANES);
	for (int c = 8; c < kp; c += 8)
#pragma GCC unroll 4
		for (int v = 0; v < 8 / VD_LANES; v++)
		{
			vd next = vd_load(row + c + v * VD_LANES);

			fold[v] = sum ? vd_add(fold[v], next) : vd_max(fold[v], next);
		}
	return sum ? vd_sum_eight(fold) : vd_max_eight(fold);
}

INLINE void
fold_rows(const double *a, int kp, int rows, const bool sum, double *out)
{
	for (int i = 0; i < rows; i++)
		out[i] = fold_row(a + (size_t) i * (size_t) kp, kp, sum);
}

/* Vectors become the exponentials of their differences from the shift. */
INLINE void
row_exponentials(double *a, int kp, int rows, const double *shift)
{
	for (int i = 0; i < rows; i++)
		for (int c = 0; c < kp; c += 8)
		{
			double *part = a + (size_t) i * (size_t) kp + c;

#pragma GCC unroll 4
			for (int v = 0; v < 8; v += VD_LANES)
				vd_store(part + v, vd_sub(vd_load(part + v), vd_set(shift[i])));
		}
	exponentials(a, (size_t) rows * (size_t) kp);
}

/* Multiply eight, and say by bits which of them aren't negligible then. */
INLINE uint8_t
multiply_eight(double *a, vd by)
{
	unsigned counts = 0;

#pragma GCC unroll 4
	for (int v = 0; v < 8; v += VD_LANES)
	{
		vd product = vd_mul(vd_load(a + v), by);

		vd_store(a + v, product);
		counts |= vd_at_least(product, vd_set(CLU_NEGLIGIBLE)) << v;
	}
	return (uint8_t) counts;
}

INLINE void
multiply_rows(double *a, int kp, int rows, const double *factor, uint8_t *counts)
{
	for (int i = 0; i < rows; i++)
	{
		vd by = vd_set(factor[i]);

		for (int c = 0; c < kp; c += 8)
			*counts++ = multiply_eight(a + (size_t) i * (size_t) kp + c, by);
	}
}

/* Of the rows of a stage; those that the last one lacks count as rows of all -infinity. */
typedef struct stage
{
	double largest[STAGE_ROWS], shift[STAGE_ROWS], sum[STAGE_ROWS], log_sum[STAGE_ROWS];
} stage;

static void
softmax(double *a, int kp, int n, double *log_sum, uint8_t *counts)
{
	stage at;

	for (int i = 0; i < STAGE_ROWS; i++)
		at.largest[i] = -INFINITY, at.sum[i] = 0;
	for (int first = 0; first < n; first += STAGE_ROWS, a += STAGE_ROWS * (size_t) kp)
	{
		int rows = CLU_MIN(n - first, STAGE_ROWS);

		fold_rows(a, kp, rows, false, at.largest);
		for (int i = 0; i < STAGE_ROWS; i++)
			at.shift[i] = at.largest[i] > -INFINITY ? at.largest[i] : 0;
		row_exponentials(a, kp, rows, at.shift);
		fold_rows(a, kp, rows, true, at.sum);
		for (int i = 0; i < STAGE_ROWS; i++)
		{
			double sum = at.sum[i] > 0 ? at.sum[i] : 1; /* the largest was -infinity */

			at.log_sum[i] = at.largest[i] + clu_log_inline(sum);
			at.sum[i] = 1 / sum;
		}
		multiply_rows(a, kp, rows, at.sum, counts + first * (kp / 8));
		memcpy(log_sum + first, at.log_sum, (size_t) rows * sizeof(double));
	}
}

static void
hamming(const uint64_t *x, size_t words, size_t n, const uint64_t *row, uint32_t *out)
{
	for (size_t i = 0; i < n; i++)
	{
		uint32_t count = 0;

		for (size_t j = 0; j < words; j++)
			count += (uint32_t) __builtin_popcountll(x[i * words + j] ^ row[j]);
		out[i] = count;
	}
}
