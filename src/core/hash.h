/*
 * hash.h
 *		XXH64: a 64-bit hash of bytes, the same on every machine.
 *
 * Either in one call, or piecewise: start, any number of blocks of 32 bytes, and finish with what
 * is left (of any length), which gives the hash of all of them in a row.
 *
 * Not cryptographic: it tells models apart and finds damage, it does not stop a forger.
 */
#ifndef CLU_HASH_H
#define CLU_HASH_H

#include <stddef.h>
#include <stdint.h>

#define CLU_HASH_BLOCK 32

typedef struct clu_hash
{
	uint64_t seed;
	uint64_t lane[4];
	uint64_t length; /* bytes of the blocks so far */
} clu_hash;

void	 clu_hash_start(clu_hash *hash, uint64_t seed);
void	 clu_hash_blocks(clu_hash *hash, const uint8_t *bytes, size_t blocks);
uint64_t clu_hash_finish(const clu_hash *hash, const uint8_t *rest, size_t length);

uint64_t clu_hash_bytes(const uint8_t *bytes, size_t length, uint64_t seed);

#endif
