/*
 * axes.h
 *		A few directions along which points differ most: what most centres are ruled out by.
 *
 * With many dimensions a distance is dear, and hardly any of them is needed.  Let a and t be a
 * point's coordinates along m orthonormal axes and the length of what is left of it, both about
 * the shift of the frame.  By Cauchy and Schwarz
 *		x.c <= a(x).a(c) + t(x) t(c),
 * so that |c|^2/2 - a(x).a(c) - t(x) t(c) is not above the score |c|^2/2 - x.c of the filter
 * (assign.h): the same kernel, in m + 1 dimensions instead of d.  A centre whose bound lies above
 * the score of another is not the nearest.  Where the points have structure, clusters or a decaying
 * spectrum, one or two centres are left of hundreds (compare Gao and Long, "High-dimensional
 * approximate nearest neighbor search", SIGMOD 2023, where the bound is a statistical one; here
 * it's proven).
 *
 * Any axes will do for that; good ones are principal components, which are found in a sample by
 * a few steps of the power method for subspaces.  Nothing of a result depends on them.
 *
 * Axes V and coordinates are floats.  The columns of V are within delta = |V'V - I| of
 * orthonormal ones, and a coordinate within gamma |x| of what it should be (gamma as in assign.h),
 * so that all coordinates together are within slack |x|, slack = gamma sqrt(m) + delta, of those
 * along some orthonormal axes.
 */
#ifndef CLU_AXES_H
#define CLU_AXES_H

#include "points.h"

typedef struct clu_axes
{
	int	   m;	 /* number of axes; 0: none */
	int	   most; /* that there is memory for */
	int	   d;
	double slack; /* see above */

	double *axis;	 /* most * d */
	float  *next;	 /* d * most: in a step of the power method */
	size_t	sample;	 /* points to look at for it */
	float  *packed;	 /* as the filter reads centres */
	float  *nothing; /* as many zeros as there are axes, padded */
	double *origin;	 /* zeros: of the places */

	/* of the points */
	float *place; /* n * (most + 1): coordinates, and not less than the length of what is left */
	float *norm;  /* n: squared; negative where the place isn't known yet */
} clu_axes;

/* Without memory for axes (most is 0) where they would not be worth their while. */
void clu_axes_layout(clu_axes *axes, clu_arena *arena, size_t n, int k, int d);

/*
 * Find axes for the points, about the shift and in the unit of a frame.  panel is scratch for one
 * of the filter.
 */
void clu_axes_find(clu_axes *axes, const clu_points *points, const double *shift, double unit,
				   float *panel, float *scratch, const clu_interrupt *interrupt);

/*
 * The places of up to 32 points: of the filter's panel, in lanes, to the rows of place; with their
 * squared norms.  scratch: 32 * the axes, padded to a multiple of the filter's group.
 */
void clu_axes_place(const clu_axes *axes, const float *panel, const uint32_t *point, int n,
					float *scratch, float *place, float *norm);

/* Floats of scratch for clu_axes_place. */
size_t clu_axes_scratch(const clu_axes *axes);

/* What the bound of a score may be wrong by, for a point of that length. */
double clu_axes_error(const clu_axes *axes, double length, double widest);

#endif
