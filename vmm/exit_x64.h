/* SPDX-License-Identifier: MIT */
/*
 * What VTL0 did, decoded: one handler per intercept message type. Every field of the message that
 * VTL0 influences is hostile; a malformed message is counted and VTL0 simply goes on.
 *
 * On the paths that answer from device registers: no allocation, no system call, no shared lock but
 * the device's own.
 * Context: the vcpu's thread, after vp_run() returned 0. Spec: TLFS, "Intercept messages".
 */
#pragma once

#include "hvmsg.h"
#include "vcpu.h"

/* Serve the message in the run page: registers are up to date for the next entry afterwards. */
void exit_handle(struct vcpu *v);

/**
 * exit_advance_rip - step over the instruction of an intercept
 * @h: header of the message
 */
void exit_advance_rip(struct vcpu *v, const struct hv_x64_header *h);
