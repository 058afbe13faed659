/* SPDX-License-Identifier: MIT */
/*
 * VTL2's PCI devices: accesses of its processors to where nothing but a device can be, messages of
 * devices to its processors, and the hypercall that moves them to others. Devices come and go on
 * the device thread while VPs run. Trust: VTL2 is hostile: addresses and values are anything.
 * Spec: spec/storage-net.md 5, spec/hypervisor.md 3.5 (0x7E), 6.6.
 */
#pragma once

#include <stdbool.h>
#include <stdint.h>

#include "hvcall.h"
#include "macros.h"
#include "msi.h"

#define PCI_HOST_MAX 64u /* devices */
/* Of a message that may go to more processors only so many are looked at. */
#define PCI_HOST_TARGETS 64u

struct hvcall;
struct hvpart;
struct pci_host;

/* A device. On VP threads, several at once; must not block. False, -ENOENT: not ours. */
struct pci_host_ops {
	bool (*read)(void *ctx, uint64_t addr, unsigned size, uint64_t *ret_val);
	bool (*write)(void *ctx, uint64_t addr, unsigned size, uint64_t val);
	/* As vpci_retarget(). */
	int (*retarget)(void *ctx, uint64_t device_id, uint64_t addr, uint32_t data,
			uint32_t vector, const uint32_t *vps, unsigned n_vps);
};

/* Context: before VPs run / after they have stopped. destroy accepts NULL. Returns 0, -ENOMEM. */
must_check int pci_host_create(struct hvpart *part, struct pci_host **ret_ph);
void pci_host_destroy(struct pci_host *ph);

/**
 * pci_host_add / pci_host_remove - a device appears, or is gone
 * After pci_host_remove() no VP is inside the device and none will be. @ctx names the device.
 * Returns: 0; -ENOSPC. Context: device thread, not from inside the device.
 */
must_check int pci_host_add(struct pci_host *ph, const struct pci_host_ops *ops, void *ctx);
void pci_host_remove(struct pci_host *ph, const void *ctx);

/**
 * pci_host_mmio - an access of VTL2 to [addr, addr + len), where no memory is
 * @data: @len bytes, 1..8; all ones when nothing answers a load. Accesses of other than 1, 2, 4, 8
 * bytes are split. Returns: did anything answer? Context: VP thread. NULL: nothing answers.
 */
bool pci_host_mmio(struct pci_host *ph, uint64_t addr, uint32_t len, bool write, uint8_t *data);

/* Where devices send their messages: VTL2's processors, by APIC id (= VP index). Any thread. */
struct msi_sink pci_host_msi(struct pci_host *ph);

/* HvCallRetargetDeviceInterrupt of VTL2, in hvcalls_pci.c. Context: VP thread. */
enum hv_status pci_host_retarget(struct pci_host *ph, const struct hvcall *c);

/* For the above: the device whose message it is. As vpci_retarget(). */
must_check int pci_host_move(struct pci_host *ph, uint64_t device_id, uint64_t addr, uint32_t data,
			     uint32_t vector, const uint32_t *vps, unsigned n_vps);
