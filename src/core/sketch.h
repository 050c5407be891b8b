/*
 * sketch.h
 *		A sample of distinct rows, with their weights, that merges: where fits over a query begin.
 *
 * Every row has a key, a number that follows from its values, a seed and its cost alone, and the
 * sketch keeps the rows with the least keys.  So a sketch is a function of the rows, not of their
 * order, and sketches of parts merge to the sketch of the whole.
 *
 * With u a hash of row and seed, uniform in (0, 1], the key is -ln(u) / cost: the rows kept are
 * drawn without replacement, with probabilities proportional to their costs (Efraimidis and
 * Spirakis, "Weighted random sampling with a reservoir", Inf. Process. Lett. 97, 2006).  With
 * costs of 1 these are distinct rows, drawn uniformly; and since equal rows have equal keys, those
 * kept were kept from their first, so that their weights are complete.  While nothing had to be
 * left out, the sketch is the whole table.  With costs that are distances from centres they are
 * the oversampling of k-means|| (Bahmani et al., "Scalable K-Means++", VLDB 2012), which needs no
 * weights.
 *
 * The bytes, like those of a step (step.h): native order, checked, no pointers.
 *
 *		header		clu_sketch_header
 *		order		most * uint32: entries by ascending key; padded to a multiple of 8
 *		entries		most * (clu_sketch_entry and the row)
 */
#ifndef CLU_SKETCH_H
#define CLU_SKETCH_H

#include "base.h"
#include "wide.h"

#define CLU_SKETCH_VERSION 1

typedef struct clu_sketch_header
{
	char	 magic[8];
	uint32_t byte_order;
	uint32_t version;
	uint64_t length;
	int64_t	 seed;
	int32_t	 d;
	int32_t	 width; /* of a value: 8, or CLU_PACKED */
	uint32_t most;	/* entries that there is room for */
	uint32_t listed;
	int64_t	 rows; /* seen */
	int64_t	 skipped;
	int64_t	 left_out;	 /* rows, at least; 0: the sketch is complete */
	int64_t	 fractional; /* rows with a weight that is no whole number */
} clu_sketch_header;

typedef struct clu_sketch_entry
{
	double	 key;
	int64_t	 ones;	 /* rows of weight 1 */
	clu_wide weight; /* of the others */
} clu_sketch_entry;

/* Bytes of a sketch; SIZE_MAX where that overflows. */
size_t clu_sketch_size(int d, int width, uint32_t most);

/* A sketch of no rows.  With d and most 0 it can only count rows that are skipped. */
void clu_sketch_clear(void *sketch, int d, int width, uint32_t most, int64_t seed);

/*
 * Whether bytes are a sketch.  The quick form is for every row: it checks what memory depends on.
 */
clu_status clu_sketch_check(const void *sketch, size_t length, bool quick, clu_error *error);

/* Whether two sketches may be merged. */
bool clu_sketch_same_kind(const void *a, const void *b);

/* Add a row (with 0 for -0); rows that cost nothing are only counted. */
void clu_sketch_add(void *sketch, const void *row, double cost, double weight);
void clu_sketch_skip(void *sketch, int64_t rows);
void clu_sketch_merge(void *sketch, const void *other, const clu_interrupt *interrupt);

static inline const clu_sketch_header *
clu_sketch_head(const void *sketch)
{
	return sketch;
}

/* The row with the i-th least key, and its weight. */
const void *clu_sketch_row(const void *sketch, uint32_t i, double *weight);

#endif
