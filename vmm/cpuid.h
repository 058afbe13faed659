/* SPDX-License-Identifier: MIT */
/*
 * CPUID leaves this layer answers for VTL0: the virtualization-stack leaves 0x40000080..82.
 * Everything else keeps what the hypervisor would have answered.
 * Spec: TLFS, "Virtualization stack CPUID leaves"; Linux mshyperv.c.
 */
#pragma once

#include <stdint.h>

struct cpuid_regs {
	uint32_t eax, ebx, ecx, edx;
};

/* @io_regs: in: the hypervisor's answer; out: what VTL0 sees. Any thread, no side effects. */
void cpuid_adjust(uint32_t leaf, uint32_t subleaf, struct cpuid_regs *io_regs);
