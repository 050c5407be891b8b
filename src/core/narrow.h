/*
 * narrow.h
 *		Leaving few of many centres: bounds of scores that are cheaper than scores.
 *
 * With many dimensions a distance is dear, and hardly any of them is needed.  A centre can't be the
 * nearest where a bound that its score is not below lies above the score of another: of the centre
 * that the point had before, say.  Such bounds come of small integers (coarse.h) where the CPU has
 * fast products of them, and else of a few axes (axes.h).  For the centres that are left, distances
 * are computed in double precision; where too many are, the filter looks at all of them.
 */
#ifndef CLU_NARROW_H
#define CLU_NARROW_H

#include <float.h>
#include <math.h>

#include "axes.h"
#include "coarse.h"

#define CLU_MOST_LISTED 64 /* centres that may be left of a point */

typedef struct clu_narrow
{
	clu_coarse	   coarse;
	clu_coarse_set set;
	clu_axes	   axes;
	float		  *places; /* of the centres along the axes, as the filter reads them */
} clu_narrow;

/* What somebody who assigns points needs for it. */
typedef struct clu_narrow_member
{
	/* of one pass, to see whether it pays */
	size_t narrowed; /* points that were looked at so */
	size_t listed;	 /* centres that were left of them */
	size_t crowded;	 /* points of which too many were left */

	/* scratch for one panel */
	clu_coarse_panel coarse;
	float			*place_panel;
	float			*along;
	uint32_t		*list;
} clu_narrow_member;

/* Without memory where neither would be worth its while. */
void clu_narrow_layout(clu_narrow *narrow, clu_arena *arena, size_t n, int k, int d);
void clu_narrow_member_layout(const clu_narrow *narrow, clu_narrow_member *member,
							  clu_arena *arena);

/* Whether it's possible, once clu_narrow_begin has been called. */
bool clu_narrow_ready(const clu_narrow *narrow);

/* Look at the points of a fit, about the frame.  panel is scratch for one of the filter. */
void clu_narrow_begin(clu_narrow *narrow, clu_narrow_member *member, const clu_points *points,
					  const clu_frame *frame, float *panel, const clu_interrupt *interrupt);

/* Tables for new centres.  panel is scratch for one of the filter. */
void clu_narrow_pack(clu_narrow *narrow, clu_narrow_member *member, const double *center, int k,
					 const clu_frame *frame, float *panel, const clu_interrupt *interrupt);

/* Whether bounds come of small integers. */
static inline bool
clu_is_coarse(const clu_narrow *narrow)
{
	return narrow->coarse.stride > 0;
}

/*
 * Above which bound a centre isn't nearer to a point than that squared distance.  norm is the
 * point's, squared, in units of the frame, and not more than it is; error is what the bound may be
 * wrong by.
 */
static inline float
clu_bound_limit(double distance, double unit, double norm, double error)
{
	double score = (distance * unit * unit * (1 + 1e-9) - norm) / 2 + error;

	return (float) (score + fabs(score) * 0x1p-22) + FLT_MIN;
}

#endif
