/* SPDX-License-Identifier: MIT */
/* See vm_clock.h. */
#include "vm_clock.h"

#include <errno.h>
#include <stdlib.h>
#include <time.h>

#define EPOCH_1601_TO_1970_100NS 116444736000000000ll
#define YEARS_584_100NS 184467440737095516ll /* 2^64 ns */

struct dev_timer {
	struct loop_timer t;
};

static uint64_t now_ns(void *ctx)
{
	(void)ctx;
	return loop_now_ns();
}

static uint64_t utc_ns(void *ctx)
{
	struct time_source *t = ctx;

	return loop_now_ns() +
	       (uint64_t)atomic_load_explicit(&t->utc_offset_ns, memory_order_relaxed);
}

static int timer_create_on_loop(void *ctx, void (*fn)(void *fn_ctx), void *fn_ctx,
				struct dev_timer **ret_timer)
{
	struct time_source *src = ctx;
	struct dev_timer *t = calloc(1, sizeof(*t));

	if (!t)
		return -ENOMEM;
	loop_timer_init(&t->t, src->loop, fn, fn_ctx);
	*ret_timer = t;
	return 0;
}

static void timer_arm(struct dev_timer *t, uint64_t deadline_ns)
{
	loop_timer_arm(&t->t, deadline_ns);
}

static void timer_cancel(struct dev_timer *t)
{
	loop_timer_cancel(&t->t);
}

static void timer_destroy(struct dev_timer *t)
{
	if (!t)
		return;
	loop_timer_cancel(&t->t);
	free(t);
}

static const struct dev_timer_ops timer_ops = {
	.create = timer_create_on_loop,
	.arm = timer_arm,
	.cancel = timer_cancel,
	.destroy = timer_destroy,
};

void vm_clock_init(struct time_source *t, struct loop *loop)
{
	struct timespec ts;

	t->clock = (struct vm_clock){ .now_ns = now_ns, .utc_ns = utc_ns, .ctx = t };
	t->timers = (struct dev_timers){ .ops = &timer_ops, .ctx = t };
	t->loop = loop;
	(void)clock_gettime(CLOCK_REALTIME, &ts); /* cannot fail for this clock */
	atomic_store(&t->utc_offset_ns, (int64_t)((uint64_t)ts.tv_sec * NS_PER_SEC +
						  (uint64_t)ts.tv_nsec - loop_now_ns()));
}

void vm_clock_set_utc(struct time_source *t, int64_t utc_1601_100ns, uint64_t taken_ns)
{
	if (utc_1601_100ns < EPOCH_1601_TO_1970_100NS ||
	    utc_1601_100ns - EPOCH_1601_TO_1970_100NS >= YEARS_584_100NS)
		return;
	atomic_store_explicit(&t->utc_offset_ns,
			      (int64_t)((uint64_t)(utc_1601_100ns - EPOCH_1601_TO_1970_100NS) *
						100 -
					taken_ns),
			      memory_order_relaxed);
}
