/*
 * numeric_value.h
 *		The doubles nearest to numerics.
 */
#ifndef CLU_NUMERIC_VALUE_H
#define CLU_NUMERIC_VALUE_H

#include "postgres.h"

/*
 * Read n numerics that lie one after the other, as in an array, and the first anywhere: what
 * numeric_float8 gives for each, or an infinity where that is an error.
 */
extern void clu_pg_read_numerics(const char *first, int n, double *out);

#endif
