/*
 * cholesky.c
 *		Cholesky's factorisation, A = U^T U.
 *
 * Row i of U is row i of A less u_ji times row j, for all j < i, divided by the root of its first
 * element.  The inner loop runs along rows, so it vectorises, and an element loses its terms one by
 * one in ascending j: the result does not depend on how many terms one sweep over the row takes.
 * It takes eight, since the row that is being made must be loaded and stored once per sweep.
 */
#include "cholesky.h"

#include <math.h>

#define SWEEP 8

/* row[m] -= u_ji * u_jm for eight rows j, for m from i on */
static void
subtract_eight(double *restrict row, const double *above, size_t stride, int i, int d)
{
	const double *u0 = above, *u1 = u0 + stride, *u2 = u1 + stride, *u3 = u2 + stride;
	const double *u4 = u3 + stride, *u5 = u4 + stride, *u6 = u5 + stride, *u7 = u6 + stride;
	double		  f0 = u0[i], f1 = u1[i], f2 = u2[i], f3 = u3[i];
	double		  f4 = u4[i], f5 = u5[i], f6 = u6[i], f7 = u7[i];

	for (int m = i; m < d; m++)
	{
		double value = row[m];

		value -= f0 * u0[m];
		value -= f1 * u1[m];
		value -= f2 * u2[m];
		value -= f3 * u3[m];
		value -= f4 * u4[m];
		value -= f5 * u5[m];
		value -= f6 * u6[m];
		value -= f7 * u7[m];
		row[m] = value;
	}
}

static void
subtract_one(double *restrict row, const double *above, int i, int d)
{
	double factor = above[i];

	for (int m = i; m < d; m++)
		row[m] -= factor * above[m];
}

bool
clu_cholesky(double *matrix, int d, const clu_interrupt *interrupt)
{
	size_t stride = (size_t) d;

	for (int i = 0; i < d; i++)
	{
		double *row = matrix + (size_t) i * stride;
		double	root;
		int		j = 0;

		clu_check(interrupt);
		for (; j + SWEEP <= i; j += SWEEP)
			subtract_eight(row, matrix + (size_t) j * stride, stride, i, d);
		for (; j < i; j++)
			subtract_one(row, matrix + (size_t) j * stride, i, d);

		if (!(row[i] >= CLU_LEAST_VARIANCE && isfinite(row[i])))
			return false;
		root = sqrt(row[i]);
		row[i] = root;
		for (int m = i + 1; m < d; m++)
			row[m] /= root;
	}
	return true;
}
