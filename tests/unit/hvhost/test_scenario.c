/* SPDX-License-Identifier: MIT */
/* Scenarios: lines in order, in step with the guest. */
#include "scenario.h"

#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "unit.h"

#define MS 1000000ull

static char said[256], asked[256], why[400];
static struct scenario *sc;

static void request(void *ctx, const char *line)
{
	(void)ctx;
	snprintf(asked, sizeof(asked), "%s", line);
}

static void say(void *ctx, const char *text)
{
	(void)ctx;
	snprintf(said, sizeof(said), "%s", text);
}

static const struct scenario_ops ops = { .request = request, .say = say };

static int load(const char *text)
{
	char path[] = "/tmp/keel-scenario-XXXXXX";
	int fd = mkstemp(path), r;

	ck_assert_int_ge(fd, 0);
	ck_assert_int_eq(write(fd, text, strlen(text)), (ssize_t)strlen(text));
	(void)close(fd);
	asked[0] = said[0] = 0;
	r = scenario_load(path, &ops, NULL, &sc, why, sizeof(why));
	(void)unlink(path);
	return r;
}

static void hear(enum scenario_stream s, const char *text)
{
	scenario_output(sc, s, text, strlen(text), 0);
}

START_TEST(lines_are_done_in_order)
{
	ck_assert_int_eq(load("# what is tried\n"
			      "\n"
			      "  expect ready \n"
			      "disk-add data\n"
			      "say go on\n"
			      "expect done"),
			 0);
	scenario_start(sc, 0);
	ck_assert_str_eq(asked, "");
	hear(SCENARIO_SCRIPT, "it is rea");
	ck_assert_str_eq(asked, "");
	hear(SCENARIO_SCRIPT, "dy now");
	ck_assert_str_eq(asked, "disk-add data");
	ck_assert_str_eq(said, "");
	/* What is said meanwhile is not lost. */
	hear(SCENARIO_COM1, "all done\n");
	ck_assert_ptr_nonnull(scenario_problem(sc));
	scenario_reply(sc, true, "ok", 0);
	ck_assert_str_eq(said, "go on");
	ck_assert_ptr_null(scenario_problem(sc));
	scenario_free(sc);
}
END_TEST

START_TEST(what_was_found_is_not_found_again)
{
	ck_assert_int_eq(load("expect a\nexpect a\n"), 0);
	scenario_start(sc, 0);
	hear(SCENARIO_COM1, "xa");
	ck_assert_ptr_nonnull(strstr(scenario_problem(sc), ":2: the run ended before: a"));
	hear(SCENARIO_COM1, "b");
	ck_assert_ptr_nonnull(scenario_problem(sc));
	hear(SCENARIO_COM1, "a");
	ck_assert_ptr_null(scenario_problem(sc));
	/* The beginning again: nothing is remembered. */
	scenario_start(sc, 0);
	ck_assert_ptr_nonnull(strstr(scenario_problem(sc), ":1:"));
	scenario_free(sc);
}
END_TEST

START_TEST(much_is_heard)
{
	static char lots[100000];

	memset(lots, 'x', sizeof(lots));
	memcpy(lots + 50, "early", 5);
	memcpy(lots + sizeof(lots) - 50, "late", 4);
	ck_assert_int_eq(load("disk-list\nexpect late\n"), 0);
	scenario_start(sc, 0);
	scenario_output(sc, SCENARIO_COM1, lots, sizeof(lots), 0);
	scenario_output(sc, SCENARIO_COM1, lots + 100, 49000, 0);
	scenario_reply(sc, true, "ok", 0);
	ck_assert_ptr_null(scenario_problem(sc));
	scenario_free(sc);
}
END_TEST

START_TEST(time_passes)
{
	ck_assert_int_eq(load("sleep 100\nsay now\nsleep 50\n"), 0);
	scenario_start(sc, 1000 * MS);
	ck_assert_uint_eq(scenario_tick(sc, 1000 * MS), 1100 * MS);
	ck_assert_uint_eq(scenario_tick(sc, 1099 * MS), 1100 * MS);
	ck_assert_str_eq(said, "");
	ck_assert_uint_eq(scenario_tick(sc, 1101 * MS), 1151 * MS);
	ck_assert_str_eq(said, "now");
	ck_assert_uint_eq(scenario_tick(sc, 1151 * MS), 0);
	ck_assert_ptr_null(scenario_problem(sc));
	scenario_free(sc);
}
END_TEST

START_TEST(answers_count)
{
	/* An error ends it, and so does a success where an error was wanted. */
	ck_assert_int_eq(load("refused disk-add none\ndisk-add x\nsay never\n"), 0);
	scenario_start(sc, 0);
	ck_assert_str_eq(asked, "disk-add none");
	scenario_reply(sc, false, "no", 0);
	ck_assert_str_eq(asked, "disk-add x");
	scenario_reply(sc, false, "there is no disk x", 0);
	ck_assert_ptr_nonnull(strstr(scenario_problem(sc), ":2: disk-add x: there is no disk x"));
	ck_assert_str_eq(said, "");
	hear(SCENARIO_COM1, "anything");
	scenario_reply(sc, true, "ok", 0);
	ck_assert_str_eq(said, "");
	scenario_free(sc);
	ck_assert_int_eq(load("refused disk-list\n"), 0);
	scenario_start(sc, 0);
	scenario_reply(sc, true, "ok", 0);
	ck_assert_ptr_nonnull(strstr(scenario_problem(sc), "refused"));
	scenario_free(sc);
}
END_TEST

START_TEST(files_that_make_no_sense)
{
	static char lots[8000], longline[2000];

	ck_assert_int_lt(load("expect\n"), 0);
	ck_assert_ptr_nonnull(strstr(why, ":1:"));
	ck_assert_int_lt(load("\n\nsleep\n"), 0);
	ck_assert_ptr_nonnull(strstr(why, ":3:"));
	ck_assert_int_lt(load("sleep 5x\n"), 0);
	ck_assert_int_lt(load("sleep -5\n"), 0);
	ck_assert_int_lt(load("refused\n"), 0);
	memset(longline, 'a', sizeof(longline) - 1);
	ck_assert_int_lt(load(longline), 0);
	for (unsigned i = 0; i < 513; i++)
		memcpy(lots + 4 * i, "say\n", 4);
	ck_assert_int_lt(load(lots), 0);
	ck_assert_int_lt(scenario_load("/none", &ops, NULL, &sc, why, sizeof(why)), 0);
	/* Words that only begin like one of ours are requests. */
	ck_assert_int_eq(load("sleeping\nsay\n"), 0);
	scenario_start(sc, 0);
	ck_assert_str_eq(asked, "sleeping");
	scenario_free(sc);
}
END_TEST

UNIT_MAIN("hvhost/scenario", lines_are_done_in_order, what_was_found_is_not_found_again,
	  much_is_heard, time_passes, answers_count, files_that_make_no_sense)
