/*
 * hard.h
 *		What the two hard algorithms share: each point belongs to its nearest centre, and to no other.
 *
 * K-means and K-medians differ in the distance, in what a centre is, and in the statistics that
 * find it.  Everything else is here: starting centres, the assignment's tables, empty clusters,
 * the end of a run, the figures of the final model, and the units.
 *
 * clu_hard is the first member of either algorithm's state, so that fit->state is one.
 */
#ifndef CLU_HARD_H
#define CLU_HARD_H

#include "assign.h"
#include "coreset.h"
#include "exchange.h"
#include "fit.h"
#include "seed.h"

/* What a member of the team needs for itself. */
typedef struct clu_hard_member
{
	uint64_t	changed; /* points, in this pass */
	bool		lost;	 /* the distance of one (assign.h) */
	clu_change *changes; /* of a share */
	double	   *row;
	double	   *distance; /* of a block */
	size_t	   *count;	  /* of the points of a share, per cluster */
	clu_dd	   *cost;	  /* of a share of the points, per cluster of the final model */
	clu_dd	   *size;
} clu_hard_member;

typedef struct clu_hard
{
	clu_metric	 metric;
	clu_frame	 frame;
	clu_narrow	 narrow;
	clu_assigner assigner;
	clu_seeder	 seeder;
	clu_coreset	 coreset; /* that it looks at */
	clu_coarse	 sample;  /* the points of that */
	clu_exchange exchange;
	double		*previous;	   /* k * d: the centres of the pass before */
	bool		 has_previous; /* and the gaps are about them */
	double		 last_objective;

	/* one for every member of the team */
	int				 members;
	clu_hard_member *member;

	/* of the final model, per cluster */
	bool	labels_only; /* are wanted of the pass, and not these */
	clu_dd *cost;
	clu_dd *size;
} clu_hard;

/* Take a point from the statistics of one cluster and add it to another's. */
typedef void (*clu_move_point)(clu_fit *fit, int member, const clu_block *block, uint32_t point,
							   uint32_t from, uint32_t to);

void clu_hard_layout(clu_hard *hard, clu_arena *arena, clu_metric metric, const clu_fit *fit);
void clu_hard_begin(clu_fit *fit);
void clu_hard_reset(clu_fit *fit);

/*
 * Assign a block or a share, and move the points that changed their cluster.  Inline, so that the
 * move is no call through a pointer: in the first pass all points move.
 */
static inline void
clu_hard_accumulate(clu_fit *fit, const clu_block *block, int member, clu_move_point move)
{
	clu_hard		*hard = fit->state;
	clu_hard_member *own = &hard->member[member];
	const uint32_t	*label = hard->assigner.label + block->first;
	size_t changed = clu_assign_block(&hard->assigner, member, block, own->changes, fit->interrupt);

	for (size_t i = 0; i < changed; i++)
	{
		uint32_t point = own->changes[i].point;

		move(fit, member, block, point, own->changes[i].from, label[point]);
		clu_check_row(fit->interrupt, i, block->d);
	}
	own->changed += changed;
}

/*
 * A cluster without points takes the point that is farthest from its centre, out of a cluster
 * that keeps at least one other; the lowest-numbered empty cluster first, and the first of equally
 * far points in the order of the points.  CLU_VANISHED where all points are at their centres only
 * because distances are lost: a cluster would not keep what it's given.
 */
clu_status clu_hard_fill_empty(clu_fit *fit, clu_move_point move);

extern const clu_task clu_own_distances_task;
extern const clu_task clu_figures_task;

/* Verbs as they stand (fit.h). */
void clu_hard_start(clu_fit *fit, clu_random *random);
void clu_hard_adopt(clu_fit *fit);
void clu_hard_prepare(clu_fit *fit);
bool clu_hard_settled(clu_fit *fit);
void clu_hard_label(clu_fit *fit);
void clu_hard_renumber(clu_fit *fit, const int *order);
void clu_hard_finish(clu_fit *fit);
void clu_hard_restore(clu_fit *fit);

#endif
