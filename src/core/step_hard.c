/*
 * step_hard.c
 *		What the steps of K-means and K-medians share; see step_hard.h.
 */
#include "step_hard.h"

#include <math.h>
#include <string.h>

/* ---- statistics ---- */

void *
clu_step_take(char *base, size_t *used, size_t count, size_t width)
{
	size_t at = *used, size = clu_size_product(count, width);

	if (at == SIZE_MAX || size > SIZE_MAX / 2 - at)
	{
		*used = SIZE_MAX;
		return base;
	}
	*used = at + (size + 7) / 8 * 8;
	return base == NULL ? NULL : base + at;
}

clu_hard_sums
clu_hard_sums_take(const clu_step *step, char *base, size_t *used)
{
	size_t		  k = (size_t) step->model->k;
	clu_hard_sums sums;

	sums.ones = clu_step_take(base, used, k, sizeof(int64_t));
	sums.weight = clu_step_take(base, used, k, sizeof(clu_wide));
	sums.cost = clu_step_take(base, used, k, sizeof(clu_wide));
	sums.far = clu_far_shape(step->model->k, step->model->d);
	sums.far.listed = clu_step_take(base, used, 1, sizeof(int64_t));
	sums.far.rows = clu_step_take(base, used, (size_t) sums.far.most, sums.far.width);
	return sums;
}

void
clu_hard_sums_clear(const clu_step *step, const clu_hard_sums *sums)
{
	memset(sums->ones, 0, (size_t) step->model->k * sizeof(int64_t));
	for (int c = 0; c < step->model->k; c++)
	{
		clu_wide_clear(&sums->weight[c]);
		clu_wide_clear(&sums->cost[c]);
	}
	*sums->far.listed = 0;
	memset(sums->far.rows, 0, (size_t) sums->far.most * sums->far.width);
}

void
clu_hard_sums_merge(const clu_step *step, const clu_hard_sums *to, const clu_hard_sums *from)
{
	for (int c = 0; c < step->model->k; c++)
	{
		to->ones[c] += from->ones[c];
		clu_wide_merge(&to->weight[c], &from->weight[c]);
		clu_wide_merge(&to->cost[c], &from->cost[c]);
	}
	clu_far_merge(&to->far, &from->far);
}

bool
clu_hard_sums_valid(const clu_step *step, const clu_hard_sums *sums)
{
	for (int c = 0; c < step->model->k; c++)
		if (sums->ones[c] < 0 || sums->ones[c] > CLU_WIDE_TERMS ||
			!clu_wide_valid(&sums->weight[c]) || !clu_wide_valid(&sums->cost[c]))
			return false;
	return clu_far_valid(&sums->far, CLU_MOST_TERM);
}

/* ---- tables ---- */

void
clu_step_hard_layout(clu_step_hard *hard, clu_arena *arena, const clu_step *step, clu_metric metric)
{
	int	   k = step->model->k, d = step->model->d;
	size_t n = (size_t) step->capacity, dims = (size_t) d;

	hard->metric = metric;
	clu_frame_layout(&hard->frame, arena, d, 0);
	clu_assign_layout(&hard->assigner, arena, metric, n, k, d, NULL, 1);
	CLU_TAKE(arena, hard->center, clu_size_product((size_t) k, dims));
	CLU_TAKE(arena, hard->scaled, n * dims);
	CLU_TAKE(arena, hard->distance, n);
	CLU_TAKE(arena, hard->changes, n);
	CLU_TAKE(arena, hard->row, dims);
	CLU_TAKE(arena, hard->taken, CLU_MOST_FARTHEST);
}

/* The frame only has to be near the data, and the centres are. */
static void
make_frame(clu_step_hard *hard, int k, int d)
{
	double *shift = hard->frame.shift, largest = 0;
	int		exponent = 0;

	memset(shift, 0, (size_t) d * sizeof(double));
	for (int c = 0; c < k; c++)
		for (int j = 0; j < d; j++)
			shift[j] += hard->center[(size_t) c * (size_t) d + (size_t) j] / k;
	for (int c = 0; c < k; c++)
		largest = fmax(largest,
					   clu_distance(CLU_SQUARED, hard->center + (size_t) c * (size_t) d, shift, d));
	hard->frame.radius = sqrt(largest);
	(void) frexp(hard->frame.radius, &exponent);
	hard->frame.unit = hard->frame.radius > 0 ? ldexp(1.0, -exponent) : 1.0;
}

void
clu_step_hard_prepare(clu_step_hard *hard, const clu_step *step)
{
	size_t count = (size_t) step->model->k * (size_t) step->model->d;
	double largest = 0;

	for (size_t i = 0; i < count; i++)
		largest = fmax(largest, fabs(step->model->center[i]));
	hard->unit = clu_unit_for(largest, CLU_MOST_EXPONENT);
	for (size_t i = 0; i < count; i++)
		hard->center[i] = step->model->center[i] / hard->unit;
	make_frame(hard, step->model->k, step->model->d);
	hard->assigner.frame = &hard->frame;
	clu_assign_reset(&hard->assigner, 0);
	clu_assign_prepare(&hard->assigner, hard->center, NULL, step->interrupt);
}

/* ---- rows ---- */

const double *
clu_step_hard_assign(clu_step_hard *hard, const clu_step *step, const clu_block *block)
{
	clu_block scaled = *block;

	scaled.x = clu_step_divide(block, hard->unit, hard->scaled);
	clu_assign_reset(&hard->assigner, block->n);
	clu_assign_block(&hard->assigner, 0, &scaled, hard->changes, step->interrupt);
	clu_own_distances(hard->metric, &scaled, hard->center, hard->assigner.label, hard->distance,
					  hard->row);
	return scaled.x;
}

clu_status
clu_step_hard_add(const clu_step_hard *hard, const clu_step *step, const clu_hard_sums *sums,
				  size_t i, double weight, const double *x)
{
	uint32_t c = hard->assigner.label[i];
	double	 distance = hard->distance[i];

	if (!(distance * weight < CLU_MOST_TERM && weight < CLU_MOST_TERM && distance < CLU_MOST_TERM))
		return clu_fail(step->error, CLU_UNDERFLOW,
						hard->metric == CLU_SQUARED
							? "A squared distance is beyond the range of double precision."
							: "A distance is beyond the range of double precision.",
						0, 0);
	if (hard->metric == CLU_SQUARED &&
		clu_distance_is_lost(distance, x, hard->center + c * (size_t) step->model->d,
							 step->model->d, hard->unit))
		return clu_fail(
			step->error, CLU_VANISHED,
			"The square of a point's difference from its centre vanishes beside that of "
			"the largest value of a centre.",
			0, 0);
	if (weight == 1)
		clu_wide_count(&sums->ones[c]);
	else
		clu_wide_add(&sums->weight[c], weight);
	clu_wide_add_product(&sums->cost[c], weight, distance);
	clu_far_add(&sums->far, distance, x, c, weight);
	return CLU_OK;
}

/* ---- empty clusters ---- */

bool
clu_hard_has_rows(const clu_hard_sums *sums, int c)
{
	return clu_dd_value(clu_step_weight_of(sums->ones[c], &sums->weight[c])) > 0;
}

clu_dd
clu_step_hard_left(const clu_step_hard *hard, const clu_hard_sums *sums, int64_t c)
{
	clu_dd weight = clu_step_weight_of(sums->ones[c], &sums->weight[c]);

	for (int64_t i = 0; i < *sums->far.listed; i++)
	{
		const clu_far_row *row = clu_far_at(&sums->far, i);

		if (hard->taken[i] >= 0 && row->label == c)
			weight = clu_dd_add(weight, clu_dd_negate(clu_step_weight_of(row->ones, &row->weight)));
	}
	return weight;
}

/* Give cluster c the first row of the list that may be taken. */
static void
take_row(clu_step_hard *hard, const clu_hard_sums *sums, int c)
{
	for (int64_t i = 0; i < *sums->far.listed; i++)
	{
		if (hard->taken[i] >= 0)
			continue;
		hard->taken[i] = c;
		if (clu_dd_value(clu_step_hard_left(hard, sums, clu_far_at(&sums->far, i)->label)) > 0)
			return;
		hard->taken[i] = -1;
	}
}

void
clu_step_hard_fill(clu_step_hard *hard, const clu_step *step, const clu_hard_sums *sums)
{
	for (int i = 0; i < CLU_MOST_FARTHEST; i++)
		hard->taken[i] = -1;
	for (int c = 0; c < step->model->k; c++)
		if (!clu_hard_has_rows(sums, c))
			take_row(hard, sums, c);
}

/* ---- figures ---- */

/* A cost in the units in which the rows came. */
static double
in_input_units(const clu_step_hard *hard, clu_dd cost)
{
	double value = clu_dd_value(cost) * hard->unit;

	return hard->metric == CLU_SQUARED ? value * hard->unit : value;
}

void
clu_step_hard_figures(const clu_step_hard *hard, const clu_step *step, const clu_hard_sums *sums,
					  clu_model *result)
{
	clu_dd objective = {0, 0};

	for (int c = 0; c < step->model->k; c++)
	{
		clu_dd cost = clu_wide_value(&sums->cost[c]);

		objective = clu_dd_add(objective, cost);
		result->cost[c] = in_input_units(hard, cost);
		result->size[c] = clu_dd_value(clu_step_weight_of(sums->ones[c], &sums->weight[c]));
		result->weight[c] = result->size[c] / result->total_weight;
	}
	result->objective = in_input_units(hard, objective);
}
