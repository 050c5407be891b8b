/*
 * kmeans.h
 *		What the parts of K-means share.
 */
#ifndef CLU_KMEANS_H
#define CLU_KMEANS_H

#include "assign.h"
#include "fit.h"
#include "seed.h"
#include "sums.h"

#define CLU_MOST_TRIALS 5

typedef struct clu_kmeans
{
	clu_frame	 frame;
	clu_assigner assigner;
	clu_seeder	 seeder;
	clu_sums	 sums;
	clu_change	*changes;
	double		*previous;	   /* k * d: the centres of the pass before */
	bool		 has_previous; /* and the gaps are about them */
	double		 last_objective;
	int			 rounds; /* of improvement, in this run */
	double		*row;
	double		*distance; /* of a block */

	/* of an improvement, per cluster */
	size_t *first; /* k + 1: where its members begin */
	double *gain;  /* of splitting it */
	double *loss;  /* of merging it with its partner */
	int	   *partner;
	bool   *used;
	double *half; /* k * 2 * d: the two parts of a split */

	/* the local optimum that a trial started from */
	bool	trying;
	bool	attempting; /* the run is an attempt that hasn't proven itself */
	double *saved;		/* centres, k * d */
	double *saved_size; /* k */
	double	saved_objective;
	int64_t saved_iteration;
	int		trials;
	int		tried_pair[CLU_MOST_TRIALS];
	int		tried_split[CLU_MOST_TRIALS];
} clu_kmeans;

/*
 * Exchange pairs of clusters that cost little to merge against clusters that gain much by
 * splitting (clu_verbs.improve).
 */
void			clu_exchange_layout(clu_kmeans *state, clu_arena *arena, int k, int d);
clu_improvement clu_exchange(clu_fit *fit, bool converged, clu_random *random);
bool			clu_exchange_hopeless(const clu_fit *fit);

#endif
