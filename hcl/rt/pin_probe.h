/* SPDX-License-Identifier: MIT */
/* Can the kernel pin memory for transfers of its own? */
#pragma once

#include <stddef.h>

#include "macros.h"

/**
 * pin_probe - try whether O_DIRECT, registered buffers and passthrough may use this memory
 * The way to find out: hand it to a ring as a registered buffer for a moment. Nothing is read or
 * written, so it may be in use.
 * @page: writable mapping, such as of guest memory; some pages of it speak for the whole mapping
 * Returns: 0: it can be pinned; -EFAULT: it cannot, copies are needed; -errno: nobody knows (no
 *          io_uring, no memory), which calls for copies, too
 * Context: any thread; makes a few system calls.
 */
must_check int pin_probe(void *page, size_t len);
