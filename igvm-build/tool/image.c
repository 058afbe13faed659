/* SPDX-License-Identifier: MIT */
#include "image.h"

#include <stdbool.h>
#include <stdlib.h>
#include <string.h>

#include "ckd.h"
#include "tool_util.h"

/* Grow an array so that one more element fits. */
static void *grow(void *p, size_t n, size_t *cap, size_t elem)
{
	size_t more = *cap ? *cap * 2 : 64;
	void *q;

	if (n < *cap)
		return p;
	q = reallocarray(p, more, elem);
	if (q)
		*cap = more;
	return q;
}

void image_fini(struct image *img)
{
	for (size_t i = 0; i < img->n_block; i++)
		free(img->block[i]);
	free(img->block);
	free(img->page);
	free(img->range);
	*img = (struct image){ 0 };
}

static int add_range(struct image *img, const char *tag, uint64_t gpa, uint64_t mem_len,
		     uint64_t bytes)
{
	uint64_t gpn = gpa / KEEL_PAGE_SIZE;
	uint64_t end = align_up(gpa + mem_len, KEEL_PAGE_SIZE) / KEEL_PAGE_SIZE;
	struct image_range *r = grow(img->range, img->n_range, &img->cap_range, sizeof(*r));

	if (!r)
		return tool_err("not enough memory.");
	img->range = r;
	r[img->n_range++] =
		(struct image_range){ .gpn = gpn, .pages = end - gpn, .tag = tag, .bytes = bytes };
	return 0;
}

int image_reserve(struct image *img, const char *tag, uint64_t gpa, uint64_t mem_len)
{
	return add_range(img, tag, gpa, mem_len, 0);
}

static bool all_zero(const uint8_t *p)
{
	return !p[0] && !memcmp(p, p + 1, KEEL_PAGE_SIZE - 1);
}

static int add_page(struct image *img, uint64_t gpn, const uint8_t *data)
{
	struct image_page *p = grow(img->page, img->n_page, &img->cap_page, sizeof(*p));

	if (!p)
		return tool_err("not enough memory.");
	img->page = p;
	p[img->n_page++] = (struct image_page){ .gpn = gpn, .data = data };
	return 0;
}

/* A zero-padded, page-granular copy that lives as long as the image; NULL when memory is short. */
static uint8_t *add_block(struct image *img, uint64_t head, const void *data, uint64_t data_len)
{
	uint8_t **b = grow(img->block, img->n_block, &img->cap_block, sizeof(*b));
	uint8_t *copy;

	if (!b)
		return NULL;
	img->block = b;
	copy = calloc(1, align_up(head + data_len, KEEL_PAGE_SIZE) + KEEL_PAGE_SIZE);
	if (!copy)
		return NULL;
	b[img->n_block++] = copy;
	if (data_len)
		memcpy(copy + head, data, data_len);
	return copy;
}

int image_import(struct image *img, const char *tag, uint64_t gpa, const void *data,
		 uint64_t data_len, uint64_t mem_len)
{
	uint64_t head = gpa % KEEL_PAGE_SIZE, filled = align_up(head + data_len, KEEL_PAGE_SIZE);
	uint64_t total = align_up(head + mem_len, KEEL_PAGE_SIZE);
	uint8_t *copy = add_block(img, head, data, data_len);

	if (!copy)
		return tool_err("not enough memory.");
	if (add_range(img, tag, gpa, mem_len, data_len) < 0)
		return -1;
	for (uint64_t off = 0; off < total; off += KEEL_PAGE_SIZE) {
		bool zero = off >= filled || all_zero(copy + off);

		if (add_page(img, (gpa - head + off) / KEEL_PAGE_SIZE, zero ? NULL : copy + off) <
		    0)
			return -1;
	}
	return 0;
}

static int cmp_range(const void *a, const void *b)
{
	const struct image_range *x = a, *y = b;

	return x->gpn < y->gpn ? -1 : x->gpn > y->gpn;
}

static int cmp_page(const void *a, const void *b)
{
	const struct image_page *x = a, *y = b;

	return x->gpn < y->gpn ? -1 : x->gpn > y->gpn;
}

int image_sort(struct image *img)
{
	if (img->n_range)
		qsort(img->range, img->n_range, sizeof(img->range[0]), cmp_range);
	if (img->n_page)
		qsort(img->page, img->n_page, sizeof(img->page[0]), cmp_page);
	for (size_t i = 1; i < img->n_range; i++) {
		const struct image_range *a = &img->range[i - 1], *b = &img->range[i];

		if (a->gpn + a->pages > b->gpn)
			return tool_err("%s (GPA %#llx-%#llx) and %s (GPA %#llx-%#llx) overlap.",
					a->tag, (unsigned long long)a->gpn << 12,
					((unsigned long long)(a->gpn + a->pages) << 12) - 1, b->tag,
					(unsigned long long)b->gpn << 12,
					((unsigned long long)(b->gpn + b->pages) << 12) - 1);
	}
	return 0;
}
