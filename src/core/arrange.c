/*
 * arrange.c
 *		Moving rows into their canonical order; the method is described in arrange.h.
 */
#include "arrange.h"

#include <string.h>

#include "random.h"

#define MOST_SIZE 128	 /* bytes of a row: longer ones are moved once only (points.c) */
#define LEAF 32768		 /* rows that are sorted in the cache, at most */
#define USUAL_PIECE 4096 /* rows of a piece that is meant to be a leaf */
#define MOST_PIECES 512
#define SAMPLES 16 /* for each piece */
#define CELLS 8192
#define AHEAD 4			 /* rows beyond the next one of a piece, which are fetched */
#define CHECK_ROWS 16384 /* of light work between two checks for interrupts */

/* How a column's values become numbers of cells. */
typedef enum cell_kind
{
	OF_RANGE, /* equal parts of the range of the sample */
	OF_BITS,  /* equal parts of the range of the ordered bits, each of them a piece */
	OF_VALUE  /* three: what is below a value, that value, and what is above */
} cell_kind;

/* Rows first .. first + n, which are equal in all columns before this one. */
typedef struct range
{
	size_t first;
	size_t n;
	int	   column;
	bool   stubborn; /* most of the rows that it came from */
} range;

/* What is done to a range. */
typedef struct parting
{
	clu_arrange			*a;
	const clu_rows		*rows;
	size_t				 size; /* of a row */
	range				 of;
	const clu_interrupt *interrupt;

	cell_kind kind;
	size_t	  pieces;
	double	  least, scale; /* of cells of the range */
	uint64_t  least_bits;
	int		  shift;
	double	  value;
} parting;

bool
clu_arrange_pays(const clu_rows *rows, int members)
{
	return rows->movable && rows->width != CLU_PACKED && members == 1 &&
		   clu_row_size(rows->d, rows->width) <= MOST_SIZE;
}

void
clu_arrange_layout(clu_arrange *a, clu_arena *arena, const clu_rows *rows)
{
	size_t few = CLU_MIN(rows->n, LEAF);
	bool   many = rows->n > LEAF;

	memset(&a->order, 0, sizeof(a->order));
	CLU_TAKE(arena, a->order.tied, rows->n);
	clu_order_layout(&a->leaf, arena, few, 1);
	CLU_TAKE(arena, a->row, few * clu_row_size(rows->d, rows->width));
	CLU_TAKE(arena, a->weight, rows->w != NULL ? few : 0);
	CLU_TAKE(arena, a->sample, many ? MOST_PIECES * SAMPLES : 0);
	CLU_TAKE(arena, a->table, many ? CELLS : 0);
	CLU_TAKE(arena, a->piece, many ? rows->n : 0);
}

/* ---- which piece a row belongs to ---- */

static inline double
value_of(const parting *p, size_t row)
{
	size_t at = row * (size_t) p->rows->d + (size_t) p->of.column;

	return p->rows->width == 8 ? ((const double *) p->rows->x)[at]
							   : ((const float *) p->rows->x)[at];
}

/* A value's part of the range of the sample; what lies outside is in the first one or the last. */
static inline size_t
cell_in_range(const parting *p, double value)
{
	double cell = (value - p->least) * p->scale;

	cell = cell > 0 ? cell : 0;
	return (size_t) (int) (cell < CELLS - 1 ? cell : CELLS - 1);
}

static void
draw_sample(const parting *p, size_t samples)
{
	clu_random random = clu_random_start(p->of.first, p->of.n);

	for (size_t i = 0; i < samples; i++)
		p->a->sample[i] = value_of(p, p->of.first + clu_random_below(&random, p->of.n));
}

/* Whether most of the sample is one value, and which. */
static bool
has_majority(const double *sample, size_t samples, double *value)
{
	size_t votes = 0, count = 0;

	for (size_t i = 0; i < samples; i++)
	{
		if (votes == 0)
			*value = sample[i];
		votes += sample[i] == *value ? 1 : (size_t) -1;
	}
	for (size_t i = 0; i < samples; i++)
		count += sample[i] == *value;
	return count * 2 > samples;
}

/* Cells of the range of the sample; false where they can't tell its values apart. */
static bool
cut_range(parting *p, size_t samples)
{
	double least = p->a->sample[0], most = least;

	for (size_t i = 1; i < samples; i++)
	{
		least = CLU_MIN(least, p->a->sample[i]);
		most = CLU_MAX(most, p->a->sample[i]);
	}
	p->least = least;
	p->scale = CELLS / (most - least);
	return p->scale > 0 && p->scale < 0x1p1000;
}

/* Pieces of the range of the bits of all values. */
static void
cut_bits(parting *p)
{
	uint64_t least = UINT64_MAX, most = 0;

	for (size_t i = 0; i < p->of.n; i++)
	{
		uint64_t bits = clu_ordered_bits(value_of(p, p->of.first + i));

		least = CLU_MIN(least, bits);
		most = CLU_MAX(most, bits);
		if (i % CHECK_ROWS == 0)
			clu_check(p->interrupt);
	}
	p->kind = OF_BITS;
	p->pieces = MOST_PIECES;
	p->least_bits = least;
	p->shift = 0;
	while ((most - least) >> p->shift >= MOST_PIECES)
		p->shift++;
}

/* Make pieces of cells, about as many of the sample in each. */
static void
fill_table(const parting *p, size_t samples)
{
	uint32_t count[CELLS] = {0};
	size_t	 before = 0, most = p->pieces - 1;

	for (size_t i = 0; i < samples; i++)
		count[cell_in_range(p, p->a->sample[i])]++;
	for (size_t cell = 0; cell < CELLS; cell++)
	{
		/* by its middle; the last one's is less than all */
		size_t piece = (before + count[cell] / 2) * p->pieces / samples;

		p->a->table[cell] = (uint16_t) CLU_MIN(piece, most);
		before += count[cell];
	}
}

/* Decide what the pieces are. */
static void
choose_pieces(parting *p)
{
	size_t samples;

	if (p->of.stubborn)
	{
		cut_bits(p);
		return;
	}
	p->pieces = 4;
	while (p->pieces < MOST_PIECES && p->pieces * USUAL_PIECE < p->of.n)
		p->pieces *= 2;
	samples = p->pieces * SAMPLES;
	draw_sample(p, samples);
	if (has_majority(p->a->sample, samples, &p->value))
	{
		p->kind = OF_VALUE;
		p->pieces = 3;
	}
	else if (cut_range(p, samples))
	{
		p->kind = OF_RANGE;
		fill_table(p, samples);
	}
	else
		cut_bits(p);
}

static inline size_t
piece_of(const parting *p, cell_kind kind, double value)
{
	switch (kind)
	{
		case OF_RANGE:
			return p->a->table[cell_in_range(p, value)];
		case OF_BITS:
			return (size_t) ((clu_ordered_bits(value) - p->least_bits) >> p->shift);
		case OF_VALUE:
			break;
	}
	return (size_t) (value >= p->value) + (size_t) (value > p->value);
}

/* Note the piece of some rows, and count those of each. */
static inline void
note_pieces(const parting *p, cell_kind kind, size_t first, size_t end, size_t *count)
{
	for (size_t i = first; i < end; i++)
	{
		size_t piece = piece_of(p, kind, value_of(p, i));

		p->a->piece[i] = (uint16_t) piece;
		count[piece]++;
	}
}

/* Where every piece begins, and the last one ends. */
static void
count_pieces(const parting *p, size_t *start)
{
	size_t end = p->of.first + p->of.n, before = p->of.first;

	memset(start, 0, (p->pieces + 1) * sizeof(*start));
	for (size_t first = p->of.first; first < end; first += CHECK_ROWS)
	{
		size_t to = CLU_MIN(first + CHECK_ROWS, end);

		if (p->kind == OF_RANGE)
			note_pieces(p, OF_RANGE, first, to, start);
		else
			note_pieces(p, p->kind, first, to, start);
		clu_check(p->interrupt);
	}
	for (size_t piece = 0; piece <= p->pieces; piece++)
	{
		size_t here = start[piece];

		start[piece] = before;
		before += here;
	}
}

/* ---- moving ---- */

/* Rows are words of four or eight bytes. */
static inline void
copy_row(char *to, const char *from, size_t size)
{
	if (size % 8 == 0)
		for (size_t i = 0; i < size; i += 8)
			memcpy(to + i, from + i, 8);
	else
		for (size_t i = 0; i < size; i += 4)
			memcpy(to + i, from + i, 4);
}

/*
 * Move the row at home to the next place of its piece, the one that was there on in the same way,
 * until one is found for the place that the first left.  Returns how many were moved, all in all.
 */
static inline size_t
move_chain(const parting *p, size_t *next, size_t piece, size_t home, size_t moved)
{
	const uint16_t *piece_of_row = p->a->piece;
	char		   *x = (char *) p->rows->x, held[2][MOST_SIZE];
	double		   *w = (double *) p->rows->w, weight = w == NULL ? 1 : w[home];
	size_t			size = p->size, belongs = piece_of_row[home];
	int				turn = 0;

	copy_row(held[0], x + home * size, size);
	while (belongs != piece)
	{
		size_t to = next[belongs]++;

		__builtin_prefetch(x + (to + AHEAD) * size, 1);
		__builtin_prefetch(piece_of_row + to + AHEAD);
		belongs = piece_of_row[to];
		copy_row(held[!turn], x + to * size, size);
		copy_row(x + to * size, held[turn], size);
		if (w != NULL)
		{
			double other = w[to];

			w[to] = weight;
			weight = other;
		}
		turn = !turn;
		if (++moved % CHECK_ROWS == 0)
			clu_check(p->interrupt);
	}
	copy_row(x + home * size, held[turn], size);
	if (w != NULL)
		w[home] = weight;
	return moved;
}

/* Move every row to its piece. */
static void
move_to_pieces(const parting *p, const size_t *start)
{
	size_t next[MOST_PIECES], moved = 0;

	memcpy(next, start, p->pieces * sizeof(*next));
	for (size_t piece = 0; piece < p->pieces; piece++)
		for (; next[piece] < start[piece + 1]; next[piece]++)
		{
			/* rows that are in their piece already take time, too */
			if (next[piece] % CHECK_ROWS == 0)
				clu_check(p->interrupt);
			if (p->a->piece[next[piece]] != piece)
				moved = move_chain(p, next, piece, next[piece], moved);
		}
}

/* ---- a few rows ---- */

static void
sort_leaf(clu_arrange *a, const clu_rows *rows, const range *of, const clu_interrupt *interrupt)
{
	size_t			size = clu_row_size(rows->d, rows->width);
	char		   *x = (char *) rows->x + of->first * size;
	double		   *w = rows->w == NULL ? NULL : (double *) rows->w + of->first;
	clu_rows		few = {.x = x, .n = of->n, .d = rows->d, .width = rows->width};
	const uint32_t *index = a->leaf.index;

	(void) clu_order_sort_from(&a->leaf, &few, of->column, interrupt);
	for (size_t i = 0; i < of->n; i++)
		clu_copy_values(rows, a->row + i * size, x + index[i] * size);
	memcpy(x, a->row, of->n * size);
	for (size_t i = 0; w != NULL && i < of->n; i++)
		a->weight[i] = w[index[i]];
	if (w != NULL)
		memcpy(w, a->weight, of->n * sizeof(double));
	memcpy(a->order.tied + of->first, a->leaf.tied, of->n * sizeof(bool));
	clu_check(interrupt);
}

/* Rows that are equal in all columns. */
static void
tie_all(clu_arrange *a, const clu_rows *rows, const range *of, const clu_interrupt *interrupt)
{
	size_t size = clu_row_size(rows->d, rows->width);
	char  *x = (char *) rows->x + of->first * size;

	/* but for the signs of their zeros */
	for (size_t i = 0; i < of->n; i++)
	{
		clu_copy_values(rows, x + i * size, x + i * size);
		if (i % CHECK_ROWS == 0)
			clu_check(interrupt);
	}
	memset(a->order.tied + of->first, true, of->n);
	a->order.tied[of->first] = false;
}

/* ---- everything ---- */

static size_t
largest_piece(const size_t *start, size_t pieces)
{
	size_t largest = 0;

	for (size_t piece = 1; piece < pieces; piece++)
		if (start[piece + 1] - start[piece] > start[largest + 1] - start[largest])
			largest = piece;
	return largest;
}

/* What is to be done with a piece. */
static range
piece_range(const parting *p, const size_t *start, size_t piece)
{
	bool  equal = p->kind == OF_VALUE ? piece == 1 : p->kind == OF_BITS && p->shift == 0;
	range of = {.first = start[piece],
				.n = start[piece + 1] - start[piece],
				.column = p->of.column + equal};

	of.stubborn = of.column == p->of.column && of.n > p->of.n / 2;
	return of;
}

/* All pieces but the largest by recursion, so that the depth is at most log2(n). */
static void
arrange_range(clu_arrange *a, const clu_rows *rows, range of, const clu_interrupt *interrupt)
{
	while (of.n > LEAF && of.column < rows->d)
	{
		parting p = {.a = a,
					 .rows = rows,
					 .size = clu_row_size(rows->d, rows->width),
					 .of = of,
					 .interrupt = interrupt};
		size_t	start[MOST_PIECES + 1], largest;

		choose_pieces(&p);
		count_pieces(&p, start);
		largest = largest_piece(start, p.pieces);
		of = piece_range(&p, start, largest);
		if (of.n < p.of.n)
			move_to_pieces(&p, start);
		for (size_t piece = 0; piece < p.pieces; piece++)
			if (piece != largest && start[piece] < start[piece + 1])
				arrange_range(a, rows, piece_range(&p, start, piece), interrupt);
	}
	if (of.column == rows->d)
		tie_all(a, rows, &of, interrupt);
	else
		sort_leaf(a, rows, &of, interrupt);
}

size_t
clu_arrange_rows(clu_arrange *a, const clu_rows *rows, const clu_interrupt *interrupt)
{
	size_t distinct = 0;

	if (rows->n > 0)
		arrange_range(a, rows, (range) {.n = rows->n}, interrupt);
	for (size_t i = 0; i < rows->n; i++)
	{
		distinct += !a->order.tied[i];
		if (i % CHECK_ROWS == 0)
			clu_check(interrupt);
	}
	return distinct;
}
