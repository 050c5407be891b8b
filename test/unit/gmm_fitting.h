/*
 * gmm_fitting.h
 *		Fits of Gaussian mixtures for the tests, and a plain EM to compare them with.
 */
#ifndef GMM_FITTING_H
#define GMM_FITTING_H

#include "fitting.h"

#include "algorithms.h"
#include "model_bytes.h"
#include "score.h"

static const char *const structure_names[] = {"full", "diag", "spherical", "tied", "fixed"};

#define STRUCTURES 5

static inline clu_options
gmm_options(int structure, double tol, int64_t max_iter)
{
	clu_options options;

	clu_options_default(&options, CLU_GMM);
	clu_option_set_text(&options, CLU_COVARIANCE, structure_names[structure],
						strlen(structure_names[structure]));
	clu_option_set_number(&options, CLU_TOL, tol);
	clu_option_set_integer(&options, CLU_MAX_ITER, max_iter);
	return options;
}

/* A model with memory of its own; weights 1/k, all else 0. */
static inline clu_model
make_model(int structure, int k, int d)
{
	clu_model model = {.algorithm = CLU_GMM, .structure = structure, .k = k, .d = d};

	clu_model_bind(&model, calloc(clu_parameter_count(CLU_GMM, structure, k, d), sizeof(double)));
	clu_options_default(&model.options, CLU_GMM);
	for (int c = 0; c < k; c++)
		model.weight[c] = 1.0 / k;
	return model;
}

static inline void
free_model(clu_model *model)
{
	free(model->parameter);
}

static inline void
fit_gmm(fitted *f, const clu_rows *rows, int k, const clu_options *options, const clu_model *start)
{
	fit_in_team(f, rows, CLU_GMM, k, options, start, NULL);
}

/* Whether the model is one that can be stored and read. */
static inline bool
is_valid(const clu_model *model)
{
	double	 *scratch = test_memory(clu_check_scratch(model) * sizeof(double));
	clu_error error = {0};
	bool	  valid = clu_model_check(model, scratch, NULL, &error) == CLU_OK;

	if (!valid)
		printf("# %s %g %g\n", error.reason, error.expected, error.found);
	free(scratch);
	return valid;
}

/* Element of the covariance matrix of a component, whatever the structure. */
static inline double
covariance_at(const clu_model *m, int c, int i, int j)
{
	size_t d = (size_t) m->d;

	switch (m->structure)
	{
		case CLU_COV_FULL:
			return m->covariance[(size_t) c * d * d + (size_t) i * d + (size_t) j];
		case CLU_COV_TIED:
			return m->covariance[(size_t) i * d + (size_t) j];
		case CLU_COV_DIAG:
			return i == j ? m->covariance[(size_t) c * d + (size_t) i] : 0;
		case CLU_COV_SPHERICAL:
			return i == j ? m->covariance[c] : 0;
		default:
			return i == j ? m->covariance[0] : 0;
	}
}

/* ---- the plain way ---- */

/* log N(x | mean, covariance) of a component by Gauss elimination, in long double. */
static inline long double
plain_log_normal(const clu_model *m, int c, const double *x)
{
	int			d = m->d;
	long double a[20][21], log_det = 0, squared = 0;

	for (int i = 0; i < d; i++)
	{
		for (int j = 0; j < d; j++)
			a[i][j] = covariance_at(m, c, i, j);
		a[i][d] = (long double) x[i] - m->center[c * d + i];
	}
	for (int i = 0; i < d; i++)
	{
		log_det += logl(a[i][i]);
		squared += a[i][d] * a[i][d] / a[i][i];
		for (int r = i + 1; r < d; r++)
		{
			long double factor = a[r][i] / a[i][i];

			for (int j = i; j <= d; j++)
				a[r][j] -= factor * a[i][j];
		}
	}
	return -(squared + log_det + d * logl(2 * acosl(-1.0L))) / 2;
}

/* log p(x), and the responsibilities. */
static inline long double
plain_responsibilities(const clu_model *m, const double *x, long double *r)
{
	long double largest = -INFINITY, sum = 0;

	for (int c = 0; c < m->k; c++)
	{
		r[c] = logl(m->weight[c]) + plain_log_normal(m, c, x);
		largest = fmaxl(largest, r[c]);
	}
	for (int c = 0; c < m->k; c++)
		sum += r[c] = expl(r[c] - largest);
	for (int c = 0; c < m->k; c++)
		r[c] /= sum;
	return largest + logl(sum);
}

static inline long double
plain_log_likelihood(const clu_model *m, const clu_rows *rows)
{
	long double sum = 0, r[20];

	for (size_t i = 0; i < rows->n; i++)
		sum += get_weight(rows, i) *
			   plain_responsibilities(m, (const double *) rows->x + i * (size_t) rows->d, r);
	return sum;
}

/* One iteration of EM, in place; ridge is added to the diagonals. */
static inline void
plain_iteration(clu_model *m, const clu_rows *rows, double ridge, bool uniform)
{
	int			 d = m->d, k = m->k;
	long double *r = calloc(rows->n * (size_t) k, sizeof(*r)), total = 0, count[20], spherical;
	long double *tied = calloc((size_t) d * (size_t) d, sizeof(*tied));

	for (size_t i = 0; i < rows->n; i++)
		plain_responsibilities(m, (const double *) rows->x + i * (size_t) d, r + i * (size_t) k);
	for (int c = 0; c < k; c++)
	{
		count[c] = 0;
		for (size_t i = 0; i < rows->n; i++)
			count[c] += r[i * (size_t) k + (size_t) c] *= get_weight(rows, i);
		total += count[c];
	}
	for (int c = 0; c < k; c++)
	{
		long double mean[20] = {0};

		for (size_t i = 0; i < rows->n; i++)
			for (int j = 0; j < d; j++)
				mean[j] += r[i * (size_t) k + (size_t) c] * get_value(rows, i, j) / count[c];
		spherical = 0;
		for (int a = 0; a < d; a++)
			for (int b = 0; b < d; b++)
			{
				long double s = 0;

				for (size_t i = 0; i < rows->n; i++)
					s += r[i * (size_t) k + (size_t) c] * (get_value(rows, i, a) - mean[a]) *
						 (get_value(rows, i, b) - mean[b]) / count[c];
				tied[a * d + b] += s * count[c] / total;
				spherical += a == b ? s / d : 0;
				s += a == b ? ridge : 0;
				if (m->structure == CLU_COV_FULL)
					m->covariance[(c * d + a) * d + b] = (double) s;
				if (m->structure == CLU_COV_DIAG && a == b)
					m->covariance[c * d + a] = (double) s;
			}
		if (m->structure == CLU_COV_SPHERICAL)
			m->covariance[c] = (double) spherical + ridge;
		for (int j = 0; j < d; j++)
			m->center[c * d + j] = (double) mean[j];
		if (!uniform)
			m->weight[c] = (double) (count[c] / total);
	}
	if (m->structure == CLU_COV_TIED)
		for (int i = 0; i < d * d; i++)
			m->covariance[i] = (double) (i % (d + 1) == 0 ? tied[i] + ridge : tied[i]);
	free(tied);
	free(r);
}

/* ---- data ---- */

/* Rows around k random centres, with a covariance of some random shape. */
static inline clu_rows
random_mixture(size_t n, int d, int k, double separation)
{
	clu_rows rows = make_rows(n, d, 8);
	double	*center = test_memory((size_t) (k * d) * sizeof(double));

	for (int i = 0; i < k * d; i++)
		center[i] = separation * random_normal();
	for (size_t i = 0; i < n; i++)
	{
		int	   c = (int) random_below((uint64_t) k);
		double common = random_normal();

		for (int j = 0; j < d; j++)
			set_value(&rows, i, j,
					  center[c * d + j] + common * (0.3 * c - 0.2 * j) +
						  random_normal() * (0.5 + 0.3 * (j % 3)));
	}
	free(center);
	return rows;
}

/* Covariances that any data can start from: diagonals of one value. */
static inline clu_model
start_at(int structure, const double *center, int k, int d, double variance)
{
	clu_model m = make_model(structure, k, d);
	size_t	  count = clu_covariance_count(CLU_GMM, structure, k, d);
	bool	  matrices = structure == CLU_COV_FULL || structure == CLU_COV_TIED;

	memcpy(m.center, center, (size_t) (k * d) * sizeof(double));
	for (size_t i = 0; i < count; i++)
		m.covariance[i] = !matrices || i % (size_t) (d * d) % (size_t) (d + 1) == 0 ? variance : 0;
	return m;
}

#endif
