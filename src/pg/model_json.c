/*
 * model_json.c
 *		cluster_to_json: a model as JSON, to be read by people and by model_from_json.c.
 *
 * The form is described in doc/model-format.md.  It says everything that the bytes say, so that
 * reading it back gives the same bytes.
 */
#include "postgres.h"

#include <math.h>

#include "fmgr.h"
#include "miscadmin.h"
#include "utils/builtins.h"

#include "json_value.h"
#include "model_json.h"
#include "model_value.h"
#include "options_value.h"

PG_FUNCTION_INFO_V1(clustering_cluster_to_json);

static JsonbValue
name_value(const char *name)
{
	return clu_pg_json_text(name, (int) strlen(name));
}

/* JSON has no infinity, and some of a mixture's figures may be infinite. */
static JsonbValue
figure_value(double value)
{
	if (isinf(value))
		return name_value(value > 0 ? "Infinity" : "-Infinity");
	return clu_pg_json_double(value);
}

static void
push_vector(clu_pg_json *json, const double *value, int count)
{
	clu_pg_json_push(json, WJB_BEGIN_ARRAY, NULL);
	for (int i = 0; i < count; i++)
		clu_pg_json_element(json, clu_pg_json_double(value[i]));
	clu_pg_json_push(json, WJB_END_ARRAY, NULL);
	CHECK_FOR_INTERRUPTS();
}

static void
push_matrix(clu_pg_json *json, const double *value, int d)
{
	clu_pg_json_push(json, WJB_BEGIN_ARRAY, NULL);
	for (int i = 0; i < d; i++)
		push_vector(json, value + (Size) i * d, d);
	clu_pg_json_push(json, WJB_END_ARRAY, NULL);
}

/* The covariance of one cluster, or the one that they share. */
static void
push_covariance(clu_pg_json *json, const clu_model *model, int cluster)
{
	Size d = (Size) model->d;

	clu_pg_json_key(json, "covariance");
	switch (model->structure)
	{
		case CLU_COV_FULL:
		case CLU_COV_TIED:
			push_matrix(json, model->covariance + cluster * d * d, model->d);
			break;
		case CLU_COV_DIAG:
			push_vector(json, model->covariance + cluster * d, model->d);
			break;
		default:
		{
			JsonbValue variance = clu_pg_json_double(model->covariance[cluster]);

			clu_pg_json_push(json, WJB_VALUE, &variance);
		}
	}
}

/* The brackets of a cluster: [low, high] for each dimension. */
static void
push_ranges(clu_pg_json *json, const clu_model *model, int cluster)
{
	const double *range = model->brackets.range + 2 * (Size) cluster * model->d;

	clu_pg_json_key(json, "brackets");
	clu_pg_json_push(json, WJB_BEGIN_ARRAY, NULL);
	for (int j = 0; j < model->d; j++)
		push_vector(json, range + 2 * (Size) j, 2);
	clu_pg_json_push(json, WJB_END_ARRAY, NULL);
}

static void
push_cluster(clu_pg_json *json, const clu_model *model, int cluster)
{
	unsigned met = clu_json_conditions(model);

	clu_pg_json_push(json, WJB_BEGIN_OBJECT, NULL);
	clu_pg_json_field(json, "weight", clu_pg_json_double(model->weight[cluster]));
	if (clu_json_applies(CLU_JSON_FITTED, met))
		clu_pg_json_field(json, "size", clu_pg_json_double(model->size[cluster]));
	if (clu_json_applies(CLU_JSON_FITTED | CLU_JSON_HARD, met))
		clu_pg_json_field(json, "objective", clu_pg_json_double(model->cost[cluster]));
	clu_pg_json_key(json, "center");
	push_vector(json, model->center + (Size) cluster * model->d, model->d);
	if (clu_json_applies(CLU_JSON_SEPARATE, met))
		push_covariance(json, model, cluster);
	if (clu_json_applies(CLU_JSON_BRACKETS, met))
		push_ranges(json, model, cluster);
	clu_pg_json_push(json, WJB_END_OBJECT, NULL);
}

static void
push_clusters(clu_pg_json *json, const clu_model *model)
{
	clu_pg_json_key(json, "clusters");
	clu_pg_json_push(json, WJB_BEGIN_ARRAY, NULL);
	for (int c = 0; c < model->k; c++)
		push_cluster(json, model, c);
	clu_pg_json_push(json, WJB_END_ARRAY, NULL);
	if (clu_json_applies(CLU_JSON_SHARED, clu_json_conditions(model)))
		push_covariance(json, model, 0);
}

static void
push_trace(clu_pg_json *json, const clu_model *model)
{
	clu_pg_json_key(json, "trace");
	clu_pg_json_push(json, WJB_BEGIN_ARRAY, NULL);
	for (Size i = 0; i < model->trace_count; i++)
	{
		const clu_trace *entry = &model->trace[i];

		clu_pg_json_push(json, WJB_BEGIN_OBJECT, NULL);
		clu_pg_json_field(json, "run", clu_pg_json_integer(entry->run));
		clu_pg_json_field(json, "iteration", clu_pg_json_integer(entry->iteration));
		clu_pg_json_field(json, "objective", figure_value(entry->objective));
		clu_pg_json_field(json, "changed", clu_pg_json_integer((int64) entry->changed));
		clu_pg_json_push(json, WJB_END_OBJECT, NULL);
		CHECK_FOR_INTERRUPTS();
	}
	clu_pg_json_push(json, WJB_END_ARRAY, NULL);
}

/* What the brackets have besides those of the clusters. */
static void
push_brackets(clu_pg_json *json, const clu_model *model)
{
	const clu_brackets *brackets = &model->brackets;

	clu_pg_json_key(json, "brackets");
	clu_pg_json_push(json, WJB_BEGIN_OBJECT, NULL);
	clu_pg_json_field(json, "passes", clu_pg_json_integer(brackets->passes));
	clu_pg_json_field(json, "moved", clu_pg_json_integer(brackets->moved));
	clu_pg_json_key(json, "taken");
	clu_pg_json_push(json, WJB_BEGIN_ARRAY, NULL);
	for (uint32 i = 0; i < brackets->taken; i++)
	{
		clu_pg_json_push(json, WJB_BEGIN_OBJECT, NULL);
		clu_pg_json_field(json, "cluster", clu_pg_json_integer((int64) brackets->taker[i] + 1));
		clu_pg_json_key(json, "row");
		push_vector(json, brackets->row + (Size) i * model->d, model->d);
		clu_pg_json_push(json, WJB_END_OBJECT, NULL);
	}
	clu_pg_json_push(json, WJB_END_ARRAY, NULL);
	clu_pg_json_push(json, WJB_END_OBJECT, NULL);
}

static void
push_fit(clu_pg_json *json, const clu_model *model)
{
	clu_pg_json_field(json, "converged",
					  clu_pg_json_boolean((model->flags & CLU_MODEL_CONVERGED) != 0));
	clu_pg_json_field(json, "rows", clu_pg_json_integer(model->rows));
	clu_pg_json_field(json, "skipped", clu_pg_json_integer(model->skipped));
	clu_pg_json_field(json, "total_weight", clu_pg_json_double(model->total_weight));
	clu_pg_json_field(json, "iterations", clu_pg_json_integer(model->iterations));
	clu_pg_json_field(json, "objective", figure_value(model->objective));
	if (model->flags & CLU_MODEL_LIKELIHOOD)
		clu_pg_json_field(json, "log_likelihood", figure_value(model->log_likelihood));
	push_trace(json, model);
}

static void
push_model(clu_pg_json *json, const clu_model *model)
{
	const char *const *structures = clu_option_table[CLU_COVARIANCE].choices;

	clu_pg_json_push(json, WJB_BEGIN_OBJECT, NULL);
	clu_pg_json_field(json, "format", clu_pg_json_integer(CLU_JSON_FORMAT));
	clu_pg_json_field(json, "algorithm", name_value(clu_algorithm_name((int) model->algorithm)));
	if (model->algorithm == CLU_GMM)
		clu_pg_json_field(json, "covariance_type", name_value(structures[model->structure]));
	clu_pg_json_field(json, "k", clu_pg_json_integer(model->k));
	clu_pg_json_field(json, "dimensions", clu_pg_json_integer(model->d));
	clu_pg_json_field(json, "fitted", clu_pg_json_boolean((model->flags & CLU_MODEL_FITTED) != 0));
	if (model->flags & CLU_MODEL_FITTED)
		push_fit(json, model);
	clu_pg_json_key(json, "options");
	clu_pg_options_push(json, &model->options);
	push_clusters(json, model);
	if (clu_model_has_brackets(model))
		push_brackets(json, model);
	clu_pg_json_push(json, WJB_END_OBJECT, NULL);
}

Datum
clustering_cluster_to_json(PG_FUNCTION_ARGS)
{
	bytea	   *value = PG_GETARG_BYTEA_PP(0);
	clu_model  *model = clu_pg_decode((const uint8 *) VARDATA_ANY(value), VARSIZE_ANY_EXHDR(value),
									  CurrentMemoryContext);
	clu_pg_json json = {0};

	push_model(&json, model);
	pfree(model);
	PG_RETURN_JSONB_P(clu_pg_json_finish(&json));
}
