/*
 * points.c
 *		Distinct points in canonical order, from rows whose order is known.
 */
#include "points.h"

#include <math.h>
#include <string.h>

#include "exact.h"
#include "order.h"

#define CHECK_ROWS 16384	 /* rows of light work between two checks for interrupts */
#define CHECK_VALUES 65536	 /* the same, of values */
#define SIDE_BY_SIDE 64		 /* columns of which the ranges are kept at hand */
#define CHECK_BYTES 1048576	 /* the same, of rows that may be long */
#define MOVED_WORDS 4		 /* packed rows from this size on are ordered where they lie */
#define MOVED_BYTES 256		 /* the same for others */
#define AHEAD 8				 /* rows that are fetched before they are copied */
#define MOST_VALUE 0x1p900	 /* leaves room for sums, and for the splitting of products */
#define SHARE_POINTS 2048	 /* in a share, at least */
#define BLOCK_POINTS 1024	 /* in a block, at most */
#define LEAST_RANGE 0x1p-400 /* whose square does not vanish */

/* What a member of the team found out about a share of the rows. */
typedef struct measured
{
	double *least, *low, *high; /* of each column */

	/* of the weights */
	double	largest, smallest;
	double	rough; /* their sum, or nearly so */
	bool	whole;
	int64_t hi, lo; /* their exact sum */
} measured;

/* Rows on their way to points. */
struct clu_collapse
{
	clu_rows   rows;
	clu_order  order;
	clu_points points;
	bool	   copied;				/* values are, from the rows to the points */
	double	   scale;				/* of the sum of the weights */
	size_t	   to[CLU_MOST_SHARES]; /* the first point of each share of the sorted rows */
	measured   all;
	measured  *member; /* of the team */
};

int
clu_pack(const double *x, int d, uint64_t *row)
{
	for (int first = 0; first < d; first += CLU_WORD_BITS)
	{
		int		 end = CLU_MIN(first + CLU_WORD_BITS, d);
		uint64_t word = 0;

		for (int j = first; j < end; j++)
		{
			if (x[j] != 0 && x[j] != 1)
				return j;
			word |= (uint64_t) (x[j] == 1) << (CLU_WORD_BITS - 1 - (j - first));
		}
		*row++ = word;
	}
	return d;
}

void
clu_unpack(const uint64_t *row, int d, double *x)
{
	for (int j = 0; j < d; j++)
		x[j] = clu_bit(row, j);
}

/*
 * Whether packed rows become the points where they lie.  Moving them is a chase from row to row,
 * copying is not: short rows are copied, which costs little memory.
 */
static bool
in_place(const clu_rows *rows)
{
	return rows->width == CLU_PACKED && rows->movable && clu_words(rows->d) >= MOVED_WORDS;
}

void
clu_points_layout(clu_points *points, clu_arena *arena, const clu_rows *rows, size_t distinct,
				  int members)
{
	measured *member;
	char	 *x;

	CLU_TAKE(arena, x,
			 in_place(rows) ? 0 : clu_size_product(distinct, clu_row_size(rows->d, rows->width)));
	points->x = in_place(rows) ? (void *) rows->x : x;
	CLU_TAKE(arena, points->w, rows->w != NULL || distinct < rows->n ? distinct : 0);
	CLU_TAKE(arena, points->largest, (size_t) rows->d);
	CLU_TAKE(arena, points->least, (size_t) rows->d);
	CLU_TAKE(arena, points->low, (size_t) rows->d);
	CLU_TAKE(arena, points->high, (size_t) rows->d);
	CLU_TAKE(arena, points->collapse, 1);
	CLU_TAKE(arena, member, (size_t) members);
	for (int m = 0; m < members; m++)
	{
		measured  unused;
		measured *own = member == NULL ? &unused : &member[m];

		CLU_TAKE(arena, own->least, (size_t) rows->d);
		CLU_TAKE(arena, own->low, (size_t) rows->d);
		CLU_TAKE(arena, own->high, (size_t) rows->d);
	}
	if (points->collapse != NULL)
		points->collapse->member = member;
	points->in_files = false;
	points->n = distinct;
	points->d = rows->d;
	points->width = rows->width;
}

double
clu_unit_for(double largest)
{
	int exponent = 0;

	if (!(largest > 0))
		return 1.0;
	(void) frexp(largest, &exponent);
	return exponent > 400 || exponent < -400 ? ldexp(1.0, CLU_MAX(exponent - 1, -1000)) : 1.0;
}

/* ---- what there is ---- */

static void
clear_measured(measured *m, size_t columns)
{
	for (size_t j = 0; j < columns; j++)
	{
		m->least[j] = m->low[j] = INFINITY;
		m->high[j] = -INFINITY;
	}
	m->largest = m->rough = 0;
	m->whole = true;
	m->hi = m->lo = 0;
}

/* The ranges of n rows of so many columns, and their least absolute values that aren't 0. */
static inline void
widen_ranges(const measured *m, const void *restrict x, const int width, size_t n, size_t columns)
{
	double *restrict least = m->least;
	double *restrict low = m->low;
	double *restrict high = m->high;

	for (size_t i = 0; i < n; i++)
		for (size_t j = 0; j < columns; j++)
		{
			double value = width == 8 ? ((const double *) x)[i * columns + j]
									  : ((const float *) x)[i * columns + j];
			double size = value == 0 ? INFINITY : fabs(value);

			low[j] = value < low[j] ? value : low[j];
			high[j] = value > high[j] ? value : high[j];
			least[j] = size < least[j] ? size : least[j];
		}
}

static void
measure_values(measured *m, const clu_rows *rows, size_t first, size_t n)
{
	const char *x = (const char *) rows->x + first * clu_row_size(rows->d, rows->width);

	if (rows->width == 8)
		widen_ranges(m, x, 8, n, (size_t) rows->d);
	else
		widen_ranges(m, x, 4, n, (size_t) rows->d);
}

/*
 * Short rows are measured many at a time, as if they were long ones: loops over columns are short
 * else.
 */
static void
measure_short_rows(measured *m, const clu_rows *rows, size_t first, size_t n)
{
	double	 least[SIDE_BY_SIDE], low[SIDE_BY_SIDE], high[SIDE_BY_SIDE];
	measured wide = {.least = least, .low = low, .high = high};
	clu_rows taken = *rows;
	size_t	 d = (size_t) rows->d, together = SIDE_BY_SIDE / d, whole = n / together * together;

	taken.d = (int) (d * together);
	clear_measured(&wide, d * together);
	taken.x = (const char *) rows->x + first * clu_row_size(rows->d, rows->width);
	measure_values(&wide, &taken, 0, n / together);
	for (size_t j = 0; j < d * together; j++)
	{
		m->low[j % d] = CLU_MIN(m->low[j % d], low[j]);
		m->high[j % d] = CLU_MAX(m->high[j % d], high[j]);
		m->least[j % d] = CLU_MIN(m->least[j % d], least[j]);
	}
	measure_values(m, rows, first + whole, n - whole);
}

static void
measure_weights(measured *m, const double *w, size_t first, size_t end)
{
	for (size_t i = first; i < end; i++)
	{
		m->largest = fmax(m->largest, w[i]);
		m->whole = m->whole && w[i] == rint(w[i]);
		m->rough += w[i];
	}
}

/* Columns that are measured one by one. */
static size_t
measured_columns(const clu_rows *rows)
{
	return rows->width == CLU_PACKED ? 0 : (size_t) rows->d;
}

static void
measure_share(void *work, size_t item, int member, const clu_interrupt *interrupt)
{
	struct clu_collapse *c = work;
	measured			*own = &c->member[member];
	size_t				 first = clu_share_first(c->rows.n, item);
	size_t				 end = clu_share_first(c->rows.n, item + 1);

	clear_measured(own, measured_columns(&c->rows));
	for (size_t at = first, n; at < end && measured_columns(&c->rows) > 0; at += n)
	{
		n = CLU_MIN(end - at, CLU_MAX(CHECK_VALUES / (size_t) c->rows.d, 1));
		if (c->rows.d * 2 <= SIDE_BY_SIDE)
			measure_short_rows(own, &c->rows, at, n);
		else
			measure_values(own, &c->rows, at, n);
		clu_check(interrupt);
	}
	if (c->rows.w != NULL)
		measure_weights(own, c->rows.w, first, end);
}

static void
merge_measured(void *work, size_t item, int member)
{
	struct clu_collapse *c = work;
	const measured		*own = &c->member[member];

	(void) item;
	for (size_t j = 0; j < measured_columns(&c->rows); j++)
	{
		c->all.low[j] = CLU_MIN(c->all.low[j], own->low[j]);
		c->all.high[j] = CLU_MAX(c->all.high[j], own->high[j]);
		c->all.least[j] = CLU_MIN(c->all.least[j], own->least[j]);
	}
	c->all.largest = CLU_MAX(c->all.largest, own->largest);
	c->all.whole = c->all.whole && own->whole;
	c->all.rough += own->rough;
}

const clu_task clu_measure_task = {measure_share, merge_measured};

static void
weigh_share(void *work, size_t item, int member, const clu_interrupt *interrupt)
{
	struct clu_collapse *c = work;
	measured			*own = &c->member[member];
	size_t				 end = clu_share_first(c->rows.n, item + 1);

	own->hi = own->lo = 0;
	for (size_t i = clu_share_first(c->rows.n, item); i < end; i++)
	{
		clu_exact_add(&own->hi, &own->lo, c->rows.w[i] / c->points.weight_unit, c->scale);
		if (i % CHECK_ROWS == 0)
		{
			clu_exact_carry(&own->hi, &own->lo, 1);
			clu_check(interrupt);
		}
	}
	clu_exact_carry(&own->hi, &own->lo, 1);
}

static void
merge_weight(void *work, size_t item, int member)
{
	struct clu_collapse *c = work;

	(void) item;
	c->all.hi += c->member[member].hi;
	c->all.lo += c->member[member].lo;
	clu_exact_carry(&c->all.hi, &c->all.lo, 1);
}

const clu_task clu_weigh_task = {weigh_share, merge_weight};

/* What the weights add up to, and their unit. */
static clu_status
sum_weights(struct clu_collapse *c, clu_team *team, const clu_interrupt *interrupt,
			clu_error *error)
{
	clu_points *points = &c->points;
	double		rough = c->all.rough;

	if (c->rows.w == NULL)
	{
		points->weight_unit = 1;
		points->rows = points->total_weight = (double) c->rows.n;
		return CLU_OK;
	}
	if (!isfinite(rough))
		return clu_fail(error, CLU_UNDERFLOW, "The sum of the weights overflows.", 0, 0);
	points->weight_unit = clu_unit_for(c->all.largest);
	rough = rough / points->weight_unit * 1.001;
	c->scale = clu_exact_scale(c->all.largest / points->weight_unit, rough);
	clu_team_run(team, CLU_JOB_WEIGH, c, clu_shares(c->rows.n), interrupt);
	points->total_weight = clu_dd_value(clu_exact_value(c->all.hi, c->all.lo, c->scale));
	points->rows = c->all.whole && points->total_weight * points->weight_unit <= 0x1p53
					   ? points->total_weight * points->weight_unit
					   : (double) c->rows.n;
	return CLU_OK;
}

/* ---- points ---- */

/* The weight of the rows order[first .. end), which are equal. */
static double
weight_of_run(const clu_points *points, const clu_order *order, const clu_rows *rows, size_t first,
			  size_t end)
{
	int64_t hi = 0, lo = 0;
	double	scale;

	if (rows->w == NULL)
		return (double) (end - first);
	if (end == first + 1)
		return rows->w[clu_order_row(order, first)] / points->weight_unit;
	scale = clu_exact_scale(points->total_weight, points->total_weight);
	for (size_t i = first; i < end; i++)
	{
		clu_exact_add(&hi, &lo, rows->w[clu_order_row(order, i)] / points->weight_unit, scale);
		if ((i - first) % CLU_EXACT_CARRY == 0)
			clu_exact_carry(&hi, &lo, 1);
	}
	clu_exact_carry(&hi, &lo, 1);
	return clu_dd_value(clu_exact_value(hi, lo, scale));
}

/* Begin to bring a row into the cache: rows in canonical order lie anywhere. */
static void
fetch_row(const clu_rows *rows, size_t row)
{
	size_t size = clu_row_size(rows->d, rows->width);

	clu_fetch_row((const char *) rows->x + row * size, size);
}

static void
copy_row(clu_points *points, size_t to, const clu_rows *rows, size_t from)
{
	size_t		size = clu_row_size(rows->d, rows->width);
	char	   *target = (char *) points->x + to * size;
	const char *source = (const char *) rows->x + from * size;

	if (points->unit == 1)
		clu_copy_values(rows, target, source);
	else /* which only doubles have */
		for (int j = 0; j < rows->d; j++)
			((double *) target)[j] = ((const double *) source)[j] / points->unit + 0.0;
}

/* ---- rows put in order where they lie ---- */

/*
 * Which row goes where: the first row of every run in the order of the runs, then all the others.
 * The row that goes to place i is left in order->spare[i].
 */
static void
plan_moves(const clu_points *points, const clu_order *order, size_t n,
		   const clu_interrupt *interrupt)
{
	size_t first = 0, other = points->n;

	for (size_t i = 0; i < n; i++)
	{
		if (order->tied[i])
			order->spare[other++] = order->index[i];
		else
			order->spare[first++] = order->index[i];
		if (i % CHECK_ROWS == 0)
			clu_check(interrupt);
	}
}

static size_t
rows_between_checks(size_t size)
{
	return CLU_MAX(CHECK_BYTES / size, 1);
}

/* Move the rows of a cycle, which may be all, one place on each; buffer has room for a row. */
static void
move_cycle(const clu_rows *rows, uint32_t *from, size_t start, void *buffer,
		   const clu_interrupt *interrupt)
{
	size_t	at = start, moved = 0, size = clu_row_size(rows->d, rows->width);
	size_t	between = rows_between_checks(size);
	char   *x = (char *) rows->x;
	double *w = (double *) rows->w;
	double	weight = w == NULL ? 0 : w[start];

	clu_copy_values(rows, buffer, x + start * size);
	while (from[at] != start)
	{
		size_t next = from[at];

		clu_copy_values(rows, x + at * size, x + next * size);
		if (w != NULL)
			w[at] = w[next];
		from[at] = (uint32_t) at;
		at = next;
		if (++moved % between == 0)
			clu_check(interrupt);
	}
	clu_copy_values(rows, x + at * size, buffer);
	if (w != NULL)
		w[at] = weight;
	from[at] = (uint32_t) at;
}

static void
move_rows(const clu_points *points, const clu_order *order, const clu_rows *rows, void *buffer,
		  const clu_interrupt *interrupt)
{
	size_t size = clu_row_size(rows->d, rows->width), between = rows_between_checks(size);

	plan_moves(points, order, rows->n, interrupt);
	for (size_t i = 0; i < rows->n && rows->width != CLU_PACKED; i++)
	{
		/* there may be a -0 in a row that stays, too */
		if (order->spare[i] == i)
			clu_copy_values(rows, (char *) rows->x + i * size, (char *) rows->x + i * size);
		if (i % between == 0)
			clu_check(interrupt);
	}
	for (size_t i = 0; i < rows->n; i++)
	{
		if (order->spare[i] != i)
			move_cycle(rows, order->spare, i, buffer, interrupt);
		if (i % CHECK_ROWS == 0)
			clu_check(interrupt);
	}
}

/*
 * The unit for the columns: what squares of differences need, and where that leaves the values
 * themselves too large, what these need, if the differences can stand it.
 */
static clu_status
choose_unit(clu_points *points, double widest, double largest, clu_error *error)
{
	points->unit = clu_unit_for(widest);
	if (largest / points->unit <= MOST_VALUE)
		return CLU_OK;
	points->unit = clu_unit_for(largest);
	if (widest == 0 || widest / points->unit >= LEAST_RANGE)
		return CLU_OK;
	return clu_fail(error, CLU_UNDERFLOW,
					"The values differ from one another by too little for their size.", 0, 0);
}

/* The unit of the values, and the columns in it. */
static clu_status
scale_columns(clu_points *points, clu_error *error)
{
	double	   widest = 0, largest = 0;
	clu_status status = CLU_OK;

	for (int j = 0; j < points->d; j++)
	{
		points->largest[j] = CLU_MAX(fabs(points->low[j]), fabs(points->high[j]));
		largest = CLU_MAX(largest, points->largest[j]);
		widest = CLU_MAX(widest, points->high[j] / 2 - points->low[j] / 2);
	}
	if (points->width == 8)
		status = choose_unit(points, widest, largest, error);
	for (int j = 0; j < points->d; j++)
	{
		points->largest[j] /= points->unit;
		points->least[j] /= points->unit;
	}
	return status;
}

/* The points of the runs that begin in a share of the sorted rows. */
static void
collapse_share(void *work, size_t item, int member, const clu_interrupt *interrupt)
{
	struct clu_collapse *c = work;
	const clu_rows		*rows = &c->rows;
	const clu_order		*order = &c->order;
	measured			*own = &c->member[member];
	size_t				 first = clu_share_first(rows->n, item), to = c->to[item];
	size_t				 last = clu_share_first(rows->n, item + 1);

	own->largest = 0;
	own->smallest = INFINITY;
	while (first < last && order->tied[first])
		first++;
	for (size_t end; first < last; first = end)
	{
		double w;

		for (end = first + 1; end < rows->n && order->tied[end];)
			end++;
		if (c->copied)
		{
			if (first + AHEAD < rows->n)
				fetch_row(rows, clu_order_row(order, first + AHEAD));
			copy_row(&c->points, to, rows, clu_order_row(order, first));
		}
		w = weight_of_run(&c->points, order, rows, first, end);
		if (c->points.w != NULL)
			c->points.w[to] = w;
		own->largest = CLU_MAX(own->largest, w);
		own->smallest = CLU_MIN(own->smallest, w);
		to++;
		if (first / CHECK_ROWS != end / CHECK_ROWS || (size_t) rows->d > CHECK_ROWS / 64)
			clu_check(interrupt);
	}
}

static void
merge_range_of_weights(void *work, size_t item, int member)
{
	struct clu_collapse *c = work;

	(void) item;
	c->points.largest_weight = CLU_MAX(c->points.largest_weight, c->member[member].largest);
	c->points.least_weight = CLU_MIN(c->points.least_weight, c->member[member].smallest);
}

const clu_task clu_collapse_task = {collapse_share, merge_range_of_weights};

/* Where the points of every share go. */
static void
find_places(struct clu_collapse *c, const clu_interrupt *interrupt)
{
	size_t to = 0;

	for (size_t share = 0; share < clu_shares(c->rows.n); share++)
	{
		size_t end = clu_share_first(c->rows.n, share + 1);

		c->to[share] = to;
		for (size_t i = clu_share_first(c->rows.n, share); i < end; i++)
			to += !c->order.tied[i];
		clu_check(interrupt);
	}
}

static clu_status
measure_rows(struct clu_collapse *c, clu_team *team, const clu_interrupt *interrupt,
			 clu_error *error)
{
	clu_status status;

	c->all = (measured) {.least = c->points.least, .low = c->points.low, .high = c->points.high};
	clear_measured(&c->all, measured_columns(&c->rows));
	clu_team_run(team, CLU_JOB_MEASURE, c, clu_shares(c->rows.n), interrupt);
	status = sum_weights(c, team, interrupt, error);
	c->points.unit = 1;
	if (status == CLU_OK && measured_columns(&c->rows) > 0)
		status = scale_columns(&c->points, error);
	return status;
}

/* Whether the rows are the points, as they lie. */
static bool
lie_in_order(const struct clu_collapse *c)
{
	return c->order.index == NULL && c->points.n == c->rows.n;
}

/* Whether long rows are to be moved; the members of a team copy theirs at the same time. */
static bool
worth_moving(const struct clu_collapse *c, const clu_team *team)
{
	return c->order.spare != NULL && clu_team_members(team) == 1 &&
		   clu_row_size(c->rows.d, c->rows.width) >= MOVED_BYTES;
}

static void
fill_points(struct clu_collapse *c, clu_team *team, const clu_interrupt *interrupt)
{
	c->points.largest_weight = c->points.least_weight = 1;
	if (!c->copied && c->points.w == NULL)
		return;
	c->points.largest_weight = 0;
	c->points.least_weight = INFINITY;
	find_places(c, interrupt);
	clu_team_run(team, CLU_JOB_COLLAPSE, c, clu_shares(c->rows.n), interrupt);
}

clu_status
clu_points_collapse(clu_points *points, const clu_order *order, const clu_rows *rows,
					clu_team *team, const clu_interrupt *interrupt, clu_error *error)
{
	struct clu_collapse *c = points->collapse;
	clu_status			 status;

	c->rows = *rows;
	c->order = *order;
	c->points = *points;
	if (rows->w == NULL && points->n == rows->n)
		c->points.w = NULL;
	status = measure_rows(c, team, interrupt, error);
	if (status != CLU_OK)
		return status;
	if (rows->movable && c->points.unit == 1 && (lie_in_order(c) || worth_moving(c, team)))
		c->points.x = (void *) rows->x;
	c->copied = c->points.x != rows->x;
	fill_points(c, team, interrupt);
	*points = c->points;
	if (points->largest_weight == 1 && points->total_weight == (double) points->n)
		points->w = NULL;

	/* what member 0 has found out about the columns is known by now: there is room for a row */
	if (points->x == rows->x && order->index != NULL)
		move_rows(points, order, rows, c->member[0].low, interrupt);
	return CLU_OK;
}

/*
 * A block is a multiple of 32 points and at most 128 kB: small enough for the second-level cache,
 * and for an answer to a cancel request within milliseconds.  Of packed points it is less, since
 * there is more to do and to remember for each byte of them.
 */
static size_t
block_size(const clu_points *points)
{
	size_t size;

	if (points->width == CLU_PACKED)
		return CLU_MAX(CLU_MIN(8192 / clu_words(points->d) / 32 * 32, 512), 64);
	size = 16384 / (size_t) points->d / 32 * 32;
	return CLU_MAX(CLU_MIN(size, BLOCK_POINTS), 32);
}

size_t
clu_points_blocks(const clu_points *points)
{
	return (points->n + block_size(points) - 1) / block_size(points);
}

/* Piece number of those of this size. */
static clu_block
piece(const clu_points *points, size_t number, size_t size)
{
	size_t	  first = number * size;
	size_t	  offset = first * clu_row_size(points->d, points->width);
	clu_block block = {
		.x = points->x == NULL ? NULL : (const char *) points->x + offset,
		.w = points->w == NULL ? NULL : points->w + first,
		.first = first,
		.n = CLU_MIN(size, points->n - first),
		.d = points->d,
		.width = points->width,
	};

	return block;
}

clu_block
clu_points_block(const clu_points *points, size_t number)
{
	return piece(points, number, block_size(points));
}

static size_t
blocks_in_share(const clu_points *points)
{
	size_t size = block_size(points);

	return (SHARE_POINTS + size - 1) / size;
}

size_t
clu_points_shares(const clu_points *points)
{
	size_t blocks = blocks_in_share(points);

	return (clu_points_blocks(points) + blocks - 1) / blocks;
}

void
clu_points_share(const clu_points *points, size_t number, size_t *first, size_t *end)
{
	size_t blocks = blocks_in_share(points);

	*first = number * blocks;
	*end = CLU_MIN(*first + blocks, clu_points_blocks(points));
}

size_t
clu_points_in_share(const clu_points *points)
{
	return blocks_in_share(points) * block_size(points);
}

clu_block
clu_points_share_block(const clu_points *points, size_t number)
{
	return piece(points, number, clu_points_in_share(points));
}
