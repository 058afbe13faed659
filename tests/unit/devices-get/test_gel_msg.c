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

static size_t build(const char *target, const char *text, uint64_t missed)
{
	const struct gel_msg m = { .level = GEL_WARNING,
				   .kmsg = true,
				   .target = target,
				   .target_len = strlen(target),
				   .text = text,
				   .text_len = strlen(text),
				   .time_ns = 1234567890123,
				   .missed = missed };
	size_t len = gel_msg_build(&m, rec);

	ck_assert_uint_ge(len, sizeof(hdr));
	ck_assert_uint_le(len, GEL_MAX_RECORD);
	memcpy(&hdr, rec, sizeof(hdr));
	return len;
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

START_TEST(golden)
{
	static const uint8_t head[] = {
		0x00, /* EVENT */
		0x03, /* warning */
		0x01, 0x00, /* kmsg */
		0x00, 0x00, 0x00, 0x00, /* no name */
		0x02, 0x00, 0x00, 0x00, /* target: 2 bytes at 0 */
		0x21, 0x00, 0x02, 0x00, /* fields: 33 bytes at 2 */
		0x79, 0x00, 0x23, 0x00, /* message: 121 bytes at 35 */
		0x00, 0x00, 0x00, 0x00,
	};
	static const uint8_t stamp[] = { 0x35, 0x1c, 0xdc, 0xdf, 0x02, 0x00, 0x00, 0x00 };
	static const char strings[] =
		"vm"
		"{\"message\":\"he said \\\"hi\\\" \\\\o/\"}"
		"{\"timestamp\":\"1234.567890123s\",\"level\":\"WARN\",\"target\":\"vm\","
		"\"fields\":{\"message\":\"he said \\\"hi\\\" \\\\o/\"},\"missed_events\":7}";
	static const uint8_t zero[48];
	size_t len = build("vm", "he said \"hi\" \\o/", 7);

	ck_assert_uint_eq(sizeof(head), 24);
	ck_assert_mem_eq(rec, head, sizeof(head));
	ck_assert_mem_eq(rec + 24, zero, sizeof(zero));
	ck_assert_mem_eq(rec + 72, stamp, sizeof(stamp));
	ck_assert_uint_eq(len, 80 + sizeof(strings) - 1);
	ck_assert_mem_eq(rec + 80, strings, sizeof(strings) - 1);
}
END_TEST

START_TEST(nothing_missed_is_not_mentioned)
{
	static const char want[] = "{\"timestamp\":\"1234.567890123s\",\"level\":\"WARN\","
				   "\"target\":\"a\",\"fields\":{\"message\":\"\"}}";

	(void)build("a", "", 0);
	ck_assert_uint_eq(hdr.message.size, sizeof(want) - 1);
	ck_assert_mem_eq(str_at(hdr.message), want, sizeof(want) - 1);
}
END_TEST

/* Whatever the text holds, the host's parser sees that text and nothing else. */
START_TEST(escaping)
{
	static const char nasty[] = "\"},\"level\":\"X\"\n\t\x01\x1f\\u0041\x7f\xc3\xa4";
	char text[200];

	(void)build("t\"\\", nasty, 1);
	get_text(hdr.message, "fields", text, sizeof(text));
	ck_assert_str_eq(text, "\"},\"level\":\"X\"\n\t\x01\x1f\\u0041???");
	get_text(hdr.fields, NULL, text, sizeof(text));
	ck_assert_str_eq(text, "\"},\"level\":\"X\"\n\t\x01\x1f\\u0041???");
	ck_assert_uint_eq(hdr.target.size, 3);
	ck_assert_mem_eq(str_at(hdr.target), "t\"\\", 3);
}
END_TEST

static void check_limits(size_t len)
{
	char text[GEL_MAX_MESSAGE];

	ck_assert_uint_le(hdr.target.size, GEL_MAX_TARGET);
	ck_assert_uint_le(hdr.fields.size, GEL_MAX_FIELDS);
	ck_assert_uint_le(hdr.message.size, GEL_MAX_MESSAGE);
	ck_assert_uint_eq(len, sizeof(hdr) + hdr.message.off + hdr.message.size);
	get_text(hdr.message, "fields", text, sizeof(text));
	get_text(hdr.fields, NULL, text, sizeof(text));
}

/* Lengths around both limits, of characters that take one, two and six bytes. */
START_TEST(truncation)
{
	static const struct {
		char c;
		unsigned width;
	} kinds[] = { { 'x', 1 }, { '"', 2 }, { '\x01', 6 } };
	static const unsigned limits[] = { GEL_MAX_FIELDS, GEL_MAX_MESSAGE };
	static char text[6000], target[300];

	for (size_t k = 0; k < ARRAY_SIZE(kinds) * ARRAY_SIZE(limits); k++) {
		unsigned to = limits[k % 2] / kinds[k / 2].width + 2;
		unsigned around = 200 / kinds[k / 2].width;

		for (unsigned n = to - around; n <= to; n++) {
			memset(text, kinds[k / 2].c, n);
			text[n] = 0;
			check_limits(build("vm", text, n & 1 ? UINT64_MAX : 0));
		}
	}
	ck_assert_uint_gt(hdr.message.size, 4000);
	ck_assert_uint_gt(hdr.fields.size, 248);
	memset(text, '"', sizeof(text) - 1);
	memset(target, '\x02', sizeof(target) - 1);
	check_limits(build(target, text, UINT64_MAX));
	ck_assert_uint_eq(hdr.target.size, GEL_MAX_TARGET);
	ck_assert_uint_eq(hdr.fields.off, GEL_MAX_TARGET);
}
END_TEST

START_TEST(levels)
{
	static const char *const names[] = { "\"ERROR\"", "\"ERROR\"", "\"WARN\"", "\"INFO\"",
					     "\"DEBUG\"" };

	for (uint8_t l = GEL_CRITICAL; l <= GEL_VERBOSE; l++) {
		const struct gel_msg m = {
			.level = l, .target = "a", .target_len = 1, .text = "b", .text_len = 1
		};
		size_t len = gel_msg_build(&m, rec);

		ck_assert_uint_eq(rec[1], l);
		ck_assert_uint_eq(le16_load(rec + 2), 0);
		ck_assert_ptr_nonnull(memmem(rec, len, names[l - 1], strlen(names[l - 1])));
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

UNIT_MAIN("devices-get/gel_msg", golden, nothing_missed_is_not_mentioned, escaping, truncation,
	  levels, kernel_line, kernel_line_malformed)
