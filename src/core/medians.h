/*
 * medians.h
 *		The medians of all clusters in all columns, exactly, kept while points change clusters.
 *
 * A median is the smallest value v of a cluster with 2 W(<= v) >= W, W the weight of the cluster
 * and W(<= v) that of its values up to v; on equality it is the midpoint between v and the next
 * larger value.
 *
 * Each column is parted into pieces once per fit (rank.h), each of which is sorted when a median is
 * looked for in it.  One scan of a column, counting weight by label, finds in which pieces the
 * medians of all clusters are: n steps for k medians, and no sorting but of those few pieces.
 *
 * Between iterations few points move.  So for each cluster and column a bound is kept, the point
 * where the median was found last, with two exact sums over the cluster (exact.h):
 *		below	the weight of its points that come before the bound,
 *		sided	the sum of weight * x over those that don't, less the same over those that do.
 * A point that joins or leaves changes both by a comparison and an addition.  The new median is
 * found by walking from the bound, up or down in the order of the column, until half the weight is
 * passed: as far as the median moved, and not at all for a cluster that nobody joined or left.  A
 * walk that comes to a piece which isn't sorted ends there, and begins again when it is.  When many
 * points move, or the walks get long, the columns are scanned again, which sets the bounds to the
 * ends of pieces, not far from the medians; and where bounds cross many points the sums are added
 * up again.  All ways find the same points and sums, since these are exact.
 *
 * The sums also know the cost.  About the bound's own value v, which minimises it,
 *		sum w |x - v|  =  sided - v (W - 2 below),
 * whose cancellation 106-bit arithmetic on exact sums has room for: the objective is to be had
 * without looking at the points again.
 *
 * The members of a team add to sums of their own, which are brought together before a refit;
 * columns are scanned, and bounds walked, by one member each.
 *
 * Labels of points in the order of a column lie anywhere in memory.  So of each the lowest byte is
 * kept apart, which mostly tells enough, and of which four times as many fit into a cache.
 *
 * Memory: 4 n d + n bytes for the order and the labels, 16 n for weights other than 1, 61 k d for
 * bounds and sums, and 32 k d for those of every other member of the team.
 */
#ifndef CLU_MEDIANS_H
#define CLU_MEDIANS_H

#include "assign.h"
#include "dd.h"
#include "points.h"
#include "rank.h"

/* What a member of the team has gathered since the last refit; of the first member, of all time. */
typedef struct clu_medians_part
{
	double	*row;
	int64_t *weight_hi, *weight_lo; /* k */

	/* per cluster and column */
	int64_t *sided_hi, *sided_lo;
	int64_t *below_hi, *below_lo;

	bool  *changed; /* k: since the last refit */
	size_t moved;	/* points since the last refit */
	size_t pending; /* terms since the last carry */

	/* k: scratch of a scan */
	int64_t	 *left_hi, *left_lo;
	uint32_t *passed;
} clu_medians_part;

typedef struct clu_medians
{
	const clu_points *points;
	const uint32_t	 *label; /* of the points, in a refit */
	uint8_t			 *low;	 /* n: of the labels, the lowest byte */
	int				  k;
	int				  d;
	int				  members;
	clu_ranks		  ranks;
	double			 *scale; /* d: of the sums */

	/* weights as fixed point numbers; per point NULL where all are 1 */
	double	 weight_scale;
	int64_t *unit_hi, *unit_lo;

	/*
	 * One for every member, and each in cache lines of its own.  The first is of all points, once
	 * the others are collected.
	 */
	clu_medians_part **part;
	clu_medians_part  *total;

	/* per cluster and column */
	uint32_t *rank; /* of the bound, in the order */
	double	 *bound;
	double	 *bound_point;
	double	 *median;

	clu_dd *cost; /* k */

	bool bounded; /* bounds and sums are those of the labels */

	/* bounds are walked by groups of clusters in a column */
	int		groups;
	bool   *found;	 /* k * d: the median, in this refit */
	bool   *waits;	 /* d * groups: for a piece, or for its next turn */
	size_t *steps;	 /* d * groups: in its walks of the last turn */
	size_t *settled; /* d * groups: points that it crossed in this refit */
	size_t	most;	 /* of these, up to which sums are kept */
	size_t	walked;	 /* steps of all, in the last refit */
} clu_medians;

void clu_medians_layout(clu_medians *medians, clu_arena *arena, const clu_points *points, int k,
						int members);

/* Part the columns.  The scratch has room for n words, and is used again in refits. */
void clu_medians_begin(clu_medians *medians, const clu_points *points, uint64_t *scratch,
					   clu_team *team, const clu_interrupt *interrupt);

/* Forget all members of the clusters. */
void clu_medians_reset(clu_medians *medians);

/*
 * A point joins a cluster, and leaves another unless from is CLU_NO_LABEL; told by a member of
 * the team.
 */
void clu_medians_move(clu_medians *medians, int member, uint32_t point, uint32_t from, uint32_t to);

/* Bring together what the members of the team have gathered. */
void clu_medians_collect(clu_medians *medians);

/* Whether a cluster is empty, when all is collected. */
bool clu_medians_empty(const clu_medians *medians, int c);

/*
 * Set the centres to the medians of the clusters' points, which label names once more; returns the
 * sum of all costs.  All is collected, and no cluster may be empty.
 */
clu_dd clu_medians_refit(clu_medians *medians, const uint32_t *label, double *center, double *size,
						 clu_team *team, const clu_interrupt *interrupt);

extern const clu_task clu_fix_weights_task;
extern const clu_task clu_scan_column_task;
extern const clu_task clu_add_sided_task;
extern const clu_task clu_walk_task;

#endif
