/* SPDX-License-Identifier: MIT */
/*
 * How files about crashes travel from the session to the front end: records on one byte stream, an
 * 8-byte header { u8 type, u8 0, u16 0, u32 length } and a payload. One file at a time.
 */
#pragma once

#include <stdint.h>

enum core_record {
	CORE_BEGIN = 1, /* what it is: "core" or "panic" */
	CORE_DATA,
	CORE_END, /* "1": complete, "0": it ended early */
};

#define CORE_RECORD_HEAD 8u
#define CORE_RECORD_MAX 16384u

/* What a host takes of one dump, and of all files of a run. VTL2 itself is smaller. */
#define CORE_BYTES_MAX (1ull << 30)
#define CORE_FILES_MAX 16u
