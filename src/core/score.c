/*
 * score.c
 *		Which table of answers a model has.
 */
#include "score.h"

#include "algorithms.h"

static const clu_score_verbs *
verbs_of(clu_algorithm algorithm)
{
	switch (algorithm)
	{
		case CLU_KMEANS:
		case CLU_KMEDIANS:
			return &clu_hard_score_verbs;
		case CLU_GMM:
			return &clu_gmm_score_verbs;
		case CLU_BERNOULLI:
			return &clu_bernoulli_score_verbs;
	}
	return NULL;
}

void
clu_score_layout(clu_scorer *scorer, clu_arena *arena, const clu_model *model)
{
	scorer->model = model;
	scorer->verbs = verbs_of(model->algorithm);
	scorer->verbs->layout(scorer, arena);
}

void
clu_score_prepare(clu_scorer *scorer)
{
	scorer->verbs->prepare(scorer);
}
