/* SPDX-License-Identifier: MIT */
/*
 * The user's terminal: raw mode that is always taken back (also when a signal ends us), its size,
 * keys, and a screen that is drawn as a whole. Plain ANSI sequences.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "cli_str.h"
#include "macros.h"

/**
 * cli_term_raw - keys come one by one and unseen
 * @screen: switch to the alternate screen and hide the cursor, too
 * Returns: 0; -ENOTTY; -errno
 */
must_check int cli_term_raw(bool screen);
void cli_term_restore(void);

/* Rows and columns; 24 and 80 when nobody knows. Returns: does anybody? */
bool cli_term_size(unsigned int *ret_rows, unsigned int *ret_cols);

/* Did the size change since the last question? */
bool cli_term_resized(void);

/* Was the user's Ctrl-C or a request to end received (in raw mode: only the latter)? */
bool cli_stopped(void);
/* From now on SIGINT and SIGTERM do not end the process but are told by cli_stopped(). */
void cli_catch_stop(void);

enum cli_key {
	CLI_KEY_NONE = 0, /* time is over, or a signal */
	/* characters are themselves, up to 0x10ffff */
	CLI_KEY_ENTER = 0x200000,
	CLI_KEY_ESC,
	CLI_KEY_BACKSPACE,
	CLI_KEY_DELETE,
	CLI_KEY_TAB,
	CLI_KEY_UP,
	CLI_KEY_DOWN,
	CLI_KEY_LEFT,
	CLI_KEY_RIGHT,
	CLI_KEY_HOME,
	CLI_KEY_END,
	CLI_KEY_PGUP,
	CLI_KEY_PGDN,
	CLI_KEY_CTRL_C,
	CLI_KEY_EOF, /* the terminal is gone */
	CLI_KEY_OTHER,
};

/* The next key, waited for @timeout_ms at most (-1 = for ever). */
uint32_t cli_key(int timeout_ms);

/* Keys from text instead of a terminal: for tests. Returns bytes taken, 0 = not complete. */
size_t cli_key_decode(const unsigned char *buf, size_t len, uint32_t *ret_key);

/* One line of a screen: cleaned text, cut or filled to @cols columns. */
void cli_str_cell(struct cli_str *str, const char *text, size_t len, unsigned int cols, bool fill);

/* Is colour wanted on this descriptor (a terminal, NO_COLOR not set, TERM not dumb)? */
bool cli_colour(int fd);
