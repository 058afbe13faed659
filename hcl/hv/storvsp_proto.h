/* SPDX-License-Identifier: MIT */
/*
 * storvsp: SCSI requests over a VMBus channel, as they lie in ring packets (little-endian).
 * Spec: spec/storage-net.md 1.
 */
#pragma once

#include <stdint.h>

#include "guid.h"
#include "macros.h"

#define STORVSP_SCSI_GUID \
	GUID_INIT(0xba6163d9, 0x04a1, 0x4d29, 0xb6, 0x05, 0x72, 0xe2, 0xff, 0xb1, 0xdc, 0x7f)
#define STORVSP_IDE_GUID \
	GUID_INIT(0x32412632, 0x86cb, 0x44a2, 0x9b, 0x5c, 0x50, 0xd1, 0x41, 0x73, 0x54, 0xf5)

enum storvsp_op {
	STORVSP_COMPLETE_IO = 1,
	STORVSP_REMOVE_DEVICE = 2,
	STORVSP_EXECUTE_SRB = 3,
	STORVSP_RESET_LUN = 4,
	STORVSP_RESET_ADAPTER = 5,
	STORVSP_RESET_BUS = 6,
	STORVSP_BEGIN_INIT = 7,
	STORVSP_END_INIT = 8,
	STORVSP_QUERY_VERSION = 9,
	STORVSP_QUERY_PROPERTIES = 10,
	STORVSP_ENUMERATE_BUS = 11,
	STORVSP_FC_HBA_DATA = 12,
	STORVSP_CREATE_SUB_CHANNELS = 13,
	STORVSP_EVENT_NOTIFICATION = 14,
};

enum storvsp_version {
	STORVSP_WIN6 = 0x0200,
	STORVSP_WIN7 = 0x0402,
	STORVSP_WIN8 = 0x0501,
	STORVSP_BLUE = 0x0600,
	STORVSP_THRESHOLD = 0x0602,
};

/* NTSTATUS values that a packet carries. */
enum storvsp_nt_status {
	STORVSP_NT_OK = 0,
	STORVSP_NT_UNSUCCESSFUL = 0xc0000001,
	STORVSP_NT_INVALID_PARAMETER = 0xc000000d,
	STORVSP_NT_INVALID_DEVICE_REQUEST = 0xc0000010,
	STORVSP_NT_REVISION_MISMATCH = 0xc0000059,
	STORVSP_NT_DEVICE_NOT_CONNECTED = 0xc000009d,
	STORVSP_NT_IO_TIMEOUT = 0xc00000b5,
	STORVSP_NT_NO_SUCH_DEVICE = 0xc00000c0,
	STORVSP_NT_CANCELLED = 0xc0000120,
	STORVSP_NT_INVALID_DEVICE_STATE = 0xc0000184,
	STORVSP_NT_IO_DEVICE_ERROR = 0xc0000185,
	STORVSP_NT_BUFFER_OVERFLOW = 0x80000005,
	STORVSP_NT_DEVICE_BUSY = 0x80000011,
};

#define STORVSP_FLAG_COMPLETION 1u

struct storvsp_header {
	uint32_t op; /* enum storvsp_op */
	uint32_t flags;
	uint32_t status; /* enum storvsp_nt_status */
};
WIRE_SIZE(struct storvsp_header, 12);

#define STORVSP_PAYLOAD_V1 0x24u
#define STORVSP_PAYLOAD_MAX 0x34u
#define STORVSP_CDB_MAX 16u
#define STORVSP_SENSE_MAX 20u

#define STORVSP_SRB_AUTOSENSE 0x80u
#define STORVSP_DATA_OUT 0u
#define STORVSP_DATA_IN 1u
#define STORVSP_DATA_NONE 2u

struct storvsp_srb {
	uint16_t length;
	uint8_t srb_status;
	uint8_t scsi_status;
	uint8_t port, path, target, lun;
	uint8_t cdb_len;
	uint8_t sense_len;
	uint8_t data_in; /* STORVSP_DATA_* */
	uint8_t properties;
	uint32_t data_len;
	uint8_t cdb[STORVSP_SENSE_MAX]; /* request: CDB; reply: sense */
	/* from version 5.1 on */
	uint16_t rsvd;
	uint8_t queue_tag, queue_action;
	uint32_t srb_flags;
	uint32_t timeout; /* seconds */
	uint32_t sort_key;
};
WIRE_SIZE(struct storvsp_srb, STORVSP_PAYLOAD_MAX);
WIRE_OFFSET(struct storvsp_srb, cdb, 16);
WIRE_OFFSET(struct storvsp_srb, rsvd, STORVSP_PAYLOAD_V1);

struct storvsp_query_version {
	uint16_t version; /* enum storvsp_version */
	uint16_t revision;
};
WIRE_SIZE(struct storvsp_query_version, 4);

#define STORVSP_PROP_MULTI_CHANNEL 1u

struct storvsp_properties {
	uint32_t rsvd1;
	uint16_t max_subchannels;
	uint16_t rsvd2;
	uint32_t flags; /* STORVSP_PROP_* */
	uint32_t max_transfer;
	uint8_t rsvd3[8];
};
WIRE_SIZE(struct storvsp_properties, 24);

struct storvsp_packet {
	struct storvsp_header h;
	union {
		struct storvsp_srb srb;
		struct storvsp_query_version version;
		struct storvsp_properties properties;
		uint16_t subchannels;
		uint8_t raw[STORVSP_PAYLOAD_MAX];
	};
};
WIRE_SIZE(struct storvsp_packet, 64);

/* What the offer of an IDE accelerator channel says. */
#define STORVSP_IDE_DEVICE 2u
struct storvsp_ide_offer {
	uint16_t rsvd1;
	uint8_t path, target;
	uint32_t rsvd2;
	uint32_t flags; /* STORVSP_IDE_DEVICE */
	uint8_t rsvd3[12];
};
WIRE_SIZE(struct storvsp_ide_offer, 24);

/* Behind the descriptor of a GPA-direct packet: this, one range, its page numbers, the packet. */
struct storvsp_gpa_head {
	uint32_t rsvd;
	uint32_t ranges;
	uint32_t bytes;
	uint32_t offset;
};
WIRE_SIZE(struct storvsp_gpa_head, 16);
