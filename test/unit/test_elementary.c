/*
 * test_elementary.c
 *		exp, log, log-sum-exp and softmax: accuracy, special values, and the bits themselves.
 *
 * Stand-alone; prints TAP.  The reference is the C library's long double function, which on x86-64
 * carries 11 bits more.  Compile like the core, that is with -ffp-contract=off.
 */
#include "elementary.h"

#include <math.h>
#include <stdbool.h>
#include <stdio.h>

static int tests = 0;
static int failures = 0;

static void
ok(bool passed, const char *text)
{
	tests++;
	failures += !passed;
	printf("%sok %d - %s\n", passed ? "" : "not ", tests, text);
}

/* Equal as bits, so that 0 differs from -0 and NaN is equal to itself. */
static bool
same(double a, double b)
{
	return clu_double_bits(a) == clu_double_bits(b);
}

static uint64_t state = 1;

/* xorshift64 (Marsaglia 2003) */
static uint64_t
random_bits(void)
{
	state ^= state << 13;
	state ^= state >> 7;
	state ^= state << 17;
	return state;
}

static double
random_between(double low, double high)
{
	return low + (high - low) * ((double) (random_bits() >> 11) * 0x1p-53);
}

/* The error in units of the last place that a double has where the true value lies. */
static double
error_in_ulp(double got, long double want)
{
	int exponent;

	(void) frexpl(want, &exponent);
	exponent = exponent - 53 < -1074 ? -1074 : exponent - 53;
	return (double) fabsl(((long double) got - want) / ldexpl(1, exponent));
}

/* ---- accuracy ---- */

typedef double (*function)(double);
typedef long double (*reference)(long double);

static void
check_range(const char *name, function f, reference g, double low, double high, double bound)
{
	const int n = 200000;
	double	  worst = 0;
	char	  text[120];

	for (int i = 0; i < n; i++)
	{
		double at[2] = {low + (high - low) * i / n, random_between(low, high)};

		for (int j = 0; j < 2; j++)
			worst = fmax(worst, error_in_ulp(f(at[j]), g((long double) at[j])));
	}
	snprintf(text, sizeof(text), "%s within %.2f ulp on [%g, %g]", name, bound, low, high);
	ok(worst <= bound, text);
	printf("# worst error: %.4f ulp\n", worst);
}

/* Of exp of negatives: the error as such may grow as its argument does, but not that of 1 + it. */
static void
check_negatives(double low)
{
	double worst = 0, absolute = 0;
	char   text[120];

	for (int i = 0; i < 400000; i++)
	{
		double		x = random_between(low, 0), got = clu_exp_negative(x);
		long double want = expl((long double) x);

		worst = fmax(worst, error_in_ulp(got, want) / (1.2 - 1.5 * x));
		absolute = fmax(absolute, (double) fabsl((long double) got - want));
	}
	snprintf(text, sizeof(text), "exp of negatives within 1.2 + 1.5 |x| ulp from %g on", low);
	ok(worst <= 1, text);
	snprintf(text, sizeof(text), "and within 1.2 ulp of 1 from %g on", low);
	ok(absolute <= 1.2 * 0x1p-53, text);
	printf("# worst errors: %.4f, %.4f ulp of 1\n", worst, absolute * 0x1p53);
}

/* Every exponent alike: random bit patterns below that of the limit. */
static void
check_bits(const char *name, uint64_t limit, double bound)
{
	double worst = 0;

	for (int i = 0; i < 400000; i++)
	{
		double x = clu_bits_double(1 + random_bits() % (limit - 1));

		worst = fmax(worst, error_in_ulp(clu_log(x), logl((long double) x)));
	}
	ok(worst <= bound, name);
	printf("# worst error: %.4f ulp\n", worst);
}

static void
test_accuracy(void)
{
	check_range("exp", clu_exp, expl, -0.35, 0.35, 0.75);
	check_range("exp", clu_exp, expl, -1e-9, 1e-9, 0.501);
	check_range("exp", clu_exp, expl, -40, 0, 0.75);
	check_range("exp", clu_exp, expl, -708, 709.78, 0.75);
	check_range("exp, denormal results,", clu_exp, expl, -745.13, -708.4, 0.85);
	check_negatives(-0.35);
	check_negatives(-40);
	check_negatives(-700);
	check_range("log", clu_log, logl, 0.5, 2, 0.75);
	check_range("log", clu_log, logl, 1 - 1e-6, 1 + 1e-6, 0.501);
	check_range("log", clu_log, logl, 0.70, 0.72, 0.75);
	check_range("log", clu_log, logl, 1.40, 1.43, 0.75);
	check_range("log", clu_log, logl, 1e-3, 1e6, 0.75);
	check_bits("log within 0.75 ulp on random bits", CLU_INFINITY, 0.75);
	check_bits("log within 0.75 ulp on denormals", UINT64_C(0x0010000000000000), 0.75);
}

/* ---- special values ---- */

static void
test_exp_special(void)
{
	ok(same(clu_exp(0.0), 1) && same(clu_exp(-0.0), 1), "exp(0) = exp(-0) = 1");
	ok(same(clu_exp(INFINITY), INFINITY), "exp(infinity) = infinity");
	ok(same(clu_exp(-INFINITY), 0), "exp(-infinity) = 0");
	ok(same(clu_exp(NAN), clu_bits_double(CLU_NAN)), "exp(NaN) = NaN");
	ok(same(clu_exp(-NAN), clu_bits_double(CLU_NAN)), "exp(-NaN) is the positive NaN");
	ok(same(clu_exp(1e300), INFINITY) && same(clu_exp(-1e300), 0), "exp of huge numbers");
	ok(isfinite(clu_exp(0x1.62e42fefa39efp+9)), "exp is finite at log(DBL_MAX)");
	ok(same(clu_exp(0x1.62e42fefa39fp+9), INFINITY), "exp overflows one step further");
	ok(same(clu_exp(745.9), INFINITY) && same(clu_exp(746.1), INFINITY), "exp beyond 710");
	ok(same(clu_exp(-0x1.74910d52d3051p+9), 0x1p-1074), "exp of the log of the least denormal");
	ok(same(clu_exp(-745.2), 0) && same(clu_exp(-746), 0), "exp vanishes below -745.14");
	ok(same(clu_exp(0x1p-1074), 1) && same(clu_exp(-1e-17), 1), "exp of next to nothing is 1");
}

static void
test_exp_negative_special(void)
{
	ok(same(clu_exp_negative(0.0), 1) && same(clu_exp_negative(-0.0), 1), "of 0 and -0 it's 1");
	ok(same(clu_exp_negative(-1e-17), 1), "of next to nothing too");
	ok(same(clu_exp_negative(-INFINITY), 0) && same(clu_exp_negative(-1e300), 0),
	   "of -infinity and huge numbers it's 0");
	ok(clu_exp_negative(-700) > 0 && same(clu_exp_negative(nextafter(-700, -701)), 0),
	   "what is next to nothing is 0");
	ok(isnan(clu_exp_negative(NAN)), "NaN stays NaN");
}

static void
test_log_special(void)
{
	ok(same(clu_log(1), 0), "log(1) = 0, not -0");
	ok(same(clu_log(0.0), -INFINITY) && same(clu_log(-0.0), -INFINITY), "log(0) = -infinity");
	ok(same(clu_log(INFINITY), INFINITY), "log(infinity) = infinity");
	ok(same(clu_log(-1), clu_bits_double(CLU_NAN)), "log(-1) = NaN");
	ok(same(clu_log(-0x1p-1074), clu_bits_double(CLU_NAN)), "log(-denormal) = NaN");
	ok(same(clu_log(-INFINITY), clu_bits_double(CLU_NAN)), "log(-infinity) = NaN");
	ok(same(clu_log(NAN), clu_bits_double(CLU_NAN)), "log(NaN) = NaN");
	ok(same(clu_log(-NAN), clu_bits_double(CLU_NAN)), "log(-NaN) is the positive NaN");
	ok(same(clu_log(2), 0x1.62e42fefa39efp-1), "log(2), correctly rounded");
	ok(same(clu_log(0x1p-1074), -0x1.74385446d71c3p+9), "log of the least denormal");
	ok(same(clu_log(0x1.fffffffffffffp+1023), 0x1.62e42fefa39efp+9), "log(DBL_MAX)");
}

static void
test_monotone(void)
{
	bool exp_rises = true;
	bool negative_rises = true;
	bool log_rises = true;

	for (int i = 0; i < 200000; i++)
	{
		double x = random_between(-720, 700);
		double y = random_between(0.5, 2);

		negative_rises = negative_rises &&
						 clu_exp_negative(nextafter(-fabs(x), 0)) >= clu_exp_negative(-fabs(x));
		exp_rises = exp_rises && clu_exp(nextafter(x, INFINITY)) >= clu_exp(x);
		log_rises = log_rises && clu_log(nextafter(y, INFINITY)) >= clu_log(y);
	}
	ok(exp_rises, "exp never falls from one number to the next");
	ok(negative_rises, "nor does exp of negatives");
	ok(log_rises, "log never falls from one number to the next");
}

/* ---- arrays ---- */

#define ARRAY 1003

static void
fill_awkward(double *a, double *b)
{
	const double special[] = {0.0,	 -0.0,	NAN,	 INFINITY, -INFINITY, 0x1p-1074, -0x1p-1074,
							  710.0, 746.0, -745.13, -745.2,   -746.0,	  1e300,	 -1e300};
	const int	 n = sizeof(special) / sizeof(special[0]);

	for (int i = 0; i < ARRAY; i++)
	{
		a[i] = i % 5 == 0 ? special[i / 5 % n] : random_between(-750, 715);
		b[i] = i % 5 == 0 ? special[i / 5 % n] : clu_bits_double(random_bits());
	}
}

/* Every length up to 40 and one long one; in place too; nothing is written beyond the end. */
static void
test_arrays(void)
{
	static double a[ARRAY], b[ARRAY], out[ARRAY + 1];
	bool		  exp_same = true;
	bool		  log_same = true;
	bool		  bounded = true;

	fill_awkward(a, b);
	for (size_t n = 0; n <= ARRAY; n += n < 40 ? 1 : ARRAY - 40)
	{
		out[n] = 12345;
		clu_exp_array(a, out, n);
		for (size_t i = 0; i < n; i++)
			exp_same = exp_same && same(out[i], clu_exp(a[i]));
		clu_log_array(b, out, n);
		for (size_t i = 0; i < n; i++)
			log_same = log_same && same(out[i], clu_log(b[i]));
		bounded = bounded && out[n] == 12345;
	}
	ok(exp_same, "exp of an array gives the bits of the scalar function");
	ok(log_same, "log of an array gives the bits of the scalar function");
	ok(bounded, "arrays are not written beyond their end");

	memcpy(out, a, sizeof(a));
	clu_exp_array(out, out, ARRAY);
	exp_same = true;
	for (size_t i = 0; i < ARRAY; i++)
		exp_same = exp_same && same(out[i], clu_exp(a[i]));
	ok(exp_same, "an array may be its own result");
}

/*
 * The bits themselves: a checksum over a million results, the same on every CPU, compiler and
 * optimisation level.  When this fails while the accuracy is fine, the compiler contracts to fused
 * multiply-add or reorders: look at the flags, not here.
 */
static void
test_pinned_bits(void)
{
	uint64_t sum = 0;

	state = 42;
	for (int i = 0; i < 500000; i++)
	{
		/* whole bits, so that the arguments too are the same everywhere */
		double x = (double) (int64_t) (random_bits() % 1500000000) * 0x1p-20 - 760;
		double y = clu_bits_double(random_bits() % CLU_INFINITY);

		sum = sum * UINT64_C(6364136223846793005) + clu_double_bits(clu_exp(x));
		sum = sum * UINT64_C(6364136223846793005) + clu_double_bits(clu_exp_negative(-fabs(x)));
		sum = sum * UINT64_C(6364136223846793005) + clu_double_bits(clu_log(y));
	}
	ok(sum == UINT64_C(0x231e5e52a4c6a965), "the bits are those of every other machine");
	printf("# checksum: 0x%016llx\n", (unsigned long long) sum);
}

/* ---- log-sum-exp and softmax ---- */

static void
test_log_sum_exp(void)
{
	const double inf = INFINITY;
	double		 many[1000];

	ok(same(clu_log_sum_exp(NULL, 0), -inf), "log_sum_exp of nothing is -infinity");
	ok(same(clu_log_sum_exp((double[]) {-inf, -inf, -inf}, 3), -inf), "of all -infinity too");
	ok(same(clu_log_sum_exp((double[]) {-3.25}, 1), -3.25), "of one number it is the number");
	ok(same(clu_log_sum_exp((double[]) {-inf, 7.5, -inf}, 3), 7.5), "-infinity adds nothing");
	ok(same(clu_log_sum_exp((double[]) {1e308, -1e308}, 2), 1e308), "one huge number swallows all");
	ok(same(clu_log_sum_exp((double[]) {1, inf, inf}, 3), inf), "+infinity stays");
	ok(same(clu_log_sum_exp((double[]) {inf, -inf}, 2), inf), "+infinity beside -infinity stays");
	ok(isnan(clu_log_sum_exp((double[]) {1, NAN, 2}, 3)), "NaN shows among finite numbers");
	ok(isnan(clu_log_sum_exp((double[]) {inf, NAN}, 2)), "NaN shows beside infinity");
	ok(isnan(clu_log_sum_exp((double[]) {NAN, -inf}, 2)), "NaN shows beside -infinity");
	ok(same(clu_log_sum_exp((double[]) {-1000, -1000}, 2), -1000 + clu_log(2)),
	   "two equal ones far below: log 2 more");
	for (int i = 0; i < 1000; i++)
		many[i] = 700;
	ok(fabs(clu_log_sum_exp(many, 1000) - (double) (700 + logl(1000))) < 1e-12,
	   "a sum that would overflow does not");
}

static void
test_log_sum_exp_accuracy(void)
{
	double worst = 0;

	for (int i = 0; i < 20000; i++)
	{
		double		a[37];
		size_t		n = 1 + random_bits() % 37;
		long double sum = 0;
		double		got;

		for (size_t j = 0; j < n; j++)
			sum += expl((long double) (a[j] = random_between(-30, 5)));
		got = clu_log_sum_exp(a, n);
		worst = fmax(worst, fabs((double) (got - logl(sum))) / fmax(1, fabs(got)));
	}
	ok(worst < 4e-16, "log_sum_exp against long double");
	printf("# worst error: %.3g\n", worst);
}

/* Sums to one within n roundings, agrees with log_sum_exp to the bit, and never exceeds one. */
static void
test_softmax(void)
{
	bool sums_to_one = true;
	bool agrees = true;
	bool in_range = true;

	for (int i = 0; i < 20000; i++)
	{
		double a[37], log_sum, expected, sum = 0;
		size_t n = 1 + random_bits() % 37;

		for (size_t j = 0; j < n; j++)
			a[j] = random_bits() % 4 == 0 ? -INFINITY : random_between(-800, 800);
		a[n / 2] = random_between(-800, 800);
		expected = clu_log_sum_exp(a, n);
		clu_softmax(a, n, &log_sum);
		agrees = agrees && same(log_sum, expected);
		for (size_t j = 0; j < n; j++)
		{
			sum += a[j];
			in_range = in_range && a[j] >= 0 && a[j] <= 1;
		}
		sums_to_one = sums_to_one && fabs(sum - 1) < 1e-14;
	}
	ok(sums_to_one, "probabilities sum to one");
	ok(agrees, "softmax gives the log sum of log_sum_exp, bit for bit");
	ok(in_range, "probabilities lie in [0, 1]");
}

static void
test_softmax_special(void)
{
	double impossible[2] = {-INFINITY, -INFINITY};
	double infinite[4] = {INFINITY, 3, INFINITY, -INFINITY};
	double poisoned[2] = {1, NAN};
	double equal[3] = {-5000, -5000, -5000};
	double certain[3] = {0, -800, -INFINITY};
	double log_sum;

	clu_softmax(impossible, 2, &log_sum);
	ok(impossible[0] == 0 && impossible[1] == 0 && same(log_sum, -INFINITY),
	   "all impossible: probabilities 0, log sum -infinity");
	clu_softmax(infinite, 4, &log_sum);
	ok(infinite[0] == 0.5 && infinite[1] == 0 && infinite[2] == 0.5 && infinite[3] == 0 &&
		   same(log_sum, INFINITY),
	   "infinite weights share alike");
	clu_softmax(poisoned, 2, &log_sum);
	ok(isnan(poisoned[0]) && isnan(poisoned[1]) && isnan(log_sum), "NaN poisons all");
	clu_softmax(equal, 3, &log_sum);
	ok(same(equal[0], 1.0 / 3) && same(equal[1], 1.0 / 3) && same(equal[2], 1.0 / 3),
	   "equal weights share alike");
	clu_softmax(certain, 3, &log_sum);
	ok(certain[0] == 1 && certain[1] == 0 && certain[2] == 0 && same(log_sum, 0),
	   "a certain component is exactly 1");
	clu_softmax(certain, 0, &log_sum);
	ok(same(log_sum, -INFINITY) && certain[0] == 1, "softmax of nothing touches nothing");
}

int
main(void)
{
	test_accuracy();
	test_exp_special();
	test_exp_negative_special();
	test_log_special();
	test_monotone();
	test_arrays();
	test_pinned_bits();
	test_log_sum_exp();
	test_log_sum_exp_accuracy();
	test_softmax();
	test_softmax_special();
	printf("1..%d\n", tests);
	return failures != 0;
}
