/*
 * order.h
 *		Putting rows in their canonical order.
 *
 * Lexicographic by value, and found by a radix sort of one column: the keys are the upper 32 bits
 * of the range that the ordered bits of its values span, three digits of 11 bits.  Rows that are
 * equal in them are sorted by the rest of the range, and rows that are equal in the column by the
 * next one; short runs by merging, with whole rows compared.
 */
#ifndef CLU_ORDER_H
#define CLU_ORDER_H

#include <string.h>

#include "points.h"

typedef struct clu_order
{
	uint32_t *index; /* n: row numbers in canonical order */
	uint32_t *spare; /* n */
	bool	 *tied;	 /* n: whether the row equals the one before it in the order */
	uint64_t *key;	 /* n, for large n */
	uint64_t *spare_key;
	uint32_t *count; /* digit histograms, for large n */
} clu_order;

#define CLU_RADIX_COUNTS (6 * 2048) /* in clu_order.count */

void clu_order_layout(clu_order *order, clu_arena *arena, size_t n);

/* Sort the row numbers, and tell equal rows; returns the number of distinct rows. */
size_t clu_order_sort(clu_order *order, const clu_rows *rows, const clu_interrupt *interrupt);

/* Negative, 0 or positive: which of two rows comes first. */
int clu_order_compare(const clu_rows *rows, uint32_t a, uint32_t b);

/*
 * Sort words by their upper 32 bits; equal ones stay in their order.  Uses key, where they are,
 * spare_key and count; returns the one of the two where they are then.
 */
const uint64_t *clu_order_words(clu_order *order, size_t n, const clu_interrupt *interrupt);

/* Bits that, read as an unsigned integer, order as the value does; -0 is 0, there is no NaN. */
static inline uint64_t
clu_ordered_bits(double value)
{
	uint64_t bits;

	value += 0.0;
	memcpy(&bits, &value, sizeof(bits));
	return (bits >> 63) ? ~bits : bits | (UINT64_C(1) << 63);
}

#endif
