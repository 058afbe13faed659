/* SPDX-License-Identifier: MIT */
/*
 * The host's end of hybrid vsock without a VM: a Unix socket whose clients say "CONNECT <port>\n"
 * and are joined, with half-close, to the Unix socket that stands for that port. Nothing blocks;
 * buffers and counts are bounded. Trust: clients. Spec: OpenHCL diagnostics 1.1.
 */
#pragma once

#include "loop.h"
#include "macros.h"

#define HYBRID_FRONT_MAX 256 /* connections; more wait in the backlog */

struct hybrid_front;

struct hybrid_port {
	unsigned port;
	const char *path; /* of the listening socket */
};

struct hybrid_front_cfg {
	struct loop *loop;
	const char *path; /* a socket left behind is replaced */
	const struct hybrid_port *ports; /* copied, with their paths */
	size_t n_ports; /* at most 4 */
};

/* Returns: 0; -ENAMETOOLONG; -ENOMEM; -errno. Context: the loop's thread, or before it runs. */
must_check int hybrid_front_create(const struct hybrid_front_cfg *cfg,
				   struct hybrid_front **ret_front);
void hybrid_front_destroy(struct hybrid_front *front);

/* A listening Unix socket. @path: replaced if there is a socket. Returns: 0; -errno */
must_check int hybrid_listen(const char *path, int *ret_fd);
