/*
 * coarse.c
 *		Points and centres in small integers; see coarse.h.
 */
#include "coarse.h"

#include <float.h>
#include <math.h>
#include <string.h>

#define LEAST_DIMENSIONS 32	  /* clu_coarse_error relies on it */
#define MOST_DIMENSIONS 65536 /* sums of products fit into 32 bits */
#define LEAST_CENTERS 13
#define LEAST_COORDINATES 2048 /* of all centres; with fewer, it takes more than it saves */
#define PADDING 16			   /* columns that a panel takes at once */
#define LEAST_LARGEST 0x1p-40f /* where none is larger, the coordinates are all loss */

static size_t
padded_columns(int d)
{
	return ((size_t) d + PADDING - 1) / PADDING * PADDING;
}

static size_t
padded_centers(int k, size_t group)
{
	return ((size_t) k + group - 1) / group * group;
}

bool
clu_coarse_pays(int k, int d)
{
	return clu_kernel->coarse_list != NULL && k >= LEAST_CENTERS && d >= LEAST_DIMENSIONS &&
		   d <= MOST_DIMENSIONS && (double) k * d >= LEAST_COORDINATES;
}

void
clu_coarse_layout(clu_coarse *coarse, clu_arena *arena, size_t n, int k, int d)
{
	coarse->d = d;
	coarse->stride = clu_coarse_pays(k, d) ? padded_columns(d) : 0;
	CLU_TAKE(arena, coarse->place, clu_size_product(n, coarse->stride));
	CLU_TAKE(arena, coarse->grain, coarse->stride > 0 ? n : 0);
}

void
clu_coarse_set_layout(clu_coarse_set *set, clu_arena *arena, int k, int d, int group)
{
	size_t centers = padded_centers(k, (size_t) group);

	set->k = k;
	set->d = d;
	set->group = (size_t) group;
	set->stride = padded_columns(d);
	CLU_TAKE(arena, set->packed, clu_size_product(centers, set->stride));
	CLU_TAKE(arena, set->start, centers);
	CLU_TAKE(arena, set->scale, centers);
	CLU_TAKE(arena, set->half_norm, centers);
	CLU_TAKE(arena, set->length, centers);
	CLU_TAKE(arena, set->loss, centers);
	CLU_TAKE(arena, set->row, set->stride);
}

void
clu_coarse_panel_layout(clu_coarse_panel *panel, clu_arena *arena, const clu_coarse *coarse)
{
	CLU_TAKE(arena, panel->place, coarse->stride * CLU_LANES);
}

void
clu_coarse_reset(clu_coarse *coarse, size_t n)
{
	for (size_t i = 0; i < n && coarse->stride > 0; i++)
		coarse->grain[i].norm = -1;
}

/* ---- to whole numbers ---- */

/*
 * The kernel's difference of x_j and a multiple of the scale is rounded once, by u |x_j| at most
 * since it's not larger, and its sum of squares of floats by (n + 2) u.  What of that underflows is
 * at most n 2^-150, and so less than u |x| of the loss, for |x| is at least LEAST_LARGEST.
 */
void
clu_coarse_row(const double *x, int d, const clu_frame *frame, float *scratch, uint8_t *place,
			   clu_grain *grain)
{
	size_t stride = padded_columns(d);
	double norm, left, more = 1 + ((double) stride + 4) * FLT_EPSILON;
	float  largest =
		clu_kernel->coarse_center(x, d, frame->shift, frame->unit, stride, scratch, &norm);

	grain->norm = (float) norm;
	grain->scale = largest < LEAST_LARGEST ? 0 : largest / CLU_COARSE_MOST;
	left = norm;
	if (grain->scale > 0)
		left = clu_kernel->coarse_round(scratch, stride, grain->scale, place);
	else
		memset(place, CLU_COARSE_RAISED, stride);
	grain->loss = (float) (sqrt(left) * more + sqrt(norm) * FLT_EPSILON) + FLT_MIN;
}

/* ---- points ---- */

float
clu_coarse_reach(const clu_grain *grain)
{
	return (float) (sqrt(grain->norm) * (1 + 1e-6)) + grain->loss;
}

void
clu_coarse_fill(clu_coarse *coarse, const void *x, int width, size_t first, const uint32_t *point,
				int n, const clu_frame *frame, double *row, float *scratch, clu_coarse_panel *panel)
{
	const uint8_t *place[CLU_LANES];

	for (int lane = 0; lane < CLU_LANES; lane++)
	{
		uint32_t		 from = point[lane < n ? lane : 0];
		const clu_grain *grain = &coarse->grain[first + from];

		if (grain->norm < 0)
			clu_coarse_row(clu_row(x, width, from, coarse->d, row), coarse->d, frame, scratch,
						   coarse->place + (first + from) * coarse->stride,
						   &coarse->grain[first + from]);
		place[lane] = coarse->place + (first + from) * coarse->stride;
		panel->scale[lane] = grain->scale;
		panel->loss[lane] = grain->loss;
		panel->reach[lane] = clu_coarse_reach(grain);
	}
	clu_kernel->coarse_panel(place, (int) (coarse->stride / 4), panel->place);
}

/* ---- centres ---- */

/* Put the whole numbers of a centre where the kernel reads them; returns their sum. */
static int32_t
pack_row(const uint8_t *raised, size_t columns, size_t group, int8_t *packed)
{
	int32_t sum = 0;

	for (size_t j = 0; j < columns; j++)
	{
		int whole = raised[j] - CLU_COARSE_RAISED;

		packed[j / 4 * 4 * group + j % 4] = (int8_t) whole;
		sum += whole;
	}
	return sum;
}

static void
pack_center(clu_coarse_set *set, size_t c, const double *center, const clu_frame *frame,
			float *scratch)
{
	size_t	  at = c / set->group * set->group * set->stride + c % set->group * 4;
	clu_grain grain;
	double	  length;

	clu_coarse_row(center, set->d, frame, scratch, set->row, &grain);
	length = clu_greatest_length(grain.norm);
	set->scale[c] = grain.scale;
	set->loss[c] = grain.loss;
	set->half_norm[c] = grain.norm / 2;
	set->length[c] = (float) length;
	set->start[c] =
		-CLU_COARSE_RAISED * pack_row(set->row, set->stride, set->group, set->packed + at);
	set->widest = fmax(set->widest, length);
}

/* Those that fill up the last group are infinitely far. */
void
clu_coarse_pack(clu_coarse_set *set, const double *center, const clu_frame *frame, float *scratch,
				const clu_interrupt *interrupt)
{
	size_t k = (size_t) set->k, d = (size_t) set->d, padded = padded_centers(set->k, set->group);

	memset(set->packed, 0, padded * set->stride);
	set->widest = 0;
	for (size_t c = 0; c < k; c++)
	{
		pack_center(set, c, center + c * d, frame, scratch);
		clu_check_row(interrupt, c, set->d);
	}
	for (size_t c = k; c < padded; c++)
	{
		set->start[c] = 0;
		set->scale[c] = set->length[c] = set->loss[c] = 0;
		set->half_norm[c] = INFINITY;
	}
	set->centers = (clu_coarse_centers) {set->packed,	 set->start,  set->scale,
										 set->half_norm, set->length, set->loss};
}

double
clu_coarse_error(int d, double length, double widest)
{
	return 2 * clu_filter_error(clu_filter_gamma(d), d, length, widest);
}
