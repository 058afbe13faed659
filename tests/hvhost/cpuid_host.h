/* SPDX-License-Identifier: MIT */
/* The CPUID tables of both VTLs. Spec: hypervisor 3.1, 3.2, 6.3. */
#pragma once

#include "hvpart.h"

/**
 * cpuid_host_set - give a vCPU its table
 * @v: VTL0's leaves 0x40000080..82 come from part->vs_leaf, VTL2's are zero
 * Returns: 0, -errno. Context: before the vCPU has run; any thread.
 */
must_check int cpuid_host_set(struct hvpart *part, struct hvvp *vp, enum vtl_index v);

/* Has the table XSAVE? (CR4.OSXSAVE is only valid then.) */
bool cpuid_host_has_xsave(const struct hvpart *part);
