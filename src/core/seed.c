/*
 * seed.c
 *		Starting centres; the method is described in seed.h.
 *
 * All sums run in a fixed order and all distances come from the exact kernels, so the choice is
 * the same on every machine.
 */
#include "seed.h"

#include <math.h>
#include <string.h>

#include "assign.h"
#include "elementary.h"

#define MOST_CANDIDATES 32 /* 2 + ln(2^31) is 23 */

typedef struct seeding
{
	clu_seeder			*s;
	const clu_points	*points;
	double				*center;
	int					 found; /* centres so far */
	size_t				 used;	/* of member */
	clu_random			*random;
	const clu_interrupt *interrupt;
} seeding;

void
clu_seed_layout(clu_seeder *s, clu_arena *arena, clu_metric metric, size_t n, int k, int d)
{
	size_t dims = (size_t) d;

	s->metric = metric;
	s->k = k;
	s->d = d;
	s->candidates = 2 + (int) clu_log(k);
	CLU_TAKE(arena, s->cost, n);
	CLU_TAKE(arena, s->member, clu_size_product(2, n));
	CLU_TAKE(arena, s->first, (size_t) k);
	CLU_TAKE(arena, s->count, (size_t) k);
	CLU_TAKE(arena, s->potential, (size_t) k);
	CLU_TAKE(arena, s->farthest, (size_t) k);
	CLU_TAKE(arena, s->chosen, (size_t) k);
	CLU_TAKE(arena, s->candidate, dims * (size_t) s->candidates);
	CLU_TAKE(arena, s->active, dims * (size_t) s->candidates);
	CLU_TAKE(arena, s->between, (size_t) s->candidates);
	CLU_TAKE(arena, s->gain, (size_t) s->candidates);
	CLU_TAKE(arena, s->panel, dims * CLU_LANES);
	CLU_TAKE(arena, s->distance, (size_t) s->candidates * CLU_LANES);
	s->keeps = s->candidates * 4 <= d; /* the memory is a quarter of that of the points */
	CLU_TAKE(arena, s->kept, s->keeps ? clu_size_product((size_t) s->candidates, n) : 0);
	CLU_TAKE(arena, s->row, dims);
}

static void
copy_point(const seeding *at, uint32_t point, double *to)
{
	memcpy(to, clu_point(at->points, point, at->s->row), sizeof(double) * (size_t) at->s->d);
}

/*
 * Below which cost a point of a list is out of a candidate's reach, by the triangle inequality;
 * a little less, so that rounding never passes over a point.
 */
static double
reach(const seeding *at, const double *candidate, int list)
{
	double between = clu_distance(at->s->metric, candidate,
								  at->center + (size_t) list * (size_t) at->s->d, at->s->d);

	return between * (at->s->metric == CLU_SQUARED ? 0.25 : 0.5) * (1 - 1e-9);
}

/* ---- what a candidate would gain ---- */

/* Add what the queued points gain by each of the active candidates. */
static void
add_gains(seeding *at, const uint32_t *queue, int n, const int *which, int active)
{
	clu_seeder *s = at->s;

	clu_panel_fill(s->panel, at->points->x, at->points->width, s->d, queue, n);
	clu_kernel->distances(s->metric, s->panel, s->d, s->active, active, s->distance);
	for (int a = 0; a < active; a++)
	{
		double gain = 0;

		for (int lane = 0; lane < n; lane++)
		{
			double less = s->cost[queue[lane]] - s->distance[a * CLU_LANES + lane];

			if (less > 0)
				gain += clu_weight(at->points->w, queue[lane]) * less;
		}
		for (int lane = 0; lane < n && s->keeps; lane++)
			s->kept[(size_t) which[a] * at->points->n + queue[lane]] =
				s->distance[a * CLU_LANES + lane];
		s->gain[which[a]] += gain;
	}
}

static void
gains_from_list(seeding *at, int list, int candidates)
{
	clu_seeder *s = at->s;
	uint32_t	queue[CLU_LANES];
	int			which[MOST_CANDIDATES], active = 0, queued = 0;
	double		least = INFINITY;
	size_t		d = (size_t) s->d;

	for (int c = 0; c < candidates; c++)
	{
		double within = reach(at, s->candidate + (size_t) c * d, list);

		if (within >= s->farthest[list])
			continue;
		least = fmin(least, within);
		memcpy(s->active + (size_t) active * d, s->candidate + (size_t) c * d, d * sizeof(double));
		which[active++] = c;
	}
	if (active == 0)
		return;
	for (size_t i = 0; i < s->count[list]; i++)
	{
		uint32_t point = s->member[s->first[list] + i];

		if (s->cost[point] <= least)
			continue;
		queue[queued++] = point;
		if (queued == CLU_LANES)
		{
			add_gains(at, queue, queued, which, active);
			queued = 0;
			clu_check(at->interrupt);
		}
	}
	if (queued > 0)
		add_gains(at, queue, queued, which, active);
}

/* ---- taking a centre ---- */

/*
 * Close the gaps that moved points left in member, when the new list might not fit behind the
 * others.  Lists lie in the order of their numbers, so each moves down or stays.
 */
static void
make_room(seeding *at, const double *center)
{
	clu_seeder *s = at->s;
	size_t		most = 0, to = 0;

	for (int list = 0; list < at->found; list++)
		if (reach(at, center, list) < s->farthest[list])
			most += s->count[list];
	if (at->used + most <= 2 * at->points->n)
		return;
	for (int list = 0; list < at->found; list++)
	{
		memmove(s->member + to, s->member + s->first[list], s->count[list] * sizeof(uint32_t));
		s->first[list] = to;
		to += s->count[list];
	}
	at->used = to;
}

/* What the new centre costs the queued points: as a candidate it may have been asked already. */
static void
fresh_distances(seeding *at, const uint32_t *queue, int n, const double *center, int candidate)
{
	clu_seeder *s = at->s;

	if (s->keeps && candidate >= 0)
	{
		for (int lane = 0; lane < n; lane++)
			s->distance[lane] = s->kept[(size_t) candidate * at->points->n + queue[lane]];
		return;
	}
	clu_panel_fill(s->panel, at->points->x, at->points->width, s->d, queue, n);
	clu_kernel->distances(s->metric, s->panel, s->d, center, 1, s->distance);
}

/* Move the points of a list that are nearer to the new centre into the new list. */
static void
take_from_list(seeding *at, int list, const double *center, int fresh, int candidate)
{
	clu_seeder *s = at->s;
	uint32_t   *member = s->member + s->first[list];
	uint32_t	queue[CLU_LANES];
	size_t		kept = 0, read = 0, count = s->count[list];
	double		within = reach(at, center, list);

	if (within >= s->farthest[list])
		return;
	s->potential[list] = s->farthest[list] = 0;
	while (read < count)
	{
		int queued = 0;

		for (; read < count && queued < CLU_LANES; read++)
		{
			uint32_t point = member[read];

			if (s->cost[point] > within)
				queue[queued++] = point;
			else
			{
				s->potential[list] += clu_weight(at->points->w, point) * s->cost[point];
				s->farthest[list] = fmax(s->farthest[list], s->cost[point]);
				member[kept++] = point;
			}
		}
		if (queued == 0)
			break;
		fresh_distances(at, queue, queued, center, candidate);
		for (int lane = 0; lane < queued; lane++)
		{
			uint32_t point = queue[lane];
			bool	 moves = s->distance[lane] < s->cost[point];
			int		 to = moves ? fresh : list;

			if (moves)
			{
				s->cost[point] = s->distance[lane];
				s->member[s->first[fresh] + s->count[fresh]++] = point;
			}
			else
				member[kept++] = point;
			s->potential[to] += clu_weight(at->points->w, point) * s->cost[point];
			s->farthest[to] = fmax(s->farthest[to], s->cost[point]);
		}
		clu_check(at->interrupt);
	}
	s->count[list] = kept;
}

static void
take_center(seeding *at, uint32_t point, int candidate)
{
	clu_seeder *s = at->s;
	int			fresh = at->found;
	double	   *center = at->center + (size_t) fresh * (size_t) s->d;

	copy_point(at, point, center);
	s->chosen[fresh] = point;
	make_room(at, center);
	s->first[fresh] = at->used;
	s->count[fresh] = 0;
	s->potential[fresh] = s->farthest[fresh] = 0;
	for (int list = 0; list < at->found; list++)
		take_from_list(at, list, center, fresh, candidate);
	at->used += s->count[fresh];
	at->found++;
}

static void
take_first_center(seeding *at, uint32_t point)
{
	clu_seeder *s = at->s;

	copy_point(at, point, at->center);
	s->chosen[0] = point;
	s->first[0] = 0;
	s->count[0] = at->points->n;
	s->potential[0] = s->farthest[0] = 0;
	at->found = 1;
	at->used = at->points->n;
	for (size_t i = 0; i < at->points->n; i += CLU_LANES)
	{
		uint32_t queue[CLU_LANES];
		int		 n = (int) CLU_MIN(at->points->n - i, CLU_LANES);

		for (int lane = 0; lane < n; lane++)
			queue[lane] = (uint32_t) i + (uint32_t) lane;
		clu_panel_fill(s->panel, at->points->x, at->points->width, s->d, queue, n);
		clu_kernel->distances(s->metric, s->panel, s->d, at->center, 1, s->distance);
		for (int lane = 0; lane < n; lane++)
		{
			double cost = s->distance[lane];

			s->member[queue[lane]] = queue[lane];
			s->cost[queue[lane]] = cost;
			s->potential[0] += clu_weight(at->points->w, queue[lane]) * cost;
			s->farthest[0] = fmax(s->farthest[0], cost);
		}
		clu_check_row(at->interrupt, i, s->d);
	}
}

/* ---- drawing ---- */

/* A point with a probability proportional to its weight. */
static uint32_t
draw_by_weight(const seeding *at)
{
	const clu_points *points = at->points;
	double			  target;

	if (points->w == NULL)
		return (uint32_t) clu_random_below(at->random, points->n);
	target = clu_random_uniform(at->random) * points->total_weight;
	for (size_t i = 0; i < points->n; i++)
	{
		target -= points->w[i];
		if (target < 0)
			return (uint32_t) i;
	}
	return (uint32_t) points->n - 1;
}

/* Any point that isn't a centre yet, for when all that are left have cost 0. */
static uint32_t
draw_unchosen(const seeding *at)
{
	uint32_t point = (uint32_t) clu_random_below(at->random, at->points->n);

	for (int c = 0; c < at->found; c++)
		if (at->s->chosen[c] == point)
		{
			point = (uint32_t) ((point + 1) % at->points->n);
			c = -1;
		}
	return point;
}

/* A point with a probability proportional to weight times cost. */
static uint32_t
draw_by_cost(const seeding *at)
{
	const clu_seeder *s = at->s;
	double			  total = 0, target;
	uint32_t		  last = 0;
	bool			  any = false;

	for (int list = 0; list < at->found; list++)
		total += s->potential[list];
	if (!(total > 0))
		return draw_unchosen(at);
	target = clu_random_uniform(at->random) * total;
	for (int list = 0; list < at->found; list++)
	{
		if (target >= s->potential[list] && list + 1 < at->found)
		{
			target -= s->potential[list];
			continue;
		}
		for (size_t i = 0; i < s->count[list]; i++)
		{
			uint32_t point = s->member[s->first[list] + i];

			if (!(s->cost[point] > 0))
				continue;
			last = point;
			any = true;
			target -= clu_weight(at->points->w, point) * s->cost[point];
			if (target < 0)
				return point;
		}
	}
	return any ? last : draw_unchosen(at);
}

/* Draw candidates and take the one that lowers the total cost most. */
static void
take_best_candidate(seeding *at)
{
	clu_seeder *s = at->s;
	uint32_t	drawn[MOST_CANDIDATES];
	int			best = 0;

	for (int c = 0; c < s->candidates; c++)
	{
		clu_check(at->interrupt);
		drawn[c] = draw_by_cost(at);
		copy_point(at, drawn[c], s->candidate + (size_t) c * (size_t) s->d);
		s->gain[c] = 0;
	}
	for (int list = 0; list < at->found; list++)
		gains_from_list(at, list, s->candidates);
	for (int c = 1; c < s->candidates; c++)
		if (s->gain[c] > s->gain[best])
			best = c;
	if (s->gain[best] > 0)
		take_center(at, drawn[best], best);
	else
		take_center(at, draw_unchosen(at), -1);
}

void
clu_seed_plusplus(clu_seeder *seeder, const clu_points *points, double *center, clu_random *random,
				  const clu_interrupt *interrupt)
{
	seeding at = {
		.s = seeder, .points = points, .center = center, .random = random, .interrupt = interrupt};

	take_first_center(&at, draw_by_weight(&at));
	while (at.found < seeder->k)
	{
		take_best_candidate(&at);
		clu_check(interrupt);
	}
}

/*
 * k points without replacement, with a probability proportional to their weight: those with the
 * least -ln(u)/w (Efraimidis and Spirakis, IPL 97, 2006), kept in a heap with the greatest on top.
 */
static void
sift_up(double *key, uint32_t *point, int at, double new_key, uint32_t new_point)
{
	for (int parent; at > 0 && key[parent = (at - 1) / 2] < new_key; at = parent)
	{
		key[at] = key[parent];
		point[at] = point[parent];
	}
	key[at] = new_key;
	point[at] = new_point;
}

static void
sift_down(double *key, uint32_t *point, int n, double new_key, uint32_t new_point)
{
	int at = 0;

	for (int child; (child = 2 * at + 1) < n; at = child)
	{
		if (child + 1 < n && key[child + 1] > key[child])
			child++;
		if (key[child] <= new_key)
			break;
		key[at] = key[child];
		point[at] = point[child];
	}
	key[at] = new_key;
	point[at] = new_point;
}

void
clu_seed_random(clu_seeder *seeder, const clu_points *points, double *center, clu_random *random,
				const clu_interrupt *interrupt)
{
	seeding	  at = {.s = seeder, .points = points};
	double	 *key = seeder->potential;
	uint32_t *chosen = seeder->chosen;

	for (size_t i = 0; i < points->n; i++)
	{
		double u = 1 - clu_random_uniform(random);
		double this_key = -clu_log(u) / clu_weight(points->w, i);

		if (i < (size_t) seeder->k)
			sift_up(key, chosen, (int) i, this_key, (uint32_t) i);
		else if (this_key < key[0])
			sift_down(key, chosen, seeder->k, this_key, (uint32_t) i);
		if (i % 4096 == 0)
			clu_check(interrupt);
	}
	for (int c = 0; c < seeder->k; c++)
	{
		copy_point(&at, chosen[c], center + (size_t) c * (size_t) seeder->d);
		clu_check_row(interrupt, (size_t) c, seeder->d);
	}
}
