/* SPDX-License-Identifier: MIT */
/*
 * Files and devices streamed to a data connection. A character device is read record by record,
 * each with a NUL behind it; a regular file is copied as it is. Input: the file; the client only
 * reads. Thread: the loop's; files are opened non-blocking, so a device without data is waited for
 * on the loop, or is over.
 */
#include "diag_priv.h"

#include <errno.h>
#include <poll.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <unistd.h>

#define BATCH 32
#define RECORD_MAX 2047 /* and a NUL: the buffer of the clients */
#define COPY_MAX 4096

struct diag_file {
	struct diag_grave grave;
	struct list link;
	struct diag_server *srv;
	struct diag_watch in, out;
	int fd, conn;
	bool records, follow;
	uint32_t off, len;
	uint8_t buf[COPY_MAX];
};

static void file_free(struct diag_grave *g)
{
	free(container_of(g, struct diag_file, grave));
}

/* @over: everything was sent; then the client is waited for, because some sockets keep what he has
 * not read for a few seconds only once they are closed. */
static void file_end(struct diag_file *f, bool over)
{
	diag_watch_stop(&f->in);
	diag_watch_stop(&f->out);
	(void)close(f->fd);
	if (over)
		diag_stream_finish(f->srv, f->conn);
	else
		diag_data_release(f->srv, f->conn);
	list_del(&f->link);
	diag_bury(f->srv, &f->grave, file_free);
}

static void file_stop(struct diag_file *f)
{
	file_end(f, false);
}

void diag_stream_close_all(struct diag_server *srv)
{
	while (!list_empty(&srv->files))
		file_stop(container_of(srv->files.next, struct diag_file, link));
	while (!list_empty(&srv->relays))
		diag_relay_stop(container_of(srv->relays.next, struct diag_relay, link));
}

/* 1 = go on, 0 = wait for the device, -1 = over. */
static int fill(struct diag_file *f)
{
	const ssize_t n = read(f->fd, f->buf, f->records ? RECORD_MAX : COPY_MAX);

	if (n > 0) {
		f->off = 0;
		f->len = (uint32_t)n;
		if (f->records)
			f->buf[f->len++] = 0;
		return 1;
	}
	/* EPIPE: the kernel has overwritten records; the next read continues behind the gap. */
	if (n < 0 && (errno == EINTR || (errno == EPIPE && f->records)))
		return 1;
	return n < 0 && errno == EAGAIN && f->follow && f->records ? 0 : -1;
}

/* 1 = go on, 0 = wait for the client, -1 = over. */
static int drain(struct diag_file *f)
{
	const ssize_t n = send(f->conn, f->buf + f->off, f->len, MSG_NOSIGNAL | MSG_DONTWAIT);

	if (n < 0)
		return errno == EINTR ? 1 : errno == EAGAIN ? 0 : -1;
	f->off += (uint32_t)n;
	f->len -= (uint32_t)n;
	return 1;
}

static void pump(struct diag_file *f)
{
	int go = 1, r = 0;

	for (int i = 0; i < BATCH && go > 0; i++)
		go = f->len ? drain(f) : fill(f);
	/* Wait for the client, or only let others have a turn. */
	if (go >= 0 && (f->len || go > 0)) {
		r = diag_watch_set(&f->in, 0);
		if (r == 0)
			r = diag_watch_set(&f->out, POLLOUT);
	} else if (go == 0) {
		r = diag_watch_set(&f->in, POLLIN);
		if (r == 0)
			r = diag_watch_set(&f->out, POLLIN | POLLRDHUP);
	}
	if (go < 0 || r < 0)
		file_end(f, go < 0 && !f->len);
}

static void on_in(void *ctx, uint32_t events)
{
	struct diag_file *f = ctx;
	struct diag_server *srv = f->srv;

	diag_enter(srv);
	/* The kernel's log reports lost records as an error and goes on; a broken device does not
	 * become readable. */
	if (events & POLLNVAL || (events & (POLLERR | POLLHUP) && !(events & POLLIN)))
		file_stop(f);
	else
		pump(f);
	diag_leave(srv);
}

/* Throw away what the client sends; false = it has closed, which some sockets report only to those
 * who read. The buffer is empty while the device is waited for. */
static bool discard(struct diag_file *f)
{
	const ssize_t n = recv(f->conn, f->buf, sizeof(f->buf), MSG_DONTWAIT);

	return n > 0 || (n < 0 && (errno == EAGAIN || errno == EINTR));
}

static void on_out(void *ctx, uint32_t events)
{
	struct diag_file *f = ctx;
	struct diag_server *srv = f->srv;

	diag_enter(srv);
	if (events & POLLOUT)
		pump(f);
	else if ((events & (POLLRDHUP | POLLHUP | POLLERR | POLLNVAL)) || !discard(f))
		file_stop(f);
	diag_leave(srv);
}

int diag_file_start(struct diag_server *srv, int fd, bool records, bool follow, int conn)
{
	struct diag_file *f = calloc(1, sizeof(*f));
	int r;

	if (!f)
		return -ENOMEM;
	f->srv = srv;
	f->fd = fd;
	f->conn = conn;
	f->records = records;
	f->follow = follow;
	diag_watch_init(&f->in, srv->loop, fd, on_in, f);
	diag_watch_init(&f->out, srv->loop, conn, on_out, f);
	r = diag_watch_set(&f->out, POLLOUT);
	if (r < 0) {
		free(f);
		return r;
	}
	list_add_tail(&srv->files, &f->link);
	return 0;
}
