/* SPDX-License-Identifier: MIT */
/*
 * PCI functions that VTL0 sees, each over a VPCI channel of its own. Their addresses are VTL0's
 * choice: accesses that no device has claimed are looked up here. The set of functions is made
 * before VPs run and stays until they have stopped, so VP threads need no lock.
 * Trust: VTL0 is hostile. Spec: spec/storage-net.md 5.
 */
#pragma once

#include <stdbool.h>
#include <stdint.h>

#include "bus.h"
#include "guid.h"
#include "macros.h"

struct inspect;
struct loop;
struct pci_func;
struct pci_vtl0;
struct vmbus_server;

#define PCI_VTL0_MAX 16u

struct pci_vtl0_cfg {
	struct vmbus_server *server;
	struct loop *ctl; /* of the server's thread */
	uint32_t vps;
	const uint32_t *apic_ids; /* by VP index; stays */
};

/* Returns: 0, -ENOMEM. Context: control thread, as everything below but where it says otherwise. */
must_check int pci_vtl0_create(const struct pci_vtl0_cfg *cfg, struct pci_vtl0 **ret_p);

/* No function is left, no VP runs. Accepts NULL. */
void pci_vtl0_destroy(struct pci_vtl0 *p);

/* Who answers addresses that nobody claimed: for bus_set_rest(). */
struct bus_rest pci_vtl0_rest(struct pci_vtl0 *p);

/**
 * pci_vtl0_add - offer a function, before VPs run
 * @f: stays until pci_vtl0_remove() is done
 * Returns: 0; -ENOSPC; -errno of vpci_create()
 */
must_check int pci_vtl0_add(struct pci_vtl0 *p, const struct guid *instance, struct pci_func *f);

/* Take it away, after VPs have stopped. @done: from the loop. False: there is no such function. */
bool pci_vtl0_remove(struct pci_vtl0 *p, const struct pci_func *f, void (*done)(void *ctx),
		     void *ctx);

/* For struct vcpu_env: as vpci_retarget(), -ENOENT: nobody's device. Any VP thread. */
int pci_vtl0_retarget(struct pci_vtl0 *p, uint64_t device_id, uint64_t addr, uint32_t data,
		      uint32_t vector, uint32_t vp);

/* Every function, by instance: an inspect_fn. */
void pci_vtl0_inspect(struct inspect *in, const void *p);
