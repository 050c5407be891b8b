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
#define MOST_RESTARTS 5

/* Distances of a coordinate in all restarts' first pass: of two clusters, which have no exchanges, */
#define AFFORDABLE_OF_TWO 1e4
/* and of more, which takes less than what there is to do for a fit besides. */
#define AFFORDABLE_WORK 500

/* ---- splitting ---- */

typedef struct splitter
{
	const clu_points *points;
	const uint32_t	 *list; /* the points of the cluster */
	size_t			  count;
	double			 *half; /* 2 * d: the two centres */
	double			 *sum;	/* 2 * d */
	double			  weight[2];

	/* scratch of the member of the team */
	double *panel;
	double *distance; /* to either centre, of a panel */
	double *row;
} splitter;

/* One iteration of 2-means among the points. */
static void
halve(splitter *s, const clu_interrupt *interrupt)
{
	size_t d = (size_t) s->points->d;

	memset(s->sum, 0, 2 * d * sizeof(double));
	s->weight[0] = s->weight[1] = 0;
	for (size_t i = 0; i < s->count; i += CLU_LANES)
	{
		int n = (int) CLU_MIN(s->count - i, CLU_LANES);

		clu_fetch_points(s->points, s->list, s->count, i + CLU_AHEAD, CLU_LANES);
		clu_kernel->panel(s->panel, s->points->x, s->points->width, (int) d, s->list + i, n);
		clu_kernel->distances(CLU_SQUARED, s->panel, (int) d, s->half, 2, s->distance);
		for (int lane = 0; lane < n; lane++)
		{
			const double *x = clu_point(s->points, s->list[i + (size_t) lane], s->row);
			double		  w = clu_weight(s->points->w, s->list[i + (size_t) lane]);
			int			  side = s->distance[CLU_LANES + lane] < s->distance[lane];
			double		 *sum = s->sum + (size_t) side * d;

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
split_gain(const clu_fit *fit, int c, int member, const clu_interrupt *interrupt)
{
	const clu_hard	   *hard = fit->state;
	const clu_exchange *exchange = &hard->exchange;
	const double	   *uniform = exchange->uniform + 2 * c;
	const double	   *from = fit->model.center + (size_t) c * (size_t) fit->model.d;
	double			   *scratch = hard->seeder.cost + exchange->first[c];
	size_t				d = (size_t) fit->model.d;
	splitter			s = {
				   .points = fit->points,
				   .list = hard->seeder.member + exchange->first[c],
				   .count = exchange->first[c + 1] - exchange->first[c],
				   .half = exchange->half + 2 * (size_t) c * d,
				   .sum = hard->seeder.own[member].active, /* there is room for two or more */
				   .panel = hard->assigner.member[member].panel,
				   .distance = hard->seeder.own[member].distance,
				   .row = hard->member[member].row,
	   };

	if (s.count < 2)
		return 0;
	for (int side = 0; side < 2; side++)
	{
		uint32_t far = clu_exchange_draw(fit, member, s.list, s.count, from, uniform[side], scratch,
										 interrupt);

		memcpy(s.half + (size_t) side * d, clu_point(fit->points, far, s.row), d * sizeof(double));
		from = s.half;
	}
	for (int i = 0; i < SPLIT_ITERATIONS; i++)
		halve(&s, interrupt);
	if (s.weight[0] == 0 || s.weight[1] == 0)
		return 0;
	return s.weight[0] * s.weight[1] / (s.weight[0] + s.weight[1]) *
		   clu_distance(CLU_SQUARED, s.half, s.half + d, (int) d);
}

/* ---- merging ---- */

/* The partner that it costs a cluster least to be merged with. */
static void
find_partner(const clu_fit *fit, int a, int member)
{
	clu_hard	 *hard = fit->state;
	const double *size = fit->model.size;
	double		 *distance = hard->assigner.member[member].distance;
	int			  k = fit->model.k, d = fit->model.d;

	hard->exchange.loss[a] = INFINITY;
	hard->exchange.partner[a] = a;
	clu_kernel->point_distances(CLU_SQUARED, fit->model.center + (size_t) a * (size_t) d, d,
								hard->assigner.packed, (k + CLU_GROUP - 1) / CLU_GROUP, distance);
	for (int b = 0; b < k; b++)
	{
		double loss = size[a] * size[b] / (size[a] + size[b]) * distance[b];

		if (b != a && loss < hard->exchange.loss[a])
		{
			hard->exchange.loss[a] = loss;
			hard->exchange.partner[a] = b;
		}
	}
}

/* ---- the verbs ---- */

static void
price_cluster(void *work, size_t item, int member, const clu_interrupt *interrupt)
{
	const clu_fit *fit = work;
	clu_hard	  *hard = fit->state;

	find_partner(fit, (int) item, member);
	hard->exchange.gain[item] = split_gain(fit, (int) item, member, interrupt);
}

const clu_task clu_price_means_task = {price_cluster, NULL};

static void
price(clu_fit *fit)
{
	clu_team_run(fit->team, CLU_JOB_PRICE_MEANS, fit, (size_t) fit->model.k, fit->interrupt);
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
	double affordable = fit->model.k == 2 ? AFFORDABLE_OF_TWO : AFFORDABLE_WORK;
	double work = (double) fit->points->n * fit->model.k * fit->model.d;

	return fit->model.k < 2 ? 0 : (int) fmin(MOST_RESTARTS, affordable / work);
}

static const clu_exchange_verbs verbs = {
	.trials = 5, .restarts = restarts, .price = price, .make = make};

clu_improvement
clu_kmeans_improve(clu_fit *fit, bool converged, clu_random *random)
{
	return clu_exchange_improve(fit, &verbs, converged, random);
}
