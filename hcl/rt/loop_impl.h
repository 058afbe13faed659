/* SPDX-License-Identifier: MIT */
/* Inside of the loop: what loop.c shares with its two back ends. Nobody else includes this. */
#pragma once

#include <pthread.h>
#include <stdatomic.h>

#include "loop.h"

/* One watched fd. The generation tells a late completion from one of the slot's new user. */
struct loop_slot {
	struct loop_fd *lfd; /* NULL = free */
	uint32_t gen;
	bool armed; /* the kernel watches it */
	bool broken; /* reported, left alone */
};

/* All functions run on the owner thread, but create and fd_add may run before there is one. */
struct loop_backend_ops {
	const char *name;
	void (*destroy)(struct loop *loop);
	int (*fd)(const struct loop *loop);
	/* Has the kernel something for us, or have we something for it? */
	bool (*pending)(struct loop *loop);
	/* Make sure that the fd becomes readable at the deadline (UINT64_MAX: nothing to do). */
	void (*arm_timeout)(struct loop *loop, uint64_t deadline_ns);
	/* Start to watch; short of resources: leave slot->armed false, asked again. 0, -errno. */
	int (*watch)(struct loop *loop, uint32_t idx);
	void (*unwatch)(struct loop *loop, uint32_t idx);
	/* Take what the kernel has and call loop_slot_event() for each; a bounded number. */
	void (*reap)(struct loop *loop);
	/* Hand the kernel what is queued; wait for an event if asked. 0, -EINTR, -errno. */
	int (*submit)(struct loop *loop, bool block);
};

struct loop {
	const struct loop_backend_ops *ops;
	void *be; /* private to the back end */

	_Atomic(struct loop_work *) posted; /* newest first */
	int event_fd; /* written to wake the owner */
	_Atomic(const void *) owner; /* identity of the owner thread, NULL = none yet */
	atomic_bool stop;

	pthread_mutex_t timer_lock; /* protects: timers; rank: innermost but for the log */
	struct loop_timer *timers;
	size_t n_timers;
	_Atomic uint64_t next_ns; /* deadline of the first timer, UINT64_MAX = none */
	uint64_t armed_ns; /* what the back end was told; owner only */

	struct loop_slot *slots;
	uint32_t n_slots;
	bool rearm; /* some slot wants watch() again; owner only */
};

/* Largest number of fds one loop watches. */
#define LOOP_MAX_FDS 65536u

/**
 * loop_slot_event - a watched fd has something, or its watch failed
 * @events: poll(2) bits; @failed: the kernel does not watch it and will not
 */
void loop_slot_event(struct loop *loop, uint32_t idx, uint32_t gen, uint32_t events, bool failed);

/* The timeout the back end was told of has passed or is gone. */
static inline void loop_timeout_gone(struct loop *loop)
{
	loop->armed_ns = UINT64_MAX;
}

/* Set up ops and be of a loop whose event_fd is open. Returns: 0, -errno. */
must_check int loop_uring_init(struct loop *loop, unsigned entries);
must_check int loop_epoll_init(struct loop *loop);
