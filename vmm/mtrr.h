/* SPDX-License-Identifier: MIT */
/*
 * Memory type registers VTL0 starts with: everything uncached by default, RAM write-back.
 * Pure arithmetic. Spec: Intel SDM volume 3, "Memory type range registers".
 */
#pragma once

#include <stdint.h>

#include "load_regs.h"
#include "macros.h"

struct mtrr_layout {
	uint64_t ram_end; /* first byte above VTL0's RAM */
	uint64_t low_mmio_base, low_mmio_end; /* below 4 GiB */
	uint64_t high_mmio_base, high_mmio_end; /* base 0: no high window */
	uint8_t phys_bits; /* of CPUID 0x80000008; clamped to 36..52 */
};

/* Default type and the fixed ranges below 1 MiB that are RAM, then the variable ranges. */
void mtrr_add(const struct mtrr_layout *m, struct load_regs *regs);
