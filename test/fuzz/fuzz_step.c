/*
 * fuzz_step.c
 *		A state that a step has made, and any changes to it.
 *
 * States of K-medians and of mixtures are too large to be made up as a whole.  So the input is a
 * model, two bytes of length and its bytes, which are repaired; and then changes: four bytes that
 * say where, from the end of the state where they are negative, and the eight bytes to put there.
 */
#include "fuzz.h"

#define CHANGE 12

static void
make_changes(uint8_t *state, size_t length, const uint8_t *at, const uint8_t *end)
{
	for (; end - at >= CHANGE; at += CHANGE)
	{
		uint32_t place = clu_get_u32(at), back = 0 - place;
		size_t	 from = place >> 31 ? length - back % length : place % length;

		memcpy(state + from, at + 4, CLU_MIN(length - from, 8));
	}
}

static void
change_state(const clu_model *model, const uint8_t *bytes, size_t length, const uint8_t *changes,
			 const uint8_t *end)
{
	clu_error error;
	clu_step *step = exercise_open_step(model, length, &error);
	uint8_t	 *state;

	if (step == NULL)
		return;
	state = exercise_new_state(step, bytes, 2 * EXERCISE_ROWS);
	make_changes(state, clu_step_size(step), changes, end);
	exercise_repair_state(state, clu_step_size(step));
	(void) exercise_state(state, clu_step_size(step));
	free(state);
	exercise_close_step(step);
}

int
LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t length)
{
	clu_model *model;
	uint8_t	  *copy;
	size_t	   size;

	if (length < 2)
		return 0;
	size = CLU_MIN(clu_get_u16(bytes), length - 2);
	copy = exercise_copy(bytes + 2, size);
	clu_kernel_choose();
	exercise_repair_length(copy, size);
	model = exercise_decode(copy, size);
	if (model != NULL)
		change_state(model, copy, size, bytes + 2 + size, bytes + length);
	exercise_drop(model);
	free(copy);
	return 0;
}
