/* SPDX-License-Identifier: MIT */
/*
 * Heartbeat component: is the guest's operating system alive? One question every two seconds.
 * Context: the server's thread. Spec: spec/vmbus.md chapter 8.
 */
#pragma once

#include <stdbool.h>
#include <stdint.h>

#include "macros.h"

struct ic_heartbeat;
struct inspect;
struct loop;
struct vmbus_server;

struct ic_heartbeat_cfg {
	struct vmbus_server *server;
	struct loop *loop; /* of the server's thread */
	uint64_t period_ns; /* 0 = two seconds */
	/* The guest began or ceased to answer; may be NULL. */
	void (*changed)(void *ctx, bool alive);
	void *ctx;
};

must_check int ic_heartbeat_create(const struct ic_heartbeat_cfg *cfg, struct ic_heartbeat **ret_h);
/* Accepts NULL. */
void ic_heartbeat_destroy(struct ic_heartbeat *h);

/* Was the last question answered? */
bool ic_heartbeat_alive(const struct ic_heartbeat *h);

/* An inspect_fn on the struct ic_heartbeat. */
void ic_heartbeat_inspect(struct inspect *in, const void *h);
