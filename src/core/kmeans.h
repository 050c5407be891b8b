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
	clu_hard  hard;
	clu_sums  sums;	  /* of all points, once they are finished; and the first member's */
	clu_sums *others; /* changes that the other members have made in a pass */
} clu_kmeans;

/* clu_verbs.improve (exchange.h) */
clu_improvement clu_kmeans_improve(clu_fit *fit, bool converged, clu_random *random);

extern const clu_task clu_price_means_task;

#endif
