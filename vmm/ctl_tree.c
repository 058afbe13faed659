/* SPDX-License-Identifier: MIT */
/*
 * The root of the inspect tree. What is SAFE here is what the host of a confidential VM sees:
 * exactly the tree of the original's restrictions, with "vm" left out altogether, and "policy",
 * which says what applies.
 */
#include "control_priv.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "build_info.h"
#include "cleanup.h"
#include "inspect.h"
#include "log.h"
#include "procinfo.h"
#include "timeline.h"

#define LOG_AREA "control"

#define PERF_FILE "underhill.perfetto"

static void build_inspect(struct inspect *in, const void *obj)
{
	(void)obj;
	inspect_str(in, SENS_SAFE, "crate_name", build_name);
	inspect_str(in, SENS_SAFE, "scm_revision", build_revision);
	inspect_str(in, SENS_SAFE, "scm_branch", "");
	inspect_str(in, SENS_SAFE, "internal_scm_revision", "");
	inspect_str(in, SENS_SAFE, "internal_scm_branch", "");
	inspect_str(in, SENS_SAFE, "openhcl_version", build_version);
}

/* --- processes -------------------------------------------------------------------------------- */

struct host_proc {
	const struct control *c;
	pid_t pid;
	const char *name;
};

static void host_proc_inspect(struct inspect *in, const void *obj)
{
	const struct host_proc *p = obj;

	inspect_str(in, SENS_SAFE, "name", p->name);
	inspect_strf(in, SENS_SAFE, "node_id", "%s-%d", p->c->node_id, (int)p->pid);
	inspect_dir(in, SENS_SAFE, "rlimit", procinfo_inspect_rlimits, &p->pid);
}

static void hosts_inspect(struct inspect *in, const void *obj)
{
	const struct control *c = obj;
	const struct host_proc self = { c, getpid(), "underhill" }, vm = { c, c->vm.pid, "vm" };

	inspect_dir_at(in, SENS_SAFE, (uint64_t)self.pid, host_proc_inspect, &self);
	if (vm.pid > 0)
		inspect_dir_at(in, SENS_SAFE, (uint64_t)vm.pid, host_proc_inspect, &vm);
}

static void mesh_inspect(struct inspect *in, const void *obj)
{
	inspect_dir(in, SENS_SAFE, "hosts", hosts_inspect, obj);
}

/* --- trace ------------------------------------------------------------------------------------ */

/* There is no perf tracing: what a client then fetches is empty. */
static int update_flush(void *ctx, const char *val, char *ret_why, size_t why_size)
{
	(void)ctx;
	if (!strcmp(val, "true")) {
		auto_close int fd = open(PERF_FILE, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0600);

		if (fd >= 0)
			return 0;
		(void)snprintf(ret_why, why_size, "%s", strerror(errno));
		return -EINVAL;
	}
	return 0;
}

static int update_perf_filter(void *ctx, const char *val, char *ret_why, size_t why_size)
{
	(void)ctx;
	if (!strcmp(val, "off"))
		return 0;
	(void)snprintf(ret_why, why_size, "perf tracing is not supported");
	return -EINVAL;
}

static void perf_inspect(struct inspect *in, const void *obj)
{
	(void)obj;
	inspect_mut_str(in, SENS_UNSPEC, "filter", "off", update_perf_filter, NULL);
	inspect_mut_bool(in, SENS_UNSPEC, "flush", false, update_flush, NULL);
}

static int update_filter(void *ctx, const char *val, char *ret_why, size_t why_size)
{
	int r = log_filter_set(val, ret_why, why_size);

	if (r == 0) {
		log_info(ALLOWED, "the log filter was changed");
		control_send_filter(ctx);
		return 0;
	}
	if (r != -EINVAL)
		(void)snprintf(ret_why, why_size, "%s", strerror(-r));
	return -EINVAL;
}

static void trace_inspect(struct inspect *in, const void *obj)
{
	char filter[LOG_FILTER_MAX];

	log_filter_get(filter);
	inspect_mut_str(in, SENS_SAFE, "filter", filter, update_filter, (void *)(uintptr_t)obj);
	inspect_dir(in, SENS_UNSPEC, "perf", perf_inspect, obj);
}

/* --- what has to stay as it is for tools of the host ------------------------------------------ */

static void net_inspect(struct inspect *in, const void *obj)
{
	(void)in; /* there are no network devices yet */
	(void)obj;
}

static void uhdiag_inspect(struct inspect *in, const void *obj)
{
	inspect_dir(in, SENS_SAFE, "build_info", build_inspect, obj);
	inspect_dir(in, SENS_SAFE, "net", net_inspect, obj);
}

/* --- our own ---------------------------------------------------------------------------------- */

static void policy_inspect(struct inspect *in, const void *obj)
{
	const struct confid *c = obj;

	inspect_str(in, SENS_SAFE, "isolation", confid_isolation_name(c->isolation));
	inspect_bool(in, SENS_SAFE, "confidential", c->confidential);
	inspect_bool(in, SENS_SAFE, "debug", c->debug);
	inspect_bool(in, SENS_SAFE, "restricted", c->restricted);
}

static void boot_inspect(struct inspect *in, const void *obj)
{
	struct timeline_mark marks[TIMELINE_MAX];
	const struct control *c = obj;
	const size_t n = timeline_get(marks);

	inspect_ns(in, SENS_UNSPEC, "init", c->knobs.kernel_boot_ns);
	for (size_t i = 0; i < n; i++)
		inspect_ns(in, SENS_UNSPEC, marks[i].name, marks[i].ns);
	inspect_ns(in, SENS_UNSPEC, "now", timeline_now_ns());
}

static void logs_inspect(struct inspect *in, const void *obj)
{
	const struct logout *lo = obj;

	if (lo->common.queue)
		inspect_count(in, SENS_UNSPEC, "lost", log_queue_lost(lo->common.queue));
	inspect_bool(in, SENS_UNSPEC, "host/connected", lo->chan != NULL);
	inspect_bool(in, SENS_UNSPEC, "host/kernel_log", lo->kmsg_read_fd >= 0);
	if (lo->gel)
		inspect_count(in, SENS_UNSPEC, "host/missed", gel_cli_missed(lo->gel));
	if (lo->chan)
		inspect_dir(in, SENS_UNSPEC, "host/pipe", pipe_inspect, uio_chan_pipe(lo->chan));
}

static void diag_inspect(struct inspect *in, const void *obj)
{
	const struct control *c = obj;

	if (c->diag)
		inspect_dir(in, SENS_UNSPEC, "server", diag_server_inspect, c->diag);
	inspect_dir(in, SENS_UNSPEC, "inspect", ctl_asks_inspect_self, c->asks);
}

/* --- all -------------------------------------------------------------------------------------- */

static const char *const state_names[] = {
	[CTL_WAITING_FOR_START] = "waiting_for_start",
	[CTL_STARTING] = "starting",
	[CTL_STARTED] = "started",
	[CTL_RESTARTING] = "restarting",
};

void ctl_tree_remote(struct inspect *in, const void *obj)
{
	const struct control *c = obj;

	if (c->vm.pid > 0)
		inspect_remote(in, SENS_UNSPEC, "vm", 0);
}

void ctl_tree_inspect(struct inspect *in, const void *obj)
{
	const struct control *c = obj;

	inspect_dir(in, SENS_SAFE, "build_info", build_inspect, NULL);
	inspect_str(in, SENS_SAFE, "control_state", state_names[c->state]);
	inspect_dir(in, SENS_SAFE, "mesh", mesh_inspect, c);
	inspect_dir(in, SENS_SAFE, "proc", procinfo_inspect, "/proc");
	inspect_dir(in, SENS_SAFE, "trace", trace_inspect, c);
	inspect_dir(in, SENS_SAFE, "uhdiag", uhdiag_inspect, c);
	inspect_dir(in, SENS_SAFE, "policy", policy_inspect, &c->confid);
	inspect_dir(in, SENS_UNSPEC, "boot", boot_inspect, c);
	inspect_dir(in, SENS_UNSPEC, "knobs", knobs_inspect, &c->knobs);
	inspect_dir(in, SENS_UNSPEC, "logs", logs_inspect, &c->log);
	inspect_dir(in, SENS_UNSPEC, "diag", diag_inspect, c);
	inspect_flatten(in, ctl_tree_remote, c);
}
