/* SPDX-License-Identifier: MIT */
/*
 * Time as devices see it, and their timers. The owner of the VM maps this on its loop; tests step a
 * virtual clock by hand. A device never asks the operating system for the time.
 */
#pragma once

#include <stdint.h>

#include "macros.h"

struct vm_clock {
	/* Monotonic ns, time base of dev_timer deadlines. Any thread, no lock, no system call. */
	uint64_t (*now_ns)(void *ctx);
	/* Wall clock: ns since 1970-01-01 UTC. May jump. Any thread, no system call. */
	uint64_t (*utc_ns)(void *ctx);
	void *ctx;
};

static inline uint64_t clock_now_ns(const struct vm_clock *c)
{
	return c->now_ns(c->ctx);
}

static inline uint64_t clock_utc_ns(const struct vm_clock *c)
{
	return c->utc_ns(c->ctx);
}

/* One-shot timer, private to its implementation. */
struct dev_timer;

struct dev_timer_ops {
	/*
	 * @fn: runs on the control loop with no device lock held; takes dev->lock itself. It may
	 * run once more after cancel or re-arm (the race with another thread): fn looks at the
	 * clock and re-arms if it came too early.
	 * Returns: 0, -ENOMEM. Context: start-up.
	 */
	int (*create)(void *ctx, void (*fn)(void *fn_ctx), void *fn_ctx,
		      struct dev_timer **ret_timer);
	/* Fire at (or soon after) deadline_ns of vm_clock.now_ns; replaces an earlier deadline; a
	 * deadline in the past fires at once, but never inside this call. Any thread; a device lock
	 * may be held. */
	void (*arm)(struct dev_timer *t, uint64_t deadline_ns);
	void (*cancel)(struct dev_timer *t);
	/* After this fn does not run any more. Control loop, or when it has stopped. NULL: fine. */
	void (*destroy)(struct dev_timer *t);
};

/* What a device gets in its wiring. */
struct dev_timers {
	const struct dev_timer_ops *ops;
	void *ctx;
};

#define NS_PER_SEC 1000000000ull

/* Whole ticks of a clock of hz (up to 2^34) in ns; exact, no overflow of 64 bits in practice. */
static inline uint64_t ns_to_ticks(uint64_t ns, uint64_t hz)
{
	return ns / NS_PER_SEC * hz + ns % NS_PER_SEC * hz / NS_PER_SEC;
}

/* The first ns at which ns_to_ticks() gives at least ticks. */
static inline uint64_t ticks_to_ns(uint64_t ticks, uint64_t hz)
{
	return ticks / hz * NS_PER_SEC + (ticks % hz * NS_PER_SEC + hz - 1) / hz;
}
