/* SPDX-License-Identifier: MIT */
/*
 * The paravisor's end of the log channel (GEL): the daemon's log records, of all its roles, and the
 * kernel's log, for the host. Records wait in a bounded ring from the very start of the process,
 * until the channel is open and whenever the host does not read; what does not fit is counted, and
 * the next event that does says how many went missing. The kernel keeps its own log: it is read
 * only as fast as the host takes it. Where diagnostics are restricted nothing of the kernel's log
 * and nothing of class CONF goes out, whoever sends it here.
 * Trust: the host may stop reading for ever; it has nothing to say on this channel.
 * Spec: OpenHCL diagnostics, GEL channel.
 */
#pragma once

#include <stdbool.h>
#include <stdint.h>

#include "guid.h"
#include "log_record.h"
#include "loop.h"
#include "macros.h"
#include "pipe.h"

struct gel_cli;

extern const struct guid gel_cli_instance; /* GEL's channel, for uio_chan_open() */

/* NULL = out of memory. Context: any. */
struct gel_cli *gel_cli_create(bool restricted);

/* Accepts NULL. It must be detached, and nobody may put records any more. */
void gel_cli_destroy(struct gel_cli *gc);

/**
 * gel_cli_put_record - queue one record, of this process or decoded from another role's message
 * Copies it; never blocks, allocates or logs; the only system call is loop_post()'s.
 * Context: any thread.
 */
void gel_cli_put_record(struct gel_cli *gc, const struct log_record *rec);

/* The same as an output of a log queue. @ctx: struct gel_cli. */
void gel_cli_output(void *ctx, const struct log_record *rec);

/**
 * gel_cli_attach - begin to send
 * @loop: runs the sending; outlives the last gel_cli_put_record()
 * @pipe: the open channel; this sets its user callbacks. The transport is to be started afterwards.
 * @kmsg_fd: /dev/kmsg, open for reading without blocking, or -1 = do not relay the kernel's log.
 * Stays the caller's, to be closed after gel_cli_detach().
 * Context: the loop's thread, once.
 */
void gel_cli_attach(struct gel_cli *gc, struct loop *loop, struct pipe *pipe, int kmsg_fd);

/* Stop sending; before the channel is closed. Records are queued still. Accepts NULL, and one that
 * is not attached. Context: the loop's thread. */
void gel_cli_detach(struct gel_cli *gc);

/**
 * gel_cli_flush - hand over everything queued that the channel has room for, now
 * Does not wait for the host. Accepts NULL, and one that is not attached.
 * Context: the loop's thread.
 */
void gel_cli_flush(struct gel_cli *gc);

/* Has the host taken everything? True as well when there is nobody to take it (NULL, not attached,
 * failed). Context: the loop's thread. */
bool gel_cli_idle(struct gel_cli *gc);

/* Records lost since the start, for inspect. Any thread. */
uint64_t gel_cli_missed(const struct gel_cli *gc);
