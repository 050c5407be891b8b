/*
 * step_farthest.c
 *		The list of the farthest rows; see step_farthest.h.
 */
#include "step_farthest.h"

#include <math.h>
#include <string.h>

clu_far_list
clu_far_shape(int k, int d)
{
	return (clu_far_list) {.k = k,
						   .d = d,
						   .most = CLU_MIN(k, CLU_MOST_FARTHEST),
						   .width = sizeof(clu_far_row) + (size_t) d * sizeof(double)};
}

/* Whether row a of the list comes before (distance, x): negative yes, 0 the same row. */
static int
compare_far(const clu_far_row *a, double distance, const double *x, int d)
{
	if (a->distance != distance)
		return a->distance > distance ? -1 : 1;
	for (int j = 0; j < d; j++)
		if (a->x[j] != x[j])
			return a->x[j] < x[j] ? -1 : 1;
	return 0;
}

/* The row of the list that has these values, made where it isn't; NULL where it's not so far. */
static clu_far_row *
find_far(const clu_far_list *list, double distance, const double *x, int64_t label)
{
	int64_t		 n = *list->listed, at = n;
	int			 most = list->most, order = -1;
	size_t		 width = list->width;
	clu_far_row *row;

	/* a forged count must not lead outside; only a full check of the state finds it */
	if (n < 0 || n > most)
		return NULL;
	if (!(distance > 0) || (n == most && clu_far_at(list, n - 1)->distance > distance))
		return NULL;
	while (at > 0 && (order = compare_far(clu_far_at(list, at - 1), distance, x, list->d)) > 0)
		at--;
	if (at > 0 && order == 0)
		return clu_far_at(list, at - 1);
	if (at == most)
		return NULL;
	if (n == most)
		n--;
	row = clu_far_at(list, at);
	memmove((char *) row + width, row, (size_t) (n - at) * width);
	*list->listed = n + 1;
	row->distance = distance;
	row->label = label;
	row->ones = 0;
	clu_wide_clear(&row->weight);
	for (int j = 0; j < list->d; j++)
		row->x[j] = x[j] + 0.0; /* -0 becomes 0 */
	return row;
}

void
clu_far_add(const clu_far_list *list, double distance, const double *x, int64_t label,
			double weight)
{
	clu_far_row *row = find_far(list, distance, x, label);

	if (row == NULL)
		return;
	if (weight == 1)
		clu_wide_count(&row->ones);
	else
		clu_wide_add(&row->weight, weight);
}

void
clu_far_merge(const clu_far_list *to, const clu_far_list *from)
{
	for (int64_t i = 0; i < *from->listed; i++)
	{
		const clu_far_row *other = clu_far_at(from, i);
		clu_far_row		  *row = find_far(to, other->distance, other->x, other->label);

		if (row == NULL)
			continue;
		row->ones += other->ones;
		clu_wide_merge(&row->weight, &other->weight);
	}
}

bool
clu_far_valid(const clu_far_list *list, double most_distance)
{
	if (*list->listed < 0 || *list->listed > list->most)
		return false;
	for (int64_t i = 0; i < *list->listed; i++)
	{
		const clu_far_row *row = clu_far_at(list, i);

		if (!(row->distance > 0 && row->distance < most_distance) || row->label < 0 ||
			row->label >= list->k || row->ones < 0 || row->ones > CLU_WIDE_TERMS ||
			!clu_wide_valid(&row->weight))
			return false;
		for (int j = 0; j < list->d; j++)
			if (!isfinite(row->x[j]))
				return false;
	}
	return true;
}
