/*
 * compare.c
 *		The aggregates adjusted_rand_index and normalized_mutual_information.
 *
 * Both count how often each pair of labels occurs, which is one transition function with one
 * state: a query that asks for both runs it once.  What the counts mean is in core/contingency.c.
 *
 * Labels are of any type that can be hashed, and the two of different types.  A label is replaced
 * by its number in order of appearance, found by the default equality and hash of its type, under
 * the collation of the call; so labels are the same here exactly where GROUP BY would put them
 * together (a NaN equals a NaN, 1.0 equals 1.00).  A row where either is NULL is left out.
 *
 * A state is about half a kilobyte to begin with, so that thousands of groups fit in memory; all
 * of it lies directly in the aggregate's context and needs no cleaning up.  The final functions
 * only read it, which is what lets both share it and lets it run as a window function.
 */
#include "pg_clustering.h"

#include "common/hashfn.h"
#include "utils/builtins.h"
#include "utils/datum.h"
#include "utils/memutils.h"
#include "utils/typcache.h"

#include "contingency.h"

PG_FUNCTION_INFO_V1(clustering_adjusted_rand_index_transition);
PG_FUNCTION_INFO_V1(clustering_adjusted_rand_index_final);
PG_FUNCTION_INFO_V1(clustering_normalized_mutual_information_final);

/* How to compare and to keep the labels of one argument. */
typedef struct LabelType
{
	FmgrInfo hash;
	FmgrInfo equal;
	Oid		 collation;
	int16	 length;
	bool	 by_value;
} LabelType;

/* Looked up once per query and kept in fn_extra. */
typedef struct LabelTypes
{
	LabelType a;
	LabelType b;
} LabelTypes;

/* A label and its number. */
typedef struct Label
{
	Datum  value;
	uint32 hash;
	uint32 number;
	char   status;
} Label;

static inline bool
labels_equal(LabelType *type, Datum a, Datum b)
{
	return DatumGetBool(FunctionCall2Coll(&type->equal, type->collation, a, b));
}

static inline uint32
label_hash_value(LabelType *type, Datum value)
{
	return DatumGetUInt32(FunctionCall1Coll(&type->hash, type->collation, value));
}

#define SH_PREFIX label
#define SH_ELEMENT_TYPE Label
#define SH_KEY_TYPE Datum
#define SH_KEY value
#define SH_HASH_KEY(table, key) label_hash_value((LabelType *) (table)->private_data, key)
#define SH_EQUAL(table, a, b) labels_equal((LabelType *) (table)->private_data, a, b)
#define SH_STORE_HASH
#define SH_GET_HASH(table, entry) (entry)->hash
#define SH_SCOPE static inline
#define SH_DECLARE
#define SH_DEFINE
#include "lib/simplehash.h"

/* Two label numbers in one key, and how many rows have them. */
typedef struct Pair
{
	uint64 key;
	uint64 count;
	char   status;
} Pair;

#define PAIR_KEY(row, column) ((uint64) (row) << 32 | (column))
#define PAIR_ROW(key) ((uint32) ((key) >> 32))
#define PAIR_COLUMN(key) ((uint32) (key))

#define SH_PREFIX pair
#define SH_ELEMENT_TYPE Pair
#define SH_KEY_TYPE uint64
#define SH_KEY key
#define SH_HASH_KEY(table, key) \
	hash_combine(murmurhash32(PAIR_ROW(key)), murmurhash32(PAIR_COLUMN(key)))
#define SH_EQUAL(table, a, b) ((a) == (b))
#define SH_SCOPE static inline
#define SH_DECLARE
#define SH_DEFINE
#include "lib/simplehash.h"

typedef struct CompareState
{
	label_hash *a;
	label_hash *b;
	pair_hash  *pairs;
} CompareState;

/* ---- types ---- */

static void
look_up_type(LabelType *type, FunctionCallInfo fcinfo, int argument, const char *name)
{
	Oid				oid = get_fn_expr_argtype(fcinfo->flinfo, argument);
	MemoryContext	context = fcinfo->flinfo->fn_mcxt;
	TypeCacheEntry *entry;

	if (!OidIsValid(oid))
		elog(ERROR, "could not determine the type of argument \"%s\"", name);
	entry = lookup_type_cache(oid, TYPECACHE_EQ_OPR_FINFO | TYPECACHE_HASH_PROC_FINFO);
	if (!OidIsValid(entry->eq_opr_finfo.fn_oid) || !OidIsValid(entry->hash_proc_finfo.fn_oid))
		ereport(ERROR, (errcode(ERRCODE_UNDEFINED_FUNCTION),
						errmsg("argument \"%s\" is of type %s, which cannot be hashed", name,
							   format_type_be(oid)),
						errdetail("Labels are told apart by the default equality operator and hash "
								  "function of their type."),
						errhint("Cast the labels to a type that has both, for example to text.")));

	fmgr_info_copy(&type->equal, &entry->eq_opr_finfo, context);
	fmgr_info_copy(&type->hash, &entry->hash_proc_finfo, context);
	type->collation = PG_GET_COLLATION();
	type->length = entry->typlen;
	type->by_value = entry->typbyval;
}

static LabelTypes *
label_types(FunctionCallInfo fcinfo)
{
	LabelTypes *types = fcinfo->flinfo->fn_extra;

	if (types == NULL)
	{
		types = MemoryContextAllocZero(fcinfo->flinfo->fn_mcxt, sizeof(LabelTypes));
		look_up_type(&types->a, fcinfo, 1, "a");
		look_up_type(&types->b, fcinfo, 2, "b");
		fcinfo->flinfo->fn_extra = types;
	}
	return types;
}

/* ---- transition ---- */

static CompareState *
new_state(MemoryContext context, LabelTypes *types)
{
	CompareState *state = MemoryContextAlloc(context, sizeof(CompareState));

	state->a = label_create(context, 2, &types->a);
	state->b = label_create(context, 2, &types->b);
	state->pairs = pair_create(context, 2, NULL);
	return state;
}

/* Detoasted before it is hashed, so that neither the comparisons nor the copy do it again. */
static uint32
label_number(label_hash *labels, Datum value)
{
	LabelType	 *type = labels->private_data;
	Label		 *label;
	MemoryContext old;
	bool		  found;

	if (type->length == -1)
		value = PointerGetDatum(PG_DETOAST_DATUM_PACKED(value));
	label = label_insert(labels, value, &found);
	if (!found)
	{
		old = MemoryContextSwitchTo(labels->ctx);
		label->value = datumCopy(value, type->by_value, type->length);
		label->number = labels->members - 1;
		MemoryContextSwitchTo(old);
	}
	return label->number;
}

static void
count_pair(CompareState *state, Datum a, Datum b)
{
	uint32 row = label_number(state->a, a);
	uint32 column = label_number(state->b, b);
	bool   found;
	Pair  *pair = pair_insert(state->pairs, PAIR_KEY(row, column), &found);

	pair->count = found ? pair->count + 1 : 1;
}

Datum
clustering_adjusted_rand_index_transition(PG_FUNCTION_ARGS)
{
	CompareState *state = PG_ARGISNULL(0) ? NULL : (CompareState *) PG_GETARG_POINTER(0);
	LabelTypes	 *types = label_types(fcinfo);
	MemoryContext context;

	if (!AggCheckCallContext(fcinfo, &context))
		elog(ERROR, "adjusted_rand_index_transition called in non-aggregate context");
	if (!PG_ARGISNULL(1) && !PG_ARGISNULL(2))
	{
		if (state == NULL)
			state = new_state(context, types);
		count_pair(state, PG_GETARG_DATUM(1), PG_GETARG_DATUM(2));
	}
	if (state == NULL)
		PG_RETURN_NULL();
	PG_RETURN_POINTER(state);
}

/* ---- results ---- */

static void *
allocate(size_t count, size_t width)
{
	return MemoryContextAllocExtended(CurrentMemoryContext, clu_size_product(count, width),
									  MCXT_ALLOC_HUGE);
}

static clu_cell *
cells_of(pair_hash *pairs)
{
	clu_cell	 *cells = allocate(pairs->members, sizeof(clu_cell));
	clu_cell	 *cell = cells;
	pair_iterator iterator;
	Pair		 *pair;

	pair_start_iterate(pairs, &iterator);
	while ((pair = pair_iterate(pairs, &iterator)) != NULL)
	{
		cell->row = PAIR_ROW(pair->key);
		cell->column = PAIR_COLUMN(pair->key);
		cell->count = pair->count;
		cell++;
	}
	return cells;
}

/* The state as the table that the core reads, beside it; to be given back by free_table. */
static clu_contingency
make_table(const CompareState *state)
{
	clu_contingency table = {
		.cells = cells_of(state->pairs),
		.n_cells = state->pairs->members,
		.row_totals = allocate(state->a->members, sizeof(uint64)),
		.n_rows = state->a->members,
		.column_totals = allocate(state->b->members, sizeof(uint64)),
		.n_columns = state->b->members,
	};

	clu_contingency_totals(&table, &clu_pg_interrupt);
	return table;
}

static void
free_table(clu_contingency *table)
{
	pfree(unconstify(clu_cell *, table->cells));
	pfree(table->row_totals);
	pfree(table->column_totals);
}

typedef double (*Measure)(const clu_contingency *, const clu_interrupt *);

static Datum
measure(FunctionCallInfo fcinfo, Measure compute)
{
	clu_contingency table;
	double			result;

	if (PG_ARGISNULL(0))
		PG_RETURN_NULL();
	table = make_table((const CompareState *) PG_GETARG_POINTER(0));
	result = compute(&table, &clu_pg_interrupt);
	free_table(&table);
	PG_RETURN_FLOAT8(result);
}

Datum
clustering_adjusted_rand_index_final(PG_FUNCTION_ARGS)
{
	return measure(fcinfo, clu_adjusted_rand_index);
}

Datum
clustering_normalized_mutual_information_final(PG_FUNCTION_ARGS)
{
	return measure(fcinfo, clu_normalized_mutual_information);
}
