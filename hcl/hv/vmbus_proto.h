/* SPDX-License-Identifier: MIT */
/*
 * VMBus: control messages, ring control page, packets, pipe header and identifiers, as they lie in
 * SynIC messages and in shared memory. Spec: spec/vmbus.md chapters 1 to 5.
 */
#pragma once

#include <stdint.h>

#include "guid.h"
#include "macros.h"

#define VMBUS_SINT 2
#define VMBUS_REDIRECT_SINT 7
#define VMBUS_MAX_MESSAGE 240u
#define VMBUS_MAX_CHANNELS 2048u /* ids 1..2047 */
#define VMBUS_USER_DATA 120

/* Message connection ids that exist by convention. */
#define VMBUS_MSG_ID_LEGACY 1u
#define VMBUS_MSG_ID_MULTICLIENT 4u
#define VMBUS_MSG_ID(vtl, vp, sint) \
	(4u | (uint32_t)(vtl) << 22 | (uint32_t)(vp) << 8 | (uint32_t)(sint) << 4)
#define VMBUS_MSG_ID_VTL2 0x800024u
#define VMBUS_MSG_ID_REDIRECT 0x800074u
BUILD_ASSERT(VMBUS_MSG_ID(2, 0, VMBUS_SINT) == VMBUS_MSG_ID_VTL2, "formula of message ids");
BUILD_ASSERT(VMBUS_MSG_ID(2, 0, VMBUS_REDIRECT_SINT) == VMBUS_MSG_ID_REDIRECT, "same");

/* Event connection id offered with a channel. */
#define VMBUS_EVENT_ID(chan, sint, vtl) \
	((uint32_t)(chan) | (uint32_t)(sint) << 12 | (uint32_t)(vtl) << 16)
#define VMBUS_VP_NONE 0xffffffffu

enum vmbus_version {
	VMBUS_V1 = 0x0000000d,
	VMBUS_WIN7 = 0x00010001,
	VMBUS_WIN8 = 0x00020004,
	VMBUS_WIN8_1 = 0x00030000,
	VMBUS_WIN10 = 0x00040000,
	VMBUS_WIN10_RS3_0 = 0x00040001,
	VMBUS_WIN10_RS3_1 = 0x00050000,
	VMBUS_WIN10_RS4 = 0x00050001,
	VMBUS_WIN10_RS5 = 0x00050002,
	VMBUS_IRON = 0x00050003,
	VMBUS_COPPER = 0x00060000,
};

/* Feature flags, version 6.0 and later. */
#define VMBUS_FEAT_GUEST_SIGNAL_PARAMS BIT(0)
#define VMBUS_FEAT_INTERRUPT_REDIRECTION BIT(1)
#define VMBUS_FEAT_MODIFY_CONNECTION BIT(2)
#define VMBUS_FEAT_CLIENT_ID BIT(3)
#define VMBUS_FEAT_CONFIDENTIAL BIT(4)
#define VMBUS_FEAT_PAUSE_RESUME BIT(5)
#define VMBUS_FEAT_SERVER_MONITOR_PAGES BIT(6)
#define VMBUS_FEAT_GPA_PINNING BIT(7)

enum vmbus_msg_type {
	VMBUS_OFFER_CHANNEL = 1,
	VMBUS_RESCIND_OFFER = 2,
	VMBUS_REQUEST_OFFERS = 3,
	VMBUS_ALL_OFFERS_DELIVERED = 4,
	VMBUS_OPEN_CHANNEL = 5,
	VMBUS_OPEN_CHANNEL_RESULT = 6,
	VMBUS_CLOSE_CHANNEL = 7,
	VMBUS_GPADL_HEADER = 8,
	VMBUS_GPADL_BODY = 9,
	VMBUS_GPADL_CREATED = 10,
	VMBUS_GPADL_TEARDOWN = 11,
	VMBUS_GPADL_TORNDOWN = 12,
	VMBUS_RELID_RELEASED = 13,
	VMBUS_INITIATE_CONTACT = 14,
	VMBUS_VERSION_RESPONSE = 15,
	VMBUS_UNLOAD = 16,
	VMBUS_UNLOAD_COMPLETE = 17,
	VMBUS_OPEN_RESERVED = 18,
	VMBUS_CLOSE_RESERVED = 19,
	VMBUS_CLOSE_RESERVED_RESPONSE = 20,
	VMBUS_TL_CONNECT_REQUEST = 21,
	VMBUS_MODIFY_CHANNEL = 22,
	VMBUS_TL_CONNECT_RESULT = 23,
	VMBUS_MODIFY_CHANNEL_RESPONSE = 24,
	VMBUS_MODIFY_CONNECTION = 25,
	VMBUS_MODIFY_CONNECTION_RESPONSE = 26,
	VMBUS_PAUSE = 27,
	VMBUS_PAUSE_RESPONSE = 28,
	VMBUS_RESUME = 29,
};

enum vmbus_status {
	VMBUS_STATUS_OK = 0,
	VMBUS_STATUS_UNSUCCESSFUL = 0x8000ffff,
	VMBUS_STATUS_CONNECTION_REFUSED = 0xc0000236,
};

enum vmbus_conn_state { VMBUS_CONN_OK = 0, VMBUS_CONN_LOW_RESOURCES = 1, VMBUS_CONN_UNKNOWN = 2 };

struct vmbus_msg_header {
	uint32_t type; /* enum vmbus_msg_type */
	uint32_t pad;
};
WIRE_SIZE(struct vmbus_msg_header, 8);

#define VMBUS_OFFER_ENUMERATE BIT(0)
#define VMBUS_OFFER_CONFIDENTIAL_RING BIT(1)
#define VMBUS_OFFER_CONFIDENTIAL_EXTERNAL BIT(2)
#define VMBUS_OFFER_PINNED_EXTERNAL BIT(3)
#define VMBUS_OFFER_NAMED_PIPE BIT(4)
#define VMBUS_OFFER_TLNPI BIT(13)

#define VMBUS_PIPE_BYTE 0u
#define VMBUS_PIPE_MESSAGE 4u

struct vmbus_offer {
	struct vmbus_msg_header h;
	struct guid interface_id;
	struct guid instance_id;
	uint8_t rsvd[16];
	uint16_t flags; /* VMBUS_OFFER_* */
	uint16_t mmio_mb;
	uint8_t user[VMBUS_USER_DATA];
	uint16_t subchannel;
	uint16_t mmio_optional_mb;
	uint32_t chan_id;
	uint8_t monitor_id;
	uint8_t monitor_allocated;
	uint16_t dedicated_interrupt;
	uint32_t connection_id;
};
WIRE_SIZE(struct vmbus_offer, 196);
WIRE_OFFSET(struct vmbus_offer, user, 60);
WIRE_OFFSET(struct vmbus_offer, chan_id, 184);

/* RESCIND_OFFER, CLOSE_CHANNEL, RELID_RELEASED, CLOSE_RESERVED_RESPONSE */
struct vmbus_chan_msg {
	struct vmbus_msg_header h;
	uint32_t chan_id;
};
WIRE_SIZE(struct vmbus_chan_msg, 12);

#define VMBUS_OPEN_REDIRECT_INTERRUPT BIT(0)

struct vmbus_open {
	struct vmbus_msg_header h;
	uint32_t chan_id;
	uint32_t open_id;
	uint32_t ring_gpadl;
	uint32_t target_vp;
	uint32_t downstream_page; /* first page of the host-to-guest ring */
	uint8_t user[VMBUS_USER_DATA];
	/* Only with VMBUS_FEAT_GUEST_SIGNAL_PARAMS or VMBUS_FEAT_INTERRUPT_REDIRECTION: */
	uint32_t connection_id;
	uint16_t event_flag;
	uint16_t flags; /* VMBUS_OPEN_* */
};
WIRE_SIZE(struct vmbus_open, 156);
WIRE_OFFSET(struct vmbus_open, connection_id, 148);
#define VMBUS_OPEN_V1_SIZE 148u

struct vmbus_open_result {
	struct vmbus_msg_header h;
	uint32_t chan_id;
	uint32_t open_id;
	uint32_t status;
};
WIRE_SIZE(struct vmbus_open_result, 20);

#define VMBUS_GPADL_HEADER_SIZE 20u
#define VMBUS_GPADL_BODY_SIZE 16u
#define VMBUS_GPADL_HEADER_WORDS 27u
#define VMBUS_GPADL_BODY_WORDS 28u

struct vmbus_gpadl_header {
	struct vmbus_msg_header h;
	uint32_t chan_id;
	uint32_t gpadl;
	uint16_t range_bytes; /* of all ranges together */
	uint16_t range_count;
	uint8_t data[220]; /* u64 words */
};
WIRE_SIZE(struct vmbus_gpadl_header, VMBUS_MAX_MESSAGE);
WIRE_OFFSET(struct vmbus_gpadl_header, data, VMBUS_GPADL_HEADER_SIZE);

struct vmbus_gpadl_body {
	struct vmbus_msg_header h;
	uint32_t rsvd;
	uint32_t gpadl;
	uint8_t data[224]; /* u64 words */
};
WIRE_SIZE(struct vmbus_gpadl_body, VMBUS_MAX_MESSAGE);
WIRE_OFFSET(struct vmbus_gpadl_body, data, VMBUS_GPADL_BODY_SIZE);

struct vmbus_gpadl_created {
	struct vmbus_msg_header h;
	uint32_t chan_id;
	uint32_t gpadl;
	uint32_t status;
};
WIRE_SIZE(struct vmbus_gpadl_created, 20);

struct vmbus_gpadl_teardown {
	struct vmbus_msg_header h;
	uint32_t chan_id;
	uint32_t gpadl;
};
WIRE_SIZE(struct vmbus_gpadl_teardown, 16);

struct vmbus_gpadl_torndown {
	struct vmbus_msg_header h;
	uint32_t gpadl;
};
WIRE_SIZE(struct vmbus_gpadl_torndown, 12);

struct vmbus_contact {
	struct vmbus_msg_header h;
	uint32_t version;
	uint32_t target_vp;
	/* One u64: the interrupt page before version 2.4, target and features from 5.0 on. */
	uint8_t sint;
	uint8_t vtl;
	uint16_t rsvd;
	uint32_t features;
	uint64_t monitor_p2c;
	uint64_t monitor_c2p;
	struct guid client_id; /* only with VMBUS_FEAT_CLIENT_ID */
};
WIRE_SIZE(struct vmbus_contact, 56);
WIRE_OFFSET(struct vmbus_contact, client_id, 40);
#define VMBUS_CONTACT_V1_SIZE 40u

struct vmbus_version_rsp {
	struct vmbus_msg_header h;
	uint8_t supported;
	uint8_t conn_state; /* enum vmbus_conn_state */
	uint16_t pad;
	uint32_t selected; /* version, or from 5.0 on the message connection id to use */
	uint32_t features; /* from 6.0 on */
};
WIRE_SIZE(struct vmbus_version_rsp, 20);
#define VMBUS_VERSION_RSP_V1_SIZE 16u

struct vmbus_tl_connect {
	struct vmbus_msg_header h;
	struct guid endpoint;
	struct guid service;
	struct guid silo; /* from 5.2 on, optional */
};
WIRE_SIZE(struct vmbus_tl_connect, 56);
#define VMBUS_TL_CONNECT_V1_SIZE 40u

struct vmbus_tl_result {
	struct vmbus_msg_header h;
	struct guid endpoint;
	struct guid service;
	uint32_t status;
};
WIRE_SIZE(struct vmbus_tl_result, 44);

struct vmbus_modify {
	struct vmbus_msg_header h;
	uint32_t chan_id;
	uint32_t target_vp;
};
WIRE_SIZE(struct vmbus_modify, 16);

struct vmbus_modify_rsp {
	struct vmbus_msg_header h;
	uint32_t chan_id;
	uint32_t status;
};
WIRE_SIZE(struct vmbus_modify_rsp, 16);

struct vmbus_modify_conn {
	struct vmbus_msg_header h;
	uint64_t monitor_p2c;
	uint64_t monitor_c2p;
};
WIRE_SIZE(struct vmbus_modify_conn, 24);

/* 9 bytes on the wire: header and one byte. */
#define VMBUS_MODIFY_CONN_RSP_SIZE 9u

struct vmbus_open_reserved {
	struct vmbus_msg_header h;
	uint32_t chan_id;
	uint32_t target_vp;
	uint32_t target_sint;
	uint32_t ring_gpadl;
	uint32_t downstream_page;
};
WIRE_SIZE(struct vmbus_open_reserved, 28);

struct vmbus_close_reserved {
	struct vmbus_msg_header h;
	uint32_t chan_id;
	uint32_t target_vp;
	uint32_t target_sint;
};
WIRE_SIZE(struct vmbus_close_reserved, 20);

/* ---- rings ----------------------------------------------------------------------------------- */

#define VMRING_IN 0x00 /* u32, producer */
#define VMRING_OUT 0x04 /* u32, consumer */
#define VMRING_INTERRUPT_MASK 0x08 /* u32, consumer; 1 = no signals for data */
#define VMRING_PENDING_SEND 0x0c /* u32, producer: bytes wanted */
#define VMRING_FEATURES 0x40 /* u32, producer */
#define VMRING_FEAT_PENDING_SEND 1u

enum vmpkt_type {
	VMPKT_INBAND = 6,
	VMPKT_TRANSFER_PAGES = 7,
	VMPKT_GPA_DIRECT = 9,
	VMPKT_CANCEL = 0xa,
	VMPKT_COMPLETION = 0xb,
};

#define VMPKT_FLAG_COMPLETION 1u

struct vmpkt_header {
	uint16_t type; /* enum vmpkt_type */
	uint16_t data_off8;
	uint16_t len8; /* header and padded payload, without the trailer */
	uint16_t flags;
	uint64_t txid;
};
WIRE_SIZE(struct vmpkt_header, 16);
#define VMPKT_TRAILER 8u

enum vmpipe_type { VMPIPE_DATA = 1, VMPIPE_PARTIAL = 2 };

struct vmpipe_header {
	uint32_t type; /* enum vmpipe_type */
	uint32_t len;
};
WIRE_SIZE(struct vmpipe_header, 8);

/* ---- hvsock ---------------------------------------------------------------------------------- */

/* Service GUID of a vsock port: the port in d1, the rest fixed. */
#define HVSOCK_GUID(port) \
	GUID_INIT((port), 0xfacb, 0x11e6, 0xbd, 0x58, 0x64, 0x00, 0x6a, 0x79, 0x86, 0xd3)
