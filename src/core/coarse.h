/*
 * coarse.h
 *		Points and centres in small integers: what most centres are ruled out by.
 *
 * Many CPUs multiply and add bytes four times as fast as floats.  About the shift of the frame and
 * in its unit, let a point be x = s q + e: q are whole numbers of at most 127, s is a scale of its
 * own, and e is what rounding leaves; and a centre c = s' q' + e'.  Then
 *		x.c = s s' q.q' + e.c + s q.e',
 * and by Cauchy and Schwarz
 *		|c|^2/2 - s s' q.q' - |e| |c| - (|x| + |e|) |e'|
 * is not above the score |c|^2/2 - x.c of the filter (assign.h).  A centre whose bound lies above
 * the score of another is not the nearest.  One or two centres are left of hundreds, whatever the
 * points are like: that |e| is small, half a percent of |x|, takes no structure.
 *
 * q.q' is exact.  The bound's own rounding, of eight operations with floats on terms that together
 * are at most 7 (|c|^2/2 + |x| |c|) since |e| <= |x| and |e'| <= |c|, is less than twice the error
 * that the filter is allowed (clu_filter_error) from 32 dimensions on, which covers that of the
 * centred coordinates as well.
 *
 * The kernels multiply unsigned bytes by signed ones: to the whole numbers of points 128 is added,
 * and what that adds to a sum of products is taken off at its start.
 */
#ifndef CLU_COARSE_H
#define CLU_COARSE_H

#include "frame.h"
#include "kernel.h"

/* What is known of a point beside its whole numbers. */
typedef struct clu_grain
{
	float scale;
	float loss; /* |e|, not less than it is */
	float norm; /* |x|^2; negative where the point hasn't been looked at yet */
} clu_grain;

/* Points. */
typedef struct clu_coarse
{
	int		   d;
	size_t	   stride; /* bytes of a point, padded; 0: not worth its while */
	uint8_t	  *place;
	clu_grain *grain;
} clu_coarse;

/* Centres. */
typedef struct clu_coarse_set
{
	int				   k;
	int				   d;
	size_t			   group; /* centres that lie together */
	size_t			   stride;
	clu_coarse_centers centers; /* what the kernels read */
	double			   widest;	/* the greatest of their lengths, or a little more */

	/* the memory behind it */
	int8_t	*packed;
	int32_t *start;
	float	*scale, *half_norm, *length, *loss;
	uint8_t *row; /* one of them, on its way */
} clu_coarse_set;

/* Without memory where it would not be worth its while, or where the kernels can't. */
void clu_coarse_layout(clu_coarse *coarse, clu_arena *arena, size_t n, int k, int d);

/* Whether bounds are worth their while. */
bool clu_coarse_pays(int k, int d);

/* For so many centres, in groups of such a size. */
void clu_coarse_set_layout(clu_coarse_set *set, clu_arena *arena, int k, int d, int group);
void clu_coarse_panel_layout(clu_coarse_panel *panel, clu_arena *arena, const clu_coarse *coarse);

/* Forget the points. */
void clu_coarse_reset(clu_coarse *coarse, size_t n);

/* Look at new centres.  scratch: a point's bytes as floats. */
void clu_coarse_pack(clu_coarse_set *set, const double *center, const clu_frame *frame,
					 float *scratch, const clu_interrupt *interrupt);

/*
 * Up to 32 of the points that begin at x, whose numbers are first and on, as a panel; missing lanes
 * repeat the first.  Those that are seen for the first time are looked at.  row: d doubles.
 */
void clu_coarse_fill(clu_coarse *coarse, const void *x, int width, size_t first,
					 const uint32_t *point, int n, const clu_frame *frame, double *row,
					 float *scratch, clu_coarse_panel *panel);

/*
 * The whole numbers of a point or centre: padded to a multiple of 16, and raised as those of
 * points.  scratch is as long.
 */
void clu_coarse_row(const double *x, int d, const clu_frame *frame, float *scratch, uint8_t *place,
					clu_grain *grain);

/* How far it may reach in the bounds: |x| + |e|. */
float clu_coarse_reach(const clu_grain *grain);

/* What a bound may be wrong by, for a point of that length. */
double clu_coarse_error(int d, double length, double widest);

#endif
