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
#define CHECK_STEPS 65536u		/* between two checks for interrupts */
#define NOISE 0x1p-40			/* more than a term's rounding, in units of the scale */
#define MANY_MOVES(n) ((n) / 8) /* beyond, scanning is faster than walking; measured */

void
clu_medians_layout(clu_medians *m, clu_arena *arena, const clu_points *points, int k)
{
	size_t n = points->n, d = (size_t) points->d, clusters = (size_t) k;
	size_t medians = clu_size_product(clusters, d);
	bool   weighted = points->w != NULL;

	m->k = k;
	m->d = points->d;
	clu_ranks_layout(&m->ranks, arena, points);
	CLU_TAKE(arena, m->scale, d);
	CLU_TAKE(arena, m->row, d);
	CLU_TAKE(arena, m->unit_hi, weighted ? n : 0);
	CLU_TAKE(arena, m->unit_lo, weighted ? n : 0);
	CLU_TAKE(arena, m->weight_hi, clusters);
	CLU_TAKE(arena, m->weight_lo, clusters);
	CLU_TAKE(arena, m->rank, medians);
	CLU_TAKE(arena, m->bound, medians);
	CLU_TAKE(arena, m->bound_point, medians);
	CLU_TAKE(arena, m->median, medians);
	CLU_TAKE(arena, m->sided_hi, medians);
	CLU_TAKE(arena, m->sided_lo, medians);
	CLU_TAKE(arena, m->below_hi, medians);
	CLU_TAKE(arena, m->below_lo, medians);
	CLU_TAKE(arena, m->changed, clusters);
	CLU_TAKE(arena, m->cost, clusters);
	CLU_TAKE(arena, m->left_hi, clusters);
	CLU_TAKE(arena, m->left_lo, clusters);
}

/* ---- weights ---- */

void
clu_medians_begin(clu_medians *m, const clu_points *points, clu_word_list *scratch,
				  const clu_interrupt *interrupt)
{
	m->points = points;
	clu_ranks_sort(&m->ranks, points, scratch, interrupt);
	for (int j = 0; j < m->d; j++)
		m->scale[j] = clu_exact_scale(points->largest[j] * points->largest_weight,
									  points->largest[j] * points->total_weight);
	m->weight_scale =
		points->w == NULL ? 1 : clu_exact_scale(points->largest_weight, points->total_weight);
	for (size_t i = 0; points->w != NULL && i < points->n; i++)
	{
		m->unit_hi[i] = m->unit_lo[i] = 0;
		clu_exact_add(&m->unit_hi[i], &m->unit_lo[i], points->w[i], m->weight_scale);
		if (i % CHECK_STEPS == 0)
			clu_check(interrupt);
	}
}

void
clu_medians_reset(clu_medians *m)
{
	memset(m->weight_hi, 0, (size_t) m->k * sizeof(int64_t));
	memset(m->weight_lo, 0, (size_t) m->k * sizeof(int64_t));
	memset(m->changed, 1, (size_t) m->k * sizeof(bool));
	m->bounded = false;
	m->moved = m->pending = 0;
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
sided(const clu_medians *m, uint32_t c, int column)
{
	size_t at = (size_t) c * (size_t) m->d + (size_t) column;

	return (clu_sided) {
		.bound = m->bound + at,
		.bound_point = m->bound_point + at,
		.scale = m->scale + column,
		.hi = m->sided_hi + at,
		.lo = m->sided_lo + at,
		.below_hi = m->below_hi + at,
		.below_lo = m->below_lo + at,
	};
}

static void
carry(clu_medians *m)
{
	size_t medians = (size_t) m->k * (size_t) m->d;

	clu_exact_carry(m->sided_hi, m->sided_lo, medians);
	clu_exact_carry(m->below_hi, m->below_lo, medians);
	m->pending = 0;
}

static inline void
add_sided(clu_medians *m, uint32_t point, uint32_t c, bool subtract)
{
	clu_sided to = sided(m, c, 0);

	clu_kernel->add_sided(&to, clu_point(m->points, point, m->row), point,
						  clu_weight(m->points->w, point), unit_hi(m, point), unit_lo(m, point),
						  subtract, m->d);
	if (++m->pending == CLU_EXACT_CARRY)
		carry(m);
}

static void
add_weight(clu_medians *m, uint32_t c, uint32_t point, int sign)
{
	m->weight_hi[c] += sign * unit_hi(m, point);
	m->weight_lo[c] += sign * unit_lo(m, point);
	if (m->points->w != NULL)
		clu_exact_carry(&m->weight_hi[c], &m->weight_lo[c], 1);
	m->changed[c] = true;
}

void
clu_medians_move(clu_medians *m, uint32_t point, uint32_t from, uint32_t to)
{
	if (++m->moved > MANY_MOVES(m->points->n))
		m->bounded = false;
	add_weight(m, to, point, 1);
	if (m->bounded)
		add_sided(m, point, to, false);
	if (from == CLU_NO_LABEL)
		return;
	add_weight(m, from, point, -1);
	if (m->bounded)
		add_sided(m, point, from, true);
}

bool
clu_medians_empty(const clu_medians *m, int c)
{
	return m->weight_hi[c] == 0 && m->weight_lo[c] == 0;
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
	return (fixed) {m->weight_hi[c], m->weight_lo[c]};
}

static inline fixed
weight_below(const clu_medians *m, size_t at)
{
	return (fixed) {m->below_hi[at], m->below_lo[at]};
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
is_waiting(const clu_medians *m, uint32_t c)
{
	return m->left_hi[c] < WAITING / 2;
}

/* A point that has no more than half of its cluster's weight after it; whether that was the last. */
static bool
pass_half(clu_medians *m, uint32_t c, int column, size_t rank)
{
	size_t at = (size_t) c * (size_t) m->d + (size_t) column;

	if (is_waiting(m, c))
		m->median[at] = midpoint(m, at, column, rank);
	else
	{
		set_bound(m, c, column, rank);
		m->median[at] = m->bound[at];
		if (m->left_hi[c] == 0 && m->left_lo[c] == 0)
		{
			m->left_hi[c] = WAITING;
			return false;
		}
	}
	m->left_hi[c] = INT64_MAX / 2; /* more than all that is to come: never again */
	return true;
}

/* Find all clusters' medians of a column. */
static void
scan_column(clu_medians *m, const uint32_t *label, int column, const clu_interrupt *interrupt)
{
	const uint32_t *order = column_order(m, column);
	bool			weighted = m->points->w != NULL;
	int				left = m->k;

	memcpy(m->left_hi, m->weight_hi, (size_t) m->k * sizeof(int64_t));
	memcpy(m->left_lo, m->weight_lo, (size_t) m->k * sizeof(int64_t));
	for (size_t rank = 0; left > 0; rank++)
	{
		uint32_t c = label[order[rank]];

		if (rank % CHECK_STEPS == 0)
			clu_check(interrupt);
		if (!weighted)
		{
			if ((m->left_hi[c] -= 2) > 0)
				continue;
		}
		else
		{
			fixed rest = less_twice((fixed) {m->left_hi[c], m->left_lo[c]},
									(fixed) {m->unit_hi[order[rank]], m->unit_lo[order[rank]]});

			m->left_hi[c] = rest.hi;
			m->left_lo[c] = rest.lo;
			if (sign_of(rest) > 0)
				continue;
		}
		left -= pass_half(m, c, column, rank);
	}
}

static void
scan(clu_medians *m, const uint32_t *label, const clu_interrupt *interrupt)
{
	size_t size = (size_t) m->k * (size_t) m->d * sizeof(int64_t);

	for (int j = 0; j < m->d; j++)
		scan_column(m, label, j, interrupt);
	memset(m->sided_hi, 0, size);
	memset(m->sided_lo, 0, size);
	memset(m->below_hi, 0, size);
	memset(m->below_lo, 0, size);
	m->pending = 0;
	for (size_t i = 0; i < m->points->n; i++)
	{
		add_sided(m, (uint32_t) i, label[i], false);
		clu_check_row(interrupt, i, m->d);
	}
	carry(m);
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
 * many at a time, which takes hardly longer than one.
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
} walker;

/* Take the points that were crossed from one side of the sum to the other. */
static void
settle_crossed(walker *w)
{
	for (size_t i = 0; i < w->count; i++)
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
	if (w->count == CROSSED)
		settle_crossed(w);
}

static inline void
count_step(size_t *steps, const clu_interrupt *interrupt)
{
	if (++*steps % CHECK_STEPS == 0)
		clu_check(interrupt);
}

/* Move a bound to where the median is now, and note the median; returns the number of steps. */
static size_t
walk(clu_medians *m, const uint32_t *label, uint32_t c, int column, const clu_interrupt *interrupt)
{
	size_t			at = (size_t) c * (size_t) m->d + (size_t) column;
	const uint32_t *order = column_order(m, column);
	fixed			total = weight_of(m, (int) c);
	size_t			rank = m->rank[at], steps = 0;
	walker			w;

	w.m = m;
	w.column = column;
	w.sign = -1;
	w.below = weight_below(m, at);
	w.sided = (fixed) {m->sided_hi[at], m->sided_lo[at]};
	w.count = 0;
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
	m->below_hi[at] = w.below.hi;
	m->below_lo[at] = w.below.lo;
	m->sided_hi[at] = w.sided.hi;
	m->sided_lo[at] = w.sided.lo;
	m->median[at] = m->bound[at];
	if (sign_of(less_twice(total, with_point(m, w.below, order[rank]))) < 0)
		return steps;
	for (rank++; label[order[rank]] != c; rank++)
		count_step(&steps, interrupt);
	m->median[at] = midpoint(m, at, column, rank);
	return steps;
}

/* Walk all bounds; false where that got longer than scanning, with some of them walked. */
static bool
walk_all(clu_medians *m, const uint32_t *label, const clu_interrupt *interrupt)
{
	size_t most = m->points->n * (size_t) m->d, steps = 0;

	carry(m);
	for (int c = 0; c < m->k; c++)
	{
		if (!m->changed[c])
			continue;
		for (int j = 0; j < m->d; j++)
		{
			steps += walk(m, label, (uint32_t) c, j, interrupt);
			if (steps > most)
				return false;
		}
	}
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
		cost = clu_dd_add(cost, clu_exact_value(m->sided_hi[at], m->sided_lo[at], m->scale[j]));
		noise += (double) m->points->n * NOISE / m->scale[j];
	}
	return clu_dd_value(cost) < noise ? (clu_dd) {0, 0} : cost;
}

clu_dd
clu_medians_refit(clu_medians *m, const uint32_t *label, double *center, double *size,
				  const clu_interrupt *interrupt)
{
	clu_dd total = {0, 0};

	if (!m->bounded || !walk_all(m, label, interrupt))
		scan(m, label, interrupt);
	m->bounded = true;
	m->moved = 0;
	for (int c = 0; c < m->k; c++)
	{
		if (m->changed[c])
			m->cost[c] = cost_of(m, c);
		m->changed[c] = false;
		size[c] = clu_dd_value(clu_exact_value(m->weight_hi[c], m->weight_lo[c], m->weight_scale));
		total = clu_dd_add(total, m->cost[c]);
		clu_check(interrupt);
	}
	memcpy(center, m->median, (size_t) m->k * (size_t) m->d * sizeof(double));
	return total;
}
