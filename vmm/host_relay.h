/* SPDX-License-Identifier: MIT */
/*
 * The host's channels for VTL0, brought to VTL0's VMBus: the relay (devices/vmbus/relay.h) on the
 * kernel's /dev/mshv_sint. Context: control loop. Trust: host and VTL0, checked below.
 */
#pragma once

#include <stdint.h>

#include "loop.h"
#include "macros.h"
#include "relay.h"

struct vmbus_server;

struct host_relay {
	int fd; /* -1: not running */
	struct loop_fd watch;
	struct vmbus_relay *relay;
	uint64_t messages, busy; /* taken from the host; times it took none of ours */
};

/**
 * host_relay_start - begin to relay
 * Returns: 0; -errno: the reason is logged and VTL0 has only channels of ours
 */
must_check int host_relay_start(struct host_relay *hr, struct vmbus_server *server,
				struct loop *ctl);

/* After VPs have stopped, before the server is destroyed. */
void host_relay_stop(struct host_relay *hr);

/* An inspect_fn on the struct host_relay. */
void host_relay_inspect(struct inspect *in, const void *hr);
