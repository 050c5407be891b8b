/*
 * brackets.c
 *		Medians from bins; see brackets.h.
 */
#include "brackets.h"

#include <float.h>
#include <math.h>
#include <string.h>

#include "order.h"

#define DOUBLINGS 8			/* on either side, when bins are laid out by distance */
#define WIDTH_OF_BRACKET 64 /* brackets in a bin that is divided: covered by the doublings */
#define NEIGHBOURS 8		/* values that tell how densely they lie */
#define MOST_NEIGHBOURS 64	/* in one bin; beyond, only its edge is near */

/* ---- which bin ---- */

static int
log2_of(int power)
{
	int log = 0;

	while (power > 1 << log)
		log++;
	return log;
}

/* A power of two not below the half width of a bracket; 0 where there is none to work with. */
static double
radius_of(double low, double high)
{
	double radius = (high - low) / 2;
	int	   exponent;

	if (!(radius >= DBL_MIN && radius <= DBL_MAX / 4))
		return 0;
	(void) frexp(radius, &exponent);
	return ldexp(1.0, exponent);
}

void
clu_binning_make(clu_binning *binning, double low, double high, bool by_bits, int bins)
{
	double	 radius = by_bits ? 0 : radius_of(low, high);
	uint64_t span = clu_ordered_bits(high) - clu_ordered_bits(low);

	binning->bins = bins;
	binning->fine = log2_of(bins / 2 / DOUBLINGS);
	binning->middle = low + (high - low) / 2;
	binning->inverse = radius > 0 ? 1 / radius : 0;
	binning->low = clu_ordered_bits(low);
	binning->shift = 0;
	while (span >> binning->shift > (uint64_t) bins - 3)
		binning->shift++;
}

static int
bin_by_bits(const clu_binning *binning, double value)
{
	uint64_t bits = clu_ordered_bits(value), place;

	if (bits < binning->low)
		return 0;
	place = (bits - binning->low) >> binning->shift;
	return place < (uint64_t) binning->bins - 2 ? (int) place + 1 : binning->bins - 1;
}

int
clu_bin_of(const clu_binning *binning, double value)
{
	double	 distance, radii;
	uint64_t bits, half = (uint64_t) binning->bins / 2;

	if (binning->inverse == 0)
		return bin_by_bits(binning, value);
	distance = value - binning->middle;
	radii = 1 + fabs(distance) * binning->inverse;
	memcpy(&bits, &radii, sizeof(bits));
	bits = (bits - (UINT64_C(1023) << 52)) >> (52 - binning->fine);
	bits = CLU_MIN(bits, half - 1);
	return (int) (distance < 0 ? half - 1 - bits : half + bits);
}

/* ---- bins ---- */

static int64_t
add_wrapping(int64_t a, int64_t b)
{
	return (int64_t) ((uint64_t) a + (uint64_t) b);
}

static int64_t
subtract_wrapping(int64_t a, int64_t b)
{
	return (int64_t) ((uint64_t) a - (uint64_t) b);
}

void
clu_bin_add(clu_bin *bin, double value, double weight, double scale)
{
	uint64_t bits = clu_ordered_bits(value);

	bin->highest = CLU_MAX(bin->highest, bits);
	bin->lowest = CLU_MAX(bin->lowest, ~bits);
	if (clu_bin_counts(weight))
		bin->ones = add_wrapping(bin->ones, (int64_t) weight);
	else
		clu_wide_add_digits(bin->digit, weight, scale);
}

void
clu_bin_merge(clu_bin *to, const clu_bin *from)
{
	to->highest = CLU_MAX(to->highest, from->highest);
	to->lowest = CLU_MAX(to->lowest, from->lowest);
	to->ones = add_wrapping(to->ones, from->ones);
	for (int i = 0; i < CLU_WIDE_DIGITS; i++)
		to->digit[i] = add_wrapping(to->digit[i], from->digit[i]);
}

static bool
is_empty(const clu_bin *bin)
{
	return bin->highest == 0;
}

static double
value_of(uint64_t bits)
{
	double value;

	bits = bits >> 63 ? bits ^ UINT64_C(1) << 63 : ~bits;
	memcpy(&value, &bits, sizeof(value));
	return value;
}

static double
highest_of(const clu_bin *bin)
{
	return value_of(bin->highest);
}

static double
lowest_of(const clu_bin *bin)
{
	return value_of(~bin->lowest);
}

bool
clu_bin_valid(const clu_bin *bin)
{
	if (bin->ones < 0 || bin->ones > CLU_WIDE_TERMS * CLU_MOST_ONES)
		return false;
	if (is_empty(bin))
		return bin->lowest == 0 && bin->ones == 0;
	return isfinite(highest_of(bin)) && isfinite(lowest_of(bin)) && ~bin->lowest <= bin->highest;
}

/* ---- weights of bins ---- */

typedef struct mass
{
	int64_t	 ones;
	clu_wide rest;
} mass;

static mass
no_mass(int position)
{
	return (mass) {.rest = {.position = position}};
}

static mass
with_bin(mass sum, const clu_bin *bin)
{
	sum.ones = add_wrapping(sum.ones, bin->ones);
	for (int i = 0; i < CLU_WIDE_DIGITS; i++)
		sum.rest.digit[i] = add_wrapping(sum.rest.digit[i], bin->digit[i]);
	return sum;
}

static mass
less(mass whole, const mass *part)
{
	whole.ones = subtract_wrapping(whole.ones, part->ones);
	for (int i = 0; i < CLU_WIDE_DIGITS; i++)
		whole.rest.digit[i] = subtract_wrapping(whole.rest.digit[i], part->rest.digit[i]);
	return whole;
}

/* The sign of 2 part - whole. */
static int
compare_twice(const mass *part, const mass *whole)
{
	mass rest = less(*whole, part), difference = less(*part, &rest);

	if (part->rest.position == CLU_NO_DIGITS)
		return (difference.ones > 0) - (difference.ones < 0);
	return clu_wide_sign(&difference.rest, difference.ones);
}

static double
weight_of(const clu_bin *bin, int position)
{
	double weight = (double) bin->ones;

	if (position != CLU_NO_DIGITS)
		weight += clu_dd_value(clu_wide_digits(position, bin->digit, 1));
	return weight;
}

static double
weight_of_mass(const mass *m)
{
	return (double) m->ones + clu_dd_value(clu_wide_value(&m->rest));
}

/* ---- the next bracket ---- */

static void
set_bracket(clu_found *found, double low, double high)
{
	found->low = low;
	found->high = high;
}

/* The bracket about a place; false where that is beyond the range of doubles, or too narrow. */
static bool
set_bracket_about(clu_found *found, double middle, double radius)
{
	set_bracket(found, middle - radius, middle + radius);
	return isfinite(found->low) && isfinite(found->high) && found->low < found->high;
}

/* Look where the median is among the values of a bin, were these spread evenly. */
static void
divide_bin(clu_found *found, const clu_bin *bin, double part, bool by_bits)
{
	double low = lowest_of(bin), high = highest_of(bin), width = high - low;

	if (by_bits || !set_bracket_about(found, low + part * width, width / WIDTH_OF_BRACKET))
		set_bracket(found, low, high);
}

/* ---- how densely the values lie ---- */

typedef struct neighbourhood
{
	const clu_bin *bins;
	int			   count;
	int			   position;
	double		   weight; /* of an average value */
} neighbourhood;

static int
next_bin(const neighbourhood *n, int bin, int step)
{
	do
		bin += step;
	while (bin >= 0 && bin < n->count && is_empty(&n->bins[bin]));
	return bin >= 0 && bin < n->count ? bin : -1;
}

static double
near_edge(const clu_bin *bin, int step)
{
	return step > 0 ? lowest_of(bin) : highest_of(bin);
}

/* How far the next few values lie on one side of a value, each on average. */
static double
spacing(const neighbourhood *n, int bin, int step, double from)
{
	double values = 0, to = from;

	for (bin = next_bin(n, bin, step); bin >= 0 && values < NEIGHBOURS;
		 bin = next_bin(n, bin, step))
	{
		double more = weight_of(&n->bins[bin], n->position) / n->weight;
		bool   many = more > MOST_NEIGHBOURS;

		values += many ? 1 : fmax(more, 1);
		to = many ? near_edge(&n->bins[bin], step) : near_edge(&n->bins[bin], -step);
	}
	return values > 0 ? fabs(to - from) / values : 0;
}

/* How far it is to the next value on one side; 0 where there is none. */
static double
gap(const neighbourhood *n, int bin, int step, double from)
{
	bin = next_bin(n, bin, step);
	return bin < 0 ? 0 : fabs(near_edge(&n->bins[bin], step) - from);
}

static double
least_positive(double a, double b)
{
	return a > 0 && (a < b || !(b > 0)) ? a : b;
}

/* The next median is expected not farther away than the next values are. */
static double
radius_for_next(const neighbourhood *n, int low, int high, double median)
{
	double down = gap(n, low, -1, median), up = gap(n, high, 1, median);
	double spaces = spacing(n, low, -1, median) + spacing(n, high, 1, median);

	return fmax(least_positive(down, up), spaces / 2) / 4;
}

/* ---- the median ---- */

/* The bin holds one value and the median is that: it will be alone in its bin again. */
static void
settle_on_value(clu_found *found, const neighbourhood *n, int bin)
{
	double value = lowest_of(&n->bins[bin]);
	double alone = least_positive(gap(n, bin, -1, value), gap(n, bin, 1, value)) / 4;

	found->exact = true;
	found->median = value;
	found->radius = radius_for_next(n, bin, bin, value);
	if (!set_bracket_about(found, value, alone))
		set_bracket(found, value, value);
}

/* As a fit in memory has it, which scales values that are very large or very small. */
static double
midpoint(double low, double high)
{
	double largest = fmax(fabs(low), fabs(high));
	double unit = largest > 0x1p1000 ? 0x1p100 : largest < 0x1p-900 ? 0x1p-100 : 1;

	low /= unit;
	high /= unit;
	return (low + (high - low) / 2) * unit;
}

/* Half of the weight ends with a bin: halfway to the next value. */
static void
settle_between(clu_found *found, const neighbourhood *n, int bin)
{
	int	   next = next_bin(n, bin, 1);
	double low = highest_of(&n->bins[bin]);
	double high = next < 0 ? low : lowest_of(&n->bins[next]);

	found->exact = true;
	found->median = midpoint(low, high);
	found->radius =
		fmax(radius_for_next(n, bin, next < 0 ? bin : next, found->median), (high - low) / 4);
	set_bracket(found, low, high);
}

clu_found
clu_find_median(const clu_bin *bins, int count, int position, bool by_bits, double weight)
{
	neighbourhood n = {bins, count, position, weight};
	clu_found	  found = {.exact = false};
	mass		  whole = no_mass(position), before = whole, with = whole;
	int			  bin, order = -1;

	for (int b = 0; b < count; b++)
		whole = with_bin(whole, &bins[b]);
	for (bin = next_bin(&n, -1, 1); bin >= 0; bin = next_bin(&n, bin, 1))
	{
		with = with_bin(before, &bins[bin]);
		order = compare_twice(&with, &whole);
		if (order >= 0 || next_bin(&n, bin, 1) < 0)
			break;
		before = with;
	}
	if (bin < 0)
		set_bracket(&found, -DBL_MAX, DBL_MAX);
	else if (order == 0)
		settle_between(&found, &n, bin);
	else if (~bins[bin].lowest == bins[bin].highest)
		settle_on_value(&found, &n, bin);
	else
		divide_bin(&found, &bins[bin],
				   (weight_of_mass(&whole) / 2 - weight_of_mass(&before)) /
					   weight_of(&bins[bin], position),
				   by_bits);
	return found;
}
