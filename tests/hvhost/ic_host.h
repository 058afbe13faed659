/* SPDX-License-Identifier: MIT */
/*
 * The host's integration components for VTL0: shutdown, heartbeat, time. They reach VTL0 through
 * the paravisor's relay. Context: device thread. Spec: spec/vmbus.md chapter 8.
 */
#pragma once

#include <stdbool.h>
#include <stdint.h>

#include "macros.h"

struct ic_host;
struct loop;
struct vmbus_server;

struct ic_host_cfg {
	struct vmbus_server *server; /* VTL0's */
	struct loop *loop;
	/* Reference time of the partition, 100 ns. */
	uint64_t (*reference_time)(void *ctx);
	void *ctx;
};

must_check int ic_host_create(const struct ic_host_cfg *cfg, struct ic_host **ret_ih);
/* Accepts NULL. */
void ic_host_destroy(struct ic_host *ih);

/**
 * ic_host_shutdown - ask VTL0's operating system to power off
 * Returns: 0: it was asked; -ENOTCONN: it has no driver that listens; -EBUSY: asked before
 */
must_check int ic_host_shutdown(struct ic_host *ih);

/* Did VTL0 ever show a heartbeat? */
bool ic_host_seen(const struct ic_host *ih);
