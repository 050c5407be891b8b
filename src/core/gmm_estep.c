/*
 * gmm_estep.c
 *		One pass over the points: responsibilities, and the sums for the next parameters.
 *
 * E-step.  With pi_k the weights, mu_k the means and S_k = U_k^T U_k the covariances, the log of
 * what component k contributes to the density of a point is
 *
 *		a_k = ln pi_k - d/2 ln 2 pi + sum_i ln F_ii - |F (x - mu_k)|^2 / 2,    F = U_k^-T,
 *
 * so neither a determinant nor a product of small numbers is ever formed.  The log density is
 * log sum_k exp a_k, and the responsibilities are r_k = exp(a_k - log density).
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
 */
#include "gmm.h"

#include <math.h>
#include <string.h>

#include "elementary.h"
#include "kernel.h"
#include "linalg.h"

#define CHUNK_VALUES 32768 /* of rows worked on together: fits the second-level cache */
#define MOST_PANELS 8
#define FLUSH_POINTS 4096 /* that are summed before they are added to the total */

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
	CLU_TAKE(arena, sums->fresh, sums->count);
	CLU_TAKE(arena, sums->total, sums->count);
	CLU_TAKE(arena, sums->rest, sums->count);
}

void
clu_gmm_tables_layout(clu_gmm *state, clu_arena *arena, int structure, int k, int d)
{
	size_t clusters = (size_t) k, dims = (size_t) d;
	size_t factors = structure == CLU_COV_TIED ? 1 : clusters;
	size_t points;

	state->most_panels = CLU_MAX(1, CLU_MIN(MOST_PANELS, CHUNK_VALUES / CLU_LANES / d));
	points = (size_t) state->most_panels * CLU_LANES;
	CLU_TAKE(arena, state->factor, clu_size_product(factors, state->sums.width));
	CLU_TAKE(arena, state->constant, clusters);
	CLU_TAKE(arena, state->panel, points * dims);
	CLU_TAKE(arena, state->term, clu_size_product(clusters, points));
	CLU_TAKE(arena, state->weight, points);
	CLU_TAKE(arena, state->active, clusters * (size_t) state->most_panels);
	CLU_TAKE(arena, state->scratch, 2 * points * (dims + 1));
	for (int i = 0; i < 3; i++)
		CLU_TAKE(arena, state->matrix[i], state->matrices ? dims * dims : dims);
}

/* ---- tables ---- */

/* The packed inverse factor of a matrix; returns the sum of the logs of its diagonal. */
static double
make_factor(clu_gmm *state, const double *matrix, int d, double *factor,
			const clu_interrupt *interrupt)
{
	double sum = 0;

	/* the M-step or the decoder has seen to it that this succeeds */
	(void) clu_whitening_factor(matrix, d, state->matrix[0], &sum, interrupt);
	clu_factor_pack(state->matrix[0], d, factor);
	return sum;
}

/* Likewise for variances: one for each column, or with step 0 one for all. */
static double
make_roots(const double *variance, int step, int d, double *root)
{
	double sum = 0;

	for (int j = 0; j < d; j++)
	{
		root[j] = 1 / sqrt(variance[j * step]);
		sum += clu_log(root[j]);
	}
	return sum;
}

static double
factor_of_component(clu_gmm *state, const clu_model *model, int c, const clu_interrupt *interrupt)
{
	int		d = model->d;
	size_t	dims = (size_t) d;
	double *factor = state->factor + (size_t) c * state->sums.width;

	switch (model->structure)
	{
		case CLU_COV_FULL:
			return make_factor(state, model->covariance + (size_t) c * dims * dims, d, factor,
							   interrupt);
		case CLU_COV_TIED:
			return make_factor(state, model->covariance, d, state->factor, interrupt);
		case CLU_COV_DIAG:
			return make_roots(model->covariance + (size_t) c * dims, 1, d, factor);
		case CLU_COV_SPHERICAL:
			return make_roots(model->covariance + c, 0, d, factor);
		default:
			return make_roots(model->covariance, 0, d, factor);
	}
}

void
clu_gmm_clear(clu_gmm *state)
{
	clu_gmm_sums *sums = &state->sums;

	memset(sums->fresh, 0, sums->count * sizeof(double));
	memset(sums->total, 0, sums->count * sizeof(double));
	memset(sums->rest, 0, sums->count * sizeof(double));
	sums->pending = 0;
}

void
clu_gmm_prepare(clu_gmm *state, const clu_model *model, const clu_interrupt *interrupt)
{
	double log_root = 0;

	for (int c = 0; c < model->k; c++)
	{
		if (c == 0 || model->structure != CLU_COV_TIED)
			log_root = factor_of_component(state, model, c, interrupt);
		state->constant[c] = clu_log(model->weight[c]) + (log_root - model->d * CLU_LOG_TWO_PI / 2);
	}
	clu_gmm_clear(state);
}

/* ---- sums ---- */

/* Add fresh to total + rest, keeping what rounding would lose. */
static void
flush(clu_gmm_sums *sums)
{
	double *restrict fresh = sums->fresh;
	double *restrict total = sums->total;
	double *restrict rest = sums->rest;

	for (size_t i = 0; i < sums->count; i++)
	{
		clu_dd sum = clu_dd_two_sum(total[i], fresh[i]);

		total[i] = sum.hi;
		rest[i] += sum.lo;
		fresh[i] = 0;
	}
	sums->pending = 0;
}

void
clu_gmm_flush(clu_gmm *state)
{
	flush(&state->sums);
}

void
clu_gmm_close(clu_gmm *state)
{
	clu_gmm_sums *sums = &state->sums;

	flush(sums);
	for (size_t i = 0; i < sums->count; i++)
		sums->total[i] += sums->rest[i];
}

/* ---- one chunk of a block ---- */

typedef struct chunk
{
	clu_gmm				*state;
	const clu_model		*model;
	int					 panels;
	size_t				 first; /* point of the block */
	size_t				 n;		/* points; the other lanes have weight 0 */
	const clu_interrupt *interrupt;
} chunk;

static void
fill_lane(double *lane, const clu_gmm_frame *frame, const clu_block *block, size_t point)
{
	int	   d = block->d;
	size_t at = point * (size_t) d;

	if (block->width == 8)
		for (int j = 0; j < d; j++)
			lane[j * CLU_LANES] =
				(((const double *) block->x)[at + (size_t) j] - frame->shift[j]) * frame->scale[j];
	else
		for (int j = 0; j < d; j++)
			lane[j * CLU_LANES] =
				(((const float *) block->x)[at + (size_t) j] - frame->shift[j]) * frame->scale[j];
}

static void
fill_chunk(const chunk *at, const clu_gmm_frame *frame, const clu_block *block)
{
	size_t dims = (size_t) block->d;

	for (size_t i = 0; i < (size_t) at->panels * CLU_LANES; i++)
	{
		double *panel = at->state->panel + i / CLU_LANES * CLU_LANES * dims;
		bool	real = i < at->n;

		fill_lane(panel + i % CLU_LANES, frame, block, at->first + (real ? i : 0));
		at->state->weight[i] = real ? clu_weight(block->w, at->first + i) : 0;
	}
}

static size_t
stride_of(const clu_gmm *state)
{
	return (size_t) state->most_panels * CLU_LANES;
}

/* Once per component, where that is more than some ten microseconds of work. */
static void
check_component(const chunk *at)
{
	if ((size_t) at->panels * at->state->sums.width > 1000)
		clu_check(at->interrupt);
}

static void
compute_terms(const chunk *at)
{
	clu_gmm			*state = at->state;
	const clu_model *model = at->model;
	size_t			 dims = (size_t) model->d;

	for (int c = 0; c < model->k; c++)
	{
		const double *mean = model->center + (size_t) c * dims;
		const double *factor =
			state->factor + (state->sums.pooled ? 0 : (size_t) c * state->sums.width);

		for (int p = 0; p < at->panels; p++)
		{
			const double *panel = state->panel + (size_t) p * dims * CLU_LANES;
			double *out = state->term + (size_t) c * stride_of(state) + (size_t) p * CLU_LANES;

			if (state->matrices)
				clu_kernel->gmm_full(panel, model->d, mean, factor, state->constant[c],
									 state->scratch, out);
			else
				clu_kernel->gmm_diag(panel, model->d, mean, factor, state->constant[c], out);
		}
		check_component(at);
	}
}

/* Terms to responsibilities; adds to the log-likelihood. */
static void
share_out(const chunk *at)
{
	clu_gmm *state = at->state;
	double	 log_density[CLU_LANES];
	double	 sum[8] = {0};

	for (int p = 0; p < at->panels; p++)
	{
		const double *w = state->weight + p * CLU_LANES;

		clu_kernel->gmm_share(state->term + p * CLU_LANES, at->model->k, stride_of(state), w,
							  log_density, state->active + p * at->model->k);
		for (int lane = 0; lane < CLU_LANES; lane++)
			sum[lane % 8] += w[lane] * log_density[lane];
	}
	*clu_gmm_sum_of(state->sums.fresh) +=
		((sum[0] + sum[4]) + (sum[2] + sum[6])) + ((sum[1] + sum[5]) + (sum[3] + sum[7]));
}

static void
share_by_label(const chunk *at, const uint32_t *label)
{
	clu_gmm *state = at->state;
	int		 k = at->model->k;

	memset(state->active, 0, (size_t) at->panels * (size_t) k * sizeof(bool));
	memset(state->term, 0, (size_t) k * stride_of(state) * sizeof(double));
	for (size_t i = 0; i < at->n; i++)
	{
		uint32_t c = label[at->first + i];

		state->term[(size_t) c * stride_of(state) + i] = state->weight[i];
		state->active[i / CLU_LANES * (size_t) k + c] = true;
	}
}

static void
add_moments(const chunk *at)
{
	clu_gmm			*state = at->state;
	clu_gmm_sums	*sums = &state->sums;
	const clu_model *model = at->model;

	for (int c = 0; c < model->k; c++)
	{
		const double *mean = model->center + (size_t) c * (size_t) model->d;
		const double *term = state->term + (size_t) c * stride_of(state);
		const double *r[MOST_PANELS];
		double		 *count = clu_gmm_count_of(sums->fresh, c);
		double		 *first = clu_gmm_first_of(sums, sums->fresh, c);
		double		 *second = clu_gmm_second_of(sums, sums->fresh, c);
		int			  which[MOST_PANELS], panels = 0;

		for (int p = 0; p < at->panels; p++)
			if (state->active[p * model->k + c])
			{
				r[panels] = term + p * CLU_LANES;
				which[panels++] = p;
			}
		if (panels == 0)
			continue;
		if (state->matrices)
			clu_kernel->gmm_moments_full(state->panel, r, which, panels, model->d, mean,
										 state->scratch, count, first, second);
		else
			clu_kernel->gmm_moments_diag(state->panel, r, which, panels, model->d, mean, count,
										 first, second);
		check_component(at);
	}
}

/* ---- a block ---- */

/* With labels, these say whose the points are; without, the E-step does. */
static void
accumulate(clu_gmm *state, const clu_model *model, const clu_gmm_frame *frame,
		   const clu_block *block, const uint32_t *label, const clu_interrupt *interrupt)
{
	size_t size = stride_of(state);
	size_t work = (size_t) model->k * size * state->sums.width, done = 0;

	for (size_t first = 0; first < block->n; first += size)
	{
		chunk at = {.state = state, .model = model, .first = first, .interrupt = interrupt};

		at.n = CLU_MIN(size, block->n - first);
		at.panels = (int) ((at.n + CLU_LANES - 1) / CLU_LANES);
		fill_chunk(&at, frame, block);
		if (label != NULL)
			share_by_label(&at, label);
		else
		{
			compute_terms(&at);
			share_out(&at);
		}
		add_moments(&at);
		done += work;
		if (done > 1000000)
		{
			clu_check(interrupt);
			done = 0;
		}
	}
	state->sums.pending += block->n;
	if (state->sums.pending >= FLUSH_POINTS)
		flush(&state->sums);
}

void
clu_gmm_accumulate(clu_gmm *state, const clu_model *model, const clu_gmm_frame *frame,
				   const clu_block *block, const clu_interrupt *interrupt)
{
	accumulate(state, model, frame, block, NULL, interrupt);
}

void
clu_gmm_accumulate_labels(clu_gmm *state, const clu_model *model, const clu_gmm_frame *frame,
						  const clu_block *block, const uint32_t *label,
						  const clu_interrupt *interrupt)
{
	accumulate(state, model, frame, block, label, interrupt);
}
