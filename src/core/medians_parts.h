/*
 * medians_parts.h
 *		What medians.c and medians_walk.c share: members of clusters, and weights in fixed point.
 */
#ifndef CLU_MEDIANS_PARTS_H
#define CLU_MEDIANS_PARTS_H

#include "exact.h"
#include "medians.h"

#define CLU_CHECK_STEPS 1024u /* between two checks: each may touch another page */

static inline bool
is_of(const clu_medians *m, uint32_t point, uint32_t c)
{
	return m->low[point] == (uint8_t) c && (m->k <= UINT8_MAX + 1 || m->label[point] == c);
}

static inline uint32_t
label_of(const clu_medians *m, uint32_t point)
{
	return m->k <= UINT8_MAX + 1 ? m->low[point] : m->label[point];
}

static inline int64_t
unit_hi(const clu_medians *m, size_t point)
{
	return m->points->w == NULL ? 1 : m->unit_hi[point];
}

static inline int64_t
unit_lo(const clu_medians *m, size_t point)
{
	return m->points->w == NULL ? 0 : m->unit_lo[point];
}

/* ---- fixed point numbers, compared ---- */

/* A carried number hi + lo * 2^-40: |lo| is at most half a unit of hi. */
typedef struct fixed
{
	int64_t hi, lo;
} fixed;

static inline int
sign_of(fixed a)
{
	int64_t part = a.hi != 0 ? a.hi : a.lo;

	return (part > 0) - (part < 0);
}

/* total - 2 part */
static inline fixed
less_twice(fixed total, fixed part)
{
	fixed result = {total.hi - 2 * part.hi, total.lo - 2 * part.lo};

	clu_exact_carry(&result.hi, &result.lo, 1);
	return result;
}

static inline fixed
weight_of(const clu_medians *m, int c)
{
	return (fixed) {m->total->weight_hi[c], m->total->weight_lo[c]};
}

static inline fixed
weight_below(const clu_medians *m, size_t at)
{
	return (fixed) {m->total->below_hi[at], m->total->below_lo[at]};
}

#endif
