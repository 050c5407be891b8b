/*
 * pg_clustering.h
 *		What the PostgreSQL side shares: reading points, running the core, caching models.
 */
#ifndef PG_CLUSTERING_H
#define PG_CLUSTERING_H

#include "postgres.h"

#include "fmgr.h"
#include "miscadmin.h"
#include "utils/memutils.h"

#include "base.h"
#include "compat.h"
#include "model.h"
#include "score.h"
#include "step.h"

/* ---- interrupts and memory for the core (runtime.c) ---- */

/* CHECK_FOR_INTERRUPTS as the core calls it. */
extern const clu_interrupt clu_pg_interrupt;

/*
 * Memory for an arena of this size, aligned for the core; an error where it is more than can be
 * addressed.  The arena is empty, ready for the layout functions to be run again.
 */
extern void clu_pg_arena(clu_arena *arena, MemoryContext context);

/* ---- points (point.c) ---- */

/*
 * A one-dimensional array as it lies in a datum, possibly unaligned and with a short header;
 * nothing is copied unless it was compressed or stored out of line.
 */
typedef struct clu_pg_point
{
	int			 d;
	Oid			 type; /* of the elements; VARBITOID for a bit string */
	const char	*data;
	const bits8 *nulls; /* NULL: none */
} clu_pg_point;

/* Read the header; an error for other shapes.  where is 0 or the position of the row. */
extern void clu_pg_point_open(clu_pg_point *point, Datum datum, int64 where);

/* The same for bit or bit varying. */
extern void clu_pg_bits_open(clu_pg_point *point, Datum datum, int64 where);

/* Either of these, by what a function takes. */
typedef void (*clu_pg_open)(clu_pg_point *point, Datum datum, int64 where);

/* The bytes in which the values are kept: 4 for real, else 8; an error for what is no number. */
extern int clu_pg_point_width(Oid element_type);

/*
 * Copy the values to floats (width 4) or doubles (width 8); false where an element is NULL, NaN
 * or infinite, with its subscript.
 */
extern bool clu_pg_point_read(const clu_pg_point *point, int width, void *values, int *invalid);

/*
 * Copy them to a packed row (points.h) instead, by way of a scratch of d doubles where they come
 * as numbers.  Values other than 0 and 1 are an error.
 */
extern bool clu_pg_point_pack(const clu_pg_point *point, uint64 *row, double *scratch, int64 where,
							  int *invalid);

/* The error for what clu_pg_point_read found. */
pg_noreturn extern void clu_pg_point_report(const clu_pg_point *point, int invalid, int64 where,
											bool may_skip);

/* The weight of a row, or 0 where it's to be skipped. */
extern double clu_pg_weight_given(FunctionCallInfo fcinfo, int argument, int64 where);

/* The same; 1 where there is no such argument. */
static inline double
clu_pg_weight(FunctionCallInfo fcinfo, int argument, int64 where)
{
	return PG_NARGS() > argument ? clu_pg_weight_given(fcinfo, argument, where) : 1;
}

/* ---- fits (fit_aggregate.c) ---- */

/*
 * The covariances of a mixture have the structure of the start model.  The options may leave it
 * at the default, which a function like gmm_options() always names, but not ask for another one.
 */
extern void clu_pg_take_structure(clu_options *options, int structure, double variance);

extern void clu_pg_warn_not_converged(const clu_model *model);

/* ---- models (model_cache.c) ---- */

typedef struct clu_pg_cached
{
	clu_model *model;
	clu_scorer scorer;
	double	  *row;	   /* d: scratch for a point */
	uint64	  *packed; /* the same packed, where the algorithm wants it so */

	/* for steps; see clu_pg_step_model */
	MemoryContext context;
	clu_step	 *step; /* NULL: not made yet */
	const uint8	 *bytes;
} clu_pg_cached;

/* The decoded model of an argument, kept in fn_extra from row to row. */
extern clu_pg_cached *clu_pg_model(FunctionCallInfo fcinfo, int argument);

/*
 * What a model's datum is recognised by, as it came: a toast pointer, a small value whole, of a
 * large one the header.  The key may miss the same model in another form, but never mistakes one
 * for another.
 */
typedef struct clu_pg_model_key
{
	Size  size; /* of the datum */
	Size  compared;
	char *bytes;
} clu_pg_model_key;

extern void clu_pg_model_key_make(clu_pg_model_key *key, Datum datum, MemoryContext context);
extern bool clu_pg_model_key_matches(const clu_pg_model_key *key, Datum datum);

/* The decoded model of an argument with what a step needs: tables, and the bytes. */
extern clu_pg_cached *clu_pg_step_model(FunctionCallInfo fcinfo, int argument);

/* Tables of a step for a model of so many bytes, in the current context. */
extern clu_step *clu_pg_step_new(const clu_model *model, Size length);

/*
 * The model that a state leads to, in the current context, and how that went; parts of it may lie
 * in the memory of the step.  NULL for a state of no rows.  Measuring: the model that it came from,
 * with the figures of the rows.
 */
extern clu_model *clu_pg_step_refit(Datum state, bool measuring, clu_step *done);

/* Whether a datum is the model with these bytes (of which at least the header is there). */
extern bool clu_pg_same_model(Datum datum, const struct varlena *model);

#endif
