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
 * Where the points of a cluster that is taken away would go to one that is split at the same time,
 * the bounds don't add up.  So the promise of a set of exchanges is confirmed by one more pass,
 * before it is believed.
 */
#include "kmedians.h"

#include <math.h>
#include <string.h>

#define SPLIT_ITERATIONS 5
#define MOST_RESTARTS 10
#define AFFORDABLE_WORK 2e5 /* distances of a coordinate, in all restarts' first pass */

/* ---- one pass over all points ---- */

static void
clear_survey(clu_survey *survey, int k)
{
	survey->total = 0;
	memset(survey->loss, 0, (size_t) k * sizeof(double));
	memset(survey->cost, 0, (size_t) k * sizeof(double));
}

static void
survey_block(const clu_fit *fit, const clu_block *block, int member, const clu_interrupt *interrupt)
{
	const clu_kmedians *state = fit->state;
	clu_survey		   *survey = &state->member[member].survey;
	double			   *panel = state->hard.assigner.member[member].panel;
	double				least[CLU_LANES], second[CLU_LANES], index[CLU_LANES];
	double				total = survey->total;

	for (size_t first = 0; first < block->n; first += CLU_LANES)
	{
		int n = (int) CLU_MIN(block->n - first, CLU_LANES);

		clu_panel_from(panel, block->x, block->width, block->d, first, n);
		clu_kernel->nearest(CLU_L1, panel, block->d, fit->model.center, fit->model.k, least, second,
							index);
		for (int lane = 0; lane < n; lane++)
		{
			double w = clu_weight(block->w, first + (size_t) lane);

			total += w * least[lane];
			survey->loss[(int) index[lane]] += w * (second[lane] - least[lane]);
			survey->cost[(int) index[lane]] += w * least[lane];
		}
		clu_check_row(interrupt, first, CLU_MAX(block->d, fit->model.k));
	}
	survey->total = total;
}

static void
survey_share(void *work, size_t item, int member, const clu_interrupt *interrupt)
{
	const clu_fit	   *fit = work;
	const clu_kmedians *state = fit->state;
	size_t				block, end;

	clear_survey(&state->member[member].survey, fit->model.k);
	for (clu_points_share(fit->points, item, &block, &end); block < end; block++)
	{
		clu_block at = clu_points_block(fit->points, block);

		survey_block(fit, &at, member, interrupt);
	}
}

static void
collect_survey(void *work, size_t item, int member)
{
	const clu_fit	 *fit = work;
	clu_kmedians	 *state = fit->state;
	const clu_survey *own = &state->member[member].survey;

	(void) item;
	state->survey.total += own->total;
	for (int c = 0; c < fit->model.k; c++)
	{
		state->survey.loss[c] += own->loss[c];
		state->survey.cost[c] += own->cost[c];
	}
}

const clu_task clu_survey_task = {survey_share, collect_survey};

/*
 * What all points cost at the centres, and how much more those of each cluster would at their
 * second nearest centre.
 */
static void
survey(clu_fit *fit)
{
	clu_kmedians *state = fit->state;

	clear_survey(&state->survey, fit->model.k);
	clu_team_run(fit->team, CLU_JOB_SURVEY, fit, clu_points_shares(fit->points), fit->interrupt);
}

static bool
confirm(clu_fit *fit)
{
	const clu_kmedians *state = fit->state;

	survey(fit);
	return state->survey.total < state->hard.exchange.saved_objective * (1 - 1e-9);
}

/* ---- splitting ---- */

/* A sample of a cluster, column after column. */
typedef struct splitter
{
	const clu_kmedians_member *own;
	const clu_points		  *points;
	size_t					   n;
	double					  *half; /* 2 * d: the two centres */
	double					   weight[2];
	const clu_interrupt		  *interrupt;
} splitter;

/* Choose every so many of the points. */
static void
take_sample(splitter *s, const uint32_t *list, size_t count, double *row)
{
	s->n = CLU_MIN(count, CLU_SPLIT_SAMPLE);
	for (size_t i = 0; i < s->n; i++)
	{
		uint32_t	  point = list[i * count / s->n];
		const double *x = clu_point(s->points, point, row);

		s->own->sample[i] = point;
		for (int j = 0; j < s->points->d; j++)
			s->own->sample_value[(size_t) j * CLU_SPLIT_SAMPLE + i] = x[j];
	}
}

static void
rank_sample(const splitter *s)
{
	for (int j = 0; j < s->points->d; j++)
	{
		const double *value = s->own->sample_value + (size_t) j * CLU_SPLIT_SAMPLE;
		uint32_t	 *order = s->own->sample_order + (size_t) j * CLU_SPLIT_SAMPLE;

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
		const double *value = s->own->sample_value + j * CLU_SPLIT_SAMPLE;

		for (size_t i = 0; i < s->n; i++)
			lead[i] += fabs(value[i] - half[j]) - fabs(value[i] - half[d + j]);
		clu_check(s->interrupt);
	}
	s->weight[0] = s->weight[1] = 0;
	for (size_t i = 0; i < s->n; i++)
	{
		side[i] = lead[i] > 0;
		s->weight[side[i]] += clu_weight(s->points->w, s->own->sample[i]);
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
		const double   *value = s->own->sample_value + j * CLU_SPLIT_SAMPLE;
		const uint32_t *order = s->own->sample_order + j * CLU_SPLIT_SAMPLE;
		double			left[2] = {s->weight[0] / 2, s->weight[1] / 2};

		for (size_t i = 0; i < s->n && (left[0] > 0 || left[1] > 0); i++)
		{
			uint8_t this_side = side[order[i]];

			if (!(left[this_side] > 0))
				continue;
			left[this_side] -= clu_weight(s->points->w, s->own->sample[order[i]]);
			if (!(left[this_side] > 0))
				s->own->next[this_side * d + j] = value[order[i]];
		}
		clu_check(s->interrupt);
	}
	choose_sides(s, s->own->next, side);
	if (!(s->weight[0] > 0 && s->weight[1] > 0))
		return false;
	memcpy(s->half, s->own->next, 2 * d * sizeof(double));
	return true;
}

/* What the points of a list cost at the nearer of two centres. */
static double
cost_at_halves(const clu_fit *fit, int member, const uint32_t *list, size_t count,
			   const double *half, const clu_interrupt *interrupt)
{
	const clu_hard	 *hard = fit->state;
	const clu_points *points = fit->points;
	double			 *panel = hard->assigner.member[member].panel;
	double			 *distance = hard->seeder.own[member].distance;
	double			  total = 0;

	for (size_t i = 0; i < count; i += CLU_LANES)
	{
		int n = (int) CLU_MIN(count - i, CLU_LANES);

		clu_fetch_points(points, list, count, i + CLU_AHEAD, CLU_LANES);
		clu_kernel->panel(panel, points->x, points->width, points->d, list + i, n);
		clu_kernel->distances(CLU_L1, panel, points->d, half, 2, distance);
		for (int lane = 0; lane < n; lane++)
			total += clu_weight(points->w, list[i + (size_t) lane]) *
					 fmin(distance[lane], distance[CLU_LANES + lane]);
		clu_check_row(interrupt, i, points->d);
	}
	return total;
}

/* What splitting a cluster gains; its two centres are left in exchange.half. */
static double
split_gain(const clu_fit *fit, int c, int member, const clu_interrupt *interrupt)
{
	const clu_kmedians *state = fit->state;
	const clu_exchange *exchange = &state->hard.exchange;
	const uint32_t	   *list = state->hard.seeder.member + exchange->first[c];
	size_t				count = exchange->first[c + 1] - exchange->first[c];
	size_t				d = (size_t) fit->model.d;
	const double	   *from = fit->model.center + (size_t) c * d;
	double			   *scratch = state->hard.seeder.cost + exchange->first[c];
	double			   *row = state->hard.member[member].row;
	splitter			s = {
				   .own = &state->member[member],
				   .points = fit->points,
				   .half = exchange->half + 2 * (size_t) c * d,
				   .interrupt = interrupt,
	   };

	if (count < 2)
		return 0;
	take_sample(&s, list, count, row);
	rank_sample(&s);
	for (size_t side = 0; side < 2; side++)
	{
		uint32_t far =
			clu_exchange_draw(fit, member, s.own->sample, s.n, from,
							  exchange->uniform[2 * (size_t) c + side], scratch, interrupt);

		memcpy(s.half + side * d, clu_point(fit->points, far, row), d * sizeof(double));
		from = s.half;
	}
	for (int i = 0; i < SPLIT_ITERATIONS && halve(&s); i++)
		;
	return state->survey.cost[c] - cost_at_halves(fit, member, list, count, s.half, interrupt);
}

/* ---- the verbs ---- */

/* The nearest other centre; what its points cost more without their own is in the survey. */
static void
find_partner(const clu_fit *fit, int a, int member)
{
	clu_hard *hard = fit->state;
	double	 *distance = hard->assigner.member[member].distance;
	int		  k = fit->model.k, d = fit->model.d, nearest = a;

	clu_kernel->point_distances(CLU_L1, fit->model.center + (size_t) a * (size_t) d, d,
								hard->assigner.packed, (k + CLU_GROUP - 1) / CLU_GROUP, distance);
	for (int b = 0; b < k; b++)
		if (b != a && (nearest == a || distance[b] < distance[nearest]))
			nearest = b;
	hard->exchange.partner[a] = nearest;
}

static void
price_cluster(void *work, size_t item, int member, const clu_interrupt *interrupt)
{
	const clu_fit *fit = work;
	clu_kmedians  *state = fit->state;

	find_partner(fit, (int) item, member);
	state->hard.exchange.loss[item] = state->survey.loss[item];
	state->hard.exchange.gain[item] = split_gain(fit, (int) item, member, interrupt);
}

const clu_task clu_price_medians_task = {price_cluster, NULL};

static void
price(clu_fit *fit)
{
	survey(fit);
	clu_team_run(fit->team, CLU_JOB_PRICE_MEDIANS, fit, (size_t) fit->model.k, fit->interrupt);
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
