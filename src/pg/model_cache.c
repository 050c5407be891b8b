/*
 * model_cache.c
 *		Models decoded once and kept from row to row.
 *
 * A model comes as an argument with every row: the same constant, the value of a join with a
 * table of models, of a window function, ...  Decoding it checks everything and builds tables,
 * which must not happen for each row; detoasting a large one, neither.  So the last few models are
 * kept, and recognised by the bytes of the datum as it came: a toast pointer (18 bytes), a small
 * value whole, of a large one the header, with its hash of the content and its checksum.
 *
 * They are kept in fn_extra, for as long as the query calls the function.  That's not enough where
 * an aggregate runs inside another one, as Citus has it in a shard: there the transition function
 * is looked up anew for each row, with an empty fn_extra.  The caches of such aggregates belong to
 * the memory context of the states instead, and are found by it.
 */
#include "pg_clustering.h"

#include "access/detoast.h"
#include "nodes/primnodes.h"

#include "model_bytes.h"
#include "model_value.h"
#include "points.h"

#define MOST_MODELS 16
#define WHOLE_BYTES 512 /* values up to this size are compared byte by byte */
#define LARGE_KEY (VARHDRSZ + CLU_MODEL_HEADER + VARHDRSZ) /* of larger ones, in whole words */

typedef struct entry
{
	clu_pg_cached	 cached;
	MemoryContext	 context; /* NULL: free */
	clu_pg_model_key key;
	uint64			 used;
} entry;

typedef struct cache
{
	MemoryContext context;
	uint64		  clock;
	int			  latest;
	bool		  constant; /* the argument never changes: latest is its model */
	entry		  entries[MOST_MODELS];
} cache;

/* The cache of an aggregate that runs inside another one; it lies in the context of the states. */
typedef struct inner_cache
{
	MemoryContext		  states;
	MemoryContextCallback at_end;
	struct inner_cache	 *next;
	cache				  cache;
} inner_cache;

static inner_cache *inner_caches;

/* How many of a datum's bytes tell it from all others. */
static Size
key_size(const struct varlena *value)
{
	Size size = VARSIZE_ANY(value);

	if (size <= WHOLE_BYTES || VARATT_IS_EXTERNAL(value) || VARATT_IS_COMPRESSED(value))
		return size;
	return LARGE_KEY;
}

void
clu_pg_model_key_make(clu_pg_model_key *key, Datum datum, MemoryContext context)
{
	const struct varlena *value = (const struct varlena *) DatumGetPointer(datum);

	key->size = VARSIZE_ANY(value);
	key->compared = key_size(value);
	key->bytes = MemoryContextAlloc(context, key->compared);
	memcpy(key->bytes, value, key->compared);
}

/* Faster than a call, which takes as long as all else that is done to find a model. */
static inline bool
same_large(const char *a, const char *b)
{
	uint64 differences = 0;

	StaticAssertStmt(LARGE_KEY % sizeof(uint64) == 0, "keys of large models are whole words");
	for (int i = 0; i < LARGE_KEY; i += (int) sizeof(uint64))
	{
		uint64 here, there;

		memcpy(&here, a + i, sizeof(here));
		memcpy(&there, b + i, sizeof(there));
		differences |= here ^ there;
	}
	return differences == 0;
}

static inline bool
matches(const clu_pg_model_key *key, Datum datum)
{
	const char *value = DatumGetPointer(datum);

	if (VARSIZE_ANY(value) != key->size)
		return false;
	if (key->compared == LARGE_KEY)
		return same_large(key->bytes, value);
	return memcmp(key->bytes, value, key->compared) == 0;
}

bool
clu_pg_model_key_matches(const clu_pg_model_key *key, Datum datum)
{
	return matches(key, datum);
}

static inline bool
is_of(const entry *e, Datum value)
{
	return e->context != NULL && matches(&e->key, value);
}

static entry *
find(cache *c, Datum value)
{
	if (is_of(&c->entries[c->latest], value))
		return &c->entries[c->latest];
	for (int i = 0; i < MOST_MODELS; i++)
		if (is_of(&c->entries[i], value))
		{
			c->latest = i;
			return &c->entries[i];
		}
	return NULL;
}

/* The entry to fill: a free one, else the one that was not used for longest. */
static entry *
make_room(cache *c)
{
	int oldest = 0;

	for (int i = 0; i < MOST_MODELS && c->entries[oldest].context != NULL; i++)
		if (c->entries[i].context == NULL || c->entries[i].used < c->entries[oldest].used)
			oldest = i;
	if (c->entries[oldest].context != NULL)
		MemoryContextDelete(c->entries[oldest].context);
	memset(&c->entries[oldest], 0, sizeof(entry));
	c->latest = oldest;
	return &c->entries[oldest];
}

static void
prepare_scorer(clu_pg_cached *cached, MemoryContext context)
{
	clu_arena arena = {0};

	for (int pass = 0; pass < 2; pass++)
	{
		if (pass == 1)
			clu_pg_arena(&arena, context);
		clu_score_layout(&cached->scorer, &arena, cached->model);
		CLU_TAKE(&arena, cached->row, (size_t) cached->model->d);
		CLU_TAKE(&arena, cached->packed,
				 cached->scorer.verbs->packed ? clu_words(cached->model->d) : 0);
	}
	clu_score_prepare(&cached->scorer);
}

static entry *
add(cache *c, Datum value)
{
	MemoryContext context =
		AllocSetContextCreate(c->context, "clustering model", ALLOCSET_SMALL_SIZES);
	struct varlena *bytes = PG_DETOAST_DATUM_PACKED(value);
	entry			fresh = {.context = context};
	entry		   *e;

	fresh.cached.model =
		clu_pg_decode((const uint8 *) VARDATA_ANY(bytes), VARSIZE_ANY_EXHDR(bytes), context);
	fresh.cached.context = context;
	prepare_scorer(&fresh.cached, context);
	clu_pg_model_key_make(&fresh.key, value, context);
	if ((Pointer) bytes != DatumGetPointer(value))
		pfree(bytes);
	e = make_room(c);
	*e = fresh;
	return e;
}

/* ---- where caches are kept ---- */

static void
forget_inner_cache(void *ended)
{
	inner_cache **place = &inner_caches;

	while (*place != ended)
		place = &(*place)->next;
	*place = (*place)->next;
}

static cache *
new_inner_cache(MemoryContext states)
{
	inner_cache *inner = MemoryContextAllocZero(states, sizeof(inner_cache));

	inner->states = inner->cache.context = states;
	inner->at_end.func = forget_inner_cache;
	inner->at_end.arg = inner;
	inner->next = inner_caches;
	inner_caches = inner;
	MemoryContextRegisterResetCallback(states, &inner->at_end);
	return &inner->cache;
}

/*
 * The cache of an aggregate whose fn_extra is empty, or NULL where that's no wonder: the first row
 * of an aggregate comes without a state, later ones come with one.
 */
static cache *
find_inner_cache(FunctionCallInfo fcinfo)
{
	MemoryContext states;

	if (!AggCheckCallContext(fcinfo, &states))
		return NULL;
	for (inner_cache *inner = inner_caches; inner != NULL; inner = inner->next)
		if (inner->states == states)
			return &inner->cache;
	return PG_ARGISNULL(0) ? NULL : new_inner_cache(states);
}

static cache *
find_cache(FunctionCallInfo fcinfo)
{
	FmgrInfo *flinfo = fcinfo->flinfo;
	cache	 *c = flinfo->fn_extra;

	if (c == NULL)
		c = find_inner_cache(fcinfo);
	if (c == NULL)
	{
		c = MemoryContextAllocZero(flinfo->fn_mcxt, sizeof(cache));
		c->context = flinfo->fn_mcxt;
		flinfo->fn_extra = c;
	}
	return c;
}

/* Parameters don't count: in PL/pgSQL they change from call to call. */
static bool
is_constant(FmgrInfo *flinfo, int argument)
{
	FuncExpr *call = (FuncExpr *) flinfo->fn_expr;

	return call != NULL && IsA(call, FuncExpr) && IsA(list_nth(call->args, argument), Const);
}

clu_pg_cached *
clu_pg_model(FunctionCallInfo fcinfo, int argument)
{
	Datum  value = PG_GETARG_DATUM(argument);
	cache *c = find_cache(fcinfo);
	entry *e;

	if (c->constant)
		return &c->entries[c->latest].cached;

	/* an indirect pointer says nothing about what it points to */
	if (VARATT_IS_EXTERNAL_INDIRECT(DatumGetPointer(value)))
		value = PointerGetDatum(PG_DETOAST_DATUM_PACKED(value));
	e = find(c, value);
	if (e == NULL)
	{
		e = add(c, value);
		c->constant = is_constant(fcinfo->flinfo, argument);
	}
	e->used = ++c->clock;
	return &e->cached;
}

clu_step *
clu_pg_step_new(const clu_model *model, Size length)
{
	clu_step  *step = palloc0(sizeof(clu_step));
	clu_arena  arena = {0};
	clu_status status;

	clu_step_open(step, model, length);
	step->interrupt = &clu_pg_interrupt;
	step->error = palloc0(sizeof(clu_error));
	clu_step_layout(step, &arena);
	clu_pg_arena(&arena, CurrentMemoryContext);
	clu_step_layout(step, &arena);
	status = clu_step_prepare(step);
	if (status != CLU_OK)
		clu_pg_report(status, step->error);
	return step;
}

clu_pg_cached *
clu_pg_step_model(FunctionCallInfo fcinfo, int argument)
{
	clu_pg_cached  *cached = clu_pg_model(fcinfo, argument);
	struct varlena *value;
	MemoryContext	old;

	if (cached->step != NULL)
		return cached;
	old = MemoryContextSwitchTo(cached->context);
	value = PG_DETOAST_DATUM_COPY(PG_GETARG_DATUM(argument));
	cached->bytes = (const uint8 *) VARDATA(value);
	cached->step = clu_pg_step_new(cached->model, VARSIZE(value) - VARHDRSZ);
	MemoryContextSwitchTo(old);
	return cached;
}

bool
clu_pg_same_model(Datum datum, const struct varlena *model)
{
	struct varlena *value = (struct varlena *) DatumGetPointer(datum);
	Size			size = toast_raw_datum_size(datum) - VARHDRSZ;
	Size			compared = size <= WHOLE_BYTES ? size : CLU_MODEL_HEADER;
	bool			same;

	if (size != VARSIZE_ANY_EXHDR(model))
		return false;
	if (!VARATT_IS_EXTERNAL(value) && !VARATT_IS_COMPRESSED(value))
		return memcmp(VARDATA_ANY(value), VARDATA_ANY(model), compared) == 0;
	value = PG_DETOAST_DATUM_SLICE(datum, 0, compared);
	same = memcmp(VARDATA_ANY(value), VARDATA_ANY(model), compared) == 0;
	pfree(value);
	return same;
}
