/*
 * exchange.h
 *		Leaving a local optimum: merge two clusters here, split one there.
 *
 * The iteration of K-means or K-medians can't carry a centre across a gap.  Where the starts put
 * two centres into one natural cluster and one centre into two, it stays so.  Both sides of such a
 * mistake have a price: what merging a cluster with another costs, and what splitting a cluster
 * gains.  Where a split gains more than a merger of two other clusters costs, doing both lowers
 * the objective at once, and the iteration goes on from there and lowers it further.  Several such
 * exchanges are made together, none of them touching the same cluster.  Where none is sure to
 * gain, the most promising ones are tried, each as a run of its own, and kept if they end up
 * better.  The idea is that of split-and-merge (Ueda et al., "SMEM algorithm for mixture models",
 * Neural Computation 12, 2000) and of swaps after convergence (Franti, "Efficiency of random swap
 * clustering", J. Big Data 5, 2018).
 *
 * The prices, and how centres are merged and split, are the algorithm's.  Each cluster is priced
 * by one member of the team; what is random about it is drawn beforehand.
 */
#ifndef CLU_EXCHANGE_H
#define CLU_EXCHANGE_H

#include "fit.h"

#define CLU_MOST_TRIALS 10

typedef struct clu_exchange
{
	int		rounds; /* of improvement, in this run */
	int		restarts;
	size_t *first;	 /* k + 1: where its members begin, in the seeder's member list */
	double *gain;	 /* of splitting it */
	double *loss;	 /* of merging it with its partner */
	int	   *partner; /* itself where there is none */
	bool   *used;
	double *half;	 /* k * 2 * d: the two parts of a split */
	double *uniform; /* k * 2: random numbers for the prices */

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
} clu_exchange;

typedef struct clu_exchange_verbs
{
	int trials; /* exchanges to be tried, at most CLU_MOST_TRIALS */

	/* How many other starts to try when they have failed. */
	int (*restarts)(const clu_fit *fit);

	/* Fill in gain, half, loss and partner of every cluster; the members are listed. */
	void (*price)(clu_fit *fit);

	/* Make one centre of those of a and b, and two of split's. */
	void (*make)(clu_fit *fit, int a, int b, int split);

	/*
	 * Whether the centres, after the exchanges that promised to gain, are better than before.
	 * NULL where such a promise is certain.
	 */
	bool (*confirm)(clu_fit *fit);
} clu_exchange_verbs;

void clu_exchange_layout(clu_exchange *exchange, clu_arena *arena, int k, int d);
void clu_exchange_reset(clu_exchange *exchange);

/* clu_verbs.improve */
clu_improvement clu_exchange_improve(clu_fit *fit, const clu_exchange_verbs *verbs, bool converged,
									 clu_random *random);

/* Whether the run is an attempt that has no prospect of ending below where it began. */
bool clu_exchange_hopeless(const clu_fit *fit);

/*
 * A point of a list, drawn by weight times distance from a point, with a random number below 1.
 * The scratch has room for count doubles; number is that of the member of the team who asks.
 */
uint32_t clu_exchange_draw(const clu_fit *fit, int number, const uint32_t *list, size_t count,
						   const double *from, double uniform, double *scratch,
						   const clu_interrupt *interrupt);

#endif
