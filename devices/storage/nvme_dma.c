/* SPDX-License-Identifier: MIT */
/*
 * PRP lists and SGLs. Input: the driver; lists are copied piece by piece, each entry once. What
 * comes out are host addresses that only the kernel and the fault-safe copies touch.
 */
#include "ckd.h"
#include "nvme_priv.h"

#include <string.h>

#define PRPS_PER_PAGE (KEEL_PAGE_SIZE / 8)
#define SGL_BATCH 16u /* descriptors read at a time */
#define SGL_MAX_DESCS 1024u /* of one command: a chain may go in circles */

struct map {
	struct nvme_ctrl *c;
	struct iovec *iov;
	uint32_t n;
	uint32_t left; /* bytes not mapped yet */
	bool to_host;
};

static uint16_t add_host(struct map *m, void *host, size_t len)
{
	struct iovec *last = m->n ? &m->iov[m->n - 1] : NULL;

	if (last && (char *)last->iov_base + last->iov_len == host && host != m->c->sink) {
		last->iov_len += len;
	} else {
		if (m->n == NVME_MAX_IOV)
			return NVME_SGL_INVALID_COUNT;
		m->iov[m->n++] = (struct iovec){ host, len };
	}
	m->left -= (uint32_t)len;
	return NVME_OK;
}

/* Guest memory that is contiguous for the driver need not be so for us. len <= m->left. */
static uint16_t add_gpa(struct map *m, gpa_t gpa, size_t len)
{
	uint16_t st = NVME_OK;
	void *host;

	if (gm_host_range(m->c->cfg.gm, gpa, len, &host) == 0)
		return add_host(m, host, len);
	while (len && st == NVME_OK) {
		const size_t n = MIN(len, KEEL_PAGE_SIZE - gpa % KEEL_PAGE_SIZE);

		if (gm_host_range(m->c->cfg.gm, gpa, n, &host) < 0)
			return NVME_DATA_TRANSFER_ERROR;
		st = add_host(m, host, n);
		gpa += n; /* wraps only after an address that is no memory */
		len -= n;
	}
	return st;
}

/* ---- PRP ------------------------------------------------------------------------------------- */

/* The list at @list, which goes on in another page where its last entry in a page says so. */
static uint16_t map_prp_list(struct map *m, gpa_t list)
{
	uint64_t raw_prp[PRPS_PER_PAGE];
	uint16_t st = NVME_OK;

	if (list & 7)
		return NVME_PRP_OFFSET_INVALID;
	while (m->left && st == NVME_OK) {
		const uint32_t pages = (m->left + KEEL_PAGE_SIZE - 1) / KEEL_PAGE_SIZE;
		const uint32_t room = (uint32_t)(KEEL_PAGE_SIZE - list % KEEL_PAGE_SIZE) / 8;
		const bool more = pages > room;
		const uint32_t n = more ? room : pages;

		if (gm_read(m->c->cfg.gm, list, raw_prp, n * 8) < 0)
			return NVME_DATA_TRANSFER_ERROR;
		for (uint32_t i = 0; i < n - more && st == NVME_OK; i++) {
			if (raw_prp[i] % KEEL_PAGE_SIZE)
				return NVME_PRP_OFFSET_INVALID;
			st = add_gpa(m, raw_prp[i], MIN(m->left, KEEL_PAGE_SIZE));
		}
		list = more ? raw_prp[n - 1] : 0;
		if (list % KEEL_PAGE_SIZE)
			return NVME_PRP_OFFSET_INVALID;
	}
	return st;
}

static uint16_t map_prp(struct map *m, gpa_t prp1, gpa_t prp2)
{
	uint16_t st;

	if (prp1 & 3)
		return NVME_PRP_OFFSET_INVALID;
	st = add_gpa(m, prp1, MIN(m->left, KEEL_PAGE_SIZE - prp1 % KEEL_PAGE_SIZE));
	if (st != NVME_OK || !m->left)
		return st;
	if (m->left > KEEL_PAGE_SIZE)
		return map_prp_list(m, prp2);
	if (prp2 % KEEL_PAGE_SIZE)
		return NVME_PRP_OFFSET_INVALID;
	return add_gpa(m, prp2, m->left);
}

/* ---- SGL ------------------------------------------------------------------------------------- */

/* Data that the controller drops, or, on the way to it, no data at all. */
static uint16_t add_bucket(struct map *m, uint32_t len)
{
	return m->to_host && len ? add_host(m, m->c->sink, MIN(len, m->left)) : NVME_OK;
}

static bool is_segment(const struct nvme_sgl *d)
{
	return NVME_SGL_TYPE(d->id) == NVME_SGL_SEGMENT ||
	       NVME_SGL_TYPE(d->id) == NVME_SGL_LAST_SEGMENT;
}

static uint16_t add_desc(struct map *m, const struct nvme_sgl *d)
{
	const uint32_t len = MIN(d->len, m->left);

	if (NVME_SGL_SUBTYPE(d->id))
		return NVME_SGL_INVALID_TYPE;
	switch (NVME_SGL_TYPE(d->id)) {
	case NVME_SGL_DATA:
		return len ? add_gpa(m, d->addr, len) : NVME_OK;
	case NVME_SGL_BIT_BUCKET:
		return add_bucket(m, d->len);
	default:
		return NVME_SGL_INVALID_TYPE;
	}
}

struct walk {
	uint32_t budget; /* descriptors that may still be looked at */
	bool more; /* next is another segment */
	struct nvme_sgl next;
};

static uint16_t walk_descs(struct map *m, const struct nvme_sgl *d, uint32_t n, bool end,
			   bool is_last, struct walk *w)
{
	uint16_t st = NVME_OK;

	for (uint32_t i = 0; i < n && m->left && st == NVME_OK; i++) {
		if (!is_segment(&d[i])) {
			st = add_desc(m, &d[i]);
			continue;
		}
		/* Only the last descriptor of a segment may lead on, and not in the last one. */
		if (!end || i != n - 1 || is_last)
			return NVME_SGL_INVALID_LAST;
		if (NVME_SGL_SUBTYPE(d[i].id))
			return NVME_SGL_INVALID_TYPE;
		w->next = d[i];
		w->more = true;
	}
	return st;
}

static uint16_t walk_segment(struct map *m, const struct nvme_sgl *seg, struct walk *w)
{
	const bool is_last = NVME_SGL_TYPE(seg->id) == NVME_SGL_LAST_SEGMENT;
	struct nvme_sgl raw_d[SGL_BATCH];
	const uint32_t n = seg->len / sizeof(raw_d[0]);
	uint16_t st = NVME_OK;

	if (!n || seg->len % sizeof(raw_d[0]) || (seg->addr & 7))
		return NVME_SGL_INVALID_LAST;
	for (uint32_t at = 0; at < n && m->left && st == NVME_OK; at += SGL_BATCH) {
		const uint32_t now = MIN(n - at, SGL_BATCH);
		gpa_t gpa;

		if (now > w->budget)
			return NVME_SGL_INVALID_COUNT;
		w->budget -= now;
		if (ckd_add(&gpa, seg->addr, (uint64_t)at * sizeof(raw_d[0])) ||
		    gm_read(m->c->cfg.gm, gpa, raw_d, now * sizeof(raw_d[0])) < 0)
			return NVME_DATA_TRANSFER_ERROR;
		st = walk_descs(m, raw_d, now, at + now == n, is_last, w);
	}
	return st;
}

static uint16_t map_sgl(struct map *m, const struct nvme_sgl *first)
{
	struct walk w = { .budget = SGL_MAX_DESCS, .next = *first };
	uint16_t st;

	if (NVME_SGL_SUBTYPE(first->id))
		return NVME_SGL_INVALID_TYPE;
	if (!is_segment(first)) {
		st = add_desc(m, first);
	} else {
		do {
			const struct nvme_sgl seg = w.next;

			w.more = false;
			st = walk_segment(m, &seg, &w);
		} while (st == NVME_OK && w.more && m->left);
	}
	if (st == NVME_OK && m->left)
		return NVME_SGL_DATA_LENGTH;
	return st;
}

uint16_t nvme_map(struct nvme_ctrl *c, const struct nvme_sqe *sqe, uint32_t bytes, bool to_host,
		  struct iovec *iov, uint32_t *ret_n)
{
	struct map m = { .c = c, .iov = iov, .left = bytes, .to_host = to_host };
	struct nvme_sgl sgl;
	uint16_t st;

	switch (sqe->flags & NVME_FLAGS_PSDT) {
	case NVME_PSDT_PRP:
		st = map_prp(&m, sqe->prp1, sqe->prp2);
		break;
	case NVME_PSDT_SGL:
	case NVME_PSDT_SGL_META:
		memcpy(&sgl, &sqe->prp1, sizeof(sgl));
		st = map_sgl(&m, &sgl);
		break;
	default:
		return NVME_INVALID_FIELD;
	}
	*ret_n = m.n;
	return st;
}

/* ---- copies ---------------------------------------------------------------------------------- */

uint16_t nvme_copy_out(const struct iovec *iov, uint32_t n, const void *buf, size_t len)
{
	for (uint32_t i = 0; i < n && len; i++) {
		const size_t now = MIN(len, iov[i].iov_len);

		if (gm_copy_out(iov[i].iov_base, buf, now) < 0)
			return NVME_DATA_TRANSFER_ERROR;
		buf = (const char *)buf + now;
		len -= now;
	}
	return NVME_OK;
}

uint16_t nvme_copy_in(const struct iovec *iov, uint32_t n, void *ret_buf, size_t len)
{
	for (uint32_t i = 0; i < n && len; i++) {
		const size_t now = MIN(len, iov[i].iov_len);

		if (gm_copy_in(ret_buf, iov[i].iov_base, now) < 0)
			return NVME_DATA_TRANSFER_ERROR;
		ret_buf = (char *)ret_buf + now;
		len -= now;
	}
	return NVME_OK;
}

uint16_t nvme_give(struct nvme_ctrl *c, const struct nvme_sqe *sqe, const void *buf, uint32_t len)
{
	uint32_t n;
	uint16_t st = len ? nvme_map(c, sqe, len, true, c->tmp, &n) : NVME_OK;

	return st == NVME_OK && len ? nvme_copy_out(c->tmp, n, buf, len) : st;
}

uint16_t nvme_take(struct nvme_ctrl *c, const struct nvme_sqe *sqe, void *ret_buf, uint32_t len)
{
	uint32_t n;
	uint16_t st = nvme_map(c, sqe, len, false, c->tmp, &n);

	return st == NVME_OK ? nvme_copy_in(c->tmp, n, ret_buf, len) : st;
}
