/*
 * step_farthest.h
 *		The rows of a step that are farthest from their centres, for clusters that have none.
 *
 * A list of at most CLU_MOST_FARTHEST distinct rows, with their weights, the farthest first and
 * equally far ones in the order of their values.  Once a row has fallen off the list, or was never
 * on it, rows equal to it can't come back: those before it stay before it.  So the weights are
 * complete, and lists of shards merge to the list of the whole.
 */
#ifndef CLU_STEP_FARTHEST_H
#define CLU_STEP_FARTHEST_H

#include "step.h"

#define CLU_MOST_FARTHEST CLU_MOST_TAKEN

/* A row of the list; its values lie behind it. */
typedef struct clu_far_row
{
	double	 distance;
	int64_t	 label;
	int64_t	 ones;	 /* rows of weight 1 */
	clu_wide weight; /* of the others */
	double	 x[];
} clu_far_row;

/* Where a list lies in a state. */
typedef struct clu_far_list
{
	int		 k, d;
	int		 most;	/* rows that there is room for */
	size_t	 width; /* bytes of a row */
	int64_t *listed;
	char	*rows;
} clu_far_list;

/* All but the pointers. */
clu_far_list clu_far_shape(int k, int d);

static inline clu_far_row *
clu_far_at(const clu_far_list *list, int64_t i)
{
	return (clu_far_row *) (list->rows + (size_t) i * list->width);
}

void clu_far_add(const clu_far_list *list, double distance, const double *x, int64_t label,
				 double weight);
void clu_far_merge(const clu_far_list *to, const clu_far_list *from);

/* Whether what was read could be a list, of distances below the given one. */
bool clu_far_valid(const clu_far_list *list, double most_distance);

#endif
