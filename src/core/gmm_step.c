/*
 * gmm_step.c
 *		Steps of a Gaussian mixture: frames for points that are never seen together.
 *
 * While the sums are taken the given model is all that is known to everybody, so the units come
 * from it.  They only keep squares within range, for units are powers of two and cost nothing.
 * A shift could cost digits, where the means that it's made of are far from the points, and it
 * isn't needed: moments are about the means, x - mu is rounded once with any offset, and points
 * and means without a shift aren't rounded at all.  But with tied covariances F x and F mu are
 * computed apart (gmm_estep.c), so these have one.
 *
 * The refit is another matter: how far variances may shrink, and what is too little to count as a
 * change, is relative to the points.  Once the sums are complete they tell where these lie.  With
 * N_k, s_k and T_k of gmm_estep.c, N = sum N_k and the new means m_k = mu_k + s_k / N_k, they have
 *
 *		mean = sum N_k m_k / N,   variance = (sum T_k - s_k^2 / N_k + N_k (m_k - mean)^2) / N.
 *
 * So the sums are brought to the frame that a fit would have found, and the refit is a fit's.
 *
 * What cancels in T_k - s_k^2 / N_k is the way from the given means to the points.  Where these
 * are a million standard deviations away, little but rounding is left of a variance, that of the
 * component as well as that of the points; then a column counts as constant.
 */
#include "gmm.h"

#include <math.h>

#include "algebra.h"

/* Sums over the same rows may differ by as much, however the rows were divided. */
#define NOISE 0x1p-40

/*
 * Variances of whole numbers are often whole numbers themselves, and 2 or 1/2, where units jump,
 * among them: rounding may not take them below.
 */
#define JUMP (1 + 0x1p-30)

/* ---- the frame of the sums ---- */

/* The variance of column j within component c. */
static double
variance_of(const clu_model *model, int c, int j)
{
	size_t d = (size_t) model->d, at = (size_t) j;

	switch (model->structure)
	{
		case CLU_COV_FULL:
			return model->covariance[(size_t) c * d * d + at * d + at];
		case CLU_COV_TIED:
			return model->covariance[at * d + at];
		case CLU_COV_DIAG:
			return model->covariance[(size_t) c * d + at];
		case CLU_COV_SPHERICAL:
			return model->covariance[c];
	}
	return model->covariance[0];
}

static double
center_of(const clu_model *model, int c, int j)
{
	return model->center[(size_t) c * (size_t) model->d + (size_t) j];
}

/* The variance of column j of the mixture about its mean, in the units of the points. */
static double
mixture_variance(const clu_fit *fit, double mean, int j)
{
	const clu_model *model = &fit->model;
	double			 unit = fit->points->unit, variance = 0;

	for (int c = 0; c < model->k; c++)
	{
		double way = center_of(model, c, j) / unit - mean;

		variance += model->weight[c] * (variance_of(model, c, j) / unit / unit + way * way);
	}
	return variance;
}

/* Of the components' means the one nearest to that of all, which one far out may draw away. */
static double
middle_mean(const clu_fit *fit, double mean, int j)
{
	const clu_model *model = &fit->model;
	double			 unit = fit->points->unit, nearest = center_of(model, 0, j) / unit;

	for (int c = 1; c < model->k; c++)
	{
		double center = center_of(model, c, j) / unit;

		if (fabs(center - mean) < fabs(nearest - mean))
			nearest = center;
	}
	return nearest;
}

clu_status
clu_gmm_begin_step(clu_fit *fit)
{
	clu_gmm *state = fit->state;
	double	*shift = state->frame.shift, *scale = state->frame.scale, mean = 0;
	int		 d = fit->model.d;

	clu_mixture_mean(&fit->model, shift);
	for (int j = 0; j < d; j++)
	{
		double middle = shift[j] / fit->points->unit;
		double variance = mixture_variance(fit, middle, j);

		shift[j] = state->sums.pooled ? middle_mean(fit, middle, j) : 0;
		scale[j] = clu_gmm_scale_of_variance(variance, middle);
		mean += variance / d;
	}
	for (int j = 0; j < d && clu_gmm_has_one_scale(fit->model.structure); j++)
		scale[j] = clu_gmm_scale_of_variance(mean, 1);
	clu_gmm_set_units(fit);
	return clu_gmm_check_range(fit);
}

int
clu_gmm_statistics(clu_fit *fit, clu_statistic *list)
{
	clu_gmm_sums *sums = &((clu_gmm *) fit->state)->sums;

	list[0] = (clu_statistic) {&sums->total, NULL, sums->count, false};
	list[1] = (clu_statistic) {&sums->rest, NULL, sums->count, false};
	return 2;
}

/* ---- where the points lie ---- */

/* The component with the most weight. */
static int
heaviest(const clu_gmm_sums *sums)
{
	int heaviest = 0;

	for (int c = 1; c < sums->k; c++)
		if (*clu_gmm_count_of(sums->total, c) > *clu_gmm_count_of(sums->total, heaviest))
			heaviest = c;
	return heaviest;
}

/* The second moment of column j about the mean of component c; with tied, of all. */
static double
square_of(const clu_gmm *state, int c, int j)
{
	const double *second = clu_gmm_second_of(&state->sums, state->sums.total, c);
	size_t		  i = (size_t) j;

	return second[state->matrices ? i * (i + 1) / 2 + i : i];
}

/* The new mean of a component, less a value. */
static double
new_mean(const clu_fit *fit, int c, int j, double less)
{
	const clu_gmm_sums *sums = &((clu_gmm *) fit->state)->sums;

	return (center_of(&fit->model, c, j) - less) +
		   clu_gmm_first_of(sums, sums->total, c)[j] / *clu_gmm_count_of(sums->total, c);
}

/* What the sums say of a column of the points, in their frame. */
typedef struct column
{
	double mean, variance;
	double square; /* of the way of a point from the mean of its component, on average */
} column;

/*
 * Everything is taken about one of the new means, which lies among the points: so means that are
 * equal, as those of a constant column are, differ by what is rounded from their ways, at most.
 */
static column
measure_column(const clu_fit *fit, int base, int j)
{
	const clu_gmm	   *state = fit->state;
	const clu_gmm_sums *sums = &state->sums;
	double				at = new_mean(fit, base, j, 0);
	double				weight = 0, square = 0, gone = 0, mean = 0, between = 0;

	for (int c = 0; c < sums->k; c++)
	{
		double count = *clu_gmm_count_of(sums->total, c);
		double first = clu_gmm_first_of(sums, sums->total, c)[j];

		if (c == 0 || !sums->pooled)
			square += square_of(state, c, j);
		if (!(count > 0))
			continue;
		weight += count;
		gone += first * (first / count);
		mean += count * new_mean(fit, c, j, at);
	}
	mean /= weight;
	for (int c = 0; c < sums->k; c++)
	{
		double count = *clu_gmm_count_of(sums->total, c);
		double way = count > 0 ? new_mean(fit, c, j, at) - mean : 0;

		between += count * (way * way);
	}
	return (column) {at + mean, (square - gone + between) / weight, square / weight};
}

/* ---- the frame of the refit ---- */

/* A column's mean to the shift; the variance is what may be taken for one. */
static clu_status
find_column(clu_fit *fit, int base, int j, double *shift, double *variance)
{
	const clu_gmm_frame *frame = &((clu_gmm *) fit->state)->frame;
	column				 at = measure_column(fit, base, j);
	double				 offset = frame->shift[j] * frame->scale[j];

	if (!isfinite(at.mean) || !isfinite(at.variance))
		return clu_fail(fit->error, CLU_UNDERFLOW,
						"A point is too large beside the centres of the model.", 0, 0);
	*variance = at.variance > NOISE * at.square ? at.variance : 0;
	*shift = at.mean / frame->scale[j] + frame->shift[j];
	if (fabs(at.mean + offset) <= NOISE * (sqrt(at.square) + fabs(offset)))
		*shift = 0;
	return CLU_OK;
}

/* The scale of a column, or of all, that is one in units of the sums. */
static double
new_scale(double scale, double variance, double shift)
{
	if (variance == 0 && shift == 0)
		return 1;
	return scale * clu_gmm_scale_of_variance(variance * JUMP, shift * scale * JUMP);
}

/* The new frame, in the place of that of the sums; the ratio of their units goes to factor. */
static void
set_frame(clu_fit *fit, const double *shift, const double *variance, double *factor)
{
	clu_gmm_frame *frame = &((clu_gmm *) fit->state)->frame;
	bool		   one = clu_gmm_has_one_scale(fit->model.structure);
	double		   mean = 0, offset = 0;
	int			   d = fit->model.d;

	for (int j = 0; j < d; j++)
	{
		mean += variance[j] / d;
		offset = fmax(offset, fabs(shift[j]));
	}
	for (int j = 0; j < d; j++)
	{
		double scale =
			new_scale(frame->scale[j], one ? mean : variance[j], one ? offset : shift[j]);

		factor[j] = scale / frame->scale[j];
		frame->scale[j] = scale;
		frame->shift[j] = shift[j];
	}
}

static void
scale_second(const clu_gmm *state, double *second, const double *factor)
{
	size_t d = (size_t) state->sums.d;

	for (size_t i = 0; i < d && !state->matrices; i++)
		second[i] *= factor[i] * factor[i];
	for (size_t i = 0; i < d && state->matrices; i++)
		for (size_t j = 0; j <= i; j++)
			*second++ *= factor[i] * factor[j];
}

static void
scale_sums(const clu_fit *fit, const double *factor)
{
	const clu_gmm	   *state = fit->state;
	const clu_gmm_sums *sums = &state->sums;

	for (int c = 0; c < sums->k; c++)
	{
		double *first = clu_gmm_first_of(sums, sums->total, c);

		for (int j = 0; j < sums->d; j++)
			first[j] *= factor[j];
		if (c == 0 || !sums->pooled)
			scale_second(state, clu_gmm_second_of(sums, sums->total, c), factor);
		clu_check_row(fit->interrupt, (size_t) c, (int) CLU_MIN(sums->width, INT32_MAX));
	}
}

clu_status
clu_gmm_reframe_step(clu_fit *fit)
{
	clu_gmm	  *state = fit->state;
	int		   d = fit->model.d, base = heaviest(&state->sums);
	double	  *shift = state->member[0].scratch, *variance = shift + d, *factor = variance + d;
	double	   offset = fit->objective_offset;
	clu_status status = CLU_OK;

	for (int j = 0; j < d && status == CLU_OK; j++)
	{
		status = find_column(fit, base, j, &shift[j], &variance[j]);
		clu_check_row(fit->interrupt, (size_t) j, fit->model.k);
	}
	if (status != CLU_OK)
		return status;
	set_frame(fit, shift, variance, factor);
	clu_gmm_set_units(fit);
	fit->objective_offset = offset; /* the likelihood is that in the units of the sums */
	status = clu_gmm_check_range(fit);
	if (status == CLU_OK)
		scale_sums(fit, factor);
	return status;
}
