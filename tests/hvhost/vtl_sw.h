/* SPDX-License-Identifier: MIT */
/* Switching a VP between VTL2 and VTL0. Context: the VP's thread. Spec: hypervisor 4.1, 6.5. */
#pragma once

#include "hvpart.h"

/**
 * vtl_sw_enter - leave VTL0 for VTL2
 * VTL0's cached registers are what VTL2 will see; an intercept message is already in place.
 */
void vtl_sw_enter(struct hvvp *vp, enum hv_vtl_entry_reason reason);

/* VTL2 asked to return: the exit of its hypercall page's return entry. */
void vtl_sw_return(struct hvvp *vp);
