/*
 * axes.c
 *		Axes along which points differ most; see axes.h.
 */
#include "axes.h"

#include <float.h>
#include <math.h>

#include "kernel.h"
#include "random.h"

#define LEAST_DIMENSIONS 64
#define LEAST_CENTERS 64
#define MOST_AXES 96
#define MOST_SAMPLE 2048 /* points */
#define POWER_STEPS 2

/*
 * Of points to look for axes in: a step of the power method takes some 16 times longer for each
 * term than the filter, and is to be a small part of a pass.
 */
static size_t
sample_size(size_t n, int k, int m)
{
	double affordable = (double) n * k / m / 64;

	return affordable < MOST_SAMPLE ? (size_t) affordable : CLU_MIN(n, (size_t) MOST_SAMPLE);
}

static int
count_axes(size_t n, int k, int d)
{
	int m = CLU_MAX(CLU_MIN(d / 8, MOST_AXES), 8);

	if (k < LEAST_CENTERS || d < LEAST_DIMENSIONS || sample_size(n, k, m) < 4 * (size_t) m)
		return 0;
	return m;
}

size_t
clu_axes_scratch(const clu_axes *axes)
{
	return clu_filter_padded(axes->most) * CLU_LANES;
}

void
clu_axes_layout(clu_axes *axes, clu_arena *arena, size_t n, int k, int d)
{
	size_t most = (size_t) count_axes(n, k, d);

	axes->m = 0;
	axes->most = (int) most;
	axes->d = d;
	axes->sample = most > 0 ? sample_size(n, k, (int) most) : 0;
	CLU_TAKE(arena, axes->axis, most * (size_t) d);
	CLU_TAKE(arena, axes->next, most * (size_t) d);
	CLU_TAKE(arena, axes->packed, clu_filter_padded(axes->most) * (size_t) d);
	CLU_TAKE(arena, axes->nothing, clu_filter_padded(axes->most));
	CLU_TAKE(arena, axes->origin, most + 1);
	CLU_TAKE(arena, axes->place, most > 0 ? clu_size_product(n, most + 1) : 0);
	CLU_TAKE(arena, axes->norm, most > 0 ? n : 0);
}

/* ---- finding them ---- */

static double
product(const double *a, const double *b, int d)
{
	double sum[4] = {0, 0, 0, 0}; /* in step, not one after the other */
	int	   j = 0;

	for (; j + 4 <= d; j += 4)
		for (int i = 0; i < 4; i++)
			sum[i] += a[j + i] * b[j + i];
	for (; j < d; j++)
		sum[0] += a[j] * b[j];
	return (sum[0] + sum[1]) + (sum[2] + sum[3]);
}

static void
subtract(double *a, const double *b, double times, int d)
{
	for (int j = 0; j < d; j++)
		a[j] -= times * b[j];
}

/* Make the axes orthonormal, one after the other; those that hardly differ from others go. */
static void
orthonormalise(clu_axes *axes, int count, const clu_interrupt *interrupt)
{
	int d = axes->d;

	axes->m = 0;
	for (int i = 0; i < count; i++)
	{
		double *from = axes->axis + (size_t) i * (size_t) d;
		double *axis = axes->axis + (size_t) axes->m * (size_t) d;
		double	before = sqrt(product(from, from, d)), length;

		if (!(before > 0) || !isfinite(before))
			continue;
		for (int j = 0; j < d; j++)
			axis[j] = from[j] / before;
		for (int repeat = 0; repeat < 2; repeat++)
			for (int other = 0; other < axes->m; other++)
			{
				const double *done = axes->axis + (size_t) other * (size_t) d;

				subtract(axis, done, product(axis, done, d), d);
			}
		length = sqrt(product(axis, axis, d));
		if (length < 1e-4)
			continue;
		for (int j = 0; j < d; j++)
			axis[j] /= length;
		axes->m++;
		clu_check(interrupt);
	}
}

/* The axes with their signs turned, since the filter subtracts products; as floats. */
static void
pack(clu_axes *axes)
{
	int	   group = clu_kernel->filter_group, d = axes->d;
	float *packed = axes->packed;

	for (int first = 0; first < axes->m; first += group, packed += (size_t) group * (size_t) d)
		for (int j = 0; j < d; j++)
			for (int i = 0; i < group; i++)
				packed[j * group + i] =
					first + i < axes->m
						? -(float) axes->axis[(size_t) (first + i) * (size_t) d + (size_t) j]
						: 0.0f;
	for (size_t i = 0; i < clu_filter_padded(axes->m); i++)
		axes->nothing[i] = 0;
	for (int i = 0; i <= axes->m; i++)
		axes->origin[i] = 0;
}

/* Round the axes to floats, and see how far they are from orthonormal then. */
static void
measure_slack(clu_axes *axes, const clu_interrupt *interrupt)
{
	int	   d = axes->d;
	double u = FLT_EPSILON / 2, gamma = (d + 8) * u / (1 - (d + 8) * u), squares = 0;

	for (size_t i = 0; i < (size_t) axes->m * (size_t) d; i++)
		axes->axis[i] = (float) axes->axis[i];
	for (int a = 0; a < axes->m; a++, clu_check(interrupt))
		for (int b = 0; b <= a; b++)
		{
			double off = product(axes->axis + (size_t) a * (size_t) d,
								 axes->axis + (size_t) b * (size_t) d, d) -
						 (a == b);

			squares += off * off * (a == b ? 1 : 2);
		}
	axes->slack = (gamma * sqrt(axes->m) + sqrt(squares)) * 1.02;
}

/* Add the points of a panel, times their products with the axes, to the next axes. */
static void
add_panel(clu_axes *axes, const float *panel, const float *along)
{
	int	  m = axes->m;
	float turned[MOST_AXES];

	for (int lane = 0; lane < CLU_LANES; lane++)
	{
		for (int i = 0; i < m; i++)
			turned[i] = along[i * CLU_LANES + lane];
		for (int j = 0; j < axes->d; j++)
		{
			float  x = panel[j * CLU_LANES + lane];
			float *to = axes->next + (size_t) j * (size_t) m;

			for (int i = 0; i < m; i++)
				to[i] += x * turned[i];
		}
	}
}

/* One step of the power method, over points that lie evenly in their order. */
static void
step(clu_axes *axes, const clu_points *points, size_t sample, const double *shift, double unit,
	 float *panel, float *along, const clu_interrupt *interrupt)
{
	int m = axes->m, d = axes->d;

	pack(axes);
	memset(axes->next, 0, (size_t) m * (size_t) d * sizeof(float));
	for (size_t first = 0; first + CLU_LANES <= sample; first += CLU_LANES)
	{
		uint32_t point[CLU_LANES];
		float	 norm[CLU_LANES];

		for (size_t lane = 0; lane < CLU_LANES; lane++)
			point[lane] =
				(uint32_t) ((double) (first + lane) / (double) sample * (double) points->n);
		clu_kernel->filter_panel(points->x, points->width, d, point, CLU_LANES, shift, unit, panel,
								 norm);
		clu_kernel->scores(panel, d, axes->packed, axes->nothing, clu_filter_groups(m), along);
		add_panel(axes, panel, along);
		clu_check(interrupt);
	}
	for (int i = 0; i < m; i++)
		for (int j = 0; j < d; j++)
			axes->axis[(size_t) i * (size_t) d + (size_t) j] =
				axes->next[(size_t) j * (size_t) m + (size_t) i];
	orthonormalise(axes, m, interrupt);
}

/* Anything will do to begin with. */
static void
begin(clu_axes *axes)
{
	clu_random random = clu_random_start(0, 0);

	for (size_t i = 0; i < (size_t) axes->most * (size_t) axes->d; i++)
		axes->axis[i] = clu_random_uniform(&random) - 0.5;
	axes->m = axes->most;
}

void
clu_axes_find(clu_axes *axes, const clu_points *points, const double *shift, double unit,
			  float *panel, float *scratch, const clu_interrupt *interrupt)
{
	if (axes->most == 0)
		return;
	begin(axes);
	for (int i = 0; i < POWER_STEPS; i++)
		step(axes, points, axes->sample, shift, unit, panel, scratch, interrupt);
	measure_slack(axes, interrupt);
	pack(axes);
	for (size_t i = 0; i < points->n; i++)
		axes->norm[i] = -1;
}

/* ---- places ---- */

/*
 * From the coordinates, and the squared norm without much of an error, the length of what is left.
 * The coordinates may be off by slack times the norm: as much as that is left, too.
 */
static float
rest_of(const clu_axes *axes, const float *place, double norm)
{
	double along = 0, sure, rest;

	for (int i = 0; i < axes->m; i++)
		along += (double) place[i] * (double) place[i];
	sure = sqrt(along) - axes->slack * sqrt(norm);
	rest = norm * (1 + 4 * FLT_EPSILON) - (sure > 0 ? sure * sure : 0);
	return (float) (sqrt(rest > 0 ? rest : 0) * (1 + FLT_EPSILON)) + FLT_MIN;
}

void
clu_axes_place(const clu_axes *axes, const float *panel, const uint32_t *point, int n,
			   float *scratch, float *place, float *norm)
{
	double squares[CLU_LANES] = {0};

	clu_kernel->scores(panel, axes->d, axes->packed, axes->nothing, clu_filter_groups(axes->m),
					   scratch);
	for (int j = 0; j < axes->d; j++)
		for (int lane = 0; lane < CLU_LANES; lane++)
		{
			double x = panel[j * CLU_LANES + lane];

			squares[lane] += x * x;
		}
	for (int lane = 0; lane < n; lane++)
	{
		float *to = place + (size_t) point[lane] * (size_t) (axes->m + 1);

		for (int i = 0; i < axes->m; i++)
			to[i] = scratch[i * CLU_LANES + lane];
		to[axes->m] = rest_of(axes, to, squares[lane]);
		norm[point[lane]] = (float) squares[lane];
	}
}

double
clu_axes_error(const clu_axes *axes, double length, double widest)
{
	int	   terms = axes->m + 8;
	double u = FLT_EPSILON / 2, gamma = terms * u / (1 - terms * u) * 1.01;
	double slack = axes->slack, both = length * widest;
	double rounding = (axes->d + 4) * DBL_EPSILON;

	return (2 * slack + slack * slack) * both +
		   gamma * (widest * widest / 2 + both * (1 + 4 * slack)) +
		   rounding * (length + widest) * (length + widest) + axes->d * 0x1p-140;
}
