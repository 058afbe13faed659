/* SPDX-License-Identifier: MIT */
/* Options that the shim itself reads. Freestanding. Spec: igvm-boot, "Options the shim reads". */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum shim_pool_mode {
	SHIM_POOL_RELEASE, /* table for release images */
	SHIM_POOL_DEBUG, /* table for debug images */
	SHIM_POOL_PAGES, /* as many pages as given */
	SHIM_POOL_OFF,
};

struct shim_pool_opt {
	enum shim_pool_mode mode;
	uint64_t pages; /* SHIM_POOL_PAGES */
};

struct shim_opts {
	bool confidential_debug;
	struct shim_pool_opt pool;
	bool pool_override; /* pool came from the option that wins wherever it stands */
	bool pool_split;
	bool no_nvme_keep_alive;
};

/* Values without any option. */
void shim_opts_init(struct shim_opts *o);

/**
 * shim_opts_parse - read the words of a text; call again for further text
 * @text: @len bytes, words separated by blanks; no NUL needed
 * Words that are not options of the shim are ignored; of two settings the later wins.
 * Trust: the static text is measured, host text is parsed only when the host is trusted.
 */
void shim_opts_parse(struct shim_opts *o, const char *text, size_t len);
