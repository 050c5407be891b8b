/*
 * medians.h
 *		The medians of all clusters in all columns, exactly, kept while points change clusters.
 *
 * A median is the smallest value v of a cluster with 2 W(<= v) >= W, W the weight of the cluster
 * and W(<= v) that of its values up to v; on equality it is the midpoint between v and the next
 * larger value.
 *
 * Each column is ranked once per fit (rank.h).  Then one scan of a column, counting weight by label, passes the medians of all clusters: n steps
 * for k medians, and no sorting.
 *
 * Between iterations few points move.  So for each cluster and column a bound is kept, the point
 * where the median was found last, with two exact sums over the cluster (exact.h):
 *		below	the weight of its points that come before the bound,
 *		sided	the sum of weight * x over those that don't, less the same over those that do.
 * A point that joins or leaves changes both by a comparison and an addition.  The new median is
 * found by walking from the bound, up or down in the order of the column, until half the weight is
 * passed: as far as the median moved, and not at all for a cluster that nobody joined or left.  When many
 * points move, or the walks get long, the columns are scanned again.  Both ways find the same
 * points, since the sums are exact.
 *
 * The sums also know the cost.  About the bound's own value v, which minimises it,
 *		sum w |x - v|  =  sided - v (W - 2 below),
 * whose cancellation 106-bit arithmetic on exact sums has room for: the objective is to be had
 * without looking at the points again.
 *
 * Memory: 4 n d bytes for the order, 16 n for weights other than 1, 60 k d for bounds and sums.
 */
#ifndef CLU_MEDIANS_H
#define CLU_MEDIANS_H

#include "assign.h"
#include "dd.h"
#include "points.h"
#include "rank.h"

typedef struct clu_medians
{
	const clu_points *points;
	int				  k;
	int				  d;
	clu_ranks		  ranks;
	double			 *scale; /* d: of the sums */
	double			 *row;

	/* weights as fixed point numbers; per point NULL where all are 1 */
	double	 weight_scale;
	int64_t *unit_hi, *unit_lo;
	int64_t *weight_hi, *weight_lo; /* k */

	/* per cluster and column */
	uint32_t *rank; /* of the bound, in the order */
	double	 *bound;
	double	 *bound_point;
	double	 *median;
	int64_t	 *sided_hi, *sided_lo;
	int64_t	 *below_hi, *below_lo;

	/* per cluster */
	bool	*changed; /* since the last refit */
	clu_dd	*cost;
	int64_t *left_hi, *left_lo; /* scratch of a scan */

	bool   bounded; /* bounds and sums are those of the labels */
	size_t moved;	/* points since the last refit */
	size_t pending; /* terms since the last carry */
} clu_medians;

void clu_medians_layout(clu_medians *medians, clu_arena *arena, const clu_points *points, int k);

/* Rank the columns; for the scratch see rank.h. */
void clu_medians_begin(clu_medians *medians, const clu_points *points, clu_word_list *scratch,
					   const clu_interrupt *interrupt);

/* Forget all members. */
void clu_medians_reset(clu_medians *medians);

/* A point joins a cluster, and leaves another unless from is CLU_NO_LABEL. */
void clu_medians_move(clu_medians *medians, uint32_t point, uint32_t from, uint32_t to);

bool clu_medians_empty(const clu_medians *medians, int c);

/*
 * Set the centres to the medians of the members, which label names once more; returns the sum of
 * all costs.  No cluster may be empty.
 */
clu_dd clu_medians_refit(clu_medians *medians, const uint32_t *label, double *center, double *size,
						 const clu_interrupt *interrupt);

#endif
