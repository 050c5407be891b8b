/*
 * test_linalg.c
 *		Factors, inverses and eigenvalues of small matrices.
 */
#include "tap.h"

#include "kernel.h"
#include "linalg.h"

#define MOST 40

/* A random covariance matrix, row after row. */
static void
fill(double *matrix, int d)
{
	static double a[MOST][MOST];

	for (int i = 0; i < d; i++)
		for (int j = 0; j < d; j++)
			a[i][j] = random_normal();
	for (int i = 0; i < d; i++)
		for (int j = 0; j < d; j++)
		{
			matrix[i * d + j] = i == j ? 0.1 : 0;
			for (int m = 0; m < d; m++)
				matrix[i * d + j] += i <= j ? a[i][m] * a[j][m] : a[j][m] * a[i][m];
		}
}

/* F S F^T is the identity. */
static void
test_factor(void)
{
	static double s[MOST * MOST], f[MOST * MOST];
	double		  worst = 0, log_sum, det;

	for (int d = 1; d <= MOST; d++)
	{
		fill(s, d);
		(void) clu_whitening_factor(s, d, f, &log_sum, NULL);
		for (int i = 0; i < d; i++)
			for (int j = 0; j < d; j++)
			{
				long double sum = 0;

				for (int a = 0; a <= i; a++)
					for (int b = 0; b <= j; b++)
						sum += (long double) f[i * d + a] * s[a * d + b] * f[j * d + b];
				worst = fmax(worst, fabs((double) sum - (i == j)));
			}
	}
	ok(worst < 1e-9, "the inverse factor makes a covariance the identity (off by %.1e)", worst);
	s[0] = 4;
	s[1] = s[2] = 2;
	s[3] = 3;
	det = 8;
	ok(clu_whitening_factor(s, 2, f, &log_sum, NULL) && near(log_sum, -log(det) / 2, 1e-15),
	   "and tells the determinant");
	s[3] = 0.5;
	ok(!clu_whitening_factor(s, 2, f, &log_sum, NULL), "an indefinite matrix has none");
}

/* Both packings are the same matrix. */
static void
test_packing(void)
{
	static double s[MOST * MOST], f[MOST * MOST], packed[MOST * MOST], columns[MOST * MOST];
	static double panel[MOST * CLU_LANES], difference[MOST * CLU_LANES], white[MOST * CLU_LANES];
	double		  mean[MOST], x[MOST], z[MOST], largest[CLU_LANES], out[CLU_LANES], log_sum;
	double		  worst = 0;

	for (int d = 1; d <= MOST; d++)
	{
		fill(s, d);
		(void) clu_whitening_factor(s, d, f, &log_sum, NULL);
		clu_factor_pack(f, d, packed);
		clu_factor_columns(f, d, columns);
		for (int j = 0; j < d; j++)
		{
			mean[j] = random_normal();
			for (int lane = 0; lane < CLU_LANES; lane++)
				panel[j * CLU_LANES + lane] = random_normal();
		}
		for (int lane = 0; lane < CLU_LANES; lane++)
			largest[lane] = -INFINITY;
		clu_kernel->gmm_full(panel, d, mean, packed, 1, difference, largest, out);
		clu_kernel->gmm_white(panel, d, packed, white);
		for (int lane = 0; lane < CLU_LANES; lane++)
		{
			double squared = 0;

			for (int j = 0; j < d; j++)
				x[j] = panel[j * CLU_LANES + lane] - mean[j];
			clu_factor_apply(columns, d, x, z);
			for (int j = 0; j < d; j++)
				squared += z[j] * z[j];
			worst = fmax(worst, fabs(out[lane] - (1 - squared / 2)) / (1 + squared));
			for (int j = 0; j < d; j++)
				x[j] = panel[j * CLU_LANES + lane];
			clu_factor_apply(columns, d, x, z);
			for (int j = 0; j < d; j++)
				worst = fmax(worst, fabs(white[j * CLU_LANES + lane] - z[j]) / (1 + fabs(z[j])));
		}
	}
	ok(worst < 1e-12, "the panels' and the single point's distances agree (off by %.1e)", worst);
}

/* The vectors are orthonormal, and the values put the matrix together again. */
static void
test_eigen(void)
{
	static double s[MOST * MOST], work[MOST * MOST], v[MOST * MOST];
	double		  apart = 0, skew = 0;

	for (int d = 1; d <= MOST; d++)
	{
		fill(s, d);
		memcpy(work, s, sizeof(s));
		clu_eigen(work, d, v, NULL);
		for (int i = 0; i < d; i++)
			for (int j = 0; j < d; j++)
			{
				double sum = 0, product = 0;

				for (int e = 0; e < d; e++)
				{
					sum += work[e * d + e] * v[e * d + i] * v[e * d + j];
					product += v[i * d + e] * v[j * d + e];
				}
				apart = fmax(apart, fabs(sum - s[i * d + j]) / (1 + d));
				skew = fmax(skew, fabs(product - (i == j)));
			}
	}
	ok(apart < 1e-13, "eigenvalues and vectors make the matrix again (off by %.1e)", apart);
	ok(skew < 1e-13, "the vectors are orthonormal (off by %.1e)", skew);
}

int
main(void)
{
	clu_kernel_choose();
	random_seed(8);
	test_factor();
	test_packing();
	test_eigen();
	return finish_tests();
}
