/* SPDX-License-Identifier: MIT */
/*
 * The real diagnostics server as a program of its own, behind a hybrid-vsock socket, so that every
 * client can be tried without a VM.
 */
#include "diag_server.h"
#include "hosted_owner.h"
#include "hybrid_front.h"
#include "log.h"

#include <errno.h>
#include <getopt.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/signalfd.h>
#include <unistd.h>

struct options {
	const char *path;
	const char *kmsg;
	bool restricted, stuck, busy, waiting;
};

static struct {
	struct loop *loop;
	struct loop_fd end;
	int end_fd;
	char *port_path[2];
	int port_fd[2];
	struct diag_server *srv;
	struct hosted_owner *owner;
	struct hybrid_front *front;
} me = { .end_fd = -1, .port_fd = { -1, -1 } };

static void usage(FILE *to)
{
	(void)fprintf(
		to,
		"usage: keel-diag-hosted --socket PATH [--restricted] [--stuck] [--busy]\n"
		"                        [--waiting] [--kmsg FILE]\n"
		"\n"
		"Serve the paravisor's diagnostics, with a small tree of its own, to clients of\n"
		"the hybrid-vsock socket PATH (ports 1 and 2, also reachable as PATH.1 and\n"
		"PATH.2). Prints \"ready\" when it listens; ends with SIGTERM or SIGINT.\n"
		"\n"
		"  --restricted  as on a confidential VM\n"
		"  --stuck       with a node that nobody answers for: vm/stuck\n"
		"  --busy        with what a VM under load would show\n"
		"  --waiting     the VM waits for `start`\n"
		"  --kmsg FILE   serve this as the kernel's log (default /dev/kmsg)\n");
}

static bool parse(int argc, char **argv, struct options *ret_o)
{
	static const struct option longs[] = {
		{ "socket", required_argument, NULL, 's' },
		{ "restricted", no_argument, NULL, 'r' },
		{ "stuck", no_argument, NULL, 'k' },
		{ "busy", no_argument, NULL, 'b' },
		{ "waiting", no_argument, NULL, 'w' },
		{ "kmsg", required_argument, NULL, 'm' },
		{ "help", no_argument, NULL, 'h' },
		{ 0 },
	};
	int c;

	*ret_o = (struct options){ 0 };
	while ((c = getopt_long(argc, argv, "", longs, NULL)) >= 0) {
		switch (c) {
		case 's':
			ret_o->path = optarg;
			break;
		case 'r':
			ret_o->restricted = true;
			break;
		case 'k':
			ret_o->stuck = true;
			break;
		case 'b':
			ret_o->busy = true;
			break;
		case 'w':
			ret_o->waiting = true;
			break;
		case 'm':
			ret_o->kmsg = optarg;
			break;
		case 'h':
			usage(stdout);
			exit(0);
		default:
			return false;
		}
	}
	return ret_o->path && optind == argc;
}

static void on_end(void *ctx, uint32_t events)
{
	(void)ctx;
	(void)events;
	loop_stop(me.loop);
}

/* Signals that end the program arrive on the loop. */
static int catch_signals(void)
{
	sigset_t set;

	(void)sigemptyset(&set);
	(void)sigaddset(&set, SIGTERM);
	(void)sigaddset(&set, SIGINT);
	(void)sigprocmask(SIG_BLOCK, &set, NULL);
	me.end_fd = signalfd(-1, &set, SFD_CLOEXEC | SFD_NONBLOCK);
	if (me.end_fd < 0)
		return -errno;
	return loop_fd_add(&me.end, me.loop, me.end_fd, POLLIN, on_end, NULL);
}

static int serve(const struct options *o)
{
	struct hosted_owner_cfg oc = {
		.loop = me.loop, .stuck = o->stuck, .busy = o->busy, .waiting = o->waiting
	};
	struct diag_server_cfg sc = { .loop = me.loop,
				      .restricted = o->restricted,
				      .kmsg_path = o->kmsg };
	const struct hybrid_port ports[] = { { DIAG_PORT_CONTROL, me.port_path[0] },
					     { DIAG_PORT_DATA, me.port_path[1] } };
	const struct hybrid_front_cfg fc = {
		.loop = me.loop, .path = o->path, .ports = ports, .n_ports = ARRAY_SIZE(ports)
	};
	int r = 0;

	for (int i = 0; i < 2 && r == 0; i++)
		r = hybrid_listen(me.port_path[i], &me.port_fd[i]);
	if (r == 0)
		r = hosted_owner_create(&oc, &me.owner);
	if (r < 0)
		return r;
	sc.ops = oc.ops;
	sc.ctx = me.owner;
	sc.control_fd = me.port_fd[0];
	sc.data_fd = me.port_fd[1];
	r = diag_server_create(&sc, &me.srv);
	if (r < 0)
		return r;
	hosted_owner_set_server(me.owner, me.srv);
	r = hybrid_front_create(&fc, &me.front);
	if (r < 0)
		return r;
	(void)printf("ready\n");
	(void)fflush(stdout);
	return loop_run(me.loop);
}

int main(int argc, char **argv)
{
	const struct sigaction ign = { .sa_handler = SIG_IGN };
	struct options o;
	int r;

	if (!parse(argc, argv, &o)) {
		usage(stderr);
		return 2;
	}
	log_set_name("hosted");
	log_init(LOG_INFO, o.restricted, NULL, NULL);
	(void)sigaction(SIGPIPE, &ign, NULL);
	r = loop_create(256, &me.loop);
	for (int i = 0; i < 2 && r == 0; i++) {
		if (asprintf(&me.port_path[i], "%s.%d", o.path, i + 1) < 0)
			r = -ENOMEM;
	}
	if (r == 0)
		r = catch_signals();
	if (r == 0)
		r = serve(&o);
	if (r < 0)
		(void)fprintf(stderr, "keel-diag-hosted: %s: %s\n", o.path, strerror(-r));
	hybrid_front_destroy(me.front);
	diag_server_destroy(me.srv);
	hosted_owner_destroy(me.owner);
	for (int i = 0; i < 2; i++) {
		if (me.port_fd[i] >= 0)
			(void)unlink(me.port_path[i]);
		free(me.port_path[i]);
	}
	if (me.end_fd >= 0) {
		loop_fd_remove(&me.end);
		(void)close(me.end_fd);
	}
	loop_destroy(me.loop);
	return r < 0 ? 1 : 0;
}
