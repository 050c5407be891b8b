/*
 * test_state_damage.c
 *		States of steps, and samples, that were cut, flipped and overwritten: refused, or used without
 *		harm.
 *
 * Whoever damages a state repairs the hashes of the model in it and its length.  What is wrong is
 * for the sanitizers to see.  With CLUSTERING_TEST_LONG in the environment more bits are flipped.
 *
 * Stand-alone; prints TAP.
 */
#include "model_values.h"

#include "exercise.h"

#define FLIPS 2500
#define MANY_FLIPS 50000

/* States of K-medians are large, nearly all of it bins, and each try reads all of it. */
static bool
is_large(value v)
{
	return v.length > 100000;
}

static size_t
most_flips(value v)
{
	size_t flips = getenv("CLUSTERING_TEST_LONG") != NULL ? MANY_FLIPS : FLIPS;

	return is_large(v) ? flips / 10 : flips;
}

/* ---- states ---- */

static value
state_of_kind(int kind)
{
	value	   model_value = kind_of_value(kind), v = {NULL, 0};
	clu_model *model = exercise_decode(model_value.bytes, model_value.length);
	clu_error  error;
	clu_step  *step = exercise_open_step(model, model_value.length, &error);

	if (step != NULL)
	{
		v.length = clu_step_size(step);
		v.bytes = exercise_new_state(step, model_value.bytes, 5 * EXERCISE_ROWS);
		exercise_close_step(step);
	}
	exercise_drop(model);
	free(model_value.bytes);
	return v;
}

static value
sample_of_rows(int d, uint32_t most)
{
	value  v = {NULL, clu_sketch_size(d, 8, most)};
	double row[8] = {0};

	v.bytes = malloc(v.length);
	clu_sketch_clear(v.bytes, d, 8, most, 7);
	for (int i = 0; i < 10; i++)
	{
		row[0] = i;
		clu_sketch_add(v.bytes, row, 1, 1 + i % 3);
	}
	return v;
}

static bool
is_accepted(value v)
{
	return exercise_state(v.bytes, v.length) || exercise_sketch(v.bytes, v.length);
}

/* ---- damage ---- */

static value
damaged_copy(value v, size_t length)
{
	value copy = {malloc(length > 0 ? length : 1), length};

	memcpy(copy.bytes, v.bytes, length);
	return copy;
}

static void
repair(value v)
{
	exercise_repair_state(v.bytes, v.length);
}

static void
test_truncation(const char *name, value golden)
{
	size_t step = CLU_MAX(golden.length / 500, 1);
	bool   none = true;

	for (size_t length = 0; length < golden.length; length += length < 400 ? 1 : step)
	{
		value v = damaged_copy(golden, length);

		none = none && !is_accepted(v);
		repair(v);
		none = none && !is_accepted(v);
		free(v.bytes);
	}
	printf("# %s, %d bytes\n", name, (int) golden.length);
	ok(none, "every state that was cut is refused");
}

static void
test_bit_flips(value golden)
{
	size_t bits = golden.length * 8;
	size_t step = CLU_MAX(bits / most_flips(golden), 1);
	size_t first = is_large(golden) ? 13 : 1; /* not all of what small ones have, too */
	int	   flips = 0, states = 0;

	/* in all of the header and the model's, and here and there beyond */
	for (size_t bit = 0; bit < bits;
		 bit += bit < 8 * (sizeof(clu_step_header) + 128) ? first : step + random_below(step))
	{
		value v = damaged_copy(golden, golden.length);

		v.bytes[bit / 8] ^= (uint8_t) (1 << bit % 8);
		repair(v);
		flips++;
		states += is_accepted(v);
		free(v.bytes);
	}
	printf("# %d of %d are states\n", states, flips);
	ok(states > 0 && states < flips, "a flipped bit is refused or does no harm");
}

static void
test_words(value golden)
{
	static const uint64_t words[] = {0,
									 1,
									 UINT64_MAX,
									 INT64_MAX,
									 UINT64_C(1) << 63,
									 UINT64_C(1) << 31,
									 UINT64_C(0x7fffffff7fffffff),
									 UINT64_C(0x8000000080000000),
									 UINT64_C(0x7ff8000000000000),
									 UINT64_C(0x7ff0000000000000),
									 UINT64_C(0x7fefffffffffffff)};
	size_t				  step = CLU_MAX(golden.length / 8 / (most_flips(golden) / 10), 1) * 8;
	size_t				  first = is_large(golden) ? 3 : 1;
	int					  refused = 0;

	for (size_t at = 0; at + 8 <= golden.length; at += at < 400 ? 8 * first : step)
		for (size_t i = 0; i < sizeof(words) / sizeof(*words); i++)
		{
			value v = damaged_copy(golden, golden.length);

			memcpy(v.bytes + at, &words[i], 8);
			repair(v);
			refused += !is_accepted(v);
			free(v.bytes);
		}
	ok(refused > 0, "a word at the end of its range is refused or does no harm");
}

static void
test_value(const char *name, value golden)
{
	ok(is_accepted(golden), "what is not damaged is accepted");
	test_truncation(name, golden);
	test_bit_flips(golden);
	test_words(golden);
	free(golden.bytes);
}

int
main(void)
{
	clu_kernel_choose();
	for (int kind = 0; kind < KINDS; kind++)
	{
		value v = state_of_kind(kind);
		char  name[40];

		snprintf(name, sizeof(name), "kind %d", kind);
		if (v.bytes != NULL)
			test_value(name, v);
	}
	test_value("a sample", sample_of_rows(1, 4));
	test_value("a larger sample", sample_of_rows(5, 12));
	return finish_tests();
}
