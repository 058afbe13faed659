/* SPDX-License-Identifier: MIT */
/*
 * What the host tells the shim in its device tree. Freestanding; no state of its own.
 * Trust: host (hostile on a confidential VM): every value is range-checked here, ranges are sorted
 * and do not overlap. Spec: igvm-boot, "What the host passes: device tree".
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "macros.h"

#define HOST_CPUS_MAX 2048u
#define HOST_NODES_MAX 64u
#define HOST_MEM_MAX 1024u
#define HOST_MMIO_MAX 2u
#define HOST_BOOTARGS_MAX 0x2000u
#define HOST_ENTROPY_MAX 256u

struct host_cpu {
	uint64_t hw_id; /* APIC id */
	uint32_t node;
};

struct host_range {
	uint64_t base, len; /* page-aligned, len > 0, no wrap */
};

struct host_mem {
	struct host_range r;
	uint32_t node;
	uint32_t igvm_type; /* enum igvm_mem_type */
};

struct host_vmbus {
	bool present;
	uint32_t connection_id;
	struct host_range mmio[HOST_MMIO_MAX]; /* ascending */
	size_t n_mmio;
};

enum host_alloc {
	HOST_ALLOC_HOST, /* the host chose VTL2's memory and MMIO */
	HOST_ALLOC_VTL2, /* VTL2 chooses */
};

struct host_dt {
	uint32_t boot_cpu; /* hardware id of the BSP */
	struct host_cpu cpu[HOST_CPUS_MAX];
	size_t n_cpu;
	struct host_mem mem[HOST_MEM_MAX]; /* ascending */
	size_t n_mem;
	uint32_t n_node; /* highest NUMA node seen + 1 */
	struct host_vmbus vtl0, vtl2;
	enum host_alloc alloc;
	bool has_memory_size, has_mmio_size;
	uint64_t memory_size, mmio_size; /* bytes, HOST_ALLOC_VTL2 */
	uint64_t alias_map; /* one bit, or 0 */
	uint8_t entropy[HOST_ENTROPY_MAX];
	size_t entropy_len;
	bool nvme_keep_alive;
	uint64_t dma_pages; /* size of the DMA pool, 0 = not given */
	bool com3;
	uint32_t com3_speed;
	char bootargs[HOST_BOOTARGS_MAX]; /* NUL-terminated */
};

/**
 * host_dt_parse - read and check the host's device tree
 * @blob: private memory of VTL2, does not change
 * @ret: filled on success; undefined on failure
 * @ret_why: static text on failure
 * Returns: 0; -ENOENT (there is none); -EBADMSG (malformed); -E2BIG (beyond a limit)
 */
must_check int host_dt_parse(const void *blob, size_t max, struct host_dt *ret,
			     const char **ret_why);
