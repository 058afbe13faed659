/* SPDX-License-Identifier: MIT */
/*
 * One record of the log channel (GEL): header, strings, and the JSON that the host reads. Pure
 * functions on the caller's buffers. All JSON stays well-formed whatever is cut; bytes that are not
 * ASCII become '?'. Spec: OpenHCL diagnostics, GEL channel.
 */
#pragma once

#include <stddef.h>
#include <stdint.h>

#include "get_proto.h"
#include "log_record.h"
#include "macros.h"

/* A line of the kernel's log. */
struct gel_kmsg {
	uint32_t level; /* the kernel's, 0 emergency .. 7 debug */
	const char *target;
	const char *text; /* not NUL-terminated; cut where the JSON would exceed its limit */
	size_t text_len;
	uint64_t time_ns;
	uint64_t missed; /* lines lost before this one */
};

/**
 * gel_msg_record / gel_msg_kmsg - write a record
 * @missed: events lost before this one; shown by events only
 * Returns: the record's length, at most GEL_MAX_RECORD. Context: any.
 */
size_t gel_msg_record(const struct log_record *rec, uint64_t missed,
		      uint8_t ret_rec[GEL_MAX_RECORD]);
size_t gel_msg_kmsg(const struct gel_kmsg *m, uint8_t ret_rec[GEL_MAX_RECORD]);
