/* SPDX-License-Identifier: MIT */
/*
 * The loop on io_uring. Three kinds of requests are in flight: one read of the eventfd, at most one
 * timeout, and one single-shot poll per watched fd (re-armed after each event: that is what makes
 * it level-triggered). The user data of a completion says which.
 *
 * Ring flags: none. Completions are produced by task work of the thread that submitted; with the
 * default settings that interrupts the thread wherever it is, the guest included. The "cooperative"
 * settings would leave it in the guest.
 */
#include "loop_impl.h"

#include <errno.h>
#include <liburing.h>
#include <poll.h>
#include <stdlib.h>
#include <time.h>

enum { UD_IGNORE, UD_EVENT, UD_TIMEOUT, UD_FD };

struct uring {
	struct io_uring ring;
	uint64_t event_count; /* target of the read */
	struct __kernel_timespec ts;
	bool event_armed;
	bool timeout_armed;
};

static uint64_t fd_user_data(const struct loop *loop, uint32_t idx)
{
	return (uint64_t)loop->slots[idx].gen << 32 | (uint64_t)idx << 8 | UD_FD;
}

/* A free submission entry; makes room by submitting. NULL: the kernel takes nothing now. */
static struct io_uring_sqe *get_sqe(struct uring *u)
{
	struct io_uring_sqe *sqe = io_uring_get_sqe(&u->ring);

	if (!sqe && io_uring_submit(&u->ring) >= 0)
		sqe = io_uring_get_sqe(&u->ring);
	return sqe;
}

static void arm_event(struct loop *loop)
{
	struct uring *u = loop->be;
	struct io_uring_sqe *sqe;

	if (u->event_armed)
		return;
	sqe = get_sqe(u);
	if (!sqe)
		return;
	io_uring_prep_read(sqe, loop->event_fd, &u->event_count, sizeof(u->event_count), 0);
	io_uring_sqe_set_data64(sqe, UD_EVENT);
	u->event_armed = true;
}

static void uring_arm_timeout(struct loop *loop, uint64_t deadline_ns)
{
	struct uring *u = loop->be;
	struct io_uring_sqe *sqe;

	if (deadline_ns == UINT64_MAX)
		return;
	/* The kernel reads ts when it takes the entry, before this can run again for it. */
	u->ts.tv_sec = (int64_t)(deadline_ns / 1000000000u);
	u->ts.tv_nsec = (int64_t)(deadline_ns % 1000000000u);
	sqe = get_sqe(u);
	if (!sqe) {
		loop_timeout_gone(loop);
		return;
	}
	if (u->timeout_armed) {
		/* If it fires first this fails, and the completion of the old one sets it anew. */
		io_uring_prep_timeout_update(sqe, &u->ts, UD_TIMEOUT, IORING_TIMEOUT_ABS);
		io_uring_sqe_set_data64(sqe, UD_IGNORE);
		return;
	}
	io_uring_prep_timeout(sqe, &u->ts, 0, IORING_TIMEOUT_ABS);
	io_uring_sqe_set_data64(sqe, UD_TIMEOUT);
	u->timeout_armed = true;
}

static int uring_watch(struct loop *loop, uint32_t idx)
{
	struct io_uring_sqe *sqe = get_sqe(loop->be);

	if (!sqe) {
		loop->rearm = true;
		return 0;
	}
	io_uring_prep_poll_add(sqe, loop->slots[idx].lfd->fd, loop->slots[idx].lfd->events);
	io_uring_sqe_set_data64(sqe, fd_user_data(loop, idx));
	loop->slots[idx].armed = true;
	return 0;
}

/* Submitted at once: the request holds the file open, and the caller may rely on its close. */
static void uring_unwatch(struct loop *loop, uint32_t idx)
{
	struct uring *u = loop->be;
	struct io_uring_sqe *sqe = get_sqe(u);

	loop->slots[idx].armed = false;
	if (!sqe)
		return; /* a late completion is told by its generation */
	io_uring_prep_poll_remove(sqe, fd_user_data(loop, idx));
	io_uring_sqe_set_data64(sqe, UD_IGNORE);
	(void)io_uring_submit(&u->ring); /* if not now, then with the next one */
}

static void on_fd(struct loop *loop, uint64_t user_data, int res)
{
	uint32_t idx = (uint32_t)user_data >> 8;
	uint32_t gen = (uint32_t)(user_data >> 32);

	if (idx < loop->n_slots && loop->slots[idx].gen == gen)
		loop->slots[idx].armed = false;
	if (res >= 0)
		loop_slot_event(loop, idx, gen, (uint32_t)res, false);
	else
		loop_slot_event(loop, idx, gen, res == -EBADF ? POLLNVAL : POLLERR, true);
}

static void on_completion(struct loop *loop, uint64_t user_data, int res)
{
	struct uring *u = loop->be;

	switch (user_data & 0xff) {
	case UD_EVENT:
		u->event_armed = false;
		break;
	case UD_TIMEOUT:
		u->timeout_armed = false;
		loop_timeout_gone(loop);
		break;
	case UD_FD:
		on_fd(loop, user_data, res);
		break;
	default:
		break;
	}
}

static void uring_reap(struct loop *loop)
{
	struct uring *u = loop->be;
	unsigned left = io_uring_cq_ready(&u->ring);
	struct io_uring_cqe *cqe;

	while (left-- && io_uring_peek_cqe(&u->ring, &cqe) == 0) {
		uint64_t user_data = io_uring_cqe_get_data64(cqe);
		int res = cqe->res;

		io_uring_cqe_seen(&u->ring, cqe);
		on_completion(loop, user_data, res);
	}
}

static bool uring_pending(struct loop *loop)
{
	struct uring *u = loop->be;

	return io_uring_cq_ready(&u->ring) || io_uring_sq_ready(&u->ring) || !u->event_armed ||
	       io_uring_cq_has_overflow(&u->ring);
}

static int uring_submit(struct loop *loop, bool block)
{
	struct uring *u = loop->be;
	int r = 0;

	arm_event(loop);
	if (block)
		r = io_uring_submit_and_wait(&u->ring, 1);
	else if (io_uring_cq_has_overflow(&u->ring))
		r = io_uring_get_events(&u->ring);
	if (r >= 0 && io_uring_sq_ready(&u->ring))
		r = io_uring_submit(&u->ring);
	/* The kernel is short of something: the entries stay queued and are offered again. */
	if (r == -EAGAIN || r == -EBUSY)
		r = 0;
	return r < 0 ? r : 0;
}

static int uring_fd(const struct loop *loop)
{
	const struct uring *u = loop->be;

	return u->ring.ring_fd;
}

static void uring_destroy(struct loop *loop)
{
	struct uring *u = loop->be;

	io_uring_queue_exit(&u->ring);
	free(u);
}

static const struct loop_backend_ops uring_ops = {
	.name = "io_uring",
	.destroy = uring_destroy,
	.fd = uring_fd,
	.pending = uring_pending,
	.arm_timeout = uring_arm_timeout,
	.watch = uring_watch,
	.unwatch = uring_unwatch,
	.reap = uring_reap,
	.submit = uring_submit,
};

int loop_uring_init(struct loop *loop, unsigned entries)
{
	struct uring *u = calloc(1, sizeof(*u));
	int r;

	if (!u)
		return -ENOMEM;
	r = io_uring_queue_init(entries, &u->ring, 0);
	if (r < 0) {
		free(u);
		return r;
	}
	loop->be = u;
	loop->ops = &uring_ops;
	return 0;
}
