/* SPDX-License-Identifier: MIT */
/* Device tree reader. Input: a hostile blob; see the header. */
#include "dt_rd.h"

#include <errno.h>
#include <string.h>

#include "ckd.h"
#include "le.h"

#define MAGIC 0xd00dfeedu
#define HEADER_LEN 40u
#define VERSION 17u
#define TOK_BEGIN 1u
#define TOK_END 2u
#define TOK_PROP 3u
#define TOK_NOP 4u
#define TOK_STOP 9u

static uint32_t token(const struct dtr *t, uint32_t off)
{
	return be32_load(t->st + off);
}

/* Offset behind the token at off, which dtr_open() has checked. */
static uint32_t after(const struct dtr *t, uint32_t off)
{
	switch (token(t, off)) {
	case TOK_BEGIN:
		return (uint32_t)align_up(off + 4 + strlen((const char *)t->st + off + 4) + 1, 4);
	case TOK_PROP:
		return (uint32_t)align_up((uint64_t)off + 12 + be32_load(t->st + off + 4), 4);
	default:
		return off + 4;
	}
}

static bool has_nul(const void *p, size_t max)
{
	return memchr(p, 0, max) != NULL;
}

/* One token during the check. Returns: offset behind it, or 0 when it is malformed. */
static uint32_t check_token(const struct dtr *t, uint32_t off)
{
	uint32_t left = t->st_len - off; /* a multiple of 4, at least 4 */
	uint32_t len, name;

	switch (token(t, off)) {
	case TOK_BEGIN:
		if (!has_nul(t->st + off + 4, left - 4))
			return 0;
		break;
	case TOK_PROP:
		if (left < 12)
			return 0;
		len = be32_load(t->st + off + 4);
		name = be32_load(t->st + off + 8);
		if (align_up((uint64_t)len, 4) > left - 12 || name >= t->str_len ||
		    !has_nul(t->str + name, t->str_len - name))
			return 0;
		break;
	case TOK_END:
	case TOK_NOP:
	case TOK_STOP:
		break;
	default:
		return 0;
	}
	return after(t, off);
}

/* The nesting rules: one root, properties before children, nothing behind the root but STOP. */
static int check_structure(const struct dtr *t)
{
	bool had_child[DTR_DEPTH_MAX + 1] = { false };
	unsigned depth = 0;
	uint32_t off = 0, next;

	if (t->st_len < 4 || token(t, 0) != TOK_BEGIN)
		return -EBADMSG;
	while (off < t->st_len) {
		uint32_t tok = token(t, off);

		next = check_token(t, off);
		if (!next)
			return -EBADMSG;
		if (tok == TOK_STOP)
			return depth ? -EBADMSG : 0;
		if (tok != TOK_NOP && !depth && off)
			return -EBADMSG;
		if (tok == TOK_PROP && had_child[depth])
			return -EBADMSG;
		if (tok == TOK_BEGIN) {
			if (depth == DTR_DEPTH_MAX)
				return -EBADMSG;
			had_child[depth++] = true;
			had_child[depth] = false;
		}
		if (tok == TOK_END)
			depth--;
		off = next;
	}
	return -EBADMSG; /* no STOP */
}

int dtr_open(const void *blob, size_t max, struct dtr *ret)
{
	const uint8_t *h = blob;
	uint32_t size, st, str;
	struct dtr t;

	if (max && !h[0])
		return -ENOENT;
	if (max < HEADER_LEN || be32_load(h) != MAGIC)
		return -EBADMSG;
	size = be32_load(h + 4);
	st = be32_load(h + 8);
	str = be32_load(h + 12);
	if (be32_load(h + 20) < VERSION || be32_load(h + 24) > VERSION || size > max)
		return -EBADMSG;
	t = (struct dtr){ .st = h + st,
			  .st_len = be32_load(h + 36),
			  .str = (const char *)h + str,
			  .str_len = be32_load(h + 32),
			  .boot_cpu = be32_load(h + 28),
			  .size = size };
	if (st % 4 || t.st_len % 4 || !range_ok(st, t.st_len, size) ||
	    !range_ok(str, t.str_len, size))
		return -EBADMSG;
	if (check_structure(&t) < 0)
		return -EBADMSG;
	*ret = t;
	return 0;
}

/* First token at or behind off that is no property and no filler. */
static uint32_t skip_props(const struct dtr *t, uint32_t off)
{
	while (token(t, off) == TOK_PROP || token(t, off) == TOK_NOP)
		off = after(t, off);
	return off;
}

uint32_t dtr_child(const struct dtr *t, uint32_t node)
{
	uint32_t off = skip_props(t, after(t, node));

	return token(t, off) == TOK_BEGIN ? off : DTR_NONE;
}

uint32_t dtr_sibling(const struct dtr *t, uint32_t node)
{
	uint32_t off = node;
	unsigned depth = 0;

	if (!node)
		return DTR_NONE;
	do {
		uint32_t tok = token(t, off);

		if (tok == TOK_BEGIN)
			depth++;
		else if (tok == TOK_END)
			depth--;
		off = after(t, off);
	} while (depth);
	off = skip_props(t, off);
	return token(t, off) == TOK_BEGIN ? off : DTR_NONE;
}

const char *dtr_name(const struct dtr *t, uint32_t node)
{
	return (const char *)t->st + node + 4;
}

bool dtr_is_named(const struct dtr *t, uint32_t node, const char *name)
{
	const char *have = dtr_name(t, node);
	size_t len = strlen(name);

	return !strncmp(have, name, len) && (have[len] == 0 || have[len] == '@');
}

uint32_t dtr_find(const struct dtr *t, uint32_t node, const char *name)
{
	for (uint32_t n = dtr_child(t, node); n != DTR_NONE; n = dtr_sibling(t, n))
		if (dtr_is_named(t, n, name))
			return n;
	return DTR_NONE;
}

const uint8_t *dtr_prop(const struct dtr *t, uint32_t node, const char *name, uint32_t *ret_len)
{
	uint32_t off = after(t, node);

	for (; token(t, off) == TOK_PROP || token(t, off) == TOK_NOP; off = after(t, off)) {
		if (token(t, off) == TOK_NOP || strcmp(t->str + be32_load(t->st + off + 8), name))
			continue;
		*ret_len = be32_load(t->st + off + 4);
		return t->st + off + 12;
	}
	return NULL;
}

bool dtr_u32(const struct dtr *t, uint32_t node, const char *name, uint32_t *ret)
{
	uint32_t len;
	const uint8_t *p = dtr_prop(t, node, name, &len);

	if (!p || len != 4)
		return false;
	*ret = be32_load(p);
	return true;
}

bool dtr_u64(const struct dtr *t, uint32_t node, const char *name, uint64_t *ret)
{
	uint32_t len;
	const uint8_t *p = dtr_prop(t, node, name, &len);

	if (!p || len != 8)
		return false;
	*ret = be64_load(p);
	return true;
}

const char *dtr_str(const struct dtr *t, uint32_t node, const char *name)
{
	uint32_t len;
	const uint8_t *p = dtr_prop(t, node, name, &len);

	/* Exactly one string: the only NUL is the last byte. */
	if (!p || !len || memchr(p, 0, len) != p + len - 1)
		return NULL;
	return (const char *)p;
}

bool dtr_compatible(const struct dtr *t, uint32_t node, const char *what)
{
	uint32_t len, off = 0;
	const uint8_t *p = dtr_prop(t, node, "compatible", &len);

	while (p && off < len) {
		const uint8_t *nul = memchr(p + off, 0, len - off);

		if (!nul)
			return false;
		if (!strcmp((const char *)p + off, what))
			return true;
		off = (uint32_t)(nul - p) + 1;
	}
	return false;
}
