/*
 * elementary.c
 *		exp, log, log-sum-exp and softmax; see elementary.h for the contract.
 *
 * exp.  With e the integer nearest to x / ln 2, exp(x) = 2^e exp(r), |r| <= ln(2)/2 = 0.3466.
 * ln 2 is subtracted in two parts (Cody and Waite 1980): e * LN2_HI is exact, and so is its
 * difference from x; taking away e * LN2_LO rounds, and what is lost is kept.  Then
 *
 *		exp(r) = 1 + r + r^2 Q(r)
 *
 * with Q the minimax polynomial of degree 10 (relative error of the whole 2^-60, from a Remez
 * exchange in 300 bits, coefficients rounded to double).  1 + r is split into its rounded sum and
 * the exact rest, so that but one rounding of full size happens, the last.  2^e is put together in
 * the exponent bits; two factors, because 2^-1075 is no double, and because the first product is
 * exact, so that also a denormal result is rounded once only.
 *
 * clu_exp_negative.  With e the integer nearest to x 16 / ln 2 = 16 q + j, exp(x) is 2^q 2^(j/16)
 * exp(r), |r| <= ln(2)/32 = 0.0217.  The sixteen roots are a table, and for such small r the
 * series is short: minimax of degree 4, relative error 2^-56 (Tang, "Table-driven implementation of
 * the exponential function in IEEE floating-point arithmetic", ACM TOMS 15, 1989).  The root isn't
 * split into two parts, which costs half an ulp, nor is ln 2, which costs 1.5 |x| ulp: x is the
 * difference of two rounded numbers, and no better known than that.
 *
 * log.  x = 2^e m with m in [sqrt(1/2), sqrt(2)), found by adding to the bits, so that the carry
 * does the comparison.  With f = m - 1 (exact) and s = f / (2 + f),
 *
 *		log(1 + f) = 2 artanh(s) = f - f^2/2 + s (f^2/2 + R(s^2)),   R(z) = z (2/3 + 2/5 z + ...)
 *
 * R/z is a minimax polynomial of degree 6 (relative error of the log 2^-59).  f - f^2/2 is formed
 * exactly, from the square of the upper half of f and the rest, and added to e * LN2_HI as an
 * unevaluated sum.  The last term is at most 1/16 of the result, and its error so much smaller.
 *
 * Neither uses a fused multiply-add: most x86-64 machines would have to emulate it, and with the
 * splitting above it is not needed.
 *
 * log-sum-exp is max + log(sum of exp(a[i] - max)), so that nothing overflows and the largest term
 * is exactly 1.  The sum runs in eight partial sums, number i into sum i mod 8, which are added up
 * as a tree: an order that is fixed by n alone and suits vectors of two, four and eight lanes.
 */
#include "elementary.h"

#include "base.h"

#define LANES 8

double
clu_exp(double x)
{
	return clu_exp_inline(x);
}

double
clu_log(double x)
{
	return clu_log_inline(x);
}

/*
 * Blocks of eight go through memory of our own: a loop whose length is known and whose result
 * overlaps nothing is vectorised at -O2 already, and out may be in.
 */
void
clu_exp_array(const double *in, double *out, size_t n)
{
	double lanes[LANES];

	for (; n >= LANES; n -= LANES, in += LANES, out += LANES)
	{
		for (int i = 0; i < LANES; i++)
			lanes[i] = clu_exp_inline(in[i]);
		memcpy(out, lanes, sizeof(lanes));
	}
	for (size_t i = 0; i < n; i++)
		out[i] = clu_exp_inline(in[i]);
}

void
clu_log_array(const double *in, double *out, size_t n)
{
	double lanes[LANES];

	for (; n >= LANES; n -= LANES, in += LANES, out += LANES)
	{
		for (int i = 0; i < LANES; i++)
			lanes[i] = clu_log_inline(in[i]);
		memcpy(out, lanes, sizeof(lanes));
	}
	for (size_t i = 0; i < n; i++)
		out[i] = clu_log_inline(in[i]);
}

/* The largest number; NaN is passed over, and -infinity the largest of none. */
static double
maximum(const double *a, size_t n)
{
	double largest[LANES];
	size_t i = 0;

	for (int j = 0; j < LANES; j++)
		largest[j] = clu_bits_double(CLU_INFINITY | CLU_SIGN);
	for (; i + LANES <= n; i += LANES)
		for (int j = 0; j < LANES; j++)
			largest[j] = a[i + (size_t) j] > largest[j] ? a[i + (size_t) j] : largest[j];
	for (; i < n; i++)
		largest[0] = a[i] > largest[0] ? a[i] : largest[0];
	for (int j = 1; j < LANES; j++)
		largest[0] = largest[j] > largest[0] ? largest[j] : largest[0];
	return largest[0];
}

/* The sum of exp(a[i] - largest); out, where wanted, receives the terms and may be a. */
static double
sum_exp(const double *a, size_t n, double largest, double *out)
{
	double sum[LANES] = {0};
	double lanes[LANES];
	size_t i = 0;

	for (; i + LANES <= n; i += LANES)
	{
		for (int j = 0; j < LANES; j++)
			lanes[j] = clu_exp_negative(a[i + (size_t) j] - largest);
		for (int j = 0; j < LANES; j++)
			sum[j] += lanes[j];
		if (out != NULL)
			memcpy(out + i, lanes, sizeof(lanes));
	}
	for (int j = 0; i < n; i++, j++)
	{
		double term = clu_exp_negative(a[i] - largest);

		sum[j] += term;
		if (out != NULL)
			out[i] = term;
	}
	return clu_sum_eight(sum);
}

/*
 * Nothing can be subtracted from the others where the largest is infinite: then that is the
 * answer, unless there is a NaN, which among finite numbers turns up in the sum by itself.
 */
static int
is_finite(double x)
{
	return x - x == 0;
}

static double
infinite_sum(const double *a, size_t n, double largest)
{
	for (size_t i = 0; i < n; i++)
		if (a[i] != a[i])
			return clu_bits_double(CLU_NAN);
	return largest;
}

double
clu_log_sum_exp(const double *a, size_t n)
{
	double largest = maximum(a, n);

	if (!is_finite(largest))
		return infinite_sum(a, n, largest);
	return largest + clu_log_inline(sum_exp(a, n, largest, NULL));
}

/* Softmax where the sum is infinite or NaN: those of +infinity share, if there are any. */
static void
infinite_softmax(double *a, size_t n, double sum)
{
	double count = 0;

	for (size_t i = 0; i < n; i++)
	{
		if (sum == sum)
			a[i] = sum > 0 && a[i] == sum;
		else
			a[i] = sum;
		count += a[i];
	}
	for (size_t i = 0; i < n && count > 0; i++)
		a[i] /= count;
}

void
clu_softmax(double *a, size_t n, double *log_sum)
{
	double largest = maximum(a, n);
	double sum;

	if (!is_finite(largest))
	{
		*log_sum = infinite_sum(a, n, largest);
		infinite_softmax(a, n, *log_sum);
		return;
	}
	sum = sum_exp(a, n, largest, a);
	*log_sum = largest + clu_log_inline(sum);
	for (size_t i = 0; i < n; i++)
		a[i] *= 1 / sum;
}
