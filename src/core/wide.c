/*
 * wide.c
 *		Sums of terms of unknown size; see wide.h.
 */
#include "wide.h"

#include <math.h>

/* Integers wrap where a forged state makes them overflow. */
static int64_t
add_wrapping(int64_t a, int64_t b)
{
	return (int64_t) ((uint64_t) a + (uint64_t) b);
}

int
clu_wide_position(double term)
{
	int exponent = 0, above;

	if (term == 0)
		return CLU_WIDE_LEAST;
	/* |term| < 2^exponent, which is to be at most 2^(28 p + 27) */
	(void) frexp(term, &exponent);
	above = exponent - (CLU_WIDE_BITS - 1);
	above = above > 0 ? (above + CLU_WIDE_BITS - 1) / CLU_WIDE_BITS : -(-above / CLU_WIDE_BITS);
	return CLU_MAX(above, CLU_WIDE_LEAST);
}

/* A forged position must not lead outside: only a full check of a state finds it. */
static int
possible(int position)
{
	return CLU_MIN(CLU_MAX(position, CLU_WIDE_LEAST), CLU_WIDE_MOST);
}

double
clu_wide_scale(int position)
{
	return ldexp(1.0, -CLU_WIDE_BITS * possible(position));
}

void
clu_wide_shift(int64_t *digit, size_t stride, int from, int to)
{
	int places = possible(to) - possible(from);

	for (int i = CLU_WIDE_DIGITS - 1; i >= 0; i--)
		digit[(size_t) i * stride] = i >= places ? digit[(size_t) (i - places) * stride] : 0;
}

clu_dd
clu_wide_digits(int position, const int64_t *digit, size_t stride)
{
	clu_dd sum = {0, 0};

	for (int i = CLU_WIDE_DIGITS - 1; i >= 0; i--)
	{
		int64_t value = digit[(size_t) i * stride];
		int64_t low = value & 0x3ff; /* the rest fits into a double */
		int		exponent = CLU_WIDE_BITS * (possible(position) - i);

		sum = clu_dd_add_double(sum, ldexp((double) low, exponent));
		sum = clu_dd_add_double(sum, ldexp((double) (value - low), exponent));
	}
	return sum;
}

void
clu_wide_clear(clu_wide *sum)
{
	*sum = (clu_wide) {.position = CLU_WIDE_LEAST};
}

/* Make room for a position; nothing where there is. */
static void
raise_to(clu_wide *sum, int position)
{
	if (position <= sum->position)
		return;
	clu_wide_shift(sum->digit, 1, sum->position, position);
	sum->position = position;
}

static void
add_digits(clu_wide *sum, double term)
{
	double scaled = term * clu_wide_scale(sum->position);

	for (int i = 0; i < CLU_WIDE_DIGITS; i++)
	{
		double digit = rint(scaled);

		sum->digit[i] = add_wrapping(sum->digit[i], (int64_t) digit);
		scaled = (scaled - digit) * (1 << CLU_WIDE_BITS);
	}
}

void
clu_wide_add(clu_wide *sum, double term)
{
	raise_to(sum, clu_wide_position(term));
	add_digits(sum, term);
}

void
clu_wide_add_product(clu_wide *sum, double weight, double term)
{
	clu_dd product = clu_dd_two_product(weight, term);

	clu_wide_add(sum, product.hi);
	add_digits(sum, product.lo);
}

void
clu_wide_merge(clu_wide *sum, const clu_wide *other)
{
	clu_wide term = *other;

	raise_to(sum, term.position);
	raise_to(&term, sum->position);
	for (int i = 0; i < CLU_WIDE_DIGITS; i++)
		sum->digit[i] = add_wrapping(sum->digit[i], term.digit[i]);
}

clu_dd
clu_wide_value(const clu_wide *sum)
{
	return clu_wide_digits(sum->position, sum->digit, 1);
}

bool
clu_wide_valid(const clu_wide *sum)
{
	return sum->position >= CLU_WIDE_LEAST && sum->position <= CLU_WIDE_MOST && sum->unused == 0;
}
