/* SPDX-License-Identifier: MIT */
/*
 * Decoding, without recursion: one entry of the innermost open directory after the other. Unknown
 * fields are skipped, a field that comes again replaces the first, and in a message that is an
 * enumeration an unknown field means that nothing known is there.
 */
#include "inspect_rpc.h"

#include "inspect_tree.h"
#include "inspect_wire.h"

#include "rd.h"
#include "utf8.h"

#include <errno.h>
#include <string.h>

struct field {
	uint32_t num;
	unsigned type;
	uint64_t val; /* WIRE_VARINT, WIRE_64, WIRE_32 */
	struct rd sub; /* WIRE_LEN */
};

static uint64_t get_varint(struct rd *r)
{
	uint64_t v = 0;

	for (unsigned shift = 0; shift < 70; shift += 7) {
		uint8_t b = rd_u8(r);

		v |= shift < 64 ? (uint64_t)(b & 0x7f) << shift : 0;
		if (b < 0x80)
			return v;
	}
	r->bad = true;
	return 0;
}

/* The next field; false: the end, or r->bad. */
static bool next_field(struct rd *r, struct field *ret_f)
{
	uint64_t key, len;

	if (r->bad || r->left == 0)
		return false;
	key = get_varint(r);
	*ret_f = (struct field){ .num = (uint32_t)(key >> 3), .type = key & 7 };
	if (key > UINT32_MAX || ret_f->num == 0)
		r->bad = true;
	switch (ret_f->type) {
	case WIRE_VARINT:
		ret_f->val = get_varint(r);
		break;
	case WIRE_64:
		ret_f->val = rd_le64(r);
		break;
	case WIRE_32:
		ret_f->val = rd_le32(r);
		break;
	case WIRE_LEN:
		len = get_varint(r);
		r->bad = r->bad || len > r->left;
		ret_f->sub = rd_make(rd_bytes(r, (size_t)len), (size_t)len);
		break;
	default:
		r->bad = true;
		break;
	}
	return !r->bad;
}

/* The variant of an enumeration; 0: none. The payload of every known variant is a message. */
static unsigned get_variant(struct rd *r, unsigned n_variants, struct rd *ret_sub)
{
	unsigned variant = 0;
	struct field f;

	while (next_field(r, &f)) {
		variant = f.num <= n_variants ? f.num : 0;
		if (variant && f.type != WIRE_LEN)
			r->bad = true;
		*ret_sub = f.sub;
	}
	return r->bad ? 0 : variant;
}

/* The one data field of a box; absent = zeros. */
static int get_data(struct rd *r, unsigned type, struct field *ret_f)
{
	struct field f;

	*ret_f = (struct field){ .type = type };
	while (next_field(r, &f)) {
		if (f.num != 1)
			continue;
		if (f.type != type)
			return -EBADMSG;
		*ret_f = f;
	}
	return r->bad ? -EBADMSG : 0;
}

struct decoder {
	struct inspect_tree tree;
	struct {
		struct rd entries; /* of the DirBox, still to come */
		struct inspect_node **tail;
	} open[INSPECT_NEST_MAX];
	uint32_t nest;
};

static int set_text(struct decoder *d, struct inspect_node *n, const struct rd *r)
{
	bool text = n->kind != INSPECT_BYTES;
	char *p;

	if (text &&
	    (!utf8_ok((const char *)r->p, r->left) || (r->left && memchr(r->p, 0, r->left))))
		return -EBADMSG;
	p = r->left < SIZE_MAX ? inspect_alloc(&d->tree, r->left + 1) : NULL;
	if (!p)
		return -EBADMSG;
	if (r->left)
		memcpy(p, r->p, r->left);
	p[r->left] = 0;
	n->str.data = p;
	n->str.len = r->left;
	return 0;
}

/* ---- values and errors --------------------------------------------------------------------- */

static int get_number(struct rd *box, unsigned type, uint64_t *ret_val)
{
	struct field f;
	int r = get_data(box, type, &f);

	if (r == 0)
		*ret_val = f.val;
	return r;
}

static int get_text(struct decoder *d, struct inspect_node *n, struct rd *box)
{
	struct field f;
	int r = get_data(box, WIRE_LEN, &f);

	return r < 0 ? r : set_text(d, n, &f.sub);
}

static double float_val(uint64_t bits)
{
	uint32_t low = (uint32_t)bits;
	float f;

	memcpy(&f, &low, sizeof(f));
	return (double)f;
}

static int get_kind(struct decoder *d, struct inspect_node *n, struct rd *r)
{
	struct rd box;
	uint64_t v;
	int ret;

	switch (get_variant(r, WIRE_KIND_BYTES, &box)) {
	case WIRE_KIND_SIGNED:
		n->kind = INSPECT_SIGNED;
		ret = get_number(&box, WIRE_VARINT, &v);
		n->i64 = ret < 0 ? 0 : (int64_t)(v >> 1 ^ (v & 1 ? UINT64_MAX : 0));
		return ret;
	case WIRE_KIND_UNSIGNED:
		n->kind = INSPECT_UNSIGNED;
		return get_number(&box, WIRE_VARINT, &n->u64);
	case WIRE_KIND_FLOAT:
		n->kind = INSPECT_DOUBLE;
		ret = get_number(&box, WIRE_32, &v);
		n->d = ret < 0 ? 0 : float_val(v);
		return ret;
	case WIRE_KIND_DOUBLE:
		n->kind = INSPECT_DOUBLE;
		return get_number(&box, WIRE_64, &n->u64);
	case WIRE_KIND_BOOL:
		n->kind = INSPECT_BOOL;
		ret = get_number(&box, WIRE_VARINT, &v);
		n->b = ret == 0 && v != 0;
		return ret;
	case WIRE_KIND_STRING:
		n->kind = INSPECT_STRING;
		return get_text(d, n, &box);
	case WIRE_KIND_BYTES:
		n->kind = INSPECT_BYTES;
		return get_text(d, n, &box);
	default:
		return -EBADMSG;
	}
}

static int get_value(struct decoder *d, struct inspect_node *n, struct rd *r)
{
	struct rd kind = { .bad = true };
	struct field f;
	uint64_t bits = 0;

	while (next_field(r, &f)) {
		if (f.num > 2)
			continue;
		if (f.type != WIRE_LEN)
			return -EBADMSG;
		if (f.num == 1) {
			kind = f.sub;
		} else {
			if (get_number(&f.sub, WIRE_VARINT, &bits) < 0)
				return -EBADMSG;
			n->flags = (uint32_t)bits &
				   (INSPECT_F_HEX | INSPECT_F_COUNT | INSPECT_F_BINARY);
		}
	}
	return r->bad || kind.bad ? -EBADMSG : get_kind(d, n, &kind);
}

static int get_error(struct decoder *d, struct inspect_node *n, struct rd *r)
{
	static const enum inspect_error errs[] = { INSPECT_UNRESOLVED, INSPECT_CHANNEL,
						   INSPECT_IMMUTABLE,  INSPECT_UPDATE,
						   INSPECT_NOT_DIR,    INSPECT_NOT_FOUND,
						   INSPECT_INTERNAL };
	unsigned variant;
	struct rd box;

	variant = get_variant(r, ARRAY_SIZE(errs), &box);
	if (variant == 0)
		return -EBADMSG;
	inspect_node_fail(n, errs[variant - 1]);
	return wire_error_has_text(n->err) ? get_text(d, n, &box) : 0;
}

/* ---- nodes --------------------------------------------------------------------------------- */

/* The message in field 1, which must be there. */
static int get_required(struct rd *r, struct rd *ret_sub)
{
	struct field f;
	bool seen = false;

	while (next_field(r, &f)) {
		if (f.num != 1)
			continue;
		if (f.type != WIRE_LEN)
			return -EBADMSG;
		*ret_sub = f.sub;
		seen = true;
	}
	return r->bad || !seen ? -EBADMSG : 0;
}

/* What the node is; a directory becomes the innermost open one. */
static int get_node(struct decoder *d, struct inspect_node *n, struct rd *r)
{
	struct rd box, inner;

	switch (get_variant(r, WIRE_NODE_DIR, &box)) {
	case WIRE_NODE_UNEVALUATED:
		n->kind = INSPECT_UNEVALUATED;
		return 0;
	case WIRE_NODE_FAILED:
		return get_required(&box, &inner) < 0 ? -EBADMSG : get_error(d, n, &inner);
	case WIRE_NODE_VALUE:
		return get_required(&box, &inner) < 0 ? -EBADMSG : get_value(d, n, &inner);
	case WIRE_NODE_DIR:
		if (d->nest >= INSPECT_NEST_MAX)
			return -EBADMSG;
		n->kind = INSPECT_DIR;
		d->open[d->nest].entries = box;
		d->open[d->nest].tail = &n->child;
		d->nest++;
		return 0;
	default:
		return -EBADMSG;
	}
}

static int get_sens(struct rd *r, enum inspect_sens *ret_sens)
{
	struct rd box;
	unsigned variant = get_variant(r, 3, &box);

	if (variant == 0)
		return -EBADMSG;
	*ret_sens = (enum inspect_sens)(variant - 1);
	return 0;
}

static int get_entry(struct decoder *d, struct rd *r)
{
	struct rd part[3] = { { .p = NULL }, { .bad = true }, { .bad = true } };
	struct inspect_node *n;
	enum inspect_sens sens;
	struct field f;

	while (next_field(r, &f)) {
		if (f.num > ARRAY_SIZE(part))
			continue;
		if (f.type != WIRE_LEN)
			return -EBADMSG;
		part[f.num - 1] = f.sub;
	}
	if (r->bad || part[1].bad || part[2].bad || get_sens(&part[2], &sens) < 0)
		return -EBADMSG;
	if (!utf8_ok((const char *)part[0].p, part[0].left) ||
	    (part[0].left && memchr(part[0].p, 0, part[0].left)))
		return -EBADMSG;
	n = inspect_node_new(&d->tree, (const char *)part[0].p, part[0].left);
	if (!n)
		return -EBADMSG;
	n->sens = sens;
	*d->open[d->nest - 1].tail = n;
	d->open[d->nest - 1].tail = &n->next;
	return get_node(d, n, &part[1]);
}

static int get_tree(struct decoder *d, struct rd *root)
{
	struct field f;
	int r;

	r = get_node(d, d->tree.root, root);
	while (r == 0 && d->nest > 0) {
		struct rd *entries = &d->open[d->nest - 1].entries;

		if (!next_field(entries, &f)) {
			r = entries->bad ? -EBADMSG : 0;
			d->nest--;
		} else if (f.num == 1) {
			r = f.type == WIRE_LEN ? get_entry(d, &f.sub) : -EBADMSG;
		}
	}
	return r;
}

static int decode(const uint8_t *buf, size_t len, size_t max_bytes, bool value,
		  struct inspect_tree *ret_tree)
{
	struct decoder d = { .tree.left = max_bytes };
	struct rd msg = rd_make(buf, len), root;
	int r;

	if (get_required(&msg, &root) < 0)
		return -EBADMSG;
	d.tree.root = inspect_node_new(&d.tree, NULL, 0);
	if (!d.tree.root)
		return -EBADMSG;
	r = value ? get_value(&d, d.tree.root, &root) : get_tree(&d, &root);
	if (r < 0)
		inspect_tree_fini(&d.tree);
	else
		*ret_tree = d.tree;
	return r;
}

int inspect_rpc_decode(const uint8_t *buf, size_t len, size_t max_bytes,
		       struct inspect_tree *ret_tree)
{
	return decode(buf, len, max_bytes, false, ret_tree);
}

int inspect_rpc_decode_value(const uint8_t *buf, size_t len, size_t max_bytes,
			     struct inspect_tree *ret_tree)
{
	return decode(buf, len, max_bytes, true, ret_tree);
}
