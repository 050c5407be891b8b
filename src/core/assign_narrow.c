/*
 * assign_narrow.c
 *		Settling points by the few centres that bounds of scores leave (narrow.h).
 */
#include "pass.h"

#include <float.h>
#include <math.h>

#define LEAST_SURE 0x1p-900 /* squared distances below have lost digits to underflow */
#define OF_A_POINT 1600		/* what it takes to narrow, beside the bounds */
#define OF_A_DISTANCE 640	/* beside its terms */
#define OF_A_BOUND 10		/* in small integers, beside its terms */
#define OF_A_ROW 40			/* to bring it to the filter, for each column */
#define NARROW_TRIAL 256	/* points that don't tell yet whether it pays */

/* A point, and what is known of it before the list of its centres. */
typedef struct seeker
{
	uint32_t point;
	uint32_t guess;	   /* a centre */
	double	 distance; /* from that */
	double	 norm;	   /* squared, not more than it is */
	double	 error;	   /* of bounds */
} seeker;

static double
distance_from(const clu_pass *p, uint32_t point, uint32_t center)
{
	const clu_assigner *a = p->a;
	size_t				d = (size_t) a->d;
	const char		   *x = (const char *) p->block->x + point * d * (size_t) p->block->width;

	return clu_kernel->point_squared(x, p->block->width, a->d, a->center + center * d);
}

/* ---- panels of bounds ---- */

static void
see_in_small_integers(clu_pass *p, const uint32_t *queue, int n)
{
	const clu_assigner *a = p->a;
	const clu_block	   *block = p->block;

	clu_coarse_fill(&a->narrow->coarse, block->x, block->width, block->first, queue, n, a->frame,
					p->own->row, p->own->filter_panel, &p->own->narrow.coarse);
}

static void
place_along_axes(clu_pass *p, const uint32_t *queue, int n)
{
	const clu_assigner *a = p->a;
	const clu_frame	   *frame = a->frame;
	const clu_axes	   *axes = &a->narrow->axes;
	float			   *norm = axes->norm + p->block->first;
	float				unused[CLU_LANES];
	bool				placed = true;

	for (int lane = 0; lane < n; lane++)
		placed &= norm[queue[lane]] >= 0;
	if (placed)
		return;
	clu_kernel->filter_panel(p->block->x, p->block->width, a->d, queue, n, frame->shift,
							 frame->unit, p->own->filter_panel, unused);
	clu_axes_place(axes, p->own->filter_panel, queue, n, p->own->narrow.along,
				   axes->place + p->block->first * (size_t) (axes->m + 1), norm);
}

static void
see_along_axes(clu_pass *p, const uint32_t *queue, int n)
{
	const clu_axes *axes = &p->a->narrow->axes;
	size_t			columns = (size_t) axes->m + 1;
	float			unused[CLU_LANES];

	place_along_axes(p, queue, n);
	clu_kernel->filter_panel(axes->place + p->block->first * columns, 4, (int) columns, queue, n,
							 axes->origin, 1, p->own->narrow.place_panel, unused);
}

/* The centre with the least bound. */
static void
find_nearest(const clu_pass *p, float *index)
{
	const clu_assigner		*a = p->a;
	const clu_narrow		*narrow = a->narrow;
	const clu_narrow_member *own = &p->own->narrow;
	float					 least[CLU_LANES], second[CLU_LANES];

	if (clu_is_coarse(a->narrow))
		clu_kernel->coarse_nearest(&own->coarse, (int) (narrow->coarse.stride / 4),
								   &narrow->set.centers, clu_filter_groups(a->k), index);
	else
		clu_kernel->filter(own->place_panel, narrow->axes.m + 1, narrow->places, a->half_norm,
						   clu_filter_groups(a->k), least, second, index);
}

/* The centres whose bounds are not above the limits. */
static void
list_centers(const clu_pass *p, float *limit, int most, float *rest, int *count)
{
	const clu_assigner		*a = p->a;
	const clu_narrow		*narrow = a->narrow;
	const clu_narrow_member *own = &p->own->narrow;

	if (clu_is_coarse(a->narrow))
		clu_kernel->coarse_list(&own->coarse, (int) (narrow->coarse.stride / 4),
								&narrow->set.centers, clu_filter_groups(a->k), limit, most, rest,
								own->list, count);
	else
		clu_kernel->filter_list(own->place_panel, narrow->axes.m + 1, narrow->places, a->half_norm,
								clu_filter_groups(a->k), limit, most, rest, own->list, count);
}

/* ---- points ---- */

/* The centre that a point had or, of one that had none, the most likely one. */
static void
guess_centers(const clu_pass *p, const uint32_t *queue, int n, uint32_t *guess)
{
	float index[CLU_LANES];
	bool  known = true;

	for (int lane = 0; lane < n; lane++)
		known &= (guess[lane] = p->label[queue[lane]]) != CLU_NO_LABEL;
	if (known)
		return;
	find_nearest(p, index);
	for (int lane = 0; lane < n; lane++)
		guess[lane] = (uint32_t) index[lane];
}

static seeker
seek(const clu_pass *p, uint32_t point, uint32_t guess)
{
	const clu_assigner *a = p->a;
	const clu_narrow   *narrow = a->narrow;
	size_t				number = p->block->first + point;
	double				norm =
		 clu_is_coarse(a->narrow) ? narrow->coarse.grain[number].norm : narrow->axes.norm[number];
	double length = clu_greatest_length(norm);

	return (seeker) {.point = point,
					 .guess = guess,
					 .distance = distance_from(p, point, guess),
					 .norm = norm * (1 - 4 * FLT_EPSILON),
					 .error = clu_is_coarse(a->narrow)
								  ? clu_coarse_error(a->d, length, a->largest_norm)
								  : clu_axes_error(&narrow->axes, length, a->largest_norm)};
}

/* The gap between a distance and the least that one beyond the limit can be. */
static float
gap_beyond(const clu_pass *p, const seeker *s, double least, float rest)
{
	double far = 2 * (rest - s->error) + s->norm;
	double gap =
		sqrt(far > 0 ? far : 0) * (1 - 1e-9) - sqrt(least) * p->a->frame->unit * (1 + 1e-9);

	if (!(gap < FLT_MAX / 4))
		return FLT_MAX / 4;
	return gap > FLT_MIN ? clu_round_down(gap) : 0;
}

static void
settle_listed(clu_pass *p, const seeker *s, const uint32_t *list, int count, float rest)
{
	double	 least = s->distance, second = INFINITY;
	uint32_t label = s->guess;
	float	 gap;

	for (int i = 0; i < count; i++)
	{
		double distance;

		if (list[i] == s->guess)
			continue;
		distance = distance_from(p, s->point, list[i]);
		second = CLU_MIN(second, CLU_MAX(least, distance));
		if (distance < least)
		{
			least = distance;
			label = list[i];
		}
	}
	gap = gap_beyond(p, s, least, rest);
	if (second < INFINITY)
	{
		float listed = second > LEAST_SURE ? clu_gap_between(p->a, least, second) : 0;

		if (!(listed > 0))
		{
			clu_settle_exactly(p, s->point);
			return;
		}
		gap = CLU_MIN(gap, listed);
	}
	clu_settle(p, s->point, label, gap);
}

void
clu_scan_crowded(clu_pass *p)
{
	if (p->waiting > 0)
		clu_scan_filtered(p, p->crowded, p->waiting);
	p->waiting = 0;
}

/* With more centres left, it's as well to have the filter look at all of them. */
static int
most_listed(int k)
{
	return CLU_MIN((k + OF_A_ROW) / 6, CLU_MOST_LISTED);
}

/* What a bound takes. */
static double
cost_of_bound(const clu_assigner *a)
{
	return clu_is_coarse(a->narrow) ? (double) a->narrow->coarse.stride / 4 + OF_A_BOUND
									: (a->narrow->axes.m + 1) * 1.2;
}

/* In units of a term of a score, with the centres as they are, of the points so far. */
bool
clu_narrowing_pays(const clu_assigner *a, const clu_narrow_member *own)
{
	double points = (double) own->narrowed, listed = (double) own->listed;
	double filter = (double) (a->k + OF_A_ROW) * a->d;
	double scores = points * a->k * cost_of_bound(a) + (double) own->crowded * filter;
	double distances = points * OF_A_POINT + (points + listed) * (5 * a->d + OF_A_DISTANCE);

	return own->narrowed < NARROW_TRIAL || scores + distances < points * filter * 0.8;
}

void
clu_scan_narrowed(clu_pass *p, const uint32_t *queue, int n)
{
	clu_narrow_member *own = &p->own->narrow;
	uint32_t		   guess[CLU_LANES];
	seeker			   seekers[CLU_LANES];
	float			   limit[CLU_LANES], rest[CLU_LANES];
	int				   count[CLU_LANES], most = most_listed(p->a->k);

	if (clu_is_coarse(p->a->narrow))
		see_in_small_integers(p, queue, n);
	else
		see_along_axes(p, queue, n);
	guess_centers(p, queue, n, guess);
	for (int lane = 0; lane < n; lane++)
	{
		seekers[lane] = seek(p, queue[lane], guess[lane]);
		limit[lane] = clu_bound_limit(seekers[lane].distance, p->a->frame->unit, seekers[lane].norm,
									  seekers[lane].error);
	}
	for (int lane = n; lane < CLU_LANES; lane++)
		limit[lane] = -INFINITY;
	list_centers(p, limit, most, rest, count);
	own->narrowed += (size_t) n;
	for (int lane = 0; lane < n; lane++)
	{
		if (count[lane] <= most)
		{
			own->listed += (size_t) count[lane];
			settle_listed(p, &seekers[lane], own->list + lane * most, count[lane], rest[lane]);
			continue;
		}
		own->crowded++;
		p->crowded[p->waiting++] = queue[lane];
		if (p->waiting == CLU_LANES)
			clu_scan_crowded(p);
	}
}
