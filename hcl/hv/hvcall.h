/* SPDX-License-Identifier: MIT */
/*
 * Hypercall numbers, control word, status codes and input layouts (TLFS, chapter "Hypercall
 * interface" and appendix "Hypercall reference").
 */
#pragma once

#include <stdint.h>

#include "macros.h"

enum hv_status {
	HV_OK = 0,
	HV_INVALID_HYPERCALL_CODE = 2,
	HV_INVALID_HYPERCALL_INPUT = 3,
	HV_INVALID_ALIGNMENT = 4,
	HV_INVALID_PARAMETER = 5,
	HV_ACCESS_DENIED = 6,
	HV_INVALID_PARTITION_STATE = 7,
	HV_OPERATION_DENIED = 8,
	HV_UNKNOWN_PROPERTY = 9,
	HV_INSUFFICIENT_MEMORY = 0xb,
	HV_INVALID_PARTITION_ID = 0xd,
	HV_INVALID_VP_INDEX = 0xe,
	HV_NOT_FOUND = 0x10,
	HV_INVALID_PORT_ID = 0x11,
	HV_INVALID_CONNECTION_ID = 0x12,
	HV_INSUFFICIENT_BUFFERS = 0x13,
	HV_INVALID_VP_STATE = 0x15,
	HV_INVALID_SYNIC_STATE = 0x18,
	HV_OBJECT_IN_USE = 0x19,
	HV_NO_DATA = 0x1b,
	HV_FEATURE_UNAVAILABLE = 0x1e,
	HV_INVALID_REGISTER_VALUE = 0x50,
	HV_INVALID_VTL_STATE = 0x51,
	HV_INVALID_DEVICE_ID = 0x57,
	HV_INVALID_DEVICE_STATE = 0x58,
	HV_OPERATION_FAILED = 0x71,
	HV_TIMEOUT = 0x78,
	HV_VTL_ALREADY_ENABLED = 0x86,
	HV_UNKNOWN_REGISTER_NAME = 0x87,
};

enum hv_call {
	HVCALL_NOTIFY_LONG_SPIN_WAIT = 0x08,
	HVCALL_SEND_IPI = 0x0b,
	HVCALL_MODIFY_VTL_PROTECTION_MASK = 0x0c,
	HVCALL_ENABLE_PARTITION_VTL = 0x0d,
	HVCALL_ENABLE_VP_VTL = 0x0f,
	HVCALL_VTL_CALL = 0x11,
	HVCALL_VTL_RETURN = 0x12,
	HVCALL_SEND_IPI_EX = 0x15,
	HVCALL_GET_PARTITION_ID = 0x46,
	HVCALL_INSTALL_INTERCEPT = 0x4d,
	HVCALL_GET_VP_REGISTERS = 0x50,
	HVCALL_SET_VP_REGISTERS = 0x51,
	HVCALL_TRANSLATE_VIRTUAL_ADDRESS = 0x52,
	HVCALL_POST_MESSAGE = 0x5c,
	HVCALL_SIGNAL_EVENT = 0x5d,
	HVCALL_RETARGET_DEVICE_INTERRUPT = 0x7e,
	HVCALL_ASSERT_VIRTUAL_INTERRUPT = 0x94,
	HVCALL_START_VIRTUAL_PROCESSOR = 0x99,
	HVCALL_GET_VP_INDEX_FROM_APIC_ID = 0x9a,
	HVCALL_TRANSLATE_VIRTUAL_ADDRESS_EX = 0xac,
	HVCALL_CHECK_FOR_IO_INTERCEPT = 0xad,
	HVCALL_SIGNAL_EVENT_DIRECT = 0xc0,
	HVCALL_POST_MESSAGE_DIRECT = 0xc1,
	HVCALL_CHECK_SPARSE_GPA_VTL_ACCESS = 0xd4,
	HVCALL_ACCEPT_GPA_PAGES = 0xd9,
	HVCALL_MODIFY_GPA_HOST_VISIBILITY = 0xdb,
	HVCALL_RESTORE_PARTITION_TIME = 0x103,
	HVCALL_MMIO_READ = 0x106,
	HVCALL_MMIO_WRITE = 0x107,
};

/* Control word (RCX) and result word (RAX). */
#define HV_CONTROL_CODE(c) ((uint16_t)(c))
#define HV_CONTROL_FAST BIT(16)
#define HV_CONTROL_VARHEAD(c) ((uint32_t)((c) >> 17) & 0x3ff)
#define HV_CONTROL_NESTED BIT(31)
#define HV_CONTROL_REP_COUNT(c) ((uint32_t)((c) >> 32) & 0xfff)
#define HV_CONTROL_REP_START(c) ((uint32_t)((c) >> 48) & 0xfff)
#define HV_CONTROL_RESERVED 0xf000f00078000000ull /* must be zero, with bit 31 outside nesting */
#define HV_CONTROL_MAKE(code, reps, start) \
	((uint64_t)(code) | (uint64_t)(reps) << 32 | (uint64_t)(start) << 48)
#define HV_RESULT_STATUS(r) ((uint16_t)(r))
#define HV_RESULT_REPS(r) ((uint32_t)((r) >> 32) & 0xfff)
#define HV_RESULT_MAKE(status, reps) ((uint64_t)(uint16_t)(status) | (uint64_t)(reps) << 32)

#define HV_PARTITION_SELF (~0ull)
#define HV_VP_SELF 0xfffffffeu
#define HV_VP_ANY 0xffffffffu

/* input_vtl byte: bits 3:0 VTL, bit 4 "use it" (0 = the caller's own VTL). */
#define HV_INPUT_VTL_SELF 0x00
#define HV_INPUT_VTL(vtl) ((uint8_t)(0x10 | (vtl)))
#define HV_INPUT_VTL_USE 0x10

/* ModifyVtlProtectionMask map flags. */
#define HV_MAP_READ 1u
#define HV_MAP_WRITE 2u
#define HV_MAP_EXEC_KERNEL 4u
#define HV_MAP_EXEC_USER 8u
#define HV_MAP_ALL 15u

/* InstallIntercept access mask and types. */
#define HV_ACCESS_READ 1u
#define HV_ACCESS_WRITE 2u
#define HV_ACCESS_EXECUTE 4u

enum hv_intercept_type {
	HV_INTERCEPT_IO_PORT = 0,
	HV_INTERCEPT_MSR = 1,
	HV_INTERCEPT_CPUID = 2,
	HV_INTERCEPT_EXCEPTION = 3,
	HV_INTERCEPT_HYPERCALL = 8,
	HV_INTERCEPT_UNKNOWN_SYNIC_CONNECTION = 0xd,
	HV_INTERCEPT_APIC_EOI = 0xe,
	HV_INTERCEPT_RETARGET_UNKNOWN_DEVICE = 0xf,
	HV_INTERCEPT_IO_PORT_RANGE = 0x11, /* parameter: first | last << 16, inclusive */
};

struct hv_seg {
	uint64_t base;
	uint32_t limit;
	uint16_t sel;
	uint16_t attr; /* type 3:0, S 4, DPL 6:5, P 7, AVL 12, L 13, D/B 14, G 15 */
};
WIRE_SIZE(struct hv_seg, 16);

struct hv_table {
	uint16_t pad[3];
	uint16_t limit;
	uint64_t base;
};
WIRE_SIZE(struct hv_table, 16);

/* A register value of at most 128 bits. */
union hv_regval {
	uint64_t u64;
	uint64_t q[2];
	uint32_t u32;
	struct hv_seg seg;
	struct hv_table table;
};
WIRE_SIZE(union hv_regval, 16);

struct hv_reg_assoc {
	uint32_t name;
	uint32_t rsvd0;
	uint64_t rsvd1;
	union hv_regval val;
};
WIRE_SIZE(struct hv_reg_assoc, 32);

/* Get/SetVpRegisters header; u32 names or hv_reg_assoc follow. */
struct hv_regs_in {
	uint64_t partition;
	uint32_t vp;
	uint8_t vtl; /* input_vtl */
	uint8_t rsvd[3];
};
WIRE_SIZE(struct hv_regs_in, 16);

struct hv_modify_vtl_prot_in {
	uint64_t partition;
	uint32_t map_flags;
	uint8_t vtl; /* input_vtl */
	uint8_t rsvd[3];
	/* u64 gpn list follows */
};
WIRE_SIZE(struct hv_modify_vtl_prot_in, 16);

/* AcceptGpaPages: pages gpn .. gpn + repeat count. */
struct hv_accept_gpa_in {
	uint64_t partition;
	uint32_t attributes; /* memory type 5:0, host visibility 7:6, VTL set 10:8 */
	uint16_t permissions[2]; /* initial, for VTL1 and VTL2 against lower VTLs */
	uint64_t gpn;
};
WIRE_SIZE(struct hv_accept_gpa_in, 24);

#define HV_ACCEPT_TYPE(attributes) ((attributes)&0x3f)
#define HV_ACCEPT_ANY 0u
#define HV_ACCEPT_RAM 1u
#define HV_ACCEPT_VISIBILITY(attributes) ((attributes) >> 6 & 3)
#define HV_ACCEPT_VTL_SET(attributes) ((attributes) >> 8 & 7)
#define HV_ACCEPT_FOR_VTL(vtl) (1u << (8 + (vtl))) /* whose permissions are applied at once */
#define HV_ACCEPT_RESERVED 0xfffff800u

/* ModifySparseGpaPageHostVisibility. */
struct hv_visibility_in {
	uint64_t partition;
	uint32_t visibility; /* HV_VISIBLE_x */
	uint32_t rsvd;
	/* u64 gpn list follows */
};
WIRE_SIZE(struct hv_visibility_in, 16);

#define HV_VISIBLE_NONE 0u
#define HV_VISIBLE_READ 1u
#define HV_VISIBLE_WRITE 2u
#define HV_VISIBLE_READ_WRITE 3u

struct hv_vp_context {
	uint64_t rip, rsp, rflags;
	struct hv_seg cs, ds, es, fs, gs, ss, tr, ldtr;
	struct hv_table idtr, gdtr;
	uint64_t efer, cr0, cr3, cr4, pat;
};
WIRE_SIZE(struct hv_vp_context, 224);

/* EnableVpVtl and StartVirtualProcessor. */
struct hv_start_vp_in {
	uint64_t partition;
	uint32_t vp;
	uint8_t vtl; /* plain VTL number */
	uint8_t rsvd[3];
	struct hv_vp_context ctx;
};
WIRE_SIZE(struct hv_start_vp_in, 240);

struct hv_install_intercept_in {
	uint64_t partition;
	uint32_t access;
	uint32_t type;
	uint64_t param;
};
WIRE_SIZE(struct hv_install_intercept_in, 24);

struct hv_apicid_in {
	uint64_t partition;
	uint8_t vtl;
	uint8_t pad[7];
	/* u32 APIC ids follow; the output is a u32 VP index each */
};
WIRE_SIZE(struct hv_apicid_in, 16);

#define HV_MESSAGE_PAYLOAD 240

struct hv_post_message_in {
	uint32_t connection;
	uint32_t rsvd;
	uint32_t type;
	uint32_t size;
	uint8_t payload[HV_MESSAGE_PAYLOAD];
};
WIRE_SIZE(struct hv_post_message_in, 256);

struct hv_signal_event_in {
	uint32_t connection;
	uint16_t flag;
	uint16_t rsvd;
};
WIRE_SIZE(struct hv_signal_event_in, 8);

enum hv_int_type {
	HV_INT_FIXED = 0,
	HV_INT_LOWEST = 1,
	HV_INT_NMI = 4,
	HV_INT_INIT = 5,
	HV_INT_SIPI = 6,
	HV_INT_EXTINT = 7,
	HV_INT_LINT0 = 8,
	HV_INT_LINT1 = 9,
};
#define HV_INT_CONTROL_LEVEL BIT(32)
#define HV_INT_CONTROL_LOGICAL BIT(33)

struct hv_assert_int_in {
	uint64_t partition;
	uint64_t control; /* type 31:0, level 32, logical 33 */
	uint64_t dest;
	uint32_t vector;
	uint8_t vtl; /* plain VTL number */
	uint8_t rsvd[3];
};
WIRE_SIZE(struct hv_assert_int_in, 32);

struct hv_translate_ex_in {
	uint64_t partition;
	uint32_t vp;
	uint32_t rsvd;
	uint64_t flags;
	uint64_t gva_page;
};
WIRE_SIZE(struct hv_translate_ex_in, 32);

/* TranslateVirtualAddressEx flags (63:56 = input_vtl) and result codes. */
#define HV_XLATE_READ BIT(0)
#define HV_XLATE_WRITE BIT(1)
#define HV_XLATE_EXECUTE BIT(2)
#define HV_XLATE_PRIVILEGE_EXEMPT BIT(3)
#define HV_XLATE_SET_AD BIT(4)
#define HV_XLATE_VTL(vtl) ((uint64_t)HV_INPUT_VTL(vtl) << 56)

enum hv_xlate_code {
	HV_XLATE_OK = 0,
	HV_XLATE_NOT_PRESENT = 1,
	HV_XLATE_PRIVILEGE = 2,
	HV_XLATE_BAD_PTE = 3,
	HV_XLATE_UNMAPPED = 4,
	HV_XLATE_NO_READ = 5,
	HV_XLATE_NO_WRITE = 6,
	HV_XLATE_OVERLAY = 7,
	HV_XLATE_INTERCEPT = 8,
	HV_XLATE_UNACCEPTED = 9,
};

/* PendingEvent0/1 as in the registers of that name; also the event of a failed translation. */
struct hv_pending_event {
	uint64_t q[4];
};

struct hv_translate_ex_out {
	uint32_t code;
	uint32_t flags; /* cache type 7:0, overlay 8 */
	uint64_t rsvd0;
	struct hv_pending_event event;
	uint64_t gpa_page;
	uint64_t rsvd1;
};
WIRE_SIZE(struct hv_translate_ex_out, 64);

struct hv_signal_direct_in {
	uint64_t partition;
	uint32_t vp;
	uint8_t vtl; /* plain VTL number */
	uint8_t sint;
	uint16_t flag;
};
WIRE_SIZE(struct hv_signal_direct_in, 16);

/* RetargetDeviceInterrupt. With HV_RETARGET_SET the last word is a set's format, and the variable
 * header its mask of banks and those banks. */
struct hv_retarget_in {
	uint64_t partition;
	uint64_t device_id;
	uint32_t source;
	uint32_t rsvd0;
	uint32_t address, data; /* the message as the device has it */
	uint64_t rsvd1;
	uint32_t vector;
	uint32_t flags; /* HV_RETARGET_x */
	uint64_t mask; /* VPs 0..63, or HV_VPSET_x */
};
WIRE_SIZE(struct hv_retarget_in, 56);

#define HV_RETARGET_SOURCE_MSI 1u
#define HV_RETARGET_MULTICAST BIT(0)
#define HV_RETARGET_SET BIT(1)

#define HV_VPSET_SPARSE_4K 0ull
#define HV_VPSET_ALL 1ull

/* SendSyntheticClusterIpi, fast form: the two register words. */
struct hv_ipi_in {
	uint32_t vector;
	uint8_t vtl; /* input_vtl */
	uint8_t flags;
	uint16_t rsvd;
	uint64_t mask;
};
WIRE_SIZE(struct hv_ipi_in, 16);
