/* SPDX-License-Identifier: MIT */
/*
 * When which phase of the boot was reached, in ns since the kernel of this machine started: a fixed
 * array, filled once, readable at any time.
 */
#pragma once

#include <stddef.h>
#include <stdint.h>

#define TIMELINE_MAX 64

struct timeline_mark {
	const char *name; /* static string */
	uint64_t ns; /* CLOCK_BOOTTIME */
};

/* CLOCK_BOOTTIME in ns. */
uint64_t timeline_now_ns(void);

/**
 * timeline_mark / timeline_mark_at - note that a phase is reached, now or at a known time
 * @name: static string. Marks beyond TIMELINE_MAX are dropped. Any thread; no lock.
 */
void timeline_mark(const char *name);
void timeline_mark_at(const char *name, uint64_t ns);

/**
 * timeline_get - copy the marks in the order they were made
 * Returns: how many. A mark that is being made right now may be missing.
 */
size_t timeline_get(struct timeline_mark ret_marks[TIMELINE_MAX]);
