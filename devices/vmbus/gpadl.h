/* SPDX-License-Identifier: MIT */
/*
 * GPADLs: lists of guest pages that a client describes in a header and body messages. Collected
 * whole, bounded, then checked against guest RAM. Trust: the client is hostile.
 * Spec: spec/vmbus.md 2.5.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "gmem.h"
#include "list.h"
#include "macros.h"

#define GPADL_MAX_PER_SET 4096u
#define GPADL_MAX_WORDS_PER_SET (4u * 1024 * 1024) /* 32 MiB of page numbers */

/* All GPADLs of one connection. */
struct gpadl_set {
	struct gmem *gm;
	struct list all;
	uint32_t count;
	size_t words;
};

enum gpadl_state {
	GPADL_COLLECTING, /* bodies are missing */
	GPADL_PENDING, /* complete; the one it is for has not agreed yet */
	GPADL_READY, /* complete and checked */
	GPADL_TEARDOWN, /* the client wants it back; still in use by an open channel */
};

struct gpadl {
	struct list link;
	uint32_t chan_id;
	uint32_t id;
	enum gpadl_state state;
	uint16_t n_ranges;
	uint32_t n_words;
	uint32_t got;
	uint64_t words[];
};

void gpadl_set_init(struct gpadl_set *set, struct gmem *gm);

/**
 * gpadl_begin - a GPADL_HEADER
 * @data: its words, private copy; @n_words: how many the message carried (more than needed is fine)
 * Returns: 0 with *ret_g (state READY: complete; COLLECTING: bodies follow); -EBADMSG (counts,
 * ranges, not RAM); -EEXIST (id in use); -ENOMEM (limits too). On failure nothing is kept.
 */
must_check int gpadl_begin(struct gpadl_set *set, uint32_t chan_id, uint32_t id,
			   uint32_t range_bytes, uint32_t range_count, const uint8_t *data,
			   uint32_t n_words, struct gpadl **ret_g);

/**
 * gpadl_more - a GPADL_BODY
 * Returns: 0 with *ret_g as above; -ENOENT (nothing incomplete has this id); -EBADMSG: the GPADL is
 * bad; *ret_chan_id tells whose it was; it is gone.
 */
must_check int gpadl_more(struct gpadl_set *set, uint32_t id, const uint8_t *data, uint32_t n_words,
			  uint32_t *ret_chan_id, struct gpadl **ret_g);

/* A complete GPADL, or NULL. */
struct gpadl *gpadl_find(struct gpadl_set *set, uint32_t chan_id, uint32_t id);

/* Forget one, those of one channel, all. */
void gpadl_free(struct gpadl_set *set, struct gpadl *g);
void gpadl_free_chan(struct gpadl_set *set, uint32_t chan_id);
void gpadl_free_all(struct gpadl_set *set);

/**
 * gpadl_ring_pages - the pages of a ring GPADL: one range of whole pages
 * @ret_pages: n pointers into guest RAM, malloc'ed
 * Returns: 0; -EBADMSG (several ranges, offset, length); -EFAULT; -ENOMEM
 */
must_check int gpadl_ring_pages(const struct gpadl_set *set, const struct gpadl *g,
				void ***ret_pages, uint32_t *ret_n);
