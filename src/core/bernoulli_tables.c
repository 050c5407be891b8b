/*
 * bernoulli_tables.c
 *		Probabilities of packed rows by look-up.
 *
 * ln p(x | k) = sum_j ln(theta_kj if x_j = 1, else 1 - theta_kj).  Every sum of four consecutive
 * terms is one of sixteen, which are computed beforehand for all components: a row of d bits then
 * takes d / 4 vector additions instead of d multiplications by 0 or 1, and the bits need never be
 * unpacked (the "method of four Russians": Arlazarov, Dinic, Kronrod and Faradzhev, 1970).
 *
 * The tables hold ln theta and ln(1 - theta) themselves and not their difference, the logit, over
 * a base: so theta = 0 and theta = 1 need no special case.  -infinity comes into a sum exactly
 * when a bit contradicts such a theta, and there is never an infinity of the other sign that could
 * make a NaN of it.
 */
#include "bernoulli.h"

#include <math.h>
#include <string.h>

#include "elementary.h"

clu_bits
clu_bits_shape(int k, int d)
{
	return (clu_bits) {
		.k = k,
		.kp = (k + 7) / 8 * 8,
		.d = d,
		.nibbles = (d + CLU_NIBBLE - 1) / CLU_NIBBLE,
		.words = clu_words(d),
	};
}

size_t
clu_bits_table_size(const clu_bits *bits)
{
	return clu_size_product(clu_size_product((size_t) bits->nibbles, CLU_PATTERNS),
							(size_t) bits->kp);
}

/* The sixteen sums of four columns, in one lane; columns beyond d count nothing. */
static void
fill_patterns(const double *log_one, const double *log_zero, int columns, double *table, int lanes)
{
	double one[CLU_NIBBLE] = {0}, zero[CLU_NIBBLE] = {0};
	double left[4], right[4];

	memcpy(one, log_one, (size_t) columns * sizeof(double));
	memcpy(zero, log_zero, (size_t) columns * sizeof(double));
	for (int pair = 0; pair < 4; pair++)
	{
		left[pair] = (pair & 2 ? one[0] : zero[0]) + (pair & 1 ? one[1] : zero[1]);
		right[pair] = (pair & 2 ? one[2] : zero[2]) + (pair & 1 ? one[3] : zero[3]);
	}
	for (int value = 0; value < CLU_PATTERNS; value++)
		table[value * lanes] = left[value >> 2] + right[value & 3];
}

void
clu_bits_fill(const clu_bits *bits, const double *theta, double *table, double *scratch,
			  double *prior)
{
	double *log_one = scratch, *log_zero = scratch + bits->d;

	memset(table, 0, clu_bits_table_size(bits) * sizeof(double));
	for (int c = 0; c < bits->k; c++)
	{
		int		chunk = c / CLU_CHUNK * CLU_CHUNK;
		int		lanes = clu_bits_lanes(bits, chunk);
		double *lane = table + clu_bits_chunk(bits, chunk) + (c - chunk);

		for (int j = 0; j < bits->d; j++)
		{
			log_one[j] = theta[(size_t) c * (size_t) bits->d + (size_t) j];
			log_zero[j] = 1 - log_one[j];
		}
		clu_log_array(scratch, scratch, 2 * (size_t) bits->d);
		if (prior != NULL)
			for (int j = 0; j < bits->d; j++)
				*prior += log_one[j] + log_zero[j];
		for (int nibble = 0; nibble < bits->nibbles; nibble++)
			fill_patterns(log_one + nibble * CLU_NIBBLE, log_zero + nibble * CLU_NIBBLE,
						  CLU_MIN(bits->d - nibble * CLU_NIBBLE, CLU_NIBBLE),
						  lane + (size_t) nibble * CLU_PATTERNS * (size_t) lanes, lanes);
	}
}

void
clu_bits_log_weights(const clu_bits *bits, const double *weight, double *log_weight)
{
	for (int c = 0; c < bits->kp; c++)
		log_weight[c] = c < bits->k ? clu_log(weight[c]) : -INFINITY;
}

void
clu_bits_log_joint(const clu_bits *bits, const uint64_t *x, int n, const double *table,
				   const double *log_weight, double *out, const clu_interrupt *interrupt)
{
	const int in_word = CLU_WORD_BITS / CLU_NIBBLE;

	/* in pieces of known size, which need no call */
	for (int i = 0; i < n; i++)
		for (int c = 0; c < bits->kp; c += 8)
			memcpy(out + (size_t) i * (size_t) bits->kp + c, log_weight + c, 8 * sizeof(double));
	for (int chunk = 0; chunk < bits->kp; chunk += CLU_CHUNK)
	{
		int			  lanes = clu_bits_lanes(bits, chunk);
		const double *at = table + clu_bits_chunk(bits, chunk);

		for (size_t word = 0; word < bits->words; word++)
		{
			int nibbles = CLU_MIN(bits->nibbles - (int) word * in_word, in_word);

			clu_kernel->gather(x + word, bits->words, n, at, nibbles, lanes, out + chunk, bits->kp);
			at += (size_t) (nibbles * CLU_PATTERNS * lanes);
		}
		clu_check(interrupt);
	}
}

/* Contradicted bits of a row, and the log probability of the others. */
static int
contradictions(const clu_bits *bits, const uint64_t *x, const double *theta, double *log_rest)
{
	int count = 0;

	for (int j = 0; j < bits->d; j++)
	{
		double p = clu_bit(x, j) ? theta[j] : 1 - theta[j];

		if (p > 0)
			*log_rest += clu_log(p);
		else
			count++;
	}
	return count;
}

int
clu_bits_least_disagreement(const clu_bits *bits, const uint64_t *x, const double *weight,
							const double *theta)
{
	int	   best = 0, least = bits->d + 2;
	double most = -INFINITY;

	for (int c = 0; c < bits->k; c++)
	{
		double log_rest = weight[c] > 0 ? clu_log(weight[c]) : 0;
		int	   count = contradictions(bits, x, theta + (size_t) c * (size_t) bits->d, &log_rest);

		if (!(weight[c] > 0))
			count = bits->d + 1;
		if (count < least || (count == least && log_rest > most))
		{
			best = c;
			least = count;
			most = log_rest;
		}
	}
	return best;
}
