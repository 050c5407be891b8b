/*
 * kmedians.h
 *		What the parts of K-medians share.
 */
#ifndef CLU_KMEDIANS_H
#define CLU_KMEDIANS_H

#include "hard.h"
#include "medians.h"

#define CLU_SPLIT_SAMPLE 256

/* What points cost. */
typedef struct clu_survey
{
	double	total;
	double *loss; /* per cluster: how much more its points would, without its centre */
	double *cost; /* per cluster */
} clu_survey;

/* What a member of the team needs for itself. */
typedef struct clu_kmedians_member
{
	clu_survey survey; /* of a share of the points */

	/* some points of a cluster that is to be split: values and order column after column */
	uint32_t *sample;
	double	 *sample_value;
	uint32_t *sample_order;
	double	 *next; /* 2 * d */
} clu_kmedians_member;

typedef struct clu_kmedians
{
	clu_hard			 hard;
	clu_medians			 medians;
	clu_survey			 survey; /* of all points */
	clu_kmedians_member *member; /* one for every member of the team */
} clu_kmedians;

/* clu_verbs.improve (exchange.h) */
clu_improvement clu_kmedians_improve(clu_fit *fit, bool converged, clu_random *random);

extern const clu_task clu_survey_task;
extern const clu_task clu_price_medians_task;

#endif
