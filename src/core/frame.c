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

/*
 * Squared distances of a panel of points from the shift, with their weights; returns their
 * number.
 */
static int
deviations_of_panel(const clu_frame *frame, clu_frame_member *own, const clu_block *share,
					size_t first, clu_dd *deviation)
{
	uint32_t queue[CLU_LANES] = {0};
	double	 hi[CLU_LANES], lo[CLU_LANES];
	int		 n = (int) CLU_MIN(share->n - first, CLU_LANES);

	for (int lane = 0; lane < n; lane++)
		queue[lane] = (uint32_t) first + (uint32_t) lane;
	clu_panel_fill(own->panel, share->x, share->width, share->d, queue, n);
	clu_kernel->deviations(own->panel, share->d, frame->shift, hi, lo);
	for (int lane = 0; lane < n; lane++)
	{
		own->largest = fmax(own->largest, hi[lane]);
		deviation[lane] = (clu_dd) {hi[lane], lo[lane]};
	}
	for (int lane = 0; share->w != NULL && lane < n; lane++)
		deviation[lane] =
			clu_dd_product((clu_dd) {share->w[first + (size_t) lane], 0}, deviation[lane]);
	return n;
}

/* Add up the spread of one share after the other. */
static void
spread_of_share(const clu_frame *frame, clu_frame_member *own, const clu_block *share, size_t first,
				clu_dd *spread)
{
	clu_dd deviation[CLU_LANES];
	int	   n = deviations_of_panel(frame, own, share, first, deviation);

	for (int lane = 0; lane < n; lane++)
		*spread = clu_dd_add(*spread, deviation[lane]);
}

/* The same of full panels of all shares. */
static void
spread_side_by_side(const clu_frame *frame, clu_frame_member *own, const clu_block *share,
					size_t first, clu_dd *spread)
{
	clu_dd deviation[CLU_FRAME_SHARES][CLU_LANES];
	clu_dd sum[CLU_FRAME_SHARES];

	for (int s = 0; s < CLU_FRAME_SHARES; s++)
		(void) deviations_of_panel(frame, own, &share[s], first, deviation[s]);
	memcpy(sum, spread, sizeof(sum));
	for (int lane = 0; lane < CLU_LANES; lane++)
#pragma GCC unroll 4
		for (int s = 0; s < CLU_FRAME_SHARES; s++)
			sum[s] = clu_dd_add(sum[s], deviation[s][lane]);
	memcpy(spread, sum, sizeof(sum));
}

static void
spread_of_shares(void *work, size_t item, int member, const clu_interrupt *interrupt)
{
	const clu_frame *frame = work;
	clu_frame_member own = frame->member[member]; /* a copy, apart from those of others */
	size_t			 shares = clu_points_shares(frame->points), number = item * CLU_FRAME_SHARES;
	int				 n = (int) CLU_MIN(shares - number, CLU_FRAME_SHARES);
	clu_block		 share[CLU_FRAME_SHARES];

	own.largest = 0;
	memset(own.spread, 0, sizeof(own.spread));
	for (int s = 0; s < n; s++)
		share[s] = clu_points_share_block(frame->points, number + (size_t) s);
	for (size_t first = 0; first < share[0].n; first += CLU_LANES)
	{
		/* the last share is the shortest */
		if (n == CLU_FRAME_SHARES && first + CLU_LANES <= share[n - 1].n)
			spread_side_by_side(frame, &own, share, first, own.spread);
		else
			for (int s = 0; s < n && first < share[s].n; s++)
				spread_of_share(frame, &own, &share[s], first, &own.spread[s]);
		clu_check_row(interrupt, first, share[0].d);
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
	for (int s = 0; s < CLU_FRAME_SHARES; s++)
		frame->spread = clu_dd_add(frame->spread, own->spread[s]);
}

const clu_task clu_find_shift_task = {sum_share, collect_sum};
const clu_task clu_find_spread_task = {spread_of_shares, collect_spread};

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
	clu_team_run(team, CLU_JOB_FIND_SPREAD, frame,
				 (clu_points_shares(points) + CLU_FRAME_SHARES - 1) / CLU_FRAME_SHARES, interrupt);
	frame->radius = sqrt(frame->largest) * (1 + 1e-9);
	(void) frexp(frame->radius, &exponent);
	frame->unit = frame->radius > 0 ? ldexp(1.0, -exponent) : 1.0;
}
