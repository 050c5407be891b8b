/*
 * hash.c
 *		XXH64, after the specification of the xxHash algorithms (Yann Collet, 2012-2016).
 *
 * Four lanes take one little-endian word each of every block of 32 bytes: multiply, rotate,
 * multiply.  A step is a bijection of the lane for a given word, and of the word for a given lane,
 * so a change of one word always changes the lane.  The lanes depend on nothing but themselves,
 * so that a processor works on all four at once: several bytes per cycle, 100 MB in some 10 ms.
 * In the end the lanes are folded into one, the bytes left over are stirred in, and the final
 * avalanche spreads every bit over all 64.
 *
 * A known hash rather than a new one: its quality has been tested for years, its values can be
 * checked against any other implementation, and readers of the model format elsewhere have it.
 */
#include "hash.h"

#include "little_endian.h"

#define PRIME_1 UINT64_C(0x9E3779B185EBCA87)
#define PRIME_2 UINT64_C(0xC2B2AE3D27D4EB4F)
#define PRIME_3 UINT64_C(0x165667B19E3779F9)
#define PRIME_4 UINT64_C(0x85EBCA77C2B2AE63)
#define PRIME_5 UINT64_C(0x27D4EB2F165667C5)

static inline uint64_t
rotate(uint64_t x, int bits)
{
	return x << bits | x >> (64 - bits);
}

static inline uint64_t
step(uint64_t lane, uint64_t word)
{
	return rotate(lane + word * PRIME_2, 31) * PRIME_1;
}

static inline uint64_t
fold(uint64_t hash, uint64_t lane)
{
	return (hash ^ step(0, lane)) * PRIME_1 + PRIME_4;
}

static uint64_t
avalanche(uint64_t hash)
{
	hash = (hash ^ hash >> 33) * PRIME_2;
	hash = (hash ^ hash >> 29) * PRIME_3;
	return hash ^ hash >> 32;
}

void
clu_hash_start(clu_hash *hash, uint64_t seed)
{
	hash->seed = seed;
	hash->lane[0] = seed + PRIME_1 + PRIME_2;
	hash->lane[1] = seed + PRIME_2;
	hash->lane[2] = seed;
	hash->lane[3] = seed - PRIME_1;
	hash->length = 0;
}

void
clu_hash_blocks(clu_hash *hash, const uint8_t *bytes, size_t blocks)
{
	uint64_t a = hash->lane[0], b = hash->lane[1], c = hash->lane[2], d = hash->lane[3];

	for (size_t i = 0; i < blocks; i++, bytes += CLU_HASH_BLOCK)
	{
		a = step(a, clu_get_u64(bytes));
		b = step(b, clu_get_u64(bytes + 8));
		c = step(c, clu_get_u64(bytes + 16));
		d = step(d, clu_get_u64(bytes + 24));
	}
	hash->lane[0] = a;
	hash->lane[1] = b;
	hash->lane[2] = c;
	hash->lane[3] = d;
	hash->length += (uint64_t) blocks * CLU_HASH_BLOCK;
}

/* What the blocks come to; without any, the lanes count for nothing. */
static uint64_t
folded(const clu_hash *hash)
{
	const uint64_t *lane = hash->lane;
	uint64_t		value;

	if (hash->length == 0)
		return hash->seed + PRIME_5;

	value = rotate(lane[0], 1) + rotate(lane[1], 7) + rotate(lane[2], 12) + rotate(lane[3], 18);
	for (int i = 0; i < 4; i++)
		value = fold(value, lane[i]);
	return value;
}

uint64_t
clu_hash_finish(const clu_hash *hash, const uint8_t *rest, size_t length)
{
	clu_hash state = *hash;
	uint64_t value;

	clu_hash_blocks(&state, rest, length / CLU_HASH_BLOCK);
	rest += length / CLU_HASH_BLOCK * CLU_HASH_BLOCK;
	length %= CLU_HASH_BLOCK;
	value = folded(&state) + state.length + length;

	for (; length >= 8; length -= 8, rest += 8)
		value = rotate(value ^ step(0, clu_get_u64(rest)), 27) * PRIME_1 + PRIME_4;
	if (length >= 4)
	{
		value = rotate(value ^ clu_get_u32(rest) * PRIME_1, 23) * PRIME_2 + PRIME_3;
		length -= 4;
		rest += 4;
	}
	for (; length > 0; length--, rest++)
		value = rotate(value ^ *rest * PRIME_5, 11) * PRIME_1;
	return avalanche(value);
}

uint64_t
clu_hash_bytes(const uint8_t *bytes, size_t length, uint64_t seed)
{
	clu_hash hash;

	clu_hash_start(&hash, seed);
	return clu_hash_finish(&hash, bytes, length);
}
