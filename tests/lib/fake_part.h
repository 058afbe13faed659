/* SPDX-License-Identifier: MIT */
/*
 * A partition of the Hyper-V look-alike without KVM: real memory, real tables, run structures in
 * ordinary memory, every file descriptor invalid. Hypercalls, protections and page walks work; what
 * needs a running processor fails the way a broken KVM would.
 */
#pragma once

#include "hvpart.h"

#define FAKE_VPS 3
#define FAKE_VTL0_BYTES (8ull << 20)
#define FAKE_VTL2_BYTES (4ull << 20)
#define FAKE_VTL2_BASE FAKE_VTL0_BYTES

struct fake_part {
	struct hvpart part;
	struct kvm_run run[FAKE_VPS][VTL_COUNT];
};

/* Never fails but by BUG_ON: it belongs to tests. Free with fake_part_destroy(). */
struct fake_part *fake_part_create(void);
/* Isolated: nothing is accepted yet. */
struct fake_part *fake_part_create_isolated(void);
void fake_part_destroy(struct fake_part *f);

/* Bring every VP's and the partition's changeable state back to the start; memory stays. */
void fake_part_reset(struct fake_part *f);
