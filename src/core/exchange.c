/*
 * exchange.c
 *		Which clusters to merge and to split, and what to do with an attempt; see exchange.h.
 */
#include "exchange.h"

#include <math.h>
#include <string.h>

#include "hard.h"

#define MOST_ROUNDS 50
#define CHECK_POINTS 65536 /* of light work between two checks for interrupts */
#define MOST_CLUSTERS 5000 /* all pairs are looked at; beyond, that takes too long */
#define WORTH_A_ROUND 2e-4 /* what a round must have gained for another one */
#define HOPELESS_STEPS 30  /* steps like the last one that may be missing to break even */

void
clu_exchange_layout(clu_exchange *exchange, clu_arena *arena, int k, int d)
{
	size_t clusters = (size_t) k;

	CLU_TAKE(arena, exchange->first, clusters + 1);
	CLU_TAKE(arena, exchange->gain, clusters);
	CLU_TAKE(arena, exchange->loss, clusters);
	CLU_TAKE(arena, exchange->partner, clusters);
	CLU_TAKE(arena, exchange->used, clusters);
	CLU_TAKE(arena, exchange->half, clu_size_product(2 * clusters, (size_t) d));
	CLU_TAKE(arena, exchange->uniform, 2 * clusters);
	CLU_TAKE(arena, exchange->saved, clu_size_product(clusters, (size_t) d));
	CLU_TAKE(arena, exchange->saved_size, clusters);
}

void
clu_exchange_reset(clu_exchange *exchange)
{
	exchange->rounds = exchange->restarts = 0;
	exchange->trying = exchange->attempting = false;
}

/* ---- members ---- */

/* List the points of each cluster: member[first[c] .. first[c + 1]). */
static void
list_members(clu_hard *hard, size_t n, int k, const clu_interrupt *interrupt)
{
	uint32_t *label = hard->assigner.label;
	uint32_t *member = hard->seeder.member;
	size_t	 *first = hard->exchange.first;

	memset(first, 0, ((size_t) k + 1) * sizeof(size_t));
	for (size_t i = 0; i < n; i++)
	{
		first[label[i] + 1]++;
		if (i % CHECK_POINTS == 0)
			clu_check(interrupt);
	}
	for (int c = 0; c < k; c++)
		first[c + 1] += first[c];
	for (size_t i = 0; i < n; i++)
	{
		member[first[label[i]]++] = (uint32_t) i;
		if (i % CHECK_POINTS == 0)
			clu_check(interrupt);
	}
	for (int c = k; c > 0; c--)
		first[c] = first[c - 1];
	first[0] = 0;
}

/* The random numbers of a cluster don't depend on who prices it, nor when. */
static void
draw_uniforms(clu_exchange *exchange, int k, clu_random *random)
{
	for (int c = 0; c < k; c++)
		if (exchange->first[c + 1] - exchange->first[c] > 1)
		{
			exchange->uniform[2 * c] = clu_random_uniform(random);
			exchange->uniform[2 * c + 1] = clu_random_uniform(random);
		}
}

uint32_t
clu_exchange_draw(const clu_fit *fit, int number, const uint32_t *list, size_t count,
				  const double *from, double uniform, double *scratch,
				  const clu_interrupt *interrupt)
{
	const clu_hard	 *hard = fit->state;
	const clu_points *points = fit->points;
	double			 *panel = hard->assigner.member[number].panel;
	double			 *distance = hard->seeder.own[number].distance;
	double			  total = 0, target;

	for (size_t i = 0; i < count; i += CLU_LANES)
	{
		int n = (int) CLU_MIN(count - i, CLU_LANES);

		clu_fetch_points(points, list, count, i + CLU_AHEAD, CLU_LANES);
		clu_kernel->panel(panel, points->x, points->width, points->d, list + i, n);
		clu_kernel->distances(hard->metric, panel, points->d, from, 1, distance);
		for (int lane = 0; lane < n; lane++)
		{
			scratch[i + (size_t) lane] =
				clu_weight(points->w, list[i + (size_t) lane]) * distance[lane];
			total += scratch[i + (size_t) lane];
		}
		clu_check_row(interrupt, i, points->d);
	}
	target = uniform * total;
	for (size_t i = 0; i + 1 < count; i++)
	{
		target -= scratch[i];
		if (target < 0)
			return list[i];
	}
	return list[count - 1];
}

/* ---- exchanges that gain ---- */

/* The cluster with the least loss whose pair is free, or -1. */
static int
cheapest_pair(const clu_exchange *exchange, int k)
{
	int best = -1;

	for (int c = 0; c < k; c++)
		if (!exchange->used[c] && !exchange->used[exchange->partner[c]] &&
			exchange->partner[c] != c && (best < 0 || exchange->loss[c] < exchange->loss[best]))
			best = c;
	return best;
}

/* The free cluster with the largest gain, not of the given pair, or -1. */
static int
best_split(const clu_exchange *exchange, int k, int a, int b)
{
	int best = -1;

	for (int c = 0; c < k; c++)
		if (!exchange->used[c] && c != a && c != b &&
			(best < 0 || exchange->gain[c] > exchange->gain[best]))
			best = c;
	return best;
}

static void
make(clu_fit *fit, const clu_exchange_verbs *verbs, int pair, int split)
{
	clu_exchange *exchange = &((clu_hard *) fit->state)->exchange;
	int			  partner = exchange->partner[pair];

	verbs->make(fit, pair, partner, split);
	exchange->used[pair] = exchange->used[partner] = exchange->used[split] = true;
}

/* Up to a number of exchanges that promise to gain; how many were made. */
static int
exchange_most(clu_fit *fit, const clu_exchange_verbs *verbs, int most)
{
	clu_exchange *exchange = &((clu_hard *) fit->state)->exchange;
	int			  k = fit->model.k, made = 0;

	memset(exchange->used, 0, (size_t) k * sizeof(bool));
	for (; made < most; made++)
	{
		int pair = cheapest_pair(exchange, k);
		int split = pair < 0 ? -1 : best_split(exchange, k, pair, exchange->partner[pair]);

		if (split < 0 ||
			!(exchange->gain[split] > exchange->loss[pair] * (1 + 1e-9) + 1e-12 * fit->objective))
			break;
		make(fit, verbs, pair, split);
	}
	return made;
}

static void
restore_centers(clu_fit *fit)
{
	clu_exchange *exchange = &((clu_hard *) fit->state)->exchange;
	size_t		  k = (size_t) fit->model.k;

	memcpy(fit->model.center, exchange->saved, k * (size_t) fit->model.d * sizeof(double));
}

/* All exchanges that gain for sure, or one of them; false where there is none. */
static bool
exchange_for_sure(clu_fit *fit, const clu_exchange_verbs *verbs)
{
	int made = exchange_most(fit, verbs, fit->model.k);

	if (made == 0)
		return false;
	if (verbs->confirm == NULL || verbs->confirm(fit))
		return true;
	restore_centers(fit);
	if (made > 1 && exchange_most(fit, verbs, 1) == 1 && verbs->confirm(fit))
		return true;
	restore_centers(fit);
	return false;
}

/* ---- trials ---- */

static bool
tried(const clu_exchange *exchange, int pair, int split)
{
	for (int i = 0; i < exchange->trials; i++)
		if (exchange->tried_split[i] == split &&
			(exchange->tried_pair[i] == pair || exchange->tried_pair[i] == exchange->partner[pair]))
			return true;
	return false;
}

static void
begin_attempt(clu_fit *fit)
{
	clu_hard *hard = fit->state;

	hard->last_objective = fit->objective = INFINITY;
	hard->exchange.attempting = true;
}

/*
 * From the saved optimum, make the untried exchange that promises most.  Where a split gains
 * nothing it has no halves either: nobody has set them for a cluster of one point.
 */
static clu_improvement
try_exchange(clu_fit *fit, const clu_exchange_verbs *verbs)
{
	clu_exchange *exchange = &((clu_hard *) fit->state)->exchange;
	int			  k = fit->model.k, pair = -1, split = -1;
	double		  best = -INFINITY;

	if (exchange->trials >= verbs->trials)
		return CLU_FINAL;
	for (int a = 0; a < k; a++)
	{
		clu_check(fit->interrupt);
		for (int c = 0; c < k; c++)
			if (exchange->partner[a] != a && c != a && c != exchange->partner[a] &&
				exchange->gain[c] > 0 && exchange->gain[c] - exchange->loss[a] > best &&
				!tried(exchange, a, c))
			{
				best = exchange->gain[c] - exchange->loss[a];
				pair = a;
				split = c;
			}
	}
	if (pair < 0)
		return CLU_FINAL;
	exchange->tried_pair[exchange->trials] = pair;
	exchange->tried_split[exchange->trials++] = split;
	make(fit, verbs, pair, split);
	begin_attempt(fit);
	return CLU_ATTEMPT;
}

static void
save(clu_fit *fit)
{
	clu_exchange *exchange = &((clu_hard *) fit->state)->exchange;
	size_t		  k = (size_t) fit->model.k;

	memcpy(exchange->saved, fit->model.center, k * (size_t) fit->model.d * sizeof(double));
	memcpy(exchange->saved_size, fit->model.size, k * sizeof(double));
	exchange->saved_objective = fit->objective;
	exchange->saved_iteration = fit->iteration;
	exchange->trials = 0;
	exchange->trying = true;
	exchange->attempting = false;
}

static void
restore_saved(clu_fit *fit)
{
	clu_exchange *exchange = &((clu_hard *) fit->state)->exchange;

	restore_centers(fit);
	memcpy(fit->model.size, exchange->saved_size, (size_t) fit->model.k * sizeof(double));
	fit->objective = exchange->saved_objective;
	fit->iteration = exchange->saved_iteration;
	fit->converged = true;
	exchange->attempting = false;
}

/*
 * An attempt that is so far above the optimum that it began from, and gets nearer so slowly, won't
 * come below.  The decrease from step to step only ever gets smaller, or nearly so.
 */
bool
clu_exchange_hopeless(const clu_fit *fit)
{
	const clu_hard	   *hard = fit->state;
	const clu_exchange *exchange = &hard->exchange;
	double				decrease = hard->last_objective - fit->objective;

	return exchange->attempting && hard->last_objective < INFINITY &&
		   fit->objective - exchange->saved_objective > HOPELESS_STEPS * decrease;
}

/* A run from other starting centres, where the data are few enough to afford one. */
static clu_improvement
try_start(clu_fit *fit, const clu_exchange_verbs *verbs, clu_random *random)
{
	clu_hard *hard = fit->state;

	if (hard->exchange.restarts >= verbs->restarts(fit))
		return CLU_FINAL;
	hard->exchange.restarts++;
	clu_hard_start(fit, random);
	begin_attempt(fit);
	return CLU_ATTEMPT;
}

/* Whether there is no use in looking at the prices again. */
static bool
exhausted(const clu_fit *fit)
{
	const clu_hard	   *hard = fit->state;
	const clu_exchange *exchange = &hard->exchange;

	return fit->model.k < 3 || exchange->rounds >= MOST_ROUNDS ||
		   (exchange->trying && fit->objective > exchange->saved_objective * (1 - WORTH_A_ROUND));
}

clu_improvement
clu_exchange_improve(clu_fit *fit, const clu_exchange_verbs *verbs, bool converged,
					 clu_random *random)
{
	clu_hard	   *hard = fit->state;
	clu_exchange   *exchange = &hard->exchange;
	clu_improvement improvement;

	if (fit->model.k > MOST_CLUSTERS || fit->objective == 0)
		return CLU_FINAL;
	if (exchange->trying && !(converged && fit->objective < exchange->saved_objective * (1 - 1e-9)))
		restore_saved(fit);
	else if (exhausted(fit))
	{
		save(fit);
		exchange->trials = verbs->trials;
	}
	else
	{
		exchange->rounds++;
		list_members(hard, fit->points->n, fit->model.k, fit->interrupt);
		draw_uniforms(exchange, fit->model.k, random);
		verbs->price(fit);
		save(fit);
		if (exchange_for_sure(fit, verbs))
		{
			hard->last_objective = INFINITY; /* the next step has none before it to compare with */
			return CLU_BETTER;
		}
	}
	improvement = try_exchange(fit, verbs);
	return improvement == CLU_FINAL ? try_start(fit, verbs, random) : improvement;
}
