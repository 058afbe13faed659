/* SPDX-License-Identifier: MIT */
/*
 * The diagnostics server's owner: what clients may ask of the daemon. The texts of failures are
 * those of the original, where it has them. A restricted server calls nothing but inspect.
 */
#include "control_priv.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "bug.h"
#include "cleanup.h"
#include "env_list.h"
#include "log.h"
#include "role_proto.h"

#define LOG_AREA "control"

#define ARGS_MAX 128u

/* --- inspect ---------------------------------------------------------------------------------- */

static int send_inspect(void *ctx, uint64_t id, const uint8_t *body, size_t len)
{
	struct control *c = ctx;

	return vmproc_send(&c->vm, ROLE_INSPECT, id, body, len);
}

static void on_result(void *ctx, void *call, struct inspect_tree *tree)
{
	(void)ctx;
	diag_call_tree(call, tree);
}

static void on_refused(void *ctx, void *call, const char *why)
{
	(void)ctx;
	diag_call_fail(call, "%s", why);
}

static void op_inspect(void *ctx, struct diag_call *call, const struct inspect_request *req,
		       uint64_t deadline_ns)
{
	struct control *c = ctx;

	ctl_asks_inspect(c->asks, call, req, deadline_ns);
}

/* --- start ------------------------------------------------------------------------------------ */

/* Looks into the environment a client asks for; there is one such client at a time. */
static const char *start_getenv(void *ctx, const char *name)
{
	return env_list_get(ctx, name);
}

static int make_env(const struct diag_start *req, char ***ret_env, struct diag_call *call)
{
	auto_free struct env_edit *edits = calloc(req->n_env + 1, sizeof(*edits));
	struct knobs knobs;
	const char *bad;
	int r = edits ? 0 : -ENOMEM;

	for (size_t i = 0; edits && i < req->n_env; i++)
		edits[i] = (struct env_edit){ req->env[i].name, req->env[i].val };
	if (r == 0)
		r = env_list_create(environ, edits, req->n_env, ret_env);
	if (r) {
		diag_call_fail(call, "failed to parse new options: %s", strerror(-r));
		return r;
	}
	bad = knobs_read(&knobs, start_getenv, *ret_env);
	if (!bad)
		return 0;
	diag_call_fail(call, "failed to parse new options: %s: value not understood", bad);
	env_list_destroy(*ret_env);
	return -EINVAL;
}

static void op_start(void *ctx, struct diag_call *call, const struct diag_start *req)
{
	struct control *c = ctx;
	char **env;
	int r;

	if (c->state != CTL_WAITING_FOR_START) {
		diag_call_fail(call, "workers have already been started");
		return;
	}
	if (req->n_args > ARGS_MAX) {
		diag_call_fail(call, "failed to parse new options: too many arguments");
		return;
	}
	if (make_env(req, &env, call))
		return;
	log_info(ALLOWED, "started by a client");
	r = control_launch(c, env, req->args, req->n_args);
	env_list_destroy(env);
	if (r)
		diag_call_fail(call, "failed to launch the vm worker: %s", strerror(-r));
	else
		diag_call_done(call);
}

/* --- orders to the vm role -------------------------------------------------------------------- */

static struct ctl_order *find_order(struct control *c, uint64_t id)
{
	for (size_t i = 0; i < ARRAY_SIZE(c->orders); i++) {
		if (c->orders[i].id == id)
			return &c->orders[i];
	}
	return NULL;
}

/* Returns: was it sent? If not the call is answered. */
static bool order(struct control *c, struct diag_call *call, uint32_t type)
{
	struct ctl_order *o = find_order(c, 0);
	int r = -ENOSPC;

	if (c->state == CTL_WAITING_FOR_START || c->state == CTL_STARTING) {
		diag_call_fail(call, "worker has not been started yet");
		return false;
	}
	if (o) {
		*o = (struct ctl_order){ ++c->last_order, type, call };
		r = vmproc_send(&c->vm, type, o->id, NULL, 0);
	}
	if (r == 0)
		return true;
	if (o)
		o->id = 0;
	diag_call_fail(call, r == -ENOSPC ? "too many requests" : "the vm worker is gone");
	return false;
}

static void op_restart(void *ctx, struct diag_call *call)
{
	struct control *c = ctx;

	if (c->state == CTL_RESTARTING)
		diag_call_fail(call, "previous restart still in progress");
	else if (order(c, call, ROLE_RESTART))
		c->state = CTL_RESTARTING;
}

static void op_pause(void *ctx, struct diag_call *call)
{
	(void)order(ctx, call, ROLE_PAUSE);
}

static void op_resume(void *ctx, struct diag_call *call)
{
	(void)order(ctx, call, ROLE_RESUME);
}

static void op_dump_saved_state(void *ctx, struct diag_call *call)
{
	(void)order(ctx, call, ROLE_SAVE);
}

static void finish_order(struct control *c, struct ctl_order *o, const char *text)
{
	struct diag_call *call = o->call;

	o->id = 0;
	if (o->type == ROLE_RESTART)
		c->state = CTL_STARTED; /* the old worker goes on */
	if (*text)
		diag_call_fail(call, "%s", text);
	else
		diag_call_done(call);
}

void ctl_diag_answered(struct control *c, uint64_t id, const char *text)
{
	struct ctl_order *o = id ? find_order(c, id) : NULL;

	if (o)
		finish_order(c, o, text);
}

void ctl_diag_vm_gone(struct control *c)
{
	for (size_t i = 0; i < ARRAY_SIZE(c->orders); i++) {
		if (c->orders[i].id)
			finish_order(c, &c->orders[i], "the vm worker is gone");
	}
	ctl_asks_flush(c->asks);
}

/* --- crash ------------------------------------------------------------------------------------ */

static void op_crash(void *ctx, int32_t pid)
{
	struct control *c = ctx;

	if (pid == getpid()) {
		log_err(ALLOWED, "explicit panic request");
		logout_flush(&c->log);
		bug_abort();
	}
	if (c->vm.pid > 0 && pid == c->vm.pid) {
		if (vmproc_send(&c->vm, ROLE_CRASH, 0, NULL, 0))
			log_err(ALLOWED, "the vm role cannot be told to crash");
	} else {
		log_err_rl(ALLOWED, "no role has the pid %d that is to crash", (int)pid);
	}
}

/* --- life ------------------------------------------------------------------------------------- */

static const struct diag_ops ops = {
	.inspect = op_inspect,
	.start = op_start,
	.restart = op_restart,
	.pause = op_pause,
	.resume = op_resume,
	.dump_saved_state = op_dump_saved_state,
	.packet_capture = NULL,
	.crash = op_crash,
};

static int serve(struct control *c)
{
	struct diag_server_cfg cfg = {
		.loop = c->loop,
		.restricted = c->confid.restricted,
		.control_fd = -1,
		.data_fd = -1,
		.ops = &ops,
		.ctx = c,
	};
	int r = diag_vsock_listen(DIAG_PORT_CONTROL, &cfg.control_fd);

	if (r == 0)
		r = diag_vsock_listen(DIAG_PORT_DATA, &cfg.data_fd);
	if (r == 0)
		r = diag_server_create(&cfg, &c->diag);
	if (r == 0)
		return 0;
	if (cfg.control_fd >= 0)
		(void)close(cfg.control_fd);
	if (cfg.data_fd >= 0)
		(void)close(cfg.data_fd);
	return r;
}

int ctl_diag_start(struct control *c)
{
	const struct ctl_asks_cfg cfg = {
		.loop = c->loop,
		.root = ctl_tree_inspect,
		.remote = ctl_tree_remote,
		.obj = c,
		.send = send_inspect,
		.done = on_result,
		.refused = on_refused,
		.ctx = c,
	};
	int r = ctl_asks_create(&cfg, &c->asks);

	if (r)
		return r;
	r = serve(c);
	if (r) /* a guest without diagnostics is better than none */
		log_err(ALLOWED, "no diagnostics: vsock does not listen (%d)", r);
	return 0;
}

void ctl_diag_stop(struct control *c)
{
	if (!c->asks)
		return;
	ctl_diag_vm_gone(c);
	diag_server_destroy(c->diag);
	c->diag = NULL;
	ctl_asks_destroy(c->asks);
	c->asks = NULL;
}
