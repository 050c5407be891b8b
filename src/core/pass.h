/*
 * pass.h
 *		A block of points on its way through the assignment: what assign.c and assign_narrow.c share.
 */
#ifndef CLU_PASS_H
#define CLU_PASS_H

#include <float.h>

#include "assign.h"

typedef struct clu_pass
{
	const clu_assigner *a;
	clu_assign_member  *own;
	const clu_block	   *block;
	uint32_t		   *label; /* of the block */
	float			   *reach;
	clu_change		   *changes;
	size_t				changed;

	/* points that too many centres are left of */
	uint32_t crowded[CLU_LANES];
	int		 waiting;
} clu_pass;

/* Never more than it is, as a float. */
static inline float
clu_round_down(double sum)
{
	return (float) (sum * (1 - 2 * FLT_EPSILON));
}

static inline void
clu_settle(clu_pass *p, uint32_t point, uint32_t label, float gap)
{
	p->reach[point] = gap > 0 ? clu_round_down(gap + p->a->gone[label]) : 0;
	if (p->label[point] == label)
		return;
	p->changes[p->changed++] = (clu_change) {point, p->label[point]};
	p->label[point] = label;
}

/*
 * The gap between two exact distances, as in kernel.h; where there is one centre, all there can
 * be.
 */
float clu_gap_between(const clu_assigner *a, double least, double second);

/* Settle a point by all distances, or up to 32 points by the filter. */
void clu_settle_exactly(clu_pass *p, uint32_t point);
void clu_scan_filtered(clu_pass *p, const uint32_t *queue, int n);

/*
 * Settle up to 32 points by narrowing, where that is cheaper in this pass than the filter alone.
 * Those of which too many centres are left wait until there is a panel of them, or an end.
 */
bool clu_narrowing_pays(const clu_assigner *a, const clu_narrow_member *own);
void clu_scan_narrowed(clu_pass *p, const uint32_t *queue, int n);
void clu_scan_crowded(clu_pass *p);

#endif
