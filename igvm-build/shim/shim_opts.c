/* SPDX-License-Identifier: MIT */
#include "shim_opts.h"

#include <string.h>

#include "macros.h"

#define PAGES_MAX (1ull << 40)

struct word {
	const char *p;
	size_t len;
};

void shim_opts_init(struct shim_opts *o)
{
	*o = (struct shim_opts){ .pool = { .mode = SHIM_POOL_RELEASE } };
}

static bool word_is(const struct word *w, const char *s)
{
	return strlen(s) == w->len && !memcmp(w->p, s, w->len);
}

/* Is the word name=...? Then *ret_value is what follows. */
static bool word_option(const struct word *w, const char *name, struct word *ret_value)
{
	size_t n = strlen(name);

	if (w->len <= n || memcmp(w->p, name, n) || w->p[n] != '=')
		return false;
	*ret_value = (struct word){ .p = w->p + n + 1, .len = w->len - n - 1 };
	return true;
}

/* Decimal; junk and absurd values read as 0. */
static uint64_t word_number(const struct word *w)
{
	uint64_t v = 0;

	for (size_t i = 0; i < w->len; i++) {
		if (w->p[i] < '0' || w->p[i] > '9')
			return 0;
		v = v * 10 + (uint64_t)(w->p[i] - '0');
		if (v > PAGES_MAX)
			return 0;
	}
	return v;
}

static struct shim_pool_opt parse_pool(const struct word *v)
{
	struct shim_pool_opt o = { .mode = SHIM_POOL_OFF };

	if (word_is(v, "release"))
		o.mode = SHIM_POOL_RELEASE;
	else if (word_is(v, "debug"))
		o.mode = SHIM_POOL_DEBUG;
	else if ((o.pages = word_number(v)))
		o.mode = SHIM_POOL_PAGES;
	return o;
}

static void parse_word(struct shim_opts *o, const struct word *w)
{
	struct word v;

	if (word_option(w, "OPENHCL_CONFIDENTIAL_DEBUG", &v)) {
		o->confidential_debug = !word_is(&v, "0");
	} else if (word_option(w, "OPENHCL_IGVM_VTL2_GPA_POOL_CONFIG", &v)) {
		if (!o->pool_override)
			o->pool = parse_pool(&v);
	} else if (word_option(w, "OPENHCL_ENABLE_VTL2_GPA_POOL", &v)) {
		o->pool = parse_pool(&v);
		o->pool_override = true;
	} else if (word_option(w, "OPENHCL_VTL2_GPA_POOL_NUMA", &v)) {
		o->pool_split = word_is(&v, "split");
	} else if (word_option(w, "OPENHCL_DISABLE_NVME_KEEP_ALIVE", &v)) {
		o->no_nvme_keep_alive = !word_is(&v, "0");
	}
}

static bool blank(char c)
{
	return c == ' ' || c == '\t' || c == '\n' || c == '\r' || c == 0;
}

void shim_opts_parse(struct shim_opts *o, const char *text, size_t len)
{
	size_t i = 0;

	while (i < len) {
		size_t start;

		while (i < len && blank(text[i]))
			i++;
		start = i;
		while (i < len && !blank(text[i]))
			i++;
		if (i > start)
			parse_word(o, &(struct word){ .p = text + start, .len = i - start });
	}
}
