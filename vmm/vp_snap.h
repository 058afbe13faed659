/* SPDX-License-Identifier: MIT */
/*
 * What can only be read on a VP's own thread: VTL0's registers and the bytes at its instruction
 * pointer. Whoever wants them asks; the VP is kicked out of VTL0 once, answers on its next visit to
 * its loop and goes on. Nobody waits for anybody.
 *
 * Trust: everything in a snapshot was chosen by VTL0.
 */
#pragma once

#include <stdbool.h>
#include <stdint.h>

#include "hvcall.h"
#include "loop.h"
#include "macros.h"

struct inspect;
struct vcpu;

#define VP_SNAP_REGS 64u
#define VP_SNAP_CODE 16u

struct vp_snap {
	union hv_regval val[VP_SNAP_REGS]; /* in the order of vp_snap.c's table */
	uint64_t have; /* bit n: val[n] is known */
	uint8_t code[VP_SNAP_CODE];
	uint32_t n_code; /* bytes of code that could be read */
};

/* Fill in a snapshot. Context: the VP's thread between two entries. */
void vp_snap_take(struct vcpu *v, struct vp_snap *ret_snap);

/* Show it: an inspect_fn. */
void vp_snap_inspect(struct inspect *in, const void *snap);
