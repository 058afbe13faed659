/* SPDX-License-Identifier: MIT */
/*
 * Hypercalls of VTL0 that the hypervisor hands to this layer: decoding of control word and calling
 * convention, validation, one table of calls, result and RIP.
 * Context: the vcpu's thread. Trust: VTL0; input blocks are copied once. Spec: TLFS, "Hypercall
 * interface".
 */
#pragma once

#include "hvmsg.h"
#include "vcpu.h"

void hvcall_dispatch(struct vcpu *v, const struct hv_hypercall_msg *m);
