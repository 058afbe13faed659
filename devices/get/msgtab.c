/* SPDX-License-Identifier: MIT */
#include "msgtab.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "json.h"
#include "rd.h"
#include "utf8.h"

#define BLOCK_BYTES 16384u

/* ---- memory ---------------------------------------------------------------------------------- */

struct mt_block {
	struct mt_block *next;
	size_t used;
	_Alignas(16) uint8_t data[BLOCK_BYTES];
};

/* A zeroed piece, NULL when the limit or the memory is used up. Larger ones get their own block. */
static void *take(struct mt_arena *arena, size_t len)
{
	const size_t need = (len + 15) & ~(size_t)15;
	struct mt_block *b = arena->blocks;

	if (len > arena->left || need > arena->left)
		return NULL;
	if (!b || need > BLOCK_BYTES - b->used) {
		const size_t room = MAX(need, (size_t)BLOCK_BYTES);

		b = calloc(1, offsetof(struct mt_block, data) + room);
		if (!b)
			return NULL;
		b->next = arena->blocks;
		arena->blocks = b;
		if (need > BLOCK_BYTES) {
			b->used = BLOCK_BYTES;
			arena->left -= need;
			return b->data;
		}
	}
	arena->left -= need;
	b->used += need;
	return b->data + b->used - need;
}

void mt_arena_fini(struct mt_arena *arena)
{
	while (arena->blocks) {
		struct mt_block *b = arena->blocks;

		arena->blocks = b->next;
		free(b);
	}
}

/* ---- members --------------------------------------------------------------------------------- */

/* What is being read: for both encodings. */
struct reader {
	struct mt_arena *arena;
	struct mt_why why;
};

static int refuse(struct reader *rd, int err, const char *what)
{
	rd->why.field = what;
	return err;
}

static void *at(void *obj, uint32_t off)
{
	return (char *)obj + off;
}

static void set_has(const struct mt_field *f, void *obj)
{
	if (f->has_off)
		*(bool *)at(obj, f->has_off) = true;
}

/* The struct of a message member: the one that is there already, or a new one. */
static int sub_message(struct reader *rd, const struct mt_field *f, void *obj, void **ret_sub)
{
	void **member = at(obj, f->off);

	if (!*member)
		*member = take(rd->arena, f->type->size);
	if (!*member)
		return refuse(rd, -E2BIG, f->name);
	*ret_sub = *member;
	return 0;
}

static int new_element(struct reader *rd, const struct mt_field *f, struct mt_list *list,
		       void **ret_sub)
{
	struct mt_link *elem = list->n < f->max ? take(rd->arena, f->type->size) : NULL;

	if (!elem)
		return refuse(rd, -E2BIG, f->name);
	if (list->last)
		list->last->next = elem;
	else
		list->first = elem;
	list->last = elem;
	list->n++;
	*ret_sub = elem;
	return 0;
}

/* ---- protobuf -------------------------------------------------------------------------------- */

enum wire { WIRE_VARINT = 0, WIRE_64 = 1, WIRE_LEN = 2, WIRE_32 = 5 };

struct pb_frame {
	struct rd rd;
	const struct mt_type *type;
	void *obj;
};

static uint64_t pb_varint(struct rd *rd)
{
	uint64_t val = 0;

	for (unsigned shift = 0; shift < 70; shift += 7) {
		const uint8_t b = rd_u8(rd);

		if (rd->bad || (shift == 63 && b > 1))
			break;
		val |= (uint64_t)(b & 0x7f) << shift;
		if (!(b & 0x80))
			return val;
	}
	rd->bad = true;
	return 0;
}

static struct rd pb_len(struct rd *rd)
{
	const uint64_t len = pb_varint(rd);
	const void *p;

	if (len > rd->left)
		rd->bad = true;
	p = rd_bytes(rd, (size_t)len);
	return rd_make(p, p ? (size_t)len : 0);
}

static void pb_skip(struct rd *rd, unsigned int wire)
{
	switch (wire) {
	case WIRE_VARINT:
		(void)pb_varint(rd);
		break;
	case WIRE_64:
		rd_skip(rd, 8);
		break;
	case WIRE_LEN:
		(void)pb_len(rd);
		break;
	case WIRE_32:
		rd_skip(rd, 4);
		break;
	default:
		rd->bad = true;
	}
}

static int pb_scalar(struct reader *rd, const struct mt_field *f, void *obj, uint64_t val)
{
	switch (f->kind) {
	case MT_U32:
		*(uint32_t *)at(obj, f->off) = (uint32_t)val;
		break;
	case MT_U64:
		*(uint64_t *)at(obj, f->off) = val;
		break;
	case MT_BOOL:
		*(bool *)at(obj, f->off) = val != 0;
		break;
	case MT_ENUM:
		*(int32_t *)at(obj, f->off) = (int32_t)(uint32_t)val;
		break;
	case MT_STR:
	case MT_BYTES:
	case MT_MSG:
	case MT_LIST:
		return refuse(rd, -EBADMSG, f->name);
	}
	return 0;
}

/* A length-delimited field; *ret_sub is set when it is a message to go into. */
static int pb_delimited(struct reader *rd, const struct mt_field *f, void *obj,
			const struct rd *val, void **ret_sub)
{
	struct mt_str *str = at(obj, f->off);

	switch (f->kind) {
	case MT_STR:
		if (!utf8_ok((const char *)val->p, val->left))
			return refuse(rd, -EBADMSG, f->name);
		*str = (struct mt_str){ (const char *)val->p, val->left };
		return 0;
	case MT_BYTES:
		*str = (struct mt_str){ (const char *)val->p, val->left };
		return 0;
	case MT_MSG:
		return sub_message(rd, f, obj, ret_sub);
	case MT_LIST:
		return new_element(rd, f, at(obj, f->off), ret_sub);
	case MT_U32:
	case MT_U64:
	case MT_BOOL:
	case MT_ENUM:
		break;
	}
	return refuse(rd, -EBADMSG, f->name);
}

static const struct mt_field *field_by_no(const struct mt_type *type, uint64_t no)
{
	for (size_t i = 0; i < type->n_fields; i++) {
		if (type->fields[i].no == no)
			return &type->fields[i];
	}
	return NULL;
}

/* One field of the innermost message; *ret_sub as in pb_delimited(), *ret_val its bytes. */
static int pb_field(struct reader *rd, struct pb_frame *fr, const struct mt_field **ret_f,
		    struct rd *ret_val, void **ret_sub)
{
	const uint64_t tag = pb_varint(&fr->rd);
	const unsigned int wire = tag & 7;
	const struct mt_field *f = field_by_no(fr->type, tag >> 3);
	uint64_t val;
	int r = 0;

	if (fr->rd.bad || tag >> 3 == 0 || tag > UINT32_MAX)
		return refuse(rd, -EBADMSG, "(tag)");
	if (!f) {
		pb_skip(&fr->rd, wire);
	} else if (wire == WIRE_VARINT) {
		val = pb_varint(&fr->rd);
		if (!fr->rd.bad)
			r = pb_scalar(rd, f, fr->obj, val);
	} else if (wire == WIRE_LEN) {
		*ret_val = pb_len(&fr->rd);
		if (!fr->rd.bad)
			r = pb_delimited(rd, f, fr->obj, ret_val, ret_sub);
	} else {
		r = refuse(rd, -EBADMSG, f->name);
	}
	if (fr->rd.bad)
		return refuse(rd, -EBADMSG, f ? f->name : "(unknown field)");
	if (r == 0 && f)
		set_has(f, fr->obj);
	*ret_f = f;
	return r;
}

static int read_protobuf(struct reader *rd, const struct mt_type *type, const void *buf, size_t len,
			 void *obj)
{
	struct pb_frame stack[MT_MAX_DEPTH];
	unsigned int depth = 1;

	stack[0] = (struct pb_frame){ rd_make(buf, len), type, obj };
	while (depth) {
		struct pb_frame *fr = &stack[depth - 1];
		const struct mt_field *f;
		void *sub = NULL;
		struct rd val;
		int r;

		if (!fr->rd.left) {
			depth--;
			continue;
		}
		r = pb_field(rd, fr, &f, &val, &sub);
		if (r < 0)
			return r;
		if (!sub)
			continue;
		if (depth == MT_MAX_DEPTH)
			return refuse(rd, -E2BIG, f->name);
		stack[depth++] = (struct pb_frame){ val, f->type, sub };
	}
	return 0;
}

/* ---- JSON ------------------------------------------------------------------------------------ */

/* An object being filled, or (list set) an array whose elements are being read. */
struct js_frame {
	uint32_t node; /* the next member or element */
	const struct mt_type *type;
	void *obj;
	uint64_t seen; /* fields, by index */
	const struct mt_field *list;
};

struct js {
	struct reader *rd;
	struct json json;
	struct js_frame stack[MT_MAX_DEPTH];
	unsigned int depth;
};

/* Is this the field's name, as it is or in lowerCamelCase? */
static bool is_name(const char *name, const char *key, size_t len)
{
	size_t n = 0;

	if (strlen(name) == len && memcmp(name, key, len) == 0)
		return true;
	for (; *name; name++, n++) {
		char c = *name;

		if (c == '_') {
			c = *++name;
			c = c >= 'a' && c <= 'z' ? (char)(c - 'a' + 'A') : c;
		}
		if (n == len || key[n] != c)
			return false;
	}
	return n == len;
}

static const struct mt_field *field_by_key(const struct js *js, const struct mt_type *type,
					   uint32_t node)
{
	const struct json_node *nd = &js->json.nodes[node];

	for (size_t i = 0; i < type->n_fields; i++) {
		if (is_name(type->fields[i].name, js->json.text + nd->key_off, nd->key_len))
			return &type->fields[i];
	}
	return NULL;
}

static int js_number(const struct js *js, uint32_t node, uint64_t max, uint64_t *ret_val)
{
	const struct json_node *nd = &js->json.nodes[node];
	const char *p = js->json.text + nd->off;
	uint64_t val = 0;

	if (nd->type != JSON_STRING)
		return json_u64(&js->json, node, max, ret_val);
	if (!nd->len || nd->len > 20)
		return -EBADMSG;
	for (uint32_t i = 0; i < nd->len; i++) {
		if (p[i] < '0' || p[i] > '9' || __builtin_mul_overflow(val, 10u, &val) ||
		    __builtin_add_overflow(val, (uint64_t)(p[i] - '0'), &val))
			return -EBADMSG;
	}
	if (val > max)
		return -EBADMSG;
	*ret_val = val;
	return 0;
}

static int js_enum(const struct js *js, uint32_t node, const struct mt_name *names,
		   int32_t *ret_val)
{
	uint64_t num;
	const bool is_num = json_is(&js->json, node, JSON_NUMBER) &&
			    json_u64(&js->json, node, INT32_MAX, &num) == 0;

	for (; names->name; names++) {
		if (is_num ? (uint64_t)names->val == num
			   : json_string_is(&js->json, node, names->name)) {
			*ret_val = names->val;
			return 0;
		}
	}
	return -EBADMSG;
}

static int js_string(struct js *js, uint32_t node, struct mt_str *ret_str)
{
	const struct json_node *nd = &js->json.nodes[node];
	char *text;
	int r;

	if (nd->type != JSON_STRING)
		return -EBADMSG;
	text = take(js->rd->arena, (size_t)nd->len + 1);
	if (!text)
		return -E2BIG;
	r = json_string(&js->json, node, text, (size_t)nd->len + 1);
	if (r == 0)
		*ret_str = (struct mt_str){ text, strlen(text) };
	return r;
}

static int js_bytes(struct js *js, uint32_t node, struct mt_str *ret_str)
{
	const size_t room = json_base64_room(&js->json, node);
	uint8_t *data = take(js->rd->arena, room);
	size_t len;
	int r;

	if (!data)
		return -E2BIG;
	r = json_base64(&js->json, node, data, room, &len);
	if (r == 0)
		*ret_str = (struct mt_str){ (const char *)data, len };
	return r;
}

static int js_push(struct js *js, const struct js_frame *fr)
{
	if (js->depth == MT_MAX_DEPTH)
		return -E2BIG;
	js->stack[js->depth++] = *fr;
	return 0;
}

static int js_message(struct js *js, const struct mt_field *f, void *obj, uint32_t node)
{
	const uint32_t first = js->json.nodes[node].first;
	void *sub;
	int r;

	if (!json_is(&js->json, node, JSON_OBJECT))
		return -EBADMSG;
	r = sub_message(js->rd, f, obj, &sub);
	return r < 0 ? r
		     : js_push(js,
			       &(struct js_frame){ .node = first, .type = f->type, .obj = sub });
}

static int js_value(struct js *js, const struct mt_field *f, void *obj, uint32_t node)
{
	const uint32_t first = js->json.nodes[node].first;
	uint64_t val = 0;
	int r;

	switch (f->kind) {
	case MT_U32:
		r = js_number(js, node, UINT32_MAX, &val);
		*(uint32_t *)at(obj, f->off) = (uint32_t)val;
		return r;
	case MT_U64:
		return js_number(js, node, UINT64_MAX, at(obj, f->off));
	case MT_BOOL:
		return json_bool(&js->json, node, at(obj, f->off));
	case MT_ENUM:
		return js_enum(js, node, f->names, at(obj, f->off));
	case MT_STR:
		return js_string(js, node, at(obj, f->off));
	case MT_BYTES:
		return js_bytes(js, node, at(obj, f->off));
	case MT_MSG:
		return js_message(js, f, obj, node);
	case MT_LIST:
		if (!json_is(&js->json, node, JSON_ARRAY))
			return -EBADMSG;
		return js_push(js, &(struct js_frame){ .node = first, .obj = obj, .list = f });
	}
	return -EBADMSG;
}

static int js_member(struct js *js, struct js_frame *fr, uint32_t node)
{
	const struct mt_field *f = field_by_key(js, fr->type, node);
	void *obj = fr->obj;
	uint64_t bit;
	int r;

	if (!f)
		return refuse(js->rd, -EBADMSG, "(unknown name)");
	bit = BIT(f - fr->type->fields);
	if (fr->seen & bit)
		return refuse(js->rd, -EBADMSG, f->name);
	fr->seen |= bit;
	if (json_is(&js->json, node, JSON_NULL))
		return 0;
	r = js_value(js, f, obj, node); /* fr may be stale from here on */
	if (r < 0)
		return refuse(js->rd, r, f->name);
	set_has(f, obj);
	return 0;
}

static int js_element(struct js *js, const struct mt_field *f, void *obj, uint32_t node)
{
	void *sub;
	int r;

	if (!json_is(&js->json, node, JSON_OBJECT))
		return refuse(js->rd, -EBADMSG, f->name);
	r = new_element(js->rd, f, at(obj, f->off), &sub);
	if (r == 0)
		r = js_push(js, &(struct js_frame){ .node = js->json.nodes[node].first,
						    .type = f->type,
						    .obj = sub });
	return r < 0 ? refuse(js->rd, r, f->name) : 0;
}

static int js_walk(struct js *js, const struct mt_type *type, void *obj)
{
	if (!json_is(&js->json, 0, JSON_OBJECT))
		return refuse(js->rd, -EBADMSG, "(top level)");
	js->stack[0] =
		(struct js_frame){ .node = js->json.nodes[0].first, .type = type, .obj = obj };
	js->depth = 1;
	while (js->depth) {
		struct js_frame *fr = &js->stack[js->depth - 1];
		const uint32_t node = fr->node;
		int r;

		if (node == JSON_NONE) {
			js->depth--;
			continue;
		}
		fr->node = js->json.nodes[node].next;
		r = fr->list ? js_element(js, fr->list, fr->obj, node) : js_member(js, fr, node);
		if (r < 0)
			return r;
	}
	return 0;
}

static int read_json(struct reader *rd, const struct mt_type *type, const char *text, size_t len,
		     void *obj)
{
	struct js js = { .rd = rd };
	int r = json_parse(text, len, &js.json);

	if (r < 0)
		return refuse(rd, r, "(syntax)");
	r = js_walk(&js, type, obj);
	json_fini(&js.json);
	return r;
}

/* ---- both ------------------------------------------------------------------------------------ */

static bool looks_like_json(const uint8_t *p, size_t len)
{
	while (len && (*p == ' ' || *p == '\t' || *p == '\n' || *p == '\f' || *p == '\r')) {
		p++;
		len--;
	}
	return len && *p == '{';
}

int mt_read(const struct mt_type *type, const void *buf, size_t len, struct mt_arena *arena,
	    void *obj, struct mt_why *ret_why)
{
	struct reader pb = { .arena = arena };
	struct reader js = { .arena = arena, .why.json = true };
	int r, r_json = 0;

	memset(obj, 0, type->size);
	if (looks_like_json(buf, len)) {
		r_json = read_json(&js, type, buf, len, obj);
		if (r_json == 0)
			return 0;
		memset(obj, 0, type->size);
	}
	r = read_protobuf(&pb, type, buf, len, obj);
	if (r < 0)
		*ret_why = r_json < 0 ? js.why : pb.why;
	return r < 0 && r_json < 0 ? r_json : r;
}
