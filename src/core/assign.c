/*
 * assign.c
 *		The assignment step; what is proven and how, is said in assign.h.
 */
#include "assign.h"

#include <float.h>
#include <math.h>
#include <string.h>

#define FILTER_CENTERS 12		/* with fewer centres, the exact kernel alone is faster */
#define MOST_FILTERED (1 << 24) /* numbers of centres beyond are no floats */
#define LEAST_SURE 0x1p-900		/* squared distances below have lost digits to underflow */
#define QUEUED 256				/* points that wait together for their rows */
#define MOST_GONE 64			/* units of the frame; beyond, gaps are known too roughly */
#define MOST_LISTED 64			/* centres that are left of a point's, see most_listed */
#define MOST_WIDE 0x1p60		/* a centre farther out, in units of the frame, has no place */
#define OF_A_POINT 1600			/* what it takes to look along the axes, beside the scores */
#define OF_A_DISTANCE 640		/* beside its terms */
#define NARROW_TRIAL 256		/* points that don't tell yet whether their axes pay */
#define CHECK_PANELS 1024		/* with more coordinates of centres, a panel is worth a check */

/* ---- tables ---- */

static int
filter_groups(int k)
{
	return (k + clu_kernel->filter_group - 1) / clu_kernel->filter_group;
}

static size_t
panels(size_t n)
{
	return (n + CLU_LANES - 1) / CLU_LANES;
}

void
clu_assign_layout(clu_assigner *assigner, clu_arena *arena, clu_metric metric, size_t n, int k,
				  int d, clu_axes *axes, int members)
{
	size_t padded = clu_size_product((size_t) filter_groups(k), (size_t) clu_kernel->filter_group);
	size_t dims = (size_t) d;
	size_t narrow = axes == NULL || axes->most == 0 ? 0 : (size_t) axes->most + 1;

	assigner->metric = metric;
	assigner->k = k;
	assigner->d = d;
	assigner->axes = axes;
	CLU_TAKE(arena, assigner->label, panels(n) * CLU_LANES);
	CLU_TAKE(arena, assigner->reach, panels(n) * CLU_LANES);
	CLU_TAKE(arena, assigner->calm, panels(n));
	CLU_TAKE(arena, assigner->packed, clu_packed_size(k, d));
	CLU_TAKE(arena, assigner->filter_packed, clu_size_product(padded, dims));
	CLU_TAKE(arena, assigner->half_norm, padded);
	CLU_TAKE(arena, assigner->gone, (size_t) k);
	CLU_TAKE(arena, assigner->gone_up, (size_t) k);
	CLU_TAKE(arena, assigner->places, clu_size_product(padded, narrow));
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
		CLU_TAKE(arena, member->place_panel, narrow * CLU_LANES);
		CLU_TAKE(arena, member->along, narrow > 0 ? clu_axes_scratch(axes) : 0);
		CLU_TAKE(arena, member->list, narrow > 0 ? MOST_LISTED * CLU_LANES : 0);
	}
}

static void
forget_doubts(clu_assigner *assigner)
{
	for (int m = 0; m < assigner->members; m++)
	{
		clu_assign_member *own = &assigner->member[m];

		own->scanned = own->doubtful = 0;
		own->narrowed = own->listed = own->crowded = 0;
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
	for (int group = 0; group < filter_groups(a->k); group++, packed += (size_t) size * a->d)
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

/* Never more than it is. */
static float
round_down(double sum)
{
	return (float) (sum * (1 - 2 * FLT_EPSILON));
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
	for (int c = 0; c < a->k; c++)
		a->gone_up[c] = round_up(a->gone[c]);
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

/* Centres as the filter reads them, along the axes. */
static void
pack_places(clu_assigner *a, const clu_interrupt *interrupt)
{
	const clu_frame	  *frame = a->frame;
	const clu_axes	  *axes = a->axes;
	clu_assign_member *own = &a->member[0];
	int				   size = clu_kernel->filter_group, columns = axes->m + 1;

	memset(a->places, 0,
		   (size_t) filter_groups(a->k) * (size_t) size * (size_t) columns * sizeof(float));
	for (int first = 0; first < a->k; first += CLU_LANES)
	{
		uint32_t number[CLU_LANES];
		float	 norm[CLU_LANES];
		int		 n = CLU_MIN(a->k - first, CLU_LANES);

		for (int i = 0; i < n; i++)
			number[i] = (uint32_t) i;
		clu_kernel->filter_panel(a->center + (size_t) first * (size_t) a->d, 8, a->d, number, n,
								 frame->shift, frame->unit, own->filter_panel, norm);
		clu_axes_place(axes, own->filter_panel, number, n, own->along, own->place_panel, norm);
		for (int i = 0; i < n; i++)
		{
			int	   c = first + i;
			float *to = a->places + (size_t) (c / size) * (size_t) (size * columns) + c % size;

			for (int j = 0; j < columns; j++)
				to[j * size] = own->place_panel[i * columns + j];
		}
		clu_check(interrupt);
	}
}

void
clu_assign_prepare(clu_assigner *a, const double *center, const double *previous,
				   const clu_interrupt *interrupt)
{
	bool doubts = filter_doubts(a);

	a->center = center;
	shrink_gaps(a, previous, interrupt);
	pack_for_exact(a, interrupt);
	a->filtered =
		a->metric == CLU_SQUARED && a->k >= FILTER_CENTERS && a->k <= MOST_FILTERED && !doubts;
	if (a->filtered)
		pack_for_filter(a, interrupt);

	/* numbers far outside of the points' might overflow in the filter, which is no proof */
	a->narrowed = a->filtered && a->axes != NULL && a->axes->m > 0 && a->largest_norm < MOST_WIDE;
	if (a->narrowed)
		pack_places(a, interrupt);
	forget_doubts(a);
}

/* ---- one panel ---- */

typedef struct pass
{
	const clu_assigner *a;
	clu_assign_member  *own;
	const clu_block	   *block;
	uint32_t		   *label; /* of the block */
	float			   *reach;
	clu_change		   *changes;
	size_t				changed;

	/* points that the axes left too many centres of */
	uint32_t crowded[CLU_LANES];
	int		 waiting;
} pass;

static void
settle(pass *p, uint32_t point, uint32_t label, float gap)
{
	p->reach[point] = gap > 0 ? round_down(gap + p->a->gone[label]) : 0;
	if (p->label[point] == label)
		return;
	p->changes[p->changed++] = (clu_change) {point, p->label[point]};
	p->label[point] = label;
}

static float
exact_gap(const clu_assigner *a, double least, double second)
{
	return a->k == 1 ? FLT_MAX / 4 : clu_exact_gap(a->metric, least, second, a->d, a->frame->unit);
}

static void
settle_exactly(pass *p, uint32_t point)
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
	settle(p, point, label, exact_gap(a, least, second));
}

static void
scan_exactly(pass *p, const uint32_t *queue, int n)
{
	const clu_assigner *a = p->a;
	double				least[CLU_LANES], second[CLU_LANES], index[CLU_LANES];
	float				gap[CLU_LANES];

	clu_panel_fill(p->own->panel, p->block->x, p->block->width, a->d, queue, n);
	clu_kernel->nearest(a->metric, p->own->panel, a->d, a->center, a->k, least, second, index);
	clu_kernel->exact_gaps(a->metric, least, second, a->d, a->frame->unit, gap);
	for (int lane = 0; lane < n; lane++)
		settle(p, queue[lane], (uint32_t) index[lane], a->k == 1 ? FLT_MAX / 4 : gap[lane]);
}

static void
scan_filtered(pass *p, const uint32_t *queue, int n)
{
	const clu_assigner *a = p->a;
	const clu_frame	   *frame = a->frame;
	float				least[CLU_LANES], second[CLU_LANES], index[CLU_LANES];
	float				norm[CLU_LANES], gap[CLU_LANES];

	clu_kernel->filter_panel(p->block->x, p->block->width, a->d, queue, n, frame->shift,
							 frame->unit, p->own->filter_panel, norm);
	clu_kernel->filter(p->own->filter_panel, a->d, a->filter_packed, a->half_norm,
					   filter_groups(a->k), least, second, index);
	clu_kernel->filter_gaps(least, second, norm, a->d, a->largest_norm, gap);
	p->own->scanned += (size_t) n;
	for (int lane = 0; lane < n; lane++)
		if (gap[lane] >= 0)
			settle(p, queue[lane], (uint32_t) index[lane], gap[lane]);
		else
		{
			p->own->doubtful++;
			settle_exactly(p, queue[lane]);
		}
}

/* ---- along the axes ---- */

/* A point, and what is known of it before the list of its centres. */
typedef struct seeker
{
	uint32_t point;
	uint32_t guess;	   /* a centre */
	double	 distance; /* from that */
	double	 norm;	   /* squared, not more than it is */
	double	 error;	   /* of scores along the axes */
} seeker;

static double
distance_from(const pass *p, uint32_t point, uint32_t center)
{
	const clu_assigner *a = p->a;
	size_t				d = (size_t) a->d;
	const char		   *x = (const char *) p->block->x + point * d * (size_t) p->block->width;

	return clu_kernel->point_squared(x, p->block->width, a->d, a->center + center * d);
}

/* Find the places of points that are seen for the first time. */
static void
place_points(pass *p, const uint32_t *queue, int n)
{
	const clu_assigner *a = p->a;
	const clu_frame	   *frame = a->frame;
	const clu_axes	   *axes = a->axes;
	float			   *norm = axes->norm + p->block->first;
	float				unused[CLU_LANES];
	bool				placed = true;

	for (int lane = 0; lane < n; lane++)
		placed &= norm[queue[lane]] >= 0;
	if (placed)
		return;
	clu_kernel->filter_panel(p->block->x, p->block->width, a->d, queue, n, frame->shift,
							 frame->unit, p->own->filter_panel, unused);
	clu_axes_place(axes, p->own->filter_panel, queue, n, p->own->along,
				   axes->place + p->block->first * (size_t) (axes->m + 1), norm);
}

/* The centre that a point had or, of one that had none, the most likely one. */
static void
guess_centers(pass *p, const uint32_t *queue, int n, uint32_t *guess)
{
	const clu_assigner *a = p->a;
	float				least[CLU_LANES], second[CLU_LANES], index[CLU_LANES];
	bool				known = true;

	for (int lane = 0; lane < n; lane++)
		known &= (guess[lane] = p->label[queue[lane]]) != CLU_NO_LABEL;
	if (known)
		return;
	clu_kernel->filter(p->own->place_panel, a->axes->m + 1, a->places, a->half_norm,
					   filter_groups(a->k), least, second, index);
	for (int lane = 0; lane < n; lane++)
		guess[lane] = (uint32_t) index[lane];
}

/* Above which score along the axes a centre is not nearer to the point than the one guessed. */
static float
limit_of(const pass *p, const seeker *s)
{
	double unit = p->a->frame->unit;
	double score = (s->distance * unit * unit * (1 + 1e-9) - s->norm) / 2 + s->error;

	return (float) (score + fabs(score) * 0x1p-22) + FLT_MIN;
}

/* The gap between a distance and the least that one beyond the limit can be. */
static float
gap_beyond(const pass *p, const seeker *s, double least, float rest)
{
	double far = 2 * (rest - s->error) + s->norm;
	double gap =
		sqrt(far > 0 ? far : 0) * (1 - 1e-9) - sqrt(least) * p->a->frame->unit * (1 + 1e-9);

	if (!(gap < FLT_MAX / 4))
		return FLT_MAX / 4;
	return gap > FLT_MIN ? (float) (gap * (1 - 2 * FLT_EPSILON)) : 0;
}

static void
settle_listed(pass *p, const seeker *s, const uint32_t *list, int count, float rest)
{
	double	 least = s->distance, second = INFINITY;
	uint32_t label = s->guess;
	float	 gap;

	for (int i = 0; i < count; i++)
	{
		double distance;

		if (list[i] == s->guess)
			continue;
		distance = distance_from(p, s->point, list[i]);
		second = CLU_MIN(second, CLU_MAX(least, distance));
		if (distance < least)
		{
			least = distance;
			label = list[i];
		}
	}
	gap = gap_beyond(p, s, least, rest);
	if (second < INFINITY)
	{
		float listed = second > LEAST_SURE ? exact_gap(p->a, least, second) : 0;

		if (!(listed > 0))
		{
			settle_exactly(p, s->point);
			return;
		}
		gap = CLU_MIN(gap, listed);
	}
	settle(p, s->point, label, gap);
}

/* Points with long lists wait until there is a panel of them. */
static void
scan_crowded(pass *p)
{
	if (p->waiting > 0)
		scan_filtered(p, p->crowded, p->waiting);
	p->waiting = 0;
}

/* With more centres left, it's as well to have the filter look at all of them. */
static int
most_listed(int k)
{
	return CLU_MIN(k / 16, MOST_LISTED);
}

/*
 * Whether looking along the axes first is cheaper in this pass than the filter alone, in units of
 * a term of a score: with the centres as they are, of the points so far.
 */
static bool
narrowing_pays(const clu_assigner *a, const clu_assign_member *own)
{
	double points = (double) own->narrowed, listed = (double) own->listed;
	double scores = points * a->k * (a->axes->m + 1) * 1.2 + (double) own->crowded * a->k * a->d;
	double distances = points * OF_A_POINT + (points + listed) * (5 * a->d + OF_A_DISTANCE);

	return own->narrowed < NARROW_TRIAL || scores + distances < points * a->k * a->d * 0.8;
}

static void
scan_narrowed(pass *p, const uint32_t *queue, int n)
{
	const clu_assigner *a = p->a;
	const clu_axes	   *axes = a->axes;
	size_t				columns = (size_t) axes->m + 1;
	uint32_t			guess[CLU_LANES];
	seeker				seekers[CLU_LANES];
	float				limit[CLU_LANES], rest[CLU_LANES];
	int					count[CLU_LANES], most = most_listed(a->k);

	place_points(p, queue, n);
	clu_kernel->filter_panel(axes->place + p->block->first * columns, 4, (int) columns, queue, n,
							 axes->origin, 1, p->own->place_panel, rest);
	guess_centers(p, queue, n, guess);
	for (int lane = 0; lane < CLU_LANES; lane++)
	{
		double norm;

		limit[lane] = -INFINITY;
		if (lane >= n)
			continue;
		norm = axes->norm[p->block->first + queue[lane]];
		seekers[lane] = (seeker) {
			.point = queue[lane],
			.guess = guess[lane],
			.distance = distance_from(p, queue[lane], guess[lane]),
			.norm = norm * (1 - 4 * FLT_EPSILON),
			.error = clu_axes_error(axes, sqrt(norm) * (1 + 1e-6) + 0x1p-70, a->largest_norm)};
		limit[lane] = limit_of(p, &seekers[lane]);
	}
	clu_kernel->filter_list(p->own->place_panel, (int) columns, a->places, a->half_norm,
							filter_groups(a->k), limit, most, rest, p->own->list, count);
	p->own->narrowed += (size_t) n;
	for (int lane = 0; lane < n; lane++)
	{
		if (count[lane] <= most)
		{
			p->own->listed += (size_t) count[lane];
			settle_listed(p, &seekers[lane], p->own->list + lane * most, count[lane], rest[lane]);
			continue;
		}
		p->own->crowded++;
		p->crowded[p->waiting++] = queue[lane];
		if (p->waiting == CLU_LANES)
			scan_crowded(p);
	}
}

static void
scan(pass *p, const uint32_t *queue, int n, const clu_interrupt *interrupt)
{
	if (p->a->narrowed && narrowing_pays(p->a, p->own))
		scan_narrowed(p, queue, n);
	else if (p->a->filtered)
		scan_filtered(p, queue, n);
	else
		scan_exactly(p, queue, n);
	if ((size_t) p->a->k * (size_t) p->a->d > CHECK_PANELS)
		clu_check(interrupt);
}

/* ---- whole blocks ---- */

/* The lanes of a panel whose gaps are used up, as bits; the ways of all centres tell of most panels. */
static uint32_t
doubtful_lanes(const pass *p, size_t first, float all_gone)
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
	doubtful = clu_kernel->used_up(p->reach + first, p->label + first, a->gone_up, &least);
	if (doubtful == 0)
		*calm = round_down(least * (1 - 2 * FLT_EPSILON) + a->all_gone);
	return doubtful;
}

/* Append points to the queue, and begin to bring their rows into the cache. */
static int
queue_lanes(const pass *p, uint32_t *queue, int queued, size_t first, uint32_t lanes)
{
	size_t		size = clu_row_size(p->block->d, p->block->width);
	const char *x = p->block->x;

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
scan_queue(pass *p, uint32_t *queue, int queued, const clu_interrupt *interrupt)
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
	pass	 p = {.a = a,
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
	scan_crowded(&p);
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
