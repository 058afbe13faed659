/* SPDX-License-Identifier: MIT */
/* Lines of the kernel's log, byte by byte. */
#include "log_format.h"
#include "log_record.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "unit.h"

static char line[LOG_KMSG_MAX + 1];

static const struct log_field some_fields[] = {
	{ .key = "size", .type = LOG_F_U64, .u64 = 4096 },
	{ .key = "error", .type = LOG_F_I64, .i64 = -22 },
	{ .key = "retry", .type = LOG_F_BOOL, .u64 = 1 },
	{ .key = "path", .type = LOG_F_STR, .str = "a \"b\"" },
};

static struct log_record sample(enum log_kind kind)
{
	return (struct log_record){ .kind = kind,
				    .level = LOG_INFO,
				    .taken_ns = 2500000,
				    .busy_ns = 1500,
				    .target = "vm",
				    .name = kind == LOG_EVENT ? "" : "load",
				    .context = "",
				    .text = kind == LOG_EVENT ? "made" : "" };
}

static size_t format(const struct log_record *rec, enum log_spans spans)
{
	size_t len = log_format_kmsg(rec, spans, line);

	ck_assert_uint_le(len, LOG_KMSG_MAX);
	line[len] = 0;
	return len;
}

START_TEST(levels)
{
	static const struct {
		enum log_level level;
		const char *line;
	} table[] = {
		{ LOG_ERR, "<27>vm: ERROR made\n" },   { LOG_WARN, "<28>vm:  WARN made\n" },
		{ LOG_INFO, "<30>vm:  INFO made\n" },  { LOG_DEBUG, "<31>vm: DEBUG made\n" },
		{ LOG_TRACE, "<31>vm: TRACE made\n" },
	};

	for (size_t i = 0; i < ARRAY_SIZE(table); i++) {
		struct log_record rec = sample(LOG_EVENT);

		rec.level = table[i].level;
		(void)format(&rec, LOG_SPANS_NONE);
		ck_assert_str_eq(line, table[i].line);
	}
}
END_TEST

START_TEST(fields_and_context)
{
	struct log_record rec = sample(LOG_EVENT);

	rec.fields = some_fields;
	rec.n_fields = ARRAY_SIZE(some_fields);
	rec.context = "start{vps=0x2}:load";
	(void)format(&rec, LOG_SPANS_NONE);
	ck_assert_str_eq(line, "<30>vm:  INFO start{vps=0x2}:load: made size=0x1000 error=-22 "
			       "retry=true path=\"a \\\"b\\\"\"\n");
	rec.text = "";
	rec.n_fields = 1;
	rec.context = "";
	(void)format(&rec, LOG_SPANS_NONE);
	ck_assert_str_eq(line, "<30>vm:  INFO size=0x1000\n");
}
END_TEST

START_TEST(span_records)
{
	struct log_record enter = sample(LOG_SPAN_ENTER), leave = sample(LOG_SPAN_EXIT);

	enter.context = leave.context = "start:load{n=0x1}";
	ck_assert_uint_eq(format(&enter, LOG_SPANS_NONE), 0);
	ck_assert_uint_eq(format(&leave, LOG_SPANS_NONE), 0);
	ck_assert_uint_eq(format(&enter, LOG_SPANS_CLOSE), 0);
	(void)format(&leave, LOG_SPANS_CLOSE);
	ck_assert_str_eq(line, "<30>vm:  INFO start:load{n=0x1}: close time.busy=1.50us "
			       "time.idle=2.49ms\n");
	(void)format(&enter, LOG_SPANS_ALL);
	ck_assert_str_eq(line, "<30>vm:  INFO start:load{n=0x1}: new\n");
	leave.busy_ns = 999;
	leave.taken_ns = 12345678901;
	(void)format(&leave, LOG_SPANS_ALL);
	ck_assert_str_eq(line, "<30>vm:  INFO start:load{n=0x1}: close time.busy=999ns "
			       "time.idle=12.34s\n");
}
END_TEST

/* Whatever the length: never more than the kernel takes, a newline exactly when all of it fits. */
START_TEST(cut)
{
	static char text[2000];
	const size_t head = strlen("<30>vm:  INFO ");

	for (size_t n = 900; n < 1100; n++) {
		struct log_record rec = sample(LOG_EVENT);
		size_t len;

		memset(text, 'x', n);
		text[n] = 0;
		rec.text = text;
		len = format(&rec, LOG_SPANS_NONE);
		ck_assert_uint_eq(len, MIN(head + n + 1, (size_t)LOG_KMSG_MAX));
		ck_assert_int_eq(line[len - 1], head + n + 1 <= LOG_KMSG_MAX ? '\n' : 'x');
	}
}
END_TEST

START_TEST(nothing_starts_a_line)
{
	struct log_record rec = sample(LOG_EVENT);
	const struct log_field f = { .key = "k\n", .type = LOG_F_STR, .str = "\n<0>x\x1b" };

	rec.text = "a\n<0>b\r";
	rec.context = "c\n";
	rec.target = "t\n";
	rec.fields = &f;
	rec.n_fields = 1;
	(void)format(&rec, LOG_SPANS_NONE);
	ck_assert_str_eq(line, "<30>t?:  INFO c?: a?<0>b? k?=\"?<0>x?\"\n");
}
END_TEST

START_TEST(span_shown)
{
	const struct log_fields fields = { some_fields, 2 };
	char text[24];

	log_format_span("load", (struct log_fields){ NULL, 0 }, text, sizeof(text));
	ck_assert_str_eq(text, "load");
	log_format_span("load", fields, text, sizeof(text));
	ck_assert_str_eq(text, "load{size=0x1000 error=");
	log_format_span("load", (struct log_fields){ some_fields, 1 }, text, sizeof(text));
	ck_assert_str_eq(text, "load{size=0x1000}");
}
END_TEST

START_TEST(show_spans)
{
	static const struct {
		const char *text;
		enum log_spans spans;
	} good[] = {
		{ "", LOG_SPANS_NONE },	      { "0", LOG_SPANS_NONE }, { "false", LOG_SPANS_NONE },
		{ "close", LOG_SPANS_CLOSE }, { "1", LOG_SPANS_ALL },  { "true", LOG_SPANS_ALL },
	};
	enum log_spans spans;

	for (size_t i = 0; i < ARRAY_SIZE(good); i++) {
		ck_assert_int_eq(log_spans_parse(good[i].text, &spans), 0);
		ck_assert_int_eq(spans, good[i].spans);
	}
	ck_assert_int_eq(log_spans_parse("yes", &spans), -EINVAL);
}
END_TEST

UNIT_MAIN("rt/log_format", levels, fields_and_context, span_records, cut, nothing_starts_a_line,
	  span_shown, show_spans)
