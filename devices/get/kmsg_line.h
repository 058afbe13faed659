/* SPDX-License-Identifier: MIT */
/* One record of /dev/kmsg: "prio,seq,usec,flags[,...];text\n", then lines of properties. */
#pragma once

#include <stddef.h>
#include <stdint.h>

#include "macros.h"

struct kmsg_line {
	uint32_t facility; /* 0 kernel, 1 user, 2 init, 3 the daemon */
	uint32_t level; /* 0 emergency .. 7 debug */
	uint64_t seq;
	uint64_t time_us; /* since boot */
	const char *text; /* in the caller's buffer, escapes undone; not NUL-terminated */
	size_t text_len;
};

/**
 * kmsg_line_parse - take a record apart
 * @buf: the record; its text is changed in place
 * Returns: 0; -EBADMSG. Context: any.
 */
must_check int kmsg_line_parse(char *buf, size_t len, struct kmsg_line *ret_line);
