/*
 * words.h
 *		Sorting words of 64 bits by their upper 32; equal ones stay in their order.
 *
 * A radix sort, three digits of 11 bits.  Many words are first parted into pieces, each with a
 * range of the keys for itself: the members of a team sort one piece each, and what is in a
 * piece stays in the cache while it is sorted.  Where the pieces part is learned from a sample, so
 * that they come out about equal in size, and words of the same key are in the same piece.
 */
#ifndef CLU_WORDS_H
#define CLU_WORDS_H

#include "team.h"

#define CLU_WORD_PIECES 64 /* a power of two */
#define CLU_MANY_WORDS 32768

/* How words were parted. */
typedef struct clu_parting
{
	uint64_t *from, *to;
	size_t	  n;
	uint32_t  splitter[CLU_WORD_PIECES]; /* the least key of the next piece */
	size_t	  count[CLU_MOST_SHARES][CLU_WORD_PIECES];
	size_t	  first[CLU_WORD_PIECES + 1]; /* of the pieces */
} clu_parting;

typedef struct clu_word_list
{
	uint64_t	*word;	  /* n */
	uint64_t	*spare;	  /* n */
	uint32_t	*count;	  /* digit histograms, for each member of the team */
	clu_parting *parting; /* for many words */
} clu_word_list;

/* Memory for all but word and spare. */
void clu_words_layout(clu_word_list *words, clu_arena *arena, size_t n, int members);

/* Sort them; returns word or spare, where they are then. */
const uint64_t *clu_words_sort(clu_word_list *words, size_t n, const clu_interrupt *interrupt);

/* Part CLU_MANY_WORDS or more into CLU_WORD_PIECES pieces, some of them empty. */
void clu_words_part(clu_word_list *words, size_t n, clu_team *team, const clu_interrupt *interrupt);

/* A piece of parted words, for a member of the team to sort. */
clu_word_list clu_words_piece(const clu_word_list *words, size_t number, int member);
size_t		  clu_words_in_piece(const clu_word_list *words, size_t number);

extern const clu_task clu_count_words_task;
extern const clu_task clu_part_words_task;

#endif
