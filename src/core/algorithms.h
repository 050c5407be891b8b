/*
 * algorithms.h
 *		The tables of verbs: what fits a model, and what applies it.
 */
#ifndef CLU_ALGORITHMS_H
#define CLU_ALGORITHMS_H

#include "fit.h"
#include "score.h"
#include "step.h"

extern const clu_verbs clu_kmeans_verbs;
extern const clu_verbs clu_soft_kmeans_verbs;
extern const clu_verbs clu_kmedians_verbs;
extern const clu_verbs clu_gmm_verbs;

extern const clu_score_verbs clu_hard_score_verbs; /* K-means and K-medians */
extern const clu_score_verbs clu_gmm_score_verbs;
extern const clu_verbs		 clu_bernoulli_verbs;

extern const clu_score_verbs clu_hard_score_verbs; /* K-means and K-medians */
extern const clu_score_verbs clu_bernoulli_score_verbs;

extern const clu_step_verbs clu_kmeans_step_verbs;
extern const clu_step_verbs clu_kmedians_step_verbs;
extern const clu_step_verbs clu_soft_step_verbs; /* soft K-means and mixtures */

#endif
