/* SPDX-License-Identifier: MIT */
/*
 * VPCI: one PCI function per VMBus channel, server side. Trust: the client is hostile.
 * Spec: spec/storage-net.md 5.
 */
#pragma once

#include <stdbool.h>
#include <stdint.h>

#include "guid.h"
#include "macros.h"
#include "pci_func.h"

struct inspect;
struct vmbus_server;
struct vpci;

struct vpci_cfg {
	struct guid instance;
	uint32_t serial; /* of the slot */
	struct vmbus_server *server;
	struct pci_func *func; /* owned by the caller, outlives the vpci */
	uint32_t vps; /* valid processors of interrupts: 0..vps-1 */
	const uint32_t *apic_ids; /* by VP index */
};

/* vpci_create - offer the function. Context: the server's thread, as everything below. */
must_check int vpci_create(const struct vpci_cfg *cfg, struct vpci **ret_v);

/* Ask the guest to let go (EJECT), or take it away at once. @done as in storvsp_destroy(). */
void vpci_eject(struct vpci *v, void (*done)(void *ctx), void *ctx);
void vpci_destroy(struct vpci *v, void (*done)(void *ctx), void *ctx);

/*
 * Accesses to the configuration window the client named and to the BARs. False: not ours.
 * Context: any VP thread.
 */
bool vpci_mmio_read(struct vpci *v, uint64_t addr, unsigned size, uint64_t *ret_val);
bool vpci_mmio_write(struct vpci *v, uint64_t addr, unsigned size, uint64_t val);

/**
 * vpci_retarget - HvCallRetargetDeviceInterrupt for one of our messages
 * @device_id: spec/storage-net.md 5.1; @addr, @data: the message as given to the client
 * @ret_*: unchanged message with a new destination is installed by us
 * Returns: 0; -ENOENT (not our device id or message); -EINVAL (processors). Any VP thread.
 */
must_check int vpci_retarget(struct vpci *v, uint64_t device_id, uint64_t addr, uint32_t data,
			     uint32_t vector, const uint32_t *vps, unsigned n_vps);

void vpci_inspect(struct inspect *in, const void *v);
