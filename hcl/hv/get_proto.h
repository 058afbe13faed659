/* SPDX-License-Identifier: MIT */
/*
 * Guest emulation transport (GET) and its log channel (GEL): messages as they lie in a pipe packet.
 * All packed by construction. Spec: spec/get-vmgs.md chapters 2 to 7.
 */
#pragma once

#include <stdint.h>

#include "macros.h"

#define GET_INTERFACE_GUID \
	GUID_INIT(0x8dedd1aa, 0x9056, 0x49e4, 0xbf, 0xd6, 0x1b, 0xf9, 0x0d, 0xc3, 0x8e, 0xf0)
#define GET_INSTANCE_GUID \
	GUID_INIT(0xd3e4454d, 0x62af, 0x44ec, 0xb8, 0x51, 0x31, 0x70, 0x91, 0x5e, 0x5f, 0x56)
#define GEL_INSTANCE_GUID \
	GUID_INIT(0xaa5de534, 0xd149, 0x487a, 0x90, 0x53, 0x05, 0x97, 0x2b, 0xa2, 0x0a, 0x7c)

#define GET_HEADER_VERSION 1
#define GET_PROTOCOL_RS5 0x00010000u
#define GET_PROTOCOL_IRON 0x00030000u
#define GET_PROTOCOL_NICKEL_REV2 0x00040002u

#define GET_MAX_HEADER 256u
#define GET_MAX_PAYLOAD 8192u
#define GET_MAX_MESSAGE 12288u

/* The names say who consumes. */
enum get_msg_type {
	GET_HOST_NOTIFICATION = 1, /* to the host */
	GET_HOST_REQUEST = 2, /* to the host */
	GET_HOST_RESPONSE = 3, /* from the host */
	GET_GUEST_NOTIFICATION = 4, /* from the host */
};

enum get_guest_notification {
	GET_GN_UPDATE_GENERATION_ID = 1,
	GET_GN_SAVE_GUEST_VTL2_STATE = 2,
	GET_GN_VPCI_DEVICE_NOTIFICATION = 4,
	GET_GN_MODIFY_VTL2_SETTINGS = 5,
	GET_GN_MODIFY_VTL2_SETTINGS_REV1 = 6,
	GET_GN_BATTERY_STATUS = 7,
	GET_GN_INJECT_DEBUG_INTERRUPT = 8,
	GET_GN_POST_LIVE_MIGRATION = 9,
};

enum get_host_notification {
	GET_HN_POWER_OFF = 1,
	GET_HN_RESET = 2,
	GET_HN_EVENT_LOG = 3,
	GET_HN_LOG_TRACE = 4,
	GET_HN_RESTORE_COMPLETED = 5,
	GET_HN_MODIFY_SETTINGS_COMPLETED = 6,
	GET_HN_START_VTL0_COMPLETED = 7,
	GET_HN_VTL_CRASH = 8,
	GET_HN_TRIPLE_FAULT = 9,
};

enum get_host_request {
	GET_RQ_VERSION = 1,
	GET_RQ_TIME = 2,
	GET_RQ_BIOS_BOOT_FINALIZE = 3,
	GET_RQ_VMGS_GET_DEVICE_INFO = 4,
	GET_RQ_VMGS_READ = 5,
	GET_RQ_VMGS_WRITE = 6,
	GET_RQ_VMGS_FLUSH = 7,
	GET_RQ_IGVM_ATTEST = 8,
	GET_RQ_GSP_BY_ID = 9,
	GET_RQ_VMGS_KEYS_READ = 10,
	GET_RQ_LOG_TRACE = 11,
	GET_RQ_ACTIVITY_START = 12,
	GET_RQ_ACTIVITY_OP = 13,
	GET_RQ_EVENT_TRACE = 14,
	GET_RQ_DPS = 15,
	GET_RQ_ADVISORY_DPS = 16,
	GET_RQ_GSP = 17,
	GET_RQ_DPS_V2 = 18,
	GET_RQ_VPCI_DEVICE_CONTROL = 19,
	GET_RQ_SAVE_STATE = 20,
	GET_RQ_RESTORE_STATE = 21,
	GET_RQ_VPCI_BINDING_CHANGE = 22,
	GET_RQ_VGA_PCI_READ = 23,
	GET_RQ_VGA_PCI_WRITE = 24,
	GET_RQ_DPS_V2_REV1 = 27, /* answers only */
	GET_RQ_CREATE_RAM_GPA_RANGE = 28,
	GET_RQ_RESET_RAM_GPA_RANGE = 29,
	GET_RQ_LOAD_FIRMWARE = 30,
};

enum get_event {
	GET_EVENT_BOOT_SUCCESS = 1,
	GET_EVENT_BOOT_SUCCESS_SECURE_BOOT_FAILED = 2,
	GET_EVENT_BOOT_FAILURE = 3,
	GET_EVENT_BOOT_FAILURE_SECURE_BOOT_FAILED = 4,
	GET_EVENT_NO_BOOT_DEVICE = 5,
	GET_EVENT_ATTESTATION_FAILED = 6,
	GET_EVENT_VMGS_FILE_CLEAR = 7,
	GET_EVENT_VMGS_INIT_FAILED = 8,
	GET_EVENT_VMGS_INVALID_FORMAT = 9,
	GET_EVENT_VMGS_CORRUPT_FORMAT = 10,
	GET_EVENT_KEY_NOT_RELEASED = 11,
	GET_EVENT_DEK_DECRYPTION_FAILED = 12,
	GET_EVENT_WATCHDOG_TIMEOUT_RESET = 13,
	GET_EVENT_BOOT_ATTEMPT = 14,
	GET_EVENT_VMGS_ACCESS_FAILED = 15,
	GET_EVENT_CERTIFICATE_RENEWAL_FAILED = 16,
	GET_EVENT_TPM_INVALID_STATE = 17,
	GET_EVENT_TPM_IDENTITY_CHANGE_FAILED = 18,
	GET_EVENT_WRAPPED_KEY_INVALID = 19,
	GET_EVENT_DEK_SEALING_INVALID_KEY = 20,
	GET_EVENT_DEK_SEALING_FAILED = 21,
	GET_EVENT_DEK_UNSEALING_SKIPPED = 23,
};

struct get_header {
	uint8_t version; /* GET_HEADER_VERSION */
	uint8_t type; /* enum get_msg_type */
	uint16_t id;
};
WIRE_SIZE(struct get_header, 4);

struct get_power_off {
	struct get_header h;
	uint8_t hibernate;
	uint8_t pad;
};
WIRE_SIZE(struct get_power_off, 6);

/* EVENT_LOG (event id), VERSION request (version), status-only answers (status). */
struct get_u32_msg {
	struct get_header h;
	uint32_t val;
};
WIRE_SIZE(struct get_u32_msg, 8);

struct get_vtl_crash {
	struct get_header h;
	uint32_t vp;
	uint8_t last_vtl;
	uint8_t rsvd0;
	uint16_t rsvd1;
	uint32_t rsvd2;
	uint64_t control;
	uint64_t params[5];
};
WIRE_SIZE(struct get_vtl_crash, 64);
WIRE_OFFSET(struct get_vtl_crash, control, 16);

struct get_fault_reg {
	uint32_t name; /* hypervisor register name */
	uint8_t val[16];
};
WIRE_SIZE(struct get_fault_reg, 20);

#define GET_TRIPLE_FAULT_MAX_REGS 64
#define GET_FAULT_UNRECOVERABLE 1u

struct get_triple_fault {
	struct get_header h;
	uint32_t vp;
	uint32_t fault;
	uint32_t n_regs;
	/* struct get_fault_reg[n_regs] */
};
WIRE_SIZE(struct get_triple_fault, 16);

/* START_VTL0_COMPLETED, MODIFY_SETTINGS_COMPLETED: text follows. */
struct get_result_text {
	struct get_header h;
	uint32_t status; /* 0 ok, 1 failure */
	uint32_t size;
};
WIRE_SIZE(struct get_result_text, 12);

struct get_version_rsp {
	struct get_header h;
	uint8_t accepted;
	uint8_t pad;
};
WIRE_SIZE(struct get_version_rsp, 6);

struct get_time_rsp {
	struct get_header h;
	uint32_t pad0;
	uint64_t vm_reference_time; /* 100 ns */
	int64_t utc; /* 100 ns since 1601-01-01 */
	int16_t bias_minutes;
	uint8_t daylight_saving;
	uint8_t pad1[5];
};
WIRE_SIZE(struct get_time_rsp, 32);
WIRE_OFFSET(struct get_time_rsp, utc, 16);

struct get_battery_status {
	struct get_header h;
	uint32_t flags; /* GET_BATTERY_* */
	uint32_t max_capacity;
	uint32_t remaining;
	uint32_t rate;
};
WIRE_SIZE(struct get_battery_status, 20);

#define GET_BATTERY_AC_ONLINE BIT(0)
#define GET_BATTERY_PRESENT BIT(1)
#define GET_BATTERY_CHARGING BIT(2)
#define GET_BATTERY_DISCHARGING BIT(3)

struct get_debug_interrupt {
	struct get_header h;
	uint8_t vtl;
	uint8_t pad;
};
WIRE_SIZE(struct get_debug_interrupt, 6);

enum get_vpci_code { GET_VPCI_ENUMERATED = 1, GET_VPCI_PREPARE_FOR_REMOVAL = 2 };

struct get_vpci_notification {
	struct get_header h;
	uint8_t bus[16]; /* GUID */
	uint32_t code; /* enum get_vpci_code */
};
WIRE_SIZE(struct get_vpci_notification, 24);

struct get_generation_id {
	struct get_header h;
	uint32_t pad;
	uint8_t id[16];
};
WIRE_SIZE(struct get_generation_id, 24);

/* DPS answer under id 18: JSON follows. MODIFY_VTL2_SETTINGS: the document follows. */
struct get_dps_rsp {
	struct get_header h;
	uint32_t size;
};
WIRE_SIZE(struct get_dps_rsp, 8);

enum get_part { GET_PART_END = 0, GET_PART_MORE = 1 };

/* DPS answer under id 27, MODIFY_VTL2_SETTINGS_REV1: a part follows. */
struct get_dps_rev1_rsp {
	struct get_header h;
	uint32_t size;
	uint32_t state; /* enum get_part */
};
WIRE_SIZE(struct get_dps_rev1_rsp, 12);

enum get_vmgs_status {
	GET_VMGS_SUCCESS = 0,
	GET_VMGS_INVALID_COMMAND = 1,
	GET_VMGS_DEVICE_ERROR = 2,
	GET_VMGS_RETRY = 3,
};

struct get_vmgs_info_rsp {
	struct get_header h;
	uint32_t status;
	uint64_t capacity; /* logical sectors */
	uint16_t sector_bytes;
	uint16_t physical_sector_bytes;
	uint32_t max_transfer;
};
WIRE_SIZE(struct get_vmgs_info_rsp, 24);

struct get_vmgs_io_req {
	struct get_header h;
	uint32_t flags; /* 1 = write through */
	uint64_t sector;
	uint32_t count;
	uint32_t pad;
	/* data of a write */
};
WIRE_SIZE(struct get_vmgs_io_req, 24);

#define GET_ATTEST_AGENT_DATA 2048
#define GET_ATTEST_REPORT 4096

struct get_attest_req {
	struct get_header h;
	uint32_t n_gpa;
	uint64_t gpa[16];
	uint32_t agent_data_len;
	uint32_t report_len;
	uint8_t agent_data[GET_ATTEST_AGENT_DATA];
	uint8_t report[GET_ATTEST_REPORT];
};
WIRE_SIZE(struct get_attest_req, 6288);
WIRE_OFFSET(struct get_attest_req, agent_data, 144);

#define GET_ATTEST_FAILED 0xffffffffu

struct get_gsp_clear {
	uint32_t len;
	uint8_t data[64];
};
WIRE_SIZE(struct get_gsp_clear, 68);

struct get_gsp_cipher {
	uint32_t len;
	uint8_t data[512];
};
WIRE_SIZE(struct get_gsp_cipher, 516);

#define GET_GSP_STATE_REFRESH_REQUEST BIT(0)
#define GET_GSP_NO_REGISTRY_FILE BIT(1)
#define GET_GSP_NO_RPC_SERVER BIT(2)
#define GET_GSP_ALLOW_AK_CERT_RENEWAL BIT(3)
#define GET_GSP_REQUIRES_RPC_SERVER BIT(4)

struct get_gsp_by_id_rsp {
	struct get_header h;
	struct get_gsp_clear seed;
	uint32_t flags;
};
WIRE_SIZE(struct get_gsp_by_id_rsp, 76);

struct get_gsp_req {
	struct get_header h;
	struct get_gsp_clear new_gsp;
	struct get_gsp_cipher encrypted[2];
	uint32_t flags;
};
WIRE_SIZE(struct get_gsp_req, 1108);

struct get_gsp_rsp {
	struct get_header h;
	struct get_gsp_cipher encrypted;
	struct get_gsp_clear decrypted[2];
	uint32_t flags;
};
WIRE_SIZE(struct get_gsp_rsp, 660);

enum get_state_status {
	GET_STATE_SUCCESS = 0,
	GET_STATE_FAILURE = 1,
	GET_STATE_MORE_DATA = 2,
	GET_STATE_REQUEST_DATA = 3,
};

/* SAVE request (data follows) and response, RESTORE request, RESTORE_COMPLETED. */
struct get_state_msg {
	struct get_header h;
	uint16_t status;
};
WIRE_SIZE(struct get_state_msg, 6);

/* ---- GEL: log records, guest to host --------------------------------------------------------- */

enum gel_type { GEL_EVENT = 0, GEL_SPAN_ENTER = 1, GEL_SPAN_EXIT = 2 };
enum gel_level { GEL_CRITICAL = 1, GEL_ERROR = 2, GEL_WARNING = 3, GEL_INFO = 4, GEL_VERBOSE = 5 };

#define GEL_FLAG_KMSG BIT(0)
#define GEL_MAX_NAME 128
#define GEL_MAX_TARGET 128
#define GEL_MAX_FIELDS 256
#define GEL_MAX_MESSAGE 4096
#define GEL_MAX_RECORD 4688

struct gel_str {
	uint16_t size;
	uint16_t off; /* from the end of the header */
};

struct gel_header {
	uint8_t type; /* enum gel_type */
	uint8_t level; /* enum gel_level */
	uint16_t flags; /* GEL_FLAG_* */
	struct gel_str name, target, fields, message;
	uint32_t rsvd;
	uint8_t activity[16], related_activity[16], correlation[16];
	uint64_t timestamp; /* 100 ns */
};
WIRE_SIZE(struct gel_header, 80);
WIRE_OFFSET(struct gel_header, timestamp, 72);
