/* SPDX-License-Identifier: MIT */
/*
 * Ports and MMIO addresses: who answers an access. Claims are made while the machine is built,
 * bus_freeze() makes the lookup tables, and from then on nothing changes, so lookups take no lock.
 *
 * Rules (chipset fact sheet, I/O dispatch): only the first address of an access selects the device;
 * an unclaimed read gives all ones, an unclaimed write is dropped; a device that answers BUS_BAD
 * reads as all ones. Everything is counted, per VP, without shared cache lines.
 *
 * Trust: addresses, sizes and values come from VTL0.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "device.h"
#include "macros.h"

struct bus;
struct inspect;

/* Most claims in one space; ports that fit: 0..0xffff. */
#define BUS_CLAIMS_MAX 254u

struct bus_counts {
	uint64_t reads[BUS_SPACES], writes[BUS_SPACES]; /* all accesses, by enum bus_space */
	uint64_t unclaimed[BUS_SPACES]; /* of these, nobody's */
	uint64_t bad; /* of these, BUS_BAD */
};

/**
 * bus_create - an empty bus
 * @n_vps: number of virtual processors, 1 or more; accesses with a higher index share one extra
 *         set of counters
 * Returns: 0, -EINVAL, -ENOMEM
 */
must_check int bus_create(unsigned int n_vps, struct bus **ret_bus);

/* Frees the tables; the devices belong to whoever made them. NULL is fine. */
void bus_destroy(struct bus *bus);

/**
 * bus_claim - let a device answer [base, base + len)
 * @region: handed back in struct bus_access, so that a device can tell its claims apart
 * Returns: 0; -EEXIST (overlaps another claim); -EINVAL (empty, wraps, port above 0xffff, frozen);
 *          -ENOSPC; -ENOMEM
 * Context: start-up, one thread
 */
must_check int bus_claim(struct bus *bus, enum bus_space space, uint64_t base, uint64_t len,
			 struct device *dev, uint32_t region);

/**
 * bus_freeze - build the lookup tables; claims are no longer accepted
 * Returns: 0, -ENOMEM
 * Context: start-up, before the first access
 */
must_check int bus_freeze(struct bus *bus);

/**
 * bus_read / bus_write - one access of a guest
 * @size: 1, 2, 4 or 8 (BUS_PIO: 1, 2, 4); anything else is answered like BUS_BAD
 * @vp: index of the virtual processor
 * @ret_val: zero-extended; all ones of that size where nobody answers
 * Context: any thread; takes the lock of the device (unless DEV_LOCKLESS), never blocks otherwise,
 *          allocates nothing, makes no system call. Before bus_freeze() everything is unclaimed.
 */
void bus_read(struct bus *bus, enum bus_space space, uint64_t addr, unsigned int size, uint32_t vp,
	      uint64_t *ret_val);
void bus_write(struct bus *bus, enum bus_space space, uint64_t addr, unsigned int size, uint32_t vp,
	       uint64_t val);

/* Who is asked about addresses (BUS_MMIO) that nobody claimed: those whose places the guest
 * chooses. False: not mine. Any thread, no lock is held; as bus_read() and bus_write(). */
struct bus_rest {
	bool (*read)(void *ctx, uint64_t addr, unsigned size, uint64_t *ret_val);
	bool (*write)(void *ctx, uint64_t addr, unsigned size, uint64_t val);
	void *ctx;
};

/* Before the first access; NULL: nobody (any more), after the last one. */
void bus_set_rest(struct bus *bus, const struct bus_rest *rest);

/* Who answers this address? NULL: nobody. Any thread. */
struct device *bus_owner(const struct bus *bus, enum bus_space space, uint64_t addr);

/* Sum over all VPs. Any thread; a snapshot that running VPs may already have passed. */
void bus_stats(const struct bus *bus, struct bus_counts *ret_counts);

/* Counters, and the frozen bus's claims with who has them: an inspect_fn on the struct bus. */
void bus_inspect(struct inspect *in, const void *bus);
