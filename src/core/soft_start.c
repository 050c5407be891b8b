/*
 * soft_start.c
 *		Where soft K-means begins.
 *
 * Its steps carry a centre across a gap as little as those of K-means do, and take many more
 * iterations to end.  So a run from k begins where K-means ends, with its exchanges of clusters
 * (exchange.h).
 *
 * For large beta that's nearly all.  For small beta the free energy has other minima: as every
 * centre counts as much as any other, however few points are near it, two in a large cluster may
 * be worth more than one of their own for the points of a small one.  What that is worth is known
 * in advance.  With r_i for the responsibilities of point i, taking the centre a away and setting
 * another one upon b changes the free energy by
 *		-1/beta sum_i w_i ln(1 - r_ia + r_ib),
 * and (1 - r_ia) (1 + r_ib) <= 1 - r_ia + r_ib.  So it falls for sure where the gain of b, the sum
 * of w ln(1 + r_b), is more than the loss of a, that of -w ln(1 - r_a), and further when the two
 * centres in one place are drawn apart.  The gain of a centre is never more than its own loss.
 * The other centres are taken to stay: what takes several exchanges at once isn't found.
 *
 * Traps: of logs, n k would take longer than all else in the pass, so gains are bounded from below
 * and losses from above by quotients that are near them.  Near its own centre 1 - r is the sum of
 * the other responsibilities, and where these are negligible the loss is the difference between two
 * distances.
 */
#include "soft_kmeans.h"

#include <math.h>
#include <string.h>

#include "elementary.h"
#include "kmeans.h"

#define GAIN_OF_KMEANS 1e-4 /* its tol: the last iterations are nothing that a start needs */
#define MOST_EXCHANGES 20	/* each is a pass */
#define WORTH_A_PASS 0.01	/* what an exchange must gain, per unit of a mean cluster's weight */
#define APART 0.1			/* centres in one place, in units of 1 / sqrt(2 beta) */

void
clu_soft_start_layout(clu_fit *fit, clu_soft *state, clu_arena *arena)
{
	clu_option_value *option = state->kmeans.model.options.value;

	if (fit->start_model != NULL && fit->start_model->k == fit->model.k)
		return;
	clu_kmeans_within_layout(&state->kmeans, arena, fit, fit->points);
	option[CLU_INIT] = fit->model.options.value[CLU_INIT];
	option[CLU_TOL].number = GAIN_OF_KMEANS;
}

/* ---- prices ---- */

/* The largest term but one of every point of a panel. */
static void
find_second(const clu_soft_chunk *at, int p, double *second)
{
	double largest[CLU_LANES];

	for (int lane = 0; lane < CLU_LANES; lane++)
		largest[lane] = second[lane] = -INFINITY;
	for (int c = 0; c < at->model->k; c++)
	{
		const double *term = clu_soft_terms(at, p, c);

		for (int lane = 0; lane < CLU_LANES; lane++)
		{
			second[lane] = CLU_MAX(second[lane], CLU_MIN(largest[lane], term[lane]));
			largest[lane] = CLU_MAX(largest[lane], term[lane]);
		}
	}
}

/* ln(1 + x) >= 2 x / (2 + x) */
static double
gain_of(double r)
{
	return 2 * r / (2 + r);
}

/* -ln(1 - r) = ln(1 + x) <= x (6 + x) / (6 + 4 x), x = r / (1 - r); r up to 1/2 */
static double
loss_of(double r)
{
	double x = r / (1 - r);

	return x * (6 + x) / (6 + 4 * x);
}

/*
 * The prices of a cluster, but for losses at the points that are its own: of those r is at most
 * 1/2.  The other points' responsibilities are added to the rest.
 */
static void
price_cluster(const clu_soft_chunk *at, int p, int c, const uint32_t *owner, double *rest)
{
	const double *w = at->own->point_weight + p * CLU_LANES, *term = clu_soft_terms(at, p, c);
	double		  gain[8] = {0}, loss[8] = {0};

	for (int lane = 0; lane < CLU_LANES; lane++)
	{
		double r = w[lane] > 0 ? term[lane] / w[lane] : 0;
		double others = owner[lane] == (uint32_t) c ? 0 : CLU_MIN(r, 0.5);

		gain[lane % 8] += w[lane] * gain_of(r);
		loss[lane % 8] += w[lane] * loss_of(others);
		rest[lane] += others;
	}
	at->own->weight[c] += clu_sum_eight(gain);
	at->own->sum[c] += clu_sum_eight(loss);
}

void
clu_soft_add_prices(const clu_soft_chunk *at, int p, const clu_interrupt *interrupt)
{
	static const double none[CLU_LANES] = {0};
	clu_soft_member	   *own = at->own;
	const double	   *w = own->point_weight + p * CLU_LANES;
	double				second[CLU_LANES], rest[CLU_LANES] = {0};
	uint32_t			owner[CLU_LANES];

	find_second(at, p, second);
	clu_kernel->gmm_share(clu_soft_terms(at, p, 0), at->model->k, w, none, own->total, owner,
						  own->active);
	clu_check(interrupt);
	for (int c = 0; c < at->model->k; c++)
	{
		if (own->active[c])
			price_cluster(at, p, c, owner, rest);
		clu_check_row(interrupt, (size_t) c, 1);
	}
	for (int lane = 0; lane < CLU_LANES; lane++)
		if (w[lane] > 0)
			own->sum[owner[lane]] -=
				w[lane] * (rest[lane] > 0 ? clu_log(rest[lane]) : second[lane]);
}

static void
find_prices(clu_fit *fit)
{
	clu_soft *state = fit->state;

	state->pricing = true;
	clu_fit_pass(fit);
	state->pricing = false;
}

/* ---- exchanges ---- */

/* Set a centre upon another one, and draw both apart a little. */
static void
double_center(clu_fit *fit, int from, int to, clu_random *random)
{
	const clu_soft *state = fit->state;
	size_t			d = (size_t) fit->model.d;
	double		   *a = fit->model.center + (size_t) from * d;
	double		   *b = fit->model.center + (size_t) to * d;
	double			most = APART / sqrt(2 * state->beta * (double) d);

	for (size_t j = 0; j < d; j++)
	{
		double way = most * (2 * clu_random_uniform(random) - 1);

		a[j] = b[j] + way;
		b[j] -= way;
	}
}

/* Make the exchange that gains most, if that is worth a pass. */
static bool
exchange(clu_fit *fit, clu_random *random)
{
	clu_soft *state = fit->state;
	double	  gain = -INFINITY, loss = INFINITY;
	int		  from = 0, to = 0;

	find_prices(fit);
	for (int c = 0; c < fit->model.k; c++)
	{
		if (clu_dd_value(state->sum[c]) < loss)
			loss = clu_dd_value(state->sum[from = c]);
		if (clu_dd_value(state->weight[c]) > gain)
			gain = clu_dd_value(state->weight[to = c]);
	}
	if (!(gain - loss > WORTH_A_PASS * fit->points->total_weight / fit->model.k))
		return false;
	double_center(fit, from, to, random);
	return true;
}

/* ---- the start ---- */

/* Where K-means ends. */
static void
start_from_kmeans(clu_fit *fit, clu_random *random)
{
	clu_fit *kmeans = &((clu_soft *) fit->state)->kmeans;
	size_t	 size = (size_t) fit->model.k * (size_t) fit->model.d * sizeof(double);

	kmeans->seen = 0;
	clu_kmeans_within_run(kmeans, (int64_t) (clu_random_bits(random) >> 1));
	fit->seen += kmeans->seen;
	memcpy(fit->model.center, kmeans->model.center, size);
	clu_soft_adopt(fit);
}

/* Where K-means begins, with the same option init. */
static void
start_from_points(clu_fit *fit, clu_random *random)
{
	clu_fit *kmeans = &((clu_soft *) fit->state)->kmeans;
	size_t	 size = (size_t) fit->model.k * (size_t) fit->model.d * sizeof(double);

	kmeans->verbs->start(kmeans, random);
	memcpy(fit->model.center, kmeans->model.center, size);
}

/*
 * K-means mostly ends at the same clusters, so of several starts every second one is without: the
 * best of them wins.  What k-means++ has to know of the points, the first start has found out.
 */
void
clu_soft_start(clu_fit *fit, clu_random *random)
{
	int64_t most = CLU_MIN(clu_option_integer(&fit->model.options, CLU_MAX_ITER), MOST_EXCHANGES);

	if (clu_option_integer(&fit->model.options, CLU_INIT) == CLU_INIT_RANDOM)
	{
		start_from_points(fit, random);
		return;
	}
	if (fit->start > 1 && fit->start % 2 == 0)
		start_from_points(fit, random);
	else
		start_from_kmeans(fit, random);
	while (most > 0 && exchange(fit, random))
		most--;
}
