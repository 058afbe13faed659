/* SPDX-License-Identifier: MIT */
#include "cli_err.h"
#include "cli_io.h"
#include "cli_kmsg.h"
#include "cli_model.h"
#include "cli_str.h"
#include "cli_term.h"

#include "unit.h"

#include <stdlib.h>
#include <string.h>
#include <unistd.h>

typedef void (*text_fn)(struct cli_str *str, const char *data, size_t len);

static void plain(struct cli_str *str, const char *data, size_t len)
{
	cli_str_plain(str, data, len, 0);
}

static void lines(struct cli_str *str, const char *data, size_t len)
{
	cli_str_plain(str, data, len, CLI_KEEP_NL);
}

static void colours(struct cli_str *str, const char *data, size_t len)
{
	cli_str_plain(str, data, len, CLI_KEEP_SGR);
}

static void becomes(text_fn fn, const char *in, const char *out)
{
	struct cli_str str = { 0 };

	fn(&str, in, strlen(in));
	ck_assert_str_eq(cli_str_text(&str), out);
	ck_assert(!str.failed);
	cli_str_fini(&str);
}

START_TEST(terminal_safe)
{
	becomes(plain, "a\x1b[2Jb\x07\n", "a\\x1b[2Jb\\x07\\x0a");
	becomes(lines, "a\tb\nc\rd", "a\tb\nc\\x0dd");
	becomes(colours, "\x1b[1;31mx\x1b[0m\x1b[2J\x1b]0;t\x07",
		"\x1b[1;31mx\x1b[0m\\x1b[2J\\x1b]0;t\\x07");
	/* C1 controls as UTF-8, and direction overrides. */
	becomes(plain,
		"\xc2\x9b"
		"31m\xe2\x80\xae",
		"\\u{9b}31m\\u{202e}");
	becomes(plain, "\xff\xc0\xaf\xed\xa0\x80\xf4\x90\x80\x80",
		"\xef\xbf\xbd\xef\xbf\xbd\xef\xbf\xbd\xef\xbf\xbd\xef\xbf\xbd\xef\xbf\xbd\xef\xbf\xbd"
		"\xef\xbf\xbd\xef\xbf\xbd\xef\xbf\xbd");
	becomes(plain, "gr\xc3\xbc\xc3\x9f", "gr\xc3\xbc\xc3\x9f");
	becomes(plain, "\xc3", "\xef\xbf\xbd");
}
END_TEST

START_TEST(json_and_html)
{
	becomes(cli_str_json, "a\"\\\n\x01\x7f\xc2\x85", "\"a\\\"\\\\\\n\\u0001\\u007f\\u0085\"");
	becomes(cli_str_json, "\xf3\xa0\x80\x81", "\"\\udb40\\udc01\"");
	becomes(cli_str_json, "", "\"\"");
	becomes(cli_str_html, "<a href='x' b=\"`\">&",
		"&lt;a href=&#39;x&#39; b=&quot;&#96;&quot;&gt;&amp;");
	becomes(cli_str_html, "\x1b\xe2\x80\xae", "\\u{1b}\\u{202e}");
}
END_TEST

static void cell(const char *in, unsigned int cols, bool fill, const char *out)
{
	struct cli_str str = { 0 };

	cli_str_cell(&str, in, strlen(in), cols, fill);
	ck_assert_str_eq(cli_str_text(&str), out);
	cli_str_fini(&str);
}

START_TEST(cells)
{
	cell("abc", 5, true, "abc  ");
	cell("abc", 5, false, "abc");
	cell("abcdef", 4, true, "abc\xe2\x80\xa6");
	cell("\xe4\xb8\xad\xe6\x96\x87\xe5\xad\x97", 5, true, "\xe4\xb8\xad\xe6\x96\x87 ");
	cell("\x1b[2J", 20, false, "\\x1b[2J");
	cell("abc", 0, true, "");
}
END_TEST

/* What is printed for an error. */
static char *printed(const struct cli_err *err, bool json)
{
	char *buf = NULL;
	size_t len = 0;
	FILE *f = open_memstream(&buf, &len);

	cli_err_print(err, f, json);
	ck_assert_int_eq(fclose(f), 0);
	return buf;
}

static void prints(const struct cli_err *err, bool json, const char *want)
{
	char *got = printed(err, json);

	ck_assert_str_eq(got, want);
	free(got);
}

START_TEST(errors)
{
	struct cli_err err;

	ck_assert_int_eq(cli_err_set(&err, "bad \x1b thing"), -1);
	prints(&err, false, "Error: bad \\x1b thing\n");
	(void)cli_err_wrap(&err, "outer");
	prints(&err, false, "Error: outer\n\nCaused by:\n    bad \\x1b thing\n");
	(void)cli_err_wrap(&err, "most");
	prints(&err, false, "Error: most\n\nCaused by:\n    0: outer\n    1: bad \\x1b thing\n");
	cli_err_hint(&err, "do it");
	prints(&err, true,
	       "{\"error\":\"most\",\"causes\":[\"outer\",\"bad \\u001b thing\"],"
	       "\"hint\":\"do it\"}\n");
	cli_err_flatten(&err);
	/* As text, hints are for terminals. */
	prints(&err, false, "Error: most: outer: bad \\x1b thing\n");
	(void)cli_err_os(&err, 2);
	prints(&err, false, "Error: No such file or directory (os error 2)\n");
	for (int i = 0; i < 20; i++)
		(void)cli_err_wrap(&err, "%d", i);
	ck_assert_uint_eq(err.n, CLI_ERR_DEPTH);
}
END_TEST

static void kmsg(const char *record, bool ansi, const char *want)
{
	struct cli_str out = { 0 };
	struct cli_kmsg msg;

	ck_assert_int_eq(cli_kmsg_parse(record, strlen(record), &msg), 0);
	cli_kmsg_text(&out, &msg, ansi);
	ck_assert_str_eq(cli_str_text(&out), want);
	cli_str_fini(&out);
}

START_TEST(kmsg_records)
{
	static const char *const bad[] = { "",	       "6,1,2",	     "x,1,2,-;m",
					   "6,,2,-;m", "6,1,-2,-;m", "4294967296,1,2;m",
					   "6,1;m",    "6,1,2x;m",   "6,1,2,-;\xff" };
	struct cli_kmsg msg;

	kmsg("6,339,5140900,-;NET: Registered\n SUBSYSTEM=x", false, "[5.140900] NET: Registered");
	kmsg("30,1,1,-;a\\x41\\\\b\\x1b[31mr\\x1b[2Jz\\q", false,
	     "[0.000001] a<41>\\b\x1b[31mr\\x1b[2Jzq");
	kmsg("27,1,12000000,-;keel: broken", true,
	     "\x1b[0;32m[12.000000] \x1b[0;33mkeel: \x1b[0;31mbroken\x1b[0m");
	kmsg("4,1,0,-;no target here", true,
	     "\x1b[0;32m[0.000000] \x1b[0;33mno target here\x1b[0m");
	kmsg("6,1,0;three fields will do", false, "[0.000000] three fields will do");
	for (size_t i = 0; i < ARRAY_SIZE(bad); i++)
		ck_assert_msg(cli_kmsg_parse(bad[i], strlen(bad[i]), &msg) < 0, "%zu", i);
	ck_assert_int_eq(cli_kmsg_parse("30,7,9,-;m", 10, &msg), 0);
	ck_assert_uint_eq(msg.facility, 3);
	ck_assert_uint_eq(msg.level, 6);
	ck_assert_uint_eq(msg.seq, 7);
}
END_TEST

static uint32_t key(const char *bytes, size_t *ret_n)
{
	uint32_t k = 0;

	*ret_n = cli_key_decode((const unsigned char *)bytes, strlen(bytes), &k);
	return k;
}

START_TEST(keys)
{
	size_t n;

	ck_assert_uint_eq(key("\x1b[A", &n), CLI_KEY_UP);
	ck_assert_uint_eq(n, 3);
	ck_assert_uint_eq(key("\x1bOB", &n), CLI_KEY_DOWN);
	ck_assert_uint_eq(key("\x1b[5~x", &n), CLI_KEY_PGUP);
	ck_assert_uint_eq(n, 4);
	ck_assert_uint_eq(key("\x1b[1;5C", &n), CLI_KEY_RIGHT);
	ck_assert_uint_eq(key("\x1b[99~", &n), CLI_KEY_OTHER);
	ck_assert_uint_eq(key("\x1bx", &n), CLI_KEY_ESC);
	ck_assert_uint_eq(n, 1);
	ck_assert_uint_eq(key("\xc3\xbc", &n), 0xfc);
	ck_assert_uint_eq(n, 2);
	ck_assert_uint_eq(key("\x7f", &n), CLI_KEY_BACKSPACE);
	/* Not complete yet. */
	(void)key("\x1b", &n);
	ck_assert_uint_eq(n, 0);
	(void)key("\x1b[1", &n);
	ck_assert_uint_eq(n, 0);
	(void)key("\xe2\x82", &n);
	ck_assert_uint_eq(n, 0);
}
END_TEST

START_TEST(sinks)
{
	struct cli_sink s = { .name = "stdout", .kind = CLI_SINK_JSON };
	char buf[512];
	ssize_t n;
	int p[2];

	ck_assert_int_eq(pipe(p), 0);
	s.fd = p[1];
	ck_assert_int_eq(cli_sink_put(&s, "one\ntw", 6), 0);
	ck_assert_int_eq(cli_sink_put(&s, "o", 1), 0);
	ck_assert_int_eq(cli_sink_put(&s, NULL, 0), 0);
	s.kind = CLI_SINK_TEXT;
	ck_assert_int_eq(cli_sink_put(&s, "\x1b[2Jx\n", 6), 0);
	n = read(p[0], buf, sizeof(buf) - 1);
	ck_assert_int_gt(n, 0);
	buf[n] = 0;
	ck_assert_str_eq(buf, "{\"stream\":\"stdout\",\"data\":\"one\\n\"}\n"
			      "{\"stream\":\"stdout\",\"data\":\"two\"}\n\\x1b[2Jx\n");
	cli_sink_fini(&s);
	(void)close(p[0]);
	(void)close(p[1]);
}
END_TEST

START_TEST(numbers)
{
	static const struct {
		double val;
		const char *text;
	} cases[] = { { 0, "0" },	{ 0.25, "0.2" },   { 12, "12" },
		      { 999.4, "999" }, { 1234, "1.23k" }, { 99950, "100k" },
		      { 5e6, "5.00M" }, { 1e21, "huge" },  { -1500, "-1.50k" } };
	char text[24];

	for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
		cli_short_number(cases[i].val, text);
		ck_assert_str_eq(text, cases[i].text);
	}
	cli_short_kib(1536, text);
	ck_assert_str_eq(text, "1.5 MiB");
	cli_short_kib(3 * 1024 * 1024, text);
	ck_assert_str_eq(text, "3.00 GiB");
}
END_TEST

UNIT_MAIN("diag/cli_text", terminal_safe, json_and_html, cells, errors, kmsg_records, keys, sinks,
	  numbers)
