/*
 * gmm.h
 *		What the parts of a Gaussian mixture fit share.
 *
 * Everything inside works on u = (x - shift) * scale, with the shift near the mean of the data and
 * the scale of each column a power of two that brings its variance into [1/2, 2).  So an offset of
 * 1e9 with a spread of 1 costs no precision, and multiplying a column by a power of two changes
 * nothing at all inside.  The spherical and the fixed covariance tie the columns' units together;
 * for them all columns have one scale.
 */
#ifndef CLU_GMM_H
#define CLU_GMM_H

#include "dd.h"
#include "fit.h"
#include "seed.h"

/*
 * The least variance that a component may have in any direction, in units of the data's own; see
 * gmm_mstep.c.
 */
#define CLU_GMM_FLOOR 1e-6

/* Points in the coordinates of the fit, or how to bring them there. */
typedef struct clu_gmm_frame
{
	double *shift; /* d */
	double *scale; /* d */
} clu_gmm_frame;

/*
 * Sums over points: log-likelihood, then per component the responsibility, and first and second
 * moments about its current mean.  A member of the team sums over a share of the points, and then
 * adds that to the total, which is kept as an unevaluated sum of two.
 */
typedef struct clu_gmm_sums
{
	size_t	count; /* of all numbers */
	size_t	width; /* of one component's second moments */
	int		k, d;
	bool	pooled; /* one array of second moments for all components */
	double *total;
	double *rest;
} clu_gmm_sums;

/* What a member of the team needs for itself. */
typedef struct clu_gmm_member
{
	double *sums;	 /* over the share at hand */
	double *panel;	 /* most_panels * 32 * d */
	double *white;	 /* the same, of tied: the factor times the points */
	double *term;	 /* most_panels * k * 32: log terms, then responsibilities */
	double *largest; /* most_panels * 32: terms */
	double *total;	 /* the same: of the exponentials of terms less the largest */
	double *weight;	 /* the same */
	bool   *active;	 /* most_panels * k */
	double *scratch;
	double *matrix[3]; /* d * d each */

	size_t fetched; /* points of the next chunk that were asked for */
	size_t pairs;	/* of points and components, as far as they were looked at */
	size_t near;	/* those of them that count */

	uint32_t *order; /* the points of a share, by owners */
	uint32_t *place; /* k + 1: where those of each owner begin */

	/* of the last refit, and the components that were this member's */
	bool unchanged;
	int	 flaws; /* components held up by the floor */
} clu_gmm_member;

typedef struct clu_gmm
{
	clu_gmm_frame frame;
	clu_gmm_frame identity; /* for points that are in these coordinates already */
	double		 *ridge;	/* d: explicit reg_covar */
	bool		  explicit_ridge;
	double		  known_variance; /* of "fixed" */
	bool		  matrices;		  /* full or tied */

	/* tables of the parameters at hand */
	double *factor;	  /* packed inverse Cholesky factors, or inverse standard deviations */
	double *log_root; /* k, or 1 of tied: sums of the logs of the factors' diagonals */
	double *white;	  /* k * d, of tied: the factor times the means */
	double *ones;	  /* d, likewise */
	double *constant; /* k: log weight less the log of what normalises the density */

	clu_gmm_sums	  sums;
	double			  sum_of_sizes;
	const uint32_t	 *label;	   /* whose the points are; NULL: the E-step shares them out */
	uint32_t		 *owner;	   /* n: whose the points were most, in the last pass */
	const clu_points *owned;	   /* the points that it is of; NULL: none */
	bool			  in_order;	   /* points are worked on by owners */
	size_t			  pairs, near; /* in the last pass: what the members saw */
	int				  most_panels; /* that are worked on together */
	int				  members;
	clu_gmm_member	 *member;

	bool   unchanged; /* by the last refit */
	int	   flaws;	  /* components held up by the floor, in the last refit */
	double last_objective;

	/* starts: a sample of the points, in coordinates of the fit */
	clu_points sample;
	clu_fit	   on_sample; /* the fit, to the sample */
	clu_points seen;	  /* as K-means is to see it */
	clu_fit	   kmeans;
	clu_seeder seeder;
	double	  *champion; /* parameters */
	double	  *within;	 /* the mean covariance of the best trial's components */
	double	  *pooled;	 /* parameters of: */
	clu_model  whole;	 /* all points as one component */

	/* the best run that ended with flaws, while others are tried */
	bool	sound; /* the trial of the start at hand had none */
	int		retries;
	double *kept; /* parameters */
	int		kept_flaws;
	double	kept_objective;
	int64_t kept_iteration;
	bool	kept_converged;
} clu_gmm;

/* Where the sums lie. */
static inline double *
clu_gmm_sum_of(double *sums)
{
	return sums;
}

static inline double *
clu_gmm_count_of(double *sums, int c)
{
	return sums + 1 + c;
}

static inline double *
clu_gmm_first_of(const clu_gmm_sums *shape, double *sums, int c)
{
	return sums + 1 + (size_t) shape->k + (size_t) c * (size_t) shape->d;
}

static inline double *
clu_gmm_second_of(const clu_gmm_sums *shape, double *sums, int c)
{
	return sums + 1 + (size_t) shape->k * ((size_t) shape->d + 1) +
		   (shape->pooled ? 0 : (size_t) c * shape->width);
}

/* Whether columns share one unit. */
static inline bool
clu_gmm_has_one_scale(int structure)
{
	return structure == CLU_COV_SPHERICAL || structure == CLU_COV_FIXED;
}

/* ---- gmm.c ---- */

/*
 * The power of two that brings a variance into [1/2, 2).  A column (or table) of equal values has
 * none: then a thousandth of the value is its unit.
 */
double clu_gmm_scale_of_variance(double variance, double value);

/* What follows from the frame; and an error where its units square beyond double precision. */
void	   clu_gmm_set_units(clu_fit *fit);
clu_status clu_gmm_check_range(clu_fit *fit);

/* ---- gmm_step.c ---- */

/* Verbs as they stand (fit.h). */
clu_status clu_gmm_begin_step(clu_fit *fit);
int		   clu_gmm_statistics(clu_fit *fit, clu_statistic *list);
clu_status clu_gmm_reframe_step(clu_fit *fit);

/* ---- gmm_estep.c ---- */

void clu_gmm_sums_layout(clu_gmm *state, clu_arena *arena, int structure, int k, int d);
void clu_gmm_members_layout(clu_gmm *state, clu_arena *arena, const clu_points *points, int k,
							int d);

/*
 * Verbs as they stand (fit.h).  With labels, these say whose the points are, tables are not made,
 * and the log-likelihood stays 0.
 */
void clu_gmm_prepare(clu_fit *fit);
void clu_gmm_accumulate(clu_fit *fit, const clu_block *block, int member);
void clu_gmm_collect(clu_fit *fit, int member);

/* After the last block: the sums are in total. */
void clu_gmm_close(clu_gmm *state);

/* ---- gmm_tables.c ---- */

/*
 * The inverse factor of a component, as a matrix or as inverse standard deviations; with tied,
 * number 0 is that of all.  Returns the sum of the logs of its diagonal.
 */
double clu_gmm_factor(const clu_model *model, size_t c, double *factor,
					  const clu_interrupt *interrupt);

/* After clu_gmm_sums_layout. */
void clu_gmm_tables_layout(clu_gmm *state, clu_arena *arena, int structure, int k, int d);

/* From the parameters at hand. */
void clu_gmm_make_tables(clu_fit *fit);

/* Who does what is to be done for the matrix of every component: a team where it pays. */
clu_team *clu_gmm_matrix_team(const clu_fit *fit);

extern const clu_task clu_gmm_factor_task;

/* ---- gmm_mstep.c ---- */

/* New parameters from the sums. */
void clu_gmm_refit(clu_fit *fit);

extern const clu_task clu_gmm_refit_task;

/* ---- gmm_sample.c ---- */

/* How K-means may see the sample. */
typedef enum clu_gmm_view
{
	CLU_GMM_AS_IT_IS,
	CLU_GMM_STANDARD,  /* variances of one */
	CLU_GMM_PRINCIPAL, /* the first principal component of that */
	CLU_GMM_WHITE,	   /* unit covariance */
	CLU_GMM_WITHIN	   /* unit covariance within the components of the best trial so far */
} clu_gmm_view;

void clu_gmm_sample_layout(const clu_fit *fit, clu_gmm *state, clu_arena *arena);

/* Points evenly spread over the canonical order, in coordinates of the fit. */
void clu_gmm_fill_sample(clu_fit *fit);

/* The sample as K-means is to see it. */
const clu_points *clu_gmm_see(clu_fit *fit, clu_gmm_view how);

/* ---- gmm_start.c ---- */

void			clu_gmm_start_layout(clu_fit *fit, clu_gmm *state, clu_arena *arena);
void			clu_gmm_take_sample(clu_fit *fit);
void			clu_gmm_start(clu_fit *fit, clu_random *random);
clu_improvement clu_gmm_improve(clu_fit *fit, bool converged, clu_random *random);

#endif
