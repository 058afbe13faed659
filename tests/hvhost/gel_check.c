/* SPDX-License-Identifier: MIT */
#include "gel_check.h"

#include "ckd.h"

#include <inttypes.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static const char *const level_names[] = {
	[GEL_CRITICAL] = "CRIT ", [GEL_ERROR] = "ERROR",   [GEL_WARNING] = "WARN ",
	[GEL_INFO] = "INFO ",	  [GEL_VERBOSE] = "DEBUG",
};

/* ---- checks ---------------------------------------------------------------------------------- */

/* The next string in the order of the format. */
static bool next_str(const uint8_t *raw, size_t len, struct gel_str s, size_t max, size_t *at,
		     struct gel_view *ret_view)
{
	const size_t room = len - sizeof(struct gel_header);

	*ret_view = (struct gel_view){ "", 0 };
	if (!s.size)
		return true;
	if (s.size > max || s.off != *at || !range_ok(s.off, s.size, room))
		return false;
	*ret_view =
		(struct gel_view){ (const char *)raw + sizeof(struct gel_header) + s.off, s.size };
	*at += s.size;
	return true;
}

static bool printable(struct gel_view v)
{
	for (size_t i = 0; i < v.len; i++) {
		if ((unsigned char)v.p[i] < 0x20 || v.p[i] == 0x7f)
			return false;
	}
	return true;
}

static bool is_zero(const uint8_t *p, size_t n)
{
	for (size_t i = 0; i < n; i++) {
		if (p[i])
			return false;
	}
	return true;
}

static const char *check_header(const struct gel_header *h)
{
	if (h->type > GEL_SPAN_EXIT)
		return "a type that does not exist";
	if (h->level < GEL_CRITICAL || h->level > GEL_VERBOSE)
		return "a level that does not exist";
	if (h->flags & ~(unsigned int)GEL_FLAG_KMSG || h->rsvd)
		return "reserved bits are set";
	if (h->flags && h->type != GEL_EVENT)
		return "a span of the kernel's log";
	if (h->type != GEL_EVENT && is_zero(h->activity, sizeof(h->activity)))
		return "a span without activity";
	return NULL;
}

static const char *check_strings(const uint8_t *raw, size_t len, const struct gel_header *h,
				 struct gel_rec *r)
{
	size_t at = 0;

	if (!next_str(raw, len, h->name, GEL_MAX_NAME, &at, &r->name) ||
	    !next_str(raw, len, h->target, GEL_MAX_TARGET, &at, &r->target) ||
	    !next_str(raw, len, h->fields, GEL_MAX_FIELDS, &at, &r->fields) ||
	    !next_str(raw, len, h->message, GEL_MAX_MESSAGE, &at, &r->message))
		return "strings are too long, not back to back, or outside the record";
	if (at != len - sizeof(*h))
		return "bytes that belong to no string";
	if (!r->target.len || !r->message.len)
		return "no target or no message";
	if ((r->type == GEL_EVENT) != !r->name.len)
		return "an event with a name or a span without";
	if (!printable(r->name) || !printable(r->target) || !printable(r->fields) ||
	    !printable(r->message))
		return "control characters";
	return NULL;
}

/* "SECONDS.NNNNNNNNNs" */
static bool is_timestamp(const char *s)
{
	const size_t whole = strspn(s, "0123456789");

	return whole && s[whole] == '.' && strspn(s + whole + 1, "0123456789") == 9 &&
	       !strcmp(s + whole + 10, "s");
}

static bool is_guid(const struct json *j, uint32_t node)
{
	char text[64];

	if (json_string(j, node, text, sizeof(text)) < 0 || strlen(text) != 36)
		return false;
	for (size_t i = 0; i < 36; i++) {
		if (i == 8 || i == 13 || i == 18 || i == 23 ? text[i] != '-'
							    : !strchr("0123456789abcdef", text[i]))
			return false;
	}
	return true;
}

static bool level_agrees(const struct gel_rec *r, const char *text)
{
	static const char *const events[] = { [GEL_ERROR] = "ERROR",
					      [GEL_WARNING] = "WARN",
					      [GEL_INFO] = "INFO",
					      [GEL_VERBOSE] = "DEBUG" };
	static const enum gel_level kernel[] = { 1, 1, 1, 2, 3, 4, 5, 5 };

	if (r->kmsg)
		return text[0] >= '0' && text[0] <= '7' && !text[1] &&
		       kernel[text[0] - '0'] == r->level;
	if (r->level == GEL_VERBOSE && !strcmp(text, "TRACE"))
		return true;
	return r->level != GEL_CRITICAL && !strcmp(text, events[r->level]);
}

static const char *check_span(const struct gel_rec *r, const struct json *j)
{
	char name[GEL_MAX_NAME + 1];
	uint64_t val;

	if (json_string(j, json_member(j, 0, "name"), name, sizeof(name)) < 0 ||
	    strlen(name) != r->name.len || memcmp(name, r->name.p, r->name.len) != 0)
		return "the span's name differs from the header's";
	if (json_u64(j, json_member(j, 0, "op_code"), 2, &val) < 0 || val != r->type)
		return "op_code differs from the type";
	if (!is_guid(j, json_member(j, 0, "activity_id")))
		return "no activity_id";
	if (r->type == GEL_SPAN_EXIT &&
	    (json_u64(j, json_member(j, 0, "time_taken_ns"), UINT64_MAX, &val) < 0 ||
	     json_u64(j, json_member(j, 0, "time_active_ns"), UINT64_MAX, &val) < 0))
		return "no times";
	return NULL;
}

static const char *check_json(const struct gel_rec *r, const struct json *j)
{
	char text[GEL_MAX_MESSAGE + 1];
	uint32_t node;
	uint64_t val;

	if (!json_is(j, 0, JSON_OBJECT))
		return "the message is not an object";
	if (json_string(j, json_member(j, 0, "timestamp"), text, sizeof(text)) < 0 ||
	    !is_timestamp(text))
		return "no timestamp";
	if (json_string(j, json_member(j, 0, "level"), text, sizeof(text)) < 0 ||
	    !level_agrees(r, text))
		return "the level differs from the header's";
	if (json_string(j, json_member(j, 0, "target"), text, sizeof(text)) < 0 ||
	    strlen(text) < r->target.len || memcmp(text, r->target.p, r->target.len) != 0)
		return "the target differs from the header's";
	node = json_member(j, 0, "related_activity_id");
	if (node != JSON_NONE && !is_guid(j, node))
		return "related_activity_id is no GUID";
	node = json_member(j, 0, "missed_events");
	if (node != JSON_NONE && json_u64(j, node, UINT64_MAX, &val) < 0)
		return "missed_events is no number";
	if (r->type != GEL_EVENT)
		return check_span(r, j);
	if (!json_is(j, json_member(j, json_member(j, 0, "fields"), "message"), JSON_STRING))
		return "no fields.message";
	return NULL;
}

static const char *check_fields(const struct gel_rec *r)
{
	struct json j;
	bool object;

	if (!r->fields.len || r->fields.len == GEL_MAX_FIELDS)
		return NULL;
	if (json_parse(r->fields.p, r->fields.len, &j) < 0)
		return "the fields are not JSON";
	object = json_is(&j, 0, JSON_OBJECT);
	json_fini(&j);
	return object ? NULL : "the fields are not an object";
}

const char *gel_check(const uint8_t *raw, size_t len, struct gel_rec *ret_rec,
		      struct json *ret_json)
{
	struct gel_header h;
	struct gel_rec r = { 0 };
	struct json j = { 0 };
	const char *why;

	if (len < sizeof(h) || len > GEL_MAX_RECORD)
		return "shorter than a header or longer than a record";
	memcpy(&h, raw, sizeof(h));
	why = check_header(&h);
	if (why)
		return why;
	r.type = (enum gel_type)h.type;
	r.level = (enum gel_level)h.level;
	r.kmsg = h.flags & GEL_FLAG_KMSG;
	if (ckd_mul(&r.time_ns, h.timestamp, 100))
		return "a time beyond all times";
	why = check_strings(raw, len, &h, &r);
	if (!why)
		why = check_fields(&r);
	if (!why && r.message.len < GEL_MAX_MESSAGE) {
		if (json_parse(r.message.p, r.message.len, &j) < 0)
			return "the message is not JSON";
		why = check_json(&r, &j);
		if (why)
			json_fini(&j);
	}
	if (why)
		return why;
	*ret_rec = r;
	*ret_json = j;
	return NULL;
}

/* ---- lines ----------------------------------------------------------------------------------- */

struct out {
	char *p;
	size_t len, cap;
};

static void put(struct out *o, const char *s, size_t n)
{
	for (size_t i = 0; i < n && o->len < o->cap; i++)
		o->p[o->len++] = s[i] < 0x20 || s[i] > 0x7e ? '?' : s[i];
}

static void putf(struct out *o, const char *fmt, ...) printf_like(2, 3);
static void putf(struct out *o, const char *fmt, ...)
{
	char text[128];
	va_list ap;

	va_start(ap, fmt);
	if (vsnprintf(text, sizeof(text), fmt, ap) > 0)
		put(o, text, strlen(text));
	va_end(ap);
}

static void put_value(struct out *o, const struct json *j, const struct json_node *n)
{
	switch (n->type) {
	case JSON_STRING:
		put(o, "\"", 1);
		put(o, j->text + n->off, n->len);
		put(o, "\"", 1);
		break;
	case JSON_NUMBER:
		put(o, j->text + n->off, n->len);
		break;
	case JSON_TRUE:
		put(o, "true", 4);
		break;
	case JSON_FALSE:
		put(o, "false", 5);
		break;
	case JSON_NULL:
		put(o, "null", 4);
		break;
	case JSON_ARRAY: /* an error and its causes */
		for (uint32_t i = n->first; i != JSON_NONE; i = j->nodes[i].next) {
			if (i != n->first)
				put(o, ": ", 2);
			put(o, j->text + j->nodes[i].off, j->nodes[i].len);
		}
		break;
	case JSON_OBJECT:
		put(o, "{...}", 5);
		break;
	}
}

/* All fields but the message. */
static void put_fields(struct out *o, const struct json *j)
{
	const uint32_t fields = json_member(j, 0, "fields");

	if (!json_is(j, fields, JSON_OBJECT))
		return;
	for (uint32_t i = j->nodes[fields].first; i != JSON_NONE; i = j->nodes[i].next) {
		const struct json_node *n = &j->nodes[i];

		if (n->key_len == 7 && !memcmp(j->text + n->key_off, "message", 7))
			continue;
		put(o, " ", 1);
		put(o, j->text + n->key_off, n->key_len);
		put(o, "=", 1);
		put_value(o, j, n);
	}
}

static void put_body(struct out *o, const struct gel_rec *rec, const struct json *j)
{
	char text[GEL_MAX_MESSAGE + 1];
	uint64_t n;

	if (rec->type != GEL_EVENT) {
		put(o, rec->type == GEL_SPAN_ENTER ? "enter " : "exit ",
		    rec->type == GEL_SPAN_ENTER ? 6 : 5);
		put(o, rec->name.p, rec->name.len);
		if (json_u64(j, json_member(j, 0, "time_taken_ns"), UINT64_MAX, &n) == 0)
			putf(o, " after %" PRIu64 ".%03" PRIu64 " ms", n / 1000000,
			     n / 1000 % 1000);
	} else if (json_string(j, json_member(j, json_member(j, 0, "fields"), "message"), text,
			       sizeof(text)) == 0) {
		put(o, text, strlen(text));
	}
	put_fields(o, j);
	if (json_u64(j, json_member(j, 0, "missed_events"), UINT64_MAX, &n) == 0)
		putf(o, " (%" PRIu64 " events missed before this one)", n);
}

size_t gel_line(const struct gel_rec *rec, const struct json *j, char ret_line[GEL_LINE_MAX])
{
	struct out o = { .p = ret_line, .cap = GEL_LINE_MAX - 1 };

	putf(&o, "%5" PRIu64 ".%06" PRIu64 " %s ", rec->time_ns / 1000000000,
	     rec->time_ns / 1000 % 1000000, level_names[rec->level]);
	put(&o, rec->target.p, rec->target.len);
	put(&o, ": ", 2);
	if (j->n)
		put_body(&o, rec, j);
	else
		put(&o, rec->message.p, rec->message.len);
	ret_line[o.len] = 0;
	return o.len;
}
