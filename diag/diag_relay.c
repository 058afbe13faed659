/* SPDX-License-Identifier: MIT */
/*
 * Relays between a program's pipes or terminal and data connections. When the source ends, the
 * sink's writing side is closed; a data connection is then kept, and what comes in is thrown away,
 * until its client closes it, so that nothing on the way is lost. A sink whose reader goes away
 * ends the relay, too. Input: clients and their programs. Thread: the loop's.
 */
#include "diag_priv.h"

#include <errno.h>
#include <poll.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <unistd.h>

#define BATCH 16 /* reads of one relay before others have a turn */

#define GONE (POLLRDHUP | POLLHUP | POLLERR | POLLNVAL)

static void relay_free(struct diag_grave *g)
{
	free(container_of(g, struct diag_relay, grave));
}

static void close_end(struct diag_server *srv, int fd, bool data)
{
	if (fd < 0)
		return;
	if (data)
		diag_data_release(srv, fd);
	else
		(void)close(fd);
}

static void disown(struct diag_relay *r)
{
	if (r->owner)
		*r->owner = NULL;
	r->owner = NULL;
}

void diag_relay_stop(struct diag_relay *r)
{
	disown(r);
	diag_watch_stop(&r->in);
	diag_watch_stop(&r->out);
	close_end(r->srv, r->in_fd, r->in_data);
	close_end(r->srv, r->out_fd, r->out_data);
	r->in_fd = r->out_fd = -1;
	list_del(&r->link);
	diag_bury(r->srv, &r->grave, relay_free);
}

bool diag_relay_evict(struct diag_server *srv)
{
	list_for_each(l, &srv->relays) {
		struct diag_relay *r = container_of(l, struct diag_relay, link);

		if (r->linger) {
			srv->n.data_evicted++;
			diag_relay_stop(r);
			return true;
		}
	}
	return false;
}

/* The source is over or the sink's reader has gone. */
static void finish(struct diag_relay *r)
{
	if (!r->out_data) {
		diag_relay_stop(r);
		return;
	}
	disown(r);
	diag_watch_stop(&r->in);
	close_end(r->srv, r->in_fd, r->in_data);
	r->in_fd = -1;
	r->linger = true;
	(void)shutdown(r->out_fd, SHUT_WR);
	if (diag_watch_set(&r->out, POLLIN) < 0)
		diag_relay_stop(r);
}

/* Throw away what the client sends on a connection that it only reads; false = it has closed. */
static bool discard(struct diag_relay *r)
{
	ssize_t n;

	for (int i = 0; i < BATCH; i++) {
		n = recv(r->out_fd, r->buf, sizeof(r->buf), MSG_DONTWAIT);
		if (n < 0 && (errno == EAGAIN || errno == EINTR))
			return true;
		if (n <= 0)
			return false;
	}
	return true;
}

/* One write of what is in the buffer, or one read into it. 1 = go on, 0 = wait, -1 = over. */
static int step(struct diag_relay *r)
{
	ssize_t n;

	if (r->len) {
		n = r->out_data
			    ? send(r->out_fd, r->buf + r->off, r->len, MSG_NOSIGNAL | MSG_DONTWAIT)
			    : write(r->out_fd, r->buf + r->off, r->len);
		if (n > 0) {
			r->off += (uint32_t)n;
			r->len -= (uint32_t)n;
		}
	} else {
		n = read(r->in_fd, r->buf, sizeof(r->buf));
		if (n > 0) {
			r->off = 0;
			r->len = (uint32_t)n;
		}
	}
	if (n > 0 || (n < 0 && errno == EINTR))
		return 1;
	return n < 0 && errno == EAGAIN ? 0 : -1;
}

/* Some sockets report the end of the other side only to those who read. */
static uint32_t reader_events(const struct diag_relay *r)
{
	return r->out_data ? POLLIN | POLLRDHUP : POLLRDHUP;
}

static void pump(struct diag_relay *r)
{
	int go = 1;

	for (int i = 0; i < BATCH && go > 0; i++)
		go = step(r);
	/* With data at hand only the sink counts; without, its reader may still go away. */
	if (go < 0 || diag_watch_set(&r->in, r->len ? 0 : POLLIN) < 0 ||
	    diag_watch_set(&r->out, r->len ? POLLOUT : reader_events(r)) < 0)
		finish(r);
}

static void on_in(void *ctx, uint32_t events)
{
	struct diag_relay *r = ctx;
	struct diag_server *srv = r->srv;

	(void)events; /* a read tells more */
	diag_enter(srv);
	pump(r);
	diag_leave(srv);
}

static void on_out(void *ctx, uint32_t events)
{
	struct diag_relay *r = ctx;
	struct diag_server *srv = r->srv;

	diag_enter(srv);
	if (r->linger) {
		if (!discard(r))
			diag_relay_stop(r);
	} else if (!r->len && ((events & GONE) || (r->out_data && !discard(r)))) {
		finish(r);
	} else {
		pump(r);
	}
	diag_leave(srv);
}

static struct diag_relay *create(struct diag_server *srv, int in_fd, bool in_data, int out_fd,
				 bool out_data)
{
	struct diag_relay *r = calloc(1, sizeof(*r));

	if (!r) {
		close_end(srv, in_fd, in_data);
		close_end(srv, out_fd, out_data);
		return NULL;
	}
	r->srv = srv;
	r->in_fd = in_fd;
	r->out_fd = out_fd;
	r->in_data = in_data;
	r->out_data = out_data;
	diag_watch_init(&r->in, srv->loop, in_fd, on_in, r);
	diag_watch_init(&r->out, srv->loop, out_fd, on_out, r);
	list_add_tail(&srv->relays, &r->link);
	return r;
}

int diag_relay_start(struct diag_server *srv, int in_fd, bool in_data, int out_fd, bool out_data,
		     struct diag_relay **owner)
{
	struct diag_relay *r = create(srv, in_fd, in_data, out_fd, out_data);
	int err;

	if (!r)
		return -ENOMEM;
	err = diag_watch_set(&r->in, POLLIN);
	if (err == 0)
		err = diag_watch_set(&r->out, reader_events(r));
	if (err < 0) {
		diag_relay_stop(r);
		return err;
	}
	if (owner)
		*owner = r;
	r->owner = owner;
	return 0;
}

void diag_stream_finish(struct diag_server *srv, int fd)
{
	struct diag_relay *r = create(srv, -1, false, fd, true);

	if (r)
		finish(r);
}
