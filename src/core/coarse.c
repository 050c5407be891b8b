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
	size_t centers = is_worth_it(k, d) ? padded_centers(k) : 0;

	coarse->k = k;
	coarse->d = d;
	coarse->stride = centers > 0 ? padded_columns(d) : 0;
	CLU_TAKE(arena, coarse->place, clu_size_product(n, coarse->stride));
	CLU_TAKE(arena, coarse->grain, centers > 0 ? n : 0);
	CLU_TAKE(arena, coarse->packed, clu_size_product(centers, coarse->stride));
	CLU_TAKE(arena, coarse->start, centers);
	CLU_TAKE(arena, coarse->scale, centers);
	CLU_TAKE(arena, coarse->length, centers);
	CLU_TAKE(arena, coarse->loss, centers);
	CLU_TAKE(arena, coarse->row, coarse->stride);
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

void
clu_coarse_place(clu_coarse *coarse, size_t point, const double *x, const clu_frame *frame,
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
clu_coarse_fill(const clu_coarse *coarse, size_t first, const uint32_t *point, int n,
				clu_coarse_panel *panel)
{
	const uint8_t *row[CLU_LANES];

	for (int lane = 0; lane < CLU_LANES; lane++)
	{
		size_t			 at = first + point[lane < n ? lane : 0];
		const clu_grain *grain = &coarse->grain[at];

		row[lane] = coarse->place + at * coarse->stride;
		panel->scale[lane] = grain->scale;
		panel->loss[lane] = grain->loss;
		panel->reach[lane] = (float) (sqrt(grain->norm) * (1 + 1e-6)) + grain->loss;
	}
	clu_kernel->coarse_panel(row, (int) (coarse->stride / 4), panel->place);
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
pack_center(clu_coarse *coarse, size_t c, const double *center, const clu_frame *frame,
			float *scratch)
{
	size_t columns = coarse->stride, group = (size_t) clu_kernel->filter_group;
	size_t at = c / group * group * columns + c % group * 4;
	double norm;

	center_row(center, frame, coarse->d, columns, scratch);
	norm = squared_norm(scratch, columns);
	make_coarse(scratch, columns, norm, coarse->row, &coarse->scale[c], &coarse->loss[c]);
	coarse->length[c] = (float) (sqrt(norm) * (1 + 1e-6)) + FLT_MIN;
	coarse->start[c] = -RAISED * pack_row(coarse->row, columns, group, coarse->packed + at);
}

/* Those that fill up the last group are infinitely far by their norm. */
void
clu_coarse_pack(clu_coarse *coarse, const double *center, const float *half_norm,
				const clu_frame *frame, float *scratch, const clu_interrupt *interrupt)
{
	size_t k = (size_t) coarse->k, d = (size_t) coarse->d, padded = padded_centers(coarse->k);

	memset(coarse->packed, 0, padded * coarse->stride);
	for (size_t c = 0; c < k; c++)
	{
		pack_center(coarse, c, center + c * d, frame, scratch);
		clu_check_row(interrupt, c, coarse->d);
	}
	for (size_t c = k; c < padded; c++)
	{
		coarse->start[c] = 0;
		coarse->scale[c] = coarse->length[c] = coarse->loss[c] = 0;
	}
	coarse->centers = (clu_coarse_centers) {coarse->packed, coarse->start,	coarse->scale,
											half_norm,		coarse->length, coarse->loss};
}

double
clu_coarse_error(const clu_coarse *coarse, double length, double widest)
{
	return 2 * clu_filter_error(clu_filter_gamma(coarse->d), coarse->d, length, widest);
}
