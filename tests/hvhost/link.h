/* SPDX-License-Identifier: MIT */
/*
 * One byte channel between the front end (terminals, sockets, files) and the agent (which runs the
 * session), carrying many streams with their own flow control, so that a stopped terminal or a
 * slow vsock client holds up nobody else. The same protocol is spoken over a socket pair when the
 * session runs on this machine's KVM and over a virtio-serial port when it runs in the outer VM.
 *
 * A frame is an 8-byte header {u8 type, u8 0, u16 stream, u32 length} and its payload. Each side
 * may have LINK_WINDOW unacknowledged DATA bytes under way per stream; CREDIT gives bytes back.
 * Trust: both ends are ours; a malformed frame ends the link.
 */
#pragma once

#include <poll.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "macros.h"

enum link_type {
	LINK_CONFIG = 1, /* front end: key=value lines */
	LINK_STOP, /* front end: end the session; text "ask": if the guest agrees */
	LINK_OPEN, /* front end: a vsock client came; agent: VTL2 dials, text = port */
	LINK_DATA,
	LINK_EOF, /* sender will send no more DATA on this stream */
	LINK_CREDIT, /* u32: bytes consumed */
	LINK_REPORT, /* agent: one session ended; text */
	LINK_END, /* agent: the last frame; text "status=N" */
};

enum link_stream {
	LINK_COM1,
	LINK_COM2,
	LINK_VTL2_CONSOLE,
	LINK_LOG,
	LINK_RECORD, /* what the host receives, see record.h */
	LINK_CORE, /* agent: crash files, core_stream.h */
	LINK_VTL2_LOG, /* agent: the paravisor's log, a record per line */
	LINK_CTL, /* requests and answers, ctl_host.h */
	LINK_FIRST_VSOCK,
	LINK_FIRST_DIALLED = 48, /* from here on the agent opens */
	LINK_MAX_STREAMS = 64,
};

#define LINK_WINDOW 65536u
#define LINK_MAX_PAYLOAD 65536u

struct link;

struct link_ops {
	/* A control frame (CONFIG, STOP, OPEN, REPORT, END) arrived; text is NUL-terminated. */
	void (*control)(void *ctx, enum link_type type, unsigned stream, const char *text);
	/* A stream without an output fd got bytes; they count as consumed. */
	void (*data)(void *ctx, unsigned stream, const uint8_t *buf, size_t len);
	/* Both directions of a stream are done and its fds are closed. */
	void (*closed)(void *ctx, unsigned stream);
};

/**
 * link_create - speak the protocol on a connected, bidirectional fd (made non-blocking, owned)
 * Returns: 0, -ENOMEM, -errno
 */
must_check int link_create(int fd, const struct link_ops *ops, void *ctx, struct link **ret_link);
void link_destroy(struct link *l);

/**
 * link_attach - tie local fds to a stream: bytes read from @in are sent, bytes received go to @out
 * @in, @out: may be equal, or -1; owned by the link from now on (made non-blocking)
 * @keep: do not close them when the stream ends (terminals)
 */
void link_attach(struct link *l, unsigned stream, int in, int out, bool keep);

/* A free stream for a connection that the front end opens (or the agent: @dialled), or -1. */
int link_free_stream(const struct link *l, bool dialled);

/* Queue a control frame / data of our own for a stream without an input fd. 0, -ENOMEM. */
must_check int link_control(struct link *l, enum link_type type, unsigned stream, const char *text);
must_check int link_send(struct link *l, unsigned stream, const void *buf, size_t len);

/* Fill the pollfds the link wants; returns how many (at most LINK_POLLFDS). */
#define LINK_POLLFDS (1 + 2 * LINK_MAX_STREAMS)
int link_poll_fill(struct link *l, struct pollfd *fds);

/* Act on poll results. Returns 0; -EPIPE when the peer is gone; -EBADMSG on a malformed frame. */
must_check int link_poll_done(struct link *l, const struct pollfd *fds, int n);

/* Nothing left to send to the peer and to local fds? */
bool link_idle(const struct link *l);
