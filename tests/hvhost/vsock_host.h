/* SPDX-License-Identifier: MIT */
/*
 * Hybrid vsock: AF_VSOCK of VTL2 (over VMBus) bridged to Unix sockets. A client of the socket at
 * `path` sends "CONNECT <port>\n", gets "OK <peer port>\n" once a listener in VTL2 took the
 * connection (otherwise the socket is closed), and then has a byte stream with half-close. VTL2's
 * own connect() to the host goes to the Unix socket "<path>_<port>". Trust: VTL2 and the clients
 * are hostile; buffers and counts are bounded. Spec: spec/vmbus.md chapter 5, spec/diag.md 1.1.
 */
#pragma once

#include "loop.h"
#include "macros.h"

#define VSOCK_HOST_MAX_CONNS 256

/* Where this process cannot see the sockets that VTL2 dials: it connects to "<path>_dial", sends
 * what would have been the suffix and a newline, and waits for VSOCK_DIAL_OK or the end. */
#define VSOCK_DIAL_SUFFIX "_dial"
#define VSOCK_DIAL_OK "OK\n"

struct vsock_host;
struct vmbus_server;

struct vsock_host_cfg {
	struct vmbus_server *server;
	struct loop *loop;
	const char *path; /* copied; a socket left behind by a killed run is replaced */
};

/**
 * vsock_host_create - listen at path, hook hvsock requests of the server
 * Returns: 0, -ENAMETOOLONG, -EEXIST (path is not a socket), -EADDRINUSE (somebody listens there),
 * -errno of bind. Context: device thread, or before it runs.
 */
must_check int vsock_host_create(const struct vsock_host_cfg *cfg, struct vsock_host **ret_v);

/* Close everything and unlink the path. Accepts NULL. Device thread, or after it has ended. */
void vsock_host_destroy(struct vsock_host *v);
