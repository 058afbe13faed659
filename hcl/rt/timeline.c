/* SPDX-License-Identifier: MIT */
#include "timeline.h"

#include <stdatomic.h>
#include <time.h>

static struct {
	_Atomic(const char *) name; /* set last: the mark is complete */
	uint64_t ns;
} marks[TIMELINE_MAX];

static atomic_size_t n_marks;

uint64_t timeline_now_ns(void)
{
	struct timespec ts;

	(void)clock_gettime(CLOCK_BOOTTIME, &ts); /* cannot fail for this clock */
	return (uint64_t)ts.tv_sec * 1000000000u + (uint64_t)ts.tv_nsec;
}

void timeline_mark(const char *name)
{
	timeline_mark_at(name, timeline_now_ns());
}

void timeline_mark_at(const char *name, uint64_t ns)
{
	size_t i;

	/* Look before adding, so that the count cannot wrap. */
	if (atomic_load_explicit(&n_marks, memory_order_relaxed) >= TIMELINE_MAX)
		return;
	i = atomic_fetch_add_explicit(&n_marks, 1, memory_order_relaxed);
	if (i >= TIMELINE_MAX)
		return;
	marks[i].ns = ns;
	/* Pairs with the acquire in timeline_get(). */
	atomic_store_explicit(&marks[i].name, name, memory_order_release);
}

size_t timeline_get(struct timeline_mark ret_marks[TIMELINE_MAX])
{
	size_t n = 0;

	for (size_t i = 0; i < TIMELINE_MAX; i++) {
		const char *name = atomic_load_explicit(&marks[i].name, memory_order_acquire);

		if (name)
			ret_marks[n++] = (struct timeline_mark){ .name = name, .ns = marks[i].ns };
	}
	return n;
}
