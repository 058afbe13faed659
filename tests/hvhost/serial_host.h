/* SPDX-License-Identifier: MIT */
/*
 * The host's end of the VMBus serial redirector: a COM port of VTL0 as two file descriptors.
 * Trust: VTL2 is hostile: a violation closes the channel. Spec: spec/chipset-uefi-vtpm.md 4.2.
 */
#pragma once

#include "loop.h"
#include "macros.h"

struct serial_host;
struct vmbus_server;

struct serial_host_cfg {
	struct vmbus_server *server;
	struct loop *loop;
	unsigned port; /* 0 = COM1 .. 3 = COM4 */
	/* Pollable descriptors or -1; made non-blocking here; not owned. The same fd may be
	 * both. */
	int in_fd;
	int out_fd;
};

/**
 * serial_host_create - offer the port
 * Output that the fd cannot take holds the guest's next transmission back (bounded here).
 * Returns: 0, -EINVAL, -ENOMEM, -errno. Context: device thread, or before it runs.
 */
must_check int serial_host_create(const struct serial_host_cfg *cfg, struct serial_host **ret_sh);
void serial_host_destroy(struct serial_host *sh); /* accepts NULL; writes what it still can */
