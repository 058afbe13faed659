/* SPDX-License-Identifier: MIT */
#include "log_record.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "unit.h"

static uint8_t buf[LOG_RECORD_MAX];
static struct log_field got_fields[LOG_FIELDS_MAX];
static struct log_record got;

static const struct log_field some_fields[] = {
	{ .key = "size", .type = LOG_F_U64, .u64 = 0x1000 },
	{ .key = "error", .type = LOG_F_I64, .i64 = -22 },
	{ .key = "retry", .type = LOG_F_BOOL, .u64 = 1 },
	{ .key = "path", .type = LOG_F_STR, .str = "a \"b\"" },
};

static struct log_record sample(void)
{
	return (struct log_record){ .kind = LOG_SPAN_EXIT,
				    .level = LOG_WARN,
				    .cls = CONF,
				    .time_ns = 1,
				    .missed = 2,
				    .taken_ns = 3,
				    .busy_ns = 4,
				    .activity = { .d1 = 5 },
				    .related = { .d2 = 6 },
				    .correlation = { .d3 = 7 },
				    .target = "vm",
				    .name = "start",
				    .context = "outer{x=1}",
				    .text = "hello",
				    .fields = some_fields,
				    .n_fields = ARRAY_SIZE(some_fields) };
}

static int decode(size_t len)
{
	return log_record_decode(buf, len, got_fields, &got);
}

START_TEST(round_trip)
{
	const struct log_record in = sample();
	const size_t len = log_record_encode(&in, buf);

	ck_assert_int_eq(decode(len), 0);
	ck_assert_int_eq(got.kind, LOG_SPAN_EXIT);
	ck_assert_int_eq(got.level, LOG_WARN);
	ck_assert_int_eq(got.cls, CONF);
	ck_assert_uint_eq(got.time_ns, 1);
	ck_assert_uint_eq(got.missed, 2);
	ck_assert_uint_eq(got.taken_ns, 3);
	ck_assert_uint_eq(got.busy_ns, 4);
	ck_assert(guid_eq(&got.activity, &in.activity));
	ck_assert(guid_eq(&got.related, &in.related));
	ck_assert(guid_eq(&got.correlation, &in.correlation));
	ck_assert_str_eq(got.target, "vm");
	ck_assert_str_eq(got.name, "start");
	ck_assert_str_eq(got.context, "outer{x=1}");
	ck_assert_str_eq(got.text, "hello");
	ck_assert_uint_eq(got.n_fields, 4);
	ck_assert_str_eq(got.fields[0].key, "size");
	ck_assert_uint_eq(got.fields[0].u64, 0x1000);
	ck_assert_int_eq(got.fields[1].i64, -22);
	ck_assert_int_eq(got.fields[2].type, LOG_F_BOOL);
	ck_assert_str_eq(got.fields[3].str, "a \"b\"");
}
END_TEST

START_TEST(everything_too_long_is_cut_and_decodes)
{
	static char text[5000];
	struct log_field fields[LOG_FIELDS_MAX + 2];
	struct log_record in = sample();
	size_t len;

	memset(text, 'x', sizeof(text) - 1);
	text[3] = '\n';
	for (size_t i = 0; i < ARRAY_SIZE(fields); i++)
		fields[i] = (struct log_field){ .key = text, .type = LOG_F_STR, .str = text };
	in.target = in.name = in.context = in.text = text;
	in.fields = fields;
	in.n_fields = ARRAY_SIZE(fields);
	len = log_record_encode(&in, buf);
	ck_assert_uint_le(len, LOG_RECORD_MAX);
	ck_assert_int_eq(decode(len), 0);
	ck_assert_uint_eq(strlen(got.target), LOG_TARGET_MAX - 1);
	ck_assert_uint_eq(strlen(got.text), LOG_TEXT_MAX - 1);
	ck_assert_str_eq(got.text + LOG_TEXT_MAX - 3, "xx");
	ck_assert_int_eq(got.text[3], '?');
	ck_assert_uint_ge(got.n_fields, 1);
	ck_assert_uint_eq(strlen(got.fields[0].key), LOG_KEY_MAX - 1);
}
END_TEST

START_TEST(many_small_fields_stop_at_the_limit)
{
	struct log_field fields[LOG_FIELDS_MAX + 2];
	struct log_record in = sample();

	for (size_t i = 0; i < ARRAY_SIZE(fields); i++)
		fields[i] = (struct log_field){ .key = "k", .type = LOG_F_U64, .u64 = i };
	in.fields = fields;
	in.n_fields = ARRAY_SIZE(fields);
	ck_assert_int_eq(decode(log_record_encode(&in, buf)), 0);
	ck_assert_uint_eq(got.n_fields, LOG_FIELDS_MAX);
	ck_assert_uint_eq(got.fields[LOG_FIELDS_MAX - 1].u64, LOG_FIELDS_MAX - 1);
}
END_TEST

START_TEST(truncated_or_longer_is_refused)
{
	const struct log_record in = sample();
	const size_t len = log_record_encode(&in, buf);

	for (size_t n = 0; n < len; n++)
		ck_assert_int_eq(decode(n), -EBADMSG);
	buf[len] = 0;
	ck_assert_int_eq(decode(len + 1), -EBADMSG);
}
END_TEST

START_TEST(wrong_bytes_are_refused)
{
	static const struct {
		size_t off;
		uint8_t val;
	} bad[] = {
		{ 0, 3 }, { 1, 5 }, { 2, 2 }, { 3, 3 },	 { 3, 5 },  { 3, 200 },	  { 4, 0 },
		{ 4, 4 }, { 4, 2 }, { 5, 1 }, { 12, 1 }, { 14, 1 }, { 96, '\n' }, { 98, 'x' },
	};
	const struct log_record in = sample();

	for (size_t i = 0; i < ARRAY_SIZE(bad); i++) {
		const size_t len = log_record_encode(&in, buf);

		ck_assert_int_eq(decode(len), 0);
		memset(&got, 0x55, sizeof(got));
		buf[bad[i].off] = bad[i].val;
		ck_assert_msg(decode(len) == -EBADMSG, "byte %zu = %u", bad[i].off, bad[i].val);
		ck_assert_int_eq(*(uint8_t *)&got, 0x55); /* nothing written */
	}
}
END_TEST

START_TEST(wrong_fields_are_refused)
{
	const struct log_record in = sample();
	const size_t len = log_record_encode(&in, buf);
	const size_t fields = 96 + 3 + 6 + 11 + 6;

	ck_assert_int_eq(buf[fields], LOG_F_U64);
	ck_assert_str_eq((char *)buf + fields + 1, "size");
	buf[fields] = LOG_F_STR + 1;
	ck_assert_int_eq(decode(len), -EBADMSG);
	buf[fields] = LOG_F_BOOL; /* 0x1000 is not a truth value */
	ck_assert_int_eq(decode(len), -EBADMSG);
	buf[fields] = LOG_F_U64;
	ck_assert_int_eq(decode(len), 0);
	buf[fields + 1] = 0; /* no name */
	ck_assert_int_eq(decode(len), -EBADMSG);
}
END_TEST

UNIT_MAIN("rt/log_record", round_trip, everything_too_long_is_cut_and_decodes,
	  many_small_fields_stop_at_the_limit, truncated_or_longer_is_refused,
	  wrong_bytes_are_refused, wrong_fields_are_refused)
