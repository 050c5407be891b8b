/*
 * bernoulli_score.c
 *		Applying Bernoulli mixtures to a packed row.
 *
 * The probabilities are those of a fit, to the same bits: the same tables, looked up in the same
 * order.  The distance of a row from a component is the expected Hamming distance, the number of
 * bits in which a row drawn from the component is expected to differ:
 *
 *		sum_j |x_j - theta_j|
 *
 * It is 0 only where all thetas are 0 or 1 and the row is the one that they describe.  The label
 * isn't the component at the least distance, but the one with the greatest responsibility.
 */
#include <math.h>
#include <string.h>

#include "algorithms.h"
#include "bernoulli.h"
#include "elementary.h"
#include "kernel.h"
#include "score.h"

typedef struct bernoulli_tables
{
	clu_bits bits;
	double	*table;
	double	*log_weight;
	double	*joint;	  /* kp */
	double	*scratch; /* 2 d */
	double	*packed;  /* thetas, for point_distances */
	double	*distance;
} bernoulli_tables;

static void
layout(clu_scorer *scorer, clu_arena *arena)
{
	const clu_model	 *model = scorer->model;
	clu_bits		  bits = clu_bits_shape(model->k, model->d);
	bernoulli_tables *tables;
	bernoulli_tables  measured;

	CLU_TAKE(arena, tables, 1);
	scorer->tables = tables;
	if (tables == NULL)
		tables = &measured;
	tables->bits = bits;
	CLU_TAKE(arena, tables->table, clu_bits_table_size(&bits));
	CLU_TAKE(arena, tables->log_weight, (size_t) bits.kp);
	CLU_TAKE(arena, tables->joint, (size_t) bits.kp);
	CLU_TAKE(arena, tables->scratch, 2 * (size_t) bits.d);
	CLU_TAKE(arena, tables->packed, clu_packed_size(model->k, model->d));
	CLU_TAKE(arena, tables->distance, (size_t) model->k + CLU_GROUP);
}

static void
prepare(clu_scorer *scorer)
{
	bernoulli_tables *tables = scorer->tables;
	const clu_model	 *model = scorer->model;

	clu_bits_fill(&tables->bits, model->center, tables->table, tables->scratch, NULL);
	clu_bits_log_weights(&tables->bits, model->weight, tables->log_weight);
	clu_pack_centers(model->center, model->k, model->d, tables->packed);
}

static void
log_joint(const clu_scorer *scorer, const double *x)
{
	bernoulli_tables *tables = scorer->tables;

	clu_bits_log_joint(&tables->bits, (const uint64_t *) (const void *) x, 1, tables->table,
					   tables->log_weight, tables->joint, NULL);
}

static int
impossible_label(const clu_scorer *scorer, const double *x)
{
	const bernoulli_tables *tables = scorer->tables;

	return clu_bits_least_disagreement(&tables->bits, (const uint64_t *) (const void *) x,
									   scorer->model->weight, scorer->model->center);
}

static int
label(clu_scorer *scorer, const double *x)
{
	bernoulli_tables *tables = scorer->tables;
	int				  best = 0;

	log_joint(scorer, x);
	for (int c = 1; c < scorer->model->k; c++)
		if (tables->joint[c] > tables->joint[best])
			best = c;
	return tables->joint[best] > -INFINITY ? best : impossible_label(scorer, x);
}

static void
distances(clu_scorer *scorer, const double *x, double *out)
{
	bernoulli_tables *tables = scorer->tables;
	const clu_model	 *model = scorer->model;

	clu_unpack((const uint64_t *) (const void *) x, model->d, tables->scratch);
	clu_kernel->point_distances(CLU_L1, tables->scratch, model->d, tables->packed,
								(model->k + CLU_GROUP - 1) / CLU_GROUP, tables->distance);
	memcpy(out, tables->distance, (size_t) model->k * sizeof(double));
}

static void
probabilities(clu_scorer *scorer, const double *x, double *out)
{
	bernoulli_tables *tables = scorer->tables;
	double			  log_density;

	log_joint(scorer, x);
	clu_softmax(tables->joint, (size_t) tables->bits.kp, &log_density);
	if (!(log_density > -INFINITY))
		tables->joint[impossible_label(scorer, x)] = 1;
	memcpy(out, tables->joint, (size_t) scorer->model->k * sizeof(double));
}

static double
log_density(clu_scorer *scorer, const double *x)
{
	bernoulli_tables *tables = scorer->tables;

	log_joint(scorer, x);
	return clu_log_sum_exp(tables->joint, (size_t) tables->bits.kp);
}

const clu_score_verbs clu_bernoulli_score_verbs = {
	.packed = true,
	.layout = layout,
	.prepare = prepare,
	.label = label,
	.distances = distances,
	.probabilities = probabilities,
	.log_density = log_density,
};
