/*
 * wide.c
 *		Sums of terms of unknown size; see wide.h.
 */
#include "wide.h"

#include <math.h>
#include <string.h>

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
	uint64_t exponent = (uint64_t) (1023 - CLU_WIDE_BITS * possible(position));
	uint64_t bits = exponent << 52;
	double	 scale;

	memcpy(&scale, &bits, sizeof(scale));
	return scale;
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

/* A forged position may make a digit of anything, also of what is no number. */
static int64_t
to_digit(double units)
{
	return fabs(units) < 0x1p62 ? (int64_t) units : 0;
}

void
clu_wide_add_digits(int64_t *digit, double term, double scale)
{
	double scaled = term * scale;

	for (int i = 0; i < CLU_WIDE_DIGITS; i++)
	{
		double units = rint(scaled);

		digit[i] = add_wrapping(digit[i], to_digit(units));
		scaled = (scaled - units) * (1 << CLU_WIDE_BITS);
	}
}

static void
add_digits(clu_wide *sum, double term)
{
	clu_wide_add_digits(sum->digit, term, clu_wide_scale(sum->position));
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

#define PLACES (CLU_WIDE_MOST - CLU_WIDE_LEAST + CLU_WIDE_DIGITS + 4)
#define PLACE_OF_ONES (CLU_WIDE_DIGITS - CLU_WIDE_LEAST)

/* Bring a digit to half a unit of the next at most; returns these units. */
static int64_t
carry(int64_t *digit)
{
	const int64_t unit = INT64_C(1) << CLU_WIDE_BITS;
	int64_t		  units = *digit / unit, rest = *digit % unit;
	int			  sign = rest > unit / 2 ? 1 : rest < -unit / 2 ? -1 : 0;

	*digit = rest - sign * unit;
	return units + sign;
}

int
clu_wide_sign(const clu_wide *sum, int64_t whole)
{
	int64_t digit[PLACES] = {0};

	for (int i = 0; i < CLU_WIDE_DIGITS; i++)
		digit[PLACE_OF_ONES + possible(sum->position) - i] = sum->digit[i];
	for (int place = PLACE_OF_ONES; whole != 0; place++)
	{
		int64_t units = carry(&whole);

		digit[place] = add_wrapping(digit[place], whole);
		whole = units;
	}
	for (int place = 0; place < PLACES - 1; place++)
	{
		int64_t units = carry(&digit[place]);

		digit[place + 1] = add_wrapping(digit[place + 1], units);
	}
	for (int place = PLACES - 1; place >= 0; place--)
		if (digit[place] != 0)
			return digit[place] > 0 ? 1 : -1;
	return 0;
}

bool
clu_wide_valid(const clu_wide *sum)
{
	return sum->position >= CLU_WIDE_LEAST && sum->position <= CLU_WIDE_MOST && sum->unused == 0;
}
