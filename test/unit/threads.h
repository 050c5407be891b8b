/*
 * threads.h
 *		A team (team.h) whose members are threads: they see the same memory as processes do that
 *		share it.
 */
#ifndef THREADS_H
#define THREADS_H

#include <pthread.h>

#include "fitting.h"
#include "team.h"

#define MOST_THREADS 8

typedef struct thread_team
{
	clu_team		team; /* first */
	pthread_mutex_t mutex;
	pthread_cond_t	moved_on;
	clu_job			job;
	void		   *work;
	size_t			items, next, turn;
	size_t			shared; /* items done with others there to help, ever */
} thread_team;

typedef struct thread_member
{
	thread_team *threads;
	int			 number;
} thread_member;

static inline void *
do_items(void *argument)
{
	static const clu_interrupt never = {NULL, NULL};
	thread_member			  *member = argument;
	thread_team				  *threads = member->threads;
	const clu_task			  *task = clu_task_of(threads->job);

	for (;;)
	{
		size_t item;

		pthread_mutex_lock(&threads->mutex);
		item = threads->next++;
		pthread_mutex_unlock(&threads->mutex);
		if (item >= threads->items)
			return NULL;
		task->item(threads->work, item, member->number, &never);
		pthread_mutex_lock(&threads->mutex);
		while (threads->turn != item)
			pthread_cond_wait(&threads->moved_on, &threads->mutex);
		if (task->in_turn != NULL)
			task->in_turn(threads->work, item, member->number);
		threads->turn++;
		pthread_cond_broadcast(&threads->moved_on);
		pthread_mutex_unlock(&threads->mutex);
	}
}

static inline void
run_threads(clu_team *team, clu_job job, void *work, size_t items)
{
	thread_team	 *threads = (thread_team *) team;
	thread_member member[MOST_THREADS];
	pthread_t	  thread[MOST_THREADS];

	threads->job = job;
	threads->work = work;
	threads->items = items;
	threads->next = threads->turn = 0;
	threads->shared += items;
	for (int i = team->members - 1; i >= 0; i--)
	{
		member[i] = (thread_member) {threads, i};
		if (i > 0)
			pthread_create(&thread[i], NULL, do_items, &member[i]);
		else
			do_items(&member[0]);
	}
	for (int i = 1; i < team->members; i++)
		pthread_join(thread[i], NULL);
}

static inline void
make_threads(thread_team *threads, int members)
{
	*threads = (thread_team) {.team = {.members = members, .run = run_threads}};
	pthread_mutex_init(&threads->mutex, NULL);
	pthread_cond_init(&threads->moved_on, NULL);
}

/* By one and by several; the models of several clusters need not be of several shares. */
static inline void
compare_fits(const char *name, const clu_rows *rows, clu_algorithm algorithm, int k,
			 const clu_options *options, const clu_model *start)
{
	fitted alone;

	fit_in_team(&alone, rows, algorithm, k, options, start, NULL);
	for (int members = 2; members <= 5; members += 3)
	{
		thread_team threads;
		fitted		together;

		make_threads(&threads, members);
		fit_in_team(&together, rows, algorithm, k, options, start, &threads.team);
		ok(same_models(&alone, &together) && threads.shared > 0, "%s: the same from %d", name,
		   members);
		free_fit(&together);
	}
	free_fit(&alone);
}

#endif
