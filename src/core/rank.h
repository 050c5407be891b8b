/*
 * rank.h
 *		The points in the order of each column.
 *
 * order[column * n + rank] is the number of a point: by value, equal values by number.  Made once
 * per fit, in 4 n d bytes.
 *
 * The members of a team look at the points by shares.  A column of many points is parted into
 * pieces of its keys (words.h), each sorted by one member.
 */
#ifndef CLU_RANK_H
#define CLU_RANK_H

#include "order.h"

/* What a member of the team needs for itself. */
typedef struct clu_rank_member
{
	uint64_t *least, *most; /* d: ordered bits of the values of a share */
	double	 *row;
} clu_rank_member;

typedef struct clu_ranks
{
	const clu_points *points;
	uint32_t		 *order; /* d * n */

	/* for the sort */
	clu_word_list	 words;
	uint64_t		*least; /* d: ordered bits of the values */
	uint64_t		*most;
	int				*shift; /* d: how many low bits the keys leave out */
	clu_rank_member *member;

	/* of the column that is being sorted */
	int	   column;
	size_t pieces;
	size_t tied[CLU_WORD_PIECES]; /* words with the same key as the one before */
	bool   rests;				  /* what keys leave out is where they were */
} clu_ranks;

void clu_ranks_layout(clu_ranks *ranks, clu_arena *arena, const clu_points *points, int members);

/*
 * Sort all columns.  The scratch has room for n words; its other members are not looked at.
 */
void clu_ranks_sort(clu_ranks *ranks, const clu_points *points, const clu_word_list *scratch,
					clu_team *team, const clu_interrupt *interrupt);

extern const clu_task clu_rank_ranges_task;
extern const clu_task clu_rank_keys_task;
extern const clu_task clu_rank_words_task;
extern const clu_task clu_rank_piece_task;
extern const clu_task clu_rank_rests_task;
extern const clu_task clu_rank_ties_task;
extern const clu_task clu_rank_order_task;

#endif
