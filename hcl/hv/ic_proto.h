/* SPDX-License-Identifier: MIT */
/*
 * Integration components: small services between host and guest, each a message pipe on VMBus.
 * Spec: spec/vmbus.md chapter 8; names and identifiers from chapter 7.
 */
#pragma once

#include <stdint.h>

#include "guid.h"
#include "macros.h"

#define IC_SHUTDOWN_INTERFACE \
	GUID_INIT(0x0e0b6031, 0x5213, 0x4934, 0x81, 0x8b, 0x38, 0xd9, 0x0c, 0xed, 0x39, 0xdb)
#define IC_SHUTDOWN_INSTANCE \
	GUID_INIT(0xb6650ff7, 0x33bc, 0x4840, 0x80, 0x48, 0xe0, 0x67, 0x67, 0x86, 0xf3, 0x93)
#define IC_TIMESYNC_INTERFACE \
	GUID_INIT(0x9527e630, 0xd0ae, 0x497b, 0xad, 0xce, 0xe8, 0x0a, 0xb0, 0x17, 0x5c, 0xaf)
#define IC_TIMESYNC_INSTANCE \
	GUID_INIT(0x2dd1ce17, 0x079e, 0x403c, 0xb3, 0x52, 0xa1, 0x92, 0x1e, 0xe2, 0x07, 0xee)
#define IC_HEARTBEAT_INTERFACE \
	GUID_INIT(0x57164f39, 0x9115, 0x4e78, 0xab, 0x55, 0x38, 0x2f, 0x3b, 0xd5, 0x42, 0x2d)
/* No document names Hyper-V's; it is only an identity. */
#define IC_HEARTBEAT_INSTANCE \
	GUID_INIT(0xfd149e91, 0x82e0, 0x4a7d, 0xaf, 0xa6, 0x2a, 0x41, 0x66, 0xcb, 0xd7, 0xc0)

enum ic_type { IC_NEGOTIATE = 0, IC_HEARTBEAT = 1, IC_SHUTDOWN = 3, IC_TIMESYNC = 4 };

#define IC_FLAG_TRANSACTION BIT(0)
#define IC_FLAG_REQUEST BIT(1)
#define IC_FLAG_RESPONSE BIT(2)

enum ic_status {
	IC_OK = 0,
	IC_FAIL = 0x80004005,
	IC_NOT_SUPPORTED = 0x80070032,
};

#define IC_MAX_MESSAGE 13312u
#define IC_VERSION(major, minor) ((uint32_t)(major) << 16 | (minor))

struct ic_header {
	uint16_t fw_major, fw_minor;
	uint16_t type; /* enum ic_type */
	uint16_t msg_major, msg_minor;
	uint16_t size; /* of the body */
	uint32_t status; /* enum ic_status */
	uint8_t transaction;
	uint8_t flags; /* IC_FLAG_* */
	uint16_t rsvd;
};
WIRE_SIZE(struct ic_header, 20);

struct ic_version {
	uint16_t major, minor;
};

/* Body of IC_NEGOTIATE; framework versions, then message versions. */
struct ic_negotiate {
	uint16_t n_fw, n_msg;
	uint32_t rsvd;
};
WIRE_SIZE(struct ic_negotiate, 8);

#define IC_SHUTDOWN_PLANNED 0x80000000u
#define IC_SHUTDOWN_FORCE BIT(0)
#define IC_SHUTDOWN_RESTART BIT(1)
#define IC_SHUTDOWN_HIBERNATE BIT(2)

struct ic_shutdown_req {
	uint32_t reason;
	uint32_t timeout_s;
	uint32_t flags; /* IC_SHUTDOWN_* */
	uint8_t text[2048];
};
WIRE_SIZE(struct ic_shutdown_req, 2060);

#define IC_TIMESYNC_SYNC BIT(0)
#define IC_TIMESYNC_SAMPLE BIT(1)

struct ic_timesync_v4 {
	uint64_t parent_time; /* 100 ns since 1601-01-01 UTC */
	uint64_t reference_time; /* partition reference time of the same moment, 100 ns */
	uint8_t flags, leap, stratum, rsvd[5];
};
WIRE_SIZE(struct ic_timesync_v4, 24);

struct ic_timesync_v1 {
	uint64_t parent_time, child_time, round_trip;
	uint8_t flags, rsvd[7];
};
WIRE_SIZE(struct ic_timesync_v1, 32);

enum ic_app_state { IC_APP_UNKNOWN, IC_APP_HEALTHY, IC_APP_CRITICAL, IC_APP_STOPPED };

struct ic_heartbeat_msg {
	uint64_t seq;
	uint32_t app_state; /* enum ic_app_state, set by the guest */
	uint8_t rsvd[4];
};
WIRE_SIZE(struct ic_heartbeat_msg, 16);
