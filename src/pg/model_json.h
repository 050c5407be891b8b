/*
 * model_json.h
 *		The keys of a model as JSON, for the writer and the reader; see doc/model-format.md.
 */
#ifndef CLU_PG_MODEL_JSON_H
#define CLU_PG_MODEL_JSON_H

#include "postgres.h"

#include "model.h"

#define CLU_JSON_FORMAT 1

/* When a key is there; several of these: all must hold. */
enum
{
	CLU_JSON_FITTED = 1 << 0,
	CLU_JSON_HARD = 1 << 1,	   /* clusters have costs */
	CLU_JSON_MIXTURE = 1 << 2, /* there may be a log-likelihood */
	CLU_JSON_GMM = 1 << 3,
	CLU_JSON_SHARED = 1 << 4,	/* one covariance for all clusters */
	CLU_JSON_SEPARATE = 1 << 5, /* one for each */
	CLU_JSON_MEDIANS = 1 << 6,	/* there may be brackets */
	CLU_JSON_BRACKETS = 1 << 7	/* there are */
};

/* Which of the conditions a model meets. */
static inline unsigned
clu_json_conditions(const clu_model *model)
{
	unsigned met = clu_model_is_mixture(model) ? CLU_JSON_MIXTURE : CLU_JSON_HARD;

	if (model->flags & CLU_MODEL_FITTED)
		met |= CLU_JSON_FITTED;
	if (model->algorithm == CLU_KMEDIANS)
		met |= CLU_JSON_MEDIANS;
	if (model->flags & CLU_MODEL_BRACKETS)
		met |= CLU_JSON_BRACKETS;
	if (model->algorithm != CLU_GMM)
		return met;
	met |= CLU_JSON_GMM;
	if (model->structure == CLU_COV_TIED || model->structure == CLU_COV_FIXED)
		return met | CLU_JSON_SHARED;
	return met | CLU_JSON_SEPARATE;
}

static inline bool
clu_json_applies(unsigned needed, unsigned met)
{
	return (needed & ~met) == 0;
}

#endif
