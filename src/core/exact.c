/*
 * exact.c
 *		Sums that do not depend on the order of their terms; see exact.h.
 */
#include "exact.h"

#include <math.h>

/* 2^exponent, kept inside what can be inverted */
static double
power_of_two(int exponent)
{
	return ldexp(1.0, CLU_MAX(CLU_MIN(exponent, 1000), -1000));
}

static int
exponent_above(double value)
{
	int exponent = 0;

	(void) frexp(value, &exponent);
	return exponent;
}

double
clu_exact_scale(double largest_term, double largest_sum)
{
	if (!(largest_term > 0))
		return 1.0;
	return power_of_two(
		CLU_MIN(50 - exponent_above(largest_term), 62 - exponent_above(largest_sum) - 1));
}

void
clu_exact_carry(int64_t *hi, int64_t *lo, size_t n)
{
	for (size_t i = 0; i < n; i++)
	{
		int64_t carry = (lo[i] + (INT64_C(1) << 39)) >> 40;

		hi[i] += carry;
		lo[i] -= carry * (INT64_C(1) << 40);
	}
}

clu_dd
clu_exact_value(int64_t hi, int64_t lo, double scale)
{
	double high = (double) hi;
	double rest = (double) (hi - (int64_t) high) + (double) lo * (1 / CLU_EXACT_LOW);
	clu_dd sum = clu_dd_two_sum(high, rest);
	double unit = 1 / scale;

	return (clu_dd) {sum.hi * unit, sum.lo * unit};
}
