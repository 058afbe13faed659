/* SPDX-License-Identifier: MIT */
/* Is it UTF-8, and what to do when it is not. Works on private copies. */
#pragma once

#include <stdbool.h>
#include <stddef.h>

/* Bytes of the well-formed sequence at @p (1..4), 0 = there is none. @len: bytes there, not 0. */
size_t utf8_seq(const char *p, size_t len);

bool utf8_ok(const char *p, size_t len);

/**
 * utf8_clean - copy, with U+FFFD for every byte that belongs to no sequence
 * @ret_buf: @size bytes; ends in NUL, never in the middle of a sequence. NULL: count only.
 * Returns: length of the whole result in bytes, without the NUL; more was cut off when that is
 *          @size or more
 */
size_t utf8_clean(const char *p, size_t len, char *ret_buf, size_t size);
