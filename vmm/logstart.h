/* SPDX-License-Identifier: MIT */
/*
 * What the log of every role has in common: statements go into a queue, a thread of its own writes
 * them to the kernel's log and hands them to one more output, which is the way to the host.
 */
#pragma once

#include <stdbool.h>

#include "knobs.h"
#include "log_format.h"
#include "log_queue.h"

struct logstart {
	struct log_kmsg kmsg; /* no fd: lines go to stderr */
	struct log_queue
		*queue; /* NULL: there was no memory for one, statements write themselves */
};

/**
 * logstart_init - take over the log, with filter and options as the knobs say
 * @to_host: NULL = no further output
 * Context: main thread, before any other exists. @ls lives for ever.
 */
void logstart_init(struct logstart *ls, const struct knobs *knobs, bool restricted,
		   const struct log_output *to_host);

/* Everything logged before is with the outputs when this returns. Context: any thread that may
 * wait. */
void logstart_flush(struct logstart *ls);
