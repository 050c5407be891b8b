/*
 * step_kmeans.c
 *		A step of K-means: exact sums per cluster, of rows that nobody has seen all of.
 *
 * Besides what step_hard.h keeps, the statistics are per cluster the sum of weight * x, as sums
 * that do not depend on order or grouping (wide.h).  Labels are exact, so the whole is: the same
 * rows give the same statistics, but for their place in the bytes, and the same model to the last
 * bit.  No sum has a place in common with another: one of large terms, in the same column even,
 * would take the digits of those of small ones.
 */
#include <math.h>
#include <string.h>

#include "algorithms.h"
#include "step_hard.h"

/* Where the parts of the statistics lie. */
typedef struct kmeans_sums
{
	int32_t		 *position; /* k * d: of the sums */
	int64_t		 *digit;	/* k * CLU_WIDE_DIGITS * d */
	clu_hard_sums hard;
	size_t		  size; /* of all */
} kmeans_sums;

typedef struct kmeans_tables
{
	clu_step_hard hard;
	int32_t		 *position; /* d: of the sums of the row at hand */
	double		 *scale;	/* d: for these */
} kmeans_tables;

static kmeans_sums
sums_of(const clu_step *step, const void *statistics)
{
	size_t		k = (size_t) step->model->k, d = (size_t) step->model->d;
	char	   *base = (char *) statistics;
	kmeans_sums sums = {.size = 0};

	sums.position = clu_step_take(base, &sums.size, clu_size_product(k, d), sizeof(int32_t));
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
	for (size_t i = 0; i < (size_t) step->model->k * (size_t) step->model->d; i++)
		sums.position[i] = CLU_WIDE_LEAST;
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
	CLU_TAKE(arena, tables->position, (size_t) step->model->d);
	CLU_TAKE(arena, tables->scale, (size_t) step->model->d);
}

static clu_status
prepare(clu_step *step)
{
	kmeans_tables *tables = step->tables;

	clu_step_hard_prepare(&tables->hard, step);
	for (int j = 0; j < step->model->d; j++)
	{
		tables->position[j] = 0;
		tables->scale[j] = clu_wide_scale(0);
	}
	return CLU_OK;
}

/* ---- sums ---- */

/* Where the digits of a sum begin. */
static int64_t *
digits_of(const clu_step *step, const kmeans_sums *sums, size_t c, size_t j)
{
	size_t d = (size_t) step->model->d;

	return sums->digit + c * CLU_WIDE_DIGITS * d + j;
}

/* Move the places of a sum up. */
static void
raise_sum(const clu_step *step, const kmeans_sums *sums, size_t c, size_t j, int position)
{
	size_t	 d = (size_t) step->model->d;
	int32_t *before = &sums->position[c * d + j];

	if (position <= *before)
		return;
	clu_wide_shift(digits_of(step, sums, c, j), d, *before, position);
	*before = position;
}

/* The scales of a cluster's sums, which mostly are those of the cluster before. */
static void
load_scales(kmeans_tables *tables, const int32_t *position, size_t d)
{
	if (memcmp(tables->position, position, d * sizeof(int32_t)) == 0)
		return;
	memcpy(tables->position, position, d * sizeof(int32_t));
	for (size_t j = 0; j < d; j++)
		tables->scale[j] = clu_wide_scale(position[j]);
}

/* Make room for a row in the sums of a cluster; false where it's too large for them. */
static bool
make_room(const clu_step *step, const kmeans_sums *sums, size_t c, const double *x, double w)
{
	kmeans_tables *tables = step->tables;
	size_t		   d = (size_t) step->model->d;
	bool		   fits = true, has_room = true;

	load_scales(tables, sums->position + c * d, d);
	for (size_t j = 0; j < d; j++)
	{
		double term = fabs(x[j]) * w;

		fits &= term < CLU_MOST_TERM;
		has_room &= term * tables->scale[j] < CLU_WIDE_HIGHEST;
	}
	if (!fits || has_room)
		return fits;
	for (size_t j = 0; j < d; j++)
		raise_sum(step, sums, c, j, clu_wide_position(fabs(x[j]) * w));
	load_scales(tables, sums->position + c * d, d);
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

	for (size_t i = 0; i < block->n; i++, x += d)
	{
		double	   w = clu_weight(block->w, i);
		clu_status status;

		if (!make_room(step, &sums, label[i], x, w))
			return clu_fail(step->error, CLU_UNDERFLOW,
							"A point is too large beside the centres of the model.", 0, 0);
		status = clu_step_hard_add(&tables->hard, step, &sums.hard, i, w, x);
		if (status != CLU_OK)
			return status;
		clu_kernel->add_digits(digits_of(step, &sums, label[i], 0), x, w, tables->scale, block->d);
	}
	return CLU_OK;
}

/* Add the digits of a sum to those of another. */
static void
merge_sum(const clu_step *step, const kmeans_sums *to, const kmeans_sums *from, size_t c, size_t j)
{
	size_t		   d = (size_t) step->model->d;
	int64_t		  *digit = digits_of(step, to, c, j);
	const int64_t *others = digits_of(step, from, c, j);
	int			   places;

	raise_sum(step, to, c, j, from->position[c * d + j]);
	places = to->position[c * d + j] - from->position[c * d + j];
	for (int i = places; i < CLU_WIDE_DIGITS; i++)
		digit[(size_t) i * d] = (int64_t) ((uint64_t) digit[(size_t) i * d] +
										   (uint64_t) others[(size_t) (i - places) * d]);
}

static void
merge(const clu_step *step, void *statistics, const void *others)
{
	kmeans_sums to = sums_of(step, statistics), from = sums_of(step, others);

	for (size_t c = 0; c < (size_t) step->model->k; c++)
	{
		for (size_t j = 0; j < (size_t) step->model->d; j++)
			merge_sum(step, &to, &from, c, j);
		clu_check(step->interrupt);
	}
	clu_hard_sums_merge(step, &to.hard, &from.hard);
}

/* ---- what a state may be ---- */

static bool
valid(const clu_step *step, const void *statistics)
{
	kmeans_sums sums = sums_of(step, statistics);

	for (size_t i = 0; i < (size_t) step->model->k * (size_t) step->model->d; i++)
		if (sums.position[i] < CLU_WIDE_LEAST || sums.position[i] > CLU_WIDE_MOST)
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
		clu_dd sum = clu_wide_digits(sums->position[(size_t) c * d + j],
									 digits_of(step, sums, (size_t) c, j), d);

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
