/* SPDX-License-Identifier: MIT */
/* The thread of a virtual processor: runs one VTL's vCPU at a time and serves its exits. */
#pragma once

#include <signal.h>

#include "hvpart.h"
#include "loop.h"

/* Ends a vCPU's run; never blocked in VP threads. */
#define VP_HOST_SIGNAL SIGUSR1

/**
 * vp_host_init - install the signal handler of VP threads. Context: once per process is enough.
 * Returns: 0, -errno
 */
must_check int vp_host_init(void);

/* Start the thread; it waits until VTL2 of this VP may run. Returns 0, -errno. */
must_check int vp_host_start(struct hvvp *vp);

/* Wait for the thread's end; part->stopping is set. */
void vp_host_join(struct hvvp *vp);

/**
 * vp_host_go - let VTL2 of this VP run; its state is set, or start_ctx is
 * Context: any thread, once per VP
 */
void vp_host_go(struct hvvp *vp);

/**
 * vp_host_drain - let KVM complete what a vCPU has pending, then put our registers back
 * Afterwards nothing is pending and the cached registers hold. Context: the VP's thread.
 */
void vp_host_drain(struct hvvp *vp, enum vtl_index v);

/**
 * vp_host_exception - raise an exception in a VTL at its present RIP
 * Cached registers are pushed first. Context: the VP's thread, nothing pending in KVM
 */
void vp_host_exception(struct hvvp *vp, enum vtl_index v, uint8_t vector, bool has_error,
		       uint32_t error);

/* Count an exit. */
static inline void vp_count(struct hvvp *vp, enum vtl_index v, enum session_exit kind)
{
	vp->exits[v][kind]++;
}
