/*
 * peak.c [INSTRUCTION SET [KERNEL]]
 *		What share of the machine's peak the kernels reach; run by test/bench/run.
 *
 * The peak is that of a loop of independent fused multiply-adds (where there are none, of
 * multiplications and additions) in vectors as long as the kernels', two operations each.  A
 * kernel's operations are those that its task needs, whatever it really executes: 2 d for a
 * distance to a centre, d (d + 1) for a Mahalanobis distance or a row of second moments, 4 d where
 * covariances are diagonal, one for each sum that a look-up adds to.  Bounds from small integers
 * are set against the same peak, so that they may reach more than all of it.
 *
 * A line is: kernel, shape, instruction set, precision, GFLOP/s, GFLOP/s of the peak.  Each figure
 * is the best of many short runs; peak and kernel take turns, so that a slow moment hits both.
 */
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "bernoulli.h"
#include "kernel.h"
#include "linalg.h"

#define RUNS 200
#define RUN_SECONDS 0.0004 /* short: of some, nothing else disturbs the machine */
#define PEAK_STEPS 100000
#define PANELS 8

/* ---- the peak ---- */

/* Twelve chains hide the latency of two multipliers; more would not fit into 16 registers. */
#define CHAINS 12

#define PEAK_LOOP(name, target_name, type, bytes, multiply_add)                              \
	target_name static double name(long steps)                                               \
	{                                                                                        \
		typedef type vector __attribute__((vector_size(bytes)));                             \
                                                                                             \
		vector		  sum[CHAINS];                                                           \
		volatile type start = 1, half = 0.5;                                                 \
		vector		  a = (vector) {0} + half;                                               \
		double		  total = 0;                                                             \
                                                                                             \
		for (int i = 0; i < CHAINS; i++)                                                     \
			sum[i] = (vector) {0} + start;                                                   \
		for (long step = 0; step < steps; step++)                                            \
			_Pragma("GCC unroll 12") for (int i = 0; i < CHAINS; i++) sum[i] = multiply_add; \
		for (int i = 0; i < CHAINS; i++)                                                     \
			total += (double) sum[i][0];                                                     \
		return total * 0 + (double) steps * CHAINS * 2 * (bytes / (int) sizeof(type));       \
	}

#define PLAIN (sum[i] * a + a)

PEAK_LOOP(peak_single_base, , float, 16, PLAIN)
PEAK_LOOP(peak_double_base, , double, 16, PLAIN)

#ifdef __x86_64__
#include <immintrin.h>

#define AVX2 __attribute__((target("avx2,fma")))
#define AVX512 __attribute__((target("avx512f")))

PEAK_LOOP(peak_single_avx2, AVX2, float, 32,
		  ((vector) _mm256_fmadd_ps((__m256) sum[i], (__m256) a, (__m256) a)))
PEAK_LOOP(peak_double_avx2, AVX2, double, 32,
		  ((vector) _mm256_fmadd_pd((__m256d) sum[i], (__m256d) a, (__m256d) a)))
PEAK_LOOP(peak_single_avx512, AVX512, float, 64,
		  ((vector) _mm512_fmadd_ps((__m512) sum[i], (__m512) a, (__m512) a)))
PEAK_LOOP(peak_double_avx512, AVX512, double, 64,
		  ((vector) _mm512_fmadd_pd((__m512d) sum[i], (__m512d) a, (__m512d) a)))
#endif

typedef struct peak_loops
{
	const char *name;
	double (*single_precision)(long steps);
	double (*double_precision)(long steps);
} peak_loops;

static const peak_loops all_peaks[] = {
	{"base", peak_single_base, peak_double_base},
#ifdef __x86_64__
	{"avx2", peak_single_avx2, peak_double_avx2},
	{"avx512", peak_single_avx512, peak_double_avx512},
	{"avx512vnni", peak_single_avx512, peak_double_avx512},
#endif
};

/* ---- what the kernels work on ---- */

typedef struct shape
{
	int d;
	int k;
} shape;

static double	*panel;	  /* PANELS * 32 * d */
static float	*single;  /* the same */
static double	*centers; /* k * d */
static float	*packed;  /* k * d, and more */
static float	*norm;	  /* k */
static double	*factor;  /* a packed triangle */
static double	*share;	  /* k * PANELS * 32 */
static double	*scratch; /* 2 * PANELS * 32 * (d + 1) */
static double	*moments; /* 1 + d + a packed triangle */
static double	*table;	  /* 16 nibbles * 16 patterns * 16 lanes */
static uint64_t *word;	  /* BIT_ROWS */
static int32_t	*zeros;	  /* k * d bytes, and more */

#define NEAR 1e9 /* a constant of terms: no point is far, so that all columns are looked at */
#define MOST_D 1024
#define MOST_K 1024
#define BIT_ROWS 1024

static uint64_t state = 1;

static double
uniform(void)
{
	state = state * UINT64_C(6364136223846793005) + 1442695040888963407;
	return (double) (state >> 11) * 0x1p-53;
}

static void *
take(size_t n, size_t size)
{
	void *memory = aligned_alloc(64, (n * size + 63) / 64 * 64);

	if (memory == NULL)
		exit(1);
	memset(memory, 0, n * size);
	return memory;
}

static double *
numbers(size_t n, double least, double most)
{
	double *x = take(n, sizeof(double));

	for (size_t i = 0; i < n; i++)
		x[i] = least + (most - least) * uniform();
	return x;
}

static float *
singles(size_t n)
{
	float *x = take(n, sizeof(float));

	for (size_t i = 0; i < n; i++)
		x[i] = (float) uniform();
	return x;
}

static void
make_data(void)
{
	size_t d = MOST_D, k = MOST_K, points = PANELS * CLU_LANES;

	panel = numbers(points * d, -1, 1);
	single = singles(points * d);
	centers = numbers(k * d, -1, 1);
	packed = singles((k + 16) * d);
	norm = singles(k + 16);
	factor = numbers(clu_triangle(MOST_D), 0, 1.0 / MOST_D);
	share = numbers(k * points, -1, 0);
	scratch = take(2 * points * (d + 1), sizeof(double));
	moments = take(1 + d + clu_triangle(MOST_D), sizeof(double));
	table = numbers(16 * 16 * 16, -1, 0);
	word = take(BIT_ROWS, sizeof(uint64_t));
	zeros = take((k + 16) * d, 1);
	for (int i = 0; i < BIT_ROWS; i++)
		word[i] = (uint64_t) (uniform() * 0x1p53) << 11 | (uint64_t) (uniform() * 0x1p11);
}

/* ---- one run of each kernel; they return their number of operations ---- */

static double
run_filter(shape s)
{
	float least[CLU_LANES], second[CLU_LANES], index[CLU_LANES];
	int	  groups = (s.k + clu_kernel->filter_group - 1) / clu_kernel->filter_group;

	for (int p = 0; p < PANELS; p++)
		clu_kernel->filter(single + p * CLU_LANES * s.d, s.d, packed, norm, groups, least, second,
						   index);
	return 2.0 * PANELS * CLU_LANES * s.k * s.d;
}

/* Points and centres are all zero: what is multiplied makes no difference. */
static double
run_bounds(shape s)
{
	static clu_coarse_panel coarse;
	float					limit[CLU_LANES], rest[CLU_LANES];
	uint32_t				list[CLU_LANES];
	int						count[CLU_LANES];
	int				   groups = (s.k + clu_kernel->filter_group - 1) / clu_kernel->filter_group;
	clu_coarse_centers centers = {(const int8_t *) zeros, zeros, norm, norm, norm, norm};

	if (clu_kernel->coarse_list == NULL)
		return 0;
	coarse.place = (uint8_t *) zeros;
	for (int p = 0; p < PANELS; p++)
	{
		for (int lane = 0; lane < CLU_LANES; lane++)
			limit[lane] = -INFINITY;
		clu_kernel->coarse_list(&coarse, s.d / 4, &centers, groups, limit, 1, rest, list, count);
	}
	return 2.0 * PANELS * CLU_LANES * s.k * s.d;
}

static double
run_nearest(shape s, clu_metric metric)
{
	double least[CLU_LANES], second[CLU_LANES], index[CLU_LANES];

	for (int p = 0; p < PANELS; p++)
		clu_kernel->nearest(metric, panel + p * CLU_LANES * s.d, s.d, centers, s.k, least, second,
							index);
	return 2.0 * PANELS * CLU_LANES * s.k * s.d;
}

static double
run_squared(shape s)
{
	return run_nearest(s, CLU_SQUARED);
}

static double
run_l1(shape s)
{
	return run_nearest(s, CLU_L1);
}

static double
run_full(shape s)
{
	double out[CLU_LANES], largest[CLU_LANES] = {0};

	for (int c = 0; c < s.k; c++)
		for (int p = 0; p < PANELS; p++)
			clu_kernel->gmm_full(panel + p * CLU_LANES * s.d, s.d, centers + c * s.d, factor, NEAR,
								 scratch, largest, out);
	return (double) PANELS * CLU_LANES * s.k * s.d * (s.d + 1);
}

static double
run_diag(shape s)
{
	double out[CLU_LANES], largest[CLU_LANES] = {0};

	for (int c = 0; c < s.k; c++)
		for (int p = 0; p < PANELS; p++)
			clu_kernel->gmm_diag(panel + p * CLU_LANES * s.d, s.d, centers + c * s.d, factor, NEAR,
								 largest, out);
	return 4.0 * PANELS * CLU_LANES * s.k * s.d;
}

static double
run_moments(shape s, bool full)
{
	const double *r[PANELS];
	int			  which[PANELS];
	double		 *first = moments + 1, *second = first + s.d;

	for (int p = 0; p < PANELS; p++)
		which[p] = p;
	for (int c = 0; c < s.k; c++)
	{
		for (int p = 0; p < PANELS; p++)
			r[p] = share + (c * PANELS + p) * CLU_LANES;
		if (full)
			clu_kernel->gmm_moments_full(panel, r, which, PANELS, s.d, centers + c * s.d, scratch,
										 moments, first, second);
		else
			clu_kernel->gmm_moments_diag(panel, r, which, PANELS, s.d, centers + c * s.d, moments,
										 first, second);
	}
	return (double) PANELS * CLU_LANES * s.k * s.d * (full ? s.d + 1 : 4);
}

static double
run_moments_full(shape s)
{
	return run_moments(s, true);
}

static double
run_moments_diag(shape s)
{
	return run_moments(s, false);
}

/* d bits in words of 64: the tables of one word serve for all. */
static double
run_gather(shape s)
{
	int lanes = (s.k + 3) / 4 * 4;

	for (int bit = 0; bit < s.d; bit += CLU_WORD_BITS)
		clu_kernel->gather(word, 1, BIT_ROWS, table, 16, lanes, panel, lanes);
	return 1.0 * BIT_ROWS * s.d / CLU_NIBBLE * lanes;
}

static double
run_scatter(shape s)
{
	int lanes = (s.k + 3) / 4 * 4;

	for (int bit = 0; bit < s.d; bit += CLU_WORD_BITS)
		clu_kernel->scatter(word, 1, BIT_ROWS, table, 16, lanes, panel, lanes, NULL);
	return 1.0 * BIT_ROWS * s.d / CLU_NIBBLE * lanes;
}

typedef struct task
{
	const char *name;
	shape		shape;
	bool		is_single;
	double (*run)(shape s);
} task;

static const task tasks[] = {
	{"K-means, filter", {4, 10}, true, run_filter},
	{"K-means, filter", {16, 26}, true, run_filter},
	{"K-means, filter", {32, 100}, true, run_filter},
	{"K-means, filter", {256, 256}, true, run_filter},
	{"K-means, filter", {768, 1000}, true, run_filter},
	{"K-means, bounds", {32, 256}, true, run_bounds},
	{"K-means, bounds", {256, 256}, true, run_bounds},
	{"K-means, bounds", {768, 1000}, true, run_bounds},
	{"K-means, exact", {8, 100}, false, run_squared},
	{"K-means, exact", {32, 100}, false, run_squared},
	{"K-means, exact", {256, 256}, false, run_squared},
	{"K-medians, exact", {8, 10}, false, run_l1},
	{"K-medians, exact", {32, 100}, false, run_l1},
	{"GMM full, densities", {8, 8}, false, run_full},
	{"GMM full, densities", {32, 16}, false, run_full},
	{"GMM full, densities", {64, 8}, false, run_full},
	{"GMM full, moments", {8, 8}, false, run_moments_full},
	{"GMM full, moments", {32, 16}, false, run_moments_full},
	{"GMM full, moments", {64, 8}, false, run_moments_full},
	{"GMM diag, densities", {64, 16}, false, run_diag},
	{"GMM diag, moments", {64, 16}, false, run_moments_diag},
	{"Bernoulli, densities", {64, 8}, false, run_gather},
	{"Bernoulli, densities", {784, 10}, false, run_gather},
	{"Bernoulli, sums", {64, 8}, false, run_scatter},
	{"Bernoulli, sums", {784, 10}, false, run_scatter},
};

/* ---- timing ---- */

static double
seconds(void)
{
	struct timespec now;

	clock_gettime(CLOCK_MONOTONIC, &now);
	return (double) now.tv_sec + (double) now.tv_nsec * 1e-9;
}

static double
peak_rate(const peak_loops *peak, bool is_single)
{
	double begin = seconds();
	double operations = (is_single ? peak->single_precision : peak->double_precision)(PEAK_STEPS);

	return operations / (seconds() - begin);
}

static double
rate_of(const task *at)
{
	double begin = seconds(), operations = 0;

	while (seconds() - begin < RUN_SECONDS)
		operations += at->run(at->shape);
	return operations / (seconds() - begin);
}

static void
measure(const task *at, const peak_loops *peak)
{
	double best = 0, best_peak = 0;

	/* memory is touched, caches are warm; or it isn't in this set of instructions */
	if (at->run(at->shape) == 0)
		return;
	for (int i = 0; i < RUNS; i++)
	{
		best_peak = fmax(best_peak, peak_rate(peak, at->is_single));
		best = fmax(best, rate_of(at));
	}
	printf("%s|d = %d, k = %d|%s|%s|%.4g|%.4g\n", at->name, at->shape.d, at->shape.k,
		   clu_kernel->name, at->is_single ? "single" : "double", best * 1e-9, best_peak * 1e-9);
	fflush(stdout);
}

int
main(int argc, char **argv)
{
	const peak_loops *peak = &all_peaks[0];

	clu_kernel_choose();
	if (argc > 1 && !clu_kernel_force(argv[1]))
	{
		fprintf(stderr, "this CPU can't run %s\n", argv[1]);
		return 1;
	}
	for (size_t i = 0; i < sizeof(all_peaks) / sizeof(all_peaks[0]); i++)
		if (strcmp(all_peaks[i].name, clu_kernel->name) == 0)
			peak = &all_peaks[i];
	make_data();
	for (size_t i = 0; i < sizeof(tasks) / sizeof(tasks[0]); i++)
		if (argc < 3 || strstr(tasks[i].name, argv[2]) != NULL)
			measure(&tasks[i], peak);
	return 0;
}
