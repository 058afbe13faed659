/* SPDX-License-Identifier: MIT */
/*
 * One end of a VMBus pipe channel: two rings, the pipe header, and how to wake the other side. The
 * transport (uio_chan.h in VTL2, server.h in a host) fills in the rings and calls the user back;
 * the user sends and receives messages. Trust: the peer is hostile; a violation fails this pipe.
 * Spec: spec/vmbus.md 3.3, spec/get-vmgs.md 1.1.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "macros.h"
#include "ring.h"

struct inspect;

#define PIPE_MAX_PAYLOAD 16384u

/* Messages and their bytes without headers, written by the channel's thread. */
struct pipe_counts {
	uint64_t sent, sent_bytes, received, received_bytes;
	uint64_t full; /* sends that found no room */
};

struct pipe {
	struct ring_out out;
	struct ring_in in;
	struct pipe_counts count;
	bool failed;
	/* Set by the transport. */
	void (*signal)(void *transport);
	/* Is shown each message as it was received; may be NULL. */
	void (*seen)(void *transport, const void *msg, size_t len);
	void *transport;
	/* Set by the user before the channel runs; called on the channel's thread. */
	void (*wake)(void *user); /* data or room may be there */
	void (*gone)(void *user); /* the channel was closed or revoked; nothing works any more */
	void *user;
};

/**
 * pipe_send - send one message (or one piece of a byte stream)
 * @len: 0..PIPE_MAX_PAYLOAD; 0 is end of stream
 * Returns: 0; -EAGAIN (ring full: wake comes when there is room); -EMSGSIZE; -EPIPE (failed)
 * Context: the channel's thread. Signals the peer when it must.
 */
must_check int pipe_send(struct pipe *p, const void *buf, size_t len);

/* As pipe_send, the message in two pieces: header and body. */
must_check int pipe_send2(struct pipe *p, const void *hdr, size_t hdr_len, const void *body,
			  size_t body_len);

/**
 * pipe_recv - receive one message
 * @cap: room in @ret_buf; a longer message fails the pipe
 * Returns: 0 with *ret_len (0 = end of stream); -EAGAIN (none: wake will come); -EPIPE (failed)
 */
must_check int pipe_recv(struct pipe *p, void *ret_buf, size_t cap, size_t *ret_len);

/* pipe_attach - give the pipe its rings; the transport's part. Returns: 0, -errno of ring_*_init.
 */
must_check int pipe_attach(struct pipe *p, const struct ring_mem *out, const struct ring_mem *in,
			   void (*signal)(void *transport), void *transport);

/* Has the peer consumed everything we sent? -EPIPE when failed, else 0 or 1. */
must_check int pipe_drained(struct pipe *p);

/* Indices, sizes and counters: an inspect_fn on the struct pipe. Context: the channel's thread. */
void pipe_inspect(struct inspect *in, const void *p);
