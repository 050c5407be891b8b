/*
 * query_start.c
 *		Where fits over a query begin.
 *
 * A fit from k begins with a sample of distinct rows (sketch.h).  Where that is all of them, the
 * fit in memory is exact and the only pass was that one.  Else, for K-means, k-means||: to the
 * centres of the sample come rows that are far from all candidates so far, in a few rounds; each
 * candidate gets the weight of the rows that are nearest to it; and the weighted candidates are
 * clustered in memory.  For mixtures, the sample itself is fitted in memory: sums of squares need
 * more than one row per place.
 */
#include "fit_query.h"

#include <math.h>

#include "catalog/pg_type.h"

#include "fit_run.h"
#include "model_value.h"
#include "points.h"
#include "sketch_value.h"
#include "state_value.h"

#define SAMPLE_ROWS 20000 /* at least, and */
#define SAMPLE_ROWS_PER_CLUSTER 200
#define ROUNDS 2		 /* of k-means||, and */
#define ROWS_PER_ROUND 2 /* for each cluster */

/* ---- passes ---- */

bytea *
clu_pg_query_run_step(clu_pg_query_fit *fit, SPIPlanPtr plan, const clu_model *model)
{
	clu_model *copy = clu_pg_model_copy(model, 0);
	Datum	   values[1] = {PointerGetDatum(clu_pg_encode(copy))};

	CHECK_FOR_INTERRUPTS();
	return clu_pg_source_run(plan, values, NULL, fit->pass);
}

SPIPlanPtr
clu_pg_query_prepare_step(const clu_pg_query_fit *fit)
{
	Oid types[1] = {BYTEAOID};

	return clu_pg_source_prepare(&fit->source, "cluster_step_partial", "$1", false, 1, types);
}

clu_model *
clu_pg_query_measure(clu_pg_query_fit *fit, SPIPlanPtr plan, const clu_model *model)
{
	bytea	  *state = clu_pg_query_run_step(fit, plan, model);
	clu_step   done;
	clu_model *measured =
		state == NULL ? NULL : clu_pg_step_refit(PointerGetDatum(state), true, &done);

	if (measured == NULL)
		clu_pg_query_report_no_rows();
	return measured;
}

/* A sample of so many rows by their distance from the model's centres; without one, uniform. */
static bytea *
run_sketch(clu_pg_query_fit *fit, clu_model *model, int64 rows, int64 seed)
{
	Oid	  types[4] = {BYTEAOID, INT4OID, INT8OID, INT4OID};
	bool  packed = fit->algorithm == CLU_BERNOULLI;
	bool  skip = clu_option_integer(&fit->options, CLU_INVALID) == CLU_INVALID_SKIP;
	int	  flags = (packed ? CLU_PG_SKETCH_PACKED : 0) | (skip ? CLU_PG_SKETCH_SKIP : 0);
	Datum values[4] = {model == NULL ? (Datum) 0 : PointerGetDatum(clu_pg_encode(model)),
					   Int32GetDatum((int32) Min(rows, (int64) INT_MAX)), Int64GetDatum(seed),
					   Int32GetDatum(flags)};
	SPIPlanPtr plan =
		clu_pg_source_prepare(&fit->source, "cluster_sketch", "$1, $2, $3, $4", true, 4, types);
	bytea *result = clu_pg_source_run(plan, values, model == NULL ? "n   " : NULL, fit->context);

	SPI_freeplan(plan);
	return result;
}

/* ---- fits in memory, of a sample or of candidates ---- */

/*
 * Fit the rows of a sample, but for those of no weight.
 *
 * Not by a query with the aggregate: its arguments are polymorphic, so whoever may create
 * functions in the extension's schema could offer a better match, to run with the caller's rights.
 */
static clu_model *
fit_sample(const clu_pg_query_fit *fit, bytea *sample, const clu_options *options)
{
	const void				*sketch = clu_pg_sketch_check(sample, false);
	const clu_sketch_header *header = clu_sketch_head(sketch);
	MemoryContext			 context =
		AllocSetContextCreate(fit->context, "clustering sample", ALLOCSET_SMALL_SIZES);
	clu_pg_request request = {.algorithm = fit->algorithm, .k = fit->k, .options = *options};
	clu_pg_rows	   rows = {.context = context, .d = header->d, .width = header->width};
	clu_model	   summary;
	bytea		  *model;

	for (uint32 i = 0; i < header->listed; i++)
	{
		double		weight;
		const void *row = clu_sketch_row(sketch, i, &weight);

		if (weight == 0)
			continue;
		memcpy(clu_pg_rows_next(&rows), row, clu_row_size(rows.d, rows.width));
		clu_pg_rows_add(&rows, weight);
	}
	model = clu_pg_fit(&request, &rows, &summary);
	clu_pg_rows_close(&rows);
	MemoryContextDelete(context);
	return clu_pg_decode((const uint8 *) VARDATA(model), VARSIZE(model) - VARHDRSZ, fit->context);
}

/* Options for the fit of a sample, whose result is only a beginning. */
static clu_options
options_to_begin(const clu_pg_query_fit *fit)
{
	clu_options options = fit->options;

	options.set &= ~(1u << CLU_BETA);
	options.value[CLU_MAX_ITER].integer = 1000;
	if (fit->algorithm == CLU_GMM || fit->algorithm == CLU_BERNOULLI)
		options.value[CLU_TOL].number = fmax(options.value[CLU_TOL].number, 1e-6);
	return options;
}

/* ---- the start ---- */

clu_model *
clu_pg_query_start_from(const clu_pg_query_fit *fit, const clu_model *model)
{
	clu_model *start = clu_pg_model_new(model->algorithm, model->structure, model->k, model->d);
	Size	   k = (Size) model->k;

	memcpy(start->weight, model->weight, k * sizeof(double));
	memcpy(start->center, model->center, k * (Size) model->d * sizeof(double));
	memcpy(start->covariance, model->covariance,
		   clu_covariance_count(model->algorithm, model->structure, model->k, model->d) *
			   sizeof(double));
	start->options = fit->options;
	return start;
}

/* A model with rows of a sample as centres, behind those of another model. */
static clu_model *
add_candidates(clu_pg_query_fit *fit, const clu_model *model, const void *sketch, uint32 rows)
{
	int		   before = model == NULL ? 0 : model->k, d = clu_sketch_head(sketch)->d;
	clu_model *candidates = clu_pg_model_new(fit->algorithm, 0, before + (int) rows, d);
	double	   weight;

	candidates->options.value[CLU_INVALID] = fit->options.value[CLU_INVALID];
	for (int c = 0; c < candidates->k; c++)
		candidates->weight[c] = 1.0 / candidates->k;
	if (model != NULL)
		memcpy(candidates->center, model->center, (Size) before * (Size) d * sizeof(double));
	for (uint32 i = 0; i < rows; i++)
		clu_pg_sketch_values(sketch, i, candidates->center + ((Size) before + i) * (Size) d,
							 &weight);
	return candidates;
}

/* Candidates with the weight of the rows that are nearest to them, as a sample. */
static bytea *
weigh_candidates(clu_pg_query_fit *fit, const clu_model *candidates)
{
	SPIPlanPtr plan = clu_pg_query_prepare_step(fit);
	clu_model *measured = clu_pg_query_measure(fit, plan, candidates);
	Size	   size = clu_sketch_size(candidates->d, 8, (uint32) candidates->k);
	bytea	  *sketch = clu_pg_state_new(size);

	clu_sketch_clear(clu_pg_state(sketch), candidates->d, 8, (uint32) candidates->k, 0);
	for (int c = 0; c < measured->k; c++)
		if (measured->size[c] > 0)
			clu_sketch_add(clu_pg_state(sketch), measured->center + (Size) c * (Size) measured->d,
						   1, measured->size[c]);
	SPI_freeplan(plan);
	return sketch;
}

/* Rows that are far from the candidates. */
static const void *
find_far_rows(clu_pg_query_fit *fit, clu_model *candidates, int round)
{
	int64		seed = clu_option_integer(&fit->options, CLU_SEED) + round;
	bytea	   *far = run_sketch(fit, candidates, (int64) ROWS_PER_ROUND * fit->k, seed);
	const void *sketch = far == NULL ? NULL : clu_pg_sketch_check(far, false);

	if (sketch == NULL || clu_sketch_head(sketch)->rows == 0)
		clu_pg_query_report_no_rows();
	return sketch;
}

/* k-means||, from the centres of a sample. */
static clu_model *
oversample(clu_pg_query_fit *fit, bytea *sample)
{
	clu_options options = options_to_begin(fit);
	clu_model  *candidates = fit_sample(fit, sample, &options);

	candidates = clu_pg_query_start_from(fit, candidates);
	clu_options_default(&candidates->options, fit->algorithm);
	for (int round = 1; round <= ROUNDS; round++)
	{
		const void *far = find_far_rows(fit, candidates, round);

		candidates = add_candidates(fit, candidates, far, clu_sketch_head(far)->listed);
	}
	return fit_sample(fit, weigh_candidates(fit, candidates), &options);
}

static int64
sample_size(const clu_pg_query_fit *fit)
{
	return Max((int64) SAMPLE_ROWS, (int64) SAMPLE_ROWS_PER_CLUSTER * fit->k);
}

static void
check_sample(const clu_pg_query_fit *fit, const clu_sketch_header *header)
{
	if (header->left_out > 0 && header->most < (uint32) fit->k)
		ereport(
			ERROR,
			(errcode(ERRCODE_PROGRAM_LIMIT_EXCEEDED),
			 errmsg("k (%d) is too large for points of %d dimensions", fit->k, header->d),
			 errdetail("The sample that a fit begins with has room for %u rows.", header->most),
			 errhint("Start from a model, or use %s_fit.", clu_algorithm_name(fit->algorithm))));
}

clu_model *
clu_pg_query_find_start(clu_pg_query_fit *fit, bool *complete)
{
	int64					 seed = clu_option_integer(&fit->options, CLU_SEED);
	clu_options				 options = options_to_begin(fit);
	bytea					*sample = run_sketch(fit, NULL, sample_size(fit), seed);
	const clu_sketch_header *header;
	bool random = clu_option_integer(&fit->options, CLU_INIT) == CLU_INIT_RANDOM;
	bool hard = fit->algorithm == CLU_KMEANS || fit->algorithm == CLU_KMEDIANS;

	if (sample == NULL)
		return NULL;
	header = clu_pg_sketch_check(sample, false);
	fit->skipped = header->skipped;
	fit->rows = header->rows;
	fit->fractional = header->fractional;
	if (header->rows == 0)
		return NULL;
	check_sample(fit, header);
	*complete = header->left_out == 0;
	if (*complete)
		return fit_sample(fit, sample, &fit->options);
	if (!hard)
		return clu_pg_query_start_from(fit, fit_sample(fit, sample, &options));
	if (random)
		return clu_pg_query_start_from(fit, add_candidates(fit, NULL, header, (uint32) fit->k));
	return clu_pg_query_start_from(fit, oversample(fit, sample));
}
