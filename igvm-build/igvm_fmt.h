/* SPDX-License-Identifier: MIT */
/*
 * The IGVM file format: constants and wire layouts of the fixed header (v1 and v2), the variable
 * headers and the VP context of VSM platforms. All integers are little-endian; x86-64 and ARM64
 * hosts read them as they stand. Facts only, no code: shared by reader, writer, loader and tool.
 * Spec: IGVM file format (microsoft/igvm, igvm_defs).
 */
#pragma once

#include <stdint.h>

#include "hvcall.h"
#include "macros.h"

#define IGVM_MAGIC 0x4d564749u /* "IGVM" */
#define IGVM_V1 1u
#define IGVM_V2 2u
#define IGVM_ARCH_X64 0u
#define IGVM_ARCH_AARCH64 1u

/* Type ranges; sections stand in this order in the file and are never interleaved. */
#define IGVM_PLATFORM_FIRST 0x001u
#define IGVM_PLATFORM_LAST 0x100u
#define IGVM_INIT_FIRST 0x101u
#define IGVM_INIT_LAST 0x200u
#define IGVM_DIRECTIVE_FIRST 0x301u
#define IGVM_DIRECTIVE_LAST 0x400u
#define IGVM_TYPE_OPTIONAL 0x80000000u /* may be ignored by who does not know it */

enum igvm_type {
	IGVM_SUPPORTED_PLATFORM = 0x001,
	IGVM_GUEST_POLICY = 0x101,
	IGVM_RELOCATABLE_REGION = 0x102,
	IGVM_PAGE_TABLE_RELOCATION = 0x103,
	IGVM_CORIM_DOCUMENT = 0x104,
	IGVM_CORIM_SIGNATURE = 0x105,
	IGVM_CCA_POLICY = 0x106,
	IGVM_PARAMETER_AREA = 0x301,
	IGVM_PAGE_DATA = 0x302,
	IGVM_PARAMETER_INSERT = 0x303,
	IGVM_VP_CONTEXT = 0x304,
	IGVM_REQUIRED_MEMORY = 0x305,
	IGVM_VP_COUNT_PARAMETER = 0x307,
	IGVM_SRAT = 0x308,
	IGVM_MADT = 0x309,
	IGVM_MMIO_RANGES = 0x30a,
	IGVM_SNP_ID_BLOCK = 0x30b,
	IGVM_MEMORY_MAP = 0x30c,
	IGVM_ERROR_RANGE = 0x30d,
	IGVM_COMMAND_LINE = 0x30e,
	IGVM_SLIT = 0x30f,
	IGVM_PPTT = 0x310,
	IGVM_VBS_MEASUREMENT = 0x311,
	IGVM_DEVICE_TREE = 0x312,
	IGVM_ENVIRONMENT_INFO = 0x313,
};

enum igvm_platform_type {
	IGVM_PLATFORM_NATIVE = 0,
	IGVM_PLATFORM_VSM_ISOLATION = 1,
	IGVM_PLATFORM_SEV_SNP = 2,
	IGVM_PLATFORM_TDX = 3,
	IGVM_PLATFORM_SEV = 4,
	IGVM_PLATFORM_SEV_ES = 5,
	IGVM_PLATFORM_CCA = 6,
};

struct igvm_fixed_v1 {
	uint32_t magic;
	uint32_t version;
	uint32_t var_off; /* multiple of 8 */
	uint32_t var_size; /* includes the padding of each header */
	uint32_t file_size;
	uint32_t checksum; /* CRC-32 over this struct with checksum 0, then the variable headers */
};
WIRE_SIZE(struct igvm_fixed_v1, 24);

struct igvm_fixed_v2 {
	struct igvm_fixed_v1 v1;
	uint32_t arch;
	uint32_t page_size;
};
WIRE_SIZE(struct igvm_fixed_v2, 32);

/* Prefix of every variable header; len excludes prefix and padding to 8. */
struct igvm_var {
	uint32_t type;
	uint32_t len;
};
WIRE_SIZE(struct igvm_var, 8);

struct igvm_platform {
	uint32_t mask;
	uint8_t highest_vtl;
	uint8_t type; /* enum igvm_platform_type */
	uint16_t version;
	uint64_t shared_gpa_boundary;
};
WIRE_SIZE(struct igvm_platform, 16);

/* Guest policy of VSM_ISOLATION; a file for non-isolated VMs has no policy for that platform. */
#define IGVM_VBS_POLICY_DEBUG 1u

struct igvm_guest_policy {
	uint64_t policy;
	uint32_t mask;
	uint32_t rsvd;
};
WIRE_SIZE(struct igvm_guest_policy, 16);

#define IGVM_RELOC_IS_VTL2 1u
#define IGVM_RELOC_APPLY_PC 2u
#define IGVM_RELOC_APPLY_GDTR 4u

struct igvm_reloc_region {
	uint32_t mask;
	uint16_t vp_index;
	uint8_t vtl;
	uint8_t flags;
	uint64_t alignment;
	uint64_t gpa;
	uint64_t size;
	uint64_t min_gpa;
	uint64_t max_gpa;
};
WIRE_SIZE(struct igvm_reloc_region, 48);

struct igvm_pt_reloc {
	uint32_t mask;
	uint16_t vp_index;
	uint8_t vtl;
	uint8_t rsvd;
	uint64_t gpa;
	uint64_t size;
	uint64_t used_size;
};
WIRE_SIZE(struct igvm_pt_reloc, 32);

struct igvm_corim {
	uint32_t mask;
	uint32_t file_off;
	uint32_t size;
	uint32_t rsvd;
};
WIRE_SIZE(struct igvm_corim, 16);

struct igvm_cca_policy {
	uint32_t mask;
	uint32_t rsvd0;
	uint64_t required_zeroes;
	uint64_t required_ones;
	uint8_t hash;
	uint8_t lfa;
	uint8_t rsvd1[6];
};
WIRE_SIZE(struct igvm_cca_policy, 32);

struct igvm_param_area {
	uint64_t size;
	uint32_t index;
	uint32_t file_off; /* initial content, 0 = zeros */
};
WIRE_SIZE(struct igvm_param_area, 16);

#define IGVM_PAGE_IS_2MB 1u
#define IGVM_PAGE_UNMEASURED 2u
#define IGVM_PAGE_SHARED 4u

enum igvm_page_type {
	IGVM_PAGE_NORMAL = 0,
	IGVM_PAGE_SECRETS = 1,
	IGVM_PAGE_CPUID_DATA = 2,
	IGVM_PAGE_CPUID_XF = 3,
};

struct igvm_page_data {
	uint64_t gpa;
	uint32_t mask;
	uint32_t file_off; /* 0 = zero page */
	uint32_t flags;
	uint16_t type; /* enum igvm_page_type */
	uint16_t rsvd;
};
WIRE_SIZE(struct igvm_page_data, 24);

struct igvm_param_insert {
	uint64_t gpa;
	uint32_t mask;
	uint32_t index;
};
WIRE_SIZE(struct igvm_param_insert, 16);

#define IGVM_VP_CONTEXT_LEN 20u /* the one header whose body is not a multiple of 8 */

struct igvm_vp_context {
	uint64_t gpa;
	uint32_t mask;
	uint32_t file_off;
	uint16_t vp_index;
	uint16_t rsvd;
	uint32_t pad; /* not part of the body */
};
WIRE_SIZE(struct igvm_vp_context, 24);

#define IGVM_MEM_VTL2_PROTECTABLE 1u

struct igvm_required_memory {
	uint64_t gpa;
	uint32_t mask;
	uint32_t size;
	uint32_t flags;
	uint32_t rsvd;
};
WIRE_SIZE(struct igvm_required_memory, 24);

struct igvm_param {
	uint32_t index;
	uint32_t byte_off;
};
WIRE_SIZE(struct igvm_param, 8);

struct igvm_error_range {
	uint64_t gpa;
	uint32_t mask;
	uint32_t size;
};
WIRE_SIZE(struct igvm_error_range, 16);

#define IGVM_SNP_ID_BLOCK_LEN 696u
#define IGVM_VBS_MEASUREMENT_LEN 864u

/* What the parameters hold once the loader has filled them. */
struct igvm_mmio_range {
	uint64_t gpn;
	uint64_t pages;
};
WIRE_SIZE(struct igvm_mmio_range, 16);

enum igvm_mem_type {
	IGVM_MEM_MEMORY = 0,
	IGVM_MEM_PLATFORM_RESERVED = 1,
	IGVM_MEM_PERSISTENT = 2,
	IGVM_MEM_VTL2_PROTECTABLE_RAM = 3,
	IGVM_MEM_SPECIFIC_PURPOSE = 4,
	IGVM_MEM_HIDDEN = 5,
};

struct igvm_mem_entry {
	uint64_t gpn;
	uint64_t pages; /* 0 ends the list */
	uint16_t type; /* enum igvm_mem_type */
	uint16_t flags;
	uint32_t rsvd;
};
WIRE_SIZE(struct igvm_mem_entry, 24);

/* VP context of VSM platforms: le32 count, then these. */
struct igvm_vbs_reg {
	uint8_t vtl;
	uint8_t name[4]; /* le32, not aligned: enum hv_reg */
	uint8_t rsvd[11];
	uint8_t value[16]; /* union hv_regval */
};
WIRE_SIZE(struct igvm_vbs_reg, 32);

/**
 * igvm_type_name - the name of a variable header type, for messages and dumps
 * Returns: a static string, "unknown" for types outside enum igvm_type. Any thread.
 */
const char *igvm_type_name(uint32_t type);

/**
 * igvm_platform_name - the name of a platform type, as the specification writes it
 * Returns: a static string, "unknown" for other values. Any thread.
 */
const char *igvm_platform_name(uint32_t type);
