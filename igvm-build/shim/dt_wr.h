/* SPDX-License-Identifier: MIT */
/*
 * Writer of flattened device trees into a caller's buffer. Errors are sticky: write everything,
 * check once in dtw_finish(). Freestanding. Spec: Devicetree Specification.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "macros.h"

#define DTW_STRINGS_MAX 1024u /* all property names together */
#define DTW_NAME_MAX 64u

struct dtw {
	uint8_t *buf;
	size_t max; /* of buf, a multiple of 4 */
	size_t off; /* where the next token goes */
	size_t st; /* where the structure block starts */
	unsigned depth;
	bool bad;
	uint32_t boot_cpu;
	char str[DTW_STRINGS_MAX];
	size_t str_len;
};

/**
 * dtw_start - begin a tree
 * @buf: 8-byte aligned, @max bytes
 * @boot_cpu: boot_cpuid_phys of the header
 * Then: dtw_reserve() for each reserved range, dtw_begin(w, "") for the root, properties before
 * child nodes, dtw_finish().
 */
void dtw_start(struct dtw *w, void *buf, size_t max, uint32_t boot_cpu);
void dtw_reserve(struct dtw *w, uint64_t base, uint64_t len);

void dtw_begin(struct dtw *w, const char *name);
void dtw_begin_at(struct dtw *w, const char *name, uint64_t unit); /* name@unit in hexadecimal */
void dtw_end(struct dtw *w);

void dtw_bytes(struct dtw *w, const char *name, const void *data, size_t len);
void dtw_u32(struct dtw *w, const char *name, uint32_t v);
void dtw_u64(struct dtw *w, const char *name, uint64_t v);
void dtw_u64s(struct dtw *w, const char *name, const uint64_t *v, size_t n);
void dtw_str(struct dtw *w, const char *name, const char *v);
void dtw_empty(struct dtw *w, const char *name);

/**
 * dtw_finish - close the tree
 * @ret_len: bytes of the blob
 * Returns: 0; -ENOSPC (the buffer or the table of names is too small); -EINVAL (unbalanced nodes)
 */
must_check int dtw_finish(struct dtw *w, size_t *ret_len);
