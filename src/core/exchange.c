/*
 * exchange.c
 *		Leaving a local optimum of K-means: merge two clusters here, split one there.
 *
 * Lloyd's iteration can't carry a centre across a gap.  Where the starts put two centres into one
 * natural cluster and one centre into two, it stays so.  Both sides of such a mistake have a
 * price that is known exactly.  Uniting the clusters a and b adds
 *		W_a W_b / (W_a + W_b) |c_a - c_b|^2
 * to the objective (Ward, J. Am. Stat. Assoc. 58, 1963), and splitting a cluster into two parts
 * takes off the same expression of the parts.  The parts are found by a few iterations of
 * 2-means among the points of the cluster.  Where a split gains more than a merger of two other
 * clusters costs, doing both lowers the objective, for sure and at once; Lloyd's iteration goes on
 * from there and lowers it further.  Several such exchanges are made together, none of them
 * touching the same cluster, so that their effects add up.  The idea is that of split-and-merge
 * (Ueda et al., "SMEM algorithm for mixture models", Neural Computation 12, 2000) and of swaps
 * after convergence (Franti, "Efficiency of random swap clustering", J. Big Data 5, 2018).
 */
#include "kmeans.h"

#include <math.h>
#include <string.h>

#define MOST_ROUNDS 50
#define MOST_CLUSTERS 5000 /* all pairs are looked at; beyond, that takes too long */
#define WORTH_A_ROUND 2e-4 /* what a round must have gained for another one */
#define HOPELESS_STEPS 30  /* steps like the last one that may be missing to break even */
#define SPLIT_ITERATIONS 6

void
clu_exchange_layout(clu_kmeans *state, clu_arena *arena, int k, int d)
{
	size_t clusters = (size_t) k;

	CLU_TAKE(arena, state->first, clusters + 1);
	CLU_TAKE(arena, state->gain, clusters);
	CLU_TAKE(arena, state->loss, clusters);
	CLU_TAKE(arena, state->partner, clusters);
	CLU_TAKE(arena, state->used, clusters);
	CLU_TAKE(arena, state->half, clu_size_product(2 * clusters, (size_t) d));
	CLU_TAKE(arena, state->saved, clu_size_product(clusters, (size_t) d));
	CLU_TAKE(arena, state->saved_size, clusters);
}

/* ---- members ---- */

/* List the points of each cluster: member[first[c] .. first[c + 1]). */
static void
list_members(clu_kmeans *state, size_t n, int k)
{
	uint32_t *label = state->assigner.label;
	uint32_t *member = state->seeder.member;
	size_t	 *first = state->first;

	memset(first, 0, ((size_t) k + 1) * sizeof(size_t));
	for (size_t i = 0; i < n; i++)
		first[label[i] + 1]++;
	for (int c = 0; c < k; c++)
		first[c + 1] += first[c];
	for (size_t i = 0; i < n; i++)
		member[first[label[i]]++] = (uint32_t) i;
	for (int c = k; c > 0; c--)
		first[c] = first[c - 1];
	first[0] = 0;
}

/* ---- splitting ---- */

typedef struct splitter
{
	clu_kmeans		 *state;
	const clu_points *points;
	const uint32_t	 *member;
	size_t			  count;
	double			 *half; /* 2 * d: the two centres */
	double			 *sum;	/* 2 * d */
	double			  weight[2];
} splitter;

/* A member drawn by weight times squared distance from a point. */
static uint32_t
draw_far_member(splitter *s, const double *from, clu_random *random)
{
	clu_kmeans *state = s->state;
	double	   *distance = state->seeder.cost;
	double		total = 0, target;
	int			d = s->points->d;

	for (size_t i = 0; i < s->count; i += CLU_LANES)
	{
		int n = (int) CLU_MIN(s->count - i, CLU_LANES);

		clu_panel_fill(state->assigner.panel, s->points->x, s->points->width, d, s->member + i, n);
		clu_kernel->distances(CLU_SQUARED, state->assigner.panel, d, from, 1,
							  state->seeder.distance);
		for (int lane = 0; lane < n; lane++)
		{
			distance[i + (size_t) lane] = clu_weight(s->points->w, s->member[i + (size_t) lane]) *
										  state->seeder.distance[lane];
			total += distance[i + (size_t) lane];
		}
	}
	target = clu_random_uniform(random) * total;
	for (size_t i = 0; i + 1 < s->count; i++)
	{
		target -= distance[i];
		if (target < 0)
			return s->member[i];
	}
	return s->member[s->count - 1];
}

/* One iteration of 2-means among the members. */
static void
halve(splitter *s)
{
	clu_kmeans *state = s->state;
	size_t		d = (size_t) s->points->d;

	memset(s->sum, 0, 2 * d * sizeof(double));
	s->weight[0] = s->weight[1] = 0;
	for (size_t i = 0; i < s->count; i += CLU_LANES)
	{
		int n = (int) CLU_MIN(s->count - i, CLU_LANES);

		clu_panel_fill(state->assigner.panel, s->points->x, s->points->width, (int) d,
					   s->member + i, n);
		clu_kernel->distances(CLU_SQUARED, state->assigner.panel, (int) d, s->half, 2,
							  state->seeder.distance);
		for (int lane = 0; lane < n; lane++)
		{
			const double *x = clu_point(s->points, s->member[i + (size_t) lane], state->row);
			double		  w = clu_weight(s->points->w, s->member[i + (size_t) lane]);
			int		side = state->seeder.distance[CLU_LANES + lane] < state->seeder.distance[lane];
			double *sum = s->sum + (size_t) side * d;

			for (size_t j = 0; j < d; j++)
				sum[j] += w * x[j];
			s->weight[side] += w;
		}
	}
	for (int side = 0; side < 2; side++)
		for (size_t j = 0; j < d && s->weight[side] > 0; j++)
			s->half[(size_t) side * d + j] = s->sum[(size_t) side * d + j] / s->weight[side];
}

/* What splitting a cluster gains; the two centres are left in state->half. */
static double
split_gain(clu_fit *fit, int c, clu_random *random)
{
	clu_kmeans *state = fit->state;
	size_t		d = (size_t) fit->model.d;
	splitter	s = {
		   .state = state,
		   .points = fit->points,
		   .member = state->seeder.member + state->first[c],
		   .count = state->first[c + 1] - state->first[c],
		   .half = state->half + 2 * (size_t) c * d,
		   .sum = state->seeder.candidate, /* there are at least two */
	   };

	if (s.count < 2)
		return 0;
	memcpy(s.half,
		   clu_point(fit->points, draw_far_member(&s, fit->model.center + (size_t) c * d, random),
					 state->row),
		   d * sizeof(double));
	memcpy(s.half + d, clu_point(fit->points, draw_far_member(&s, s.half, random), state->row),
		   d * sizeof(double));
	for (int i = 0; i < SPLIT_ITERATIONS; i++)
	{
		halve(&s);
		clu_check(fit->interrupt);
	}
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
	clu_kmeans	 *state = fit->state;
	const double *size = fit->model.size;
	int			  k = fit->model.k, d = fit->model.d;

	for (int a = 0; a < k; a++)
	{
		state->loss[a] = INFINITY;
		state->partner[a] = a;
		clu_kernel->point_distances(CLU_SQUARED, fit->model.center + (size_t) a * (size_t) d, d,
									state->assigner.packed, (k + CLU_GROUP - 1) / CLU_GROUP,
									state->assigner.distance);
		for (int b = 0; b < k; b++)
		{
			double loss = size[a] * size[b] / (size[a] + size[b]) * state->assigner.distance[b];

			if (b != a && loss < state->loss[a])
			{
				state->loss[a] = loss;
				state->partner[a] = b;
			}
		}
		clu_check(fit->interrupt);
	}
}

/* The cluster with the least loss whose pair is free, or -1. */
static int
cheapest_pair(const clu_kmeans *state, int k)
{
	int best = -1;

	for (int c = 0; c < k; c++)
		if (!state->used[c] && !state->used[state->partner[c]] && state->partner[c] != c &&
			(best < 0 || state->loss[c] < state->loss[best]))
			best = c;
	return best;
}

/* The free cluster with the largest gain, not of the given pair, or -1. */
static int
best_split(const clu_kmeans *state, int k, int a, int b)
{
	int best = -1;

	for (int c = 0; c < k; c++)
		if (!state->used[c] && c != a && c != b && (best < 0 || state->gain[c] > state->gain[best]))
			best = c;
	return best;
}

static void
exchange(clu_fit *fit, int a, int b, int split)
{
	clu_kmeans *state = fit->state;
	size_t		d = (size_t) fit->model.d;
	double	   *ca = fit->model.center + (size_t) a * d;
	double	   *cb = fit->model.center + (size_t) b * d;
	double	   *cs = fit->model.center + (size_t) split * d;
	double		wa = fit->model.size[a], wb = fit->model.size[b];

	for (size_t j = 0; j < d; j++)
		ca[j] += (cb[j] - ca[j]) * (wb / (wa + wb));
	memcpy(cs, state->half + 2 * (size_t) split * d, d * sizeof(double));
	memcpy(cb, state->half + (2 * (size_t) split + 1) * d, d * sizeof(double));
	state->used[a] = state->used[b] = state->used[split] = true;
}

/* All exchanges that gain for sure; false where there is none. */
static bool
exchange_for_sure(clu_fit *fit)
{
	clu_kmeans *state = fit->state;
	int			k = fit->model.k;
	bool		changed = false;

	memset(state->used, 0, (size_t) k * sizeof(bool));
	for (;;)
	{
		int pair = cheapest_pair(state, k);
		int split = pair < 0 ? -1 : best_split(state, k, pair, state->partner[pair]);

		if (split < 0 ||
			!(state->gain[split] > state->loss[pair] * (1 + 1e-9) + 1e-12 * fit->objective))
			return changed;
		exchange(fit, pair, state->partner[pair], split);
		changed = true;
	}
}

/* ---- trials ---- */

static bool
tried(const clu_kmeans *state, int pair, int split)
{
	for (int i = 0; i < state->trials; i++)
		if (state->tried_split[i] == split &&
			(state->tried_pair[i] == pair || state->tried_pair[i] == state->partner[pair]))
			return true;
	return false;
}

/* From the saved optimum, make the untried exchange that promises most. */
static clu_improvement
try_exchange(clu_fit *fit)
{
	clu_kmeans *state = fit->state;
	int			k = fit->model.k, pair = -1, split = -1;
	double		best = -INFINITY;

	if (state->trials == CLU_MOST_TRIALS)
		return CLU_FINAL;
	for (int a = 0; a < k; a++)
	{
		clu_check(fit->interrupt);
		for (int c = 0; c < k; c++)
			if (state->partner[a] != a && c != a && c != state->partner[a] &&
				state->gain[c] - state->loss[a] > best && !tried(state, a, c))
			{
				best = state->gain[c] - state->loss[a];
				pair = a;
				split = c;
			}
	}
	if (pair < 0)
		return CLU_FINAL;
	state->tried_pair[state->trials] = pair;
	state->tried_split[state->trials++] = split;
	exchange(fit, pair, state->partner[pair], split);
	state->last_objective = fit->objective = INFINITY;
	state->attempting = true;
	return CLU_ATTEMPT;
}

static void
save(clu_fit *fit)
{
	clu_kmeans *state = fit->state;
	size_t		k = (size_t) fit->model.k;

	memcpy(state->saved, fit->model.center, k * (size_t) fit->model.d * sizeof(double));
	memcpy(state->saved_size, fit->model.size, k * sizeof(double));
	state->saved_objective = fit->objective;
	state->saved_iteration = fit->iteration;
	state->trials = 0;
	state->trying = true;
}

static void
restore_saved(clu_fit *fit)
{
	clu_kmeans *state = fit->state;
	size_t		k = (size_t) fit->model.k;

	memcpy(fit->model.center, state->saved, k * (size_t) fit->model.d * sizeof(double));
	memcpy(fit->model.size, state->saved_size, k * sizeof(double));
	fit->objective = state->saved_objective;
	fit->iteration = state->saved_iteration;
	fit->converged = true;
	state->attempting = false;
}

/*
 * An attempt that is so far above the optimum that it began from, and gets nearer so slowly, won't
 * come below.  The decrease from step to step only ever gets smaller, or nearly so.
 */
bool
clu_exchange_hopeless(const clu_fit *fit)
{
	const clu_kmeans *state = fit->state;
	double			  decrease = state->last_objective - fit->objective;

	return state->attempting && state->last_objective < INFINITY &&
		   fit->objective - state->saved_objective > HOPELESS_STEPS * decrease;
}

clu_improvement
clu_exchange(clu_fit *fit, bool converged, clu_random *random)
{
	clu_kmeans *state = fit->state;
	int			k = fit->model.k;

	if (k < 3 || k > MOST_CLUSTERS)
		return CLU_FINAL;
	if (state->trying && !(converged && fit->objective < state->saved_objective * (1 - 1e-9)))
	{
		restore_saved(fit);
		return try_exchange(fit);
	}
	state->attempting = false;
	if (state->trying && fit->objective > state->saved_objective * (1 - WORTH_A_ROUND))
		return CLU_FINAL;
	if (state->rounds++ >= MOST_ROUNDS)
		return CLU_FINAL;
	list_members(state, fit->points->n, k);
	find_partners(fit);
	for (int c = 0; c < k; c++)
		state->gain[c] = split_gain(fit, c, random);
	save(fit);
	return exchange_for_sure(fit) ? CLU_BETTER : try_exchange(fit);
}
