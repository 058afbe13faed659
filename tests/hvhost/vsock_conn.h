/* SPDX-License-Identifier: MIT */
/* One hybrid-vsock connection; shared by vsock_host.c and vsock_conn.c only. */
#pragma once

#include <stdbool.h>
#include <stdint.h>

#include "guid.h"
#include "list.h"
#include "loop.h"
#include "server.h"
#include "vsock_host.h"

#define VSOCK_LINE_MAX 45 /* "CONNECT " and a GUID; the newline is not kept */
#define VSOCK_CHUNK 4096u /* Unix to guest: fits the smallest ring a guest makes */

enum vsock_state {
	VSOCK_HANDSHAKE, /* reads the CONNECT line */
	VSOCK_DIALLING, /* guest to host: waits for the relay's word */
	VSOCK_OFFERED, /* host to guest: waits for VTL2 to open */
	VSOCK_GUEST_OFFERED, /* guest to host: the same */
	VSOCK_OPEN,
	VSOCK_DONE, /* revoked: waits for VTL2 to let go */
};

struct vsock_host {
	struct vsock_host_cfg cfg;
	char *path;
	int listen_fd;
	struct loop_fd listen_watch;
	bool watching, bound;
	struct list conns;
	unsigned n_conns;
};

struct vsock_conn {
	struct list link;
	struct vsock_host *v;
	enum vsock_state state;
	int fd;
	struct loop_fd watch;
	uint32_t watched; /* poll bits, 0 = not watched */
	struct vmbus_chan *chan; /* NULL until offered */
	struct guid service, instance;
	bool by_guid;
	struct loop_timer timer; /* limit of the state, or: pump again */
	char line[VSOCK_LINE_MAX + 1];
	unsigned line_len;

	/* guest to Unix */
	uint8_t *to_unix; /* one packet */
	uint32_t to_unix_at, to_unix_len;
	bool guest_fin, unix_shut;
	/* Unix to guest */
	uint8_t to_guest[VSOCK_CHUNK];
	uint32_t to_guest_len;
	bool unix_eof, fin_sent;
	uint64_t fin_ns; /* when */
};

extern const struct vmbus_chan_ops vsock_conn_chan_ops;

/* vsock_host.c */
struct vsock_conn *vsock_conn_new(struct vsock_host *v, int fd, enum vsock_state state);
void vsock_conn_free(struct vsock_conn *c);
void vsock_conn_handshake(struct vsock_conn *c); /* may end c; also for DIALLING */

/* vsock_conn.c */
void vsock_conn_init(struct vsock_conn *c);
void vsock_conn_fini(struct vsock_conn *c);
void vsock_conn_watch(struct vsock_conn *c); /* poll for what the state can use */
void vsock_conn_end(struct vsock_conn *c); /* close both sides; c may be freed on return */
