/*
 * kernel_avx2.c
 *		The kernels for x86-64 with AVX2 and FMA (2013 and later).
 */
#include "kernel.h"

#ifdef __x86_64__

#ifdef __clang__
#pragma clang attribute push(__attribute__((target("avx2,fma"))), apply_to = function)
#else
#pragma GCC push_options
#pragma GCC target("avx2,fma")
#endif

#include <immintrin.h>

typedef __m256	vf;
typedef __m256d vd;

#define VF_LANES 8
#define VD_LANES 4
#define FILTER_GROUP 6
#define EXACT_GROUP 4
#define GMM_VECTORS 2
#define MOMENT_COLUMNS 2
#define KERNEL_TABLE clu_kernels_avx2
#define KERNEL_NAME "avx2"

#define vf_load(p) _mm256_loadu_ps(p)
#define vd_load(p) _mm256_loadu_pd(p)
#define vf_store(p, v) _mm256_storeu_ps((p), (v))
#define vd_store(p, v) _mm256_storeu_pd((p), (v))
#define vf_set(x) _mm256_set1_ps(x)
#define vd_set(x) _mm256_set1_pd(x)
#define vf_minus_product(sum, a, b) _mm256_fnmadd_ps((a), (b), (sum))
#define vf_plus_product(sum, a, b) _mm256_fmadd_ps((a), (b), (sum))
#define vf_min(a, b) _mm256_min_ps((a), (b))
#define vf_add(a, b) _mm256_add_ps((a), (b))
#define vf_max(a, b) _mm256_max_ps((a), (b))
#define vf_select_less(a, b, then, otherwise) \
	_mm256_blendv_ps((otherwise), (then), _mm256_cmp_ps((a), (b), _CMP_LT_OQ))
#define vf_not_less(a, b) ((unsigned) _mm256_movemask_ps(_mm256_cmp_ps((a), (b), _CMP_NLT_UQ)))
#define vf_sub(a, b) _mm256_sub_ps((a), (b))
#define vd_load_floats(p) _mm256_cvtps_pd(_mm_loadu_ps(p))
#define vd_add(a, b) _mm256_add_pd((a), (b))
#define vd_sub(a, b) _mm256_sub_pd((a), (b))
#define vd_sub_multiplying(a, b) _mm256_fmsub_pd((a), _mm256_set1_pd(1), (b))
#define vd_mul(a, b) _mm256_mul_pd((a), (b))
#define vd_div(a, b) _mm256_div_pd((a), (b))
#define vd_keep(v) __asm__ volatile("" : "+x"(v))
#define vd_abs(a) _mm256_andnot_pd(_mm256_set1_pd(-0.0), (a))
#define vd_min(a, b) _mm256_min_pd((a), (b))
#define vd_max(a, b) _mm256_max_pd((a), (b))
#define vd_select_less(a, b, then, otherwise) \
	_mm256_blendv_pd((otherwise), (then), _mm256_cmp_pd((a), (b), _CMP_LT_OQ))
#define vd_at_least(a, b) ((unsigned) _mm256_movemask_pd(_mm256_cmp_pd((a), (b), _CMP_GE_OQ)))
#define vd_any_less(a, b) (_mm256_movemask_pd(_mm256_cmp_pd((a), (b), _CMP_LT_OQ)) != 0)
#define vd_all_less(a, b) (_mm256_movemask_pd(_mm256_cmp_pd((a), (b), _CMP_LT_OQ)) == 0xf)

/*
 * Of sixteen numbers those that the indexes tell: the fourth bit becomes a sign, which chooses
 * the half.
 */
static inline vf
sixteen_at(const float *table, const uint32_t *index)
{
	__m256i at = _mm256_loadu_si256((const __m256i *) index);

	return _mm256_blendv_ps(_mm256_permutevar8x32_ps(vf_load(table), at),
							_mm256_permutevar8x32_ps(vf_load(table + VF_LANES), at),
							_mm256_castsi256_ps(_mm256_slli_epi32(at, 28)));
}

#define vf_look_up sixteen_at

/* The same of bits, by the lowest four of each lane. */
#define vd_look_up(table, index)                                                              \
	((vd_bits) {(table)[(index)[0] & 15], (table)[(index)[1] & 15], (table)[(index)[2] & 15], \
				(table)[(index)[3] & 15]})

/* Lanes all ones where a bit is; the first lane has the highest bit. */
#define LANES(a, b, c, d)      \
	{                          \
		-(a), -(b), -(c), -(d) \
	}
#define FOUR_LANES(a, b) LANES(a, b, 0, 0), LANES(a, b, 0, 1), LANES(a, b, 1, 0), LANES(a, b, 1, 1)

static const int64_t lanes_of_bits[16][4] __attribute__((aligned(32))) = {
	FOUR_LANES(0, 0), FOUR_LANES(0, 1), FOUR_LANES(1, 0), FOUR_LANES(1, 1)};

/* x where the lowest bits say so, else 0 */
#define vd_where(bits, x) \
	_mm256_and_pd(_mm256_load_pd((const double *) lanes_of_bits[(bits) &15]), (x))

/* The eight lanes of two vectors, added up as a tree, and the largest of them. */
static inline double
vd_sum_eight(const vd *v)
{
	__m256d four = _mm256_add_pd(v[0], v[1]);
	__m128d two = _mm_add_pd(_mm256_castpd256_pd128(four), _mm256_extractf128_pd(four, 1));

	return _mm_cvtsd_f64(_mm_add_sd(two, _mm_unpackhi_pd(two, two)));
}

static inline double
vd_max_eight(const vd *v)
{
	__m256d four = _mm256_max_pd(v[0], v[1]);
	__m128d two = _mm_max_pd(_mm256_castpd256_pd128(four), _mm256_extractf128_pd(four, 1));

	return _mm_cvtsd_f64(_mm_max_sd(two, _mm_unpackhi_pd(two, two)));
}

#include "kernel_body.h"

int
clu_point_nearest_avx2(clu_metric metric, const double *x, int d, const double *packed, int groups,
					   double *distance)
{
	return point_nearest(metric, x, d, packed, groups, distance);
}

#ifdef __clang__
#pragma clang attribute pop
#else
#pragma GCC pop_options
#endif

static bool
available(void)
{
	__builtin_cpu_init();
	return __builtin_cpu_supports("avx2") && __builtin_cpu_supports("fma");
}

#else

static bool
available(void)
{
	return false;
}

const clu_kernels clu_kernels_avx2 = {.name = "avx2", .available = available};

#endif
