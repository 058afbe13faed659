/* SPDX-License-Identifier: MIT */
/* See log_format.h. */
#include "log_format.h"

#include <errno.h>
#include <inttypes.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "log_record.h"

#define FACILITY (3 << 3)

/* Text under construction; what does not fit is cut. */
struct out {
	char *p;
	size_t len, cap;
};

static const char *name_of_process = "keel";

void log_set_name(const char *name)
{
	name_of_process = name;
}

static void put_char(struct out *o, char c)
{
	if (o->len < o->cap)
		o->p[o->len++] = c;
}

/* Nothing in a record may begin a line of its own or move a terminal's cursor. */
static void put_str(struct out *o, const char *s)
{
	for (; *s && o->len < o->cap; s++)
		put_char(o, *s < 0x20 || *s > 0x7e ? '?' : *s);
}

static void putf(struct out *o, const char *fmt, ...) printf_like(2, 3);
static void putf(struct out *o, const char *fmt, ...)
{
	char text[64];
	va_list ap;

	va_start(ap, fmt);
	if (vsnprintf(text, sizeof(text), fmt, ap) > 0)
		put_str(o, text);
	va_end(ap);
}

static void put_quoted(struct out *o, const char *s)
{
	put_char(o, '"');
	for (; *s && o->len < o->cap; s++) {
		if (*s == '"' || *s == '\\')
			put_char(o, '\\');
		put_char(o, *s < 0x20 || *s > 0x7e ? '?' : *s);
	}
	put_char(o, '"');
}

static void put_field(struct out *o, const struct log_field *f)
{
	put_str(o, f->key);
	put_char(o, '=');
	switch (f->type) {
	case LOG_F_U64:
		putf(o, "0x%" PRIx64, f->u64);
		break;
	case LOG_F_I64:
		putf(o, "%" PRId64, f->i64);
		break;
	case LOG_F_BOOL:
		put_str(o, f->u64 ? "true" : "false");
		break;
	case LOG_F_STR:
		put_quoted(o, f->str);
		break;
	}
}

/* Separated by spaces; the first after @first. */
static void put_fields(struct out *o, struct log_fields fields, const char *first)
{
	for (size_t i = 0; i < fields.n; i++) {
		put_str(o, i ? " " : first);
		put_field(o, &fields.p[i]);
	}
}

/* A duration with the unit that leaves one to three digits before the point. */
static void put_duration(struct out *o, uint64_t ns)
{
	if (ns < 1000)
		putf(o, "%" PRIu64 "ns", ns);
	else if (ns < 1000000)
		putf(o, "%" PRIu64 ".%02" PRIu64 "us", ns / 1000, ns % 1000 / 10);
	else if (ns < 1000000000)
		putf(o, "%" PRIu64 ".%02" PRIu64 "ms", ns / 1000000, ns % 1000000 / 10000);
	else
		putf(o, "%" PRIu64 ".%02" PRIu64 "s", ns / 1000000000, ns % 1000000000 / 10000000);
}

/* What a record says, after level and surroundings. */
static void put_body(struct out *o, const struct log_record *rec)
{
	const struct log_fields fields = { rec->fields, rec->n_fields };

	switch (rec->kind) {
	case LOG_EVENT:
		put_str(o, rec->text);
		put_fields(o, fields, rec->text[0] ? " " : "");
		break;
	case LOG_SPAN_ENTER:
		put_str(o, "new");
		break;
	case LOG_SPAN_EXIT:
		put_str(o, "close time.busy=");
		put_duration(o, rec->busy_ns);
		put_str(o, " time.idle=");
		put_duration(o, rec->taken_ns - MIN(rec->busy_ns, rec->taken_ns));
		break;
	}
}

static bool span_shown(enum log_kind kind, enum log_spans spans)
{
	switch (kind) {
	case LOG_EVENT:
		return true;
	case LOG_SPAN_ENTER:
		return spans == LOG_SPANS_ALL;
	case LOG_SPAN_EXIT:
		return spans != LOG_SPANS_NONE;
	}
	return false;
}

size_t log_format_kmsg(const struct log_record *rec, enum log_spans spans,
		       char ret_buf[LOG_KMSG_MAX])
{
	static const struct {
		int priority;
		const char *name;
	} levels[] = {
		[LOG_ERR] = { 3, "ERROR" },   [LOG_WARN] = { 4, " WARN" },
		[LOG_INFO] = { 6, " INFO" },  [LOG_DEBUG] = { 7, "DEBUG" },
		[LOG_TRACE] = { 7, "TRACE" },
	};
	struct out o = { .p = ret_buf, .cap = LOG_KMSG_MAX };

	if (!span_shown(rec->kind, spans))
		return 0;
	putf(&o, "<%d>", FACILITY | levels[rec->level].priority);
	put_str(&o, rec->target);
	put_str(&o, ": ");
	put_str(&o, levels[rec->level].name);
	put_char(&o, ' ');
	if (rec->context[0]) {
		put_str(&o, rec->context);
		put_str(&o, ": ");
	}
	put_body(&o, rec);
	put_char(&o, '\n');
	return o.len;
}

size_t log_format_plain(const struct log_record *rec, char ret_buf[LOG_LINE_MAX])
{
	static const char *const levels[] = {
		[LOG_ERR] = "error",   [LOG_WARN] = "warn",   [LOG_INFO] = "info",
		[LOG_DEBUG] = "debug", [LOG_TRACE] = "trace",
	};
	struct out o = { .p = ret_buf, .cap = LOG_LINE_MAX - 1 };

	put_str(&o, name_of_process);
	put_char(&o, ' ');
	put_str(&o, levels[rec->level]);
	put_char(&o, ' ');
	put_str(&o, rec->target);
	put_str(&o, ": ");
	if (rec->kind != LOG_EVENT) {
		put_str(&o, rec->context);
		put_str(&o, ": ");
	}
	put_body(&o, rec);
	ret_buf[o.len] = 0;
	return o.len;
}

void log_format_span(const char *name, struct log_fields fields, char *ret_buf, size_t size)
{
	struct out o = { .p = ret_buf, .cap = size - 1 };

	put_str(&o, name);
	if (fields.n) {
		put_fields(&o, fields, "{");
		put_char(&o, '}');
	}
	ret_buf[o.len] = 0;
}

int log_spans_parse(const char *text, enum log_spans *ret_spans)
{
	if (!strcmp(text, "") || !strcmp(text, "0") || !strcmp(text, "false"))
		*ret_spans = LOG_SPANS_NONE;
	else if (!strcmp(text, "close"))
		*ret_spans = LOG_SPANS_CLOSE;
	else if (!strcmp(text, "1") || !strcmp(text, "true"))
		*ret_spans = LOG_SPANS_ALL;
	else
		return -EINVAL;
	return 0;
}

/* One write per line, so that lines of several threads and processes do not mix. */
void log_sink_stderr(void *ctx, const struct log_record *rec)
{
	char buf[LOG_LINE_MAX + 1];
	size_t len;

	(void)ctx;
	if (rec->kind != LOG_EVENT)
		return;
	len = log_format_plain(rec, buf);
	buf[len] = '\n';
	if (write(STDERR_FILENO, buf, len + 1) < 0)
		return;
}

void log_sink_kmsg(void *ctx, const struct log_record *rec)
{
	const struct log_kmsg *kmsg = ctx;
	char buf[LOG_KMSG_MAX];
	const size_t len = log_format_kmsg(rec, kmsg->spans, buf);

	if (len && write(kmsg->fd, buf, len) < 0)
		return;
}
