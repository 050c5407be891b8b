/*
 * medians.c
 *		Exact medians; the method is described in medians.h.
 */
#include "medians.h"

#include <string.h>

#include "exact.h"
#include "kernel.h"

#define WAITING (INT64_MIN / 2) /* below all that can be left of a weight */
#define CROSSED 64				/* points whose values are read together */
#define CHECK_STEPS 1024u		/* between two checks: each may touch another page */
#define NOISE 0x1p-40			/* more than a term's rounding, in units of the scale */
#define MANY_MOVES(n) ((n) / 8) /* beyond, scanning is faster than walking; measured */

/* Crossed points, in parts of n d, beyond which it's faster to add all points up anew. */
#define MANY_CROSSED 4
#define MANY_CROSSED_IN_FILES 256

/* Less work than so many steps is not worth asking others for help. */
#define WORTH_SHARING 50000
#define STEPS_OF_A_WALK 32 /* what it takes to look at a bound that stays */
#define LEAST_WALKERS 16   /* items that walks are cut into, where there are so many clusters */

static void
layout_part(clu_medians_part *part, clu_arena *arena, size_t k, size_t d)
{
	size_t medians = clu_size_product(k, d);

	CLU_TAKE(arena, part->row, d);
	CLU_TAKE(arena, part->weight_hi, k);
	CLU_TAKE(arena, part->weight_lo, k);
	CLU_TAKE(arena, part->sided_hi, medians);
	CLU_TAKE(arena, part->sided_lo, medians);
	CLU_TAKE(arena, part->below_hi, medians);
	CLU_TAKE(arena, part->below_lo, medians);
	CLU_TAKE(arena, part->changed, k);
	CLU_TAKE(arena, part->left_hi, k);
	CLU_TAKE(arena, part->left_lo, k);
}

void
clu_medians_layout(clu_medians *m, clu_arena *arena, const clu_points *points, int k, int members)
{
	size_t n = points->n, d = (size_t) points->d, clusters = (size_t) k;
	size_t medians = clu_size_product(clusters, d);
	bool   weighted = points->w != NULL;

	m->k = k;
	m->d = points->d;
	m->members = members;
	m->groups = CLU_MIN(k, (LEAST_WALKERS + m->d - 1) / m->d);
	clu_ranks_layout(&m->ranks, arena, points, members);
	CLU_TAKE(arena, m->scale, d);
	CLU_TAKE(arena, m->unit_hi, weighted ? n : 0);
	CLU_TAKE(arena, m->unit_lo, weighted ? n : 0);
	CLU_TAKE(arena, m->rank, medians);
	CLU_TAKE(arena, m->bound, medians);
	CLU_TAKE(arena, m->bound_point, medians);
	CLU_TAKE(arena, m->median, medians);
	CLU_TAKE(arena, m->cost, clusters);
	CLU_TAKE(arena, m->next, d * (size_t) m->groups);
	CLU_TAKE(arena, m->steps, d * (size_t) m->groups);
	CLU_TAKE(arena, m->settled, d * (size_t) m->groups);
	CLU_TAKE(arena, m->part, (size_t) members);
	for (int i = 0; i < members; i++)
	{
		clu_medians_part measured, *part;

		CLU_TAKE(arena, part, 1);
		layout_part(part == NULL ? &measured : part, arena, clusters, d);
		if (m->part != NULL)
			m->part[i] = part;
	}
	m->total = m->part == NULL ? NULL : m->part[0];
}

/* ---- weights ---- */

static void
fix_weights(void *work, size_t item, int member, const clu_interrupt *interrupt)
{
	clu_medians *m = work;
	size_t		 end = clu_share_first(m->points->n, item + 1);

	(void) member;
	for (size_t i = clu_share_first(m->points->n, item); i < end; i++)
	{
		m->unit_hi[i] = m->unit_lo[i] = 0;
		clu_exact_add(&m->unit_hi[i], &m->unit_lo[i], m->points->w[i], m->weight_scale);
		if (i % CHECK_STEPS == 0)
			clu_check(interrupt);
	}
}

const clu_task clu_fix_weights_task = {fix_weights, NULL};

void
clu_medians_begin(clu_medians *m, const clu_points *points, const clu_word_list *scratch,
				  clu_team *team, const clu_interrupt *interrupt)
{
	clu_team *helpers = points->n >= WORTH_SHARING ? team : NULL;

	m->points = points;
	clu_ranks_sort(&m->ranks, points, scratch, team, interrupt);
	for (int j = 0; j < m->d; j++)
		m->scale[j] = clu_exact_scale(points->largest[j] * points->largest_weight,
									  points->largest[j] * points->total_weight);
	m->weight_scale =
		points->w == NULL ? 1 : clu_exact_scale(points->largest_weight, points->total_weight);
	if (points->w != NULL)
		clu_team_run(helpers, CLU_JOB_FIX_WEIGHTS, m, clu_shares(points->n), interrupt);
}

static void
clear_sums(const clu_medians *m, clu_medians_part *part)
{
	size_t size = (size_t) m->k * (size_t) m->d * sizeof(int64_t);

	memset(part->sided_hi, 0, size);
	memset(part->sided_lo, 0, size);
	memset(part->below_hi, 0, size);
	memset(part->below_lo, 0, size);
	part->pending = 0;
}

void
clu_medians_reset(clu_medians *m)
{
	for (int i = 0; i < m->members; i++)
	{
		clu_medians_part *part = m->part[i];

		memset(part->weight_hi, 0, (size_t) m->k * sizeof(int64_t));
		memset(part->weight_lo, 0, (size_t) m->k * sizeof(int64_t));
		memset(part->changed, i == 0, (size_t) m->k * sizeof(bool));
		clear_sums(m, part);
		part->moved = 0;
	}
	m->bounded = false;
	m->walked = 0;
}

/* ---- members ---- */

static inline const uint32_t *
column_order(const clu_medians *m, int column)
{
	return m->ranks.order + (size_t) column * m->points->n;
}

static inline int64_t
unit_hi(const clu_medians *m, size_t point)
{
	return m->points->w == NULL ? 1 : m->unit_hi[point];
}

static inline int64_t
unit_lo(const clu_medians *m, size_t point)
{
	return m->points->w == NULL ? 0 : m->unit_lo[point];
}

static clu_sided
sided(const clu_medians *m, const clu_medians_part *part, uint32_t c)
{
	size_t at = (size_t) c * (size_t) m->d;

	return (clu_sided) {
		.bound = m->bound + at,
		.bound_point = m->bound_point + at,
		.scale = m->scale,
		.hi = part->sided_hi + at,
		.lo = part->sided_lo + at,
		.below_hi = part->below_hi + at,
		.below_lo = part->below_lo + at,
	};
}

static void
carry(const clu_medians *m, clu_medians_part *part)
{
	size_t medians = (size_t) m->k * (size_t) m->d;

	clu_exact_carry(part->sided_hi, part->sided_lo, medians);
	clu_exact_carry(part->below_hi, part->below_lo, medians);
	part->pending = 0;
}

static inline void
add_sided(const clu_medians *m, clu_medians_part *part, uint32_t point, uint32_t c, bool subtract)
{
	clu_sided to = sided(m, part, c);

	clu_kernel->add_sided(&to, clu_point(m->points, point, part->row), point,
						  clu_weight(m->points->w, point), unit_hi(m, point), unit_lo(m, point),
						  subtract, m->d);
	if (++part->pending == CLU_EXACT_CARRY)
		carry(m, part);
}

static void
add_weight(const clu_medians *m, clu_medians_part *part, uint32_t c, uint32_t point, int sign)
{
	part->weight_hi[c] += sign * unit_hi(m, point);
	part->weight_lo[c] += sign * unit_lo(m, point);
	if (m->points->w != NULL)
		clu_exact_carry(&part->weight_hi[c], &part->weight_lo[c], 1);
	part->changed[c] = true;
}

static bool
many_moved(const clu_medians *m, const clu_medians_part *part)
{
	return part->moved > MANY_MOVES(m->points->n);
}

void
clu_medians_move(clu_medians *m, int member, uint32_t point, uint32_t from, uint32_t to)
{
	clu_medians_part *part = m->part[member];
	bool			  keeps_sums;

	part->moved++;
	keeps_sums = m->bounded && !many_moved(m, part);
	add_weight(m, part, to, point, 1);
	if (keeps_sums)
		add_sided(m, part, point, to, false);
	if (from == CLU_NO_LABEL)
		return;
	add_weight(m, part, from, point, -1);
	if (keeps_sums)
		add_sided(m, part, point, from, true);
}

/* Move n numbers from one sum to another. */
static void
collect_numbers(int64_t *hi, int64_t *lo, int64_t *from_hi, int64_t *from_lo, size_t n)
{
	clu_exact_carry(from_hi, from_lo, n);
	for (size_t i = 0; i < n; i++)
	{
		hi[i] += from_hi[i];
		lo[i] += from_lo[i];
	}
	clu_exact_carry(hi, lo, n);
	memset(from_hi, 0, n * sizeof(int64_t));
	memset(from_lo, 0, n * sizeof(int64_t));
}

static void
collect_sums(clu_medians *m, clu_medians_part *part, int c)
{
	clu_medians_part *to = m->total;
	size_t			  d = (size_t) m->d, at = (size_t) c * d;

	collect_numbers(to->sided_hi + at, to->sided_lo + at, part->sided_hi + at, part->sided_lo + at,
					d);
	collect_numbers(to->below_hi + at, to->below_lo + at, part->below_hi + at, part->below_lo + at,
					d);
}

void
clu_medians_collect(clu_medians *m)
{
	for (int i = 1; i < m->members; i++)
	{
		clu_medians_part *part = m->part[i];

		for (int c = 0; c < m->k; c++)
		{
			if (!part->changed[c])
				continue;
			collect_numbers(&m->total->weight_hi[c], &m->total->weight_lo[c], &part->weight_hi[c],
							&part->weight_lo[c], 1);
			collect_sums(m, part, c);
			m->total->changed[c] = true;
			part->changed[c] = false;
		}
		m->total->moved += part->moved;
		part->moved = part->pending = 0;
	}
}

bool
clu_medians_empty(const clu_medians *m, int c)
{
	return m->total->weight_hi[c] == 0 && m->total->weight_lo[c] == 0;
}

/* ---- fixed point numbers, compared ---- */

/* A carried number hi + lo * 2^-40: |lo| is at most half a unit of hi. */
typedef struct fixed
{
	int64_t hi, lo;
} fixed;

static inline int
sign_of(fixed a)
{
	int64_t part = a.hi != 0 ? a.hi : a.lo;

	return (part > 0) - (part < 0);
}

/* total - 2 part */
static inline fixed
less_twice(fixed total, fixed part)
{
	fixed result = {total.hi - 2 * part.hi, total.lo - 2 * part.lo};

	clu_exact_carry(&result.hi, &result.lo, 1);
	return result;
}

static inline fixed
weight_of(const clu_medians *m, int c)
{
	return (fixed) {m->total->weight_hi[c], m->total->weight_lo[c]};
}

static inline fixed
weight_below(const clu_medians *m, size_t at)
{
	return (fixed) {m->total->below_hi[at], m->total->below_lo[at]};
}

static inline fixed
with_point(const clu_medians *m, fixed weight, uint32_t point)
{
	return (fixed) {weight.hi + unit_hi(m, point), weight.lo + unit_lo(m, point)};
}

/* ---- scanning ---- */

static void
set_bound(clu_medians *m, uint32_t c, int column, size_t rank)
{
	size_t	 at = (size_t) c * (size_t) m->d + (size_t) column;
	uint32_t point = column_order(m, column)[rank];

	m->rank[at] = (uint32_t) rank;
	m->bound[at] = clu_value(m->points, point, column);
	m->bound_point[at] = point;
}

/* Halfway between a bound and the value of a rank above it. */
static double
midpoint(const clu_medians *m, size_t at, int column, size_t rank)
{
	double low = m->bound[at];

	return low + (clu_value(m->points, column_order(m, column)[rank], column) - low) / 2;
}

/* A cluster whose halves balance is waiting for its next point. */
static inline bool
is_waiting(const clu_medians_part *own, uint32_t c)
{
	return own->left_hi[c] < WAITING / 2;
}

/* A point that has no more than half of its cluster's weight after it; whether that was the last. */
static bool
pass_half(clu_medians *m, clu_medians_part *own, uint32_t c, int column, size_t rank)
{
	size_t at = (size_t) c * (size_t) m->d + (size_t) column;

	if (is_waiting(own, c))
		m->median[at] = midpoint(m, at, column, rank);
	else
	{
		set_bound(m, c, column, rank);
		m->median[at] = m->bound[at];
		if (own->left_hi[c] == 0 && own->left_lo[c] == 0)
		{
			own->left_hi[c] = WAITING;
			return false;
		}
	}
	own->left_hi[c] = INT64_MAX / 2; /* more than all that is to come: never again */
	return true;
}

/* Find all clusters' medians of a column. */
static void
scan_column(void *work, size_t item, int member, const clu_interrupt *interrupt)
{
	clu_medians		 *m = work;
	clu_medians_part *own = m->part[member];
	const uint32_t	 *label = m->label;
	const uint32_t	 *order = column_order(m, (int) item);
	int64_t			 *left_hi = own->left_hi, *left_lo = own->left_lo;
	bool			  weighted = m->points->w != NULL;
	int				  left = m->k;

	memcpy(left_hi, m->total->weight_hi, (size_t) m->k * sizeof(int64_t));
	memcpy(left_lo, m->total->weight_lo, (size_t) m->k * sizeof(int64_t));
	for (size_t rank = 0; left > 0; rank++)
	{
		uint32_t c = label[order[rank]];

		if (rank % CHECK_STEPS == 0)
			clu_check(interrupt);
		if (!weighted)
		{
			if ((left_hi[c] -= 2) > 0)
				continue;
		}
		else
		{
			fixed rest = less_twice((fixed) {left_hi[c], left_lo[c]},
									(fixed) {m->unit_hi[order[rank]], m->unit_lo[order[rank]]});

			left_hi[c] = rest.hi;
			left_lo[c] = rest.lo;
			if (sign_of(rest) > 0)
				continue;
		}
		left -= pass_half(m, own, c, (int) item, rank);
	}
}

/* ---- adding up ---- */

/* Add a share of the points to the member's sums. */
static void
add_share(void *work, size_t item, int member, const clu_interrupt *interrupt)
{
	clu_medians		 *m = work;
	clu_medians_part *own = m->part[member];
	size_t			  block, end;

	for (clu_points_share(m->points, item, &block, &end); block < end; block++)
	{
		clu_block at = clu_points_block(m->points, block);

		for (size_t i = at.first; i < at.first + at.n; i++)
			add_sided(m, own, (uint32_t) i, m->label[i], false);
		clu_check(interrupt);
	}
}

const clu_task clu_scan_column_task = {scan_column, NULL};
const clu_task clu_add_sided_task = {add_share, NULL};

static clu_team *
helpers_for_all(const clu_medians *m, clu_team *team)
{
	return m->points->n * (size_t) m->d >= WORTH_SHARING ? team : NULL;
}

/* Make the sums about the bounds those of all points. */
static void
add_up(clu_medians *m, clu_team *team, const clu_interrupt *interrupt)
{
	clu_team *helpers = helpers_for_all(m, team);

	clear_sums(m, m->total);
	clu_team_run(helpers, CLU_JOB_ADD_SIDED, m, clu_points_shares(m->points), interrupt);
	carry(m, m->total);
	for (int i = 1; helpers != NULL && i < m->members; i++)
	{
		for (int c = 0; c < m->k; c++)
			collect_sums(m, m->part[i], c);
		m->part[i]->pending = 0;
	}
}

static void
scan(clu_medians *m, clu_team *team, const clu_interrupt *interrupt)
{
	clu_team_run(helpers_for_all(m, team), CLU_JOB_SCAN_COLUMN, m, (size_t) m->d, interrupt);
	add_up(m, team, interrupt);
}

/* ---- walking ---- */

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
 * A bound on its way.  Values lie anywhere in memory: of the points that it crosses they are read
 * many at a time, which takes hardly longer than one.  Where many are crossed they are not read at
 * all: then sided is wrong, and is to be added up anew.
 */
typedef struct walker
{
	const clu_medians *m;
	int				   column;
	int				   sign; /* 1 upwards, -1 downwards */
	fixed			   below;
	fixed			   sided;
	uint32_t		   crossed[CROSSED];
	size_t			   count;

	size_t *settled; /* points of the group, in this refit */
	size_t	most;	 /* of these */

	const clu_interrupt *interrupt;
} walker;

/* Take the points that were crossed from one side of the sum to the other. */
static void
settle_crossed(walker *w)
{
	*w->settled += w->count;
	for (size_t i = 0; i < w->count && *w->settled <= w->most; i++)
	{
		fixed term = term_of(w->m, w->crossed[i], w->column);

		w->sided.hi -= w->sign * 2 * term.hi;
		w->sided.lo -= w->sign * 2 * term.lo;
	}
	clu_exact_carry(&w->sided.hi, &w->sided.lo, 1);
	w->count = 0;
}

static inline void
cross(walker *w, uint32_t point)
{
	w->below.hi += w->sign * unit_hi(w->m, point);
	w->below.lo += w->sign * unit_lo(w->m, point);
	clu_exact_carry(&w->below.hi, &w->below.lo, 1);
	w->crossed[w->count++] = point;
	if (w->count < CROSSED)
		return;
	settle_crossed(w);
	clu_check(w->interrupt); /* each may have touched another page */
}

/* By a group of clusters in a column. */
static size_t
most_settled(const clu_medians *m)
{
	size_t part = m->points->in_files ? MANY_CROSSED_IN_FILES : MANY_CROSSED;

	return m->points->n / part / (size_t) m->groups;
}

static inline void
count_step(size_t *steps, const clu_interrupt *interrupt)
{
	if (++*steps % CHECK_STEPS == 0)
		clu_check(interrupt);
}

/* Move a bound to where the median is now, and note the median; returns the number of steps. */
static size_t
walk(clu_medians *m, uint32_t c, int column, size_t *settled, const clu_interrupt *interrupt)
{
	const uint32_t *label = m->label;
	size_t			at = (size_t) c * (size_t) m->d + (size_t) column;
	const uint32_t *order = column_order(m, column);
	fixed			total = weight_of(m, (int) c);
	size_t			rank = m->rank[at], steps = 0;
	walker			w;

	w.m = m;
	w.column = column;
	w.sign = -1;
	w.below = weight_below(m, at);
	w.sided = (fixed) {m->total->sided_hi[at], m->total->sided_lo[at]};
	w.count = 0;
	w.settled = settled;
	w.most = most_settled(m);
	w.interrupt = interrupt;
	while (sign_of(less_twice(total, w.below)) <= 0)
	{
		for (rank--; label[order[rank]] != c; rank--)
			count_step(&steps, interrupt);
		cross(&w, order[rank]);
	}
	settle_crossed(&w);
	w.sign = 1;
	for (;; rank++)
	{
		count_step(&steps, interrupt);
		if (label[order[rank]] != c)
			continue;
		if (sign_of(less_twice(total, with_point(m, w.below, order[rank]))) <= 0)
			break;
		cross(&w, order[rank]);
	}
	settle_crossed(&w);
	set_bound(m, c, column, rank);
	m->total->below_hi[at] = w.below.hi;
	m->total->below_lo[at] = w.below.lo;
	m->total->sided_hi[at] = w.sided.hi;
	m->total->sided_lo[at] = w.sided.lo;
	m->median[at] = m->bound[at];
	if (sign_of(less_twice(total, with_point(m, w.below, order[rank]))) < 0)
		return steps;
	for (rank++; label[order[rank]] != c; rank++)
		count_step(&steps, interrupt);
	m->median[at] = midpoint(m, at, column, rank);
	return steps;
}

static int
group_first(const clu_medians *m, int group)
{
	return (int) ((int64_t) m->k * group / m->groups);
}

/* Most likely about as many as last time, and a few for each bound. */
static size_t
expected_steps(const clu_medians *m)
{
	size_t changed = 0;

	for (int c = 0; c < m->k; c++)
		changed += m->total->changed[c];
	return m->walked + changed * (size_t) m->d * STEPS_OF_A_WALK;
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
	int			 end = group_first(m, (int) item % m->groups + 1);
	int			 c;

	(void) member;
	for (c = m->next[item]; c < end && steps <= m->points->n; c++)
		if (m->total->changed[c])
			steps += walk(m, (uint32_t) c, (int) item / m->groups, &m->settled[item], interrupt);
	m->next[item] = c;
	m->steps[item] = steps;
}

const clu_task clu_walk_task = {walk_group, NULL};

static bool
all_settled(const clu_medians *m)
{
	for (int i = 0; i < m->d * m->groups; i++)
		if (m->settled[i] > most_settled(m))
			return false;
	return true;
}

/* Walk all bounds; false where that got longer than scanning, with some of them walked. */
static bool
walk_all(clu_medians *m, clu_team *team, const clu_interrupt *interrupt)
{
	int		  items = m->d * m->groups;
	size_t	  most = m->points->n * (size_t) m->d;
	clu_team *helpers = expected_steps(m) >= WORTH_SHARING ? team : NULL;
	bool	  left = true;

	carry(m, m->total);
	for (int i = 0; i < items; i++)
	{
		m->next[i] = group_first(m, i % m->groups);
		m->settled[i] = 0;
	}
	for (m->walked = 0; left && m->walked <= most;)
	{
		left = false;
		clu_team_run(helpers, CLU_JOB_WALK, m, (size_t) items, interrupt);
		for (int i = 0; i < items; i++)
		{
			m->walked += m->steps[i];
			left = left || m->next[i] < group_first(m, i % m->groups + 1);
		}
	}
	if (!left && !all_settled(m))
		add_up(m, team, interrupt);
	return !left;
}

/* ---- refit ---- */

/* The cost of a cluster at its medians; 0 where only the rounding of the terms is left of it. */
static clu_dd
cost_of(const clu_medians *m, int c)
{
	clu_dd cost = {0, 0};
	double noise = 0;

	for (int j = 0; j < m->d; j++)
	{
		size_t at = (size_t) c * (size_t) m->d + (size_t) j;
		fixed  rest = less_twice(weight_of(m, c), weight_below(m, at));
		clu_dd lever = clu_dd_product(clu_exact_value(rest.hi, rest.lo, m->weight_scale),
									  (clu_dd) {-m->bound[at], 0});

		cost = clu_dd_add(cost, lever);
		cost = clu_dd_add(
			cost, clu_exact_value(m->total->sided_hi[at], m->total->sided_lo[at], m->scale[j]));
		noise += (double) m->points->n * NOISE / m->scale[j];
	}
	return clu_dd_value(cost) < noise ? (clu_dd) {0, 0} : cost;
}

clu_dd
clu_medians_refit(clu_medians *m, const uint32_t *label, double *center, double *size,
				  clu_team *team, const clu_interrupt *interrupt)
{
	clu_dd total = {0, 0};

	m->label = label;
	if (!m->bounded || many_moved(m, m->total) || !walk_all(m, team, interrupt))
		scan(m, team, interrupt);
	m->bounded = true;
	m->total->moved = 0;
	for (int c = 0; c < m->k; c++)
	{
		fixed weight = weight_of(m, c);

		if (m->total->changed[c])
			m->cost[c] = cost_of(m, c);
		m->total->changed[c] = false;
		size[c] = clu_dd_value(clu_exact_value(weight.hi, weight.lo, m->weight_scale));
		total = clu_dd_add(total, m->cost[c]);
		clu_check(interrupt);
	}
	memcpy(center, m->median, (size_t) m->k * (size_t) m->d * sizeof(double));
	return total;
}
