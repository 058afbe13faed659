/* SPDX-License-Identifier: MIT */
/*
 * The whole PC chipset on one bus with everything around it replaced by records: virtual time that
 * moves only when a test says so, interrupt messages, power requests, serial lines. Used by unit
 * tests and by the fuzz target. One thread.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "bus.h"
#include "chario.h"
#include "clock.h"
#include "irqline.h"
#include "msi.h"
#include "pc_chipset.h"
#include "power.h"

#define RIG_TIMERS 8u
#define RIG_COM_BYTES 4096u
/* 2024-03-01 12:34:56 UTC, a Friday. */
#define RIG_UTC_START 1709296496ull
#define RIG_IOAPIC 0xfec00000u

struct chip_rig;

struct rig_timer {
	struct chip_rig *rig;
	void (*fn)(void *ctx);
	void *ctx;
	bool used, armed;
	uint64_t deadline;
};

struct rig_com {
	struct char_backend be;
	uint8_t out[RIG_COM_BYTES]; /* what the guest sent; later bytes are only counted */
	size_t n_out;
	size_t quota; /* bytes the line still takes */
	unsigned int rooms; /* calls of rx_room */
};

struct chip_rig {
	struct vm_clock clock;
	uint64_t now, utc;
	struct rig_timer timer[RIG_TIMERS];
	uint64_t fired; /* timer callbacks so far */

	struct msi_sink msi;
	uint64_t msi_addr; /* of the latest message */
	uint32_t msi_data;
	unsigned int n_msi;

	struct irq_sink ext_sink;
	bool extint;
	unsigned int n_extint; /* times it went high */

	struct power_ops power;
	unsigned int n_off, n_reset, n_hibernate;

	int64_t skew; /* as reported last */
	unsigned int n_skew;

	struct rig_com com[PC_COM_PORTS];
	struct bus *bus;
	struct pc_chipset *cs;
};

/* Everything present, COM1..COM4 connected. Aborts when it cannot be built. */
void rig_init(struct chip_rig *rig);
void rig_init_cfg(struct chip_rig *rig, const struct pc_chipset_cfg *cfg);
void rig_fini(struct chip_rig *rig);

/* Let time pass and run what falls due, in order; at most max callbacks. Returns how many ran. */
uint64_t rig_step(struct chip_rig *rig, uint64_t ns, uint64_t max);

uint64_t rig_in(struct chip_rig *rig, uint16_t port, unsigned int size);
void rig_out(struct chip_rig *rig, uint16_t port, unsigned int size, uint64_t val);
static inline uint8_t rig_inb(struct chip_rig *rig, uint16_t port)
{
	return (uint8_t)rig_in(rig, port, 1);
}
static inline void rig_outb(struct chip_rig *rig, uint16_t port, uint8_t val)
{
	rig_out(rig, port, 1, val);
}

/* IOAPIC registers through index and data. */
uint32_t rig_ioapic_read(struct chip_rig *rig, uint8_t idx);
void rig_ioapic_write(struct chip_rig *rig, uint8_t idx, uint32_t val);

/* Program input n: low half as given, destination APIC 0. */
void rig_route(struct chip_rig *rig, unsigned int n, uint32_t low);

/* Levels of the devices' interrupt lines as the PIC sees them: unmask, read IRR. */
bool rig_line(struct chip_rig *rig, unsigned int pic_input);
