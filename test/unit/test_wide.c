/*
 * test_wide.c
 *		Sums of terms of unknown size, and the steps and samples that are made of them.
 *
 * Stand-alone; prints TAP.
 */
#include "fitting.h"

#include "wide.h"

static double
random_of_any_size(int spread)
{
	return random_normal() * ldexp(1, (int) random_below((uint64_t) spread) - spread / 2);
}

static bool
same(const clu_wide *a, const clu_wide *b)
{
	return memcmp(a, b, sizeof(*a)) == 0;
}

/* A random binary tree over the terms. */
static clu_wide
sum_of(const double *term, const double *weight, size_t n)
{
	clu_wide left, right;
	size_t	 half;

	if (n <= 3)
	{
		clu_wide_clear(&left);
		for (size_t i = 0; i < n; i++)
			clu_wide_add_product(&left, weight[i], term[i]);
		return left;
	}
	half = 1 + random_below(n - 1);
	left = sum_of(term, weight, half);
	right = sum_of(term + half, weight + half, n - half);
	clu_wide_merge(&left, &right);
	return left;
}

static void
shuffle(double *term, double *weight, size_t n)
{
	for (size_t i = n - 1; i > 0; i--)
	{
		size_t j = random_below(i + 1);
		double t = term[i], w = weight[i];

		term[i] = term[j];
		weight[i] = weight[j];
		term[j] = t;
		weight[j] = w;
	}
}

static void
test_order(int spread)
{
	enum
	{
		N = 500
	};
	double	 term[N], weight[N];
	clu_wide first, other;
	bool	 equal = true;

	for (int i = 0; i < N; i++)
	{
		term[i] = random_of_any_size(spread);
		weight[i] = random_below(2) == 0 ? 1 : fabs(random_normal());
	}
	first = sum_of(term, weight, N);
	for (int round = 0; round < 50; round++)
	{
		shuffle(term, weight, N);
		other = sum_of(term, weight, N);
		equal = equal && same(&first, &other);
	}
	ok(equal, "any order and any tree give the same sum, terms spread over 2^%d", spread);
}

static void
test_value(int spread)
{
	wide	 reference = 0, size = 0;
	clu_wide sum;
	clu_dd	 value;

	clu_wide_clear(&sum);
	for (int i = 0; i < 100000; i++)
	{
		double w = random_below(2) == 0 ? 1 : fabs(random_normal()), x = random_of_any_size(spread);

		clu_wide_add_product(&sum, w, x);
		reference += (wide) w * x;
		size = size > fabs(w * x) ? size : (wide) fabs(w * x);
	}
	value = clu_wide_value(&sum);
	ok(fabs((double) (((wide) value.hi + value.lo - reference) / size)) < 1e-20,
	   "the sum is exact beside its largest term, terms spread over 2^%d", spread);
}

static void
test_extremes(void)
{
	const double extreme[] = {1.7e308, -1.7e308, 5e-324, -5e-324,
							  1,	   0x1p27,	 0x1p28, 0x1.fffffffffffffp27};
	bool		 good = true;

	for (size_t i = 0; i < sizeof(extreme) / sizeof(*extreme); i++)
	{
		clu_wide sum;

		clu_wide_clear(&sum);
		clu_wide_add(&sum, extreme[i]);
		good = good && clu_dd_value(clu_wide_value(&sum)) == extreme[i] && clu_wide_valid(&sum);
	}
	ok(good, "the largest and the smallest numbers come back as they were");
}

/* Columns by the kernel are the sums of single terms. */
static void
test_kernel(const char *name)
{
	enum
	{
		D = 37
	};
	int64_t	 digit[CLU_WIDE_DIGITS * D] = {0};
	double	 x[D], scale[D];
	clu_wide sum[D];
	bool	 equal = true;

	if (!clu_kernel_force(name))
	{
		ok(true, "%s # SKIP not on this machine", name);
		return;
	}
	random_seed(7);
	for (int j = 0; j < D; j++)
	{
		sum[j] = (clu_wide) {.position = 3};
		scale[j] = clu_wide_scale(3);
	}
	for (int i = 0; i < 1000; i++)
	{
		double w = i % 2 == 0 ? 1 : fabs(random_normal());

		for (int j = 0; j < D; j++)
			x[j] = random_of_any_size(200);
		clu_kernel->add_digits(digit, x, w, scale, D);
		for (int j = 0; j < D; j++)
			clu_wide_add_product(&sum[j], w, x[j]);
	}
	for (int j = 0; j < D; j++)
		for (int i = 0; i < CLU_WIDE_DIGITS; i++)
			equal = equal && sum[j].position == 3 && sum[j].digit[i] == digit[i * D + j];
	ok(equal, "%s adds columns as single sums are added", name);
}

int
main(void)
{
	clu_kernel_choose();
	test_order(2);
	test_order(60);
	test_order(400);
	test_value(2);
	test_value(60);
	test_extremes();
	test_kernel("base");
	test_kernel("avx2");
	test_kernel("avx512");
	return finish_tests();
}
