/* SPDX-License-Identifier: MIT */
/*
 * Bounce memory of one queue: ordinary pages that the kernel can pin, for data whose own memory it
 * cannot, or not as the device wants it. A fixed number of pages, handed out in runs.
 * Owner: the thread of the queue. Trust: the other end of a copy is guest memory.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/uio.h>

#include "macros.h"

#define BOUNCE_PAGES 128u /* of a queue */
#define BOUNCE_RUN_BYTES (32u * KEEL_PAGE_SIZE) /* most of one run */

struct bounce {
	uint8_t *mem;
	uint64_t used[BOUNCE_PAGES / 64];
};

/* A place in a list of pieces. */
struct iov_pos {
	uint32_t idx;
	size_t off; /* bytes into that piece */
};

/**
 * bounce_init - reserve the pages
 * @populate: they will be needed: take the memory now, so that none is allocated later
 * Returns: 0, -ENOMEM. Any thread.
 */
must_check int bounce_init(struct bounce *b, bool populate);
void bounce_fini(struct bounce *b); /* also of one that is all zeros */

/* A run of pages for @bytes (1..BOUNCE_RUN_BYTES), page aligned; NULL: none is free now. */
void *bounce_get(struct bounce *b, size_t bytes);
void bounce_put(struct bounce *b, void *run, size_t bytes);

/**
 * bounce_from / bounce_to - copy @len bytes between private memory and pieces from @pos on
 * The pieces hold as much. Returns: 0, -EFAULT (guest memory is not there).
 */
must_check int bounce_from(void *ret_buf, const struct iovec *iov, struct iov_pos pos, size_t len);
must_check int bounce_to(const struct iovec *iov, struct iov_pos pos, const void *buf, size_t len);

/* Move on by @len bytes, which the pieces hold. */
void iov_skip(const struct iovec *iov, struct iov_pos *pos, size_t len);
