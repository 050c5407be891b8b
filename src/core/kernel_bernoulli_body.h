/*
 * kernel_bernoulli_body.h
 *		The kernels of Bernoulli mixtures; part of kernel_body.h.
 *
 * A row is its own list of table look-ups: four bits select one of 16 vectors, of which each
 * component has a lane.  Tables of a word take 16 kB for 8 components, and so stay in the
 * first-level cache while all rows of a block pass by.  Tables over eight bits would halve the
 * look-ups, but they leave that cache and lose more than they save.
 *
 * gather is limited by its loads, two a cycle; scatter by its stores, one a cycle.  A lane adds
 * what a plain loop over the nibbles would add, in the same order, whatever the vector's length.
 */
#include "elementary.h"

#define NIBBLES 16 /* in a word */
#define PATTERNS 16

INLINE const double *
pattern(const double *table, uint64_t word, int nibble, const int lanes)
{
	return table +
		   (size_t) (nibble * PATTERNS + (int) ((word >> (60 - 4 * nibble)) & 15)) * (size_t) lanes;
}

INLINE void
gather_row(uint64_t word, const double *table, const int nibbles, const int lanes, double *out)
{
	vd sum[16 / VD_LANES];

#pragma GCC unroll 8
	for (int v = 0; v < lanes / VD_LANES; v++)
		sum[v] = vd_load(out + v * VD_LANES);
#pragma GCC unroll 16
	for (int nibble = 0; nibble < nibbles; nibble++)
	{
		const double *entry = pattern(table, word, nibble, lanes);

#pragma GCC unroll 8
		for (int v = 0; v < lanes / VD_LANES; v++)
			sum[v] = vd_add(sum[v], vd_load(entry + v * VD_LANES));
	}
#pragma GCC unroll 8
	for (int v = 0; v < lanes / VD_LANES; v++)
		vd_store(out + v * VD_LANES, sum[v]);
}

INLINE void
gather_rows(const uint64_t *x, size_t words, int n, const double *table, const int nibbles,
			const int lanes, double *out, int kp)
{
	for (int i = 0; i < n; i++)
		gather_row(x[(size_t) i * words], table, nibbles, lanes, out + (size_t) i * (size_t) kp);
}

static void
gather(const uint64_t *x, size_t words, int n, const double *table, int nibbles, int lanes,
	   double *out, int kp)
{
	if (lanes == 16 && nibbles == NIBBLES)
		gather_rows(x, words, n, table, NIBBLES, 16, out, kp);
	else if (lanes == 16)
		gather_rows(x, words, n, table, nibbles, 16, out, kp);
	else if (nibbles == NIBBLES)
		gather_rows(x, words, n, table, NIBBLES, 8, out, kp);
	else
		gather_rows(x, words, n, table, nibbles, 8, out, kp);
}

INLINE void
scatter_row(uint64_t word, double *table, const int nibbles, const int lanes, const double *from)
{
	vd value[16 / VD_LANES];

#pragma GCC unroll 8
	for (int v = 0; v < lanes / VD_LANES; v++)
		value[v] = vd_load(from + v * VD_LANES);
#pragma GCC unroll 16
	for (int nibble = 0; nibble < nibbles; nibble++)
	{
		double *entry = table + (pattern(table, word, nibble, lanes) - table);

#pragma GCC unroll 8
		for (int v = 0; v < lanes / VD_LANES; v++)
		{
			vd sum = vd_add(vd_load(entry + v * VD_LANES), value[v]);

			vd_store(entry + v * VD_LANES, sum);
		}
	}
}

INLINE void
scatter_rows(const uint64_t *x, size_t words, int n, double *table, const int nibbles,
			 const int lanes, const double *from, int kp)
{
	for (int i = 0; i < n; i++)
		scatter_row(x[(size_t) i * words], table, nibbles, lanes, from + (size_t) i * (size_t) kp);
}

static void
scatter(const uint64_t *x, size_t words, int n, double *table, int nibbles, int lanes,
		const double *from, int kp)
{
	if (lanes == 16 && nibbles == NIBBLES)
		scatter_rows(x, words, n, table, NIBBLES, 16, from, kp);
	else if (lanes == 16)
		scatter_rows(x, words, n, table, nibbles, 16, from, kp);
	else if (nibbles == NIBBLES)
		scatter_rows(x, words, n, table, NIBBLES, 8, from, kp);
	else
		scatter_rows(x, words, n, table, nibbles, 8, from, kp);
}

/* ---- softmax ---- */

INLINE double
row_maximum(const double *a, int kp)
{
	double largest[8];

	memcpy(largest, a, sizeof(largest));
	for (int c = 8; c < kp; c += 8)
		for (int j = 0; j < 8; j++)
			largest[j] = a[c + j] > largest[j] ? a[c + j] : largest[j];
	for (int step = 4; step > 0; step /= 2)
		for (int j = 0; j < step; j++)
			largest[j] = largest[j + step] > largest[j] ? largest[j + step] : largest[j];
	return largest[0];
}

/* The vector becomes the exponentials of its differences from the maximum; returns their sum. */
INLINE double
row_exponentials(double *a, int kp, double largest)
{
	double sum[8] = {0};

	for (int c = 0; c < kp; c += 8)
	{
		double term[8];

		for (int j = 0; j < 8; j++)
			term[j] = clu_exp_inline(a[c + j] - largest);
		for (int j = 0; j < 8; j++)
			sum[j] += term[j];
		memcpy(a + c, term, sizeof(term));
	}
	return ((sum[0] + sum[4]) + (sum[2] + sum[6])) + ((sum[1] + sum[5]) + (sum[3] + sum[7]));
}

static void
softmax(double *a, int kp, int n, double *log_sum)
{
	double largest[8], sum[8];

	for (int first = 0; first < n; first += 8)
	{
		int rows = CLU_MIN(n - first, 8);

		for (int i = 0; i < 8; i++)
			largest[i] = 0, sum[i] = 1;
		for (int i = 0; i < rows; i++)
		{
			double *row = a + (size_t) (first + i) * (size_t) kp;
			double	most = row_maximum(row, kp), total;

			total = row_exponentials(row, kp, most > -INFINITY ? most : 0);
			largest[i] = most;
			sum[i] = total > 0 ? total : 1;
			for (int c = 0; c < kp; c++)
				row[c] /= sum[i];
		}
		for (int i = 0; i < 8; i++)
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
