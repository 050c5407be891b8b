/*
 * algorithms.h
 *		The tables of verbs, one per algorithm.
 */
#ifndef CLU_ALGORITHMS_H
#define CLU_ALGORITHMS_H

#include "fit.h"

extern const clu_verbs clu_kmeans_verbs;
extern const clu_verbs clu_soft_kmeans_verbs;

#endif
