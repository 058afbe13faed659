/* SPDX-License-Identifier: MIT */
/*
 * Time synchronisation component: tells the guest what time it is, once to set its clock and then
 * every five seconds as a sample. Context: the server's thread. Spec: spec/vmbus.md chapter 8.
 */
#pragma once

#include <stdint.h>

#include "macros.h"

struct ic_timesync;
struct inspect;
struct loop;
struct vmbus_server;

struct ic_timesync_cfg {
	struct vmbus_server *server;
	struct loop *loop; /* of the server's thread */
	uint64_t period_ns; /* of the samples; 0 = five seconds */
	/* The same moment as UTC in 100 ns since 1601 and as reference time of the partition. */
	void (*now)(void *ctx, uint64_t *ret_utc, uint64_t *ret_reference);
	void *ctx;
};

must_check int ic_timesync_create(const struct ic_timesync_cfg *cfg, struct ic_timesync **ret_t);
/* Accepts NULL. */
void ic_timesync_destroy(struct ic_timesync *t);

/* An inspect_fn on the struct ic_timesync. */
void ic_timesync_inspect(struct inspect *in, const void *t);
