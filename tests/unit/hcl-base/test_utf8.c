/* SPDX-License-Identifier: MIT */
#include "utf8.h"

#include "unit.h"

#include <string.h>

#define FFFD "\xef\xbf\xbd"

START_TEST(sequences)
{
	static const struct {
		const char *text;
		size_t len; /* of the first sequence, 0 = none */
	} rows[] = {
		{ "a", 1 },
		{ "\x7f", 1 },
		{ "\xc2\x80", 2 },
		{ "\xdf\xbf", 2 },
		{ "\xe0\xa0\x80", 3 },
		{ "\xed\x9f\xbf", 3 },
		{ "\xee\x80\x80", 3 },
		{ "\xef\xbf\xbf", 3 },
		{ "\xf0\x90\x80\x80", 4 },
		{ "\xf4\x8f\xbf\xbf", 4 },
		/* alone, over-long, surrogates, above the end, cut, wrong continuation */
		{ "\x80", 0 },
		{ "\xbf", 0 },
		{ "\xc0\x80", 0 },
		{ "\xc1\xbf", 0 },
		{ "\xe0\x9f\xbf", 0 },
		{ "\xf0\x8f\xbf\xbf", 0 },
		{ "\xed\xa0\x80", 0 },
		{ "\xed\xbf\xbf", 0 },
		{ "\xf4\x90\x80\x80", 0 },
		{ "\xf5\x80\x80\x80", 0 },
		{ "\xff", 0 },
		{ "\xc2", 0 },
		{ "\xe1\x80", 0 },
		{ "\xf1\x80\x80", 0 },
		{ "\xc2\x41", 0 },
		{ "\xe1\x80\x41", 0 },
	};

	for (size_t i = 0; i < ARRAY_SIZE(rows); i++) {
		ck_assert_uint_eq(utf8_seq(rows[i].text, strlen(rows[i].text)), rows[i].len);
		ck_assert_int_eq(utf8_ok(rows[i].text, strlen(rows[i].text)), rows[i].len > 0);
	}
	ck_assert_uint_eq(utf8_seq("", 1), 1); /* NUL is a character */
	ck_assert(utf8_ok("", 0));
	ck_assert(utf8_ok("a\xc3\xa9z", 4));
	ck_assert(!utf8_ok("a\xc3", 2));
}
END_TEST

static void check_clean(const char *in, const char *want)
{
	size_t len = strlen(in), n = strlen(want);
	char buf[64], small[64];

	ck_assert_uint_eq(utf8_clean(in, len, NULL, 0), n);
	ck_assert_uint_eq(utf8_clean(in, len, buf, sizeof(buf)), n);
	ck_assert_str_eq(buf, want);
	/* Cut anywhere it is a beginning of the same, and whole characters only. */
	for (size_t size = 1; size <= n + 1; size++) {
		memset(small, 'x', sizeof(small));
		ck_assert_uint_eq(utf8_clean(in, len, small, size), n);
		ck_assert_uint_lt(strlen(small), size);
		ck_assert(strncmp(small, want, strlen(small)) == 0);
		ck_assert(utf8_ok(small, strlen(small)));
		ck_assert_int_eq(small[size], 'x');
	}
}

START_TEST(cleaning)
{
	check_clean("", "");
	check_clean("plain", "plain");
	check_clean("a\xc3\xa9\xe2\x82\xac\xf0\x9f\x90\x9f",
		    "a\xc3\xa9\xe2\x82\xac\xf0\x9f\x90\x9f");
	check_clean("\xff", FFFD);
	check_clean("a\xe2\x82z", "a" FFFD FFFD "z");
	check_clean("\xed\xa0\x80", FFFD FFFD FFFD);
	check_clean("end\xf0\x9f\x90", "end" FFFD FFFD FFFD);
}
END_TEST

UNIT_MAIN("base/utf8", sequences, cleaning)
