/* SPDX-License-Identifier: MIT */
/*
 * Reset control register of the PCI chipset, port 0xCF9: bit 1 selects a hard reset, a 0 to 1
 * transition of bit 2 performs it. Locks: dev->lock, rank 1.
 * Trust: VTL0. Spec: Intel 82371AB (PIIX4) data sheet, reset control register.
 */
#pragma once

#include "macros.h"

struct device;
struct power_ops;

#define RESETPORT_PORT 0xcf9u

/* Returns: 0, -ENOMEM. Destroy with device_destroy(). */
must_check int resetport_create(const struct power_ops *power, struct device **ret_dev);
