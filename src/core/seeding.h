/*
 * seeding.h
 *		Starting centres while they are being chosen: what seed.c and seed_gains.c share.
 */
#ifndef CLU_SEEDING_H
#define CLU_SEEDING_H

#include "seed.h"

#define CLU_MOST_CANDIDATES 32 /* 2 + ln(2^31) is 23 */
#define CLU_TERMS_OF_A_LOOK 8  /* what it takes to look at a point and its cost */

typedef struct clu_seeding
{
	clu_seeder			*s;
	const clu_points	*points;
	const clu_frame		*frame;
	double				*center;
	int					 found; /* centres so far */
	size_t				 used;	/* of member */
	double				 work;	/* terms of distances, in the latest look at the candidates */
	clu_random			*random;
	clu_team			*team;
	const clu_interrupt *interrupt;

	/* bounds are used, and of the latest look: points in question, asked, and that would gain */
	bool   bounded;
	size_t looked, asked, gained;

	/* the centre that is taken: as a candidate its number, or -1 */
	int candidate;

	/* the points of lists that are shared out, and where every share begins */
	size_t shared;
	int	   list[CLU_MOST_SHARES];
	size_t offset[CLU_MOST_SHARES];
} clu_seeding;

/* The team, where there is so much to do that it pays. */
clu_team *clu_seed_helpers(const clu_seeding *at, double work);

/* Cut the lists that are within reach, of so many points, into shares. */
void clu_seed_cut_lists(clu_seeding *at, size_t points);

/*
 * Below which cost a point of a list is out of a candidate's reach, by the triangle inequality;
 * a little less, so that rounding never passes over a point.
 */
double clu_seed_reach(const clu_seeding *at, const double *candidate, int list);

/* What each candidate would gain. */
void clu_seed_find_gains(clu_seeding *at);

#endif
