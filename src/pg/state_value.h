/*
 * state_value.h
 *		States of steps and samples as values of type bytea, changed where they lie.
 *
 * Four bytes of zeros follow the length, so that the state behind them is aligned.
 */
#ifndef CLU_PG_STATE_VALUE_H
#define CLU_PG_STATE_VALUE_H

#include "postgres.h"

#include "compat.h"
#include "fmgr.h"
#include "utils/memutils.h"

#define CLU_PG_STATE_PADDING sizeof(int32)
#define CLU_PG_STATE_OVERHEAD (VARHDRSZ + CLU_PG_STATE_PADDING)
#define CLU_PG_LARGEST_STATE (MaxAllocSize - CLU_PG_STATE_OVERHEAD)

static inline void *
clu_pg_state(bytea *value)
{
	return VARDATA(value) + CLU_PG_STATE_PADDING;
}

static inline Size
clu_pg_state_size(const bytea *value)
{
	return VARSIZE(value) < CLU_PG_STATE_OVERHEAD ? 0 : VARSIZE(value) - CLU_PG_STATE_OVERHEAD;
}

/* Room for a state of this size, which is at most CLU_PG_LARGEST_STATE. */
static inline bytea *
clu_pg_state_new(Size size)
{
	bytea *value = palloc(size + CLU_PG_STATE_OVERHEAD);

	SET_VARSIZE(value, size + CLU_PG_STATE_OVERHEAD);
	memset(VARDATA(value), 0, CLU_PG_STATE_PADDING);
	return value;
}

/* A copy of a value, or with in_place itself where it lies as it has to. */
static inline bytea *
clu_pg_state_open(Datum datum, bool in_place)
{
	struct varlena *value = (struct varlena *) DatumGetPointer(datum);

	if (in_place && VARATT_IS_4B_U(value) && (void *) value == (void *) MAXALIGN(value))
		return value;
	return DatumGetByteaPCopy(datum);
}

#endif
