/* SPDX-License-Identifier: MIT */
/*
 * A whole control connection: the input is what the client writes, in pieces whose lengths it
 * chooses, too. The first byte says whether the server is restricted, whether the owner answers at
 * once, and how the connection ends. Answers must be well-formed frames. Programs do not start.
 */
#include "fuzz.h"

#include "bug.h"
#include "diag_server.h"
#include "log.h"
#include "rd.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#define HELD_MAX 512
#define DATA_CONNS 4

static struct rig {
	struct loop *loop;
	struct diag_server *srv[2];
	struct sockaddr_un control[2], data[2];
	struct diag_call *held[HELD_MAX];
	unsigned n_held;
	bool hold;
} rig;

/* No program is started by what a fuzzer has made up. */
pid_t __wrap_fork(void);
pid_t __wrap_fork(void)
{
	errno = EAGAIN;
	return -1;
}

/* ---- the owner ------------------------------------------------------------------------------- */

static void tree(struct inspect *in, const void *obj)
{
	inspect_str(in, SENS_SAFE, "name", "fuzz");
	inspect_u64(in, SENS_SENSITIVE, "secret", 1);
	inspect_dir(in, SENS_SAFE, "server", diag_server_inspect, obj);
}

static bool keep(struct diag_call *call)
{
	if (!rig.hold || rig.n_held == HELD_MAX)
		return false;
	rig.held[rig.n_held++] = call;
	return true;
}

static void op_inspect(void *ctx, struct diag_call *call, const struct inspect_request *req,
		       uint64_t deadline_ns)
{
	struct inspect_tree t;

	(void)ctx;
	(void)deadline_ns;
	if (keep(call))
		return;
	BUG_ON(inspect_run(req, tree, rig.srv[0], 1u << 20, &t) < 0);
	diag_call_tree(call, &t);
}

static void op_start(void *ctx, struct diag_call *call, const struct diag_start *req)
{
	size_t n = 0;

	(void)ctx;
	for (size_t i = 0; i < req->n_env; i++)
		n += strlen(req->env[i].name) + (req->env[i].val ? strlen(req->env[i].val) : 0);
	for (size_t i = 0; i < req->n_args; i++)
		n += strlen(req->args[i]);
	diag_call_fail(call, "%zu bytes", n);
}

static void op_vm(void *ctx, struct diag_call *call)
{
	(void)ctx;
	if (!keep(call))
		diag_call_done(call);
}

static void op_dump(void *ctx, struct diag_call *call)
{
	(void)ctx;
	diag_call_data(call, "state", 5);
}

static void op_capture(void *ctx, struct diag_call *call, const struct diag_capture *req)
{
	(void)ctx;
	for (size_t i = 0; i < req->n_fds; i++)
		(void)close(req->fds[i]);
	diag_call_streams(call, (uint32_t)req->n_fds);
}

static void op_crash(void *ctx, int32_t pid)
{
	(void)ctx;
	(void)pid;
}

static const struct diag_ops ops = {
	.inspect = op_inspect,
	.start = op_start,
	.restart = op_vm,
	.pause = op_vm,
	.resume = op_vm,
	.dump_saved_state = op_dump,
	.packet_capture = op_capture,
	.crash = op_crash,
};

/* ---- the server ------------------------------------------------------------------------------ */

/* An address without a file: the kernel chooses it. */
static int listener(struct sockaddr_un *ret_sa)
{
	const struct sockaddr_un any = { .sun_family = AF_UNIX };
	socklen_t len = sizeof(*ret_sa);
	int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);

	BUG_ON(fd < 0 || bind(fd, (const struct sockaddr *)&any, sizeof(sa_family_t)) < 0);
	BUG_ON(listen(fd, 16) < 0 || getsockname(fd, (struct sockaddr *)ret_sa, &len) < 0);
	return fd;
}

static void start(void)
{
	struct diag_server_cfg cfg = { .ops = &ops, .kmsg_path = "/dev/null" };

	log_init(LOG_ERR, true, NULL, NULL);
	BUG_ON(loop_create(64, &rig.loop) < 0);
	cfg.loop = rig.loop;
	for (int i = 0; i < 2; i++) {
		cfg.restricted = i;
		cfg.control_fd = listener(&rig.control[i]);
		cfg.data_fd = listener(&rig.data[i]);
		BUG_ON(diag_server_create(&cfg, &rig.srv[i]) < 0);
	}
}

static void run(void)
{
	for (int i = 0; i < 16; i++)
		loop_poll(rig.loop);
}

static int dial(const struct sockaddr_un *sa)
{
	/* Five bytes the kernel chose, behind a NUL. */
	const socklen_t len = sizeof(sa_family_t) + 6;
	int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);

	BUG_ON(fd < 0 || connect(fd, (const struct sockaddr *)sa, len) < 0);
	run();
	return fd;
}

/* ---- the client ------------------------------------------------------------------------------ */

static uint8_t answers[1u << 20];

/* Whole frames, responses, exactly one field in each. */
static void check_answers(size_t len)
{
	struct rd r = rd_make(answers, len);

	while (r.left >= 10) {
		const uint8_t *h = rd_bytes(&r, 10);
		const uint32_t n = be32_load(h);
		const uint8_t *msg = rd_bytes(&r, n);

		BUG_ON(h[8] != 2 || h[9] != 0 || !msg);
		BUG_ON(n < 2 || (msg[0] != 0x0a && msg[0] != 0x12));
	}
	BUG_ON(r.left);
}

static size_t read_answers(int fd, size_t have)
{
	ssize_t n;

	while ((n = recv(fd, answers + have, sizeof(answers) - have, 0)) > 0)
		have += (size_t)n;
	return have;
}

static void complete_held(void)
{
	for (unsigned i = 0; i < rig.n_held; i++)
		diag_call_fail(rig.held[i], "late");
	rig.n_held = 0;
}

static void talk(struct rd *in, int fd)
{
	size_t have = 0;

	while (in->left) {
		const size_t n = MIN((size_t)rd_u8(in) * 4 + 1, in->left);
		const void *p = rd_bytes(in, n);

		if (n && send(fd, p, n, MSG_NOSIGNAL) < 0)
			break;
		run();
		have = read_answers(fd, have);
	}
	complete_held();
	run();
	check_answers(read_answers(fd, have));
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct rd in = rd_make(data, size);
	int fd, conn[DATA_CONNS];
	uint8_t how;

	if (!rig.loop)
		start();
	if (size < 2)
		return 0;
	how = rd_u8(&in);
	rig.hold = how & 2;
	fd = dial(&rig.control[how & 1]);
	for (int i = 0; i < DATA_CONNS; i++)
		conn[i] = dial(&rig.data[how & 1]);
	talk(&in, fd);
	if (how & 4)
		(void)shutdown(fd, SHUT_WR);
	(void)close(fd);
	for (int i = 0; i < DATA_CONNS; i++)
		(void)close(conn[i]);
	run();
	return 0;
}
