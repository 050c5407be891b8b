/*
 * tap.h
 *		What a unit test prints, and random numbers that are the same on every machine.
 */
#ifndef TAP_H
#define TAP_H

#include <math.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static int tests = 0;
static int failures = 0;

/* One line of TAP; the text is a format. */
__attribute__((format(printf, 2, 3))) static inline bool
ok(bool passed, const char *text, ...)
{
	va_list arguments;

	tests++;
	failures += !passed;
	printf("%sok %d - ", passed ? "" : "not ", tests);
	va_start(arguments, text);
	vprintf(text, arguments);
	va_end(arguments);
	printf("\n");
	fflush(stdout);
	return passed;
}

/* The plan, at the end; what main returns. */
static inline int
finish_tests(void)
{
	printf("1..%d\n", tests);
	return failures != 0;
}

/* ---- random numbers ---- */

static uint64_t random_state = 1;

static inline void
random_seed(uint64_t seed)
{
	random_state = seed * UINT64_C(0x9e3779b97f4a7c15) + 1;
}

/* SplitMix64 */
static inline uint64_t
random_bits(void)
{
	uint64_t z = random_state += UINT64_C(0x9e3779b97f4a7c15);

	z = (z ^ (z >> 30)) * UINT64_C(0xbf58476d1ce4e5b9);
	z = (z ^ (z >> 27)) * UINT64_C(0x94d049bb133111eb);
	return z ^ (z >> 31);
}

static inline uint64_t
random_below(uint64_t n)
{
	return random_bits() % n;
}

static inline double
random_unit(void)
{
	return (double) (random_bits() >> 11) * 0x1p-53;
}

/* Nearly normal, by the sum of twelve. */
static inline double
random_normal(void)
{
	double sum = -6;

	for (int i = 0; i < 12; i++)
		sum += random_unit();
	return sum;
}

/* ---- comparing ---- */

static inline bool
same_bits(double a, double b)
{
	return memcmp(&a, &b, sizeof(a)) == 0;
}

/* |a - b| <= tolerance * the larger of both */
static inline bool
near(double a, double b, double tolerance)
{
	return a == b || fabs(a - b) <= tolerance * fmax(fabs(a), fabs(b));
}

/* A type with more digits than a double, for references. */
#if defined(__SIZEOF_FLOAT128__)
typedef __float128 wide;
#else
typedef long double wide;
#endif

#endif
