/* SPDX-License-Identifier: MIT */
/* Records of /dev/kmsg as the server streams them: each ends in NUL. Trust: VTL2's kernel and
 * everything that writes to it. */
#pragma once

#include <stdbool.h>
#include <stdint.h>

#include "cli_str.h"

#define CLI_KMSG_MAX 2048u /* bytes of a record with its NUL */

struct cli_kmsg {
	unsigned int level, facility;
	uint64_t seq, usec;
	const char *text; /* in the record, escapes as the kernel made them */
	size_t len; /* of its first line */
};

/* Returns: 0; -EBADMSG: not a record. */
must_check int cli_kmsg_parse(const char *record, size_t len, struct cli_kmsg *ret_msg);

/* "[sec.usec6] message" without newline. @ansi: with colours. Escapes of the kernel are undone;
 * what could steer the terminal, but for colours, is shown instead. */
void cli_kmsg_text(struct cli_str *out, const struct cli_kmsg *msg, bool ansi);
void cli_kmsg_json(struct cli_str *out, const struct cli_kmsg *msg);
