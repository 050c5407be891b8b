/*
 * team.h
 *		Work that is shared out among processes which see the same memory.
 *
 * A piece of work is cut into numbered items, in a way that does not depend on how many members
 * there are to do them.  Every item is done by one member, whoever comes first; it writes to
 * memory of its own, or to the member's.  What has to be added up in a fixed order is added in
 * turn: item after item, by whoever did it.  So the result is the same, bit for bit, however many
 * members came, and a fit without a team does the items one after the other.
 *
 * Members other than the first are other processes: work, and all that can be reached from it,
 * lies in memory that all of them see at the same address.  Functions do not lie at the same
 * address, so pointers to them (the verbs, callbacks) are only those of the first member.
 */
#ifndef CLU_TEAM_H
#define CLU_TEAM_H

#include "base.h"

/* What there is to do; each names a clu_task. */
typedef enum clu_job
{
	CLU_JOB_PASS,			 /* a share of the points, through clu_verbs.accumulate (fit.c) */
	CLU_JOB_COLLECTING_PASS, /* the same, and clu_verbs.collect in turn */
	CLU_JOB_FIGURES,		 /* costs and sizes of the final clusters (hard.c) */
	CLU_JOB_OWN_DISTANCES,	 /* of points from their centres */
	CLU_JOB_PRICE_MEANS,	 /* what merging and splitting a cluster costs (kmeans_exchange.c) */
	CLU_JOB_PRICE_MEDIANS,	 /* the same for medians (kmedians_exchange.c) */
	CLU_JOB_SURVEY,			 /* what points cost at their nearest and their second nearest centre */
	CLU_JOB_GMM_FACTORS,	 /* the factor of a component's covariance (gmm_tables.c) */
	CLU_JOB_GMM_REFIT,		 /* a component (gmm_mstep.c) */

	/* the order of rows, and points from it */
	CLU_JOB_KEYS,		 /* keys of a column, and their range (order.c) */
	CLU_JOB_WORDS,		 /* words from keys */
	CLU_JOB_COUNT_WORDS, /* words of every piece (words.c) */
	CLU_JOB_PART_WORDS,	 /* words into their pieces */
	CLU_JOB_SORT_PIECE,	 /* a piece of the rows (order.c) */
	CLU_JOB_MEASURE,	 /* ranges of columns and weights (measure.c) */
	CLU_JOB_WEIGH,		 /* the sum of the weights */
	CLU_JOB_COLLAPSE,	 /* equal rows to points */

	/* starting centres (seed.c) */
	CLU_JOB_FIRST_CENTER, /* costs at the first one */
	CLU_JOB_GAINS,		  /* what candidates would gain */
	CLU_JOB_TAKE_CENTER,  /* points to the list of a new one */

	/* what the points span (assign.c) */
	CLU_JOB_FIND_SHIFT,	 /* their sum */
	CLU_JOB_FIND_SPREAD, /* how far they are from the shift */

	/* the points in the order of each column (rank.c) */
	CLU_JOB_RANK_KEYS,	/* of all columns */
	CLU_JOB_RANK_COUNT, /* points of every piece of a column */
	CLU_JOB_RANK_PART,	/* points into their pieces */
	CLU_JOB_RANK_SORT,	/* a piece */

	/* medians (medians.c) */
	CLU_JOB_FIX_WEIGHTS, /* as fixed point numbers */
	CLU_JOB_SCAN_COLUMN, /* for the medians of all clusters */
	CLU_JOB_ADD_SIDED,	 /* points to the sums about the bounds */
	CLU_JOB_WALK,		 /* bounds of a column to the medians */
	CLU_JOBS
} clu_job;

typedef struct clu_task
{
	void (*item)(void *work, size_t item, int member, const clu_interrupt *interrupt);

	/* After it, in the order of the items, by the same member; NULL: nothing. */
	void (*in_turn)(void *work, size_t item, int member);
} clu_task;

typedef struct clu_team
{
	int members; /* at most, with the caller, who is member 0 */

	/* Have the items done, by the caller and whoever else is there; returns when all are done. */
	void (*run)(struct clu_team *team, clu_job job, void *work, size_t items);
} clu_team;

const clu_task *clu_task_of(clu_job job);

/* How many members to have memory for; without a team it's the caller alone. */
static inline int
clu_team_members(const clu_team *team)
{
	return team == NULL ? 1 : team->members;
}

/* Do all items; team may be NULL. */
void clu_team_run(clu_team *team, clu_job job, void *work, size_t items,
				  const clu_interrupt *interrupt);

/*
 * The items that n rows of light work are cut into: CLU_MOST_SHARES of them, or fewer where they
 * would get too small to be worth sharing out.
 */
#define CLU_MOST_SHARES 64
#define CLU_LEAST_SHARE 8192

static inline size_t
clu_shares(size_t n)
{
	return CLU_MAX(CLU_MIN(n / CLU_LEAST_SHARE, CLU_MOST_SHARES), 1);
}

/* Where share number begins; n for the one after the last. */
static inline size_t
clu_share_first(size_t n, size_t number)
{
	size_t shares = clu_shares(n);

	return n / shares * number + CLU_MIN(number, n % shares);
}

#endif
