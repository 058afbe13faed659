/* SPDX-License-Identifier: MIT */
/* What the files of the control role share. One thread; everything belongs to its loop. */
#pragma once

#include <stdbool.h>
#include <stdint.h>

#include "confid.h"
#include "ctl_ask.h"
#include "diag_server.h"
#include "knobs.h"
#include "logout.h"
#include "loop.h"
#include "memstat.h"
#include "vmproc.h"

/* As "control_state" says it. */
enum ctl_state { CTL_WAITING_FOR_START, CTL_STARTING, CTL_STARTED, CTL_RESTARTING };

#define CTL_ORDERS_MAX 32u

/* Something the vm role was asked to do for a client. */
struct ctl_order {
	uint64_t id; /* 0 = free */
	uint32_t type; /* enum role_msg */
	struct diag_call *call;
};

struct control {
	struct confid confid;
	struct knobs knobs;
	struct logout log;
	struct loop *loop;
	struct vmproc vm;
	enum ctl_state state;
	char **args; /* of the daemon, NULL-terminated */
	uint64_t start_ns; /* CLOCK_BOOTTIME */

	struct diag_server *diag; /* NULL: there is no vsock */
	struct ctl_asks *asks;
	struct ctl_order orders[CTL_ORDERS_MAX];
	uint64_t last_order;
	char node_id[40]; /* of this start of the daemon */
	bool filter_changed; /* the log's, by a client */

	struct loop_fd signal_watch;
	int signal_fd;
	struct memstat memstat;
	struct loop_timer drain_timer;
	uint64_t drain_until_ns; /* 0 = nobody waits */
	uint64_t flush_id; /* of the vm role's question */
	bool flush_asked, ending;
	int exit_code;
};

/**
 * control_launch - start the vm role
 * @env: NULL-terminated; @args: beside the daemon's own, @n of them
 * Returns: 0, -errno
 */
must_check int control_launch(struct control *c, char *const *env, const char *const *args,
			      size_t n);

/* Tell the vm role, if it runs, the filter of the log. */
void control_send_filter(struct control *c);

/* --- ctl_diag.c ------------------------------------------------------------------------------- */

/* Listen and serve. Without vsock there are no diagnostics, which is logged. Returns: 0, -ENOMEM */
must_check int ctl_diag_start(struct control *c);

/* The vm role answered an order. */
void ctl_diag_answered(struct control *c, uint64_t id, const char *text);

/* The vm role is gone: what it was asked fails. */
void ctl_diag_vm_gone(struct control *c);

void ctl_diag_stop(struct control *c);

/* --- ctl_tree.c ------------------------------------------------------------------------------- */

/* The root of the inspect tree: an inspect_fn on the struct control. The vm role's part is a remote
 * entry. */
void ctl_tree_inspect(struct inspect *in, const void *c);

/* The remote entry alone. */
void ctl_tree_remote(struct inspect *in, const void *c);
