/* SPDX-License-Identifier: MIT */
#include "hosted_owner.h"

#include "hosted_busy.h"

#include <errno.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <unistd.h>

#define TREE_MAX (4u << 20)
#define FILTER_MAX 256

struct hosted_owner {
	struct loop *loop;
	const struct diag_server *srv;
	bool stuck, busy, started, paused;
	pid_t vm_pid;
	uint64_t started_ns, inspections, pauses;
	char filter[FILTER_MAX];
	uint64_t knob;
	struct waiting *waiting; /* inspections that something is pending in */
};

struct waiting {
	struct waiting *next;
	struct hosted_owner *owner;
	struct diag_call *call;
	struct inspect_tree tree;
	struct loop_timer timer;
};

/* ---- the tree -------------------------------------------------------------------------------- */

static void build_info(struct inspect *in, const void *obj)
{
	(void)obj;
	inspect_str(in, SENS_SAFE, "crate_name", "keel");
	inspect_str(in, SENS_SAFE, "scm_revision", "hosted");
	inspect_str(in, SENS_SAFE, "openhcl_version", "");
}

static void limit(struct inspect *in, const void *obj)
{
	const struct rlimit *rl = obj;

	inspect_u64(in, SENS_UNSPEC, "current", rl->rlim_cur);
	inspect_u64(in, SENS_UNSPEC, "max", rl->rlim_max);
}

static void limits(struct inspect *in, const void *obj)
{
	struct rlimit rl;

	(void)obj;
	if (getrlimit(RLIMIT_NOFILE, &rl) == 0)
		inspect_dir(in, SENS_UNSPEC, "nofile", limit, &rl);
}

static void process(struct inspect *in, const void *obj)
{
	inspect_str(in, SENS_SAFE, "name", obj);
	inspect_dir(in, SENS_SAFE, "rlimit", limits, NULL);
}

static void hosts(struct inspect *in, const void *obj)
{
	const struct hosted_owner *o = obj;

	inspect_dir_at(in, SENS_SAFE, (uint64_t)getpid(), process, "underhill");
	if (o->vm_pid > 0)
		inspect_dir_at(in, SENS_SAFE, (uint64_t)o->vm_pid, process, "vm");
}

static void mesh(struct inspect *in, const void *obj)
{
	inspect_dir(in, SENS_SAFE, "hosts", hosts, obj);
}

static int set_filter(void *ctx, const char *val, char *ret_why, size_t why_size)
{
	struct hosted_owner *o = ctx;

	if (!*val || strlen(val) >= sizeof(o->filter)) {
		(void)snprintf(ret_why, why_size, "not a filter");
		return -EINVAL;
	}
	(void)snprintf(o->filter, sizeof(o->filter), "%s", val);
	return 0;
}

static int flush(void *ctx, const char *val, char *ret_why, size_t why_size)
{
	(void)ctx;
	if (strcmp(val, "true") == 0)
		return 0;
	(void)snprintf(ret_why, why_size, "only true can be written");
	return -EINVAL;
}

static void perf(struct inspect *in, const void *obj)
{
	inspect_mut_bool(in, SENS_UNSPEC, "flush", false, flush, NULL);
}

static void trace(struct inspect *in, const void *obj)
{
	const struct hosted_owner *o = obj;
	union {
		const void *in;
		void *out;
	} p = { .in = obj };

	inspect_mut_str(in, SENS_SAFE, "filter", o->filter, set_filter, p.out);
	inspect_dir(in, SENS_UNSPEC, "perf", perf, o);
}

static int set_knob(void *ctx, const char *val, char *ret_why, size_t why_size)
{
	struct hosted_owner *o = ctx;
	unsigned long long v;
	char *end;

	errno = 0;
	v = strtoull(val, &end, 10);
	if (errno || *end || end == val || *val == '-') {
		(void)snprintf(ret_why, why_size, "invalid digit found in string");
		return -EINVAL;
	}
	o->knob = v;
	return 0;
}

static void values(struct inspect *in, const void *obj)
{
	const struct hosted_owner *o = obj;
	static const uint8_t bytes[] = { 0, 1, 0xfe, 0xff };
	union {
		const void *in;
		void *out;
	} p = { .in = obj };

	inspect_u64(in, SENS_UNSPEC, "unsigned", 5);
	inspect_i64(in, SENS_UNSPEC, "signed", -1);
	inspect_hex(in, SENS_UNSPEC, "hex", 0x1000);
	inspect_binary(in, SENS_UNSPEC, "binary", 5);
	inspect_count(in, SENS_UNSPEC, "inspections", o->inspections);
	inspect_double(in, SENS_UNSPEC, "double", 0.5);
	inspect_bool(in, SENS_UNSPEC, "bool", true);
	inspect_str(in, SENS_UNSPEC, "string", "a \"quoted\" text");
	inspect_bytes(in, SENS_UNSPEC, "bytes", bytes, sizeof(bytes));
	inspect_ns(in, SENS_UNSPEC, "up", loop_now_ns() - o->started_ns);
	inspect_u64(in, SENS_SENSITIVE, "secret", 0x5ec4e7);
	inspect_mut_u64(in, SENS_UNSPEC, "knob", o->knob, set_knob, p.out);
}

static void partition(struct inspect *in, const void *obj)
{
	const struct hosted_owner *o = obj;

	inspect_str(in, SENS_UNSPEC, "unit_state", o->paused ? "stopped" : "running");
	inspect_count(in, SENS_UNSPEC, "pauses", o->pauses);
}

static void vm(struct inspect *in, const void *obj)
{
	const struct hosted_owner *o = obj;

	inspect_dir(in, SENS_UNSPEC, "partition", partition, o);
	inspect_dir(in, SENS_UNSPEC, "values", values, o);
	if (o->stuck)
		inspect_remote(in, SENS_UNSPEC, "stuck", 1);
}

static void server(struct inspect *in, const void *obj)
{
	inspect_dir(in, SENS_SAFE, "server", diag_server_inspect, obj);
}

static void uhdiag(struct inspect *in, const void *obj)
{
	inspect_dir(in, SENS_SAFE, "build_info", build_info, obj);
}

static void root(struct inspect *in, const void *obj)
{
	const struct hosted_owner *o = obj;

	inspect_dir(in, SENS_SAFE, "build_info", build_info, o);
	inspect_str(in, SENS_SAFE, "control_state", o->started ? "started" : "waiting_for_start");
	inspect_dir(in, SENS_SAFE, "diag", server, o->srv);
	inspect_dir(in, SENS_SAFE, "mesh", mesh, o);
	inspect_dir(in, SENS_SAFE, "trace", trace, o);
	inspect_dir(in, SENS_SAFE, "uhdiag", uhdiag, o);
	if (o->started)
		inspect_dir(in, SENS_UNSPEC, "vm", vm, o);
	if (o->busy) {
		const uint64_t ns = loop_now_ns() - o->started_ns;

		inspect_flatten(in, hosted_busy, &ns);
	}
}

/* ---- operations ------------------------------------------------------------------------------ */

static void on_too_late(void *ctx)
{
	struct waiting *w = ctx, **p = &w->owner->waiting;

	while (*p != w)
		p = &(*p)->next;
	*p = w->next;
	diag_call_tree(w->call, &w->tree); /* what is pending becomes unresolved */
	free(w);
}

static void op_inspect(void *ctx, struct diag_call *call, const struct inspect_request *req,
		       uint64_t deadline_ns)
{
	struct hosted_owner *o = ctx;
	struct inspect_tree tree;
	struct waiting *w;

	o->inspections++;
	if (o->vm_pid > 0 && waitpid(o->vm_pid, NULL, WNOHANG) == o->vm_pid)
		o->vm_pid = 0; /* it crashed */
	if (inspect_run(req, root, o, TREE_MAX, &tree) < 0) {
		diag_call_fail(call, "out of memory");
		return;
	}
	w = inspect_pending(&tree) ? calloc(1, sizeof(*w)) : NULL;
	if (!w) {
		diag_call_tree(call, &tree);
		return;
	}
	w->owner = o;
	w->call = call;
	w->tree = tree;
	w->next = o->waiting;
	o->waiting = w;
	loop_timer_init(&w->timer, o->loop, on_too_late, w);
	loop_timer_arm(&w->timer, deadline_ns);
}

static void op_start(void *ctx, struct diag_call *call, const struct diag_start *req)
{
	struct hosted_owner *o = ctx;

	(void)req;
	if (o->started) {
		diag_call_fail(call, "workers have already been started");
		return;
	}
	o->started = true;
	diag_call_done(call);
}

static bool up(const struct hosted_owner *o, struct diag_call *call)
{
	if (!o->started)
		diag_call_fail(call, "worker has not been started yet");
	return o->started;
}

static void op_restart(void *ctx, struct diag_call *call)
{
	if (up(ctx, call))
		diag_call_done(call);
}

static void op_pause(void *ctx, struct diag_call *call)
{
	struct hosted_owner *o = ctx;

	if (!up(o, call))
		return;
	if (o->paused) {
		diag_call_fail(call, "VM is already paused");
		return;
	}
	o->paused = true;
	o->pauses++;
	diag_call_done(call);
}

static void op_resume(void *ctx, struct diag_call *call)
{
	struct hosted_owner *o = ctx;

	if (!up(o, call))
		return;
	if (!o->paused) {
		diag_call_fail(call, "VM is currently running");
		return;
	}
	o->paused = false;
	diag_call_done(call);
}

static void op_dump_saved_state(void *ctx, struct diag_call *call)
{
	struct hosted_owner *o = ctx;

	if (up(o, call))
		diag_call_data(call, &o->pauses, sizeof(o->pauses));
}

static void op_crash(void *ctx, int32_t pid)
{
	struct hosted_owner *o = ctx;

	if (pid == getpid())
		abort();
	if (pid == o->vm_pid && pid > 0)
		(void)kill(pid, SIGABRT);
	else
		(void)fprintf(stderr, "no process %d to crash\n", pid);
}

static const struct diag_ops owner_ops = {
	.inspect = op_inspect,
	.start = op_start,
	.restart = op_restart,
	.pause = op_pause,
	.resume = op_resume,
	.dump_saved_state = op_dump_saved_state,
	.crash = op_crash,
};

/* ---- life ------------------------------------------------------------------------------------ */

static pid_t start_vm(void)
{
	sigset_t none;
	pid_t pid = fork();

	if (pid != 0)
		return pid;
	(void)sigemptyset(&none);
	(void)sigprocmask(SIG_SETMASK, &none, NULL);
	(void)prctl(PR_SET_PDEATHSIG, SIGKILL);
	(void)prctl(PR_SET_NAME, "vm");
	for (;;)
		(void)pause();
}

int hosted_owner_create(struct hosted_owner_cfg *cfg, struct hosted_owner **ret_owner)
{
	struct hosted_owner *o = calloc(1, sizeof(*o));

	if (!o)
		return -ENOMEM;
	o->loop = cfg->loop;
	o->stuck = cfg->stuck;
	o->busy = cfg->busy;
	o->started = !cfg->waiting;
	o->started_ns = loop_now_ns();
	(void)snprintf(o->filter, sizeof(o->filter), "info");
	o->vm_pid = start_vm();
	if (o->vm_pid < 0) {
		const int r = -errno;

		free(o);
		return r;
	}
	cfg->ops = &owner_ops;
	*ret_owner = o;
	return 0;
}

void hosted_owner_set_server(struct hosted_owner *o, const struct diag_server *srv)
{
	o->srv = srv;
}

void hosted_owner_destroy(struct hosted_owner *o)
{
	if (!o)
		return;
	while (o->waiting) {
		struct waiting *w = o->waiting;

		loop_timer_cancel(&w->timer);
		on_too_late(w);
	}
	if (o->vm_pid > 0) {
		(void)kill(o->vm_pid, SIGKILL);
		(void)waitpid(o->vm_pid, NULL, 0);
	}
	free(o);
}
