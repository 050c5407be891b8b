/*
 * test_model_bytes.c
 *		The model format: doc/model-format.md, byte by byte.
 *
 * Stand-alone; prints TAP.
 */
#include "model_values.h"

static void
test_little_endian(void)
{
	uint8_t bytes[9] = {0};

	clu_put_u16(bytes + 1, 0x0123);
	ok(bytes[1] == 0x23 && bytes[2] == 0x01 && clu_get_u16(bytes + 1) == 0x0123, "u16");
	clu_put_u32(bytes + 1, UINT32_C(0x89abcdef));
	ok(bytes[1] == 0xef && bytes[4] == 0x89 && clu_get_u32(bytes + 1) == UINT32_C(0x89abcdef),
	   "u32");
	clu_put_u64(bytes + 1, UINT64_C(0xfedcba9876543210));
	ok(bytes[1] == 0x10 && bytes[8] == 0xfe &&
		   clu_get_u64(bytes + 1) == UINT64_C(0xfedcba9876543210),
	   "u64, at an odd address");
	clu_put_i64(bytes, -2);
	ok(bytes[0] == 0xfe && bytes[7] == 0xff && clu_get_i64(bytes) == -2, "i64 below zero");
	clu_put_f64(bytes, -1.5);
	ok(memcmp(bytes, "\0\0\0\0\0\0\xf8\xbf", 8) == 0 && clu_get_f64(bytes) == -1.5, "f64");
}

static void
test_hash(void)
{
	const char *text = "Nobody inspects the spammish repetition";
	const char *line = "0123456789abcdefghijklmnopqrstuv"; /* one block */
	clu_hash	hash;
	bool		same = true;

	ok(clu_hash_bytes((const uint8_t *) "", 0, 0) == UINT64_C(0xef46db3751d8e999) &&
		   clu_hash_bytes((const uint8_t *) "abc", 3, 0) == UINT64_C(0x44bc2cf5ad770999) &&
		   clu_hash_bytes((const uint8_t *) text, 39, 0) == UINT64_C(0xfbcea83c8a378bf1) &&
		   clu_hash_bytes((const uint8_t *) "xxhash", 6, 20141025) == UINT64_C(0xb559b98d844e0635),
	   "the published values of XXH64");

	for (size_t rest = 0; rest < 32; rest++)
	{
		uint8_t bytes[64];

		memcpy(bytes, line, 32);
		memcpy(bytes + 32, line, 32);
		clu_hash_start(&hash, 7);
		clu_hash_blocks(&hash, bytes, 1);
		same =
			same && clu_hash_finish(&hash, bytes + 32, rest) == clu_hash_bytes(bytes, 32 + rest, 7);
	}
	ok(same, "piecewise and in one call are the same");
}

static void
test_round_trips(void)
{
	bool all = true;

	for (int n = 0; n < KINDS; n++)
	{
		value v = kind_of_value(n);
		bool  decoded;

		all = all && round_trip(v, &decoded) && decoded;
		free(v.bytes);
	}
	ok(all, "every algorithm and structure, made by hand and fitted, survives the round trip");
}

/* Read every field back through decode, for one model. */
static void
test_fields(void)
{
	clu_model  model = make_model(CLU_GMM, CLU_COV_TIED, 3, 2, true), read;
	value	   v = encode(&model);
	clu_error  error;
	void	  *memory;
	clu_status status = decode(v, &read, &memory, &error);
	size_t	   count = clu_parameter_count(CLU_GMM, CLU_COV_TIED, 3, 2);

	ok(status == CLU_OK && read.algorithm == CLU_GMM && read.structure == CLU_COV_TIED &&
		   read.flags == 7 && read.k == 3 && read.d == 2,
	   "the shape comes back");
	ok(read.rows == 1000 && read.skipped == 3 && read.iterations == 17 &&
		   read.total_weight == 998.5 && read.objective == -INFINITY &&
		   read.log_likelihood == INFINITY,
	   "the summary comes back");
	ok(memcmp(read.parameter, model.parameter, count * sizeof(double)) == 0 &&
		   read.covariance == read.parameter + 15,
	   "the parameters come back");
	ok(memcmp(&read.options, &model.options, sizeof(clu_options)) == 0, "the options come back");
	ok(read.trace_count == 3 && read.trace[2].run == 1 && read.trace[2].iteration == 3 &&
		   read.trace[2].objective == 98 && read.trace[2].changed == 48,
	   "the trace comes back");
	ok(read.identity == model.identity && clu_header_identity(v.bytes) == model.identity,
	   "the identity is that of the writer");
	free(memory);
	free(v.bytes);
	drop_model(&model);
}

/* clang-format off */
static const uint8_t golden[248] = {
	'c', 'l', 'u', 's', 't', 'm', 'd', 'l',
	1, 0,									/* format version 1 */
	1,										/* kmeans */
	0,										/* no covariances */
	3, 0, 0, 0,								/* fitted, converged */
	2, 0, 0, 0,								/* k = 2 */
	1, 0, 0, 0,								/* d = 1 */
	248, 0, 0, 0, 0, 0, 0, 0,				/* length: 128 + 8 * 8 + 2 * 16 + 1 * 24 */
	0x55, 0xac, 0x5d, 0xce, 0xb1, 0x69, 0x6f, 0x66, /* identity */
	0x52, 0xf5, 0xdb, 0x3b, 0xae, 0xdd, 0x9a, 0x6b, /* checksum */
	4, 0, 0, 0, 0, 0, 0, 0,					/* 4 rows */
	1, 0, 0, 0, 0, 0, 0, 0,					/* 1 skipped */
	0, 0, 0, 0, 0, 0, 0x10, 0x40,			/* total weight 4 */
	0, 0, 0, 0, 0, 0, 0x00, 0x40,			/* objective 2 */
	0, 0, 0, 0, 0, 0, 0, 0,					/* no log-likelihood */
	2, 0, 0, 0, 0, 0, 0, 0,					/* 2 iterations */
	2, 0, 0, 0,								/* 2 options */
	1, 0, 0, 0,								/* 1 trace entry */
	8, 0, 0, 0, 0, 0, 0, 0,					/* 8 parameters */
	0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0,
	0, 0, 0, 0, 0, 0, 0xe8, 0x3f,			/* weights 0.75 */
	0, 0, 0, 0, 0, 0, 0xd0, 0x3f,			/* and 0.25 */
	0, 0, 0, 0, 0, 0, 0x08, 0x40,			/* sizes 3 */
	0, 0, 0, 0, 0, 0, 0xf0, 0x3f,			/* and 1 */
	0, 0, 0, 0, 0, 0, 0x00, 0x40,			/* costs 2 */
	0, 0, 0, 0, 0, 0, 0, 0,					/* and 0 */
	0, 0, 0, 0, 0, 0, 0xf0, 0x3f,			/* centres 1 */
	0, 0, 0, 0, 0, 0, 0x1c, 0xc0,			/* and -7 */
	3, 0, 0, 0, 2, 0, 0, 0,					/* tol, a number */
	0, 0, 0, 0, 0, 0, 0xe0, 0x3f,			/* 0.5 */
	4, 0, 0, 0, 1, 0, 0, 0,					/* seed, an integer */
	0xfb, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, /* -5 */
	1, 0, 0, 0, 1, 0, 0, 0,					/* run 1, iteration 1 */
	0, 0, 0, 0, 0, 0, 0x04, 0x40,			/* objective 2.5 */
	4, 0, 0, 0, 0, 0, 0, 0					/* 4 changed */
};
/* clang-format on */

static void
test_golden(void)
{
	double	  parameter[8] = {0.75, 0.25, 3, 1, 2, -0.0, 1, -7};
	clu_trace trace = {1, 1, 2.5, 4};
	clu_model model = {.algorithm = CLU_KMEANS,
					   .flags = CLU_MODEL_FITTED | CLU_MODEL_CONVERGED,
					   .k = 2,
					   .d = 1,
					   .rows = 4,
					   .skipped = 1,
					   .iterations = 2,
					   .total_weight = 4,
					   .objective = 2,
					   .log_likelihood = -0.0,
					   .trace = &trace,
					   .trace_count = 1};
	value	  v;
	bool	  decoded;

	clu_model_bind(&model, parameter);
	clu_option_set_number(&model.options, CLU_TOL, 0.5);
	clu_option_set_integer(&model.options, CLU_SEED, -5);
	v = encode(&model);
	ok(v.length == sizeof(golden) && memcmp(v.bytes, golden, 32) == 0 &&
		   memcmp(v.bytes + 48, golden + 48, sizeof(golden) - 48) == 0,
	   "a model is the documented bytes, and -0 is written as 0");
	ok(memcmp(v.bytes + 32, golden + 32, 16) == 0, "and its hashes are those of another XXH64");
	ok(round_trip(v, &decoded) && decoded, "the documented bytes are a model");
	free(v.bytes);
}

static void
test_identity(void)
{
	clu_model model = make_model(CLU_KMEDIANS, 0, 2, 3, true);
	uint64_t  first, again, other;

	free(encode(&model).bytes);
	first = model.identity;
	free(encode(&model).bytes);
	again = model.identity;
	model.center[5] = nextafter(model.center[5], INFINITY);
	free(encode(&model).bytes);
	other = model.identity;
	ok(first == again, "equal models have equal identities");
	ok(first != other, "the last bit of a parameter changes the identity");
	drop_model(&model);
}

static void
test_tolerances(void)
{
	clu_model model = make_model(CLU_KMEANS, 0, 2, 1, false);
	clu_error error;

	model.weight[0] = 0.5 + 0.9e-9;
	ok(clu_model_check(&model, NULL, NULL, &error) == CLU_OK, "weights may sum to 1 + 0.9e-9");
	model.weight[0] = 0.5 + 1.1e-9;
	ok(clu_model_check(&model, NULL, NULL, &error) == CLU_DAMAGED, "but not to 1 + 1.1e-9");
	model.weight[0] = 0;
	model.weight[1] = 1;
	ok(clu_model_check(&model, NULL, NULL, &error) == CLU_OK, "a weight may be 0");
	drop_model(&model);
}

static void
test_sizes(void)
{
	clu_model model = {.algorithm = CLU_GMM, .k = 2147483647, .d = 2147483647};

	ok(clu_encoded_size(&model) == SIZE_MAX, "a size that overflows is SIZE_MAX");
	model.k = model.d = 1;
	model.trace_count = SIZE_MAX / 8;
	ok(clu_encoded_size(&model) == SIZE_MAX, "and so is one with too long a trace");
}

int
main(void)
{
	test_little_endian();
	test_hash();
	test_round_trips();
	test_fields();
	test_golden();
	test_identity();
	test_tolerances();
	test_sizes();
	return finish_tests();
}
