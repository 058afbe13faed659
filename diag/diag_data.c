/* SPDX-License-Identifier: MIT */
/*
 * Data connections: every one gets a number at once and waits under it until a request claims it,
 * its client goes away, or too many others have come. Input: clients. Thread: the loop's.
 */
#include "diag_priv.h"
#include "le.h"

#include <errno.h>
#include <poll.h>
#include <stdlib.h>
#include <sys/ioctl.h>
#include <sys/socket.h>
#include <unistd.h>

struct diag_data {
	struct diag_grave grave;
	struct list link;
	struct diag_server *srv;
	struct diag_watch watch;
	uint64_t id;
	int fd;
};

static void data_free(struct diag_grave *g)
{
	free(container_of(g, struct diag_data, grave));
}

/* Forget the entry. Returns its fd. */
static int detach(struct diag_data *d)
{
	const int fd = d->fd;

	diag_watch_stop(&d->watch);
	list_del(&d->link);
	diag_bury(d->srv, &d->grave, data_free);
	return fd;
}

void diag_data_release(struct diag_server *srv, int fd)
{
	(void)shutdown(fd, SHUT_RDWR);
	(void)close(fd);
	srv->n_data--;
}

void diag_data_close_all(struct diag_server *srv)
{
	while (!list_empty(&srv->unclaimed))
		diag_data_release(srv, detach(container_of(srv->unclaimed.next, struct diag_data,
							   link)));
}

/* Has the client closed its side? A socket of Hyper-V learns of that only when it is asked how much
 * there is to read. */
static bool is_gone(int fd)
{
	struct pollfd p = { .fd = fd, .events = POLLRDHUP };
	int n;

	(void)ioctl(fd, FIONREAD, &n);
	return poll(&p, 1, 0) > 0;
}

/* Either the end, or data for whoever claims the connection: then only the end counts. */
static void on_event(void *ctx, uint32_t events)
{
	struct diag_data *d = ctx;
	struct diag_server *srv = d->srv;

	diag_enter(srv);
	if ((events & ~(uint32_t)POLLIN) || is_gone(d->fd) ||
	    diag_watch_set(&d->watch, POLLRDHUP) < 0)
		diag_data_release(srv, detach(d));
	diag_leave(srv);
}

static bool make_room(struct diag_server *srv)
{
	if (srv->n_data < DIAG_MAX_DATA)
		return true;
	if (!list_empty(&srv->unclaimed)) {
		srv->n.data_evicted++;
		diag_data_release(srv, detach(container_of(srv->unclaimed.next, struct diag_data,
							   link)));
		return true;
	}
	return diag_relay_evict(srv);
}

static struct diag_data *create(struct diag_server *srv, int fd)
{
	struct diag_data *d = calloc(1, sizeof(*d));

	if (!d)
		return NULL;
	d->srv = srv;
	d->fd = fd;
	d->id = srv->next_id++;
	diag_watch_init(&d->watch, srv->loop, fd, on_event, d);
	if (diag_watch_set(&d->watch, POLLIN | POLLRDHUP) < 0) {
		free(d);
		return NULL;
	}
	return d;
}

void diag_data_accepted(struct diag_server *srv, int fd)
{
	struct diag_data *d;
	uint8_t id[8];

	srv->n.data_accepted++;
	d = make_room(srv) ? create(srv, fd) : NULL;
	if (!d) {
		srv->n.data_refused++;
		(void)close(fd);
		return;
	}
	srv->n_data++;
	list_add_tail(&srv->unclaimed, &d->link);
	le64_store(id, d->id);
	/* The first bytes of a connection always fit, or it is broken. */
	if (send(fd, id, sizeof(id), MSG_NOSIGNAL | MSG_DONTWAIT) != (ssize_t)sizeof(id))
		diag_data_release(srv, detach(d));
}

const char *diag_data_take(struct diag_server *srv, uint64_t id, int *ret_fd)
{
	int fd;

	list_for_each(l, &srv->unclaimed) {
		struct diag_data *d = container_of(l, struct diag_data, link);

		if (d->id != id)
			continue;
		fd = detach(d);
		if (is_gone(fd)) {
			diag_data_release(srv, fd);
			return "connection disconnected";
		}
		*ret_fd = fd;
		return NULL;
	}
	return "invalid connection id";
}
