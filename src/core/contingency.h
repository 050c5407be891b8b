/*
 * contingency.h
 *		How far two labellings of the same rows agree: adjusted Rand index and mutual information.
 *
 * Both see the labellings only through their contingency table: how many rows carry label i in the
 * one and label j in the other.  Labels are numbered 0, 1, ... in any order; the results are a
 * function of the two partitions alone, to the last bit, and do not change when the two labellings
 * trade places.
 */
#ifndef CLU_CONTINGENCY_H
#define CLU_CONTINGENCY_H

#include "base.h"

typedef struct clu_cell
{
	uint32_t row;	 /* the label in the first labelling */
	uint32_t column; /* the label in the second */
	uint64_t count;
} clu_cell;

/* Each (row, column) stands in at most one cell, and no count or total is 0. */
typedef struct clu_contingency
{
	const clu_cell *cells;
	size_t			n_cells;
	uint64_t	   *row_totals; /* n_rows of them */
	size_t			n_rows;
	uint64_t	   *column_totals; /* n_columns of them */
	size_t			n_columns;
	uint64_t		total;
} clu_contingency;

/* Fill row_totals, column_totals and total from the cells. */
void clu_contingency_totals(clu_contingency *table, const clu_interrupt *interrupt);

/*
 * The adjusted Rand index, in [-0.5, 1].  1 where there is nothing to disagree about: no rows or
 * one, all in one cluster in both, or each in its own in both.
 */
double clu_adjusted_rand_index(const clu_contingency *table, const clu_interrupt *interrupt);

/*
 * Mutual information over the arithmetic mean of the two entropies, in [0, 1].  1 where each label
 * of one goes with one of the other, a single cluster in both included; 0 where one labelling is a
 * single cluster and the other is not.
 */
double clu_normalized_mutual_information(const clu_contingency *table,
										 const clu_interrupt   *interrupt);

#endif
