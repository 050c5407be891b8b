/*
 * step_hard.h
 *		What the steps of K-means and K-medians share: labels, sizes, costs, and clusters without rows.
 *
 * Labels are exact, and sizes and costs are sums that depend neither on the order of the rows nor
 * on how they were divided (wide.h).
 *
 * An empty cluster takes the farthest row whose cluster has weight besides it; the lowest-numbered
 * empty cluster first, and of equally far rows the one that is first by its values.  Where the
 * list of far rows holds none that may be taken, the cluster stays empty, for the next step.
 */
#ifndef CLU_STEP_HARD_H
#define CLU_STEP_HARD_H

#include "assign.h"
#include "step_farthest.h"

#define CLU_MOST_TERM 1e290 /* products beyond can't be split */

/* Tables. */
typedef struct clu_step_hard
{
	clu_metric	 metric;
	double		 unit; /* a power of two; points and centres are divided by it */
	clu_frame	 frame;
	clu_assigner assigner; /* with the labels of the last block */
	double		*center;   /* k * d, divided */
	double		*scaled;   /* capacity * d */
	double		*distance; /* of the last block, divided */
	clu_change	*changes;
	double		*row;	/* d */
	int64_t		*taken; /* CLU_MOST_FARTHEST: by which cluster, or -1 */
} clu_step_hard;

/* Where they lie in a state. */
typedef struct clu_hard_sums
{
	int64_t		*ones;	 /* k: rows of weight 1 */
	clu_wide	*weight; /* k: of the others */
	clu_wide	*cost;	 /* k */
	clu_far_list far;
} clu_hard_sums;

/*
 * A part of a state: its place, and *used moved behind it.  NULL for base: only count, and what
 * overflows sticks at SIZE_MAX.
 */
void *clu_step_take(char *base, size_t *used, size_t count, size_t width);

clu_hard_sums clu_hard_sums_take(const clu_step *step, char *base, size_t *used);
void		  clu_hard_sums_clear(const clu_step *step, const clu_hard_sums *sums);
void clu_hard_sums_merge(const clu_step *step, const clu_hard_sums *to, const clu_hard_sums *from);
bool clu_hard_sums_valid(const clu_step *step, const clu_hard_sums *sums);

void clu_step_hard_layout(clu_step_hard *hard, clu_arena *arena, const clu_step *step,
						  clu_metric metric);
void clu_step_hard_prepare(clu_step_hard *hard, const clu_step *step);

/* Labels and distances of a block; returns its rows, divided by the unit. */
const double *clu_step_hard_assign(clu_step_hard *hard, const clu_step *step,
								   const clu_block *block);

/* Add row i of the last block, with its values as they are to lie in the list of far rows. */
clu_status clu_step_hard_add(const clu_step_hard *hard, const clu_step *step,
							 const clu_hard_sums *sums, size_t i, double weight, const double *x);

/* Whether rows of a cluster were seen. */
bool clu_hard_has_rows(const clu_hard_sums *sums, int c);

/* Choose hard->taken, and what is then left of a cluster's weight. */
void   clu_step_hard_fill(clu_step_hard *hard, const clu_step *step, const clu_hard_sums *sums);
clu_dd clu_step_hard_left(const clu_step_hard *hard, const clu_hard_sums *sums, int64_t c);

/* Sizes, weights and costs of the given model, and the objective. */
void clu_step_hard_figures(const clu_step_hard *hard, const clu_step *step,
						   const clu_hard_sums *sums, clu_model *result);

static inline clu_dd
clu_step_weight_of(int64_t ones, const clu_wide *others)
{
	return clu_dd_add_double(clu_wide_value(others), (double) ones);
}

#endif
