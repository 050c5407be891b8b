/*
 * model.c
 *		Sizes and layout of the parameters of a model.
 */
#include "model.h"

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
