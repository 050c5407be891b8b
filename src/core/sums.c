/*
 * sums.c
 *		Exact sums per cluster.
 */
#include "sums.h"

#include <string.h>

#include "exact.h"
#include "kernel.h"

void
clu_sums_layout(clu_sums *sums, clu_arena *arena, int k, int d)
{
	size_t count = clu_size_product((size_t) k, (size_t) d);

	sums->k = k;
	sums->d = d;
	CLU_TAKE(arena, sums->scale, (size_t) d);
	CLU_TAKE(arena, sums->hi, count);
	CLU_TAKE(arena, sums->lo, count);
	CLU_TAKE(arena, sums->weight_hi, (size_t) k);
	CLU_TAKE(arena, sums->weight_lo, (size_t) k);
	CLU_TAKE(arena, sums->changed, (size_t) k);
}

void
clu_sums_measure(clu_sums *sums, const clu_points *points)
{
	double least = 0x1p46 / CLU_EXACT_LOW; /* the smallest term has at least 46 bits */

	sums->weight_scale = clu_exact_scale(points->largest_weight, points->total_weight);
	sums->wide = points->least_weight * sums->weight_scale < least;
	for (int j = 0; j < sums->d; j++)
	{
		double term = points->least[j] * points->least_weight;

		sums->scale[j] = clu_exact_scale(points->largest[j] * points->largest_weight,
										 points->largest[j] * points->total_weight);
		sums->wide = sums->wide || (points->largest[j] > 0 && term * sums->scale[j] < least);
	}
}

void
clu_sums_clear(clu_sums *sums)
{
	size_t count = (size_t) sums->k * (size_t) sums->d;

	memset(sums->hi, 0, count * sizeof(int64_t));
	memset(sums->lo, 0, count * sizeof(int64_t));
	memset(sums->weight_hi, 0, (size_t) sums->k * sizeof(int64_t));
	memset(sums->weight_lo, 0, (size_t) sums->k * sizeof(int64_t));
	clu_sums_settle(sums);
	sums->pending = 0;
}

void
clu_sums_settle(clu_sums *sums)
{
	memset(sums->changed, 0, (size_t) sums->k * sizeof(bool));
}

/* The two parts of a double-double lie where those of the fixed point number would. */
static void
add_wide(int64_t *hi, int64_t *lo, clu_dd term)
{
	double *high = (double *) hi, *low = (double *) lo;
	clu_dd	sum = clu_dd_add((clu_dd) {*high, *low}, term);

	*high = sum.hi;
	*low = sum.lo;
}

static clu_dd
wide_value(const int64_t *hi, const int64_t *lo)
{
	return (clu_dd) {*(const double *) hi, *(const double *) lo};
}

void
clu_sums_recompute(clu_sums *sums, const clu_points *points, const uint32_t *label, double *buffer,
				   const clu_interrupt *interrupt)
{
	clu_sums_clear(sums);
	memset(sums->changed, true, (size_t) sums->k * sizeof(bool));
	for (size_t i = 0; i < points->n; i++)
	{
		const double *x = clu_point(points, i, buffer);
		double		  w = clu_weight(points->w, i);
		size_t		  at = (size_t) label[i] * (size_t) sums->d;

		for (int j = 0; j < sums->d; j++)
			add_wide(&sums->hi[at + (size_t) j], &sums->lo[at + (size_t) j],
					 clu_dd_two_product(w, x[j]));
		add_wide(&sums->weight_hi[label[i]], &sums->weight_lo[label[i]], (clu_dd) {w, 0});
		clu_check_row(interrupt, i, sums->d);
	}
}

void
clu_sums_carry(clu_sums *sums)
{
	if (sums->wide)
		return;
	clu_exact_carry(sums->hi, sums->lo, (size_t) sums->k * (size_t) sums->d);
	clu_exact_carry(sums->weight_hi, sums->weight_lo, (size_t) sums->k);
	sums->pending = 0;
}

static void
add_all(int64_t *to, const int64_t *from, size_t n)
{
	for (size_t i = 0; i < n; i++)
		to[i] += from[i];
}

void
clu_sums_merge(clu_sums *sums, const clu_sums *other)
{
	size_t count = (size_t) sums->k * (size_t) sums->d;

	clu_sums_carry(sums);
	for (int c = 0; c < sums->k; c++)
		sums->changed[c] = sums->changed[c] || other->changed[c];
	add_all(sums->hi, other->hi, count);
	add_all(sums->lo, other->lo, count);
	add_all(sums->weight_hi, other->weight_hi, (size_t) sums->k);
	add_all(sums->weight_lo, other->weight_lo, (size_t) sums->k);
	clu_sums_carry(sums);
}

clu_dd
clu_sums_weight(const clu_sums *sums, int c)
{
	if (sums->wide)
		return wide_value(&sums->weight_hi[c], &sums->weight_lo[c]);
	return clu_exact_value(sums->weight_hi[c], sums->weight_lo[c], sums->weight_scale);
}

clu_dd
clu_sums_value(const clu_sums *sums, int c, int j)
{
	size_t at = (size_t) c * (size_t) sums->d + (size_t) j;

	if (sums->wide)
		return wide_value(&sums->hi[at], &sums->lo[at]);
	return clu_exact_value(sums->hi[at], sums->lo[at], sums->scale[j]);
}
