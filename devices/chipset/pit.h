/* SPDX-License-Identifier: MIT */
/*
 * 8254 interval timer (ports 0x40..0x43) and system control port B (0x61).
 *
 * OUT of counter 0 drives the interrupt line: as a level after programming and at terminal count,
 * as a low-high pulse per cycle in the periodic modes (the line then rests high, so that an
 * edge-triggered controller sees each cycle without a second timer per cycle). Cycles that were
 * missed are not made up for. Timer callbacks: at most one per PIT_ONE_SHOT_TICKS after each write,
 * and one per PIT_PERIODIC_TICKS without the guest doing anything.
 *
 * Locks: dev->lock, rank 1.
 * Trust: VTL0. Spec: Intel 8254 data sheet; chipset fact sheet, PIT.
 */
#pragma once

#include "clock.h"
#include "irqline.h"
#include "macros.h"

struct bus;
struct device;
struct pit;

#define PIT_HZ 1193182u
#define PIT_IRQ 2u /* line: IOAPIC input 2, PIC input 0 */
#define PIT_ONE_SHOT_TICKS 20u
#define PIT_PERIODIC_TICKS 119u /* 100 us */

struct pit_wiring {
	struct irq_line irq; /* OUT0 */
	const struct vm_clock *clock;
	struct dev_timers timers;
};

/* Returns: 0, -ENOMEM. Destroy with device_destroy(pit_device(pit)). */
must_check int pit_create(const struct pit_wiring *w, struct pit **ret_pit);
struct device *pit_device(struct pit *pit);

/* Ports 0x40..0x43 and 0x61. Returns: as bus_claim(). */
must_check int pit_claim(struct pit *pit, struct bus *bus);
