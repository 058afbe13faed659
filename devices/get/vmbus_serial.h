/* SPDX-License-Identifier: MIT */
/*
 * Client of the VMBus serial redirector: the byte stream behind a COM port of VTL0 when the host
 * carries it over VMBus. A back end for the UART model: transmit from any thread into a fixed
 * buffer (one transmission in flight), receive by pull. Trust: the host is hostile; a violation
 * disconnects this port only. Spec: spec/chipset-uefi-vtpm.md 4.2.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "guid.h"
#include "loop.h"
#include "macros.h"
#include "pipe.h"

#define VMBUS_SERIAL_PORTS 4

struct inspect;
struct vmbus_serial;

/* Channel of COM1..COM4 (index 0..3), for uio_chan_open(). */
extern const struct guid vmbus_serial_instance[VMBUS_SERIAL_PORTS];

/* What the UART gets. On the loop's thread, no lock of this module held. NULL members are ignored.
 */
struct vmbus_serial_ops {
	/* Input. Returns how many bytes were taken; the rest stays here until
	 * vmbus_serial_rx_ready(). */
	size_t (*rx)(void *ctx, const uint8_t *data, size_t n);
	/* After a short vmbus_serial_tx(): there is room again. */
	void (*tx_space)(void *ctx);
	/* The far end came or went; modem lines follow it. */
	void (*connected)(void *ctx, bool connected);
};

struct vmbus_serial_cfg {
	struct loop *loop;
	struct pipe *pipe; /* the open channel */
	const struct vmbus_serial_ops *ops;
	void *ctx;
	bool tx_only; /* never ask for input (management feature bit 4) */
	unsigned port; /* 0..3, for log lines */
};

/**
 * vmbus_serial_create / vmbus_serial_start - make the port; negotiate on the loop
 * Returns: 0, -ENOMEM, -EPIPE. Context: the loop's thread or before it runs.
 */
must_check int vmbus_serial_create(const struct vmbus_serial_cfg *cfg,
				   struct vmbus_serial **ret_vs);
must_check int vmbus_serial_start(struct vmbus_serial *vs);
void vmbus_serial_destroy(struct vmbus_serial *vs); /* accepts NULL; as get_cli_destroy() */

/**
 * vmbus_serial_tx - queue output
 * Returns: bytes taken, 0..n; fewer than n: ops->tx_space follows. A port that failed takes (and
 * drops) everything, as a UART without a cable does. Context: any thread; no allocation, one short
 * lock, no system call but the loop's wake-up.
 */
size_t vmbus_serial_tx(struct vmbus_serial *vs, const uint8_t *data, size_t n);

/* The UART has room for input again after a short ops->rx. Any thread. */
void vmbus_serial_rx_ready(struct vmbus_serial *vs);

/* Has the host confirmed all output so far (or is the port dead)? Before a power-off, which takes
 * another channel and would overtake it. Context: the loop's thread. */
bool vmbus_serial_idle(struct vmbus_serial *vs);

/* State, buffers, channel: an inspect_fn on the struct vmbus_serial. Context: the loop's thread. */
void vmbus_serial_inspect(struct inspect *in, const void *vs);
