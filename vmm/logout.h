/* SPDX-License-Identifier: MIT */
/*
 * Where the daemon's log goes: the kernel's log, and the host's through the log channel once that
 * is open. Records from before wait in the client's ring.
 */
#pragma once

#include <stdbool.h>

#include "gel_cli.h"
#include "logstart.h"
#include "loop.h"
#include "uio_chan.h"

struct logout {
	struct logstart common;
	int kmsg_read_fd;
	bool restricted; /* the kernel's log stays here */
	unsigned int tries; /* to open the channel */
	struct loop *loop; /* NULL = not attached */
	struct loop_timer retry;
	struct gel_cli *gel;
	struct uio_chan *chan;
};

/* Take over the log. @lo lives for ever. Context: main thread, before any other exists. */
void logout_init(struct logout *lo, const struct knobs *knobs, bool restricted);

/**
 * logout_attach - open the host's log channel and begin to send
 * A channel that is not there yet is tried again for a while; without one the lines simply stay
 * here. The kernel's log is relayed too, but not where diagnostics are restricted.
 * Context: the loop's thread (or before it runs).
 */
void logout_attach(struct logout *lo, struct loop *loop);

/* A record of another role, for the host alone: the kernel's log has it already. Any thread. */
void logout_forward(struct logout *lo, const struct log_record *rec);

/* Write out what is queued, and hand it to the channel as far as that has room. Context: the loop's
 * thread. */
void logout_flush(struct logout *lo);

/* Has the host taken all lines, or is there nobody to take them? Context: the loop's thread. */
bool logout_idle(struct logout *lo);

/* Back to the kernel's log alone. Context: the loop's thread; lines may still be logged. */
void logout_detach(struct logout *lo);
