/* SPDX-License-Identifier: MIT */
/* GUIDs in their wire (mixed-endian, Microsoft) layout. */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "macros.h"

struct guid {
	uint32_t d1;
	uint16_t d2, d3;
	uint8_t d4[8];
};
WIRE_SIZE(struct guid, 16);

#define GUID_STR_LEN 36

#define GUID_INIT(a, b, c, e0, e1, e2, e3, e4, e5, e6, e7)             \
	{                                                              \
		(a), (b), (c),                                         \
		{                                                      \
			(e0), (e1), (e2), (e3), (e4), (e5), (e6), (e7) \
		}                                                      \
	}

static inline bool guid_eq(const struct guid *a, const struct guid *b)
{
	return __builtin_memcmp(a, b, sizeof(*a)) == 0;
}

/**
 * guid_format - write the 36 lower-case characters and a NUL
 * @ret_str: at least GUID_STR_LEN + 1 bytes
 */
void guid_format(const struct guid *g, char ret_str[GUID_STR_LEN + 1]);

/**
 * guid_parse - read 8-4-4-4-12 hexadecimal digits, in braces or not
 * @text: @len characters, no NUL needed
 * Returns: was it one? @ret_g is untouched when not
 */
must_check bool guid_parse(const char *text, size_t len, struct guid *ret_g);
