/* SPDX-License-Identifier: MIT */
/*
 * A VMBus channel that the kernel's uio_hv_generic driver gives to user space: VTL2's own channels
 * from the host (GET, log, serial). Finds the device by instance GUID, maps both rings, and runs
 * the interrupt on a loop. Trust: the host is hostile (ring.h). Spec: spec/vmbus.md 3.5.
 */
#pragma once

#include "guid.h"
#include "loop.h"
#include "macros.h"
#include "pipe.h"

struct uio_chan;

/**
 * uio_chan_open - open /sys/bus/vmbus/devices/<instance>/uio/uioN and map its rings
 * Opening the device opens the channel: the host must be alive; this call waits for its answer.
 * Returns: 0; -ENOENT (not offered, or the driver has not bound yet: try again later); -EBADMSG
 * (nonsense in sysfs or in the rings); -errno of open and mmap; -ENOMEM
 * Context: start-up, any thread.
 */
must_check int uio_chan_open(const struct guid *instance, struct uio_chan **ret_uc);

/**
 * uio_chan_wait - as uio_chan_open, retried until the device appears
 * @timeout_ms: how long; -ENOENT afterwards. Sleeps in steps of 5 ms.
 */
must_check int uio_chan_wait(const struct guid *instance, unsigned timeout_ms,
			     struct uio_chan **ret_uc);

/* The message pipe on top; set its user callbacks before uio_chan_start(). */
struct pipe *uio_chan_pipe(struct uio_chan *uc);

/**
 * uio_chan_start - begin to deliver pipe->wake and pipe->gone on the loop's thread
 * Returns: 0, -errno. Context: the loop's thread (or before it runs). wake comes once at once.
 */
must_check int uio_chan_start(struct uio_chan *uc, struct loop *loop);

/**
 * uio_chan_wait_event - for users without a loop: sleep until the host signals the channel
 * @timeout_ms: -1 = for ever
 * Returns: 0 (look at the pipe); -ETIMEDOUT; -EPIPE (the host took the channel away); -errno
 * Context: the channel's thread, which must not have called uio_chan_start().
 */
must_check int uio_chan_wait_event(struct uio_chan *uc, int timeout_ms);

/* Stop callbacks, unmap, close the channel. Accepts NULL. Context: the loop's thread. */
void uio_chan_close(struct uio_chan *uc);
