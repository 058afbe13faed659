/* SPDX-License-Identifier: MIT */
/*
 * Text that grows, and the three ways in which text of a VM leaves the client: as plain text for a
 * terminal, as JSON, as HTML. Bytes of a VM are never trusted: what is not valid UTF-8 becomes
 * U+FFFD, and characters that could steer a terminal become visible escapes.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>

#include "macros.h"

struct cli_str {
	char *s; /* NUL-terminated when not NULL */
	size_t len, cap;
	bool failed; /* memory ran out: the text is incomplete */
};

#define CLI_STR_MAX ((size_t)256 << 20) /* more is a failure, too */

void cli_str_fini(struct cli_str *str);
void cli_str_reset(struct cli_str *str); /* empty, memory kept */
/* The text, "" when there is none. */
const char *cli_str_text(const struct cli_str *str);

void cli_str_add(struct cli_str *str, const void *data, size_t len);
void cli_str_puts(struct cli_str *str, const char *text);
void cli_str_putc(struct cli_str *str, char c);
void cli_str_printf(struct cli_str *str, const char *fmt, ...) printf_like(2, 3);

/**
 * cli_utf8_next - one character of text that may be anything
 * @ret_cp: the code point; 0xfffd for a byte that is not UTF-8
 * Returns: bytes taken, at least 1; @len must not be 0
 */
size_t cli_utf8_next(const char *data, size_t len, uint32_t *ret_cp);

/* Would this character steer a terminal (control characters, direction overrides)? Tab and newline
 * count. */
bool cli_is_control(uint32_t cp);

/* Columns of a character on a terminal: 0 (combining), 1 or 2. */
unsigned int cli_columns(uint32_t cp);

#define CLI_KEEP_NL 1u /* leave newlines and tabs as they are */
#define CLI_KEEP_SGR 2u /* leave colour sequences (ESC [ ... m) as they are */

/* Plain text for a terminal: a control character appears as \x1b or \u{202e}. */
void cli_str_plain(struct cli_str *str, const char *data, size_t len, unsigned int flags);
/* A JSON string with its quotes. */
void cli_str_json(struct cli_str *str, const char *data, size_t len);
/* Text of an HTML element or a quoted attribute. */
void cli_str_html(struct cli_str *str, const char *data, size_t len);

/* Write the text. Returns: 0; -errno; -ENOMEM when the text is incomplete. */
must_check int cli_str_write(const struct cli_str *str, FILE *to);
