/*
 * model_values.h
 *		Models and values for the tests of the model format.
 *
 * Values to be decoded lie in memory of their exact length, so that a sanitizer sees every step
 * beyond the end.
 */
#ifndef MODEL_VALUES_H
#define MODEL_VALUES_H

#include "hash.h"
#include "little_endian.h"
#include "model_bytes.h"
#include "tap.h"
#include "test_memory.h"

/* ---- values and models ---- */

typedef struct value
{
	uint8_t *bytes;
	size_t	 length;
} value;

static value
encode(clu_model *model)
{
	value v = {NULL, clu_encoded_size(model)};

	v.bytes = malloc(v.length);
	clu_encode(model, v.bytes);
	return v;
}

/* Decode into memory of the size that was asked for; *memory is for free. */
static clu_status
decode(value v, clu_model *model, void **memory, clu_error *error)
{
	clu_arena  arena = {NULL, 0};
	clu_status status = clu_decode_header(model, v.bytes, v.length, error);

	*memory = NULL;
	if (status != CLU_OK)
		return status;
	clu_decode_layout(model, &arena);
	*memory = test_memory(arena.used);
	arena = (clu_arena) {*memory, 0};
	clu_decode_layout(model, &arena);
	return clu_decode_body(model, v.bytes, v.length, NULL, error);
}

/* Whether it decodes, and encodes to the same bytes. */
static inline bool
round_trip(value v, bool *decoded)
{
	clu_model model;
	clu_error error;
	void	 *memory;
	bool	  same = true;

	*decoded = decode(v, &model, &memory, &error) == CLU_OK;
	if (*decoded)
	{
		value again = encode(&model);

		same = again.length == v.length && memcmp(again.bytes, v.bytes, v.length) == 0;
		free(again.bytes);
	}
	free(memory);
	return same;
}

static void
fill_covariance(clu_model *model)
{
	size_t d = (size_t) model->d;
	size_t count = clu_covariance_count(model->algorithm, model->structure, model->k, model->d);
	bool   matrices = clu_check_scratch(model) > 0;

	for (size_t i = 0; i < count; i++)
	{
		size_t row = i / d % d, column = i % d;

		model->covariance[i] = matrices ? (row == column ? 2.0 : 0.25) : 0.5 + random_unit();
	}
	model->options.value[CLU_COVARIANCE].integer = model->structure;
	if (model->algorithm == CLU_GMM && model->structure == CLU_COV_FIXED)
		clu_option_set_number(&model->options, CLU_VARIANCE, model->covariance[0]);
}

static void
fill_fit(clu_model *model)
{
	bool mixture = clu_model_is_mixture(model);

	model->flags = CLU_MODEL_FITTED | CLU_MODEL_CONVERGED | (mixture ? CLU_MODEL_LIKELIHOOD : 0);
	model->rows = 1000;
	model->skipped = 3;
	model->total_weight = 998.5;
	model->iterations = 17;
	model->objective = mixture ? -INFINITY : 12.5;
	model->log_likelihood = mixture ? INFINITY : 0;
	for (int c = 0; c < model->k; c++)
	{
		model->size[c] = model->weight[c] * 1000;
		model->cost[c] = mixture ? 0 : random_unit();
	}
	model->trace_count = 3;
	model->trace = malloc(model->trace_count * sizeof(clu_trace));
	for (uint32_t i = 0; i < 3; i++)
		model->trace[i] = (clu_trace) {1, i + 1, 100.0 - i, 50 - i};
}

static clu_model
make_model(clu_algorithm algorithm, int structure, int k, int d, bool fitted)
{
	clu_model model = {0};

	model.algorithm = algorithm;
	model.structure = structure;
	model.k = k;
	model.d = d;
	clu_options_default(&model.options, algorithm);
	clu_model_bind(&model, calloc(clu_parameter_count(algorithm, structure, k, d), sizeof(double)));
	for (int c = 0; c < k; c++)
		model.weight[c] = 1.0 / k;
	for (int i = 0; i < k * d; i++)
		model.center[i] = algorithm == CLU_BERNOULLI ? random_unit() : 10 * random_unit() - 5;
	if (algorithm == CLU_GMM)
		fill_covariance(&model);
	if (fitted)
		fill_fit(&model);
	return model;
}

/* Turn a fitted K-medians model into one between two steps. */
static void
add_brackets(clu_model *model, uint32_t taken)
{
	size_t		  d = (size_t) model->d, count = (size_t) model->k * d;
	clu_brackets *brackets = &model->brackets;

	model->flags = CLU_MODEL_FITTED | CLU_MODEL_BRACKETS;
	*brackets = (clu_brackets) {.passes = 2, .moved = 1, .taken = taken};
	brackets->range = malloc(2 * count * sizeof(double));
	brackets->taker = malloc((taken + 1) * sizeof(uint32_t));
	brackets->row = malloc((taken * d + 1) * sizeof(double));
	for (size_t i = 0; i < count; i++)
	{
		brackets->range[2 * i] = model->center[i] - random_unit();
		brackets->range[2 * i + 1] = model->center[i] + random_unit();
	}
	for (uint32_t i = 0; i < taken; i++)
		brackets->taker[i] = (uint32_t) model->k - taken + i;
	for (size_t i = 0; i < taken * d; i++)
		brackets->row[i] = 100 * random_unit();
}

static void
drop_model(clu_model *model)
{
	free(model->parameter);
	free(model->trace);
	free(model->brackets.range);
	free(model->brackets.taker);
	free(model->brackets.row);
}

/*
 * Number n of all kinds of models there are: 16 and 17 are soft K-means, 18 and 19 have brackets.
 */
#define KINDS 20

static clu_model
kind_of_model(int n)
{
	static const int algorithms[8] = {CLU_KMEANS, CLU_KMEDIANS, CLU_BERNOULLI, CLU_GMM,
									  CLU_GMM,	  CLU_GMM,		CLU_GMM,	   CLU_GMM};

	clu_model model;

	if (n >= 18)
	{
		model = make_model(CLU_KMEDIANS, 0, 3, 2, true);
		add_brackets(&model, n == 18 ? 0 : 2);
		return model;
	}
	model = make_model((clu_algorithm) algorithms[n < 16 ? n % 8 : 0],
					   n < 16 ? CLU_MAX(n % 8 - 3, 0) : 0, 1 + n % 3, 1 + n % 4, n >= 8);
	if (n >= 16)
		clu_option_set_number(&model.options, CLU_BETA, 0.25);
	return model;
}

static value
kind_of_value(int n)
{
	clu_model model = kind_of_model(n);
	value	  v = encode(&model);

	drop_model(&model);
	return v;
}

#endif
