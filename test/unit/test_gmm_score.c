/*
 * test_gmm_score.c
 *		Applying Gaussian mixtures: densities, responsibilities and distances of single points.
 */
#include "gmm_fitting.h"

static clu_scorer
make_scorer(const clu_model *model)
{
	clu_scorer scorer;
	clu_arena  arena = {NULL, 0};

	clu_score_layout(&scorer, &arena, model);
	arena = (clu_arena) {test_memory(arena.used), 0};
	clu_score_layout(&scorer, &arena, model);
	clu_score_prepare(&scorer);
	return scorer;
}

/* The tables are the first that the arena gave out. */
static void
free_scorer(clu_scorer *scorer)
{
	free(scorer->tables);
}

/* A model of some structure with covariances that are positive. */
static clu_model
random_model(int structure, int k, int d)
{
	clu_model model = make_model(structure, k, d);
	bool	  matrices = structure == CLU_COV_FULL || structure == CLU_COV_TIED;
	size_t	  n = (size_t) d, count = clu_covariance_count(CLU_GMM, structure, k, d);

	for (int i = 0; i < k * d; i++)
		model.center[i] = 3 * random_normal();
	for (size_t i = 0; i < count; i++)
		model.covariance[i] = 0.2 + random_unit();
	for (size_t at = 0; matrices && at < count; at += n * n)
		for (size_t i = 0; i < n; i++)
			for (size_t j = 0; j < n; j++)
				model.covariance[at + i * n + j] =
					(i == j) * (1 + (double) i) + 0.5 * cos((double) (i + j + at));
	if (structure == CLU_COV_FIXED)
		clu_option_set_number(&model.options, CLU_VARIANCE, model.covariance[0]);
	clu_option_set_text(&model.options, CLU_COVARIANCE, structure_names[structure],
						strlen(structure_names[structure]));
	return model;
}

static void
test_against_plain(void)
{
	for (int s = 0; s < STRUCTURES; s++)
	{
		bool density = true, shares = true, labels = true, lengths = true;

		for (int d = 1; d <= 12; d++)
		{
			int			k = 1 + d % 5;
			clu_model	model = random_model(s, k, d);
			clu_scorer	scorer = make_scorer(&model);
			double		x[12], out[5];
			long double r[20], log_density;

			for (int i = 0; i < 40; i++)
			{
				int label, best = 0;

				for (int j = 0; j < d; j++)
					x[j] = 3 * random_normal();
				label = scorer.verbs->label(&scorer, x);
				log_density = plain_responsibilities(&model, x, r);
				density = density && fabs(scorer.verbs->log_density(&scorer, x) -
										  (double) log_density) < 1e-10;
				scorer.verbs->probabilities(&scorer, x, out);
				for (int c = 0; c < k; c++)
				{
					shares = shares && fabs(out[c] - (double) r[c]) < 1e-11;
					best = r[c] > r[best] ? c : best;
				}
				labels = labels && label == best;
				scorer.verbs->distances(&scorer, x, out);
				for (int c = 0; c < k; c++)
				{
					clu_model at_mean = model;
					double	  zero[12];

					memcpy(zero, model.center + c * d, (size_t) d * sizeof(double));
					lengths =
						lengths && near(out[c],
										(double) sqrtl(2 * (plain_log_normal(&at_mean, c, zero) -
															plain_log_normal(&model, c, x))),
										1e-9);
				}
			}
			free_scorer(&scorer);
			free_model(&model);
		}
		ok(density, "%s: log density", structure_names[s]);
		ok(shares, "%s: responsibilities", structure_names[s]);
		ok(labels, "%s: the label is the component with the greatest", structure_names[s]);
		ok(lengths, "%s: Mahalanobis distances", structure_names[s]);
	}
}

static void
test_tails(void)
{
	bool good = true;

	for (int s = 0; s < STRUCTURES; s++)
	{
		clu_model  model = random_model(s, 4, 3);
		clu_scorer scorer = make_scorer(&model);
		double	   far[] = {1e3, 1e8, 1e100, 1e160, 1e300}, out[4], sum;

		model.weight[1] = 0; /* is never chosen */
		clu_score_prepare(&scorer);
		for (int i = 0; i < 5; i++)
		{
			double x[3] = {far[i], -far[i], far[i] / 3};
			int	   label = scorer.verbs->label(&scorer, x);

			scorer.verbs->probabilities(&scorer, x, out);
			sum = out[0] + out[1] + out[2] + out[3];
			good = good && near(sum, 1, 1e-15) && out[1] == 0 && label != 1 && out[label] > 0.2;
			scorer.verbs->distances(&scorer, x, out);
			for (int c = 0; c < 4; c++)
				good = good && out[c] > far[i] / 10 && isfinite(out[c]) == (i < 5);
			good = good && !isnan(scorer.verbs->log_density(&scorer, x));
		}
		free_scorer(&scorer);
		free_model(&model);
	}
	ok(good, "far out responsibilities still sum to one, and nothing is NaN");
}

/* What the fit calls sizes is the sum of the responsibilities that the scorer gives. */
static void
test_consistency(void)
{
	clu_rows rows = random_mixture(300, 4, 3, 2);
	bool	 same = true;

	for (int s = 0; s < STRUCTURES; s++)
	{
		clu_options options = gmm_options(s, 1e-6, 100);
		fitted		f;
		clu_scorer	scorer;
		double		out[3], size[3] = {0}, log_likelihood = 0;

		fit_gmm(&f, &rows, 3, &options, NULL);
		scorer = make_scorer(&f.fit.model);
		for (size_t i = 0; i < rows.n; i++)
		{
			const double *x = (const double *) rows.x + i * 4;

			scorer.verbs->probabilities(&scorer, x, out);
			for (int c = 0; c < 3; c++)
				size[c] += out[c];
			log_likelihood += scorer.verbs->log_density(&scorer, x);
		}
		for (int c = 0; c < 3; c++)
			same = same && near(size[c], f.fit.model.size[c], 1e-10);
		same = same && near(log_likelihood, f.fit.model.log_likelihood, 1e-11);
		free_scorer(&scorer);
		free_fit(&f);
	}
	ok(same, "sizes and likelihood of a fit are sums over its points");
	free_rows(&rows);
}

int
main(void)
{
	clu_kernel_choose();
	random_seed(5);
	test_against_plain();
	test_tails();
	test_consistency();
	return finish_tests();
}
