/* SPDX-License-Identifier: MIT */
/*
 * Intercepts: what VTL0 did, told to VTL2, and VTL2's answer carried out. All in the VP's thread.
 *
 * While VTL2 works, VTL0's cached registers describe one instant for every way VTL2 can read them
 * (message header, register page, run page, hypercalls). KVM's own view of that instant may differ
 * (it retires stores before it tells us); struct icpt keeps it and icpt_finish() joins the two.
 * Trust: VTL2's answer is checked, VTL0's registers and memory are hostile.
 * Spec: hypervisor 4.5, 4.6, 6.7 to 6.10.
 */
#pragma once

#include "hvpart.h"

/* --- building blocks (intercept.c) --- */

/* Fill the common header; @rip and @ilen describe the instruction. */
void icpt_header(struct hvvp *vp, struct hv_x64_header *h, uint64_t rip, uint8_t ilen,
		 enum hv_access_type access);

/* Put the message into the intercept page, the registers into the register page, enter VTL2. */
void icpt_deliver(struct hvvp *vp, enum hv_message_type type, const void *payload, uint8_t size);

/* Begin an intercept: KVM's registers are remembered, VTL2 will see @rip. */
void icpt_begin(struct hvvp *vp, enum icpt_kind kind, uint64_t rip, uint8_t ilen);

/* VTL2 has returned: carry out its answer, or present the next piece of the access. */
void icpt_finish(struct hvvp *vp);

/* Did VTL2 leave RIP behind the instruction, without raising an event? */
bool icpt_completed(const struct hvvp *vp);

/* VTL2 decided otherwise: what KVM has pending is dropped, VTL2's registers hold. */
void icpt_abort(struct hvvp *vp);

/* Give KVM's registers back, so that it completes the access itself. */
void icpt_restore(struct hvvp *vp);

/* Read instruction bytes at linear address CS:rip. Returns how many were readable, 0..max. */
uint32_t icpt_fetch(struct hvvp *vp, uint64_t rip, uint8_t *ret_bytes, uint32_t max);

/* --- exits of VTL0's vCPU, as KVM's run structure describes them --- */

void icpt_pio_exit(struct hvvp *vp); /* icpt_pio.c */
void icpt_mmio_exit(struct hvvp *vp); /* icpt_mmio.c */
void icpt_msr_exit(struct hvvp *vp, bool write); /* icpt_misc.c */
void icpt_eoi_exit(struct hvvp *vp, uint8_t vector);
void icpt_shutdown_exit(struct hvvp *vp);
void icpt_hypercall(struct hvvp *vp); /* an unknown connection: VTL2 answers the call */
void icpt_extint_window(struct hvvp *vp);
void icpt_sints_free(struct hvvp *vp, uint16_t sints);
void icpt_cpuid_ask(struct hvvp *vp, uint32_t leaf);
void icpt_exec_fault(struct hvvp *vp); /* an instruction KVM cannot run: from no RAM, or unknown */
void icpt_fault_exit(
	struct hvvp *vp); /* icpt_fault.c: faithful mode, the access itself is still to come */

/* Vector registers are shared by the VTLs but copied only when an instruction uses them: lend
 * VTL0's to VTL2 before the intercept, take them back after it. */
void icpt_fpu_lend(struct hvvp *vp);
void icpt_fpu_take(struct hvvp *vp);

/* --- second halves, called by icpt_finish() --- */

void icpt_pio_finish(struct hvvp *vp);
void icpt_mmio_finish(struct hvvp *vp);
void icpt_msr_finish(struct hvvp *vp);
void icpt_hypercall_finish(struct hvvp *vp);
void icpt_cpuid_finish(struct hvvp *vp);
