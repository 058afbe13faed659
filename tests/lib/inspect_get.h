/* SPDX-License-Identifier: MIT */
/* What one path of an inspect function shows, as the client prints it. For tests: one thread. */
#pragma once

#include "bug.h"
#include "inspect_text.h"

#include <stdio.h>
#include <stdlib.h>

/* The text stays until the next call; cut at 64 KiB. */
static inline const char *inspect_get(inspect_fn fn, const void *obj, const char *path)
{
	const struct inspect_request req = { .path = path, .depth = 16, .max = SENS_SENSITIVE };
	static char text[65536];
	struct inspect_tree tree;
	char *got;

	BUG_ON(inspect_run(&req, fn, obj, 4u << 20, &tree) < 0);
	BUG_ON(inspect_text(&tree, &got) < 0);
	(void)snprintf(text, sizeof(text), "%s", got);
	free(got);
	inspect_tree_fini(&tree);
	return text;
}
