/*
 * gmm_estep.c
 *		One pass over the points: responsibilities, and the sums for the next parameters.
 *
 * E-step.  With pi_k the weights, mu_k the means and S_k = U_k^T U_k the covariances, the log of
 * what component k contributes to the density of a point is
 *
 *		a_k = ln pi_k - d/2 ln 2 pi + sum_i ln F_ii - |F (x - mu_k)|^2 / 2,    F = U_k^-T,
 *
 * so neither a determinant nor a product of small numbers is ever formed (gmm_tables.c has what it
 * takes of the parameters).  The log density is log sum_k exp a_k, and the responsibilities are
 * r_k = exp(a_k - log density).
 *
 * Where all components have one covariance, F x and F mu_k are computed once and not for every
 * pair.  Of their difference is lost what rounding took from x already, which is relative to the
 * frame.
 *
 * M-step.  While the points are in the cache, the moments of each component are taken about its
 * current mean,
 *
 *		N = sum w r,   s = sum w r (x - mu_k),   T = sum w r (x - mu_k)(x - mu_k)^T,
 *
 * from which the new mean is mu_k + s/N and the new covariance T/N - (s/N)(s/N)^T.  What cancels
 * in that difference is the way the mean has gone, which vanishes as the fit converges; with
 * moments about the origin it would be the square of the mean (Chan, Golub and LeVeque, "Algorithms
 * for computing the sample variance", Am. Stat. 37, 1983).
 *
 * A few panels of 32 points are worked on together (kernel_gmm_body.h).  Every sum runs in an
 * order that depends on the points alone.
 *
 * Where components are well apart, nearly all of that is for nothing: a point has one
 * responsibility of 1, the others are 0.  So the points of a share are taken in the order of their
 * owners, the components which they belonged to most in the pass before.  Then the points of a
 * panel have the same few components near them: those are computed first, and of the others the
 * kernels see after a few columns that their terms can't but be too far below to count.  What they
 * leave out would be 0, so the responsibilities are the same to the bit; only the order of the
 * sums over points is another one.  Where most pairs of a point and a component count, there is
 * nothing to leave out, and the points are taken as they lie, which memory likes better.
 */
#include "gmm.h"

#include <math.h>
#include <string.h>

#include "kernel.h"
#include "linalg.h"

#define MOST_NEAR 0.5 /* of the pairs of points and components: with more, no order pays */
#define FETCHED 512	  /* bytes of a point that are fetched ahead: what follows comes by itself */

/* ---- memory ---- */

void
clu_gmm_sums_layout(clu_gmm *state, clu_arena *arena, int structure, int k, int d)
{
	clu_gmm_sums *sums = &state->sums;
	size_t		  clusters = (size_t) k, dims = (size_t) d;

	state->matrices = structure == CLU_COV_FULL || structure == CLU_COV_TIED;
	sums->k = k;
	sums->d = d;
	sums->pooled = structure == CLU_COV_TIED;
	sums->width = state->matrices ? clu_triangle(d) : dims;
	sums->count = clu_size_product(clusters, dims + 1) + 1;
	sums->count += sums->pooled ? sums->width : clu_size_product(clusters, sums->width);
	CLU_TAKE(arena, sums->total, sums->count);
	CLU_TAKE(arena, sums->rest, sums->count);
}

static void
member_layout(const clu_gmm *state, clu_gmm_member *member, clu_arena *arena, size_t share, int k,
			  int d)
{
	size_t clusters = (size_t) k, dims = (size_t) d;
	size_t points = (size_t) state->most_panels * CLU_LANES;

	CLU_TAKE(arena, member->sums, state->sums.count);
	CLU_TAKE(arena, member->panel, points * dims);
	CLU_TAKE(arena, member->white, state->sums.pooled ? points * dims : 0);
	CLU_TAKE(arena, member->term, clu_size_product(clusters, points));
	CLU_TAKE(arena, member->largest, points);
	CLU_TAKE(arena, member->total, points);
	CLU_TAKE(arena, member->weight, points);
	CLU_TAKE(arena, member->active, clusters * (size_t) state->most_panels);
	CLU_TAKE(arena, member->scratch, 2 * points * (dims + 1));
	for (int i = 0; i < 3; i++)
		CLU_TAKE(arena, member->matrix[i], state->matrices ? dims * dims : dims);
	CLU_TAKE(arena, member->order, share);
	CLU_TAKE(arena, member->place, clusters + 1);
}

void
clu_gmm_members_layout(clu_gmm *state, clu_arena *arena, const clu_points *points, int k, int d)
{
	size_t share = CLU_MIN(points->n, clu_points_in_share(points));

	state->most_panels = clu_panels_together(d);
	CLU_TAKE(arena, state->owner, points->n);
	CLU_TAKE(arena, state->member, (size_t) state->members);
	for (int m = 0; m < state->members; m++)
	{
		clu_gmm_member measured;

		member_layout(state, state->member == NULL ? &measured : &state->member[m], arena, share, k,
					  d);
	}
}

/* ---- sums ---- */

static void
clear(clu_gmm *state)
{
	size_t size = state->sums.count * sizeof(double);

	memset(state->sums.total, 0, size);
	memset(state->sums.rest, 0, size);
	state->pairs = state->near = 0;
	for (int m = 0; m < state->members; m++)
	{
		memset(state->member[m].sums, 0, size);
		state->member[m].pairs = state->member[m].near = 0;
	}
}

/* Whether there was enough in the last pass that doesn't count to work on the points by owners. */
static bool
is_worth_an_order(const clu_gmm *state)
{
	return (double) state->near < MOST_NEAR * (double) state->pairs;
}

void
clu_gmm_prepare(clu_fit *fit)
{
	clu_gmm *state = fit->state;

	state->in_order =
		state->label == NULL && state->owned == fit->points && is_worth_an_order(state);
	clear(state);
	state->owned = state->label == NULL ? fit->points : NULL;
	if (state->label == NULL)
		clu_gmm_make_tables(fit);
}

/* Add the sums over a share to total + rest, keeping what rounding would lose. */
void
clu_gmm_collect(clu_fit *fit, int member)
{
	clu_gmm		   *state = fit->state;
	clu_gmm_member *own = &state->member[member];
	double *restrict share = own->sums;
	double *restrict total = state->sums.total;
	double *restrict rest = state->sums.rest;

	for (size_t i = 0; i < state->sums.count; i++)
	{
		clu_dd sum = clu_dd_two_sum(total[i], share[i]);

		total[i] = sum.hi;
		rest[i] += sum.lo;
		share[i] = 0;
	}
	state->pairs += own->pairs;
	state->near += own->near;
	own->pairs = own->near = 0;
}

void
clu_gmm_close(clu_gmm *state)
{
	clu_gmm_sums *sums = &state->sums;

	for (size_t i = 0; i < sums->count; i++)
		sums->total[i] += sums->rest[i];
}

/* ---- one chunk of a block ---- */

typedef struct chunk
{
	const clu_gmm		*state;
	clu_gmm_member		*own;
	const clu_model		*model;
	const clu_block		*block;
	const uint32_t		*order; /* of the points of the block; NULL: as they came */
	size_t				 first; /* in this order */
	size_t				 n;		/* points; the other lanes have weight 0 */
	size_t				 next;	/* points in the chunk after it */
	size_t				 part;	/* of these: two for every panel of a component are all */
	int					 panels;
	uint32_t			*owner; /* of the block's points */
	const clu_interrupt *interrupt;
} chunk;

/* The number in the block of a point of the chunk, or of one after it. */
static inline size_t
point_of(const chunk *at, size_t i)
{
	return at->order == NULL ? at->first + i : at->order[at->first + i];
}

/*
 * Ask for some points of the next chunk.  By owners no CPU foresees which, and it can only wait
 * for so many at once: so a part of them is asked for with every panel of every component.
 */
static void
fetch_points(const chunk *at, size_t parts)
{
	const clu_block *block = at->block;
	size_t			 size = (size_t) block->d * (size_t) block->width;
	size_t			 end = CLU_MIN(at->own->fetched + parts * at->part, at->next);

	for (size_t i = at->own->fetched; i < end; i++)
	{
		const char *x = (const char *) block->x + point_of(at, at->n + i) * size;

		for (size_t line = 0; line < CLU_MIN(size, FETCHED); line += CLU_ALIGNMENT)
			__builtin_prefetch(x + line);
	}
	at->own->fetched = end;
}

/* Lanes beyond the last point repeat the first, with weight 0. */
static void
fill_chunk(const chunk *at, const clu_gmm_frame *frame)
{
	const clu_block *block = at->block;
	size_t			 size = (size_t) block->d * (size_t) block->width;

	for (size_t first = 0; first < (size_t) at->panels * CLU_LANES; first += CLU_LANES)
	{
		const void *row[CLU_LANES];
		size_t		n = CLU_MIN(CLU_LANES, at->n - first);

		for (size_t i = 0; i < n; i++)
		{
			size_t point = point_of(at, first + i);

			row[i] = (const char *) block->x + point * size;
			at->own->weight[first + i] = clu_weight(block->w, point);
		}
		for (size_t i = n; i < CLU_LANES; i++)
		{
			row[i] = (const char *) block->x + point_of(at, 0) * size;
			at->own->weight[first + i] = 0;
		}
		clu_kernel->gmm_panel(row, block->width, block->d, frame->shift, frame->scale,
							  at->own->panel + first * (size_t) block->d);
	}
}

/* The terms of a component for a panel, then the responsibilities. */
static double *
terms_of(const chunk *at, int p, int c)
{
	return at->own->term + ((size_t) p * (size_t) at->model->k + (size_t) c) * CLU_LANES;
}

/* Once per component, where that is more than some ten microseconds of work. */
static void
check_component(const chunk *at)
{
	if ((size_t) at->panels * at->state->sums.width > 1000)
		clu_check(at->interrupt);
}

/* The terms of a component for a panel. */
static void
compute_terms(const chunk *at, int c, int p)
{
	const clu_gmm	*state = at->state;
	clu_gmm_member	*own = at->own;
	const clu_model *model = at->model;
	size_t			 dims = (size_t) model->d, lane = (size_t) p * CLU_LANES;
	const double	*mean = model->center + (size_t) c * dims;
	const double	*panel = own->panel + lane * dims;
	double			*out = terms_of(at, p, c);
	const double	*factor = state->factor + (size_t) c * state->sums.width;

	if (state->sums.pooled)
		clu_kernel->gmm_diag(own->white + lane * dims, model->d, state->white + (size_t) c * dims,
							 state->ones, state->constant[c], own->largest + lane, out);
	else if (state->matrices)
		clu_kernel->gmm_full(panel, model->d, mean, factor, state->constant[c], own->scratch,
							 own->largest + lane, out);
	else
		clu_kernel->gmm_diag(panel, model->d, mean, factor, state->constant[c], own->largest + lane,
							 out);
}

/* The components that own the points of a panel, from first to before end. */
typedef struct owners
{
	int first, end;
} owners;

static owners
owners_of(const chunk *at, int p)
{
	size_t first = (size_t) p * CLU_LANES, last = CLU_MIN(first + CLU_LANES, at->n) - 1;

	if (at->order == NULL)
		return (owners) {0, 0};
	return (owners) {(int) at->owner[point_of(at, first)], (int) at->owner[point_of(at, last)] + 1};
}

/* With tied, what all components see of the points is computed once. */
static void
make_white(const chunk *at)
{
	size_t d = (size_t) at->model->d;

	for (int p = 0; p < at->panels && at->state->sums.pooled; p++)
	{
		size_t to = (size_t) p * CLU_LANES * d;

		clu_kernel->gmm_white(at->own->panel + to, at->model->d, at->state->factor,
							  at->own->white + to);
		check_component(at);
	}
}

/* Those of the owners first: then it's seen early that others are far below. */
static void
compute_all_terms(const chunk *at)
{
	owners nearest[CLU_MOST_PANELS];

	for (int p = 0; p < at->panels; p++)
	{
		double *largest = at->own->largest + p * CLU_LANES;

		for (int lane = 0; lane < CLU_LANES; lane++)
			largest[lane] = -INFINITY;
		nearest[p] = owners_of(at, p);
		for (int c = nearest[p].first; c < nearest[p].end; c++)
		{
			compute_terms(at, c, p);
			check_component(at);
		}
	}
	for (int c = 0; c < at->model->k; c++)
	{
		for (int p = 0; p < at->panels; p++)
		{
			if (c < nearest[p].first || c >= nearest[p].end)
				compute_terms(at, c, p);
			fetch_points(at, 1);
		}
		check_component(at);
	}
}

/* Terms to responsibilities; adds to the log-likelihood. */
static void
share_out(const chunk *at)
{
	clu_gmm_member *own = at->own;
	double			sum[8] = {0};
	uint32_t		owner[CLU_LANES];

	for (int p = 0; p < at->panels; p++)
	{
		size_t first = (size_t) p * CLU_LANES, n = CLU_MIN(CLU_LANES, at->n - first);

		clu_kernel->gmm_share(terms_of(at, p, 0), at->model->k, own->weight + first,
							  own->largest + first, own->total + first, owner,
							  own->active + p * at->model->k);
		if (at->order == NULL)
			memcpy(at->owner + at->first + first, owner, n * sizeof(uint32_t));
		else
			for (size_t i = 0; i < n; i++)
				at->owner[at->order[at->first + first + i]] = owner[i];
	}
	clu_kernel->gmm_log_sum(at->panels * CLU_LANES, own->weight, own->largest, own->total, sum);
	*clu_gmm_sum_of(own->sums) += clu_sum_eight(sum);
}

/* What part of the pairs counts, by a sample: every fourth point of the first panel. */
static void
count_near(const chunk *at)
{
	clu_gmm_member *own = at->own;
	size_t			near = 0;

	for (int c = 0; c < at->model->k; c++)
	{
		const double *r = terms_of(at, 0, c);

		for (int lane = 0; own->active[c] && lane < CLU_LANES; lane += 4)
			near += r[lane] > 0;
	}
	own->near += near;
	own->pairs += (size_t) at->model->k * CLU_LANES / 4;
}

static void
share_by_label(const chunk *at, const uint32_t *label)
{
	clu_gmm_member *own = at->own;
	size_t			k = (size_t) at->model->k;

	memset(own->active, 0, (size_t) at->panels * k * sizeof(bool));
	memset(own->term, 0, (size_t) at->panels * k * CLU_LANES * sizeof(double));
	for (size_t i = 0; i < at->n; i++)
	{
		uint32_t c = label[point_of(at, i)];

		terms_of(at, (int) (i / CLU_LANES), (int) c)[i % CLU_LANES] = own->weight[i];
		own->active[i / CLU_LANES * k + c] = true;
	}
}

static void
add_moments(const chunk *at)
{
	const clu_gmm_sums *sums = &at->state->sums;
	clu_gmm_member	   *own = at->own;
	const clu_model	   *model = at->model;

	for (int c = 0; c < model->k; c++)
	{
		const double *mean = model->center + (size_t) c * (size_t) model->d;
		const double *r[CLU_MOST_PANELS];
		double		 *count = clu_gmm_count_of(own->sums, c);
		double		 *first = clu_gmm_first_of(sums, own->sums, c);
		double		 *second = clu_gmm_second_of(sums, own->sums, c);
		int			  which[CLU_MOST_PANELS];
		int panels = clu_active_panels(own->active, own->term, at->panels, model->k, c, r, which);

		fetch_points(at, (size_t) at->panels);
		if (panels == 0)
			continue;
		if (at->state->matrices)
			clu_kernel->gmm_moments_full(own->panel, r, which, panels, model->d, mean, own->scratch,
										 count, first, second);
		else
			clu_kernel->gmm_moments_diag(own->panel, r, which, panels, model->d, mean, count, first,
										 second);
		check_component(at);
	}
}

/* ---- a block ---- */

/* The sample of the starts is in the coordinates of the fit already. */
static const clu_gmm_frame *
frame_of(const clu_fit *fit)
{
	const clu_gmm *state = fit->state;

	return fit->points == &state->sample ? &state->identity : &state->frame;
}

/* The points of a block by their owners; NULL: as they came. */
static const uint32_t *
put_in_order(const clu_gmm *state, const clu_block *block, int k, clu_gmm_member *own)
{
	const uint32_t *owner = state->owner + block->first;

	if (!state->in_order)
		return NULL;
	memset(own->place, 0, ((size_t) k + 1) * sizeof(uint32_t));
	for (size_t i = 0; i < block->n; i++)
		own->place[owner[i] + 1]++;
	for (int c = 0; c < k; c++)
		own->place[c + 1] += own->place[c];
	for (size_t i = 0; i < block->n; i++)
		own->order[own->place[owner[i]]++] = (uint32_t) i;
	return own->order;
}

void
clu_gmm_accumulate(clu_fit *fit, const clu_block *block, int member)
{
	const clu_gmm  *state = fit->state;
	clu_gmm_member *own = &state->member[member];
	const uint32_t *order = put_in_order(state, block, fit->model.k, own);
	size_t			size = (size_t) state->most_panels * CLU_LANES;
	size_t			work = (size_t) fit->model.k * size * state->sums.width, done = 0;

	for (size_t first = 0; first < block->n; first += size)
	{
		chunk at = {.state = state,
					.own = own,
					.model = &fit->model,
					.block = block,
					.order = order,
					.first = first,
					.n = CLU_MIN(size, block->n - first),
					.owner = state->owner + block->first,
					.interrupt = fit->interrupt};

		at.next = CLU_MIN(size, block->n - first - at.n);
		at.panels = (int) ((at.n + CLU_LANES - 1) / CLU_LANES);
		at.part = at.next / (2 * (size_t) at.model->k * (size_t) at.panels) + 1;
		own->fetched = 0;
		fill_chunk(&at, frame_of(fit));
		if (state->label != NULL)
			share_by_label(&at, state->label + block->first);
		else
		{
			make_white(&at);
			compute_all_terms(&at);
			share_out(&at);
			count_near(&at);
		}
		add_moments(&at);
		done += work;
		if (done > 1000000)
		{
			clu_check(fit->interrupt);
			done = 0;
		}
	}
}
