/* SPDX-License-Identifier: MIT */
/* Lines of PID 1 in the kernel's log. */
#pragma once

#include "macros.h"

/**
 * initlog_open - find the kernel's log; until then, and if it is missing, lines go to stderr
 * Context: PID 1, single thread, like all of this folder.
 */
void initlog_open(void);

/* One line "underhill_init: text", at the kernel's levels err (3), warning (4) or notice (5): the
 * host's log takes all of them, where the kernel's log goes there at all. */
void initlog_err(const char *fmt, ...) printf_like(1, 2);
void initlog_warn(const char *fmt, ...) printf_like(1, 2);
void initlog_info(const char *fmt, ...) printf_like(1, 2);
