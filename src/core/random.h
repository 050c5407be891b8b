/*
 * random.h
 *		A counter-based random number generator.
 *
 * Draws are a pure function of (seed, stream, counter), so that a fit can be repeated, and the
 * same on every machine.  The mixing function is the finaliser of SplitMix64 (Steele, Lea and
 * Flood, "Fast Splittable Pseudorandom Number Generators", OOPSLA 2014).
 */
#ifndef CLU_RANDOM_H
#define CLU_RANDOM_H

#include "base.h"

typedef struct clu_random
{
	uint64_t key;
	uint64_t counter;
} clu_random;

static inline uint64_t
clu_mix64(uint64_t z)
{
	z = (z ^ (z >> 30)) * UINT64_C(0xbf58476d1ce4e5b9);
	z = (z ^ (z >> 27)) * UINT64_C(0x94d049bb133111eb);
	return z ^ (z >> 31);
}

static inline clu_random
clu_random_start(int64_t seed, uint64_t stream)
{
	clu_random random = {clu_mix64((uint64_t) seed + UINT64_C(0x9e3779b97f4a7c15)), 0};

	random.key = clu_mix64(random.key ^ clu_mix64(stream + UINT64_C(0xd1b54a32d192ed03)));
	return random;
}

static inline uint64_t
clu_random_bits(clu_random *random)
{
	random->counter++;
	return clu_mix64(random->key + random->counter * UINT64_C(0x9e3779b97f4a7c15));
}

/* Uniform in [0, 1), a multiple of 2^-53. */
static inline double
clu_random_uniform(clu_random *random)
{
	return (double) (clu_random_bits(random) >> 11) * 0x1p-53;
}

/* Uniform in 0 .. n - 1; the bias of n / 2^64 is of no consequence for choosing a row. */
static inline uint64_t
clu_random_below(clu_random *random, uint64_t n)
{
	return clu_random_bits(random) % n;
}

#endif
