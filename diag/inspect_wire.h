/* SPDX-License-Identifier: MIT */
/* Field numbers of the inspect messages (diag/proto/inspect.proto) and wire types of protobuf. */
#pragma once

#include "inspect.h"

enum { WIRE_VARINT = 0, WIRE_64 = 1, WIRE_LEN = 2, WIRE_32 = 5 };

enum {
	WIRE_NODE_UNEVALUATED = 1,
	WIRE_NODE_FAILED = 2,
	WIRE_NODE_VALUE = 3,
	WIRE_NODE_DIR = 4,
};

enum {
	WIRE_KIND_SIGNED = 1,
	WIRE_KIND_UNSIGNED = 2,
	WIRE_KIND_FLOAT = 3,
	WIRE_KIND_DOUBLE = 4,
	WIRE_KIND_BOOL = 5,
	WIRE_KIND_STRING = 6,
	WIRE_KIND_BYTES = 7,
};

/* Field number in the message Error. */
static inline unsigned wire_error_field(enum inspect_error err)
{
	switch (err) {
	case INSPECT_UNRESOLVED:
		return 1;
	case INSPECT_CHANNEL:
		return 2;
	case INSPECT_IMMUTABLE:
		return 3;
	case INSPECT_UPDATE:
		return 4;
	case INSPECT_NOT_DIR:
		return 5;
	case INSPECT_NOT_FOUND:
		return 6;
	case INSPECT_INTERNAL:
		return 7;
	}
	return 7;
}

/* Has the field a StringBox? The others are empty. */
static inline bool wire_error_has_text(enum inspect_error err)
{
	return err == INSPECT_CHANNEL || err == INSPECT_UPDATE;
}
