/*
 * test_exact.c
 *		Sums that don't depend on the order of their terms.
 *
 * Stand-alone; prints TAP.  The reference adds the same fixed point numbers in 128-bit integers,
 * and the terms themselves in a floating point type with 113 bits.
 */
#include "fitting.h"

#include "exact.h"
#include "sums.h"

__extension__ typedef __int128 int128;

/* The term in units of 2^-40 of the scale, rounded in two steps as it's documented. */
static int128
fixed_point(double term, double scale)
{
	double scaled = term * scale;
	double whole = rint(scaled);

	return (int128) whole * (INT64_C(1) << 40) + (int128) rint((scaled - whole) * 0x1p40);
}

static int128
combined(int64_t hi, int64_t lo)
{
	return (int128) hi * (INT64_C(1) << 40) + lo;
}

static double
random_term(double largest)
{
	double value = random_normal() * largest / 6;

	if (random_below(4) == 0)
		value *= ldexp(1, -(int) random_below(60));
	return value;
}

/* ---- scalars ---- */

static void
test_scale(void)
{
	bool good = true;

	for (int repeat = 0; repeat < 20000; repeat++)
	{
		double largest = ldexp(0.5 + random_unit() / 2, (int) random_below(1500) - 750);
		double terms = 1 + (double) random_below(UINT64_C(1) << random_below(40));
		double scale = clu_exact_scale(largest, largest * terms);
		int	   exponent;

		good = good && frexp(scale, &exponent) == 0.5 && largest * scale <= 0x1p50 &&
			   largest * terms * scale < 0x1p62 &&
			   (largest * scale > 0x1p48 || largest * terms * scale > 0x1p59);
	}
	ok(good, "the scale is a power of two that leaves a term and the sum their room, and no more");
	ok(clu_exact_scale(0, 0) == 1, "a column of zeros has a scale");
}

static void
test_scalars(void)
{
	bool same = true, accurate = true, order_free = true, undone = true;

	for (int repeat = 0; repeat < 300; repeat++)
	{
		const int n = 1000;
		double	  terms[1000], largest = ldexp(1, (int) random_below(400) - 200);
		double	  scale;
		int64_t	  hi = 0, lo = 0, hi2 = 0, lo2 = 0;
		int128	  want = 0;
		wide	  sum = 0, absolute = 0;

		for (int i = 0; i < n; i++)
		{
			terms[i] = random_term(largest);
			sum += terms[i];
			absolute += fabs(terms[i]);
		}
		scale = clu_exact_scale(largest, largest * n);
		for (int i = 0; i < n; i++)
		{
			clu_exact_add(&hi, &lo, terms[i], scale);
			clu_exact_add(&hi2, &lo2, terms[n - 1 - i], scale);
			if (random_below(50) == 0)
				clu_exact_carry(&hi2, &lo2, 1);
			want += fixed_point(terms[i], scale);
		}
		same = same && combined(hi, lo) == want;
		clu_exact_carry(&hi, &lo, 1);
		clu_exact_carry(&hi2, &lo2, 1);
		same = same && combined(hi, lo) == want && lo >= -(INT64_C(1) << 39) &&
			   lo <= (INT64_C(1) << 39);
		order_free = order_free && hi == hi2 && lo == lo2;
		{
			clu_dd value = clu_exact_value(hi, lo, scale);
			wide   off = (wide) value.hi + value.lo - sum;

			accurate = accurate && (off < 0 ? -off : off) <= absolute * 0x1p-85;
		}
		for (int i = 0; i < n; i++)
			clu_exact_add(&hi, &lo, -terms[i], scale);
		clu_exact_carry(&hi, &lo, 1);
		undone = undone && hi == 0 && lo == 0;
	}
	ok(same, "a sum is that of the fixed point numbers, before and after carrying");
	ok(order_free, "a sum doesn't depend on the order, nor on when it's carried");
	ok(accurate, "a sum is that of the terms to 85 bits");
	ok(undone, "terms taken away leave nothing");
}

/* As many terms between two carries as are allowed, each as large as it may be. */
static void
test_room(void)
{
	double	largest = 1, scale;
	int64_t hi = 0, lo = 0;
	int128	want = 0;
	size_t	n = 8 * (size_t) CLU_EXACT_CARRY;
	double	term = 1 - 0x1p-53 * 3;

	scale = clu_exact_scale(largest, largest * (double) n);
	for (size_t i = 0; i < n; i++)
	{
		clu_exact_add(&hi, &lo, term, scale);
		want += fixed_point(term, scale);
		if ((i + 1) % CLU_EXACT_CARRY == 0)
			clu_exact_carry(&hi, &lo, 1);
	}
	ok(combined(hi, lo) == want, "8 million of the largest terms fit");
	{
		clu_dd value = clu_exact_value(hi, lo, scale);

		ok((wide) value.hi + value.lo == (wide) term * (wide) n, "and their sum is exact");
	}
	for (size_t i = 0; i < n; i++)
	{
		clu_exact_add(&hi, &lo, -term, scale);
		clu_exact_add(&hi, &lo, -term, scale);
		if ((i + 1) % (CLU_EXACT_CARRY / 2) == 0)
			clu_exact_carry(&hi, &lo, 1);
	}
	ok(combined(hi, lo) == -want, "and likewise below zero");
}

/* Values 2^25 times smaller than the largest lose nothing, down to 2^26. */
static void
test_small_terms(void)
{
	double	scale = clu_exact_scale(1, 5e6);
	int64_t hi = 0, lo = 0;
	wide	sum = 0;
	bool	good;

	for (int i = 0; i < 100000; i++)
	{
		double term = (0.5 + random_unit() / 2) * 0x1p-25;

		clu_exact_add(&hi, &lo, term, scale);
		sum += term;
	}
	clu_exact_carry(&hi, &lo, 1);
	{
		clu_dd value = clu_exact_value(hi, lo, scale);

		good = (wide) value.hi + value.lo == sum;
	}
	ok(good, "values 2^25 times smaller than the largest are added exactly, among 5 million");
}

/* ---- rows ---- */

static void
test_kernels(void)
{
	enum
	{
		D = 37
	};

	for (int kernel = 0; kernel < KERNELS; kernel++)
	{
		bool unweighted = true, weighted = true, accurate = true;

		if (!use_kernel(kernel))
		{
			ok(true, "sums with kernel %s # SKIP not on this machine", kernel_names[kernel]);
			continue;
		}
		random_seed(7);
		for (int repeat = 0; repeat < 500; repeat++)
		{
			int		d = 1 + (int) random_below(D);
			int64_t hi[D] = {0}, lo[D] = {0}, hi1[D] = {0}, lo1[D] = {0};
			double	scale[D], x[D];
			int128	want[D] = {0}, want1[D] = {0};
			wide	sum[D] = {0};

			for (int j = 0; j < d; j++)
				scale[j] = clu_exact_scale(50, 1000);
			for (int i = 0; i < 20; i++)
			{
				double w = random_below(3) == 0 ? (double) (1 + random_below(5)) : random_unit();
				bool   subtract = random_below(3) == 0;

				for (int j = 0; j < d; j++)
				{
					wide product;

					x[j] = random_term(10);
					product = (wide) w * x[j];
					sum[j] += subtract ? -product : product;
					want1[j] += (subtract ? -1 : 1) * fixed_point(x[j], scale[j]);
				}
				clu_kernel->add_row(hi, lo, x, w, subtract, scale, d);
				clu_kernel->add_row(hi1, lo1, x, 1, subtract, scale, d);
				for (int j = 0; j < d; j++)
				{
					clu_dd product = clu_dd_two_product(w, x[j]);
					double whole = rint(product.hi * scale[j]);
					double rest = product.hi * scale[j] - whole + product.lo * scale[j];

					want[j] += (subtract ? -1 : 1) *
							   ((int128) whole * (INT64_C(1) << 40) + (int128) rint(rest * 0x1p40));
				}
			}
			for (int j = 0; j < d; j++)
			{
				wide off = (wide) combined(hi[j], lo[j]) / scale[j] * 0x1p-40 - sum[j];

				weighted = weighted && combined(hi[j], lo[j]) == want[j];
				unweighted = unweighted && combined(hi1[j], lo1[j]) == want1[j];
				accurate = accurate && (off < 0 ? -off : off) <= 20 * 0x1p-40 / scale[j];
			}
		}
		ok(unweighted, "rows with kernel %s", kernel_names[kernel]);
		ok(weighted, "rows with weights with kernel %s", kernel_names[kernel]);
		ok(accurate, "products with kernel %s are rounded once", kernel_names[kernel]);
	}
	clu_kernel_choose();
}

/* ---- statistics ---- */

static clu_sums
make_sums(int k, int d, clu_arena *arena, const clu_points *points)
{
	clu_sums sums;

	*arena = (clu_arena) {NULL, 0};
	clu_sums_layout(&sums, arena, k, d);
	*arena = (clu_arena) {test_memory(arena->used), 0};
	clu_sums_layout(&sums, arena, k, d);
	clu_sums_measure(&sums, points);
	clu_sums_clear(&sums);
	return sums;
}

static bool
same_sums(const clu_sums *a, const clu_sums *b)
{
	size_t k = (size_t) a->k, count = k * (size_t) a->d;

	return memcmp(a->hi, b->hi, count * sizeof(int64_t)) == 0 &&
		   memcmp(a->lo, b->lo, count * sizeof(int64_t)) == 0 &&
		   memcmp(a->weight_hi, b->weight_hi, k * sizeof(int64_t)) == 0 &&
		   memcmp(a->weight_lo, b->weight_lo, k * sizeof(int64_t)) == 0;
}

static void
test_sums(void)
{
	bool merged = true, moved = true, accurate = true;

	for (int repeat = 0; repeat < 100; repeat++)
	{
		int		  k = 1 + (int) random_below(5), d = 1 + (int) random_below(6);
		size_t	  n = 1 + random_below(400);
		clu_rows  rows = make_rows(n, d, 8);
		uint32_t *label = test_memory(n * sizeof(uint32_t));
		prepared  p;
		clu_arena arena[3];
		clu_sums  all, parts[2];

		for (size_t i = 0; i < n; i++)
			for (int j = 0; j < d; j++)
				set_value(&rows, i, j, random_normal() * pow(10, j));
		if (repeat % 2)
		{
			double *w = add_weights(&rows);

			for (size_t i = 0; i < n; i++)
				w[i] = 0.001 + random_unit() * (repeat % 3 ? 1 : 1000);
		}
		prepare_points(&p, &rows);
		all = make_sums(k, d, &arena[0], &p.points);
		parts[0] = make_sums(k, d, &arena[1], &p.points);
		parts[1] = make_sums(k, d, &arena[2], &p.points);

		/* all in one direction; split in two and merged; put into the wrong cluster and moved */
		for (size_t i = 0; i < p.points.n; i++)
		{
			label[i] = (uint32_t) random_below((uint64_t) k);
			clu_sums_add(&all, label[i], clu_point(&p.points, i, NULL), clu_weight(p.points.w, i),
						 false);
		}
		for (size_t i = p.points.n; i-- > 0;)
			clu_sums_add(&parts[random_below(2)], label[i], clu_point(&p.points, i, NULL),
						 clu_weight(p.points.w, i), false);
		clu_sums_carry(&all);
		clu_sums_carry(&parts[1]);
		clu_sums_merge(&parts[0], &parts[1]);
		merged = merged && same_sums(&all, &parts[0]);

		for (int c = 0; c < k; c++)
			for (int j = 0; j < d; j++)
			{
				wide   sum = 0, weight = 0, absolute = 0, off;
				clu_dd value = clu_sums_value(&all, c, j), total = clu_sums_weight(&all, c);

				for (size_t i = 0; i < p.points.n; i++)
					if (label[i] == (uint32_t) c)
					{
						wide term = (wide) clu_weight(p.points.w, i) *
									((double *) p.points.x)[i * (size_t) d + (size_t) j];

						sum += term;
						absolute += term < 0 ? -term : term;
						weight += clu_weight(p.points.w, i);
					}
				off = (wide) value.hi + value.lo - sum;
				accurate = accurate && (off < 0 ? -off : off) <= absolute * 0x1p-64;
				off = (wide) total.hi + total.lo - weight;
				accurate = accurate && (off < 0 ? -off : off) <= weight * 0x1p-64;
			}

		for (size_t i = 0; i < p.points.n; i++)
		{
			uint32_t to = (uint32_t) random_below((uint64_t) k);

			clu_sums_add(&all, label[i], clu_point(&p.points, i, NULL), clu_weight(p.points.w, i),
						 true);
			clu_sums_add(&all, to, clu_point(&p.points, i, NULL), clu_weight(p.points.w, i), false);
			label[i] = to;
		}
		clu_sums_carry(&all);
		clu_sums_clear(&parts[0]);
		for (size_t i = 0; i < p.points.n; i++)
			clu_sums_add(&parts[0], label[i], clu_point(&p.points, i, NULL),
						 clu_weight(p.points.w, i), false);
		clu_sums_carry(&parts[0]);
		moved = moved && same_sums(&all, &parts[0]);

		for (int i = 0; i < 3; i++)
			free(arena[i].base);
		free(label);
		free_points(&p);
		free_rows(&rows);
	}
	ok(merged, "statistics of parts, merged, are those of the whole, to the bit");
	ok(moved, "points that changed their cluster leave no trace");
	ok(accurate, "sums and weights of a cluster are right to 64 bits");
}

/* More terms than fit between two carries: the statistics carry by themselves. */
static void
test_many_rows(void)
{
	clu_rows  rows = make_rows(2, 1, 8);
	prepared  p;
	clu_arena arena;
	clu_sums  sums;
	double	  x = 1 - 0x1p-53;
	size_t	  n = 3 * (size_t) CLU_EXACT_CARRY + 17;
	double	 *w = add_weights(&rows);

	set_value(&rows, 0, 0, x);
	set_value(&rows, 1, 0, -x);
	w[0] = w[1] = (double) n;
	prepare_points(&p, &rows);
	p.points.largest_weight = 1;
	sums = make_sums(1, 1, &arena, &p.points);
	for (size_t i = 0; i < n; i++)
		clu_sums_add(&sums, 0, &x, 1, false);
	clu_sums_carry(&sums);
	{
		clu_dd value = clu_sums_value(&sums, 0, 0);

		ok((wide) value.hi + value.lo == (wide) x * (wide) n &&
			   clu_dd_value(clu_sums_weight(&sums, 0)) == (double) n,
		   "three million rows of the largest value");
	}
	free(arena.base);
	free_points(&p);
	free_rows(&rows);
}

int
main(void)
{
	test_scale();
	test_scalars();
	test_room();
	test_small_terms();
	test_kernels();
	test_sums();
	test_many_rows();
	return finish_tests();
}
