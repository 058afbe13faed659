/* SPDX-License-Identifier: MIT */
/* Loadable segments of a static x86-64 ELF file. */
#pragma once

#include <stddef.h>
#include <stdint.h>

#include "macros.h"

#define ELF_SEGS_MAX 16u

struct elf_seg {
	uint64_t paddr;
	uint64_t mem_size; /* at least file_size */
	uint64_t file_size;
	const uint8_t *data; /* file_size bytes inside the file */
};

struct elf_img {
	uint64_t entry;
	uint64_t lo, hi; /* page-aligned span of all segments, physical */
	struct elf_seg seg[ELF_SEGS_MAX];
	size_t n_seg;
};

/**
 * elf_parse - check an ELF file and list what must be loaded
 * @ret: filled on success only; refers to @data
 * @ret_why: on failure, a clause that fits after "... " in a message
 * Returns: 0; -EBADMSG
 * Trust: the file is untrusted; segments are inside it, ascending and not overlapping by page.
 */
must_check int elf_parse(const void *data, size_t len, struct elf_img *ret, const char **ret_why);
