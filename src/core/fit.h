/*
 * fit.h
 *		Fitting a model to points in memory: what is the same for every algorithm.
 *
 * An algorithm is a table of verbs over blocks of points.  The driver runs the starts, counts the
 * refits, keeps the trace and the best run, and numbers the clusters; it doesn't know what a
 * centre is.
 *
 * Use: fill in the input part of clu_fit; clu_fit_layout over an empty arena says how much memory
 * is needed, over a real one divides it; clu_fit_run fits.  The model's arrays lie in that memory.
 */
#ifndef CLU_FIT_H
#define CLU_FIT_H

#include <math.h>

#include "model.h"
#include "points.h"
#include "random.h"
#include "team.h"

/* Numbering by size changes which of two equally near centres is the first, and so the sizes. */
#define CLU_MOST_RENUMBERINGS 100

typedef struct clu_fit clu_fit;

/* What clu_verbs.improve did with a run that came to its end. */
typedef enum clu_improvement
{
	CLU_FINAL,	/* nothing: the parameters are the result */
	CLU_BETTER, /* changed them for the better: iterate on */
	CLU_ATTEMPT /* changed them in the hope of better: a run of its own, which may be in vain */
} clu_improvement;

/*
 * An array of numbers that accumulate adds to, for steps.  Either the state has a pointer to it,
 * which may be set to an array elsewhere, or it lies in the state itself.
 */
typedef struct clu_statistic
{
	double **pointer; /* NULL: it's value */
	double	*value;
	size_t	 count;	 /* of doubles */
	bool	 paired; /* it's an array of clu_dd */
} clu_statistic;

#define CLU_MOST_STATISTICS 4

typedef struct clu_verbs
{
	/*
	 * The objective of new parameters is known by the pass after the refit: settled sets it, and
	 * the refit is recorded then.
	 */
	bool late_objective;

	/* accumulate gets a whole share of the points as one block, and minds interrupts itself. */
	bool whole_shares;

	/* Divide the memory of the algorithm's own state; fit->state is its root. */
	void (*layout)(clu_fit *fit, clu_arena *arena);

	/* Once, before the first run: look at the data. */
	clu_status (*begin)(clu_fit *fit);

	/* Make the starting parameters of a run in fit->model. */
	void (*start)(clu_fit *fit, clu_random *random);

	/* The parameters in fit->model are a start model's: bring them to the units of the points. */
	void (*adopt)(clu_fit *fit);

	/* A run begins from the parameters in fit->model: forget everything about earlier ones. */
	void (*reset)(clu_fit *fit);

	/* Derive tables from the parameters, before a pass over the blocks. */
	void (*prepare)(clu_fit *fit);

	/*
	 * Assignment or E-step of one block, adding to the statistics of a member of the team.  It's
	 * called for several members at once, in several processes: all that it writes is of the
	 * points of the block, or the member's.
	 */
	void (*accumulate)(clu_fit *fit, const clu_block *block, int member);

	/*
	 * Add what a member has gathered to the statistics of all, and clear it.  Called in turn,
	 * after every share of the points; NULL where the order doesn't matter, and settled or refit
	 * bring the statistics together.
	 */
	void (*collect)(clu_fit *fit, int member);

	/* Whether the pass found the run at its end: a fixed point, or gain below tol. */
	bool (*settled)(clu_fit *fit);

	/* M-step: new parameters and sizes from the statistics; sets fit->objective. */
	clu_status (*refit)(clu_fit *fit);

	/*
	 * Try to leave a local optimum.  It's asked again when an attempt has ended, converged or
	 * not, and keeps the attempt or goes back to where it began.  May be NULL.
	 */
	clu_improvement (*improve)(clu_fit *fit, bool converged, clu_random *random);

	/*
	 * Give every point the label that the parameters as they are give it, and do no more.  NULL
	 * where points have no labels.
	 */
	void (*label)(clu_fit *fit);

	/*
	 * The clusters have other numbers: cluster c is the one that was order[c].  fit->spare is free.
	 * NULL where nothing but the parameters depends on the numbers.
	 */
	void (*renumber)(clu_fit *fit, const int *order);

	/*
	 * Figures of the final parameters: sizes, weights, costs, objective, likelihood.  Where points
	 * have labels, also fit->changed: how many of these changed.
	 */
	void (*finish)(clu_fit *fit);

	/* Bring parameters and figures back to the units in which the data came. */
	void (*restore)(clu_fit *fit);

	/*
	 * For steps (step_soft.c), where the blocks are all that is seen of the points.  First, begin
	 * by the parameters in fit->model instead of the points, before adopt.  Then, the statistics
	 * that collect adds to.
	 */
	clu_status (*begin_step)(clu_fit *fit);
	int (*statistics)(clu_fit *fit, clu_statistic *list);

	/*
	 * Between settled and refit: the statistics are complete.  Go on in the units that begin would
	 * have found in the points, as far as the statistics tell; the start model is adopted again
	 * then.  NULL where the units make no difference.
	 */
	clu_status (*reframe_step)(clu_fit *fit);
} clu_verbs;

struct clu_fit
{
	/* input */
	const clu_verbs		*verbs;
	const clu_points	*points;
	int64_t				 skipped;
	const clu_model		*start_model; /* NULL: start from k */
	const clu_interrupt *interrupt;
	clu_team			*team; /* NULL: nobody helps; else the fit lies in memory that all see */
	void (*trace)(void *context, const clu_trace *entry); /* may be NULL */
	void	  *trace_context;
	clu_error *error;

	/*
	 * In: algorithm, structure, k, d and options.  Out: everything but identity and trace.
	 */
	clu_model model;

	/* state of the run */
	void	*state;
	double	*best; /* parameters of the best run so far */
	double	*spare;
	int64_t	 start;		/* of n_init */
	uint32_t run;		/* starts and attempts so far */
	int64_t	 iteration; /* of the run; of the winning one, in the end */
	bool	 converged;
	double	 objective;
	int		 objective_power;  /* of the points' unit, that the objective is measured in */
	double	 objective_offset; /* what units add to it, per weight: too large to compare with */
	uint64_t changed;		   /* by the last pass */
	int		 flaws;			   /* of the parameters: a run with fewer is better in any case */
	bool	 lost;			   /* figures of the final model lack distances that are lost */

	/* Counted by all members of the team at once, during a pass. */
	uint64_t seen; /* points, in all passes so far */
};

/*
 * An objective in the units in which the data came.  Multiplied step by step: the unit of an
 * objective may overflow where the objective itself is small or zero.
 */
static inline double
clu_in_input_units(const clu_fit *fit, double objective)
{
	objective += fit->objective_offset * fit->points->total_weight;
	for (int i = 0; i < fit->objective_power; i++)
		objective *= fit->points->unit;
	return objective * fit->points->weight_unit;
}

/*
 * What a refit gained, as the rule that stops at small gains is to count it.  Where reg_covar adds
 * to the covariances the objective may get worse for a while, and then a loss is no end.
 */
static inline double
clu_counted_gain(const clu_options *options, double gain)
{
	return clu_option_number(options, CLU_REG_COVAR) > 0 ? fabs(gain) : gain;
}

/* One pass over all points with the parameters as they are. */
void clu_fit_pass(clu_fit *fit);

extern const clu_task clu_pass_task;
extern const clu_task clu_collecting_pass_task;

/* The verbs for an algorithm and its options; NULL where there are none. */
const clu_verbs *clu_fit_verbs(clu_algorithm algorithm, const clu_options *options);

/*
 * How many clusters the fit will have: k, or with allow_fewer the number of distinct points where
 * that is less.  CLU_FEWER_POINTS where it isn't allowed.
 */
clu_status clu_fit_clusters(const clu_options *options, int k, size_t distinct, int *clusters,
							clu_error *error);

/* The start model's parameters in the units of the points. */
clu_status clu_fit_adopt(clu_fit *fit);

void	   clu_fit_layout(clu_fit *fit, clu_arena *arena);
clu_status clu_fit_run(clu_fit *fit);

/* Fail for distances that are lost (assign.h). */
clu_status clu_fit_vanished(const clu_fit *fit);

/*
 * Put the clusters of fit->model in the order of the numbering; false where they were in it.
 * Needs best and spare, of the size of the parameters.
 */
bool clu_fit_renumber(clu_fit *fit);

/* Put numbers, width of each cluster, in another order: cluster c gets those of order[c]. */
void clu_permute(const double *from, double *to, const int *order, int k, size_t width);

#endif
