/* SPDX-License-Identifier: MIT */
#include "gpadl.h"

#include "ckd.h"
#include "le.h"
#include "ring.h"

#include <errno.h>
#include <stdlib.h>

void gpadl_set_init(struct gpadl_set *set, struct gmem *gm)
{
	*set = (struct gpadl_set){ .gm = gm };
	list_init(&set->all);
}

static struct gpadl *find_any(struct gpadl_set *set, uint32_t chan_id, uint32_t id)
{
	list_for_each(l, &set->all) {
		struct gpadl *g = container_of(l, struct gpadl, link);

		if (g->chan_id == chan_id && g->id == id)
			return g;
	}
	return NULL;
}

static struct gpadl *find_collecting(struct gpadl_set *set, uint32_t id)
{
	list_for_each(l, &set->all) {
		struct gpadl *g = container_of(l, struct gpadl, link);

		if (g->id == id && g->state == GPADL_COLLECTING)
			return g;
	}
	return NULL;
}

struct gpadl *gpadl_find(struct gpadl_set *set, uint32_t chan_id, uint32_t id)
{
	struct gpadl *g = find_any(set, chan_id, id);

	return g && g->state != GPADL_COLLECTING ? g : NULL;
}

void gpadl_free(struct gpadl_set *set, struct gpadl *g)
{
	list_del(&g->link);
	set->count--;
	set->words -= g->n_words;
	free(g);
}

void gpadl_free_chan(struct gpadl_set *set, uint32_t chan_id)
{
	for (struct list *l = set->all.next, *next; l != &set->all; l = next) {
		struct gpadl *g = container_of(l, struct gpadl, link);

		next = l->next;
		if (g->chan_id == chan_id)
			gpadl_free(set, g);
	}
}

void gpadl_free_all(struct gpadl_set *set)
{
	while (!list_empty(&set->all))
		gpadl_free(set, container_of(set->all.next, struct gpadl, link));
}

/* One range: how many page numbers follow its first word; 0 = the word is bad. */
static uint32_t range_pages(uint64_t word)
{
	const uint32_t bytes = (uint32_t)word;
	const uint32_t off = (uint32_t)(word >> 32);
	uint64_t end;

	if (!bytes || off >= KEEL_PAGE_SIZE)
		return 0;
	end = (uint64_t)off + bytes; /* below 2^33 */
	return (uint32_t)((end + KEEL_PAGE_SIZE - 1) / KEEL_PAGE_SIZE);
}

static bool page_is_ram(const struct gpadl_set *set, uint64_t gpn)
{
	return gpn <= UINT64_MAX >> KEEL_PAGE_SHIFT &&
	       gm_is_ram(set->gm, gpn << KEEL_PAGE_SHIFT, KEEL_PAGE_SIZE);
}

/* The words must be exactly n_ranges ranges over pages that are RAM. */
static int check_ranges(const struct gpadl_set *set, const struct gpadl *g)
{
	uint32_t at = 0;

	for (uint32_t i = 0; i < g->n_ranges; i++) {
		uint32_t n;

		if (at >= g->n_words)
			return -EBADMSG;
		n = range_pages(g->words[at++]);
		if (!n || n > g->n_words - at)
			return -EBADMSG;
		for (; n; n--) {
			if (!page_is_ram(set, g->words[at++]))
				return -EBADMSG;
		}
	}
	return at == g->n_words ? 0 : -EBADMSG;
}

/* Take words from a message; complete and check the GPADL when it has all. */
static int take_words(struct gpadl_set *set, struct gpadl *g, const uint8_t *data, uint32_t n_words)
{
	uint32_t n = MIN(n_words, g->n_words - g->got);

	if (!n)
		return -EBADMSG; /* a message that brings nothing could be repeated for ever */
	for (uint32_t i = 0; i < n; i++)
		g->words[g->got++] = le64_load(data + (size_t)i * 8);
	if (g->got < g->n_words)
		return 0;
	g->state = GPADL_READY;
	return check_ranges(set, g);
}

int gpadl_begin(struct gpadl_set *set, uint32_t chan_id, uint32_t id, uint32_t range_bytes,
		uint32_t range_count, const uint8_t *data, uint32_t n_words, struct gpadl **ret_g)
{
	const uint32_t total = range_bytes / 8;
	struct gpadl *g;
	int r;

	/* Two words are the least a range can have. */
	if (range_bytes % 8 || !range_count || total < range_count * 2)
		return -EBADMSG;
	if (find_any(set, chan_id, id) || find_collecting(set, id))
		return -EEXIST;
	if (set->count >= GPADL_MAX_PER_SET || set->words + total > GPADL_MAX_WORDS_PER_SET)
		return -ENOMEM;
	g = calloc(1, sizeof(*g) + (size_t)total * sizeof(g->words[0]));
	if (!g)
		return -ENOMEM;
	g->chan_id = chan_id;
	g->id = id;
	g->n_ranges = (uint16_t)range_count;
	g->n_words = total;
	list_add_tail(&set->all, &g->link);
	set->count++;
	set->words += total;
	r = take_words(set, g, data, n_words);
	if (r < 0) {
		gpadl_free(set, g);
		return r;
	}
	*ret_g = g;
	return 0;
}

int gpadl_more(struct gpadl_set *set, uint32_t id, const uint8_t *data, uint32_t n_words,
	       uint32_t *ret_chan_id, struct gpadl **ret_g)
{
	struct gpadl *g = find_collecting(set, id);
	int r;

	if (!g)
		return -ENOENT;
	r = take_words(set, g, data, n_words);
	if (r < 0) {
		*ret_chan_id = g->chan_id;
		gpadl_free(set, g);
		return r;
	}
	*ret_g = g;
	return 0;
}

int gpadl_ring_pages(const struct gpadl_set *set, const struct gpadl *g, void ***ret_pages,
		     uint32_t *ret_n)
{
	const uint32_t n = g->n_words - 1;
	void **pages;

	if (g->n_ranges != 1 || g->words[0] >> 32 || (uint32_t)g->words[0] % KEEL_PAGE_SIZE || !n)
		return -EBADMSG;
	pages = calloc(n, sizeof(*pages));
	if (!pages)
		return -ENOMEM;
	for (uint32_t i = 0; i < n; i++) {
		int r = gm_host_range(set->gm, g->words[i + 1] << KEEL_PAGE_SHIFT, KEEL_PAGE_SIZE,
				      &pages[i]);

		if (r < 0) {
			free(pages);
			return r;
		}
	}
	*ret_pages = pages;
	*ret_n = n;
	return 0;
}
