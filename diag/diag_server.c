/* SPDX-License-Identifier: MIT */
/*
 * The server as a whole: listeners, life and death, its own inspection.
 * Input: connections of the host's clients. Thread: the loop's.
 */
#include "diag_server.h"

#include "bug.h"
#include "diag_priv.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#define ACCEPT_BATCH 16
#define ACCEPT_PAUSE_NS 100000000u

/* ---- callbacks and graves -------------------------------------------------------------------- */

void diag_enter(struct diag_server *srv)
{
	srv->depth++;
}

void diag_leave(struct diag_server *srv)
{
	struct list *l;

	if (--srv->depth)
		return;
	while ((l = list_pop(&srv->graves))) {
		struct diag_grave *g = container_of(l, struct diag_grave, link);

		g->free_fn(g);
	}
}

void diag_bury(struct diag_server *srv, struct diag_grave *g, void (*free_fn)(struct diag_grave *g))
{
	BUG_ON(!srv->depth);
	g->free_fn = free_fn;
	list_add_tail(&srv->graves, &g->link);
}

/* ---- listeners ------------------------------------------------------------------------------- */

static void pause_listener(struct diag_listener *l)
{
	diag_watch_stop(&l->watch);
	loop_timer_arm(&l->pause, loop_now_ns() + ACCEPT_PAUSE_NS);
}

static void on_connection(void *ctx, uint32_t events)
{
	struct diag_listener *l = ctx;
	int fd;

	diag_enter(l->srv);
	for (int i = 0; i < ACCEPT_BATCH; i++) {
		fd = accept4(l->fd, NULL, NULL, SOCK_CLOEXEC | SOCK_NONBLOCK);
		if (fd >= 0) {
			l->accepted(l->srv, fd);
			continue;
		}
		/* A client that has gone again is no reason to wait; all others are. */
		if (errno == EINTR || errno == ECONNABORTED)
			continue;
		if (errno != EAGAIN || (events & (POLLERR | POLLNVAL)))
			pause_listener(l);
		break;
	}
	diag_leave(l->srv);
}

static void on_pause_over(void *ctx)
{
	struct diag_listener *l = ctx;

	if (diag_watch_set(&l->watch, POLLIN) < 0)
		pause_listener(l);
}

static int listener_start(struct diag_listener *l, struct diag_server *srv, int fd,
			  void (*accepted)(struct diag_server *srv, int fd))
{
	const int flags = fcntl(fd, F_GETFL);

	l->srv = srv;
	l->accepted = accepted;
	if (flags < 0 || fcntl(fd, F_SETFL, flags | O_NONBLOCK) < 0 ||
	    fcntl(fd, F_SETFD, FD_CLOEXEC) < 0)
		return -errno;
	diag_watch_init(&l->watch, srv->loop, fd, on_connection, l);
	loop_timer_init(&l->pause, srv->loop, on_pause_over, l);
	l->fd = fd;
	return diag_watch_set(&l->watch, POLLIN);
}

/* @keep: the fd stays the caller's. */
static void listener_stop(struct diag_listener *l, bool keep)
{
	if (l->fd < 0)
		return;
	diag_watch_stop(&l->watch);
	loop_timer_cancel(&l->pause);
	if (!keep)
		(void)close(l->fd);
	l->fd = -1;
}

/* ---- life ------------------------------------------------------------------------------------ */

static void init(struct diag_server *srv, const struct diag_server_cfg *cfg)
{
	srv->loop = cfg->loop;
	srv->restricted = cfg->restricted;
	srv->ops = *cfg->ops;
	srv->ctx = cfg->ctx;
	srv->stall_ns = cfg->stall_ns ? cfg->stall_ns : DIAG_STALL_NS;
	srv->methods = cfg->restricted ? diag_methods_restricted : diag_methods_full;
	srv->frames.max = DIAG_FRAMES_MAX;
	srv->next_id = 1; /* 0 means "no connection" */
	srv->control.fd = srv->data.fd = -1;
	list_init(&srv->graves);
	list_init(&srv->ctls);
	list_init(&srv->lost);
	list_init(&srv->unclaimed);
	list_init(&srv->relays);
	list_init(&srv->files);
	list_init(&srv->children);
}

static void destroy(struct diag_server *srv, bool keep_fds)
{
	struct list *l;

	diag_enter(srv);
	listener_stop(&srv->control, keep_fds);
	listener_stop(&srv->data, keep_fds);
	diag_control_close_all(srv);
	diag_exec_close_all(srv);
	diag_stream_close_all(srv);
	diag_data_close_all(srv);
	/* What the owner still has is freed when he completes it. */
	while ((l = list_pop(&srv->lost)))
		container_of(l, struct diag_call, link)->srv = NULL;
	diag_leave(srv);
	free(srv->kmsg_path);
	free(srv);
}

int diag_server_create(const struct diag_server_cfg *cfg, struct diag_server **ret_srv)
{
	struct diag_server *srv = calloc(1, sizeof(*srv));
	int r;

	if (!srv)
		return -ENOMEM;
	init(srv, cfg);
	srv->kmsg_path = strdup(cfg->kmsg_path ? cfg->kmsg_path : "/dev/kmsg");
	r = srv->kmsg_path ? 0 : -ENOMEM;
	if (r == 0)
		r = listener_start(&srv->control, srv, cfg->control_fd, diag_control_accepted);
	if (r == 0)
		r = listener_start(&srv->data, srv, cfg->data_fd, diag_data_accepted);
	if (r < 0) {
		destroy(srv, true);
		return r;
	}
	*ret_srv = srv;
	return 0;
}

void diag_server_destroy(struct diag_server *srv)
{
	if (srv)
		destroy(srv, false);
}

/* ---- inspection ------------------------------------------------------------------------------ */

static void inspect_control(struct inspect *in, const void *obj)
{
	const struct diag_server *srv = obj;

	inspect_u64(in, SENS_SAFE, "connections", srv->n_ctl);
	inspect_count(in, SENS_SAFE, "accepted", srv->n.control_accepted);
	inspect_count(in, SENS_SAFE, "evicted", srv->n.control_evicted);
	inspect_count(in, SENS_SAFE, "dropped", srv->n.control_dropped);
	inspect_count(in, SENS_SAFE, "requests", srv->n.requests);
	inspect_count(in, SENS_SAFE, "refused", srv->n.refused);
	inspect_count(in, SENS_SAFE, "errors", srv->n.errors);
	inspect_count(in, SENS_SAFE, "late", srv->n.late);
	inspect_u64(in, SENS_SAFE, "request_bytes", srv->frames.used);
	inspect_u64(in, SENS_SAFE, "answer_bytes", srv->answer_bytes);
	inspect_u64(in, SENS_SAFE, "abandoned", srv->n_lost);
}

static void inspect_data(struct inspect *in, const void *obj)
{
	const struct diag_server *srv = obj;

	inspect_u64(in, SENS_SAFE, "connections", srv->n_data);
	inspect_count(in, SENS_SAFE, "accepted", srv->n.data_accepted);
	inspect_count(in, SENS_SAFE, "evicted", srv->n.data_evicted);
	inspect_count(in, SENS_SAFE, "refused", srv->n.data_refused);
}

static void inspect_programs(struct inspect *in, const void *obj)
{
	const struct diag_server *srv = obj;

	inspect_u64(in, SENS_SAFE, "running", srv->n_running);
	inspect_u64(in, SENS_SAFE, "exited", srv->n_exited);
	inspect_count(in, SENS_SAFE, "started", srv->n.programs);
}

void diag_server_inspect(struct inspect *in, const void *obj)
{
	const struct diag_server *srv = obj;

	inspect_bool(in, SENS_SAFE, "restricted", srv->restricted);
	inspect_dir(in, SENS_SAFE, "control", inspect_control, srv);
	inspect_dir(in, SENS_SAFE, "data", inspect_data, srv);
	inspect_dir(in, SENS_SAFE, "programs", inspect_programs, srv);
}
