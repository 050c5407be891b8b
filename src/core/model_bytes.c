/*
 * model_bytes.c
 *		Writing and reading the model format.
 *
 * Writing trusts its model, reading trusts nothing.  Every count is compared with the length of
 * the value before it is used, so that no product overflows and nothing is read beyond the end;
 * only then the hashes, and only then the values (model_check.c).  Matching hashes excuse nothing:
 * who forges a value can forge its hashes.
 *
 * There is one form of every model.  The writer turns -0 into 0, the reader refuses it, so what
 * can be read is written again to the same bytes.
 */
#include "model_bytes.h"

#include <limits.h>
#include <string.h>

#include "hash.h"
#include "little_endian.h"

/* Offsets of the header's fields. */
enum
{
	AT_MAGIC = 0,
	AT_VERSION = 8,
	AT_ALGORITHM = 10,
	AT_STRUCTURE = 11,
	AT_FLAGS = 12,
	AT_K = 16,
	AT_D = 20,
	AT_LENGTH = 24,
	AT_IDENTITY = 32,
	AT_CHECKSUM = 40,
	AT_ROWS = 48,
	AT_SKIPPED = 56,
	AT_TOTAL_WEIGHT = 64,
	AT_OBJECTIVE = 72,
	AT_LOG_LIKELIHOOD = 80,
	AT_ITERATIONS = 88,
	AT_OPTIONS = 96,
	AT_TRACE = 100,
	AT_PARAMETERS = 104,
	AT_PASSES = 112,
	AT_MOVED = 116,
	AT_TAKEN = 120,
	AT_RESERVED = 124
};

#define PARAMETER_BYTES 8
#define OPTION_BYTES 16
#define TRACE_BYTES 24
#define BRACKET_BYTES 16
#define TAKER_BYTES 8

static const uint8_t magic[8] = {'c', 'l', 'u', 's', 't', 'm', 'd', 'l'};

#define IDENTITY_SEED UINT64_C(0x6964656e74697479) /* "identity" */
#define CHECKSUM_SEED UINT64_C(0x636865636b73756d) /* "checksum" */

static clu_status
damaged(clu_error *error, const char *reason, double expected, double found)
{
	return clu_fail(error, CLU_DAMAGED, reason, expected, found);
}

/* ---- hashes ---- */

/* The hash of a value of at least a header's length, with one or both hash fields as zero. */
static uint64_t
hash_without(const uint8_t *bytes, size_t length, int field, int width, uint64_t seed)
{
	uint8_t	 header[CLU_MODEL_HEADER];
	clu_hash hash;

	memcpy(header, bytes, sizeof(header));
	memset(header + field, 0, (size_t) width);
	clu_hash_start(&hash, seed);
	clu_hash_blocks(&hash, header, sizeof(header) / CLU_HASH_BLOCK);
	return clu_hash_finish(&hash, bytes + sizeof(header), length - sizeof(header));
}

static uint64_t
identity_of(const uint8_t *bytes, size_t length)
{
	return hash_without(bytes, length, AT_IDENTITY, 16, IDENTITY_SEED);
}

static uint64_t
checksum_of(const uint8_t *bytes, size_t length)
{
	return hash_without(bytes, length, AT_CHECKSUM, 8, CHECKSUM_SEED);
}

uint64_t
clu_header_identity(const uint8_t *header)
{
	return clu_get_u64(header + AT_IDENTITY);
}

/* ---- writing ---- */

static uint32_t
option_count(const clu_options *options)
{
	uint32_t count = 0;

	for (int option = 0; option < CLU_OPTION_COUNT; option++)
		count += clu_option_is_set(options, (clu_option) option);
	return count;
}

/* Bytes of the brackets, from counts that are known to be possible. */
static size_t
brackets_size(const clu_model *model)
{
	size_t d = (size_t) model->d;
	size_t ranges = clu_size_product(clu_size_product((size_t) model->k, d), BRACKET_BYTES);
	size_t rows = (size_t) model->brackets.taken * (TAKER_BYTES + d * PARAMETER_BYTES);

	if (!clu_model_has_brackets(model))
		return 0;
	return ranges > SIZE_MAX / 2 ? SIZE_MAX : ranges + rows;
}

size_t
clu_encoded_size(const clu_model *model)
{
	size_t parameters = clu_size_product(
		clu_parameter_count(model->algorithm, model->structure, model->k, model->d),
		PARAMETER_BYTES);
	size_t trace = clu_size_product(model->trace_count, TRACE_BYTES);
	size_t rest = CLU_MODEL_HEADER + (size_t) option_count(&model->options) * OPTION_BYTES;
	size_t brackets = brackets_size(model);

	if (model->trace_count > UINT32_MAX || trace > SIZE_MAX - rest ||
		parameters > SIZE_MAX - rest - trace || brackets > SIZE_MAX - rest - trace - parameters)
		return SIZE_MAX;
	return parameters + trace + rest + brackets;
}

static void
put_number(uint8_t *bytes, double value)
{
	clu_put_f64(bytes, value == 0 ? 0 : value);
}

static void
write_header(const clu_model *model, uint8_t *bytes, size_t length, size_t parameters)
{
	memset(bytes, 0, CLU_MODEL_HEADER);
	memcpy(bytes + AT_MAGIC, magic, sizeof(magic));
	clu_put_u16(bytes + AT_VERSION, CLU_FORMAT_VERSION);
	bytes[AT_ALGORITHM] = (uint8_t) model->algorithm;
	bytes[AT_STRUCTURE] = (uint8_t) model->structure;
	clu_put_u32(bytes + AT_FLAGS, model->flags);
	clu_put_u32(bytes + AT_K, (uint32_t) model->k);
	clu_put_u32(bytes + AT_D, (uint32_t) model->d);
	clu_put_u64(bytes + AT_LENGTH, length);
	clu_put_i64(bytes + AT_ROWS, model->rows);
	clu_put_i64(bytes + AT_SKIPPED, model->skipped);
	put_number(bytes + AT_TOTAL_WEIGHT, model->total_weight);
	put_number(bytes + AT_OBJECTIVE, model->objective);
	put_number(bytes + AT_LOG_LIKELIHOOD, model->log_likelihood);
	clu_put_i64(bytes + AT_ITERATIONS, model->iterations);
	clu_put_u32(bytes + AT_OPTIONS, option_count(&model->options));
	clu_put_u32(bytes + AT_TRACE, (uint32_t) model->trace_count);
	clu_put_u64(bytes + AT_PARAMETERS, parameters);
	if (!clu_model_has_brackets(model))
		return;
	clu_put_u32(bytes + AT_PASSES, model->brackets.passes);
	clu_put_u32(bytes + AT_MOVED, model->brackets.moved);
	clu_put_u32(bytes + AT_TAKEN, model->brackets.taken);
}

static uint8_t *
write_options(const clu_options *options, uint8_t *bytes)
{
	for (int option = 0; option < CLU_OPTION_COUNT; option++)
	{
		clu_option_kind kind = clu_option_table[option].kind;

		if (!clu_option_is_set(options, (clu_option) option))
			continue;
		clu_put_u32(bytes, (uint32_t) option);
		clu_put_u32(bytes + 4, (uint32_t) kind);
		if (kind == CLU_KIND_NUMBER)
			put_number(bytes + 8, options->value[option].number);
		else
			clu_put_i64(bytes + 8, options->value[option].integer);
		bytes += OPTION_BYTES;
	}
	return bytes;
}

static uint8_t *
write_trace(const clu_model *model, uint8_t *bytes)
{
	for (size_t i = 0; i < model->trace_count; i++, bytes += TRACE_BYTES)
	{
		clu_put_u32(bytes, model->trace[i].run);
		clu_put_u32(bytes + 4, model->trace[i].iteration);
		put_number(bytes + 8, model->trace[i].objective);
		clu_put_u64(bytes + 16, model->trace[i].changed);
	}
	return bytes;
}

static void
write_numbers(const double *number, size_t count, uint8_t *bytes)
{
	for (size_t i = 0; i < count; i++)
		put_number(bytes + i * PARAMETER_BYTES, number[i]);
}

static void
write_brackets(const clu_model *model, uint8_t *bytes)
{
	const clu_brackets *brackets = &model->brackets;
	size_t				d = (size_t) model->d, ranges = 2 * (size_t) model->k * d;

	write_numbers(brackets->range, ranges, bytes);
	bytes += ranges * PARAMETER_BYTES;
	for (uint32_t i = 0; i < brackets->taken; i++)
	{
		clu_put_u64(bytes, (uint64_t) brackets->taker[i] + 1);
		write_numbers(brackets->row + i * d, d, bytes + TAKER_BYTES);
		bytes += TAKER_BYTES + d * PARAMETER_BYTES;
	}
}

void
clu_encode(clu_model *model, uint8_t *bytes)
{
	size_t length = clu_encoded_size(model);
	size_t parameters = clu_parameter_count(model->algorithm, model->structure, model->k, model->d);
	uint8_t *at = bytes + CLU_MODEL_HEADER;

	write_header(model, bytes, length, parameters);
	write_numbers(model->parameter, parameters, at);
	at = write_options(&model->options, at + parameters * PARAMETER_BYTES);
	at = write_trace(model, at);
	if (clu_model_has_brackets(model))
		write_brackets(model, at);

	model->identity = identity_of(bytes, length);
	clu_put_u64(bytes + AT_IDENTITY, model->identity);
	clu_put_u64(bytes + AT_CHECKSUM, checksum_of(bytes, length));
}

/* ---- reading: the header ---- */

/* Magic and version come before everything else, for they say what everything else means. */
static clu_status
check_format(const uint8_t *bytes, size_t length, clu_error *error)
{
	unsigned version;

	if (length < AT_VERSION + 2 || memcmp(bytes, magic, sizeof(magic)) != 0)
		return damaged(error, "The value does not begin as a model does.", 0, 0);
	version = clu_get_u16(bytes + AT_VERSION);
	if (version > CLU_FORMAT_VERSION)
		return clu_fail(error, CLU_NEWER_FORMAT,
						"The value has format {found}, the newest one known is {expected}.",
						CLU_FORMAT_VERSION, version);
	if (version < 1)
		return damaged(error, "The format version is {found}.", CLU_FORMAT_VERSION, version);
	if (length < CLU_MODEL_HEADER)
		return damaged(error, "The value has {found} bytes, the header alone {expected}.",
					   CLU_MODEL_HEADER, (double) length);
	return CLU_OK;
}

static clu_status
read_shape(clu_model *model, const uint8_t *bytes, clu_error *error)
{
	uint32_t k = clu_get_u32(bytes + AT_K);
	uint32_t d = clu_get_u32(bytes + AT_D);

	if (k > INT_MAX)
		return damaged(error, "The number of clusters is {found}.", INT_MAX, k);
	if (d > INT_MAX)
		return damaged(error, "The number of dimensions is {found}.", INT_MAX, d);
	model->algorithm = (clu_algorithm) bytes[AT_ALGORITHM];
	model->structure = bytes[AT_STRUCTURE];
	model->flags = clu_get_u32(bytes + AT_FLAGS);
	model->k = (int) k;
	model->d = (int) d;
	if (clu_model_has_brackets(model))
	{
		model->brackets.passes = clu_get_u32(bytes + AT_PASSES);
		model->brackets.moved = clu_get_u32(bytes + AT_MOVED);
		model->brackets.taken = clu_get_u32(bytes + AT_TAKEN);
	}
	return clu_model_check_shape(model, error);
}

/* The length as it is, as the header says, and as it follows from the counts. */
static clu_status
check_length(const clu_model *model, const uint8_t *bytes, size_t length, clu_error *error)
{
	uint64_t stated = clu_get_u64(bytes + AT_LENGTH);
	uint64_t count = clu_get_u64(bytes + AT_PARAMETERS);
	uint64_t tail = (uint64_t) clu_get_u32(bytes + AT_OPTIONS) * OPTION_BYTES +
					(uint64_t) clu_get_u32(bytes + AT_TRACE) * TRACE_BYTES;
	size_t needed = clu_parameter_count(model->algorithm, model->structure, model->k, model->d);
	size_t brackets;

	if (stated != length)
		return damaged(error, "The value has {found} bytes, its header says {expected}.",
					   (double) stated, (double) length);
	if (count > (length - CLU_MODEL_HEADER) / PARAMETER_BYTES)
		return damaged(error, "{found} parameters do not fit into {expected} bytes.",
					   (double) length, (double) count);
	if (count != needed)
		return damaged(error, "There are {found} parameters, the clusters need {expected}.",
					   (double) needed, (double) count);
	/* the parameters fit into the length, and the brackets are not much larger */
	brackets = brackets_size(model);
	tail += brackets;
	if (length - CLU_MODEL_HEADER - count * PARAMETER_BYTES != tail)
		return damaged(error,
					   brackets > 0 ? "Options, trace and brackets need {expected} bytes, after "
									  "the parameters there are {found}."
									: "Options and trace need {expected} bytes, after the "
									  "parameters there are {found}.",
					   (double) tail,
					   (double) (length - CLU_MODEL_HEADER - count * PARAMETER_BYTES));
	return CLU_OK;
}

static clu_status
check_reserved(const clu_model *model, const uint8_t *bytes, clu_error *error)
{
	int first = clu_model_has_brackets(model) ? AT_RESERVED : AT_PASSES;

	for (int i = first; i < CLU_MODEL_HEADER; i++)
		if (bytes[i] != 0)
			return damaged(error, "Reserved byte {expected} of the header is {found}, not 0.", i,
						   bytes[i]);
	return CLU_OK;
}

/* The one thing that only the bytes can tell. */
static clu_status
get_number(const uint8_t *bytes, double *value, clu_error *error)
{
	if (clu_get_u64(bytes) == UINT64_C(1) << 63)
		return damaged(error, "A number is a negative zero.", 0, 0);
	*value = clu_get_f64(bytes);
	return CLU_OK;
}

static clu_status
read_summary(clu_model *model, const uint8_t *bytes, clu_error *error)
{
	clu_status status = get_number(bytes + AT_TOTAL_WEIGHT, &model->total_weight, error);

	if (status == CLU_OK)
		status = get_number(bytes + AT_OBJECTIVE, &model->objective, error);
	if (status == CLU_OK)
		status = get_number(bytes + AT_LOG_LIKELIHOOD, &model->log_likelihood, error);
	model->identity = clu_get_u64(bytes + AT_IDENTITY);
	model->rows = clu_get_i64(bytes + AT_ROWS);
	model->skipped = clu_get_i64(bytes + AT_SKIPPED);
	model->iterations = clu_get_i64(bytes + AT_ITERATIONS);
	model->trace_count = clu_get_u32(bytes + AT_TRACE);
	return status;
}

static clu_status
read_option(clu_options *options, const uint8_t *bytes, uint32_t *next, clu_error *error)
{
	uint32_t key = clu_get_u32(bytes);
	uint32_t kind = clu_get_u32(bytes + 4);

	if (key >= CLU_OPTION_COUNT)
		return damaged(error, "The option key {found} is unknown.", CLU_OPTION_COUNT - 1, key);
	if (key < *next)
		return damaged(error, "The option key {found} is out of order.", *next, key);
	if (kind != (uint32_t) clu_option_table[key].kind)
		return damaged(error, "An option has kind {found} instead of {expected}.",
					   clu_option_table[key].kind, kind);
	*next = key + 1;
	options->set |= 1u << key;
	if (kind == CLU_KIND_NUMBER)
		return get_number(bytes + 8, &options->value[key].number, error);
	options->value[key].integer = clu_get_i64(bytes + 8);
	return CLU_OK;
}

static clu_status
read_options(clu_model *model, const uint8_t *bytes, uint32_t count, clu_error *error)
{
	uint32_t   next = 0;
	clu_status status = CLU_OK;

	for (uint32_t i = 0; i < count && status == CLU_OK; i++, bytes += OPTION_BYTES)
		status = read_option(&model->options, bytes, &next, error);
	return status;
}

clu_status
clu_decode_header(clu_model *model, const uint8_t *bytes, size_t length, clu_error *error)
{
	clu_status status = check_format(bytes, length, error);

	memset(model, 0, sizeof(*model));
	if (status == CLU_OK)
		status = read_shape(model, bytes, error);
	if (status == CLU_OK)
		status = check_length(model, bytes, length, error);
	if (status == CLU_OK)
		status = check_reserved(model, bytes, error);
	if (status == CLU_OK)
		status = read_summary(model, bytes, error);
	if (status == CLU_OK)
	{
		size_t parameters = (size_t) clu_get_u64(bytes + AT_PARAMETERS);

		status = read_options(model, bytes + CLU_MODEL_HEADER + parameters * PARAMETER_BYTES,
							  clu_get_u32(bytes + AT_OPTIONS), error);
	}
	return status == CLU_OK ? clu_model_check_summary(model, error) : status;
}

/* ---- reading: the arrays ---- */

void
clu_decode_layout(clu_model *model, clu_arena *arena)
{
	size_t parameters = clu_parameter_count(model->algorithm, model->structure, model->k, model->d);
	size_t scratch = clu_check_scratch(model);
	double *parameter;

	/* The scratch matrix follows the parameters; the body knows to find it there. */
	CLU_TAKE(arena, parameter, parameters > SIZE_MAX - scratch ? SIZE_MAX : parameters + scratch);
	CLU_TAKE(arena, model->trace, model->trace_count);
	if (clu_model_has_brackets(model))
		clu_brackets_layout(&model->brackets, arena, model->k, model->d, model->brackets.taken);
	if (parameter != NULL)
		clu_model_bind(model, parameter);
}

static clu_status
read_numbers(double *number, const uint8_t *bytes, size_t count, clu_error *error)
{
	clu_status status = CLU_OK;

	for (size_t i = 0; i < count && status == CLU_OK; i++)
		status = get_number(bytes + i * PARAMETER_BYTES, &number[i], error);
	return status;
}

static clu_status
read_trace(clu_model *model, const uint8_t *bytes, clu_error *error)
{
	clu_status status = CLU_OK;

	for (size_t i = 0; i < model->trace_count && status == CLU_OK; i++, bytes += TRACE_BYTES)
	{
		clu_trace *entry = &model->trace[i];

		entry->run = clu_get_u32(bytes);
		entry->iteration = clu_get_u32(bytes + 4);
		entry->changed = clu_get_u64(bytes + 16);
		status = get_number(bytes + 8, &entry->objective, error);
	}
	return status;
}

static clu_status
read_brackets(clu_model *model, const uint8_t *bytes, clu_error *error)
{
	clu_brackets *brackets = &model->brackets;
	size_t		  d = (size_t) model->d, ranges = 2 * (size_t) model->k * d;
	clu_status	  status = read_numbers(brackets->range, bytes, ranges, error);

	bytes += ranges * PARAMETER_BYTES;
	for (uint32_t i = 0; i < brackets->taken && status == CLU_OK; i++)
	{
		uint64_t taker = clu_get_u64(bytes);

		if (taker < 1 || taker > (uint64_t) model->k)
			return damaged(error, "A row is taken by cluster {found} of {expected}.", model->k,
						   (double) taker);
		brackets->taker[i] = (uint32_t) taker - 1;
		status = read_numbers(brackets->row + i * d, bytes + TAKER_BYTES, d, error);
		bytes += TAKER_BYTES + d * PARAMETER_BYTES;
	}
	return status;
}

static clu_status
check_hashes(const uint8_t *bytes, size_t length, clu_error *error)
{
	if (clu_get_u64(bytes + AT_CHECKSUM) != checksum_of(bytes, length))
		return damaged(error, "The checksum does not match: bytes were changed.", 0, 0);
	if (clu_get_u64(bytes + AT_IDENTITY) != identity_of(bytes, length))
		return damaged(error, "The identity does not match the content.", 0, 0);
	return CLU_OK;
}

clu_status
clu_decode_body(clu_model *model, const uint8_t *bytes, size_t length,
				const clu_interrupt *interrupt, clu_error *error)
{
	size_t count = clu_parameter_count(model->algorithm, model->structure, model->k, model->d);
	const uint8_t *brackets = bytes + length - brackets_size(model);
	clu_status	   status = check_hashes(bytes, length, error);

	if (status == CLU_OK)
		status = read_numbers(model->parameter, bytes + CLU_MODEL_HEADER, count, error);
	if (status == CLU_OK)
		status = read_trace(model, brackets - model->trace_count * TRACE_BYTES, error);
	if (status == CLU_OK && clu_model_has_brackets(model))
		status = read_brackets(model, brackets, error);
	if (status == CLU_OK)
		status = clu_model_check(model, model->parameter + count, interrupt, error);
	return status;
}
