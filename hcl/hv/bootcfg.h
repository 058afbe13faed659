/* SPDX-License-Identifier: MIT */
/*
 * Structures an image carries for its own boot: written by the image builder, read by the boot shim
 * (VTL2 ones) and by the daemon (VTL0 ones), and the memory types that the shim reports in the
 * device tree. Spec: igvm-boot, "Parameter region and other shared structures", "Memory types".
 */
#pragma once

#include <stdint.h>

#include "macros.h"

/* Parameter region, in pages from its start. */
#define BOOTCFG_SLIT_PAGE 0u
#define BOOTCFG_SLIT_PAGES 20u
#define BOOTCFG_PPTT_PAGE 20u
#define BOOTCFG_PPTT_PAGES 20u
#define BOOTCFG_DT_PAGE 40u
#define BOOTCFG_DT_PAGES 64u
#define BOOTCFG_IMPORTED_PAGE 104u
#define BOOTCFG_VTL2_CONFIG_PAGE 105u
#define BOOTCFG_HASH_PAGE 106u
#define BOOTCFG_HASH_PAGES 256u
#define BOOTCFG_REGION_PAGES 362u

/* Offsets are signed and relative to the shim's first byte; sizes are in bytes. */
struct shim_params {
	int64_t kernel_entry;
	int64_t cmdline;
	int64_t initrd;
	uint64_t initrd_size;
	uint32_t initrd_crc; /* CRC-32 of the file, padding excluded */
	uint32_t isolation; /* enum shim_isolation */
	int64_t memory_start;
	uint64_t memory_size;
	int64_t param_region;
	uint64_t param_region_size;
	int64_t reserved_region;
	uint64_t reserved_region_size;
	int64_t sidecar;
	uint64_t sidecar_size;
	int64_t sidecar_entry;
	int64_t used_start;
	int64_t used_end;
	int64_t bounce; /* literally 0 when there is none */
	uint64_t bounce_size;
	int64_t log;
	uint64_t log_size;
	int64_t heap;
	uint64_t heap_size;
	int64_t persisted;
	uint64_t persisted_size;
};
WIRE_SIZE(struct shim_params, 192);
WIRE_OFFSET(struct shim_params, param_region, 56);
WIRE_OFFSET(struct shim_params, used_start, 112);
WIRE_OFFSET(struct shim_params, persisted, 176);

enum shim_isolation {
	SHIM_ISOLATION_VBS_OR_NONE = 1,
	SHIM_ISOLATION_SNP = 2,
	SHIM_ISOLATION_TDX = 3,
};

#define SHIM_CMDLINE_STATIC 0u
#define SHIM_CMDLINE_APPEND_CHOSEN 1u
#define SHIM_CMDLINE_TEXT_MAX 4092u

struct shim_cmdline {
	uint16_t policy;
	uint16_t len;
	char text[SHIM_CMDLINE_TEXT_MAX]; /* not terminated */
};
WIRE_SIZE(struct shim_cmdline, 4096);

/* Imported-regions page: digest, then entries in ascending order; pages 0 ends them. */
#define IMPORTED_DIGEST_LEN 48u

struct imported_region {
	uint64_t gpn;
	uint64_t pages;
	uint8_t accepted;
	uint8_t pad[7];
};
WIRE_SIZE(struct imported_region, 24);

#define PAGE_HASH_MAGIC 0x53485045u /* "EPHS" */

struct page_hash_header {
	uint32_t magic;
	uint32_t version;
	uint32_t count; /* SHA-384 digests that follow */
	uint32_t rsvd;
};
WIRE_SIZE(struct page_hash_header, 16);

#define VTL2_CONFIG_MAGIC 0x4f48434c56544c32ull

struct vtl2_measured_config {
	uint64_t magic;
	uint8_t vtom_offset_bit;
	uint8_t pad[7];
	uint32_t product_policy_size;
	uint32_t rsvd;
};
WIRE_SIZE(struct vtl2_measured_config, 24);

#define VTL0_CONFIG_MAGIC 0x4f48434c56544c30ull
#define VTL0_CONFIG_UEFI BIT(0)
#define VTL0_CONFIG_PCAT BIT(1)
#define VTL0_CONFIG_LINUX BIT(2)

struct bootcfg_region {
	uint64_t gpn;
	uint64_t pages;
};

/* At GPA 0 of VTL0 (x64). */
struct vtl0_measured_config {
	uint64_t magic;
	uint64_t supported;
	struct bootcfg_region uefi;
	struct bootcfg_region uefi_vp_context;
	struct bootcfg_region linux_kernel;
	uint64_t linux_entry;
	struct bootcfg_region linux_initrd;
	uint64_t linux_initrd_size; /* bytes */
	struct bootcfg_region linux_cmdline; /* NUL-terminated text */
};
WIRE_SIZE(struct vtl0_measured_config, 112);
WIRE_OFFSET(struct vtl0_measured_config, linux_kernel, 48);
WIRE_OFFSET(struct vtl0_measured_config, linux_cmdline, 96);

/* Start of VTL2 memory when a servicing left state behind. */
#define PERSISTED_PAGES 512u /* the region, 2 MiB */
#define PERSISTED_STATE_PAGES 20u /* header page and 19 payload pages */

/* Shim log buffer: header, then text. */
struct shim_log_header {
	uint16_t len; /* bytes of text */
	uint16_t next; /* unread text starts here; the shim leaves 0 */
	uint16_t dropped; /* messages that did not fit */
};
WIRE_SIZE(struct shim_log_header, 6);

/* "openhcl,memory-type" in the device tree the shim writes. */
enum bootcfg_mem_type {
	BOOTMEM_VTL0 = 0,
	BOOTMEM_VTL2_RAM = 1,
	BOOTMEM_VTL2_CONFIG = 2,
	BOOTMEM_SIDECAR_IMAGE = 3,
	BOOTMEM_SIDECAR_NODE = 4,
	BOOTMEM_VTL0_MMIO = 5,
	BOOTMEM_VTL2_MMIO = 6,
	BOOTMEM_RESERVED = 7,
	BOOTMEM_GPA_POOL = 8,
	BOOTMEM_TDX_PAGE_TABLES = 9,
	BOOTMEM_SHIM_LOG = 10,
	BOOTMEM_PERSISTED_HEADER = 11,
	BOOTMEM_PERSISTED_STATE = 12,
};
