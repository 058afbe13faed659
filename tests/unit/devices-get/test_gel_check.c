/* SPDX-License-Identifier: MIT */
/* What the host accepts as a record of the log channel, and what it does not. */
#include "../../hvhost/gel_check.h"
#include "gel_msg.h"

#include <stdio.h>
#include <string.h>

#include "unit.h"

static uint8_t raw[GEL_MAX_RECORD + 1];
static char line[GEL_LINE_MAX];

static const char *check(size_t len)
{
	struct gel_rec rec;
	struct json j;
	const char *why = gel_check(raw, len, &rec, &j);

	if (!why) {
		(void)gel_line(&rec, &j, line);
		json_fini(&j);
	}
	return why;
}

static size_t sample(enum log_kind kind)
{
	const struct log_field field = { .key = "path", .type = LOG_F_STR, .str = "a" };
	const struct log_record rec = { .kind = kind,
					.level = LOG_WARN,
					.time_ns = 1000000000,
					.activity = { .d1 = kind != LOG_EVENT },
					.related = { .d1 = 2 },
					.target = "vm",
					.name = kind == LOG_EVENT ? "" : "load",
					.text = "text",
					.fields = &field,
					.n_fields = 1 };

	return gel_msg_record(&rec, kind == LOG_EVENT ? 3 : 0, raw);
}

START_TEST(ours_are_good)
{
	const struct gel_kmsg k = {
		.level = 2, .target = "panic", .text = "oops\n", .text_len = 5
	};

	ck_assert_ptr_null(check(sample(LOG_EVENT)));
	ck_assert_str_eq(
		line, "    1.000000 WARN  vm: text path=\"a\" (3 events missed before this one)");
	ck_assert_ptr_null(check(sample(LOG_SPAN_ENTER)));
	ck_assert_str_eq(line, "    1.000000 WARN  vm: enter load path=\"a\"");
	ck_assert_ptr_null(check(sample(LOG_SPAN_EXIT)));
	ck_assert_str_eq(line, "    1.000000 WARN  vm: exit load after 0.000 ms");
	ck_assert_ptr_null(check(gel_msg_kmsg(&k, raw)));
	ck_assert_str_eq(line, "    0.000000 CRIT  panic: oops?");
}
END_TEST

START_TEST(every_shorter_one_is_not)
{
	const size_t len = sample(LOG_EVENT);

	for (size_t n = 0; n < len; n++)
		ck_assert_ptr_nonnull(check(n));
	raw[len] = ' ';
	ck_assert_ptr_nonnull(check(len + 1));
	ck_assert_ptr_nonnull(check(sizeof(raw)));
}
END_TEST

START_TEST(header_bytes)
{
	static const struct {
		size_t off;
		uint8_t val;
	} bad[] = {
		{ 0, 3 }, /* type */
		{ 0, 1 }, /* a span now: no name */
		{ 1, 0 },     { 1, 6 },	 { 1, 4 }, /* level; another than the message says */
		{ 2, 2 },     { 3, 1 }, /* flags */
		{ 2, 1 }, /* from the kernel: then the level is a number */
		{ 4, 2 }, /* an event with a name */
		{ 8, 0 },     { 8, 1 },	 { 8, 200 }, { 10, 1 }, /* target */
		{ 12, 1 },    { 14, 9 }, { 16, 1 },  { 18, 1 }, { 17, 0x20 }, /* fields, message */
		{ 20, 1 }, /* reserved */
		{ 79, 0xff }, /* time */
		{ 80, 'x' },  { 80, 1 }, /* target: another than in the message; unprintable */
	};

	for (size_t i = 0; i < ARRAY_SIZE(bad); i++) {
		const size_t len = sample(LOG_EVENT);

		raw[bad[i].off] = bad[i].val;
		ck_assert_msg(check(len), "byte %zu = %u", bad[i].off, bad[i].val);
	}
}
END_TEST

START_TEST(span_header)
{
	size_t len = sample(LOG_SPAN_ENTER);

	raw[0] = GEL_SPAN_EXIT; /* op_code says otherwise */
	ck_assert_ptr_nonnull(check(len));
	len = sample(LOG_SPAN_ENTER);
	memset(raw + 24, 0, 16);
	ck_assert_ptr_nonnull(check(len));
	len = sample(LOG_SPAN_ENTER);
	raw[80] = 'L'; /* the name */
	ck_assert_ptr_nonnull(check(len));
}
END_TEST

/* A record with a message of the caller's; level INFO, target "vm". */
static const char *with_message(const char *message)
{
	struct gel_header h = { .level = GEL_INFO,
				.target = { 2, 0 },
				.message = { (uint16_t)strlen(message), 2 } };

	memcpy(raw, &h, sizeof(h));
	memcpy(raw + sizeof(h), "vm", 2);
	memcpy(raw + sizeof(h) + 2, message, strlen(message));
	return check(sizeof(h) + 2 + strlen(message));
}

START_TEST(messages)
{
#define HEAD "{\"timestamp\":\"1.000000000s\",\"level\":\"INFO\",\"target\":\"vm\","
	static const char *const bad[] = {
		"x",
		"[]",
		"{}",
		HEAD "\"fields\":{}}",
		HEAD "\"fields\":{\"message\":1}}",
		HEAD "\"fields\":{\"message\":\"a\"}",
		HEAD "\"missed_events\":\"1\",\"fields\":{\"message\":\"a\"}}",
		HEAD "\"related_activity_id\":\"1\",\"fields\":{\"message\":\"a\"}}",
		HEAD "\"related_activity_id\":\"0000000a-0000-0000-0000_000000000000\","
		     "\"fields\":{\"message\":\"a\"}}",
		HEAD "\n\"fields\":{\"message\":\"a\"}}",
		"{\"timestamp\":\"1.0s\",\"level\":\"INFO\",\"target\":\"vm\","
		"\"fields\":{\"message\":\"a\"}}",
		"{\"timestamp\":\"1.000000000s\",\"level\":\"WARN\",\"target\":\"vm\","
		"\"fields\":{\"message\":\"a\"}}",
		"{\"timestamp\":\"1.000000000s\",\"level\":\"INFO\",\"target\":\"v\","
		"\"fields\":{\"message\":\"a\"}}",
	};

	ck_assert_ptr_null(with_message(HEAD "\"fields\":{\"message\":\"a\"}}"));
	ck_assert_ptr_null(with_message(
		HEAD
		"\"related_activity_id\":\"0000000a-0000-0000-0000-00000000000f\","
		"\"fields\":{\"message\":\"a\",\"error\":[\"x\",\"y\"],\"n\":null,\"o\":{}}}"));
	ck_assert_str_eq(line, "    0.000000 INFO  vm: a error=x: y n=null o={...}");
	for (size_t i = 0; i < ARRAY_SIZE(bad); i++)
		ck_assert_msg(with_message(bad[i]), "%s", bad[i]);
#undef HEAD
}
END_TEST

/* A message as long as the limit may have been cut: it is shown as it came. */
START_TEST(cut_message)
{
	static char text[GEL_MAX_MESSAGE + 1];

	memset(text, 'x', GEL_MAX_MESSAGE);
	ck_assert_ptr_null(with_message(text));
	ck_assert_uint_eq(strlen(line), GEL_MAX_MESSAGE + strlen("    0.000000 INFO  vm: "));
	text[100] = '\n';
	ck_assert_ptr_nonnull(with_message(text));
}
END_TEST

UNIT_MAIN("devices-get/gel_check", ours_are_good, every_shorter_one_is_not, header_bytes,
	  span_header, messages, cut_message)
