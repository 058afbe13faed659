/* SPDX-License-Identifier: MIT */
/*
 * Checked arithmetic under the C23 names, and range checks. Freestanding. Any sum or product of a
 * value from outside goes through here.
 */
#pragma once

#include <stdbool.h>
#include <stdint.h>

/* true = overflow: *r then holds the wrapped value and must not be used. */
#define ckd_add(r, a, b) __builtin_add_overflow((a), (b), (r))
#define ckd_sub(r, a, b) __builtin_sub_overflow((a), (b), (r))
#define ckd_mul(r, a, b) __builtin_mul_overflow((a), (b), (r))

/* Is [off, off + len) inside [0, size)? Cannot overflow; an empty range at size is inside. */
static inline bool range_ok(uint64_t off, uint64_t len, uint64_t size)
{
	return off <= size && len <= size - off;
}

/* Do two non-empty half-open ranges share a byte? Ranges must not wrap. */
static inline bool range_overlap(uint64_t a, uint64_t a_len, uint64_t b, uint64_t b_len)
{
	return a_len && b_len && a < b + b_len && b < a + a_len;
}

static inline bool is_aligned(uint64_t val, uint64_t align)
{
	return (val & (align - 1)) == 0;
}

static inline uint64_t align_down(uint64_t val, uint64_t align)
{
	return val & ~(align - 1);
}

/* Caller guarantees val + align does not wrap. align is a power of two. */
static inline uint64_t align_up(uint64_t val, uint64_t align)
{
	return (val + align - 1) & ~(align - 1);
}
