/* SPDX-License-Identifier: MIT */
/*
 * The paravisor's end of the log channel (GEL): the daemon's own lines and the kernel's log, for
 * the host. Lines wait in a bounded ring from the very start of the process, until the channel is
 * open and whenever the host does not read; what does not fit is counted, and the next line that
 * does says how many went missing. The kernel keeps its own log: it is read only as fast as the
 * host takes it. Trust: the host may stop reading for ever; it has nothing to say on this channel.
 * Spec: spec/get-vmgs.md chapter 7.
 */
#pragma once

#include <stdbool.h>
#include <stdint.h>

#include "guid.h"
#include "log.h"
#include "loop.h"
#include "macros.h"
#include "pipe.h"

struct gel_cli;

extern const struct guid gel_cli_instance; /* GEL's channel, for uio_chan_open() */

/* Make the ring. NULL = out of memory. Context: any. */
struct gel_cli *gel_cli_create(void);

/* Accepts NULL. It must be detached, and nobody may call gel_cli_put() any more. */
void gel_cli_destroy(struct gel_cli *gc);

/**
 * gel_cli_put - queue one finished line ("<name> <level> <area>: text"); a part of a log sink
 * Copies the line; never blocks, allocates or logs; the only system call is loop_post()'s.
 * Context: any thread, callers one at a time: the log lock does that.
 */
void gel_cli_put(struct gel_cli *gc, enum log_level level, const char *line);

/**
 * gel_cli_attach - begin to send
 * @loop: runs the sending; outlives the last gel_cli_put()
 * @pipe: the open channel; this sets its user callbacks. The transport is to be started afterwards.
 * @kmsg_fd: /dev/kmsg, open for reading without blocking, or -1 = do not relay the kernel's log.
 * Stays the caller's, to be closed after gel_cli_detach().
 * Context: the loop's thread, once.
 */
void gel_cli_attach(struct gel_cli *gc, struct loop *loop, struct pipe *pipe, int kmsg_fd);

/* Stop sending; before the channel is closed. Lines are queued still. Accepts NULL, and one that is
 * not attached. Context: the loop's thread. */
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

/* Lines of the daemon lost since the start, for inspect. Any thread. */
uint64_t gel_cli_missed(const struct gel_cli *gc);
