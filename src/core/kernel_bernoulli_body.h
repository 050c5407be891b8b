/*
 * kernel_bernoulli_body.h
 *		The kernels of Bernoulli mixtures; part of kernel_body.h.
 *
 * A row is its own list of table look-ups: four bits select one of 16 vectors, of which each
 * component has a lane.  Tables of a word take 16 kB for 8 components, and so stay in the
 * first-level cache while all rows of a block pass by.  Tables over eight bits would halve the
 * look-ups, but they leave that cache and lose more than they save.
 *
 * Where a row belongs to one component or two, its bits are masks instead: for each column, the
 * row's share in the component or 0 is added to a sum in a register, two operations for the bits
 * of a vector, a load of the mask, and the addition.
 *
 * gather is limited by its loads, two a cycle, and by finding out where to load from; scatter by
 * its stores, one a cycle.  A lane adds what a plain loop over the nibbles would add, in the same
 * order, whatever the vector's length and however many rows go side by side.
 */
#include "elementary.h"
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

/* Vectors of lanes: the last may be of four. */
#define VECTORS(lanes) (((lanes) + VD_LANES - 1) / VD_LANES)

INLINE vd
load_lanes(const double *p, int v, const int lanes)
{
	p += v * VD_LANES;
	return lanes - v * VD_LANES < VD_LANES ? vd_load_four(p) : vd_load(p);
}

INLINE void
store_lanes(double *p, int v, const int lanes, vd value)
{
	p += v * VD_LANES;
	if (lanes - v * VD_LANES < VD_LANES)
		vd_store_four(p, value);
	else
		vd_store(p, value);
}

/*
 * A row's sums are chains of additions, each waiting for the last.  So some rows go side by side:
 * as many as make eight chains, which hide the latency of an addition and still fit into the
 * registers.
 */
#define CHAINS 8
#define SIDE_BY_SIDE(lanes) (CHAINS / VECTORS(lanes))

/* Rows and lanes are constants. */
INLINE void
gather_few(const uint64_t *x, size_t words, const double *table, int nibbles, const int lanes,
		   const int rows, double *out, int kp)
{
	uint64_t word[CHAINS];
	vd		 sum[CHAINS][VECTORS(16)];

#pragma GCC unroll 8
	for (int i = 0; i < rows; i++)
	{
		word[i] = x[(size_t) i * words];
#pragma GCC unroll 8
		for (int v = 0; v < VECTORS(lanes); v++)
			sum[i][v] = load_lanes(out + (size_t) i * (size_t) kp, v, lanes);
	}
#pragma GCC unroll 2
	for (int nibble = 0; nibble < nibbles; nibble++, table += PATTERNS * lanes)
#pragma GCC unroll 8
		for (int i = 0; i < rows; i++)
		{
			const double *entry = table + first_entry(word[i], lanes);

			word[i] <<= 4;
#pragma GCC unroll 8
			for (int v = 0; v < VECTORS(lanes); v++)
				sum[i][v] = vd_add(sum[i][v], load_lanes(entry, v, lanes));
		}
#pragma GCC unroll 8
	for (int i = 0; i < rows; i++)
#pragma GCC unroll 8
		for (int v = 0; v < VECTORS(lanes); v++)
			store_lanes(out + (size_t) i * (size_t) kp, v, lanes, sum[i][v]);
}

INLINE void
gather_rows(const uint64_t *x, size_t words, int n, const double *table, int nibbles,
			const int lanes, double *out, int kp)
{
	const int rows = SIDE_BY_SIDE(lanes);
	int		  i = 0;

	for (; i + rows <= n; i += rows)
		gather_few(x + (size_t) i * words, words, table, nibbles, lanes, rows,
				   out + (size_t) i * (size_t) kp, kp);
	for (; i < n; i++)
		gather_few(x + (size_t) i * words, words, table, nibbles, lanes, 1,
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

/* Lanes is a constant. */
INLINE void
scatter_rows(const uint64_t *x, size_t words, int n, double *table, int nibbles, const int lanes,
			 const double *from, int kp)
{
	for (int i = 0; i < n; i++, from += kp)
	{
		uint64_t word = x[(size_t) i * words];
		double	*entries = table;
		vd		 value[VECTORS(16)];

#pragma GCC unroll 8
		for (int v = 0; v < VECTORS(lanes); v++)
			value[v] = load_lanes(from, v, lanes);
		for (int nibble = 0; nibble < nibbles; nibble++, entries += PATTERNS * lanes)
		{
			double *entry = entries + first_entry(word, lanes);

			word <<= 4;
#pragma GCC unroll 8
			for (int v = 0; v < VECTORS(lanes); v++)
				store_lanes(entry, v, lanes, vd_add(load_lanes(entry, v, lanes), value[v]));
		}
	}
}

static void
scatter(const uint64_t *x, size_t words, int n, double *table, int nibbles, int lanes,
		const double *from, int kp)
{
	if (lanes == 16)
		scatter_rows(x, words, n, table, nibbles, 16, from, kp);
	else if (lanes == 12)
		scatter_rows(x, words, n, table, nibbles, 12, from, kp);
	else if (lanes == 8)
		scatter_rows(x, words, n, table, nibbles, 8, from, kp);
	else
		scatter_rows(x, words, n, table, nibbles, 4, from, kp);
}

/* Vectors of columns whose sums stay in registers while the rows pass by. */
#define ONES_VECTORS 8

/* Of one word, the columns from this one on. */
INLINE void
add_ones_of(const uint64_t *x, size_t words, const uint32_t *row, const double *share, int n,
			int column, double *out)
{
	vd sum[ONES_VECTORS];

#pragma GCC unroll 8
	for (int v = 0; v < ONES_VECTORS; v++)
		sum[v] = vd_load(out + v * VD_LANES);
	for (int i = 0; i < n; i++)
	{
		uint64_t bits = x[row[i] * words] << column;
		vd		 value = vd_set(share[i]);

#pragma GCC unroll 8
		for (int v = 0; v < ONES_VECTORS; v++)
			sum[v] = vd_add(sum[v], vd_where(bits >> (CLU_WORD_BITS - VD_LANES * (v + 1)), value));
	}
#pragma GCC unroll 8
	for (int v = 0; v < ONES_VECTORS; v++)
		vd_store(out + v * VD_LANES, sum[v]);
}

static void
add_ones(const uint64_t *x, size_t words, const uint32_t *row, const double *share, int n,
		 double *sum)
{
	for (size_t word = 0; word < words; word++, sum += CLU_WORD_BITS)
		for (int column = 0; column < CLU_WORD_BITS; column += ONES_VECTORS * VD_LANES)
			add_ones_of(x + word, words, row, share, n, column, sum + column);
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

/* Vectors become the exponentials of their differences from the maximum. */
INLINE void
row_exponentials(double *a, int kp, int rows, const double *largest)
{
	for (int i = 0; i < rows; i++)
	{
		double most = largest[i] > -INFINITY ? largest[i] : 0;

		for (int c = 0; c < kp; c += 8)
		{
			double *part = a + (size_t) i * (size_t) kp + c;
			double	term[8];

			for (int j = 0; j < 8; j++)
				term[j] = clu_exp_negative(part[j] - most);
			memcpy(part, term, sizeof(term));
		}
	}
}

INLINE void
divide_rows(double *a, int kp, int rows, const double *sum)
{
	for (int i = 0; i < rows; i++)
	{
		double part = 1 / sum[i];

		for (int c = 0; c < kp; c++)
			a[(size_t) i * (size_t) kp + (size_t) c] *= part;
	}
}

static void
softmax(double *a, int kp, int n, double *log_sum)
{
	double largest[STAGE_ROWS], sum[STAGE_ROWS];

	for (int first = 0; first < n; first += STAGE_ROWS, a += STAGE_ROWS * (size_t) kp)
	{
		int rows = CLU_MIN(n - first, STAGE_ROWS);

		/* of the rows that the last stage may lack */
		for (int i = 0; i < STAGE_ROWS; i++)
			largest[i] = 0, sum[i] = 1;
		fold_rows(a, kp, rows, false, largest);
		row_exponentials(a, kp, rows, largest);
		fold_rows(a, kp, rows, true, sum);
		for (int i = 0; i < rows; i++)
			sum[i] = sum[i] > 0 ? sum[i] : 1; /* the maximum was -infinity */
		divide_rows(a, kp, rows, sum);
		for (int i = 0; i < STAGE_ROWS; i++)
			largest[i] += clu_log_inline(sum[i]);
		memcpy(log_sum + first, largest, (size_t) rows * sizeof(double));
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
