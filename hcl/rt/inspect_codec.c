/* SPDX-License-Identifier: MIT */
/*
 * A tree between two roles of one program: the nodes in the order of the walk, a directory's
 * children followed by an end mark. Each node: kind, sensitivity, flags, error (a byte each), le16
 * length of the name, the name; then 8 bytes of a number, or le32 length and the bytes of text.
 * Both ends are of the same build, so there is a version only to notice when they are not.
 */
#include "inspect_tree.h"

#include "cleanup.h"
#include "rd.h"
#include "utf8.h"

#include <errno.h>
#include <string.h>

#define VERSION 1
#define END_MARK 0xff

struct out {
	uint8_t *buf;
	size_t len, size;
	bool bad;
};

static void put(struct out *o, const void *data, size_t len)
{
	if (o->bad)
		return;
	if (o->size - o->len < len) {
		size_t size = MAX(2 * o->size, o->len + len + 4096);
		uint8_t *buf = realloc(o->buf, size);

		o->bad = !buf;
		if (!buf)
			return;
		o->buf = buf;
		o->size = size;
	}
	if (len > 0)
		memcpy(o->buf + o->len, data, len);
	o->len += len;
}

static bool has_text(const struct inspect_node *n)
{
	return n->kind == INSPECT_STRING || n->kind == INSPECT_BYTES || n->kind == INSPECT_ERROR;
}

static uint64_t number_of(const struct inspect_node *n)
{
	uint64_t v = 0;

	if (n->kind == INSPECT_BOOL)
		return n->b;
	memcpy(&v, &n->u64, sizeof(v)); /* the bits of any of the numbers */
	return v;
}

static bool has_number(const struct inspect_node *n)
{
	return n->kind == INSPECT_SIGNED || n->kind == INSPECT_UNSIGNED ||
	       n->kind == INSPECT_DOUBLE || n->kind == INSPECT_BOOL;
}

static void put_node(struct out *o, const struct inspect_node *n)
{
	size_t name_len = strlen(n->name);
	uint8_t head[6] = { (uint8_t)n->kind, (uint8_t)n->sens, (uint8_t)n->flags,
			    (uint8_t)n->err };
	uint8_t num[8];

	le16_store(head + 4, (uint16_t)name_len);
	put(o, head, sizeof(head));
	put(o, n->name, name_len);
	if (has_number(n)) {
		le64_store(num, number_of(n));
		put(o, num, 8);
	} else if (has_text(n)) {
		le32_store(num, (uint32_t)n->str.len);
		put(o, num, 4);
		put(o, n->str.data, n->str.len);
	}
}

static void put_ends(struct out *o, uint32_t n)
{
	static const uint8_t end = END_MARK;

	while (n-- > 0)
		put(o, &end, 1);
}

int inspect_encode(const struct inspect_tree *tree, uint8_t **ret_buf, size_t *ret_len)
{
	static const uint8_t version = VERSION;
	struct inspect_iter it = inspect_iter(tree);
	struct out o = { 0 };
	bool more = true;

	if (inspect_pending(tree))
		return -EBUSY;
	put(&o, &version, 1);
	while (more && !o.bad) {
		const struct inspect_node *n = it.node;
		uint32_t nest = it.nest;

		put_node(&o, n);
		more = inspect_next(&it);
		if (n->kind == INSPECT_DIR && !n->child)
			put_ends(&o, 1);
		put_ends(&o, more ? it.closed : nest);
	}
	if (o.bad) {
		free(o.buf);
		return -ENOMEM;
	}
	*ret_buf = o.buf;
	*ret_len = o.len;
	return 0;
}

/* ---- decoding ------------------------------------------------------------------------------ */

struct decoder {
	struct rd rd;
	struct inspect_tree tree;
	struct inspect_node **tail[INSPECT_NEST_MAX + 1]; /* of the open directories */
	uint32_t nest; /* of the node to come */
};

static int get_text(struct decoder *d, struct inspect_node *n)
{
	size_t len = rd_le32(&d->rd);
	const char *text = rd_bytes(&d->rd, len);
	char *copy;

	if (!text)
		return -EBADMSG;
	if (n->kind != INSPECT_BYTES && (!utf8_ok(text, len) || memchr(text, 0, len)))
		return -EBADMSG;
	copy = len < SIZE_MAX ? inspect_alloc(&d->tree, len + 1) : NULL;
	if (!copy)
		return -EBADMSG;
	memcpy(copy, text, len);
	copy[len] = 0;
	n->str.data = copy;
	n->str.len = len;
	return 0;
}

static int get_payload(struct decoder *d, struct inspect_node *n)
{
	uint64_t num;

	n->str.data = "";
	n->str.len = 0;
	if (has_text(n))
		return get_text(d, n);
	if (!has_number(n))
		return 0;
	num = rd_le64(&d->rd);
	if (n->kind == INSPECT_BOOL) {
		if (num > 1)
			return -EBADMSG;
		n->b = num == 1;
	} else {
		memcpy(&n->u64, &num, sizeof(num));
	}
	return d->rd.bad ? -EBADMSG : 0;
}

static int get_node(struct decoder *d, uint8_t kind, struct inspect_node **ret_node)
{
	uint8_t sens = rd_u8(&d->rd), flags = rd_u8(&d->rd), err = rd_u8(&d->rd);
	size_t len = rd_le16(&d->rd);
	const char *name = rd_bytes(&d->rd, len);
	struct inspect_node *n;

	if (!name || kind > INSPECT_DIR || sens > SENS_SENSITIVE || err > INSPECT_CHANNEL ||
	    flags > (INSPECT_F_HEX | INSPECT_F_COUNT | INSPECT_F_BINARY) ||
	    len > INSPECT_NAME_MAX || (len == 0) != (d->nest == 0) || !utf8_ok(name, len) ||
	    memchr(name, 0, len) || memchr(name, '/', len))
		return -EBADMSG;
	n = inspect_node_new(&d->tree, name, len);
	if (!n)
		return -EBADMSG;
	n->kind = (enum inspect_kind)kind;
	n->sens = (enum inspect_sens)sens;
	n->flags = flags;
	n->err = (enum inspect_error)err;
	*ret_node = n;
	return get_payload(d, n);
}

/* One node or end mark. */
static int get_step(struct decoder *d)
{
	uint8_t kind = rd_u8(&d->rd);
	struct inspect_node *n;
	int r;

	if (kind == END_MARK) {
		if (d->nest == 0)
			return -EBADMSG;
		d->nest--;
		return 0;
	}
	r = get_node(d, kind, &n);
	if (r < 0)
		return r;
	*d->tail[d->nest] = n;
	d->tail[d->nest] = &n->next;
	if (n->kind == INSPECT_DIR) {
		if (d->nest >= INSPECT_NEST_MAX)
			return -EBADMSG;
		d->tail[++d->nest] = &n->child;
	}
	return 0;
}

int inspect_decode(const uint8_t *buf, size_t len, size_t max_bytes, struct inspect_tree *ret_tree)
{
	struct decoder d = { .rd = rd_make(buf, len), .tree.left = max_bytes };
	int r = rd_u8(&d.rd) == VERSION ? 0 : -EBADMSG;

	d.tail[0] = &d.tree.root;
	if (r == 0)
		r = get_step(&d);
	while (r == 0 && d.nest > 0 && !d.rd.bad)
		r = get_step(&d);
	if (r == 0 && !rd_end(&d.rd))
		r = -EBADMSG;
	if (r < 0) {
		inspect_tree_fini(&d.tree);
		return r;
	}
	*ret_tree = d.tree;
	return 0;
}
