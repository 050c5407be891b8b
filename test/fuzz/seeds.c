/*
 * seeds.c
 *		Writes the corpora that fuzzing begins with: small models of every kind, states of steps
 *		from them, changes of such states, samples of rows, and lists of options.
 *
 * Run by `make fuzz-corpus`, with the folder of the corpora as its argument, when the format of a
 * model or a state has changed.  Inputs that once were faults stand beside these, under names that
 * say what they did.
 */
#include "model_values.h"

#include "exercise.h"

static const char *folder;

static void
write_seed(const char *corpus, const char *name, int number, const void *bytes, size_t length)
{
	char  path[4096];
	FILE *file;

	snprintf(path, sizeof(path), "%s/%s/%s-%02d", folder, corpus, name, number);
	file = fopen(path, "wb");
	if (file == NULL || fwrite(bytes, 1, length, file) != length || fclose(file) != 0)
	{
		perror(path);
		exit(1);
	}
}

static void
write_state(int kind, value v)
{
	clu_model *model = exercise_decode(v.bytes, v.length);
	clu_error  error;
	clu_step  *step = exercise_open_step(model, v.length, &error);
	void	  *state;

	if (step != NULL)
	{
		state = exercise_new_state(step, v.bytes, EXERCISE_ROWS / 2);
		/* the others, for the rows or bins in them, are made from what write_changes writes */
		if (clu_step_size(step) < 4096)
			write_seed("state", "step", kind, state, clu_step_size(step));
		free(state);
		exercise_close_step(step);
	}
	exercise_drop(model);
}

/* See fuzz_step.c: the state's last sum, and the row that it has buffered, are changed. */
static void
write_changes(int kind, value v)
{
	static const uint8_t changes[] = "\xf8\xff\xff\xff\0\0\0\0\0\0\xf0\x3f"
									 "\xa8\0\0\0\0\0\0\0\0\0\0\x40";
	size_t				 length = 2 + v.length + sizeof(changes) - 1;
	uint8_t				*input = test_memory(length);

	clu_put_u16(input, (uint16_t) v.length);
	memcpy(input + 2, v.bytes, v.length);
	memcpy(input + 2 + v.length, changes, sizeof(changes) - 1);
	write_seed("step", "changes", kind, input, length);
	free(input);
}

static void
write_sketch(int number, int d, uint32_t most)
{
	size_t size = clu_sketch_size(d, 8, most);
	void  *sketch = test_memory(size);
	double row[4] = {0};

	clu_sketch_clear(sketch, d, 8, most, 7);
	for (int i = 0; i < 10; i++)
	{
		row[0] = i;
		clu_sketch_add(sketch, row, 1, 1 + i % 3);
	}
	write_seed("state", "sample", number, sketch, size);
	free(sketch);
}

/* See fuzz_options.c. */
static void
write_options(void)
{
	static const uint8_t numbers[] = "\x02\x02\x04"
									 "beta\0\0\0\0\0\0\xe0\x3f\x02\x03tol\0\0\0\0\0\0\0\0"
									 "\x01\x04seed\xff\xff\xff\xff\xff\xff\xff\x7f";
	static const uint8_t choices[] = "\0\0\x04init\x06random\0\x07invalid\x04skip\x03\x0b"
									 "allow_fewer\x01";
	static const uint8_t gmm[] = "\x02\0\x0a"
								 "covariance\x05"
								 "fixed\x02\x08variance\0\0\0\0\0\0\x10\x40\x02\xff\x01";

	write_seed("options", "numbers", 0, numbers, sizeof(numbers) - 1);
	write_seed("options", "choices", 0, choices, sizeof(choices) - 1);
	write_seed("options", "gmm", 0, gmm, sizeof(gmm) - 1);
}

int
main(int argc, char **argv)
{
	if (argc != 2)
		return 1;
	folder = argv[1];
	clu_kernel_choose();
	for (int kind = 0; kind < KINDS; kind++)
	{
		value v = kind_of_value(kind);

		write_seed("model", "model", kind, v.bytes, v.length);
		write_state(kind, v);
		write_changes(kind, v);
		free(v.bytes);
	}
	write_sketch(0, 1, 4);
	write_sketch(1, 3, 12);
	write_options();
	return 0;
}
