/*
 * test_gmm.c
 *		Fits of Gaussian mixtures: closed forms, references, and what may not matter.
 */
#include "gmm_fitting.h"

#include <limits.h>

#include "elementary.h"
#include "linalg.h"

/* ---- one component ---- */

static void
test_one_component(void)
{
	clu_rows rows = random_mixture(400, 3, 2, 3);
	bool	 means = true, covariances = true;

	for (int s = 0; s < STRUCTURES; s++)
	{
		clu_options options = gmm_options(s, 1e-6, 300);
		double		zero[3] = {0};
		clu_model	plain = start_at(s, zero, 1, 3, 1);
		fitted		f;

		fit_gmm(&f, &rows, 1, &options, NULL);
		plain_iteration(&plain, &rows, 0, false);
		for (int i = 0; i < 3; i++)
		{
			means = means && near(f.fit.model.center[i], plain.center[i], 1e-13);
			for (int j = 0; j < 3; j++)
				covariances = covariances && near(covariance_at(&f.fit.model, 0, i, j),
												  covariance_at(&plain, 0, i, j), 1e-12);
		}
		free_model(&plain);
		free_fit(&f);
	}
	ok(means, "one component has the mean of the rows");
	ok(covariances, "and their covariance, its diagonal, or its mean variance");
	free_rows(&rows);
}

/* ---- reference values ---- */

typedef struct reference
{
	const char *data;
	int			k;
	int			structure;
	double		log_likelihood;
	bool		or_better; /* a mode, maybe not the highest */
} reference;

static const reference references[] = {
	{"iris", 3, CLU_COV_FULL, -180.185477131, false},
	{"iris", 3, CLU_COV_TIED, -256.354043126, false},
	{"iris", 3, CLU_COV_DIAG, -307.177571598, true},
	{"iris", 3, CLU_COV_SPHERICAL, -384.314095061, false},
	{"iris", 2, CLU_COV_FULL, -214.354704371, false},
	{"faithful", 2, CLU_COV_FULL, -1130.263960185, false},
	{"faithful", 2, CLU_COV_TIED, -1140.186759437, false},
	{"faithful", 2, CLU_COV_DIAG, -1147.806352538, false},
	{"faithful", 2, CLU_COV_SPHERICAL, -1709.529282178, false},
	{"faithful", 3, CLU_COV_FULL, -1119.213970609, true},
	{"faithful", 3, CLU_COV_TIED, -1126.315927827, false},
	{"faithful", 3, CLU_COV_DIAG, -1127.0075192, false},
	{"faithful", 3, CLU_COV_SPHERICAL, -1637.434418, false},
};

static void
test_references(void)
{
	for (size_t i = 0; i < sizeof(references) / sizeof(references[0]); i++)
	{
		const reference *r = &references[i];
		clu_options		 options = gmm_options(r->structure, 1e-13, 5000);
		clu_rows		 rows = read_data(r->data);
		fitted			 f;
		double			 found;

		fit_gmm(&f, &rows, r->k, &options, NULL);
		found = f.fit.model.log_likelihood;
		ok(near(found, r->log_likelihood, 2e-10) || (r->or_better && found > r->log_likelihood),
		   "%s, %d components, %s: log-likelihood %.9f", r->data, r->k,
		   structure_names[r->structure], found);
		ok(is_valid(&f.fit.model) &&
			   near((double) plain_log_likelihood(&f.fit.model, &rows), found, 1e-11),
		   "it is that of the returned parameters");
		free_fit(&f);
		free_rows(&rows);
	}
}

static void
test_faithful(void)
{
	clu_options		 options = gmm_options(CLU_COV_FULL, 1e-14, 5000);
	clu_rows		 rows = read_data("faithful");
	const clu_model *m;
	fitted			 f;
	double			 expected[] = {4.28966195, 79.96811491, 2.03638843, 54.47851614};
	double			 matrices[] = {.16996846, .94060967, .94060967, 36.04621526,
								   .06916765, .43516742, .43516742, 33.69728068};
	bool			 same;

	fit_gmm(&f, &rows, 2, &options, NULL);
	m = &f.fit.model;
	same = fabs(m->weight[0] - .644127153) < 2e-8 && fabs(m->weight[1] - .355872847) < 2e-8;
	for (int i = 0; i < 4; i++)
		same = same && near(m->center[i], expected[i], 1e-7);
	for (int i = 0; i < 8; i++)
		same = same && near(m->covariance[i], matrices[i], 1e-6);
	ok(same, "faithful: weights, means and covariances");
	ok(near(m->size[0] + m->size[1], 272, 1e-14) && near(m->size[0], 272 * m->weight[0], 1e-6),
	   "sizes are the responsibilities");
	free_fit(&f);
	free_rows(&rows);
}

/* ---- against the plain way ---- */

static bool
compare_with_plain(int structure, int d, int k, bool weighted, double ridge, bool uniform)
{
	clu_rows	rows = random_mixture(weighted ? 9000 : 150, d, k, 2);
	clu_options options = gmm_options(structure, 0, 12);
	double	   *center = test_memory((size_t) (k * d) * sizeof(double));
	clu_model	start, plain;
	fitted		f;
	double	   *w = weighted ? add_weights(&rows) : NULL;
	bool		same;

	for (size_t i = 0; w != NULL && i < rows.n; i++)
		w[i] = 0.5 + random_unit() * 3;
	for (int i = 0; i < k * d; i++)
		center[i] = get_value(&rows, (size_t) (7 * (i / d)), i % d);
	start = start_at(structure, center, k, d, structure == CLU_COV_FIXED ? 0.75 : 4);
	plain = start_at(structure, center, k, d, structure == CLU_COV_FIXED ? 0.75 : 4);
	clu_option_set_number(&options, CLU_REG_COVAR, ridge);
	clu_option_set_number(&options, CLU_VARIANCE, 0.75);
	if (uniform)
		clu_option_set_text(&options, CLU_WEIGHTS, "uniform", 7);
	fit_gmm(&f, &rows, k, &options, &start);
	for (int i = 0; i < 12; i++)
		plain_iteration(&plain, &rows, ridge, uniform);

	same = f.status == CLU_OK &&
		   (f.fit.model.iterations == 12 || (f.fit.model.flags & CLU_MODEL_CONVERGED));
	for (int c = 0; c < k; c++)
	{
		same = same && near(f.fit.model.weight[c], plain.weight[c], 1e-10);
		for (int i = 0; i < d; i++)
		{
			same = same && fabs(f.fit.model.center[c * d + i] - plain.center[c * d + i]) < 1e-9;
			for (int j = 0; j < d; j++)
				same = same && fabs(covariance_at(&f.fit.model, c, i, j) -
									covariance_at(&plain, c, i, j)) < 1e-8;
		}
	}
	same = same &&
		   near(f.fit.model.log_likelihood, (double) plain_log_likelihood(&plain, &rows), 1e-10);
	same = same && near(f.trace[f.trace_count - 1].objective, -f.fit.model.log_likelihood, 1e-12);
	free(center);
	free_model(&start);
	free_model(&plain);
	free_fit(&f);
	free_rows(&rows);
	return same;
}

static void
test_against_plain(void)
{
	for (int s = 0; s < STRUCTURES; s++)
	{
		bool same = true;

		for (int d = 1; d <= 9; d++)
			same = same && compare_with_plain(s, d, 1 + d % 4, false, 1e-3, false);
		ok(same, "%s: twelve iterations are those of plain EM, for 1 to 9 columns",
		   structure_names[s]);
		ok(compare_with_plain(s, 3, 3, true, 0, false) &&
			   compare_with_plain(s, 6, 2, true, 0, true),
		   "%s: with row weights, and with uniform weights of the components", structure_names[s]);
	}
}

/* ---- what is left out, being too far ---- */

#define FAR_K 6
#define FAR_MOST_D 33

/* 32 points and some components: two overlap, one is near, the others are farther and farther. */
typedef struct far_problem
{
	int	   d;
	bool   matrices;
	double panel[CLU_LANES * FAR_MOST_D];
	double mean[FAR_K * FAR_MOST_D];
	double factor[FAR_K * FAR_MOST_D * (FAR_MOST_D + 1) / 2];
	double constant[FAR_K];
} far_problem;

typedef struct far_shares
{
	double	 r[FAR_K * CLU_LANES];
	double	 total[CLU_LANES];
	uint32_t owner[CLU_LANES];
	size_t	 left_out; /* terms of -infinity */
} far_shares;

static void
make_far_problem(far_problem *p, int d, bool matrices)
{
	static const double way[FAR_K] = {0, 0.5, 4, 9, 11, 200};

	p->d = d;
	p->matrices = matrices;
	for (int c = 0; c < FAR_K; c++)
	{
		double matrix[FAR_MOST_D * FAR_MOST_D];

		for (int i = 0; i < d * d; i++)
			matrix[i] = i % (d + 1) == 0 ? 0.5 + random_unit() : 0.2 * random_normal() / d;
		if (matrices)
			clu_factor_pack(matrix, d, p->factor + c * d * (d + 1) / 2);
		for (int j = 0; j < d; j++)
		{
			p->mean[c * d + j] = way[c] / sqrt(d) * (j % 2 == 0 ? 1 : -1) + 0.1 * random_normal();
			if (!matrices)
				p->factor[c * d + j] = matrix[j * d + j];
		}
		p->constant[c] = random_normal();
	}
	for (int i = 0; i < CLU_LANES; i++)
	{
		int home = i < 16 ? 0 : (int) random_below(FAR_K);

		for (int j = 0; j < d; j++)
			p->panel[j * CLU_LANES + i] =
				p->mean[home * d + j] + (i == 31 ? 1e6 : 1) * random_normal(); /* an outlier */
	}
}

static void
far_terms(const far_problem *p, int c, double *largest, double *out)
{
	double		  difference[CLU_LANES * FAR_MOST_D];
	const double *mean = p->mean + c * p->d;

	if (p->matrices)
		clu_kernel->gmm_full(p->panel, p->d, mean, p->factor + c * p->d * (p->d + 1) / 2,
							 p->constant[c], difference, largest, out);
	else
		clu_kernel->gmm_diag(p->panel, p->d, mean, p->factor + c * p->d, p->constant[c], largest,
							 out);
}

/* Begin with a component, as with an owner; -1: no component is to know of the others. */
static void
share_far_problem(const far_problem *p, int begin, far_shares *s)
{
	double largest[CLU_LANES], w[CLU_LANES];
	bool   active[FAR_K];

	s->left_out = 0;
	for (int i = 0; i < CLU_LANES; i++)
	{
		largest[i] = -INFINITY;
		w[i] = 1;
	}
	for (int c = 0; c < FAR_K; c++)
	{
		double alone[CLU_LANES], *out = s->r + (begin + c + FAR_K) % FAR_K * CLU_LANES;

		for (int i = 0; i < CLU_LANES; i++)
			alone[i] = -INFINITY;
		far_terms(p, (begin + c + FAR_K) % FAR_K, begin < 0 ? alone : largest, out);
		for (int i = 0; i < CLU_LANES; i++)
		{
			largest[i] = fmax(largest[i], out[i]);
			s->left_out += out[i] == -INFINITY;
		}
	}
	clu_kernel->gmm_share(s->r, FAR_K, w, largest, s->total, s->owner, active);
	for (int c = 0; c < FAR_K; c++)
		if (!active[c])
			memset(s->r + c * CLU_LANES, 0, CLU_LANES * sizeof(double));
}

static void
test_left_out(void)
{
	const clu_kernels *chosen = clu_kernel;
	int				   different = 0, whole = 0;
	size_t			   left_out = 0;

	for (int kernel = 0; kernel < KERNELS; kernel++)
		for (int round = 0; use_kernel(kernel) && round < 4 * FAR_MOST_D; round++)
		{
			static far_problem p;
			far_shares		   all, some;

			make_far_problem(&p, 1 + round / 4, round % 2 == 0);
			share_far_problem(&p, -1, &all);
			whole += all.left_out == 0;
			for (int begin = 0; begin < FAR_K; begin++)
			{
				share_far_problem(&p, begin, &some);
				left_out += some.left_out;
				different += memcmp(all.r, some.r, sizeof(all.r)) != 0 ||
							 memcmp(all.total, some.total, sizeof(all.total)) != 0 ||
							 memcmp(all.owner, some.owner, sizeof(all.owner)) != 0;
			}
		}
	ok(whole > 0 && left_out > 10000 && different == 0,
	   "responsibilities are the same to the bit with far components left out (%zu terms)",
	   left_out);
	clu_kernel = chosen;
}

/* Two components, one of them with a term of 0: what the other has is known. */
static void
test_shares(void)
{
	const clu_kernels *chosen = clu_kernel;
	int				   different = 0;

	for (int kernel = 0; kernel < KERNELS; kernel++)
		for (int round = 0; use_kernel(kernel) && round < 300; round++)
		{
			double	 a[2 * CLU_LANES] = {0}, w[CLU_LANES], largest[CLU_LANES] = {0};
			double	 x[CLU_LANES], total[CLU_LANES];
			uint32_t owner[CLU_LANES];
			bool	 active[2];

			for (int i = 0; i < CLU_LANES; i++)
			{
				x[i] = a[CLU_LANES + i] = -(i % 4 == 0 ? 46 : 2) * random_unit();
				w[i] = 1 + random_unit();
			}
			clu_kernel->gmm_share(a, 2, w, largest, total, owner, active);
			for (int i = 0; i < CLU_LANES; i++)
			{
				double value = clu_exp_negative(x[i]), share = w[i] / (1 + value);

				different += a[i] != share || a[CLU_LANES + i] != value * share ||
							 total[i] != 1 + value || owner[i] != 0;
			}
		}
	ok(different == 0, "responsibilities are those of the exp of one number, to the bit");
	clu_kernel = chosen;
}

#define MOST_LOGS 256

/* The weighted log densities of n points, of one weight or of any. */
static bool
log_sum_is_right(int n, bool equal)
{
	double		w[MOST_LOGS], largest[MOST_LOGS], total[MOST_LOGS], sum[8] = {0};
	long double expected[8] = {0}, size = 0;
	bool		right = true;

	for (int i = 0; i < n; i++)
	{
		w[i] = equal && i > 0 ? w[0] : random_unit();
		largest[i] = 20 * random_normal();
		total[i] = n == MOST_LOGS ? INT_MAX : 1 + 10 * random_unit();
		expected[i % 8] += w[i] * ((long double) largest[i] + logl(total[i]));
		size += w[i] * (fabs(largest[i]) + log(total[i]));
	}
	clu_kernel->gmm_log_sum(n, w, largest, total, sum);
	for (int i = 0; i < 8; i++)
		right = right && fabsl(sum[i] - expected[i]) <= 1e-15L * size;
	return right;
}

static void
test_log_sums(void)
{
	const clu_kernels *chosen = clu_kernel;
	int				   wrong = 0;

	for (int kernel = 0; kernel < KERNELS; kernel++)
		for (int round = 0; use_kernel(kernel) && round < 300; round++)
			wrong += !log_sum_is_right(CLU_LANES * (1 + round % 8), round % 2 == 0);
	ok(wrong == 0, "log densities of points with one weight and with several add up");
	clu_kernel = chosen;
}

/* ---- moments ---- */

#define MOMENT_PANELS 3
#define MOMENT_MOST_D 13
#define MOMENT_COUNT (1 + MOMENT_MOST_D + MOMENT_MOST_D * (MOMENT_MOST_D + 1) / 2)

/* The panels 2 and 0 of three, for full or diagonal covariances. */
static void
take_moments(bool full, const double *panel, const double *share, int d, const double *mean,
			 double *moments)
{
	static double scratch[2 * MOMENT_PANELS * CLU_LANES * (MOMENT_MOST_D + 1)];
	const double *r[] = {share + 2 * CLU_LANES, share};
	int			  which[] = {2, 0};

	memset(moments, 0, MOMENT_COUNT * sizeof(double));
	if (full)
		clu_kernel->gmm_moments_full(panel, r, which, 2, d, mean, scratch, moments, moments + 1,
									 moments + 1 + d);
	else
		clu_kernel->gmm_moments_diag(panel, r, which, 2, d, mean, moments, moments + 1,
									 moments + 1 + d);
}

/* Likewise, the plain way. */
static void
plain_moments(bool full, const double *panel, const double *share, int d, const double *mean,
			  double *moments)
{
	double *second = moments + 1 + d;

	memset(moments, 0, MOMENT_COUNT * sizeof(double));
	for (int p = 0; p < MOMENT_PANELS; p += 2)
		for (int lane = 0; lane < CLU_LANES; lane++)
		{
			const double *x = panel + p * d * CLU_LANES + lane;
			double		  w = share[p * CLU_LANES + lane];

			moments[0] += w;
			for (int i = 0; i < d; i++)
				moments[1 + i] += w * (x[i * CLU_LANES] - mean[i]);
			for (int i = 0; i < d; i++)
				for (int j = full ? 0 : i; j <= i; j++)
					second[full ? i * (i + 1) / 2 + j : i] +=
						w * (x[i * CLU_LANES] - mean[i]) * (x[j * CLU_LANES] - mean[j]);
		}
}

static void
test_moments(void)
{
	const clu_kernels *chosen = clu_kernel;
	int				   wrong = 0, different = 0;

	for (int round = 0; round < 2 * MOMENT_MOST_D; round++)
	{
		static double panel[MOMENT_PANELS * CLU_LANES * MOMENT_MOST_D];
		double		  share[MOMENT_PANELS * CLU_LANES], mean[MOMENT_MOST_D];
		double		  plain[MOMENT_COUNT], base[MOMENT_COUNT], moments[MOMENT_COUNT];
		int			  d = 1 + round / 2;
		bool		  full = round % 2 == 0;

		for (int i = 0; i < MOMENT_PANELS * CLU_LANES * d; i++)
			panel[i] = random_normal();
		for (int i = 0; i < MOMENT_PANELS * CLU_LANES; i++)
			share[i] = random_unit();
		for (int j = 0; j < d; j++)
			mean[j] = random_normal();
		plain_moments(full, panel, share, d, mean, plain);
		for (int kernel = 0; kernel < KERNELS; kernel++)
		{
			if (!use_kernel(kernel))
				continue;
			take_moments(full, panel, share, d, mean, moments);
			if (kernel == 0)
				memcpy(base, moments, sizeof(base));
			different += memcmp(moments, base, sizeof(base)) != 0;
			for (int i = 0; i < MOMENT_COUNT; i++)
				wrong += !(fabs(moments[i] - plain[i]) < 1e-11);
		}
	}
	ok(wrong == 0, "moments of 1 to %d columns are the plain sums", MOMENT_MOST_D);
	ok(different == 0, "on all instruction sets to the same bits");
	clu_kernel = chosen;
}

/* Clusters far apart, two that overlap, and a row far from all: most of the work is left out. */
static bool
compare_far_with_plain(int structure, int d)
{
	clu_rows	rows = random_mixture(1500, d, 2, 0.2), far = random_mixture(1500, d, 3, 40);
	clu_options options = gmm_options(structure, 0, 5);
	double	   *center = test_memory((size_t) (5 * d) * sizeof(double));
	clu_model	start, plain;
	fitted		f;
	bool		same;

	for (size_t i = 0; i < rows.n; i++)
		for (int j = 0; j < d && i % 5 < 3; j++)
			set_value(&rows, i, j, get_value(&far, i, j));
	for (int j = 0; j < d; j++)
		set_value(&rows, 7, j, 100);
	for (int i = 0; i < 5 * d; i++)
		center[i] = get_value(&rows, (size_t) (i / d), i % d);
	start = start_at(structure, center, 5, d, structure == CLU_COV_FIXED ? 0.75 : 4);
	plain = start_at(structure, center, 5, d, structure == CLU_COV_FIXED ? 0.75 : 4);
	clu_option_set_number(&options, CLU_REG_COVAR, 1e-2);
	clu_option_set_number(&options, CLU_VARIANCE, 0.75);
	fit_gmm(&f, &rows, 5, &options, &start);
	for (int64_t i = 0; i < f.fit.model.iterations; i++)
		plain_iteration(&plain, &rows, 1e-2, false);

	same = f.status == CLU_OK &&
		   near(f.fit.model.log_likelihood, (double) plain_log_likelihood(&plain, &rows), 1e-10);
	for (int c = 0; c < 5; c++)
	{
		same = same && fabs(f.fit.model.weight[c] - plain.weight[c]) < 1e-11;
		/* where it has hardly any weight it may have been left out */
		for (int i = 0; i < d && plain.weight[c] > 1e-15; i++)
		{
			same = same && fabs(f.fit.model.center[c * d + i] - plain.center[c * d + i]) < 1e-7;
			for (int j = 0; j < d; j++)
			{
				double expected = covariance_at(&plain, c, i, j);

				same = same && fabs(covariance_at(&f.fit.model, c, i, j) - expected) <
								   1e-7 * (1 + fabs(expected));
			}
		}
	}
	free(center);
	free_model(&start);
	free_model(&plain);
	free_fit(&f);
	free_rows(&rows);
	free_rows(&far);
	return same;
}

static void
test_far_apart(void)
{
	for (int s = 0; s < STRUCTURES; s++)
		ok(compare_far_with_plain(s, 2) && compare_far_with_plain(s, 8) &&
			   compare_far_with_plain(s, 13),
		   "%s: clusters far apart, two that overlap and an outlier, as by plain EM",
		   structure_names[s]);
}

/* ---- the likelihood never falls ---- */

static void
test_monotone(void)
{
	int fits = 0, falls = 0, invalid = 0;

	for (int i = 0; i < 150; i++)
	{
		int			s = i % STRUCTURES, d = 1 + i % 7, k = 1 + i % 5;
		clu_rows	rows = random_mixture(20 + (size_t) i, d, 3, i % 3);
		clu_options options = gmm_options(s, 0, 40);
		fitted		f;

		clu_option_set_integer(&options, CLU_SEED, i);
		if (i % 2)
			clu_option_set_text(&options, CLU_INIT, "random", 6);
		if (i % 11 == 0) /* coarse values: equal points, flat components */
			for (size_t r = 0; r < rows.n; r++)
				for (int j = 0; j < d; j++)
					set_value(&rows, r, j, rint(get_value(&rows, r, j)));
		fit_gmm(&f, &rows, k, &options, NULL);
		if (f.status == CLU_FEWER_POINTS)
			continue;
		for (size_t t = 1; t < f.trace_count; t++)
			falls += f.trace[t].objective >
					 f.trace[t - 1].objective + 1e-11 * (1 + fabs(f.trace[t].objective));
		invalid += f.status != CLU_OK || !is_valid(&f.fit.model);
		fits++;
		free_fit(&f);
		free_rows(&rows);
	}
	ok(fits > 130 && falls == 0, "the likelihood falls in none of %d fits (%d falls)", fits, falls);
	ok(invalid == 0, "and all make models that can be stored");
}

/* ---- what may not matter ---- */

static void
test_kernels(void)
{
	const clu_kernels *chosen = clu_kernel;
	int				   different = 0, compared = 0;

	for (int d = 1; d <= 21; d++)
		for (int s = 0; s < STRUCTURES; s++)
		{
			clu_rows	rows = random_mixture(300, d, 3, 2);
			clu_options options = gmm_options(s, 1e-6, 10);
			fitted		base, other;

			use_kernel(0);
			fit_gmm(&base, &rows, 3, &options, NULL);
			for (int i = 1; i < KERNELS; i++)
			{
				if (!use_kernel(i))
					continue;
				fit_gmm(&other, &rows, 3, &options, NULL);
				different += !same_models(&base, &other);
				compared++;
				free_fit(&other);
			}
			free_fit(&base);
			free_rows(&rows);
		}
	ok(different == 0, "all instruction sets give the same bits (%d comparisons)", compared);
	clu_kernel = chosen;
}

static void
test_order_and_weights(void)
{
	int different = 0;

	for (int s = 0; s < STRUCTURES; s++)
	{
		clu_rows	rows = random_mixture(500, 3, 3, 2), shuffled, repeated, weighted;
		clu_options options = gmm_options(s, 1e-6, 50);
		size_t	   *index = shuffled_index(500), twice[600];
		fitted		a, b, c, e;
		double	   *w;

		shuffled = pick_rows(&rows, index, 500, 8);
		for (size_t i = 0; i < 600; i++)
			twice[i] = i % 500;
		repeated = pick_rows(&rows, twice, 600, 8);
		weighted = pick_rows(&rows, index, 500, 8);
		w = add_weights(&weighted);
		for (size_t i = 0; i < 500; i++)
			w[i] = index[i] < 100 ? 2 : 1;
		fit_gmm(&a, &rows, 3, &options, NULL);
		fit_gmm(&b, &shuffled, 3, &options, NULL);
		fit_gmm(&c, &repeated, 3, &options, NULL);
		fit_gmm(&e, &weighted, 3, &options, NULL);
		different += !same_models(&a, &b) + !same_models(&c, &e);
		free_fit(&a);
		free_fit(&b);
		free_fit(&c);
		free_fit(&e);
		free_rows(&rows);
		free_rows(&shuffled);
		free_rows(&repeated);
		free_rows(&weighted);
		free(index);
	}
	ok(different == 0, "the order of the rows and duplicates as weights change no bit");
}

static void
test_floats(void)
{
	int different = 0;

	for (int s = 0; s < STRUCTURES; s++)
	{
		clu_rows	rows = random_mixture(300, 3, 3, 2), floats, doubles;
		clu_options options = gmm_options(s, 1e-6, 50);
		size_t	   *index = shuffled_index(300);
		fitted		a, b;

		floats = pick_rows(&rows, index, 300, 4);
		doubles = pick_rows(&floats, index, 300, 8);
		fit_gmm(&a, &floats, 3, &options, NULL);
		fit_gmm(&b, &doubles, 3, &options, NULL);
		different += !same_models(&a, &b);
		free_fit(&a);
		free_fit(&b);
		free_rows(&rows);
		free_rows(&floats);
		free_rows(&doubles);
		free(index);
	}
	ok(different == 0, "nor does it matter whether values came as floats or as doubles");
}

/* A column times a power of two: the model scales exactly. */
static void
test_scaling(void)
{
	int different = 0;

	for (int s = 0; s < STRUCTURES; s++)
	{
		bool		together = s == CLU_COV_SPHERICAL || s == CLU_COV_FIXED;
		clu_rows	rows = random_mixture(400, 2, 3, 2), scaled;
		clu_options options = gmm_options(s, 1e-6, 50), other = options;
		size_t	   *index = shuffled_index(400);
		double		unit[2] = {0x1p450, together ? 0x1p450 : 0x1p-300};
		fitted		a, b;

		scaled = pick_rows(&rows, index, 400, 8);
		for (size_t i = 0; i < 400; i++)
			for (int j = 0; j < 2; j++)
				set_value(&scaled, i, j, get_value(&scaled, i, j) * unit[j]);
		clu_option_set_number(&other, CLU_VARIANCE, 0x1p900);
		fit_gmm(&a, &rows, 3, &options, NULL);
		fit_gmm(&b, &scaled, 3, &other, NULL);
		different += a.fit.model.iterations != b.fit.model.iterations;
		for (int c = 0; c < 3; c++)
			for (int i = 0; i < 2; i++)
			{
				different +=
					a.fit.model.center[c * 2 + i] * unit[i] != b.fit.model.center[c * 2 + i];
				for (int j = 0; j < 2; j++)
					different += covariance_at(&a.fit.model, c, i, j) * unit[i] * unit[j] !=
								 covariance_at(&b.fit.model, c, i, j);
			}
		free_fit(&a);
		free_fit(&b);
		free_rows(&rows);
		free_rows(&scaled);
		free(index);
	}
	ok(different == 0, "columns times powers of two scale the model exactly");
}

static void
test_offset(void)
{
	for (int s = 0; s < STRUCTURES; s++)
	{
		clu_rows	rows = random_mixture(500, 3, 2, 3), moved;
		clu_options options = gmm_options(s, 1e-10, 1000);
		size_t	   *index = shuffled_index(500);
		fitted		a, b;
		bool		same = true;

		/* values that the offset leaves exact */
		for (size_t i = 0; i < 500; i++)
			for (int j = 0; j < 3; j++)
				set_value(&rows, i, j, rint(get_value(&rows, i, j) * 1024) / 1024);
		moved = pick_rows(&rows, index, 500, 8);
		for (size_t i = 0; i < 500; i++)
			for (int j = 0; j < 3; j++)
				set_value(&moved, i, j, get_value(&moved, i, j) + 1e9);
		fit_gmm(&a, &rows, 2, &options, NULL);
		fit_gmm(&b, &moved, 2, &options, NULL);
		for (int c = 0; c < 2; c++)
			for (int i = 0; i < 3; i++)
				for (int j = 0; j < 3; j++)
					same = same && fabs(covariance_at(&a.fit.model, c, i, j) -
										covariance_at(&b.fit.model, c, i, j)) < 1e-8;
		ok(same && near(a.fit.model.log_likelihood, b.fit.model.log_likelihood, 1e-9),
		   "%s: an offset of 1e9 changes no covariance and no likelihood", structure_names[s]);
		free_fit(&a);
		free_fit(&b);
		free_rows(&rows);
		free_rows(&moved);
		free(index);
	}
}

/* ---- odd data ---- */

static void
check_odd(const char *text, clu_rows *rows, int k)
{
	bool good = true;

	for (int s = 0; s < STRUCTURES; s++)
		for (int explicit_ridge = 0; explicit_ridge < 2; explicit_ridge++)
		{
			clu_options options = gmm_options(s, 1e-6, 300);
			fitted		f;

			if (explicit_ridge)
				clu_option_set_number(&options, CLU_REG_COVAR, 0);
			fit_gmm(&f, rows, k, &options, NULL);
			good = good && f.status == CLU_OK && isfinite(f.fit.model.log_likelihood) &&
				   is_valid(&f.fit.model);
			if (!good)
				printf("# %s %d status %d\n", structure_names[s], explicit_ridge, f.status);
			free_fit(&f);
		}
	ok(good, "%s", text);
	free_rows(rows);
}

static void
test_odd_data(void)
{
	clu_rows rows = random_mixture(200, 4, 2, 3);

	for (size_t i = 0; i < rows.n; i++)
		set_value(&rows, i, 2, 7);
	check_odd("a constant column", &rows, 3);

	rows = random_mixture(200, 4, 2, 3);
	for (size_t i = 0; i < rows.n; i++)
		set_value(&rows, i, 3, get_value(&rows, i, 0) - 2 * get_value(&rows, i, 1));
	check_odd("collinear columns", &rows, 3);

	rows = random_mixture(12, 3, 2, 3);
	check_odd("as many components as points", &rows, 12);

	rows = random_mixture(15, 18, 2, 3);
	check_odd("more columns than rows of a component", &rows, 2);

	rows = random_mixture(40, 80, 2, 3);
	check_odd("more columns than have their eigenvalues taken", &rows, 2);

	rows = make_rows(1, 3, 8);
	for (int j = 0; j < 3; j++)
		set_value(&rows, 0, j, j);
	check_odd("one point", &rows, 1);

	rows = random_mixture(300, 2, 2, 3);
	for (size_t i = 0; i < 150; i++)
		for (int j = 0; j < 2; j++)
			set_value(&rows, i, j, 5 + j);
	check_odd("half of the rows on one point", &rows, 3);

	rows = random_mixture(100, 2, 2, 3);
	for (size_t i = 0; i < rows.n; i++)
		for (int j = 0; j < 2; j++)
			set_value(&rows, i, j, ldexp(get_value(&rows, i, j), j == 0 ? 470 : 460));
	{
		clu_options options = gmm_options(CLU_COV_FULL, 1e-6, 300);
		fitted		f;

		fit_gmm(&f, &rows, 2, &options, NULL);
		ok(f.status == CLU_OK && is_valid(&f.fit.model), "values of 1e141");
		free_fit(&f);
		for (size_t i = 0; i < rows.n; i++)
			for (int j = 0; j < 2; j++)
				set_value(&rows, i, j, ldexp(get_value(&rows, i, j), 500));
		fit_gmm(&f, &rows, 2, &options, NULL);
		ok(f.status == CLU_UNDERFLOW, "variances beyond the range are an error");
		free_fit(&f);
		free_rows(&rows);
	}
}

/* A component on one point, or on equal points, has infinite likelihood; it may not win. */
static void
test_collapse(void)
{
	clu_rows	rows = random_mixture(300, 2, 2, 4);
	clu_options options = gmm_options(CLU_COV_FULL, 1e-6, 300);
	fitted		f;
	double		least = INFINITY;

	for (size_t i = 0; i < 6; i++)
		for (int j = 0; j < 2; j++)
			set_value(&rows, i, j, get_value(&rows, 10, j));
	for (int seed = 0; seed < 10; seed++)
	{
		clu_option_set_integer(&options, CLU_SEED, seed);
		fit_gmm(&f, &rows, 3, &options, NULL);
		for (int c = 0; c < 3; c++)
			least = fmin(
				least,
				covariance_at(&f.fit.model, c, 0, 0) * covariance_at(&f.fit.model, c, 1, 1) -
					covariance_at(&f.fit.model, c, 0, 1) * covariance_at(&f.fit.model, c, 0, 1));
		free_fit(&f);
	}
	ok(least > 1e-4, "no component collapses on equal points (least determinant %.3g)", least);
	free_rows(&rows);
}

/* ---- limits ---- */

/* A fixed variance that goes to 0: the labels of K-means. */
static void
test_kmeans_limit(void)
{
	clu_rows	rows = random_mixture(300, 2, 3, 4);
	clu_options options = gmm_options(CLU_COV_FIXED, 0, 1000), hard;
	double		center[6];
	clu_model	start;
	fitted		soft, kmeans;
	bool		same = true;

	clu_options_default(&hard, CLU_KMEANS);
	for (int i = 0; i < 6; i++)
		center[i] = get_value(&rows, (size_t) (11 * (i / 2)), i % 2);
	clu_option_set_number(&options, CLU_VARIANCE, 1e-6);
	start = start_at(CLU_COV_FIXED, center, 3, 2, 1e-6);
	fit_gmm(&soft, &rows, 3, &options, &start);
	fit_rows(&kmeans, &rows, 3, &hard, center);
	for (int i = 0; i < 6; i++)
		same = same && near(soft.fit.model.center[i], kmeans.fit.model.center[i], 1e-9);
	ok(same, "with a known variance near 0 the means are the centres of K-means");
	ok(soft.fit.model.flags & CLU_MODEL_CONVERGED, "and with tol 0 the fit ends at a fixed point");
	free_model(&start);
	free_fit(&soft);
	free_fit(&kmeans);
	free_rows(&rows);
}

static void
test_max_iter(void)
{
	clu_rows	rows = read_data("faithful");
	clu_options options = gmm_options(CLU_COV_FULL, 0, 7);
	fitted		f;

	fit_gmm(&f, &rows, 3, &options, NULL);
	ok(f.fit.model.iterations == 7 && !(f.fit.model.flags & CLU_MODEL_CONVERGED) &&
		   f.trace_count == 7,
	   "max_iter with tol 0 is the number of iterations");
	free_fit(&f);
	free_rows(&rows);
}

int
main(void)
{
	clu_kernel_choose();
	random_seed(4);
	test_one_component();
	test_references();
	test_faithful();
	test_against_plain();
	test_monotone();
	test_kernels();
	test_order_and_weights();
	test_floats();
	test_scaling();
	test_offset();
	test_odd_data();
	test_collapse();
	test_kmeans_limit();
	test_max_iter();
	test_shares();
	test_log_sums();
	test_moments();
	test_left_out();
	test_far_apart();
	return finish_tests();
}
