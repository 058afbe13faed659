/* SPDX-License-Identifier: MIT */
/*
 * Exits that need the instruction itself: MMIO and string port I/O. Joins registers, guest memory
 * and buses to the instruction emulator.
 * Context: the vcpu's thread, after an intercept. Trust: VTL0.
 */
#pragma once

#include "hvmsg.h"
#include "vcpu.h"

/* An access to a guest-physical address that is not VTL0's plain RAM. */
void exit_emu_mem(struct vcpu *v, const struct hv_mem_msg *m);

/* INS, OUTS and their REP forms. */
void exit_emu_io(struct vcpu *v, const struct hv_io_msg *m);
