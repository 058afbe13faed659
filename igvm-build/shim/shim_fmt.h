/* SPDX-License-Identifier: MIT */
/* Text for log and crash message. Freestanding. */
#pragma once

#include <stdarg.h>
#include <stddef.h>

#include "macros.h"

/**
 * shim_vformat - a small printf: %s %u %x %llu %llx %%
 * @max: size of @ret, at least 1; longer text is cut
 * Returns: characters written, NUL not counted
 */
size_t shim_vformat(char *ret, size_t max, const char *fmt, va_list ap)
	__attribute__((format(printf, 3, 0)));
