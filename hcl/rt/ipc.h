/* SPDX-License-Identifier: MIT */
/*
 * Typed messages between two roles (processes of the daemon) over a stream socket. Each side has a
 * table of the messages it takes: a message that is not in it, is too short or too long, or comes
 * twice where once is right, ends the connection. Nothing blocks: what cannot be sent at once waits
 * in a queue with a limit.
 *
 * Wire: 16-byte header { le32 type, le32 body length, le64 id }, then the body. An answer carries
 * the id of its question. Trust: the other role, checked.
 */
#pragma once

#include <stddef.h>
#include <stdint.h>

#include "loop.h"
#include "macros.h"

#define IPC_BODY_MAX (8u << 20)
#define IPC_QUEUE_MAX (16u << 20) /* bytes waiting to be sent */

struct ipc;

#define IPC_ONCE 1u /* at most one per connection */

/* One message that is taken. @handle: -errno ends the connection. @body: valid during the call. */
struct ipc_permit {
	uint32_t type;
	uint32_t flags;
	uint32_t min_len, max_len;
	int (*handle)(void *ctx, uint64_t id, const uint8_t *body, size_t len);
};

struct ipc_cfg {
	struct loop *loop;
	int fd; /* a connected stream socket; taken over on success */
	/* The table must outlive the connection. */
	const struct ipc_permit *permits;
	size_t n_permits;
	/*
	 * The other side is gone (-EPIPE; what it had sent was served) or misbehaved (-errno).
	 * Called once. ipc_destroy() may be called from here and from the handlers.
	 */
	void (*gone)(void *ctx, int err);
	void *ctx;
};

/* Returns: 0; -ENOMEM; -errno of the loop. Context: the loop's thread, or before it runs. */
must_check int ipc_create(const struct ipc_cfg *cfg, struct ipc **ret_ipc);
/* Accepts NULL. What still waits to be sent is lost. Context: the loop's thread. */
void ipc_destroy(struct ipc *ipc);

/**
 * ipc_send - queue one message
 * Returns: 0; -ENOSPC: the queue is full, nothing was queued; -EPIPE: the other side is gone
 * Context: the loop's thread
 */
must_check int ipc_send(struct ipc *ipc, uint32_t type, uint64_t id, const void *body, size_t len);

/* Bytes still waiting. */
size_t ipc_queued(const struct ipc *ipc);
