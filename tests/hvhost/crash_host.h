/* SPDX-License-Identifier: MIT */
/* VTL2's crash MSRs. Context: the VP's thread. Spec: hypervisor 7. */
#pragma once

#include "hvpart.h"

/* @msr: HVMSR_CRASH_P0..CRASH_CTL. A control write with the notify bit ends the session. */
uint64_t crash_host_read(const struct hvvp *vp, uint32_t msr);
void crash_host_write(struct hvvp *vp, uint32_t msr, uint64_t val);
