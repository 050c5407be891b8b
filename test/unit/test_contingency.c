/*
 * test_contingency.c
 *		Adjusted Rand index and normalised mutual information of contingency tables.
 *
 * Stand-alone; prints TAP.  Literals marked "scikit-learn" are adjusted_rand_score and
 * normalized_mutual_info_score of scikit-learn 1.2.1 over the spelt out labels; those marked
 * "exact" come from the formulas in rational numbers and 300 bit logarithms (Python's fractions
 * and mpmath), rounded once.
 */
#include "contingency.h"
#include "tap.h"

#define MOST 64 /* labels of a kind in the tables of this test */

static bool
close(double a, double b, double tolerance)
{
	return fabs(a - b) <= tolerance;
}

/* ---- tables ---- */

typedef struct example
{
	clu_cell		cells[MOST * MOST];
	uint64_t		row_totals[MOST];
	uint64_t		column_totals[MOST];
	clu_contingency table;
} example;

static void
start(example *e)
{
	e->table = (clu_contingency) {
		.cells = e->cells, .row_totals = e->row_totals, .column_totals = e->column_totals};
	clu_contingency_totals(&e->table, NULL);
}

/* A row of labels each: label numbers must be 0, 1, ... in order of appearance. */
static void
from_labels(example *e, const uint32_t *a, const uint32_t *b, size_t n)
{
	size_t k = 0;

	start(e);
	for (size_t i = 0; i < n; i++)
	{
		size_t j = 0;

		while (j < k && (e->cells[j].row != a[i] || e->cells[j].column != b[i]))
			j++;
		if (j == k)
			e->cells[k++] = (clu_cell) {a[i], b[i], 0};
		e->cells[j].count++;
		e->table.n_rows = CLU_MAX(e->table.n_rows, (size_t) a[i] + 1);
		e->table.n_columns = CLU_MAX(e->table.n_columns, (size_t) b[i] + 1);
	}
	e->table.n_cells = k;
	clu_contingency_totals(&e->table, NULL);
}

/* A table written out; zeros are no cells. */
static void
from_counts(example *e, const uint64_t *counts, uint32_t rows, uint32_t columns)
{
	size_t k = 0;

	start(e);
	for (uint32_t i = 0; i < rows; i++)
		for (uint32_t j = 0; j < columns; j++)
			if (counts[i * columns + j] != 0)
				e->cells[k++] = (clu_cell) {i, j, counts[i * columns + j]};
	e->table.n_cells = k;
	e->table.n_rows = rows;
	e->table.n_columns = columns;
	clu_contingency_totals(&e->table, NULL);
}

static double
ari(const example *e)
{
	return clu_adjusted_rand_index(&e->table, NULL);
}

static double
nmi(const example *e)
{
	return clu_normalized_mutual_information(&e->table, NULL);
}

/* ---- what can be worked out by hand ---- */

static example e;

static void
test_degenerate(void)
{
	start(&e);
	ok(ari(&e) == 1 && nmi(&e) == 1, "no rows: nothing to disagree about");
	from_counts(&e, (uint64_t[]) {1}, 1, 1);
	ok(ari(&e) == 1 && nmi(&e) == 1, "one row: 1");
	from_counts(&e, (uint64_t[]) {7}, 1, 1);
	ok(ari(&e) == 1 && nmi(&e) == 1, "one cluster in both: 1");
	from_counts(&e, (uint64_t[]) {1, 0, 0, 0, 1, 0, 0, 0, 1}, 3, 3);
	ok(ari(&e) == 1 && nmi(&e) == 1, "singletons in both: 1");
	from_counts(&e, (uint64_t[]) {1, 1, 1, 1}, 1, 4);
	ok(same_bits(ari(&e), 0) && same_bits(nmi(&e), 0), "one cluster against singletons: 0");
	from_counts(&e, (uint64_t[]) {2, 5}, 2, 1);
	ok(same_bits(ari(&e), 0) && same_bits(nmi(&e), 0), "two clusters against one: 0");
	from_counts(&e, (uint64_t[]) {0, 5, 0, 0, 0, 3, 9, 0, 0}, 3, 3);
	ok(ari(&e) == 1 && nmi(&e) == 1, "renamed labels: exactly 1");
}

static void
test_by_hand(void)
{
	/* n = 4, T = 6, A = B = 2, S = 0: (0 - 2/3) / (2 - 2/3) = -1/2 */
	from_counts(&e, (uint64_t[]) {1, 1, 1, 1}, 2, 2);
	ok(same_bits(ari(&e), -0.5), "crossed pairs: -1/2");
	ok(same_bits(nmi(&e), 0), "crossed pairs share no information: exactly 0");

	/* T = 6, A = 2, B = 1, S = 1: (1 - 1/3) / (3/2 - 1/3) = 4/7; MI = ln 2, H = ln 2, 3/2 ln 2 */
	from_counts(&e, (uint64_t[]) {2, 0, 0, 0, 1, 1}, 2, 3);
	ok(same_bits(ari(&e), 4.0 / 7), "one cluster split: 4/7");
	ok(close(nmi(&e), 0.8, 2e-16), "one cluster split: 4/5");

	from_counts(&e, (uint64_t[]) {6, 10, 14, 9, 15, 21, 12, 20, 28}, 3, 3);
	ok(same_bits(nmi(&e), 0), "independent labellings: exactly 0");
}

static void
test_references(void)
{
	from_counts(&e, (uint64_t[]) {1, 1, 0, 1, 2, 1, 0, 0, 4}, 3, 3);
	ok(close(ari(&e), 0.3125734430082256, 1e-16), "Yeung and Ruzzo's example: 0.313, scikit-learn");
	ok(close(nmi(&e), 0.4558585649165829, 4e-16), "its mutual information, scikit-learn");

	from_counts(&e, (uint64_t[]) {50, 0, 0, 0, 48, 2, 0, 14, 36}, 3, 3);
	ok(close(ari(&e), 0.7302382722834697, 2e-16), "k-means on iris, scikit-learn");
	ok(close(nmi(&e), 0.7581756800057785, 4e-16), "its mutual information, scikit-learn");

	from_counts(&e, (uint64_t[]) {107, 23, 5, 0, 12, 310, 44, 9, 0, 7, 208, 61, 33, 0, 2, 179}, 4,
				4);
	ok(close(ari(&e), 0.5776341927390451, 2e-16), "1000 rows, scikit-learn");
	ok(close(nmi(&e), 0.5682510305803863, 4e-16), "their mutual information, scikit-learn");

	from_counts(&e, (uint64_t[]) {3, 2, 4, 2, 4, 3, 4, 3, 2}, 3, 3);
	ok(close(ari(&e), -0.043209876543209874, 1e-17), "worse than chance, scikit-learn");
	ok(close(nmi(&e), 0.034366392857175, 1e-15), "its mutual information, scikit-learn");
}

/* Pair counts beyond 64 bits, products of pair counts beyond 128. */
static void
test_huge(void)
{
	const uint64_t one = 1;

	from_counts(&e,
				(uint64_t[]) {(one << 40) + 1, one << 33, 7, 5, (one << 41) - 3, one << 35,
							  one << 20, 1, one << 39},
				3, 3);
	ok(close(ari(&e), 0x1.ef0915b52ea08p-1, 3e-16), "4e12 rows, exact");
	ok(close(nmi(&e), 0x1.e384e79d3506ap-1, 4e-16), "4e12 rows, mutual information, exact");

	from_counts(&e, (uint64_t[]) {one << 62, one << 61, one << 60, one << 62}, 2, 2);
	ok(close(ari(&e), 0x1.a7078dd963e1dp-3, 6e-17), "1e19 rows, exact");
	ok(close(nmi(&e), 0x1.53ef10e803a01p-3, 1e-16), "1e19 rows, mutual information, exact");

	from_counts(&e, (uint64_t[]) {(one << 31) + 1, one << 31, one << 31, one << 31}, 2, 2);
	ok(same_bits(ari(&e), -0x1p-33), "one row from independence: -2^-33, not lost in cancellation");
	ok(nmi(&e) >= 0 && nmi(&e) < 1e-15, "and next to no information");

	from_counts(&e, (uint64_t[]) {1000000000, 1, 0, 1000000000}, 2, 2);
	ok(close(ari(&e), 0x1.ffffffeed1f41p-1, 2e-16), "one row in two billion wrong, exact");
	ok(nmi(&e) < 1 && close(nmi(&e), 0x1.ffffff796540cp-1, 4e-16), "and less than 1, exact");
}

/* ---- against the definition ---- */

/* The four kinds of pairs, counted one by one. */
static double
ari_by_pairs(const uint32_t *a, const uint32_t *b, size_t n)
{
	double both = 0, first = 0, second = 0, neither = 0;

	for (size_t i = 0; i < n; i++)
		for (size_t j = 0; j < i; j++)
		{
			both += a[i] == a[j] && b[i] == b[j];
			first += a[i] == a[j] && b[i] != b[j];
			second += a[i] != a[j] && b[i] == b[j];
			neither += a[i] != a[j] && b[i] != b[j];
		}
	if (first == 0 && second == 0)
		return 1;
	return 2 * (both * neither - first * second) /
		   ((both + first) * (first + neither) + (both + second) * (second + neither));
}

static double
nmi_by_entropies(const example *x)
{
	long double n = x->table.total, cells = 0, rows = 0, columns = 0;

	for (size_t i = 0; i < x->table.n_cells; i++)
		cells -= x->cells[i].count / n * logl(x->cells[i].count / n);
	for (size_t i = 0; i < x->table.n_rows; i++)
		rows -= x->row_totals[i] / n * logl(x->row_totals[i] / n);
	for (size_t i = 0; i < x->table.n_columns; i++)
		columns -= x->column_totals[i] / n * logl(x->column_totals[i] / n);
	return rows + columns == 0 ? 1 : (double) (2 * (rows + columns - cells) / (rows + columns));
}

/* Number labels in the order in which they appear. */
static void
renumber(uint32_t *labels, size_t n)
{
	uint32_t name[MOST];
	uint32_t k = 0;

	for (size_t i = 0; i < n; i++)
	{
		uint32_t j = 0;

		while (j < k && name[j] != labels[i])
			j++;
		if (j == k)
			name[k++] = labels[i];
		labels[i] = j;
	}
}

static void
random_labels(uint32_t *a, uint32_t *b, size_t n)
{
	uint64_t k = 1 + random_below(8);
	uint64_t noise = 1 + random_below(4);

	for (size_t i = 0; i < n; i++)
	{
		a[i] = (uint32_t) random_below(k);
		b[i] = random_below(noise) == 0 ? a[i] : (uint32_t) random_below(k + 1);
	}
	renumber(a, n);
	renumber(b, n);
}

/*
 * Small random labellings agree with the definitions, and with themselves after the rows are
 * turned round (which renumbers the labels) and after the labellings trade places.
 */
static void
test_random(void)
{
	bool rand_agrees = true, mutual_agrees = true, any_order = true, symmetric = true;
	bool in_range = true;

	for (int t = 0; t < 2000; t++)
	{
		uint32_t a[40], b[40], ra[40], rb[40];
		size_t	 n = 2 + random_below(39);
		double	 rand_index, mutual;

		random_labels(a, b, n);
		from_labels(&e, a, b, n);
		rand_index = ari(&e);
		mutual = nmi(&e);
		rand_agrees = rand_agrees && close(rand_index, ari_by_pairs(a, b, n), 1e-15);
		mutual_agrees = mutual_agrees && close(mutual, nmi_by_entropies(&e), 1e-15);
		in_range = in_range && mutual >= 0 && mutual <= 1;

		from_labels(&e, b, a, n);
		symmetric = symmetric && same_bits(rand_index, ari(&e)) && same_bits(mutual, nmi(&e));
		for (size_t i = 0; i < n; i++)
		{
			ra[i] = a[n - 1 - i];
			rb[i] = b[n - 1 - i];
		}
		renumber(ra, n);
		renumber(rb, n);
		from_labels(&e, ra, rb, n);
		any_order = any_order && same_bits(rand_index, ari(&e)) && same_bits(mutual, nmi(&e));
	}
	ok(rand_agrees, "the index agrees with counting pairs");
	ok(mutual_agrees, "mutual information agrees with the entropies");
	ok(in_range, "mutual information lies in [0, 1]");
	ok(symmetric, "trading places changes no bit");
	ok(any_order, "the order of the rows changes no bit");
}

/* ---- interrupts ---- */

static void
count_call(void *context)
{
	++*(int *) context;
}

static void
test_interrupts(void)
{
	int			  calls = 0;
	clu_interrupt interrupt = {count_call, &calls};

	from_counts(&e, (uint64_t[]) {3, 1, 1, 3}, 2, 2);
	(void) clu_adjusted_rand_index(&e.table, &interrupt);
	ok(calls > 0, "the index checks for interrupts");
	calls = 0;
	(void) clu_normalized_mutual_information(&e.table, &interrupt);
	ok(calls > 0, "mutual information checks for interrupts");
}

int
main(void)
{
	test_degenerate();
	test_by_hand();
	test_references();
	test_huge();
	test_random();
	test_interrupts();
	return finish_tests();
}
