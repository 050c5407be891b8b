/*
 * contingency.c
 *		Adjusted Rand index and normalised mutual information; see contingency.h for the contract.
 *
 * Adjusted Rand index (Hubert and Arabie, J. Classification 2, 1985).  Of all T = n(n-1)/2 pairs
 * of rows, A are together in the first labelling, B in the second, S in both.  Were the labels
 * dealt out at random, S would be A B / T on average; the index says where between that and its
 * largest possible value, the mean of A and B, it lies:
 *
 *		       S - A B / T                  2 (S T - A B)
 *		ARI = ---------------------  =  ---------------------
 *		      (A + B)/2 - A B / T       (A + B) T - 2 A B
 *
 * Near independence the numerator cancels, and with a billion rows S T has 120 bits.  So the right
 * hand side is computed in whole numbers of 256 bits, without any error; only the two results are
 * rounded to double and divided.  The denominator is 0 only where both labellings put all rows
 * together or both put none together: equal partitions, index 1.
 *
 * Normalised mutual information (Strehl and Ghosh, JMLR 3, 2002, here with the arithmetic mean of
 * the entropies, as scikit-learn's default): with p the shares of the rows,
 *
 *		MI = sum over cells  p_ij log(p_ij / (p_i p_j)),    NMI = 2 MI / (H_rows + H_columns)
 *
 * The shorter form H_rows + H_columns - H_cells would cancel where MI is small.  The logarithm's
 * argument is (n_ij n) / (n_i n_j), two products rounded alike, so that independent cells give
 * exactly 0.  Labels are numbered in order of appearance, and a floating point sum depends on the
 * order of its terms; so they are added up in fixed point (exact.h).
 */
#include "contingency.h"

#include <math.h>
#include <string.h>

#include "elementary.h"
#include "exact.h"

/* In the middle of a loop over cells or labels. */
static void
check_at(size_t i, const clu_interrupt *interrupt)
{
	if (i % 16384 == 0)
		clu_check(interrupt);
}

/* ---- whole numbers of 256 bits ---- */

#define LIMBS 8

/* Unsigned, lowest limb first. */
typedef struct wide
{
	uint32_t limb[LIMBS];
} wide;

static wide
wide_from(uint64_t value)
{
	return (wide) {{(uint32_t) value, (uint32_t) (value >> 32)}};
}

static wide
wide_sum(wide a, wide b)
{
	wide	 sum;
	uint64_t carry = 0;

	for (int i = 0; i < LIMBS; i++)
	{
		carry += (uint64_t) a.limb[i] + b.limb[i];
		sum.limb[i] = (uint32_t) carry;
		carry >>= 32;
	}
	return sum;
}

/* a - b modulo 2^256 */
static wide
wide_difference(wide a, wide b)
{
	for (int i = 0; i < LIMBS; i++)
		b.limb[i] = ~b.limb[i];
	return wide_sum(wide_sum(a, b), wide_from(1));
}

/* Limbs beyond the eighth are dropped; the caller's numbers have none. */
static wide
wide_product(wide a, wide b)
{
	wide product = {{0}};

	for (int i = 0; i < LIMBS; i++)
	{
		uint64_t carry = 0;

		for (int j = 0; i + j < LIMBS; j++)
		{
			carry += (uint64_t) a.limb[i] * b.limb[j] + product.limb[i + j];
			product.limb[i + j] = (uint32_t) carry;
			carry >>= 32;
		}
	}
	return product;
}

static bool
wide_less(const wide *a, const wide *b)
{
	for (int i = LIMBS - 1; i >= 0; i--)
		if (a->limb[i] != b->limb[i])
			return a->limb[i] < b->limb[i];
	return false;
}

/*
 * Rounded once: a conversion of 64 bits, the lowest of which is set where anything below it is,
 * so that ties are told from near ties.
 */
static double
wide_value(const wide *a)
{
	uint64_t top = 0;
	bool	 rest = false;
	int		 bits = 0;

	for (int i = 32 * LIMBS - 1; i >= 0; i--)
	{
		uint32_t bit = (a->limb[i / 32] >> (i % 32)) & 1;

		if (bits < 64)
			top = top << 1 | bit;
		else
			rest = rest || bit != 0;
		if (top != 0)
			bits++;
	}
	return ldexp((double) (top | rest), bits > 64 ? bits - 64 : 0);
}

/* Add n (n - 1) / 2, the pairs among n rows. */
static void
add_pairs(wide *sum, uint64_t n)
{
	uint64_t even = n % 2 == 0 ? n : n - 1;
	uint64_t odd = n % 2 == 0 ? n - 1 : n;

	if (n < 2)
		return;
	if (n <= UINT32_MAX)
		*sum = wide_sum(*sum, wide_from(even / 2 * odd));
	else
		*sum = wide_sum(*sum, wide_product(wide_from(even / 2), wide_from(odd)));
}

/* ---- the adjusted Rand index ---- */

void
clu_contingency_totals(clu_contingency *table, const clu_interrupt *interrupt)
{
	memset(table->row_totals, 0, table->n_rows * sizeof(uint64_t));
	memset(table->column_totals, 0, table->n_columns * sizeof(uint64_t));
	table->total = 0;
	for (size_t i = 0; i < table->n_cells; i++)
	{
		const clu_cell *cell = &table->cells[i];

		check_at(i, interrupt);
		table->row_totals[cell->row] += cell->count;
		table->column_totals[cell->column] += cell->count;
		table->total += cell->count;
	}
}

static wide
pairs_within(const uint64_t *totals, size_t n, const clu_interrupt *interrupt)
{
	wide pairs = {{0}};

	for (size_t i = 0; i < n; i++)
	{
		check_at(i, interrupt);
		add_pairs(&pairs, totals[i]);
	}
	return pairs;
}

static wide
pairs_in_cells(const clu_contingency *table, const clu_interrupt *interrupt)
{
	wide pairs = {{0}};

	for (size_t i = 0; i < table->n_cells; i++)
	{
		check_at(i, interrupt);
		add_pairs(&pairs, table->cells[i].count);
	}
	return pairs;
}

double
clu_adjusted_rand_index(const clu_contingency *table, const clu_interrupt *interrupt)
{
	const wide rows = pairs_within(table->row_totals, table->n_rows, interrupt);
	const wide columns = pairs_within(table->column_totals, table->n_columns, interrupt);
	const wide all = pairs_within(&table->total, 1, interrupt);
	const wide both = wide_product(pairs_in_cells(table, interrupt), all);
	const wide chance = wide_product(rows, columns);
	const wide most =
		wide_difference(wide_product(wide_sum(rows, columns), all), wide_sum(chance, chance));
	const bool negative = wide_less(&both, &chance);
	wide	   gain = negative ? wide_difference(chance, both) : wide_difference(both, chance);

	gain = wide_sum(gain, gain);
	if (wide_value(&most) == 0)
		return 1;
	return (negative ? -wide_value(&gain) : wide_value(&gain)) / wide_value(&most);
}

/* ---- normalised mutual information ---- */

/* A sum that its terms can be added to in any order. */
typedef struct share_sum
{
	int64_t hi;
	int64_t lo;
} share_sum;

/*
 * No term exceeds 1/e in magnitude: x log(y / x), with y <= 1, is largest at x = y/e.  No partial
 * sum exceeds the entropy of 2^64 rows, 44.4.
 */
#define LARGEST_TERM 0.5
#define LARGEST_SUM 64.0

/* Add term number i. */
static void
add_share(share_sum *sum, size_t i, double term, const clu_interrupt *interrupt)
{
	check_at(i, interrupt);
	if (i % CLU_EXACT_CARRY == CLU_EXACT_CARRY - 1)
		clu_exact_carry(&sum->hi, &sum->lo, 1);
	clu_exact_add(&sum->hi, &sum->lo, term, clu_exact_scale(LARGEST_TERM, LARGEST_SUM));
}

static double
share_value(share_sum sum)
{
	clu_exact_carry(&sum.hi, &sum.lo, 1);
	return clu_dd_value(
		clu_exact_value(sum.hi, sum.lo, clu_exact_scale(LARGEST_TERM, LARGEST_SUM)));
}

static double
entropy(const uint64_t *totals, size_t n, double total, const clu_interrupt *interrupt)
{
	share_sum sum = {0, 0};

	for (size_t i = 0; i < n; i++)
	{
		double count = (double) totals[i];

		add_share(&sum, i, count / total * clu_log(total / count), interrupt);
	}
	return share_value(sum);
}

static double
mutual_information(const clu_contingency *table, const clu_interrupt *interrupt)
{
	const double total = (double) table->total;
	share_sum	 sum = {0, 0};

	for (size_t i = 0; i < table->n_cells; i++)
	{
		const clu_cell *cell = &table->cells[i];
		double			count = (double) cell->count;
		double			row = (double) table->row_totals[cell->row];
		double			column = (double) table->column_totals[cell->column];

		add_share(&sum, i, count / total * clu_log(count * total / (row * column)), interrupt);
	}
	return share_value(sum);
}

/* No row or column has more than one cell: the labels correspond one to one. */
static bool
is_renaming(const clu_contingency *table)
{
	return table->n_cells == table->n_rows && table->n_cells == table->n_columns;
}

double
clu_normalized_mutual_information(const clu_contingency *table, const clu_interrupt *interrupt)
{
	double total = (double) table->total;
	double shared, rows, columns;

	if (is_renaming(table))
		return 1;
	if (table->n_rows == 1 || table->n_columns == 1)
		return 0;
	shared = mutual_information(table, interrupt);
	rows = entropy(table->row_totals, table->n_rows, total, interrupt);
	columns = entropy(table->column_totals, table->n_columns, total, interrupt);
	return fmin(fmax(2 * shared / (rows + columns), 0), 1);
}
