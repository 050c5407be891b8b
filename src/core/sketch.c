/*
 * sketch.c
 *		Samples that merge; see sketch.h.
 */
#include "sketch.h"

#include <math.h>
#include <string.h>

#include "elementary.h"
#include "hash.h"
#include "points.h"
#include "random.h"

#define BYTE_ORDER_MARK UINT32_C(0x01020304)
#define CHECK_ENTRIES \
	64 /* merged between two checks for interrupts: each may move the order of all */

static const char magic[8] = {'c', 'l', 'u', 's', 'k', 'e', 't', '\0'};

/* ---- layout ---- */

static size_t
order_size(uint32_t most)
{
	return ((size_t) most * sizeof(uint32_t) + 7) / 8 * 8;
}

static size_t
entry_size(int d, int width)
{
	size_t row = clu_row_size(d, width);

	return row > SIZE_MAX / 4 ? SIZE_MAX / 2 : sizeof(clu_sketch_entry) + row;
}

size_t
clu_sketch_size(int d, int width, uint32_t most)
{
	size_t entries = clu_size_product(most, entry_size(d, width));
	size_t before = sizeof(clu_sketch_header) + order_size(most);

	return entries > SIZE_MAX - before ? SIZE_MAX : before + entries;
}

static uint32_t *
order_of(const void *sketch)
{
	return (uint32_t *) ((char *) sketch + sizeof(clu_sketch_header));
}

static clu_sketch_entry *
entry_at(const void *sketch, uint32_t number)
{
	const clu_sketch_header *header = sketch;

	return (clu_sketch_entry *) ((char *) sketch + sizeof(*header) + order_size(header->most) +
								 number * entry_size(header->d, header->width));
}

static size_t
row_size(const void *sketch)
{
	return clu_row_size(clu_sketch_head(sketch)->d, clu_sketch_head(sketch)->width);
}

void
clu_sketch_clear(void *sketch, int d, int width, uint32_t most, int64_t seed)
{
	clu_sketch_header *header = sketch;
	uint32_t		  *order = order_of(sketch);

	memset(header, 0, sizeof(*header));
	memcpy(header->magic, magic, sizeof(magic));
	header->byte_order = BYTE_ORDER_MARK;
	header->version = CLU_SKETCH_VERSION;
	header->length = clu_sketch_size(d, width, most);
	header->seed = seed;
	header->d = d;
	header->width = width;
	header->most = most;
	memset((char *) sketch + sizeof(*header), 0, header->length - sizeof(*header));
	for (uint32_t i = 0; i < most; i++)
		order[i] = i;
}

/* ---- checks ---- */

static clu_status
damaged(clu_error *error, const char *reason, double expected, double found)
{
	return clu_fail(error, CLU_DAMAGED_STATE, reason, expected, found);
}

static clu_status
check_shape(const clu_sketch_header *header, size_t length, clu_error *error)
{
	if (header->byte_order != BYTE_ORDER_MARK)
		return damaged(error, "It comes from a machine with another byte order.", 0, 0);
	if (header->version != CLU_SKETCH_VERSION)
		return damaged(error, "The state has version {found}, this one is {expected}.",
					   CLU_SKETCH_VERSION, header->version);
	if (header->d == 0 && header->width == 8 && header->most == 0 && header->listed == 0 &&
		length == sizeof(*header))
		return CLU_OK; /* it has only seen rows without a point */
	if (header->d < 1 || (header->width != 8 && header->width != CLU_PACKED) || header->most < 1 ||
		header->listed > header->most)
		return damaged(error, "The shape of the sample is impossible.", 0, 0);
	if (header->length != length ||
		clu_sketch_size(header->d, header->width, header->most) != length)
		return damaged(error, "The value has {found} bytes, a sample of its shape has {expected}.",
					   (double) clu_sketch_size(header->d, header->width, header->most),
					   (double) length);
	return CLU_OK;
}

static bool
is_finite_row(const void *sketch, uint32_t number)
{
	const clu_sketch_header *header = sketch;
	const double			*x = (const double *) (entry_at(sketch, number) + 1);

	for (int j = 0; header->width == 8 && j < header->d; j++)
		if (!isfinite(x[j]))
			return false;
	return true;
}

clu_status
clu_sketch_check(const void *sketch, size_t length, bool quick, clu_error *error)
{
	const clu_sketch_header *header = sketch;
	clu_status				 status;

	if (length < sizeof(*header) || memcmp(header->magic, magic, sizeof(magic)) != 0)
		return damaged(error, "The value does not begin as a sample does.", 0, 0);
	status = check_shape(header, length, error);
	if (status != CLU_OK)
		return status;
	if (header->rows < 0 || header->skipped < 0 || header->left_out < 0 ||
		header->rows > CLU_WIDE_TERMS || header->skipped > INT64_MAX / 4 ||
		header->left_out > INT64_MAX / 4 || header->fractional < 0 ||
		header->fractional > header->rows)
		return damaged(error, "The counts of rows are impossible.", 0, 0);
	if (quick)
		return CLU_OK;
	for (uint32_t i = 0; i < header->most; i++)
	{
		uint32_t				number = order_of(sketch)[i];
		const clu_sketch_entry *entry = entry_at(sketch, number < header->most ? number : 0);

		if (number >= header->most)
			return damaged(error, "The order names entry {found} of {expected}.", header->most,
						   number);
		if (i < header->listed &&
			(!(entry->key >= 0 && entry->key < INFINITY) || entry->ones < 0 ||
			 entry->ones > CLU_WIDE_TERMS || !clu_wide_valid(&entry->weight) ||
			 !is_finite_row(sketch, number)))
			return damaged(error, "Entry {found} of the sample is impossible.", 0, i);
	}
	return CLU_OK;
}

bool
clu_sketch_same_kind(const void *a, const void *b)
{
	const clu_sketch_header *ha = a, *hb = b;

	return ha->d == hb->d && ha->width == hb->width && ha->most == hb->most && ha->seed == hb->seed;
}

/* ---- entries ---- */

/* Whether the i-th entry comes after (key, row): positive yes, 0 it's the same row. */
static int
compare(const void *sketch, uint32_t i, double key, const void *row)
{
	/* a forged order can't lead outside */
	uint32_t				number = order_of(sketch)[i] % clu_sketch_head(sketch)->most;
	const clu_sketch_entry *entry = entry_at(sketch, number);

	if (entry->key != key)
		return entry->key > key ? 1 : -1;
	return memcmp(entry + 1, row, row_size(sketch));
}

/* The place of (key, row) in the order: the first entry that doesn't come before it. */
static uint32_t
find_place(const void *sketch, double key, const void *row)
{
	uint32_t low = 0, high = clu_sketch_head(sketch)->listed;

	while (low < high)
	{
		uint32_t middle = low + (high - low) / 2;

		if (compare(sketch, middle, key, row) < 0)
			low = middle + 1;
		else
			high = middle;
	}
	return low;
}

/* The entry of a row, made where it isn't there; NULL where it's left out. */
static clu_sketch_entry *
entry_of(void *sketch, double key, const void *row)
{
	clu_sketch_header *header = sketch;
	uint32_t		  *order = order_of(sketch);
	uint32_t		   place, number;
	clu_sketch_entry  *entry;

	if (header->listed == header->most && compare(sketch, header->most - 1, key, row) < 0)
		return NULL;
	place = find_place(sketch, key, row);
	if (place < header->listed && compare(sketch, place, key, row) == 0)
		return entry_at(sketch, order[place] % header->most);
	if (header->listed == header->most)
	{
		header->listed--;
		header->left_out++;
	}
	number = order[header->listed] % header->most;
	memmove(order + place + 1, order + place, (header->listed - place) * sizeof(*order));
	order[place] = number;
	header->listed++;
	entry = entry_at(sketch, number);
	entry->key = key;
	entry->ones = 0;
	clu_wide_clear(&entry->weight);
	memcpy(entry + 1, row, row_size(sketch));
	return entry;
}

static double
key_of(const void *sketch, const void *row, double cost)
{
	uint64_t bits =
		clu_hash_bytes(row, row_size(sketch), clu_mix64((uint64_t) clu_sketch_head(sketch)->seed));
	double u = ((double) (bits >> 11) + 1) * 0x1p-53;

	return fmin(-clu_log(u) / cost, 0x1p1000) + 0.0;
}

void
clu_sketch_add(void *sketch, const void *row, double cost, double weight)
{
	clu_sketch_header *header = sketch;
	clu_sketch_entry  *entry;

	header->rows++;
	header->fractional += weight != rint(weight);
	if (!(cost > 0))
		return;
	entry = entry_of(sketch, key_of(sketch, row, cost), row);
	if (entry == NULL)
		header->left_out++;
	else if (weight == 1)
		clu_wide_count(&entry->ones);
	else
		clu_wide_add(&entry->weight, weight);
}

void
clu_sketch_skip(void *sketch, int64_t rows)
{
	((clu_sketch_header *) sketch)->skipped += rows;
}

void
clu_sketch_merge(void *sketch, const void *other, const clu_interrupt *interrupt)
{
	clu_sketch_header		*header = sketch;
	const clu_sketch_header *others = other;

	header->rows += others->rows;
	header->skipped += others->skipped;
	header->left_out += others->left_out;
	header->fractional += others->fractional;
	for (uint32_t i = 0; i < others->listed; i++)
	{
		const clu_sketch_entry *from = entry_at(other, order_of(other)[i]);
		clu_sketch_entry	   *to = entry_of(sketch, from->key, from + 1);

		if (i % CHECK_ENTRIES == 0)
			clu_check(interrupt);
		if (to == NULL)
		{
			header->left_out++;
			continue;
		}
		to->ones += from->ones;
		clu_wide_merge(&to->weight, &from->weight);
	}
}

const void *
clu_sketch_row(const void *sketch, uint32_t i, double *weight)
{
	const clu_sketch_entry *entry = entry_at(sketch, order_of(sketch)[i]);

	*weight = clu_dd_value(clu_dd_add_double(clu_wide_value(&entry->weight), (double) entry->ones));
	return entry + 1;
}
