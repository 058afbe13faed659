/* SPDX-License-Identifier: MIT */
/*
 * PS/2 controller (ports 0x60 and 0x64) with a keyboard and a mouse that answer their commands but
 * never have anything to report, and the processor reset line.
 *
 * A20 is tracked and changes nothing. Output buffer plus a queue per source, all of fixed size:
 * what does not fit is dropped and counted.
 *
 * Locks: dev->lock, rank 1. power_ops are called with it held.
 * Trust: VTL0. Spec: IBM PS/2 Technical Reference, keyboard and auxiliary device controller;
 * chipset fact sheet, i8042.
 */
#pragma once

#include "irqline.h"
#include "macros.h"

struct bus;
struct device;
struct i8042;
struct power_ops;

#define I8042_IRQ_KBD 1u
#define I8042_IRQ_AUX 12u

struct i8042_wiring {
	struct irq_line irq_kbd, irq_aux;
	const struct power_ops *power;
};

/* Returns: 0, -ENOMEM. Destroy with device_destroy(i8042_device(kbc)). */
must_check int i8042_create(const struct i8042_wiring *w, struct i8042 **ret_kbc);
struct device *i8042_device(struct i8042 *kbc);

/* Ports 0x60 and 0x64. Returns: as bus_claim(). */
must_check int i8042_claim(struct i8042 *kbc, struct bus *bus);
