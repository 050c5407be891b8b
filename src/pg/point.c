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

#include <math.h>

#include "catalog/pg_type.h"
#include "port/pg_bswap.h"
#include "utils/array.h"
#include "utils/builtins.h"
#include "utils/varbit.h"

#include "compat.h"
#include "numeric_value.h"
#include "points.h"

/*
 * An array without its varlena header: these, the lower bound, and the values or a bitmap of
 * NULLs.
 */
enum
{
	DIMENSIONS,
	OFFSET,
	ELEMENT_TYPE,
	LENGTH,
	HEADER_INTS = 5
};

static void
report_shape(int ndim, int64 where)
{
	ereport(ERROR, (errcode(ERRCODE_ARRAY_SUBSCRIPT_ERROR),
					errmsg("point must be a one-dimensional array with at least one element"),
					where > 0 ? errdetail("Row " INT64_FORMAT " has %d dimensions.", where, ndim)
							  : errdetail("The array has %d dimensions.", ndim),
					errhint("Pass the coordinates of one row, such as ARRAY[a, b, c].")));
}

/* Most are small: as they lie in a row, or made by an expression. */
static inline const char *
contents(Datum datum)
{
	struct varlena *value = (struct varlena *) DatumGetPointer(datum);

	if (unlikely(VARATT_IS_EXTERNAL(value) || VARATT_IS_COMPRESSED(value)))
		value = PG_DETOAST_DATUM_PACKED(datum);
	return VARDATA_ANY(value);
}

static inline int32
header_int(const char *start, int number)
{
	int32 value;

	memcpy(&value, start + number * (int) sizeof(value), sizeof(value));
	return value;
}

void
clu_pg_point_open(clu_pg_point *point, Datum datum, int64 where)
{
	const char *start = contents(datum);
	int32		offset = header_int(start, OFFSET);

	if (header_int(start, DIMENSIONS) != 1)
		report_shape(header_int(start, DIMENSIONS), where);
	point->d = header_int(start, LENGTH);
	if (point->d < 1)
		report_shape(0, where);
	point->type = (Oid) header_int(start, ELEMENT_TYPE);
	point->data = start + HEADER_INTS * sizeof(int32);
	point->nulls = NULL;

	/* offsets count from the start of the array with its full header */
	if (offset != 0)
	{
		point->nulls = (const bits8 *) point->data;
		point->data = start + offset - VARHDRSZ;
	}
}

/* Both types are stored alike: the number of bits, then the bits, the first in the high end. */
void
clu_pg_bits_open(clu_pg_point *point, Datum datum, int64 where)
{
	const char *start = contents(datum);
	int32		length = header_int(start, 0);

	if (length < 1)
		ereport(ERROR, (errcode(ERRCODE_ARRAY_SUBSCRIPT_ERROR),
						errmsg("point must be a bit string with at least one bit"),
						where > 0 ? errdetail("Row " INT64_FORMAT " has none.", where)
								  : errdetail("The bit string is empty.")));
	point->d = length;
	point->type = VARBITOID;
	point->data = start + sizeof(length);
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

/* ---- values, copied and looked at in one loop without branches ---- */

/*
 * NaN and the infinities are the numbers whose exponent is all ones, to which adding its lowest bit
 * carries into the sign bit.  All that was seen is kept in one word.
 */
#define FLOAT_EXPONENT UINT32_C(0x7f800000)
#define FLOAT_STEP UINT32_C(0x00800000)
#define DOUBLE_EXPONENT UINT64_C(0x7ff0000000000000)
#define DOUBLE_STEP UINT64_C(0x0010000000000000)

/* Whether all of them are finite. */
static bool
copy_floats(const char *restrict from, float *restrict to, int d)
{
	uint32 seen = 0;

	for (int j = 0; j < d; j++)
	{
		uint32 bits;

		memcpy(&bits, from + j * sizeof(bits), sizeof(bits));
		memcpy(to + j, &bits, sizeof(bits));
		seen |= (bits & FLOAT_EXPONENT) + FLOAT_STEP;
	}
	return seen >> 31 == 0;
}

static bool
copy_doubles(const char *restrict from, double *restrict to, int d)
{
	uint64 seen = 0;

	for (int j = 0; j < d; j++)
	{
		uint64 bits;

		memcpy(&bits, from + j * sizeof(bits), sizeof(bits));
		memcpy(to + j, &bits, sizeof(bits));
		seen |= (bits & DOUBLE_EXPONENT) + DOUBLE_STEP;
	}
	return seen >> 63 == 0;
}

static bool
widen_floats(const char *restrict from, double *restrict to, int d)
{
	uint32 seen = 0;

	for (int j = 0; j < d; j++)
	{
		uint32 bits;
		float  value;

		memcpy(&bits, from + j * sizeof(bits), sizeof(bits));
		memcpy(&value, &bits, sizeof(value));
		to[j] = value;
		seen |= (bits & FLOAT_EXPONENT) + FLOAT_STEP;
	}
	return seen >> 31 == 0;
}

#define WIDEN(ctype, from, to, d)                                      \
	do                                                                 \
	{                                                                  \
		const char *restrict source = (from);                          \
		double *restrict target = (to);                                \
		int count = (d);                                               \
                                                                       \
		for (int j = 0; j < count; j++)                                \
		{                                                              \
			ctype value;                                               \
                                                                       \
			memcpy(&value, source + j * sizeof(value), sizeof(value)); \
			target[j] = (double) value;                                \
		}                                                              \
	} while (0)

static bool
read_numerics(const clu_pg_point *point, double *out)
{
	bool finite = true;

	clu_pg_read_numerics(point->data, point->d, out);
	for (int j = 0; j < point->d; j++)
		finite = finite && isfinite(out[j]);
	return finite;
}

/* Values of an array without NULLs; whether all of them are finite. */
static bool
read_values(const clu_pg_point *point, double *out)
{
	switch (point->type)
	{
		case FLOAT8OID:
			return copy_doubles(point->data, out, point->d);
		case FLOAT4OID:
			return widen_floats(point->data, out, point->d);
		case INT2OID:
			WIDEN(int16, point->data, out, point->d);
			return true;
		case INT4OID:
			WIDEN(int32, point->data, out, point->d);
			return true;
		case INT8OID:
			WIDEN(int64, point->data, out, point->d);
			return true;
		case BOOLOID:
			WIDEN(char, point->data, out, point->d);
			return true;
		default:
			return read_numerics(point, out);
	}
}

/* The position of the first NULL. */
static int
first_null(const clu_pg_point *point)
{
	int j = 0;

	while (j < point->d && !is_null(point, j))
		j++;
	return j;
}

/* The position of the first value that is no finite number. */
static int
first_invalid(const void *values, int width, int d)
{
	int j = 0;

	while (j < d &&
		   isfinite(width == 4 ? ((const float *) values)[j] : ((const double *) values)[j]))
		j++;
	return j;
}

bool
clu_pg_point_read(const clu_pg_point *point, int width, void *values, int *invalid)
{
	if (point->nulls != NULL && (*invalid = first_null(point)) < point->d)
		return false;
	if (width == 4 ? copy_floats(point->data, values, point->d) : read_values(point, values))
		return true;
	*invalid = first_invalid(values, width, point->d);
	return false;
}

/*
 * Bytes of a bit string, padded with zero bits by the server, to words of which each is a number.
 */
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
clu_pg_weight_given(FunctionCallInfo fcinfo, int argument, int64 where)
{
	double weight;

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
