/* SPDX-License-Identifier: MIT */
/*
 * One loop per thread: file descriptors, timers and messages from other threads. A VP
 * thread owns one and "runs the guest" between two visits; the control thread blocks in
 * loop_run(). Objects belong to one loop; other threads reach them by loop_post().
 *
 * It runs on io_uring; where the kernel or a container's filter refuses that, on epoll: slower
 * (loop_pending() then costs a system call), otherwise the same.
 *
 * The owner thread is the one that calls loop_poll, loop_wait or loop_run. Requests are completed
 * in its context, so it must be inside one of these, or about to see loop_pending() again, to
 * notice anything. Before a VP thread enters the guest it clears the cancel flag, asks
 * loop_pending() and calls loop_poll() while that says true.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/uio.h>

#include "list.h"
#include "macros.h"

struct loop;

/* A message to a loop's thread. Owned by the sender until fn runs; one post at a time. */
struct loop_work {
	void (*fn)(void *ctx);
	void *ctx;
	struct loop_work *next; /* private to the loop */
	uint32_t queued; /* private to the loop */
};

/* A one-shot deadline on CLOCK_MONOTONIC; re-arming replaces it. */
struct loop_timer {
	void (*fn)(void *ctx);
	void *ctx;
	struct loop *loop;
	uint64_t deadline_ns;
	struct loop_timer *child, *next, *prev; /* private: place in the heap */
	bool armed; /* private */
};

/* Readiness of a file descriptor, level-triggered: fn runs again while it stays ready. */
struct loop_fd {
	void (*fn)(void *ctx, uint32_t events); /* poll(2) events */
	void *ctx;
	struct loop *loop;
	int fd;
	uint32_t events; /* wanted, poll(2) bits */
	uint32_t state; /* private */
};

/**
 * loop_create - make a loop
 * @entries: submission queue size, power of two, 8..4096
 * Returns: 0, -errno, -ENOMEM, -EINVAL (entries)
 * Context: any thread; the owner may be another one.
 */
must_check int loop_create(unsigned entries, struct loop **ret_loop);

/* The same, on epoll whatever the kernel offers. */
must_check int loop_create_epoll(struct loop **ret_loop);

/* Callbacks still due do not run. No other thread may use the loop any more. */
void loop_destroy(struct loop *loop);

/* "io_uring" or "epoll", for inspection. */
const char *loop_backend(const struct loop *loop);

/* The fd that becomes readable when work is pending: the VP's poll file. Owned by the loop. */
int loop_ring_fd(const struct loop *loop);

/* Run until loop_stop(); blocks when idle. Returns 0 or -errno of the ring. Owner thread. */
must_check int loop_run(struct loop *loop);

/* Ask loop_run() to return after the current callbacks. Any thread. */
void loop_stop(struct loop *loop);

/**
 * loop_pending / loop_poll - is anything to do, and do all of it without blocking
 * loop_pending makes no system call and takes no lock; loop_poll makes one only to submit.
 * Context: owner thread.
 */
bool loop_pending(struct loop *loop);
void loop_poll(struct loop *loop);

/* Block until there is something to do, then do it. Owner thread. Returns 0, -EINTR, -errno. */
must_check int loop_wait(struct loop *loop);

/**
 * loop_post - run work->fn on the loop's thread, in order of posting per sender
 * Lock-free; wakes the loop (one eventfd write) only when its queue was empty. Posting work that
 * is already queued does nothing. Context: any thread.
 */
void loop_post(struct loop *loop, struct loop_work *work);

/* CLOCK_MONOTONIC in ns; no system call (vDSO or TSC). */
uint64_t loop_now_ns(void);

/*
 * Arm (or move) / disarm. Any thread may call; the timer lock is held for a few instructions. A
 * foreign thread's call wakes the loop when the earliest deadline moved forward. fn runs on the
 * loop's thread, never before the deadline; earlier deadlines first. A foreign cancel may return
 * while fn runs; on the owner thread fn is done or never runs. UINT64_MAX = never (disarms).
 */
void loop_timer_init(struct loop_timer *t, struct loop *loop, void (*fn)(void *ctx), void *ctx);
void loop_timer_arm(struct loop_timer *t, uint64_t deadline_ns);
void loop_timer_cancel(struct loop_timer *t);

/*
 * Watch an fd. Owner thread, or before there is one. Returns 0, -errno. After loop_fd_remove() fn
 * never runs again and the fd may be closed. An fd that cannot be polled (any more) is reported
 * once, as POLLNVAL or POLLERR, and then left alone until it is removed.
 */
must_check int loop_fd_add(struct loop_fd *lfd, struct loop *loop, int fd, uint32_t events,
			   void (*fn)(void *ctx, uint32_t events), void *ctx);
void loop_fd_remove(struct loop_fd *lfd);

/* ---- asynchronous input and output ------------------------------ */

/*
 * One request to the kernel. Owned by the caller, untouched between start and fn. Nothing is
 * allocated; requests started during one visit of the loop are submitted together at its end.
 */
struct loop_io {
	/* @res: bytes, or what the operation returns; -errno. @big: second result of uring_cmd. */
	void (*fn)(struct loop_io *io, int32_t res, uint64_t big);
	struct loop *loop; /* set by the start functions */
	struct loop_io *next; /* private */
	int32_t res; /* private */
	bool busy; /* private: started, fn did not run yet */
};

/*
 * Start a request. Owner thread. Returns: 0: fn will run, once, on this thread, never inside this
 * call; -EAGAIN: the kernel takes nothing now, try again after some completion or in the next
 * visit. Memory named here stays valid until fn. On a loop without io_uring the operation is done
 * at once by a system call and fn runs in the next visit; loop_io_cmd then gives -EOPNOTSUPP.
 * @rw_flags: RWF_*; @len of sync: 0.
 */
must_check int loop_io_readv(struct loop *loop, struct loop_io *io, int fd, const struct iovec *iov,
			     unsigned n, uint64_t off, int rw_flags);
must_check int loop_io_writev(struct loop *loop, struct loop_io *io, int fd,
			      const struct iovec *iov, unsigned n, uint64_t off, int rw_flags);
must_check int loop_io_fdatasync(struct loop *loop, struct loop_io *io, int fd);
must_check int loop_io_fallocate(struct loop *loop, struct loop_io *io, int fd, int mode,
				 uint64_t off, uint64_t len);

/* Discard a range of a block device. fn gets -EOPNOTSUPP or -EINVAL when the device, or a kernel
 * before 6.12, cannot do that; -EINVAL, too, when the range is not of whole blocks. */
must_check int loop_io_discard(struct loop *loop, struct loop_io *io, int fd, uint64_t off,
			       uint64_t len);

#define LOOP_IO_CMD_BYTES 80u

/* IORING_OP_URING_CMD with a command area of up to LOOP_IO_CMD_BYTES bytes, copied. Needs a loop
 * made by loop_create_io() with @big. */
must_check int loop_io_cmd(struct loop *loop, struct loop_io *io, int fd, uint32_t cmd_op,
			   const void *cmd, size_t len);

/* Ask the kernel to give it up; fn runs all the same, perhaps with -ECANCELED. Owner thread. */
void loop_io_cancel(struct loop_io *io);

/**
 * loop_create_io - a loop for many requests: as loop_create(), with room for four times @entries
 * completions before the kernel has to set some aside
 * @entries: requests handed over in one batch; more can be in flight
 * @big: its submissions have room for commands (loop_io_cmd). A kernel before 5.19 cannot: then
 *       loop_io_cmd gives -EOPNOTSUPP.
 */
must_check int loop_create_io(unsigned entries, bool big, struct loop **ret_loop);

/* Memory shared with the kernel for requests and completions, in bytes. Any thread. */
size_t loop_memory(const struct loop *loop);
