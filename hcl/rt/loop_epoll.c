/* SPDX-License-Identifier: MIT */
/*
 * The loop on epoll, for hosts that refuse io_uring: an epoll set with the eventfd, one timerfd and
 * the watched fds, level-triggered.
 */
#include "loop_impl.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/fs.h>
#include <poll.h>
#include <stdlib.h>
#include <sys/epoll.h>
#include <sys/ioctl.h>
#include <sys/syscall.h>
#include <sys/timerfd.h>
#include <unistd.h>

#define BATCH 32

/* Tags of the two fds of our own: no slot has such a number. */
#define TAG_EVENT UINT32_MAX
#define TAG_TIMER (UINT32_MAX - 1)

struct epoll_be {
	int ep_fd;
	int timer_fd;
	struct epoll_event ready[BATCH];
	int n_ready;
};

static int ep_add(struct epoll_be *e, int fd, uint32_t events, uint32_t tag, uint32_t gen)
{
	struct epoll_event ev = { .events = events, .data.u64 = (uint64_t)gen << 32 | tag };

	return epoll_ctl(e->ep_fd, EPOLL_CTL_ADD, fd, &ev) < 0 ? -errno : 0;
}

/* Fetch events without waiting, unless some are at hand. */
static void fetch(struct epoll_be *e, int timeout_ms)
{
	int n;

	if (e->n_ready)
		return;
	n = epoll_wait(e->ep_fd, e->ready, BATCH, timeout_ms);
	e->n_ready = n > 0 ? n : 0;
}

static bool epoll_pending(struct loop *loop)
{
	struct epoll_be *e = loop->be;

	fetch(e, 0);
	return e->n_ready;
}

static void epoll_arm_timeout(struct loop *loop, uint64_t deadline_ns)
{
	struct epoll_be *e = loop->be;
	struct itimerspec its = {
		.it_value.tv_sec = (time_t)(deadline_ns / 1000000000u),
		.it_value.tv_nsec = (long)(deadline_ns % 1000000000u),
	};

	if (deadline_ns == UINT64_MAX)
		return;
	if (!deadline_ns)
		its.it_value.tv_nsec = 1; /* zero would disarm */
	if (timerfd_settime(e->timer_fd, TFD_TIMER_ABSTIME, &its, NULL) < 0)
		loop_timeout_gone(loop);
}

/* The poll(2) and epoll bits in use have the same values on Linux. */
static int epoll_watch(struct loop *loop, uint32_t idx)
{
	struct loop_slot *s = &loop->slots[idx];
	int r = ep_add(loop->be, s->lfd->fd, s->lfd->events, idx, s->gen);

	if (r == 0)
		s->armed = true;
	return r;
}

static void epoll_unwatch(struct loop *loop, uint32_t idx)
{
	struct epoll_be *e = loop->be;

	(void)epoll_ctl(e->ep_fd, EPOLL_CTL_DEL, loop->slots[idx].lfd->fd, NULL);
	loop->slots[idx].armed = false;
}

static void drain(int fd)
{
	uint64_t count;

	if (read(fd, &count, sizeof(count)) < 0)
		return; /* emptied by an earlier event */
}

static void epoll_reap(struct loop *loop)
{
	struct epoll_be *e = loop->be;

	fetch(e, 0);
	for (int i = 0; i < e->n_ready; i++) {
		uint32_t tag = (uint32_t)e->ready[i].data.u64;

		if (tag == TAG_EVENT) {
			drain(loop->event_fd);
		} else if (tag == TAG_TIMER) {
			drain(e->timer_fd);
			loop_timeout_gone(loop);
		} else {
			loop_slot_event(loop, tag, (uint32_t)(e->ready[i].data.u64 >> 32),
					e->ready[i].events, false);
		}
	}
	e->n_ready = 0;
}

static int epoll_submit(struct loop *loop, bool block)
{
	struct epoll_be *e = loop->be;
	int n;

	if (!block || e->n_ready)
		return 0;
	n = epoll_wait(e->ep_fd, e->ready, BATCH, -1);
	if (n < 0)
		return -errno;
	e->n_ready = n;
	return 0;
}

/* Not every C library has preadv2(). @off: -1 = where the file is */
static ssize_t rw_now(const struct loop_io_args *a, uint64_t off)
{
	const long nr = a->kind == IO_READV ? SYS_preadv2 : SYS_pwritev2;

	return syscall(nr, a->fd, a->iov, a->n_iov, off, 0, a->flags);
}

static ssize_t io_now(const struct loop_io_args *a)
{
	uint64_t range[2] = { a->off, a->len };
	ssize_t n;

	switch (a->kind) {
	case IO_READV:
	case IO_WRITEV:
		n = rw_now(a, a->off);
		/* What has no position is read and written without one. */
		return n < 0 && errno == ESPIPE ? rw_now(a, UINT64_MAX) : n;
	case IO_FDATASYNC:
		return fdatasync(a->fd);
	case IO_FALLOCATE:
		return fallocate(a->fd, a->flags, (off_t)a->off, (off_t)a->len);
	case IO_DISCARD:
		return ioctl(a->fd, BLKDISCARD, range);
	case IO_CMD:
		break;
	}
	errno = EOPNOTSUPP;
	return -1;
}

static int epoll_io_start(struct loop *loop, struct loop_io *io, const struct loop_io_args *a)
{
	ssize_t n;

	if (a->kind == IO_CMD)
		return -EOPNOTSUPP;
	do {
		n = io_now(a);
	} while (n < 0 && errno == EINTR);
	/* The kernel moves less than 2 GiB at a time. */
	loop_io_finish_later(io, n < 0 ? -errno : (int32_t)n);
	return 0;
}

static void epoll_io_cancel(struct loop *loop, struct loop_io *io)
{
	/* It is done already. */
}

static size_t epoll_memory(const struct loop *loop)
{
	return 0;
}

static int epoll_fd(const struct loop *loop)
{
	const struct epoll_be *e = loop->be;

	return e->ep_fd;
}

static void be_free(struct epoll_be *e)
{
	if (e->timer_fd >= 0)
		(void)close(e->timer_fd);
	if (e->ep_fd >= 0)
		(void)close(e->ep_fd);
	free(e);
}

static void epoll_destroy(struct loop *loop)
{
	be_free(loop->be);
}

static const struct loop_backend_ops epoll_ops = {
	.name = "epoll",
	.destroy = epoll_destroy,
	.fd = epoll_fd,
	.pending = epoll_pending,
	.arm_timeout = epoll_arm_timeout,
	.watch = epoll_watch,
	.unwatch = epoll_unwatch,
	.reap = epoll_reap,
	.submit = epoll_submit,
	.io_start = epoll_io_start,
	.io_cancel = epoll_io_cancel,
	.memory = epoll_memory,
};

int loop_epoll_init(struct loop *loop)
{
	struct epoll_be *e = calloc(1, sizeof(*e));
	int r = 0;

	if (!e)
		return -ENOMEM;
	e->ep_fd = epoll_create1(EPOLL_CLOEXEC);
	e->timer_fd = timerfd_create(CLOCK_MONOTONIC, TFD_CLOEXEC | TFD_NONBLOCK);
	if (e->ep_fd < 0 || e->timer_fd < 0)
		r = -errno;
	if (r == 0)
		r = ep_add(e, loop->event_fd, EPOLLIN, TAG_EVENT, 0);
	if (r == 0)
		r = ep_add(e, e->timer_fd, EPOLLIN, TAG_TIMER, 0);
	if (r < 0) {
		be_free(e);
		return r;
	}
	loop->be = e;
	loop->ops = &epoll_ops;
	return 0;
}
