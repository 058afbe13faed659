/* SPDX-License-Identifier: MIT */
/*
 * The host's end of the paravisor's log channel (GEL): every record is checked (gel_check.h),
 * becomes one line of this process's log, at its level, and is stored. Trust: VTL2 is hostile: what
 * is not a record is counted and dropped, lines are cut. Spec: OpenHCL diagnostics, GEL channel.
 */
#pragma once

#include <stdbool.h>
#include <stdint.h>

#include "macros.h"

struct gel_host;
struct vmbus_server;

struct gel_host_cfg {
	struct vmbus_server *server;
	int out_fd; /* stored lines; does not block; stays the caller's; -1 = none */
	bool json; /* store each record's own JSON instead of text */
};

struct gel_host_counts {
	uint64_t records[6]; /* by enum gel_level */
	uint64_t violations; /* what was not a record */
	uint64_t lost; /* records that out_fd did not take */
};

/* Returns: 0, -ENOMEM, -EEXIST. Device thread, or before it runs. */
must_check int gel_host_create(const struct gel_host_cfg *cfg, struct gel_host **ret_gel);
void gel_host_destroy(struct gel_host *gel); /* accepts NULL */

/* Since the start. Device thread, or after it ended. */
void gel_host_count(const struct gel_host *gel, struct gel_host_counts *ret_counts);
