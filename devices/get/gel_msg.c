/* SPDX-License-Identifier: MIT */
#include "gel_msg.h"

#include <inttypes.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stdio.h>
#include <string.h>

#define TAIL_MAX 64u /* what follows the text in the JSON of a line of the kernel's */

/*
 * A log record always fits: every character of its strings, and of the encoding of its fields,
 * takes at most two in JSON, every field up to 24 more, and the fixed part stays below 700.
 */
#define RECORD_JSON_MAX                                                                \
	(700 + 2 * (LOG_TARGET_MAX + LOG_NAME_MAX + LOG_TEXT_MAX + LOG_FIELDS_BYTES) + \
	 24 * LOG_FIELDS_MAX)
BUILD_ASSERT(RECORD_JSON_MAX <= GEL_MAX_MESSAGE, "a log record as JSON");
BUILD_ASSERT(LOG_TARGET_MAX <= GEL_MAX_TARGET && LOG_NAME_MAX <= GEL_MAX_NAME, "names fit");

/* Text under construction; what does not fit whole is left out. */
struct out {
	char *p;
	size_t len, cap;
};

static bool put(struct out *o, const char *s, size_t n)
{
	if (n > o->cap - o->len)
		return false;
	memcpy(o->p + o->len, s, n);
	o->len += n;
	return true;
}

static void put_str(struct out *o, const char *s)
{
	(void)put(o, s, strlen(s));
}

static void putf(struct out *o, const char *fmt, ...) printf_like(2, 3);
static void putf(struct out *o, const char *fmt, ...)
{
	char text[96];
	va_list ap;

	va_start(ap, fmt);
	if (vsnprintf(text, sizeof(text), fmt, ap) > 0)
		put_str(o, text);
	va_end(ap);
}

/* One character as it stands between the quotes of a JSON string. */
static bool put_char(struct out *o, char c)
{
	char esc[8];
	int n;

	if (c == '"' || c == '\\')
		return put(o, (const char[]){ '\\', c }, 2);
	if (c == '\n')
		return put(o, "\\n", 2);
	if ((unsigned char)c > 0x7e)
		return put(o, "?", 1);
	if ((unsigned char)c >= 0x20)
		return put(o, &c, 1);
	n = snprintf(esc, sizeof(esc), "\\u%04x", (unsigned char)c);
	return n > 0 && put(o, esc, (size_t)n);
}

static void put_text(struct out *o, const char *s, size_t n)
{
	for (size_t i = 0; i < n && put_char(o, s[i]); i++)
		;
}

/* ,"key":"text" */
static void put_member(struct out *o, const char *key, const char *text)
{
	put_str(o, ",\"");
	put_str(o, key);
	put_str(o, "\":\"");
	put_text(o, text, strlen(text));
	put_str(o, "\"");
}

static void put_guid(struct out *o, const char *key, const struct guid *g, bool even_zero)
{
	static const struct guid zero;
	char text[GUID_STR_LEN + 1];

	if (guid_eq(g, &zero) && !even_zero)
		return;
	guid_format(g, text);
	put_member(o, key, text);
}

static void put_timestamp(struct out *o, uint64_t ns)
{
	putf(o, "{\"timestamp\":\"%" PRIu64 ".%09" PRIu64 "s\"", ns / 1000000000, ns % 1000000000);
}

static void put_field(struct out *o, const struct log_field *f)
{
	put_str(o, "\"");
	put_text(o, f->key, strlen(f->key));
	put_str(o, "\":");
	switch (f->type) {
	case LOG_F_U64:
		putf(o, "%" PRIu64, f->u64);
		break;
	case LOG_F_I64:
		putf(o, "%" PRId64, f->i64);
		break;
	case LOG_F_BOOL:
		put_str(o, f->u64 ? "true" : "false");
		break;
	case LOG_F_STR:
		put_str(o, "\"");
		put_text(o, f->str, strlen(f->str));
		put_str(o, "\"");
		break;
	}
}

/* {"message":"...","key":value,...}; a span has no message. */
static void put_fields(struct out *o, const struct log_record *rec)
{
	const char *comma = "";

	put_str(o, "{");
	if (rec->kind == LOG_EVENT) {
		put_str(o, "\"message\":\"");
		put_text(o, rec->text, strlen(rec->text));
		put_str(o, "\"");
		comma = ",";
	}
	for (size_t i = 0; i < rec->n_fields; i++) {
		put_str(o, comma);
		put_field(o, &rec->fields[i]);
		comma = ",";
	}
	put_str(o, "}");
}

static const char *level_name(enum log_level level)
{
	switch (level) {
	case LOG_ERR:
		return "ERROR";
	case LOG_WARN:
		return "WARN";
	case LOG_INFO:
		return "INFO";
	case LOG_DEBUG:
		return "DEBUG";
	case LOG_TRACE:
		break;
	}
	return "TRACE";
}

static enum gel_level level_of(enum log_level level)
{
	switch (level) {
	case LOG_ERR:
		return GEL_ERROR;
	case LOG_WARN:
		return GEL_WARNING;
	case LOG_INFO:
		return GEL_INFO;
	case LOG_DEBUG:
	case LOG_TRACE:
		break;
	}
	return GEL_VERBOSE;
}

static void put_event(struct out *o, const struct log_record *rec, uint64_t missed)
{
	put_timestamp(o, rec->time_ns);
	put_member(o, "level", level_name(rec->level));
	put_member(o, "target", rec->target);
	put_guid(o, "related_activity_id", &rec->related, false);
	put_str(o, ",\"fields\":");
	put_fields(o, rec);
	if (missed)
		putf(o, ",\"missed_events\":%" PRIu64, missed);
	put_str(o, "}");
}

static void put_span(struct out *o, const struct log_record *rec)
{
	const bool enter = rec->kind == LOG_SPAN_ENTER;

	put_timestamp(o, rec->time_ns);
	put_member(o, "name", rec->name);
	putf(o, ",\"op_code\":%d", enter ? 1 : 2);
	put_member(o, "target", rec->target);
	put_member(o, "level", level_name(rec->level));
	put_guid(o, "activity_id", &rec->activity, true);
	put_guid(o, "related_activity_id", &rec->related, false);
	if (enter) {
		put_str(o, ",\"fields\":");
		put_fields(o, rec);
	} else {
		putf(o, ",\"time_taken_ns\":%" PRIu64 ",\"time_active_ns\":%" PRIu64, rec->taken_ns,
		     rec->busy_ns);
	}
	put_str(o, "}");
}

/* The fields once more; when they are too long, as much of the message as fits. */
static size_t build_fields(const struct log_record *rec, char *ret_buf)
{
	static const char tail[] = "\"}";
	char whole[GEL_MAX_MESSAGE];
	struct out o = { .p = whole, .cap = sizeof(whole) };

	if (rec->kind == LOG_SPAN_EXIT)
		return 0;
	put_fields(&o, rec);
	if (o.len <= GEL_MAX_FIELDS) {
		memcpy(ret_buf, whole, o.len);
		return o.len;
	}
	o = (struct out){ .p = ret_buf, .cap = GEL_MAX_FIELDS - (sizeof(tail) - 1) };
	put_str(&o, "{\"message\":\"");
	put_text(&o, rec->text, strlen(rec->text));
	o.cap = GEL_MAX_FIELDS;
	put_str(&o, tail);
	return o.len;
}

/* A string behind the ones before it; absent ones stay at offset and size zero. */
static struct gel_str place(size_t *at, size_t len)
{
	const struct gel_str s = { .size = (uint16_t)len, .off = len ? (uint16_t)*at : 0 };

	*at += len;
	return s;
}

size_t gel_msg_record(const struct log_record *rec, uint64_t missed,
		      uint8_t ret_rec[GEL_MAX_RECORD])
{
	struct gel_header h = { .level = (uint8_t)level_of(rec->level),
				.timestamp = rec->time_ns / 100 };
	const size_t name = strnlen(rec->name, GEL_MAX_NAME);
	const size_t target = strnlen(rec->target, GEL_MAX_TARGET);
	char *strings = (char *)ret_rec + sizeof(h);
	struct out o;
	size_t at = 0;

	memcpy(h.activity, &rec->activity, sizeof(h.activity));
	memcpy(h.related_activity, &rec->related, sizeof(h.related_activity));
	memcpy(h.correlation, &rec->correlation, sizeof(h.correlation));
	memcpy(strings, rec->name, name);
	h.name = place(&at, name);
	memcpy(strings + at, rec->target, target);
	h.target = place(&at, target);
	h.fields = place(&at, build_fields(rec, strings + at));
	o = (struct out){ .p = strings + at, .cap = GEL_MAX_MESSAGE };
	switch (rec->kind) {
	case LOG_EVENT:
		h.type = GEL_EVENT;
		put_event(&o, rec, missed);
		break;
	case LOG_SPAN_ENTER:
		h.type = GEL_SPAN_ENTER;
		put_span(&o, rec);
		break;
	case LOG_SPAN_EXIT:
		h.type = GEL_SPAN_EXIT;
		put_span(&o, rec);
		break;
	}
	h.message = place(&at, o.len);
	memcpy(ret_rec, &h, sizeof(h));
	return sizeof(h) + at;
}

static enum gel_level level_of_kernel(uint32_t level)
{
	if (level <= 2)
		return GEL_CRITICAL;
	if (level == 3)
		return GEL_ERROR;
	if (level == 4)
		return GEL_WARNING;
	return level == 5 ? GEL_INFO : GEL_VERBOSE;
}

size_t gel_msg_kmsg(const struct gel_kmsg *m, uint8_t ret_rec[GEL_MAX_RECORD])
{
	const size_t target = strnlen(m->target, GEL_MAX_TARGET);
	struct gel_header h = { .type = GEL_EVENT,
				.level = (uint8_t)level_of_kernel(m->level),
				.flags = GEL_FLAG_KMSG,
				.timestamp = m->time_ns / 100 };
	char *strings = (char *)ret_rec + sizeof(h);
	struct out o = { .p = strings + target, .cap = GEL_MAX_MESSAGE - TAIL_MAX };
	size_t at = 0;

	memcpy(strings, m->target, target);
	h.target = place(&at, target);
	put_timestamp(&o, m->time_ns);
	putf(&o, ",\"level\":\"%" PRIu32 "\"", m->level);
	put_member(&o, "target", m->target);
	put_str(&o, ",\"fields\":{\"message\":\"");
	put_text(&o, m->text, m->text_len);
	o.cap = GEL_MAX_MESSAGE;
	put_str(&o, "\"");
	if (m->missed)
		putf(&o, ",\"missed_entries\":%" PRIu64, m->missed);
	put_str(&o, "}}");
	h.message = place(&at, o.len);
	memcpy(ret_rec, &h, sizeof(h));
	return sizeof(h) + at;
}
