/*
 * kernel_avx512.c
 *		The kernels for x86-64 with AVX-512, without and with its dot products of bytes (VNNI).
 */
#include "kernel.h"

#ifdef __x86_64__

#ifdef __clang__
#pragma clang attribute push(__attribute__((target("avx512f,avx512dq,avx512vl,fma"))), \
							 apply_to = function)
#else
#pragma GCC push_options
#pragma GCC target("avx512f,avx512dq,avx512vl,fma")
#endif

#include <immintrin.h>

typedef __m512	vf;
typedef __m512d vd;

#define VF_LANES 16
#define VD_LANES 8
#define FILTER_GROUP 8
#define EXACT_GROUP 6
#define FEW_VECTORS 2
#define GMM_VECTORS 4
#define MOMENT_COLUMNS 4
#define POINT_NEAREST clu_point_nearest_avx2 /* few centres leave half of a long vector empty */
#define KERNEL_TABLE clu_kernels_avx512
#define KERNEL_NAME "avx512"

#define vf_load(p) _mm512_loadu_ps(p)
#define vd_load(p) _mm512_loadu_pd(p)
#define vf_store(p, v) _mm512_storeu_ps((p), (v))
#define vd_store(p, v) _mm512_storeu_pd((p), (v))
#define vf_set(x) _mm512_set1_ps(x)
#define vd_set(x) _mm512_set1_pd(x)
#define vf_minus_product(sum, a, b) _mm512_fnmadd_ps((a), (b), (sum))
#define vf_plus_product(sum, a, b) _mm512_fmadd_ps((a), (b), (sum))
#define vf_mul(a, b) _mm512_mul_ps((a), (b))
#define vf_min(a, b) _mm512_min_ps((a), (b))
#define vf_add(a, b) _mm512_add_ps((a), (b))
#define vf_max(a, b) _mm512_max_ps((a), (b))
#define vf_select_less(a, b, then, otherwise) \
	_mm512_mask_mov_ps((otherwise), _mm512_cmp_ps_mask((a), (b), _CMP_LT_OQ), (then))
#define vf_not_less(a, b) ((unsigned) _mm512_cmp_ps_mask((a), (b), _CMP_NLT_UQ))
#define vf_sub(a, b) _mm512_sub_ps((a), (b))
#define vf_look_up(table, index) _mm512_permutexvar_ps(_mm512_loadu_si512(index), vf_load(table))
#define vd_look_up(table, index)                                                       \
	((vd_bits) _mm512_permutex2var_epi64(_mm512_loadu_si512(table), (__m512i) (index), \
										 _mm512_loadu_si512((table) + VD_LANES)))
#define vd_load_floats(p) _mm512_cvtps_pd(_mm256_loadu_ps(p))
#define vd_add(a, b) _mm512_add_pd((a), (b))
#define vd_sub(a, b) _mm512_sub_pd((a), (b))
#define vd_sub_multiplying(a, b) _mm512_fmsub_pd((a), _mm512_set1_pd(1), (b))
#define vd_mul(a, b) _mm512_mul_pd((a), (b))
#define vd_div(a, b) _mm512_div_pd((a), (b))
#define vd_keep(v) __asm__ volatile("" : "+v"(v))
#define vd_abs(a) _mm512_abs_pd(a)
#define vd_min(a, b) _mm512_min_pd((a), (b))
#define vd_max(a, b) _mm512_max_pd((a), (b))
#define vd_select_less(a, b, then, otherwise) \
	_mm512_mask_mov_pd((otherwise), _mm512_cmp_pd_mask((a), (b), _CMP_LT_OQ), (then))
#define vd_at_least(a, b) ((unsigned) _mm512_cmp_pd_mask((a), (b), _CMP_GE_OQ))
#define vd_any_less(a, b) (_mm512_cmp_pd_mask((a), (b), _CMP_LT_OQ) != 0)
#define vd_all_less(a, b) (_mm512_cmp_pd_mask((a), (b), _CMP_LT_OQ) == 0xff)

/*
 * A value for all lanes.  Compilers take vbroadcastsd, which on Zen 4 costs a turn of an adder or a
 * multiplier; this one does the same and is the load's alone.
 */
static inline vd
vd_value_at(const double *p)
{
	vd all;

	__asm__ volatile("vpbroadcastq %1, %0" : "=v"(all) : "m"(*p));
	return all;
}

#define vd_value_at vd_value_at

/* The bits of a byte the other way round: the highest is to be the first lane's. */
static inline __mmask8
reversed_byte(uint64_t bits)
{
	bits = (bits & 0x55) << 1 | (bits >> 1 & 0x55);
	bits = (bits & 0x33) << 2 | (bits >> 2 & 0x33);
	return (__mmask8) ((bits & 0x0f) << 4 | (bits >> 4 & 0x0f));
}

/* x where the lowest bits say so, else 0 */
#define vd_where(bits, x) _mm512_maskz_mov_pd(reversed_byte(bits), (x))

/* The eight lanes of a vector, added up as a tree, and the largest of them. */
static inline double
vd_sum_eight(const vd *v)
{
	__m256d four = _mm256_add_pd(_mm512_castpd512_pd256(v[0]), _mm512_extractf64x4_pd(v[0], 1));
	__m128d two = _mm_add_pd(_mm256_castpd256_pd128(four), _mm256_extractf128_pd(four, 1));

	return _mm_cvtsd_f64(_mm_add_sd(two, _mm_unpackhi_pd(two, two)));
}

/* Halves of eight lanes added, of two sums at once: those of a come first. */
static inline vd
add_halves(vd a, vd b)
{
	return _mm512_add_pd(_mm512_shuffle_f64x2(a, b, 0x44), _mm512_shuffle_f64x2(a, b, 0xee));
}

/* Quarters of those, of four sums. */
static inline vd
add_quarters(vd ab, vd cd)
{
	return _mm512_add_pd(_mm512_shuffle_f64x2(ab, cd, 0x88), _mm512_shuffle_f64x2(ab, cd, 0xdd));
}

/*
 * What vd_sum_eight gives, of eight sums at once: v[0 .. n) are added to out, and beyond n anything
 * may stand.
 */
static inline void
vd_add_eights(const vd *v, int n, double *out)
{
	vd		 even = add_quarters(add_halves(v[0], v[2]), add_halves(v[4], v[6]));
	vd		 odd = add_quarters(add_halves(v[1], v[3]), add_halves(v[5], v[7]));
	vd		 sum = _mm512_add_pd(_mm512_unpacklo_pd(even, odd), _mm512_unpackhi_pd(even, odd));
	__mmask8 real = (__mmask8) (0xff >> (8 - n));

	_mm512_mask_storeu_pd(out, real, _mm512_add_pd(_mm512_maskz_loadu_pd(real, out), sum));
}

static inline double
vd_max_eight(const vd *v)
{
	__m256d four = _mm256_max_pd(_mm512_castpd512_pd256(v[0]), _mm512_extractf64x4_pd(v[0], 1));
	__m128d two = _mm_max_pd(_mm256_castpd256_pd128(four), _mm256_extractf128_pd(four, 1));

	return _mm_cvtsd_f64(_mm_max_sd(two, _mm_unpackhi_pd(two, two)));
}

#include "kernel_body.h"

#ifdef __clang__
#pragma clang attribute pop
#else
#pragma GCC pop_options
#endif

static bool
available(void)
{
	__builtin_cpu_init();
	return __builtin_cpu_supports("avx512f") && __builtin_cpu_supports("avx512dq") &&
		   __builtin_cpu_supports("avx512vl");
}

/* ---- the same with dot products of bytes ---- */

#ifdef __clang__
#pragma clang attribute push(__attribute__((target("avx512f,avx512dq,avx512vl,avx512vnni,fma"))), \
							 apply_to = function)
#else
#pragma GCC push_options
#pragma GCC target("avx512f,avx512dq,avx512vl,avx512vnni,fma")
#endif

typedef __m512i vi;

#define vi_load(p) _mm512_loadu_si512(p)
#define vi_set(x) _mm512_set1_epi32(x)
#define vi_dot(sum, a, b) _mm512_dpbusd_epi32((sum), (a), (b))
#define vi_add(a, b) _mm512_add_epi32((a), (b))
#define vi_rounded(x) _mm512_cvtps_epi32(x)
#define vi_store_bytes(p, v) _mm_storeu_si128((__m128i *) (p), _mm512_cvtepi32_epi8(v))
#define vf_of(whole) _mm512_cvtepi32_ps(whole)
#define vd_store_floats(p, v) _mm256_storeu_ps((p), _mm512_cvtpd_ps(v))

#include "kernel_coarse_body.h"

#ifdef __clang__
#pragma clang attribute pop
#else
#pragma GCC pop_options
#endif

static bool
vnni_available(void)
{
	return available() && __builtin_cpu_supports("avx512vnni");
}

const clu_kernels clu_kernels_avx512vnni = {.name = "avx512vnni",
											.available = vnni_available,
											.coarse_center = coarse_center,
											.coarse_round = coarse_round,
											.coarse_panel = coarse_panel,
											.coarse_list = coarse_list,
											.coarse_nearest = coarse_nearest,
											.coarse_point = coarse_point,
											KERNEL_FUNCTIONS};

#else

static bool
available(void)
{
	return false;
}

const clu_kernels clu_kernels_avx512 = {.name = "avx512", .available = available};
const clu_kernels clu_kernels_avx512vnni = {.name = "avx512vnni", .available = available};

#endif
