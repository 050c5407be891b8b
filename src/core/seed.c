/*
 * seed.c
 *		Starting centres; the method is described in seed.h.
 *
 * All sums run in a fixed order and all distances come from the exact kernels, so the choice is
 * the same on every machine.
 */
#include "seeding.h"

#include <math.h>
#include <string.h>

#include "assign.h"
#include "elementary.h"

/* Less than that many terms of distances are not worth asking others for help. */
#define WORTH_SHARING 2e5

static void
layout_member(const clu_seeder *s, clu_seed_member *own, clu_arena *arena)
{
	size_t d = (size_t) s->d, candidates = (size_t) s->candidates;

	CLU_TAKE(arena, own->panel, d * CLU_LANES);
	CLU_TAKE(arena, own->distance, candidates * CLU_LANES);
	CLU_TAKE(arena, own->active, d * candidates);
	CLU_TAKE(arena, own->gain, candidates);
	CLU_TAKE(arena, own->batch, candidates);
	if (s->coarse == NULL)
		return;
	clu_coarse_panel_layout(&own->coarse, arena, s->coarse);
	CLU_TAKE(arena, own->scratch, s->coarse->stride);
	CLU_TAKE(arena, own->list, candidates * CLU_LANES);
	CLU_TAKE(arena, own->row, d);
}

void
clu_seed_layout(clu_seeder *s, clu_arena *arena, clu_metric metric, size_t n, int k, int d,
				clu_coarse *coarse, int members)
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
	CLU_TAKE(arena, s->gain, (size_t) s->candidates);
	CLU_TAKE(arena, s->within, (size_t) k);
	CLU_TAKE(arena, s->left, (size_t) k);
	s->keeps = s->candidates * 4 <= d; /* the memory is a quarter of that of the points */
	CLU_TAKE(arena, s->kept, s->keeps ? clu_size_product((size_t) s->candidates, n) : 0);
	CLU_TAKE(arena, s->asked, s->keeps ? n : 0);
	s->coarse = s->keeps && coarse != NULL && coarse->stride > 0 ? coarse : NULL;
	if (s->coarse != NULL)
		clu_coarse_set_layout(&s->set, arena, s->candidates, d, clu_kernel->filter_group);
	CLU_TAKE(arena, s->row, dims);
	CLU_TAKE(arena, s->seeding, 1);
	CLU_TAKE(arena, s->own, (size_t) members);
	for (int m = 0; m < members; m++)
	{
		clu_seed_member unused;

		layout_member(s, s->own == NULL ? &unused : &s->own[m], arena);
	}
}

clu_team *
clu_seed_helpers(const clu_seeding *at, double work)
{
	return work >= WORTH_SHARING ? at->team : NULL;
}

void
clu_seed_cut_lists(clu_seeding *at, size_t points)
{
	const clu_seeder *s = at->s;
	size_t			  before = 0, share = 0;

	at->shared = points;
	for (int list = 0; list < at->found; list++)
	{
		if (!(s->within[list] < INFINITY))
			continue;
		for (;
			 share < clu_shares(points) && clu_share_first(points, share) < before + s->count[list];
			 share++)
		{
			at->list[share] = list;
			at->offset[share] = clu_share_first(points, share) - before;
		}
		before += s->count[list];
	}
}

double
clu_seed_reach(const clu_seeding *at, const double *candidate, int list)
{
	double between = clu_distance(at->s->metric, candidate,
								  at->center + (size_t) list * (size_t) at->s->d, at->s->d);

	return between * (at->s->metric == CLU_SQUARED ? 0.25 : 0.5) * (1 - 1e-9);
}

static void
copy_point(const clu_seeding *at, uint32_t point, double *to)
{
	memcpy(to, clu_point(at->points, point, at->s->row), sizeof(double) * (size_t) at->s->d);
}

/* ---- taking a centre ---- */

/*
 * What the new centre reaches.  Close the gaps that moved points left in member, when the new
 * list might not fit behind the others.  Lists lie in the order of their numbers, so each moves
 * down or stays.  Returns the number of points that may move.
 */
static size_t
make_room(clu_seeding *at, const double *center)
{
	clu_seeder *s = at->s;
	size_t		most = 0, to = 0;

	for (int list = 0; list < at->found; list++)
	{
		s->within[list] = clu_seed_reach(at, center, list);
		if (s->within[list] < s->farthest[list])
			most += s->count[list];
		else
			s->within[list] = INFINITY;
	}
	if (at->used + most <= 2 * at->points->n)
		return most;
	for (int list = 0; list < at->found; list++)
	{
		memmove(s->member + to, s->member + s->first[list], s->count[list] * sizeof(uint32_t));
		s->first[list] = to;
		to += s->count[list];
	}
	at->used = to;
	return most;
}

/*
 * What the new centre costs the queued points.  As a candidate it may have been asked already;
 * points that weren't are nearer to their own centres.
 */
static void
fresh_distances(const clu_seeding *at, clu_seed_member *own, const uint32_t *queue, int n)
{
	const clu_seeder *s = at->s;

	if (s->keeps && at->candidate >= 0)
	{
		for (int lane = 0; lane < n; lane++)
		{
			size_t point = queue[lane];

			own->distance[lane] =
				s->asked[point] == (uint32_t) at->found
					? s->kept[point * (size_t) s->candidates + (size_t) at->candidate]
					: INFINITY;
		}
		return;
	}
	clu_kernel->panel(own->panel, at->points->x, at->points->width, s->d, queue, n);
	clu_kernel->distances(s->metric, own->panel, s->d,
						  at->center + (size_t) at->found * (size_t) s->d, 1, own->distance);
}

static void
keep_in_list(const clu_seeding *at, clu_seed_member *own, uint32_t *member, uint32_t point)
{
	double cost = at->s->cost[point];

	own->kept_potential += clu_weight(at->points->w, point) * cost;
	own->kept_farthest = fmax(own->kept_farthest, cost);
	member[own->kept++] = point;
}

static void
move_from_list(const clu_seeding *at, clu_seed_member *own, uint32_t *moved, uint32_t point,
			   double cost)
{
	at->s->cost[point] = cost;
	moved[own->moved++] = point;
	own->moved_potential += clu_weight(at->points->w, point) * cost;
	own->moved_farthest = fmax(own->moved_farthest, cost);
}

/*
 * Of some points of a list, those that are nearer to the new centre move to where moved points
 * go; the others close their ranks.
 */
static void
take_from_list(const clu_seeding *at, clu_seed_member *own, uint32_t *member, size_t count,
			   double within, uint32_t *moved, const clu_interrupt *interrupt)
{
	const double *cost = at->s->cost;
	uint32_t	  queue[CLU_LANES];
	size_t		  read = 0;

	own->kept = 0;
	own->kept_potential = own->kept_farthest = 0;
	while (read < count)
	{
		int queued = 0;

		for (; read < count && queued < CLU_LANES; read++)
			if (cost[member[read]] > within)
				queue[queued++] = member[read];
			else
				keep_in_list(at, own, member, member[read]);
		if (queued == 0)
			break;
		fresh_distances(at, own, queue, queued);
		for (int lane = 0; lane < queued; lane++)
			if (own->distance[lane] < cost[queue[lane]])
				move_from_list(at, own, moved, queue[lane], own->distance[lane]);
			else
				keep_in_list(at, own, member, queue[lane]);
		clu_check(interrupt);
	}
}

/*
 * Lists that begin in the share are brought up to date, as far as they lie in it; what is left of
 * the one that began earlier waits for its turn, and so do the points that moved: behind all lists,
 * where they can lie at most.
 */
static void
take_from_share(void *work, size_t item, int member, const clu_interrupt *interrupt)
{
	const clu_seeding *at = work;
	clu_seeder		  *s = at->s;
	clu_seed_member	  *own = &s->own[member];
	size_t			   first = clu_share_first(at->shared, item);
	size_t			   left = clu_share_first(at->shared, item + 1) - first;
	size_t			   offset = at->offset[item], waiting = 0;
	double			   waiting_potential = 0, waiting_farthest = 0;

	own->moved = 0;
	own->moved_potential = own->moved_farthest = 0;
	for (int list = at->list[item]; left > 0; list++)
	{
		size_t n;

		if (!(s->within[list] < INFINITY))
			continue;
		n = CLU_MIN(s->count[list] - offset, left);
		take_from_list(at, own, s->member + s->first[list] + offset, n, s->within[list],
					   s->member + at->used + first, interrupt);
		if (offset > 0)
		{
			waiting = own->kept;
			waiting_potential = own->kept_potential;
			waiting_farthest = own->kept_farthest;
		}
		else
		{
			s->left[list] = own->kept;
			s->potential[list] = own->kept_potential;
			s->farthest[list] = own->kept_farthest;
		}
		left -= n;
		offset = 0;
	}
	own->kept = waiting;
	own->kept_potential = waiting_potential;
	own->kept_farthest = waiting_farthest;
}

/* Put what waited for its turn where it belongs. */
static void
collect_share(void *work, size_t item, int member)
{
	clu_seeding			  *at = work;
	clu_seeder			  *s = at->s;
	const clu_seed_member *own = &s->own[member];
	int					   list = at->list[item], fresh = at->found;
	uint32_t			  *end = s->member + s->first[fresh] + s->count[fresh];

	memmove(end, s->member + at->used + clu_share_first(at->shared, item),
			own->moved * sizeof(uint32_t));
	s->count[fresh] += own->moved;
	s->potential[fresh] += own->moved_potential;
	s->farthest[fresh] = fmax(s->farthest[fresh], own->moved_farthest);
	if (at->offset[item] == 0)
		return;
	end = s->member + s->first[list] + s->left[list];
	memmove(end, s->member + s->first[list] + at->offset[item], own->kept * sizeof(uint32_t));
	s->left[list] += own->kept;
	s->potential[list] += own->kept_potential;
	s->farthest[list] = fmax(s->farthest[list], own->kept_farthest);
}

const clu_task clu_take_center_task = {take_from_share, collect_share};

static void
take_center(clu_seeding *at, uint32_t point, int candidate)
{
	clu_seeder *s = at->s;
	int			fresh = at->found;
	double	   *center = at->center + (size_t) fresh * (size_t) s->d;
	size_t		most;

	copy_point(at, point, center);
	s->chosen[fresh] = point;
	at->candidate = candidate;
	most = make_room(at, center);
	s->first[fresh] = at->used;
	s->count[fresh] = 0;
	s->potential[fresh] = s->farthest[fresh] = 0;
	if (most > 0)
	{
		clu_seed_cut_lists(at, most);
		clu_team_run(clu_seed_helpers(at, (double) most * (s->d + CLU_TERMS_OF_A_LOOK)),
					 CLU_JOB_TAKE_CENTER, at, clu_shares(most), at->interrupt);
	}
	for (int list = 0; list < at->found; list++)
		if (s->within[list] < INFINITY)
			s->count[list] = s->left[list];
	at->used += s->count[fresh];
	at->found++;
}

/* Costs at the first centre, of a share of the points. */
static void
first_costs(void *work, size_t item, int member, const clu_interrupt *interrupt)
{
	const clu_seeding *at = work;
	clu_seeder		  *s = at->s;
	clu_seed_member	  *own = &s->own[member];
	size_t			   end = clu_share_first(at->points->n, item + 1);

	own->kept_potential = own->kept_farthest = 0;
	for (size_t i = clu_share_first(at->points->n, item); i < end; i += CLU_LANES)
	{
		int n = (int) CLU_MIN(end - i, CLU_LANES);

		clu_panel_from(own->panel, at->points->x, at->points->width, s->d, i, n);
		clu_kernel->distances(s->metric, own->panel, s->d, at->center, 1, own->distance);
		for (int lane = 0; lane < n; lane++)
		{
			double cost = own->distance[lane];
			size_t point = i + (size_t) lane;

			s->member[point] = (uint32_t) point;
			s->cost[point] = cost;
			if (s->keeps)
				s->asked[point] = 0;
			own->kept_potential += clu_weight(at->points->w, point) * cost;
			own->kept_farthest = fmax(own->kept_farthest, cost);
		}
		if (i % 4096 < CLU_LANES)
			clu_check(interrupt);
	}
}

static void
collect_first_costs(void *work, size_t item, int member)
{
	const clu_seeding	  *at = work;
	const clu_seed_member *own = &at->s->own[member];

	(void) item;
	at->s->potential[0] += own->kept_potential;
	at->s->farthest[0] = fmax(at->s->farthest[0], own->kept_farthest);
}

const clu_task clu_first_center_task = {first_costs, collect_first_costs};

static void
take_first_center(clu_seeding *at, uint32_t point)
{
	clu_seeder *s = at->s;
	size_t		n = at->points->n;

	copy_point(at, point, at->center);
	s->chosen[0] = point;
	s->first[0] = 0;
	s->count[0] = n;
	s->potential[0] = s->farthest[0] = 0;
	at->found = 1;
	at->used = n;
	at->work = (double) n * (s->d + CLU_TERMS_OF_A_LOOK);
	clu_team_run(clu_seed_helpers(at, at->work), CLU_JOB_FIRST_CENTER, at, clu_shares(n),
				 at->interrupt);
}

/* ---- drawing ---- */

/* A point with a probability proportional to its weight. */
static uint32_t
draw_by_weight(const clu_seeding *at)
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
draw_unchosen(const clu_seeding *at)
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
draw_by_cost(const clu_seeding *at)
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
take_best_candidate(clu_seeding *at)
{
	clu_seeder *s = at->s;
	uint32_t	drawn[CLU_MOST_CANDIDATES];
	int			best = 0;

	for (int c = 0; c < s->candidates; c++)
	{
		clu_check(at->interrupt);
		drawn[c] = draw_by_cost(at);
		copy_point(at, drawn[c], s->candidate + (size_t) c * (size_t) s->d);
	}
	clu_seed_find_gains(at);
	for (int c = 1; c < s->candidates; c++)
		if (s->gain[c] > s->gain[best])
			best = c;
	if (s->gain[best] > 0)
		take_center(at, drawn[best], best);
	else
		take_center(at, draw_unchosen(at), -1);
}

void
clu_seed_plusplus(clu_seeder *seeder, const clu_points *points, const clu_frame *frame,
				  double *center, clu_random *random, clu_team *team,
				  const clu_interrupt *interrupt)
{
	clu_seeding *at = seeder->seeding;

	*at = (clu_seeding) {.s = seeder,
						 .points = points,
						 .frame = frame,
						 .center = center,
						 .random = random,
						 .team = team,
						 .interrupt = interrupt};
	take_first_center(at, draw_by_weight(at));
	while (at->found < seeder->k)
	{
		take_best_candidate(at);
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
	clu_seeding at = {.s = seeder, .points = points};
	double	   *key = seeder->potential;
	uint32_t   *chosen = seeder->chosen;

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
