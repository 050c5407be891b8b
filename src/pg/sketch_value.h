/*
 * sketch_value.h
 *		Samples of rows as values of type bytea (sketch_aggregate.c).
 */
#ifndef CLU_PG_SKETCH_VALUE_H
#define CLU_PG_SKETCH_VALUE_H

#include "postgres.h"

#include "compat.h"
#include "sketch.h"

/* Flags of cluster_sketch. */
#define CLU_PG_SKETCH_PACKED 1 /* points of 0 and 1, kept as bits */
#define CLU_PG_SKETCH_SKIP 2   /* leave invalid points out */

/* The sample in a value that lies as it has to (state_value.h); an error where it's none. */
extern const void *clu_pg_sketch_check(bytea *value, bool quick);

/* Row i as doubles, and its weight. */
extern void clu_pg_sketch_values(const void *sketch, uint32 i, double *values, double *weight);

#endif
