/* SPDX-License-Identifier: MIT */
#include "hybrid_front.h"

#include "list.h"

#include <ctype.h>
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

#define MAX_PORTS 4
#define LINE_MAX_BYTES 45
#define BUF_BYTES 16384
#define BATCH 8

struct half { /* one direction */
	char buf[BUF_BYTES];
	size_t off, len;
	bool eof, done;
};

struct conn {
	struct list link;
	struct hybrid_front *front;
	struct loop_fd lfd[2]; /* the client, the port */
	uint32_t watched[2];
	int fd[2];
	char line[LINE_MAX_BYTES + 1];
	size_t n_line;
	struct half half[2]; /* from the client, from the port */
};

struct hybrid_front {
	struct loop *loop;
	struct loop_fd lfd;
	bool listening;
	struct list conns;
	unsigned n_conns, next_peer;
	int fd;
	char *path;
	unsigned port[MAX_PORTS];
	char *port_path[MAX_PORTS];
	size_t n_ports;
};

static int address(const char *path, struct sockaddr_un *ret_sa)
{
	*ret_sa = (struct sockaddr_un){ .sun_family = AF_UNIX };
	if (strlen(path) >= sizeof(ret_sa->sun_path))
		return -ENAMETOOLONG;
	memcpy(ret_sa->sun_path, path, strlen(path));
	return 0;
}

int hybrid_listen(const char *path, int *ret_fd)
{
	struct sockaddr_un sa;
	struct stat st;
	int fd, r = address(path, &sa);

	if (r < 0)
		return r;
	if (lstat(path, &st) == 0 && S_ISSOCK(st.st_mode))
		(void)unlink(path);
	fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
	if (fd < 0)
		return -errno;
	if (bind(fd, (const struct sockaddr *)&sa, sizeof(sa)) < 0 || listen(fd, 128) < 0) {
		r = -errno;
		(void)close(fd);
		return r;
	}
	*ret_fd = fd;
	return 0;
}

/* ---- joined connections ---------------------------------------------------------------------- */

static void on_client(void *ctx, uint32_t events);
static void on_port(void *ctx, uint32_t events);
static void on_accept(void *ctx, uint32_t events);

static void unwatch(struct conn *c, int i)
{
	if (c->watched[i])
		loop_fd_remove(&c->lfd[i]);
	c->watched[i] = 0;
}

static int watch(struct conn *c, int i, uint32_t events)
{
	int r = 0;

	if (events == c->watched[i])
		return 0;
	unwatch(c, i);
	if (events)
		r = loop_fd_add(&c->lfd[i], c->front->loop, c->fd[i], events,
				i ? on_port : on_client, c);
	if (r == 0)
		c->watched[i] = events;
	return r;
}

static void listen_again(struct hybrid_front *f)
{
	if (!f->listening && f->n_conns < HYBRID_FRONT_MAX)
		f->listening = loop_fd_add(&f->lfd, f->loop, f->fd, POLLIN, on_accept, f) == 0;
}

static void conn_free(struct conn *c)
{
	struct hybrid_front *f = c->front;

	for (int i = 0; i < 2; i++) {
		unwatch(c, i);
		if (c->fd[i] < 0)
			continue;
		(void)shutdown(c->fd[i], SHUT_RDWR);
		(void)close(c->fd[i]);
	}
	list_del(&c->link);
	free(c);
	f->n_conns--;
	listen_again(f);
}

/* Move bytes from fd[i] to the other; false = broken. */
static bool pump(struct conn *c, int i)
{
	struct half *h = &c->half[i];
	ssize_t n;

	for (int k = 0; k < BATCH && !h->done; k++) {
		if (!h->len && !h->eof) {
			n = recv(c->fd[i], h->buf, sizeof(h->buf), MSG_DONTWAIT);
			if (n < 0)
				return errno == EAGAIN || errno == EINTR;
			h->eof = n == 0;
			h->off = 0;
			h->len = (size_t)n;
		}
		if (!h->len) {
			(void)shutdown(c->fd[!i], SHUT_WR);
			h->done = true;
			break;
		}
		n = send(c->fd[!i], h->buf + h->off, h->len, MSG_NOSIGNAL | MSG_DONTWAIT);
		if (n < 0)
			return errno == EAGAIN || errno == EINTR;
		h->off += (size_t)n;
		h->len -= (size_t)n;
	}
	return true;
}

static uint32_t wanted(const struct conn *c, int i)
{
	const struct half *in = &c->half[i], *out = &c->half[!i];

	return (!in->eof && !in->len ? POLLIN : 0u) | (out->len ? POLLOUT : 0u);
}

static void move(struct conn *c)
{
	if (!pump(c, 0) || !pump(c, 1) || (c->half[0].done && c->half[1].done) ||
	    watch(c, 0, wanted(c, 0)) < 0 || watch(c, 1, wanted(c, 1)) < 0)
		conn_free(c);
}

static void on_port(void *ctx, uint32_t events)
{
	(void)events;
	move(ctx);
}

/* ---- the request line ------------------------------------------------------------------------ */

static const char *port_path(const struct hybrid_front *f, const char *line)
{
	unsigned long port;
	char *end;

	if (strncasecmp(line, "CONNECT ", 8) != 0 || !isdigit((unsigned char)line[8]))
		return NULL;
	port = strtoul(line + 8, &end, 10);
	for (size_t i = 0; i < f->n_ports && !*end; i++) {
		if (f->port[i] == port)
			return f->port_path[i];
	}
	return NULL;
}

static bool join(struct conn *c)
{
	const char *path = port_path(c->front, c->line);
	struct sockaddr_un sa;
	char ok[32];
	int n;

	if (!path || address(path, &sa) < 0)
		return false;
	c->fd[1] = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
	if (c->fd[1] < 0 || connect(c->fd[1], (const struct sockaddr *)&sa, sizeof(sa)) < 0)
		return false;
	n = snprintf(ok, sizeof(ok), "OK %u\n", ++c->front->next_peer);
	return send(c->fd[0], ok, (size_t)n, MSG_NOSIGNAL | MSG_DONTWAIT) == n;
}

static void on_client(void *ctx, uint32_t events)
{
	struct conn *c = ctx;
	ssize_t n;

	(void)events;
	while (c->fd[1] < 0) {
		n = recv(c->fd[0], c->line + c->n_line, 1, MSG_DONTWAIT);
		if (n < 0 && (errno == EAGAIN || errno == EINTR))
			return;
		if (n > 0 && c->line[c->n_line] != '\n' && ++c->n_line < LINE_MAX_BYTES)
			continue;
		c->line[c->n_line] = 0;
		if (n <= 0 || c->n_line == LINE_MAX_BYTES || !join(c)) {
			conn_free(c);
			return;
		}
	}
	move(c);
}

static void on_accept(void *ctx, uint32_t events)
{
	struct hybrid_front *f = ctx;
	int fd = accept4(f->fd, NULL, NULL, SOCK_CLOEXEC | SOCK_NONBLOCK);
	struct conn *c;

	(void)events;
	if (fd < 0)
		return;
	c = calloc(1, sizeof(*c));
	if (!c) {
		(void)close(fd);
		return;
	}
	c->front = f;
	c->fd[0] = fd;
	c->fd[1] = -1;
	list_add_tail(&f->conns, &c->link);
	if (++f->n_conns == HYBRID_FRONT_MAX) {
		loop_fd_remove(&f->lfd);
		f->listening = false;
	}
	if (watch(c, 0, POLLIN) < 0)
		conn_free(c);
}

/* ---- life ------------------------------------------------------------------------------------ */

int hybrid_front_create(const struct hybrid_front_cfg *cfg, struct hybrid_front **ret_front)
{
	struct hybrid_front *f = calloc(1, sizeof(*f));
	int r = 0;

	if (!f)
		return -ENOMEM;
	f->loop = cfg->loop;
	f->fd = -1;
	list_init(&f->conns);
	f->path = strdup(cfg->path);
	if (!f->path || cfg->n_ports > MAX_PORTS)
		r = -ENOMEM;
	for (size_t i = 0; i < cfg->n_ports && r == 0; i++) {
		f->port[i] = cfg->ports[i].port;
		f->port_path[i] = strdup(cfg->ports[i].path);
		if (!f->port_path[i])
			r = -ENOMEM;
		f->n_ports++;
	}
	if (r == 0)
		r = hybrid_listen(f->path, &f->fd);
	if (r == 0)
		r = loop_fd_add(&f->lfd, f->loop, f->fd, POLLIN, on_accept, f);
	if (r < 0) {
		hybrid_front_destroy(f);
		return r;
	}
	f->listening = true;
	*ret_front = f;
	return 0;
}

void hybrid_front_destroy(struct hybrid_front *f)
{
	if (!f)
		return;
	if (f->listening)
		loop_fd_remove(&f->lfd);
	f->n_conns += HYBRID_FRONT_MAX; /* so that nothing is accepted any more */
	while (!list_empty(&f->conns))
		conn_free(container_of(f->conns.next, struct conn, link));
	if (f->fd >= 0) {
		(void)close(f->fd);
		(void)unlink(f->path);
	}
	for (size_t i = 0; i < f->n_ports; i++)
		free(f->port_path[i]);
	free(f->path);
	free(f);
}
