/*
 * linalg.c
 *		Small dense matrices; see linalg.h.
 */
#include "linalg.h"

#include <math.h>
#include <string.h>

#include "elementary.h"

#define FACTOR_ROWS 4
#define MOST_SWEEPS 30

void
clu_symmetrize(double *matrix, int d)
{
	size_t n = (size_t) d;

	for (size_t i = 0; i < n; i++)
		for (size_t j = i + 1; j < n; j++)
			matrix[j * n + i] = matrix[i * n + j];
}

/*
 * U^T F = 1 gives the rows of F one after the other: row i is the i-th unit vector less u_ji times
 * row j for all j < i, divided by u_ii.
 */
void
clu_invert_factor(double *matrix, int d, const clu_interrupt *interrupt)
{
	size_t n = (size_t) d;

	for (size_t i = 0; i < n; i++)
	{
		double *row = matrix + i * n;
		double	pivot = 1 / row[i];

		clu_check(interrupt);
		for (size_t m = 0; m < i; m++)
			row[m] = 0;
		for (size_t j = 0; j < i; j++)
		{
			double		  factor = matrix[j * n + i];
			const double *above = matrix + j * n;

			for (size_t m = 0; m <= j; m++)
				row[m] -= factor * above[m];
		}
		for (size_t m = 0; m < i; m++)
			row[m] *= pivot;
		row[i] = pivot;
	}
}

bool
clu_whitening_factor(const double *matrix, int d, double *factor, double *log_sum,
					 const clu_interrupt *interrupt)
{
	size_t n = (size_t) d;

	memcpy(factor, matrix, n * n * sizeof(double));
	if (!clu_cholesky(factor, d, interrupt))
		return false;
	clu_invert_factor(factor, d, interrupt);
	*log_sum = 0;
	for (size_t i = 0; i < n; i++)
		*log_sum += clu_log(factor[i * n + i]);
	return true;
}

void
clu_factor_pack(const double *matrix, int d, double *packed)
{
	size_t n = (size_t) d;

	for (size_t first = 0; first < n; first += FACTOR_ROWS)
	{
		size_t end = CLU_MIN(first + FACTOR_ROWS, n);

		for (size_t j = 0; j < end; j++)
			for (size_t i = CLU_MAX(first, j); i < end; i++)
				*packed++ = matrix[i * n + j];
	}
}

void
clu_factor_columns(const double *matrix, int d, double *columns)
{
	size_t n = (size_t) d;

	for (size_t j = 0; j < n; j++)
		for (size_t i = j; i < n; i++)
			*columns++ = matrix[i * n + j];
}

void
clu_factor_apply(const double *restrict columns, int d, const double *restrict x,
				 double *restrict z)
{
	for (int i = 0; i < d; i++)
		z[i] = 0;
	for (int j = 0; j < d; columns += d - j, j++)
	{
		double value = x[j];

		for (int i = j; i < d; i++)
			z[i] += columns[i - j] * value;
	}
}

/* ---- eigenvalues ---- */

/*
 * The rotation that makes element (p, q) zero; Golub and Van Loan, Matrix Computations, 8.5.
 * Rows and columns p and q of the matrix are rotated, and rows p and q of the vectors.
 */
static void
rotate(double *matrix, double *vectors, size_t n, size_t p, size_t q)
{
	double apq = matrix[p * n + q];
	double theta = (matrix[q * n + q] - matrix[p * n + p]) / (2 * apq);
	double t = 1 / (fabs(theta) + sqrt(theta * theta + 1));
	double c, s;

	if (theta < 0)
		t = -t;
	c = 1 / sqrt(t * t + 1);
	s = t * c;
	for (size_t i = 0; i < n; i++)
	{
		double ip = matrix[i * n + p], iq = matrix[i * n + q];

		matrix[i * n + p] = c * ip - s * iq;
		matrix[i * n + q] = s * ip + c * iq;
	}
	for (size_t i = 0; i < n; i++)
	{
		double pi = matrix[p * n + i], qi = matrix[q * n + i];
		double vp = vectors[p * n + i], vq = vectors[q * n + i];

		matrix[p * n + i] = c * pi - s * qi;
		matrix[q * n + i] = s * pi + c * qi;
		vectors[p * n + i] = c * vp - s * vq;
		vectors[q * n + i] = s * vp + c * vq;
	}
	matrix[p * n + q] = matrix[q * n + p] = 0;
}

/* Rotate away every element above the limit, once; false where there was none. */
static bool
sweep(double *matrix, double *vectors, size_t n, double limit, const clu_interrupt *interrupt)
{
	bool rotated = false;

	for (size_t p = 0; p < n; p++)
	{
		clu_check(interrupt);
		for (size_t q = p + 1; q < n; q++)
			if (fabs(matrix[p * n + q]) > limit)
			{
				rotate(matrix, vectors, n, p, q);
				rotated = true;
			}
	}
	return rotated;
}

void
clu_eigen(double *matrix, int d, double *vectors, const clu_interrupt *interrupt)
{
	size_t n = (size_t) d;
	double largest = 0;

	memset(vectors, 0, n * n * sizeof(double));
	for (size_t i = 0; i < n; i++)
	{
		vectors[i * n + i] = 1;
		largest = fmax(largest, fabs(matrix[i * n + i]));
	}
	for (int i = 0; i < MOST_SWEEPS; i++)
		if (!sweep(matrix, vectors, n, DBL_EPSILON / 16 * largest, interrupt))
			return;
}
