/*
 * kernel.c
 *		Choosing the kernels, and laying out what they read.
 */
#include "kernel.h"

#include <math.h>
#include <string.h>

#include "points.h"

static const clu_kernels *const all_kernels[] = {
	&clu_kernels_avx512vnni,
	&clu_kernels_avx512,
	&clu_kernels_avx2,
	&clu_kernels_base,
};

const clu_kernels *clu_kernel = &clu_kernels_base;

void
clu_kernel_choose(void)
{
	for (size_t i = 0; i < sizeof(all_kernels) / sizeof(all_kernels[0]); i++)
		if (all_kernels[i]->available())
		{
			clu_kernel = all_kernels[i];
			return;
		}
}

static const clu_kernels *
find_kernels(const char *name)
{
	for (size_t i = 0; i < sizeof(all_kernels) / sizeof(all_kernels[0]); i++)
		if (strcmp(all_kernels[i]->name, name) == 0 && all_kernels[i]->available())
			return all_kernels[i];
	return NULL;
}

bool
clu_kernel_can(const char *name)
{
	return find_kernels(name) != NULL;
}

bool
clu_kernel_force(const char *name)
{
	const clu_kernels *found = find_kernels(name);

	if (found != NULL)
		clu_kernel = found;
	return found != NULL;
}

size_t
clu_packed_size(int k, int d)
{
	size_t groups = ((size_t) k + CLU_GROUP - 1) / CLU_GROUP;

	return clu_size_product(groups * CLU_GROUP, (size_t) d);
}

void
clu_pack_centers(const double *centers, int k, int d, double *packed)
{
	for (int first = 0; first < k; first += CLU_GROUP)
		for (int j = 0; j < d; j++)
			for (int i = 0; i < CLU_GROUP; i++)
				*packed++ = first + i < k ? centers[(size_t) (first + i) * (size_t) d + (size_t) j]
										  : INFINITY;
}

int
clu_active_panels(const bool *active, const double *term, int panels, int k, int component,
				  const double **r, int *which)
{
	int found = 0;

	for (int p = 0; p < panels; p++)
	{
		size_t at = (size_t) p * (size_t) k + (size_t) component;

		if (active[at])
		{
			r[found] = term + at * CLU_LANES;
			which[found++] = p;
		}
	}
	return found;
}

void
clu_panel_from(double *panel, const void *x, int width, int d, size_t first, int n)
{
	uint32_t row[CLU_LANES];

	for (int lane = 0; lane < n; lane++)
		row[lane] = (uint32_t) first + (uint32_t) lane;
	clu_kernel->panel(panel, x, width, d, row, n);
}
