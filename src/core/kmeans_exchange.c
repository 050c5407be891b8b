/*
 * kmeans_exchange.c
 *		The prices of merging and splitting clusters of K-means.
 *
 * Both are known exactly.  Uniting the clusters a and b adds
 *		W_a W_b / (W_a + W_b) |c_a - c_b|^2
 * to the objective (Ward, J. Am. Stat. Assoc. 58, 1963), and splitting a cluster into two parts
 * takes off the same expression of the parts.  The parts are found by a few iterations of
 * 2-means among the points of the cluster.  Exchanges that touch different clusters add up, so
 * that those which promise to gain do gain.
 */
#include "kmeans.h"

#include <math.h>
#include <string.h>

#define SPLIT_ITERATIONS 6

/* ---- splitting ---- */

typedef struct splitter
{
	clu_hard		 *hard;
	const clu_points *points;
	const uint32_t	 *member;
	size_t			  count;
	double			 *half; /* 2 * d: the two centres */
	double			 *sum;	/* 2 * d */
	double			  weight[2];
} splitter;

static uint32_t
draw(const splitter *s, clu_fit *fit, const double *from, clu_random *random)
{
	return clu_exchange_draw(fit, s->member, s->count, from, random, s->hard->seeder.cost);
}

/* One iteration of 2-means among the members. */
static void
halve(splitter *s, const clu_interrupt *interrupt)
{
	clu_hard *hard = s->hard;
	size_t	  d = (size_t) s->points->d;

	memset(s->sum, 0, 2 * d * sizeof(double));
	s->weight[0] = s->weight[1] = 0;
	for (size_t i = 0; i < s->count; i += CLU_LANES)
	{
		int n = (int) CLU_MIN(s->count - i, CLU_LANES);

		clu_panel_fill(hard->assigner.member[0].panel, s->points->x, s->points->width, (int) d,
					   s->member + i, n);
		clu_kernel->distances(CLU_SQUARED, hard->assigner.member[0].panel, (int) d, s->half, 2,
							  hard->seeder.distance);
		for (int lane = 0; lane < n; lane++)
		{
			const double *x = clu_point(s->points, s->member[i + (size_t) lane], hard->row);
			double		  w = clu_weight(s->points->w, s->member[i + (size_t) lane]);
			int		side = hard->seeder.distance[CLU_LANES + lane] < hard->seeder.distance[lane];
			double *sum = s->sum + (size_t) side * d;

			for (size_t j = 0; j < d; j++)
				sum[j] += w * x[j];
			s->weight[side] += w;
		}
		clu_check_row(interrupt, i, (int) d);
	}
	for (int side = 0; side < 2; side++)
		for (size_t j = 0; j < d && s->weight[side] > 0; j++)
			s->half[(size_t) side * d + j] = s->sum[(size_t) side * d + j] / s->weight[side];
}

/* What splitting a cluster gains; the two centres are left in hard->exchange.half. */
static double
split_gain(clu_fit *fit, int c, clu_random *random)
{
	clu_hard *hard = fit->state;
	size_t	  d = (size_t) fit->model.d;
	splitter  s = {
		 .hard = hard,
		 .points = fit->points,
		 .member = hard->seeder.member + hard->exchange.first[c],
		 .count = hard->exchange.first[c + 1] - hard->exchange.first[c],
		 .half = hard->exchange.half + 2 * (size_t) c * d,
		 .sum = hard->seeder.candidate, /* there are at least two */
	 };

	if (s.count < 2)
		return 0;
	memcpy(s.half,
		   clu_point(fit->points, draw(&s, fit, fit->model.center + (size_t) c * d, random),
					 hard->row),
		   d * sizeof(double));
	memcpy(s.half + d, clu_point(fit->points, draw(&s, fit, s.half, random), hard->row),
		   d * sizeof(double));
	for (int i = 0; i < SPLIT_ITERATIONS; i++)
		halve(&s, fit->interrupt);
	if (s.weight[0] == 0 || s.weight[1] == 0)
		return 0;
	return s.weight[0] * s.weight[1] / (s.weight[0] + s.weight[1]) *
		   clu_distance(CLU_SQUARED, s.half, s.half + d, (int) d);
}

/* ---- merging ---- */

/* For every cluster the partner that it costs least to be merged with. */
static void
find_partners(clu_fit *fit)
{
	clu_hard	 *hard = fit->state;
	const double *size = fit->model.size;
	int			  k = fit->model.k, d = fit->model.d;

	for (int a = 0; a < k; a++)
	{
		hard->exchange.loss[a] = INFINITY;
		hard->exchange.partner[a] = a;
		clu_kernel->point_distances(CLU_SQUARED, fit->model.center + (size_t) a * (size_t) d, d,
									hard->assigner.packed, (k + CLU_GROUP - 1) / CLU_GROUP,
									hard->assigner.member[0].distance);
		for (int b = 0; b < k; b++)
		{
			double loss =
				size[a] * size[b] / (size[a] + size[b]) * hard->assigner.member[0].distance[b];

			if (b != a && loss < hard->exchange.loss[a])
			{
				hard->exchange.loss[a] = loss;
				hard->exchange.partner[a] = b;
			}
		}
		clu_check(fit->interrupt);
	}
}

static void
price(clu_fit *fit, clu_random *random)
{
	clu_hard *hard = fit->state;

	find_partners(fit);
	for (int c = 0; c < fit->model.k; c++)
		hard->exchange.gain[c] = split_gain(fit, c, random);
}

static void
make(clu_fit *fit, int a, int b, int split)
{
	clu_hard *hard = fit->state;
	size_t	  d = (size_t) fit->model.d;
	double	 *ca = fit->model.center + (size_t) a * d;
	double	 *cb = fit->model.center + (size_t) b * d;
	double	 *cs = fit->model.center + (size_t) split * d;
	double	  wa = fit->model.size[a], wb = fit->model.size[b];

	for (size_t j = 0; j < d; j++)
		ca[j] += (cb[j] - ca[j]) * (wb / (wa + wb));
	memcpy(cs, hard->exchange.half + 2 * (size_t) split * d, d * sizeof(double));
	memcpy(cb, hard->exchange.half + (2 * (size_t) split + 1) * d, d * sizeof(double));
}

static int
restarts(const clu_fit *fit)
{
	(void) fit;
	return 0;
}

static const clu_exchange_verbs verbs = {
	.trials = 5, .restarts = restarts, .price = price, .make = make};

clu_improvement
clu_kmeans_improve(clu_fit *fit, bool converged, clu_random *random)
{
	return clu_exchange_improve(fit, &verbs, converged, random);
}
