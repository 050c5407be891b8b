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
#define LEAST_CENTERS 32
#define LEAST_COORDINATES 8192 /* of all centres; with fewer, it takes more than it saves */
#define MOST_WHOLE 127
#define RAISED 128				/* added to the whole numbers of points */
#define PADDING 16				/* columns that a panel takes at once */
#define PARTS 8					/* partial sums, for the sake of vectors */
#define LEAST_LARGEST 0x1p-100f /* where none is larger, the coordinates are all loss */

static size_t
padded_columns(int d)
{
	return ((size_t) d + PADDING - 1) / PADDING * PADDING;
}

static size_t
padded_centers(int k)
{
	size_t group = (size_t) clu_kernel->filter_group;

	return ((size_t) k + group - 1) / group * group;
}

static bool
is_worth_it(int k, int d)
{
	return clu_kernel->coarse_list != NULL && k >= LEAST_CENTERS && d >= LEAST_DIMENSIONS &&
		   d <= MOST_DIMENSIONS && (double) k * d >= LEAST_COORDINATES;
}

void
clu_coarse_layout(clu_coarse *coarse, clu_arena *arena, size_t n, int k, int d)
{
	coarse->d = d;
	coarse->stride = is_worth_it(k, d) ? padded_columns(d) : 0;
	CLU_TAKE(arena, coarse->place, clu_size_product(n, coarse->stride));
	CLU_TAKE(arena, coarse->grain, coarse->stride > 0 ? n : 0);
}

void
clu_coarse_set_layout(clu_coarse_set *set, clu_arena *arena, const clu_coarse *coarse, int k)
{
	size_t centers = coarse->stride > 0 ? padded_centers(k) : 0;

	set->k = k;
	set->d = coarse->d;
	set->stride = coarse->stride;
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

/* Coordinates about the shift, padded with zeros. */
static void
center_row(const double *restrict x, const clu_frame *frame, int d, size_t padded,
		   float *restrict out)
{
	const double *restrict shift = frame->shift;
	double unit = frame->unit;

	for (int j = 0; j < d; j++)
		out[j] = (float) ((x[j] - shift[j]) * unit);
	memset(out + d, 0, (padded - (size_t) d) * sizeof(float));
}

static float
largest_of(const float *x, size_t n)
{
	float largest[PARTS] = {0}, all = 0;

	for (size_t j = 0; j < n; j += PARTS)
		for (int i = 0; i < PARTS; i++)
		{
			float size = fabsf(x[j + (size_t) i]);

			largest[i] = size > largest[i] ? size : largest[i];
		}
	for (int i = 0; i < PARTS; i++)
		all = CLU_MAX(all, largest[i]);
	return all;
}

static double
sum_parts(const double *part)
{
	return ((part[0] + part[1]) + (part[2] + part[3])) +
		   ((part[4] + part[5]) + (part[6] + part[7]));
}

static double
squared_norm(const float *x, size_t n)
{
	double sum[PARTS] = {0};

	for (size_t j = 0; j < n; j += PARTS)
		for (size_t i = 0; i < PARTS; i++)
			sum[i] += (double) x[j + i] * (double) x[j + i];
	return sum_parts(sum);
}

/* Whole numbers, raised; returns the square of what they leave. */
static double
round_row(const float *restrict x, size_t n, float scale, uint8_t *restrict out)
{
	float  inverse = 1 / scale;
	double left[PARTS] = {0};

	for (size_t j = 0; j < n; j += PARTS)
		for (size_t i = 0; i < PARTS; i++)
		{
			/* above 0, so that what is cut off rounds down */
			int	  raised = (int) (x[j + i] * inverse + (RAISED + 0.5f));
			float rest = x[j + i] - scale * (float) (raised - RAISED);

			out[j + i] = (uint8_t) raised;
			left[i] += (double) rest * (double) rest;
		}
	return sum_parts(left);
}

/*
 * A row of floats in whole numbers; their scale and loss.  A multiple of the scale that isn't 0 is at most
 * twice as large as what is rounded to it, so that what is left of x_j is off by 3 u |x_j| at most.
 */
static void
make_coarse(const float *x, size_t n, double norm, uint8_t *out, float *scale, float *loss)
{
	float  largest = largest_of(x, n);
	double length = sqrt(norm), left = length;

	*scale = largest < LEAST_LARGEST ? 0 : largest / MOST_WHOLE;
	if (*scale > 0)
		left = sqrt(round_row(x, n, *scale, out));
	else
		memset(out, RAISED, n);
	*loss = (float) (left * (1 + 1e-6) + length * 2 * FLT_EPSILON) + FLT_MIN;
}

/* ---- points ---- */

/* Look at a point. */
static void
place_point(clu_coarse *coarse, size_t point, const double *x, const clu_frame *frame,
			float *scratch)
{
	clu_grain *grain = &coarse->grain[point];
	double	   norm;

	center_row(x, frame, coarse->d, coarse->stride, scratch);
	norm = squared_norm(scratch, coarse->stride);
	make_coarse(scratch, coarse->stride, norm, coarse->place + point * coarse->stride,
				&grain->scale, &grain->loss);
	grain->norm = (float) norm;
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
			place_point(coarse, first + from, clu_row(x, width, from, coarse->d, row), frame,
						scratch);
		place[lane] = coarse->place + (first + from) * coarse->stride;
		panel->scale[lane] = grain->scale;
		panel->loss[lane] = grain->loss;
		panel->reach[lane] = (float) (sqrt(grain->norm) * (1 + 1e-6)) + grain->loss;
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
		int whole = raised[j] - RAISED;

		packed[j / 4 * 4 * group + j % 4] = (int8_t) whole;
		sum += whole;
	}
	return sum;
}

static void
pack_center(clu_coarse_set *set, size_t c, const double *center, const clu_frame *frame,
			float *scratch)
{
	size_t columns = set->stride, group = (size_t) clu_kernel->filter_group;
	size_t at = c / group * group * columns + c % group * 4;
	double norm, length;

	center_row(center, frame, set->d, columns, scratch);
	norm = squared_norm(scratch, columns);
	length = sqrt(norm) * (1 + 1e-6);
	make_coarse(scratch, columns, norm, set->row, &set->scale[c], &set->loss[c]);
	set->half_norm[c] = (float) (norm / 2);
	set->length[c] = (float) length + FLT_MIN;
	set->start[c] = -RAISED * pack_row(set->row, columns, group, set->packed + at);
	set->widest = fmax(set->widest, length);
}

/* Those that fill up the last group are infinitely far. */
void
clu_coarse_pack(clu_coarse_set *set, const double *center, const clu_frame *frame, float *scratch,
				const clu_interrupt *interrupt)
{
	size_t k = (size_t) set->k, d = (size_t) set->d, padded = padded_centers(set->k);

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
clu_coarse_error(const clu_coarse *coarse, double length, double widest)
{
	return 2 * clu_filter_error(clu_filter_gamma(coarse->d), coarse->d, length, widest);
}
