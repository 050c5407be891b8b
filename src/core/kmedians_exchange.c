/*
 * kmedians_exchange.c
 *		The prices of merging and splitting clusters of K-medians.
 *
 * There is no formula for the cost of a union of clusters in L1, but there are bounds that one
 * pass over the points gives for all clusters at once.  Taking the centre of a cluster away costs
 * at most the sum of w (second - least) over its points, the distances to their second nearest and
 * their nearest centre: each point has somewhere to go.  Splitting a cluster gains at least its
 * cost less the sum of w min(|x - a|, |x - b|) over its points, for any a and b.
 *
 * Those two are found by a few iterations of 2-medians in a sample of the cluster, whose columns
 * are ranked once, as in medians.h; the gain is then taken over all of its points.
 *
 * Where the points of a cluster that is taken away would go to one that is split at the same time, the
 * bounds don't add up.  So the promise of a set of exchanges is confirmed by one more pass, before
 * it is believed.
 */
#include "kmedians.h"

#include <math.h>
#include <string.h>

#define SPLIT_ITERATIONS 5
#define MOST_RESTARTS 10
#define AFFORDABLE_WORK 2e5 /* distances of a coordinate, in all restarts' first pass */

/* ---- one pass over all points ---- */

/*
 * The sum of all points' costs at the centres; with loss and cost, per cluster what its points
 * cost, and how much more they would at their second nearest centre.
 */
static double
survey(clu_fit *fit, double *loss, double *cost)
{
	clu_hard		 *hard = fit->state;
	const clu_points *points = fit->points;
	double			  least[CLU_LANES], second[CLU_LANES], index[CLU_LANES], total = 0;
	uint32_t		  queue[CLU_LANES];

	for (size_t first = 0; first < points->n; first += CLU_LANES)
	{
		int n = (int) CLU_MIN(points->n - first, CLU_LANES);

		for (int lane = 0; lane < n; lane++)
			queue[lane] = (uint32_t) first + (uint32_t) lane;
		clu_panel_fill(hard->assigner.member[0].panel, points->x, points->width, points->d, queue,
					   n);
		clu_kernel->nearest(CLU_L1, hard->assigner.member[0].panel, points->d, fit->model.center,
							fit->model.k, least, second, index);
		for (int lane = 0; lane < n; lane++)
		{
			double w = clu_weight(points->w, queue[lane]);

			total += w * least[lane];
			if (loss == NULL)
				continue;
			loss[(int) index[lane]] += w * (second[lane] - least[lane]);
			cost[(int) index[lane]] += w * least[lane];
		}
		clu_check_row(fit->interrupt, first, CLU_MAX(points->d, fit->model.k));
	}
	return total;
}

static bool
confirm(clu_fit *fit)
{
	clu_hard *hard = fit->state;

	return survey(fit, NULL, NULL) < hard->exchange.saved_objective * (1 - 1e-9);
}

/* ---- splitting ---- */

/* A sample of a cluster, column after column. */
typedef struct splitter
{
	clu_kmedians	 *state;
	const clu_points *points;
	size_t			  n;
	double			 *half; /* 2 * d: the two centres */
	double			 *next; /* 2 * d */
	double			  weight[2];

	const clu_interrupt *interrupt;
} splitter;

/* Choose every so many members; returns the number that were taken. */
static size_t
take_sample(clu_kmedians *state, const clu_points *points, const uint32_t *member, size_t count)
{
	size_t n = CLU_MIN(count, CLU_SPLIT_SAMPLE);

	for (size_t i = 0; i < n; i++)
	{
		uint32_t	  point = member[i * count / n];
		const double *x = clu_point(points, point, state->hard.row);

		state->sample[i] = point;
		for (int j = 0; j < points->d; j++)
			state->sample_value[(size_t) j * CLU_SPLIT_SAMPLE + i] = x[j];
	}
	return n;
}

static void
rank_sample(const splitter *s)
{
	for (int j = 0; j < s->points->d; j++)
	{
		const double *value = s->state->sample_value + (size_t) j * CLU_SPLIT_SAMPLE;
		uint32_t	 *order = s->state->sample_order + (size_t) j * CLU_SPLIT_SAMPLE;

		for (size_t i = 0; i < s->n; i++)
		{
			size_t at = i;

			for (; at > 0 && value[order[at - 1]] > value[i]; at--)
				order[at] = order[at - 1];
			order[at] = (uint32_t) i;
		}
		clu_check(s->interrupt);
	}
}

/* Which of the two centres is nearer to each point of the sample. */
static void
choose_sides(splitter *s, const double *half, uint8_t *side)
{
	size_t d = (size_t) s->points->d;
	double lead[CLU_SPLIT_SAMPLE] = {0};

	for (size_t j = 0; j < d; j++)
	{
		const double *value = s->state->sample_value + j * CLU_SPLIT_SAMPLE;

		for (size_t i = 0; i < s->n; i++)
			lead[i] += fabs(value[i] - half[j]) - fabs(value[i] - half[d + j]);
		clu_check(s->interrupt);
	}
	s->weight[0] = s->weight[1] = 0;
	for (size_t i = 0; i < s->n; i++)
	{
		side[i] = lead[i] > 0;
		s->weight[side[i]] += clu_weight(s->points->w, s->state->sample[i]);
	}
}

/*
 * One iteration of 2-medians in the sample; false, with the centres as they were, where it would
 * leave one part empty.
 */
static bool
halve(splitter *s)
{
	size_t	d = (size_t) s->points->d;
	uint8_t side[CLU_SPLIT_SAMPLE];

	choose_sides(s, s->half, side);
	for (size_t j = 0; j < d; j++)
	{
		const double   *value = s->state->sample_value + j * CLU_SPLIT_SAMPLE;
		const uint32_t *order = s->state->sample_order + j * CLU_SPLIT_SAMPLE;
		double			left[2] = {s->weight[0] / 2, s->weight[1] / 2};

		for (size_t i = 0; i < s->n && (left[0] > 0 || left[1] > 0); i++)
		{
			uint8_t this_side = side[order[i]];

			if (!(left[this_side] > 0))
				continue;
			left[this_side] -= clu_weight(s->points->w, s->state->sample[order[i]]);
			if (!(left[this_side] > 0))
				s->next[this_side * d + j] = value[order[i]];
		}
		clu_check(s->interrupt);
	}
	choose_sides(s, s->next, side);
	if (!(s->weight[0] > 0 && s->weight[1] > 0))
		return false;
	memcpy(s->half, s->next, 2 * d * sizeof(double));
	return true;
}

/* What the points of a cluster cost at the nearer of two centres. */
static double
cost_at_halves(clu_fit *fit, const uint32_t *member, size_t count, const double *half)
{
	clu_hard		 *hard = fit->state;
	const clu_points *points = fit->points;
	double			 *distance = hard->seeder.distance;
	double			  total = 0;

	for (size_t i = 0; i < count; i += CLU_LANES)
	{
		int n = (int) CLU_MIN(count - i, CLU_LANES);

		clu_panel_fill(hard->assigner.member[0].panel, points->x, points->width, points->d,
					   member + i, n);
		clu_kernel->distances(CLU_L1, hard->assigner.member[0].panel, points->d, half, 2, distance);
		for (int lane = 0; lane < n; lane++)
			total += clu_weight(points->w, member[i + (size_t) lane]) *
					 fmin(distance[lane], distance[CLU_LANES + lane]);
		clu_check_row(fit->interrupt, i, points->d);
	}
	return total;
}

/* What splitting a cluster of that cost gains; its two centres are left in exchange.half. */
static double
split_gain(clu_fit *fit, int c, double cost, clu_random *random)
{
	clu_kmedians   *state = fit->state;
	clu_exchange   *exchange = &state->hard.exchange;
	const uint32_t *member = state->hard.seeder.member + exchange->first[c];
	size_t			count = exchange->first[c + 1] - exchange->first[c];
	size_t			d = (size_t) fit->model.d;
	double		   *scratch = state->hard.seeder.cost;
	splitter		s = {
			   .state = state,
			   .points = fit->points,
			   .half = exchange->half + 2 * (size_t) c * d,
			   .next = state->hard.seeder.candidate, /* there are at least two */
			   .interrupt = fit->interrupt,
	   };
	uint32_t far;

	if (count < 2)
		return 0;
	s.n = take_sample(state, fit->points, member, count);
	rank_sample(&s);
	far = clu_exchange_draw(fit, state->sample, s.n, fit->model.center + (size_t) c * d, random,
							scratch);
	memcpy(s.half, clu_point(fit->points, far, state->hard.row), d * sizeof(double));
	far = clu_exchange_draw(fit, state->sample, s.n, s.half, random, scratch);
	memcpy(s.half + d, clu_point(fit->points, far, state->hard.row), d * sizeof(double));
	for (int i = 0; i < SPLIT_ITERATIONS && halve(&s); i++)
		;
	return cost - cost_at_halves(fit, member, count, s.half);
}

/* ---- the verbs ---- */

static void
find_partners(clu_fit *fit)
{
	clu_hard *hard = fit->state;
	double	 *distance = hard->assigner.member[0].distance;
	int		  k = fit->model.k, d = fit->model.d;

	for (int a = 0; a < k; a++)
	{
		int nearest = a;

		clu_kernel->point_distances(CLU_L1, fit->model.center + (size_t) a * (size_t) d, d,
									hard->assigner.packed, (k + CLU_GROUP - 1) / CLU_GROUP,
									distance);
		for (int b = 0; b < k; b++)
			if (b != a && (nearest == a || distance[b] < distance[nearest]))
				nearest = b;
		hard->exchange.partner[a] = nearest;
		clu_check(fit->interrupt);
	}
}

static void
price(clu_fit *fit, clu_random *random)
{
	clu_hard *hard = fit->state;
	double	 *cost = hard->seeder.potential;
	size_t	  size = (size_t) fit->model.k * sizeof(double);

	memset(hard->exchange.loss, 0, size);
	memset(cost, 0, size);
	survey(fit, hard->exchange.loss, cost);
	find_partners(fit);
	for (int c = 0; c < fit->model.k; c++)
		hard->exchange.gain[c] = split_gain(fit, c, cost[c], random);
}

/* Cluster a gives its centre away; its points go where they are nearest, which b is for most. */
static void
make(clu_fit *fit, int a, int b, int split)
{
	clu_hard *hard = fit->state;
	size_t	  d = (size_t) fit->model.d;
	double	 *half = hard->exchange.half + 2 * (size_t) split * d;

	(void) b;
	memcpy(fit->model.center + (size_t) split * d, half, d * sizeof(double));
	memcpy(fit->model.center + (size_t) a * d, half + d, d * sizeof(double));
}

/*
 * Small integers and bits have many local optima, with prices that say little.  Where there is
 * little data, other starts cost little.
 */
static int
restarts(const clu_fit *fit)
{
	double work = (double) fit->points->n * fit->model.k * fit->model.d;

	return fit->model.k < 2 ? 0 : (int) fmin(MOST_RESTARTS, AFFORDABLE_WORK / work);
}

static const clu_exchange_verbs verbs = {
	.trials = CLU_MOST_TRIALS,
	.restarts = restarts,
	.price = price,
	.make = make,
	.confirm = confirm,
};

clu_improvement
clu_kmedians_improve(clu_fit *fit, bool converged, clu_random *random)
{
	return clu_exchange_improve(fit, &verbs, converged, random);
}
