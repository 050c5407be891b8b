/*
 * team.c
 *		What a team can be asked to do, and work without a team.
 */
#include "team.h"

#include "fit.h"
#include "gmm.h"
#include "hard.h"
#include "kmeans.h"
#include "kmedians.h"
#include "order.h"

static const clu_task *const tasks[CLU_JOBS] = {
	[CLU_JOB_PASS] = &clu_pass_task,
	[CLU_JOB_COLLECTING_PASS] = &clu_collecting_pass_task,
	[CLU_JOB_FIGURES] = &clu_figures_task,
	[CLU_JOB_OWN_DISTANCES] = &clu_own_distances_task,
	[CLU_JOB_PRICE_MEANS] = &clu_price_means_task,
	[CLU_JOB_PRICE_MEDIANS] = &clu_price_medians_task,
	[CLU_JOB_SURVEY] = &clu_survey_task,
	[CLU_JOB_GMM_FACTORS] = &clu_gmm_factor_task,
	[CLU_JOB_GMM_REFIT] = &clu_gmm_refit_task,
	[CLU_JOB_KEYS] = &clu_keys_task,
	[CLU_JOB_WORDS] = &clu_words_task,
	[CLU_JOB_COUNT_WORDS] = &clu_count_words_task,
	[CLU_JOB_PART_WORDS] = &clu_part_words_task,
	[CLU_JOB_SORT_PIECE] = &clu_sort_piece_task,
	[CLU_JOB_MEASURE] = &clu_measure_task,
	[CLU_JOB_WEIGH] = &clu_weigh_task,
	[CLU_JOB_COLLAPSE] = &clu_collapse_task,
	[CLU_JOB_FIRST_CENTER] = &clu_first_center_task,
	[CLU_JOB_GAINS] = &clu_gains_task,
	[CLU_JOB_TAKE_CENTER] = &clu_take_center_task,
	[CLU_JOB_FIND_SHIFT] = &clu_find_shift_task,
	[CLU_JOB_FIND_SPREAD] = &clu_find_spread_task,
	[CLU_JOB_RANK_KEYS] = &clu_rank_keys_task,
	[CLU_JOB_RANK_COUNT] = &clu_rank_count_task,
	[CLU_JOB_RANK_PART] = &clu_rank_part_task,
	[CLU_JOB_RANK_SORT] = &clu_rank_sort_task,
	[CLU_JOB_FIX_WEIGHTS] = &clu_fix_weights_task,
	[CLU_JOB_SCAN_COLUMN] = &clu_scan_column_task,
	[CLU_JOB_ADD_SIDED] = &clu_add_sided_task,
	[CLU_JOB_WALK] = &clu_walk_task,
};

const clu_task *
clu_task_of(clu_job job)
{
	return tasks[job];
}

void
clu_team_run(clu_team *team, clu_job job, void *work, size_t items, const clu_interrupt *interrupt)
{
	const clu_task *task = tasks[job];

	if (team != NULL && team->members > 1 && items > 1)
	{
		team->run(team, job, work, items);
		return;
	}
	for (size_t item = 0; item < items; item++)
	{
		task->item(work, item, 0, interrupt);
		if (task->in_turn != NULL)
			task->in_turn(work, item, 0);
		clu_check(interrupt);
	}
}
