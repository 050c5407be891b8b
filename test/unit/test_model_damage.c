/*
 * test_model_damage.c
 *		What is not a model is refused, for the right reason, and never read beyond its end.  What is
 *		accepted is a model like any other.
 *
 * With CLUSTERING_TEST_LONG in the environment there are a million mutations, else fewer.
 *
 * Stand-alone; prints TAP.
 */
#include "model_values.h"

#include "exercise.h"

#define MUTATIONS 40000
#define MANY_MUTATIONS 1000000

static void
repair(value v)
{
	exercise_repair(v.bytes, v.length);
}

static value
copy_of(value v, size_t length)
{
	value copy = {malloc(length == 0 ? 1 : length), length};

	memcpy(copy.bytes, v.bytes, CLU_MIN(length, v.length));
	if (length > v.length)
		memset(copy.bytes + v.length, 0, length - v.length);
	return copy;
}

static clu_status
status_of(value v, clu_error *error)
{
	clu_model  model;
	void	  *memory;
	clu_status status = decode(v, &model, &memory, error);

	free(memory);
	return status;
}

static bool
refused(value v)
{
	clu_error  error = {NULL, 0, 0};
	clu_status status = status_of(v, &error);

	return (status == CLU_DAMAGED || status == CLU_NEWER_FORMAT) && error.reason != NULL;
}

/* Refused with this reason, after the hashes were repaired. */
static bool
refused_for(value v, const char *reason)
{
	clu_error error = {"", 0, 0};

	repair(v);
	if (status_of(v, &error) == CLU_DAMAGED && strcmp(error.reason, reason) == 0)
		return true;
	printf("# %s\n# instead of %s\n", error.reason, reason);
	return false;
}

static void
test_truncation(void)
{
	bool all = true;

	for (int n = 0; n < KINDS; n++)
	{
		value v = kind_of_value(n);

		for (size_t length = 0; length <= v.length + 24; length++)
		{
			value cut = copy_of(v, length);

			all = all && (length == v.length || refused(cut));
			if (length >= CLU_MODEL_HEADER && length != v.length)
			{
				clu_put_u64(cut.bytes + 24, length);
				repair(cut);
				all = all && refused(cut);
			}
			free(cut.bytes);
		}
		free(v.bytes);
	}
	ok(all, "every truncation and extension is refused, also with length and hashes repaired");
}

static void
test_bit_flips(void)
{
	bool all = true;

	for (int n = 0; n < KINDS; n++)
	{
		value v = kind_of_value(n);

		for (size_t bit = 0; bit < v.length * 8; bit++)
		{
			v.bytes[bit / 8] ^= (uint8_t) (1 << bit % 8);
			all = all && refused(v);
			v.bytes[bit / 8] ^= (uint8_t) (1 << bit % 8);
		}
		free(v.bytes);
	}
	ok(all, "every single flipped bit is refused");
}

/* Print what is wrong with the value of an accepted model, and the value. */
static bool
makes_sense(value v, bool *accepted)
{
	const char *wrong = exercise_model(v.bytes, v.length, accepted);

	if (wrong == NULL)
		return true;
	printf("# %s:", wrong);
	for (size_t i = 0; i < v.length; i++)
		printf("%s%02x", i % 32 == 0 ? "\n# " : "", v.bytes[i]);
	printf("\n");
	return false;
}

/* The hashes must not be what saves us. */
static void
test_bit_flips_with_repaired_hashes(void)
{
	bool all = true, accepted;
	int	 flips = 0, models = 0;

	for (int n = 0; n < KINDS; n++)
	{
		value golden = kind_of_value(n);

		for (size_t bit = 0; bit < golden.length * 8; bit++)
		{
			value v = copy_of(golden, golden.length);

			v.bytes[bit / 8] ^= (uint8_t) (1 << bit % 8);
			repair(v);
			all = makes_sense(v, &accepted) && all;
			flips++;
			models += accepted;
			free(v.bytes);
		}
		free(golden.bytes);
	}
	printf("# %d of %d flipped bits leave a model\n", models, flips);
	ok(all && models > 0, "with repaired hashes a flipped bit is refused, or leaves a model that "
						  "answers as a model does");
}

static void
test_newer_format(void)
{
	value	  v = kind_of_value(0), cut;
	clu_error error;

	clu_put_u16(v.bytes + 8, 2);
	cut = copy_of(v, 10);
	ok(status_of(cut, &error) == CLU_NEWER_FORMAT && error.expected == 1 && error.found == 2,
	   "a newer format is told from ten bytes");
	clu_put_u16(v.bytes + 8, 0);
	ok(refused_for(v, "The format version is {found}."), "format 0 is damage");
	free(cut.bytes);
	free(v.bytes);
}

typedef struct hostile
{
	int			kind;	/* of model: kind_of_value */
	size_t		offset; /* of eight bytes */
	uint64_t	bits;
	const char *reason;
} hostile;

#define BITS_NAN UINT64_C(0x7ff8000000000000)
#define BITS_PAYLOAD UINT64_C(0xfff0000000000abc)
#define BITS_INFINITY UINT64_C(0x7ff0000000000000)
#define BITS_NEGATIVE_ZERO UINT64_C(0x8000000000000000)
#define BITS_TWO UINT64_C(0x4000000000000000)
#define BITS_MINUS_ONE UINT64_C(0xbff0000000000000)
#define BITS_DENORMAL UINT64_C(0x000fffffffffffff)

/*
 * Kind 9 is a fitted kmedians with k = 1, d = 2; 2 a bernoulli by hand with k = 3, d = 3; 12 a
 * fitted gmm with k = 1, d = 1, diag; 11 one with k = 3, d = 4, full.  Kind 19 is a kmedians with
 * brackets and k = 3, d = 2; they end with two rows that clusters 2 and 3 take.
 */
static const hostile hostiles[] = {
	{9, 8, 9 << 16 | 1, "The algorithm {found} is unknown."},
	{9, 8, UINT64_C(0x0001) | 2 << 16 | 1 << 24,
	 "The covariance structure {found} is unknown for the algorithm."},
	{12, 8, UINT64_C(0x0001) | 3 << 16 | 5 << 24,
	 "The covariance structure {found} is unknown for the algorithm."},
	{9, 8, UINT64_C(0x1100020001), "The flags {found} are not all known."},
	{9, 8, UINT64_C(0x200020001), "A model that is not fitted has the flags {found} of a fit."},
	{9, 8, UINT64_C(0x500020001), "The model has a log-likelihood without being a mixture."},
	{9, 16, UINT64_C(0x200000000), "The number of clusters is {found}."},
	{9, 16, UINT64_C(0x280000000), "The number of clusters is {found}."},
	{9, 16, 1, "The number of dimensions is {found}."},
	{9, 16, UINT64_C(0xffffffff00000001), "The number of dimensions is {found}."},
	{9, 16, UINT64_C(0x7fffffff7fffffff),
	 "There are {found} parameters, the clusters need {expected}."},
	{11, 16, UINT64_C(0x7fffffff7fffffff),
	 "There are {found} parameters, the clusters need {expected}."},
	{9, 24, 1, "The value has {found} bytes, its header says {expected}."},
	{9, 48, UINT64_MAX, "The number of rows is {found}."},
	{9, 56, UINT64_MAX, "The number of skipped rows is {found}."},
	{9, 64, BITS_NAN, "The total weight is {found}."},
	{9, 64, BITS_MINUS_ONE, "The total weight is {found}."},
	{9, 64, BITS_NEGATIVE_ZERO, "A number is a negative zero."},
	{9, 72, BITS_INFINITY, "The objective is {found}."},
	{12, 72, BITS_PAYLOAD, "The objective is {found}."},
	{9, 80, BITS_TWO, "The log-likelihood is {found} and marked as not known."},
	{12, 80, BITS_NAN, "The log-likelihood is {found}."},
	{9, 88, UINT64_MAX, "The number of iterations is {found}."},
	{9, 96, UINT64_C(0xffffffffffffffff),
	 "Options and trace need {expected} bytes, after the parameters there are {found}."},
	{9, 104, UINT64_MAX, "{found} parameters do not fit into {expected} bytes."},
	{9, 104, 4, "There are {found} parameters, the clusters need {expected}."},
	{9, 112, 1, "Reserved byte {expected} of the header is {found}, not 0."},
	{9, 120, UINT64_C(1) << 63, "Reserved byte {expected} of the header is {found}, not 0."},
	{0, 48, 1, "A model that is not fitted has the figures of a fit."},
	{9, 128, BITS_TWO, "The weights sum to {found} instead of {expected}."},
	{9, 128, BITS_NAN, "The weight of a cluster is {found}."},
	{9, 128, BITS_MINUS_ONE, "The weight of a cluster is {found}."},
	{9, 128, BITS_NEGATIVE_ZERO, "A number is a negative zero."},
	{9, 136, BITS_MINUS_ONE, "The size of a cluster is {found}."},
	{2, 152, BITS_TWO, "The size of a cluster is {found}, without a fit."},
	{9, 144, BITS_MINUS_ONE, "The objective of a cluster is {found}."},
	{12, 144, BITS_TWO, "The objective of a cluster is {found} where there is none."},
	{9, 152, BITS_INFINITY, "An element of a center is {found}."},
	{9, 152, BITS_PAYLOAD, "An element of a center is {found}."},
	{2, 200, BITS_TWO, "A probability is {found}."},
	{2, 200, BITS_MINUS_ONE, "A probability is {found}."},
	{12, 160, 0, "A variance is {found}."},
	{12, 160, BITS_DENORMAL, "A variance is {found}."},
	{12, 160, BITS_INFINITY, "A variance is {found}."},
	{11, 304, BITS_TWO, "Covariance matrix {found} is not symmetric."},
	{11, 304, BITS_NAN, "Covariance matrix {found} is not symmetric."},
	{11, 296, BITS_MINUS_ONE, "Covariance matrix {found} is not positive definite."},
	{11, 296, BITS_INFINITY, "Covariance matrix {found} is not positive definite."},
	{9, 168, UINT64_C(99), "The option key {found} is unknown."},
	{9, 168, UINT64_C(5), "An option has kind {found} instead of {expected}."},
	{9, 168, UINT64_C(0x200000005),
	 "The option key {found} is out of order."}, /* beta, before n_init */
	{9, 176, UINT64_C(2), "Option {found} is out of range, or not for the algorithm."},
	{9, 184, UINT64_C(0x100000000), "The option key {found} is out of order."},
	{9, 224, BITS_NAN, "Option {found} is out of range, or not for the algorithm."},
	{9, 224, BITS_NEGATIVE_ZERO, "A number is a negative zero."},
	{9, 280, 0, "The trace has a run or an iteration of number 0."},
	{9, 280, UINT64_C(0x100000000), "The trace has a run or an iteration of number 0."},
	{9, 280, UINT64_C(0x8000000000000001),
	 "The trace has a run or an iteration of number {found}."},
	{9, 280, UINT64_C(0x1ffffffff), "The trace has a run or an iteration of number {found}."},
	{9, 296, UINT64_MAX, "The trace counts {found} changed points."},
	{9, 288, BITS_INFINITY, "An objective in the trace is {found}."},
	{9, 288, BITS_NEGATIVE_ZERO, "A number is a negative zero."},
	{19, 8, UINT64_C(0xb00020001), "The model has brackets though it has converged."},
	{19, 8, UINT64_C(0x900010001), "The model has brackets without being one of K-medians."},
	{19, 8, UINT64_C(0x800020001), "A model that is not fitted has the flags {found} of a fit."},
	{19, 8, UINT64_C(0x100020001),
	 "Options and trace need {expected} bytes, after the parameters there are {found}."},
	{9, 8, UINT64_C(0x900020001),
	 "Options, trace and brackets need {expected} bytes, after the parameters there are {found}."},
	{18, 120, 1,
	 "Options, trace and brackets need {expected} bytes, after the parameters there are {found}."},
	{9, 112, UINT64_C(0x100000000), "Reserved byte {expected} of the header is {found}, not 0."},
	{19, 112, UINT64_C(0x400000002), "{found} of {expected} centers have moved."},
	{19, 120, 4, "{found} rows are taken, of at most {expected}."},
	{19, 120, UINT64_C(0xffffffff), "{found} rows are taken, of at most {expected}."},
	{19, 120, UINT64_C(0x100000002), "Reserved byte {expected} of the header is {found}, not 0."},
	{19, 432, BITS_NAN, "A bracket reaches from {expected} to {found}."},
	{19, 432, BITS_NEGATIVE_ZERO, "A number is a negative zero."},
	{19, 440, BITS_INFINITY, "A bracket reaches from {expected} to {found}."},
	{19, 440, UINT64_C(0xffefffffffffffff), "A bracket reaches from {expected} to {found}."},
	{19, 528, 0, "A row is taken by cluster {found} of {expected}."},
	{19, 528, 4, "A row is taken by cluster {found} of {expected}."},
	{19, 528, UINT64_MAX, "A row is taken by cluster {found} of {expected}."},
	{19, 528, 3, "A row is taken by cluster {found} out of order."},
	{19, 536, BITS_NAN, "An element of a taken row is {found}."},
	{19, 568, BITS_NEGATIVE_ZERO, "A number is a negative zero."},
};

static void
test_hostile(void)
{
	bool all = true;

	for (size_t i = 0; i < sizeof(hostiles) / sizeof(hostiles[0]); i++)
	{
		value v = kind_of_value(hostiles[i].kind);

		clu_put_u64(v.bytes + hostiles[i].offset, hostiles[i].bits);
		if (!refused_for(v, hostiles[i].reason))
		{
			printf("# hostile %d\n", (int) i);
			all = false;
		}
		free(v.bytes);
	}
	ok(all, "each rule refuses what breaks it, for its own reason, with the hashes repaired");
}

/* A word that is likely to hurt, in place of any. */
static void
mutate(value *v)
{
	static const uint64_t words[] = {0,
									 1,
									 2,
									 7,
									 UINT64_MAX,
									 INT64_MAX,
									 BITS_NAN,
									 BITS_PAYLOAD,
									 BITS_INFINITY,
									 BITS_NEGATIVE_ZERO,
									 BITS_TWO,
									 BITS_MINUS_ONE,
									 BITS_DENORMAL,
									 UINT64_C(0x3ff0000000000000),
									 UINT64_C(0x7fefffffffffffff),
									 UINT64_C(0x0010000000000000)};
	size_t at = random_below(v->length / 8) * 8, other = random_below(v->length / 8) * 8;
	value  longer;

	switch (random_below(8))
	{
		case 0:
			v->bytes[random_below(v->length)] = (uint8_t) random_below(256);
			break;
		case 1:
			v->bytes[random_below(v->length)] ^= (uint8_t) (1 << random_below(8));
			break;
		case 2:
			clu_put_u32(v->bytes + at + 4 * random_below(2), (uint32_t) random_below(9));
			break;
		case 3:
			memmove(v->bytes + at, v->bytes + other, 8);
			break;
		case 4: /* longer or shorter, and the header knows */
			longer = copy_of(*v, CLU_MAX(CLU_MODEL_HEADER, v->length + random_below(9) * 8 - 32));
			free(v->bytes);
			*v = longer;
			clu_put_u64(v->bytes + 24, v->length);
			break;
		case 5: /* the header, where most lengths come from */
			v->bytes[8 + random_below(120)] = (uint8_t) random_below(16);
			break;
		default:
			clu_put_u64(v->bytes + at, words[random_below(sizeof(words) / sizeof(words[0]))]);
	}
}

static void
test_mutations(void)
{
	int	 mutations = getenv("CLUSTERING_TEST_LONG") != NULL ? MANY_MUTATIONS : MUTATIONS;
	bool all = true;
	int	 models = 0;

	for (int i = 0; i < mutations; i++)
	{
		value v;
		bool  accepted;

		random_seed((uint64_t) i); /* each can be had alone */
		v = kind_of_value(i % KINDS);
		for (uint64_t changes = 1 + random_below(3); changes > 0; changes--)
			mutate(&v);
		repair(v);
		if (!makes_sense(v, &accepted))
		{
			printf("# mutation %d\n", i);
			all = false;
		}
		models += accepted;
		free(v.bytes);
	}
	printf("# %d of %d mutations are models\n", models, mutations);
	ok(all, "mutations with repaired hashes are refused, or are models that answer as models do");
	ok(models > mutations / 100 && models < mutations / 2, "and there are some of both");
}

int
main(void)
{
	clu_kernel_choose();
	test_truncation();
	test_bit_flips();
	test_bit_flips_with_repaired_hashes();
	test_newer_format();
	test_hostile();
	test_mutations();
	return finish_tests();
}
