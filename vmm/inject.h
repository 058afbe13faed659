/* SPDX-License-Identifier: MIT */
/*
 * Events into VTL0: exceptions and PIC interrupts through the pending-event register, and the
 * request to be told when a PIC interrupt can be taken.
 * Context: the vcpu's thread between two entries. Spec: TLFS, "Pending event register",
 * "Deliverability notifications".
 */
#pragma once

#include "vcpu.h"
#include "x86emu.h"

/**
 * inject_exception - deliver an exception at the next entry
 * At most one event per entry: a second one is dropped and counted, as the first decides where VTL0
 * goes on and the instruction behind the second will be met again.
 */
void inject_exception(struct vcpu *v, const struct x86emu_fault *fault);

/* Single-step trap after an emulated instruction: #DB with DR6.BS. */
void inject_trap(struct vcpu *v);

/* VTL0 can take a PIC interrupt now: acknowledge the PIC and deliver its vector. */
void inject_extint(struct vcpu *v);

/* Tell the hypervisor which notifications are wanted, if that changed. Before every entry. */
void inject_sync(struct vcpu *v);
