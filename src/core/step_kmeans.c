/*
 * step_kmeans.c
 *		A step of K-means: exact sums per cluster, of rows that nobody has seen all of.
 *
 * The statistics are per cluster the sum of weight * x, the weight and the cost, as sums that do
 * not depend on order or grouping (wide.h), and the rows that are farthest from their centres, for
 * clusters that turn out to have none (step_farthest.h).  Labels are exact, so the whole is: the same rows give the
 * same statistics, but for their place in the bytes, and the same model to the last bit.
 *
 * An empty cluster takes the farthest row whose cluster has weight besides it; the lowest-numbered
 * empty cluster first, and of equally far rows the one that is first by its values.  Where the
 * list holds none that may be taken, the cluster stays as it is, empty, for the next step.
 */
#include <float.h>
#include <math.h>
#include <string.h>

#include "algorithms.h"
#include "assign.h"
#include "step.h"
#include "step_farthest.h"

#define MOST_TERM 1e290 /* products beyond can't be split */

/* Where the parts of the statistics lie. */
typedef struct kmeans_sums
{
	int32_t		*position; /* d: of the columns of digit */
	int64_t		*ones;	   /* k: rows of weight 1 */
	clu_wide	*weight;   /* k: of the others */
	clu_wide	*cost;	   /* k */
	int64_t		*digit;	   /* k * CLU_WIDE_DIGITS * d */
	clu_far_list far;
	size_t		 size; /* of all */
} kmeans_sums;

typedef struct kmeans_tables
{
	double		 unit; /* a power of two; points and centres are divided by it */
	clu_frame	 frame;
	clu_assigner assigner;
	double		*center; /* k * d, divided */
	double		*scaled; /* capacity * d */
	double		*distance;
	clu_change	*changes;
	double		*row;	  /* d */
	double		*largest; /* d */
	double		*scale;	  /* d */
	int64_t		*taken;	  /* CLU_MOST_FARTHEST: by which cluster, or -1 */
} kmeans_tables;

static void *
take(char *base, size_t *used, size_t count, size_t width)
{
	size_t at = *used, size = clu_size_product(count, width);

	if (size > SIZE_MAX / 2 - at)
	{
		*used = SIZE_MAX / 2;
		return base;
	}
	*used = at + (size + 7) / 8 * 8;
	return base == NULL ? NULL : base + at;
}

static kmeans_sums
sums_of(const clu_step *step, const void *statistics)
{
	size_t		k = (size_t) step->model->k, d = (size_t) step->model->d;
	char	   *base = (char *) statistics;
	kmeans_sums sums = {.size = 0};

	sums.position = take(base, &sums.size, d, sizeof(int32_t));
	sums.ones = take(base, &sums.size, k, sizeof(int64_t));
	sums.weight = take(base, &sums.size, k, sizeof(clu_wide));
	sums.cost = take(base, &sums.size, k, sizeof(clu_wide));
	sums.digit = take(base, &sums.size, clu_size_product(k, d), CLU_WIDE_DIGITS * sizeof(int64_t));
	sums.far = clu_far_shape(step->model->k, step->model->d);
	sums.far.listed = take(base, &sums.size, 1, sizeof(int64_t));
	sums.far.rows = take(base, &sums.size, (size_t) sums.far.most, sums.far.width);
	return sums;
}

static size_t
size(const clu_step *step)
{
	size_t all = sums_of(step, NULL).size;

	return all >= SIZE_MAX / 2 ? SIZE_MAX : all;
}

static void
clear(const clu_step *step, void *statistics)
{
	kmeans_sums sums = sums_of(step, statistics);

	memset(statistics, 0, sums.size);
	for (int j = 0; j < step->model->d; j++)
		sums.position[j] = CLU_WIDE_LEAST;
	for (int c = 0; c < step->model->k; c++)
	{
		clu_wide_clear(&sums.weight[c]);
		clu_wide_clear(&sums.cost[c]);
	}
}

/* ---- tables ---- */

static void
layout(clu_step *step, clu_arena *arena)
{
	int			   k = step->model->k, d = step->model->d;
	size_t		   n = (size_t) step->capacity, dims = (size_t) d;
	kmeans_tables *tables;
	kmeans_tables  measured;

	CLU_TAKE(arena, tables, 1);
	step->tables = tables;
	if (tables == NULL)
		tables = &measured;
	clu_frame_layout(&tables->frame, arena, d);
	clu_assign_layout(&tables->assigner, arena, CLU_SQUARED, n, k, d, 1);
	CLU_TAKE(arena, tables->center, clu_size_product((size_t) k, dims));
	CLU_TAKE(arena, tables->scaled, n * dims);
	CLU_TAKE(arena, tables->distance, n);
	CLU_TAKE(arena, tables->changes, n);
	CLU_TAKE(arena, tables->row, dims);
	CLU_TAKE(arena, tables->largest, dims);
	CLU_TAKE(arena, tables->scale, dims);
	CLU_TAKE(arena, tables->taken, CLU_MOST_FARTHEST);
}

/* The frame only has to be near the data, and the centres are. */
static void
make_frame(kmeans_tables *tables, int k, int d)
{
	double *shift = tables->frame.shift, largest = 0;
	int		exponent = 0;

	memset(shift, 0, (size_t) d * sizeof(double));
	for (int c = 0; c < k; c++)
		for (int j = 0; j < d; j++)
			shift[j] += tables->center[(size_t) c * (size_t) d + (size_t) j] / k;
	for (int c = 0; c < k; c++)
		largest = fmax(
			largest, clu_distance(CLU_SQUARED, tables->center + (size_t) c * (size_t) d, shift, d));
	tables->frame.radius = sqrt(largest);
	(void) frexp(tables->frame.radius, &exponent);
	tables->frame.unit = tables->frame.radius > 0 ? ldexp(1.0, -exponent) : 1.0;
}

static clu_status
prepare(clu_step *step)
{
	kmeans_tables *tables = step->tables;
	size_t		   count = (size_t) step->model->k * (size_t) step->model->d;
	double		   largest = 0;

	for (size_t i = 0; i < count; i++)
		largest = fmax(largest, fabs(step->model->center[i]));
	tables->unit = clu_unit_for(largest);
	for (size_t i = 0; i < count; i++)
		tables->center[i] = step->model->center[i] / tables->unit;
	make_frame(tables, step->model->k, step->model->d);
	tables->assigner.frame = &tables->frame;
	clu_assign_reset(&tables->assigner, 0);
	clu_assign_prepare(&tables->assigner, tables->center, NULL, step->interrupt);
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
		if (!(tables->largest[j] < MOST_TERM))
			return false;
		raise_column(step, sums, j, clu_wide_position(tables->largest[j]));
		tables->scale[j] = clu_wide_scale(sums->position[j]);
	}
	return true;
}

/* The block's rows, divided by the unit. */
static const double *
scaled_rows(const kmeans_tables *tables, const clu_block *block)
{
	size_t		  count = block->n * (size_t) block->d;
	const double *x = block->x;

	if (tables->unit == 1)
		return x;
	for (size_t i = 0; i < count; i++)
		tables->scaled[i] = x[i] / tables->unit;
	return tables->scaled;
}

static clu_status
accumulate(clu_step *step, void *statistics, const clu_block *block)
{
	kmeans_tables  *tables = step->tables;
	kmeans_sums		sums = sums_of(step, statistics);
	clu_block		scaled = *block;
	const double   *x = scaled_rows(tables, block);
	const uint32_t *label = tables->assigner.label;
	size_t			d = (size_t) block->d;

	scaled.x = x;
	clu_assign_reset(&tables->assigner, block->n);
	clu_assign_block(&tables->assigner, 0, &scaled, tables->changes, step->interrupt);
	clu_own_distances(CLU_SQUARED, &scaled, tables->center, label, tables->distance, tables->row);
	if (!make_room(step, &sums, x, block))
		return clu_fail(step->error, CLU_UNDERFLOW,
						"A point is too large beside the centres of the model.", 0, 0);
	for (size_t i = 0; i < block->n; i++)
	{
		double w = clu_weight(block->w, i), distance = tables->distance[i];

		if (!(distance * w < MOST_TERM && w < MOST_TERM && distance < MOST_TERM))
			return clu_fail(step->error, CLU_UNDERFLOW,
							"A squared distance is beyond the range of double precision.", 0, 0);
		clu_kernel->add_digits(sums.digit + label[i] * CLU_WIDE_DIGITS * d, x + i * d, w,
							   tables->scale, block->d);
		if (w == 1)
			clu_wide_count(&sums.ones[label[i]]);
		else
			clu_wide_add(&sums.weight[label[i]], w);
		clu_wide_add_product(&sums.cost[label[i]], w, distance);
		clu_far_add(&sums.far, distance, x + i * d, label[i], w);
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
		to.ones[c] += from.ones[c];
		clu_wide_merge(&to.weight[c], &from.weight[c]);
		clu_wide_merge(&to.cost[c], &from.cost[c]);
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
	clu_far_merge(&to.far, &from.far);
}

/* ---- what a state may be ---- */

static bool
valid(const clu_step *step, const void *statistics)
{
	kmeans_sums sums = sums_of(step, statistics);

	for (int j = 0; j < step->model->d; j++)
		if (sums.position[j] < CLU_WIDE_LEAST || sums.position[j] > CLU_WIDE_MOST)
			return false;
	for (int c = 0; c < step->model->k; c++)
		if (sums.ones[c] < 0 || sums.ones[c] > CLU_WIDE_TERMS || !clu_wide_valid(&sums.weight[c]) ||
			!clu_wide_valid(&sums.cost[c]))
			return false;
	return clu_far_valid(&sums.far, MOST_TERM);
}

/* ---- refit ---- */

static clu_dd
weight_of(int64_t ones, const clu_wide *others)
{
	return clu_dd_add_double(clu_wide_value(others), (double) ones);
}

/* What is left of cluster c's weight when the rows taken from it are gone. */
static clu_dd
weight_left(const clu_step *step, const kmeans_sums *sums, int64_t c)
{
	const kmeans_tables *tables = step->tables;
	clu_dd				 weight = weight_of(sums->ones[c], &sums->weight[c]);

	for (int64_t i = 0; i < *sums->far.listed; i++)
	{
		const clu_far_row *row = clu_far_at(&sums->far, i);

		if (tables->taken[i] >= 0 && row->label == c)
			weight = clu_dd_add(weight, clu_dd_negate(weight_of(row->ones, &row->weight)));
	}
	return weight;
}

/* Give cluster c the first row of the list that may be taken. */
static void
take_row(clu_step *step, const kmeans_sums *sums, int c)
{
	kmeans_tables *tables = step->tables;

	for (int64_t i = 0; i < *sums->far.listed; i++)
	{
		if (tables->taken[i] >= 0)
			continue;
		tables->taken[i] = c;
		if (clu_dd_value(weight_left(step, sums, clu_far_at(&sums->far, i)->label)) > 0)
			return;
		tables->taken[i] = -1;
	}
}

static void
fill_empty_clusters(clu_step *step, const kmeans_sums *sums)
{
	kmeans_tables *tables = step->tables;

	for (int i = 0; i < CLU_MOST_FARTHEST; i++)
		tables->taken[i] = -1;
	for (int c = 0; c < step->model->k; c++)
		if (!(clu_dd_value(weight_of(sums->ones[c], &sums->weight[c])) > 0))
			take_row(step, sums, c);
}

/* The mean of cluster c without the rows taken from it, or the row that it took. */
static void
refit_center(clu_step *step, const kmeans_sums *sums, int c, double *center)
{
	const kmeans_tables *tables = step->tables;
	size_t				 d = (size_t) step->model->d;
	clu_dd				 weight = weight_left(step, sums, c);

	for (int64_t i = 0; i < *sums->far.listed; i++)
		if (tables->taken[i] == c)
		{
			for (size_t j = 0; j < d; j++)
				center[j] = clu_far_at(&sums->far, i)->x[j] * tables->unit;
			return;
		}
	if (!(clu_dd_value(weight) > 0))
		return;
	for (size_t j = 0; j < d; j++)
	{
		clu_dd sum = clu_wide_digits(sums->position[j],
									 sums->digit + (size_t) c * CLU_WIDE_DIGITS * d + j, d);

		for (int64_t i = 0; i < *sums->far.listed; i++)
		{
			const clu_far_row *row = clu_far_at(&sums->far, i);

			if (tables->taken[i] >= 0 && row->label == c)
				sum =
					clu_dd_add(sum, clu_dd_negate(clu_dd_product(weight_of(row->ones, &row->weight),
																 (clu_dd) {row->x[j], 0})));
		}
		center[j] = clu_dd_value(clu_dd_quotient(sum, weight)) * tables->unit;
	}
}

static void
set_figures(clu_step *step, const kmeans_sums *sums, clu_model *result)
{
	double unit = ((kmeans_tables *) step->tables)->unit;
	clu_dd objective = {0, 0};

	for (int c = 0; c < result->k; c++)
	{
		clu_dd cost = clu_wide_value(&sums->cost[c]);

		objective = clu_dd_add(objective, cost);
		result->cost[c] = clu_dd_value(cost) * unit * unit;
		result->size[c] = clu_dd_value(weight_of(sums->ones[c], &sums->weight[c]));
		result->weight[c] = result->size[c] / result->total_weight;
	}
	result->objective = clu_dd_value(objective) * unit * unit;
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
	kmeans_sums sums = sums_of(step, statistics);
	size_t		d = (size_t) step->model->d;
	double		tol = clu_option_number(&step->model->options, CLU_TOL);

	set_figures(step, &sums, result);
	step->objective = result->objective;
	if (measuring)
		return CLU_OK;
	fill_empty_clusters(step, &sums);
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
