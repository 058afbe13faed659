/* SPDX-License-Identifier: MIT */
/*
 * VTL0's RAM in the daemon: announces the ranges to the kernel (page structs, cacheability), maps
 * them, and hands them to the guest-memory door (gmem.h).
 */
#pragma once

#include <stddef.h>

#include "gmem.h"

struct vtl_low_range {
	gpa_t gpa; /* page aligned */
	uint64_t len; /* page multiple, not 0 */
};

/**
 * vtl_low_create - map VTL0's RAM
 * @ranges: ascending, not overlapping; ranges that touch are joined before they are announced.
 *          The kernel takes multiples of 2 MiB.
 * @ret_gm: the door; the mappings live as long as the process
 * Returns: 0; -EINVAL; -ENOMEM; -errno of driver or mmap
 * Context: start-up, once (an announced range cannot be withdrawn)
 */
must_check int vtl_low_create(int vtl_fd, const struct vtl_low_range *ranges, size_t n,
			      struct gmem **ret_gm);
