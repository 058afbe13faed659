/* SPDX-License-Identifier: MIT */
/*
 * The crash dump channel, on which VTL2 hands a core file to the host: a VMBus pipe in message
 * mode whose interface and instance have the same id. Spec: spec/diag.md 7.2.
 */
#pragma once

#include <stdint.h>

#include "guid.h"
#include "macros.h"

#define CRASH_CHANNEL_GUID \
	GUID_INIT(0x427b03e7, 0x4ceb, 0x4286, 0xb5, 0xfc, 0x48, 0x6f, 0x4a, 0x1d, 0xd4, 0x39)

enum crash_msg_type {
	CRASH_GET_CAPS = 0x1,
	CRASH_NIX_CONFIG = 0x102,
	CRASH_NIX_START = 0x103,
	CRASH_NIX_WRITE = 0x104,
	CRASH_NIX_COMPLETE = 0x105,
	/* An answer is its question with this bit. */
	CRASH_RESPONSE = 0x10000,
};

#define CRASH_CAP_WINDOWS_V1 BIT(0)
#define CRASH_CAP_LINUX_V1 BIT(1)

enum crash_dump_type { CRASH_DUMP_NONE, CRASH_DUMP_ELF, CRASH_DUMP_KDUMP };

#define CRASH_WRITE_MAX 16384u /* data bytes of one write */
#define CRASH_VERSION_TEXT 256

struct crash_header {
	struct guid activity;
	uint64_t type; /* enum crash_msg_type */
};
WIRE_SIZE(struct crash_header, 24);

struct crash_caps_rsp {
	struct crash_header h;
	uint64_t caps;
};
WIRE_SIZE(struct crash_caps_rsp, 32);

struct crash_config_rsp {
	struct crash_header h;
	uint64_t max_bytes;
	uint32_t dump_type;
} __attribute__((packed));
WIRE_SIZE(struct crash_config_rsp, 36);

/* Of START always, of WRITE only when something went wrong. 0 = good. */
struct crash_status_rsp {
	struct crash_header h;
	int32_t status;
} __attribute__((packed));
WIRE_SIZE(struct crash_status_rsp, 28);

/* Followed by a message of its own with `size` bytes of data. */
struct crash_write_req {
	struct crash_header h;
	uint64_t offset;
	uint32_t size;
} __attribute__((packed));
WIRE_SIZE(struct crash_write_req, 36);

struct crash_complete_req {
	struct crash_header h;
	uint32_t major, minor;
	char version[CRASH_VERSION_TEXT]; /* /proc/version, ends in NUL */
	uint8_t vtl;
} __attribute__((packed));
WIRE_SIZE(struct crash_complete_req, 289);

/*
 * The note that carries the kernel's log inside a core: header and name are 20 bytes, the
 * description ends with the number of text bytes.
 */
#define KMSG_NOTE_BYTES 0x40000u
#define KMSG_NOTE_TYPE 0xffffffffu
#define KMSG_NOTE_NAMESZ 5u
#define KMSG_NOTE_HEAD 20u
#define KMSG_NOTE_TEXT_MAX (KMSG_NOTE_BYTES - KMSG_NOTE_HEAD - 4)
