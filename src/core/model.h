/*
 * model.h
 *		A model: the clusters, how they came about, and nothing that could be derived.
 *
 * Made by a fit, by a constructor or from bytes (model_bytes.h).  The parameters are one array of
 * doubles in the order of the model format, with pointers into it:
 *
 *		weight[k]		share of the cluster; the shares sum to one
 *		size[k]			total weight (responsibility) of its points; 0 where not fitted
 *		cost[k]			its part of the objective; 0 for mixtures and where not fitted
 *		center[k * d]	mean, median, or for Bernoulli mixtures theta
 *		covariance[..]	by structure, see clu_covariance_count
 */
#ifndef CLU_MODEL_H
#define CLU_MODEL_H

#include "base.h"
#include "options.h"

enum
{
	CLU_MODEL_FITTED = 1 << 0,	   /* not made by hand: rows, sizes, objective are known */
	CLU_MODEL_CONVERGED = 1 << 1,  /* the fit was at its fixed point, or within tol of it */
	CLU_MODEL_LIKELIHOOD = 1 << 2, /* log_likelihood is known */
	CLU_MODEL_BRACKETS = 1 << 3,   /* K-medians, between steps: brackets are there */
	CLU_MODEL_KNOWN_FLAGS = (1 << 4) - 1
};

/* One step of a fit, for cluster_trace. */
typedef struct clu_trace
{
	uint32_t run;		/* 1 ..: starts and attempts; not all need have a step */
	uint32_t iteration; /* 1 .. */
	double	 objective; /* with the centres that the refit of this iteration made */
	uint64_t changed;	/* points that changed their cluster in it */
} clu_trace;

/*
 * Where a step of K-medians is to look for the medians (step_kmedians.c).  What it finds is proven
 * by the rows that it sees: brackets are nothing but hints, which cost more passes where they are
 * wrong.
 */
typedef struct clu_brackets
{
	uint32_t  passes; /* since the centres moved */
	uint32_t  moved;  /* centres, in the refit that made them */
	uint32_t  taken;  /* rows that clusters without any take */
	double	 *range;  /* k * d pairs: low, high */
	uint32_t *taker;  /* taken: the cluster, ascending */
	double	 *row;	  /* taken * d */
} clu_brackets;

#define CLU_MOST_TAKEN 64

typedef struct clu_model
{
	clu_algorithm algorithm;
	int			  structure; /* of the covariances (CLU_COV_...); 0 without */
	uint32_t	  flags;
	int			  k;
	int			  d;
	uint64_t	  identity; /* hash of the content: equal models, equal identity */

	int64_t rows;
	int64_t skipped;
	int64_t iterations; /* refits of the run that won */
	double	total_weight;
	double	objective;
	double	log_likelihood;

	clu_options options;

	double *parameter; /* all of the following, one after the other */
	double *weight;
	double *size;
	double *cost;
	double *center;
	double *covariance;

	clu_trace *trace;
	size_t	   trace_count;

	clu_brackets brackets; /* with the flag; else zero */
} clu_model;

/* Doubles in the covariance part: k*d*d full, k*d diag, k spherical, d*d tied, 1 fixed; else 0. */
size_t clu_covariance_count(clu_algorithm algorithm, int structure, int k, int d);

/* Doubles in parameter[]; SIZE_MAX where that overflows. */
size_t clu_parameter_count(clu_algorithm algorithm, int structure, int k, int d);

/* Point weight .. covariance into the parameters. */
void clu_model_bind(clu_model *model, double *parameter);

/*
 * Whether the parameters are numbers: finite, and no variance below the least.  Sums over points
 * that are too far from one another, or from a start model, end in others.
 */
bool clu_model_in_range(const clu_model *model);

/* The same for the result of a fit, with its objective. */
clu_status clu_model_check_range(const clu_model *model, clu_error *error);

/* Memory for the arrays of brackets with so many taken rows; they are not set. */
void clu_brackets_layout(clu_brackets *brackets, clu_arena *arena, int k, int d, uint32_t taken);

/* Copy brackets of k clusters and d dimensions into arrays that have room for them. */
void clu_brackets_copy(clu_brackets *to, const clu_brackets *from, int k, int d);

/* Take the brackets from a model. */
void clu_model_drop_brackets(clu_model *model);

static inline bool
clu_model_has_brackets(const clu_model *model)
{
	return (model->flags & CLU_MODEL_BRACKETS) != 0;
}

/* Free parameters, for AIC and BIC. */
double clu_free_parameters(const clu_model *model);

static inline bool
clu_model_is_mixture(const clu_model *model)
{
	return model->algorithm == CLU_GMM || model->algorithm == CLU_BERNOULLI;
}

static inline bool
clu_model_is_soft(const clu_model *model)
{
	return model->algorithm == CLU_KMEANS && clu_option_is_set(&model->options, CLU_BETA);
}

#endif
