/* SPDX-License-Identifier: MIT */
/*
 * The loop on io_uring. In flight are one read of the eventfd, at most one timeout, one single-shot
 * poll per watched fd (re-armed after each event: that is what makes it level-triggered), and the
 * requests of loop_io. The low bits of a completion's user data say which; of a request the rest is
 * its address.
 *
 * Ring flags: sizes only. Completions are produced by task work of the thread that submitted; with
 * the default settings that interrupts the thread wherever it is, the guest included. The
 * "cooperative" settings would leave it in the guest.
 */
#include "loop_impl.h"

#include <errno.h>
#include <liburing.h>
#include <poll.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <time.h>

enum { UD_IGNORE, UD_EVENT, UD_TIMEOUT, UD_FD, UD_IO };
#define UD_MASK 7u
BUILD_ASSERT(_Alignof(struct loop_io) > UD_MASK, "the address leaves room for the kind");

/* Completions that fit for each submission of a loop made for requests. */
#define CQ_PER_SQ 4u

/* Discard through a ring (linux/blkdev.h of 6.12): its area for commands holds the length. */
#ifndef BLOCK_URING_CMD_DISCARD
#define BLOCK_URING_CMD_DISCARD _IO(0x12, 0)
#endif

struct uring {
	struct io_uring ring;
	uint64_t event_count; /* target of the read */
	struct __kernel_timespec ts;
	bool event_armed;
	bool timeout_armed;
	bool big;
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

static void on_completion(struct loop *loop, uint64_t user_data, int res, uint64_t big)
{
	struct uring *u = loop->be;

	switch (user_data & UD_MASK) {
	case UD_IO:
		loop_io_finish((struct loop_io *)(uintptr_t)(user_data & ~(uint64_t)UD_MASK), res,
			       big);
		break;
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
		uint64_t big = u->big ? cqe->big_cqe[0] : 0;
		int res = cqe->res;

		io_uring_cqe_seen(&u->ring, cqe);
		on_completion(loop, user_data, res, big);
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

static uint64_t io_user_data(const struct loop_io *io)
{
	return (uint64_t)(uintptr_t)io | UD_IO;
}

/* A command's area is the last 16 bytes of an entry and the 64 bytes that a big one has more. */
static void prep_cmd(struct io_uring_sqe *sqe, const struct loop_io_args *a)
{
	uint8_t *area = (uint8_t *)sqe + offsetof(struct io_uring_sqe, cmd);

	io_uring_prep_rw(IORING_OP_URING_CMD, sqe, a->fd, NULL, 0, 0);
	sqe->cmd_op = a->cmd_op;
	memcpy(area, a->cmd, a->cmd_len);
	memset(area + a->cmd_len, 0, LOOP_IO_CMD_BYTES - a->cmd_len);
}

static void prep_discard(struct io_uring_sqe *sqe, const struct loop_io_args *a)
{
	io_uring_prep_rw(IORING_OP_URING_CMD, sqe, a->fd, NULL, 0, 0);
	sqe->cmd_op = BLOCK_URING_CMD_DISCARD;
	sqe->addr = a->off;
	sqe->addr3 = a->len;
}

static void prep_io(struct io_uring_sqe *sqe, const struct loop_io_args *a)
{
	switch (a->kind) {
	case IO_READV:
		io_uring_prep_readv2(sqe, a->fd, a->iov, a->n_iov, a->off, a->flags);
		break;
	case IO_WRITEV:
		io_uring_prep_writev2(sqe, a->fd, a->iov, a->n_iov, a->off, a->flags);
		break;
	case IO_FDATASYNC:
		io_uring_prep_fsync(sqe, a->fd, IORING_FSYNC_DATASYNC);
		break;
	case IO_FALLOCATE:
		io_uring_prep_fallocate(sqe, a->fd, a->flags, a->off, a->len);
		break;
	case IO_DISCARD:
		prep_discard(sqe, a);
		break;
	case IO_CMD:
		prep_cmd(sqe, a);
		break;
	}
}

static int uring_io_start(struct loop *loop, struct loop_io *io, const struct loop_io_args *a)
{
	struct uring *u = loop->be;
	struct io_uring_sqe *sqe;

	if (a->kind == IO_CMD && !u->big)
		return -EOPNOTSUPP;
	sqe = get_sqe(u);
	if (!sqe)
		return -EAGAIN;
	prep_io(sqe, a);
	io_uring_sqe_set_data64(sqe, io_user_data(io));
	return 0;
}

static void uring_io_cancel(struct loop *loop, struct loop_io *io)
{
	struct io_uring_sqe *sqe = get_sqe(loop->be);

	if (!sqe)
		return; /* the caller may ask again */
	io_uring_prep_cancel64(sqe, io_user_data(io), 0);
	io_uring_sqe_set_data64(sqe, UD_IGNORE);
}

static size_t uring_memory(const struct loop *loop)
{
	const struct uring *u = loop->be;
	size_t rings = u->ring.sq.ring_sz;

	if (u->ring.cq.ring_ptr != u->ring.sq.ring_ptr)
		rings += u->ring.cq.ring_sz;
	return rings + u->ring.sq.ring_entries * sizeof(struct io_uring_sqe) * (u->big ? 2 : 1);
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
	.io_start = uring_io_start,
	.io_cancel = uring_io_cancel,
	.memory = uring_memory,
};

/* What an older kernel does not know is left out: commands first, then the size. */
static int init_ring(struct uring *u, const struct loop_uring_cfg *cfg)
{
	struct io_uring_params p = { 0 };
	int r = -EINVAL;

	if (cfg->big) {
		p.flags = IORING_SETUP_CQSIZE | IORING_SETUP_SQE128 | IORING_SETUP_CQE32;
		p.cq_entries = CQ_PER_SQ * cfg->entries;
		r = io_uring_queue_init_params(cfg->entries, &u->ring, &p);
		u->big = r == 0;
	}
	if (r == -EINVAL && cfg->io) {
		p = (struct io_uring_params){ .flags = IORING_SETUP_CQSIZE,
					      .cq_entries = CQ_PER_SQ * cfg->entries };
		r = io_uring_queue_init_params(cfg->entries, &u->ring, &p);
	}
	return r == -EINVAL ? io_uring_queue_init(cfg->entries, &u->ring, 0) : r;
}

int loop_uring_init(struct loop *loop, const struct loop_uring_cfg *cfg)
{
	struct uring *u = calloc(1, sizeof(*u));
	int r;

	if (!u)
		return -ENOMEM;
	r = init_ring(u, cfg);
	if (r < 0) {
		free(u);
		return r;
	}
	loop->be = u;
	loop->ops = &uring_ops;
	return 0;
}
