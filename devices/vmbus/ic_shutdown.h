/* SPDX-License-Identifier: MIT */
/*
 * Shutdown component: asks the guest's operating system to power off or restart by itself.
 * Context: the server's thread. Spec: spec/vmbus.md chapter 8.
 */
#pragma once

#include <stdbool.h>

#include "macros.h"

struct ic_shutdown;
struct inspect;
struct vmbus_server;

enum ic_shutdown_kind { IC_SHUTDOWN_POWER_OFF, IC_SHUTDOWN_REBOOT, IC_SHUTDOWN_TO_DISK };

struct ic_shutdown_cfg {
	struct vmbus_server *server;
	/* The guest accepted (0), refused (-EPERM), or went away without an answer (-EPIPE). */
	void (*answered)(void *ctx, int err);
	void *ctx;
};

must_check int ic_shutdown_create(const struct ic_shutdown_cfg *cfg, struct ic_shutdown **ret_s);
/* Accepts NULL. */
void ic_shutdown_destroy(struct ic_shutdown *s);

/**
 * ic_shutdown_request - ask
 * @force: applications that object are ended
 * Returns: 0: answered() follows; -ENOTCONN (the guest has no driver running); -EBUSY; -EAGAIN
 */
must_check int ic_shutdown_request(struct ic_shutdown *s, enum ic_shutdown_kind kind, bool force);

/* An inspect_fn on the struct ic_shutdown. */
void ic_shutdown_inspect(struct inspect *in, const void *s);
