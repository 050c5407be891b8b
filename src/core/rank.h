/*
 * rank.h
 *		The points in the order of each column, as far as somebody has asked for it.
 *
 * order[column * n + rank] is the number of a point: by value, equal values by number.  Who looks
 * for medians looks at few places of it.  So a column is only parted into pieces, of values that
 * are all less than those of the next piece; the points of a piece are in the order of their
 * numbers until the piece is wanted and sorted, which happens at most once in a fit.  Those of the
 * first column are sorted from the beginning, since the points come in its order.
 *
 * The members of a team may look at the order at the same time, and want pieces; sorting them is a
 * step of its own, for the whole team.  Memory: 4 n d bytes, and 6 for every piece.
 */
#ifndef CLU_RANK_H
#define CLU_RANK_H

#include "order.h"

typedef struct clu_ranks
{
	const clu_points *points;
	uint32_t		 *order;  /* d * n */
	size_t			  pieces; /* of every column */

	/* per column and piece */
	uint32_t *first; /* d * (pieces + 1): its first rank; n after the last */
	bool	 *sorted;
	bool	 *wanted;

	/* keys: the upper 32 bits of what a value is above the least of its column */
	uint64_t *least; /* d: ordered bits of the values */
	int		 *shift; /* d: how many low bits the keys leave out */
	double	**row;	 /* for every member of the team */

	/* of the column that is worked on */
	int			  column;
	clu_word_list words;	/* to sort a sample; its words are the scratch */
	uint32_t	 *splitter; /* the least key of the next piece */
	uint32_t	 *count;	/* per share and piece */
	uint16_t	 *piece;	/* n, in the scratch: which one a point is in */
	uint64_t	 *bits;		/* n, in the scratch: of the values, in the order */
	uint32_t	 *list;		/* of pieces to be sorted */
} clu_ranks;

void clu_ranks_layout(clu_ranks *ranks, clu_arena *arena, const clu_points *points, int members);

/* Part all columns.  The scratch has room for n words, and is used again by clu_ranks_sort. */
void clu_ranks_part(clu_ranks *ranks, const clu_points *points, uint64_t *scratch, clu_team *team,
					const clu_interrupt *interrupt);

/* The piece of a column that has a rank. */
size_t clu_ranks_piece(const clu_ranks *ranks, int column, size_t rank);

static inline const uint32_t *
clu_ranks_order(const clu_ranks *ranks, int column)
{
	return ranks->order + (size_t) column * ranks->points->n;
}

/* Where a piece begins; of the one after the last, n. */
static inline size_t
clu_ranks_first(const clu_ranks *ranks, int column, size_t piece)
{
	return ranks->first[(size_t) column * (ranks->pieces + 1) + piece];
}

static inline bool
clu_ranks_sorted(const clu_ranks *ranks, int column, size_t piece)
{
	return ranks->sorted[(size_t) column * ranks->pieces + piece];
}

/* Ask for a piece; several members may want the same. */
static inline void
clu_ranks_want(clu_ranks *ranks, int column, size_t piece)
{
	size_t at = (size_t) column * ranks->pieces + piece;

	if (!ranks->sorted[at])
		__atomic_store_n(&ranks->wanted[at], true, __ATOMIC_RELAXED);
}

/* Sort all pieces that are wanted. */
void clu_ranks_sort(clu_ranks *ranks, clu_team *team, const clu_interrupt *interrupt);

extern const clu_task clu_rank_keys_task;
extern const clu_task clu_rank_count_task;
extern const clu_task clu_rank_part_task;
extern const clu_task clu_rank_sort_task;

#endif
