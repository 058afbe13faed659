/* SPDX-License-Identifier: MIT */
/*
 * A role's log records on their way to the control role, which owns the host's log channel: an
 * output of the role's log queue that sends each record as one IPC message. Records wait in a ring
 * until the connection exists; what does not fit is counted there.
 *
 * The other end lists LOG_IPC_RECORD in its permits, with min_len 1 and max_len LOG_RECORD_MAX, and
 * its handler is log_record_decode() and gel_cli_put_record().
 */
#pragma once

#include "ipc.h"
#include "log_record.h"
#include "loop.h"

struct log_fwd;

/* NULL = out of memory. Never destroyed, like the queue. */
struct log_fwd *log_fwd_create(void);

/* An output (log_queue.h). @ctx: struct log_fwd. */
void log_fwd_put(void *ctx, const struct log_record *rec);

/**
 * log_fwd_attach - begin to send
 * @type: message type of the records
 * Context: the loop's thread, or before it runs. The loop outlives the last log_fwd_put().
 */
void log_fwd_attach(struct log_fwd *fwd, struct loop *loop, struct ipc *ipc, uint32_t type);

/* The connection is gone: records are dropped from now on. The loop's thread. */
void log_fwd_detach(struct log_fwd *fwd);

/* Hand over all that waits, without waiting for the other role. The loop's thread. */
void log_fwd_flush(struct log_fwd *fwd);
