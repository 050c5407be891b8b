/*
 * collapse.h
 *		Rows on their way to points: what points.c and measure.c share.
 */
#ifndef CLU_COLLAPSE_H
#define CLU_COLLAPSE_H

#include "order.h"
#include "points.h"

/* What a member of the team found out about a share of the rows. */
typedef struct clu_measured
{
	double *least, *low, *high; /* of each column */

	/* of the weights */
	double	largest, smallest;
	double	rough; /* their sum, or nearly so */
	bool	whole;
	int64_t hi, lo; /* their exact sum */
} clu_measured;

/* Rows on their way to points. */
struct clu_collapse
{
	clu_rows	  rows;
	clu_order	  order;
	clu_points	  points;
	bool		  copied;			   /* values are, from the rows to the points */
	double		  scale;			   /* of the sum of the weights */
	size_t		  to[CLU_MOST_SHARES]; /* the first point of each share of the sorted rows */
	clu_measured  all;
	clu_measured *member; /* of the team */
};

/*
 * Find out about the columns and the weights, and choose units: scale, total weight and ranges of
 * the points.
 */
clu_status clu_measure_rows(struct clu_collapse *c, clu_team *team, const clu_interrupt *interrupt,
							clu_error *error);

#endif
