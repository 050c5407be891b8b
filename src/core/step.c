/*
 * step.c
 *		States of a step: what is the same for every algorithm.
 */
#include "step.h"

#include <float.h>
#include <math.h>
#include <string.h>

#include "algorithms.h"
#include "kernel.h"
#include "model_bytes.h"

#define MOST_BUFFERED 256 /* rows */

/* Fits from different data, or to them, are no measure of progress for one another. */
#define SAME_WEIGHT 1e-12

#define BYTE_ORDER_MARK UINT32_C(0x01020304)

static const char magic[8] = {'c', 'l', 'u', 's', 't', 'e', 'p', '\0'};

static const clu_step_verbs *
verbs_of(const clu_model *model)
{
	switch (model->algorithm)
	{
		case CLU_KMEANS:
			return clu_model_is_soft(model) ? &clu_soft_step_verbs : &clu_kmeans_step_verbs;
		case CLU_KMEDIANS:
			return &clu_kmedians_step_verbs;
		case CLU_GMM:
		case CLU_BERNOULLI:
			return &clu_soft_step_verbs;
	}
	return NULL;
}

/* ---- sizes ---- */

/* As many rows as make a block, within reason: a state is to be small where groups are many. */
static int64_t
block_rows(const clu_step *step)
{
	clu_points points = {.n = MOST_BUFFERED, .d = step->model->d, .width = step->width};

	return (int64_t) clu_points_block(&points, 0).n;
}

void
clu_step_open(clu_step *step, const clu_model *model, size_t model_length)
{
	step->model = model;
	step->model_length = model_length;
	step->verbs = verbs_of(model);
	step->width = model->algorithm == CLU_BERNOULLI ? CLU_PACKED : 8;
	step->row_size = clu_row_size(model->d, step->width);
	step->capacity = step->verbs == &clu_soft_step_verbs ? block_rows(step) : CLU_LANES;
}

void
clu_step_layout(clu_step *step, clu_arena *arena)
{
	step->verbs->layout(step, arena);
}

clu_status
clu_step_prepare(clu_step *step)
{
	return step->verbs->prepare(step);
}

static size_t
padded(size_t size)
{
	return (size + 7) / 8 * 8;
}

static size_t
buffer_at(const clu_step *step)
{
	return sizeof(clu_step_header) + padded(step->model_length);
}

static size_t
rows_at(const clu_step *step)
{
	return buffer_at(step) + (size_t) step->capacity * sizeof(double);
}

static size_t
statistics_at(const clu_step *step)
{
	return rows_at(step) + (size_t) step->capacity * step->row_size;
}

size_t
clu_step_size(const clu_step *step)
{
	size_t size = step->verbs->size(step), before = statistics_at(step);

	return size > SIZE_MAX / 2 - before ? SIZE_MAX : before + size;
}

static double *
weights_of(const clu_step *step, const void *state)
{
	return (double *) ((char *) state + buffer_at(step));
}

static void *
statistics_of(const clu_step *step, const void *state)
{
	return (char *) state + statistics_at(step);
}

void
clu_step_clear(const clu_step *step, void *state, const uint8_t *model)
{
	clu_step_header *header = state;

	memset(state, 0, statistics_at(step));
	memcpy(header->magic, magic, sizeof(magic));
	header->byte_order = BYTE_ORDER_MARK;
	header->version = CLU_STEP_VERSION;
	header->length = clu_step_size(step);
	header->model_length = step->model_length;
	clu_wide_clear(&header->weight);
	memcpy((char *) state + sizeof(clu_step_header), model, step->model_length);
	step->verbs->clear(step, statistics_of(step, state));
}

/* ---- checks ---- */

static clu_status
damaged(clu_error *error, const char *reason, double expected, double found)
{
	return clu_fail(error, CLU_DAMAGED_STATE, reason, expected, found);
}

clu_status
clu_step_check_header(const void *state, size_t length, clu_error *error)
{
	const clu_step_header *header = state;

	if (length < sizeof(clu_step_header) || memcmp(header->magic, magic, sizeof(magic)) != 0)
		return damaged(error, "The value does not begin as a state does.", 0, 0);
	if (header->byte_order != BYTE_ORDER_MARK)
		return damaged(error, "It comes from a machine with another byte order.", 0, 0);
	if (header->version != CLU_STEP_VERSION)
		return damaged(error, "The state has version {found}, this one is {expected}.",
					   CLU_STEP_VERSION, header->version);
	if (header->length != length)
		return damaged(error, "The value has {found} bytes, its header says {expected}.",
					   (double) header->length, (double) length);
	if (header->model_length < CLU_MODEL_HEADER ||
		header->model_length > length - sizeof(clu_step_header))
		return damaged(error, "A model of {found} bytes does not fit into {expected} bytes.",
					   (double) length, (double) header->model_length);
	return CLU_OK;
}

const uint8_t *
clu_step_model(const void *state)
{
	return (const uint8_t *) state + sizeof(clu_step_header);
}

static bool
counts_are_possible(const clu_step_header *header)
{
	int64_t most = CLU_WIDE_TERMS;

	return header->rows >= 0 && header->rows <= most && header->skipped >= 0 &&
		   header->skipped <= INT64_MAX / 4 && header->ones >= 0 && header->ones <= header->rows &&
		   header->fractional >= 0 && header->fractional <= header->rows - header->ones &&
		   header->reserved == 0 && clu_wide_valid(&header->weight);
}

/* Values in the buffer that a row could not have had. */
static bool
buffer_is_possible(const clu_step *step, const void *state)
{
	size_t		  n = (size_t) clu_step_head(state)->buffered;
	const double *weight = weights_of(step, state);
	const double *value = (const double *) ((const char *) state + rows_at(step));

	for (size_t i = 0; i < n; i++)
		if (!(weight[i] > 0 && weight[i] <= DBL_MAX))
			return false;
	for (size_t i = 0; step->width == 8 && i < n * (size_t) step->model->d; i++)
		if (!isfinite(value[i]))
			return false;
	return true;
}

clu_status
clu_step_check(const clu_step *step, const void *state, size_t length, bool quick)
{
	const clu_step_header *header = state;
	clu_error			  *error = step->error;

	if (length < sizeof(clu_step_header) || header->length != length ||
		header->model_length != step->model_length || clu_step_size(step) != length)
		return damaged(error, "The value has {found} bytes, a state of its model has {expected}.",
					   (double) clu_step_size(step), (double) length);
	if (header->buffered < 0 || header->buffered >= step->capacity)
		return damaged(error, "The number of buffered rows is {found}, room is for {expected}.",
					   (double) step->capacity, (double) header->buffered);
	if (!counts_are_possible(header))
		return damaged(error, "The counts of rows contradict one another.", 0, 0);
	if (quick)
		return CLU_OK;
	if (!buffer_is_possible(step, state))
		return damaged(error, "A buffered row has an impossible value.", 0, 0);
	if (!step->verbs->valid(step, statistics_of(step, state)))
		return damaged(error, "The sums are impossible.", 0, 0);
	return CLU_OK;
}

/* ---- rows ---- */

static clu_block
buffer_of(const clu_step *step, const void *state)
{
	size_t		  n = (size_t) clu_step_head(state)->buffered;
	const double *weight = weights_of(step, state);
	bool		  weighted = false;

	for (size_t i = 0; i < n; i++)
		weighted = weighted || weight[i] != 1;
	return (clu_block) {.x = (const char *) state + rows_at(step),
						.w = weighted ? weight : NULL,
						.first = 0,
						.n = n,
						.d = step->model->d,
						.width = step->width};
}

static clu_status
flush(clu_step *step, void *state)
{
	clu_step_header *header = state;
	clu_block		 block = buffer_of(step, state);

	header->buffered = 0;
	if (block.n == 0)
		return CLU_OK;
	return step->verbs->accumulate(step, statistics_of(step, state), &block);
}

void *
clu_step_row(const clu_step *step, void *state)
{
	return (char *) state + rows_at(step) +
		   (size_t) clu_step_head(state)->buffered * step->row_size;
}

clu_status
clu_step_add(clu_step *step, void *state, double weight)
{
	clu_step_header *header = state;

	if (header->rows >= CLU_WIDE_TERMS)
		return clu_fail(step->error, CLU_TOO_LARGE, "A step can't take more than {expected} rows.",
						(double) CLU_WIDE_TERMS, (double) header->rows);
	header->rows++;
	if (weight == 1)
		header->ones++;
	else
		clu_wide_add(&header->weight, weight);
	header->fractional += weight != rint(weight);
	weights_of(step, state)[header->buffered++] = weight;
	return header->buffered == step->capacity ? flush(step, state) : CLU_OK;
}

void
clu_step_skip(void *state)
{
	((clu_step_header *) state)->skipped++;
}

clu_status
clu_step_merge(clu_step *step, void *state, const void *other)
{
	clu_step_header		  *header = state;
	const clu_step_header *others = other;
	clu_block			   block = buffer_of(step, other);

	if (header->rows > CLU_WIDE_TERMS - others->rows)
		return clu_fail(step->error, CLU_TOO_LARGE, "A step can't take more than {expected} rows.",
						(double) CLU_WIDE_TERMS, (double) header->rows + (double) others->rows);
	header->rows += others->rows;
	header->skipped += others->skipped;
	header->ones += others->ones;
	header->fractional += others->fractional;
	clu_wide_merge(&header->weight, &others->weight);
	step->verbs->merge(step, statistics_of(step, state), statistics_of(step, other));
	if (block.n == 0)
		return CLU_OK;
	return step->verbs->accumulate(step, statistics_of(step, state), &block);
}

clu_dd
clu_step_weight(const void *state)
{
	const clu_step_header *header = state;

	return clu_dd_add_double(clu_wide_value(&header->weight), (double) header->ones);
}

const void *
clu_step_divide(const clu_block *block, double unit, double *divided)
{
	const double *x = block->x;

	if (unit == 1)
		return block->x;
	for (size_t i = 0; i < block->n * (size_t) block->d; i++)
		divided[i] = x[i] / unit;
	return divided;
}

/* ---- the model ---- */

bool
clu_step_comparable(const clu_model *given, const clu_model *result)
{
	return given->iterations > 0 && !(given->flags & CLU_MODEL_LIKELIHOOD) &&
		   given->rows == result->rows &&
		   fabs(given->total_weight - result->total_weight) <= SAME_WEIGHT * result->total_weight;
}

static void
set_summary(const void *state, clu_model *result)
{
	const clu_step_header *header = state;
	double				   weight = clu_dd_value(clu_step_weight(state));

	clu_model_drop_brackets(result);
	result->flags = CLU_MODEL_FITTED;
	result->rows = header->fractional == 0 && weight >= 0 && weight <= 0x1p53 ? (int64_t) weight
																			  : header->rows;
	result->skipped = header->skipped;
	result->total_weight = weight;
	result->objective = result->log_likelihood = 0;
}

/*
 * What cluster_trace shows.  The objective of K-means' new centres is known, with the rows where
 * they are; that of others only after the next pass.
 */
static void
record(const clu_step *step, clu_model *result, bool measuring)
{
	const clu_model *given = step->model;
	bool			 late = given->algorithm != CLU_KMEANS || clu_model_is_soft(given);
	int64_t			 iteration = late ? given->iterations : result->iterations;
	const clu_trace *last =
		result->trace_count == 0 ? NULL : &result->trace[result->trace_count - 1];
	clu_trace entry = {
		.run = last == NULL ? 1 : last->run,
		.iteration = (uint32_t) CLU_MIN(iteration, (int64_t) INT32_MAX),
		.objective = late ? result->objective : fmax(result->objective - step->gain, 0),
		.changed = late ? given->brackets.moved : (uint64_t) step->moved,
	};

	if (iteration == 0 || (measuring && !late) || !isfinite(entry.objective))
		return;
	if (late && last != NULL && last->iteration >= entry.iteration)
		return;
	result->trace[result->trace_count++] = entry;
}

clu_status
clu_step_refit(clu_step *step, void *state, clu_model *result, bool measuring)
{
	clu_status status = flush(step, state);

	if (status != CLU_OK)
		return status;
	set_summary(state, result);
	step->refitted = !measuring;
	step->moved = 0;
	step->gain = 0;
	status = step->verbs->refit(step, statistics_of(step, state), result, measuring);
	if (status != CLU_OK)
		return status;
	result->iterations = step->model->iterations;
	if (step->refitted && result->iterations < INT64_MAX)
		result->iterations++;
	record(step, result, measuring);
	return clu_model_check_range(result, step->error);
}
