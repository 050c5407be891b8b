/*
 * kmeans.h
 *		What the parts of K-means share.
 */
#ifndef CLU_KMEANS_H
#define CLU_KMEANS_H

#include "hard.h"
#include "sums.h"

typedef struct clu_kmeans
{
	clu_hard hard;
	clu_sums
		*sums; /* of every member: the changes that it made; the first one's are of all points */

	/* of a cluster's points, as it was refitted last */
	clu_dd *explained; /* what the mean takes off the objective */
	bool	stale;	   /* centres have been changed otherwise since */
} clu_kmeans;

/*
 * K-means as a part of another fit, which goes on from the clusters found: with default options,
 * of as many clusters and by the same team.  After a run the centres are in the units in which
 * the points came.
 */
void clu_kmeans_within_layout(clu_fit *kmeans, clu_arena *arena, const clu_fit *fit,
							  const clu_points *points);
void clu_kmeans_within_run(clu_fit *kmeans, int64_t seed);

/* clu_verbs.improve (exchange.h) */
clu_improvement clu_kmeans_improve(clu_fit *fit, bool converged, clu_random *random);

extern const clu_task clu_price_means_task;

#endif
