/*
 * fuzz_model.c
 *		Any bytes as a model: as they are, and with their length and hashes repaired.
 */
#include "fuzz.h"

int
LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t length)
{
	uint8_t *copy = exercise_copy(bytes, length);
	bool	 accepted;

	clu_kernel_choose();
	fuzz_expect(exercise_model(copy, length, &accepted));
	exercise_repair_length(copy, length);
	fuzz_expect(exercise_model(copy, length, &accepted));
	free(copy);
	return 0;
}
