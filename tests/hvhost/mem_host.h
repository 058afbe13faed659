/* SPDX-License-Identifier: MIT */
/*
 * Guest memory: one memfd, seen by both VMs through their own memory slots. VTL2's VM sees all RAM,
 * VTL0's VM what VTL2 leaves it. Spec: hypervisor 4.8, 6.12.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "igvm_load.h"
#include "macros.h"

/* Address map. Low MMIO ends where the IOAPIC is, with VTL2's at the end; the local APIC page
 * belongs to KVM. */
#define MEM_LOW_MMIO_BASE 0xf8000000ull
#define MEM_LOW_MMIO_SIZE 0x04c00000ull
#define MEM_VTL2_LOW_MMIO_SIZE 0x02000000ull
#define MEM_HIGH_BASE 0x100000000ull
#define MEM_MAX_RAM 4
#define MEM_MAX_RANGES 4096

/* RAM of the partition, ascending; `off` into the memfd. */
struct mem_ram {
	gpa_t gpa;
	uint64_t len;
	uint64_t off;
};

/* Rights of VTL0 (HV_MAP_x) on a stretch of RAM; neighbours differ. */
struct mem_range {
	gpn_t gpn;
	uint64_t pages;
	uint32_t rights;
};

/* One slot of VTL0's VM. */
struct mem_slot {
	gpn_t gpn;
	uint64_t pages;
	uint32_t id;
	bool read_only;
	bool no_access; /* faithful mode: present, but every access is handed to us */
};

struct mem_host {
	int memfd;
	uint8_t *map; /* whole memfd */
	uint8_t *none_map; /* faithful mode: no access at all; also behind MMIO holes */
	uint8_t *ro_map; /* faithful mode: whole memfd, readable */
	uint64_t size;
	struct mem_ram ram[MEM_MAX_RAM];
	size_t n_ram;
	gpa_t vtl2_base;
	uint64_t vtl2_size;
	/* MMIO given to VTL0's and VTL2's VMBus: low and high each. */
	struct igvm_range mmio[2], vtl2_mmio[2];
	bool faithful;
	bool isolated; /* set between mem_host_plan() and mem_host_create() */
	uint8_t *host_map; /* isolated: the host's view, only shared pages are there; else = map */

	/* Under hvpart.prot_lock. */
	struct mem_range *range;
	size_t n_ranges;
	struct mem_slot *slot;
	size_t n_slots;
	uint32_t *free_ids;
	size_t n_free;
	uint32_t next_id;
	/* Isolated: one bit per page of the memfd; slots of VTL2's VM. */
	uint64_t *accepted, *shared;
	uint64_t n_accepted, n_shared; /* pages */
	uint32_t vtl2_next_id;
};

/**
 * mem_host_plan - lay out RAM
 * @vtl0_bytes: RAM for VTL0; @vtl2_bytes: in one piece below 4 GiB; page multiples
 * @vtl2_base: where VTL2's begins, 2 MiB aligned, with VTL0's around it; 0 = above VTL0's
 * Returns: 0, -EINVAL (sizes), -errno. Context: set-up.
 */
must_check int mem_host_plan(struct mem_host *m, uint64_t vtl0_bytes, uint64_t vtl2_bytes,
			     gpa_t vtl2_base);

/**
 * mem_host_create - allocate it and give both VMs their slots
 * Returns: 0, -errno. Context: set-up, after mem_host_plan().
 */
must_check int mem_host_create(struct mem_host *m, int vm0, int vm2, bool faithful);
void mem_host_destroy(struct mem_host *m);

/* Our own address of [gpa, gpa + len), or NULL when that is not contiguous RAM. Any thread. */
void *mem_host_ptr(const struct mem_host *m, gpa_t gpa, uint64_t len);

/* Is this address in the memory set aside for VTL2? Any thread. */
bool mem_host_is_vtl2(const struct mem_host *m, gpa_t gpa);

/**
 * mem_host_rights - VTL0's rights on the page of an address
 * Returns: HV_MAP_x, 0 also for what is not RAM. Context: prot_lock held
 */
uint32_t mem_host_rights(const struct mem_host *m, gpa_t gpa);

/**
 * mem_host_imported - a page that came with the image counts as accepted
 * mem_host_sealed - the image is loaded: give both VMs what came with it
 * Only for isolated partitions. Returns: 0, -errno. Context: set-up.
 */
void mem_host_imported(struct mem_host *m, gpa_t gpa);
must_check int mem_host_sealed(struct mem_host *m, int vm0, int vm2);

/**
 * mem_host_accept - pages VTL2 takes over; before, no VTL can touch them
 * @rights: VTL0's, HV_MAP_x
 * Returns: 0; -EFAULT (not RAM); -EEXIST (one of them was accepted before); as mem_host_protect()
 * Context: isolated partition, prot_lock held and VTL0 held out.
 */
must_check int mem_host_accept(struct mem_host *m, int vm0, int vm2, gpn_t gpn, uint64_t pages,
			       uint32_t rights);

/**
 * mem_host_share - show pages to the host, or hide them again
 * Returns: 0; -EFAULT (not accepted RAM); -errno. Context: isolated partition, prot_lock held.
 */
must_check int mem_host_share(struct mem_host *m, gpn_t gpn, uint64_t pages, bool shared);

/**
 * mem_host_protect - set VTL0's rights on a stretch of RAM
 * Returns: 0; 1: nothing changed; -EFAULT (not RAM), -ENOSPC (too many ranges), -errno of KVM.
 * Context: prot_lock held and VTL0 held out.
 */
must_check int mem_host_protect(struct mem_host *m, int vm0, gpn_t gpn, uint64_t pages,
				uint32_t rights);
