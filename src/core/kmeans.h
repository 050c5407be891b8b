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

/* clu_verbs.improve (exchange.h) */
clu_improvement clu_kmeans_improve(clu_fit *fit, bool converged, clu_random *random);

extern const clu_task clu_price_means_task;

#endif
