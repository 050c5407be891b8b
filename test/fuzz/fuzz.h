/*
 * fuzz.h
 *		What the fuzz targets share.
 */
#ifndef FUZZ_H
#define FUZZ_H

#include "exercise.h"

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t length);

/* End the run, with the input kept, where something is wrong. */
static inline void
fuzz_expect(const char *wrong)
{
	if (wrong == NULL)
		return;
	fprintf(stderr, "%s\n", wrong);
	abort();
}

#endif
