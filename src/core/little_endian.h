/*
 * little_endian.h
 *		Numbers as little-endian bytes, whatever the machine and wherever the bytes lie.
 *
 * Shifts, not casts: neither alignment nor byte order matters, and compilers turn each of these
 * into one load or store where the machine is little-endian itself.
 */
#ifndef CLU_LITTLE_ENDIAN_H
#define CLU_LITTLE_ENDIAN_H

#include <stdint.h>
#include <string.h>

static inline uint16_t
clu_get_u16(const uint8_t *bytes)
{
	return (uint16_t) (bytes[0] | bytes[1] << 8);
}

static inline uint32_t
clu_get_u32(const uint8_t *bytes)
{
	return (uint32_t) bytes[0] | (uint32_t) bytes[1] << 8 | (uint32_t) bytes[2] << 16 |
		   (uint32_t) bytes[3] << 24;
}

static inline uint64_t
clu_get_u64(const uint8_t *bytes)
{
	return (uint64_t) bytes[0] | (uint64_t) bytes[1] << 8 | (uint64_t) bytes[2] << 16 |
		   (uint64_t) bytes[3] << 24 | (uint64_t) bytes[4] << 32 | (uint64_t) bytes[5] << 40 |
		   (uint64_t) bytes[6] << 48 | (uint64_t) bytes[7] << 56;
}

/* The bits of a negative number are those of its two's complement, which is what int64_t has. */
static inline int64_t
clu_get_i64(const uint8_t *bytes)
{
	uint64_t bits = clu_get_u64(bytes);
	int64_t	 value;

	memcpy(&value, &bits, sizeof(value));
	return value;
}

static inline double
clu_get_f64(const uint8_t *bytes)
{
	uint64_t bits = clu_get_u64(bytes);
	double	 value;

	memcpy(&value, &bits, sizeof(value));
	return value;
}

static inline void
clu_put_u16(uint8_t *bytes, uint16_t value)
{
	bytes[0] = (uint8_t) value;
	bytes[1] = (uint8_t) (value >> 8);
}

static inline void
clu_put_u32(uint8_t *bytes, uint32_t value)
{
	bytes[0] = (uint8_t) value;
	bytes[1] = (uint8_t) (value >> 8);
	bytes[2] = (uint8_t) (value >> 16);
	bytes[3] = (uint8_t) (value >> 24);
}

static inline void
clu_put_u64(uint8_t *bytes, uint64_t value)
{
	bytes[0] = (uint8_t) value;
	bytes[1] = (uint8_t) (value >> 8);
	bytes[2] = (uint8_t) (value >> 16);
	bytes[3] = (uint8_t) (value >> 24);
	bytes[4] = (uint8_t) (value >> 32);
	bytes[5] = (uint8_t) (value >> 40);
	bytes[6] = (uint8_t) (value >> 48);
	bytes[7] = (uint8_t) (value >> 56);
}

static inline void
clu_put_i64(uint8_t *bytes, int64_t value)
{
	clu_put_u64(bytes, (uint64_t) value);
}

static inline void
clu_put_f64(uint8_t *bytes, double value)
{
	uint64_t bits;

	memcpy(&bits, &value, sizeof(bits));
	clu_put_u64(bytes, bits);
}

#endif
