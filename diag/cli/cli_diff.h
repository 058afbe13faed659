/* SPDX-License-Identifier: MIT */
/* Two readings of one node: rates of counters. */
#pragma once

#include "inspect.h"
#include "macros.h"

/**
 * cli_diff_since - what happened between two readings
 * @seconds: between them
 * @ret_tree: @now with every counter replaced by its rate per second
 * Returns: 0; -ENOMEM; -EBADMSG: too large
 */
must_check int cli_diff_since(const struct inspect_tree *now, const struct inspect_tree *last,
			      double seconds, struct inspect_tree *ret_tree);

/* Is it the same value (kind and content; directories: never looked into)? */
bool cli_diff_same(const struct inspect_node *a, const struct inspect_node *b);

/* A value as a number; false: it is none. */
bool cli_diff_number(const struct inspect_node *node, double *ret_val);

/* The child of that name, or NULL. */
const struct inspect_node *cli_diff_child(const struct inspect_node *dir, const char *name);

/* The node at a path below @root, or NULL. */
const struct inspect_node *cli_diff_find(const struct inspect_node *root, const char *path);
