/*
 * step.h
 *		One refit as a sum over rows, in pieces that may be made anywhere and added in any order.
 *
 * A state is a run of bytes that holds all there is to know about the rows it has seen: no
 * pointers, so it can be sent from one process or machine to another.  It carries the model that
 * the step starts from, since states of different models don't add.  It's in the byte order of
 * the machine, which is checked.  Rows are collected in a buffer inside the state and worked on
 * together, because that is what the kernels are good at.
 *
 *		header		clu_step_header
 *		model		its bytes (model_bytes.h), padded to a multiple of 8
 *		weights		of the buffered rows, as doubles
 *		rows		buffered: doubles, or packed bits for Bernoulli mixtures (points.h)
 *		statistics	the algorithm's own
 *
 * Whoever works on states needs a clu_step, the tables for their model.  States may come from
 * anywhere: clu_step_check sees to it that whatever they say, nothing is read or written outside
 * of them.
 *
 * The figures of the new model (sizes, costs, objective) are those of the model that was given:
 * they were measured on the way.  After a step that moves nothing they are those of both.
 *
 * For K-medians a refit takes several passes.  A step is one pass; between refits the model has
 * brackets (model.h), which say how far it is.
 */
#ifndef CLU_STEP_H
#define CLU_STEP_H

#include "fit.h"
#include "wide.h"

#define CLU_STEP_VERSION 2

typedef struct clu_step_header
{
	char	 magic[8];
	uint32_t byte_order;
	uint32_t version;
	uint64_t length; /* of the state */
	uint64_t model_length;
	int64_t	 rows;		 /* that count */
	int64_t	 skipped;	 /* that don't */
	int64_t	 ones;		 /* rows of weight 1 */
	int64_t	 fractional; /* rows with a weight that is no whole number */
	clu_wide weight;	 /* of rows with other weights than 1 */
	int64_t	 buffered;	 /* rows */
	uint64_t reserved;	 /* 0 */
} clu_step_header;

typedef struct clu_step clu_step;

typedef struct clu_step_verbs
{
	/* Bytes of the statistics, a multiple of 8; SIZE_MAX where that overflows. */
	size_t (*size)(const clu_step *step);

	/* Tables and scratch; step->tables is their root. */
	void (*layout)(clu_step *step, clu_arena *arena);
	clu_status (*prepare)(clu_step *step);

	/* Make the statistics those of no rows. */
	void (*clear)(const clu_step *step, void *statistics);

	/* Whether the statistics could be some. */
	bool (*valid)(const clu_step *step, const void *statistics);

	clu_status (*accumulate)(clu_step *step, void *statistics, const clu_block *block);
	void (*merge)(const clu_step *step, void *statistics, const void *others);

	/*
	 * Figures of the given model into the result, and unless measuring, new parameters; sets
	 * refitted where that was not a refit.  The result is a copy of the given model, but for the
	 * general figures, which are new, and without brackets; new ones may lie in the tables.
	 */
	clu_status (*refit)(clu_step *step, const void *statistics, clu_model *result, bool measuring);
} clu_step_verbs;

struct clu_step
{
	const clu_model		 *model; /* given */
	size_t				  model_length;
	const clu_step_verbs *verbs;
	const clu_interrupt	 *interrupt;
	clu_error			 *error;

	void   *tables;
	int		width;	  /* of a value in the buffer */
	size_t	row_size; /* of a row in the buffer */
	int64_t capacity; /* of the buffer, in rows */

	/* of the last refit */
	bool   refitted;  /* false: a pass on the way to a refit, which left the centres alone */
	int	   moved;	  /* centres or components */
	double gain;	  /* what it took off the objective, where that is known */
	double objective; /* that was minimised: with a prior, where there is one */
};

/*
 * Set up for a model, of which the rest of clu_step is set: clu_step_open, then the layout over
 * an empty and over a real arena, then prepare.
 */
void	   clu_step_open(clu_step *step, const clu_model *model, size_t model_length);
void	   clu_step_layout(clu_step *step, clu_arena *arena);
clu_status clu_step_prepare(clu_step *step);

/* Bytes of a state; SIZE_MAX where that overflows. */
size_t clu_step_size(const clu_step *step);

/* A state (aligned to 8 bytes) that has seen no rows. */
void clu_step_clear(const clu_step *step, void *state, const uint8_t *model);

/* Whether bytes begin as a state does; its model, then, lies within the bytes. */
clu_status	   clu_step_check_header(const void *state, size_t length, clu_error *error);
const uint8_t *clu_step_model(const void *state);

/*
 * Whether a state, whose header and model are fine, is one of this step.  The quick form leaves
 * out what can do no worse than give a wrong answer; it's for every row.
 */
clu_status clu_step_check(const clu_step *step, const void *state, size_t length, bool quick);

/* Where the values of the next row are to be written, and then that they were. */
void	  *clu_step_row(const clu_step *step, void *state);
clu_status clu_step_add(clu_step *step, void *state, double weight);
void	   clu_step_skip(void *state);

/* Add another state of the same model. */
clu_status clu_step_merge(clu_step *step, void *state, const void *other);

/*
 * The model after the step: with measuring the given one, but with the figures of these rows.
 * The result is a copy of the given model, with room for one more entry of the trace; its brackets
 * lie in the tables afterwards.  Rows must have been seen.  The tables are used up: before anything
 * else, prepare them again.
 */
clu_status clu_step_refit(clu_step *step, void *state, clu_model *result, bool measuring);

/* The rows of a block divided by a unit: as they lie where that is 1, else in divided. */
const void *clu_step_divide(const clu_block *block, double unit, double *divided);

static inline const clu_step_header *
clu_step_head(const void *state)
{
	return state;
}

/* Whether the given model comes from a step over the same rows, so that its objective compares. */
bool clu_step_comparable(const clu_model *given, const clu_model *result);

/* Total weight of the rows. */
clu_dd clu_step_weight(const void *state);

#endif
