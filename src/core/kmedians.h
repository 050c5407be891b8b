/*
 * kmedians.h
 *		What the parts of K-medians share.
 */
#ifndef CLU_KMEDIANS_H
#define CLU_KMEDIANS_H

#include "hard.h"
#include "medians.h"

#define CLU_SPLIT_SAMPLE 256

typedef struct clu_kmedians
{
	clu_hard	hard;
	clu_medians medians;

	/* some points of a cluster that is to be split: values and order column after column */
	uint32_t *sample;
	double	 *sample_value;
	uint32_t *sample_order;
} clu_kmedians;

/* clu_verbs.improve (exchange.h) */
clu_improvement clu_kmedians_improve(clu_fit *fit, bool converged, clu_random *random);

#endif
