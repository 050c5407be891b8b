/*
 * model_check.c
 *		What makes a model valid.
 *
 * The same rules for bytes that claim to be a model, for models made by hand and for the results
 * of a fit; doc/model-format.md lists them.  Comparisons are written so that NaN fails them.
 */
#include "model_bytes.h"

#include <math.h>
#include <string.h>

#include "cholesky.h"
#include "dd.h"

#define WEIGHT_TOLERANCE 1e-9

static clu_status
damaged(clu_error *error, const char *reason, double expected, double found)
{
	return clu_fail(error, CLU_DAMAGED, reason, expected, found);
}

static bool
has_flag(const clu_model *model, uint32_t flag)
{
	return (model->flags & flag) != 0;
}

/* ---- shape ---- */

static clu_status
check_structure(const clu_model *model, clu_error *error)
{
	int last = model->algorithm == CLU_GMM ? CLU_COV_FIXED : 0;

	if (model->structure < 0 || model->structure > last)
		return damaged(error, "The covariance structure {found} is unknown for the algorithm.",
					   last, model->structure);
	return CLU_OK;
}

static clu_status
check_flags(const clu_model *model, clu_error *error)
{
	bool fitted = has_flag(model, CLU_MODEL_FITTED);

	if (model->flags & ~(uint32_t) CLU_MODEL_KNOWN_FLAGS)
		return damaged(error, "The flags {found} are not all known.", CLU_MODEL_KNOWN_FLAGS,
					   model->flags);
	if (!fitted && model->flags != 0)
		return damaged(error, "A model that is not fitted has the flags {found} of a fit.", 0,
					   model->flags);
	if (has_flag(model, CLU_MODEL_LIKELIHOOD) && !clu_model_is_mixture(model))
		return damaged(error, "The model has a log-likelihood without being a mixture.", 0, 0);
	if (has_flag(model, CLU_MODEL_BRACKETS) && model->algorithm != CLU_KMEDIANS)
		return damaged(error, "The model has brackets without being one of K-medians.", 0, 0);
	if (has_flag(model, CLU_MODEL_BRACKETS) && has_flag(model, CLU_MODEL_CONVERGED))
		return damaged(error, "The model has brackets though it has converged.", 0, 0);
	return CLU_OK;
}

static clu_status
check_bracket_counts(const clu_model *model, clu_error *error)
{
	const clu_brackets *brackets = &model->brackets;

	if (brackets->moved > (uint32_t) model->k)
		return damaged(error, "{found} of {expected} centers have moved.", model->k,
					   brackets->moved);
	if (brackets->taken > CLU_MIN((uint32_t) model->k, CLU_MOST_TAKEN))
		return damaged(error, "{found} rows are taken, of at most {expected}.",
					   CLU_MIN(model->k, CLU_MOST_TAKEN), brackets->taken);
	return CLU_OK;
}

clu_status
clu_model_check_shape(const clu_model *model, clu_error *error)
{
	clu_status status;

	if (clu_algorithm_name((int) model->algorithm) == NULL)
		return damaged(error, "The algorithm {found} is unknown.", CLU_ALGORITHMS,
					   (double) model->algorithm);
	if (model->k < 1)
		return damaged(error, "The number of clusters is {found}.", 1, model->k);
	if (model->d < 1)
		return damaged(error, "The number of dimensions is {found}.", 1, model->d);
	status = check_structure(model, error);
	if (status == CLU_OK)
		status = check_flags(model, error);
	return status != CLU_OK ? status : check_bracket_counts(model, error);
}

/* ---- options and summary ---- */

static clu_status
check_options(const clu_model *model, clu_error *error)
{
	const clu_options *options = &model->options;

	for (int option = 0; option < CLU_OPTION_COUNT; option++)
	{
		clu_options alone = *options;

		alone.set &= 1u << option;
		if (!clu_options_valid(&alone, model->algorithm))
			return damaged(error, "Option {found} is out of range, or not for the algorithm.", 0,
						   option);
	}
	if (!clu_options_valid(options, model->algorithm))
		return damaged(error, "There are unknown options.", 0, options->set);
	if (clu_option_is_set(options, CLU_COVARIANCE) &&
		clu_option_integer(options, CLU_COVARIANCE) != model->structure)
		return damaged(error,
					   "The option covariance has choice {found}, the covariances are stored "
					   "for choice {expected}.",
					   model->structure, (double) clu_option_integer(options, CLU_COVARIANCE));
	return CLU_OK;
}

static clu_status
check_likelihood(double value, bool may_be_infinite, const char *reason, clu_error *error)
{
	if (isnan(value) || (isinf(value) && !may_be_infinite))
		return damaged(error, reason, 0, value);
	return CLU_OK;
}

static clu_status
check_counts(const clu_model *model, clu_error *error)
{
	if (model->rows < 0)
		return damaged(error, "The number of rows is {found}.", 0, (double) model->rows);
	if (model->skipped < 0)
		return damaged(error, "The number of skipped rows is {found}.", 0, (double) model->skipped);
	if (model->iterations < 0)
		return damaged(error, "The number of iterations is {found}.", 0,
					   (double) model->iterations);
	if (!(model->total_weight >= 0 && isfinite(model->total_weight)))
		return damaged(error, "The total weight is {found}.", 0, model->total_weight);
	return CLU_OK;
}

/* What a model made by hand does not have, and what is not known, is zero. */
static clu_status
check_absent(const clu_model *model, clu_error *error)
{
	if (!has_flag(model, CLU_MODEL_LIKELIHOOD) && model->log_likelihood != 0)
		return damaged(error, "The log-likelihood is {found} and marked as not known.", 0,
					   model->log_likelihood);
	if (has_flag(model, CLU_MODEL_FITTED))
		return CLU_OK;
	if (model->rows != 0 || model->skipped != 0 || model->iterations != 0 ||
		model->total_weight != 0 || model->objective != 0 || model->trace_count != 0)
		return damaged(error, "A model that is not fitted has the figures of a fit.", 0, 0);
	return CLU_OK;
}

clu_status
clu_model_check_summary(const clu_model *model, clu_error *error)
{
	bool	   mixture = clu_model_is_mixture(model);
	clu_status status = check_options(model, error);

	if (status == CLU_OK)
		status = check_counts(model, error);
	if (status == CLU_OK)
		status = check_likelihood(model->objective, mixture, "The objective is {found}.", error);
	if (status == CLU_OK)
		status = check_likelihood(model->log_likelihood, mixture, "The log-likelihood is {found}.",
								  error);
	if (status == CLU_OK)
		status = check_absent(model, error);
	return status;
}

/* ---- clusters ---- */

/* The weights' sum is taken in double-double: it must not depend on how many there are. */
static clu_status
check_weights(const clu_model *model, clu_error *error)
{
	clu_dd sum = {0, 0};

	for (int c = 0; c < model->k; c++)
	{
		if (!(model->weight[c] >= 0 && isfinite(model->weight[c])))
			return damaged(error, "The weight of a cluster is {found}.", 0, model->weight[c]);
		sum = clu_dd_add_double(sum, model->weight[c]);
	}
	if (!(fabs(clu_dd_value(sum) - 1) <= WEIGHT_TOLERANCE))
		return damaged(error, "The weights sum to {found} instead of {expected}.", 1,
					   clu_dd_value(sum));
	return CLU_OK;
}

static clu_status
check_sizes(const clu_model *model, clu_error *error)
{
	bool fitted = has_flag(model, CLU_MODEL_FITTED);

	for (int c = 0; c < model->k; c++)
	{
		if (!(model->size[c] >= 0 && isfinite(model->size[c])))
			return damaged(error, "The size of a cluster is {found}.", 0, model->size[c]);
		if (!fitted && model->size[c] != 0)
			return damaged(error, "The size of a cluster is {found}, without a fit.", 0,
						   model->size[c]);
	}
	return CLU_OK;
}

static clu_status
check_costs(const clu_model *model, clu_error *error)
{
	bool none = clu_model_is_mixture(model) || !has_flag(model, CLU_MODEL_FITTED);
	bool signed_costs = clu_model_is_soft(model);

	for (int c = 0; c < model->k; c++)
	{
		double cost = model->cost[c];

		if (!isfinite(cost) || (cost < 0 && !signed_costs))
			return damaged(error, "The objective of a cluster is {found}.", 0, cost);
		if (none && cost != 0)
			return damaged(error, "The objective of a cluster is {found} where there is none.", 0,
						   cost);
	}
	return CLU_OK;
}

static clu_status
check_centers(const clu_model *model, clu_error *error)
{
	size_t count = (size_t) model->k * (size_t) model->d;
	bool   probabilities = model->algorithm == CLU_BERNOULLI;

	for (size_t i = 0; i < count; i++)
	{
		if (!isfinite(model->center[i]))
			return damaged(error, "An element of a center is {found}.", 0, model->center[i]);
		if (probabilities && !(model->center[i] >= 0 && model->center[i] <= 1))
			return damaged(error, "A probability is {found}.", 1, model->center[i]);
	}
	return CLU_OK;
}

/* ---- covariances ---- */

static clu_status
check_variances(const double *variance, size_t count, clu_error *error)
{
	for (size_t i = 0; i < count; i++)
		if (!(variance[i] >= CLU_LEAST_VARIANCE && isfinite(variance[i])))
			return damaged(error, "A variance is {found}.", CLU_LEAST_VARIANCE, variance[i]);
	return CLU_OK;
}

static bool
is_symmetric(const double *matrix, int d, const clu_interrupt *interrupt)
{
	size_t n = (size_t) d;

	for (size_t i = 1; i < n; i++)
	{
		for (size_t j = 0; j < i; j++)
			if (!(matrix[i * n + j] == matrix[j * n + i]))
				return false;
		clu_check(interrupt);
	}
	return true;
}

static clu_status
check_matrices(const clu_model *model, int count, double *scratch, const clu_interrupt *interrupt,
			   clu_error *error)
{
	size_t elements = (size_t) model->d * (size_t) model->d;

	for (int c = 0; c < count; c++)
	{
		const double *matrix = model->covariance + (size_t) c * elements;

		if (!is_symmetric(matrix, model->d, interrupt))
			return damaged(error, "Covariance matrix {found} is not symmetric.", 0, c + 1);
		memcpy(scratch, matrix, elements * sizeof(double));
		if (!clu_cholesky(scratch, model->d, interrupt))
			return damaged(error, "Covariance matrix {found} is not positive definite.", 0, c + 1);
	}
	return CLU_OK;
}

static clu_status
check_fixed(const clu_model *model, clu_error *error)
{
	double variance = model->covariance[0];

	if (clu_option_is_set(&model->options, CLU_VARIANCE) &&
		clu_option_number(&model->options, CLU_VARIANCE) != variance)
		return damaged(error, "The fixed variance is {found}, the option variance {expected}.",
					   clu_option_number(&model->options, CLU_VARIANCE), variance);
	return check_variances(&variance, 1, error);
}

static clu_status
check_covariances(const clu_model *model, double *scratch, const clu_interrupt *interrupt,
				  clu_error *error)
{
	if (model->algorithm != CLU_GMM)
		return CLU_OK;
	switch (model->structure)
	{
		case CLU_COV_FULL:
			return check_matrices(model, model->k, scratch, interrupt, error);
		case CLU_COV_TIED:
			return check_matrices(model, 1, scratch, interrupt, error);
		case CLU_COV_FIXED:
			return check_fixed(model, error);
		default:
			return check_variances(
				model->covariance,
				clu_covariance_count(model->algorithm, model->structure, model->k, model->d),
				error);
	}
}

/* ---- trace ---- */

static clu_status
check_trace(const clu_model *model, clu_error *error)
{
	bool mixture = clu_model_is_mixture(model);

	for (size_t i = 0; i < model->trace_count; i++)
	{
		const clu_trace *entry = &model->trace[i];
		clu_status		 status;

		if (entry->run < 1 || entry->iteration < 1)
			return damaged(error, "The trace has a run or an iteration of number 0.", 1, 0);
		if (entry->run > INT32_MAX || entry->iteration > INT32_MAX)
			return damaged(error, "The trace has a run or an iteration of number {found}.",
						   INT32_MAX, CLU_MAX(entry->run, entry->iteration));
		if (entry->changed > INT64_MAX)
			return damaged(error, "The trace counts {found} changed points.", 0,
						   (double) entry->changed);
		status = check_likelihood(entry->objective, mixture,
								  "An objective in the trace is {found}.", error);
		if (status != CLU_OK)
			return status;
	}
	return CLU_OK;
}

/* ---- brackets ---- */

static clu_status
check_brackets(const clu_model *model, clu_error *error)
{
	const clu_brackets *brackets = &model->brackets;
	size_t				d = (size_t) model->d, count = (size_t) model->k * d;

	if (!clu_model_has_brackets(model))
		return CLU_OK;
	for (size_t i = 0; i < count; i++)
	{
		double low = brackets->range[2 * i], high = brackets->range[2 * i + 1];

		if (!(isfinite(low) && isfinite(high) && low <= high))
			return damaged(error, "A bracket reaches from {expected} to {found}.", low, high);
	}
	for (uint32_t i = 0; i < brackets->taken; i++)
		if (brackets->taker[i] >= (uint32_t) model->k ||
			(i > 0 && brackets->taker[i] <= brackets->taker[i - 1]))
			return damaged(error, "A row is taken by cluster {found} out of order.", 0,
						   (double) brackets->taker[i] + 1);
	for (size_t i = 0; i < brackets->taken * d; i++)
		if (!isfinite(brackets->row[i]))
			return damaged(error, "An element of a taken row is {found}.", 0, brackets->row[i]);
	return CLU_OK;
}

size_t
clu_check_scratch(const clu_model *model)
{
	bool matrices = model->algorithm == CLU_GMM &&
					(model->structure == CLU_COV_FULL || model->structure == CLU_COV_TIED);

	return matrices ? clu_size_product((size_t) model->d, (size_t) model->d) : 0;
}

clu_status
clu_model_check(const clu_model *model, double *scratch, const clu_interrupt *interrupt,
				clu_error *error)
{
	clu_status status = clu_model_check_shape(model, error);

	if (status == CLU_OK)
		status = clu_model_check_summary(model, error);
	if (status == CLU_OK)
		status = check_weights(model, error);
	if (status == CLU_OK)
		status = check_sizes(model, error);
	if (status == CLU_OK)
		status = check_costs(model, error);
	if (status == CLU_OK)
		status = check_centers(model, error);
	if (status == CLU_OK)
		status = check_covariances(model, scratch, interrupt, error);
	if (status == CLU_OK)
		status = check_trace(model, error);
	if (status == CLU_OK)
		status = check_brackets(model, error);
	return status;
}
