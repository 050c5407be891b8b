/*
 * coreset.h
 *		A weighted sample that stands for many points when starting centres are looked for.
 *
 * Greedy k-means++ looks at all points for each of the k centres.  Where there are far more points
 * than that needs, it looks at a sample instead, in which a point appears with a probability
 *		q(x) = w/2 (1/W + d(x, m) / sum w d(x, m)),
 * m near the mean, and with the weight that makes up for it (Bachem, Lucic and Krause, "Scalable
 * k-means clustering via lightweight coresets", KDD 2018; there d is the squared distance, here
 * it's the algorithm's own).  The trap of a plain sample, that it may miss a few points far out
 * that deserve a centre, is why half of the probability goes by distance.
 *
 * It's drawn systematically, at equal steps of the summed probability: in one pass, and evenly
 * over the canonical order.
 */
#ifndef CLU_CORESET_H
#define CLU_CORESET_H

#include "kernel.h"
#include "points.h"
#include "random.h"

typedef struct clu_coreset
{
	clu_metric metric;
	clu_points sample;
	size_t	   most; /* points in it; 0: there are too few points for one */
	double	  *panel;
} clu_coreset;

void clu_coreset_layout(clu_coreset *coreset, clu_arena *arena, clu_metric metric,
						const clu_points *points, int k);

/* The sample, or the points themselves; center is m, and distance has room for all points. */
const clu_points *clu_coreset_draw(clu_coreset *coreset, const clu_points *points,
								   const double *center, double *distance, clu_random *random,
								   const clu_interrupt *interrupt);

#endif
