/* SPDX-License-Identifier: MIT */
/*
 * PCI configuration mechanism 1: an address port and a data port behind which bus 0 lies. Functions
 * are added while the machine is built. Trust: the guest is hostile.
 * Spec: PCI Local Bus 3.0 section 3.2.2.3.2; spec/chipset-uefi-vtpm.md 5.5.
 */
#pragma once

#include <stdint.h>

#include "device.h"
#include "macros.h"

struct bus;
struct pci_conf1;

#define PCI_CONF1_ADDRESS_PORT 0xcf8u
#define PCI_CONF1_DATA_PORT 0xcfcu

/* A function's configuration space in double words, @reg 0..63. Called with the lock of the
 * mechanism held. */
struct pci_conf1_fn {
	uint32_t (*read)(void *ctx, unsigned reg);
	/* Bits of @mask are written. */
	void (*write)(void *ctx, unsigned reg, uint32_t val, uint32_t mask);
	void *ctx;
};

/* pci_conf1_create - and claim its ports. Returns 0, -ENOMEM, as bus_claim(). Start-up. */
must_check int pci_conf1_create(struct bus *bus, struct pci_conf1 **ret_p);

/* For device_reset(), device_inspect() and device_destroy(). */
struct device *pci_conf1_device(struct pci_conf1 *p);

/* @dev 0..31, @fn 0..7 of bus 0. Returns 0, -EEXIST, -EINVAL, -ENOSPC. Start-up. */
must_check int pci_conf1_add(struct pci_conf1 *p, unsigned dev, unsigned fn,
			     const struct pci_conf1_fn *ops);
