/* SPDX-License-Identifier: MIT */
/*
 * A PCI function as its driver sees it: configuration space, BARs, MSI-X. The device model behind
 * it answers accesses to its memory BARs. Used by hvhost towards VTL2 and by the daemon towards
 * VTL0, both through VPCI (vpci.h). Trust: the driver is hostile.
 * Spec: PCI Local Bus 3.0, PCI Express Base 4.0 chapter 7; spec/storage-net.md 4.1, 5.
 */
#pragma once

#include <stdbool.h>
#include <stdint.h>

#include "macros.h"
#include "msi.h"

struct inspect;
struct pci_func;

#define PCI_BARS 6u
#define PCI_MSIX_MAX 64u

struct pci_func_ops {
	/* Access to a memory BAR other than the MSI-X table; @size 1, 2, 4, 8, @off + @size within
	 * the BAR. All ones / dropped where nothing is. On the thread of the accessing VP. */
	uint64_t (*bar_read)(void *ctx, unsigned bar, uint64_t off, unsigned size);
	void (*bar_write)(void *ctx, unsigned bar, uint64_t off, unsigned size, uint64_t val);
	/* Bus mastering or memory decoding was switched; may be NULL. This and reset run with the
	 * function locked, on the thread of the access: they must not block nor access the
	 * configuration space; pci_func_msix() is fine. */
	void (*command)(void *ctx, bool bus_master, bool memory);
	/* Function level reset, pci_func_reset(); may be NULL. */
	void (*reset)(void *ctx);
};

/* Who turns the messages a driver was given into what really is sent (VPCI). */
struct pci_remap {
	/* False: nobody's message, dropped. Any thread, a lock is held: must not block. */
	bool (*fn)(void *ctx, uint64_t *addr, uint32_t *data);
	void *ctx;
};

struct pci_func_cfg {
	const char *name;
	uint16_t vendor, device, sub_vendor, sub_device;
	uint8_t revision, prog_if, sub_class, base_class;
	/* 0 = none; a power of two, 4 KiB .. 1 TiB (below 4 GiB unless bar_64); a 64-bit BAR uses
	 * two entries */
	uint64_t bar_size[PCI_BARS];
	bool bar_64[PCI_BARS];
	unsigned msix_vectors; /* 0 = no MSI-X */
	unsigned msix_bar; /* holds table and PBA and nothing else */
	const struct pci_func_ops *ops;
	void *ctx;
	struct msi_sink msi; /* where messages go; called from any thread */
};

/**
 * pci_func_create - make a function; @cfg is copied, what it points at stays
 * Returns: 0, -EINVAL (BARs, vectors), -ENOMEM
 */
must_check int pci_func_create(const struct pci_func_cfg *cfg, struct pci_func **ret_f);

/* No other thread uses it any more. Accepts NULL. */
void pci_func_destroy(struct pci_func *f);

/* Messages go through @r from now on; NULL: as the driver wrote them. Any thread. When it returns
 * the former one is not called any more. */
void pci_func_remap(struct pci_func *f, const struct pci_remap *r);

/* Configuration space, @size 1, 2 or 4, @off + @size <= 4096; else all ones, or dropped. Any
 * thread. */
uint32_t pci_func_cfg_read(struct pci_func *f, unsigned off, unsigned size);
void pci_func_cfg_write(struct pci_func *f, unsigned off, unsigned size, uint32_t val);

/* What a BAR reads as after all ones were written: for resource requirements. */
uint32_t pci_func_bar_mask(const struct pci_func *f, unsigned bar);

/* Is [addr, addr + size) in an enabled BAR? Then do it. False: not ours. Any thread, lock-free
 * lookup. */
bool pci_func_mmio_read(struct pci_func *f, uint64_t addr, unsigned size, uint64_t *ret_val);
bool pci_func_mmio_write(struct pci_func *f, uint64_t addr, unsigned size, uint64_t val);

/* Raise an MSI-X vector; it stays pending while masked, disabled or without bus mastering. Any
 * thread. */
void pci_func_msix(struct pci_func *f, unsigned vector);

/* Identification for VPCI: vendor .. class as in spec/storage-net.md 5.3 PnpId. */
const struct pci_func_cfg *pci_func_cfg(const struct pci_func *f);

/* What a function level reset does: everything as at the beginning, ops->reset. Any thread. */
void pci_func_reset(struct pci_func *f);

/* Registers, BARs, vectors and counters: an inspect_fn on the struct pci_func. Any thread. */
void pci_func_inspect(struct inspect *in, const void *f);
