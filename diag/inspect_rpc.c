/* SPDX-License-Identifier: MIT */
/*
 * Encoding: the length of every message comes before its content, so a first walk over the tree
 * notes the lengths and a second one writes. See inspect_rpc_decode.c for the other direction.
 */
#include "inspect_rpc.h"

#include "inspect_tree.h"
#include "inspect_wire.h"

#include "cleanup.h"
#include "le.h"

#include <errno.h>
#include <string.h>

/* Lengths of a leaf's nested messages, from the outside in; 0 where there is no such message. */
struct leaf_len {
	size_t node; /* the Node itself */
	size_t box; /* ValueBox or ErrorBox */
	size_t inner; /* Value or Error */
	size_t kind; /* ValueKind */
	size_t data; /* UnsignedBox and so on; the StringBox of an Error */
};

static size_t varint_len(uint64_t v)
{
	size_t n = 1;

	for (; v >= 0x80; v >>= 7)
		n++;
	return n;
}

/* A length-delimited field with a tag of one byte. */
static size_t field_len(size_t content)
{
	return 1 + varint_len(content) + content;
}

static uint64_t zigzag(int64_t v)
{
	return ((uint64_t)v << 1) ^ (v < 0 ? UINT64_MAX : 0);
}

/* Fields with the default value are left out. */
static size_t data_len(const struct inspect_node *n)
{
	switch (n->kind) {
	case INSPECT_SIGNED:
		return n->i64 ? 1 + varint_len(zigzag(n->i64)) : 0;
	case INSPECT_UNSIGNED:
		return n->u64 ? 1 + varint_len(n->u64) : 0;
	case INSPECT_DOUBLE:
		return n->u64 ? 9 : 0; /* -0.0 is not the default */
	case INSPECT_BOOL:
		return n->b ? 2 : 0;
	case INSPECT_STRING:
	case INSPECT_BYTES:
		return n->str.len ? field_len(n->str.len) : 0;
	case INSPECT_ERROR:
		return wire_error_has_text(n->err) && n->str.len ? field_len(n->str.len) : 0;
	case INSPECT_UNEVALUATED:
	case INSPECT_DIR:
	case INSPECT_PENDING:
		return 0;
	}
	return 0;
}

static struct leaf_len leaf_len(const struct inspect_node *n)
{
	struct leaf_len l = { .data = data_len(n) };

	if (n->kind == INSPECT_ERROR) {
		l.inner = field_len(l.data);
	} else {
		l.kind = field_len(l.data);
		l.inner = field_len(l.kind);
		if (n->flags)
			l.inner += field_len(1 + varint_len(n->flags));
	}
	l.box = field_len(l.inner);
	l.node = n->kind == INSPECT_UNEVALUATED ? field_len(0) : field_len(l.box);
	return l;
}

/* ---- the first walk ------------------------------------------------------------------------ */

static size_t entry_len(const struct inspect_node *n, size_t node)
{
	size_t name = strlen(n->name);

	return (name ? field_len(name) : 0) + field_len(node) + field_len(field_len(0));
}

static bool is_dir(const struct inspect_node *n)
{
	return n->kind == INSPECT_DIR;
}

static size_t count_nodes(const struct inspect_tree *tree)
{
	struct inspect_iter it = inspect_iter(tree);
	size_t n = 1;

	while (inspect_next(&it))
		n++;
	return n;
}

/* The lengths in the order of the walk: of a Node, or for a directory of its DirBox. Returns the
 * length of the root's Node. */
static size_t measure(const struct inspect_tree *tree, size_t *len)
{
	struct {
		const struct inspect_node *node;
		size_t idx;
	} open[INSPECT_NEST_MAX + 1];
	struct inspect_iter it = inspect_iter(tree);
	bool more = true;

	for (size_t i = 0; more; i++) {
		uint32_t top = it.nest, last;

		open[top].node = it.node;
		open[top].idx = i;
		len[i] = is_dir(it.node) ? 0 : leaf_len(it.node).node;
		more = inspect_next(&it);
		/* What is complete now is added to the directory around it. */
		last = more ? it.nest : 0;
		for (; top > 0 && top >= last; top--) {
			const struct inspect_node *n = open[top].node;
			size_t node = len[open[top].idx];

			node = is_dir(n) ? field_len(node) : node;
			len[open[top - 1].idx] += field_len(entry_len(n, node));
		}
	}
	return is_dir(tree->root) ? field_len(len[0]) : len[0];
}

/* ---- the second walk ----------------------------------------------------------------------- */

static uint8_t *put_varint(uint8_t *p, uint64_t v)
{
	for (; v >= 0x80; v >>= 7)
		*p++ = (uint8_t)(v | 0x80);
	*p++ = (uint8_t)v;
	return p;
}

static uint8_t *put_head(uint8_t *p, unsigned field, size_t content)
{
	*p++ = (uint8_t)(field << 3 | WIRE_LEN);
	return put_varint(p, content);
}

static uint8_t *put_bytes(uint8_t *p, unsigned field, const void *data, size_t len)
{
	p = put_head(p, field, len);
	memcpy(p, data, len);
	return p + len;
}

/* The one field inside a SignedBox, StringBox, ... of a length that is not 0. */
static uint8_t *put_data(uint8_t *p, const struct inspect_node *n)
{
	switch (n->kind) {
	case INSPECT_SIGNED:
		*p++ = 1 << 3 | WIRE_VARINT;
		return put_varint(p, zigzag(n->i64));
	case INSPECT_UNSIGNED:
		*p++ = 1 << 3 | WIRE_VARINT;
		return put_varint(p, n->u64);
	case INSPECT_DOUBLE:
		*p++ = 1 << 3 | WIRE_64;
		le64_store(p, n->u64);
		return p + 8;
	case INSPECT_BOOL:
		*p++ = 1 << 3 | WIRE_VARINT;
		return put_varint(p, 1);
	case INSPECT_STRING:
	case INSPECT_BYTES:
	case INSPECT_ERROR:
		return put_bytes(p, 1, n->str.data, n->str.len);
	case INSPECT_UNEVALUATED:
	case INSPECT_DIR:
	case INSPECT_PENDING:
		break;
	}
	return p;
}

static unsigned kind_field(enum inspect_kind kind)
{
	switch (kind) {
	case INSPECT_SIGNED:
		return WIRE_KIND_SIGNED;
	case INSPECT_UNSIGNED:
		return WIRE_KIND_UNSIGNED;
	case INSPECT_DOUBLE:
		return WIRE_KIND_DOUBLE;
	case INSPECT_BOOL:
		return WIRE_KIND_BOOL;
	case INSPECT_STRING:
		return WIRE_KIND_STRING;
	case INSPECT_BYTES:
		return WIRE_KIND_BYTES;
	case INSPECT_UNEVALUATED:
	case INSPECT_ERROR:
	case INSPECT_DIR:
	case INSPECT_PENDING:
		break;
	}
	return 0;
}

static uint8_t *put_value(uint8_t *p, const struct inspect_node *n, const struct leaf_len *l)
{
	p = put_head(p, 1, l->kind);
	p = put_head(p, kind_field(n->kind), l->data);
	if (l->data > 0)
		p = put_data(p, n);
	if (n->flags) {
		p = put_head(p, 2, 1 + varint_len(n->flags));
		*p++ = 1 << 3 | WIRE_VARINT;
		p = put_varint(p, n->flags);
	}
	return p;
}

/* The content of the Node of a leaf. */
static uint8_t *put_leaf(uint8_t *p, const struct inspect_node *n)
{
	struct leaf_len l = leaf_len(n);

	if (n->kind == INSPECT_UNEVALUATED)
		return put_head(p, WIRE_NODE_UNEVALUATED, 0);
	if (n->kind == INSPECT_ERROR) {
		p = put_head(p, WIRE_NODE_FAILED, l.box);
		p = put_head(p, 1, l.inner);
		p = put_head(p, wire_error_field(n->err), l.data);
		return l.data > 0 ? put_data(p, n) : p;
	}
	p = put_head(p, WIRE_NODE_VALUE, l.box);
	p = put_head(p, 1, l.inner);
	return put_value(p, n, &l);
}

/* A directory's Entry ends with its sensitivity, which comes behind all that is in it. */
static uint8_t *put_sens(uint8_t *p, const struct inspect_node *n)
{
	p = put_head(p, 3, 2);
	return put_head(p, (unsigned)n->sens + 1, 0);
}

static uint8_t *put_tree(uint8_t *p, const struct inspect_tree *tree, const size_t *len)
{
	const struct inspect_node *open[INSPECT_NEST_MAX + 1];
	struct inspect_iter it = inspect_iter(tree);
	bool more = true;

	while (more) {
		const struct inspect_node *n = it.node;
		size_t node = is_dir(n) ? field_len(*len) : *len;
		uint32_t top = it.nest, last;

		open[top] = n;
		if (top > 0) {
			size_t name = strlen(n->name);

			p = put_head(p, 1, entry_len(n, node));
			if (name)
				p = put_bytes(p, 1, n->name, name);
			p = put_head(p, 2, node);
		}
		p = is_dir(n) ? put_head(p, WIRE_NODE_DIR, *len) : put_leaf(p, n);
		len++;
		more = inspect_next(&it);
		last = more ? it.nest : 0;
		for (; top > 0 && top >= last; top--)
			p = put_sens(p, open[top]);
	}
	return p;
}

int inspect_rpc_encode(const struct inspect_tree *tree, size_t max_len, uint8_t **ret_buf,
		       size_t *ret_len)
{
	auto_free size_t *len = NULL;
	size_t node;
	uint8_t *p;

	*ret_buf = NULL;
	*ret_len = 0;
	if (inspect_pending(tree))
		return -EBUSY;
	len = calloc(count_nodes(tree), sizeof(*len));
	if (!len)
		return -ENOMEM;
	node = measure(tree, len);
	*ret_len = field_len(node);
	if (*ret_len > max_len)
		return -EMSGSIZE;
	*ret_buf = malloc(*ret_len);
	if (!*ret_buf)
		return -ENOMEM;
	p = put_head(*ret_buf, 1, node);
	(void)put_tree(p, tree, len);
	return 0;
}

int inspect_rpc_encode_value(const struct inspect_tree *tree, size_t max_len, uint8_t **ret_buf,
			     size_t *ret_len)
{
	const struct inspect_node *n = tree->root;
	struct leaf_len l;

	*ret_buf = NULL;
	*ret_len = 0;
	if (kind_field(n->kind) == 0)
		return -EINVAL;
	l = leaf_len(n);
	*ret_len = field_len(l.inner);
	if (*ret_len > max_len)
		return -EMSGSIZE;
	*ret_buf = malloc(*ret_len);
	if (!*ret_buf)
		return -ENOMEM;
	(void)put_value(put_head(*ret_buf, 1, l.inner), n, &l);
	return 0;
}
