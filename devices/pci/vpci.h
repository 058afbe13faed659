/* SPDX-License-Identifier: MIT */
/*
 * VPCI: one PCI function per VMBus channel, server side. The client gets messages (address and
 * data) that mean nothing by themselves; what the function sends is translated into the interrupt
 * that the client asked for, which retargeting can change at any time. When the client closes the
 * channel the function is reset, so that it touches no memory any more.
 * Trust: the client is hostile. Spec: spec/storage-net.md 5.
 */
#pragma once

#include <stdbool.h>
#include <stdint.h>

#include "guid.h"
#include "macros.h"
#include "pci_func.h"

struct inspect;
struct loop;
struct vmbus_server;
struct vpci;

struct vpci_cfg {
	struct guid instance;
	uint32_t serial; /* of the slot */
	struct vmbus_server *server;
	struct loop *loop; /* of the server's thread, where long work goes on after a pause */
	struct pci_func *func; /* owned by the caller, outlives the vpci */
	uint32_t vps; /* valid processors of interrupts: 0..vps-1 */
	const uint32_t *apic_ids; /* by VP index */
};

/**
 * vpci_create - offer the function
 * Returns: 0, -EINVAL (no processors), -EEXIST (same instance), -ENOSPC, -ENOMEM. Context: the
 * server's thread, as everything below unless it says otherwise.
 */
must_check int vpci_create(const struct vpci_cfg *cfg, struct vpci **ret_v);

/**
 * vpci_eject / vpci_destroy - ask the client to let go, or take it away at once
 * The memory goes when the client has released the channel: nobody may call vpci_mmio_*() or
 * vpci_retarget() any more from vpci_destroy() on, or when an ejection is done. A client need not
 * answer an ejection; vpci_destroy() ends one whose @done is not called then.
 * Before the server is destroyed, vmbus_server_reset() makes every client let go.
 * @done: from the loop when the client has let go; the memory goes when it returns; may be NULL
 */
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
 * @vector: 16..255; @vps: the interrupt goes to the first of them
 * Returns: 0; -ENOENT (not our device id or message); -EINVAL (vector, processors). Any VP thread.
 */
must_check int vpci_retarget(struct vpci *v, uint64_t device_id, uint64_t addr, uint32_t data,
			     uint32_t vector, const uint32_t *vps, unsigned n_vps);

/* State, messages and counters: an inspect_fn on the struct vpci. */
void vpci_inspect(struct inspect *in, const void *v);
