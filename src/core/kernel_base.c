/*
 * kernel_base.c
 *		The kernels for any CPU: vectors of 16 bytes, which every compiler target here has.
 */
#include <stdbool.h>
#include <stdint.h>
#include <string.h>

typedef float	  vf __attribute__((vector_size(16)));
typedef double	  vd __attribute__((vector_size(16)));
typedef int		  vf_mask __attribute__((vector_size(16)));
typedef long long vd_mask __attribute__((vector_size(16)));

#define VF_LANES 4
#define VD_LANES 2
#define FILTER_GROUP 6
#define EXACT_GROUP 4
#define GMM_VECTORS 2
#define MOMENT_COLUMNS 2
#define KERNEL_TABLE clu_kernels_base
#define KERNEL_NAME "base"

static inline vf
vf_load(const float *p)
{
	vf v;

	memcpy(&v, p, sizeof(v));
	return v;
}

static inline vd
vd_load(const double *p)
{
	vd v;

	memcpy(&v, p, sizeof(v));
	return v;
}

static inline void
vd_store(double *p, vd v)
{
	memcpy(p, &v, sizeof(v));
}

/* A blend by masks of ones and zeros; comparisons of vectors give such masks. */
static inline vf
vf_blend(vf_mask mask, vf a, vf b)
{
	return (vf) ((mask & (vf_mask) a) | (~mask & (vf_mask) b));
}

static inline vd
vd_blend(vd_mask mask, vd a, vd b)
{
	return (vd) ((mask & (vd_mask) a) | (~mask & (vd_mask) b));
}

static inline bool
vd_any_less(vd a, vd b)
{
	vd_mask less = a < b;

	return (less[0] | less[1]) != 0;
}

static inline bool
vd_all_less(vd a, vd b)
{
	vd_mask less = a < b;

	return (less[0] & less[1]) != 0;
}

/* A bit per lane. */
static inline unsigned
vd_at_least(vd a, vd b)
{
	vd_mask least = a >= b;

	return (unsigned) ((least[0] & 1) | (least[1] & 2));
}

/* x where the lowest bits say so, the higher one for the first lane, else 0 */
static inline vd
vd_where(uint64_t bits, vd x)
{
	vd_mask mask = {-(long long) (bits >> 1 & 1), -(long long) (bits & 1)};

	return (vd) (mask & (vd_mask) x);
}

/* A bit per lane. */
static inline unsigned
vf_not_less(vf a, vf b)
{
	vf_mask less = a < b;

	return ~(unsigned) ((less[0] & 1) | (less[1] & 2) | (less[2] & 4) | (less[3] & 8)) & 15;
}

/* Of sixteen numbers those that the lowest four bits tell. */
#define vd_look_up(table, index) ((vd_bits) {(table)[(index)[0] & 15], (table)[(index)[1] & 15]})
#define vd_load_floats(p) ((vd) {(p)[0], (p)[1]})
#define vf_store(p, v) memcpy((p), &(v), sizeof(vf))
#define vf_set(x) ((vf) {(x), (x), (x), (x)})
#define vd_set(x) ((vd) {(x), (x)})
#define vf_minus_product(sum, a, b) ((sum) - (a) * (b))
#define vf_plus_product(sum, a, b) ((sum) + (a) * (b))
#define vf_min(a, b) vf_blend((a) < (b), (a), (b))
#define vf_add(a, b) ((a) + (b))
#define vf_max(a, b) vf_blend((a) > (b), (a), (b))
#define vf_select_less(a, b, then, otherwise) vf_blend((a) < (b), (then), (otherwise))
#define vd_add(a, b) ((a) + (b))
#define vd_sub(a, b) ((a) - (b))
#define vd_sub_multiplying(a, b) vd_sub((a), (b))
#define vd_mul(a, b) ((a) * (b))
#define vd_div(a, b) ((a) / (b))
#define vd_keep(v) (void) (v)
#define vd_abs(a) vd_blend((a) < 0, -(a), (a))
#define vd_min(a, b) vd_blend((a) < (b), (a), (b))
#define vd_max(a, b) vd_blend((a) > (b), (a), (b))
#define vd_select_less(a, b, then, otherwise) vd_blend((a) < (b), (then), (otherwise))

/* The eight lanes of four vectors, added up as a tree, and the largest of them. */
static inline double
vd_sum_eight(const vd *v)
{
	vd two = (v[0] + v[2]) + (v[1] + v[3]);

	return two[0] + two[1];
}

static inline double
vd_max_eight(const vd *v)
{
	vd two = vd_max(vd_max(v[0], v[2]), vd_max(v[1], v[3]));

	return two[0] > two[1] ? two[0] : two[1];
}

#include "kernel_body.h"

static bool
available(void)
{
	return true;
}
