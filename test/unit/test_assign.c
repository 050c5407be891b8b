/*
 * test_assign.c
 *		Labels are those of plain double arithmetic, whatever shortcut found them.
 *
 * Stand-alone; prints TAP.  The reference computes every distance with a plain loop and takes the
 * least, the lowest number where several are equal; for every kernel, over many iterations of
 * centres that move a little, a lot, or not at all.
 */
#include "fitting.h"

#include "assign.h"
#include "score.h"

/* ---- kernels ---- */

static double
plain_distance(clu_metric metric, const double *x, const double *c, int d)
{
	double sum = 0;

	for (int j = 0; j < d; j++)
		sum += metric == CLU_L1 ? fabs(x[j] - c[j]) : (x[j] - c[j]) * (x[j] - c[j]);
	return sum;
}

/* Every kernel of distances, on random numbers of random sizes, against the plain loop. */
static bool
kernel_agrees(clu_metric metric, int d, int k, int width)
{
	clu_rows rows = make_rows(40, d, width);
	double	*center = test_memory((size_t) k * (size_t) d * sizeof(double));
	double	*packed = test_memory(clu_packed_size(k, d) * sizeof(double));
	double	*panel = test_memory(sizeof(double) * CLU_LANES * (size_t) d);
	double	*all = test_memory(sizeof(double) * CLU_LANES * (size_t) k);
	double	*one = test_memory(sizeof(double) * (size_t) (k + CLU_GROUP));
	double	*row = test_memory(sizeof(double) * (size_t) d);
	double	 least[CLU_LANES], second[CLU_LANES], index[CLU_LANES];
	uint32_t queue[CLU_LANES];
	int		 n = 1 + (int) random_below(CLU_LANES);
	bool	 good = true;

	for (size_t i = 0; i < rows.n; i++)
		for (int j = 0; j < d; j++)
			set_value(&rows, i, j, random_below(3) == 0 ? 1 : random_normal());
	for (int i = 0; i < k * d; i++)
		center[i] = random_below(3) == 0 ? 1 : random_normal();
	for (int lane = 0; lane < CLU_LANES; lane++)
		queue[lane] = (uint32_t) random_below(rows.n);

	clu_kernel->panel(panel, rows.x, width, d, queue, n);
	clu_kernel->nearest(metric, panel, d, center, k, least, second, index);
	clu_kernel->distances(metric, panel, d, center, k, all);
	clu_pack_centers(center, k, d, packed);
	for (int lane = 0; lane < n; lane++)
	{
		double best = INFINITY, next = INFINITY, nearest;
		int	   groups = (k + CLU_GROUP - 1) / CLU_GROUP, label = 0;

		for (int j = 0; j < d; j++)
			row[j] = get_value(&rows, queue[lane], j);
		clu_kernel->point_distances(metric, row, d, packed, groups, one);
		for (int c = 0; c < k; c++)
		{
			double distance = plain_distance(metric, row, center + (size_t) c * (size_t) d, d);

			good =
				good && same_bits(one[c], distance) &&
				same_bits(all[c * CLU_LANES + lane], distance) &&
				same_bits(clu_distance(metric, row, center + (size_t) c * (size_t) d, d), distance);
			if (distance < best)
			{
				next = best;
				best = distance;
				label = c;
			}
			else
				next = fmin(next, distance);
		}
		for (int c = k; c < groups * CLU_GROUP; c++)
			good = good && one[c] == INFINITY;
		good = good &&
			   clu_kernel->point_nearest(metric, row, d, packed, groups, &nearest) == label &&
			   same_bits(nearest, best);
		good = good && same_bits(least[lane], best) && same_bits(second[lane], next) &&
			   index[lane] == label;
	}
	free_rows(&rows);
	free(center);
	free(packed);
	free(panel);
	free(all);
	free(one);
	free(row);
	return good;
}

/*
 * Lists of centres: whose scores, as the kernel has them, are not above the limit; and one
 * distance.
 */
static bool
lists_agree(int d, int k)
{
	int		 size = clu_kernel->filter_group, groups = (k + size - 1) / size, most = 5;
	float	*panel = test_memory(sizeof(float) * CLU_LANES * (size_t) d);
	float	*packed = test_memory(sizeof(float) * (size_t) (groups * size * d));
	float	*half_norm = test_memory(sizeof(float) * (size_t) (groups * size));
	float	*score = test_memory(sizeof(float) * CLU_LANES * (size_t) (groups * size));
	float	 limit[CLU_LANES], given[CLU_LANES], rest[CLU_LANES];
	uint32_t list[CLU_LANES * 5];
	int		 count[CLU_LANES];
	bool	 good = true;

	for (int i = 0; i < CLU_LANES * d; i++)
		panel[i] = (float) random_below(4);
	for (int i = 0; i < groups * size * d; i++)
		packed[i] = (float) random_below(4);
	for (int c = 0; c < groups * size; c++)
		half_norm[c] = c < k ? (float) random_below(10) : INFINITY;
	clu_kernel->scores(panel, d, packed, half_norm, groups, score);
	for (int lane = 0; lane < CLU_LANES; lane++)
		given[lane] = limit[lane] =
			lane % 5 == 0 ? -INFINITY
						  : score[random_below((uint64_t) k) * CLU_LANES + (uint64_t) lane];
	clu_kernel->filter_list(panel, d, packed, half_norm, groups, limit, most, rest, list, count);
	for (int lane = 0; lane < CLU_LANES; lane++)
	{
		float least = INFINITY;
		int	  listed = 0;

		for (int c = 0; c < k; c++)
		{
			float plain = half_norm[c]; /* of whole numbers: exact */

			for (int j = 0; j < d; j++)
				plain -= panel[j * CLU_LANES + lane] * packed[(c / size * d + j) * size + c % size];
			good = good && score[c * CLU_LANES + lane] == plain;
			if (plain > given[lane])
				least = fminf(least, plain);
			else if (listed++ < most)
				good = good && list[lane * most + listed - 1] == (uint32_t) c;
		}
		good = good &&
			   (listed > most ? count[lane] > most : count[lane] == listed && rest[lane] == least);
	}
	free(panel);
	free(packed);
	free(half_norm);
	free(score);
	return good;
}

static bool
rough_distance_agrees(int d, int width)
{
	clu_rows rows = make_rows(1, d, width);
	double	*center = test_memory((size_t) d * sizeof(double));
	double	*row = test_memory((size_t) d * sizeof(double));
	bool	 good;

	for (int j = 0; j < d; j++)
	{
		set_value(&rows, 0, j, random_normal());
		center[j] = random_normal();
		row[j] = get_value(&rows, 0, j);
	}
	good = near(clu_kernel->point_squared(rows.x, width, d, center),
				plain_distance(CLU_SQUARED, row, center, d), 1e-14 * (d + 4));
	free_rows(&rows);
	free(center);
	free(row);
	return good;
}

/* Gaps between exact distances, and which points have none left. */
static bool
gaps_agree(void)
{
	double	 least[CLU_LANES], second[CLU_LANES], unit = ldexp(1, (int) random_below(9) - 4);
	float	 gap[CLU_LANES], reach[CLU_LANES], gone[40], low, want_low = INFINITY;
	uint32_t label[CLU_LANES], want = 0;
	int		 labels = 1 + (int) random_below(40);
	bool	 good = true, enough = random_below(2);

	for (int c = 0; c < 40; c++)
		gone[c] = (float) random_below(4);
	for (int lane = 0; lane < CLU_LANES; lane++)
	{
		least[lane] = random_unit() * ldexp(1, (int) random_below(2000) - 1000);
		second[lane] = random_below(4) ? least[lane] * (1 + random_unit()) : INFINITY;
		label[lane] = (uint32_t) random_below((uint64_t) labels);
		reach[lane] = random_below(20) ? 3 * (float) random_unit() : gone[label[lane]];
		if (enough)
			reach[lane] = gone[label[lane]] + (float) random_unit() + 0x1p-20f;
		want |= (uint32_t) !(reach[lane] > gone[label[lane]]) << lane;
		want_low = fminf(want_low, reach[lane] - gone[label[lane]]);
	}
	good = clu_kernel->used_up(reach, label, gone, labels, &low) == want &&
		   (want != 0 || low == want_low);
	for (int metric = CLU_SQUARED; metric <= CLU_L1; metric++)
	{
		clu_kernel->exact_gaps(metric, least, second, 7, unit, gap);
		for (int lane = 0; lane < CLU_LANES; lane++)
			good = good && gap[lane] == clu_exact_gap(metric, least[lane], second[lane], 7, unit);
	}
	return good;
}

/* Double-doubles added up side by side, and the largest of a panel's deviations. */
static bool
sums_agree(void)
{
	double hi[CLU_SIDE_BY_SIDE], lo[CLU_SIDE_BY_SIDE], most = 0, largest;
	double term_hi[CLU_LANES][CLU_SIDE_BY_SIDE], term_lo[CLU_LANES][CLU_SIDE_BY_SIDE];
	double panel[3 * CLU_LANES], center[3], square[CLU_LANES], rest[CLU_LANES];
	clu_dd sum[CLU_SIDE_BY_SIDE];
	bool   good = true;

	for (int s = 0; s < CLU_SIDE_BY_SIDE; s++)
	{
		sum[s] = clu_dd_two_product(random_normal(), random_normal());
		hi[s] = sum[s].hi;
		lo[s] = sum[s].lo;
		for (int i = 0; i < CLU_LANES; i++)
		{
			double scale = ldexp(1, (int) random_below(100) - 50);
			clu_dd term = clu_dd_two_product(random_normal() * scale, random_normal());

			term_hi[i][s] = term.hi;
			term_lo[i][s] = term.lo;
			sum[s] = clu_dd_add(sum[s], term);
		}
	}
	clu_kernel->add_side_by_side(hi, lo, term_hi[0], term_lo[0], CLU_LANES);
	for (int s = 0; s < CLU_SIDE_BY_SIDE; s++)
		good = good && same_bits(hi[s], sum[s].hi) && same_bits(lo[s], sum[s].lo);
	for (int i = 0; i < 3 * CLU_LANES; i++)
		panel[i] = random_normal();
	for (int j = 0; j < 3; j++)
		center[j] = random_normal();
	largest = clu_kernel->deviations(panel, 3, center, square, rest);
	for (int i = 0; i < CLU_LANES; i++)
		most = fmax(most, square[i]);
	return good && largest == most;
}

/* How many numbers are less, against a plain loop. */
static bool
counts_agree(int n)
{
	double x[300], less[300];
	bool   good = true;

	for (int i = 0; i < 300; i++)
		x[i] = random_below(3) == 0 ? (double) random_below(4) - 2 : random_normal();
	clu_kernel->count_less(x, n, less);
	for (int i = 0; i < n; i++)
	{
		int count = 0;

		for (int j = 0; j < n; j++)
			count += x[j] < x[i];
		good = good && less[i] == count;
	}
	return good;
}

/* The nearest centres that the L1 filter proves, and that it doesn't claim too wide a gap. */
static bool
l1_filter_agrees(int d, int k)
{
	clu_rows rows = make_rows(CLU_LANES, d, 8);
	double	*center = test_memory((size_t) k * (size_t) d * sizeof(double));
	float	*packed = test_memory((size_t) k * (size_t) d * sizeof(float));
	float	*start = test_memory((size_t) k * sizeof(float));
	float	*panel = test_memory(sizeof(float) * CLU_LANES * (size_t) d);
	double	*shift = test_memory((size_t) d * sizeof(double));
	float	 least[CLU_LANES], second[CLU_LANES], index[CLU_LANES], norm[CLU_LANES], gap[CLU_LANES];
	uint32_t queue[CLU_LANES];
	double	 widest = 0, spread = ldexp(1, -(int) random_below(20));
	int		 proven = 0;
	bool	 good = true;

	for (uint32_t i = 0; i < CLU_LANES; i++)
		queue[i] = i;
	for (size_t i = 0; i < CLU_LANES; i++)
		for (int j = 0; j < d; j++)
			set_value(&rows, i, j, random_normal() * spread);
	for (int c = 0; c < k; c++)
	{
		double sum = 0, length = 0;

		for (int j = 0; j < d; j++)
		{
			double value = random_normal() * spread;

			center[c * d + j] = value;
			packed[c * d + j] = (float) value;
			sum += value;
			length += fabs(value);
		}
		start[c] = (float) (-sum / 2);
		widest = fmax(widest, length);
	}
	for (int j = 0; j < d; j++)
		shift[j] = 0;
	clu_kernel->filter_panel(rows.x, 8, d, queue, CLU_LANES, shift, 1, panel, norm);
	clu_kernel->filter_l1(panel, d, packed, start, k, least, second, index);
	clu_kernel->filter_l1_gaps(least, second, norm, d, widest * (1 + 1e-6), gap);
	for (int lane = 0; lane < CLU_LANES; lane++)
	{
		const double *x = (const double *) rows.x + lane * d;
		double		  nearest = INFINITY, next = INFINITY;
		int			  label = 0;

		for (int c = 0; c < k; c++)
		{
			double distance = plain_distance(CLU_L1, x, center + c * d, d);

			next = fmin(next, fmax(distance, nearest));
			label = distance < nearest ? c : label;
			nearest = fmin(nearest, distance);
		}
		if (gap[lane] < 0)
			continue;
		proven++;
		good = good && index[lane] == label && (k == 1 || gap[lane] <= next - nearest);
	}
	free_rows(&rows);
	free(center);
	free(packed);
	free(start);
	free(panel);
	free(shift);
	return good && proven > CLU_LANES * 3 / 4;
}

static void
test_kernels(void)
{
	for (int kernel = 0; kernel < KERNELS; kernel++)
	{
		bool good = true;

		if (!use_kernel(kernel))
		{
			ok(true, "distances of kernel %s # SKIP not on this machine", kernel_names[kernel]);
			continue;
		}
		for (int repeat = 0; repeat < 600; repeat++)
			good = good && kernel_agrees(repeat % 2 ? CLU_L1 : CLU_SQUARED,
										 1 + (int) random_below(repeat % 10 ? 12 : 300),
										 1 + (int) random_below(repeat % 7 ? 20 : 100),
										 repeat % 4 < 2 ? 4 : 8);
		ok(good, "distances of kernel %s are those of a plain loop, to the bit",
		   kernel_names[kernel]);
		good = true;
		for (int repeat = 0; repeat < 200; repeat++)
			good = good && lists_agree(1 + (int) random_below(9), 1 + (int) random_below(60)) &&
				   gaps_agree() && sums_agree() &&
				   rough_distance_agrees(1 + (int) random_below(90), repeat % 2 ? 8 : 4);
		ok(good, "lists, scores, gaps and rough distances of kernel %s", kernel_names[kernel]);
		good = true;
		for (int repeat = 0; repeat < 200; repeat++)
			good = good && counts_agree(1 + (int) random_below(250)) &&
				   l1_filter_agrees(1 + (int) random_below(repeat % 10 ? 12 : 90),
									2 + (int) random_below(40));
		ok(good, "numbers that are less, and the L1 filter, of kernel %s", kernel_names[kernel]);
	}
}

/* ---- assignment over many iterations ---- */

enum
{
	NORMAL,
	CLUSTERED,
	OFFSET,
	INTEGERS,
	SCALES,
	ONE_OUTLIER,
	MANY_CLUSTERS,
	DATA_KINDS,
	VANISHING /* for test_vanishing alone */
};

static const char *const data_names[] = {"normal",
										 "clustered",
										 "far from the origin",
										 "small integers",
										 "columns of different scales",
										 "with one outlier",
										 "in many clusters"};

enum
{
	CREEPING, /* all centres move a little, less and less */
	ONE_MOVES,
	JUMPING,
	STANDING,
	COINCIDING, /* several centres are the same */
	DRIFTING,	/* all the same way */
	MOVES
};

typedef struct trial
{
	clu_metric	 metric;
	int			 kind, k, d, width;
	clu_rows	 rows;
	prepared	 data;
	clu_frame	 frame;
	clu_narrow	 narrow;
	clu_assigner assigner;
	clu_arena	 arena, frame_arena;
	double		*center, *previous;
	clu_change	*changes;
	uint32_t	*label; /* of the pass before */
	double		*row;
} trial;

static double
data_value(const trial *t, size_t i, int j)
{
	switch (t->kind)
	{
		case CLUSTERED:
			return (double) ((i * 7 + (size_t) j * 3) % 5) * 10 + random_normal();
		case OFFSET:
			return (t->width == 8 ? 1e9 : 1e4) + random_normal();
		case INTEGERS:
			return (double) random_below(5);
		case SCALES:
			return random_normal() * pow(10, j % 7 - 3);
		case ONE_OUTLIER:
			return i == 3 ? 1e6 : random_normal();
		case MANY_CLUSTERS:
			return (double) ((i % 97 * 31 + (size_t) j * 57) % 101) + random_normal();
		case VANISHING:
			/* pairs, whose mean is 0 */
			if (i < 2 || j == t->d - 1)
				return i < 2 && j == t->d - 1 ? (i == 0 ? 1 : -1) : 0;
			return ldexp(sin((double) (i / 2 * 1000 + (size_t) j)), -30 - (int) (i / 2 % 28)) *
				   (i % 2 == 0 ? 1 : -1);
		default:
			return random_normal();
	}
}

static double
center_value(const trial *t, size_t c, int j)
{
	/* half of them points, half of them anywhere near */
	if (c % 2 == 0 || t->kind == INTEGERS)
		return get_value(&t->rows, random_below(t->rows.n), j);
	return data_value(t, random_below(100), j);
}

static void
lay_out_assigner(trial *t)
{
	size_t n = t->data.points.n;

	clu_narrow_layout(&t->narrow, &t->arena, n, t->metric == CLU_SQUARED ? t->k : 0, t->d);
	clu_assign_layout(&t->assigner, &t->arena, t->metric, n, t->k, t->d, &t->narrow, 1);
}

static void
begin_trial(trial *t, clu_metric metric, int kind, size_t n, int k, int d, int width)
{
	memset(t, 0, sizeof(*t));
	t->metric = metric;
	t->kind = kind;
	t->k = k;
	t->d = d;
	t->width = width;
	t->rows = make_rows(n, d, width);
	for (size_t i = 0; i < n; i++)
		for (int j = 0; j < d; j++)
			set_value(&t->rows, i, j, data_value(t, i, j));
	prepare_points(&t->data, &t->rows);

	clu_frame_layout(&t->frame, &t->frame_arena, d, 1);
	t->frame_arena = (clu_arena) {test_memory(t->frame_arena.used), 0};
	clu_frame_layout(&t->frame, &t->frame_arena, d, 1);
	clu_frame_measure(&t->frame, &t->data.points, NULL, NULL);
	lay_out_assigner(t);
	t->arena = (clu_arena) {test_memory(t->arena.used), 0};
	lay_out_assigner(t);
	t->assigner.frame = &t->frame;
	clu_assign_reset(&t->assigner, t->data.points.n);
	clu_narrow_begin(&t->narrow, &t->assigner.member[0].narrow, &t->data.points, &t->frame,
					 t->assigner.member[0].filter_panel, NULL);

	t->center = test_memory((size_t) k * (size_t) d * sizeof(double));
	t->previous = test_memory((size_t) k * (size_t) d * sizeof(double));
	t->changes = test_memory(n * sizeof(clu_change));
	t->label = test_memory(n * sizeof(uint32_t));
	t->row = test_memory((size_t) d * sizeof(double));
	for (int c = 0; c < k; c++)
		for (int j = 0; j < d; j++)
			t->center[(size_t) c * (size_t) d + (size_t) j] = center_value(t, (size_t) c, j);
}

static void
end_trial(trial *t)
{
	free_rows(&t->rows);
	free_points(&t->data);
	free(t->arena.base);
	free(t->frame_arena.base);
	free(t->center);
	free(t->previous);
	free(t->changes);
	free(t->label);
	free(t->row);
}

static double
step_of(const trial *t, int j)
{
	if (t->kind == INTEGERS)
		return (double) random_below(3) - 1;
	return random_normal() * (t->kind == SCALES ? pow(10, j % 7 - 3) : 1);
}

static void
move_centers(trial *t, int move, int iteration)
{
	double size = move == CREEPING ? pow(0.5, iteration) : move == DRIFTING ? 0.01 : 1;
	size_t d = (size_t) t->d;
	int	   chosen = (int) random_below((uint64_t) t->k);

	for (int j = 0; j < t->d; j++)
	{
		double common = step_of(t, j);

		for (int c = 0; c < t->k; c++)
		{
			double *value = &t->center[(size_t) c * d + (size_t) j];

			if (move == CREEPING || (move == ONE_MOVES && c == chosen))
				*value += size * step_of(t, j) * (t->kind == INTEGERS ? 1 / size : 1);
			else if (move == DRIFTING)
				*value += size * common;
			else if (move == JUMPING)
				*value = center_value(t, (size_t) c, j);
			else if (move == COINCIDING && c % 3 != 0)
				*value = t->center[(size_t) (c / 3 * 3) * d + (size_t) j];
		}
	}
}

/* One pass; whether labels and reported changes are those of the reference. */
static bool
pass_is_right(trial *t, bool first)
{
	const clu_points *points = &t->data.points;
	size_t			  want_changes = 0, got_changes = 0;
	bool			  good = true;

	memcpy(t->label, t->assigner.label, points->n * sizeof(uint32_t));
	clu_assign_prepare(&t->assigner, t->center, first ? NULL : t->previous, NULL);
	for (size_t b = 0; b < clu_points_blocks(points); b++)
	{
		clu_block block = clu_points_block(points, b);
		size_t	  changed = clu_assign_block(&t->assigner, 0, &block, t->changes, NULL);

		got_changes += changed;
		for (size_t i = 0; i < changed; i++)
			good = good && t->changes[i].point < block.n &&
				   t->changes[i].from == t->label[block.first + t->changes[i].point] &&
				   t->changes[i].from != t->assigner.label[block.first + t->changes[i].point];
	}
	for (size_t i = 0; i < points->n && good; i++)
	{
		const double *x = clu_point(points, i, t->row);
		double		  least = INFINITY;
		uint32_t	  label = 0;

		for (int c = 0; c < t->k; c++)
		{
			double distance =
				plain_distance(t->metric, x, t->center + (size_t) c * (size_t) t->d, t->d);

			if (distance < least)
			{
				least = distance;
				label = (uint32_t) c;
			}
		}
		good = t->assigner.label[i] == label;
		want_changes += label != t->label[i];
	}
	return good && got_changes == want_changes;
}

static bool
trial_passes(clu_metric metric, int kind, size_t n, int k, int d, int width, int iterations)
{
	trial t;
	bool  good = true;

	begin_trial(&t, metric, kind, n, k, d, width);
	for (int i = 0; i < iterations && good; i++)
	{
		size_t size = (size_t) k * (size_t) d * sizeof(double);
		int	   move = i < 3 ? CREEPING : (int) random_below(MOVES);

		good = pass_is_right(&t, i == 0);
		if (!good)
			printf("# %s, metric %d, n %zu, k %d, d %d, width %d: wrong in iteration %d\n",
				   data_names[kind], metric, n, k, d, width, i);
		memcpy(t.previous, t.center, size);
		move_centers(&t, move, i);
	}
	end_trial(&t);
	return good;
}

static void
test_assignment(void)
{
	for (int kernel = 0; kernel < KERNELS; kernel++)
	{
		if (!use_kernel(kernel))
		{
			ok(true, "assignment with kernel %s # SKIP not on this machine", kernel_names[kernel]);
			continue;
		}
		for (int kind = 0; kind < DATA_KINDS; kind++)
		{
			bool good = true;

			random_seed((uint64_t) kind + 100);
			for (int repeat = 0; repeat < 60; repeat++)
				good &= trial_passes(repeat % 4 == 0 ? CLU_L1 : CLU_SQUARED, kind,
									 1 + random_below(300), 1 + (int) random_below(40),
									 1 + (int) random_below(8), repeat % 3 ? 8 : 4, 15);
			ok(good, "labels with kernel %s are those of plain distances, data %s",
			   kernel_names[kernel], data_names[kind]);
		}
	}
}

static void
test_large_shapes(void)
{
	const int shapes[][2] = {{1, 2000}, {2, 2000},	{12, 2000}, {13, 1000}, {300, 1},  {300, 2},
							 {299, 64}, {100, 333}, {17, 127},	{11, 129},	{256, 256}};

	for (int kernel = 0; kernel < KERNELS; kernel++)
	{
		bool good = true;

		if (!use_kernel(kernel))
		{
			ok(true, "large shapes with kernel %s # SKIP not on this machine",
			   kernel_names[kernel]);
			continue;
		}
		random_seed(9);
		for (size_t s = 0; s < sizeof(shapes) / sizeof(shapes[0]); s++)
			for (int kind = 0; kind < DATA_KINDS; kind++)
				good &= trial_passes(CLU_SQUARED, kind, 70, shapes[s][0], shapes[s][1],
									 kind % 2 ? 4 : 8, 4);
		ok(good, "up to 300 centres and 2,000 dimensions with kernel %s", kernel_names[kernel]);
	}
}

/* ---- narrowing ---- */

/* With so many centres and dimensions, bounds of scores come first, mostly. */
static void
test_narrowing(void)
{
	for (int kernel = 0; kernel < KERNELS; kernel++)
	{
		bool good = true;

		if (!use_kernel(kernel))
		{
			ok(true, "narrowing with kernel %s # SKIP not on this machine", kernel_names[kernel]);
			continue;
		}
		random_seed(19);
		for (int kind = 0; kind < DATA_KINDS; kind++)
			for (int repeat = 0; repeat < 4; repeat++)
				good &= trial_passes(CLU_SQUARED, kind, 300 + random_below(300),
									 64 + (int) random_below(200), 32 + (int) random_below(112),
									 repeat % 2 ? 8 : 4, 8);
		ok(good, "labels found by narrowing with kernel %s are those of plain distances",
		   kernel_names[kernel]);
	}
}

/* What the axes say that the score of a centre is not below. */
static wide
bound_along_axes(const trial *t, size_t point, int c)
{
	const clu_narrow *narrow = &t->narrow;
	int				  size = clu_kernel->filter_group, columns = narrow->axes.m + 1;
	const float		 *place = narrow->axes.place + point * (size_t) columns;
	const float		 *other =
		narrow->places + (size_t) (c / size) * (size_t) (size * columns) + c % size;
	wide bound = t->assigner.half_norm[c];

	for (int j = 0; j < columns; j++)
		bound -= (wide) place[j] * (wide) other[j * size];
	return bound;
}

/* And what small integers say. */
static wide
bound_in_small_integers(const trial *t, size_t point, int c)
{
	const clu_coarse	 *coarse = &t->narrow.coarse;
	const clu_coarse_set *set = &t->narrow.set;
	const clu_grain		 *grain = &coarse->grain[point];
	int					  size = clu_kernel->filter_group;
	const uint8_t		 *place = coarse->place + point * coarse->stride;
	const int8_t		 *other =
		set->packed + (size_t) (c / size) * (size_t) size * coarse->stride + c % size * 4;
	long sum = 0;

	for (int j = 0; j < t->d; j++)
		sum += ((int) place[j] - 128) * (int) other[j / 4 * 4 * size + j % 4];
	return set->half_norm[c] - (wide) grain->scale * set->scale[c] * sum -
		   (wide) grain->loss * set->length[c] -
		   ((wide) sqrt((double) grain->norm) + grain->loss) * set->loss[c];
}

static bool
bound_holds(const trial *t, size_t point, int c, bool is_coarse)
{
	const clu_frame *frame = &t->frame;
	const double	*x = clu_point(&t->data.points, point, t->row);
	const double	*center = t->center + (size_t) c * (size_t) t->d;
	double			 widest = t->assigner.largest_norm, error;
	wide			 score = 0, norm = 0, bound;

	for (int j = 0; j < t->d; j++)
	{
		wide from = ((wide) x[j] - frame->shift[j]) * frame->unit;
		wide to = ((wide) center[j] - frame->shift[j]) * frame->unit;

		score += to * to / 2 - from * to;
		norm += from * from;
	}
	error = is_coarse ? clu_coarse_error(t->d, sqrt((double) norm), widest)
					  : clu_axes_error(&t->narrow.axes, sqrt((double) norm), widest);
	bound = is_coarse ? bound_in_small_integers(t, point, c) : bound_along_axes(t, point, c);
	return near(is_coarse ? t->narrow.coarse.grain[point].norm : t->narrow.axes.norm[point],
				(double) norm, 1e-6) &&
		   bound <= score + error;
}

/* All bounds that the first pass has had use for. */
static bool
bounds_hold(const trial *t)
{
	bool good = true, is_coarse = t->narrow.coarse.stride > 0;

	for (size_t i = 0; i < t->data.points.n; i += 9)
	{
		float norm = is_coarse ? t->narrow.coarse.grain[i].norm : t->narrow.axes.norm[i];

		for (int c = 0; c < t->k && norm >= 0; c++)
			good = good && bound_holds(t, i, c, is_coarse);
	}
	return good;
}

static bool
few_were_left(const trial *t)
{
	const clu_narrow_member *own = &t->assigner.member[0].narrow;
	size_t					 n = t->data.points.n;

	return own->narrowed == n && own->listed < 8 * n && own->crowded < n / 4;
}

static void
test_bounds(void)
{
	for (int kernel = 0; kernel < KERNELS; kernel++)
	{
		bool good = true, used = true;

		for (int kind = 0; use_kernel(kernel) && kind < DATA_KINDS; kind++)
		{
			trial t;

			random_seed((uint64_t) kind + 7);
			begin_trial(&t, CLU_SQUARED, kind, 700, 256, 64 + 8 * kind + kind % 3,
						kind % 2 ? 4 : 8);
			for (int i = 0; i < t.k * t.d && kind == MANY_CLUSTERS; i++)
				t.center[i] = get_value(&t.rows, (size_t) (i / t.d), i % t.d);
			good = good && pass_is_right(&t, true) && bounds_hold(&t);
			if (kind == MANY_CLUSTERS || t.narrow.coarse.stride > 0)
				used = used && (kind == ONE_OUTLIER || kind == INTEGERS || few_were_left(&t));
			end_trial(&t);
		}
		ok(good, "scores are not below their bounds with kernel %s%s", kernel_names[kernel],
		   use_kernel(kernel) ? "" : " # SKIP not on this machine");
		ok(used, "bounds leave few centres with kernel %s%s", kernel_names[kernel],
		   use_kernel(kernel) ? "" : " # SKIP not on this machine");
	}
}

/*
 * All but two points lie so near to the middle, and all centres nearer yet, that squares of what
 * small integers leave of them vanish in floats.
 */
static void
test_vanishing(void)
{
	for (int kernel = 0; kernel < KERNELS; kernel++)
	{
		bool good = true;

		for (int size = 60; use_kernel(kernel) && size < 84; size += 4)
		{
			trial t;

			random_seed((uint64_t) size);
			begin_trial(&t, CLU_SQUARED, VANISHING, 300, 256, 65, 8);
			for (int i = 0; i < t.k * t.d; i++)
				t.center[i] = i % t.d == t.d - 1 ? 0 : ldexp(random_normal(), -size);
			good = good && pass_is_right(&t, true) && bounds_hold(&t);
			end_trial(&t);
		}
		ok(good, "scores of vanishing differences are not below their bounds with kernel %s%s",
		   kernel_names[kernel], use_kernel(kernel) ? "" : " # SKIP not on this machine");
	}
}

/* Many iterations in which hardly anything moves: errors of the gaps would add up. */
static void
test_long_runs(void)
{
	bool good = true;

	clu_kernel_choose();
	for (int kind = 0; kind < DATA_KINDS; kind++)
	{
		trial  t;
		size_t size;

		begin_trial(&t, CLU_SQUARED, kind, 400, 20, 3, 8);
		size = 20 * 3 * sizeof(double);
		for (int i = 0; i < 400 && good; i++)
		{
			good = pass_is_right(&t, i == 0);
			memcpy(t.previous, t.center, size);
			for (int c = 0; c < 20; c++)
				for (int j = 0; j < 3; j++)
					t.center[c * 3 + j] += step_of(&t, j) * 0x1p-10;
		}
		end_trial(&t);
	}
	ok(good, "400 iterations of tiny steps");

	good = true;
	for (int kind = 0; kind < DATA_KINDS; kind++)
		good = good && trial_passes(kind % 2 ? CLU_L1 : CLU_SQUARED, kind, 500, 8, 2, 8, 150);
	ok(good, "150 iterations of steps of all kinds, which add up");
}

/*
 * So far that gaps are forgotten, when all has been calm for a while, and elsewhere near the
 * points again.
 */
static void
test_leaps(void)
{
	bool good = true;

	clu_kernel_choose();
	for (int kind = 0; kind < DATA_KINDS; kind++)
	{
		trial  t;
		double far = 0;

		begin_trial(&t, kind % 2 ? CLU_L1 : CLU_SQUARED, kind, 100, 6, 2, 8);
		for (int i = 0; i < 60 && good; i++)
		{
			good = pass_is_right(&t, i == 0);
			memcpy(t.previous, t.center, 6 * 2 * sizeof(double));
			if (i % 10 == 8)
				far = 1000 / t.frame.unit;
			for (int c = 0; c < 6 && i % 10 >= 8; c++)
				t.center[c * 2 + i % 2] =
					i % 10 == 8 ? far * (1 + c) : center_value(&t, random_below(100), i % 2);
		}
		end_trial(&t);
	}
	ok(good, "leaps that make all gaps unknown");
}

/* ---- centres that no data would suggest ---- */

static void
test_far_centers(void)
{
	const double far[] = {1e10, 1e20, 1e38, 1e100, 1e150, -1e150};
	bool		 good = true;

	for (int kernel = 0; kernel < KERNELS; kernel++)
		for (size_t f = 0; use_kernel(kernel) && f < sizeof(far) / sizeof(far[0]); f++)
			for (int all = 0; all < 2; all++)
			{
				trial t;

				begin_trial(&t, CLU_SQUARED, NORMAL, 100, 30, 2, 8);
				for (int i = 0; i < 60; i += all ? 1 : 7)
					t.center[i] = far[f] * (1 + random_unit());
				for (int i = 0; i < 4; i++)
				{
					good = good && pass_is_right(&t, i == 0);
					memcpy(t.previous, t.center, 60 * sizeof(double));
					move_centers(&t, i % 2 ? CREEPING : ONE_MOVES, i);
				}
				end_trial(&t);
			}
	ok(good, "centres very far from the data");
}

/* Points in the middle between centres, exactly. */
static void
test_ties(void)
{
	bool good = true;

	for (int kernel = 0; kernel < KERNELS; kernel++)
		for (int repeat = 0; use_kernel(kernel) && repeat < 40; repeat++)
		{
			trial t;
			int	  k = 2 + (int) random_below(30);

			begin_trial(&t, CLU_SQUARED, INTEGERS, 200, k, 2, repeat % 2 ? 8 : 4);
			for (int i = 0; i < 10; i++)
			{
				good = good && pass_is_right(&t, i == 0);
				memcpy(t.previous, t.center, (size_t) k * 2 * sizeof(double));
				for (int c = 0; c < k * 2; c++)
					if (random_below(4) == 0)
						t.center[c] = (double) random_below(9) / 2;
			}
			end_trial(&t);
		}
	ok(good, "of equally near centres the lowest number wins");
}

/* ---- models applied ---- */

/* The labels that a model gives to single points, with the filter or without. */
static bool
applied_labels_agree(int kind, int k, int d)
{
	trial	   t;
	clu_scorer scorer;
	clu_model  model = {.algorithm = CLU_KMEANS, .k = k, .d = d};
	clu_arena  arena = {NULL, 0};
	double	  *parameter = test_memory(clu_parameter_count(CLU_KMEANS, 0, k, d) * sizeof(double));
	bool	   good = true;

	begin_trial(&t, CLU_SQUARED, kind, 200, k, d, 8);
	clu_model_bind(&model, parameter);
	memcpy(model.center, t.center, (size_t) k * (size_t) d * sizeof(double));
	if (kind == INTEGERS)
		memcpy(model.center, model.center + d, (size_t) d * sizeof(double)); /* a tie */
	clu_score_layout(&scorer, &arena, &model);
	arena = (clu_arena) {test_memory(arena.used), 0};
	clu_score_layout(&scorer, &arena, &model);
	clu_score_prepare(&scorer);
	for (size_t i = 0; i < t.rows.n; i++)
	{
		double least = INFINITY;
		int	   label = 0;

		for (int j = 0; j < d; j++)
			t.row[j] = get_value(&t.rows, i, j) * (i % 50 == 49 ? 1e40 : 1);
		for (int c = 0; c < k; c++)
		{
			double distance =
				plain_distance(CLU_SQUARED, t.row, model.center + (size_t) c * (size_t) d, d);

			if (distance < least)
			{
				least = distance;
				label = c;
			}
		}
		good = good && scorer.verbs->label(&scorer, t.row) == label;
	}
	free(arena.base);
	free(parameter);
	end_trial(&t);
	return good;
}

static void
test_applied(void)
{
	for (int kernel = 0; kernel < KERNELS; kernel++)
	{
		bool good = true;

		if (!use_kernel(kernel))
		{
			ok(true, "applied with kernel %s # SKIP not on this machine", kernel_names[kernel]);
			continue;
		}
		random_seed(23);
		for (int kind = 0; kind < DATA_KINDS; kind++)
			for (int repeat = 0; repeat < 6; repeat++)
				good &= applied_labels_agree(kind, 20 + (int) random_below(90),
											 14 + (int) random_below(repeat % 2 ? 70 : 300));
		ok(good, "labels of single points with kernel %s are those of plain distances",
		   kernel_names[kernel]);
	}
}

/* ---- the frame ---- */

static void
test_frame(void)
{
	bool good = true;

	for (int kind = 0; kind < DATA_KINDS; kind++)
		for (int repeat = 0; repeat < 10; repeat++)
		{
			trial  t;
			double farthest = 0;
			wide   spread = 0;

			begin_trial(&t, CLU_SQUARED, kind, 1 + random_below(500), 1, 4, repeat % 2 ? 4 : 8);
			for (size_t i = 0; i < t.data.points.n; i++)
			{
				wide   distance = 0;
				double w = clu_weight(t.data.points.w, i);

				for (int j = 0; j < 4; j++)
				{
					wide off = (wide) clu_point(&t.data.points, i, t.row)[j] - t.frame.shift[j];

					distance += off * off;
				}
				farthest = fmax(farthest, sqrt((double) distance));
				spread += w * distance;
			}
			good = good && t.frame.radius >= farthest && t.frame.radius <= farthest * (1 + 1e-8) &&
				   t.frame.radius * t.frame.unit <= 1 &&
				   near(clu_dd_value(t.frame.spread), (double) spread, 1e-13);
			end_trial(&t);
		}
	ok(good, "the frame holds all points");
}

int
main(void)
{
	test_kernels();
	test_assignment();
	test_large_shapes();
	test_narrowing();
	test_bounds();
	test_vanishing();
	test_long_runs();
	test_leaps();
	test_far_centers();
	test_ties();
	test_applied();
	test_frame();
	return finish_tests();
}
