/*
 * query_source.c
 *		A query as a source of points.
 *
 * The query is the caller's: it's parsed as he wrote it, under his search_path and with his
 * rights.  It's parsed alone first, so that what is put into parentheses later is known to be one
 * complete statement.  What is put around it names everything by schema.
 */
#include "pg_clustering.h"

#include "access/xact.h"
#include "catalog/pg_type.h"
#include "utils/builtins.h"
#include "utils/datum.h"
#include "utils/lsyscache.h"
#include "utils/plancache.h"

#include "query_source.h"

/* ---- what the query gives ---- */

/* The statement without a semicolon and what follows it, which a subquery can't have. */
static char *
statement_of(const char *query, const RawStmt *parsed)
{
	const char *start = query + parsed->stmt_location;

	return parsed->stmt_len > 0 ? pnstrdup(start, (Size) parsed->stmt_len) : pstrdup(start);
}

static CachedPlanSource *
describe(const char *query)
{
	SPIPlanPtr		  plan = SPI_prepare(query, 0, NULL);
	List			 *sources;
	CachedPlanSource *source;

	if (plan == NULL)
		elog(ERROR, "SPI_prepare failed: %s", SPI_result_code_string(SPI_result));
	sources = SPI_plan_get_plan_sources(plan);
	if (list_length(sources) != 1)
		ereport(ERROR,
				(errcode(ERRCODE_INVALID_PARAMETER_VALUE), errmsg("query must be one statement"),
				 errdetail("It has %d.", list_length(sources))));
	source = linitial(sources);
	if (source->commandTag != CMDTAG_SELECT)
		ereport(ERROR, (errcode(ERRCODE_INVALID_PARAMETER_VALUE), errmsg("query must be a SELECT"),
						errdetail("It is %s.", GetCommandTagName(source->commandTag))));
	if (source->resultDesc == NULL)
		ereport(ERROR, (errcode(ERRCODE_INVALID_PARAMETER_VALUE),
						errmsg("query must be a SELECT without INTO")));
	return source;
}

static void
check_columns(TupleDesc columns)
{
	StringInfoData names;

	if (columns->natts == 1 || columns->natts == 2)
		return;
	initStringInfo(&names);
	for (int i = 0; i < columns->natts; i++)
		appendStringInfo(&names, "%s\"%s\"", i == 0 ? "" : ", ",
						 NameStr(TupleDescAttr(columns, i)->attname));
	ereport(ERROR, (errcode(ERRCODE_INVALID_PARAMETER_VALUE),
					errmsg("query must have a column of points and at most one of weights"),
					errdetail("It has %d columns: %s.", columns->natts, names.data),
					errhint("Use a query like SELECT ARRAY[a, b], weight FROM ...")));
}

/* What points of a type are passed on as; NULL where they aren't points. */
static const char *
cast_for(Oid type, clu_algorithm algorithm)
{
	switch (type)
	{
		case FLOAT4ARRAYOID:
			return "pg_catalog.float4[]";
		case BOOLARRAYOID:
			return "pg_catalog.bool[]";
		case FLOAT8ARRAYOID:
		case INT2ARRAYOID:
		case INT4ARRAYOID:
		case INT8ARRAYOID:
		case NUMERICARRAYOID:
			return "pg_catalog.float8[]";
		case BITOID:
		case VARBITOID:
			return algorithm == CLU_BERNOULLI ? "pg_catalog.varbit" : NULL;
	}
	return NULL;
}

static const char *
point_cast(TupleDesc columns, clu_algorithm algorithm)
{
	Form_pg_attribute column = TupleDescAttr(columns, 0);
	const char		 *cast = cast_for(getBaseType(column->atttypid), algorithm);

	if (cast == NULL)
		ereport(ERROR,
				(errcode(ERRCODE_DATATYPE_MISMATCH),
				 errmsg("column \"%s\" of the query can't be a column of points",
						NameStr(column->attname)),
				 errdetail("It has type %s.", format_type_be(column->atttypid)),
				 algorithm == CLU_BERNOULLI
					 ? errhint("Use an array of boolean or of numbers, or a bit string.")
					 : errhint("Use an array of double precision, real, smallint, integer, bigint, "
							   "numeric or boolean.")));
	return cast;
}

static void
check_weight(TupleDesc columns)
{
	Form_pg_attribute column = TupleDescAttr(columns, 1);

	switch (getBaseType(column->atttypid))
	{
		case FLOAT4OID:
		case FLOAT8OID:
		case INT2OID:
		case INT4OID:
		case INT8OID:
		case NUMERICOID:
			return;
	}
	ereport(ERROR, (errcode(ERRCODE_DATATYPE_MISMATCH),
					errmsg("column \"%s\" of the query can't be a column of weights",
						   NameStr(column->attname)),
					errdetail("It has type %s.", format_type_be(column->atttypid)),
					errhint("Use a number.")));
}

/*
 * SPI refuses to run a statement that writes, but not one with a function that does.  The query
 * runs an unknown number of times, so nothing that it calls may write either: the transaction is
 * made read-only for a while.  After an error the end of the (sub)transaction undoes that; workers
 * can't write in any case.
 */
void
clu_pg_source_open(clu_pg_source *source, const char *query, clu_algorithm algorithm, Oid function)
{
	CachedPlanSource *parsed;
	TupleDesc		  columns;

	source->was_read_only = XactReadOnly;
	XactReadOnly = true;
	parsed = describe(query);
	columns = parsed->resultDesc;
	check_columns(columns);
	source->query = statement_of(query, parsed->raw_parse_tree);
	source->schema = quote_identifier(get_namespace_name(get_func_namespace(function)));
	source->cast = point_cast(columns, algorithm);
	source->bits = strcmp(source->cast, "pg_catalog.varbit") == 0;
	source->weighted = columns->natts == 2;
	if (source->weighted)
		check_weight(columns);
}

void
clu_pg_source_close(const clu_pg_source *source)
{
	XactReadOnly = source->was_read_only;
}

/* ---- aggregates over it ---- */

SPIPlanPtr
clu_pg_source_prepare(const clu_pg_source *source, const char *aggregate, const char *arguments,
					  bool always_weighted, int nargs, Oid *types)
{
	StringInfoData text;
	SPIPlanPtr	   plan;

	initStringInfo(&text);
	appendStringInfo(&text, "SELECT %s.%s(q.x::%s, %s", source->schema, aggregate, source->cast,
					 arguments);
	if (source->weighted)
		appendStringInfoString(&text, ", q.w::pg_catalog.float8");
	else if (always_weighted)
		appendStringInfoString(&text, ", 1::pg_catalog.float8");
	/* a comment at the end of the query ends with its line */
	appendStringInfo(&text, ") FROM (\n%s\n) AS q(x%s)", source->query,
					 source->weighted ? ", w" : "");
	plan = SPI_prepare_cursor(text.data, nargs, types, CURSOR_OPT_PARALLEL_OK);
	if (plan == NULL)
		elog(ERROR, "SPI_prepare_cursor failed: %s", SPI_result_code_string(SPI_result));
	return plan;
}

bytea *
clu_pg_source_run(SPIPlanPtr plan, Datum *values, const char *nulls, MemoryContext context)
{
	int			  result = SPI_execute_plan(plan, values, nulls, true, 0);
	MemoryContext old;
	Datum		  datum;
	bool		  is_null;

	if (result != SPI_OK_SELECT || SPI_processed != 1)
		elog(ERROR, "SPI_execute_plan failed: %s", SPI_result_code_string(result));
	datum = SPI_getbinval(SPI_tuptable->vals[0], SPI_tuptable->tupdesc, 1, &is_null);
	if (!is_null)
	{
		old = MemoryContextSwitchTo(context);
		datum = PointerGetDatum(PG_DETOAST_DATUM_COPY(datum));
		MemoryContextSwitchTo(old);
	}
	SPI_freetuptable(SPI_tuptable);
	return is_null ? NULL : DatumGetByteaP(datum);
}
