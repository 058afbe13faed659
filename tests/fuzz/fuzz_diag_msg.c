/* SPDX-License-Identifier: MIT */
/*
 * Every request message of the diagnostics services: the first byte of the input chooses which.
 * What is accepted must survive being packed and decoded again.
 */
#include "fuzz.h"

#include "bug.h"
#include "diag_msg.h"
#include "macros.h"

#include <stdlib.h>
#include <string.h>

#include <diag.pb-c.h>
#include <inspect.pb-c.h>
#include <ttrpc.pb-c.h>

#define ELEMENTS 200

static const ProtobufCMessageDescriptor *const messages[] = {
	&ttrpc__request__descriptor,
	&diag__empty__descriptor,
	&diag__exec_request__descriptor,
	&diag__wait_request__descriptor,
	&diag__start_request__descriptor,
	&diag__crash_request__descriptor,
	&diag__kmsg_request__descriptor,
	&diag__file_request__descriptor,
	&diag__network_packet_capture_request__descriptor,
	&diag__memory_profile_trace_request__descriptor,
	&diag__profile_request__descriptor,
	&inspect__inspect_request__descriptor,
	&inspect__update_request__descriptor,
};

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	const ProtobufCMessageDescriptor *desc;
	ProtobufCMessage *msg, *again;
	const char *why = NULL;
	uint8_t *buf;
	size_t len;

	if (!size)
		return 0;
	desc = messages[data[0] % ARRAY_SIZE(messages)];
	if (diag_msg_decode(desc, data + 1, size - 1, ELEMENTS, &why, &msg) < 0) {
		BUG_ON(!why || !*why);
		return 0;
	}
	len = protobuf_c_message_get_packed_size(msg);
	buf = malloc(len + 1);
	BUG_ON(!buf);
	BUG_ON(protobuf_c_message_pack(msg, buf) != len);
	/* Packing never makes more elements of a message than it had. */
	BUG_ON(diag_msg_decode(desc, buf, len, ELEMENTS, &why, &again) < 0);
	BUG_ON(protobuf_c_message_get_packed_size(again) != len);
	protobuf_c_message_free_unpacked(again, NULL);
	protobuf_c_message_free_unpacked(msg, NULL);
	free(buf);
	return 0;
}
