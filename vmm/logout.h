/* SPDX-License-Identifier: MIT */
/*
 * Where the daemon's log lines go: the kernel's log, and the host's through the log channel once
 * that is open. Lines from before wait in the client's ring.
 */
#pragma once

#include <stdbool.h>

#include "gel_cli.h"
#include "log.h"
#include "loop.h"
#include "uio_chan.h"

struct logout {
	int kmsg_fd; /* -1: lines go to stderr */
	int kmsg_read_fd;
	struct gel_cli *gel;
	struct uio_chan *chan;
};

/* Take over the log. Context: main thread, before any other exists. */
void logout_init(struct logout *lo, enum log_level level, bool confidential);

/**
 * logout_attach - open the host's log channel and begin to send
 * Without a channel the lines simply stay here. Context: the loop's thread (or before it runs).
 */
void logout_attach(struct logout *lo, struct loop *loop);

/* Hand over what is queued. Context: the loop's thread. */
void logout_flush(struct logout *lo);

/* Back to the kernel's log alone. Context: the loop's thread; lines may still be logged. */
void logout_detach(struct logout *lo);
