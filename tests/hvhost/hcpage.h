/* SPDX-License-Identifier: MIT */
/*
 * The hypercall page: its code is a port access, so that every KVM brings the call to us.
 * Spec: hypervisor 4.1, 6.4.
 */
#pragma once

#include "hvpart.h"

#define HCPAGE_PORT 0xf5
#define HCPAGE_PORT_RETURN 0xf6
#define HCPAGE_PORT_CALL 0xf7 /* VTL call: never allowed here */

/* Length of the call instruction as guests know it: the region is as long as a VMCALL. */
#define HCPAGE_INSN 3

/* Offsets of the entries, and of the OUT in the VTL return entry for 64-bit code. */
#define HCPAGE_CALL 0x00
#define HCPAGE_VTLCALL32 0x04
#define HCPAGE_VTLCALL64 0x0f
#define HCPAGE_VTLRET32 0x1b
#define HCPAGE_VTLRET64 0x26

/* Value of HVREG_VSM_CODE_PAGE_OFFSETS for 64-bit code. */
#define HCPAGE_VSM_OFFSETS ((uint64_t)HCPAGE_VTLCALL64 | (uint64_t)HCPAGE_VTLRET64 << 12)

/**
 * hcpage_write - HVMSR_HYPERCALL was written
 * Returns: 0; -EINVAL: #GP. Context: VP thread.
 */
must_check int hcpage_write(struct hvvp *vp, enum vtl_index v, uint64_t val);

/* HVMSR_GUEST_OS_ID was written; 0 disables the page. */
void hcpage_os_id_write(struct hvvp *vp, enum vtl_index v, uint64_t val);

/**
 * hcpage_is_ours - does this port access come from the hypercall page of that VTL?
 * @rip: address of the OUT instruction
 * Context: VP thread, right after the exit
 */
bool hcpage_is_ours(struct hvvp *vp, enum vtl_index v, uint16_t port, uint64_t rip);
