/*
 * kernel_panel_body.h
 *		Panels of doubles, and squared distances in double-double.
 *
 * Part of kernel_body.h.
 */

/* ---- rows into columns ---- */

/* Four lanes, whatever the length of a vector: as much as a transposition takes at once. */
typedef double	  quad __attribute__((vector_size(32)));
typedef long long quad_places __attribute__((vector_size(32)));

/* Columns j .. j + 4 of a row. */
INLINE void
load_quad(const void *row, const int width, int j, quad *out)
{
	const float *x = (const float *) row + j;

	if (width == 8)
		memcpy(out, (const double *) row + j, sizeof(quad));
	else
		*out = (quad) {x[0], x[1], x[2], x[3]};
}

/* Four values of each of four rows, to four lanes of four columns. */
INLINE void
store_turned(const quad *r, double *panel)
{
	quad column[4], even[2], odd[2];

#pragma GCC unroll 2
	for (int i = 0; i < 2; i++)
	{
		even[i] = SHUFFLE(quad_places, r[2 * i], r[2 * i + 1], 0, 4, 2, 6);
		odd[i] = SHUFFLE(quad_places, r[2 * i], r[2 * i + 1], 1, 5, 3, 7);
	}
	column[0] = SHUFFLE(quad_places, even[0], even[1], 0, 1, 4, 5);
	column[1] = SHUFFLE(quad_places, odd[0], odd[1], 0, 1, 4, 5);
	column[2] = SHUFFLE(quad_places, even[0], even[1], 2, 3, 6, 7);
	column[3] = SHUFFLE(quad_places, odd[0], odd[1], 2, 3, 6, 7);
#pragma GCC unroll 4
	for (int i = 0; i < 4; i++)
		memcpy(panel + i * CLU_LANES, &column[i], sizeof(quad));
}

/* Lanes without a row repeat the first. */
INLINE const char *
row_of_lane(const char *x, const int width, int d, const uint32_t *row, int n, int lane)
{
	return x + (size_t) row[lane < n ? lane : 0] * (size_t) d * (size_t) width;
}

/* Four rows at a time; long ones don't come by themselves, so the next four are fetched. */
INLINE void
turn_rows(double *restrict panel, const char *restrict x, const int width, int d,
		  const uint32_t *row, int n, const bool fetch)
{
	for (int lane = 0; lane < CLU_LANES; lane += 4)
	{
		const char *at[4], *next[4];
		quad		r[4];
		int			j = 0;

#pragma GCC unroll 4
		for (int i = 0; i < 4; i++)
		{
			at[i] = row_of_lane(x, width, d, row, n, lane + i);
			next[i] = row_of_lane(x, width, d, row, n, lane + 4 + i);
		}
		for (; VD_LANES >= 4 && j + 4 <= d; j += 4)
		{
#pragma GCC unroll 4
			for (int i = 0; i < 4; i++)
			{
				load_quad(at[i], width, j, &r[i]);
				if (fetch)
					__builtin_prefetch(next[i] + j * width);
			}
			store_turned(r, panel + j * CLU_LANES + lane);
		}
		for (; j < d; j++)
#pragma GCC unroll 4
			for (int i = 0; i < 4; i++)
				panel[j * CLU_LANES + lane + i] =
					width == 8 ? ((const double *) at[i])[j] : ((const float *) at[i])[j];
	}
}

#define LONG_ROW 64 /* columns */

static void
panel(double *panel, const void *x, int width, int d, const uint32_t *row, int n)
{
	if (width == 8 && d < LONG_ROW)
		turn_rows(panel, x, 8, d, row, n, false);
	else if (width == 8)
		turn_rows(panel, x, 8, d, row, n, true);
	else if (d < LONG_ROW)
		turn_rows(panel, x, 4, d, row, n, false);
	else
		turn_rows(panel, x, 4, d, row, n, true);
}

/* ---- squared distances in double-double ---- */

typedef struct vdd
{
	vd hi, lo;
} vdd;

/* Knuth's TwoSum and Dekker's TwoProduct, as in dd.h. */
INLINE vdd
vdd_two_sum(vd a, vd b)
{
	vd sum = vd_add(a, b);
	vd bb = vd_sub(sum, a);

	return (vdd) {sum, vd_add(vd_sub(a, vd_sub(sum, bb)), vd_sub(b, bb))};
}

INLINE vdd
vdd_square(vd a)
{
	vd product = vd_mul(a, a);
	vd t = vd_mul(a, vd_set(134217729.0));
	vd high = vd_sub(t, vd_sub(t, a));
	vd low = vd_sub(a, high);
	vd cross = vd_mul(high, low);

	return (vdd) {product, vd_add(vd_add(vd_sub(vd_mul(high, high), product), vd_add(cross, cross)),
								  vd_mul(low, low))};
}

INLINE vdd
vdd_add(vdd a, vdd b)
{
	vdd s = vdd_two_sum(a.hi, b.hi);
	vdd t = vdd_two_sum(a.lo, b.lo);

	s = vdd_two_sum(s.hi, vd_add(s.lo, t.hi));
	return vdd_two_sum(s.hi, vd_add(s.lo, t.lo));
}

static double
deviations(const double *panel, int d, const double *center, double *hi, double *lo)
{
	vd	   most = vd_set(0);
	double lane_most[VD_LANES];

	for (int lane = 0; lane < CLU_LANES; lane += VD_LANES)
	{
		vdd sum = {vd_set(0), vd_set(0)};

		for (int j = 0; j < d; j++)
		{
			vdd difference = vdd_two_sum(vd_load(panel + j * CLU_LANES + lane), vd_set(-center[j]));
			vdd square = vdd_square(difference.hi);
			vd	cross = vd_mul(difference.hi, difference.lo);
			vdd total = vdd_two_sum(sum.hi, square.hi);

			square.lo = vd_add(square.lo, vd_add(cross, cross));
			sum = vdd_two_sum(total.hi, vd_add(total.lo, vd_add(sum.lo, square.lo)));
		}
		vd_store(hi + lane, sum.hi);
		vd_store(lo + lane, sum.lo);
		most = vd_max(most, sum.hi);
	}
	vd_store(lane_most, most);
	for (int i = 1; i < VD_LANES; i++)
		lane_most[0] = lane_most[i] > lane_most[0] ? lane_most[i] : lane_most[0];
	return lane_most[0];
}

static void
add_side_by_side(double *restrict hi, double *restrict lo, const double *restrict term_hi,
				 const double *restrict term_lo, int n)
{
	for (int at = 0; at < CLU_SIDE_BY_SIDE; at += PAIR * VD_LANES)
	{
		vdd a = {vd_load(hi + at), vd_load(lo + at)};
		vdd b = {vd_load(hi + at + VD_LANES), vd_load(lo + at + VD_LANES)};

		for (int i = at; i < n * CLU_SIDE_BY_SIDE; i += CLU_SIDE_BY_SIDE)
		{
			a = vdd_add(a, (vdd) {vd_load(term_hi + i), vd_load(term_lo + i)});
			b = vdd_add(b,
						(vdd) {vd_load(term_hi + i + VD_LANES), vd_load(term_lo + i + VD_LANES)});
		}
		vd_store(hi + at, a.hi);
		vd_store(lo + at, a.lo);
		vd_store(hi + at + VD_LANES, b.hi);
		vd_store(lo + at + VD_LANES, b.lo);
	}
}
