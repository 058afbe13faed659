/* SPDX-License-Identifier: MIT */
/*
 * One record of the log channel (GEL): header, strings, and the JSON that the host reads. Pure
 * functions on the caller's buffers. Spec: spec/get-vmgs.md chapter 7.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "get_proto.h"
#include "macros.h"

struct gel_msg {
	enum gel_level level;
	bool kmsg; /* from the kernel's log */
	const char *target; /* not NUL-terminated; cut at GEL_MAX_TARGET */
	size_t target_len;
	const char *text; /* not NUL-terminated; cut where the JSON would exceed its limit */
	size_t text_len;
	uint64_t time_ns; /* guest monotonic */
	uint64_t missed; /* events lost before this one */
};

/**
 * gel_msg_build - write an EVENT record
 * Both JSON strings stay well-formed however long the text is; bytes that are not ASCII become '?'.
 * Returns: the record's length, at most GEL_MAX_RECORD. Context: any.
 */
size_t gel_msg_build(const struct gel_msg *m, uint8_t ret_rec[GEL_MAX_RECORD]);
