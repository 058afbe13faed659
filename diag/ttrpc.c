/* SPDX-License-Identifier: MIT */
#include "ttrpc.h"

#include "bug.h"
#include "le.h"

#include <stdlib.h>
#include <string.h>

/* Where skipped bytes go; nobody reads them. */
static uint8_t waste[16384];

void ttrpc_header_get(const uint8_t raw[TTRPC_HEADER_LEN], struct ttrpc_header *ret_head)
{
	*ret_head = (struct ttrpc_header){
		.len = be32_load(raw),
		.stream = be32_load(raw + 4),
		.type = raw[8],
		.flags = raw[9],
	};
}

void ttrpc_header_put(const struct ttrpc_header *head, uint8_t ret_raw[TTRPC_HEADER_LEN])
{
	be32_store(ret_raw, head->len);
	be32_store(ret_raw + 4, head->stream);
	ret_raw[8] = head->type;
	ret_raw[9] = head->flags;
}

void ttrpc_reader_init(struct ttrpc_reader *r, struct ttrpc_pool *pool, uint32_t len_max)
{
	*r = (struct ttrpc_reader){ .pool = pool, .len_max = len_max };
}

/* The first bytes are free, so that nobody's large messages keep others from sending small ones. */
static size_t charge(size_t cap)
{
	return cap > TTRPC_FREE_LEN ? cap - TTRPC_FREE_LEN : 0;
}

static void drop_msg(struct ttrpc_reader *r)
{
	free(r->msg);
	r->msg = NULL;
	r->pool->used -= charge(r->cap);
	r->cap = 0;
}

void ttrpc_reader_fini(struct ttrpc_reader *r)
{
	if (r->pool)
		drop_msg(r);
}

/* Room for at least one more byte of the message; false = the pool or the heap is empty. */
static bool grow(struct ttrpc_reader *r)
{
	size_t cap = MIN((size_t)r->head.len, r->cap ? r->cap * 2 : TTRPC_FREE_LEN);
	uint8_t *p;

	if (charge(cap) - charge(r->cap) > r->pool->max - r->pool->used)
		return false;
	p = realloc(r->msg, cap);
	if (!p)
		return false;
	r->pool->used += charge(cap) - charge(r->cap);
	r->msg = p;
	r->cap = cap;
	return true;
}

void ttrpc_next(struct ttrpc_reader *r)
{
	if (!r->over)
		return;
	drop_msg(r);
	r->n_head = r->done = 0;
	r->skip = r->over = false;
}

size_t ttrpc_room(struct ttrpc_reader *r, uint8_t **ret_p)
{
	ttrpc_next(r);
	if (r->n_head < TTRPC_HEADER_LEN) {
		*ret_p = r->raw_head + r->n_head;
		return TTRPC_HEADER_LEN - r->n_head;
	}
	if (!r->skip && r->done == r->cap && !grow(r)) {
		drop_msg(r);
		r->skip = true;
	}
	if (r->skip) {
		*ret_p = waste;
		return MIN(sizeof(waste), r->head.len - r->done);
	}
	*ret_p = r->msg + r->done;
	return r->cap - r->done;
}

enum ttrpc_event ttrpc_commit(struct ttrpc_reader *r, size_t n)
{
	BUG_ON(r->over);
	if (r->n_head < TTRPC_HEADER_LEN) {
		BUG_ON(n > TTRPC_HEADER_LEN - r->n_head);
		r->n_head += n;
		if (r->n_head < TTRPC_HEADER_LEN)
			return TTRPC_MORE;
		ttrpc_header_get(r->raw_head, &r->head);
		r->skip = r->head.len > r->len_max;
	} else {
		BUG_ON(n > r->head.len - r->done);
		r->done += n;
	}
	if (r->done < r->head.len)
		return TTRPC_MORE;
	r->over = true;
	return r->skip ? TTRPC_REFUSED : TTRPC_FRAME;
}

bool ttrpc_inside(const struct ttrpc_reader *r)
{
	return r->n_head == TTRPC_HEADER_LEN && !r->over;
}
