/*
 * numeric_value.c
 *		The doubles nearest to numerics; see numeric_value.h.
 *
 * The server has one by way of text, numeric to decimal digits and those to a double, which takes
 * several times as long as all else that is done with a row.  But most numerics are small: their
 * digits make an integer m of at most 2^53, and their value is m * 10^e with |e| <= 22.  Both m and
 * 10^|e| are doubles then, without rounding, so that m * 10^e, or m / 10^-e, rounded once, is the
 * double nearest to the value: the same that the server gives (Clinger, "How to read floating point
 * numbers accurately", PLDI 1990).  All others go by way of text.
 *
 * What a numeric looks like is known to numeric.c alone, but can't change, as it is what lies on
 * disk (pg_upgrade takes tables over as they are; it was last added to in 9.1, and in 14 for
 * infinities, by bits that had not been in use).  Digits are base 10000, the first and the last of
 * them not 0:
 *
 *		header	uint16: the highest two bits are the sign, 0 or 0x4000 for -; 0x8000 says
 *				that the header is short, 0xC000 that this is NaN or an infinity
 *		weight	int16: the first digit is in units of 10000^weight
 *		digits	int16 each, as many as there is room for
 *
 * A short header has its sign in 0x2000 and the weight in the lowest seven bits, in two's
 * complement.  As a server could still be different, a few numerics are made by the server and
 * compared, once in a session, before this is believed.
 */
#include "numeric_value.h"

#include "fmgr.h"
#include "utils/builtins.h"
#include "utils/fmgrprotos.h"

#include "compat.h"

#define SIGN_BITS 0xC000
#define NEGATIVE 0x4000
#define SHORT 0x8000
#define SPECIAL 0xC000
#define SHORT_NEGATIVE 0x2000
#define SHORT_WEIGHT 0x007F
#define SHORT_WEIGHT_SIGN 0x0040

#define MOST_DIGITS 5 /* with more, and without zeros at the end, m is beyond 2^53 */
#define MOST_INTEGER (UINT64CONST(1) << 53)
#define MOST_EXPONENT 22 /* of ten that is a double */

static const double power_of_ten[MOST_EXPONENT + 1] = {
	1e0,  1e1,	1e2,  1e3,	1e4,  1e5,	1e6,  1e7,	1e8,  1e9,	1e10, 1e11,
	1e12, 1e13, 1e14, 1e15, 1e16, 1e17, 1e18, 1e19, 1e20, 1e21, 1e22};

/* The bytes of a numeric, with its header. */
static inline Size
size_of(const char *numeric)
{
	uint32 header;

	if (VARATT_IS_1B(numeric))
		return VARSIZE_1B(numeric);
	memcpy(&header, numeric, sizeof(header));
	return VARSIZE_4B(&header);
}

static inline uint64
digit_at(const char *digits, int i)
{
	int16 digit;

	memcpy(&digit, digits + i * (int) sizeof(digit), sizeof(digit));
	return (uint64) digit;
}

/*
 * The value of digits of which the last is in units of 10000^unit; false where that is not as
 * simple.  Of four or five, the decimal zeros at the end have to be left out to have m in its
 * limits.
 */
static inline bool
value_of_digits(const char *digits, int n, int unit, double *value)
{
	int	   exponent = 4 * unit;
	uint64 m = 0, last, factor = 10000;

	if (n > MOST_DIGITS)
		return false;
	for (int i = 0; i < n - 1; i++)
		m = m * 10000 + digit_at(digits, i);
	if (n > 0)
	{
		last = digit_at(digits, n - 1);
		for (; n > 3 && last % 10 == 0 && factor > 10; exponent++)
		{
			last /= 10;
			factor /= 10;
		}
		if (m > MOST_INTEGER / factor)
			return false;
		m = m * factor + last;
	}
	if (m > MOST_INTEGER || exponent < -MOST_EXPONENT || exponent > MOST_EXPONENT)
		return false;
	*value =
		exponent < 0 ? (double) m / power_of_ten[-exponent] : (double) m * power_of_ten[exponent];
	return true;
}

/* The value of a numeric without its varlena header, if it's a small one. */
static inline bool
small_value(const char *data, Size size, double *value)
{
	const char *end = data + size;
	uint16		header;
	int16		weight;
	bool		negative;
	int			n;

	memcpy(&header, data, sizeof(header));
	data += sizeof(header);
	if ((header & SIGN_BITS) == SPECIAL)
		return false;
	if (header & SHORT)
	{
		negative = (header & SHORT_NEGATIVE) != 0;
		weight = (int16) (header & SHORT_WEIGHT);
		weight -= (weight & SHORT_WEIGHT_SIGN) * 2;
	}
	else
	{
		negative = (header & SIGN_BITS) == NEGATIVE;
		memcpy(&weight, data, sizeof(weight));
		data += sizeof(weight);
	}
	n = (int) ((Size) (end - data) / sizeof(int16));
	if (!value_of_digits(data, n, n == 0 ? 0 : weight - n + 1, value))
		return false;
	if (negative)
		*value = -*value;
	return true;
}

static inline bool
quick_value(const char *numeric, double *value)
{
	Size header = VARATT_IS_1B(numeric) ? VARHDRSZ_SHORT : VARHDRSZ;

	return small_value(numeric + header, size_of(numeric) - header, value);
}

/* By way of text; the server expects its values aligned. */
static double
slow_value(const char *numeric)
{
	Size   size = size_of(numeric);
	char  *aligned = memcpy(palloc(size), numeric, size);
	float8 value =
		DatumGetFloat8(DirectFunctionCall1(numeric_float8_no_overflow, PointerGetDatum(aligned)));

	pfree(aligned);
	return value;
}

/* Whether the server's numerics are as described above. */
static bool
is_as_described(void)
{
	static const char *const values[] = {"0",
										 "1",
										 "-1",
										 "1234567.875",
										 "-0.00000625",
										 "10000",
										 "-98765432100000000",
										 "0.00000000000000001234"};

	for (int i = 0; i < (int) lengthof(values); i++)
	{
		Datum  numeric = DirectFunctionCall3(numeric_in, CStringGetDatum(values[i]),
											 ObjectIdGetDatum(InvalidOid), Int32GetDatum(-1));
		double quick;

		if (!quick_value(DatumGetPointer(numeric), &quick) ||
			quick != slow_value(DatumGetPointer(numeric)))
		{
			ereport(DEBUG1, (errmsg_internal("numerics are read by way of text")));
			return false;
		}
		pfree(DatumGetPointer(numeric));
	}
	return true;
}

void
clu_pg_read_numerics(const char *first, int n, double *out)
{
	static enum
	{
		UNKNOWN,
		AS_DESCRIBED,
		OTHERWISE
	} form = UNKNOWN;
	const char *at = first;

	if (form == UNKNOWN)
		form = is_as_described() ? AS_DESCRIBED : OTHERWISE;
	for (int i = 0; i < n; i++)
	{
		/* aligned among themselves, but for those with short headers */
		if (!VARATT_NOT_PAD_BYTE(at))
			at = first + INTALIGN(at - first);
		if (form == OTHERWISE || !quick_value(at, &out[i]))
			out[i] = slow_value(at);
		at += size_of(at);
	}
}
