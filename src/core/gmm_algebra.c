/*
 * gmm_algebra.c
 *		Sums, marginals, conditionals and divergences of Gaussian mixtures.
 *
 * All of these are again Gaussian mixtures, component by component:
 *
 * - the sum of independent N(m, S) and N(n, T) is N(m + n, S + T);
 * - the marginal keeps the rows and columns of the dimensions asked for;
 * - with the dimensions split into g (given) and r (the rest), and the covariance factored with g
 *   first,
 *			( S_gg  S_gr )                  ( A  B )
 *			( S_rg  S_rr )  =  U^T U,   U = ( 0  C ),
 *   the condition x_g = v leaves N(m_r + B^T y, S_rr - B^T B) with y = A^-T (v - m_g).  The Schur
 *   complement S_rr - B^T B is what the factorisation comes by on its way to C, and it is formed
 *   term by term as there, so factoring it again must succeed.  The weight of the component is
 *   multiplied with its density at v, exp(-|y|^2/2) / prod sqrt(2 pi) a_ii;
 *
 * The divergence.  With S_p = L L^T and F the inverse factor of S_q, M = F L is lower triangular
 * and
 *		KL = 1/2 (sum_i>j M_ij^2 + sum_i (M_ii^2 - 1 - 2 ln M_ii) + |F (m_q - m_p)|^2),
 * a sum without a negative term.
 */
#include "algebra.h"

#include <math.h>
#include <string.h>

#include "elementary.h"
#include "linalg.h"

/* ---- sums ---- */

/* Fixed and spherical are also diagonal; a fixed one beside a tied one leaves that tied. */
int
clu_gmm_add_structure(const clu_model *a, const clu_model *b)
{
	bool full = a->structure == CLU_COV_FULL || b->structure == CLU_COV_FULL;
	bool tied = a->structure == CLU_COV_TIED || b->structure == CLU_COV_TIED;
	bool diag = a->structure == CLU_COV_DIAG || b->structure == CLU_COV_DIAG;
	bool spherical = a->structure == CLU_COV_SPHERICAL || b->structure == CLU_COV_SPHERICAL;

	if (full || (tied && (diag || spherical)))
		return CLU_COV_FULL;
	if (tied)
		return CLU_COV_TIED;
	if (diag)
		return CLU_COV_DIAG;
	return spherical ? CLU_COV_SPHERICAL : CLU_COV_FIXED;
}

/* Element of a component's covariance. */
static double
element(const clu_model *model, int c, int i, int j)
{
	size_t d = (size_t) model->d;

	switch (model->structure)
	{
		case CLU_COV_FULL:
			return model->covariance[((size_t) c * d + (size_t) i) * d + (size_t) j];
		case CLU_COV_TIED:
			return model->covariance[(size_t) i * d + (size_t) j];
		case CLU_COV_DIAG:
			return i == j ? model->covariance[(size_t) c * d + (size_t) i] : 0;
		case CLU_COV_SPHERICAL:
			return i == j ? model->covariance[c] : 0;
		default:
			return i == j ? model->covariance[0] : 0;
	}
}

static void
set_element(clu_model *model, int c, int i, int j, double value)
{
	size_t d = (size_t) model->d;

	switch (model->structure)
	{
		case CLU_COV_FULL:
			model->covariance[((size_t) c * d + (size_t) i) * d + (size_t) j] = value;
			break;
		case CLU_COV_TIED:
			model->covariance[(size_t) i * d + (size_t) j] = value;
			break;
		case CLU_COV_DIAG:
			if (i == j)
				model->covariance[(size_t) c * d + (size_t) i] = value;
			break;
		case CLU_COV_SPHERICAL:
			if (i == 0 && j == 0)
				model->covariance[c] = value;
			break;
		default:
			if (c == 0 && i == 0 && j == 0)
				model->covariance[0] = value;
			break;
	}
}

/* Products of weights that sum to one within a tolerance may be farther off. */
static void
normalise(clu_model *model)
{
	double sum = 0;

	for (int c = 0; c < model->k; c++)
		sum += model->weight[c];
	for (int c = 0; c < model->k; c++)
		model->weight[c] /= sum;
}

void
clu_gmm_add(const clu_model *a, const clu_model *b, clu_model *sum, const clu_interrupt *interrupt)
{
	int d = sum->d;

	for (int i = 0; i < a->k; i++)
		for (int j = 0; j < b->k; j++)
		{
			int		c = i * b->k + j;
			double *center = sum->center + (size_t) c * (size_t) d;

			sum->weight[c] = a->weight[i] * b->weight[j];
			for (int m = 0; m < d; m++)
				center[m] = a->center[(size_t) i * (size_t) d + (size_t) m] +
							b->center[(size_t) j * (size_t) d + (size_t) m];
			for (int m = 0; m < d; m++)
				for (int n = 0; n < d; n++)
					set_element(sum, c, m, n, element(a, i, m, n) + element(b, j, m, n));
			clu_check(interrupt);
		}
	normalise(sum);
}

/* ---- marginals ---- */

void
clu_gmm_marginal(const clu_model *model, const int *dims, clu_model *result)
{
	for (int c = 0; c < model->k; c++)
	{
		result->weight[c] = model->weight[c];
		for (int i = 0; i < result->d; i++)
		{
			result->center[(size_t) c * (size_t) result->d + (size_t) i] =
				model->center[(size_t) c * (size_t) model->d + (size_t) dims[i]];
			for (int j = 0; j < result->d; j++)
				set_element(result, c, i, j, element(model, c, dims[i], dims[j]));
		}
	}
}

/* ---- conditionals ---- */

size_t
clu_gmm_condition_scratch(const clu_model *model)
{
	size_t d = (size_t) model->d;

	return clu_size_product(d, d + 2);
}

/* All dimensions, the given ones first. */
static void
order_dimensions(const int *dims, int count, int d, int *order)
{
	int at = count;

	memcpy(order, dims, (size_t) count * sizeof(int));
	for (int j = 0; j < d; j++)
	{
		bool given = false;

		for (int i = 0; i < count; i++)
			given = given || dims[i] == j;
		if (!given)
			order[at++] = j;
	}
}

/* One component; returns the log of its density at the given values. */
static double
condition_component(const clu_model *model, int c, const int *order, int count, const double *given,
					clu_model *result, double *matrix, double *y, const clu_interrupt *interrupt)
{
	size_t		  d = (size_t) model->d, g = (size_t) count;
	const double *mean = model->center + (size_t) c * d;
	double		 *center = result->center + (size_t) c * (d - g);
	double		  log_density = 0;

	for (size_t i = 0; i < d; i++)
		for (size_t j = i; j < d; j++)
			matrix[i * d + j] = element(model, c, order[i], order[j]);
	(void) clu_cholesky(matrix, model->d, interrupt); /* rows in another order: as positive */
	for (size_t i = 0; i < g; i++)
	{
		y[i] = given[i] - mean[order[i]];
		for (size_t j = 0; j < i; j++)
			y[i] -= matrix[j * d + i] * y[j];
		y[i] /= matrix[i * d + i];
		log_density -= y[i] * y[i] / 2 + clu_log(matrix[i * d + i]) + CLU_LOG_TWO_PI / 2;
	}
	for (size_t i = g; i < d; i++)
	{
		center[i - g] = mean[order[i]];
		for (size_t j = 0; j < g; j++)
			center[i - g] += matrix[j * d + i] * y[j];
		for (size_t m = g; m <= i; m++)
		{
			double value = element(model, c, order[m], order[i]);

			for (size_t j = 0; j < g; j++)
				value -= matrix[j * d + m] * matrix[j * d + i];
			set_element(result, c, (int) (i - g), (int) (m - g), value);
			set_element(result, c, (int) (m - g), (int) (i - g), value);
		}
	}
	return log_density;
}

/* What is diagonal stays as it is, to the bit. */
static void
keep_diagonal(const clu_model *model, const int *rest, clu_model *result)
{
	if (model->structure == CLU_COV_FULL || model->structure == CLU_COV_TIED)
		return;
	for (int c = 0; c < model->k; c++)
		for (int j = 0; j < result->d; j++)
			set_element(result, c, j, j, element(model, c, rest[j], rest[j]));
}

bool
clu_gmm_condition(const clu_model *model, const int *dims, int count, const double *given,
				  clu_model *result, int *order, double *scratch, const clu_interrupt *interrupt)
{
	size_t	d = (size_t) model->d;
	double *y = scratch + d * d;
	double	log_sum;

	order_dimensions(dims, count, model->d, order);
	for (int c = 0; c < model->k; c++)
	{
		double log_density =
			condition_component(model, c, order, count, given, result, scratch, y, interrupt);

		result->weight[c] = clu_log(model->weight[c]) + log_density;
		clu_check(interrupt);
	}
	keep_diagonal(model, order + count, result);
	clu_softmax(result->weight, (size_t) model->k, &log_sum);
	return log_sum - log_sum == 0;
}

/* ---- divergence ---- */

size_t
clu_gaussian_kl_scratch(int d)
{
	return clu_size_product((size_t) d, 2 * (size_t) d);
}

/* |F (m_q - m_p)|^2, with F in the lower triangle */
static double
squared_distance(const double *factor, const double *mean_p, const double *mean_q, size_t d)
{
	double sum = 0;

	for (size_t i = 0; i < d; i++)
	{
		double z = 0;

		for (size_t j = 0; j <= i; j++)
			z += factor[i * d + j] * (mean_q[j] - mean_p[j]);
		sum += z * z;
	}
	return sum;
}

/* Equal matrices make M the identity but for rounding, which is not to show. */
static bool
same(const double *a, const double *b, size_t n)
{
	for (size_t i = 0; i < n; i++)
		if (a[i] != b[i])
			return false;
	return true;
}

int
clu_gaussian_kl(const double *mean_p, const double *cov_p, const double *mean_q,
				const double *cov_q, int dimensions, double *scratch, double *kl,
				const clu_interrupt *interrupt)
{
	size_t	d = (size_t) dimensions;
	double *p = scratch, *q = scratch + d * d, twice, log_sum;

	memcpy(p, cov_p, d * d * sizeof(double));
	if (!clu_cholesky(p, dimensions, interrupt))
		return 1;
	if (!clu_whitening_factor(cov_q, dimensions, q, &log_sum, interrupt))
		return 2;
	twice = squared_distance(q, mean_p, mean_q, d);
	for (size_t i = 0; i < d && !same(cov_p, cov_q, d * d); i++)
	{
		clu_check(interrupt);
		for (size_t j = 0; j <= i; j++)
		{
			double m = 0;

			/* L is the transpose of the upper triangle of p */
			for (size_t n = j; n <= i; n++)
				m += q[i * d + n] * p[j * d + n];
			twice += i == j ? fmax((m - 1) * (m + 1) - 2 * clu_log(m), 0) : m * m;
		}
	}
	*kl = twice / 2;
	return 0;
}
