/* SPDX-License-Identifier: MIT */
/* Collects the memory of an image while it is laid out: ranges with a name, pages with content. */
#pragma once

#include <stddef.h>
#include <stdint.h>

#include "macros.h"

struct image_page {
	uint64_t gpn;
	const uint8_t *data; /* 4096 bytes, or NULL for zeros */
};

struct image_range {
	uint64_t gpn, pages;
	const char *tag; /* static string */
	uint64_t bytes; /* content, without padding */
};

struct image {
	struct image_page *page;
	size_t n_page, cap_page;
	struct image_range *range;
	size_t n_range, cap_range;
	uint8_t **block; /* copies of what was imported */
	size_t n_block, cap_block;
};

void image_fini(struct image *img);

/**
 * image_reserve - name a range that carries no pages in the file (parameters)
 * image_import - put bytes at a guest address; the rest of the range is zeros
 * @gpa: any alignment for import: the first page is filled from its start with zeros
 * @data_len: at most @mem_len; @data may be NULL when it is 0
 * Returns: 0, or -1 after a message
 */
must_check int image_reserve(struct image *img, const char *tag, uint64_t gpa, uint64_t mem_len);
must_check int image_import(struct image *img, const char *tag, uint64_t gpa, const void *data,
			    uint64_t data_len, uint64_t mem_len);

/**
 * image_sort - bring ranges and pages into ascending order
 * Returns: 0, or -1 after a message that names two ranges that overlap
 */
must_check int image_sort(struct image *img);
