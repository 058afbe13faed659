/* SPDX-License-Identifier: MIT */
/* See bounce.h. */
#include "bounce.h"

#include <errno.h>
#include <sys/mman.h>

#include "bug.h"
#include "gmem.h"

int bounce_init(struct bounce *b, bool populate)
{
	void *mem = mmap(NULL, (size_t)BOUNCE_PAGES * KEEL_PAGE_SIZE, PROT_READ | PROT_WRITE,
			 MAP_PRIVATE | MAP_ANONYMOUS | (populate ? MAP_POPULATE : 0), -1, 0);

	if (mem == MAP_FAILED)
		return -ENOMEM;
	*b = (struct bounce){ .mem = mem };
	return 0;
}

void bounce_fini(struct bounce *b)
{
	if (b->mem)
		(void)munmap(b->mem, (size_t)BOUNCE_PAGES * KEEL_PAGE_SIZE);
	b->mem = NULL;
}

static bool page_used(const struct bounce *b, unsigned page)
{
	return b->used[page / 64] >> page % 64 & 1;
}

static unsigned pages_of(size_t bytes)
{
	return (unsigned)((bytes + KEEL_PAGE_SIZE - 1) / KEEL_PAGE_SIZE);
}

void *bounce_get(struct bounce *b, size_t bytes)
{
	const unsigned want = pages_of(bytes);
	unsigned run = 0;

	BUG_ON(bytes == 0 || bytes > BOUNCE_RUN_BYTES);
	for (unsigned page = 0; page < BOUNCE_PAGES; page++) {
		run = page_used(b, page) ? 0 : run + 1;
		if (run < want)
			continue;
		for (unsigned i = page + 1 - want; i <= page; i++)
			b->used[i / 64] |= BIT(i % 64);
		return b->mem + (size_t)(page + 1 - want) * KEEL_PAGE_SIZE;
	}
	return NULL;
}

void bounce_put(struct bounce *b, void *run, size_t bytes)
{
	unsigned first = (unsigned)(((uint8_t *)run - b->mem) / KEEL_PAGE_SIZE);

	for (unsigned i = first; i < first + pages_of(bytes); i++) {
		BUG_ON(!page_used(b, i));
		b->used[i / 64] &= ~BIT(i % 64);
	}
}

int bounce_from(void *ret_buf, const struct iovec *iov, struct iov_pos pos, size_t len)
{
	uint8_t *to = ret_buf;

	while (len) {
		const struct iovec *v = &iov[pos.idx];
		size_t n = MIN(len, v->iov_len - pos.off);
		int r = gm_copy_in(to, (const uint8_t *)v->iov_base + pos.off, n);

		if (r < 0)
			return r;
		to += n;
		len -= n;
		pos = (struct iov_pos){ .idx = pos.idx + 1 };
	}
	return 0;
}

int bounce_to(const struct iovec *iov, struct iov_pos pos, const void *buf, size_t len)
{
	const uint8_t *from = buf;

	while (len) {
		const struct iovec *v = &iov[pos.idx];
		size_t n = MIN(len, v->iov_len - pos.off);
		int r = gm_copy_out((uint8_t *)v->iov_base + pos.off, from, n);

		if (r < 0)
			return r;
		from += n;
		len -= n;
		pos = (struct iov_pos){ .idx = pos.idx + 1 };
	}
	return 0;
}

void iov_skip(const struct iovec *iov, struct iov_pos *pos, size_t len)
{
	while (len) {
		size_t n = MIN(len, iov[pos->idx].iov_len - pos->off);

		len -= n;
		pos->off += n;
		if (pos->off == iov[pos->idx].iov_len)
			*pos = (struct iov_pos){ .idx = pos->idx + 1 };
	}
}
