/*
 * order.h
 *		Putting rows in their canonical order.
 *
 * Lexicographic by value, and found by a radix sort of one column (words.h).  The keys are the
 * upper 32 bits of the range that the ordered bits of its values span, or the place of a value
 * between the least and the largest, in 2^32 equal steps: whichever tells more of a sample apart.
 * Rows that are equal in their keys are sorted by new keys of the same column, and rows that are
 * equal in the column by the next one; short runs by merging, with whole rows compared.
 */
#ifndef CLU_ORDER_H
#define CLU_ORDER_H

#include <string.h>

#include "points.h"
#include "words.h"

typedef struct clu_order
{
	uint32_t	 *index; /* n: row numbers in canonical order; NULL: the rows lie in it */
	uint32_t	 *spare; /* n */
	bool		 *tied;	 /* n: whether the row equals the one before it in the order */
	clu_word_list words; /* for large n */

	struct clu_long_run *run; /* for the members of a team */
} clu_order;

void clu_order_layout(clu_order *order, clu_arena *arena, size_t n, int members);

/* Negative, 0 or positive: which of two rows comes first. */
int clu_order_compare(const clu_rows *rows, uint32_t a, uint32_t b);

/*
 * Sort the row numbers, and tell equal rows; returns the number of distinct rows.  The rows lie
 * in memory that all members of the team see.
 */
size_t clu_order_sort(clu_order *order, const clu_rows *rows, clu_team *team,
					  const clu_interrupt *interrupt);

/* The same for rows that are equal in the columns before this one, and without a team. */
size_t clu_order_sort_from(clu_order *order, const clu_rows *rows, int column,
						   const clu_interrupt *interrupt);

extern const clu_task clu_keys_task;
extern const clu_task clu_words_task;
extern const clu_task clu_sort_piece_task;

/* Bits that, read as an unsigned integer, order as the value does; -0 is 0, there is no NaN. */
static inline uint64_t
clu_ordered_bits(double value)
{
	uint64_t bits;

	value += 0.0;
	memcpy(&bits, &value, sizeof(bits));
	return (bits >> 63) ? ~bits : bits | (UINT64_C(1) << 63);
}

/* The value that has them. */
static inline double
clu_value_of_bits(uint64_t bits)
{
	double value;

	bits = (bits >> 63) ? bits & ~(UINT64_C(1) << 63) : ~bits;
	memcpy(&value, &bits, sizeof(value));
	return value;
}

/* The place of row i of the order among the rows. */
static inline size_t
clu_order_row(const clu_order *order, size_t i)
{
	return order->index == NULL ? i : order->index[i];
}

#endif
