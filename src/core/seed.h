/*
 * seed.h
 *		Starting centres: greedy k-means++ and random points.
 *
 * k-means++ (Arthur and Vassilvitskii, SODA 2007) chooses the next centre among the points with a
 * probability proportional to weight times cost, the cost being the distance to the nearest
 * centre so far (squared for K-means, plain for K-medians).  Greedy: of 2 + ln k candidates drawn
 * so, the one is taken that lowers the total cost most.
 *
 * Points are kept in lists by nearest centre.  A candidate c can't be nearer to a point x of the
 * centre a than a is, when d(c, a) >= 2 d(x, a): whole lists are passed over by their farthest
 * point, and single points by their own distance (Raff, "Exact Acceleration of K-Means++ and
 * K-Means||", IJCAI 2021).  The choice is the same as without; the work falls from
 * n * k * candidates distances to little more than n * log k of them.
 *
 * Where points have many columns that rules out little: all are about equally far from one another.
 * Then bounds from small integers (coarse.h) tell which points a candidate may be nearer to than
 * their centres are, and only those are read.  The others would gain nothing, so that sums don't
 * change by a bit.
 *
 * The lists, laid end to end, are cut into shares of equally many points for the members of a
 * team.  Sums are those of the shares, added up in turn, with a team or without.
 */
#ifndef CLU_SEED_H
#define CLU_SEED_H

#include "coarse.h"
#include "kernel.h"
#include "points.h"
#include "random.h"

/* What a member of a team needs for itself, and found out about its share of the work. */
typedef struct clu_seed_member
{
	double *panel;	  /* 32 * d */
	double *distance; /* 32 * candidates */
	double *active;	  /* candidates * d: those that may reach the list at hand */
	double *gain;	  /* candidates */
	double *batch;	  /* candidates: of the points that were queued together */
	double	work;	  /* terms of distances */

	/* for bounds */
	clu_coarse_panel coarse;
	float			*scratch;
	uint32_t		*list;					/* 32 * candidates */
	double			*row;					/* d */
	size_t			 looked, asked, gained; /* points */

	/* in taking a centre: of the list that an earlier share begins, and of the new one */
	size_t kept, moved;
	double kept_potential, moved_potential;
	double kept_farthest, moved_farthest;
} clu_seed_member;

typedef struct clu_seeder
{
	clu_metric metric;
	int		   k;
	int		   d;
	int		   candidates;

	double	 *cost;	  /* n: of each point, at its nearest centre */
	uint32_t *member; /* 2 n: lists of points, one after the other, with room to move */

	/* per centre */
	size_t	 *first; /* its list in member */
	size_t	 *count;
	double	 *potential; /* sum of weight * cost over the list */
	double	 *farthest;	 /* largest cost in it */
	uint32_t *chosen;	 /* the point that it is */

	clu_coarse	  *coarse; /* of the points; NULL where bounds aren't worth their while */
	clu_coarse_set set;	   /* the candidates */

	/* scratch */
	double	 *candidate; /* candidates * d */
	double	 *gain;		 /* candidates */
	double	 *within;	 /* k: the new centre's reach, INFINITY where it has none in the list */
	size_t	 *left;		 /* k: what is left in the list */
	double	 *kept;		 /* n * candidates: what each costs the points in its reach; see keeps */
	bool	  keeps;	 /* reading the points again would take longer */
	uint32_t *asked;	 /* n: the number of centres when a point was last asked for that */
	double	 *row;		 /* d */

	struct clu_seeding *seeding; /* as the members of the team see it */
	clu_seed_member	   *own;	 /* one for every member */
} clu_seeder;

/* coarse: laid out for the points, or NULL. */
void clu_seed_layout(clu_seeder *seeder, clu_arena *arena, clu_metric metric, size_t n, int k,
					 int d, clu_coarse *coarse, int members);

/*
 * Fill center (k * d) with k distinct points; there must be that many.  frame is needed for bounds
 * only, and the points must be those that coarse knows.
 */
void clu_seed_plusplus(clu_seeder *seeder, const clu_points *points, const clu_frame *frame,
					   double *center, clu_random *random, clu_team *team,
					   const clu_interrupt *interrupt);
void clu_seed_random(clu_seeder *seeder, const clu_points *points, double *center,
					 clu_random *random, const clu_interrupt *interrupt);

extern const clu_task clu_first_center_task;
extern const clu_task clu_gains_task;
extern const clu_task clu_take_center_task;

#endif
