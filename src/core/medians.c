/*
 * medians.c
 *		Exact medians; the method is described in medians.h.
 */
#include "medians.h"

#include <string.h>

#include "exact.h"
#include "kernel.h"

#define SHORT_COLUMN 192 /* below, insertion is faster than counting digits */
#define KEY_BITS 11		 /* a digit of the sort, of which a key has three */
#define KEY_DIGIT (1 << KEY_BITS)
#define KEY_DIGITS 3
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
	CLU_TAKE(arena, m->order, clu_size_product(d, n));
	CLU_TAKE(arena, m->count, n < SHORT_COLUMN ? 0 : CLU_RADIX_COUNTS);
	CLU_TAKE(arena, m->scale, d);
	CLU_TAKE(arena, m->row, d);
	CLU_TAKE(arena, m->least, d);
	CLU_TAKE(arena, m->most, d);
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

/* ---- ranks and weights, once ---- */

static inline double
value_at(const clu_medians *m, uint32_t point, int column)
{
	size_t at = (size_t) point * (size_t) m->d + (size_t) column;

	return m->points->width == 8 ? ((const double *) m->points->x)[at]
								 : (double) ((const float *) m->points->x)[at];
}

/* The range of the ordered bits of every column. */
static void
measure_columns(clu_medians *m, const clu_interrupt *interrupt)
{
	size_t	  n = m->points->n, d = (size_t) m->d;
	uint64_t *least = m->least, *most = m->most;

	memset(least, 0xff, d * sizeof(uint64_t));
	memset(most, 0, d * sizeof(uint64_t));
	for (size_t i = 0; i < n; i++)
	{
		const double *x = clu_point(m->points, i, m->row);

		for (size_t j = 0; j < d; j++)
		{
			uint64_t bits = clu_ordered_bits(x[j]);

			least[j] = CLU_MIN(least[j], bits);
			most[j] = CLU_MAX(most[j], bits);
		}
		if (i % 4096 == 0)
			clu_check(interrupt);
	}
}

/* How many low bits of a column its 32-bit keys leave out. */
static int
key_shift(const clu_medians *m, int column)
{
	uint64_t range = m->most[column] - m->least[column];
	int		 shift = 0;

	while ((range >> shift) > UINT32_MAX)
		shift++;
	return shift;
}

/* Put the keys of all columns where their order will be: the upper 32 bits of their range. */
static void
make_keys(clu_medians *m, const clu_interrupt *interrupt)
{
	size_t	  n = m->points->n, d = (size_t) m->d;
	uint64_t *shift = m->most; /* the range is no longer needed */

	for (size_t j = 0; j < d; j++)
		shift[j] = (uint64_t) key_shift(m, (int) j);
	for (size_t i = 0; i < n; i++)
	{
		const double *x = clu_point(m->points, i, m->row);

		for (size_t j = 0; j < d; j++)
			m->order[j * n + i] = (uint32_t) ((clu_ordered_bits(x[j]) - m->least[j]) >> shift[j]);
		if (i % 4096 == 0)
			clu_check(interrupt);
	}
}

/*
 * Sort the points by their keys: a radix sort of words with the key above the point's number.
 * Returns one of the two arrays of the scratch.
 */
static const uint64_t *
sort_keys(const uint32_t *key, size_t n, clu_order *scratch, const clu_interrupt *interrupt)
{
	uint64_t *from = scratch->key, *to = scratch->spare_key, *swap;

	memset(scratch->count, 0, (size_t) KEY_DIGITS * KEY_DIGIT * sizeof(uint32_t));
	for (size_t i = 0; i < n; i++)
	{
		from[i] = (uint64_t) key[i] << 32 | i;
		for (int digit = 0; digit < KEY_DIGITS; digit++)
			scratch->count[digit * KEY_DIGIT + (key[i] >> (digit * KEY_BITS)) % KEY_DIGIT]++;
	}
	for (int digit = 0; digit < KEY_DIGITS; digit++)
	{
		uint32_t *start = scratch->count + digit * KEY_DIGIT, before = 0;
		int		  shift = 32 + digit * KEY_BITS;

		clu_check(interrupt);
		if (start[(from[0] >> shift) % KEY_DIGIT] == n)
			continue;
		for (int value = 0; value < KEY_DIGIT; value++)
		{
			uint32_t here = start[value];

			start[value] = before;
			before += here;
		}
		for (size_t i = 0; i < n; i++)
		{
			to[start[(from[i] >> shift) % KEY_DIGIT]++] = from[i];
			if (i % CHECK_STEPS == 0)
				clu_check(interrupt);
		}
		swap = from;
		from = to;
		to = swap;
	}
	return from;
}

/* Sort points by their values; where those are equal they stay in their order. */
static void
sort_by_value(const clu_medians *m, int column, uint32_t *index, size_t n, clu_order *scratch,
			  const clu_interrupt *interrupt)
{
	if (n >= SHORT_COLUMN)
	{
		for (size_t i = 0; i < n; i++)
			scratch->key[i] = clu_ordered_bits(value_at(m, index[i], column));
		clu_order_radix(scratch, index, n, interrupt);
		return;
	}
	for (size_t i = 1; i < n; i++)
	{
		size_t	 at = i;
		uint32_t point = index[i];
		double	 value = value_at(m, point, column);

		for (; at > 0 && value_at(m, index[at - 1], column) > value; at--)
			index[at] = index[at - 1];
		index[at] = point;
	}
}

/* Replace the keys of a column by its order. */
static void
rank_column(const clu_medians *m, int column, clu_order *scratch, const clu_interrupt *interrupt)
{
	size_t			n = m->points->n;
	uint32_t	   *index = m->order + (size_t) column * n;
	bool			complete = m->most[column] == 0; /* the keys are all of the values */
	const uint64_t *sorted = sort_keys(index, n, scratch, interrupt);

	for (size_t i = 0; i < n; i++)
		index[i] = (uint32_t) sorted[i];
	for (size_t first = 0, end; first < n && !complete; first = end)
	{
		for (end = first + 1; end < n && sorted[end] >> 32 == sorted[first] >> 32;)
			end++;
		/* the scratch is written up to end - first, and read again from end on */
		if (end > first + 1)
			sort_by_value(m, column, index + first, end - first, scratch, interrupt);
	}
}

static void
rank_columns(clu_medians *m, clu_order *scratch, const clu_interrupt *interrupt)
{
	size_t n = m->points->n;

	if (n >= SHORT_COLUMN)
	{
		measure_columns(m, interrupt);
		make_keys(m, interrupt);
	}
	for (int j = 0; j < m->d; j++)
	{
		uint32_t *index = m->order + (size_t) j * n;

		if (n >= SHORT_COLUMN)
		{
			rank_column(m, j, scratch, interrupt);
			continue;
		}
		for (size_t i = 0; i < n; i++)
			index[i] = (uint32_t) i;
		sort_by_value(m, j, index, n, scratch, interrupt);
	}
}

void
clu_medians_begin(clu_medians *m, const clu_points *points, clu_order *scratch,
				  const clu_interrupt *interrupt)
{
	m->points = points;
	scratch->count = m->count;
	rank_columns(m, scratch, interrupt);
	for (int j = 0; j < m->d; j++)
		m->scale[j] = clu_exact_scale(points->largest[j] * points->largest_weight,
									  points->largest[j] * points->total_weight);
	m->weight_scale =
		points->w == NULL ? 1 : clu_exact_scale(points->largest_weight, points->total_weight);
	for (size_t i = 0; points->w != NULL && i < points->n; i++)
	{
		m->unit_hi[i] = m->unit_lo[i] = 0;
		clu_exact_add(&m->unit_hi[i], &m->unit_lo[i], points->w[i], m->weight_scale);
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
weight_up_to(const clu_medians *m, size_t at, uint32_t point)
{
	return (fixed) {m->below_hi[at] + unit_hi(m, point), m->below_lo[at] + unit_lo(m, point)};
}

/* ---- scanning ---- */

static void
set_bound(clu_medians *m, uint32_t c, int column, size_t rank)
{
	size_t	 at = (size_t) c * (size_t) m->d + (size_t) column;
	uint32_t point = m->order[(size_t) column * m->points->n + rank];

	m->rank[at] = (uint32_t) rank;
	m->bound[at] = value_at(m, point, column);
	m->bound_point[at] = point;
}

/* Find all clusters' medians of a column. */
static void
scan_column(clu_medians *m, const uint32_t *label, int column, const clu_interrupt *interrupt)
{
	const uint32_t *order = m->order + (size_t) column * m->points->n;
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
		set_bound(m, c, column, rank);
		m->left_hi[c] = INT64_MAX; /* never again */
		left--;
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
		if (i % 4096 == 0)
			clu_check(interrupt);
	}
	carry(m);
}

/* ---- walking ---- */

/* Take a point that the bound walks across from one side of it to the other. */
static void
cross(clu_medians *m, int c, int column, uint32_t point, bool upwards)
{
	clu_sided to = sided(m, (uint32_t) c, column);
	double	  x = value_at(m, point, column);
	int		  sign = upwards ? 1 : -1;

	to.below_hi[0] += sign * unit_hi(m, point);
	to.below_lo[0] += sign * unit_lo(m, point);
	for (int twice = 0; twice < 2; twice++)
		clu_kernel->add_row(to.hi, to.lo, &x, clu_weight(m->points->w, point), upwards, to.scale,
							1);
	clu_exact_carry(to.hi, to.lo, 1);
	clu_exact_carry(to.below_hi, to.below_lo, 1);
}

/* Move a bound to where the median is now; returns the number of steps. */
static size_t
walk(clu_medians *m, const uint32_t *label, int c, int column)
{
	size_t			at = (size_t) c * (size_t) m->d + (size_t) column;
	const uint32_t *order = m->order + (size_t) column * m->points->n;
	fixed			total = weight_of(m, c);
	size_t			start = m->rank[at], rank = start;
	size_t			steps = 0;

	while (sign_of(less_twice(total, weight_below(m, at))) <= 0)
	{
		do
		{
			rank--;
			steps++;
		} while (label[order[rank]] != (uint32_t) c);
		cross(m, c, column, order[rank], false);
	}
	for (;; rank++, steps++)
	{
		if (label[order[rank]] != (uint32_t) c)
			continue;
		if (sign_of(less_twice(total, weight_up_to(m, at, order[rank]))) <= 0)
			break;
		cross(m, c, column, order[rank], true);
	}
	if (rank != start)
		set_bound(m, (uint32_t) c, column, rank);
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
			steps += walk(m, label, c, j);
			if (steps > most)
				return false;
		}
		clu_check(interrupt);
	}
	return true;
}

/* ---- the medians ---- */

/* The value of the cluster's next point after its bound. */
static double
next_value(const clu_medians *m, const uint32_t *label, int c, int column)
{
	const uint32_t *order = m->order + (size_t) column * m->points->n;
	size_t			rank = m->rank[(size_t) c * (size_t) m->d + (size_t) column] + 1;

	while (label[order[rank]] != (uint32_t) c)
		rank++;
	return value_at(m, order[rank], column);
}

static double
median(const clu_medians *m, const uint32_t *label, int c, int column)
{
	size_t	 at = (size_t) c * (size_t) m->d + (size_t) column;
	double	 low = m->bound[at];
	uint32_t point = (uint32_t) m->bound_point[at];

	if (sign_of(less_twice(weight_of(m, c), weight_up_to(m, at, point))) != 0)
		return low;
	return low + (next_value(m, label, c, column) - low) / 2;
}

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

static void
find_medians(clu_medians *m, const uint32_t *label, int c)
{
	for (int j = 0; j < m->d; j++)
		m->median[(size_t) c * (size_t) m->d + (size_t) j] = median(m, label, c, j);
	m->cost[c] = cost_of(m, c);
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
			find_medians(m, label, c);
		m->changed[c] = false;
		size[c] = clu_dd_value(clu_exact_value(m->weight_hi[c], m->weight_lo[c], m->weight_scale));
		total = clu_dd_add(total, m->cost[c]);
		clu_check(interrupt);
	}
	memcpy(center, m->median, (size_t) m->k * (size_t) m->d * sizeof(double));
	return total;
}
