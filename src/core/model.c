/*
 * model.c
 *		Sizes and layout of the parameters of a model.
 */
#include "model.h"

#include <math.h>
#include <string.h>

#include "cholesky.h"

size_t
clu_covariance_count(clu_algorithm algorithm, int structure, int k, int d)
{
	size_t square = clu_size_product((size_t) d, (size_t) d);

	if (algorithm != CLU_GMM)
		return 0;
	switch (structure)
	{
		case CLU_COV_FULL:
			return clu_size_product((size_t) k, square);
		case CLU_COV_DIAG:
			return clu_size_product((size_t) k, (size_t) d);
		case CLU_COV_SPHERICAL:
			return (size_t) k;
		case CLU_COV_TIED:
			return square;
		case CLU_COV_FIXED:
			return 1;
	}
	return 0;
}

size_t
clu_parameter_count(clu_algorithm algorithm, int structure, int k, int d)
{
	size_t centers = clu_size_product((size_t) k, (size_t) d + 3);
	size_t covariances = clu_covariance_count(algorithm, structure, k, d);

	return centers > SIZE_MAX - covariances ? SIZE_MAX : centers + covariances;
}

void
clu_model_bind(clu_model *model, double *parameter)
{
	size_t k = (size_t) model->k;

	model->parameter = parameter;
	model->weight = parameter;
	model->size = parameter + k;
	model->cost = parameter + 2 * k;
	model->center = parameter + 3 * k;
	model->covariance = model->center + k * (size_t) model->d;
}

static bool
variances_in_range(const clu_model *model)
{
	bool   matrices = model->structure == CLU_COV_FULL || model->structure == CLU_COV_TIED;
	size_t d = (size_t) model->d;
	size_t count = clu_covariance_count(model->algorithm, model->structure, model->k, model->d);

	for (size_t i = 0; i < (matrices ? count / d : count); i++)
	{
		size_t at = matrices ? (i / d * d + i % d) * d + i % d : i;

		if (!(model->covariance[at] >= CLU_LEAST_VARIANCE))
			return false;
	}
	return true;
}

bool
clu_model_in_range(const clu_model *model)
{
	size_t count = clu_parameter_count(model->algorithm, model->structure, model->k, model->d);

	for (size_t i = 0; i < count; i++)
		if (!isfinite(model->parameter[i]))
			return false;
	return variances_in_range(model);
}

clu_status
clu_model_check_range(const clu_model *model, clu_error *error)
{
	if (isnan(model->objective) || (isinf(model->objective) && !clu_model_is_mixture(model)))
		return clu_fail(
			error, CLU_UNDERFLOW,
			"The objective, a sum over all points, is beyond the range of double precision.", 0, 0);
	if (!clu_model_in_range(model))
		return clu_fail(error, CLU_UNDERFLOW, "The points are too far from one another.", 0, 0);
	return CLU_OK;
}

void
clu_brackets_layout(clu_brackets *brackets, clu_arena *arena, int k, int d, uint32_t taken)
{
	CLU_TAKE(arena, brackets->range, clu_size_product(2, clu_size_product((size_t) k, (size_t) d)));
	CLU_TAKE(arena, brackets->taker, taken);
	CLU_TAKE(arena, brackets->row, clu_size_product(taken, (size_t) d));
}

void
clu_brackets_copy(clu_brackets *to, const clu_brackets *from, int k, int d)
{
	size_t row = (size_t) d * sizeof(double);

	to->passes = from->passes;
	to->moved = from->moved;
	to->taken = from->taken;
	memcpy(to->range, from->range, 2 * (size_t) k * row);
	if (from->taken == 0)
		return;
	memcpy(to->taker, from->taker, from->taken * sizeof(uint32_t));
	memcpy(to->row, from->row, from->taken * row);
}

void
clu_model_drop_brackets(clu_model *model)
{
	model->flags &= ~(uint32_t) CLU_MODEL_BRACKETS;
	memset(&model->brackets, 0, sizeof(model->brackets));
}

double
clu_free_parameters(const clu_model *model)
{
	double k = model->k, d = model->d, count = k * d;

	if (model->algorithm == CLU_GMM)
		switch (model->structure)
		{
			case CLU_COV_FULL:
				count += k * d * (d + 1) / 2;
				break;
			case CLU_COV_DIAG:
				count += k * d;
				break;
			case CLU_COV_SPHERICAL:
				count += k;
				break;
			case CLU_COV_TIED:
				count += d * (d + 1) / 2;
				break;
		}
	if (clu_model_is_mixture(model) &&
		clu_option_integer(&model->options, CLU_WEIGHTS) == CLU_WEIGHTS_FREE)
		count += k - 1;
	return count;
}
