/* SPDX-License-Identifier: MIT */
/*
 * VTL2's synthetic timers. One kernel timer per VP is armed for the earliest of them; it ends the
 * guest's run with a signal, and the VP's own thread raises the interrupt. All functions: the VP's
 * thread. Spec: hypervisor 3.3 (STIMER), 6.6.
 */
#pragma once

#include "hvpart.h"

/* Make the kernel timer. Returns 0, -errno. Context: at the start of the VP's thread. */
must_check int stimer_host_init(struct hvvp *vp);
void stimer_host_fini(struct hvvp *vp);

/* @index: MSR number - HVMSR_STIMER0_CONFIG (even: config, odd: count). write: 0, -EINVAL = #GP. */
uint64_t stimer_host_read(const struct hvvp *vp, uint32_t index);
must_check int stimer_host_write(struct hvvp *vp, uint32_t index, uint64_t val);

/* Deliver what is due. Cheap when nothing is. */
void stimer_host_poll(struct hvvp *vp);
