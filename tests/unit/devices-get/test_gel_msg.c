/* SPDX-License-Identifier: MIT */
/* Records of the log channel byte by byte, and records of the kernel's log taken apart. */
#include "gel_msg.h"
#include "json.h"
#include "kmsg_line.h"
#include "le.h"

#include <errno.h>
#include <string.h>

#include "unit.h"

static uint8_t rec[GEL_MAX_RECORD];
static struct gel_header hdr;

static size_t check_length(size_t len)
{
	ck_assert_uint_ge(len, sizeof(hdr));
	ck_assert_uint_le(len, GEL_MAX_RECORD);
	memcpy(&hdr, rec, sizeof(hdr));
	ck_assert_uint_eq(len, sizeof(hdr) + hdr.message.off + hdr.message.size);
	return len;
}

static size_t build_kmsg(const char *target, const char *text, uint64_t missed)
{
	const struct gel_kmsg m = { .level = 4,
				    .target = target,
				    .text = text,
				    .text_len = strlen(text),
				    .time_ns = 1234567890123,
				    .missed = missed };

	return check_length(gel_msg_kmsg(&m, rec));
}

static const struct log_field some_fields[] = {
	{ .key = "size", .type = LOG_F_U64, .u64 = 4096 },
	{ .key = "error", .type = LOG_F_I64, .i64 = -22 },
	{ .key = "retry", .type = LOG_F_BOOL, .u64 = 1 },
	{ .key = "path", .type = LOG_F_STR, .str = "a \"b\"" },
};

static struct log_record sample(const char *text)
{
	return (struct log_record){ .level = LOG_WARN,
				    .time_ns = 1234567890123,
				    .target = "vm",
				    .name = "",
				    .context = "not for the host",
				    .text = text };
}

static size_t build(const char *text, uint64_t missed)
{
	const struct log_record in = sample(text);

	return check_length(gel_msg_record(&in, missed, rec));
}

static const char *str_at(struct gel_str s)
{
	return (const char *)rec + sizeof(hdr) + s.off;
}

/* The JSON in a string of the record must be whole; its member fields.message or message. */
static void get_text(struct gel_str s, const char *outer, char *ret_text, size_t cap)
{
	struct json j;
	uint32_t obj = 0;

	ck_assert_int_eq(json_parse(str_at(s), s.size, &j), 0);
	if (outer)
		obj = json_member(&j, 0, outer);
	ck_assert_int_eq(json_string(&j, json_member(&j, obj, "message"), ret_text, cap), 0);
	json_fini(&j);
}

static const uint8_t zero[48];
static const uint8_t stamp[] = { 0x35, 0x1c, 0xdc, 0xdf, 0x02, 0x00, 0x00, 0x00 };

START_TEST(golden)
{
	static const uint8_t head[] = {
		0x00, /* EVENT */
		0x03, /* warning */
		0x00, 0x00, /* not from the kernel's log */
		0x00, 0x00, 0x00, 0x00, /* no name */
		0x02, 0x00, 0x00, 0x00, /* target: 2 bytes at 0 */
		0x21, 0x00, 0x02, 0x00, /* fields: 33 bytes at 2 */
		0x79, 0x00, 0x23, 0x00, /* message: 121 bytes at 35 */
		0x00, 0x00, 0x00, 0x00,
	};
	static const char strings[] =
		"vm"
		"{\"message\":\"he said \\\"hi\\\" \\\\o/\"}"
		"{\"timestamp\":\"1234.567890123s\",\"level\":\"WARN\",\"target\":\"vm\","
		"\"fields\":{\"message\":\"he said \\\"hi\\\" \\\\o/\"},\"missed_events\":7}";
	size_t len = build("he said \"hi\" \\o/", 7);

	ck_assert_uint_eq(sizeof(head), 24);
	ck_assert_mem_eq(rec, head, sizeof(head));
	ck_assert_mem_eq(rec + 24, zero, sizeof(zero));
	ck_assert_mem_eq(rec + 72, stamp, sizeof(stamp));
	ck_assert_uint_eq(len, 80 + sizeof(strings) - 1);
	ck_assert_mem_eq(rec + 80, strings, sizeof(strings) - 1);
}
END_TEST

static void expect_strings(const char *want)
{
	ck_assert_uint_eq(hdr.message.off + hdr.message.size, strlen(want));
	ck_assert_mem_eq(rec + sizeof(hdr), want, strlen(want));
}

START_TEST(golden_fields_and_ids)
{
	struct log_record in = sample("made");

	in.related = (struct guid){ .d1 = 0x12345678, .d4 = { 1 } };
	in.correlation = (struct guid){ .d2 = 0x9abc };
	in.fields = some_fields;
	in.n_fields = ARRAY_SIZE(some_fields);
	(void)check_length(gel_msg_record(&in, 0, rec));
	ck_assert_mem_eq(hdr.activity, zero, 16);
	ck_assert_mem_eq(hdr.related_activity, &in.related, 16);
	ck_assert_mem_eq(hdr.correlation, &in.correlation, 16);
#define FIELDS \
	"{\"message\":\"made\",\"size\":4096,\"error\":-22,\"retry\":true,\"path\":\"a \\\"b\\\"\"}"
	expect_strings("vm" FIELDS
		       "{\"timestamp\":\"1234.567890123s\",\"level\":\"WARN\",\"target\":\"vm\","
		       "\"related_activity_id\":\"12345678-0000-0000-0100-000000000000\","
		       "\"fields\":" FIELDS "}");
#undef FIELDS
}
END_TEST

START_TEST(golden_spans)
{
	struct log_record in = sample("");

	in.kind = LOG_SPAN_ENTER;
	in.level = LOG_INFO;
	in.name = "start";
	in.activity = (struct guid){ .d1 = 0xa };
	in.related = (struct guid){ .d1 = 0xb };
	in.fields = some_fields;
	in.n_fields = 1;
	(void)check_length(gel_msg_record(&in, 3, rec));
	ck_assert_uint_eq(hdr.type, GEL_SPAN_ENTER);
	ck_assert_uint_eq(hdr.level, GEL_INFO);
	ck_assert_uint_eq(hdr.name.size, 5);
	ck_assert_mem_eq(hdr.activity, &in.activity, 16);
	expect_strings("startvm{\"size\":4096}"
		       "{\"timestamp\":\"1234.567890123s\",\"name\":\"start\",\"op_code\":1,"
		       "\"target\":\"vm\",\"level\":\"INFO\","
		       "\"activity_id\":\"0000000a-0000-0000-0000-000000000000\","
		       "\"related_activity_id\":\"0000000b-0000-0000-0000-000000000000\","
		       "\"fields\":{\"size\":4096}}");
	in.kind = LOG_SPAN_EXIT;
	in.related = (struct guid){ 0 };
	in.n_fields = 0;
	in.taken_ns = 1234;
	in.busy_ns = 1000;
	(void)check_length(gel_msg_record(&in, 0, rec));
	ck_assert_uint_eq(hdr.type, GEL_SPAN_EXIT);
	ck_assert_uint_eq(hdr.fields.size, 0);
	expect_strings("startvm{\"timestamp\":\"1234.567890123s\",\"name\":\"start\","
		       "\"op_code\":2,\"target\":\"vm\",\"level\":\"INFO\","
		       "\"activity_id\":\"0000000a-0000-0000-0000-000000000000\","
		       "\"time_taken_ns\":1234,\"time_active_ns\":1000}");
}
END_TEST

START_TEST(golden_kmsg)
{
	(void)build_kmsg("panic", "oops", 2);
	ck_assert_uint_eq(hdr.type, GEL_EVENT);
	ck_assert_uint_eq(hdr.level, GEL_WARNING);
	ck_assert_uint_eq(hdr.flags, GEL_FLAG_KMSG);
	ck_assert_uint_eq(hdr.name.size, 0);
	ck_assert_uint_eq(hdr.fields.size, 0);
	ck_assert_mem_eq(rec + 24, zero, sizeof(zero));
	ck_assert_mem_eq(rec + 72, stamp, sizeof(stamp));
	expect_strings("panic{\"timestamp\":\"1234.567890123s\",\"level\":\"4\","
		       "\"target\":\"panic\","
		       "\"fields\":{\"message\":\"oops\",\"missed_entries\":2}}");
	(void)build_kmsg("kmsg", "", 0);
	expect_strings("kmsg{\"timestamp\":\"1234.567890123s\",\"level\":\"4\","
		       "\"target\":\"kmsg\",\"fields\":{\"message\":\"\"}}");
}
END_TEST

START_TEST(nothing_missed_is_not_mentioned)
{
	(void)build("", 0);
	expect_strings("vm{\"message\":\"\"}{\"timestamp\":\"1234.567890123s\",\"level\":\"WARN\","
		       "\"target\":\"vm\",\"fields\":{\"message\":\"\"}}");
}
END_TEST

/* Whatever the text holds, the host's parser sees that text and nothing else. */
START_TEST(escaping)
{
	static const char nasty[] = "\"},\"level\":\"X\"\n\t\x01\x1f\\u0041\x7f\xc3\xa4";
	char text[200];

	(void)build_kmsg("t\"\\", nasty, 1);
	get_text(hdr.message, "fields", text, sizeof(text));
	ck_assert_str_eq(text, "\"},\"level\":\"X\"\n\t\x01\x1f\\u0041???");
	ck_assert_uint_eq(hdr.target.size, 3);
	ck_assert_mem_eq(str_at(hdr.target), "t\"\\", 3);
	(void)build(nasty, 1);
	get_text(hdr.message, "fields", text, sizeof(text));
	ck_assert_str_eq(text, "\"},\"level\":\"X\"\n\t\x01\x1f\\u0041???");
	get_text(hdr.fields, NULL, text, sizeof(text));
	ck_assert_str_eq(text, "\"},\"level\":\"X\"\n\t\x01\x1f\\u0041???");
}
END_TEST

static void check_limits(void)
{
	char text[GEL_MAX_MESSAGE];

	ck_assert_uint_le(hdr.target.size, GEL_MAX_TARGET);
	ck_assert_uint_le(hdr.fields.size, GEL_MAX_FIELDS);
	ck_assert_uint_le(hdr.message.size, GEL_MAX_MESSAGE);
	get_text(hdr.message, "fields", text, sizeof(text));
	if (hdr.fields.size)
		get_text(hdr.fields, NULL, text, sizeof(text));
}

/* Lengths around both limits, of characters that take one, two and six bytes. */
START_TEST(truncation)
{
	static const struct {
		char c;
		unsigned width;
	} kinds[] = { { 'x', 1 }, { '"', 2 }, { '\x01', 6 } };
	static char text[6000], target[300];

	for (size_t k = 0; k < ARRAY_SIZE(kinds); k++) {
		unsigned to = GEL_MAX_MESSAGE / kinds[k].width + 2, around = 200 / kinds[k].width;

		for (unsigned n = to - around; n <= to; n++) {
			memset(text, kinds[k].c, n);
			text[n] = 0;
			(void)build_kmsg("vm", text, n & 1 ? UINT64_MAX : 0);
			check_limits();
			ck_assert_uint_gt(hdr.message.size, 3500);
		}
	}
	memset(text, '"', sizeof(text) - 1);
	memset(target, '\x02', sizeof(target) - 1);
	(void)build_kmsg(target, text, UINT64_MAX);
	check_limits();
	ck_assert_uint_eq(hdr.target.size, GEL_MAX_TARGET);
	for (unsigned n = 100; n < LOG_TEXT_MAX; n++) {
		memset(text, '"', n);
		text[n] = 0;
		(void)build(text, UINT64_MAX);
		check_limits();
		ck_assert_uint_gt(hdr.fields.size, 200);
	}
}
END_TEST

/* The longest record there can be is whole JSON. */
START_TEST(largest_record)
{
	static char text[LOG_TEXT_MAX], value[LOG_FIELDS_BYTES];
	static uint8_t bytes[LOG_RECORD_MAX];
	struct log_field fields[LOG_FIELDS_MAX];
	struct log_record in = sample(text), out;
	struct json j;

	memset(text, '"', sizeof(text) - 1);
	memset(value, '\\', sizeof(value) - 1);
	for (size_t i = 0; i < ARRAY_SIZE(fields); i++)
		fields[i] = (struct log_field){ .key = "k", .type = LOG_F_I64, .i64 = INT64_MIN };
	fields[LOG_FIELDS_MAX - 1] =
		(struct log_field){ .key = "s", .type = LOG_F_STR, .str = value };
	in.target = in.name = text;
	in.fields = fields;
	in.n_fields = ARRAY_SIZE(fields);
	in.kind = (enum log_kind)(_i % 3);
	memset(&in.activity, 0xff, sizeof(in.activity));
	in.related = in.correlation = in.activity;
	in.time_ns = in.taken_ns = in.busy_ns = UINT64_MAX;
	ck_assert_int_eq(log_record_decode(bytes, log_record_encode(&in, bytes), fields, &out), 0);
	(void)check_length(gel_msg_record(&out, UINT64_MAX, rec));
	ck_assert_int_eq(json_parse(str_at(hdr.message), hdr.message.size, &j), 0);
	json_fini(&j);
	ck_assert_uint_ge(hdr.message.size, in.kind == LOG_EVENT ? 2500 : 300);
}
END_TEST

START_TEST(levels)
{
	static const struct {
		enum gel_level gel;
		const char *name;
	} want[] = {
		[LOG_ERR] = { GEL_ERROR, "\"ERROR\"" },
		[LOG_WARN] = { GEL_WARNING, "\"WARN\"" },
		[LOG_INFO] = { GEL_INFO, "\"INFO\"" },
		[LOG_DEBUG] = { GEL_VERBOSE, "\"DEBUG\"" },
		[LOG_TRACE] = { GEL_VERBOSE, "\"TRACE\"" },
	};
	static const enum gel_level kernel[] = { 1, 1, 1, 2, 3, 4, 5, 5 };

	for (size_t l = 0; l < ARRAY_SIZE(want); l++) {
		struct log_record in = sample("x");
		size_t len;

		in.level = (enum log_level)l;
		len = gel_msg_record(&in, 0, rec);
		ck_assert_uint_eq(rec[1], want[l].gel);
		ck_assert_uint_eq(le16_load(rec + 2), 0);
		ck_assert_ptr_nonnull(memmem(rec, len, want[l].name, strlen(want[l].name)));
	}
	for (uint32_t l = 0; l < ARRAY_SIZE(kernel); l++) {
		const struct gel_kmsg m = { .level = l, .target = "a", .text = "" };

		(void)gel_msg_kmsg(&m, rec);
		ck_assert_uint_eq(rec[1], kernel[l]);
	}
}
END_TEST

static int parse(const char *text, struct kmsg_line *ret_line)
{
	static char buf[400];
	size_t len = strlen(text);

	memcpy(buf, text, len);
	return kmsg_line_parse(buf, len, ret_line);
}

START_TEST(kernel_line)
{
	struct kmsg_line k;

	ck_assert_int_eq(parse("30,339,5140900,-,caller=T1;a \\x22b\\x22\\x0ac\\x5c \\xg1 \\x5\n"
			       " SUBSYSTEM=acpi\n DEVICE=+acpi:PNP0A03:00\n",
			       &k),
			 0);
	ck_assert_uint_eq(k.facility, 3);
	ck_assert_uint_eq(k.level, 6);
	ck_assert_uint_eq(k.seq, 339);
	ck_assert_uint_eq(k.time_us, 5140900);
	ck_assert_uint_eq(k.text_len, strlen("a \"b\"\nc\\ \\xg1 \\x5"));
	ck_assert_mem_eq(k.text, "a \"b\"\nc\\ \\xg1 \\x5", k.text_len);
	ck_assert_int_eq(parse("4,18446744073709551615,0,-;", &k), 0);
	ck_assert_uint_eq(k.seq, UINT64_MAX);
	ck_assert_uint_eq(k.text_len, 0);
}
END_TEST

START_TEST(kernel_line_malformed)
{
	static const char *const bad[] = {
		"",
		"5",
		"5,",
		"5,6",
		"5,6,7",
		"5,6,7,",
		"5,6,7,-",
		",6,7,-;x",
		"5,,7,-;x",
		"5,6,,-;x",
		"x,6,7,-;x",
		"5;6,7,-;x",
		"-5,6,7,-;x",
		"5,6,7;x",
		"5,18446744073709551616,7,-;x",
		"99999999999,6,7,-;x",
	};
	struct kmsg_line k;

	for (size_t i = 0; i < ARRAY_SIZE(bad); i++)
		ck_assert_msg(parse(bad[i], &k) == -EBADMSG, "%s", bad[i]);
}
END_TEST

UNIT_MAIN_VARIANTS("devices-get/gel_msg", 3, golden, golden_fields_and_ids, golden_spans,
		   golden_kmsg, largest_record, nothing_missed_is_not_mentioned, escaping,
		   truncation, levels, kernel_line, kernel_line_malformed)
