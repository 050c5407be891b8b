/*
 * problems.h
 *		Random fits of all algorithms and options: data of many kinds, each the same for its number.
 *
 * CLUSTERING_TEST_LONG=1 tries many times as many; CLUSTERING_TEST_CASE=N only number N, which is
 * what a failure names.
 */
#ifndef PROBLEMS_H
#define PROBLEMS_H

#include "gmm_fitting.h"

/* How many times the sanitizers make all this slower. */
#if defined(__SANITIZE_ADDRESS__)
#define SLOWER 10
#elif defined(__has_feature)
#if __has_feature(address_sanitizer) || __has_feature(memory_sanitizer)
#define SLOWER 10
#endif
#endif
#ifndef SLOWER
#define SLOWER 1
#endif

typedef enum data_kind
{
	NORMAL,
	GROUPS,
	SMALL_INTEGERS,
	COLLINEAR,
	CONSTANT_COLUMNS,
	HEAVY_TAILS,
	UNEQUAL_COLUMNS,
	FEW_DISTINCT,
	FAR_FROM_ORIGIN,
	DATA_KINDS
} data_kind;

static const char *const kind_names[] = {
	"normal",	   "groups",		  "small integers", "collinear",	   "constant columns",
	"heavy tails", "unequal columns", "few distinct",	"far from origin",
};

typedef enum weight_kind
{
	NO_WEIGHTS,
	WHOLE_WEIGHTS,
	FRACTIONS,
	WIDE_WEIGHTS,
	WEIGHT_KINDS
} weight_kind;

typedef struct problem
{
	uint64_t	  number;
	clu_algorithm algorithm;
	data_kind	  kind;
	weight_kind	  weights;
	int			  exponent; /* the data are multiplied by two to this power */
	clu_rows	  rows;
	int			  k;
	clu_options	  options;
} problem;

static inline uint64_t
number_of_cases(uint64_t few, uint64_t many)
{
	return getenv("CLUSTERING_TEST_LONG") != NULL ? many : few / SLOWER;
}

/* Whether a case is to be tried, which also makes the random numbers its own. */
static inline bool
try_case(uint64_t number)
{
	const char *only = getenv("CLUSTERING_TEST_CASE");

	random_seed(number);
	return only == NULL || strtoull(only, NULL, 10) == number;
}

/* The first few failures say what they are about. */
__attribute__((format(printf, 2, 3))) static inline void
report_case(const problem *p, const char *text, ...)
{
	static int reports = 0;
	va_list	   arguments;

	if (++reports > 20)
		return;
	printf("# case %llu: %s, %s, 2^%d, weights %d, n %zu, d %d, k %d: ",
		   (unsigned long long) p->number, clu_algorithm_name(p->algorithm), kind_names[p->kind],
		   p->exponent, (int) p->weights, p->rows.n, p->rows.d, p->k);
	va_start(arguments, text);
	vprintf(text, arguments);
	va_end(arguments);
	printf("\n");
}

/* ---- data ---- */

static inline void
fill_row(clu_rows *rows, size_t i, data_kind kind)
{
	double group = (double) random_below(4), common = random_normal();

	for (int j = 0; j < rows->d; j++)
	{
		double value = random_normal();

		switch (kind)
		{
			case GROUPS:
				value = value / 4 + group * (j % 2 ? 3 : -5);
				break;
			case SMALL_INTEGERS:
				value = (double) random_below(5) - 1;
				break;
			case COLLINEAR:
				value = j < 2 ? value : common * j + get_value(rows, i, 0);
				break;
			case CONSTANT_COLUMNS:
				value = j % 2 ? 7.25 : value;
				break;
			case HEAVY_TAILS:
				value /= random_unit() * random_unit() + 0x1p-20;
				break;
			case UNEQUAL_COLUMNS:
				value = (value + group) * ldexp(1, (j * 17) % 40 - 20);
				break;
			case FEW_DISTINCT:
				value = j == 0 ? (double) random_below(3) : get_value(rows, i, 0) * j;
				break;
			case FAR_FROM_ORIGIN:
				value += 0x1p24 * (j + 1) + group;
				break;
			default:
				break;
		}
		set_value(rows, i, j, value);
	}
}

static inline void
add_random_weights(clu_rows *rows, weight_kind kind)
{
	double *w = kind == NO_WEIGHTS ? NULL : add_weights(rows);

	for (size_t i = 0; i < rows->n && w != NULL; i++)
		if (kind == WHOLE_WEIGHTS)
			w[i] = 1 + (double) random_below(4);
		else if (kind == FRACTIONS)
			w[i] = (1 + (double) random_below(40)) / 8;
		else
			w[i] = ldexp(0.1 + random_unit(), (int) random_below(40) - 20);
}

/* Rows of 0 and 1 around a few prototypes. */
static inline void
fill_bits(clu_rows *rows)
{
	for (size_t i = 0; i < rows->n; i++)
	{
		uint64_t prototype = random_below(3);

		for (int j = 0; j < rows->d; j++)
			set_value(rows, i, j,
					  random_below(5) == 0 ? random_bits() & 1 : prototype >> j % 2 & 1);
	}
}

static inline clu_rows
packed_rows(const clu_rows *rows)
{
	clu_rows packed = {.n = rows->n, .d = rows->d, .width = CLU_PACKED};

	packed.x = test_memory(rows->n * clu_words(rows->d) * sizeof(uint64_t));
	for (size_t i = 0; i < rows->n; i++)
		clu_pack((const double *) rows->x + i * (size_t) rows->d, rows->d,
				 (uint64_t *) packed.x + i * clu_words(rows->d));
	if (rows->w != NULL)
		memcpy(add_weights(&packed), rows->w, rows->n * sizeof(double));
	return packed;
}

/* ---- options ---- */

static inline void
choose(clu_options *options, int option)
{
	const char *const *names = clu_option_table[option].choices;
	size_t			   count = 0;

	while (names[count] != NULL)
		count++;
	count = random_below(count);
	clu_option_set_text(options, option, names[count], strlen(names[count]));
}

static inline bool
one_in(uint64_t n)
{
	return random_below(n) == 0;
}

static inline clu_options
random_options(const problem *p)
{
	clu_options options;

	clu_options_default(&options, p->algorithm);
	clu_option_set_integer(&options, CLU_SEED, (int64_t) random_below(1000));
	clu_option_set_boolean(&options, CLU_ALLOW_FEWER, true);
	clu_option_set_integer(&options, CLU_N_INIT, 1 + (int64_t) random_below(2));
	if (one_in(2))
		choose(&options, CLU_INIT);
	if (one_in(3))
		clu_option_set_integer(&options, CLU_MAX_ITER, 1 + (int64_t) random_below(20));
	if (one_in(3))
		clu_option_set_number(&options, CLU_TOL, one_in(2) ? 0 : 1e-4);
	if (p->algorithm == CLU_KMEANS && one_in(2))
		clu_option_set_number(&options, CLU_BETA,
							  ldexp(0.1 + random_unit(), (int) random_below(8) - 2 * p->exponent));
	if (p->algorithm == CLU_GMM)
		choose(&options, CLU_COVARIANCE);
	if (p->algorithm == CLU_GMM)
		clu_option_set_number(&options, CLU_VARIANCE, ldexp(1, 2 * p->exponent));
	if (p->algorithm == CLU_GMM || p->algorithm == CLU_BERNOULLI)
		choose(&options, CLU_WEIGHTS);
	if (p->algorithm == CLU_BERNOULLI && one_in(2))
		clu_option_set_number(&options, CLU_SMOOTHING, one_in(2) ? 1 : 0.01);
	return options;
}

/* ---- the whole ---- */

static inline problem
random_problem(uint64_t number)
{
	static const int exponents[] = {0, 0, 0, 0, 0, 0, 20, -20, 380, -380};
	problem			 p = {.number = number,
						  .algorithm = (clu_algorithm) (1 + random_below(4)),
						  .kind = (data_kind) random_below(DATA_KINDS),
						  .weights = one_in(2) ? NO_WEIGHTS : (weight_kind) random_below(WEIGHT_KINDS)};
	size_t			 n = 1 + random_below(one_in(5) ? 150 : 40);
	int				 d = 1 + (int) random_below(6);

	p.rows = make_rows(n, d, 8);
	if (p.algorithm == CLU_BERNOULLI)
		fill_bits(&p.rows);
	else
	{
		p.exponent = exponents[random_below(10)];
		for (size_t i = 0; i < n; i++)
		{
			fill_row(&p.rows, i, p.kind);
			for (int j = 0; j < d; j++)
				set_value(&p.rows, i, j, ldexp(get_value(&p.rows, i, j), p.exponent));
		}
	}
	add_random_weights(&p.rows, p.weights);
	p.k = 1 + (int) random_below(one_in(6) ? n : CLU_MIN(n, 5));
	if (p.k > 15)
		p.k = 15;
	p.options = random_options(&p);
	return p;
}

/* Fit rows as the problem says; packed on the way where the algorithm wants bits. */
static inline void
fit_problem(fitted *f, const problem *p, const clu_rows *rows, const clu_model *start)
{
	clu_rows packed;

	if (p->algorithm != CLU_BERNOULLI)
	{
		fit_in_team(f, rows, p->algorithm, p->k, &p->options, start, NULL);
		return;
	}
	packed = packed_rows(rows);
	fit_in_team(f, &packed, p->algorithm, p->k, &p->options, start, NULL);
	free_rows(&packed);
}

/* ---- models as bytes ---- */

typedef struct encoded
{
	uint8_t *bytes;
	size_t	 size;
} encoded;

static inline encoded
encode_model(fitted *f)
{
	encoded e = {NULL, 0};

	if (f->status != CLU_OK)
		return e;
	e.size = clu_encoded_size(&f->fit.model);
	e.bytes = test_memory(e.size);
	clu_encode(&f->fit.model, e.bytes);
	return e;
}

/* Whether two fits ended alike: in the same bytes, or in the same error. */
static inline bool
same_outcome(fitted *a, fitted *b)
{
	encoded ea = encode_model(a), eb = encode_model(b);
	bool	same = a->status == b->status && ea.size == eb.size &&
				(ea.size == 0 || memcmp(ea.bytes, eb.bytes, ea.size) == 0);

	free(ea.bytes);
	free(eb.bytes);
	return same;
}

#endif
