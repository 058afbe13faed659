/* SPDX-License-Identifier: MIT */
/*
 * Reader of flattened device trees. dtr_open() checks the whole structure once; after that every
 * accessor is total: it cannot run out of the blob. Freestanding.
 * Trust: the blob is hostile but does not change while it is read. Spec: Devicetree Specification,
 * "Flattened Devicetree Format".
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "macros.h"

#define DTR_DEPTH_MAX 16u
#define DTR_NONE UINT32_MAX /* no such node */

struct dtr {
	const uint8_t *st; /* structure block */
	uint32_t st_len;
	const char *str; /* strings block */
	uint32_t str_len;
	uint32_t boot_cpu; /* boot_cpuid_phys of the header */
	uint32_t size; /* of the whole blob */
};

/**
 * dtr_open - check a blob
 * @max: bytes that may be read at @blob
 * Returns: 0; -ENOENT (first byte is 0: there is no tree); -EBADMSG (malformed)
 */
must_check int dtr_open(const void *blob, size_t max, struct dtr *ret);

/* Nodes are offsets into the structure block; the root is node 0. */
uint32_t dtr_child(const struct dtr *t, uint32_t node); /* first child or DTR_NONE */
uint32_t dtr_sibling(const struct dtr *t, uint32_t node); /* next sibling or DTR_NONE */
const char *dtr_name(const struct dtr *t, uint32_t node); /* with its unit address */

/* Child whose name, up to '@' or the end, is this; DTR_NONE. */
uint32_t dtr_find(const struct dtr *t, uint32_t node, const char *name);

/* Does the name, up to '@' or the end, equal this? */
bool dtr_is_named(const struct dtr *t, uint32_t node, const char *name);

/* A property's bytes (big-endian cells, any alignment), or NULL. */
const uint8_t *dtr_prop(const struct dtr *t, uint32_t node, const char *name, uint32_t *ret_len);

/* A property of exactly 4 (8) bytes. Returns: false when it is absent or has another length. */
bool dtr_u32(const struct dtr *t, uint32_t node, const char *name, uint32_t *ret);
bool dtr_u64(const struct dtr *t, uint32_t node, const char *name, uint64_t *ret);

/* A property that is one NUL-terminated string, or NULL. */
const char *dtr_str(const struct dtr *t, uint32_t node, const char *name);

/* Is this string one of the node's "compatible" list? */
bool dtr_compatible(const struct dtr *t, uint32_t node, const char *what);
