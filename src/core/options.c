/*
 * options.c
 *		The table of options, and the checks that follow from it.
 */
#include "options.h"

#include <math.h>
#include <string.h>

#define FOR(algorithm) (1u << (algorithm))
#define FOR_HARD (FOR(CLU_KMEANS) | FOR(CLU_KMEDIANS))
#define FOR_MIXTURES (FOR(CLU_GMM) | FOR(CLU_BERNOULLI))
#define FOR_ALL (FOR_HARD | FOR_MIXTURES)

static const char *const init_choices[] = {"k-means++", "random", NULL};
static const char *const covariance_choices[] = {"full", "diag",  "spherical",
												 "tied", "fixed", NULL};
static const char *const weights_choices[] = {"free", "uniform", NULL};
static const char *const invalid_choices[] = {"error", "skip", NULL};

const clu_option_info clu_option_table[CLU_OPTION_COUNT] = {
	[CLU_INIT] = {"init", CLU_KIND_CHOICE, FOR_ALL, init_choices, 0, 0, false,
				  "\"k-means++\" or \"random\""},
	[CLU_N_INIT] = {"n_init", CLU_KIND_INTEGER, FOR_ALL, NULL, 1, 100000, false,
					"a whole number from 1 to 100000"},
	[CLU_MAX_ITER] = {"max_iter", CLU_KIND_INTEGER, FOR_ALL, NULL, 1, 1000000000, false,
					  "a whole number from 1 to 1000000000"},
	[CLU_TOL] = {"tol", CLU_KIND_NUMBER, FOR_ALL, NULL, 0, INFINITY, false,
				 "a number not less than 0"},
	[CLU_SEED] = {"seed", CLU_KIND_INTEGER, FOR_ALL, NULL, -INFINITY, INFINITY, false,
				  "a whole number (bigint)"},
	[CLU_BETA] = {"beta", CLU_KIND_NUMBER, FOR(CLU_KMEANS), NULL, 0, INFINITY, true,
				  "a number greater than 0"},
	[CLU_COVARIANCE] = {"covariance", CLU_KIND_CHOICE, FOR(CLU_GMM), covariance_choices, 0, 0,
						false, "\"full\", \"diag\", \"spherical\", \"tied\" or \"fixed\""},
	[CLU_VARIANCE] = {"variance", CLU_KIND_NUMBER, FOR(CLU_GMM), NULL, 0, INFINITY, true,
					  "a number greater than 0"},
	[CLU_REG_COVAR] = {"reg_covar", CLU_KIND_NUMBER, FOR(CLU_GMM), NULL, 0, INFINITY, false,
					   "a number not less than 0"},
	[CLU_WEIGHTS] = {"weights", CLU_KIND_CHOICE, FOR_MIXTURES, weights_choices, 0, 0, false,
					 "\"free\" or \"uniform\""},
	[CLU_SMOOTHING] = {"smoothing", CLU_KIND_NUMBER, FOR(CLU_BERNOULLI), NULL, 0, INFINITY, false,
					   "a number not less than 0"},
	[CLU_INVALID] = {"invalid", CLU_KIND_CHOICE, FOR_ALL, invalid_choices, 0, 0, false,
					 "\"error\" or \"skip\""},
	[CLU_ALLOW_FEWER] = {"allow_fewer", CLU_KIND_BOOLEAN, FOR_ALL, NULL, 0, 1, false,
						 "true or false"},
};

const char *
clu_algorithm_name(int algorithm)
{
	switch (algorithm)
	{
		case CLU_KMEANS:
			return "kmeans";
		case CLU_KMEDIANS:
			return "kmedians";
		case CLU_GMM:
			return "gmm";
		case CLU_BERNOULLI:
			return "bernoulli";
	}
	return NULL;
}

bool
clu_option_applies(int option, clu_algorithm algorithm)
{
	return (clu_option_table[option].algorithms >> algorithm) & 1;
}

int
clu_option_find(const char *name, size_t length)
{
	for (int option = 0; option < CLU_OPTION_COUNT; option++)
		if (strlen(clu_option_table[option].name) == length &&
			memcmp(clu_option_table[option].name, name, length) == 0)
			return option;
	return -1;
}

static void
store_integer(clu_options *options, int option, int64_t value)
{
	options->value[option].integer = value;
	options->set |= 1u << option;
}

static void
store_number(clu_options *options, int option, double value)
{
	options->value[option].number = value;
	options->set |= 1u << option;
}

void
clu_options_default(clu_options *options, clu_algorithm algorithm)
{
	bool mixture = algorithm == CLU_GMM || algorithm == CLU_BERNOULLI;

	memset(options, 0, sizeof(*options));
	store_integer(options, CLU_INIT, CLU_INIT_PLUSPLUS);
	store_integer(options, CLU_N_INIT, 1);
	store_integer(options, CLU_MAX_ITER, 300);
	store_number(options, CLU_TOL, mixture ? 1e-6 : 0);
	store_integer(options, CLU_SEED, 0);
	store_integer(options, CLU_INVALID, CLU_INVALID_ERROR);
	store_integer(options, CLU_ALLOW_FEWER, 0);
	if (mixture)
		store_integer(options, CLU_WEIGHTS, CLU_WEIGHTS_FREE);
	if (algorithm == CLU_GMM)
	{
		store_integer(options, CLU_COVARIANCE, CLU_COV_FULL);
		store_number(options, CLU_VARIANCE, 1);
	}
	if (algorithm == CLU_BERNOULLI)
		store_number(options, CLU_SMOOTHING, 0);
}

static bool
in_range(const clu_option_info *info, double value)
{
	return isfinite(value) && value >= info->least && value <= info->most &&
		   !(info->least_excluded && value == info->least);
}

bool
clu_option_set_text(clu_options *options, int option, const char *text, size_t length)
{
	const clu_option_info *info = &clu_option_table[option];

	if (info->kind != CLU_KIND_CHOICE)
		return false;
	for (int choice = 0; info->choices[choice] != NULL; choice++)
		if (strlen(info->choices[choice]) == length &&
			memcmp(info->choices[choice], text, length) == 0)
		{
			store_integer(options, option, choice);
			return true;
		}
	return false;
}

bool
clu_option_set_integer(clu_options *options, int option, int64_t value)
{
	const clu_option_info *info = &clu_option_table[option];

	if (!in_range(info, (double) value))
		return false;
	if (info->kind == CLU_KIND_INTEGER)
		store_integer(options, option, value);
	else if (info->kind == CLU_KIND_NUMBER)
		store_number(options, option, (double) value);
	else
		return false;
	return true;
}

bool
clu_option_set_number(clu_options *options, int option, double value)
{
	const clu_option_info *info = &clu_option_table[option];

	if (info->kind == CLU_KIND_INTEGER && value == rint(value) && fabs(value) < 0x1p63)
		return clu_option_set_integer(options, option, (int64_t) value);
	if (info->kind != CLU_KIND_NUMBER || !in_range(info, value))
		return false;
	store_number(options, option, value);
	return true;
}

bool
clu_option_set_boolean(clu_options *options, int option, bool value)
{
	if (clu_option_table[option].kind != CLU_KIND_BOOLEAN)
		return false;
	store_integer(options, option, value);
	return true;
}

static bool
value_allowed(const clu_options *options, int option)
{
	const clu_option_info *info = &clu_option_table[option];
	clu_options			   scratch = {0};
	int64_t				   integer = options->value[option].integer;

	switch (info->kind)
	{
		case CLU_KIND_CHOICE:
			for (int choice = 0; info->choices[choice] != NULL; choice++)
				if (integer == choice)
					return true;
			return false;
		case CLU_KIND_BOOLEAN:
			return integer == 0 || integer == 1;
		case CLU_KIND_INTEGER:
			return clu_option_set_integer(&scratch, option, integer);
		case CLU_KIND_NUMBER:
			return clu_option_set_number(&scratch, option, options->value[option].number);
	}
	return false;
}

bool
clu_options_valid(const clu_options *options, clu_algorithm algorithm)
{
	if (options->set >> CLU_OPTION_COUNT)
		return false;
	for (int option = 0; option < CLU_OPTION_COUNT; option++)
		if (clu_option_is_set(options, (clu_option) option) &&
			!(clu_option_applies(option, algorithm) && value_allowed(options, option)))
			return false;
	return true;
}
