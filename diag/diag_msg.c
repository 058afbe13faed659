/* SPDX-License-Identifier: MIT */
#include "diag_msg.h"

#include <errno.h>
#include <stdbool.h>

/* Messages within messages: no request goes deeper. */
#define NEST_MAX 4

#define WIRE_VARINT 0
#define WIRE_FIXED64 1
#define WIRE_BYTES 2
#define WIRE_FIXED32 5

struct walk {
	const uint8_t *p, *end; /* of the message at hand */
	struct {
		const ProtobufCMessageDescriptor *desc;
		const uint8_t *end;
	} nest[NEST_MAX];
	unsigned depth;
	size_t left; /* elements */
	const char *why;
};

/* ---- UTF-8 ----------------------------------------------------------------------------------- */

/* Length of the character at p, 0 = there is none. */
static size_t utf8_char(const uint8_t *p, size_t left)
{
	static const uint32_t lowest[] = { 0, 0, 0x80, 0x800, 0x10000 };
	uint32_t c = p[0];
	size_t n = c < 0x80 ? 1 : c < 0xc2 ? 0 : c < 0xe0 ? 2 : c < 0xf0 ? 3 : c < 0xf5 ? 4 : 0;

	if (n < 2)
		return n;
	if (n > left)
		return 0;
	c &= 0x7fu >> n;
	for (size_t i = 1; i < n; i++) {
		if ((p[i] & 0xc0) != 0x80)
			return 0;
		c = c << 6 | (p[i] & 0x3f);
	}
	if (c < lowest[n] || c > 0x10ffff || (c >= 0xd800 && c < 0xe000))
		return 0;
	return n;
}

static const char *string_error(const uint8_t *p, size_t len)
{
	while (len) {
		const size_t n = utf8_char(p, len);

		if (!n)
			return "invalid UTF-8 string";
		if (!*p)
			return "null character in a string"; /* protobuf-c would cut it there */
		p += n;
		len -= n;
	}
	return NULL;
}

void diag_utf8_repair(char *text)
{
	uint8_t *p = (uint8_t *)text, *end = p;

	while (*end)
		end++;
	while (p < end) {
		const size_t n = utf8_char(p, (size_t)(end - p));

		if (!n)
			*p = '?';
		p += n ? n : 1;
	}
}

/* ---- the walk -------------------------------------------------------------------------------- */

static uint64_t varint(struct walk *w, const uint8_t *end)
{
	uint64_t v = 0;

	for (unsigned shift = 0; shift < 64; shift += 7) {
		if (w->p == end) {
			w->why = "eof parsing a varint";
			return 0;
		}
		v |= (uint64_t)(*w->p & 0x7f) << shift;
		if (!(*w->p++ & 0x80))
			return v;
	}
	w->why = "varint too big";
	return 0;
}

static bool is_text(ProtobufCType t)
{
	return t == PROTOBUF_C_TYPE_STRING || t == PROTOBUF_C_TYPE_BYTES;
}

static unsigned wire_of(ProtobufCType t)
{
	switch (t) {
	case PROTOBUF_C_TYPE_INT32:
	case PROTOBUF_C_TYPE_SINT32:
	case PROTOBUF_C_TYPE_INT64:
	case PROTOBUF_C_TYPE_SINT64:
	case PROTOBUF_C_TYPE_UINT32:
	case PROTOBUF_C_TYPE_UINT64:
	case PROTOBUF_C_TYPE_BOOL:
	case PROTOBUF_C_TYPE_ENUM:
		return WIRE_VARINT;
	case PROTOBUF_C_TYPE_FIXED64:
	case PROTOBUF_C_TYPE_SFIXED64:
	case PROTOBUF_C_TYPE_DOUBLE:
		return WIRE_FIXED64;
	case PROTOBUF_C_TYPE_FIXED32:
	case PROTOBUF_C_TYPE_SFIXED32:
	case PROTOBUF_C_TYPE_FLOAT:
		return WIRE_FIXED32;
	case PROTOBUF_C_TYPE_STRING:
	case PROTOBUF_C_TYPE_BYTES:
	case PROTOBUF_C_TYPE_MESSAGE:
		return WIRE_BYTES;
	}
	return WIRE_BYTES;
}

static const char *wrong_type(ProtobufCType t)
{
	switch (wire_of(t)) {
	case WIRE_VARINT:
		return "expected a varint";
	case WIRE_FIXED64:
		return "expected a fixed64";
	case WIRE_FIXED32:
		return "expected a fixed32";
	default:
		return is_text(t) ? "expected a byte array" : "expected a message";
	}
}

static void count(struct walk *w)
{
	if (!w->left)
		w->why = "too many elements";
	else
		w->left--;
}

static void packed_list(struct walk *w, const ProtobufCFieldDescriptor *f, const uint8_t *end)
{
	const size_t size = wire_of(f->type) == WIRE_FIXED64 ? 8 : 4;

	while (w->p < end && !w->why) {
		count(w);
		if (w->why)
			return;
		if (wire_of(f->type) == WIRE_VARINT)
			(void)varint(w, end);
		else if ((size_t)(end - w->p) < size)
			w->why = "wrong packed array length";
		else
			w->p += size;
	}
}

/* A field with a length: text is checked, a message is entered. */
static void counted(struct walk *w, const ProtobufCFieldDescriptor *f)
{
	const uint64_t len = varint(w, w->end);
	const uint8_t *end;

	if (w->why)
		return;
	if (len > (size_t)(w->end - w->p)) {
		w->why = "eof parsing a byte array";
		return;
	}
	end = w->p + len;
	if (f && f->type == PROTOBUF_C_TYPE_MESSAGE) {
		if (w->depth == NEST_MAX) {
			w->why = "nested too deep";
			return;
		}
		w->nest[w->depth].desc = f->descriptor;
		w->nest[w->depth++].end = w->end = end;
		return;
	}
	if (f && wire_of(f->type) != WIRE_BYTES)
		packed_list(w, f, end);
	else if (f && f->type == PROTOBUF_C_TYPE_STRING)
		w->why = string_error(w->p, (size_t)len);
	w->p = end;
}

static void fixed(struct walk *w, size_t size)
{
	if ((size_t)(w->end - w->p) < size)
		w->why = size == 8 ? "eof parsing a fixed64" : "eof parsing a fixed32";
	else
		w->p += size;
}

static void one_field(struct walk *w, const ProtobufCMessageDescriptor *desc)
{
	const uint64_t key = varint(w, w->end);
	const ProtobufCFieldDescriptor *f;
	const unsigned wire = key & 7;

	count(w);
	if (w->why)
		return;
	if (key >> 3 == 0 || key >> 3 > 0x1fffffff) {
		w->why = "bad field number";
		return;
	}
	f = protobuf_c_message_descriptor_get_field(desc, (unsigned)(key >> 3));
	if (f && wire != wire_of(f->type) &&
	    !(wire == WIRE_BYTES && f->label == PROTOBUF_C_LABEL_REPEATED)) {
		w->why = wrong_type(f->type);
		return;
	}
	if (wire == WIRE_VARINT)
		(void)varint(w, w->end);
	else if (wire == WIRE_BYTES)
		counted(w, f);
	else if (wire == WIRE_FIXED64 || wire == WIRE_FIXED32)
		fixed(w, wire == WIRE_FIXED64 ? 8 : 4);
	else
		w->why = "unknown wire type";
}

int diag_msg_check(const ProtobufCMessageDescriptor *desc, const uint8_t *raw, size_t len,
		   size_t max, const char **ret_why)
{
	static const uint8_t nothing[1];
	struct walk w = { .p = len ? raw : nothing, .depth = 1, .left = max };

	w.end = w.p + len;
	w.nest[0].desc = desc;
	w.nest[0].end = w.end;
	while (!w.why) {
		if (w.p < w.end) {
			one_field(&w, w.nest[w.depth - 1].desc);
		} else if (--w.depth == 0) {
			return 0;
		} else {
			w.end = w.nest[w.depth - 1].end;
		}
	}
	*ret_why = w.why;
	return w.left ? -EBADMSG : -E2BIG;
}

int diag_msg_decode(const ProtobufCMessageDescriptor *desc, const uint8_t *raw, size_t len,
		    size_t max, const char **ret_why, ProtobufCMessage **ret_msg)
{
	static const uint8_t nothing[1];
	ProtobufCMessage *msg;
	int r = diag_msg_check(desc, raw, len, max, ret_why);

	if (r < 0)
		return r;
	msg = protobuf_c_message_unpack(desc, NULL, len, len ? raw : nothing);
	if (!msg) {
		*ret_why = "malformed"; /* or there is no memory, which the library does not tell */
		return -EBADMSG;
	}
	*ret_msg = msg;
	return 0;
}
