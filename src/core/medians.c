/*
 * medians.c
 *		Exact medians; the method is described in medians.h.
 */
#include "medians.h"

#include <string.h>

#include "exact.h"
#include "kernel.h"

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
	CLU_TAKE(arena, part->passed, k);
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
	CLU_TAKE(arena, m->low, n);
	CLU_TAKE(arena, m->scale, d);
	CLU_TAKE(arena, m->unit_hi, weighted ? n : 0);
	CLU_TAKE(arena, m->unit_lo, weighted ? n : 0);
	CLU_TAKE(arena, m->rank, medians);
	CLU_TAKE(arena, m->bound, medians);
	CLU_TAKE(arena, m->bound_point, medians);
	CLU_TAKE(arena, m->median, medians);
	CLU_TAKE(arena, m->cost, clusters);
	CLU_TAKE(arena, m->found, medians);
	CLU_TAKE(arena, m->waits, d * (size_t) m->groups);
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
clu_medians_begin(clu_medians *m, const clu_points *points, uint64_t *scratch, clu_team *team,
				  const clu_interrupt *interrupt)
{
	clu_team *helpers = points->n >= WORTH_SHARING ? team : NULL;

	m->points = points;
	clu_ranks_part(&m->ranks, points, scratch, team, interrupt);
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

static inline bool
is_of(const clu_medians *m, uint32_t point, uint32_t c)
{
	return m->low[point] == (uint8_t) c && (m->k <= UINT8_MAX + 1 || m->label[point] == c);
}

static inline uint32_t
label_of(const clu_medians *m, uint32_t point)
{
	return m->k <= UINT8_MAX + 1 ? m->low[point] : m->label[point];
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
	m->low[point] = (uint8_t) to;
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

/* ---- scanning ---- */

/* Half of a carried number, which must be an even one. */
static inline fixed
half_of(fixed a)
{
	fixed half = {a.hi >> 1, (a.lo + (a.hi & 1) * (INT64_C(1) << 40)) / 2};

	clu_exact_carry(&half.hi, &half.lo, 1);
	return half;
}

/*
 * Take away twice the weights of the points of a piece from what is left of their clusters', and
 * list the clusters that this leaves nothing of.  Inline, for the loop that nearly all points have
 * a weight of 1 in.
 */
static inline __attribute__((always_inline)) size_t
pass_piece(const clu_medians *m, const clu_medians_part *own, const uint32_t *order, size_t n,
		   const bool weighted, const clu_interrupt *interrupt)
{
	int64_t *left_hi = own->left_hi, *left_lo = own->left_lo;
	size_t	 passed = 0;

	for (size_t i = 0; i < n; i++)
	{
		uint32_t c = label_of(m, order[i]);

		if (i % CHECK_STEPS == 0)
			clu_check(interrupt);
		if (!weighted)
		{
			left_hi[c] -= 2;
			if (left_hi[c] <= 0 && left_hi[c] > -2)
				own->passed[passed++] = c;
		}
		else
		{
			fixed left = {left_hi[c], left_lo[c]};
			fixed rest = less_twice(left, (fixed) {unit_hi(m, order[i]), unit_lo(m, order[i])});

			left_hi[c] = rest.hi;
			left_lo[c] = rest.lo;
			if (sign_of(left) > 0 && sign_of(rest) <= 0)
				own->passed[passed++] = c;
		}
	}
	return passed;
}

/* Set the bound of a cluster whose median is in a piece to the end of that. */
static void
set_to_end(clu_medians *m, const clu_medians_part *own, uint32_t c, int column, size_t piece)
{
	size_t at = (size_t) c * (size_t) m->d + (size_t) column;
	fixed  below = {m->total->weight_hi[c] - own->left_hi[c],
					m->total->weight_lo[c] - own->left_lo[c]};

	clu_exact_carry(&below.hi, &below.lo, 1);
	below = half_of(below);
	m->total->below_hi[at] = below.hi;
	m->total->below_lo[at] = below.lo;
	m->rank[at] = (uint32_t) clu_ranks_first(&m->ranks, column, piece + 1);
}

/* Find the pieces that all clusters' medians of a column are in. */
static void
scan_column(void *work, size_t item, int member, const clu_interrupt *interrupt)
{
	clu_medians			   *m = work;
	const clu_medians_part *own = m->part[member];
	int						column = (int) item, left = m->k;

	memcpy(own->left_hi, m->total->weight_hi, (size_t) m->k * sizeof(int64_t));
	memcpy(own->left_lo, m->total->weight_lo, (size_t) m->k * sizeof(int64_t));
	for (size_t piece = 0; left > 0; piece++)
	{
		size_t			first = clu_ranks_first(&m->ranks, column, piece);
		size_t			n = clu_ranks_first(&m->ranks, column, piece + 1) - first, passed;
		const uint32_t *order = clu_ranks_order(&m->ranks, column) + first;

		passed = m->points->w == NULL ? pass_piece(m, own, order, n, false, interrupt)
									  : pass_piece(m, own, order, n, true, interrupt);
		for (size_t i = 0; i < passed; i++)
			set_to_end(m, own, own->passed[i], column, piece);
		if (passed > 0)
			clu_ranks_want(&m->ranks, column, piece);
		left -= (int) passed;
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
	if (++w->steps % CHECK_STEPS == 0)
		clu_check(w->interrupt);
}

static inline bool
is_own(const walker *w, size_t rank)
{
	return is_of(w->m, w->order[rank], w->c);
}

/* Cross a piece that isn't sorted, as far as that does not matter: where none of its points are the bound. */
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
 * Move a bound to where the median is now, and note the median; false, somewhere on the way, where a
 * piece has to be sorted first.
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

/* Walk all bounds whose medians aren't found; false where that got longer than most. */
static bool
walk_all(clu_medians *m, size_t most, clu_team *team, const clu_interrupt *interrupt)
{
	int		  items = m->d * m->groups;
	clu_team *helpers = expected_steps(m) >= WORTH_SHARING ? team : NULL;
	bool	  waiting = true;

	memset(m->settled, 0, (size_t) items * sizeof(size_t));
	for (m->walked = 0; waiting && m->walked <= most;)
	{
		waiting = false;
		clu_team_run(helpers, CLU_JOB_WALK, m, (size_t) items, interrupt);
		for (int i = 0; i < items; i++)
		{
			m->walked += m->steps[i];
			waiting = waiting || m->waits[i];
		}
		if (waiting)
			clu_ranks_sort(&m->ranks, team, interrupt);
	}
	return !waiting;
}

static void
scan(clu_medians *m, clu_team *team, const clu_interrupt *interrupt)
{
	clu_team_run(helpers_for_all(m, team), CLU_JOB_SCAN_COLUMN, m, (size_t) m->d, interrupt);
	clu_ranks_sort(&m->ranks, team, interrupt);
	memset(m->found, 0, (size_t) m->k * (size_t) m->d * sizeof(bool));
	m->most = 0;
	walk_all(m, SIZE_MAX, team, interrupt);
	add_up(m, team, interrupt);
}

/* By a group of clusters in a column. */
static size_t
most_settled(const clu_medians *m)
{
	size_t part = m->points->in_files ? MANY_CROSSED_IN_FILES : MANY_CROSSED;

	return m->points->n / part / (size_t) m->groups;
}

/* Find the medians from where they were; false where that got longer than scanning. */
static bool
follow(clu_medians *m, clu_team *team, const clu_interrupt *interrupt)
{
	bool settled = true;

	carry(m, m->total);
	for (int c = 0; c < m->k; c++)
		memset(m->found + (size_t) c * (size_t) m->d, !m->total->changed[c], (size_t) m->d);
	m->most = most_settled(m);
	if (!walk_all(m, m->points->n * (size_t) m->d, team, interrupt))
		return false;
	for (int i = 0; i < m->d * m->groups; i++)
		settled = settled && m->settled[i] <= m->most;
	if (!settled)
		add_up(m, team, interrupt);
	return true;
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
	if (!m->bounded || many_moved(m, m->total) || !follow(m, team, interrupt))
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
