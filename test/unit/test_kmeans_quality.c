/*
 * test_kmeans_quality.c
 *		With default options K-means ends near the best optimum known, whatever the seed.
 *
 * Stand-alone; prints TAP.  Where the best inertia comes from, test/data/README.md says.  Under
 * sanitizers the large sets get fewer seeds.
 */
#include "fitting.h"

#if defined(__SANITIZE_ADDRESS__)
#define SANITIZED 1
#elif defined(__has_feature)
#if __has_feature(address_sanitizer)
#define SANITIZED 1
#endif
#endif
#ifndef SANITIZED
#define SANITIZED 0
#endif

#define SEEDS 10

static void
check_data(const char *name, int k, double best, double bound, int seeds)
{
	clu_rows rows = read_data(name);
	double	 worst = 0, least = INFINITY;
	bool	 good = rows.n > 0;

	for (int seed = 0; seed < seeds && good; seed++)
	{
		clu_options options = default_options();
		fitted		f;

		clu_option_set_integer(&options, CLU_SEED, seed);
		fit_rows(&f, &rows, k, &options, NULL);
		good = f.status == CLU_OK && (f.fit.model.flags & CLU_MODEL_CONVERGED) != 0;
		worst = fmax(worst, f.fit.model.objective);
		least = fmin(least, f.fit.model.objective);
		free_fit(&f);
	}
	ok(good && worst <= best * (1 + bound) && least >= best * 0.995,
	   "%s with k = %d is within %g %% of the best inertia known, with %d seeds", name, k,
	   100 * bound, seeds);
	printf("# from %.4f to %.4f of it\n", least / best, worst / best);
	free_rows(&rows);
}

/* With tol the fit may stop early, but not for much. */
static void
check_tolerance(const char *name, int k, double best, const char *init)
{
	clu_rows rows = read_data(name);
	double	 worst = 0;
	bool	 good = rows.n > 0;

	for (int seed = 0; seed < 3 && good; seed++)
	{
		clu_options options = default_options();
		fitted		f;

		clu_option_set_integer(&options, CLU_SEED, seed);
		clu_option_set_number(&options, CLU_TOL, 1e-4);
		clu_option_set_text(&options, CLU_INIT, init, strlen(init));
		fit_rows(&f, &rows, k, &options, NULL);
		good = f.status == CLU_OK && (f.fit.model.flags & CLU_MODEL_CONVERGED) != 0;
		worst = fmax(worst, f.fit.model.objective);
		free_fit(&f);
	}
	ok(good && worst <= best * 1.02, "%s with tol 1e-4 from %s is within 2 %% as well", name, init);
	printf("# %.4f of it\n", worst / best);
	free_rows(&rows);
}

/*
 * Exchanges that gain for sure belong to the run that they are made in, with a tolerance as
 * without.
 */
static void
check_sure_exchanges(const char *name, int k, double best, double tol)
{
	clu_rows	rows = read_data(name);
	clu_options options = default_options();
	fitted		f;
	double		last = INFINITY;

	clu_option_set_number(&options, CLU_TOL, tol);
	clu_option_set_text(&options, CLU_INIT, "random", 6);
	fit_rows(&f, &rows, k, &options, NULL);
	for (size_t i = 0; i < f.trace_count && f.trace[i].run == 1; i++)
		last = f.trace[i].objective;
	ok(f.status == CLU_OK && last < best * 1.1,
	   "%s: the first run keeps exchanges that gain for sure, tol %g", name, tol);
	printf("# it ends at %.4f of the best\n", last / best);
	free_fit(&f);
	free_rows(&rows);
}

int
main(void)
{
	clu_kernel_choose();
	check_data("iris", 3, 78.8514414261, 0.02, SEEDS);
	check_data("wine", 3, 2370689.68678, 0.02, SEEDS);
	check_data("s1", 15, 8.917616e12, 0.02, SEEDS);
	check_data("s2", 15, 1.32791095e13, 0.02, SEEDS);
	check_data("letter", 26, 610797.020, 0.02, SANITIZED ? 3 : SEEDS);
	check_data("birch1", 100, 9.277284e13, 0.02, SANITIZED ? 2 : SEEDS);
	check_tolerance("s1", 15, 8.917616e12, "k-means++");
	check_tolerance("s1", 15, 8.917616e12, "random");
	check_tolerance("s2", 15, 1.32791095e13, "random");
	check_tolerance("birch1", 100, 9.277284e13, "random");
	check_tolerance("letter", 26, 610797.020, "k-means++");
	check_sure_exchanges("birch1", 100, 9.277284e13, 0);
	check_sure_exchanges("birch1", 100, 9.277284e13, 1e-4);
	return finish_tests();
}
