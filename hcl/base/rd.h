/* SPDX-License-Identifier: MIT */
/*
 * Byte cursors with a sticky error. Pointer and remaining length move together; after the first
 * failure every further read yields zero and rd_end() reports it, so parsers check once.
 * Freestanding. Works on private copies only, never on memory that somebody else can write.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "le.h"
#include "macros.h"

struct rd {
	const uint8_t *p;
	size_t left;
	bool bad;
};

struct wr {
	uint8_t *p;
	size_t left;
	size_t done;
	bool bad;
};

static inline struct rd rd_make(const void *buf, size_t len)
{
	return (struct rd){ .p = buf, .left = len };
}

/* Next len bytes in place, or NULL (and the cursor is bad). */
static inline const void *rd_bytes(struct rd *r, size_t len)
{
	const uint8_t *p = r->p;

	if (r->bad || len > r->left) {
		r->bad = true;
		return NULL;
	}
	r->p += len;
	r->left -= len;
	return p;
}

static inline void rd_skip(struct rd *r, size_t len)
{
	(void)rd_bytes(r, len);
}

static inline uint8_t rd_u8(struct rd *r)
{
	const uint8_t *p = rd_bytes(r, 1);

	return p ? *p : 0;
}

static inline uint16_t rd_le16(struct rd *r)
{
	const void *p = rd_bytes(r, 2);

	return p ? le16_load(p) : 0;
}

static inline uint32_t rd_le32(struct rd *r)
{
	const void *p = rd_bytes(r, 4);

	return p ? le32_load(p) : 0;
}

static inline uint64_t rd_le64(struct rd *r)
{
	const void *p = rd_bytes(r, 8);

	return p ? le64_load(p) : 0;
}

/* Did everything fit, and was everything consumed? */
static inline must_check bool rd_end(const struct rd *r)
{
	return !r->bad && r->left == 0;
}

static inline struct wr wr_make(void *buf, size_t len)
{
	return (struct wr){ .p = buf, .left = len };
}

/* Room for len bytes, or NULL (and the cursor is bad). */
static inline void *wr_room(struct wr *w, size_t len)
{
	uint8_t *p = w->p;

	if (w->bad || len > w->left) {
		w->bad = true;
		return NULL;
	}
	w->p += len;
	w->left -= len;
	w->done += len;
	return p;
}

static inline void wr_u8(struct wr *w, uint8_t v)
{
	uint8_t *p = wr_room(w, 1);

	if (p)
		*p = v;
}

static inline void wr_le16(struct wr *w, uint16_t v)
{
	void *p = wr_room(w, 2);

	if (p)
		le16_store(p, v);
}

static inline void wr_le32(struct wr *w, uint32_t v)
{
	void *p = wr_room(w, 4);

	if (p)
		le32_store(p, v);
}

static inline void wr_le64(struct wr *w, uint64_t v)
{
	void *p = wr_room(w, 8);

	if (p)
		le64_store(p, v);
}

static inline void wr_bytes(struct wr *w, const void *src, size_t len)
{
	void *p = wr_room(w, len);

	if (p)
		__builtin_memcpy(p, src, len);
}
