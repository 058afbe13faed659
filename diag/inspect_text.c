/* SPDX-License-Identifier: MIT */
#include "inspect_text.h"

#include "inspect_tree.h"

#include "utf8.h"

#include <errno.h>
#include <inttypes.h>
#include <math.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

struct out {
	char *buf;
	size_t len, size;
	bool json;
	bool bad;
};

static void put(struct out *o, const char *p, size_t len)
{
	if (o->bad)
		return;
	if (o->size - o->len <= len) {
		size_t size = 2 * o->size + len + 1024;
		char *buf = realloc(o->buf, size);

		o->bad = !buf;
		if (!buf)
			return;
		o->buf = buf;
		o->size = size;
	}
	memcpy(o->buf + o->len, p, len);
	o->len += len;
	o->buf[o->len] = 0;
}

static void puts_to(struct out *o, const char *s)
{
	put(o, s, strlen(s));
}

static void putf(struct out *o, const char *fmt, ...) printf_like(2, 3);
static void putf(struct out *o, const char *fmt, ...)
{
	char buf[128];
	va_list ap;

	va_start(ap, fmt);
	(void)vsnprintf(buf, sizeof(buf), fmt, ap);
	va_end(ap);
	puts_to(o, buf);
}

/* ---- text ---------------------------------------------------------------------------------- */

static uint32_t code_point(const char *p, size_t n)
{
	uint32_t c = (uint8_t)p[0];

	if (n > 1)
		c &= 0xffu >> (n + 1);
	for (size_t i = 1; i < n; i++)
		c = c << 6 | ((uint8_t)p[i] & 0x3f);
	return c;
}

/* Characters that are not seen, or that change how others are. */
static bool is_invisible(uint32_t c)
{
	static const struct {
		uint32_t first, last;
	} ranges[] = {
		{ 0, 0x1f },	    { 0x7f, 0xa0 },	{ 0xad, 0xad },	    { 0x300, 0x36f },
		{ 0x61c, 0x61c },   { 0x180e, 0x180e }, { 0x2000, 0x200f }, { 0x2028, 0x202f },
		{ 0x205f, 0x206f }, { 0x3000, 0x3000 }, { 0xd800, 0xf8ff }, { 0xfe00, 0xfe0f },
		{ 0xfeff, 0xfeff }, { 0xfff0, 0xfffb }, { 0xfffe, 0xffff }, { 0xe0000, 0x10ffff },
	};

	for (size_t i = 0; i < ARRAY_SIZE(ranges); i++)
		if (c >= ranges[i].first && c <= ranges[i].last)
			return true;
	return false;
}

static const char *short_escape(const struct out *o, uint32_t c)
{
	switch (c) {
	case '"':
		return "\\\"";
	case '\\':
		return "\\\\";
	case '\n':
		return "\\n";
	case '\r':
		return "\\r";
	case '\t':
		return "\\t";
	case 0:
		return o->json ? NULL : "\\0";
	default:
		return NULL;
	}
}

static void put_char(struct out *o, const char *p, size_t n, bool quoted)
{
	uint32_t c = code_point(p, n);
	const char *esc = short_escape(o, c);

	if (esc && (quoted || c < 0x20))
		puts_to(o, esc);
	else if (o->json && (c < 0x20 || c == 0x7f))
		putf(o, "\\u%04" PRIx32, c);
	else if (!o->json && is_invisible(c))
		putf(o, "\\u{%" PRIx32 "}", c);
	else
		put(o, p, n);
}

/* Without quotes (names in text, not in JSON) quotes and backslashes stand for themselves. */
static void put_text(struct out *o, const char *p, size_t len, bool quoted)
{
	size_t n;

	if (quoted)
		puts_to(o, "\"");
	for (size_t i = 0; i < len; i += n) {
		n = utf8_seq(p + i, len - i);
		if (n == 0)
			break; /* trees hold UTF-8 only */
		put_char(o, p + i, n, quoted);
	}
	if (quoted)
		puts_to(o, "\"");
}

/* ---- values -------------------------------------------------------------------------------- */

static void put_uint(struct out *o, uint64_t v, uint32_t flags, bool negative)
{
	const char *quote = o->json ? "\"" : "";
	char bits[65];
	size_t n = sizeof(bits);

	if (flags & INSPECT_F_HEX) {
		putf(o, "%s0x%" PRIx64 "%s", quote, v, quote);
	} else if (flags & INSPECT_F_BINARY) {
		bits[--n] = 0;
		do {
			bits[--n] = (char)('0' + (v & 1));
			v >>= 1;
		} while (v);
		putf(o, "%s0b%s%s", quote, bits + n, quote);
	} else if (negative) {
		putf(o, "%" PRId64, (int64_t)v);
	} else {
		putf(o, "%" PRIu64, v);
	}
}

/*
 * The fewest digits that mean this number, never with an exponent: "%e" finds the digits, then they
 * are written out around the point.
 */
static void put_double(struct out *o, double d)
{
	char sci[40], digits[24];
	size_t n = 0;
	int exp;

	if (isnan(d) || isinf(d)) {
		puts_to(o, o->json ? "null" : isnan(d) ? "NaN" : d > 0 ? "inf" : "-inf");
		return;
	}
	for (int prec = 0; prec <= 17; prec++) {
		(void)snprintf(sci, sizeof(sci), "%.*e", prec, d);
		if (strtod(sci, NULL) == d)
			break;
	}
	for (const char *p = sci; *p && *p != 'e'; p++)
		if (*p >= '0' && *p <= '9' && n < sizeof(digits) - 1)
			digits[n++] = *p;
	exp = (int)strtol(strchr(sci, 'e') + 1, NULL, 10);
	if (signbit(d))
		puts_to(o, "-");
	if (exp < 0)
		puts_to(o, "0.");
	for (int i = exp + 1; i < 0; i++)
		puts_to(o, "0");
	for (int i = 0; i < (int)n || i <= exp; i++) {
		if (exp >= 0 && i == exp + 1)
			puts_to(o, ".");
		put(o, i < (int)n ? &digits[i] : "0", 1);
	}
}

static void put_hex(struct out *o, const struct inspect_node *n)
{
	puts_to(o, "<");
	for (size_t i = 0; i < n->str.len; i++)
		putf(o, "%02x", (uint8_t)n->str.data[i]);
	puts_to(o, ">");
}

static void put_base64(struct out *o, const struct inspect_node *n)
{
	static const char abc[] =
		"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
	const uint8_t *p = (const uint8_t *)n->str.data;

	puts_to(o, "\"");
	for (size_t i = 0; i < n->str.len; i += 3) {
		size_t left = MIN(n->str.len - i, (size_t)3);
		uint32_t v = (uint32_t)p[i] << 16;

		v |= left > 1 ? (uint32_t)p[i + 1] << 8 : 0;
		v |= left > 2 ? p[i + 2] : 0;
		for (size_t k = 0; k <= left; k++)
			put(o, &abc[v >> (18 - 6 * k) & 63], 1);
	}
	puts_to(o, "\"");
}

static void put_error(struct out *o, const struct inspect_node *n)
{
	char text[INSPECT_VALUE_MAX + 64];

	inspect_text_error(n, text, sizeof(text));
	if (o->json) {
		puts_to(o, "{\"$error\":");
		put_text(o, text, strlen(text), true);
		puts_to(o, "}");
	} else {
		puts_to(o, "error (");
		put_text(o, text, strlen(text), false);
		puts_to(o, ")");
	}
}

static void put_leaf(struct out *o, const struct inspect_node *n)
{
	switch (n->kind) {
	case INSPECT_UNEVALUATED:
		puts_to(o, o->json ? "null" : "_");
		break;
	case INSPECT_ERROR:
		put_error(o, n);
		break;
	case INSPECT_SIGNED:
		put_uint(o, (uint64_t)n->i64, n->flags, n->i64 < 0);
		break;
	case INSPECT_UNSIGNED:
		put_uint(o, n->u64, n->flags, false);
		break;
	case INSPECT_DOUBLE:
		put_double(o, n->d);
		break;
	case INSPECT_BOOL:
		puts_to(o, n->b ? "true" : "false");
		break;
	case INSPECT_STRING:
		put_text(o, n->str.data, n->str.len, true);
		break;
	case INSPECT_BYTES:
		if (o->json)
			put_base64(o, n);
		else
			put_hex(o, n);
		break;
	case INSPECT_DIR:
		puts_to(o, "{}"); /* the others are written by their ends */
		break;
	case INSPECT_PENDING:
		puts_to(o, o->json ? "null" : "_");
		break;
	}
}

/* ---- trees --------------------------------------------------------------------------------- */

static void indent(struct out *o, uint32_t nest)
{
	if (o->json)
		return;
	puts_to(o, "\n");
	for (uint32_t i = 0; i < nest; i++)
		puts_to(o, "    ");
}

/* In text every entry ends with a comma, in JSON all but the last. */
static void put_node(struct out *o, const struct inspect_iter *it, bool first)
{
	const struct inspect_node *n = it->node;

	if (o->json && it->nest > 0 && !first)
		puts_to(o, ",");
	if (it->nest > 0) {
		indent(o, it->nest);
		put_text(o, n->name, strlen(n->name), o->json);
		puts_to(o, o->json ? ":" : ": ");
	}
	if (n->kind == INSPECT_DIR && n->child) {
		puts_to(o, "{");
		return;
	}
	put_leaf(o, n);
	if (!o->json && it->nest > 0)
		puts_to(o, ",");
}

static void put_ends(struct out *o, uint32_t nest, uint32_t closed)
{
	while (closed-- > 0) {
		indent(o, --nest);
		puts_to(o, "}");
		if (!o->json && nest > 0)
			puts_to(o, ",");
	}
}

static int render(const struct inspect_tree *tree, bool json, char **ret_text)
{
	struct inspect_iter it = inspect_iter(tree);
	struct out o = { .json = json };
	bool more = true, first = true;

	while (more && !o.bad) {
		uint32_t nest = it.nest;

		put_node(&o, &it, first);
		more = inspect_next(&it);
		first = more && it.nest > nest;
		put_ends(&o, nest, more ? it.closed : nest);
	}
	if (o.bad) {
		free(o.buf);
		return -ENOMEM;
	}
	*ret_text = o.buf;
	return 0;
}

int inspect_text(const struct inspect_tree *tree, char **ret_text)
{
	return render(tree, false, ret_text);
}

int inspect_json(const struct inspect_tree *tree, char **ret_text)
{
	return render(tree, true, ret_text);
}

int inspect_text_raw(const struct inspect_tree *tree, char **ret_text)
{
	if (tree->root->kind != INSPECT_STRING)
		return inspect_text(tree, ret_text);
	*ret_text = strndup(tree->root->str.data, tree->root->str.len);
	return *ret_text ? 0 : -ENOMEM;
}

void inspect_text_error(const struct inspect_node *node, char *ret_buf, size_t size)
{
	bool reason = node->str.len > 0;

	(void)snprintf(ret_buf, size, "%s%s%s", inspect_error_text(node), reason ? ": " : "",
		       reason ? node->str.data : "");
}

/* ---- differences --------------------------------------------------------------------------- */

static void rate(struct inspect_node *now, const struct inspect_node *last, double seconds)
{
	double diff;

	if (!(now->flags & INSPECT_F_COUNT) || now->kind != last->kind)
		return;
	if (now->kind == INSPECT_UNSIGNED || now->kind == INSPECT_SIGNED)
		diff = (double)(int64_t)(now->u64 - last->u64);
	else if (now->kind == INSPECT_DOUBLE)
		diff = now->d - last->d;
	else
		return;
	now->kind = INSPECT_DOUBLE;
	now->d = diff / seconds;
}

void inspect_since(struct inspect_tree *now, const struct inspect_tree *last, double seconds)
{
	const struct inspect_node *at[INSPECT_NEST_MAX + 1]; /* where in @last, by level */
	struct inspect_iter it = inspect_iter(now);

	at[0] = last->root;
	do {
		const struct inspect_node *old = at[it.nest];

		if (it.nest > 0) {
			while (old && inspect_natural_cmp(old->name, it.node->name) < 0)
				old = old->next;
			at[it.nest] = old;
			if (old && strcmp(old->name, it.node->name) != 0)
				old = NULL;
		}
		if (old)
			rate(it.node, old, seconds);
		if (it.node->kind == INSPECT_DIR && it.node->child)
			at[it.nest + 1] = old && old->kind == INSPECT_DIR ? old->child : NULL;
	} while (inspect_next(&it));
}
