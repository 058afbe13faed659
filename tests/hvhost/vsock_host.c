/* SPDX-License-Identifier: MIT */
/*
 * Listening, handshakes and offers. What happens on an open connection is in vsock_conn.c.
 */
#include "vsock_host.h"

#include "log.h"
#include "vsock_conn.h"

#include <errno.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <sys/random.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

#define LOG_AREA "vsock-host"
#define LISTEN_BACKLOG 64
#define MAX_GUEST_PENDING 16
/* How long a client may take to say where it wants to go, and VTL2 to open what was offered: it
 * answers nothing when nobody listens. */
#define HANDSHAKE_NS 10000000000ull
#define OPEN_NS 10000000000ull

static const struct guid service_template = HVSOCK_GUID(0);

/* Is it the GUID of a vsock port? */
static bool is_port_guid(const struct guid *g)
{
	struct guid t = service_template;

	t.d1 = g->d1;
	return guid_eq(g, &t);
}

/* ---- connections ----------------------------------------------------------------------------- */

struct vsock_conn *vsock_conn_new(struct vsock_host *v, int fd, enum vsock_state state)
{
	struct vsock_conn *c;

	if (v->n_conns >= VSOCK_HOST_MAX_CONNS)
		return NULL;
	c = calloc(1, sizeof(*c));
	if (!c)
		return NULL;
	c->v = v;
	c->fd = fd;
	c->state = state;
	vsock_conn_init(c);
	list_add_tail(&v->conns, &c->link);
	v->n_conns++;
	return c;
}

void vsock_conn_free(struct vsock_conn *c)
{
	list_del(&c->link);
	c->v->n_conns--;
	vsock_conn_fini(c);
	free(c);
}

static int offer(struct vsock_conn *c, const struct guid *interface_id,
		 const struct guid *instance_id, bool from_host)
{
	const struct vmbus_chan_cfg cfg = { .interface_id = *interface_id,
					    .instance_id = *instance_id,
					    .kind = VMBUS_CHAN_HVSOCK,
					    .hvsock_from_host = from_host,
					    .ops = &vsock_conn_chan_ops,
					    .ctx = c };
	int r;

	if (!vmbus_server_ready(c->v->cfg.server))
		return -ENOTCONN;
	r = vmbus_chan_offer(c->v->cfg.server, &cfg, &c->chan);
	if (r == 0)
		loop_timer_arm(&c->timer, loop_now_ns() + OPEN_NS);
	return r;
}

/* ---- host to guest: the CONNECT line --------------------------------------------------------- */

static int hex_val(char c)
{
	return c >= '0' && c <= '9' ? c - '0' :
	       c >= 'a' && c <= 'f' ? c - 'a' + 10 :
	       c >= 'A' && c <= 'F' ? c - 'A' + 10 : -1;
}

/* The GUID whose text this is, exactly. */
static bool guid_of(const char *text, struct guid *ret_g)
{
	static const int8_t at[16] = { 6, 4, 2, 0, 11, 9, 16, 14, 19, 21, 24, 26, 28, 30, 32, 34 };
	char again[GUID_STR_LEN + 1];
	uint8_t b[16];

	if (strlen(text) != GUID_STR_LEN)
		return false;
	for (unsigned i = 0; i < sizeof(b); i++) {
		int hi = hex_val(text[at[i]]), lo = hex_val(text[at[i] + 1]);

		if (hi < 0 || lo < 0)
			return false;
		b[i] = (uint8_t)(hi << 4 | lo);
	}
	memcpy(ret_g, b, sizeof(b));
	guid_format(ret_g, again);
	return strcasecmp(text, again) == 0; /* the dashes too */
}

/* "CONNECT <port or GUID>" without its newline. */
static bool parse_line(struct vsock_conn *c, struct guid *ret_service)
{
	static const char verb[] = "CONNECT ";
	const char *arg = c->line + sizeof(verb) - 1;
	uint64_t port = 0;

	if (strncasecmp(c->line, verb, sizeof(verb) - 1))
		return false;
	c->by_guid = guid_of(arg, ret_service);
	if (c->by_guid)
		return true;
	if (!*arg || strlen(arg) > 10)
		return false;
	for (; *arg; arg++) {
		if (*arg < '0' || *arg > '9')
			return false;
		port = port * 10 + (uint64_t)(*arg - '0');
	}
	if (port > UINT32_MAX)
		return false;
	*ret_service = service_template;
	ret_service->d1 = (uint32_t)port;
	return true;
}

/* The relay reached what VTL2 dialled. */
static void dialled(struct vsock_conn *c)
{
	c->state = VSOCK_GUEST_OFFERED;
	vsock_conn_watch(c);
	if (strcmp(c->line, "OK") || offer(c, &c->service, &c->instance, false) < 0)
		vsock_conn_end(c);
}

static void connect_guest(struct vsock_conn *c)
{
	struct guid service;

	if (!parse_line(c, &service) ||
	    getrandom(&c->instance, sizeof(c->instance), 0) != (ssize_t)sizeof(c->instance)) {
		vsock_conn_end(c);
		return;
	}
	c->service = service;
	c->state = VSOCK_OFFERED;
	vsock_conn_watch(c);
	if (offer(c, &service, &c->instance, true) < 0)
		vsock_conn_end(c);
}

void vsock_conn_handshake(struct vsock_conn *c)
{
	for (;;) {
		/* Byte by byte: what follows the newline belongs to the guest. */
		ssize_t n = recv(c->fd, c->line + c->line_len, 1, MSG_DONTWAIT);

		if (n < 0 && (errno == EAGAIN || errno == EINTR))
			return;
		if (n <= 0 || c->line_len == VSOCK_LINE_MAX)
			return vsock_conn_end(c);
		if (c->line[c->line_len] == '\n')
			break;
		c->line_len++;
	}
	c->line[c->line_len] = 0;
	if (c->state == VSOCK_DIALLING)
		dialled(c);
	else
		connect_guest(c);
}

static void on_accept(void *ctx, uint32_t events)
{
	struct vsock_host *v = ctx;
	struct vsock_conn *c;
	int fd = accept4(v->listen_fd, NULL, NULL, SOCK_CLOEXEC | SOCK_NONBLOCK);

	(void)events;
	if (fd < 0)
		return; /* gone again, or out of descriptors: the next event tries again */
	c = vsock_conn_new(v, fd, VSOCK_HANDSHAKE);
	if (!c) {
		log_warn_rl(ALLOWED, "too many connections");
		(void)close(fd);
		return;
	}
	loop_timer_arm(&c->timer, loop_now_ns() + HANDSHAKE_NS);
	vsock_conn_watch(c);
}

/* ---- guest to host --------------------------------------------------------------------------- */

static int connect_unix(const struct vsock_host *v, const char *suffix)
{
	struct sockaddr_un sa = { .sun_family = AF_UNIX };
	int n = snprintf(sa.sun_path, sizeof(sa.sun_path), "%s%s", v->path, suffix);
	int fd, r;

	if (n < 0 || (size_t)n >= sizeof(sa.sun_path))
		return -ENAMETOOLONG;
	fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
	if (fd < 0)
		return -errno;
	if (connect(fd, (struct sockaddr *)&sa, sizeof(sa)) < 0) {
		r = -errno;
		(void)close(fd);
		return r;
	}
	return fd;
}

/* "_<port>" or "_<GUID>": how the socket is called that VTL2 dials. */
static void suffix_of(const struct guid *service, char ret_suffix[GUID_STR_LEN + 2])
{
	ret_suffix[0] = '_';
	if (is_port_guid(service))
		(void)snprintf(ret_suffix + 1, GUID_STR_LEN + 1, "%u", service->d1);
	else
		guid_format(service, ret_suffix + 1);
}

/* Ask the relay, if there is one. */
static int connect_relay(const struct vsock_host *v, const char *what)
{
	char line[GUID_STR_LEN + 4];
	int fd = connect_unix(v, VSOCK_DIAL_SUFFIX);
	int n = snprintf(line, sizeof(line), "%s\n", what);

	if (fd >= 0 && send(fd, line, (size_t)n, MSG_NOSIGNAL | MSG_DONTWAIT) != n) {
		(void)close(fd);
		fd = -EPIPE;
	}
	return fd;
}

static unsigned guest_pending(const struct vsock_host *v)
{
	unsigned n = 0;

	list_for_each(l, &v->conns) {
		const enum vsock_state st = container_of(l, struct vsock_conn, link)->state;

		n += st == VSOCK_GUEST_OFFERED || st == VSOCK_DIALLING;
	}
	return n;
}

static int on_tl_connect(void *ctx, const struct guid *endpoint, const struct guid *service)
{
	enum vsock_state state = VSOCK_GUEST_OFFERED;
	char suffix[GUID_STR_LEN + 2];
	struct vsock_host *v = ctx;
	struct vsock_conn *c;
	int fd, r;

	if (guest_pending(v) >= MAX_GUEST_PENDING)
		return -EBUSY;
	suffix_of(service, suffix);
	fd = connect_unix(v, suffix);
	if (fd == -ENOENT) {
		fd = connect_relay(v, suffix + 1);
		state = VSOCK_DIALLING;
	}
	if (fd < 0)
		return fd;
	c = vsock_conn_new(v, fd, state);
	if (!c) {
		(void)close(fd);
		return -ENOMEM;
	}
	c->service = *service;
	c->instance = *endpoint;
	if (state == VSOCK_DIALLING) {
		loop_timer_arm(&c->timer, loop_now_ns() + OPEN_NS);
		vsock_conn_watch(c);
		return 0;
	}
	r = offer(c, service, endpoint, false);
	if (r < 0)
		vsock_conn_end(c);
	return r;
}

/* ---- life cycle ------------------------------------------------------------------------------ */

/* A socket of that name with nobody behind it is what an earlier run left. */
static int make_room(const struct sockaddr_un *sa)
{
	struct stat st;
	int fd, r;

	if (lstat(sa->sun_path, &st) < 0)
		return errno == ENOENT ? 0 : -errno;
	if (!S_ISSOCK(st.st_mode))
		return -EEXIST;
	fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
	if (fd < 0)
		return -errno;
	r = connect(fd, (const struct sockaddr *)sa, sizeof(*sa)) < 0 ? -errno : 0;
	(void)close(fd);
	if (r != -ECONNREFUSED)
		return -EADDRINUSE; /* somebody listens, even if too busy to answer */
	return unlink(sa->sun_path) < 0 ? -errno : 0;
}

static int listen_at(struct vsock_host *v)
{
	struct sockaddr_un sa = { .sun_family = AF_UNIX };
	const size_t len = strlen(v->cfg.path);
	int r;

	if (len >= sizeof(sa.sun_path))
		return -ENAMETOOLONG;
	memcpy(sa.sun_path, v->cfg.path, len);
	r = make_room(&sa);
	if (r < 0)
		return r;
	v->listen_fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
	if (v->listen_fd < 0)
		return -errno;
	if (bind(v->listen_fd, (struct sockaddr *)&sa, sizeof(sa)) < 0)
		return -errno;
	v->bound = true;
	if (listen(v->listen_fd, LISTEN_BACKLOG) < 0)
		return -errno;
	r = loop_fd_add(&v->listen_watch, v->cfg.loop, v->listen_fd, POLLIN, on_accept, v);
	v->watching = r == 0;
	return r;
}

int vsock_host_create(const struct vsock_host_cfg *cfg, struct vsock_host **ret_v)
{
	struct vsock_host *v = calloc(1, sizeof(*v));
	int r;

	if (!v)
		return -ENOMEM;
	v->cfg = *cfg;
	v->listen_fd = -1;
	list_init(&v->conns);
	v->path = strdup(cfg->path);
	v->cfg.path = v->path;
	r = v->path ? listen_at(v) : -ENOMEM;
	if (r < 0) {
		vsock_host_destroy(v);
		return r;
	}
	vmbus_server_hook_tl_connect(cfg->server, on_tl_connect, v);
	*ret_v = v;
	return 0;
}

void vsock_host_destroy(struct vsock_host *v)
{
	if (!v)
		return;
	vmbus_server_hook_tl_connect(v->cfg.server, NULL, NULL);
	while (!list_empty(&v->conns)) {
		struct vsock_conn *c = container_of(v->conns.next, struct vsock_conn, link);

		vmbus_chan_destroy(c->chan);
		c->chan = NULL;
		vsock_conn_free(c);
	}
	if (v->watching)
		loop_fd_remove(&v->listen_watch);
	if (v->listen_fd >= 0)
		(void)close(v->listen_fd);
	if (v->bound)
		(void)unlink(v->path);
	free(v->path);
	free(v);
}
