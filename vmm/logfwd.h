/* SPDX-License-Identifier: MIT */
/*
 * The log of a role that does not own the host's log channel: lines go to the kernel's log here and
 * to the control role by message, which sends them on. They wait in a ring with a limit, from
 * before the connection exists; what does not fit is counted in the next line that does.
 */
#pragma once

#include <pthread.h>
#include <stddef.h>
#include <stdint.h>

#include "ipc.h"
#include "log.h"
#include "loop.h"

#define LOGFWD_RING_BYTES 32768u

struct logfwd {
	int kmsg_fd; /* -1: lines go to stderr */
	struct ipc *ipc; /* NULL = not attached */
	struct loop *loop;
	struct loop_work work;
	pthread_mutex_t lock; /* protects: all below; rank: inside the log's */
	uint32_t head, tail; /* bytes written and read since the start */
	uint32_t missed;
	uint8_t ring[LOGFWD_RING_BYTES];
};

/* Take over the log. Context: main thread, before any other exists. @fwd lives for ever. */
void logfwd_init(struct logfwd *fwd, enum log_level level, bool restricted);

/* Begin to send. Context: the loop's thread, as all below. */
void logfwd_attach(struct logfwd *fwd, struct loop *loop, struct ipc *ipc);

/* Hand over what waits. */
void logfwd_flush(struct logfwd *fwd);

/* The connection is gone. */
void logfwd_detach(struct logfwd *fwd);
