/*
 * points.h
 *		Rows as they were collected, and points as a fit sees them.
 *
 * A model is a function of the multiset of rows: their order must not matter.  So before a fit
 * the rows are put in a canonical order, lexicographic by value, and equal rows collapse into one
 * point with the summed weight.  Everything after that may be deterministic in a fixed order.
 * Lexicographic, and not by a hash: that order survives a shift or a scaling of the columns, so
 * the random choices of a fit do too.
 *
 * Rows of nothing but 0 and 1 may be packed, 64 columns to a word, with a width of 0.  The first
 * column is the most significant bit of the first word, so that words compared as unsigned
 * numbers order as the rows do; bits beyond the last column are 0.
 */
#ifndef CLU_POINTS_H
#define CLU_POINTS_H

#include <string.h>

#include "team.h"

/* Rows, in the order and number in which they came. */
typedef struct clu_rows
{
	const void	 *x; /* n * d values, row after row; packed: n * clu_words(d) words */
	const double *w; /* n weights > 0, or NULL: all are 1 */
	size_t		  n;
	int			  d;
	int			  width; /* bytes of a value: 4 (float), 8 (double), or CLU_PACKED */

	/*
	 * Rows, and their weights, may be put into another order where they lie, and may get 0 for -0.
	 * Then the points need no memory for a copy of them where they can be the rows themselves
	 * (points.c, arrange.h); the rows must stay where they are.
	 */
	bool movable;
} clu_rows;

#define CLU_PACKED 0	 /* a width: bits, in words */
#define CLU_WORD_BITS 64 /* columns in a word */

/* Words of a packed row. */
static inline size_t
clu_words(int d)
{
	return ((size_t) d + CLU_WORD_BITS - 1) / CLU_WORD_BITS;
}

/* Bytes of a row. */
static inline size_t
clu_row_size(int d, int width)
{
	return width == CLU_PACKED ? clu_words(d) * sizeof(uint64_t)
							   : clu_size_product((size_t) d, (size_t) width);
}

/* The values of a row as those of a point: 0 for -0. */
static inline void
clu_copy_values(const clu_rows *rows, void *to, const void *from)
{
	size_t d = (size_t) rows->d;

	if (rows->width == CLU_PACKED)
		for (size_t i = 0; i < clu_words(rows->d); i++)
			((uint64_t *) to)[i] = ((const uint64_t *) from)[i];
	else if (rows->width == 4)
		for (size_t i = 0; i < d; i++)
			((float *) to)[i] = ((const float *) from)[i] + 0.0f;
	else
		for (size_t i = 0; i < d; i++)
			((double *) to)[i] = ((const double *) from)[i] + 0.0;
}

static inline int
clu_bit(const uint64_t *row, int column)
{
	return (int) (row[column / CLU_WORD_BITS] >> (CLU_WORD_BITS - 1 - column % CLU_WORD_BITS)) & 1;
}

/*
 * Pack d values, or unpack them.  Returns the number of the first value that is neither 0 nor 1,
 * and d where there is none.
 */
int	 clu_pack(const double *x, int d, uint64_t *row);
void clu_unpack(const uint64_t *row, int d, double *x);

/*
 * Distinct points in canonical order.
 *
 * Squares of values beyond 1e150 overflow, those of values below 1e-150 vanish: when the values
 * lie out there, all are multiplied by one power of two, and what a fit returns is scaled back.
 * Weights likewise.  Large values are divided by no more than squares need, so that the small ones
 * beside them keep theirs.
 */
typedef struct clu_points
{
	void   *x;
	double *w; /* NULL: all are 1 */
	size_t	n;
	int		d;
	int		width;
	bool	in_files;	  /* looking up single ones takes long */
	double	rows;		  /* rows that the points stand for (see clu_points_collapse) */
	double	total_weight; /* of the scaled weights */
	double	unit;		  /* a value times unit is the value that came in */
	double	weight_unit;  /* likewise for weights */

	/* of each column, but not of packed rows */
	double *largest;	/* absolute value */
	double *least;		/* absolute value that isn't 0 */
	double *low, *high; /* its range, in the units that came in */

	double largest_weight;
	double least_weight;

	struct clu_collapse *collapse; /* scratch of clu_points_collapse */
} clu_points;

struct clu_order; /* order.h */

/* A piece of the points: what the verbs work on. */
typedef struct clu_block
{
	const void	 *x;
	const double *w; /* NULL: all are 1 */
	size_t		  first;
	size_t		  n;
	int			  d;
	int			  width;
} clu_block;

/* Memory of the points: distinct rows, of which the sort has told the number. */
void clu_points_layout(clu_points *points, clu_arena *arena, const clu_rows *rows, size_t distinct,
					   int members);

/*
 * Fill the points from the sorted rows.  What the rows, the order and the points point to lies in
 * memory that all members of the team see.
 *
 * points->rows counts a row of whole-number weight w as w rows, so that rows collapsed into
 * weights are the same data; with any other weights it is the number of rows that came.
 */
clu_status clu_points_collapse(clu_points *points, const struct clu_order *order,
							   const clu_rows *rows, clu_team *team, const clu_interrupt *interrupt,
							   clu_error *error);

extern const clu_task clu_measure_task;
extern const clu_task clu_weigh_task;
extern const clu_task clu_collapse_task;

#define CLU_MOST_EXPONENT 400 /* of values whose squares are added up, weighted by not too much */

/*
 * The power of two to divide values by, so that squares neither overflow nor vanish; mostly 1.
 * Large values come below 2^most, small ones to about one.
 */
double clu_unit_for(double largest, int most);

size_t	  clu_points_blocks(const clu_points *points);
clu_block clu_points_block(const clu_points *points, size_t number);

/*
 * A share is what one member of a team works on at a time: the blocks from first to before end.
 */
size_t clu_points_shares(const clu_points *points);
void   clu_points_share(const clu_points *points, size_t number, size_t *first, size_t *end);

/* The same as one block, and the points of a whole one. */
clu_block clu_points_share_block(const clu_points *points, size_t number);
size_t	  clu_points_in_share(const clu_points *points);

/* Row i as doubles: either where it lies, or in the caller's buffer of d doubles. */
static inline const double *
clu_row(const void *x, int width, size_t i, int d, double *buffer)
{
	if (width == 8)
		return (const double *) x + i * (size_t) d;
	if (width == CLU_PACKED)
	{
		clu_unpack((const uint64_t *) x + i * clu_words(d), d, buffer);
		return buffer;
	}
	for (int j = 0; j < d; j++)
		buffer[j] = ((const float *) x)[i * (size_t) d + (size_t) j];
	return buffer;
}

static inline const double *
clu_point(const clu_points *points, size_t i, double *buffer)
{
	return clu_row(points->x, points->width, i, points->d, buffer);
}

/*
 * Begin to bring the row at x, of so many bytes, into the cache; of a long one the rest comes by
 * itself.
 */
static inline void
clu_fetch_row(const void *x, size_t size)
{
	__builtin_prefetch(x);
	__builtin_prefetch((const char *) x + CLU_MIN(size, 64));
}

/* The same for some of the points in a list, from number i on, which lie anywhere. */
static inline void
clu_fetch_points(const clu_points *points, const uint32_t *list, size_t count, size_t i, size_t n)
{
	size_t size = clu_row_size(points->d, points->width);

	for (size_t end = CLU_MIN(count, i + n); i < end; i++)
		clu_fetch_row((const char *) points->x + list[i] * size, size);
}

static inline double
clu_value(const clu_points *points, size_t i, int column)
{
	size_t at = i * (size_t) points->d + (size_t) column;

	return points->width == 8 ? ((const double *) points->x)[at]
							  : (double) ((const float *) points->x)[at];
}

static inline double
clu_weight(const double *w, size_t i)
{
	return w == NULL ? 1.0 : w[i];
}

#endif
