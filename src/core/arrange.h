/*
 * arrange.h
 *		Putting rows in their canonical order where they lie.
 *
 * Short rows are sorted fastest by moving them: what is looked at together then lies together, and
 * points that are the rows themselves need no memory of their own.  A column of which a sample has
 * been seen parts the rows into pieces, each of which goes on to be parted, by this column or by
 * the next, until it is small enough for the cache.  There it's sorted by number (order.h), and its
 * rows are put in order by way of a buffer.
 *
 * What a piece is, is a matter of speed alone: any function of a value that never falls as the
 * value rises will do.  So the range of the sample is cut into many equal cells, and neighbouring
 * cells make up a piece of about the size wanted.  Where that left most of the rows in one piece,
 * by design or by bad luck, the cells of the next step are cut from the range of the ordered bits,
 * of which every step takes many away; and where most of the sample is one value, that value gets a
 * piece for itself.  Each row takes part in log2(n) steps and a few for every column at most.
 */
#ifndef CLU_ARRANGE_H
#define CLU_ARRANGE_H

#include "order.h"

typedef struct clu_arrange
{
	clu_order order; /* of all: tied, and no index */
	clu_order leaf;	 /* of a few rows */

	char	 *row;	  /* a few, on their way */
	double	 *weight; /* theirs */
	double	 *sample;
	uint16_t *table; /* the piece of every cell */
	uint16_t *piece; /* n: of the rows */
} clu_arrange;

/* Whether the rows can be moved, and it is better than to sort their numbers. */
bool clu_arrange_pays(const clu_rows *rows, int members);

void clu_arrange_layout(clu_arrange *arrange, clu_arena *arena, const clu_rows *rows);

/*
 * Sort the rows, with their weights, and make 0 of -0; arrange->order tells equal ones.  Returns
 * the number of distinct rows.
 */
size_t clu_arrange_rows(clu_arrange *arrange, const clu_rows *rows, const clu_interrupt *interrupt);

#endif
