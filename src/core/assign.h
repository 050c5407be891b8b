/*
 * assign.h
 *		Which centre is nearest: the assignment step of K-means and K-medians, exactly.
 *
 * The label of a point is the lowest number c that minimises the distance as the exact kernels
 * compute it: the terms (x_j - c_j)^2 or |x_j - c_j| added in the order of j, in double precision.
 * How it is found is another matter, and four things save most of the work:
 *
 * 1. The filter.  Squared distances differ by twice the difference of the scores |c|^2/2 - x.c,
 *    one multiply-add a term instead of three operations.  Scores are computed in single
 *    precision on centred and scaled data, and their error is bounded: with u = 2^-24, every
 *    |score error| <= e(x) = gamma (|c|max^2/2 + |x| |c|max), gamma = (d+6)u/(1-(d+6)u)
 *    (Higham, Accuracy and Stability of Numerical Algorithms, 3.1).  Where the best score leads
 *    the second by more than 2e the label is proven; the few other points are computed exactly.
 *    The trap of the expansion, cancellation far from the origin, costs time here, never a label.
 *    L1 distances differ by twice the difference of the scores sum max(x_j, c_j) - sum c_j / 2, two
 *    operations a term instead of three, and those of single precision.  Rounding x and c to that
 *    changes a maximum by u max(|x_j|, |c_j|) at most, and adding up d+1 terms, whose sizes are
 *    |x|1 + 3/2 |c|1 at most, leaves e(x) = gamma (|x|1 + 3/2 |c|1 max), with |x|1 <= sqrt(d) |x|.
 *
 * 2. Narrowing.  Where there are many dimensions and centres, scores are first bounded by what is
 *    cheaper than they are (narrow.h).  Only for the centres that this leaves, distances are
 *    computed.
 *
 * 3. The gap.  For each point a lower bound on how much farther its second nearest centre is than
 *    its nearest.  When the centres move, the gap shrinks by at most the way of its own centre
 *    plus the longest way of any other; while it stays positive the label can't change, and the
 *    point isn't even read (Hamerly, SDM 2010, with the two bounds kept as their difference).
 *    A gap isn't kept as it shrinks but as what the ways of its label may add up to, so that a
 *    pass reads it and writes nothing; and of the points in a panel only the least gap is looked
 *    at while the longest ways of all centres haven't used that up.
 *    Bounds are rounded so that they only err on the safe side, ties are never skipped.
 *
 * 4. Only changes are reported, so that sums of exact numbers need only be changed.
 */
#ifndef CLU_ASSIGN_H
#define CLU_ASSIGN_H

#include "frame.h"
#include "kernel.h"
#include "narrow.h"
#include "points.h"

#define CLU_NO_LABEL UINT32_MAX

/* What somebody who assigns points needs for himself. */
typedef struct clu_assign_member
{
	/* of one pass, to choose the way of the next */
	size_t scanned;
	size_t doubtful; /* points that the filter could not decide */

	/* scratch for one panel */
	float  *filter_panel;
	double *panel;
	double *distance; /* k, padded */
	double *row;

	clu_narrow_member narrow;
} clu_assign_member;

typedef struct clu_assigner
{
	clu_metric		 metric;
	int				 k;
	int				 d;
	const clu_frame *frame;
	clu_narrow		*narrow; /* NULL: none is used */

	/* per point */
	uint32_t *label;
	float	 *reach; /* up to where gone leaves the label as it is; 0: unknown */

	/* per panel of points */
	float *calm; /* up to where all_gone leaves all their labels as they are; 0: unknown */

	/* per centre, made by clu_assign_prepare */
	const double *center;
	double		 *packed; /* for point_distances */
	float		 *filter_packed;
	float		 *half_norm;	/* what scores begin with */
	double		  largest_norm; /* |c|max, centred and scaled; of the metric */
	double		 *gone;			/* what gaps have shrunk by, per label, in units of the frame */
	float		 *gone_up;		/* rounded up; CLU_FEW_LABELS at least */
	double		  all_gone;		/* that of labels whose ways are always the longest */
	bool		  gaps_known;
	bool		  filtered; /* the filter is worth its while */
	bool		  narrowed; /* bounds may be worth their while */

	/* one for every member of the team */
	int				   members;
	clu_assign_member *member;
} clu_assigner;

typedef struct clu_change
{
	uint32_t point; /* within the block */
	uint32_t from;	/* the label it had, or CLU_NO_LABEL */
} clu_change;

/* narrow: laid out, or NULL. */
void clu_assign_layout(clu_assigner *assigner, clu_arena *arena, clu_metric metric, size_t n, int k,
					   int d, clu_narrow *narrow, int members);

/* Forget all labels. */
void clu_assign_reset(clu_assigner *assigner, size_t n);

/*
 * Make the tables for new centres.  With previous (those of the pass before) the gaps stay valid;
 * NULL forgets them.
 */
void clu_assign_prepare(clu_assigner *assigner, const double *center, const double *previous,
						const clu_interrupt *interrupt);

/*
 * Assign a block, which begins with a panel; the labels that changed are listed in changes (room
 * for block->n).
 */
size_t clu_assign_block(clu_assigner *assigner, int member, const clu_block *block,
						clu_change *changes, const clu_interrupt *interrupt);

/* Somebody else has given the point a label: it is to be looked at in the next pass. */
void clu_assign_doubt(clu_assigner *assigner, size_t point);

/* Cluster c is the one that was order[c], and labels have been changed accordingly; scratch: k. */
void clu_assign_renumber(clu_assigner *assigner, const int *order, double *scratch);

/* Distances of a block's points to the centre of their own label, exactly. */
void clu_own_distances(clu_metric metric, const clu_block *block, const double *center,
					   const uint32_t *label, double *out, double *buffer);

/*
 * Whether the squared distance of x from a centre, both divided by the unit, has vanished, or lost
 * its digits, for that reason alone.  Which of two centres is nearer isn't known then, nor a cost.
 */
bool clu_distance_is_lost(double distance, const double *x, const double *center, int d,
						  double unit);

/* The distance as the exact kernels compute it. */
double clu_distance(clu_metric metric, const double *x, const double *c, int d);

#endif
