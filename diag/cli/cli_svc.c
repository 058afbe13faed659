/* SPDX-License-Identifier: MIT */
#include "cli_svc.h"

#include <diag.pb-c.h>
#include <errno.h>
#include <inspect.pb-c.h>
#include <limits.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "cleanup.h"
#include "cli_conn.h"
#include "cli_pb.h"
#include "cli_render.h"

/* How much longer than the server's own limit an answer is waited for. */
#define GRACE_MS 10000

static void hint_refused(struct cli_err *err)
{
	if (err->code == CLI_CODE_UNIMPLEMENTED && !err->hint[0] &&
	    !strncmp(err->msg[0], "unknown service diag.", 21))
		cli_err_hint(err, "this VM is confidential (or was started with "
				  "OPENHCL_CONFIDENTIAL=1): VTL2 answers nothing but `inspect`");
}

static int start(struct cli_ctx *c, const char *service, const char *method,
		 const ProtobufCMessage *req, uint64_t timeout_ns, struct cli_call **ret_call)
{
	auto_free uint8_t *buf = NULL;
	size_t len = 0;
	int r;

	if (req) {
		r = cli_pb_pack(req, &buf, &len);
		if (r < 0)
			return cli_err_os(&c->err, r);
	}
	return cli_rpc_start(c->rpc, service, method, buf, len, timeout_ns, &c->err, ret_call);
}

static int finish(struct cli_ctx *c, struct cli_call *call, uint64_t timeout_ns,
		  uint8_t **ret_payload, size_t *ret_len)
{
	uint64_t limit = timeout_ns ? timeout_ns / 1000000 + GRACE_MS : 0;
	int r = cli_rpc_finish(c->rpc, call, limit, &c->err, ret_payload, ret_len);

	if (r < 0)
		hint_refused(&c->err);
	return r;
}

int svc_call(struct cli_ctx *c, const char *service, const char *method,
	     const ProtobufCMessage *req, uint64_t timeout_ns, uint8_t **ret_payload,
	     size_t *ret_len)
{
	struct cli_call *call;
	uint8_t *payload;
	size_t len;

	if (start(c, service, method, req, timeout_ns, &call) < 0 ||
	    finish(c, call, timeout_ns, &payload, &len) < 0)
		return -1;
	if (ret_payload) {
		*ret_payload = payload;
		*ret_len = len;
	} else {
		free(payload);
	}
	return 0;
}

int svc_simple(struct cli_ctx *c, const char *service, const char *method)
{
	return svc_call(c, service, method, NULL, 0, NULL, NULL);
}

int svc_data(struct cli_ctx *c, uint64_t *ret_id)
{
	return cli_connect_data(c->path, ret_id, &c->err);
}

static int malformed(struct cli_ctx *c)
{
	return cli_err_set(&c->err, "the server's answer is malformed");
}

int svc_inspect(struct cli_ctx *c, const char *path, uint32_t depth, uint64_t timeout_ns,
		struct inspect_tree *ret_tree)
{
	Inspect__InspectRequest req;
	auto_free uint8_t *payload = NULL;
	size_t len;
	int r;

	inspect__inspect_request__init(&req);
	req.path = (char *)(uintptr_t)path;
	req.depth = depth;
	if (svc_call(c, SVC_INSPECT, "Inspect", &req.base, timeout_ns, &payload, &len) < 0)
		return -1;
	r = cli_render_decode(payload, len, false, SVC_TREE_MAX, ret_tree);
	if (r == -ENOMEM)
		return cli_err_os(&c->err, r);
	return r < 0 ? malformed(c) : 0;
}

int svc_update(struct cli_ctx *c, const char *path, const char *value,
	       struct inspect_tree *ret_tree)
{
	Inspect__UpdateRequest req;
	auto_free uint8_t *payload = NULL;
	size_t len;
	int r;

	inspect__update_request__init(&req);
	req.path = (char *)(uintptr_t)path;
	req.value = (char *)(uintptr_t)value;
	if (svc_call(c, SVC_INSPECT, "Update", &req.base, 0, &payload, &len) < 0)
		return -1;
	r = cli_render_decode(payload, len, true, SVC_TREE_MAX, ret_tree);
	if (r == -ENOMEM)
		return cli_err_os(&c->err, r);
	return r < 0 ? malformed(c) : 0;
}

/* ---- processes ------------------------------------------------------------------------------- */

/* The name of a process; NULL: it has none, or c->err says what is wrong with it. */
static const struct inspect_node *name_of(struct cli_ctx *c, const struct inspect_node *p)
{
	const struct inspect_node *n = NULL;

	if (p->kind != INSPECT_DIR)
		(void)cli_err_set(&c->err, "Process node is not a dir");
	else
		for (n = p->child; n && strcmp(n->name, "name"); n = n->next)
			;
	if (n &&
	    (n->kind == INSPECT_DIR || n->kind == INSPECT_ERROR || n->kind == INSPECT_UNEVALUATED))
		(void)cli_err_set(&c->err, "Name node is not a value");
	else if (n && n->kind != INSPECT_STRING)
		(void)cli_err_set(&c->err, "Name node is not a string");
	else
		return n;
	return NULL;
}

static int find_pid(struct cli_ctx *c, const struct inspect_node *hosts, const char *name,
		    struct cli_str *seen, int32_t *ret_pid)
{
	char *end;
	long pid;

	c->err.n = 0;
	if (hosts->kind != INSPECT_DIR)
		return cli_err_set(&c->err, "Hosts node is not a dir");
	for (const struct inspect_node *p = hosts->child; p; p = p->next) {
		const struct inspect_node *n = name_of(c, p);

		if (c->err.n)
			return -1;
		if (!n)
			continue;
		if (!strcmp(n->str.data, name)) {
			errno = 0;
			pid = strtol(p->name, &end, 10);
			if (errno || *end || end == p->name || pid < INT32_MIN || pid > INT32_MAX)
				return cli_err_set(&c->err, "invalid digit found in string");
			*ret_pid = (int32_t)pid;
			return 0;
		}
		cli_str_puts(seen, seen->len ? ", " : "");
		cli_str_json(seen, n->str.data, n->str.len);
	}
	return cli_err_set(&c->err, "PID of %s not found. Processes: [%s]", name,
			   cli_str_text(seen));
}

int svc_pid_of(struct cli_ctx *c, const char *name, int32_t *ret_pid)
{
	struct cli_str seen = { 0 };
	struct inspect_tree tree;
	int r;

	if (svc_inspect(c, "mesh/hosts", 1, 0, &tree) < 0)
		return -1;
	r = find_pid(c, tree.root, name, &seen, ret_pid);
	cli_str_fini(&seen);
	inspect_tree_fini(&tree);
	return r;
}

int svc_pid_arg(struct cli_ctx *c, int32_t *ret_pid)
{
	const char *name = cli_value(c->args, 'n');
	uint64_t pid;

	if (name)
		return svc_pid_of(c, name, ret_pid);
	if (cli_number(cli_value(c->args, 'p'), 0, INT32_MAX, "the pid", &c->err, &pid) < 0)
		return -1;
	*ret_pid = (int32_t)pid;
	return 0;
}

/* ---- programs -------------------------------------------------------------------------------- */

static int connect_stdio(struct cli_ctx *c, const char *what, int *ret_fd, uint64_t *ret_id)
{
	*ret_fd = svc_data(c, ret_id);
	return *ret_fd < 0 ? cli_err_wrap(&c->err, "failed to connect %s", what) : 0;
}

int svc_spawn(struct cli_ctx *c, Diag__ExecRequest *req, bool in, struct svc_proc *ret_proc)
{
	struct svc_proc p = { .in = -1, .out = -1, .err = -1 };
	Diag__WaitRequest wait = DIAG__WAIT_REQUEST__INIT;
	auto_free uint8_t *payload = NULL;
	ProtobufCMessage *resp;
	struct cli_pb pb;
	size_t len;

	if ((in && connect_stdio(c, "stdin", &p.in, &req->stdin) < 0) ||
	    connect_stdio(c, "stdout", &p.out, &req->stdout) < 0 ||
	    connect_stdio(c, "stderr", &p.err, &req->stderr) < 0)
		goto fail;
	if (svc_call(c, SVC_UNDERHILL, "Exec", &req->base, 0, &payload, &len) < 0)
		goto fail;
	cli_pb_init(&pb);
	resp = cli_pb_unpack(&pb, &diag__exec_response__descriptor, payload, len);
	if (!resp) {
		(void)malformed(c);
		goto fail;
	}
	p.pid = ((Diag__ExecResponse *)resp)->pid;
	cli_pb_free(&pb, resp);
	wait.pid = p.pid;
	if (start(c, SVC_UNDERHILL, "Wait", &wait.base, 0, &p.wait) < 0)
		goto fail;
	*ret_proc = p;
	return 0;
fail:
	svc_proc_fini(c, &p);
	return -1;
}

void svc_proc_fini(struct cli_ctx *c, struct svc_proc *proc)
{
	int fds[] = { proc->in, proc->out, proc->err };

	for (size_t i = 0; i < ARRAY_SIZE(fds); i++)
		if (fds[i] >= 0)
			(void)close(fds[i]);
	if (proc->wait)
		cli_rpc_forget(c->rpc, proc->wait);
	*proc = (struct svc_proc){ .in = -1, .out = -1, .err = -1 };
}

int svc_wait(struct cli_ctx *c, struct svc_proc *proc, int32_t *ret_code)
{
	auto_free uint8_t *payload = NULL;
	ProtobufCMessage *resp;
	struct cli_pb pb;
	size_t len;

	if (finish(c, take_ptr(proc->wait), 0, &payload, &len) < 0)
		return -1;
	cli_pb_init(&pb);
	resp = cli_pb_unpack(&pb, &diag__wait_response__descriptor, payload, len);
	if (!resp)
		return malformed(c);
	*ret_code = ((Diag__WaitResponse *)resp)->exit_code;
	cli_pb_free(&pb, resp);
	return 0;
}
