/*
 * words.c
 *		Sorting words; the method is described in words.h.
 */
#include "words.h"

#include <string.h>

#define DIGIT_BITS 11
#define DIGIT_SIZE (1 << DIGIT_BITS)
#define WORD_DIGITS 3	 /* of 32 bits */
#define SAMPLES 16		 /* for each piece */
#define CHECK_WORDS 4096 /* of light work between two checks for interrupts */

void
clu_words_layout(clu_word_list *words, clu_arena *arena, size_t n, int members)
{
	CLU_TAKE(arena, words->count, (size_t) members * WORD_DIGITS * DIGIT_SIZE);
	CLU_TAKE(arena, words->parting, n >= CLU_MANY_WORDS);
}

/* ---- radix sort ---- */

/* One digit, from its counts. */
static void
scatter(const uint64_t *from, uint64_t *to, size_t n, uint32_t *count, int shift,
		const clu_interrupt *interrupt)
{
	uint32_t before = 0;

	for (int value = 0; value < DIGIT_SIZE; value++)
	{
		uint32_t here = count[value];

		count[value] = before;
		before += here;
	}
	for (size_t i = 0; i < n; i++)
	{
		to[count[(from[i] >> shift) % DIGIT_SIZE]++] = from[i];
		if (i % CHECK_WORDS == 0)
			clu_check(interrupt);
	}
}

const uint64_t *
clu_words_sort(clu_word_list *words, size_t n, const clu_interrupt *interrupt)
{
	uint64_t *from = words->word, *to = words->spare, *swap;
	uint32_t *count = words->count;

	memset(count, 0, WORD_DIGITS * DIGIT_SIZE * sizeof(uint32_t));
	for (size_t i = 0; i < n; i++)
	{
		for (int digit = 0; digit < WORD_DIGITS; digit++)
			count[digit * DIGIT_SIZE + (from[i] >> (32 + digit * DIGIT_BITS)) % DIGIT_SIZE]++;
		if (i % CHECK_WORDS == 0)
			clu_check(interrupt);
	}
	for (int digit = 0; digit < WORD_DIGITS; digit++)
	{
		uint32_t *here = count + digit * DIGIT_SIZE;
		int		  shift = 32 + digit * DIGIT_BITS;

		clu_check(interrupt);
		if (here[(from[0] >> shift) % DIGIT_SIZE] == n)
			continue;
		scatter(from, to, n, here, shift, interrupt);
		swap = from;
		from = to;
		to = swap;
	}
	return from;
}

/* ---- pieces ---- */

/* Splitters that leave about equally many words to each piece. */
static void
choose_splitters(clu_word_list *words, size_t n, const clu_interrupt *interrupt)
{
	size_t		  samples = CLU_WORD_PIECES * SAMPLES;
	clu_word_list sample = {
		.word = words->spare, .spare = words->spare + samples, .count = words->count};
	const uint64_t *sorted;

	for (size_t i = 0; i < samples; i++)
		sample.word[i] = words->word[i * n / samples];
	sorted = clu_words_sort(&sample, samples, interrupt);
	for (size_t piece = 0; piece + 1 < CLU_WORD_PIECES; piece++)
		words->parting->splitter[piece] = (uint32_t) (sorted[(piece + 1) * SAMPLES] >> 32);
}

/*
 * The number of splitters that are not above the word; without branches, none of which could be
 * foreseen.
 */
static inline size_t
piece_of(const clu_parting *parting, uint64_t word)
{
	uint32_t key = (uint32_t) (word >> 32);
	size_t	 piece = 0;

	for (size_t step = CLU_WORD_PIECES / 2; step > 0; step /= 2)
		piece += step & -(size_t) (parting->splitter[piece + step - 1] <= key);
	return piece;
}

static void
count_share(void *work, size_t item, int member, const clu_interrupt *interrupt)
{
	clu_parting *parting = work;
	size_t		*count = parting->count[item];
	size_t		 end = clu_share_first(parting->n, item + 1);

	(void) member;
	memset(count, 0, CLU_WORD_PIECES * sizeof(size_t));
	for (size_t i = clu_share_first(parting->n, item); i < end; i++)
	{
		count[piece_of(parting, parting->from[i])]++;
		if (i % CHECK_WORDS == 0)
			clu_check(interrupt);
	}
}

/* The counts become the places where the words of each share go. */
static void
part_share(void *work, size_t item, int member, const clu_interrupt *interrupt)
{
	clu_parting *parting = work;
	size_t		 to[CLU_WORD_PIECES];
	size_t		 end = clu_share_first(parting->n, item + 1);

	(void) member;
	memcpy(to, parting->count[item], sizeof(to));
	for (size_t i = clu_share_first(parting->n, item); i < end; i++)
	{
		parting->to[to[piece_of(parting, parting->from[i])]++] = parting->from[i];
		if (i % CHECK_WORDS == 0)
			clu_check(interrupt);
	}
}

const clu_task clu_count_words_task = {count_share, NULL};
const clu_task clu_part_words_task = {part_share, NULL};

/* From the counts, where each share's words of each piece go. */
static void
find_places(clu_parting *parting)
{
	size_t before = 0;

	for (size_t piece = 0; piece < CLU_WORD_PIECES; piece++)
	{
		parting->first[piece] = before;
		for (size_t share = 0; share < clu_shares(parting->n); share++)
		{
			size_t here = parting->count[share][piece];

			parting->count[share][piece] = before;
			before += here;
		}
	}
	parting->first[CLU_WORD_PIECES] = before;
}

void
clu_words_part(clu_word_list *words, size_t n, clu_team *team, const clu_interrupt *interrupt)
{
	clu_parting *parting = words->parting;

	parting->from = words->word;
	parting->to = words->spare;
	parting->n = n;
	choose_splitters(words, n, interrupt);
	clu_team_run(team, CLU_JOB_COUNT_WORDS, parting, clu_shares(n), interrupt);
	find_places(parting);
	clu_team_run(team, CLU_JOB_PART_WORDS, parting, clu_shares(n), interrupt);
}

clu_word_list
clu_words_piece(const clu_word_list *words, size_t number, int member)
{
	size_t first = words->parting->first[number];

	return (clu_word_list) {
		.word = words->spare + first,
		.spare = words->word + first,
		.count = words->count + (size_t) member * WORD_DIGITS * DIGIT_SIZE,
	};
}

size_t
clu_words_in_piece(const clu_word_list *words, size_t number)
{
	return words->parting->first[number + 1] - words->parting->first[number];
}
