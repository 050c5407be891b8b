/*
 * step_kmeans.c
 *		A step of K-means: exact sums per cluster, of rows that nobody has seen all of.
 *
 * Besides what step_hard.h keeps, the statistics are per cluster the sum of weight * x, as sums
 * that do not depend on order or grouping (wide.h).  Labels are exact, so the whole is: the same
 * rows give the same statistics, but for their place in the bytes, and the same model to the last
 * bit.
 */
#include <math.h>
#include <string.h>

#include "algorithms.h"
#include "step_hard.h"

/* Where the parts of the statistics lie. */
typedef struct kmeans_sums
{
	int32_t		 *position; /* d: of the columns of digit */
	int64_t		 *digit;	/* k * CLU_WIDE_DIGITS * d */
	clu_hard_sums hard;
	size_t		  size; /* of all */
} kmeans_sums;

typedef struct kmeans_tables
{
	clu_step_hard hard;
	double		 *largest; /* d */
	double		 *scale;   /* d */
} kmeans_tables;

static kmeans_sums
sums_of(const clu_step *step, const void *statistics)
{
	size_t		k = (size_t) step->model->k, d = (size_t) step->model->d;
	char	   *base = (char *) statistics;
	kmeans_sums sums = {.size = 0};

	sums.position = clu_step_take(base, &sums.size, d, sizeof(int32_t));
	sums.digit =
		clu_step_take(base, &sums.size, clu_size_product(k, d), CLU_WIDE_DIGITS * sizeof(int64_t));
	sums.hard = clu_hard_sums_take(step, base, &sums.size);
	return sums;
}

static size_t
size(const clu_step *step)
{
	return sums_of(step, NULL).size;
}

static void
clear(const clu_step *step, void *statistics)
{
	kmeans_sums sums = sums_of(step, statistics);

	memset(statistics, 0, sums.size);
	for (int j = 0; j < step->model->d; j++)
		sums.position[j] = CLU_WIDE_LEAST;
	clu_hard_sums_clear(step, &sums.hard);
}

/* ---- tables ---- */

static void
layout(clu_step *step, clu_arena *arena)
{
	kmeans_tables *tables;
	kmeans_tables  measured;

	CLU_TAKE(arena, tables, 1);
	step->tables = tables;
	if (tables == NULL)
		tables = &measured;
	clu_step_hard_layout(&tables->hard, arena, step, CLU_SQUARED);
	CLU_TAKE(arena, tables->largest, (size_t) step->model->d);
	CLU_TAKE(arena, tables->scale, (size_t) step->model->d);
}

static clu_status
prepare(clu_step *step)
{
	kmeans_tables *tables = step->tables;

	clu_step_hard_prepare(&tables->hard, step);
	return CLU_OK;
}

/* ---- sums ---- */

/* Move a column's places up, in all clusters. */
static void
raise_column(const clu_step *step, const kmeans_sums *sums, int j, int position)
{
	size_t d = (size_t) step->model->d;

	if (position <= sums->position[j])
		return;
	for (size_t c = 0; c < (size_t) step->model->k; c++)
		clu_wide_shift(sums->digit + c * CLU_WIDE_DIGITS * d + (size_t) j, d, sums->position[j],
					   position);
	sums->position[j] = position;
}

/* Make room for the terms of a block; false where they are too large for sums. */
static bool
make_room(clu_step *step, const kmeans_sums *sums, const double *x, const clu_block *block)
{
	kmeans_tables *tables = step->tables;
	size_t		   d = (size_t) block->d;

	memset(tables->largest, 0, d * sizeof(double));
	for (size_t i = 0; i < block->n; i++)
	{
		double w = clu_weight(block->w, i);

		for (size_t j = 0; j < d; j++)
		{
			double term = fabs(x[i * d + j]) * w;

			tables->largest[j] = term > tables->largest[j] ? term : tables->largest[j];
		}
	}
	for (int j = 0; j < block->d; j++)
	{
		if (!(tables->largest[j] < CLU_MOST_TERM))
			return false;
		raise_column(step, sums, j, clu_wide_position(tables->largest[j]));
		tables->scale[j] = clu_wide_scale(sums->position[j]);
	}
	return true;
}

static clu_status
accumulate(clu_step *step, void *statistics, const clu_block *block)
{
	kmeans_tables  *tables = step->tables;
	kmeans_sums		sums = sums_of(step, statistics);
	const double   *x = clu_step_hard_assign(&tables->hard, step, block);
	const uint32_t *label = tables->hard.assigner.label;
	size_t			d = (size_t) block->d;

	if (!make_room(step, &sums, x, block))
		return clu_fail(step->error, CLU_UNDERFLOW,
						"A point is too large beside the centres of the model.", 0, 0);
	for (size_t i = 0; i < block->n; i++)
	{
		double	   w = clu_weight(block->w, i);
		clu_status status = clu_step_hard_add(&tables->hard, step, &sums.hard, i, w, x + i * d);

		if (status != CLU_OK)
			return status;
		clu_kernel->add_digits(sums.digit + label[i] * CLU_WIDE_DIGITS * d, x + i * d, w,
							   tables->scale, block->d);
	}
	return CLU_OK;
}

static void
merge(const clu_step *step, void *statistics, const void *others)
{
	kmeans_sums to = sums_of(step, statistics), from = sums_of(step, others);
	size_t		d = (size_t) step->model->d;

	for (int j = 0; j < step->model->d; j++)
		raise_column(step, &to, j, from.position[j]);
	for (size_t c = 0; c < (size_t) step->model->k; c++)
	{
		for (size_t j = 0; j < d; j++)
		{
			size_t at = c * CLU_WIDE_DIGITS * d + j;
			int	   places = to.position[j] - from.position[j];

			for (int i = places; i < CLU_WIDE_DIGITS; i++)
				to.digit[at + (size_t) i * d] =
					(int64_t) ((uint64_t) to.digit[at + (size_t) i * d] +
							   (uint64_t) from.digit[at + (size_t) (i - places) * d]);
		}
		clu_check(step->interrupt);
	}
	clu_hard_sums_merge(step, &to.hard, &from.hard);
}

/* ---- what a state may be ---- */

static bool
valid(const clu_step *step, const void *statistics)
{
	kmeans_sums sums = sums_of(step, statistics);

	for (int j = 0; j < step->model->d; j++)
		if (sums.position[j] < CLU_WIDE_LEAST || sums.position[j] > CLU_WIDE_MOST)
			return false;
	return clu_hard_sums_valid(step, &sums.hard);
}

/* ---- refit ---- */

/* The mean of cluster c without the rows taken from it, or the row that it took. */
static void
refit_center(clu_step *step, const kmeans_sums *sums, int c, double *center)
{
	const clu_step_hard *hard = &((kmeans_tables *) step->tables)->hard;
	const clu_far_list	*far = &sums->hard.far;
	size_t				 d = (size_t) step->model->d;
	clu_dd				 weight = clu_step_hard_left(hard, &sums->hard, c);

	for (int64_t i = 0; i < *far->listed; i++)
		if (hard->taken[i] == c)
		{
			for (size_t j = 0; j < d; j++)
				center[j] = clu_far_at(far, i)->x[j] * hard->unit;
			return;
		}
	if (!(clu_dd_value(weight) > 0))
		return;
	for (size_t j = 0; j < d; j++)
	{
		clu_dd sum = clu_wide_digits(sums->position[j],
									 sums->digit + (size_t) c * CLU_WIDE_DIGITS * d + j, d);

		for (int64_t i = 0; i < *far->listed; i++)
		{
			const clu_far_row *row = clu_far_at(far, i);

			if (hard->taken[i] >= 0 && row->label == c)
				sum = clu_dd_add(
					sum, clu_dd_negate(clu_dd_product(clu_step_weight_of(row->ones, &row->weight),
													  (clu_dd) {row->x[j], 0})));
		}
		center[j] = clu_dd_value(clu_dd_quotient(sum, weight)) * hard->unit;
	}
}

/* Count a centre that moved, and what that takes off the objective. */
static void
count_move(clu_step *step, const double *before, const double *after, double weight)
{
	for (int j = 0; j < step->model->d; j++)
		if (before[j] != after[j])
		{
			step->moved++;
			step->gain += weight * clu_distance(CLU_SQUARED, before, after, step->model->d);
			return;
		}
}

static clu_status
refit(clu_step *step, const void *statistics, clu_model *result, bool measuring)
{
	clu_step_hard *hard = &((kmeans_tables *) step->tables)->hard;
	kmeans_sums	   sums = sums_of(step, statistics);
	size_t		   d = (size_t) step->model->d;
	double		   tol = clu_option_number(&step->model->options, CLU_TOL);

	clu_step_hard_figures(hard, step, &sums.hard, result);
	step->objective = result->objective;
	if (measuring)
		return CLU_OK;
	clu_step_hard_fill(hard, step, &sums.hard);
	for (int c = 0; c < result->k; c++)
	{
		double *center = result->center + (size_t) c * d;

		refit_center(step, &sums, c, center);
		count_move(step, step->model->center + (size_t) c * d, center, result->size[c]);
	}
	if (step->moved == 0 || (tol > 0 && step->gain < tol * result->objective))
		result->flags |= CLU_MODEL_CONVERGED;
	return CLU_OK;
}

const clu_step_verbs clu_kmeans_step_verbs = {
	.size = size,
	.layout = layout,
	.prepare = prepare,
	.clear = clear,
	.valid = valid,
	.accumulate = accumulate,
	.merge = merge,
	.refit = refit,
};
