/*
 * rank.h
 *		The points in the order of each column.
 *
 * order[column * n + rank] is the number of a point: by value, equal values by number.  Made once
 * per fit, in 4 n d bytes.
 */
#ifndef CLU_RANK_H
#define CLU_RANK_H

#include "order.h"

typedef struct clu_ranks
{
	const clu_points *points;
	uint32_t		 *order; /* d * n */

	/* for the sort */
	clu_word_list words;
	uint64_t	 *least, *most; /* d: ordered bits of the values */
	double		 *row;
} clu_ranks;

void clu_ranks_layout(clu_ranks *ranks, clu_arena *arena, const clu_points *points);

/*
 * Sort all columns.  The scratch has room for n words; its other members are not looked at.
 */
void clu_ranks_sort(clu_ranks *ranks, const clu_points *points, clu_word_list *scratch,
					const clu_interrupt *interrupt);

#endif
