/* SPDX-License-Identifier: MIT */
/* Decoding of messages with a limit on memory, whatever the bytes are. */
#pragma once

#include <protobuf-c/protobuf-c.h>
#include <stddef.h>
#include <stdint.h>

#include "macros.h"

/* A message of N bytes may take this much: every element of a list needs a structure. */
#define CLI_PB_MEMORY ((size_t)64 << 20)

struct cli_pb {
	ProtobufCAllocator alloc;
	size_t left;
};

void cli_pb_init(struct cli_pb *pb);

/* NULL: not such a message, or too much memory. Release with cli_pb_free() and the same @pb. */
ProtobufCMessage *cli_pb_unpack(struct cli_pb *pb, const ProtobufCMessageDescriptor *desc,
				const uint8_t *buf, size_t len);
void cli_pb_free(struct cli_pb *pb, ProtobufCMessage *msg);

/* Returns: 0; -ENOMEM. @ret_buf: to be freed; not NULL even when empty. */
must_check int cli_pb_pack(const ProtobufCMessage *msg, uint8_t **ret_buf, size_t *ret_len);
