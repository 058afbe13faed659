/* SPDX-License-Identifier: MIT */
/*
 * What the native benchmarks count with: user-mode instructions of a piece of work, by
 * single-stepping a child through two different numbers of rounds, so that the result is the same
 * on every run and whatever else the machine does; and the clock.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct bench_work {
	void (*prepare)(const void *ctx); /* in the child, not counted */
	void (*run)(const void *ctx, unsigned int rounds);
	const void *ctx;
	const volatile bool *counting; /* in memory shared with the child: only what runs while it
					* is set is counted; NULL: everything */
	unsigned few, many; /* numbers of rounds; 0 = some that suit work of 10000 instructions */
};

/* Instructions per round; 0 when this machine does not let a child be traced. */
double bench_instructions(const struct bench_work *work);

/* CLOCK_MONOTONIC in ns. */
uint64_t bench_now_ns(void);

/* One JSON object of a case; @instructions of 0 or less: not known, left out. */
void bench_print(const char *name, double ns, double instructions);
