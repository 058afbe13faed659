/* SPDX-License-Identifier: MIT */
/* What a browser of a tree shows: which directories are open, which row is chosen, where a search
 * goes. No terminal and no connection here. */
#pragma once

#include <stdbool.h>
#include <stddef.h>

#include "inspect.h"
#include "macros.h"

struct browse_row {
	char *path;
	const struct inspect_node *node;
	unsigned int nest;
	bool open;
};

struct browse {
	const struct inspect_node *root; /* of the current reading */
	char **opened; /* paths, sorted */
	size_t n_opened, cap_opened;
	struct browse_row *rows; /* what is to be seen, in order */
	size_t n_rows, cap_rows;
	size_t cursor;
};

void browse_fini(struct browse *b);

/* Show another reading; open directories and the chosen row stay. Returns: 0; -ENOMEM. */
must_check int browse_set(struct browse *b, const struct inspect_node *root);

/* Open or close the directory of a path. Returns: 0; -ENOMEM. */
must_check int browse_open(struct browse *b, const char *path, bool open);
bool browse_is_open(const struct browse *b, const char *path);

/* Open everything above a path and choose it. Returns: 0; -ENOENT; -ENOMEM. */
must_check int browse_go(struct browse *b, const char *path);

/* The chosen row; NULL when there is none. */
const struct browse_row *browse_row(const struct browse *b);
/* Move by that many rows, as far as there are any. */
void browse_move(struct browse *b, long by);
/* Choose the row of the directory around the chosen one. */
void browse_up(struct browse *b);

/**
 * browse_search - go to the next node whose name or text contains @text, in the whole tree
 * Returns: 0; -ENOENT; -ENOMEM
 */
must_check int browse_search(struct browse *b, const char *text);
