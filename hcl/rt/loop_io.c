/* SPDX-License-Identifier: MIT */
/*
 * Requests to the kernel: what both back ends of the loop share. Operands are memory of anybody and
 * are passed on unseen. See loop.h.
 */
#include "loop.h"

#include "bug.h"
#include "loop_impl.h"

#include <errno.h>

static int start(struct loop *loop, struct loop_io *io, const struct loop_io_args *a)
{
	int r;

	BUG_ON(io->busy);
	io->loop = loop;
	io->next = NULL;
	io->busy = true;
	r = loop->ops->io_start(loop, io, a);
	if (r < 0)
		io->busy = false;
	return r;
}

int loop_io_readv(struct loop *loop, struct loop_io *io, int fd, const struct iovec *iov,
		  unsigned n, uint64_t off, int rw_flags)
{
	const struct loop_io_args a = {
		.kind = IO_READV, .fd = fd, .iov = iov, .n_iov = n, .off = off, .flags = rw_flags
	};

	return start(loop, io, &a);
}

int loop_io_writev(struct loop *loop, struct loop_io *io, int fd, const struct iovec *iov,
		   unsigned n, uint64_t off, int rw_flags)
{
	const struct loop_io_args a = {
		.kind = IO_WRITEV, .fd = fd, .iov = iov, .n_iov = n, .off = off, .flags = rw_flags
	};

	return start(loop, io, &a);
}

int loop_io_fdatasync(struct loop *loop, struct loop_io *io, int fd)
{
	const struct loop_io_args a = { .kind = IO_FDATASYNC, .fd = fd };

	return start(loop, io, &a);
}

int loop_io_fallocate(struct loop *loop, struct loop_io *io, int fd, int mode, uint64_t off,
		      uint64_t len)
{
	const struct loop_io_args a = {
		.kind = IO_FALLOCATE, .fd = fd, .flags = mode, .off = off, .len = len
	};

	return start(loop, io, &a);
}

int loop_io_discard(struct loop *loop, struct loop_io *io, int fd, uint64_t off, uint64_t len)
{
	const struct loop_io_args a = { .kind = IO_DISCARD, .fd = fd, .off = off, .len = len };

	return start(loop, io, &a);
}

int loop_io_cmd(struct loop *loop, struct loop_io *io, int fd, uint32_t cmd_op, const void *cmd,
		size_t len)
{
	const struct loop_io_args a = {
		.kind = IO_CMD, .fd = fd, .cmd_op = cmd_op, .cmd = cmd, .cmd_len = len
	};

	BUG_ON(len > LOOP_IO_CMD_BYTES);
	return start(loop, io, &a);
}

void loop_io_cancel(struct loop_io *io)
{
	if (io->busy)
		io->loop->ops->io_cancel(io->loop, io);
}

void loop_io_finish(struct loop_io *io, int32_t res, uint64_t big)
{
	io->busy = false; /* fn may start it again, or free it */
	io->fn(io, res, big);
}

void loop_io_finish_later(struct loop_io *io, int32_t res)
{
	struct loop *loop = io->loop;

	io->res = res;
	*loop->io_done_tail = io;
	loop->io_done_tail = &io->next;
}

/* What gets done while these run waits for the next visit. */
void loop_io_run_done(struct loop *loop)
{
	struct loop_io *io = loop->io_done;

	loop->io_done = NULL;
	loop->io_done_tail = &loop->io_done;
	while (io) {
		struct loop_io *next = io->next;

		loop_io_finish(io, io->res, 0);
		io = next;
	}
}
