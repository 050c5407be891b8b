/*
 * measure.c
 *		What rows are like: the ranges of their columns, what their weights add up to, and the units
 *		that follow from that.
 */
#include <limits.h>
#include <math.h>

#include "collapse.h"
#include "exact.h"

#define CHECK_ROWS 16384	 /* rows of light work between two checks for interrupts */
#define CHECK_VALUES 65536	 /* the same, of values */
#define SIDE_BY_SIDE 64		 /* columns of which the ranges are kept at hand */
#define MOST_VALUE 0x1p900	 /* leaves room for sums, and for the splitting of products */
#define LEAST_RANGE 0x1p-400 /* whose square does not vanish */
#define MOST_TOTAL 490		 /* exponent of sums of weighted values, whose squares are added up */

/* ---- ranges and weights ---- */

static void
clear_measured(clu_measured *m, size_t columns)
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
widen_ranges(const clu_measured *m, const void *restrict x, const int width, size_t n,
			 size_t columns)
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
measure_values(clu_measured *m, const clu_rows *rows, size_t first, size_t n)
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
measure_short_rows(clu_measured *m, const clu_rows *rows, size_t first, size_t n)
{
	double		 least[SIDE_BY_SIDE], low[SIDE_BY_SIDE], high[SIDE_BY_SIDE];
	clu_measured wide = {.least = least, .low = low, .high = high};
	clu_rows	 taken = *rows;
	size_t		 d = (size_t) rows->d, together = SIDE_BY_SIDE / d, whole = n / together * together;

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
measure_weights(clu_measured *m, const double *w, size_t first, size_t end)
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
	clu_measured		*own = &c->member[member];
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
	const clu_measured	*own = &c->member[member];

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
	clu_measured		*own = &c->member[member];
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

/* ---- units ---- */

/* Below which power of two a number is. */
static int
exponent_above(double value)
{
	int exponent = 0;

	(void) frexp(value, &exponent);
	return exponent;
}

double
clu_unit_for(double largest, int most)
{
	int exponent = exponent_above(largest);

	if (exponent > most)
		return ldexp(1.0, exponent - most);
	return largest > 0 && exponent < -CLU_MOST_EXPONENT ? ldexp(1.0, CLU_MAX(exponent - 1, -1000))
														: 1.0;
}

/* Weights aren't squared: the small ones have room enough beside large ones of about one. */
static double
unit_for_weights(double largest)
{
	return clu_unit_for(largest, exponent_above(largest) > CLU_MOST_EXPONENT ? 1 : INT_MAX);
}

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
	points->weight_unit = unit_for_weights(c->all.largest);
	rough = rough / points->weight_unit * 1.001;
	c->scale = clu_exact_scale(c->all.largest / points->weight_unit, rough);
	clu_team_run(team, CLU_JOB_WEIGH, c, clu_shares(c->rows.n), interrupt);
	points->total_weight = clu_dd_value(clu_exact_value(c->all.hi, c->all.lo, c->scale));
	points->rows = c->all.whole && points->total_weight * points->weight_unit <= 0x1p53
					   ? points->total_weight * points->weight_unit
					   : (double) c->rows.n;
	return CLU_OK;
}

/*
 * The unit for the columns: what squares of differences need, and where that leaves the values
 * themselves too large, what these need, if the differences can stand it.
 */
static clu_status
choose_unit(clu_points *points, double widest, double largest, clu_error *error)
{
	int most = CLU_MIN(CLU_MOST_EXPONENT, MOST_TOTAL - exponent_above(points->total_weight));

	points->unit = clu_unit_for(widest, most);
	if (largest / points->unit <= MOST_VALUE)
		return CLU_OK;
	points->unit = ldexp(1.0, exponent_above(largest / MOST_VALUE));
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

clu_status
clu_measure_rows(struct clu_collapse *c, clu_team *team, const clu_interrupt *interrupt,
				 clu_error *error)
{
	clu_status status;

	c->all =
		(clu_measured) {.least = c->points.least, .low = c->points.low, .high = c->points.high};
	clear_measured(&c->all, measured_columns(&c->rows));
	clu_team_run(team, CLU_JOB_MEASURE, c, clu_shares(c->rows.n), interrupt);
	status = sum_weights(c, team, interrupt, error);
	c->points.unit = 1;
	if (status == CLU_OK && measured_columns(&c->rows) > 0)
		status = scale_columns(&c->points, error);
	return status;
}
