/* SPDX-License-Identifier: MIT */
/* A tree as a list of its values with their paths, in the tree's order. */
#pragma once

#include <stddef.h>
#include <stdint.h>

#include "inspect.h"
#include "macros.h"

struct cli_flat_row {
	char *path; /* '/'-separated; names as the server sent them */
	const struct inspect_node *node; /* no directory, but for empty ones */
	size_t order; /* place in the tree */
};

struct cli_flat {
	struct cli_flat_row *rows; /* sorted by path */
	size_t n;
	size_t bytes; /* of all paths */
};

#define CLI_FLAT_MAX 400000u /* rows; more are left out */
#define CLI_FLAT_BYTES ((size_t)64 << 20) /* of their paths, likewise */

/* Points into the tree. Returns: 0; -ENOMEM. */
must_check int cli_flat_make(const struct inspect_node *root, const char *prefix,
			     struct cli_flat *ret_flat);
void cli_flat_fini(struct cli_flat *flat);

const struct cli_flat_row *cli_flat_find(const struct cli_flat *flat, const char *path);

/**
 * cli_flat_rate - how fast a counter went between two readings
 * Returns: false when it is no counter, or was not there before
 */
bool cli_flat_rate(const struct cli_flat_row *now, const struct cli_flat *last, double seconds,
		   double *ret_rate);
