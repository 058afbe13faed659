/* SPDX-License-Identifier: MIT */
/* Small attributes below /sys. Any thread; blocks as long as the kernel takes to print one. */
#pragma once

#include <stddef.h>
#include <stdint.h>

#include "macros.h"

/* The first line, without the blanks around it, cut to size. Returns: 0, -errno. */
must_check int sysattr_str(const char *dir, const char *name, char *ret_str, size_t size);

/* A decimal number; @otherwise when there is none. */
uint64_t sysattr_u64(const char *dir, const char *name, uint64_t otherwise);
