/* SPDX-License-Identifier: MIT */
#include "json.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

struct parser {
	struct json *j;
	const char *p, *end;
	uint32_t stack[JSON_MAX_DEPTH]; /* open containers */
	uint32_t last[JSON_MAX_DEPTH]; /* their last child */
	unsigned depth;
};

/* ---- characters ------------------------------------------------------------------------------ */

static void skip_space(struct parser *ps)
{
	while (ps->p < ps->end &&
	       (*ps->p == ' ' || *ps->p == '\t' || *ps->p == '\n' || *ps->p == '\r'))
		ps->p++;
}

static bool eat(struct parser *ps, char c)
{
	if (ps->p == ps->end || *ps->p != c)
		return false;
	ps->p++;
	return true;
}

static int hex_digit(char c)
{
	if (c >= '0' && c <= '9')
		return c - '0';
	if (c >= 'a' && c <= 'f')
		return c - 'a' + 10;
	if (c >= 'A' && c <= 'F')
		return c - 'A' + 10;
	return -1;
}

/* Four hex digits at p (there are that many); -1 when they are not. */
static int32_t hex4(const char *p)
{
	int32_t val = 0;

	for (int i = 0; i < 4; i++) {
		int d = hex_digit(p[i]);

		if (d < 0)
			return -1;
		val = val << 4 | d;
	}
	return val;
}

/*
 * One character of a string's inside, with escapes: returns how many bytes of text it took, 0 when
 * it is not valid. Lone surrogates are not.
 */
static size_t take_escape(const char *p, size_t left, uint32_t *ret_cp)
{
	static const char from[] = "\"\\/bfnrt", to[] = "\"\\/\b\f\n\r\t";
	const char *at;
	int32_t hi, lo;

	if (left < 2)
		return 0;
	at = p[1] ? strchr(from, p[1]) : NULL;
	if (at) {
		*ret_cp = (uint8_t)to[at - from];
		return 2;
	}
	if (p[1] != 'u' || left < 6)
		return 0;
	hi = hex4(p + 2);
	if (hi < 0 || (hi >= 0xdc00 && hi <= 0xdfff))
		return 0;
	*ret_cp = (uint32_t)hi;
	if (hi < 0xd800 || hi > 0xdbff)
		return 6;
	if (left < 12 || p[6] != '\\' || p[7] != 'u')
		return 0;
	lo = hex4(p + 8);
	if (lo < 0xdc00 || lo > 0xdfff)
		return 0;
	*ret_cp = 0x10000 + ((uint32_t)(hi - 0xd800) << 10) + (uint32_t)(lo - 0xdc00);
	return 12;
}

/* One UTF-8 sequence, shortest form, no surrogates; 0 when it is not. */
static size_t take_utf8(const char *text, size_t left, uint32_t *ret_cp)
{
	static const uint32_t least[] = { 0, 0, 0x80, 0x800, 0x10000 };
	const uint8_t *p = (const uint8_t *)text;
	const size_t n = p[0] < 0x80 ? 1 : p[0] < 0xc0 ? 0 : p[0] < 0xe0 ? 2 : p[0] < 0xf0 ? 3 : 4;
	uint32_t cp;

	if (!n || n > left || p[0] > 0xf4)
		return 0;
	cp = n == 1 ? p[0] : p[0] & (0xffu >> (n + 1));
	for (size_t i = 1; i < n; i++) {
		if ((p[i] & 0xc0) != 0x80)
			return 0;
		cp = cp << 6 | (p[i] & 0x3f);
	}
	if (cp < least[n] || cp > 0x10ffff || (cp >= 0xd800 && cp <= 0xdfff))
		return 0;
	*ret_cp = cp;
	return n;
}

static size_t take_char(const char *p, size_t left, uint32_t *ret_cp)
{
	if (*p == '\\')
		return take_escape(p, left, ret_cp);
	if ((uint8_t)*p < 0x20)
		return 0;
	return take_utf8(p, left, ret_cp);
}

/* After the opening quote: check up to the closing one. */
static int scan_string(struct parser *ps, uint32_t *ret_off, uint32_t *ret_len)
{
	const char *start = ps->p;

	while (ps->p < ps->end && *ps->p != '"') {
		uint32_t cp;
		size_t n = take_char(ps->p, (size_t)(ps->end - ps->p), &cp);

		if (!n)
			return -EBADMSG;
		ps->p += n;
	}
	*ret_off = (uint32_t)(start - ps->j->text);
	*ret_len = (uint32_t)(ps->p - start);
	return eat(ps, '"') ? 0 : -EBADMSG;
}

static bool digits(struct parser *ps)
{
	const char *start = ps->p;

	while (ps->p < ps->end && *ps->p >= '0' && *ps->p <= '9')
		ps->p++;
	return ps->p > start;
}

static int scan_number(struct parser *ps, struct json_node *node)
{
	const char *start = ps->p;

	(void)eat(ps, '-');
	if (!eat(ps, '0') && !digits(ps))
		return -EBADMSG;
	if (eat(ps, '.') && !digits(ps))
		return -EBADMSG;
	if (eat(ps, 'e') || eat(ps, 'E')) {
		if (!eat(ps, '+'))
			(void)eat(ps, '-');
		if (!digits(ps))
			return -EBADMSG;
	}
	node->type = JSON_NUMBER;
	node->off = (uint32_t)(start - ps->j->text);
	node->len = (uint32_t)(ps->p - start);
	return 0;
}

static int scan_word(struct parser *ps, struct json_node *node)
{
	static const struct {
		const char *word;
		enum json_type type;
	} words[] = { { "true", JSON_TRUE }, { "false", JSON_FALSE }, { "null", JSON_NULL } };

	for (size_t i = 0; i < ARRAY_SIZE(words); i++) {
		size_t n = strlen(words[i].word);

		if ((size_t)(ps->end - ps->p) >= n && !memcmp(ps->p, words[i].word, n)) {
			ps->p += n;
			node->type = words[i].type;
			return 0;
		}
	}
	return -EBADMSG;
}

/* ---- nodes ----------------------------------------------------------------------------------- */

static int node_add(struct json *j, const struct json_node *node)
{
	if (j->n == j->cap) {
		uint32_t cap = j->cap ? j->cap * 2 : 64;
		struct json_node *nodes;

		if (cap > JSON_MAX_NODES)
			return -E2BIG;
		nodes = realloc(j->nodes, cap * sizeof(*nodes));
		if (!nodes)
			return -ENOMEM;
		j->nodes = nodes;
		j->cap = cap;
	}
	j->nodes[j->n++] = *node;
	return 0;
}

static int open_container(struct parser *ps, struct json_node *node)
{
	node->type = *ps->p++ == '{' ? JSON_OBJECT : JSON_ARRAY;
	if (ps->depth == JSON_MAX_DEPTH)
		return -E2BIG;
	ps->stack[ps->depth] = ps->j->n; /* the index it is about to get */
	ps->last[ps->depth] = JSON_NONE;
	return 0;
}

static int scan_value(struct parser *ps, struct json_node *node)
{
	if (ps->p == ps->end)
		return -EBADMSG;
	switch (*ps->p) {
	case '{':
	case '[':
		return open_container(ps, node);
	case '"':
		ps->p++;
		node->type = JSON_STRING;
		return scan_string(ps, &node->off, &node->len);
	case '-':
	case '0' ... '9':
		return scan_number(ps, node);
	default:
		return scan_word(ps, node);
	}
}

static int scan_key(struct parser *ps, struct json_node *node)
{
	int r;

	if (!eat(ps, '"'))
		return -EBADMSG;
	r = scan_string(ps, &node->key_off, &node->key_len);
	if (r < 0)
		return r;
	skip_space(ps);
	if (!eat(ps, ':'))
		return -EBADMSG;
	skip_space(ps);
	return 0;
}

/* One value with its key; becomes the last child of the innermost container. */
static int add_value(struct parser *ps)
{
	struct json_node node = { .first = JSON_NONE, .next = JSON_NONE };
	struct json *j = ps->j;
	const uint32_t idx = j->n;
	int r;

	if (ps->depth && j->nodes[ps->stack[ps->depth - 1]].type == JSON_OBJECT) {
		r = scan_key(ps, &node);
		if (r < 0)
			return r;
	}
	r = scan_value(ps, &node);
	if (r == 0)
		r = node_add(j, &node);
	if (r < 0)
		return r;
	if (ps->depth) {
		uint32_t *last = &ps->last[ps->depth - 1];

		if (*last == JSON_NONE)
			j->nodes[ps->stack[ps->depth - 1]].first = idx;
		else
			j->nodes[*last].next = idx;
		*last = idx;
	}
	if (node.type == JSON_OBJECT || node.type == JSON_ARRAY)
		ps->depth++;
	return 0;
}

static bool close_container(struct parser *ps)
{
	const struct json_node *c = &ps->j->nodes[ps->stack[ps->depth - 1]];

	if (!eat(ps, c->type == JSON_OBJECT ? '}' : ']'))
		return false;
	ps->depth--;
	return true;
}

static int parse_all(struct parser *ps)
{
	bool fresh = true; /* just inside a container: an end or a value, no comma */
	int r;

	skip_space(ps);
	r = add_value(ps);
	while (r == 0 && ps->depth) {
		const unsigned before = ps->depth;

		skip_space(ps);
		if (close_container(ps)) {
			fresh = false;
			continue;
		}
		if (!fresh && !eat(ps, ','))
			return -EBADMSG;
		skip_space(ps);
		r = add_value(ps);
		fresh = ps->depth > before;
	}
	skip_space(ps);
	return r < 0 ? r : ps->p == ps->end ? 0 : -EBADMSG;
}

int json_parse(const char *text, size_t len, struct json *ret_j)
{
	struct json j = { .text = text };
	struct parser ps = { .j = &j, .p = text, .end = text + len };
	int r;

	if (len > JSON_MAX_TEXT)
		return -E2BIG;
	r = parse_all(&ps);
	if (r < 0) {
		free(j.nodes);
		return r;
	}
	*ret_j = j;
	return 0;
}

void json_fini(struct json *j)
{
	free(j->nodes);
	*j = (struct json){ 0 };
}

/* ---- values ---------------------------------------------------------------------------------- */

static bool text_is(const struct json *j, uint32_t off, uint32_t len, const char *want)
{
	return len == strlen(want) && !memcmp(j->text + off, want, len);
}

uint32_t json_member(const struct json *j, uint32_t obj, const char *name)
{
	if (!json_is(j, obj, JSON_OBJECT))
		return JSON_NONE;
	for (uint32_t i = j->nodes[obj].first; i != JSON_NONE; i = j->nodes[i].next) {
		if (text_is(j, j->nodes[i].key_off, j->nodes[i].key_len, name))
			return i;
	}
	return JSON_NONE;
}

bool json_is(const struct json *j, uint32_t node, enum json_type type)
{
	return node < j->n && j->nodes[node].type == type;
}

int json_bool(const struct json *j, uint32_t node, bool *ret_val)
{
	if (!json_is(j, node, JSON_TRUE) && !json_is(j, node, JSON_FALSE))
		return -EBADMSG;
	*ret_val = j->nodes[node].type == JSON_TRUE;
	return 0;
}

int json_u64(const struct json *j, uint32_t node, uint64_t max, uint64_t *ret_val)
{
	const char *p;
	uint64_t val = 0;

	if (!json_is(j, node, JSON_NUMBER))
		return -EBADMSG;
	p = j->text + j->nodes[node].off;
	for (uint32_t i = 0; i < j->nodes[node].len; i++) {
		if (p[i] < '0' || p[i] > '9')
			return -EBADMSG;
		if (__builtin_mul_overflow(val, 10u, &val) ||
		    __builtin_add_overflow(val, (uint64_t)(p[i] - '0'), &val))
			return -EBADMSG;
	}
	if (val > max)
		return -EBADMSG;
	*ret_val = val;
	return 0;
}

static size_t utf8_put(uint32_t cp, char buf[4])
{
	if (cp < 0x80) {
		buf[0] = (char)cp;
		return 1;
	}
	if (cp < 0x800) {
		buf[0] = (char)(0xc0 | cp >> 6);
		buf[1] = (char)(0x80 | (cp & 0x3f));
		return 2;
	}
	if (cp < 0x10000) {
		buf[0] = (char)(0xe0 | cp >> 12);
		buf[1] = (char)(0x80 | (cp >> 6 & 0x3f));
		buf[2] = (char)(0x80 | (cp & 0x3f));
		return 3;
	}
	buf[0] = (char)(0xf0 | cp >> 18);
	buf[1] = (char)(0x80 | (cp >> 12 & 0x3f));
	buf[2] = (char)(0x80 | (cp >> 6 & 0x3f));
	buf[3] = (char)(0x80 | (cp & 0x3f));
	return 4;
}

int json_string(const struct json *j, uint32_t node, char *ret_buf, size_t cap)
{
	const char *p, *end;
	size_t done = 0;

	if (!json_is(j, node, JSON_STRING) || !cap)
		return -EBADMSG;
	p = j->text + j->nodes[node].off;
	end = p + j->nodes[node].len;
	while (p < end) {
		char enc[4];
		uint32_t cp;
		size_t n = take_char(p, (size_t)(end - p), &cp);
		size_t m;

		if (!n)
			return -EBADMSG; /* cannot be: json_parse() went through it */
		m = utf8_put(cp, enc);
		if (m >= cap - done)
			break;
		memcpy(ret_buf + done, enc, m);
		done += m;
		p += n;
	}
	ret_buf[done] = 0;
	return 0;
}

bool json_string_is(const struct json *j, uint32_t node, const char *text)
{
	return json_is(j, node, JSON_STRING) &&
	       text_is(j, j->nodes[node].off, j->nodes[node].len, text);
}

static int base64_digit(char c)
{
	if (c >= 'A' && c <= 'Z')
		return c - 'A';
	if (c >= 'a' && c <= 'z')
		return c - 'a' + 26;
	if (c >= '0' && c <= '9')
		return c - '0' + 52;
	return c == '+' ? 62 : c == '/' ? 63 : -1;
}

/* Four characters into up to three bytes; how many, or -1. Padding only at the very end. */
static int base64_quad(const char q[4], bool last, uint8_t ret_b[3])
{
	const int pad = last ? (q[3] == '=') + (q[3] == '=' && q[2] == '=') : 0;
	uint32_t val = 0;

	for (int i = 0; i < 4; i++) {
		int d = i >= 4 - pad ? 0 : base64_digit(q[i]);

		if (d < 0)
			return -1;
		val = val << 6 | (uint32_t)d;
	}
	ret_b[0] = (uint8_t)(val >> 16);
	ret_b[1] = (uint8_t)(val >> 8);
	ret_b[2] = (uint8_t)val;
	return 3 - pad;
}

/* The next character of base64 text; the only escape it can need is "\/". */
static bool base64_next(const char **p, const char *end, char *ret_c)
{
	if (end - *p >= 2 && (*p)[0] == '\\' && (*p)[1] == '/')
		++*p;
	if (*p == end)
		return false;
	*ret_c = *(*p)++;
	return true;
}

int json_base64(const struct json *j, uint32_t node, uint8_t *ret_buf, size_t cap, size_t *ret_len)
{
	const char *p, *end;
	size_t done = 0;

	if (!json_is(j, node, JSON_STRING))
		return -EBADMSG;
	p = j->text + j->nodes[node].off;
	end = p + j->nodes[node].len;
	while (p < end) {
		char quad[4];
		uint8_t b[3];
		int n;

		for (int i = 0; i < 4; i++) {
			if (!base64_next(&p, end, &quad[i]))
				return -EBADMSG;
		}
		n = base64_quad(quad, p == end, b);
		if (n < 0)
			return -EBADMSG;
		if ((size_t)n > cap - done)
			return -E2BIG;
		memcpy(ret_buf + done, b, (size_t)n);
		done += (size_t)n;
	}
	*ret_len = done;
	return 0;
}

size_t json_base64_room(const struct json *j, uint32_t node)
{
	return json_is(j, node, JSON_STRING) ? j->nodes[node].len / 4 * 3 : 0;
}
