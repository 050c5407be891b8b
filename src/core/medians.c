/*
 * medians.c
 *		Exact medians; the method is described in medians.h.
 */
#include "medians.h"

#include <string.h>

#include "exact.h"
#include "kernel.h"
#include "medians_parts.h"

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
		if (i % CLU_CHECK_STEPS == 0)
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

		if (i % CLU_CHECK_STEPS == 0)
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

/* Most likely about as many as last time, and a few for each bound. */
static size_t
expected_steps(const clu_medians *m)
{
	size_t changed = 0;

	for (int c = 0; c < m->k; c++)
		changed += m->total->changed[c];
	return m->walked + changed * (size_t) m->d * STEPS_OF_A_WALK;
}

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
