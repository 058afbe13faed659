/* SPDX-License-Identifier: MIT */
/* Synthetic MSRs of both VTLs, and VTL2's view of the shared MTRRs. Spec: hypervisor 3.3, 6.10. */
#pragma once

#include "hvpart.h"

/**
 * msr_host_read / msr_host_write - one access by a VTL
 * Returns: 0; -EINVAL: raise #GP; -ENOENT: not ours (VTL0: an MSR intercept for VTL2, if it asked
 * for them). Context: the VP's thread.
 */
must_check int msr_host_read(struct hvvp *vp, enum vtl_index v, uint32_t msr, uint64_t *ret_val);
must_check int msr_host_write(struct hvvp *vp, enum vtl_index v, uint32_t msr, uint64_t val);
