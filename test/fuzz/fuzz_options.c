/*
 * fuzz_options.c
 *		Any names and values as options: what a setter takes is valid, and kept by a model's bytes.
 *
 * The input is a byte for the algorithm, and then entries: a byte for the kind of the value, a
 * byte for the length of the name and the name, and eight bytes of value, or a byte for the length
 * of a text and the text.
 */
#include "fuzz.h"

typedef struct input
{
	const uint8_t *at, *end;
} input;

/* So many bytes in memory of their own, or fewer at the end; free them. */
static char *
take(input *from, size_t *length)
{
	char *bytes;

	if (*length > (size_t) (from->end - from->at))
		*length = (size_t) (from->end - from->at);
	bytes = exercise_copy(from->at, *length);
	from->at += *length;
	return bytes;
}

static uint8_t
take_byte(input *from)
{
	return from->at < from->end ? *from->at++ : 0;
}

static uint64_t
take_word(input *from)
{
	uint8_t bytes[8] = {0};

	for (int i = 0; i < 8; i++)
		bytes[i] = take_byte(from);
	return clu_get_u64(bytes);
}

/* A name of any bytes, or the name of an option, which a fuzzer would be long in finding. */
static int
take_option(input *from)
{
	size_t length = take_byte(from);
	char  *name;
	int	   option;

	if (length >= 128)
		return (int) length % CLU_OPTION_COUNT;
	name = take(from, &length);
	option = clu_option_find(name, length);
	free(name);
	if (option < -1 || option >= CLU_OPTION_COUNT)
		fuzz_expect("a name is found where there is none");
	return option;
}

static bool
set_text(clu_options *options, int option, input *from)
{
	const char *const *choices = clu_option_table[option].choices;
	size_t			   length = take_byte(from);
	char			  *text;
	bool			   set;

	if (length >= 128 && choices != NULL)
		return clu_option_set_text(options, option, choices[0], strlen(choices[0]));
	text = take(from, &length);
	set = clu_option_set_text(options, option, text, length);
	free(text);
	return set;
}

static bool
set_value(clu_options *options, int option, int kind, input *from)
{
	uint64_t word;
	int64_t	 integer;
	double	 number;

	switch (kind)
	{
		case CLU_KIND_CHOICE:
			return set_text(options, option, from);
		case CLU_KIND_BOOLEAN:
			return clu_option_set_boolean(options, option, take_byte(from) & 1);
	}
	word = take_word(from);
	memcpy(&integer, &word, sizeof(word));
	memcpy(&number, &word, sizeof(word));
	return kind == CLU_KIND_INTEGER ? clu_option_set_integer(options, option, integer)
									: clu_option_set_number(options, option, number);
}

/* A model with these options; what is wrong with its bytes. */
static const char *
encode(const clu_options *options, clu_algorithm algorithm)
{
	double	  parameter[8] = {1, 0, 0, 0.5, 1};
	clu_model model = {.algorithm = algorithm, .k = 1, .d = 1, .options = *options};
	size_t	  length;
	uint8_t	 *bytes;
	bool	  accepted;

	if (clu_option_is_set(options, CLU_COVARIANCE))
		model.structure = (int) clu_option_integer(options, CLU_COVARIANCE);
	if (model.structure == CLU_COV_FIXED && clu_option_is_set(options, CLU_VARIANCE))
		parameter[4] = clu_option_number(options, CLU_VARIANCE);
	clu_model_bind(&model, parameter);
	length = clu_encoded_size(&model);
	bytes = test_memory(length);
	clu_encode(&model, bytes);
	fuzz_expect(exercise_model(bytes, length, &accepted));
	free(bytes);
	return accepted || parameter[4] < 0x1p-1022 ? NULL : "options make a model invalid";
}

int
LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t length)
{
	input		  from = {bytes, bytes + length};
	clu_algorithm algorithm = (clu_algorithm) (1 + take_byte(&from) % CLU_ALGORITHMS);
	clu_options	  options, wild;

	clu_kernel_choose();
	clu_options_default(&options, algorithm);
	while (from.at < from.end)
	{
		int			kind = take_byte(&from) % 4, option = take_option(&from);
		clu_options before = options;

		if (option < 0)
			continue;
		if (!set_value(&options, option, kind, &from) && memcmp(&before, &options, sizeof(before)))
			fuzz_expect("a value that is refused changes the options");
		if (!clu_option_applies(option, algorithm))
			options = before;
		if (!clu_options_valid(&options, algorithm))
			fuzz_expect("a value is set that is not valid");
	}
	fuzz_expect(encode(&options, algorithm));

	/* what decoding meets: any bits */
	memset(&wild, 0, sizeof(wild));
	memcpy(&wild, bytes, length < sizeof(wild) ? length : sizeof(wild));
	if (clu_options_valid(&wild, algorithm) && wild.set >> CLU_OPTION_COUNT)
		fuzz_expect("an option is valid that does not exist");
	return 0;
}
