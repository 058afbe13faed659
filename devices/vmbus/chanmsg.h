/* SPDX-License-Identifier: MIT */
/*
 * VMBus control messages: size and version rules of every message, in both directions. The parser
 * takes a private copy and never looks beyond it; members that a shorter form of a message lacks
 * are zero. Trust: hostile in both directions. Spec: spec/vmbus.md 2.2.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "macros.h"
#include "vmbus_proto.h"

/* One parsed message: the member that h.type names is valid, everything not on the wire is 0. */
struct chanmsg {
	size_t len; /* bytes that were on the wire, 8..VMBUS_MAX_MESSAGE */
	union {
		struct vmbus_msg_header h;
		struct vmbus_offer offer;
		struct vmbus_chan_msg chan;
		struct vmbus_open open;
		struct vmbus_open_result open_result;
		struct vmbus_gpadl_header gpadl_header;
		struct vmbus_gpadl_body gpadl_body;
		struct vmbus_gpadl_created gpadl_created;
		struct vmbus_gpadl_teardown gpadl_teardown;
		struct vmbus_gpadl_torndown gpadl_torndown;
		struct vmbus_contact contact;
		struct vmbus_version_rsp version_rsp;
		struct vmbus_tl_connect tl_connect;
		struct vmbus_tl_result tl_result;
		struct vmbus_modify modify;
		struct vmbus_modify_rsp modify_rsp;
		struct vmbus_modify_conn modify_conn;
		struct vmbus_open_reserved open_reserved;
		struct vmbus_close_reserved close_reserved;
		uint8_t raw[VMBUS_MAX_MESSAGE];
	};
};

/* Which way a message may travel. */
enum chanmsg_dir { CHANMSG_TO_SERVER, CHANMSG_TO_CLIENT };

/**
 * chanmsg_parse - check type, direction, version and size, and copy
 * @version: agreed version, 0 when not connected (only the messages that are legal then pass)
 * @features: agreed features; decide between the short and the long form of OPEN_CHANNEL
 * Returns: 0; -EBADMSG (too short, too long, wrong direction); -ENOSYS (unknown type);
 * -EPROTO (not in this version, or not while disconnected)
 */
must_check int chanmsg_parse(enum chanmsg_dir dir, const void *raw, size_t len, uint32_t version,
			     uint32_t features, struct chanmsg *ret_msg);

/* Name of a type for log lines, "?" when unknown. */
const char *chanmsg_name(uint32_t type);
