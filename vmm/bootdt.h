/* SPDX-License-Identifier: MIT */
/*
 * The device tree the boot shim leaves for the daemon: memory map of the whole partition, MMIO
 * windows, processors, isolation, boot times.
 * Trust: made by our shim from the host's tree: semi-trusted. Every property is bounds-checked and
 * the result is consistent (ranges ascending, not overlapping, page aligned).
 */
#pragma once

#include <stddef.h>
#include <stdint.h>

#include "bootcfg.h"
#include "macros.h"

#define BOOTDT_PATH "/sys/firmware/fdt"
#define BOOTDT_MAX_BYTES (1u << 20)
#define BOOTDT_MAX_RANGES 1024u
#define BOOTDT_MAX_VPS 2048u
#define BOOTDT_MAX_ACCEPTED 256u
#define BOOTDT_TYPES (BOOTMEM_PERSISTED_STATE + 1u)

enum bootdt_isolation { BOOTDT_ISO_NONE, BOOTDT_ISO_VBS, BOOTDT_ISO_SNP, BOOTDT_ISO_TDX };

struct bootdt_range {
	gpa_t base;
	uint64_t len; /* page multiple, not 0; base + len does not wrap */
	uint32_t type; /* enum bootcfg_mem_type */
	uint32_t node; /* NUMA node */
};

struct bootdt {
	struct bootdt_range *mem; /* RAM of the partition, all owners; ascending */
	size_t n_mem;
	struct bootdt_range mmio[16]; /* types VTL0_MMIO and VTL2_MMIO; ascending */
	size_t n_mmio;
	uint32_t *apic_ids; /* by VP index */
	uint32_t *nodes; /* NUMA node by VP index */
	uint32_t n_vps;
	enum bootdt_isolation isolation;
	struct bootdt_range
		*accepted; /* isolated: what the loader accepted; type, node 0; ascending */
	size_t n_accepted;
	uint64_t boot_start_100ns, boot_end_100ns; /* hypervisor reference time; 0 = not given */
};

/**
 * bootdt_parse - read a flattened device tree
 * @fdt, @len: private copy
 * @ret_dt: filled on success; release with bootdt_fini()
 * Returns: 0; -EBADMSG (not a device tree, or inconsistent); -E2BIG (limits above); -ENOMEM
 */
must_check int bootdt_parse(const void *fdt, size_t len, struct bootdt *ret_dt);

/* Read BOOTDT_PATH and parse it. As above, or -errno of the file. */
must_check int bootdt_load(const char *path, struct bootdt *ret_dt);
void bootdt_fini(struct bootdt *dt);
