/*
 * assign.c
 *		The assignment step; what is proven and how, is said in assign.h.
 */
#include "pass.h"

#include <float.h>
#include <math.h>
#include <string.h>

#define FILTER_CENTERS 13		/* with fewer centres, the exact kernel alone is faster */
#define FILTER_CENTERS_L1 4		/* the same for L1 */
#define MOST_FILTERED (1 << 24) /* numbers of centres beyond are no floats */
#define QUEUED 256				/* points that wait together for their rows */
#define MOST_GONE 64			/* units of the frame; beyond, gaps are known too roughly */
#define MOST_WIDE 0x1p60		/* a centre farther out, in units of the frame, has no place */
#define CHECK_PANELS 1024		/* with more coordinates of centres, a panel is worth a check */

/* ---- tables ---- */

static size_t
panels(size_t n)
{
	return (n + CLU_LANES - 1) / CLU_LANES;
}

void
clu_assign_layout(clu_assigner *assigner, clu_arena *arena, clu_metric metric, size_t n, int k,
				  int d, clu_narrow *narrow, int members)
{
	size_t padded = clu_filter_padded(k), dims = (size_t) d;

	assigner->metric = metric;
	assigner->k = k;
	assigner->d = d;
	assigner->narrow = narrow;
	CLU_TAKE(arena, assigner->label, panels(n) * CLU_LANES);
	CLU_TAKE(arena, assigner->reach, panels(n) * CLU_LANES);
	CLU_TAKE(arena, assigner->calm, panels(n));
	CLU_TAKE(arena, assigner->packed, clu_packed_size(k, d));
	CLU_TAKE(arena, assigner->filter_packed, clu_size_product(padded, dims));
	CLU_TAKE(arena, assigner->half_norm, padded);
	CLU_TAKE(arena, assigner->gone, (size_t) k);
	CLU_TAKE(arena, assigner->gone_up, (size_t) CLU_MAX(k, CLU_FEW_LABELS));
	assigner->members = members;
	CLU_TAKE(arena, assigner->member, (size_t) members);
	for (int m = 0; m < members; m++)
	{
		clu_assign_member  measured;
		clu_assign_member *member = assigner->member == NULL ? &measured : &assigner->member[m];

		CLU_TAKE(arena, member->filter_panel, dims * CLU_LANES);
		CLU_TAKE(arena, member->panel, dims * CLU_LANES);
		CLU_TAKE(arena, member->distance, (size_t) k + CLU_GROUP);
		CLU_TAKE(arena, member->row, dims);
		if (narrow != NULL)
			clu_narrow_member_layout(narrow, &member->narrow, arena);
	}
}

static void
forget_doubts(clu_assigner *assigner)
{
	for (int m = 0; m < assigner->members; m++)
	{
		clu_assign_member *own = &assigner->member[m];

		own->scanned = own->doubtful = 0;
		own->narrow.narrowed = own->narrow.listed = own->narrow.crowded = 0;
	}
}

void
clu_assign_reset(clu_assigner *assigner, size_t n)
{
	for (size_t i = 0; i < n; i++)
	{
		assigner->label[i] = CLU_NO_LABEL;
		assigner->reach[i] = 0;
	}
	/* what is missing in the last panel never asks for anything */
	for (size_t i = n; i < panels(n) * CLU_LANES; i++)
	{
		assigner->label[i] = 0;
		assigner->reach[i] = INFINITY;
	}
	memset(assigner->calm, 0, panels(n) * sizeof(float));
	forget_doubts(assigner);
}

/* Centres as the exact kernels read them, group by group. */
static void
pack_for_exact(clu_assigner *a, const clu_interrupt *interrupt)
{
	for (int c = 0; c < a->k; c += CLU_GROUP)
	{
		size_t at = (size_t) c * (size_t) a->d;

		clu_pack_centers(a->center + at, CLU_MIN(a->k - c, CLU_GROUP), a->d, a->packed + at);
		clu_check_row(interrupt, (size_t) c, a->d);
	}
}

/* Centres as the filter reads them: centred, scaled, in groups, with half their squared norm. */
static void
pack_for_filter(clu_assigner *a, const clu_interrupt *interrupt)
{
	const clu_frame *frame = a->frame;
	int				 size = clu_kernel->filter_group;
	float			*packed = a->filter_packed;

	a->largest_norm = 0;
	for (int group = 0; group < clu_filter_groups(a->k); group++, packed += (size_t) size * a->d)
		for (int i = 0; i < size; i++)
		{
			int			  c = group * size + i;
			const double *center = a->center + (size_t) CLU_MIN(c, a->k - 1) * (size_t) a->d;
			double		  norm = 0;

			for (int j = 0; j < a->d; j++)
			{
				double value = (center[j] - frame->shift[j]) * frame->unit;

				norm += value * value;
				packed[j * size + i] = c < a->k ? (float) value : 0.0f;
			}
			a->half_norm[c] = c < a->k ? (float) (norm / 2) : INFINITY;
			a->largest_norm = fmax(a->largest_norm, norm);
			clu_check_row(interrupt, (size_t) c, a->d);
		}
	a->largest_norm = sqrt(a->largest_norm) * (1 + 1e-6);
}

/* The same for L1: row after row, with minus half the sum of their coordinates. */
static void
pack_for_l1_filter(clu_assigner *a, const clu_interrupt *interrupt)
{
	const clu_frame *frame = a->frame;

	a->largest_norm = 0;
	for (int c = 0; c < a->k; c++)
	{
		const double *center = a->center + (size_t) c * (size_t) a->d;
		float		 *packed = a->filter_packed + (size_t) c * (size_t) a->d;
		double		  sum = 0, norm = 0;

		for (int j = 0; j < a->d; j++)
		{
			double value = (center[j] - frame->shift[j]) * frame->unit;

			sum += value;
			norm += fabs(value);
			packed[j] = (float) value;
		}
		a->half_norm[c] = (float) (-sum / 2);
		a->largest_norm = fmax(a->largest_norm, norm);
		clu_check_row(interrupt, (size_t) c, a->d);
	}
	a->largest_norm *= 1 + 1e-6;
}

double
clu_distance(clu_metric metric, const double *x, const double *c, int d)
{
	double sum = 0;

	for (int j = 0; j < d; j++)
	{
		double difference = x[j] - c[j];

		sum += metric == CLU_L1 ? fabs(difference) : difference * difference;
	}
	return sum;
}

/* How far a centre went, in units of the frame, never too little. */
static double
way_of(const clu_assigner *a, const double *from, const double *to)
{
	double distance = clu_distance(a->metric, from, to, a->d);

	if (a->metric == CLU_SQUARED)
		distance = sqrt(distance);
	return distance * a->frame->unit * (1 + 1e-9 + a->d * DBL_EPSILON);
}

/* Add to the ways of a label, rounded up. */
static void
add_way(double *gone, double way)
{
	if (way > 0)
		*gone = (*gone + way) * (1 + 4 * DBL_EPSILON);
}

static void
measure_ways(clu_assigner *a, const double *previous, const clu_interrupt *interrupt)
{
	double *way = a->member[0].distance; /* scratch */
	double	longest = 0, second = 0;
	int		which = -1;

	for (int c = 0; c < a->k; c++)
	{
		size_t at = (size_t) c * (size_t) a->d;

		way[c] = way_of(a, previous + at, a->center + at);
		if (way[c] > longest)
		{
			second = longest;
			longest = way[c];
			which = c;
		}
		else if (way[c] > second)
			second = way[c];
		clu_check_row(interrupt, (size_t) c, a->d);
	}
	for (int c = 0; c < a->k; c++)
		add_way(&a->gone[c], way[c] + (c == which ? second : longest));
	add_way(&a->all_gone, longest + second);
}

/* Before gaps are known. */
static void
forget_ways(clu_assigner *a)
{
	memset(a->gone, 0, (size_t) a->k * sizeof(double));
	a->all_gone = 0;
}

/* Never less than it is, as a float. */
static float
round_up(double sum)
{
	return sum > 0 ? (float) (sum * (1 + 2 * FLT_EPSILON) + FLT_MIN) : 0;
}

/* Find how far the gaps have shrunk, in the pass that begins. */
static void
shrink_gaps(clu_assigner *a, const double *previous, const clu_interrupt *interrupt)
{
	a->gaps_known = previous != NULL;
	if (a->gaps_known)
	{
		measure_ways(a, previous, interrupt);
		a->gaps_known = a->all_gone <= MOST_GONE;
	}
	if (!a->gaps_known)
		forget_ways(a);
	for (int c = 0; c < CLU_MAX(a->k, CLU_FEW_LABELS); c++)
		a->gone_up[c] = c < a->k ? round_up(a->gone[c]) : 0;
}

/* Whether the filter could not decide for many of the points that it saw in the last pass. */
static bool
filter_doubts(const clu_assigner *a)
{
	size_t scanned = 0, doubtful = 0;

	for (int m = 0; m < a->members; m++)
	{
		scanned += a->member[m].scanned;
		doubtful += a->member[m].doubtful;
	}
	return doubtful * 8 > scanned && scanned > 0;
}

void
clu_assign_prepare(clu_assigner *a, const double *center, const double *previous,
				   const clu_interrupt *interrupt)
{
	bool doubts = filter_doubts(a);

	a->center = center;
	shrink_gaps(a, previous, interrupt);
	pack_for_exact(a, interrupt);
	a->filtered = a->k >= (a->metric == CLU_L1 ? FILTER_CENTERS_L1 : FILTER_CENTERS) &&
				  a->k <= MOST_FILTERED && !doubts;
	if (a->filtered && a->metric == CLU_L1)
		pack_for_l1_filter(a, interrupt);
	else if (a->filtered)
		pack_for_filter(a, interrupt);

	/* numbers far outside of the points' might overflow, and sums of them are no proof */
	if (a->filtered && a->metric == CLU_L1 && a->largest_norm >= MOST_WIDE)
		a->filtered = false;
	a->narrowed = a->filtered && a->metric == CLU_SQUARED && a->narrow != NULL &&
				  clu_narrow_ready(a->narrow) && a->largest_norm < MOST_WIDE;
	if (a->narrowed)
		clu_narrow_pack(a->narrow, &a->member[0].narrow, center, a->k, a->frame,
						a->member[0].filter_panel, interrupt);
	forget_doubts(a);
}

/* ---- one panel ---- */

float
clu_gap_between(const clu_assigner *a, double least, double second)
{
	return a->k == 1 ? FLT_MAX / 4 : clu_exact_gap(a->metric, least, second, a->d, a->frame->unit);
}

void
clu_settle_exactly(clu_pass *p, uint32_t point)
{
	const clu_assigner *a = p->a;
	const double	   *x = clu_row(p->block->x, p->block->width, point, a->d, p->own->row);
	double				least = INFINITY, second = INFINITY;
	uint32_t			label = 0;

	clu_kernel->point_distances(a->metric, x, a->d, a->packed, (a->k + CLU_GROUP - 1) / CLU_GROUP,
								p->own->distance);
	for (int c = 0; c < a->k; c++)
	{
		double distance = p->own->distance[c];

		if (distance < least)
		{
			second = least;
			least = distance;
			label = (uint32_t) c;
		}
		else if (distance < second)
			second = distance;
	}
	clu_settle(p, point, label, clu_gap_between(a, least, second));
}

static void
scan_exactly(clu_pass *p, const uint32_t *queue, int n)
{
	const clu_assigner *a = p->a;
	double				least[CLU_LANES], second[CLU_LANES], index[CLU_LANES];
	float				gap[CLU_LANES];

	clu_kernel->panel(p->own->panel, p->block->x, p->block->width, a->d, queue, n);
	clu_kernel->nearest(a->metric, p->own->panel, a->d, a->center, a->k, least, second, index);
	clu_kernel->exact_gaps(a->metric, least, second, a->d, a->frame->unit, gap);
	for (int lane = 0; lane < n; lane++)
		clu_settle(p, queue[lane], (uint32_t) index[lane], a->k == 1 ? FLT_MAX / 4 : gap[lane]);
}

/*
 * What the filter says of the points in its panel: the nearest centre, and the gap where that is
 * proven.
 */
static void
filter_panel(const clu_assigner *a, const float *panel, const float *norm, float *index, float *gap)
{
	float least[CLU_LANES], second[CLU_LANES];

	if (a->metric == CLU_L1)
	{
		clu_kernel->filter_l1(panel, a->d, a->filter_packed, a->half_norm, a->k, least, second,
							  index);
		clu_kernel->filter_l1_gaps(least, second, norm, a->d, a->largest_norm, gap);
	}
	else
	{
		clu_kernel->filter(panel, a->d, a->filter_packed, a->half_norm, clu_filter_groups(a->k),
						   least, second, index);
		clu_kernel->filter_gaps(least, second, norm, a->d, a->largest_norm, gap);
	}
}

void
clu_scan_filtered(clu_pass *p, const uint32_t *queue, int n)
{
	const clu_assigner *a = p->a;
	float				index[CLU_LANES], norm[CLU_LANES], gap[CLU_LANES];

	clu_kernel->filter_panel(p->block->x, p->block->width, a->d, queue, n, a->frame->shift,
							 a->frame->unit, p->own->filter_panel, norm);
	filter_panel(a, p->own->filter_panel, norm, index, gap);
	p->own->scanned += (size_t) n;
	for (int lane = 0; lane < n; lane++)
		if (gap[lane] >= 0)
			clu_settle(p, queue[lane], (uint32_t) index[lane], gap[lane]);
		else
		{
			p->own->doubtful++;
			clu_settle_exactly(p, queue[lane]);
		}
}

static void
scan(clu_pass *p, const uint32_t *queue, int n, const clu_interrupt *interrupt)
{
	if (p->a->narrowed && clu_narrowing_pays(p->a, &p->own->narrow))
		clu_scan_narrowed(p, queue, n);
	else if (p->a->filtered)
		clu_scan_filtered(p, queue, n);
	else
		scan_exactly(p, queue, n);
	if ((size_t) p->a->k * (size_t) p->a->d > CHECK_PANELS)
		clu_check(interrupt);
}

/* ---- whole blocks ---- */

/*
 * The lanes of a panel whose gaps are used up, as bits; the ways of all centres tell of most
 * panels.
 */
static uint32_t
doubtful_lanes(const clu_pass *p, size_t first, float all_gone)
{
	const clu_assigner *a = p->a;
	size_t				n = CLU_MIN(p->block->n - first, CLU_LANES);
	float			   *calm = &a->calm[(p->block->first + first) / CLU_LANES], least;
	uint32_t			doubtful = UINT32_MAX >> (CLU_LANES - n);

	if (a->gaps_known && *calm > all_gone)
		return 0;
	*calm = 0;
	if (!a->gaps_known)
		return doubtful;
	doubtful = clu_kernel->used_up(p->reach + first, p->label + first, a->gone_up, a->k, &least);
	if (doubtful == 0)
		*calm = clu_round_down(least * (1 - 2 * FLT_EPSILON) + a->all_gone);
	return doubtful;
}

/* Append points to the queue, and begin to bring their rows into the cache. */
static int
queue_lanes(const clu_pass *p, uint32_t *queue, int queued, size_t first, uint32_t lanes)
{
	size_t		size = clu_row_size(p->block->d, p->block->width);
	const char *x = p->block->x;

	/* neighbours come into the cache by themselves */
	if (lanes == UINT32_MAX)
	{
		for (int lane = 0; lane < CLU_LANES; lane++)
			queue[queued + lane] = (uint32_t) first + (uint32_t) lane;
		return queued + CLU_LANES;
	}
	for (; lanes != 0; lanes &= lanes - 1)
	{
		size_t point = first + (size_t) __builtin_ctz(lanes);

		clu_fetch_row(x + point * size, size);
		queue[queued++] = (uint32_t) point;
	}
	return queued;
}

/* Scan what fills whole panels; returns what is left of the queue, and moved to its front. */
static int
scan_queue(clu_pass *p, uint32_t *queue, int queued, const clu_interrupt *interrupt)
{
	int at = 0;

	for (; at + CLU_LANES <= queued; at += CLU_LANES)
		scan(p, queue + at, CLU_LANES, interrupt);
	memmove(queue, queue + at, (size_t) (queued - at) * sizeof(*queue));
	return queued - at;
}

size_t
clu_assign_block(clu_assigner *a, int member, const clu_block *block, clu_change *changes,
				 const clu_interrupt *interrupt)
{
	clu_pass p = {.a = a,
				  .own = &a->member[member],
				  .block = block,
				  .label = a->label + block->first,
				  .reach = a->reach + block->first,
				  .changes = changes};
	float	 all_gone = round_up(a->all_gone);
	uint32_t queue[QUEUED + CLU_LANES];
	int		 queued = 0;

	for (size_t first = 0; first < block->n; first += CLU_LANES)
	{
		uint32_t lanes = doubtful_lanes(&p, first, all_gone);

		queued = queue_lanes(&p, queue, queued, first, lanes);
		if (queued >= QUEUED)
			queued = scan_queue(&p, queue, queued, interrupt);
	}
	queued = scan_queue(&p, queue, queued, interrupt);
	if (queued > 0)
		scan(&p, queue, queued, interrupt);
	clu_scan_crowded(&p);
	return p.changed;
}

void
clu_assign_doubt(clu_assigner *a, size_t point)
{
	a->reach[point] = 0;
	a->calm[point / CLU_LANES] = 0;
}

void
clu_assign_renumber(clu_assigner *a, const int *order, double *scratch)
{
	memcpy(scratch, a->gone, (size_t) a->k * sizeof(double));
	for (int c = 0; c < a->k; c++)
		a->gone[c] = scratch[order[c]];
}

void
clu_own_distances(clu_metric metric, const clu_block *block, const double *center,
				  const uint32_t *label, double *out, double *buffer)
{
	for (size_t i = 0; i < block->n; i++)
		out[i] = clu_distance(metric, clu_row(block->x, block->width, i, block->d, buffer),
							  center + (size_t) label[i] * (size_t) block->d, block->d);
}

bool
clu_distance_is_lost(double distance, const double *x, const double *center, int d, double unit)
{
	double sum = 0;

	if (unit <= 1 || distance >= DBL_MIN)
		return false;
	for (int j = 0; j < d; j++)
	{
		double difference = (x[j] - center[j]) * unit;

		sum += difference * difference;
	}
	return sum >= DBL_MIN;
}
