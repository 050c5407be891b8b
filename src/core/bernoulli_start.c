/*
 * bernoulli_start.c
 *		Starts of Bernoulli mixtures.
 *
 * The likelihood has many local maxima, and which of them EM climbs is decided in its first steps.
 * So a start is chosen among many candidates that each get a few steps only ("emEM": Biernacki,
 * Celeux and Govaert, CSDA 41, 2003), in rounds: the better ones get more.  All of it happens on
 * a sample where there are many points, so that a start costs little beside the iterations on all
 * points that follow it.
 *
 * A candidate is k rows, chosen as by k-means++ with the Hamming distance (greedily: of a few rows
 * drawn with a probability proportional to weight and distance, the one that lowers the sum of
 * distances most), and made into thetas half-way between the row and the mean of the sample.
 * Such a theta is 0 or 1 only where the whole column is, so no point is forbidden; and different
 * rows give different thetas, so EM isn't started on a saddle, where it would stay.
 *
 * The candidates climb with smoothing.  Without it a component whose rows happen to agree in a
 * column gets a theta of 0 or nearly so within a few steps, and then no row that differs there
 * can come to it any more, however well it fits otherwise: on images that ends in far worse maxima
 * than those that candidates with smoothing find.  The run on all points that follows is without.
 *
 * With init "random" the rows are drawn by weight alone, and there is one candidate: that is what
 * the literature calls a random start.
 */
#include "bernoulli.h"

#include <math.h>
#include <string.h>

#include "elementary.h"

#define SAMPLE_POINTS 8192	   /* at least, and */
#define SAMPLE_PER_CLUSTER 100 /* for each cluster */

#define CANDIDATES 24
#define FIRST_STEPS 8	/* iterations that every candidate gets */
#define SECOND_STEPS 20 /* and those that are kept, */
#define THIRD_STEPS 60	/* and the best of these */
#define THIRD_CANDIDATES 2

#define START_SMOOTHING 0.003 /* of a component of average size */

static size_t
sample_size(const clu_fit *fit)
{
	size_t wanted = CLU_MAX((size_t) SAMPLE_POINTS,
							clu_size_product(SAMPLE_PER_CLUSTER, (size_t) fit->model.k));

	return CLU_MIN(wanted, fit->points->n);
}

static bool
needs_sample(const clu_fit *fit)
{
	return sample_size(fit) < fit->points->n;
}

void
clu_bernoulli_start_layout(clu_bernoulli *state, clu_arena *arena, const clu_fit *fit)
{
	size_t	  n = sample_size(fit), k = (size_t) fit->model.k, d = (size_t) fit->model.d;
	bool	  sampled = needs_sample(fit);
	uint64_t *x;

	CLU_TAKE(arena, x, sampled ? clu_size_product(n, clu_words(fit->model.d)) : 0);
	state->sample.x = x;
	CLU_TAKE(arena, state->sample.w, sampled ? n : 0);
	CLU_TAKE(arena, state->distance, n);
	CLU_TAKE(arena, state->trial, n);
	CLU_TAKE(arena, state->nearest, n);
	CLU_TAKE(arena, state->chosen, k);
	CLU_TAKE(arena, state->mean, d);
	CLU_TAKE(arena, state->kept, clu_size_product(CLU_BERNOULLI_KEPT + 1, k * (d + 1)));
	CLU_TAKE(arena, state->kept_objective, CLU_BERNOULLI_KEPT);
}

/* ---- the sample ---- */

/* Copy point i of the fit, standing for so many draws. */
static void
take_point(clu_fit *fit, size_t i, double draws)
{
	clu_points *sample = &((clu_bernoulli *) fit->state)->sample;
	size_t		words = clu_words(fit->points->d);

	memcpy((uint64_t *) sample->x + sample->n * words,
		   (const uint64_t *) fit->points->x + i * words, words * sizeof(uint64_t));
	sample->w[sample->n++] = draws;
	sample->total_weight += draws;
}

/*
 * Systematic sampling: as many marks as the sample has room for, evenly spaced over the weights of
 * the points in their order; a point is taken for the marks that fall on it.  As the order is
 * that of the values, so the sample is evenly spread over them.  Points without a mark fill the
 * room that heavy points left, or there might be fewer than k.
 */
static void
draw_sample(clu_fit *fit, size_t size)
{
	const clu_points *points = fit->points;
	double			  step = points->total_weight / (double) size, sum = 0, marks = 0;
	size_t			  fill = 0;

	for (int pass = 0; pass < 2; pass++)
		for (size_t i = 0; i < points->n; i++)
		{
			double before = marks, draws;

			if (i == 0)
				sum = marks = before = 0;
			sum += clu_weight(points->w, i);
			marks = floor(sum / step + 0.5);
			draws = marks - before;
			if (pass == 0)
				fill += draws > 0;
			else if (draws > 0 || fill < size)
			{
				fill += !(draws > 0);
				take_point(fit, i, draws > 0 ? draws : 1);
			}
			if (i % 4096 == 0)
				clu_check(fit->interrupt);
		}
}

void
clu_bernoulli_draw_sample(clu_fit *fit)
{
	clu_bernoulli *state = fit->state;

	if (!needs_sample(fit))
	{
		state->sample = *fit->points;
		return;
	}
	state->sample.d = fit->points->d;
	state->sample.width = CLU_PACKED;
	state->sample.n = 0;
	state->sample.total_weight = 0;
	draw_sample(fit, sample_size(fit));
}

static void
measure_mean(clu_bernoulli *state)
{
	const clu_points *sample = &state->sample;
	size_t			  words = clu_words(sample->d);

	memset(state->mean, 0, (size_t) sample->d * sizeof(double));
	for (size_t i = 0; i < sample->n; i++)
	{
		const uint64_t *x = (const uint64_t *) sample->x + i * words;
		double			w = clu_weight(sample->w, i);

		for (int j = 0; j < sample->d; j++)
			state->mean[j] += clu_bit(x, j) ? w : 0;
	}
	for (int j = 0; j < sample->d; j++)
		state->mean[j] /= sample->total_weight;
}

/* ---- choosing rows ---- */

static const uint64_t *
sample_row(const clu_bernoulli *state, uint32_t i)
{
	return (const uint64_t *) state->sample.x + i * clu_words(state->sample.d);
}

/*
 * A point with a probability proportional to weight, or with distances to weight times distance;
 * one at distance 0 only where all are.
 */
static uint32_t
draw(const clu_bernoulli *state, const uint32_t *distance, clu_random *random)
{
	const clu_points *sample = &state->sample;
	double			  total = 0, target;
	uint32_t		  last = 0;

	for (size_t i = 0; i < sample->n; i++)
		total += clu_weight(sample->w, i) * (distance == NULL ? 1 : distance[i]);
	target = clu_random_uniform(random) * total;
	for (size_t i = 0; i < sample->n; i++)
	{
		double share = clu_weight(sample->w, i) * (distance == NULL ? 1 : distance[i]);

		if (!(share > 0))
			continue;
		last = (uint32_t) i;
		target -= share;
		if (target < 0)
			break;
	}
	return last;
}

/* The sum of distances if the row were chosen too; the distances go to trial. */
static double
cost_with(clu_bernoulli *state, uint32_t row)
{
	const clu_points *sample = &state->sample;
	double			  cost = 0;

	clu_kernel->hamming(sample->x, clu_words(sample->d), sample->n, sample_row(state, row),
						state->trial);
	for (size_t i = 0; i < sample->n; i++)
	{
		state->trial[i] = CLU_MIN(state->trial[i], state->distance[i]);
		cost += clu_weight(sample->w, i) * state->trial[i];
	}
	return cost;
}

static void
choose_next(clu_bernoulli *state, int found, clu_random *random)
{
	int	   tries = found == 0 ? 1 : 2 + (int) clu_log(state->bits.k);
	double least = INFINITY;

	for (int i = 0; i < tries; i++)
	{
		uint32_t row = draw(state, found == 0 ? NULL : state->distance, random);
		double	 cost = cost_with(state, row);

		if (cost < least)
		{
			uint32_t *swap = state->nearest;

			least = cost;
			state->chosen[found] = row;
			state->nearest = state->trial;
			state->trial = swap;
		}
	}
	memcpy(state->distance, state->nearest, state->sample.n * sizeof(uint32_t));
}

static void
choose_rows(clu_fit *fit, clu_random *random)
{
	clu_bernoulli *state = fit->state;

	for (size_t i = 0; i < state->sample.n; i++)
		state->distance[i] = (uint32_t) fit->model.d + 1;
	for (int c = 0; c < fit->model.k; c++)
	{
		choose_next(state, c, random);
		clu_check(fit->interrupt);
	}
}

/* k different points, each drawn by weight. */
static void
choose_random_rows(clu_fit *fit, clu_random *random)
{
	clu_bernoulli *state = fit->state;

	for (size_t i = 0; i < state->sample.n; i++)
		state->distance[i] = 1;
	for (int c = 0; c < fit->model.k; c++)
	{
		state->chosen[c] = draw(state, state->distance, random);
		state->distance[state->chosen[c]] = 0;
		clu_check(fit->interrupt);
	}
}

static void
set_thetas(clu_fit *fit)
{
	clu_bernoulli *state = fit->state;

	for (int c = 0; c < fit->model.k; c++)
	{
		const uint64_t *row = sample_row(state, state->chosen[c]);
		double		   *theta = fit->model.center + (size_t) c * (size_t) fit->model.d;

		fit->model.weight[c] = 1.0 / fit->model.k;
		for (int j = 0; j < fit->model.d; j++)
			theta[j] = 0.5 * clu_bit(row, j) + 0.5 * state->mean[j];
	}
}

/* ---- candidates ---- */

/* A kept candidate: weights and thetas. */
static double *
kept(const clu_fit *fit, int i)
{
	const clu_bernoulli *state = fit->state;

	return state->kept + (size_t) i * (size_t) fit->model.k * ((size_t) fit->model.d + 1);
}

static void
store(const clu_fit *fit, double *to)
{
	size_t k = (size_t) fit->model.k;

	memcpy(to, fit->model.weight, k * sizeof(double));
	memcpy(to + k, fit->model.center, k * (size_t) fit->model.d * sizeof(double));
}

static void
load(clu_fit *fit, const double *from)
{
	size_t k = (size_t) fit->model.k;

	memcpy(fit->model.weight, from, k * sizeof(double));
	memcpy(fit->model.center, from + k, k * (size_t) fit->model.d * sizeof(double));
}

/*
 * The pseudo-count of the candidates: a point of mean weight, but no more than a small part of a
 * component, or components would melt into one.
 */
static double
start_smoothing(const clu_bernoulli *state)
{
	double n = (double) state->sample.n;

	return state->sample.total_weight * fmin(1 / n, START_SMOOTHING / state->bits.k);
}

/* So many iterations on the sample, or until they don't help any more. */
static double
climb(clu_fit *fit, int steps)
{
	clu_bernoulli *state = fit->state;
	double		   objective = INFINITY;

	state->on_sample = *fit;
	state->on_sample.points = &state->sample;
	for (int i = 0; i < steps; i++)
	{
		double before = objective;

		objective = clu_bernoulli_iterate(&state->on_sample);
		if (before - objective < 1e-6 * state->sample.total_weight)
			break;
	}
	return objective;
}

/* Put the parameters at hand among the kept ones, best first; returns how many there are. */
static int
keep(clu_fit *fit, double objective, int count)
{
	clu_bernoulli *state = fit->state;
	size_t		   size = (size_t) fit->model.k * ((size_t) fit->model.d + 1) * sizeof(double);
	int			   at = count;

	while (at > 0 && objective < state->kept_objective[at - 1])
		at--;
	if (at == CLU_BERNOULLI_KEPT)
		return count;
	count = CLU_MIN(count + 1, CLU_BERNOULLI_KEPT);
	memmove(state->kept_objective + at + 1, state->kept_objective + at,
			(size_t) (count - 1 - at) * sizeof(double));
	memmove(kept(fit, at + 1), kept(fit, at), (size_t) (count - 1 - at) * size);
	state->kept_objective[at] = objective;
	store(fit, kept(fit, at));
	return count;
}

/* More steps for the first count of the kept; the best of them comes first. */
static void
go_on(clu_fit *fit, int count, int steps)
{
	int sorted = 0;

	for (int i = 0; i < count; i++)
	{
		/* the places up to this one are those of candidates that have gone on already */
		load(fit, kept(fit, i));
		sorted = keep(fit, climb(fit, steps), sorted);
	}
}

void
clu_bernoulli_start(clu_fit *fit, clu_random *random)
{
	clu_bernoulli *state = fit->state;
	bool		   plain = clu_option_integer(&fit->model.options, CLU_INIT) == CLU_INIT_RANDOM;
	double		   smoothing = state->smoothing;
	int			   count = 0;

	measure_mean(state);
	if (plain)
		choose_random_rows(fit, random);
	else
		choose_rows(fit, random);
	set_thetas(fit);
	if (plain || fit->model.k == 1)
		return;
	state->smoothing = fmax(state->smoothing, start_smoothing(state));
	count = keep(fit, climb(fit, FIRST_STEPS), count);
	for (int i = 1; i < CANDIDATES; i++)
	{
		choose_rows(fit, random);
		set_thetas(fit);
		count = keep(fit, climb(fit, FIRST_STEPS), count);
	}
	go_on(fit, count, SECOND_STEPS);
	go_on(fit, CLU_MIN(count, THIRD_CANDIDATES), THIRD_STEPS);
	load(fit, kept(fit, 0));
	state->smoothing = smoothing;
}
