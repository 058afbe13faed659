/* SPDX-License-Identifier: MIT */
/* See cpuid.h. Pure functions. */
#include "cpuid.h"

#include "hvmsr.h"

/* "Microsoft VS" */
#define VS_EBX 0x7263694du
#define VS_ECX 0x666f736fu
#define VS_EDX 0x53562074u

#define VS_EXTENDED_IOAPIC_RTE BIT(2) /* 15-bit destination ids in MSIs and IOAPIC entries */

void cpuid_adjust(uint32_t leaf, uint32_t subleaf, struct cpuid_regs *io_regs)
{
	(void)subleaf;
	switch (leaf) {
	case HVCPUID_VS_VENDOR:
		*io_regs = (struct cpuid_regs){ HVCPUID_VS_PROPERTIES, VS_EBX, VS_ECX, VS_EDX };
		break;
	case HVCPUID_VS_INTERFACE:
		*io_regs = (struct cpuid_regs){ HV_CPUID_INTERFACE_VS1, 0, 0, 0 };
		break;
	case HVCPUID_VS_PROPERTIES:
		*io_regs = (struct cpuid_regs){ (uint32_t)VS_EXTENDED_IOAPIC_RTE, 0, 0, 0 };
		break;
	default:
		break;
	}
}
