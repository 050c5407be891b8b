/*
 * narrow.c
 *		Tables of bounds of scores; see narrow.h.
 */
#include "narrow.h"

#include <string.h>

/* Coordinates of a point along the axes, and what is left of it. */
static size_t
most_columns(const clu_narrow *narrow)
{
	return narrow->axes.most == 0 ? 0 : (size_t) narrow->axes.most + 1;
}

void
clu_narrow_layout(clu_narrow *narrow, clu_arena *arena, size_t n, int k, int d)
{
	clu_coarse_layout(&narrow->coarse, arena, n, k, d);
	clu_coarse_set_layout(&narrow->set, arena, clu_is_coarse(narrow) ? k : 0, d,
						  clu_kernel->filter_group);
	clu_axes_layout(&narrow->axes, arena, n, clu_is_coarse(narrow) ? 0 : k, d);
	CLU_TAKE(arena, narrow->places, clu_size_product(clu_filter_padded(k), most_columns(narrow)));
}

void
clu_narrow_member_layout(const clu_narrow *narrow, clu_narrow_member *member, clu_arena *arena)
{
	size_t columns = most_columns(narrow);

	clu_coarse_panel_layout(&member->coarse, arena, &narrow->coarse);
	CLU_TAKE(arena, member->place_panel, columns * CLU_LANES);
	CLU_TAKE(arena, member->along, columns > 0 ? clu_axes_scratch(&narrow->axes) : 0);
	CLU_TAKE(arena, member->list,
			 clu_is_coarse(narrow) || columns > 0 ? CLU_MOST_LISTED * CLU_LANES : 0);
}

bool
clu_narrow_ready(const clu_narrow *narrow)
{
	return clu_is_coarse(narrow) || narrow->axes.m > 0;
}

void
clu_narrow_begin(clu_narrow *narrow, clu_narrow_member *member, const clu_points *points,
				 const clu_frame *frame, float *panel, const clu_interrupt *interrupt)
{
	clu_coarse_reset(&narrow->coarse, points->n);
	clu_axes_find(&narrow->axes, points, frame->shift, frame->unit, panel, member->along,
				  interrupt);
}

/* Put the places of up to 32 centres along the axes where the filter reads them. */
static void
pack_places(clu_narrow *narrow, const float *row, int first, int n)
{
	int size = clu_kernel->filter_group, columns = narrow->axes.m + 1;

	for (int i = 0; i < n; i++)
	{
		int	   c = first + i;
		float *to = narrow->places + (size_t) (c / size) * (size_t) (size * columns) + c % size;

		for (int j = 0; j < columns; j++)
			to[j * size] = row[i * columns + j];
	}
}

static void
pack_along_axes(clu_narrow *narrow, clu_narrow_member *member, const double *center, int k,
				const clu_frame *frame, float *panel, const clu_interrupt *interrupt)
{
	const clu_axes *axes = &narrow->axes;
	size_t			columns = (size_t) axes->m + 1;

	memset(narrow->places, 0, clu_filter_padded(k) * columns * sizeof(float));
	for (int first = 0; first < k; first += CLU_LANES)
	{
		uint32_t number[CLU_LANES];
		float	 norm[CLU_LANES];
		int		 n = CLU_MIN(k - first, CLU_LANES);

		for (int i = 0; i < n; i++)
			number[i] = (uint32_t) i;
		clu_kernel->filter_panel(center + (size_t) first * (size_t) axes->d, 8, axes->d, number, n,
								 frame->shift, frame->unit, panel, norm);
		clu_axes_place(axes, panel, number, n, member->along, member->place_panel, norm);
		pack_places(narrow, member->place_panel, first, n);
		clu_check(interrupt);
	}
}

void
clu_narrow_pack(clu_narrow *narrow, clu_narrow_member *member, const double *center, int k,
				const clu_frame *frame, float *panel, const clu_interrupt *interrupt)
{
	if (clu_is_coarse(narrow))
		clu_coarse_pack(&narrow->set, center, frame, panel, interrupt);
	else
		pack_along_axes(narrow, member, center, k, frame, panel, interrupt);
}
