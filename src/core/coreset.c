/*
 * coreset.c
 *		A sample that stands for many points; see coreset.h.
 */
#include "coreset.h"

#include <math.h>

#define LEAST_SAMPLE 50000 /* points */
#define FOR_A_CENTER 200   /* points for each centre */
#define WORTH_IT 4		   /* times more points than the sample has */

static size_t
sample_size(const clu_points *points, int k)
{
	size_t size = CLU_MAX((size_t) LEAST_SAMPLE, clu_size_product((size_t) k, FOR_A_CENTER));

	return size <= points->n / WORTH_IT ? size : 0;
}

void
clu_coreset_layout(clu_coreset *coreset, clu_arena *arena, clu_metric metric,
				   const clu_points *points, int k)
{
	size_t size = sample_size(points, k);
	char  *x;

	coreset->metric = metric;
	coreset->most = size;
	coreset->sample = *points;
	CLU_TAKE(arena, x, clu_size_product(size, clu_row_size(points->d, points->width)));
	coreset->sample.x = x;
	CLU_TAKE(arena, coreset->sample.w, size);
	CLU_TAKE(arena, coreset->panel, size > 0 ? (size_t) points->d * CLU_LANES : 0);
}

/* All distances from the centre; returns the sum of weight * distance. */
static double
measure(const clu_coreset *coreset, const clu_points *points, const double *center,
		double *distance, const clu_interrupt *interrupt)
{
	double sum = 0;

	for (size_t first = 0; first < points->n; first += CLU_LANES)
	{
		double out[CLU_LANES];
		int	   n = (int) CLU_MIN(points->n - first, CLU_LANES);

		clu_panel_from(coreset->panel, points->x, points->width, points->d, first, n);
		clu_kernel->distances(coreset->metric, coreset->panel, points->d, center, 1, out);
		for (int lane = 0; lane < n; lane++)
		{
			distance[first + (size_t) lane] = out[lane];
			sum += clu_weight(points->w, first + (size_t) lane) * out[lane];
		}
		clu_check_row(interrupt, first, points->d);
	}
	return sum;
}

const clu_points *
clu_coreset_draw(clu_coreset *coreset, const clu_points *points, const double *center,
				 double *distance, clu_random *random, const clu_interrupt *interrupt)
{
	clu_points *sample = &coreset->sample;
	size_t		row = clu_row_size(points->d, points->width);
	double		most = (double) coreset->most, sum, reached = 0, next;

	if (coreset->most == 0)
		return points;
	sum = measure(coreset, points, center, distance, interrupt);
	next = clu_random_uniform(random);
	sample->n = 0;
	for (size_t i = 0; i < points->n && sample->n < coreset->most; i++)
	{
		/* how often the point is expected, for a weight of 1, and with its weight */
		double often = most / 2 * (1 / points->total_weight + (sum > 0 ? distance[i] / sum : 0));
		double times = 0;

		for (reached += clu_weight(points->w, i) * often; next < reached; next++)
			times++;
		if (times > 0)
		{
			memcpy((char *) sample->x + sample->n * row, (const char *) points->x + i * row, row);
			sample->w[sample->n++] = times / often;
		}
		clu_check_row(interrupt, i, 1);
	}
	sample->total_weight = points->total_weight;
	return sample;
}
