/* SPDX-License-Identifier: MIT */
/*
 * The log of a role that does not own the host's log channel: records go to the kernel's log here
 * and to the control role by message, which sends them on. They wait in a ring with a limit, from
 * before the connection exists; what does not fit is counted and told.
 */
#pragma once

#include <stdbool.h>

#include "ipc.h"
#include "log_fwd.h"
#include "logstart.h"
#include "loop.h"

struct logfwd {
	struct logstart common;
	struct log_fwd *fwd; /* NULL: there was no memory for it */
};

/* Take over the log. Context: main thread, before any other exists. @lf lives for ever. */
void logfwd_init(struct logfwd *lf, const struct knobs *knobs, bool restricted);

/* Begin to send. Context: the loop's thread, as all below. */
void logfwd_attach(struct logfwd *lf, struct loop *loop, struct ipc *ipc);

/* Write out and hand over all that was logged before. */
void logfwd_flush(struct logfwd *lf);

/* The connection is gone. */
void logfwd_detach(struct logfwd *lf);
