/* SPDX-License-Identifier: MIT */
#include "vsock_conn.h"

#include "log.h"

#include <errno.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#define LOG_AREA "vsock-host"
/* Packets moved per visit before other devices get their turn. */
#define BUDGET 64
/* Both directions have ended: time for the guest's reader to take what lies in the ring, which a
 * rescind would throw away. */
#define LINGER_NS 1000000000ull
#define LINGER_STEP_NS 10000000ull

static void on_timer(void *ctx);
static void on_fd(void *ctx, uint32_t events);

void vsock_conn_init(struct vsock_conn *c)
{
	loop_timer_init(&c->timer, c->v->cfg.loop, on_timer, c);
}

static void unwatch(struct vsock_conn *c)
{
	if (c->watched)
		loop_fd_remove(&c->watch);
	c->watched = 0;
}

static void close_unix(struct vsock_conn *c)
{
	unwatch(c);
	loop_timer_cancel(&c->timer);
	if (c->fd >= 0)
		(void)close(c->fd);
	c->fd = -1;
}

void vsock_conn_fini(struct vsock_conn *c)
{
	close_unix(c);
	free(c->to_unix);
}

void vsock_conn_watch(struct vsock_conn *c)
{
	uint32_t want = 0;

	if (c->state == VSOCK_HANDSHAKE || c->state == VSOCK_DIALLING)
		want = POLLIN;
	if (c->state == VSOCK_OPEN) {
		want |= !c->unix_eof && !c->to_guest_len ? POLLIN : 0;
		want |= c->to_unix_at < c->to_unix_len ? POLLOUT : 0;
	}
	if (want == c->watched)
		return;
	/* A descriptor that hung up is always ready: never watch one for nothing. */
	unwatch(c);
	if (want && loop_fd_add(&c->watch, c->v->cfg.loop, c->fd, want, on_fd, c) == 0)
		c->watched = want;
}

void vsock_conn_end(struct vsock_conn *c)
{
	struct vmbus_chan *ch = c->chan;

	close_unix(c);
	c->state = VSOCK_DONE;
	if (ch)
		vmbus_chan_revoke(ch); /* frees c when VTL2 has let go, perhaps at once */
	else
		vsock_conn_free(c);
}

/* ---- moving bytes: each returns false when the connection is to end -------------------------- */

/* Write out what the last packet left. */
static bool write_unix(struct vsock_conn *c, bool *ret_blocked)
{
	while (c->to_unix_at < c->to_unix_len) {
		ssize_t n = send(c->fd, c->to_unix + c->to_unix_at, c->to_unix_len - c->to_unix_at,
				 MSG_NOSIGNAL | MSG_DONTWAIT);

		if (n < 0 && errno == EINTR)
			continue;
		if (n < 0) {
			*ret_blocked = errno == EAGAIN;
			return errno == EAGAIN;
		}
		c->to_unix_at += (uint32_t)n;
	}
	*ret_blocked = false;
	return true;
}

/* Guest to Unix; *budget falls with every packet. */
static bool pump_to_unix(struct vsock_conn *c, int *budget)
{
	while (!c->unix_shut && *budget > 0) {
		bool blocked;
		size_t len;
		int r;

		if (!write_unix(c, &blocked))
			return false;
		if (blocked)
			return true;
		if (c->guest_fin) {
			(void)shutdown(c->fd, SHUT_WR);
			c->unix_shut = true;
			return true;
		}
		r = pipe_recv(vmbus_chan_pipe(c->chan), c->to_unix, PIPE_MAX_PAYLOAD, &len);
		if (r < 0)
			return r == -EAGAIN;
		c->to_unix_at = 0;
		c->to_unix_len = (uint32_t)len;
		c->guest_fin = !len;
		--*budget;
	}
	return true;
}

/* Read a chunk; *ret_got: there is something to send (or the end). */
static bool read_unix(struct vsock_conn *c, bool *ret_got)
{
	ssize_t n = recv(c->fd, c->to_guest, sizeof(c->to_guest), MSG_DONTWAIT);

	*ret_got = n >= 0;
	if (n < 0)
		return errno == EAGAIN || errno == EINTR;
	c->to_guest_len = (uint32_t)n;
	c->unix_eof = !n;
	return true;
}

static bool pump_to_guest(struct vsock_conn *c, int *budget)
{
	while (!c->fin_sent && *budget > 0) {
		bool got;
		int r;

		if (!c->to_guest_len && !c->unix_eof) {
			if (!read_unix(c, &got))
				return false;
			if (!got)
				return true;
		}
		/* With no bytes left this is the end of the stream. */
		r = pipe_send(vmbus_chan_pipe(c->chan), c->to_guest, c->to_guest_len);
		if (r < 0)
			return r == -EAGAIN;
		c->fin_sent = !c->to_guest_len;
		if (c->fin_sent)
			c->fin_ns = loop_now_ns();
		c->to_guest_len = 0;
		--*budget;
	}
	return true;
}

/* Both directions are done: may the channel go, or does the guest still read? */
static bool may_go(struct vsock_conn *c)
{
	return pipe_drained(vmbus_chan_pipe(c->chan)) != 0 ||
	       loop_now_ns() - c->fin_ns >= LINGER_NS;
}

static void pump(struct vsock_conn *c)
{
	int out = BUDGET, in = BUDGET;

	if (!pump_to_unix(c, &out) || !pump_to_guest(c, &in))
		return vsock_conn_end(c);
	if (c->unix_shut && c->fin_sent) {
		if (may_go(c))
			return vsock_conn_end(c);
		loop_timer_arm(&c->timer, loop_now_ns() + LINGER_STEP_NS);
	} else if (!out || !in) {
		loop_timer_arm(&c->timer, loop_now_ns());
	}
	vsock_conn_watch(c);
}

static void on_fd(void *ctx, uint32_t events)
{
	struct vsock_conn *c = ctx;

	(void)events;
	if (c->state == VSOCK_HANDSHAKE || c->state == VSOCK_DIALLING)
		vsock_conn_handshake(c);
	else if (c->state == VSOCK_OPEN)
		pump(c);
}

static void on_timer(void *ctx)
{
	struct vsock_conn *c = ctx;

	if (c->state == VSOCK_OPEN)
		pump(c);
	else
		vsock_conn_end(c); /* nobody listens, or a client that says nothing */
}

/* ---- channel callbacks ----------------------------------------------------------------------- */

/* Tell the client that it is through: the peer port, or the GUID in the form it asked. */
static bool say_ok(struct vsock_conn *c)
{
	char line[GUID_STR_LEN + 8], id[GUID_STR_LEN + 1];
	int n;

	guid_format(&c->service, id);
	if (c->by_guid)
		n = snprintf(line, sizeof(line), "OK %s\n", id);
	else
		n = snprintf(line, sizeof(line), "OK %u\n", c->instance.d1);
	/* A fresh socket has room for one line. */
	return send(c->fd, line, (size_t)n, MSG_NOSIGNAL | MSG_DONTWAIT) == n;
}

static void chan_open(void *ctx, struct vmbus_chan *ch)
{
	struct vsock_conn *c = ctx;
	const bool from_host = c->state == VSOCK_OFFERED;

	if (!c->to_unix)
		c->to_unix = malloc(PIPE_MAX_PAYLOAD);
	if (c->state == VSOCK_DONE || c->state == VSOCK_OPEN || !c->to_unix) {
		vmbus_chan_open_done(ch, -ECONNREFUSED);
		return;
	}
	loop_timer_cancel(&c->timer);
	c->state = VSOCK_OPEN;
	vmbus_chan_open_done(ch, 0);
	if (from_host && !say_ok(c))
		return vsock_conn_end(c);
	pump(c);
}

static void chan_signalled(void *ctx, struct vmbus_chan *ch)
{
	struct vsock_conn *c = ctx;

	(void)ch;
	if (c->state == VSOCK_OPEN)
		pump(c);
}

static void chan_close(void *ctx, struct vmbus_chan *ch)
{
	struct vsock_conn *c = ctx;

	/* What the guest wrote before it closed is still in the ring. */
	if (c->state == VSOCK_OPEN) {
		int budget = BUDGET;

		(void)pump_to_unix(c, &budget);
	}
	close_unix(c);
	c->state = VSOCK_DONE;
	vmbus_chan_close_done(ch);
	vmbus_chan_revoke(ch);
}

static void chan_released(void *ctx, struct vmbus_chan *ch)
{
	(void)ch;
	vsock_conn_free(ctx);
}

const struct vmbus_chan_ops vsock_conn_chan_ops = {
	.open = chan_open,
	.close = chan_close,
	.signalled = chan_signalled,
	.released = chan_released,
};
