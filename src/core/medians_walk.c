/*
 * medians_walk.c
 *		Bounds on their way to the medians; the method is described in medians.h.
 */
#include "kernel.h"
#include "medians_parts.h"

#define CROSSED 64 /* points whose values are read together */

/* A point's weight * x, rounded as the kernels do it. */
static inline fixed
term_of(const clu_medians *m, uint32_t point, int column)
{
	double	x = clu_value(m->points, point, column);
	int64_t hi = 0, lo = 0;

	if (m->points->w == NULL)
		clu_exact_add(&hi, &lo, x, m->scale[column]);
	else
		clu_kernel->add_row(&hi, &lo, &x, m->points->w[point], false, m->scale + column, 1);
	return (fixed) {hi, lo};
}

/*
 * A bound on its way: of the cluster's points, those of lower ranks are below it.  Values lie
 * anywhere in memory: of the points that it crosses they are read
 * many at a time, which takes hardly longer than one.  Where many are crossed they are not read at
 * all: then sided is wrong, and is to be added up anew.
 */
typedef struct walker
{
	clu_medians	   *m;
	uint32_t		c;
	int				column;
	const uint32_t *order;
	size_t			rank;
	size_t			first, end; /* ranks of the piece that it is in; at first none */
	size_t			steps;

	int		 sign; /* 1 upwards, -1 downwards */
	fixed	 below;
	fixed	 sided;
	uint32_t crossed[CROSSED];
	size_t	 count;

	size_t *settled; /* points of the group, in this refit */

	const clu_interrupt *interrupt;
} walker;

/* Take the points that were crossed from one side of the sum to the other. */
static void
settle_crossed(walker *w)
{
	*w->settled += w->count;
	for (size_t i = 0; i < w->count && *w->settled <= w->m->most; i++)
	{
		fixed term = term_of(w->m, w->crossed[i], w->column);

		w->sided.hi -= w->sign * 2 * term.hi;
		w->sided.lo -= w->sign * 2 * term.lo;
	}
	clu_exact_carry(&w->sided.hi, &w->sided.lo, 1);
	w->count = 0;
}

/* The weight below when a point is crossed. */
static inline fixed
below_beyond(const walker *w, fixed below, uint32_t point)
{
	below.hi += w->sign * unit_hi(w->m, point);
	below.lo += w->sign * unit_lo(w->m, point);
	clu_exact_carry(&below.hi, &below.lo, 1);
	return below;
}

static inline void
cross(walker *w, uint32_t point)
{
	w->below = below_beyond(w, w->below, point);
	w->crossed[w->count++] = point;
	if (w->count < CROSSED)
		return;
	settle_crossed(w);
	clu_check(w->interrupt); /* each may have touched another page */
}

/* The sign of half the weight less that. */
static inline int
sign_at(const walker *w, fixed below)
{
	return sign_of(less_twice(weight_of(w->m, (int) w->c), below));
}

static inline void
count_step(walker *w)
{
	if (++w->steps % CLU_CHECK_STEPS == 0)
		clu_check(w->interrupt);
}

static inline bool
is_own(const walker *w, size_t rank)
{
	return is_of(w->m, w->order[rank], w->c);
}

/*
 * Cross a piece that isn't sorted, as far as that does not matter: where none of its points are
 * the bound.
 */
static bool
cross_piece(walker *w)
{
	fixed  below = w->below;
	size_t own = 0;

	for (size_t rank = w->first; rank < w->end; rank++)
	{
		count_step(w);
		if (!is_own(w, rank))
			continue;
		below = below_beyond(w, below, w->order[rank]);
		own++;
	}
	if (own > 0 && (w->sign > 0) != (sign_at(w, below) > 0))
		return false;
	for (size_t rank = w->first; rank < w->end && own > 0; rank++)
		if (is_own(w, rank))
		{
			cross(w, w->order[rank]);
			own--;
		}
	w->rank = w->sign > 0 ? w->end : w->first;
	return true;
}

/* Go on in the piece that has a rank, or beyond it; false where it has to be sorted first. */
static bool
enter(walker *w, size_t rank)
{
	clu_ranks *ranks = &w->m->ranks;
	size_t	   piece = clu_ranks_piece(ranks, w->column, rank);

	w->first = clu_ranks_first(ranks, w->column, piece);
	w->end = clu_ranks_first(ranks, w->column, piece + 1);
	if (clu_ranks_sorted(ranks, w->column, piece))
		return true;
	if (cross_piece(w))
		return true;
	clu_ranks_want(ranks, w->column, piece);
	return false;
}

/* Go to the next own point downwards. */
static bool
go_down(walker *w)
{
	for (;;)
	{
		while (w->rank > w->first)
		{
			count_step(w);
			if (is_own(w, --w->rank))
				return true;
		}
		if (!enter(w, w->rank - 1))
			return false;
	}
}

/* Go to the next own point upwards, or stay at one. */
static bool
go_up(walker *w)
{
	for (;;)
	{
		for (; w->rank < w->end; w->rank++)
		{
			count_step(w);
			if (is_own(w, w->rank))
				return true;
		}
		if (!enter(w, w->rank))
			return false;
	}
}

/* Go to the first point that, with those below, has at least half the weight. */
static bool
go_to_bound(walker *w)
{
	w->sign = -1;
	while (sign_at(w, w->below) <= 0)
	{
		if (!go_down(w))
			return false;
		cross(w, w->order[w->rank]);
	}
	settle_crossed(w);
	w->sign = 1;
	for (;; w->rank++)
	{
		if (!go_up(w))
			return false;
		if (sign_at(w, below_beyond(w, w->below, w->order[w->rank])) <= 0)
			return true;
		cross(w, w->order[w->rank]);
	}
}

/* Where the halves balance at the bound, the median is halfway to the next value. */
static bool
find_median(walker *w, double *median)
{
	const clu_points *points = w->m->points;
	uint32_t		  bound = w->order[w->rank];

	*median = clu_value(points, bound, w->column);
	w->below = below_beyond(w, w->below, bound);
	if (sign_at(w, w->below) < 0)
		return true;
	w->rank++;
	if (!go_up(w))
		return false;
	*median += (clu_value(points, w->order[w->rank], w->column) - *median) / 2;
	return true;
}

/* Note where a bound is, and what is below it. */
static void
store_bound(walker *w)
{
	clu_medians *m = w->m;
	size_t		 at = (size_t) w->c * (size_t) m->d + (size_t) w->column;

	settle_crossed(w);
	m->rank[at] = (uint32_t) w->rank;
	m->total->below_hi[at] = w->below.hi;
	m->total->below_lo[at] = w->below.lo;
	m->total->sided_hi[at] = w->sided.hi;
	m->total->sided_lo[at] = w->sided.lo;
}

/*
 * Move a bound to where the median is now, and note the median; false, somewhere on the way, where
 * a piece has to be sorted first.
 */
static bool
walk(clu_medians *m, uint32_t c, int column, size_t *settled, size_t *steps,
	 const clu_interrupt *interrupt)
{
	size_t at = (size_t) c * (size_t) m->d + (size_t) column;
	walker w;
	bool   found;

	w.m = m;
	w.c = c;
	w.column = column;
	w.order = clu_ranks_order(&m->ranks, column);
	w.rank = w.first = w.end = m->rank[at];
	w.steps = 0;
	w.below = weight_below(m, at);
	w.sided = (fixed) {m->total->sided_hi[at], m->total->sided_lo[at]};
	w.count = 0;
	w.settled = settled;
	w.interrupt = interrupt;
	found = go_to_bound(&w);
	store_bound(&w);
	if (found)
	{
		m->bound_point[at] = w.order[w.rank];
		m->bound[at] = clu_value(m->points, w.order[w.rank], column);
		found = find_median(&w, &m->median[at]);
	}
	*steps += w.steps;
	return found;
}

static int
group_first(const clu_medians *m, int group)
{
	return (int) ((int64_t) m->k * group / m->groups);
}

/*
 * Walk the bounds of a group of clusters in a column, as far as that takes no more steps than
 * there are points; the rest waits for the next time.
 */
static void
walk_group(void *work, size_t item, int member, const clu_interrupt *interrupt)
{
	clu_medians *m = work;
	size_t		 steps = 0;
	int			 column = (int) item / m->groups;
	int			 end = group_first(m, (int) item % m->groups + 1);

	(void) member;
	m->waits[item] = false;
	for (int c = group_first(m, (int) item % m->groups); c < end; c++)
	{
		bool *found = &m->found[(size_t) c * (size_t) m->d + (size_t) column];

		if (!*found && steps <= m->points->n)
			*found = walk(m, (uint32_t) c, column, &m->settled[item], &steps, interrupt);
		m->waits[item] = m->waits[item] || !*found;
	}
	m->steps[item] = steps;
}

const clu_task clu_walk_task = {walk_group, NULL};
