/*
 * brackets.h
 *		Medians over many passes: histograms of where the values of one column of a cluster lie.
 *
 * A median can't be put together from sums.  But of values counted in bins one knows the bin that
 * it lies in, and the next pass over the same values can divide that bin.  A bin keeps, besides
 * the weight of its values, the least and the largest of them.  So the median is known as soon as
 * its bin holds a single value, however wide the bin is, or when half of the weight ends exactly
 * with a bin: then it's halfway between the largest value of that bin and the least of the next.
 * All bins together hold all values.  Whatever a pass finds, it has proven by itself; what is
 * handed from pass to pass says only where the bins should be narrow.
 *
 * That is a bracket, two numbers low and high.  Bins are laid out by it in one of two ways:
 *
 *	 - by distance from the middle of the bracket: bins of equal width inside, and outside as many
 *	   for every doubling, eight doublings on either side.  So bins are as narrow as they have to
 *	   be near the place where the median is expected, and still not wide where it went somewhere
 *	   else.  With |t| the distance in radii, the bin is given by the upper bits of 1 + |t|;
 *	 - by ordered bits: the range from low to high of the doubles as ordered integers, in equal
 *	   parts, and one bin on either side for the rest.  That divides magnitudes rather than values,
 *	   and whatever the values are, a bracket of 64 bits is down to one number after 64 / log2(bins / 2)
 *	   passes.
 *
 * The first pass knows nothing and goes by bits; the next ones go by distance, which takes two or
 * three of them; and what has not been found then, in data made to be difficult, is found by bits.
 */
#ifndef CLU_BRACKETS_H
#define CLU_BRACKETS_H

#include <math.h>

#include "base.h"
#include "wide.h"

/* Zero where no value lies in it. */
typedef struct clu_bin
{
	uint64_t highest;				 /* ordered bits of the largest value */
	uint64_t lowest;				 /* their complement, of the least */
	int64_t	 ones;					 /* weight in whole numbers that aren't large */
	int64_t	 digit[CLU_WIDE_DIGITS]; /* of all others, at a position that all bins share */
} clu_bin;

#define CLU_NO_DIGITS (CLU_WIDE_LEAST - 1) /* a position: there are no such weights */
#define CLU_MOST_ONES (1 << 20)
#define CLU_LEAST_BINS 16
#define CLU_MOST_BINS 1024

/* How values are put into bins; made from a bracket. */
typedef struct clu_binning
{
	double	 middle;
	double	 inverse; /* of the radius, a power of two; 0: by ordered bits */
	uint64_t low;	  /* ordered bits */
	int		 shift;
	int		 bins;
	int		 fine; /* log2 of the bins for each doubling */
} clu_binning;

/* Whether a weight goes to ones. */
static inline bool
clu_bin_counts(double weight)
{
	return fabs(weight) <= CLU_MOST_ONES && weight == (double) (int32_t) weight;
}

/* The number of bins is a power of two. */
void clu_binning_make(clu_binning *binning, double low, double high, bool by_bits, int bins);
int	 clu_bin_of(const clu_binning *binning, double value);

/* Add a value; scale is that of the position (clu_wide_scale). */
void clu_bin_add(clu_bin *bin, double value, double weight, double scale);
void clu_bin_merge(clu_bin *to, const clu_bin *from);
bool clu_bin_valid(const clu_bin *bin);

/* What a pass found out about one median. */
typedef struct clu_found
{
	bool   exact;
	double median;	  /* where it's exact */
	double low, high; /* bracket for the next pass over the same values */
	double radius;	  /* about the median, where the next one is to be looked for */
} clu_found;

/*
 * Look for the median of all values in the bins; there are values.  Position is that of the digits,
 * or CLU_NO_DIGITS where there are none.  by_bits: so will the next pass.  weight: of an average
 * value, for guesses.
 */
clu_found clu_find_median(const clu_bin *bins, int count, int position, bool by_bits,
						  double weight);

#endif
