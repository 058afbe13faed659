/* SPDX-License-Identifier: MIT */
/* Where the dump programs' settings come from: PID 1's environment decides, not their own. */
#include "crash_env.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "confid.h"
#include "unit.h"

static char path[32];

static void write_file(const char *text, size_t len)
{
	int fd;

	(void)snprintf(path, sizeof(path), "/tmp/environ-XXXXXX");
	fd = mkstemp(path);
	ck_assert_int_ge(fd, 0);
	ck_assert_int_eq(write(fd, text, len), (ssize_t)len);
	(void)close(fd);
}

static void import(const char *text, size_t len)
{
	write_file(text, len);
	ck_assert_int_eq(crash_env_import(path), 0);
	(void)unlink(path);
}

#define IMPORT(text) import(text, sizeof(text))

static bool restricted(void)
{
	return confid_decide(NULL, NULL).restricted;
}

START_TEST(takes_our_names)
{
	(void)setenv("HOME", "/here", 1);
	(void)setenv("OPENHCL_B", "old", 1);
	IMPORT("HOME=/there\0OPENHCL_A=1\0OPENHCL_B=new\0UNDERHILL_CRASH_TIMEOUT=20\0noise\0T=x");
	ck_assert_str_eq(getenv("HOME"), "/here");
	ck_assert_str_eq(getenv("OPENHCL_A"), "1");
	ck_assert_str_eq(getenv("OPENHCL_B"), "new");
	ck_assert(crash_env_is_set("OPENHCL_A"));
	ck_assert_uint_eq(crash_env_number("UNDERHILL_CRASH_TIMEOUT", 1, 100, 15), 20);
}
END_TEST

/* Nobody who starts the program can make it believe that the VM is less confidential. */
START_TEST(own_environment_does_not_decide)
{
	(void)setenv("OPENHCL_CONFIDENTIAL_DEBUG", "1", 1);
	(void)setenv("UNDERHILL_CONFIDENTIAL_DEBUG", "1", 1);
	IMPORT("OPENHCL_CONFIDENTIAL=1");
	ck_assert(restricted());
	(void)setenv("OPENHCL_CONFIDENTIAL", "0", 1);
	IMPORT("UNDERHILL_CONFIDENTIAL=1");
	ck_assert(restricted());
	IMPORT("OPENHCL_CONFIDENTIAL=1\0OPENHCL_CONFIDENTIAL_DEBUG=1");
	ck_assert(!restricted());
	IMPORT("PATH=/bin");
	ck_assert(!restricted());
}
END_TEST

START_TEST(unreadable)
{
	char *text = malloc(70000);

	ck_assert_ptr_nonnull(text);
	memset(text, 'x', 70000);
	ck_assert_int_eq(crash_env_import("/nonexistent"), -ENOENT);
	write_file(text, 70000);
	ck_assert_int_eq(crash_env_import(path), -E2BIG);
	(void)unlink(path);
	free(text);
}
END_TEST

START_TEST(cut_off_text)
{
	import("OPENHCL_A=12", 11); /* no NUL at the end, and nothing of the last byte */
	ck_assert_str_eq(getenv("OPENHCL_A"), "1");
	import("", 0);
	import("\0\0\0=\0OPENHCL_\0OPENHCL_=", 24);
}
END_TEST

START_TEST(numbers)
{
	static const char *const odd[] = { "",	 "x",	"-1",
					   "+1", " 1",	"1x",
					   "0",	 "101", "99999999999999999999" };

	(void)unsetenv("N");
	ck_assert_uint_eq(crash_env_number("N", 1, 100, 15), 15);
	for (size_t i = 0; i < ARRAY_SIZE(odd); i++) {
		(void)setenv("N", odd[i], 1);
		ck_assert_uint_eq(crash_env_number("N", 1, 100, 15), 15);
		ck_assert(!crash_env_is_set("N"));
	}
	(void)setenv("N", "100", 1);
	ck_assert_uint_eq(crash_env_number("N", 1, 100, 15), 100);
	(void)setenv("N", "true", 1);
	ck_assert(crash_env_is_set("N"));
}
END_TEST

UNIT_MAIN("crash/crash_env", takes_our_names, own_environment_does_not_decide, unreadable,
	  cut_off_text, numbers)
