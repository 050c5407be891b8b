/*
 * options.h
 *		The options of a fit: one table says which there are, for whom, and what they may be.
 *
 * The SQL side reads a jsonb object key by key into clu_options; the model carries the options
 * it was fitted with.  The numbers of the keys are part of the model format: they never change
 * their meaning.
 */
#ifndef CLU_OPTIONS_H
#define CLU_OPTIONS_H

#include "base.h"

typedef enum clu_algorithm
{
	CLU_KMEANS = 1,
	CLU_KMEDIANS = 2,
	CLU_GMM = 3,
	CLU_BERNOULLI = 4
} clu_algorithm;

#define CLU_ALGORITHMS 4

typedef enum clu_option
{
	CLU_INIT,
	CLU_N_INIT,
	CLU_MAX_ITER,
	CLU_TOL,
	CLU_SEED,
	CLU_BETA,
	CLU_COVARIANCE,
	CLU_VARIANCE,
	CLU_REG_COVAR,
	CLU_WEIGHTS,
	CLU_SMOOTHING,
	CLU_INVALID,
	CLU_ALLOW_FEWER,
	CLU_OPTION_COUNT
} clu_option;

typedef enum clu_option_kind
{
	CLU_KIND_CHOICE,  /* integer: number of the choice */
	CLU_KIND_INTEGER, /* integer */
	CLU_KIND_NUMBER,  /* number */
	CLU_KIND_BOOLEAN  /* integer: 0 or 1 */
} clu_option_kind;

enum
{
	CLU_INIT_PLUSPLUS,
	CLU_INIT_RANDOM
};

enum
{
	CLU_COV_FULL,
	CLU_COV_DIAG,
	CLU_COV_SPHERICAL,
	CLU_COV_TIED,
	CLU_COV_FIXED
};

enum
{
	CLU_WEIGHTS_FREE,
	CLU_WEIGHTS_UNIFORM
};

enum
{
	CLU_INVALID_ERROR,
	CLU_INVALID_SKIP
};

typedef union clu_option_value
{
	int64_t integer;
	double	number;
} clu_option_value;

/* A value per key; keys without the bit in set are absent. */
typedef struct clu_options
{
	uint32_t		 set;
	clu_option_value value[CLU_OPTION_COUNT];
} clu_options;

typedef struct clu_option_info
{
	const char		  *name;
	clu_option_kind	   kind;
	uint32_t		   algorithms; /* bit 1 << algorithm */
	const char *const *choices;	   /* of a choice, NULL after the last */
	double			   least, most;
	bool			   least_excluded;
	const char		  *allowed; /* for messages */
} clu_option_info;

extern const clu_option_info clu_option_table[CLU_OPTION_COUNT];

/* Names as they stand in SQL: "kmeans", "kmedians", "gmm", "bernoulli"; NULL where unknown. */
const char *clu_algorithm_name(int algorithm);

bool clu_option_applies(int option, clu_algorithm algorithm);

/* The number of a key, or -1. */
int clu_option_find(const char *name, size_t length);

void clu_options_default(clu_options *options, clu_algorithm algorithm);

/*
 * Set one option; false where the kind or the value is not allowed.  A number is taken for an
 * integer where it is whole.
 */
bool clu_option_set_text(clu_options *options, int option, const char *text, size_t length);
bool clu_option_set_integer(clu_options *options, int option, int64_t value);
bool clu_option_set_number(clu_options *options, int option, double value);
bool clu_option_set_boolean(clu_options *options, int option, bool value);

/* Whether every set value is allowed for the algorithm: what decoding a model checks. */
bool clu_options_valid(const clu_options *options, clu_algorithm algorithm);

static inline bool
clu_option_is_set(const clu_options *options, clu_option option)
{
	return (options->set >> option) & 1;
}

static inline int64_t
clu_option_integer(const clu_options *options, clu_option option)
{
	return options->value[option].integer;
}

static inline double
clu_option_number(const clu_options *options, clu_option option)
{
	return options->value[option].number;
}

#endif
