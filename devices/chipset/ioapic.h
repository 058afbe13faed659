/* SPDX-License-Identifier: MIT */
/*
 * IOAPIC (82093AA, version 0x11): 24 inputs that become interrupt messages.
 *
 * Locks: dev->lock, rank 3; the message sink is called with it held.
 * Trust: VTL0. Spec: Intel 82093AA data sheet; chipset fact sheet, IOAPIC.
 */
#pragma once

#include <stdint.h>

#include "macros.h"

struct device;
struct ioapic;
struct irq_sink;
struct msi_sink;

#define IOAPIC_BASE 0xfec00000u
#define IOAPIC_LEN 0x20u
#define IOAPIC_INPUTS 24u

/* Level-triggered interrupts wait for ioapic_eoi(); the sink must see to it that it is called. */
struct ioapic_wiring {
	const struct msi_sink *msi;
};

/* Returns: 0, -ENOMEM. Destroy with device_destroy(ioapic_device(io)). */
must_check int ioapic_create(const struct ioapic_wiring *w, struct ioapic **ret_ioapic);
struct device *ioapic_device(struct ioapic *io);

/* Inputs 0..IOAPIC_INPUTS - 1; other numbers are ignored. */
const struct irq_sink *ioapic_sink(struct ioapic *io);

/**
 * ioapic_eoi - a local APIC completed a level-triggered vector
 * Inputs with this vector may interrupt again, and do so at once if their line is still high.
 * Context: any thread that holds no lock of rank 3 or higher
 */
void ioapic_eoi(struct ioapic *io, uint8_t vector);
