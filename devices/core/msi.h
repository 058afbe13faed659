/* SPDX-License-Identifier: MIT */
/* Message-signalled interrupts: the form in which the IOAPIC and PCI devices reach local APICs. */
#pragma once

#include <stdint.h>

/*
 * x86 message. Address: 0xfee00000 | destination << 12 | destination bits 14:8 << 5 | bit 3
 * redirection hint | bit 2 logical. Data: 7:0 vector, 10:8 delivery mode, 14 assert, 15 level.
 */
#define MSI_X86_ADDR 0xfee00000u
#define MSI_X86_ADDR_MASK 0xfff00000u
#define MSI_X86_ADDR_LOGICAL (1u << 2)
#define MSI_X86_ADDR_HINT (1u << 3)
#define MSI_X86_DATA_ASSERT (1u << 14)
#define MSI_X86_DATA_LEVEL (1u << 15)

struct msi_sink {
	/* Called with a device lock held: must not block, not call back (device.h, lock ranks). */
	void (*deliver)(void *ctx, uint64_t addr, uint32_t data);
	void *ctx;
};

static inline uint8_t msi_x86_vector(uint32_t data)
{
	return (uint8_t)data;
}

/* 0 fixed, 1 lowest priority, 2 SMI, 4 NMI, 5 INIT, 7 ExtINT */
static inline uint8_t msi_x86_mode(uint32_t data)
{
	return (uint8_t)(data >> 8 & 7);
}

/* 15-bit destination: the extended bits 14:8 are in address bits 11:5. */
static inline uint32_t msi_x86_dest(uint64_t addr)
{
	return (uint32_t)((addr >> 12 & 0xff) | (addr >> 5 & 0x7f) << 8);
}
