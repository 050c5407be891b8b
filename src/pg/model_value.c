/*
 * model_value.c
 *		Models as values of type bytea, and the failures of the core as errors of the server.
 *
 * A decoded model is one allocation: the struct, and behind it an arena with the arrays, aligned
 * as the core wants it.  So whoever caches one frees it with a pfree.
 */
#include "pg_clustering.h"

#include <math.h>

#include "common/shortest_dec.h"
#include "lib/stringinfo.h"

#include "model_bytes.h"
#include "model_value.h"

#define LARGEST_VALUE (MaxAllocSize - VARHDRSZ)

/* ---- memory ---- */

/* Sizes stick at SIZE_MAX where they overflow; the allocator refuses that, but says nothing. */
static void
check_memory(Size size)
{
	if (size > MaxAllocHugeSize - 2 * CLU_ALIGNMENT - sizeof(clu_model))
		ereport(ERROR, (errcode(ERRCODE_PROGRAM_LIMIT_EXCEEDED), errmsg("model is too large")));
}

/* Room for a model and an arena behind it, which is returned in *arena. */
static clu_model *
allocate(MemoryContext context, Size size, clu_arena *arena)
{
	clu_model *model;

	check_memory(size);
	model = MemoryContextAllocHuge(context, sizeof(clu_model) + CLU_ALIGNMENT + size);
	arena->base = (char *) TYPEALIGN(CLU_ALIGNMENT, (char *) model + sizeof(clu_model));
	arena->used = 0;
	return model;
}

static Size
check_value_size(const clu_model *model)
{
	Size size = clu_encoded_size(model);

	if (size > LARGEST_VALUE)
		ereport(ERROR, (errcode(ERRCODE_PROGRAM_LIMIT_EXCEEDED), errmsg("model is too large"),
						errdetail("It needs %zu bytes, a value of type bytea has at most %zu.",
								  size, (Size) LARGEST_VALUE)));
	return size;
}

clu_model *
clu_pg_model_new(clu_algorithm algorithm, int structure, int k, int d)
{
	clu_model  shape = {.algorithm = algorithm, .structure = structure, .k = k, .d = d};
	clu_arena  arena;
	clu_model *model;
	double	  *parameter;
	Size	   count = clu_parameter_count(algorithm, structure, k, d);

	check_value_size(&shape);
	model = allocate(CurrentMemoryContext, count * sizeof(double) + CLU_ALIGNMENT, &arena);
	*model = shape;
	CLU_TAKE(&arena, parameter, count);
	memset(parameter, 0, count * sizeof(double));
	clu_model_bind(model, parameter);
	clu_options_default(&model->options, algorithm);
	return model;
}

void
clu_pg_brackets_new(clu_model *model, uint32 taken)
{
	clu_arena arena = {NULL, 0};

	/* without an offset, so that the first array is what can be given back */
	clu_brackets_layout(&model->brackets, &arena, model->k, model->d, taken);
	check_memory(arena.used);
	arena = (clu_arena) {MemoryContextAllocHuge(CurrentMemoryContext, arena.used), 0};
	clu_brackets_layout(&model->brackets, &arena, model->k, model->d, taken);
}

clu_model *
clu_pg_model_copy(const clu_model *model, Size more_trace)
{
	clu_model *copy = clu_pg_model_new(model->algorithm, model->structure, model->k, model->d);
	double	  *parameter = copy->parameter;
	Size	   count = clu_parameter_count(model->algorithm, model->structure, model->k, model->d);
	Size	   size = clu_size_product(model->trace_count + more_trace, sizeof(clu_trace));

	*copy = *model;
	clu_model_bind(copy, parameter);
	memcpy(parameter, model->parameter, count * sizeof(double));
	check_memory(size);
	copy->trace = MemoryContextAllocHuge(CurrentMemoryContext, Max(size, 1));
	if (model->trace_count > 0)
		memcpy(copy->trace, model->trace, model->trace_count * sizeof(clu_trace));
	if (clu_model_has_brackets(model))
	{
		clu_pg_brackets_new(copy, model->brackets.taken);
		clu_brackets_copy(&copy->brackets, &model->brackets, model->k, model->d);
	}
	return copy;
}

void
clu_pg_model_free(clu_model *copy)
{
	if (clu_model_has_brackets(copy))
		pfree(copy->brackets.range);
	pfree(copy->trace);
	pfree(copy);
}

/* ---- bytes ---- */

clu_status
clu_pg_check(const clu_model *model, clu_error *error)
{
	Size	   count = clu_check_scratch(model);
	Size	   size = clu_size_product(count, sizeof(double));
	double	  *scratch = NULL;
	clu_status status;

	check_memory(size);
	if (count > 0)
		scratch = MemoryContextAllocHuge(CurrentMemoryContext, size);
	status = clu_model_check(model, scratch, &clu_pg_interrupt, error);
	if (scratch != NULL)
		pfree(scratch);
	return status;
}

bytea *
clu_pg_encode(clu_model *model)
{
	Size	  size = check_value_size(model);
	clu_error error = {NULL, 0, 0};
	bytea	 *value;

	/* What could not be read must not be written. */
	if (clu_pg_check(model, &error) != CLU_OK)
		elog(ERROR, "result is not a valid clustering model: %s", clu_pg_reason(&error));

	value = palloc(size + VARHDRSZ);
	SET_VARSIZE(value, size + VARHDRSZ);
	clu_encode(model, (uint8 *) VARDATA(value));
	return value;
}

clu_model *
clu_pg_decode(const uint8 *bytes, Size length, MemoryContext context)
{
	clu_model  header;
	clu_model *model;
	clu_arena  arena = {NULL, 0};
	clu_error  error = {NULL, 0, 0};
	clu_status status = clu_decode_header(&header, bytes, length, &error);

	if (status != CLU_OK)
		clu_pg_report(status, &error);

	clu_decode_layout(&header, &arena);
	model = allocate(context, arena.used, &arena);
	*model = header;
	clu_decode_layout(model, &arena);
	status = clu_decode_body(model, bytes, length, &clu_pg_interrupt, &error);
	if (status != CLU_OK)
		clu_pg_report(status, &error);
	return model;
}

/* ---- errors ---- */

static void
append_number(StringInfo text, double value)
{
	char number[DOUBLE_SHORTEST_DECIMAL_LEN];

	if (fabs(value) < 1e15 && value == rint(value))
		appendStringInfo(text, "%.0f", value);
	else
	{
		double_to_shortest_decimal_buf(value, number);
		appendStringInfoString(text, number);
	}
}

char *
clu_pg_reason(const clu_error *error)
{
	static const char expected[] = "{expected}", found[] = "{found}";
	StringInfoData	  text;
	const char		 *at = error->reason == NULL ? "" : error->reason;

	initStringInfo(&text);
	while (*at != '\0')
		if (strncmp(at, expected, strlen(expected)) == 0)
		{
			append_number(&text, error->expected);
			at += strlen(expected);
		}
		else if (strncmp(at, found, strlen(found)) == 0)
		{
			append_number(&text, error->found);
			at += strlen(found);
		}
		else
			appendStringInfoChar(&text, *at++);
	return text.data;
}

static int
detail_reason(const clu_error *error)
{
	return error->reason == NULL ? 0 : errdetail_internal("%s", clu_pg_reason(error));
}

void
clu_pg_report(clu_status status, const clu_error *error)
{
	switch (status)
	{
		case CLU_OK:
			break;
		case CLU_FEWER_POINTS:
			ereport(ERROR, (errcode(ERRCODE_INVALID_PARAMETER_VALUE),
							errmsg("k (%d) is greater than the number of distinct points (%lld)",
								   (int) error->expected, (long long) error->found),
							errhint("Ask for fewer clusters, or set the option \"allow_fewer\" to "
									"true to get as many as there are points.")));
			break;
		case CLU_TOO_LARGE:
			ereport(ERROR,
					(errcode(ERRCODE_PROGRAM_LIMIT_EXCEEDED),
					 errmsg("the data are too large to be clustered"), detail_reason(error)));
			break;
		case CLU_DAMAGED:
			ereport(ERROR, (errcode(ERRCODE_DATA_CORRUPTED), errmsg("invalid clustering model"),
							detail_reason(error)));
			break;
		case CLU_DAMAGED_STATE:
			ereport(ERROR, (errcode(ERRCODE_DATA_CORRUPTED), errmsg("invalid state of a step"),
							detail_reason(error),
							errhint("States are made by cluster_step_partial and "
									"cluster_step_combine.")));
			break;
		case CLU_NEWER_FORMAT:
			ereport(ERROR,
					(errcode(ERRCODE_FEATURE_NOT_SUPPORTED),
					 errmsg("clustering model has a newer format than this version can read"),
					 errdetail("The model has format %d, the newest one known is %d.",
							   (int) error->found, (int) error->expected),
					 errhint("Update the extension \"clustering\".")));
			break;
		case CLU_UNDERFLOW:
			ereport(ERROR, (errcode(ERRCODE_NUMERIC_VALUE_OUT_OF_RANGE),
							errmsg("numbers are out of the range of double precision"),
							detail_reason(error)));
			break;
		case CLU_VANISHED:
			ereport(ERROR, (errcode(ERRCODE_NUMERIC_VALUE_OUT_OF_RANGE),
							errmsg("numbers are out of the range of double precision"),
							detail_reason(error),
							errhint("Leave out rows with values that are out of proportion to the "
									"others, which may stand for unknown ones.")));
			break;
	}
	elog(ERROR, "unexpected clustering status %d", (int) status);
	pg_unreachable();
}
