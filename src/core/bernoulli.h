/*
 * bernoulli.h
 *		What the parts of Bernoulli mixtures share: the E-step over tables, and the state of a fit.
 *
 * Components are the lanes of vectors, padded to kp, the next multiple of eight.  They are cut into
 * chunks of 16 lanes, the last one of 4, 8, 12 or 16, and the columns into nibbles of four.  A
 * table of one chunk is [nibble][pattern of the four bits][lanes]; tables follow one another by
 * chunk.
 */
#ifndef CLU_BERNOULLI_H
#define CLU_BERNOULLI_H

#include "dd.h"
#include "fit.h"
#include "kernel.h"

#define CLU_NIBBLE 4
#define CLU_PATTERNS 16
#define CLU_CHUNK 16 /* lanes */

/* The shape of the tables. */
typedef struct clu_bits
{
	int	   k;
	int	   kp; /* k, padded */
	int	   d;
	int	   nibbles; /* of a row */
	size_t words;	/* of a row */
} clu_bits;

clu_bits clu_bits_shape(int k, int d);

/* Doubles in the tables of all chunks. */
size_t clu_bits_table_size(const clu_bits *bits);

static inline int
clu_bits_lanes(const clu_bits *bits, int chunk)
{
	return CLU_MIN((bits->k - chunk + 3) / 4 * 4, CLU_CHUNK);
}

/* Where the table of the chunk begins whose first component this is. */
static inline size_t
clu_bits_chunk(const clu_bits *bits, int chunk)
{
	return (size_t) chunk * (size_t) bits->nibbles * CLU_PATTERNS;
}

/*
 * Fill the tables with log probabilities: of each component and pattern the sum of ln theta over
 * its ones and of ln(1 - theta) over its zeros, -infinity where it is impossible.  scratch: 2 d.
 * With prior, add to it the sum of all ln theta + ln(1 - theta).
 */
void clu_bits_fill(const clu_bits *bits, const double *theta, double *table, double *scratch,
				   double *prior);

/* ln of the components' weights, padded by -infinity. */
void clu_bits_log_weights(const clu_bits *bits, const double *weight, double *log_weight);

/*
 * ln(weight * probability) of n rows under all components, kp doubles a row.  Softmax of them
 * gives responsibilities and log density.
 */
void clu_bits_log_joint(const clu_bits *bits, const uint64_t *x, int n, const double *table,
						const double *log_weight, double *out, const clu_interrupt *interrupt);

/*
 * The component of a row that all of them call impossible: the one with the fewest contradicted
 * bits (theta 0 where the bit is 1, or 1 where it is 0); among equals the one with the largest
 * ln(weight * probability of the other bits), then the first.  Components of weight 0 only where
 * there are no others.
 */
int clu_bits_least_disagreement(const clu_bits *bits, const uint64_t *x, const double *weight,
								const double *theta);

/* ---- a fit ---- */

#define CLU_BERNOULLI_KEPT 8 /* candidates of a start that are followed further */

/* Sums of responsibilities, by component and column. */
typedef struct clu_bits_sums
{
	double *ones;  /* k * d: over the points with a 1 in the column */
	double *zeros; /* likewise */
} clu_bits_sums;

/* A row of a block, and a component that it belongs to. */
typedef struct clu_belonging
{
	uint32_t row, component;
} clu_belonging;

/* What a member of the team needs for itself. */
typedef struct clu_bernoulli_member
{
	/* over the share of the points at hand */
	double *table;	/* sums of responsibilities, by pattern */
	bool	tabled; /* there is something in it */
	double *ones;	/* k * (64 * words + 1): of rows that belong to few components (add_ones) */
	clu_dd	log_likelihood;

	double *responsibility; /* of a block, kp doubles a point */
	double *log_density;	/* of a block */

	uint8_t *counts; /* a bit for each responsibility: it isn't negligible (softmax) */

	/*
	 * Of a block whose rows belong to few components: what belongs to what, and the rows of
	 * each component, one component after the other, with what they have in it.
	 */
	clu_belonging *belonging;
	uint32_t	  *row;
	double		  *share;
	uint32_t	  *end; /* kp + 1: where the rows of a component end */
} clu_bernoulli_member;

typedef struct clu_bernoulli
{
	clu_bits	  bits;
	clu_bits_sums sums;
	double		 *table;
	double		 *log_weight;
	double		 *scratch;		  /* 2 d */
	double		 *passed;		  /* weights and thetas of the last pass */
	clu_dd		  log_likelihood; /* of the pass, so far */
	double		  smoothing;	  /* pseudo-count, in units of the points' weights */
	double		  prior;		  /* log of the smoothing's density */
	bool		  moved;		  /* the last refit changed a parameter */

	/* one for every member of the team */
	int					  members;
	clu_bernoulli_member *member;

	/* of starts */
	clu_points sample;
	clu_fit	   on_sample;		/* the fit, to the sample */
	uint32_t  *distance;		/* sample: to the nearest row chosen so far */
	uint32_t  *trial, *nearest; /* sample */
	uint32_t  *chosen;			/* k: numbers of points */
	double	  *mean;			/* d: of the sample */
	double	  *kept;			/* parameters of the best candidates */
	double	  *kept_objective;
} clu_bernoulli;

/* One E-step over the points and the M-step after it; returns the objective before it. */
double clu_bernoulli_iterate(clu_fit *fit);

/* ---- bernoulli_sums.c ---- */

void clu_bernoulli_sums_layout(clu_bernoulli_member *member, clu_arena *arena, const clu_bits *bits,
							   size_t block);
void clu_bernoulli_clear_sums(const clu_bits *bits, clu_bernoulli_member *own);

/* Add the responsibilities of a block's rows, and weigh them on the way. */
void clu_bernoulli_add(const clu_bits *bits, const clu_block *block, clu_bernoulli_member *own,
					   const clu_interrupt *interrupt);

/* Add what a member has to the sums of the fit, and clear it. */
void clu_bernoulli_collect_sums(clu_bernoulli *state, clu_bernoulli_member *own);

/* ---- bernoulli_start.c ---- */

void clu_bernoulli_start_layout(clu_bernoulli *state, clu_arena *arena, const clu_fit *fit);
void clu_bernoulli_start(clu_fit *fit, clu_random *random);
void clu_bernoulli_draw_sample(clu_fit *fit);

#endif
