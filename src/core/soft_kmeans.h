/*
 * soft_kmeans.h
 *		What the parts of soft K-means share.
 */
#ifndef CLU_SOFT_KMEANS_H
#define CLU_SOFT_KMEANS_H

#include "dd.h"
#include "fit.h"
#include "kernel.h"

/* What a member of the team needs for itself. */
typedef struct clu_soft_member
{
	/* over the share of the points at hand */
	double *sum;	/* k * d: of w r (x - c); in a pass for prices k: losses */
	double *weight; /* k: of w r; in a pass for prices: gains */
	clu_dd	energy;

	/* of the chunk at hand */
	double *panel;		  /* panels * 32 * d */
	double *term;		  /* panels * k * 32: squared distances, then what is made of them */
	double *point_weight; /* panels * 32 */
	double *total;		  /* the same: of exponentials */
	bool   *active;		  /* panels * k */
	double *square;		  /* d: second moments, which nobody needs */
} clu_soft_member;

typedef struct clu_soft
{
	double	beta;	 /* in the units of the points */
	clu_fit kmeans;	 /* whose result is where a run begins */
	bool	pricing; /* the pass is one for prices */
	clu_dd *sum;	 /* k * d */
	clu_dd *weight;	 /* k */
	clu_dd	energy;
	double	last_objective;
	double	moved; /* farthest way of a centre in the last refit, as a share of what counts */

	/* one for every member of the team */
	int				 members;
	clu_soft_member *member;
} clu_soft;

/* A chunk of a block: a few panels of points. */
typedef struct clu_soft_chunk
{
	const clu_soft	*state;
	clu_soft_member *own;
	const clu_model *model;
	const clu_block *block;
	size_t			 first;
	size_t			 n; /* points; the other lanes have weight 0 */
	int				 panels;
} clu_soft_chunk;

/* The terms of a cluster for a panel. */
static inline double *
clu_soft_terms(const clu_soft_chunk *at, int p, int c)
{
	return at->own->term + ((size_t) p * (size_t) at->model->k + (size_t) c) * CLU_LANES;
}

/* ---- soft_kmeans.c ---- */

/* A verb as it stands (fit.h). */
void clu_soft_adopt(clu_fit *fit);

/* ---- soft_start.c ---- */

void clu_soft_start_layout(clu_fit *fit, clu_soft *state, clu_arena *arena);
void clu_soft_start(clu_fit *fit, clu_random *random);

/*
 * Of a panel, add what doubling a cluster's centre gains and taking it away loses.  The terms are
 * those from which gmm_share begins.
 */
void clu_soft_add_prices(const clu_soft_chunk *at, int p, const clu_interrupt *interrupt);

#endif
