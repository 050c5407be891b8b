/*
 * score.h
 *		Applying a model to one point: labels, distances, probabilities, densities.
 *
 * A scorer is made once for a model (tables in the caller's memory) and then asked for point
 * after point.  Each algorithm has a table of what it can answer.
 */
#ifndef CLU_SCORE_H
#define CLU_SCORE_H

#include "model.h"

typedef struct clu_scorer clu_scorer;

typedef struct clu_score_verbs
{
	/* Points are packed rows (points.h), and x is the address of one. */
	bool packed;

	/* Divide the memory for tables and scratch; scorer->tables is its root. */
	void (*layout)(clu_scorer *scorer, clu_arena *arena);
	void (*prepare)(clu_scorer *scorer);

	/* The cluster of a point, from 0. */
	int (*label)(clu_scorer *scorer, const double *x);

	/* Distances to every cluster: Euclidean, L1, Mahalanobis, ... */
	void (*distances)(clu_scorer *scorer, const double *x, double *out);

	/* Responsibilities, or one at the label and zeros elsewhere. */
	void (*probabilities)(clu_scorer *scorer, const double *x, double *out);

	/* log p(x); NULL where the model is no distribution */
	double (*log_density)(clu_scorer *scorer, const double *x);
} clu_score_verbs;

struct clu_scorer
{
	const clu_model		  *model;
	const clu_score_verbs *verbs;
	void				  *tables;
};

/* The model, with its arrays, must stay where it is as long as the scorer is used. */
void clu_score_layout(clu_scorer *scorer, clu_arena *arena, const clu_model *model);
void clu_score_prepare(clu_scorer *scorer);

#endif
