/*
 * bernoulli_sums.c
 *		Sums of responsibilities for the M-step of Bernoulli mixtures.
 *
 * They are added in the tables of the E-step, where it looked a row up, and the sums of patterns
 * are unfolded to sums of columns after every share of the points: d / 4 vector operations a row,
 * as the E-step.  With many columns a row belongs to one component, or nearly: where a block has
 * few responsibilities that count, its rows are added by component instead, in tables over eight
 * rows and not over four columns (add_ones).
 *
 * Ones and zeros are both summed; see bernoulli.c.
 */
#include <string.h>

#include "bernoulli.h"

/* Columns, and the sum over all rows behind them. */
static size_t
stride_of_ones(const clu_bits *bits)
{
	return bits->words * CLU_WORD_BITS + 1;
}

/*
 * A row belongs to the components in which its responsibility isn't negligible: to few, where
 * there are no more of these than so many among all responsibilities of a block.  A table costs a
 * row the same whatever it belongs to.
 */
static size_t
most_belonging(size_t all)
{
	return all / 4;
}

void
clu_bernoulli_sums_layout(clu_bernoulli_member *member, clu_arena *arena, const clu_bits *bits,
						  size_t block)
{
	size_t kp = (size_t) bits->kp;

	CLU_TAKE(arena, member->table, clu_bits_table_size(bits));
	CLU_TAKE(arena, member->ones, clu_size_product((size_t) bits->k, stride_of_ones(bits)));
	CLU_TAKE(arena, member->belonging, most_belonging(block * kp));
	CLU_TAKE(arena, member->row, most_belonging(block * kp));
	CLU_TAKE(arena, member->share, most_belonging(block * kp));
	CLU_TAKE(arena, member->end, kp + 1);
}

void
clu_bernoulli_clear_sums(const clu_bits *bits, clu_bernoulli_member *own)
{
	memset(own->table, 0, clu_bits_table_size(bits) * sizeof(double));
	own->tabled = false;
	memset(own->ones, 0, (size_t) bits->k * stride_of_ones(bits) * sizeof(double));
}

/* ---- adding the rows of a block ---- */

/* Whether a block's rows belong to few components: otherwise a table takes less time. */
static bool
belong_to_few(const clu_bits *bits, const uint8_t *counts, size_t rows)
{
	size_t count = 0, all = rows * (size_t) bits->kp;

	for (size_t i = 0; i < all / 8; i += sizeof(uint64_t))
	{
		uint64_t word = 0;

		memcpy(&word, counts + i, CLU_MIN(sizeof(word), all / 8 - i));
		count += (size_t) __builtin_popcountll(word);
	}
	return count <= most_belonging(all);
}

/* What belongs together, row by row; counts them in end, which is that of the component before. */
static size_t
find_belonging(const clu_bits *bits, size_t rows, clu_bernoulli_member *own)
{
	size_t bytes = (size_t) bits->kp / 8, found = 0;

	memset(own->end, 0, ((size_t) bits->kp + 1) * sizeof(uint32_t));
	for (size_t i = 0; i < rows; i++)
		for (size_t byte = 0; byte < bytes; byte++)
			for (unsigned left = own->counts[i * bytes + byte]; left != 0; left &= left - 1)
			{
				uint32_t c = (uint32_t) (byte * 8) + (uint32_t) __builtin_ctz(left);

				own->belonging[found++] = (clu_belonging) {(uint32_t) i, c};
				own->end[c + 1]++;
			}
	return found;
}

/* The rows of each component, and what they have in it. */
static void
list_by_component(const clu_bits *bits, const clu_block *block, clu_bernoulli_member *own)
{
	size_t found = find_belonging(bits, block->n, own);

	for (int c = 0; c < bits->k; c++)
		own->end[c + 1] += own->end[c];
	for (size_t i = 0; i < found; i++)
	{
		size_t	 row = own->belonging[i].row, c = own->belonging[i].component;
		uint32_t at = own->end[c]++;

		own->row[at] = (uint32_t) row;
		own->share[at] =
			own->responsibility[row * (size_t) bits->kp + c] * clu_weight(block->w, row);
	}
}

static void
add_by_component(const clu_bits *bits, const clu_block *block, clu_bernoulli_member *own,
				 const clu_interrupt *interrupt)
{
	uint32_t first = 0;

	list_by_component(bits, block, own);
	for (int c = 0; c < bits->k; c++)
	{
		int n = (int) (own->end[c] - first);

		clu_kernel->add_ones(block->x, bits->words, own->row + first, own->share + first, n,
							 own->ones + (size_t) c * stride_of_ones(bits));
		first = own->end[c];
		clu_check(interrupt);
	}
}

static void
add_to_table(const clu_bits *bits, const clu_block *block, clu_bernoulli_member *own,
			 const clu_interrupt *interrupt)
{
	const int in_word = CLU_WORD_BITS / CLU_NIBBLE;

	own->tabled = true;
	for (int chunk = 0; chunk < bits->kp; chunk += CLU_CHUNK)
	{
		int		lanes = clu_bits_lanes(bits, chunk);
		double *at = own->table + clu_bits_chunk(bits, chunk);

		for (size_t word = 0; word < bits->words; word++)
		{
			int nibbles = CLU_MIN(bits->nibbles - (int) word * in_word, in_word);

			clu_kernel->scatter((const uint64_t *) block->x + word, bits->words, (int) block->n, at,
								nibbles, lanes, own->responsibility + chunk, bits->kp, block->w);
			at += (size_t) (nibbles * CLU_PATTERNS * lanes);
		}
		clu_check(interrupt);
	}
}

void
clu_bernoulli_add(const clu_bits *bits, const clu_block *block, clu_bernoulli_member *own,
				  const clu_interrupt *interrupt)
{
	if (belong_to_few(bits, own->counts, block->n))
		add_by_component(bits, block, own, interrupt);
	else
		add_to_table(bits, block, own, interrupt);
}

/* ---- from patterns and rows to columns ---- */

/* Sixteen sums of patterns to those of a column, in all lanes. */
static void
unfold_column(const double *restrict table, int lanes, int column, double *restrict ones,
			  double *restrict zeros)
{
	int mask = 8 >> column;

	for (int lane = 0; lane < lanes; lane++)
		ones[lane] = zeros[lane] = 0;
	for (int value = 0; value < CLU_PATTERNS; value++)
	{
		double *restrict to = value & mask ? ones : zeros;

		for (int lane = 0; lane < lanes; lane++)
			to[lane] += table[value * lanes + lane];
	}
}

/* Add what the table of a chunk has for the columns of a nibble, and clear it. */
static void
unfold_nibble(clu_bernoulli *state, int chunk, int nibble, double *table)
{
	const clu_bits *bits = &state->bits;
	int				lanes = clu_bits_lanes(bits, chunk);
	int				end = CLU_MIN((nibble + 1) * CLU_NIBBLE, bits->d);

	for (int j = nibble * CLU_NIBBLE; j < end; j++)
	{
		double ones[CLU_CHUNK], zeros[CLU_CHUNK];

		unfold_column(table, lanes, j % CLU_NIBBLE, ones, zeros);
		for (int c = chunk; c < CLU_MIN(chunk + lanes, bits->k); c++)
		{
			size_t at = (size_t) c * (size_t) bits->d + (size_t) j;

			state->sums.ones[at] += ones[c - chunk];
			state->sums.zeros[at] += zeros[c - chunk];
		}
	}
	memset(table, 0, sizeof(double) * CLU_PATTERNS * (size_t) lanes);
}

static void
unfold(clu_bernoulli *state, double *table)
{
	const clu_bits *bits = &state->bits;

	for (int chunk = 0; chunk < bits->kp; chunk += CLU_CHUNK)
	{
		double *at = table + clu_bits_chunk(bits, chunk);

		for (int nibble = 0; nibble < bits->nibbles; nibble++)
		{
			unfold_nibble(state, chunk, nibble, at);
			at += CLU_PATTERNS * clu_bits_lanes(bits, chunk);
		}
	}
}

/*
 * What rows have in components that they belong to, and in the others: of all columns, over the
 * rows with a 1, and over all rows, which is equal where all have a 1, and never less.
 */
static void
unfold_ones(clu_bernoulli *state, clu_bernoulli_member *own)
{
	const clu_bits *bits = &state->bits;
	size_t			d = (size_t) bits->d, stride = stride_of_ones(bits);

	for (size_t c = 0; c < (size_t) bits->k; c++)
	{
		double *restrict from = own->ones + c * stride;
		double *restrict ones = state->sums.ones + c * d;
		double *restrict zeros = state->sums.zeros + c * d;
		double whole = from[stride - 1];

		if (whole == 0)
			continue;
		for (size_t j = 0; j < d; j++)
		{
			double part = from[clu_ones_place(j)];

			ones[j] += part;
			zeros[j] += whole - part;
		}
		memset(from, 0, stride * sizeof(double));
	}
}

void
clu_bernoulli_collect_sums(clu_bernoulli *state, clu_bernoulli_member *own)
{
	if (own->tabled)
		unfold(state, own->table);
	own->tabled = false;
	unfold_ones(state, own);
}
