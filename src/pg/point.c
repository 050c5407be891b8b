/*
 * point.c
 *		Points from arrays, read where they lie.
 *
 * This runs once per row of every table that is fitted or labelled.  Arrays of a few numbers are
 * stored with a one-byte header and unaligned, and bringing them into the usual form costs a copy
 * each; so the header is taken apart here, from the packed form, and the values are copied once,
 * to where they are needed.
 */
#include "pg_clustering.h"

#include <float.h>
#include <math.h>

#include "access/tupmacs.h"
#include "catalog/pg_type.h"
#include "port/pg_bswap.h"
#include "utils/array.h"
#include "utils/builtins.h"
#include "utils/fmgrprotos.h"
#include "utils/varbit.h"

#include "compat.h"
#include "points.h"

/* An array without its varlena header: ndim, dataoffset, elemtype, dimensions, lower bounds. */
#define HEADER_INTS 3

static void
report_shape(int ndim, int64 where)
{
	ereport(ERROR, (errcode(ERRCODE_ARRAY_SUBSCRIPT_ERROR),
					errmsg("point must be a one-dimensional array with at least one element"),
					where > 0 ? errdetail("Row " INT64_FORMAT " has %d dimensions.", where, ndim)
							  : errdetail("The array has %d dimensions.", ndim),
					errhint("Pass the coordinates of one row, such as ARRAY[a, b, c].")));
}

void
clu_pg_point_open(clu_pg_point *point, Datum datum, int64 where)
{
	struct varlena *array = PG_DETOAST_DATUM_PACKED(datum);
	const char	   *start = VARDATA_ANY(array);
	int32			header[HEADER_INTS], offset;
	int32			size;

	memcpy(header, start, sizeof(header));
	if (header[0] != 1)
		report_shape(header[0], where);
	memcpy(&size, start + sizeof(header), sizeof(size));
	if (size < 1)
		report_shape(0, where);

	/* numerics are aligned among themselves, which shows in the full form only */
	if ((Oid) header[2] == NUMERICOID && VARATT_IS_SHORT(array))
	{
		array = PG_DETOAST_DATUM(datum);
		start = VARDATA(array);
	}

	/* offsets count from the start of the array with its full header */
	offset = header[1] == 0 ? (int32) ARR_OVERHEAD_NONULLS(1) : header[1];
	point->d = size;
	point->type = (Oid) header[2];
	point->data = start + offset - VARHDRSZ;
	point->nulls =
		header[1] == 0 ? NULL : (const bits8 *) start + sizeof(header) + 2 * sizeof(int32);
}

/* Both types are stored alike: the number of bits, then the bits, the first in the high end. */
void
clu_pg_bits_open(clu_pg_point *point, Datum datum, int64 where)
{
	struct varlena *bits = PG_DETOAST_DATUM_PACKED(datum);
	int32			length;

	memcpy(&length, VARDATA_ANY(bits), sizeof(length));
	if (length < 1)
		ereport(ERROR, (errcode(ERRCODE_ARRAY_SUBSCRIPT_ERROR),
						errmsg("point must be a bit string with at least one bit"),
						where > 0 ? errdetail("Row " INT64_FORMAT " has none.", where)
								  : errdetail("The bit string is empty.")));
	point->d = length;
	point->type = VARBITOID;
	point->data = VARDATA_ANY(bits) + sizeof(length);
	point->nulls = NULL;
}

int
clu_pg_point_width(Oid type)
{
	switch (type)
	{
		case FLOAT4OID:
			return 4;
		case FLOAT8OID:
		case INT2OID:
		case INT4OID:
		case INT8OID:
		case NUMERICOID:
		case BOOLOID:
			return 8;
	}
	ereport(ERROR,
			(errcode(ERRCODE_DATATYPE_MISMATCH),
			 errmsg("points can't be arrays of type %s", format_type_be(type)),
			 errhint("Use an array of double precision, real, smallint, integer, bigint, numeric "
					 "or boolean.")));
	return 0;
}

static bool
is_null(const clu_pg_point *point, int i)
{
	return point->nulls != NULL && !(point->nulls[i / 8] & (1 << (i % 8)));
}

/* The position of the first value that is no finite number, or -1. */
static int
first_invalid(const void *values, int width, int d)
{
	int found = 0;

	/* no branch in the loops: they take several values at a time */
	if (width == 4)
		for (int j = 0; j < d; j++)
			found |= !(fabsf(((const float *) values)[j]) <= FLT_MAX);
	else
		for (int j = 0; j < d; j++)
			found |= !(fabs(((const double *) values)[j]) <= DBL_MAX);
	for (int j = 0; j < d && found; j++)
		if (!isfinite(width == 4 ? ((const float *) values)[j] : ((const double *) values)[j]))
			return j;
	return -1;
}

#define CONVERT(ctype)                                                  \
	for (int j = 0; j < point->d; j++)                                  \
	{                                                                   \
		ctype value;                                                    \
                                                                        \
		memcpy(&value, point->data + j * sizeof(value), sizeof(value)); \
		out[j] = (double) value;                                        \
	}

static void
read_numeric(const clu_pg_point *point, double *out)
{
	const char *at = point->data;

	for (int j = 0; j < point->d; j++)
	{
		at = (const char *) att_align_pointer(at, TYPALIGN_INT, -1, at);
		out[j] =
			DatumGetFloat8(DirectFunctionCall1(numeric_float8_no_overflow, PointerGetDatum(at)));
		at = att_addlength_pointer(at, -1, at);
	}
}

/* Values of an array without NULLs. */
static void
read_values(const clu_pg_point *point, double *out)
{
	switch (point->type)
	{
		case FLOAT8OID:
			memcpy(out, point->data, (size_t) point->d * sizeof(double));
			break;
		case FLOAT4OID:
			CONVERT(float);
			break;
		case INT2OID:
			CONVERT(int16);
			break;
		case INT4OID:
			CONVERT(int32);
			break;
		case INT8OID:
			CONVERT(int64);
			break;
		case BOOLOID:
			CONVERT(char);
			break;
		default:
			read_numeric(point, out);
	}
}

bool
clu_pg_point_read(const clu_pg_point *point, int width, void *values, int *invalid)
{
	for (int j = 0; point->nulls != NULL && j < point->d; j++)
		if (is_null(point, j))
		{
			*invalid = j;
			return false;
		}
	if (width == 4)
		memcpy(values, point->data, (size_t) point->d * sizeof(float));
	else
		read_values(point, values);
	*invalid = first_invalid(values, width, point->d);
	return *invalid < 0;
}

/* Bytes of a bit string, padded with zero bits by the server, to words of which each is a number. */
static void
pack_bits(const clu_pg_point *point, uint64 *row)
{
	int bytes = (point->d + BITS_PER_BYTE - 1) / BITS_PER_BYTE;

	for (int first = 0; first < bytes; first += (int) sizeof(uint64))
	{
		uint64 word = 0;

		memcpy(&word, point->data + first, Min(sizeof(uint64), (Size) (bytes - first)));
		*row++ = pg_ntoh64(word);
	}
}

pg_noreturn static void
report_not_a_bit(const double *values, int element, int64 where)
{
	ereport(ERROR,
			(errcode(ERRCODE_DATA_EXCEPTION),
			 errmsg("point has an element that is neither 0 nor 1"),
			 where > 0 ? errdetail("Element %d of row " INT64_FORMAT " is %g.", element + 1, where,
								   values[element])
					   : errdetail("Element %d is %g.", element + 1, values[element]),
			 errhint("A Bernoulli mixture takes 0 and 1, booleans or bit strings; compare with a "
					 "threshold, or use another algorithm.")));
}

bool
clu_pg_point_pack(const clu_pg_point *point, uint64 *row, double *scratch, int64 where,
				  int *invalid)
{
	int other;

	if (point->type == VARBITOID)
	{
		pack_bits(point, row);
		return true;
	}
	if (!clu_pg_point_read(point, 8, scratch, invalid))
		return false;
	other = clu_pack(scratch, point->d, row);
	if (other < point->d)
		report_not_a_bit(scratch, other, where);
	return true;
}

void
clu_pg_point_report(const clu_pg_point *point, int invalid, int64 where, bool may_skip)
{
	const char *what = is_null(point, invalid) ? "NULL" : "NaN or infinite";

	ereport(ERROR, (errcode(is_null(point, invalid) ? ERRCODE_NULL_VALUE_NOT_ALLOWED
													: ERRCODE_DATA_EXCEPTION),
					errmsg("point has an element that is %s", what),
					where > 0 ? errdetail("Element %d of row " INT64_FORMAT ".", invalid + 1, where)
							  : errdetail("Element %d.", invalid + 1),
					may_skip ? errhint("The option \"invalid\": \"skip\" leaves such rows out.")
							 : errhint("Leave such rows out with a WHERE clause.")));
}

double
clu_pg_weight(FunctionCallInfo fcinfo, int argument, int64 where)
{
	double weight;

	if (PG_NARGS() <= argument)
		return 1;
	if (PG_ARGISNULL(argument))
		return 0;
	weight = PG_GETARG_FLOAT8(argument);
	if (isnan(weight) || isinf(weight) || weight < 0)
		ereport(ERROR, (errcode(ERRCODE_INVALID_PARAMETER_VALUE),
						errmsg("weight must be a finite number that is not negative"),
						errdetail("It is %g in row " INT64_FORMAT ".", weight, where),
						errhint("A weight of 0 or NULL leaves the row out.")));
	return weight;
}
