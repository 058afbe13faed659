/* SPDX-License-Identifier: MIT */
/*
 * The host's end of the paravisor's log channel (GEL): every event becomes one line "<area>: text"
 * of this process's log, at its level. Trust: VTL2 is hostile: records are checked, lines are cut.
 * Spec: spec/get-vmgs.md chapter 7.
 */
#pragma once

#include "macros.h"

struct gel_host;
struct vmbus_server;

/* Returns: 0, -ENOMEM, -EEXIST. Device thread, or before it runs. */
must_check int gel_host_create(struct vmbus_server *server, struct gel_host **ret_gel);
void gel_host_destroy(struct gel_host *gel); /* accepts NULL */
