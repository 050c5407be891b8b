/*
 * seed_gains.c
 *		What candidates would gain; the method is described in seed.h.
 *
 * All sums run in a fixed order and all distances come from the exact kernels, so gains are
 * the same on every machine, with bounds and without.
 */
#include <float.h>
#include <math.h>
#include <string.h>

#include "narrow.h"
#include "seeding.h"

/* Above which bound a candidate isn't nearer to a point than its centre. */
static float
limit_of(const clu_seeding *at, uint32_t point)
{
	const clu_seeder *s = at->s;
	double			  norm = s->coarse->grain[point].norm;
	double			  length = clu_greatest_length(norm);

	return clu_bound_limit(s->cost[point], at->frame->unit, norm * (1 - 4 * FLT_EPSILON),
						   clu_coarse_error(s->d, length, s->set.widest));
}

/* The candidates that may reach the list at hand, and the points of it that are asked. */
typedef struct asking
{
	int		 which[CLU_MOST_CANDIDATES], active;
	double	 least; /* no candidate is nearer to a point that costs no more */
	uint32_t queue[CLU_LANES];
	int		 batch[CLU_LANES]; /* which points were queued together */
	int		 queued, batches, open;
} asking;

/* Gains are added up by batches, whichever of their points are asked. */
static void
close_batch(clu_seed_member *own, const asking *list)
{
	for (int a = 0; a < list->active; a++)
	{
		own->gain[list->which[a]] += own->batch[a];
		own->batch[a] = 0;
	}
}

static void
keep_distances(const clu_seeder *s, const clu_seed_member *own, const asking *list, int lane,
			   uint32_t found)
{
	uint32_t point = list->queue[lane];
	double	*kept = s->kept + (size_t) point * (size_t) s->candidates;

	for (int a = 0; a < list->active; a++)
		kept[list->which[a]] = own->distance[a * CLU_LANES + lane];
	s->asked[point] = found;
}

/* Add what the queued points gain by each of the active candidates. */
static void
ask_queued(const clu_seeding *at, clu_seed_member *own, asking *list)
{
	const clu_seeder *s = at->s;

	clu_kernel->panel(own->panel, at->points->x, at->points->width, s->d, list->queue,
					  list->queued);
	clu_kernel->distances(s->metric, own->panel, s->d, own->active, list->active, own->distance);
	own->work += (double) list->queued * list->active * s->d;
	own->asked += (size_t) list->queued;
	for (int lane = 0; lane < list->queued; lane++)
	{
		uint32_t point = list->queue[lane];
		double	 w = clu_weight(at->points->w, point);
		bool	 gains = false;

		if (list->batch[lane] != list->open)
			close_batch(own, list);
		list->open = list->batch[lane];
		for (int a = 0; a < list->active; a++)
		{
			double less = s->cost[point] - own->distance[a * CLU_LANES + lane];

			if (less > 0)
				own->batch[a] += w * less;
			gains |= less > 0;
		}
		own->gained += gains;
		if (s->keeps)
			keep_distances(s, own, list, lane, (uint32_t) at->found);
	}
	list->queued = 0;
}

/* Of a batch, leave those points that a candidate may be nearer to; returns how many. */
static int
leave_near(const clu_seeding *at, clu_seed_member *own, uint32_t *point, int n)
{
	const clu_seeder *s = at->s;
	float			  limit[CLU_LANES], rest[CLU_LANES];
	int				  count[CLU_LANES], left = 0;

	clu_coarse_fill(s->coarse, at->points->x, at->points->width, 0, point, n, at->frame, own->row,
					own->scratch, &own->coarse);
	for (int lane = 0; lane < CLU_LANES; lane++)
		limit[lane] = lane < n ? limit_of(at, point[lane]) : -INFINITY;
	clu_kernel->coarse_list(&own->coarse, (int) (s->coarse->stride / 4), &s->set.centers,
							clu_filter_groups(s->candidates), limit, s->candidates, rest, own->list,
							count);
	for (int lane = 0; lane < n; lane++)
		if (count[lane] > 0)
			point[left++] = point[lane];
	return left;
}

static void
ask_batch(const clu_seeding *at, clu_seed_member *own, asking *list, uint32_t *point, int n)
{
	int left = at->bounded ? leave_near(at, own, point, n) : n;

	own->looked += (size_t) n;
	list->batches++;
	for (int i = 0; i < left; i++)
	{
		list->queue[list->queued] = point[i];
		list->batch[list->queued++] = list->batches;
		if (list->queued == CLU_LANES)
			ask_queued(at, own, list);
	}
}

/* The candidates that may reach a list. */
static void
find_active(const clu_seeding *at, clu_seed_member *own, int number, asking *list)
{
	const clu_seeder *s = at->s;
	size_t			  d = (size_t) s->d;

	*list = (asking) {.least = INFINITY};
	own->work += (double) s->candidates * s->d;
	for (int c = 0; c < s->candidates; c++)
	{
		double within = clu_seed_reach(at, s->candidate + (size_t) c * d, number);

		if (within >= s->farthest[number])
			continue;
		list->least = fmin(list->least, within);
		memcpy(own->active + (size_t) list->active * d, s->candidate + (size_t) c * d,
			   d * sizeof(double));
		own->batch[list->active] = 0;
		list->which[list->active++] = c;
	}
}

/* Of the list, only so many points from the offset on. */
static void
gains_from_list(const clu_seeding *at, clu_seed_member *own, int number, size_t offset, size_t n,
				const clu_interrupt *interrupt)
{
	const clu_seeder *s = at->s;
	const uint32_t	 *member = s->member + s->first[number] + offset;
	uint32_t		  batch[CLU_LANES];
	asking			  list;
	int				  size = 0;

	find_active(at, own, number, &list);
	if (list.active == 0)
		return;
	own->work += (double) n * CLU_TERMS_OF_A_LOOK;
	for (size_t i = 0; i < n; i++)
	{
		if (s->cost[member[i]] <= list.least)
			continue;
		batch[size++] = member[i];
		if (size < CLU_LANES)
			continue;
		ask_batch(at, own, &list, batch, size);
		size = 0;
		clu_check(interrupt);
	}
	if (size > 0)
		ask_batch(at, own, &list, batch, size);
	if (list.queued > 0)
		ask_queued(at, own, &list);
	close_batch(own, &list);
}

static void
gains_from_share(void *work, size_t item, int member, const clu_interrupt *interrupt)
{
	const clu_seeding *at = work;
	const clu_seeder  *s = at->s;
	clu_seed_member	  *own = &s->own[member];
	size_t left = clu_share_first(at->shared, item + 1) - clu_share_first(at->shared, item);
	size_t offset = at->offset[item];

	own->work = 0;
	own->looked = own->asked = own->gained = 0;
	memset(own->gain, 0, (size_t) s->candidates * sizeof(double));
	for (int list = at->list[item]; left > 0; list++)
	{
		size_t n = CLU_MIN(s->count[list] - offset, left);

		gains_from_list(at, own, list, offset, n, interrupt);
		left -= n;
		offset = 0;
	}
}

static void
collect_gains(void *work, size_t item, int member)
{
	clu_seeding			  *at = work;
	const clu_seed_member *own = &at->s->own[member];

	(void) item;
	at->work += own->work;
	at->looked += own->looked;
	at->asked += own->asked;
	at->gained += own->gained;
	for (int c = 0; c < at->s->candidates; c++)
		at->s->gain[c] += own->gain[c];
}

const clu_task clu_gains_task = {gains_from_share, collect_gains};

/*
 * Whether bounds are worth their while, by the last look at candidates: where few points gained,
 * and, if there were bounds, they have told.
 */
static bool
bounds_pay(const clu_seeding *at)
{
	return at->s->coarse != NULL && at->gained * 4 < at->looked &&
		   (!at->bounded || at->asked * 2 < at->looked);
}

void
clu_seed_find_gains(clu_seeding *at)
{
	clu_seeder *s = at->s;
	clu_team   *team = clu_seed_helpers(at, at->work); /* most likely about as much as last time */

	at->bounded = bounds_pay(at);
	if (at->bounded)
		clu_coarse_pack(&s->set, s->candidate, at->frame, s->own[0].scratch, at->interrupt);
	at->work = 0;
	at->looked = at->asked = at->gained = 0;
	memset(s->gain, 0, (size_t) s->candidates * sizeof(double));
	memset(s->within, 0, (size_t) at->found * sizeof(double));
	clu_seed_cut_lists(at, at->points->n);
	clu_team_run(team, CLU_JOB_GAINS, at, clu_shares(at->shared), at->interrupt);
}
