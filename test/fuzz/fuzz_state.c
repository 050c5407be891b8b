/*
 * fuzz_state.c
 *		Any bytes as a state of a step, or as the sample that a fit over a query begins with.
 *
 * A state carries its model, whose hashes are repaired, and its length, which is set.
 */
#include "fuzz.h"

int
LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t length)
{
	uint8_t *copy = exercise_copy(bytes, length);

	clu_kernel_choose();
	(void) exercise_sketch(copy, length);
	(void) exercise_state(copy, length);
	exercise_repair_state(copy, length);
	(void) exercise_state(copy, length);
	free(copy);
	return 0;
}
