/* SPDX-License-Identifier: MIT */
/* Trees of the server on their way to the user: decoded with limits, as text and as JSON in which
 * nothing steers a terminal. */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "cli_str.h"
#include "inspect.h"
#include "macros.h"

/**
 * cli_render_decode - an encoded response
 * @update: of an update (a value), not of a reading
 * Returns: 0; -ENOMEM; -EBADMSG: malformed, nested too deep, or larger than @max_bytes decoded
 */
must_check int cli_render_decode(const uint8_t *buf, size_t len, bool update, size_t max_bytes,
				 struct inspect_tree *ret_tree);

/* The way the original client prints it. */
void cli_render_text(struct cli_str *out, const struct inspect_node *node);
void cli_render_json(struct cli_str *out, const struct inspect_node *node);

/* One line: a value as in cli_render_text(), a directory as "{...}". */
void cli_render_value(struct cli_str *out, const struct inspect_node *node);
