/* SPDX-License-Identifier: MIT */
/*
 * Hyper-V's ACPI power management block: PM1 event and control, PM timer, GPE0, reset register.
 * 0x37 ports, accesses of 1, 2 and 4 bytes at any offset; an access may span registers.
 *
 * The system control interrupt follows Hyper-V: (any PM1 status and any PM1 enable bit set) or the
 * same for GPE0; it is not a bitwise AND, and SCI_EN does not gate it.
 *
 * Locks: DEV_LOCKLESS; reads of the PM timer take no lock, all else takes dev->lock (rank 1).
 * power_ops are called without it.
 * Trust: VTL0. Spec: ACPI 6.5, ACPI hardware specification; chipset fact sheet, power management.
 */
#pragma once

#include <stdbool.h>

#include "irqline.h"
#include "macros.h"

struct device;
struct pm;
struct power_ops;
struct vm_clock;

#define PM_BASE 0x400u
#define PM_PORTS 0x37u
#define PM_IRQ 9u
#define PM_TIMER_HZ 3579545u
#define PM_OFF_TIMER 0x08u
#define PM_OFF_RESET 0x33u
#define PM_RESET_VALUE 0x01u
#define PM_SLP_TYP_S5 0u
#define PM_SLP_TYP_S4 1u

/* Inputs of pm_gpe_sink(). */
#define PM_GPE_GENID 0u
#define PM_GPE_BATTERY 9u
#define PM_GPE_LINES 16u

struct pm_wiring {
	struct irq_line irq; /* level */
	const struct vm_clock *clock;
	const struct power_ops *power;
};

/* Returns: 0, -ENOMEM. Destroy with device_destroy(pm_device(pm)). */
must_check int pm_create(const struct pm_wiring *w, struct pm **ret_pm);
struct device *pm_device(struct pm *pm);

/* General purpose events: asserting line n latches bit n of GPE0 status until the guest clears it;
 * rank 1: not to be driven with another rank 1 lock held. */
const struct irq_sink *pm_gpe_sink(struct pm *pm);

/* The power button was pressed. Any thread. */
void pm_power_button(struct pm *pm);
