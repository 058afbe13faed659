/* SPDX-License-Identifier: MIT */
/* From a manifest and its resources to an IGVM file. */
#pragma once

#include <stddef.h>

#include "macros.h"
#include "manifest.h"

struct built {
	void *file;
	size_t len;
	char *map; /* text: what lies where */
};

/**
 * build_image - lay out and write one image; the result depends on the inputs only
 * @res: resources named by path; their files are read here
 * @ret: filled on success; built_fini() releases it
 * Returns: 0, or -1 after a message
 * Spec: igvm-boot, "How OpenHCL builds its IGVM".
 */
must_check int build_image(const struct manifest *m, struct resources *res, struct built *ret);
void built_fini(struct built *b);
