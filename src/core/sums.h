/*
 * sums.h
 *		The statistics of K-means: per cluster the exact sum of weight * x, and of the weights.
 *
 * Order-free (exact.h), so statistics of different blocks, workers or partial aggregates merge by
 * plain addition, and points that change their cluster are taken from one sum and added to the
 * other without leaving a trace.
 *
 * Fixed point has 80 bits.  Where a column's values, or their weights, span more orders of
 * magnitude than that leaves room for, small values would lose digits: then the sums are wide,
 * double-doubles that are computed anew for every refit, over the points in their canonical order.
 */
#ifndef CLU_SUMS_H
#define CLU_SUMS_H

#include "dd.h"
#include "exact.h"
#include "kernel.h"
#include "points.h"

typedef struct clu_sums
{
	int		 k;
	int		 d;
	double	*scale; /* d */
	double	 weight_scale;
	int64_t *hi, *lo;				/* k * d */
	int64_t *weight_hi, *weight_lo; /* k */
	bool	*changed;				/* k: since clu_sums_settle */
	size_t	 pending;				/* terms since the last carry */
	bool	 wide;					/* double-doubles instead, see clu_sums_recompute */
} clu_sums;

void clu_sums_layout(clu_sums *sums, clu_arena *arena, int k, int d);
void clu_sums_measure(clu_sums *sums, const clu_points *points);
void clu_sums_clear(clu_sums *sums);

/* Wide sums, from the labels of all points; buffer has room for a point. */
void clu_sums_recompute(clu_sums *sums, const clu_points *points, const uint32_t *label,
						double *buffer, const clu_interrupt *interrupt);

/* Carry all; before merging or reading. */
void clu_sums_carry(clu_sums *sums);

/* Add a point to cluster c, or take it away; nothing where the sums are wide. */
static inline void
clu_sums_add(clu_sums *sums, uint32_t c, const double *x, double weight, bool subtract)
{
	size_t at = (size_t) c * (size_t) sums->d;

	sums->changed[c] = true;
	if (sums->wide)
		return;
	clu_kernel->add_row(sums->hi + at, sums->lo + at, x, weight, subtract, sums->scale, sums->d);
	clu_exact_add(&sums->weight_hi[c], &sums->weight_lo[c], subtract ? -weight : weight,
				  sums->weight_scale);
	if (++sums->pending == CLU_EXACT_CARRY)
		clu_sums_carry(sums);
}

/* Add the other statistics, of the same scales. */
void clu_sums_merge(clu_sums *sums, const clu_sums *other);

/* Take the sums as they are for unchanged. */
void clu_sums_settle(clu_sums *sums);

clu_dd clu_sums_weight(const clu_sums *sums, int c);
clu_dd clu_sums_value(const clu_sums *sums, int c, int j);

#endif
