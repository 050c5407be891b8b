/*
 * inner_aggregate.c
 *		An aggregate that calls the transition function of another one, which it looks up anew for
 *		each row.  So does Citus in the shards of a table.
 */
#include "postgres.h"

#include "fmgr.h"
#include "utils/datum.h"

PG_MODULE_MAGIC;

PG_FUNCTION_INFO_V1(inner_transition);
PG_FUNCTION_INFO_V1(inner_final);

typedef struct box
{
	bool  empty;
	Datum state; /* a bytea in the context of the states */
} box;

static void
keep(box *kept, Datum state, MemoryContext states)
{
	MemoryContext old = MemoryContextSwitchTo(states);
	Datum		  before = kept->state;
	bool		  was_empty = kept->empty;

	kept->state = datumCopy(state, false, -1);
	kept->empty = false;
	if (!was_empty)
		pfree(DatumGetPointer(before));
	MemoryContextSwitchTo(old);
}

/* (box, transition function, point, model) */
Datum
inner_transition(PG_FUNCTION_ARGS)
{
	LOCAL_FCINFO(call, 3);
	FmgrInfo	  function;
	MemoryContext states;
	box			 *kept;
	Datum		  state;

	if (!AggCheckCallContext(fcinfo, &states))
		elog(ERROR, "not called by an aggregate");
	kept = PG_ARGISNULL(0) ? NULL : (box *) PG_GETARG_POINTER(0);
	if (kept == NULL)
	{
		kept = MemoryContextAllocZero(states, sizeof(box));
		kept->empty = true;
	}
	fmgr_info(PG_GETARG_OID(1), &function);
	InitFunctionCallInfoData(*call, &function, 3, InvalidOid, fcinfo->context, NULL);
	call->args[0] = (NullableDatum) {.value = kept->state, .isnull = kept->empty};
	call->args[1] = fcinfo->args[2];
	call->args[2] = fcinfo->args[3];
	state = FunctionCallInvoke(call);
	if (kept->empty || state != kept->state)
		keep(kept, state, states);
	PG_RETURN_POINTER(kept);
}

Datum
inner_final(PG_FUNCTION_ARGS)
{
	box *kept = PG_ARGISNULL(0) ? NULL : (box *) PG_GETARG_POINTER(0);

	if (kept == NULL || kept->empty)
		PG_RETURN_NULL();
	PG_RETURN_DATUM(datumCopy(kept->state, false, -1));
}
