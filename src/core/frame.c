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

/* Squared distances from the shift, times the weights, of points from as many shares in a row. */
typedef struct terms
{
	double hi[CLU_LANES][CLU_SIDE_BY_SIDE];
	double lo[CLU_LANES][CLU_SIDE_BY_SIDE];
} terms;

/* Those of a panel of points of one share; 0 behind its end. */
static void
find_terms(const clu_frame *frame, clu_frame_member *own, const clu_block *share, size_t first,
		   terms *t, int column)
{
	double hi[CLU_LANES] = {0}, lo[CLU_LANES] = {0};
	int	   n = share->n > first ? (int) CLU_MIN(share->n - first, CLU_LANES) : 0;

	if (n > 0)
	{
		double largest;

		clu_panel_from(own->panel, share->x, share->width, share->d, first, n);
		largest = clu_kernel->deviations(own->panel, share->d, frame->shift, hi, lo);
		own->largest = CLU_MAX(own->largest, largest);
	}
	for (int lane = 0; lane < CLU_LANES; lane++)
	{
		clu_dd term = {lane < n ? hi[lane] : 0, lane < n ? lo[lane] : 0};

		if (share->w != NULL && lane < n)
			term = clu_dd_product((clu_dd) {share->w[first + (size_t) lane], 0}, term);
		t->hi[lane][column] = term.hi;
		t->lo[lane][column] = term.lo;
	}
}

static void
spread_of_shares(void *work, size_t item, int member, const clu_interrupt *interrupt)
{
	const clu_frame *frame = work;
	clu_frame_member own = frame->member[member]; /* a copy, apart from those of others */
	size_t			 shares = clu_points_shares(frame->points), number = item * CLU_SIDE_BY_SIDE;
	int				 n = (int) CLU_MIN(shares - number, CLU_SIDE_BY_SIDE);
	clu_block		 share[CLU_SIDE_BY_SIDE];
	terms			 t = {0};

	own.largest = 0;
	memset(own.hi, 0, sizeof(own.hi));
	memset(own.lo, 0, sizeof(own.lo));
	for (int s = 0; s < n; s++)
		share[s] = clu_points_share_block(frame->points, number + (size_t) s);
	for (size_t first = 0; first < share[0].n; first += CLU_LANES)
	{
		for (int s = 0; s < n; s++)
			find_terms(frame, &own, &share[s], first, &t, s);
		clu_kernel->add_side_by_side(own.hi, own.lo, t.hi[0], t.lo[0], CLU_LANES);
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
	for (int s = 0; s < CLU_SIDE_BY_SIDE; s++)
		frame->spread = clu_dd_add(frame->spread, (clu_dd) {own->hi[s], own->lo[s]});
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
				 (clu_points_shares(points) + CLU_SIDE_BY_SIDE - 1) / CLU_SIDE_BY_SIDE, interrupt);
	frame->radius = sqrt(frame->largest) * (1 + 1e-9);
	(void) frexp(frame->radius, &exponent);
	frame->unit = frame->radius > 0 ? ldexp(1.0, -exponent) : 1.0;
}
