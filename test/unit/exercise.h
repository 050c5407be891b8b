/*
 * exercise.h
 *		All that the core does with a model, a state or a sample that came as bytes.
 *
 * For bytes that nobody vouches for, which the tests damage and the fuzzer makes up.  They are
 * refused, or they are a model like any other: then every answer has to make sense, whatever the
 * parameters are.  Each function returns what is wrong as a sentence, NULL where nothing is; that
 * nothing is read or written out of bounds is for the sanitizers to see, for which all memory has
 * its exact size.
 */
#ifndef EXERCISE_H
#define EXERCISE_H

#include "algebra.h"
#include "fit.h"
#include "hash.h"
#include "kernel.h"
#include "little_endian.h"
#include "model_bytes.h"
#include "order.h"
#include "score.h"
#include "sketch.h"
#include "step.h"
#include "test_memory.h"

#include <math.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* Sums of so many probabilities as there are here are near one; weights, by the format, too. */
#define EXERCISE_TOLERANCE 1e-8

/* A model of more parameters takes too long to be tried out thousands of times. */
#define EXERCISE_MOST_PARAMETERS 100000

static inline void *
exercise_copy(const void *bytes, size_t size)
{
	return size == 0 ? test_memory(0) : memcpy(test_memory(size), bytes, size);
}

/* ---- repairs ---- */

/*
 * The hashes of a model, made to match: in one piece, rather than as the code under test does it.
 */
static inline void
exercise_repair(uint8_t *model, size_t length)
{
	if (length < CLU_MODEL_HEADER)
		return;
	memset(model + 32, 0, 16);
	clu_put_u64(model + 32, clu_hash_bytes(model, length, UINT64_C(0x6964656e74697479)));
	clu_put_u64(model + 40, clu_hash_bytes(model, length, UINT64_C(0x636865636b73756d)));
}

/* And the length in its header. */
static inline void
exercise_repair_length(uint8_t *model, size_t length)
{
	if (length >= CLU_MODEL_HEADER)
		clu_put_u64(model + 24, length);
	exercise_repair(model, length);
}

/* The same for the model in a state, and the length in the state's header. */
static inline void
exercise_repair_state(uint8_t *state, size_t length)
{
	uint64_t stated = length, model;

	if (length < sizeof(clu_step_header) || memcmp(state, "clustep", 8) != 0)
		return;
	memcpy(state + offsetof(clu_step_header, length), &stated, sizeof(stated));
	memcpy(&model, state + offsetof(clu_step_header, model_length), sizeof(model));
	if (model <= length - sizeof(clu_step_header))
		exercise_repair_length(state + sizeof(clu_step_header), (size_t) model);
}

/* ---- models ---- */

/* NULL where the bytes are refused; drop it. */
static inline clu_model *
exercise_decode(const uint8_t *bytes, size_t length)
{
	clu_model *model = test_memory(sizeof(clu_model));
	clu_arena  arena = {NULL, 0};
	clu_error  error;
	void	  *memory;

	if (clu_decode_header(model, bytes, length, &error) != CLU_OK)
	{
		free(model);
		return NULL;
	}
	clu_decode_layout(model, &arena);
	memory = test_memory(arena.used);
	arena = (clu_arena) {memory, 0};
	clu_decode_layout(model, &arena);
	if (clu_decode_body(model, bytes, length, NULL, &error) == CLU_OK)
		return model;
	free(memory);
	free(model);
	return NULL;
}

/* The arrays of a decoded model begin with the parameters. */
static inline void
exercise_drop(clu_model *model)
{
	if (model != NULL)
		free(model->parameter);
	free(model);
}

/* Why a result would be refused as a model; NULL where it's one. */
static inline const char *
exercise_fault(const clu_model *model)
{
	double	  *scratch = test_memory(clu_check_scratch(model) * sizeof(double));
	clu_error  error = {NULL, 0, 0};
	clu_status status = clu_model_check(model, scratch, NULL, &error);

	free(scratch);
	return status == CLU_OK ? NULL : error.reason;
}

/* A model of zeros, as the server makes one for results. */
static inline clu_model *
exercise_new_model(int structure, int k, int d)
{
	clu_model *model = test_memory(sizeof(clu_model));
	size_t	   size = clu_parameter_count(CLU_GMM, structure, k, d) * sizeof(double);

	*model = (clu_model) {.algorithm = CLU_GMM, .structure = structure, .k = k, .d = d};
	clu_options_default(&model->options, CLU_GMM);
	clu_model_bind(model, memset(test_memory(size), 0, size));
	return model;
}

static inline clu_model *
exercise_copy_model(const clu_model *model, size_t more_trace)
{
	clu_model *copy = exercise_copy(model, sizeof(*model));
	size_t	   count = clu_parameter_count(model->algorithm, model->structure, model->k, model->d);

	clu_model_bind(copy, exercise_copy(model->parameter, count * sizeof(double)));
	copy->trace = test_memory((model->trace_count + more_trace) * sizeof(clu_trace));
	if (model->trace_count > 0)
		memcpy(copy->trace, model->trace, model->trace_count * sizeof(clu_trace));
	return copy;
}

static inline void
exercise_drop_copy(clu_model *model)
{
	free(model->trace);
	exercise_drop(model);
}

/* The rules of the format that can be seen from here, without those who decoded it. */
static inline const char *
exercise_parameters(const clu_model *model)
{
	size_t count = clu_parameter_count(model->algorithm, model->structure, model->k, model->d);
	double sum = 0;

	for (size_t i = 0; i < count; i++)
		if (!isfinite(model->parameter[i]))
			return "a parameter is not finite";
	for (int c = 0; c < model->k; c++)
	{
		if (model->weight[c] < 0)
			return "a weight is negative";
		sum += model->weight[c];
	}
	return fabs(sum - 1) <= EXERCISE_TOLERANCE ? NULL : "the weights don't sum to one";
}

static inline const char *
exercise_encode(clu_model *model, const uint8_t *bytes, size_t length)
{
	size_t		size = clu_encoded_size(model);
	uint8_t	   *again = test_memory(size);
	const char *wrong = NULL;

	clu_encode(model, again);
	if (size != length || memcmp(again, bytes, size) != 0)
		wrong = "it's encoded to other bytes";
	free(again);
	return wrong;
}

/* ---- rows ---- */

/* Rows to apply a model to: its own centres, and values at the ends of the range. */
#define EXERCISE_ROWS 12

static inline double
exercise_value(const clu_model *model, int row, int j)
{
	static const double odd[] = {0,		   1,	   -1,		 0x1p-1074, -0x1p-1022,
								 1e154,	   -1e154, 1.5e-162, 0x1p1023,	-0x1.fffffffffffffp1023,
								 1.0 / 3.0};
	double				value = row < EXERCISE_ROWS / 2
									? model->center[(size_t) (row % model->k) * (size_t) model->d + (size_t) j]
									: odd[(row + j * (row % 3)) % (int) (sizeof(odd) / sizeof(*odd))];

	return model->algorithm == CLU_BERNOULLI ? value > 0.5 : value;
}

/* All of them, packed where the model takes them so. */
static inline void *
exercise_rows(const clu_model *model)
{
	bool	packed = model->algorithm == CLU_BERNOULLI;
	size_t	width = clu_row_size(model->d, packed ? CLU_PACKED : 8);
	char   *rows = test_memory(EXERCISE_ROWS * width);
	double *x = test_memory((size_t) model->d * sizeof(double));

	for (int row = 0; row < EXERCISE_ROWS; row++)
	{
		for (int j = 0; j < model->d; j++)
			x[j] = exercise_value(model, row, j);
		if (packed)
			(void) clu_pack(x, model->d, (uint64_t *) (void *) (rows + (size_t) row * width));
		else
			memcpy(rows + (size_t) row * width, x, width);
	}
	free(x);
	return rows;
}

/* ---- scores ---- */

static inline const char *
exercise_point(clu_scorer *scorer, const void *x, double *out)
{
	const clu_model *model = scorer->model;
	int				 k = model->k, label = scorer->verbs->label(scorer, x);
	double			 sum = 0;

	if (label < 0 || label >= k)
		return "a label is none";
	scorer->verbs->distances(scorer, x, out);
	for (int c = 0; c < k; c++)
	{
		if (!(out[c] >= 0))
			return "a distance is negative or NaN";
		if (!clu_model_is_mixture(model) && out[c] < out[label])
			return "the label isn't the nearest cluster";
	}
	scorer->verbs->probabilities(scorer, x, out);
	for (int c = 0; c < k; c++)
	{
		if (!(out[c] >= 0 && out[c] <= 1))
			return "a probability is none";
		if (out[c] > out[label])
			return "the label isn't the most probable cluster";
		sum += out[c];
	}
	if (!(fabs(sum - 1) <= EXERCISE_TOLERANCE))
		return "the probabilities don't sum to one";
	if (scorer->verbs->log_density != NULL && isnan(scorer->verbs->log_density(scorer, x)))
		return "a log density is NaN";
	return NULL;
}

static inline const char *
exercise_scores(const clu_model *model, const char *rows)
{
	size_t		width = clu_row_size(model->d, model->algorithm == CLU_BERNOULLI ? CLU_PACKED : 8);
	double	   *out = test_memory((size_t) model->k * sizeof(double));
	clu_arena	arena = {NULL, 0};
	const char *wrong = NULL;
	clu_scorer	scorer;
	void	   *memory;

	clu_score_layout(&scorer, &arena, model);
	memory = test_memory(arena.used);
	arena = (clu_arena) {memory, 0};
	clu_score_layout(&scorer, &arena, model);
	clu_score_prepare(&scorer);
	for (size_t row = 0; row < EXERCISE_ROWS && wrong == NULL; row++)
	{
		void *x = exercise_copy(rows + row * width, width);

		wrong = exercise_point(&scorer, x, out);
		free(x);
	}
	free(memory);
	free(out);
	return wrong;
}

/* ---- algebra ---- */

/*
 * Sums, marginals and conditionals may leave the range of double precision, which those who call
 * them check; here it is enough that they come to an end.
 */
static inline void
exercise_gaussian(const clu_model *model)
{
	int		  *order = test_memory((size_t) model->d * sizeof(int));
	double	  *scratch = test_memory(clu_gmm_condition_scratch(model) * sizeof(double));
	int		   first = model->d - 1, k = model->k;
	clu_model *sum = exercise_new_model(clu_gmm_add_structure(model, model), k * k, model->d);
	clu_model *marginal = exercise_new_model(model->structure, k, 1);

	clu_gmm_add(model, model, sum, NULL);
	(void) exercise_fault(sum);
	clu_gmm_marginal(model, &first, marginal);
	(void) exercise_fault(marginal);
	if (model->d > 1)
	{
		clu_model *rest = exercise_new_model(model->structure, k, model->d - 1);

		if (clu_gmm_condition(model, &first, 1, model->center, rest, order, scratch, NULL))
			(void) exercise_fault(rest);
		exercise_drop(rest);
	}
	exercise_drop(marginal);
	exercise_drop(sum);
	free(scratch);
	free(order);
}

static inline void
exercise_divergence(const clu_model *model)
{
	size_t	elements = (size_t) model->d * (size_t) model->d;
	double *p = test_memory(elements * sizeof(double));
	double *q = test_memory(elements * sizeof(double));
	double *scratch = test_memory(clu_gaussian_kl_scratch(model->d) * sizeof(double));
	double	kl;

	clu_component_covariance(model, 0, p);
	clu_component_covariance(model, model->k - 1, q);
	(void) clu_gaussian_kl(model->center, p,
						   model->center + (size_t) (model->k - 1) * (size_t) model->d, q, model->d,
						   scratch, &kl, NULL);
	free(p);
	free(q);
	free(scratch);
}

static inline const char *
exercise_distribution(const clu_model *model)
{
	size_t		d = (size_t) model->d;
	double	   *x = test_memory(d * sizeof(double));
	double	   *covariance = test_memory(d * d * sizeof(double));
	clu_arena	arena = {NULL, 0};
	const char *wrong = NULL;
	clu_sampler sampler;
	void	   *memory;

	clu_mixture_mean(model, x);
	clu_mixture_covariance(model, x, covariance, NULL);
	clu_sampler_layout(&sampler, &arena, model);
	memory = test_memory(arena.used);
	arena = (clu_arena) {memory, 0};
	clu_sampler_layout(&sampler, &arena, model);
	clu_sampler_begin(&sampler, 1, NULL);
	for (int i = 0; i < 3; i++)
	{
		int c = clu_sampler_next(&sampler, x);

		if (c < 0 || c >= model->k || !(model->weight[c] > 0))
			wrong = "a sample comes from no component";
	}
	free(memory);
	free(covariance);
	free(x);
	if (model->algorithm == CLU_GMM)
	{
		exercise_gaussian(model);
		exercise_divergence(model);
	}
	return wrong;
}

/* ---- steps ---- */

/* Tables for steps from a model; NULL where there are no numbers for them. */
static inline clu_step *
exercise_open_step(const clu_model *model, size_t length, clu_error *error)
{
	clu_step *step = test_memory(sizeof(clu_step));
	clu_arena arena = {NULL, 0};

	memset(step, 0, sizeof(*step));
	step->error = error;
	clu_step_open(step, model, length);
	clu_step_layout(step, &arena);
	arena = (clu_arena) {test_memory(arena.used), 0};
	clu_step_layout(step, &arena);
	if (clu_step_prepare(step) == CLU_OK)
		return step;
	free(arena.base);
	free(step);
	return NULL;
}

/* The tables of every algorithm's step begin its memory. */
static inline void
exercise_close_step(clu_step *step)
{
	free(step->tables);
	free(step);
}

/* A state of the step, whose model's bytes these are, that has seen so many rows; free it. */
static inline void *
exercise_new_state(clu_step *step, const uint8_t *model, int rows)
{
	char *x = exercise_rows(step->model);
	void *state = test_memory(clu_step_size(step));

	clu_step_clear(step, state, model);
	for (int i = 0; i < rows; i++)
	{
		int row = i % (EXERCISE_ROWS / 2);

		memcpy(clu_step_row(step, state), x + (size_t) row * step->row_size, step->row_size);
		(void) clu_step_add(step, state, 1 + i % 4 * 0.5);
	}
	free(x);
	return state;
}

static inline clu_status
exercise_add_rows(const clu_step *step, void *state, const char *rows)
{
	static const double weights[] = {1, 1, 2, 0.75, 1e-300, 0x1p-1074, 1e15, 1};
	clu_status			status = CLU_OK;

	for (int i = 0; i < 4 * EXERCISE_ROWS && status == CLU_OK; i++)
	{
		/* mostly rows that make sense together, and odd ones now and then */
		int row = i % 7 == 6 ? i % EXERCISE_ROWS : i % (EXERCISE_ROWS / 2);

		memcpy(clu_step_row(step, state), rows + (size_t) row * step->row_size, step->row_size);
		status = clu_step_add((clu_step *) step, state, weights[i % 8]);
	}
	return status;
}

/* The model of a state; whether it is one depends on whether the state was made up. */
static inline const char *
exercise_refit(clu_step *step, void *state, bool genuine)
{
	clu_model  *result = exercise_copy_model(step->model, 1);
	clu_status	status = clu_step_refit(step, state, result, false);
	const char *wrong = NULL;

	if (status == CLU_OK)
		wrong = exercise_fault(result);
	exercise_drop_copy(result);
	return genuine ? wrong : NULL;
}

static inline const char *
exercise_step(const clu_model *model, const uint8_t *bytes, size_t length, const char *rows)
{
	clu_error	error;
	clu_step   *step = exercise_open_step(model, length, &error);
	void	   *state, *other;
	const char *wrong = NULL;
	clu_status	status;

	if (step == NULL)
		return NULL;
	state = test_memory(clu_step_size(step));
	clu_step_clear(step, state, bytes);
	if (exercise_add_rows(step, state, rows) == CLU_OK)
	{
		other = exercise_copy(state, clu_step_size(step));
		status = clu_step_check(step, other, clu_step_size(step), false);
		if (status == CLU_DAMAGED_STATE)
			wrong = "a state is refused that was made by a step";
		else if (status == CLU_OK && clu_step_merge(step, state, other) == CLU_OK)
			wrong = exercise_refit(step, state, true);
		free(other);
	}
	free(state);
	exercise_close_step(step);
	return wrong;
}

/* ---- fits from a start model ---- */

static inline clu_status
exercise_points(const clu_rows *rows, clu_points *points, void **memory)
{
	clu_arena  arena = {NULL, 0};
	clu_error  error;
	clu_order  order;
	clu_status status;
	size_t	   distinct;
	void	  *sorting;

	clu_order_layout(&order, &arena, rows->n, 1);
	sorting = test_memory(arena.used);
	arena = (clu_arena) {sorting, 0};
	clu_order_layout(&order, &arena, rows->n, 1);
	distinct = clu_order_sort(&order, rows, NULL, NULL);
	arena = (clu_arena) {NULL, 0};
	clu_points_layout(points, &arena, rows, distinct, 1);
	*memory = test_memory(arena.used);
	arena = (clu_arena) {*memory, 0};
	clu_points_layout(points, &arena, rows, distinct, 1);
	status = clu_points_collapse(points, &order, rows, NULL, NULL, &error);
	free(sorting);
	return status;
}

static inline const char *
exercise_run_fit(const clu_model *start, const clu_points *points)
{
	clu_arena	arena = {NULL, 0};
	clu_error	error = {NULL, 0, 0};
	clu_fit		fit = {.points = points, .start_model = start, .error = &error};
	const char *wrong = NULL;
	void	   *memory;

	fit.model.algorithm = start->algorithm;
	fit.model.structure = start->structure;
	fit.model.k = start->k;
	fit.model.d = start->d;
	clu_options_default(&fit.model.options, start->algorithm);
	fit.model.options.value[CLU_MAX_ITER].integer = 3;
	if (start->algorithm == CLU_GMM)
		fit.model.options.value[CLU_COVARIANCE].integer = start->structure;
	if (start->structure == CLU_COV_FIXED)
		clu_option_set_number(&fit.model.options, CLU_VARIANCE, start->covariance[0]);
	if (clu_model_is_soft(start))
		clu_option_set_number(&fit.model.options, CLU_BETA,
							  clu_option_number(&start->options, CLU_BETA));
	fit.verbs = clu_fit_verbs(start->algorithm, &fit.model.options);
	clu_fit_layout(&fit, &arena);
	memory = test_memory(arena.used);
	arena = (clu_arena) {memory, 0};
	clu_fit_layout(&fit, &arena);
	if (clu_fit_run(&fit) == CLU_OK)
		wrong = exercise_fault(&fit.model);
	free(memory);
	return wrong;
}

/* All rows, or those that make sense together. */
static inline const char *
exercise_fit(const clu_model *model, const char *rows, size_t n)
{
	clu_rows	given = {.x = rows,
						 .n = n,
						 .d = model->d,
						 .width = model->algorithm == CLU_BERNOULLI ? CLU_PACKED : 8};
	clu_points	points;
	const char *wrong = NULL;
	void	   *memory;

	if (exercise_points(&given, &points, &memory) == CLU_OK && points.n >= (size_t) model->k)
		wrong = exercise_run_fit(model, &points);
	free(memory);
	return wrong;
}

/* ---- all of it ---- */

static inline const char *
exercise_model(const uint8_t *bytes, size_t length, bool *accepted)
{
	clu_model  *model = exercise_decode(bytes, length);
	const char *wrong;
	void	   *rows;

	*accepted = model != NULL;
	if (model == NULL)
		return NULL;
	wrong = exercise_parameters(model);
	if (wrong == NULL)
		wrong = exercise_encode(model, bytes, length);
	if (wrong == NULL && clu_parameter_count(model->algorithm, model->structure, model->k,
											 model->d) <= EXERCISE_MOST_PARAMETERS)
	{
		rows = exercise_rows(model);
		wrong = exercise_scores(model, rows);
		if (wrong == NULL && clu_model_is_mixture(model))
			wrong = exercise_distribution(model);
		if (wrong == NULL)
			wrong = exercise_step(model, bytes, length, rows);
		if (wrong == NULL)
			wrong = exercise_fit(model, rows, EXERCISE_ROWS / 2);
		if (wrong == NULL)
			wrong = exercise_fit(model, rows, EXERCISE_ROWS);
		free(rows);
	}
	exercise_drop(model);
	return wrong;
}

/* ---- states and samples ---- */

/* What a transition function does with a state, which it checks in the quick way only. */
static inline void
exercise_trusting(clu_step *step, const void *state, size_t length)
{
	void *copy = exercise_copy(state, length);
	char *rows = exercise_rows(step->model);

	if (clu_step_check(step, copy, length, true) == CLU_OK)
		(void) exercise_add_rows(step, copy, rows);
	free(rows);
	free(copy);
}

/* Whether a state is accepted; then it is added to itself and leads to a model, or to an error. */
static inline bool
exercise_state(const uint8_t *bytes, size_t length)
{
	void	  *state = exercise_copy(bytes, length), *other;
	clu_error  error;
	clu_model *model = NULL;
	clu_step  *step = NULL;
	bool	   accepted = false;

	if (clu_step_check_header(state, length, &error) == CLU_OK)
		model = exercise_decode(clu_step_model(state), clu_step_head(state)->model_length);
	if (model != NULL)
		step = exercise_open_step(model, clu_step_head(state)->model_length, &error);
	if (step != NULL)
	{
		exercise_trusting(step, state, length);
		accepted = clu_step_check(step, state, length, false) == CLU_OK;
		other = exercise_copy(state, length);
		if (accepted && clu_step_merge(step, state, other) == CLU_OK &&
			clu_step_head(state)->rows > 0)
			(void) exercise_refit(step, state, false);
		free(other);
		exercise_close_step(step);
	}
	exercise_drop(model);
	free(state);
	return accepted;
}

static inline void
exercise_trusting_sketch(const void *sketch, size_t length)
{
	void		*copy = exercise_copy(sketch, length);
	clu_error	 error;
	const double values[] = {0, 1, -1e300, 0x1p-1074};
	size_t		 size = clu_row_size(clu_sketch_head(copy)->d, clu_sketch_head(copy)->width);
	double		*row = memset(test_memory(size), 0, size);

	for (int i = 0; i < 4 && size >= sizeof(double); i++)
		if (clu_sketch_check(copy, length, true, &error) == CLU_OK)
		{
			row[0] = values[i];
			clu_sketch_add(copy, row, values[i] == 0 ? 1 : fabs(values[i]), 0.5 + i);
		}
	free(row);
	free(copy);
}

/* The same for a sample, whose rows are read instead. */
static inline bool
exercise_sketch(const uint8_t *bytes, size_t length)
{
	void	 *sketch = exercise_copy(bytes, length), *other;
	clu_error error;
	bool	  accepted = false;
	double	  weight;

	if (clu_sketch_check(sketch, length, true, &error) == CLU_OK)
	{
		exercise_trusting_sketch(sketch, length);
		accepted = clu_sketch_check(sketch, length, false, &error) == CLU_OK;
	}
	other = exercise_copy(sketch, length);
	if (accepted && clu_sketch_head(sketch)->d > 0)
		clu_sketch_merge(sketch, other, NULL);
	for (uint32_t i = 0; accepted && i < clu_sketch_head(sketch)->listed; i++)
		(void) clu_sketch_row(sketch, i, &weight);
	free(other);
	free(sketch);
	return accepted;
}

#endif
