/*
 * points.c
 *		Distinct points in canonical order, from rows whose order is known.
 */
#include <math.h>
#include <string.h>

#include "collapse.h"
#include "exact.h"

#define CHECK_ROWS 16384	/* rows of light work between two checks for interrupts */
#define CHECK_BYTES 1048576 /* the same, of rows that may be long */
#define MOVED_WORDS 4		/* packed rows from this size on are ordered where they lie */
#define MOVED_BYTES 256		/* the same for others */
#define AHEAD 8				/* rows that are fetched before they are copied */
#define SHARE_POINTS 2048	/* in a share, at least */
#define BLOCK_POINTS 1024	/* in a block, at most */

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
	clu_measured *member;
	char		 *x;

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
		clu_measured  unused;
		clu_measured *own = member == NULL ? &unused : &member[m];

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

/* The points of the runs that begin in a share of the sorted rows. */
static void
collapse_share(void *work, size_t item, int member, const clu_interrupt *interrupt)
{
	struct clu_collapse *c = work;
	const clu_rows		*rows = &c->rows;
	const clu_order		*order = &c->order;
	clu_measured		*own = &c->member[member];
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
	status = clu_measure_rows(c, team, interrupt, error);
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
