/* SPDX-License-Identifier: MIT */
/*
 * VPCI: messages on the channel of a virtual PCI bus. Spec: spec/storage-net.md 5.
 */
#pragma once

#include <stdint.h>

#include "guid.h"
#include "macros.h"

#define VPCI_INTERFACE_GUID \
	GUID_INIT(0x44c4f61d, 0x4444, 0x4400, 0x9d, 0x52, 0x80, 0x2e, 0x27, 0xed, 0xe1, 0x9f)

enum vpci_version {
	VPCI_WIN8 = 0x00010000,
	VPCI_WIN10 = 0x00010001,
	VPCI_RS1 = 0x00010002, /* CREATE_INTERRUPT2 */
	VPCI_VB = 0x00010003, /* BUS_RELATIONS2 */
	VPCI_FE = 0x00010004, /* CREATE_INTERRUPT3 */
	VPCI_GE = 0x00010005, /* RESET_DEVICE */
	VPCI_DT = 0x00010006,
};

enum vpci_status {
	VPCI_OK = 0,
	VPCI_REVISION_MISMATCH = 0xc0000059,
	VPCI_NOT_SUPPORTED = 0xc00000bb,
	VPCI_BAD_DATA = 0xc000090b,
};

enum vpci_msg_type {
	VPCI_BUS_RELATIONS = 0x42490000, /* to the client */
	VPCI_QUERY_BUS_RELATIONS,
	VPCI_INVALIDATE_DEVICE, /* to the client */
	VPCI_INVALIDATE_BUS, /* to the client */
	VPCI_POWER_STATE_CHANGE,
	VPCI_RESOURCE_REQUIREMENTS,
	VPCI_GET_RESOURCES,
	VPCI_D0_ENTRY,
	VPCI_D0_EXIT,
	VPCI_READ_BLOCK,
	VPCI_WRITE_BLOCK,
	VPCI_EJECT, /* to the client */
	VPCI_QUERY_STOP, /* to the client */
	VPCI_RE_ENABLE, /* to the client */
	VPCI_QUERY_STOP_FAILED, /* to the client */
	VPCI_EJECT_COMPLETE,
	VPCI_ASSIGNED_RESOURCES,
	VPCI_RELEASE_RESOURCES,
	VPCI_INVALIDATE_BLOCK, /* to the client */
	VPCI_QUERY_VERSION,
	VPCI_CREATE_INTERRUPT,
	VPCI_DELETE_INTERRUPT,
	VPCI_ASSIGNED_RESOURCES2,
	VPCI_CREATE_INTERRUPT2,
	VPCI_DELETE_INTERRUPT2,
	VPCI_BUS_RELATIONS2, /* to the client */
	VPCI_ASSIGNED_RESOURCES3,
	VPCI_CREATE_INTERRUPT3,
	VPCI_RESET_DEVICE,
	VPCI_TDISP_COMMAND,
};

#define VPCI_WINDOW_BYTES 0x2000u /* slot number, then configuration space of that slot */
#define VPCI_WINDOW_CONFIG 0x1000u
#define VPCI_MAX_MSI 494u /* messages of one device */
#define VPCI_MAX_PROCS 32u /* of one message */

enum vpci_power { VPCI_D0 = 1, VPCI_D3 = 4 };

/* Header of every message about one slot: device number in 4:0, function in 7:5. */
struct vpci_slot_msg {
	uint32_t type;
	uint32_t slot;
};
WIRE_SIZE(struct vpci_slot_msg, 8);

struct vpci_version_msg {
	uint32_t type;
	uint32_t version;
};
WIRE_SIZE(struct vpci_version_msg, 8);

struct vpci_version_reply {
	uint32_t status;
	uint32_t version;
};
WIRE_SIZE(struct vpci_version_reply, 8);

struct vpci_d0_entry {
	uint32_t type;
	uint32_t pad;
	uint64_t window;
};
WIRE_SIZE(struct vpci_d0_entry, 16);

struct vpci_pnp_id {
	uint16_t vendor, device;
	uint8_t revision, prog_if, sub_class, base_class;
	uint16_t sub_vendor, sub_device;
};
WIRE_SIZE(struct vpci_pnp_id, 12);

struct vpci_relations {
	uint32_t type;
	uint32_t count; /* one, here */
	struct vpci_pnp_id id;
	uint32_t slot;
	uint32_t serial;
};
WIRE_SIZE(struct vpci_relations, 28);

struct vpci_relations2 {
	struct vpci_relations v1;
	uint32_t flags; /* bit 0: node is valid */
	uint16_t numa_node;
	uint16_t rsvd;
};
WIRE_SIZE(struct vpci_relations2, 36);

struct vpci_requirements_reply {
	uint32_t status;
	uint32_t bar[6];
};
WIRE_SIZE(struct vpci_requirements_reply, 28);

#define VPCI_RES_MEMORY 3u
#define VPCI_RES_MEMORY_LARGE 7u
#define VPCI_RES_LARGE_40 BIT(9) /* flags: len counts 256 bytes, 64 KiB, 4 GiB */
#define VPCI_RES_LARGE_48 BIT(10)
#define VPCI_RES_LARGE_64 BIT(11)

struct __attribute__((packed)) vpci_resource {
	uint8_t type;
	uint8_t share;
	uint16_t flags;
	uint64_t addr;
	uint32_t len;
	uint32_t pad;
};
WIRE_SIZE(struct vpci_resource, 20);

struct vpci_resource_list {
	uint16_t version, revision; /* 1, 1 */
	uint32_t count;
	struct vpci_resource bar[6];
};
WIRE_SIZE(struct vpci_resource_list, 128);

/* A message as the device sends it. */
struct vpci_remapped {
	uint16_t rsvd;
	uint16_t count;
	uint32_t data;
	uint64_t addr;
};
WIRE_SIZE(struct vpci_remapped, 16);

/* A message as the client wants it, by version. */
struct vpci_msi {
	uint8_t vector;
	uint8_t mode; /* 0 fixed, 1 lowest priority */
	uint16_t count;
	uint32_t rsvd;
	uint64_t mask; /* processors */
};
WIRE_SIZE(struct vpci_msi, 16);

struct vpci_msi2 {
	uint8_t vector;
	uint8_t mode;
	uint16_t count;
	uint16_t n_procs;
	uint16_t procs[VPCI_MAX_PROCS];
};
WIRE_SIZE(struct vpci_msi2, 70);

struct vpci_msi3 {
	uint32_t vector;
	uint8_t mode;
	uint8_t rsvd;
	uint16_t count;
	uint16_t n_procs;
	uint16_t procs[VPCI_MAX_PROCS];
	uint16_t rsvd2;
};
WIRE_SIZE(struct vpci_msi3, 76);

/* Bytes of one message in ASSIGNED_RESOURCES, 2 and 3, and in the replies to these. */
#define VPCI_MSI_BYTES 16u
#define VPCI_MSI2_BYTES 72u
#define VPCI_MSI3_BYTES 80u

struct vpci_assigned {
	uint32_t type; /* status in the reply */
	uint32_t slot;
	struct vpci_resource bar[6];
	uint32_t n_msi;
	uint32_t rsvd;
	/* messages follow; in the reply remapped ones, in room of the size of the first or second
	 * version */
};
WIRE_SIZE(struct vpci_assigned, 136);

struct vpci_create_reply {
	uint32_t status;
	uint32_t rsvd;
	struct vpci_remapped msi;
};
WIRE_SIZE(struct vpci_create_reply, 24);

struct vpci_delete {
	struct vpci_slot_msg h;
	struct vpci_remapped msi;
};
WIRE_SIZE(struct vpci_delete, 24);

struct vpci_power_msg {
	struct vpci_slot_msg h;
	uint32_t state; /* enum vpci_power */
};
WIRE_SIZE(struct vpci_power_msg, 12);
