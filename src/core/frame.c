/*
 * frame.c
 *		Measuring the frame of the data: its middle, extent and spread.
 */
#include "frame.h"

#include <math.h>
#include <string.h>

#include "kernel.h"

void
clu_frame_layout(clu_frame *frame, clu_arena *arena, int d, int members)
{
	CLU_TAKE(arena, frame->shift, (size_t) d);
	CLU_TAKE(arena, frame->member, (size_t) members);
	for (int m = 0; m < members; m++)
	{
		clu_frame_member  measured;
		clu_frame_member *member = frame->member == NULL ? &measured : &frame->member[m];

		CLU_TAKE(arena, member->sum, (size_t) d);
		CLU_TAKE(arena, member->panel, (size_t) d * CLU_LANES);
	}
}

static void
sum_share(void *work, size_t item, int member, const clu_interrupt *interrupt)
{
	const clu_frame		   *frame = work;
	const clu_frame_member *own = &frame->member[member];
	int						d = frame->points->d;
	size_t					number, end;

	memset(own->sum, 0, (size_t) d * sizeof(double));
	for (clu_points_share(frame->points, item, &number, &end); number < end; number++)
	{
		clu_block block = clu_points_block(frame->points, number);

		for (size_t i = 0; i < block.n; i++)
		{
			const double *x = clu_row(block.x, block.width, i, d, own->panel);

			for (int j = 0; j < d; j++)
				own->sum[j] += x[j];
		}
		clu_check(interrupt);
	}
}

static void
collect_sum(void *work, size_t item, int member)
{
	clu_frame			   *frame = work;
	const clu_frame_member *own = &frame->member[member];

	(void) item;
	for (int j = 0; j < frame->points->d; j++)
		frame->shift[j] += own->sum[j];
}

static void
spread_of_block(const clu_frame *frame, clu_frame_member *own, const clu_block *block)
{
	for (size_t first = 0; first < block->n; first += CLU_LANES)
	{
		uint32_t queue[CLU_LANES];
		double	 hi[CLU_LANES], lo[CLU_LANES];
		int		 n = (int) CLU_MIN(block->n - first, CLU_LANES);

		for (int lane = 0; lane < n; lane++)
			queue[lane] = (uint32_t) first + (uint32_t) lane;
		clu_panel_fill(own->panel, block->x, block->width, block->d, queue, n);
		clu_kernel->deviations(own->panel, block->d, frame->shift, hi, lo);
		for (int lane = 0; lane < n; lane++)
		{
			clu_dd w = {clu_weight(block->w, queue[lane]), 0};

			own->largest = fmax(own->largest, hi[lane]);
			own->spread = clu_dd_add(own->spread, clu_dd_product(w, (clu_dd) {hi[lane], lo[lane]}));
		}
	}
}

static void
spread_of_share(void *work, size_t item, int member, const clu_interrupt *interrupt)
{
	const clu_frame *frame = work;
	clu_frame_member own = frame->member[member]; /* a copy, apart from those of others */
	size_t			 number, end;

	own.largest = 0;
	own.spread = (clu_dd) {0, 0};
	for (clu_points_share(frame->points, item, &number, &end); number < end; number++)
	{
		clu_block block = clu_points_block(frame->points, number);

		spread_of_block(frame, &own, &block);
		clu_check(interrupt);
	}
	frame->member[member] = own;
}

static void
collect_spread(void *work, size_t item, int member)
{
	clu_frame			   *frame = work;
	const clu_frame_member *own = &frame->member[member];

	(void) item;
	frame->largest = fmax(frame->largest, own->largest);
	frame->spread = clu_dd_add(frame->spread, own->spread);
}

const clu_task clu_find_shift_task = {sum_share, collect_sum};
const clu_task clu_find_spread_task = {spread_of_share, collect_spread};

/*
 * The shift only has to be near the data, and the same for the same points: a plain mean of the
 * distinct points is.
 */
static void
find_shift(clu_frame *frame, clu_team *team, const clu_interrupt *interrupt)
{
	int d = frame->points->d;

	memset(frame->shift, 0, (size_t) d * sizeof(double));
	clu_team_run(team, CLU_JOB_FIND_SHIFT, frame, clu_points_shares(frame->points), interrupt);
	for (int j = 0; j < d; j++)
		frame->shift[j] /= (double) frame->points->n;
}

void
clu_frame_measure(clu_frame *frame, const clu_points *points, clu_team *team,
				  const clu_interrupt *interrupt)
{
	int exponent = 0;

	frame->points = points;
	find_shift(frame, team, interrupt);
	frame->largest = 0;
	frame->spread = (clu_dd) {0, 0};
	clu_team_run(team, CLU_JOB_FIND_SPREAD, frame, clu_points_shares(points), interrupt);
	frame->radius = sqrt(frame->largest) * (1 + 1e-9);
	(void) frexp(frame->radius, &exponent);
	frame->unit = frame->radius > 0 ? ldexp(1.0, -exponent) : 1.0;
}
