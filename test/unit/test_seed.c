/*
 * test_seed.c
 *		Starting centres: pruning changes no choice, and choices have the right probabilities.
 *
 * Stand-alone; prints TAP.  What is drawn depends on the order of the seeder's lists, which
 * pruning may change; so the reference takes the lists as they are after each centre, draws from
 * them, and then does without any pruning: the gain of each candidate is summed over all points.
 */
#include "fitting.h"

#include "assign.h"
#include "seed.h"

typedef struct seeded
{
	clu_rows   rows;
	prepared   data;
	clu_frame  frame;
	clu_coarse coarse;
	clu_seeder seeder;
	clu_arena  arena;
	double	  *center;
	double	  *row;
} seeded;

static void
lay_out_seeder(seeded *s, clu_metric metric, int k)
{
	size_t n = s->data.points.n;
	int	   d = s->rows.d;

	clu_frame_layout(&s->frame, &s->arena, d, 1);
	clu_coarse_layout(&s->coarse, &s->arena, n, metric == CLU_SQUARED ? k : 0, d);
	clu_seed_layout(&s->seeder, &s->arena, metric, n, k, d, &s->coarse, 1);
}

static void
begin_seeding(seeded *s, clu_metric metric, clu_rows rows, int k)
{
	memset(s, 0, sizeof(*s));
	s->rows = rows;
	prepare_points(&s->data, &s->rows);
	if (s->data.status != CLU_OK)
		abort();
	lay_out_seeder(s, metric, k);
	s->arena = (clu_arena) {test_memory(s->arena.used), 0};
	lay_out_seeder(s, metric, k);
	clu_frame_measure(&s->frame, &s->data.points, NULL, NULL);
	clu_coarse_reset(&s->coarse, s->data.points.n);
	s->center = test_memory((size_t) k * (size_t) rows.d * sizeof(double));
	s->row = test_memory((size_t) rows.d * sizeof(double));
}

static void
end_seeding(seeded *s)
{
	free_rows(&s->rows);
	free_points(&s->data);
	free(s->arena.base);
	free(s->center);
	free(s->row);
}

static const double *
point_of(const seeded *s, size_t i)
{
	return clu_point(&s->data.points, i, s->row);
}

static double
weight_of(const seeded *s, size_t i)
{
	return clu_weight(s->data.points.w, i);
}

/* ---- data ---- */

enum
{
	INTEGERS,
	NORMAL,
	CLUSTERED,
	KINDS
};

static clu_rows
random_rows(int kind, size_t n, int d, int width, bool weighted)
{
	clu_rows rows = make_rows(n, d, width);

	for (size_t i = 0; i < n; i++)
		for (int j = 0; j < d; j++)
			set_value(&rows, i, j,
					  kind == INTEGERS ? (double) random_below(200)
					  : kind == NORMAL ? random_normal()
									   : random_normal() + (double) (i % 9 * 40));
	if (weighted)
	{
		double *w = add_weights(&rows);

		for (size_t i = 0; i < n; i++)
			w[i] = kind == INTEGERS ? (double) (1 + random_below(5)) : 0.1 + random_unit();
	}
	return rows;
}

/* ---- the state after some centres ---- */

/* Lists are a partition of the points by nearest centre, and their figures are right. */
static bool
lists_are_right(const seeded *s, int found)
{
	const clu_seeder *seeder = &s->seeder;
	size_t			  n = s->data.points.n, total = 0;
	bool			  good = true, *seen = calloc(n, sizeof(bool));

	for (int list = 0; list < found && good; list++)
	{
		double potential = 0, farthest = 0;

		for (size_t i = 0; i < seeder->count[list] && good; i++)
		{
			uint32_t point = seeder->member[seeder->first[list] + i];
			double	 least = INFINITY, own;

			good = point < n && !seen[point];
			if (!good)
				break;
			seen[point] = true;
			for (int c = 0; c < found; c++)
				least = fmin(least,
							 clu_distance(seeder->metric, point_of(s, point),
										  s->center + (size_t) c * (size_t) s->rows.d, s->rows.d));
			own = clu_distance(seeder->metric, point_of(s, point),
							   s->center + (size_t) list * (size_t) s->rows.d, s->rows.d);
			good = same_bits(seeder->cost[point], least) && own == least;
			potential += weight_of(s, point) * least;
			farthest = fmax(farthest, least);
		}
		total += seeder->count[list];
		good = good && near(seeder->potential[list], potential, 1e-12) &&
			   seeder->farthest[list] == farthest &&
			   memcmp(point_of(s, seeder->chosen[list]),
					  s->center + (size_t) list * (size_t) s->rows.d,
					  (size_t) s->rows.d * sizeof(double)) == 0;
	}
	free(seen);
	return good && total == n;
}

/* ---- one step without pruning ---- */

/* As the seeder draws: walk the lists until the target is used up. */
static uint32_t
plain_draw(const seeded *s, int found, clu_random *random)
{
	const clu_seeder *seeder = &s->seeder;
	double			  total = 0, target;
	uint32_t		  last = 0;

	for (int list = 0; list < found; list++)
		total += seeder->potential[list];
	target = clu_random_uniform(random) * total;
	for (int list = 0; list < found; list++)
	{
		if (target >= seeder->potential[list] && list + 1 < found)
		{
			target -= seeder->potential[list];
			continue;
		}
		for (size_t i = 0; i < seeder->count[list]; i++)
		{
			uint32_t point = seeder->member[seeder->first[list] + i];

			if (!(seeder->cost[point] > 0))
				continue;
			last = point;
			target -= weight_of(s, point) * seeder->cost[point];
			if (target < 0)
				return point;
		}
	}
	return last;
}

/* By how much a point as a centre lowers the total cost. */
static double
plain_gain(const seeded *s, uint32_t candidate)
{
	double	gain = 0;
	double *x = test_memory((size_t) s->rows.d * sizeof(double));

	memcpy(x, point_of(s, candidate), (size_t) s->rows.d * sizeof(double));
	for (size_t i = 0; i < s->data.points.n; i++)
	{
		double less =
			s->seeder.cost[i] - clu_distance(s->seeder.metric, point_of(s, i), x, s->rows.d);

		gain += less > 0 ? weight_of(s, i) * less : 0;
	}
	free(x);
	return gain;
}

/* The point that the plain version takes next; close calls are left open by returning the limit. */
static uint32_t
plain_choice(const seeded *s, int found, clu_random *random)
{
	uint32_t best = 0;
	double	 most = -1, second = -1;

	for (int c = 0; c < s->seeder.candidates; c++)
	{
		uint32_t drawn = plain_draw(s, found, random);
		double	 gain = plain_gain(s, drawn);

		if (gain > most)
		{
			second = drawn == best ? second : most;
			most = gain;
			best = drawn;
		}
		else if (drawn != best)
			second = fmax(second, gain);
	}
	return second > most * (1 - 1e-12) && second < most ? UINT32_MAX : best;
}

/*
 * Seed with 1, 2, ... k centres from the same random numbers; after each step everything must be
 * as without pruning.  The numbers already used are known by the generator's counter.
 */
static bool
seeding_is_right(clu_metric metric, clu_rows rows, int k, int64_t seed)
{
	seeded s;
	bool   good = true;
	int	   open = 0;

	begin_seeding(&s, metric, rows, k);
	if (s.data.points.n < (size_t) k)
		k = (int) s.data.points.n;
	for (int found = 1; found <= k && good; found++)
	{
		clu_random random = clu_random_start(seed, 1);
		uint32_t   want = UINT32_MAX;

		if (found > 1)
		{
			/* the state of the round before is still there */
			clu_random before = random;

			before.counter = 1 + (uint64_t) (found - 2) * (uint64_t) s.seeder.candidates;
			want = plain_choice(&s, found - 1, &before);
		}
		s.seeder.k = found;
		clu_seed_plusplus(&s.seeder, &s.data.points, &s.frame, s.center, &random, NULL, NULL);
		open += found > 1 && want == UINT32_MAX;
		good = (want == UINT32_MAX || s.seeder.chosen[found - 1] == want) &&
			   lists_are_right(&s, found);
		if (!good)
			printf("# metric %d, n %zu, d %d, k %d: wrong with centre %d (%u, not %u)\n", metric,
				   s.data.points.n, rows.d, k, found, s.seeder.chosen[found - 1], want);
	}
	good = good && open < k;
	end_seeding(&s);
	return good;
}

static void
test_pruning(void)
{
	static const char *const names[] = {"integers", "normal data", "clustered data"};

	for (int kernel = 0; kernel < KERNELS; kernel++)
		for (int kind = 0; kind < KINDS && use_kernel(kernel); kind++)
		{
			bool good = true;

			for (int repeat = 0; repeat < 24; repeat++)
			{
				int d = repeat % 6 == 5 ? 40 : 1 + (int) random_below(4);

				good &= seeding_is_right(
					repeat % 3 ? CLU_SQUARED : CLU_L1,
					random_rows(kind, 1 + random_below(400), d, repeat % 2 ? 8 : 4, repeat % 4 < 2),
					1 + (int) random_below(repeat % 2 ? 10 : 40), repeat);
			}
			ok(good, "greedy k-means++ chooses as without pruning: %s, kernel %s", names[kind],
			   kernel_names[kernel]);
		}
	clu_kernel_choose();
}

/* Lists that are moved often: nearly every point is a centre in the end. */
static void
test_every_point(void)
{
	bool good = true;

	for (int repeat = 0; repeat < 10; repeat++)
		good &=
			seeding_is_right(CLU_SQUARED, random_rows(NORMAL, 70, 2, 8, repeat % 2), 70, repeat);
	ok(good, "as many centres as points");
}

/* ---- probabilities ---- */

/* Chi-squared of the counts; the limit is passed by chance once in about 10^5 times. */
static bool
counts_fit(const double *count, const double *probability, int n, double total)
{
	double chi = 0, degrees = -1;

	for (int i = 0; i < n; i++)
		if (probability[i] > 0)
		{
			double want = probability[i] * total;

			chi += (count[i] - want) * (count[i] - want) / want;
			degrees++;
		}
		else if (count[i] > 0)
			return false;
	printf("# chi squared %.1f with %g degrees of freedom\n", chi, degrees);
	return chi < degrees + 4.5 * sqrt(2 * degrees) + 10;
}

#define POINTS 6

static clu_rows
few_points(bool weighted)
{
	static const double x[POINTS] = {0, 1, 3, 4, 9, 10}, weight[POINTS] = {1, 2, 0.5, 4, 1, 3};
	clu_rows			rows = make_rows(POINTS, 1, 8);

	for (int i = 0; i < POINTS; i++)
		set_value(&rows, (size_t) i, 0, x[i]);
	if (weighted)
		memcpy(add_weights(&rows), weight, sizeof(weight));
	return rows;
}

/* The probability of each pair of first and second centre, with two candidates for the second. */
static void
pair_probabilities(const seeded *s, double *probability)
{
	double total = 0;

	for (size_t i = 0; i < POINTS; i++)
		total += weight_of(s, i);
	for (size_t first = 0; first < POINTS; first++)
	{
		double cost[POINTS], gain[POINTS], costs = 0, origin = *point_of(s, first);

		for (size_t i = 0; i < POINTS; i++)
		{
			double off = *point_of(s, i) - origin;

			cost[i] = weight_of(s, i) * (s->seeder.metric == CLU_L1 ? fabs(off) : off * off);
			costs += cost[i];
		}
		for (size_t c = 0; c < POINTS; c++)
		{
			gain[c] = 0;
			for (size_t i = 0; i < POINTS; i++)
			{
				double off = *point_of(s, i) - *point_of(s, c);
				double less = cost[i] - weight_of(s, i) *
											(s->seeder.metric == CLU_L1 ? fabs(off) : off * off);

				gain[c] += less > 0 ? less : 0;
			}
		}
		for (size_t a = 0; a < POINTS; a++)
			for (size_t b = 0; b < POINTS; b++)
				probability[first * POINTS + (gain[b] > gain[a] ? b : a)] +=
					weight_of(s, first) / total * cost[a] / costs * cost[b] / costs;
	}
}

static void
test_probabilities(clu_metric metric, bool weighted)
{
	seeded s;
	double count[POINTS * POINTS] = {0}, probability[POINTS * POINTS] = {0};
	int	   total = 40000;

	begin_seeding(&s, metric, few_points(weighted), 2);
	pair_probabilities(&s, probability);
	for (int seed = 0; seed < total; seed++)
	{
		clu_random random = clu_random_start(seed, 1);

		clu_seed_plusplus(&s.seeder, &s.data.points, &s.frame, s.center, &random, NULL, NULL);
		count[s.seeder.chosen[0] * POINTS + s.seeder.chosen[1]]++;
	}
	ok(s.seeder.candidates == 2 && counts_fit(count, probability, POINTS * POINTS, total),
	   "k-means++ draws by %s %s", weighted ? "weight times" : "",
	   metric == CLU_L1 ? "distance" : "squared distance");
	end_seeding(&s);
}

/* Points without replacement: two of them, in any order. */
static void
test_random_start(bool weighted)
{
	seeded s;
	double count[POINTS * POINTS] = {0}, probability[POINTS * POINTS] = {0}, all = 0;
	int	   total = 40000;

	begin_seeding(&s, CLU_SQUARED, few_points(weighted), 2);
	for (size_t i = 0; i < POINTS; i++)
		all += weight_of(&s, i);
	for (size_t a = 0; a < POINTS; a++)
		for (size_t b = 0; b < POINTS; b++)
			if (a != b)
				probability[CLU_MIN(a, b) * POINTS + CLU_MAX(a, b)] +=
					weight_of(&s, a) / all * weight_of(&s, b) / (all - weight_of(&s, a));
	for (int seed = 0; seed < total; seed++)
	{
		clu_random random = clu_random_start(seed, 1);
		uint32_t  *chosen = s.seeder.chosen;

		clu_seed_random(&s.seeder, &s.data.points, s.center, &random, NULL);
		count[CLU_MIN(chosen[0], chosen[1]) * POINTS + CLU_MAX(chosen[0], chosen[1])]++;
	}
	ok(counts_fit(count, probability, POINTS * POINTS, total),
	   "random rows are drawn without replacement%s", weighted ? ", by weight" : "");
	end_seeding(&s);
}

/* ---- distinct centres, whatever the data ---- */

static bool
all_distinct(const seeded *s, int k)
{
	for (int a = 0; a < k; a++)
	{
		if (s->seeder.chosen[a] >= s->data.points.n)
			return false;
		for (int b = 0; b < a; b++)
			if (s->seeder.chosen[a] == s->seeder.chosen[b])
				return false;
	}
	return true;
}

static void
test_distinct(void)
{
	bool plusplus = true, at_random = true;

	for (int repeat = 0; repeat < 60; repeat++)
	{
		const double spreads[] = {1, 1e-300, 1e100, 1e-12};
		const double lightest[] = {1, 1e-100, 1e-300, 5e-324};
		clu_rows	 rows = make_rows(50, 2, 8);
		double		*w = add_weights(&rows);
		clu_random	 random = clu_random_start(repeat, 1);
		seeded		 s;
		int			 k;

		/* one column may be so small that its squares vanish, but not beside a larger one */
		for (size_t i = 0; i < rows.n; i++)
		{
			set_value(&rows, i, 0, repeat % 2 == 0 ? random_normal() : repeat % 4 == 1 ? 0 : 1);
			set_value(&rows, i, 1, random_normal() * spreads[repeat % 4]);
			w[i] = i % 5 == 0 ? 1 : lightest[repeat / 4 % 4];
		}
		k = 1 + (int) random_below(50);
		begin_seeding(&s, CLU_SQUARED, rows, k);
		clu_seed_plusplus(&s.seeder, &s.data.points, &s.frame, s.center, &random, NULL, NULL);
		plusplus = plusplus && all_distinct(&s, k);
		clu_seed_random(&s.seeder, &s.data.points, s.center, &random, NULL);
		at_random = at_random && all_distinct(&s, k);
		end_seeding(&s);
	}
	ok(plusplus, "k-means++ chooses distinct points, however near and light they are");
	ok(at_random, "random rows are distinct points, however near and light they are");
}

/* ---- bounds ---- */

/*
 * Rows of a shape that has bounds, where the kernels have them; some of them the same.  Where one
 * is far out, or all lie in few narrow clusters, bounds tell little.
 */
static clu_rows
wide_rows(int kind, int width, bool weighted)
{
	clu_rows rows = random_rows(kind, 1500, 40, width, weighted);

	for (size_t i = 0; i < 100; i++)
		for (int j = 0; j < rows.d; j++)
			set_value(&rows, i, j,
					  i == 0 && kind == CLUSTERED ? 1e5 : get_value(&rows, i + 300, j));
	return rows;
}

static void
seed_wide_rows(seeded *s, int kind, int k)
{
	clu_random random = clu_random_start(3, 1);

	random_seed((uint64_t) kind + 1);
	begin_seeding(s, CLU_SQUARED, wide_rows(kind, kind % 2 ? 4 : 8, kind == CLUSTERED), k);
	clu_seed_plusplus(&s->seeder, &s->data.points, &s->frame, s->center, &random, NULL, NULL);
}

/* Points that the last look at candidates had no need to ask. */
static bool
some_were_spared(const seeded *s, int k)
{
	size_t asked = 0;

	for (size_t i = 0; i < s->data.points.n; i++)
		asked += s->seeder.asked[i] == (uint32_t) k - 1;
	return asked < s->data.points.n / 2;
}

static void
test_bounds(void)
{
	enum
	{
		WIDE_K = 250
	};

	for (int kernel = 0; kernel < KERNELS; kernel++)
	{
		bool same = true, spared = true;

		if (!use_kernel(kernel))
		{
			ok(true, "bounds with kernel %s # SKIP not on this machine", kernel_names[kernel]);
			continue;
		}
		for (int kind = 0; kind < KINDS; kind++)
		{
			seeded plain, s;

			use_kernel(0);
			seed_wide_rows(&plain, kind, WIDE_K);
			use_kernel(kernel);
			seed_wide_rows(&s, kind, WIDE_K);
			same = same &&
				   memcmp(plain.seeder.chosen, s.seeder.chosen, WIDE_K * sizeof(uint32_t)) == 0;
			spared = spared &&
					 (s.seeder.coarse == NULL || kind == CLUSTERED || some_were_spared(&s, WIDE_K));
			end_seeding(&plain);
			end_seeding(&s);
		}
		ok(same, "with kernel %s the choice is the one without bounds", kernel_names[kernel]);
		ok(spared, "bounds spare points with kernel %s", kernel_names[kernel]);
	}
}

int
main(void)
{
	test_pruning();
	test_bounds();
	test_every_point();
	test_probabilities(CLU_SQUARED, false);
	test_probabilities(CLU_SQUARED, true);
	test_probabilities(CLU_L1, true);
	test_random_start(false);
	test_random_start(true);
	test_distinct();
	return finish_tests();
}
