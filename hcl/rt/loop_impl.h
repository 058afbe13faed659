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

enum loop_io_kind { IO_READV, IO_WRITEV, IO_FDATASYNC, IO_FALLOCATE, IO_DISCARD, IO_CMD };

/* What is asked of the kernel; only those members that the kind has. */
struct loop_io_args {
	enum loop_io_kind kind;
	int fd;
	int flags; /* RWF_* of readv and writev, mode of fallocate */
	const struct iovec *iov;
	unsigned n_iov;
	uint64_t off, len;
	uint32_t cmd_op;
	const void *cmd;
	size_t cmd_len;
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
	/* Queue a request whose members are set. 0, -EAGAIN, -EOPNOTSUPP. */
	int (*io_start)(struct loop *loop, struct loop_io *io, const struct loop_io_args *a);
	void (*io_cancel)(struct loop *loop, struct loop_io *io);
	size_t (*memory)(const struct loop *loop);
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

	struct loop_io *io_done, **io_done_tail; /* done, fn is due; owner only */
};

/* Largest number of fds one loop watches. */
#define LOOP_MAX_FDS 65536u

/**
 * loop_slot_event - a watched fd has something, or its watch failed
 * @events: poll(2) bits; @failed: the kernel does not watch it and will not
 */
void loop_slot_event(struct loop *loop, uint32_t idx, uint32_t gen, uint32_t events, bool failed);

/* A request is done: run its fn now (from reap), or in the next visit. */
void loop_io_finish(struct loop_io *io, int32_t res, uint64_t big);
void loop_io_finish_later(struct loop_io *io, int32_t res);

/* Run what was left for this visit. */
void loop_io_run_done(struct loop *loop);

/* The timeout the back end was told of has passed or is gone. */
static inline void loop_timeout_gone(struct loop *loop)
{
	loop->armed_ns = UINT64_MAX;
}

/* Set up ops and be of a loop whose event_fd is open. Returns: 0, -errno. */
struct loop_uring_cfg {
	unsigned entries;
	bool io; /* made for requests: a larger completion queue */
	bool big; /* entries with room for commands */
};
must_check int loop_uring_init(struct loop *loop, const struct loop_uring_cfg *cfg);
must_check int loop_epoll_init(struct loop *loop);
