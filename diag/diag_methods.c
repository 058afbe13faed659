/* SPDX-License-Identifier: MIT */
/*
 * The services: which methods there are for which kind of server, and what each does with its
 * request. Input: requests of clients, checked by diag_msg_decode(). Thread: the loop's.
 */
#include "cleanup.h"
#include "diag_msg.h"
#include "diag_priv.h"
#include "inspect_rpc.h"
#include "log.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include <diag.pb-c.h>
#include <inspect.pb-c.h>

#define LOG_AREA "diag"

/* Members of a message have these names; a C library may define them as more than themselves. */
#undef stdin
#undef stdout
#undef stderr

#define MAX_CAPTURE_STREAMS DIAG_MAX_DATA

/* The request, or NULL: the call has been answered. */
static void *decode(struct diag_call *call, const ProtobufCMessageDescriptor *desc,
		    const uint8_t *raw, size_t len)
{
	ProtobufCMessage *msg = NULL;
	const char *why = "";
	char text[128];

	if (diag_msg_decode(desc, raw, len, DIAG_MAX_ARGS, &why, &msg) == 0)
		return msg;
	(void)snprintf(text, sizeof(text), "decoding failed in %s: %s", desc->name, why);
	diag_call_status(call, DIAG_INVALID_ARGUMENT, text);
	return NULL;
}

static void release(void *msg)
{
	protobuf_c_message_free_unpacked(msg, NULL);
}

/* For requests without fields. */
static bool decode_empty(struct diag_call *call, const uint8_t *raw, size_t len)
{
	void *msg = decode(call, &diag__empty__descriptor, raw, len);

	release(msg);
	return msg;
}

/* ---- answers of the owner -------------------------------------------------------------------- */

void diag_call_done(struct diag_call *call)
{
	diag_call_ok(call, NULL, 0);
}

void diag_call_data(struct diag_call *call, const void *data, size_t len)
{
	uint8_t *buf = len <= DIAG_ANSWER_MAX ? malloc(len + 16) : NULL;
	Diag__DumpSavedStateResponse resp = DIAG__DUMP_SAVED_STATE_RESPONSE__INIT;
	union {
		const void *in;
		void *out;
	} p = { .in = data }; /* packing only reads it */

	if (!buf) {
		diag_call_status(call, DIAG_RESOURCE_EXHAUSTED, "the saved state is too large");
		return;
	}
	resp.data.data = p.out;
	resp.data.len = len;
	diag_call_ok(call, buf, diag__dump_saved_state_response__pack(&resp, buf));
	free(buf);
}

void diag_call_streams(struct diag_call *call, uint32_t n)
{
	Diag__NetworkPacketCaptureResponse resp = DIAG__NETWORK_PACKET_CAPTURE_RESPONSE__INIT;
	uint8_t buf[16];

	resp.num_streams = n;
	diag_call_ok(call, buf, diag__network_packet_capture_response__pack(&resp, buf));
}

/* What an update would have met, had it been tried: with restrictions nothing is changed. */
static void refuse_update(struct diag_call *call, const struct inspect_node *root)
{
	if (root->kind == INSPECT_ERROR)
		diag_call_fail(call, "%s", inspect_error_text(root));
	else if (root->kind == INSPECT_DIR || root->kind == INSPECT_UNEVALUATED)
		diag_call_fail(call, "unresolved");
	else
		diag_call_fail(call, "immutable node");
}

static void fail_update(struct diag_call *call, const struct inspect_node *root)
{
	if (root->err == INSPECT_UPDATE && root->str.len)
		diag_call_fail(call, "%s: %s", inspect_error_text(root), root->str.data);
	else
		diag_call_fail(call, "%s", inspect_error_text(root));
}

static void answer_tree(struct diag_call *call, const struct inspect_tree *tree)
{
	uint8_t *buf = NULL;
	size_t len = 0;
	int r;

	if (call->answer == DIAG_ANSWER_INSPECT)
		r = inspect_rpc_encode(tree, DIAG_ANSWER_MAX, &buf, &len);
	else
		r = inspect_rpc_encode_value(tree, DIAG_ANSWER_MAX, &buf, &len);
	if (r == -EMSGSIZE)
		diag_call_status(call, DIAG_RESOURCE_EXHAUSTED, "the answer is too large");
	else if (r < 0)
		diag_call_status(call, DIAG_INTERNAL, "the answer cannot be encoded");
	else
		diag_call_ok(call, buf, len);
	free(buf);
}

void diag_call_tree(struct diag_call *call, struct inspect_tree *tree)
{
	struct inspect_node *n;

	if (!call->ctl) { /* nobody waits for it */
		inspect_tree_fini(tree);
		diag_call_done(call);
		return;
	}
	while ((n = inspect_pending(tree)))
		inspect_graft(tree, n, NULL);
	inspect_sort(tree);
	if (call->answer == DIAG_ANSWER_UPDATE && call->srv->restricted)
		refuse_update(call, tree->root);
	else if (call->answer == DIAG_ANSWER_UPDATE && tree->root->kind == INSPECT_ERROR)
		fail_update(call, tree->root);
	else if (call->answer == DIAG_ANSWER_UPDATE && tree->root->kind == INSPECT_DIR)
		diag_call_fail(call, "unresolved");
	else
		answer_tree(call, tree);
	inspect_tree_fini(tree);
}

/* ---- inspect.InspectService ------------------------------------------------------------------ */

static enum inspect_sens ceiling(const struct diag_server *srv)
{
	return srv->restricted ? SENS_SAFE : SENS_SENSITIVE;
}

/* A path that no tree has. */
static void not_found(struct diag_call *call)
{
	struct inspect_node node = { .kind = INSPECT_ERROR, .name = "", .err = INSPECT_NOT_FOUND };
	struct inspect_tree tree = { .root = &node };

	answer_tree(call, &tree);
}

static void do_inspect(struct diag_server *srv, struct diag_call *call, const uint8_t *raw,
		       size_t len)
{
	Inspect__InspectRequest *req =
		decode(call, &inspect__inspect_request__descriptor, raw, len);
	struct inspect_request r;

	if (!req)
		return;
	r = (struct inspect_request){ .path = req->path,
				      .max = ceiling(srv),
				      .depth = MIN(req->depth, INSPECT_DEPTH_MAX) };
	if (strlen(req->path) > INSPECT_PATH_MAX)
		not_found(call);
	else
		srv->ops.inspect(srv->ctx, call, &r, call->deadline_ns);
	release(req);
}

static void do_update(struct diag_server *srv, struct diag_call *call, const uint8_t *raw,
		      size_t len)
{
	Inspect__UpdateRequest *req = decode(call, &inspect__update_request__descriptor, raw, len);
	struct inspect_request r;

	if (!req)
		return;
	r = (struct inspect_request){ .path = req->path,
				      .max = ceiling(srv),
				      .update = srv->restricted ? NULL : req->value };
	if (strlen(req->path) > INSPECT_PATH_MAX)
		diag_call_fail(call, "not found");
	else if (strlen(req->value) > INSPECT_VALUE_MAX)
		diag_call_fail(call, "update error: the value is too long");
	else
		srv->ops.inspect(srv->ctx, call, &r, call->deadline_ns);
	release(req);
}

/* ---- diag.OpenhclDiag ------------------------------------------------------------------------ */

static void do_ping(struct diag_server *srv, struct diag_call *call, const uint8_t *raw, size_t len)
{
	if (decode_empty(call, raw, len))
		diag_call_done(call);
}

static void do_memory_profile_trace(struct diag_server *srv, struct diag_call *call,
				    const uint8_t *raw, size_t len)
{
	void *req = decode(call, &diag__memory_profile_trace_request__descriptor, raw, len);

	if (!req)
		return;
	release(req);
	diag_call_fail(call, "Profiler tracing feature disabled: "
			     "rebuild with the `mem-profile-tracing` feature enabled");
}

/* ---- diag.UnderhillDiag: programs ------------------------------------------------------------ */

static struct diag_env *env_of(Diag__EnvPair *const *pairs, size_t n)
{
	struct diag_env *env = calloc(n + 1, sizeof(*env));

	for (size_t i = 0; env && i < n; i++) {
		const bool set = pairs[i]->has_value_case == DIAG__ENV_PAIR__HAS_VALUE_VALUE;

		env[i].name = pairs[i]->name;
		env[i].val = set ? pairs[i]->value : NULL;
	}
	return env;
}

/* NULL, or the error's words: then all connections have been released again. */
static const char *take_stdio(struct diag_server *srv, const uint64_t ids[3], struct diag_exec *x)
{
	const char *why = NULL;

	for (int i = 0; i < 3 && !why; i++) {
		if (ids[i])
			why = diag_data_take(srv, ids[i], &x->conn[i]);
		if (why)
			x->conn[i] = -1;
		else
			continue;
		for (int k = 0; k < i; k++) {
			if (x->conn[k] >= 0)
				diag_data_release(srv, x->conn[k]);
		}
		x->n_args = (size_t)i; /* which one failed */
	}
	return why;
}

static void exec_with(struct diag_call *call, const Diag__ExecRequest *req,
		      const struct diag_env *env)
{
	static const char *const names[] = { "stdin", "stdout", "stderr" };
	const uint64_t ids[3] = { req->stdin, req->stdout, req->stderr };
	struct diag_exec x = {
		.command = req->command,
		.env = env,
		.n_env = req->n_env,
		.clear_env = req->clear_env,
		.tty = req->tty,
		.combine_stderr = req->combine_stderr,
		.raw_socket_io = req->raw_socket_io,
		.conn = { -1, -1, -1 },
	};
	const char *why = take_stdio(call->srv, ids, &x);

	if (why) {
		diag_call_fail(call, "failed to get %s conn: %s", names[x.n_args], why);
		return;
	}
	x.args = req->args;
	x.n_args = req->n_args;
	diag_exec_run(call, &x);
}

static void do_exec(struct diag_server *srv, struct diag_call *call, const uint8_t *raw, size_t len)
{
	Diag__ExecRequest *req = decode(call, &diag__exec_request__descriptor, raw, len);
	struct diag_env *env;

	if (!req)
		return;
	log_info_rl(CONF, "run %s, %zu arguments%s", req->command, req->n_args,
		    req->tty ? ", terminal" : "");
	env = env_of(req->env, req->n_env);
	if (env)
		exec_with(call, req, env);
	else
		diag_call_errno(call, "failed to launch", ENOMEM);
	free(env);
	release(req);
}

static void do_wait(struct diag_server *srv, struct diag_call *call, const uint8_t *raw, size_t len)
{
	Diag__WaitRequest *req = decode(call, &diag__wait_request__descriptor, raw, len);

	if (!req)
		return;
	diag_exec_wait(call, req->pid);
	release(req);
}

static void do_crash(struct diag_server *srv, struct diag_call *call, const uint8_t *raw,
		     size_t len)
{
	Diag__CrashRequest *req = decode(call, &diag__crash_request__descriptor, raw, len);

	if (!req)
		return;
	log_warn_rl(ALLOWED, "a client asks process %d to crash", req->pid);
	diag_call_done(call);
	srv->ops.crash(srv->ctx, req->pid);
	release(req);
}

/* ---- diag.UnderhillDiag: files --------------------------------------------------------------- */

static int open_file(const char *path, struct stat *ret_st)
{
	const int fd = open(path, O_RDONLY | O_NONBLOCK | O_NOCTTY | O_CLOEXEC);
	int err;

	if (fd >= 0 && fstat(fd, ret_st) < 0) {
		err = errno;
		(void)close(fd);
		errno = err;
		return -1;
	}
	return fd;
}

static void stream_file(struct diag_call *call, uint64_t id, const char *path, bool follow)
{
	struct diag_server *srv = call->srv;
	auto_close int fd = -1;
	const char *why;
	struct stat st;
	char text[DIAG_TEXT_MAX];
	int conn, r;

	why = diag_data_take(srv, id, &conn);
	if (why) {
		diag_call_fail(call, "%s", why);
		return;
	}
	fd = open_file(path, &st);
	if (fd < 0) {
		r = errno;
		diag_data_release(srv, conn);
		(void)snprintf(text, sizeof(text),
			       "failed to open file: failed to open file `%.800s`", path);
		diag_call_errno(call, text, r);
		return;
	}
	if (!S_ISCHR(st.st_mode) && !S_ISREG(st.st_mode)) {
		diag_data_release(srv, conn);
		diag_call_fail(call, "cannot read directory");
		return;
	}
	r = diag_file_start(srv, fd, S_ISCHR(st.st_mode), follow, conn);
	if (r < 0) {
		diag_data_release(srv, conn);
		diag_call_errno(call, "failed to create polled pipe", -r);
		return;
	}
	(void)take_fd(&fd);
	diag_call_done(call);
}

static void do_kmsg(struct diag_server *srv, struct diag_call *call, const uint8_t *raw, size_t len)
{
	Diag__KmsgRequest *req = decode(call, &diag__kmsg_request__descriptor, raw, len);

	if (!req)
		return;
	stream_file(call, req->conn, srv->kmsg_path, req->follow);
	release(req);
}

static void do_read_file(struct diag_server *srv, struct diag_call *call, const uint8_t *raw,
			 size_t len)
{
	Diag__FileRequest *req = decode(call, &diag__file_request__descriptor, raw, len);

	if (!req)
		return;
	stream_file(call, req->conn, req->file_path, req->follow);
	release(req);
}

/* ---- diag.UnderhillDiag: the VM -------------------------------------------------------------- */

static void do_start(struct diag_server *srv, struct diag_call *call, const uint8_t *raw,
		     size_t len)
{
	Diag__StartRequest *req = decode(call, &diag__start_request__descriptor, raw, len);
	struct diag_start st;
	struct diag_env *env;

	if (!req)
		return;
	env = env_of(req->env, req->n_env);
	if (env) {
		st = (struct diag_start){ .env = env,
					  .n_env = req->n_env,
					  .args = (const char *const *)req->args,
					  .n_args = req->n_args };
		srv->ops.start(srv->ctx, call, &st);
	} else {
		diag_call_status(call, DIAG_RESOURCE_EXHAUSTED, "out of memory");
	}
	free(env);
	release(req);
}

static void do_restart(struct diag_server *srv, struct diag_call *call, const uint8_t *raw,
		       size_t len)
{
	if (decode_empty(call, raw, len))
		srv->ops.restart(srv->ctx, call);
}

static void do_pause(struct diag_server *srv, struct diag_call *call, const uint8_t *raw,
		     size_t len)
{
	if (decode_empty(call, raw, len))
		srv->ops.pause(srv->ctx, call);
}

static void do_resume(struct diag_server *srv, struct diag_call *call, const uint8_t *raw,
		      size_t len)
{
	if (decode_empty(call, raw, len))
		srv->ops.resume(srv->ctx, call);
}

static void do_dump_saved_state(struct diag_server *srv, struct diag_call *call, const uint8_t *raw,
				size_t len)
{
	if (decode_empty(call, raw, len))
		srv->ops.dump_saved_state(srv->ctx, call);
}

/* Returns how many of the connections were taken; all are, or the call has failed (-1). */
static int take_streams(struct diag_call *call, const Diag__StartPacketCaptureData *data,
			int fds[MAX_CAPTURE_STREAMS])
{
	struct diag_server *srv = call->srv;
	const char *why = data->n_conns > MAX_CAPTURE_STREAMS ? "invalid connection id" : NULL;
	int n = 0;

	for (size_t i = 0; i < data->n_conns && !why; i++) {
		why = diag_data_take(srv, data->conns[i], &fds[n]);
		if (!why)
			n++;
	}
	if (!why)
		return n;
	while (n)
		diag_data_release(srv, fds[--n]);
	diag_call_fail(call, "%s", why);
	return -1;
}

static void capture(struct diag_call *call, const Diag__NetworkPacketCaptureRequest *req)
{
	struct diag_server *srv = call->srv;
	struct diag_capture cap = { .op = DIAG_CAPTURE_QUERY };
	int fds[MAX_CAPTURE_STREAMS], n = 0;

	if (req->operation == DIAG__PACKET_CAPTURE_OPERATION__START) {
		if (req->op_data_case != DIAG__NETWORK_PACKET_CAPTURE_REQUEST__OP_DATA_START_DATA) {
			diag_call_fail(call, "missing start operation parameters");
			return;
		}
		n = take_streams(call, req->start_data, fds);
		if (n < 0)
			return;
		cap.op = DIAG_CAPTURE_START;
		cap.snaplen = req->start_data->snaplen;
	} else if (req->operation == DIAG__PACKET_CAPTURE_OPERATION__STOP) {
		cap.op = DIAG_CAPTURE_STOP;
	}
	if (!srv->ops.packet_capture) {
		while (n)
			diag_data_release(srv, fds[--n]);
		diag_call_fail(call, "No network settings have been set up");
		return;
	}
	cap.fds = fds;
	cap.n_fds = (size_t)n;
	srv->n_data -= (unsigned)n; /* the owner's from now on */
	srv->ops.packet_capture(srv->ctx, call, &cap);
}

static void do_packet_capture(struct diag_server *srv, struct diag_call *call, const uint8_t *raw,
			      size_t len)
{
	Diag__NetworkPacketCaptureRequest *req =
		decode(call, &diag__network_packet_capture_request__descriptor, raw, len);

	if (!req)
		return;
	if ((int)req->operation < DIAG__PACKET_CAPTURE_OPERATION__QUERY ||
	    (int)req->operation > DIAG__PACKET_CAPTURE_OPERATION__STOP)
		diag_call_fail(call, "unsupported request type %d", (int)req->operation);
	else
		capture(call, req);
	release(req);
}

/* ---- profile.AzureProfiler ------------------------------------------------------------------- */

/* There is no profiler: the connection is closed, as the original without one does. */
static void do_profile(struct diag_server *srv, struct diag_call *call, const uint8_t *raw,
		       size_t len)
{
	Diag__ProfileRequest *req = decode(call, &diag__profile_request__descriptor, raw, len);
	const char *why;
	int conn;

	if (!req)
		return;
	why = diag_data_take(srv, req->conn, &conn);
	release(req);
	if (why) {
		diag_call_fail(call, "%s", why);
		return;
	}
	diag_data_release(srv, conn);
	log_warn_rl(ALLOWED, "a client asks for a profile; there is no profiler");
	diag_call_done(call);
}

/* ---- tables ---------------------------------------------------------------------------------- */

#define INSPECT_SERVICE                                                                  \
	{ "inspect.InspectService", "Inspect", do_inspect, DIAG_ANSWER_INSPECT, true },  \
	{                                                                                \
		"inspect.InspectService", "Update", do_update, DIAG_ANSWER_UPDATE, false \
	}
#define PROFILE_SERVICE                                                                  \
	{                                                                                \
		"profile.AzureProfiler", "Profile", do_profile, DIAG_ANSWER_EMPTY, false \
	}

const struct diag_method diag_methods_full[] = {
	{ "diag.OpenhclDiag", "Ping", do_ping, DIAG_ANSWER_EMPTY, true },
	{ "diag.OpenhclDiag", "MemoryProfileTrace", do_memory_profile_trace, DIAG_ANSWER_DATA,
	  false },
	{ "diag.UnderhillDiag", "Exec", do_exec, DIAG_ANSWER_EMPTY, false },
	{ "diag.UnderhillDiag", "Wait", do_wait, DIAG_ANSWER_EMPTY, false },
	{ "diag.UnderhillDiag", "Start", do_start, DIAG_ANSWER_EMPTY, false },
	{ "diag.UnderhillDiag", "Crash", do_crash, DIAG_ANSWER_EMPTY, false },
	{ "diag.UnderhillDiag", "Kmsg", do_kmsg, DIAG_ANSWER_EMPTY, true },
	{ "diag.UnderhillDiag", "Restart", do_restart, DIAG_ANSWER_EMPTY, false },
	{ "diag.UnderhillDiag", "Pause", do_pause, DIAG_ANSWER_EMPTY, false },
	{ "diag.UnderhillDiag", "Resume", do_resume, DIAG_ANSWER_EMPTY, false },
	{ "diag.UnderhillDiag", "ReadFile", do_read_file, DIAG_ANSWER_EMPTY, true },
	{ "diag.UnderhillDiag", "DumpSavedState", do_dump_saved_state, DIAG_ANSWER_DATA, false },
	{ "diag.UnderhillDiag", "PacketCapture", do_packet_capture, DIAG_ANSWER_STREAMS, false },
	INSPECT_SERVICE,
	PROFILE_SERVICE,
	{ 0 },
};

const struct diag_method diag_methods_restricted[] = {
	INSPECT_SERVICE,
	PROFILE_SERVICE,
	{ 0 },
};

void diag_method_run(struct diag_call *call, const char *service, const char *name,
		     const uint8_t *raw, size_t len)
{
	char text[DIAG_TEXT_MAX];
	bool known = false;

	for (const struct diag_method *m = call->srv->methods; m->service; m++) {
		if (strcmp(m->service, service) != 0)
			continue;
		known = true;
		if (strcmp(m->name, name) != 0)
			continue;
		call->answer = m->answer;
		if (!m->no_deadline)
			loop_timer_arm(&call->deadline, call->deadline_ns);
		m->fn(call->srv, call, raw, len);
		return;
	}
	(void)snprintf(text, sizeof(text), "unknown %s %.900s", known ? "method" : "service",
		       known ? name : service);
	diag_call_status(call, DIAG_UNIMPLEMENTED, text);
}
