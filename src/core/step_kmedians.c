/*
 * step_kmedians.c
 *		A step of K-medians: one pass towards the medians, which move when all of them are known.
 *
 * With the centres as they are, every row has its label.  The values of each column of each
 * cluster are counted in bins (brackets.h), at places that the model's brackets propose.  A pass
 * that finds every median is a refit: the centres move, and the brackets are laid about them for
 * the next.  One that doesn't leaves the centres where they are and hands on narrower brackets.
 * So what a refit is made of has been seen by one pass; the brackets of the model, old or made up,
 * can't lead to wrong medians.
 *
 * An empty cluster takes a row (step_hard.h), and its old cluster has its medians without it.
 * Which row is known at the end of a pass only; so that is handed on too, and the next pass counts
 * such rows where they'll be.
 *
 * Labels and weights are exact, bins are counted without rounding: the same rows give the same
 * statistics whatever their order and division, and the same model to the last bit.
 */
#include <float.h>
#include <math.h>
#include <string.h>

#include "algorithms.h"
#include "brackets.h"
#include "step_hard.h"

#define BYTES_OF_BINS (4 * 1024 * 1024) /* if so many will do */
#define MOST_BY_DISTANCE 4				/* passes, before bits are looked at */
#define FARTHEST 64						/* a move of this part of the last one is near */
#define LEAST_WEIGHT 0x1p-60			/* beside the largest, as in fits */
#define CHECK_BINS 65536				/* between two checks for interrupts */
#define CLEAR_SIZE ((size_t) 1 << 22)	/* bytes, likewise */

typedef struct kmedians_sums
{
	double		 *least; /* weight */
	double		 *largest;
	int64_t		 *position; /* of the digits of bins */
	clu_bin		 *bin;		/* k * d * bins */
	clu_hard_sums hard;
	size_t		  size; /* of all */
} kmedians_sums;

typedef struct kmedians_tables
{
	clu_step_hard hard;
	int			  bins;
	clu_binning	 *binning; /* k * d */
	clu_found	 *found;   /* k * d */
	double		 *row;	   /* d: of the last row, with 0 for -0 */
	clu_brackets  next;
} kmedians_tables;

/* ---- sizes ---- */

static size_t
count_of(const clu_step *step)
{
	return clu_size_product((size_t) step->model->k, (size_t) step->model->d);
}

static int
bins_for(const clu_step *step)
{
	int bins = CLU_MOST_BINS;

	while (bins > CLU_LEAST_BINS &&
		   clu_size_product(count_of(step), (size_t) bins * sizeof(clu_bin)) > BYTES_OF_BINS)
		bins /= 2;
	return bins;
}

static kmedians_sums
sums_of(const clu_step *step, const void *statistics)
{
	char		 *base = (char *) statistics;
	kmedians_sums sums = {.size = 0};

	sums.least = clu_step_take(base, &sums.size, 1, sizeof(double));
	sums.largest = clu_step_take(base, &sums.size, 1, sizeof(double));
	sums.position = clu_step_take(base, &sums.size, 1, sizeof(int64_t));
	sums.bin =
		clu_step_take(base, &sums.size, count_of(step), (size_t) bins_for(step) * sizeof(clu_bin));
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
	kmedians_sums sums = sums_of(step, statistics);

	for (size_t done = 0; done < sums.size; done += CLEAR_SIZE)
	{
		clu_check(step->interrupt);
		memset((char *) statistics + done, 0, CLU_MIN(sums.size - done, CLEAR_SIZE));
	}
	*sums.least = INFINITY;
	*sums.position = CLU_NO_DIGITS;
	clu_hard_sums_clear(step, &sums.hard);
}

/* ---- tables ---- */

static void
layout(clu_step *step, clu_arena *arena)
{
	const clu_model *model = step->model;
	kmedians_tables *tables;
	kmedians_tables	 measured;

	CLU_TAKE(arena, tables, 1);
	step->tables = tables;
	if (tables == NULL)
		tables = &measured;
	clu_step_hard_layout(&tables->hard, arena, step, CLU_L1);
	CLU_TAKE(arena, tables->binning, count_of(step));
	CLU_TAKE(arena, tables->found, count_of(step));
	CLU_TAKE(arena, tables->row, (size_t) model->d);
	clu_brackets_layout(&tables->next, arena, model->k, model->d,
						(uint32_t) CLU_MIN(model->k, CLU_MOST_TAKEN));
}

/* Whether a model's bins go by bits: without brackets, or where distances have been of no use. */
static bool
by_bits(const clu_model *model)
{
	return !clu_model_has_brackets(model) || model->brackets.passes >= MOST_BY_DISTANCE;
}

static clu_status
prepare(clu_step *step)
{
	static const double everything[2] = {-DBL_MAX, DBL_MAX};
	const clu_model	   *model = step->model;
	kmedians_tables	   *tables = step->tables;

	clu_step_hard_prepare(&tables->hard, step);
	tables->bins = bins_for(step);
	for (size_t i = 0; i < count_of(step); i++)
	{
		const double *range =
			clu_model_has_brackets(model) ? model->brackets.range + 2 * i : everything;

		clu_binning_make(&tables->binning[i], range[0], range[1], by_bits(model), tables->bins);
	}
	return CLU_OK;
}

/* ---- rows ---- */

/* Move the places of all digits up. */
static void
raise_position(const clu_step *step, const kmedians_sums *sums, int64_t position)
{
	size_t bins = count_of(step) * (size_t) bins_for(step);
	int	   from = (int) *sums->position;

	if (position <= *sums->position)
		return;
	for (size_t i = 0; *sums->position != CLU_NO_DIGITS && i < bins; i++)
	{
		clu_wide_shift(sums->bin[i].digit, 1, from, (int) position);
		if (i % CHECK_BINS == 0)
			clu_check(step->interrupt);
	}
	*sums->position = position;
}

/* Which cluster a row counts for. */
static uint32_t
owner_of(const clu_step *step, const double *row, uint32_t label)
{
	const clu_brackets *brackets = &step->model->brackets;
	size_t				d = (size_t) step->model->d;

	for (uint32_t i = 0; i < brackets->taken; i++)
		if (memcmp(brackets->row + i * d, row, d * sizeof(double)) == 0)
			return brackets->taker[i];
	return label;
}

static void
count_row(const clu_step *step, const kmedians_sums *sums, uint32_t c, double weight)
{
	const kmedians_tables *tables = step->tables;
	size_t				   d = (size_t) step->model->d, first = c * d;
	size_t				   bins = (size_t) tables->bins;
	double				   scale = clu_wide_scale((int) *sums->position);

	for (size_t j = 0; j < d; j++)
	{
		double value = tables->row[j];
		int	   bin = clu_bin_of(&tables->binning[first + j], value);

		clu_bin_add(sums->bin + (first + j) * bins + bin, value, weight, scale);
	}
}

static clu_status
accumulate(clu_step *step, void *statistics, const clu_block *block)
{
	kmedians_tables *tables = step->tables;
	kmedians_sums	 sums = sums_of(step, statistics);
	const double	*x = block->x;
	size_t			 d = (size_t) block->d;

	(void) clu_step_hard_assign(&tables->hard, step, block);
	for (size_t i = 0; i < block->n; i++)
	{
		double	   w = clu_weight(block->w, i);
		clu_status status;

		for (size_t j = 0; j < d; j++)
			tables->row[j] = x[i * d + j] + 0.0; /* -0 becomes 0 */
		status = clu_step_hard_add(&tables->hard, step, &sums.hard, i, w, tables->row);
		if (status != CLU_OK)
			return status;
		*sums.least = fmin(*sums.least, w);
		*sums.largest = fmax(*sums.largest, w);
		if (!clu_bin_counts(w))
			raise_position(step, &sums, clu_wide_position(w));
		count_row(step, &sums, owner_of(step, tables->row, tables->hard.assigner.label[i]), w);
	}
	return CLU_OK;
}

static void
merge(const clu_step *step, void *statistics, const void *others)
{
	kmedians_sums to = sums_of(step, statistics), from = sums_of(step, others);
	size_t		  bins = (size_t) bins_for(step), most = (size_t) step->model->d * bins;

	*to.least = fmin(*to.least, *from.least);
	*to.largest = fmax(*to.largest, *from.largest);
	raise_position(step, &to, *from.position);
	for (size_t c = 0; c < (size_t) step->model->k; c++)
	{
		for (size_t i = c * most; i < (c + 1) * most; i++)
		{
			clu_bin bin = from.bin[i];

			if (*from.position != CLU_NO_DIGITS && *from.position < *to.position)
				clu_wide_shift(bin.digit, 1, (int) *from.position, (int) *to.position);
			clu_bin_merge(&to.bin[i], &bin);
		}
		clu_check(step->interrupt);
	}
	clu_hard_sums_merge(step, &to.hard, &from.hard);
}

static bool
valid(const clu_step *step, const void *statistics)
{
	kmedians_sums sums = sums_of(step, statistics);
	size_t		  bins = count_of(step) * (size_t) bins_for(step);

	if (!(*sums.least > 0) || !(*sums.largest >= 0) || *sums.position < CLU_NO_DIGITS ||
		*sums.position > CLU_WIDE_MOST)
		return false;
	for (size_t i = 0; i < bins; i++)
	{
		if (!clu_bin_valid(&sums.bin[i]))
			return false;
		if (i % CHECK_BINS == 0)
			clu_check(step->interrupt);
	}
	return clu_hard_sums_valid(step, &sums.hard);
}

/* ---- refit ---- */

/* The rows that empty clusters take, into the next brackets; whether they have been taken. */
static bool
list_taken(clu_step *step, const kmedians_sums *sums)
{
	kmedians_tables		*tables = step->tables;
	const clu_brackets	*given = &step->model->brackets;
	clu_brackets		*next = &tables->next;
	const clu_hard_sums *hard = &sums->hard;
	size_t				 d = (size_t) step->model->d;

	clu_step_hard_fill(&tables->hard, step, hard);
	next->taken = 0;
	for (int c = 0; c < step->model->k; c++)
		for (int64_t i = 0; i < *hard->far.listed; i++)
			if (tables->hard.taken[i] == c)
			{
				next->taker[next->taken] = (uint32_t) c;
				memcpy(next->row + next->taken * d, clu_far_at(&hard->far, i)->x,
					   d * sizeof(double));
				next->taken++;
			}
	if (next->taken != given->taken)
		return false;
	return next->taken == 0 ||
		   (memcmp(next->taker, given->taker, next->taken * sizeof(uint32_t)) == 0 &&
			memcmp(next->row, given->row, next->taken * d * sizeof(double)) == 0);
}

/* Whether a cluster has rows, or has taken one: an empty one stays where it is. */
static bool
is_counted(const kmedians_tables *tables, const kmedians_sums *sums, int c)
{
	for (uint32_t i = 0; i < tables->next.taken; i++)
		if (tables->next.taker[i] == (uint32_t) c)
			return true;
	return clu_hard_has_rows(&sums->hard, c);
}

static void
stay(clu_found *found, double center)
{
	*found =
		(clu_found) {.exact = true, .median = center, .low = center, .high = center, .radius = 0};
}

/* Look for all medians; whether all were found. */
static bool
find_all(clu_step *step, const kmedians_sums *sums, const clu_model *result)
{
	kmedians_tables *tables = step->tables;
	const clu_model *model = step->model;
	size_t			 d = (size_t) model->d, bins = (size_t) tables->bins;
	double			 weight = result->total_weight / (double) CLU_MAX(result->rows, 1);
	bool			 all = true;

	for (int c = 0; c < model->k; c++)
	{
		bool counted = is_counted(tables, sums, c);

		for (size_t i = (size_t) c * d; i < ((size_t) c + 1) * d; i++)
		{
			if (counted)
				tables->found[i] =
					clu_find_median(sums->bin + i * bins, tables->bins, (int) *sums->position,
									tables->next.passes >= MOST_BY_DISTANCE, weight);
			else
				stay(&tables->found[i], model->center[i]);
			all = all && tables->found[i].exact;
		}
		clu_check(step->interrupt);
	}
	return all;
}

/* Hand on where to look further. */
static void
narrow(clu_step *step, clu_model *result)
{
	kmedians_tables *tables = step->tables;

	for (size_t i = 0; i < count_of(step); i++)
	{
		tables->next.range[2 * i] = tables->found[i].low + 0.0;
		tables->next.range[2 * i + 1] = tables->found[i].high + 0.0;
	}
	result->flags |= CLU_MODEL_BRACKETS;
	result->brackets = tables->next;
	step->refitted = false;
}

/* The bracket about a new centre, for the next refit: it moves on, but not so far. */
static void
lay_bracket(double *range, const clu_found *found, double before)
{
	double radius = fmax(found->radius, fabs(found->median - before) / FARTHEST);

	range[0] = fmax(found->median - radius, -DBL_MAX) + 0.0;
	range[1] = fmin(found->median + radius, DBL_MAX) + 0.0;
}

static bool
move_center(const kmedians_tables *tables, const clu_model *given, clu_model *result, int c)
{
	size_t d = (size_t) given->d;
	bool   moved = false;

	for (size_t i = (size_t) c * d; i < ((size_t) c + 1) * d; i++)
	{
		result->center[i] = tables->found[i].median;
		moved = moved || result->center[i] != given->center[i];
		lay_bracket(tables->next.range + 2 * i, &tables->found[i], given->center[i]);
	}
	return moved;
}

static void
move_centers(clu_step *step, clu_model *result)
{
	kmedians_tables *tables = step->tables;

	for (int c = 0; c < result->k; c++)
		step->moved += move_center(tables, step->model, result, c);
	if (step->moved == 0)
	{
		result->flags |= CLU_MODEL_CONVERGED;
		return;
	}
	tables->next.passes = 0;
	tables->next.moved = (uint32_t) step->moved;
	tables->next.taken = 0;
	result->flags |= CLU_MODEL_BRACKETS;
	result->brackets = tables->next;
}

/* Whether the last refit gained little: with its centres, this is the first pass. */
static bool
gained_little(const clu_step *step, const clu_model *result)
{
	const clu_model *given = step->model;
	double			 tol = clu_option_number(&given->options, CLU_TOL);

	return tol > 0 && clu_model_has_brackets(given) && given->brackets.passes == 0 &&
		   clu_step_comparable(given, result) &&
		   given->objective - result->objective < tol * given->objective;
}

static clu_status
refit(clu_step *step, const void *statistics, clu_model *result, bool measuring)
{
	kmedians_tables *tables = step->tables;
	kmedians_sums	 sums = sums_of(step, statistics);
	const clu_model *given = step->model;
	bool			 taken;

	clu_step_hard_figures(&tables->hard, step, &sums.hard, result);
	step->objective = result->objective;
	step->refitted = false;
	if (measuring)
		return CLU_OK;
	if (*sums.least < LEAST_WEIGHT * *sums.largest)
		return clu_fail(step->error, CLU_UNDERFLOW,
						"The weights differ by too many orders of magnitude.", 0, 0);
	if (gained_little(step, result))
	{
		result->flags |= CLU_MODEL_CONVERGED;
		return CLU_OK;
	}
	tables->next.passes = given->brackets.passes + (given->brackets.passes < UINT32_MAX);
	tables->next.moved = given->brackets.moved;
	taken = list_taken(step, &sums);
	step->refitted = find_all(step, &sums, result) && taken;
	if (step->refitted)
		move_centers(step, result);
	else
		narrow(step, result);
	return CLU_OK;
}

const clu_step_verbs clu_kmedians_step_verbs = {
	.size = size,
	.layout = layout,
	.prepare = prepare,
	.clear = clear,
	.valid = valid,
	.accumulate = accumulate,
	.merge = merge,
	.refit = refit,
};
