/* SPDX-License-Identifier: MIT */
/*
 * Requests as protobuf messages. Before protobuf-c sees a message it is walked once against its
 * description: types, lengths, UTF-8, and how many elements it has, because every one of them costs
 * memory. Trust: bytes of a client.
 */
#pragma once

#include <stddef.h>
#include <stdint.h>

#include <protobuf-c/protobuf-c.h>

#include "macros.h"

/**
 * diag_msg_check - may protobuf-c decode this?
 * @max: elements (fields and members of packed lists) allowed in all
 * @ret_why: set when it may not, a constant
 * Returns: 0; -EBADMSG: it is not such a message; -E2BIG: too many elements
 */
must_check int diag_msg_check(const ProtobufCMessageDescriptor *desc, const uint8_t *raw,
			      size_t len, size_t max, const char **ret_why);

/**
 * diag_msg_decode - check and decode
 * @ret_msg: to be released by protobuf_c_message_free_unpacked()
 * Returns: 0; -EBADMSG; -E2BIG. @ret_why is set when it fails.
 */
must_check int diag_msg_decode(const ProtobufCMessageDescriptor *desc, const uint8_t *raw,
			       size_t len, size_t max, const char **ret_why,
			       ProtobufCMessage **ret_msg);

/* Replaces what is not UTF-8 by '?'; @text ends with NUL. */
void diag_utf8_repair(char *text);
