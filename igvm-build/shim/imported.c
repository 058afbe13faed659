/* SPDX-License-Identifier: MIT */
/* See the header. */
#include "imported.h"

#include <errno.h>
#include <string.h>

#include "ckd.h"

/* SHA-384 of nothing: no page was left for the shim to check. */
static const uint8_t digest_of_nothing[IMPORTED_DIGEST_LEN] = {
	0x38, 0xb0, 0x60, 0xa7, 0x51, 0xac, 0x96, 0x38, 0x4c, 0xd9, 0x32, 0x7e,
	0xb1, 0xb1, 0xe3, 0x6a, 0x21, 0xfd, 0xb7, 0x11, 0x14, 0xbe, 0x07, 0x43,
	0x4c, 0x0c, 0xc7, 0xbf, 0x63, 0xf6, 0xe1, 0xda, 0x27, 0x4e, 0xde, 0xbf,
	0xe7, 0x6f, 0x65, 0xfb, 0xd5, 0x1a, 0xd2, 0xf1, 0x48, 0x98, 0xb9, 0x5b,
};

static int fail(int err, const char *why, const char **ret_why)
{
	*ret_why = why;
	return err;
}

int imported_read(const void *page, struct imported *ret, const char **ret_why)
{
	const uint8_t *p = (const uint8_t *)page + IMPORTED_DIGEST_LEN;
	uint64_t end = 0;

	ret->n = 0;
	for (size_t i = 0; i < IMPORTED_MAX; i++, p += sizeof(struct imported_region)) {
		struct imported_region e;

		memcpy(&e, p, sizeof(e));
		if (!e.pages)
			break;
		if (e.gpn > UINT64_MAX / KEEL_PAGE_SIZE / 2 ||
		    e.pages > UINT64_MAX / KEEL_PAGE_SIZE / 2 || e.gpn * KEEL_PAGE_SIZE < end)
			return fail(-EBADMSG, "the image's list of pages is not ascending",
				    ret_why);
		if (!e.accepted)
			return fail(-ENOTSUP, "the image has pages that are not accepted yet",
				    ret_why);
		ret->r[ret->n++] = (struct host_range){ .base = e.gpn * KEEL_PAGE_SIZE,
							.len = e.pages * KEEL_PAGE_SIZE };
		end = (e.gpn + e.pages) * KEEL_PAGE_SIZE;
	}
	if (memcmp(page, digest_of_nothing, sizeof(digest_of_nothing)))
		return fail(-ENOTSUP, "the image has a digest of pages it does not have", ret_why);
	return 0;
}

static void step(imported_fn fn, void *ctx, enum imported_step what, uint64_t base, uint64_t end)
{
	struct host_range r = { .base = base, .len = end - base };

	if (end > base)
		fn(ctx, what, &r);
}

void imported_walk(const struct imported *list, const struct memplan *plan, imported_fn fn,
		   void *ctx)
{
	for (size_t i = 0; i < plan->n_ram; i++) {
		uint64_t at = plan->ram[i].r.base, end = at + plan->ram[i].r.len;

		for (size_t k = 0; k < list->n && at < end; k++) {
			const struct host_range *im = &list->r[k];
			uint64_t from = MAX(im->base, at), to = MIN(im->base + im->len, end);

			if (from >= to)
				continue;
			step(fn, ctx, IMPORTED_ACCEPT, at, from);
			step(fn, ctx, IMPORTED_PROTECT, from, to);
			at = to;
		}
		step(fn, ctx, IMPORTED_ACCEPT, at, end);
	}
}
