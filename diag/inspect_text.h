/* SPDX-License-Identifier: MIT */
/*
 * Inspect results for people and scripts, in the conventions of the original client, and the
 * difference of two results.
 *
 * Two places differ on purpose: control characters in JSON are escaped as JSON wants it, and in
 * names of entries they are escaped, too: a guest can choose names, but nobody's terminal obeys.
 *
 * Spec: OpenHCL diagnostics, client rendering.
 */
#pragma once

#include "inspect.h"
#include "macros.h"

/**
 * inspect_text - a result as indented text, without a newline at the end
 * @ret_text: from malloc()
 * Returns: 0; -ENOMEM
 */
must_check int inspect_text(const struct inspect_tree *tree, char **ret_text);

/* The same as one line of JSON. */
must_check int inspect_json(const struct inspect_tree *tree, char **ret_text);

/* What an update prints: the root, text without quotes. */
must_check int inspect_text_raw(const struct inspect_tree *tree, char **ret_text);

/* An error in the client's words with its reason; cut at @size. */
void inspect_text_error(const struct inspect_node *node, char *ret_buf, size_t size);

/**
 * inspect_since - counters become rates
 * @now: sorted; unsigned and signed values with the count flag become (now - last) / seconds
 * @last: an earlier result of the same request, sorted
 */
void inspect_since(struct inspect_tree *now, const struct inspect_tree *last, double seconds);
