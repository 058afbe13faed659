/* SPDX-License-Identifier: MIT */
#include "pin_probe.h"

#include <errno.h>
#include <liburing.h>

int pin_probe(void *page, size_t len)
{
	const struct iovec iov = { page, len };
	struct io_uring ring;
	int r = io_uring_queue_init(1, &ring, 0);

	if (r < 0)
		return r;
	r = io_uring_register_buffers(&ring, &iov, 1);
	io_uring_queue_exit(&ring); /* gives it back */
	/* The kernel's words for a mapping without pages of memory behind it. */
	return r == -EOPNOTSUPP ? -EFAULT : r;
}
