/*
 * frame.h
 *		Where the data lie: what filter and gaps measure distances in.
 */
#ifndef CLU_FRAME_H
#define CLU_FRAME_H

#include "dd.h"
#include "kernel.h"
#include "points.h"

/* What a member of the team found out about its share of the points. */
typedef struct clu_frame_member
{
	double *sum; /* d: of the points */
	double	largest;
	double	hi[CLU_SIDE_BY_SIDE], lo[CLU_SIDE_BY_SIDE]; /* the spread of as many shares */
	double *panel;
} clu_frame_member;

/* What is known of the data that all passes share. */
typedef struct clu_frame
{
	double *shift;	/* d: near the middle of the data, taken away before the filter */
	double	unit;	/* power of two that brings centred data below 1 */
	double	radius; /* largest distance of a point from the shift */
	clu_dd	spread; /* sum of weight * squared distance from the shift */

	/* to measure it */
	const clu_points *points;
	double			  largest; /* squared distance of a point from the shift */
	clu_frame_member *member;  /* one for every member of the team */
} clu_frame;

/* Without members a frame can't be measured. */
void clu_frame_layout(clu_frame *frame, clu_arena *arena, int d, int members);
void clu_frame_measure(clu_frame *frame, const clu_points *points, clu_team *team,
					   const clu_interrupt *interrupt);

extern const clu_task clu_find_shift_task;
extern const clu_task clu_find_spread_task;

#endif
