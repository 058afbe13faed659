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

/* Address map. Low MMIO ends where the IOAPIC is; the local APIC page belongs to KVM. */
#define MEM_LOW_MMIO_BASE 0xf8000000ull
#define MEM_LOW_MMIO_SIZE 0x06c00000ull
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
	/* MMIO given to VTL0's and VTL2's VMBus: low and high, VTL2's. */
	struct igvm_range mmio[2], vtl2_mmio;
	bool faithful;

	/* Under hvpart.prot_lock. */
	struct mem_range *range;
	size_t n_ranges;
	struct mem_slot *slot;
	size_t n_slots;
	uint32_t *free_ids;
	size_t n_free;
	uint32_t next_id;
};

/**
 * mem_host_plan - lay out RAM
 * @vtl0_bytes: RAM for VTL0; @vtl2_bytes: on top, in one piece below 4 GiB; page multiples
 * Returns: 0, -EINVAL (sizes), -errno. Context: set-up.
 */
must_check int mem_host_plan(struct mem_host *m, uint64_t vtl0_bytes, uint64_t vtl2_bytes);

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
 * mem_host_protect - set VTL0's rights on a stretch of RAM
 * Returns: 0; 1: nothing changed; -EFAULT (not RAM), -ENOSPC (too many ranges), -errno of KVM.
 * Context: prot_lock held and VTL0 held out.
 */
must_check int mem_host_protect(struct mem_host *m, int vm0, gpn_t gpn, uint64_t pages,
				uint32_t rights);
