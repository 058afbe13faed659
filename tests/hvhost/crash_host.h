/* SPDX-License-Identifier: MIT */
/*
 * VTL2's crash MSRs: what they say goes to the log, into the report of the end and, whole, into a
 * file (dump_host.h). Context: the VP's thread. Spec: hypervisor 7.
 */
#pragma once

#include "hvpart.h"

/* @msr: HVMSR_CRASH_P0..CRASH_CTL. A control write with the notify bit ends the session. */
uint64_t crash_host_read(const struct hvvp *vp, uint32_t msr);
void crash_host_write(struct hvvp *vp, uint32_t msr, uint64_t val);
