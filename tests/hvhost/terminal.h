/* SPDX-License-Identifier: MIT */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* Put the terminal on stdin (if it is one) into raw mode; restored at exit and on fatal signals. */
void terminal_raw(void);
void terminal_restore(void);

/**
 * terminal_filter - act on Ctrl-A escapes in typed bytes, in place
 * @state: zero at first, kept by the caller
 * Returns: bytes left for the guest; *ret_quit is set when the user typed Ctrl-A x
 */
size_t terminal_filter(uint8_t *buf, size_t len, bool *state, bool *ret_quit);
