/* SPDX-License-Identifier: MIT */
/*
 * The relay: offers VTL0 the channels that the host has for it. Control messages pass through here;
 * rings and signals run between the host and VTL0 without us. It is a client of the host's server
 * (client.h) and owner of channels of ours (server.h). Context: the server's thread. Trust: both
 * sides are hostile. Spec: spec/vmbus.md 6.1.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "guid.h"
#include "macros.h"

struct inspect;
struct loop;
struct vmbus_relay;
struct vmbus_server;

struct vmbus_relay_cfg {
	struct vmbus_server *server; /* VTL0's */
	struct loop *loop; /* of its thread */
	/* Post to the host. 0; -EAGAIN: not now; other -errno: never again. */
	int (*post)(void *ctx, uint32_t connection_id, const void *msg, size_t len);
	/* Are channels of this kind passed on? NULL: all. */
	bool (*wanted)(void *ctx, const struct guid *interface_id, const struct guid *instance_id);
	void *ctx;
};

/* vmbus_relay_create - and ask the host for its channels. Returns 0, -ENOMEM. */
must_check int vmbus_relay_create(const struct vmbus_relay_cfg *cfg, struct vmbus_relay **ret_r);
/* Before the server is destroyed. Accepts NULL. */
void vmbus_relay_destroy(struct vmbus_relay *r);

/* A message of the host: private copy. */
void vmbus_relay_message(struct vmbus_relay *r, const void *raw, size_t len);

/* The connection and every channel: an inspect_fn on the struct vmbus_relay. */
void vmbus_relay_inspect(struct inspect *in, const void *r);
