/* SPDX-License-Identifier: MIT */
#include "log.h"

#include <errno.h>
#include <pthread.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "unit.h"

#define LOG_AREA "test"

static struct {
	int n;
	enum log_level level;
	char last[LOG_LINE_MAX];
} seen;

static void collect(void *ctx, enum log_level level, const char *line)
{
	ck_assert_ptr_eq(ctx, &seen);
	seen.n++;
	seen.level = level;
	(void)snprintf(seen.last, sizeof(seen.last), "%s", line);
}

static void start(enum log_level level, bool confidential)
{
	memset(&seen, 0, sizeof(seen));
	log_init(level, confidential, collect, &seen);
}

START_TEST(line_has_name_level_area_text)
{
	start(LOG_INFO, false);
	log_warn(ALLOWED, "vp %u: %s", 3, "late");
	ck_assert_str_eq(seen.last, "keel warn test: vp 3: late");
	ck_assert_int_eq(seen.level, LOG_WARN);
	log_set_name("hvhost");
	log_err(CONF, "x");
	ck_assert_str_eq(seen.last, "hvhost error test: x");
}
END_TEST

START_TEST(levels_below_are_dropped)
{
	start(LOG_WARN, false);
	log_info(ALLOWED, "no");
	log_debug(ALLOWED, "no");
	ck_assert_int_eq(seen.n, 0);
	log_warn(ALLOWED, "yes");
	log_err(ALLOWED, "yes");
	ck_assert_int_eq(seen.n, 2);
}
END_TEST

START_TEST(confidential_drops_conf)
{
	start(LOG_DEBUG, true);
	log_err(CONF, "rax %x", 1);
	ck_assert_int_eq(seen.n, 0);
	log_err(ALLOWED, "count %d", 1);
	ck_assert_int_eq(seen.n, 1);
}
END_TEST

START_TEST(text_stays_on_one_line)
{
	start(LOG_INFO, false);
	log_info(CONF, "a\nkeel error fake: b\x1b[31m\t\x80\x7f");
	ck_assert_str_eq(seen.last, "keel info test: a?keel error fake: b?[31m???");
}
END_TEST

START_TEST(long_text_is_cut)
{
	char text[2 * LOG_LINE_MAX];

	memset(text, 'a', sizeof(text));
	text[sizeof(text) - 1] = 0;
	start(LOG_INFO, false);
	log_info(CONF, "%s", text);
	ck_assert_uint_eq(strlen(seen.last), LOG_LINE_MAX - 1);
}
END_TEST

static void speak(void)
{
	log_warn_rl(ALLOWED, "again");
}

START_TEST(rate_limit_per_site)
{
	start(LOG_INFO, false);
	for (int i = 0; i < 1000; i++)
		speak();
	ck_assert_int_eq(seen.n, 10);
	/* Another site has a budget of its own. */
	log_warn_rl(ALLOWED, "other");
	ck_assert_int_eq(seen.n, 11);
}
END_TEST

START_TEST(next_window_tells_how_many)
{
	struct log_rl rl = { 0 };

	start(LOG_INFO, false);
	for (int i = 0; i < 17; i++)
		log_emit(LOG_INFO, ALLOWED, &rl, LOG_AREA, "x");
	ck_assert_int_eq(seen.n, 10);
	rl.window_start_ns -= 5000000000ull;
	log_emit(LOG_INFO, ALLOWED, &rl, LOG_AREA, "x");
	ck_assert_int_eq(seen.n, 11);
	ck_assert_str_eq(seen.last, "keel info test: (7 lines squashed) x");
	log_emit(LOG_INFO, ALLOWED, &rl, LOG_AREA, "x");
	ck_assert_str_eq(seen.last, "keel info test: x");
}
END_TEST

START_TEST(dropped_statements_use_no_budget)
{
	struct log_rl rl = { 0 };

	start(LOG_INFO, true);
	for (int i = 0; i < 100; i++)
		log_emit(LOG_INFO, CONF, &rl, LOG_AREA, "x");
	ck_assert_uint_eq(rl.in_window, 0);
}
END_TEST

static void *storm(void *arg)
{
	struct log_rl *rl = arg;

	for (int i = 0; i < 20000; i++)
		log_emit(LOG_INFO, ALLOWED, rl, LOG_AREA, "x");
	return NULL;
}

START_TEST(rate_limit_holds_between_threads)
{
	struct log_rl rl = { 0 };
	pthread_t threads[4];

	start(LOG_INFO, false);
	for (size_t i = 0; i < 4; i++)
		ck_assert_int_eq(pthread_create(&threads[i], NULL, storm, &rl), 0);
	for (size_t i = 0; i < 4; i++)
		ck_assert_int_eq(pthread_join(threads[i], NULL), 0);
	/* A race for the first window may let a few more through, and only a few. */
	ck_assert_int_ge(seen.n, 10);
	ck_assert_int_le(seen.n, 14);
	ck_assert_uint_ge(rl.squashed + (unsigned)seen.n, 80000 - 4);
}
END_TEST

/* Run fn with fd as the write end of a pipe and return what it wrote. */
static size_t captured(int target, char *ret_text, size_t size, void (*fn)(int fd))
{
	int saved = target >= 0 ? dup(target) : -1;
	int fds[2];
	ssize_t n;

	ck_assert_int_eq(pipe(fds), 0);
	if (target >= 0)
		ck_assert_int_eq(dup2(fds[1], target), target);
	fn(fds[1]);
	if (target >= 0)
		(void)dup2(saved, target);
	n = read(fds[0], ret_text, size - 1);
	ck_assert_int_ge(n, 0);
	ret_text[n] = 0;
	return (size_t)n;
}

static void to_stderr(int fd)
{
	(void)fd;
	log_init(LOG_INFO, false, NULL, NULL);
	log_info(ALLOWED, "one");
}

static void to_kmsg(int fd)
{
	log_init(LOG_DEBUG, false, log_sink_kmsg, &fd);
	log_err(ALLOWED, "e");
	log_warn(ALLOWED, "w");
	log_info(ALLOWED, "i");
	log_debug(ALLOWED, "d");
}

START_TEST(sinks_end_lines)
{
	char text[512];

	captured(STDERR_FILENO, text, sizeof(text), to_stderr);
	ck_assert_str_eq(text, "keel info test: one\n");
	captured(-1, text, sizeof(text), to_kmsg);
	ck_assert_str_eq(text, "<27>keel error test: e\n<28>keel warn test: w\n"
			       "<30>keel info test: i\n<31>keel debug test: d\n");
}
END_TEST

START_TEST(level_names)
{
	static const struct {
		const char *text;
		enum log_level level;
	} good[] = {
		{ "error", LOG_ERR }, { "warn", LOG_WARN }, { "info", LOG_INFO },
		{ "debug", LOG_DEBUG }, { "trace", LOG_TRACE },
	};
	enum log_level level;

	for (size_t i = 0; i < ARRAY_SIZE(good); i++) {
		ck_assert_int_eq(log_level_parse(good[i].text, &level), 0);
		ck_assert_int_eq(level, good[i].level);
	}
	ck_assert_int_eq(log_level_parse("", &level), -EINVAL);
	ck_assert_int_eq(log_level_parse("infox", &level), -EINVAL);
	ck_assert_int_eq(level, LOG_TRACE);
}
END_TEST

UNIT_MAIN("rt/log", line_has_name_level_area_text, levels_below_are_dropped,
	  confidential_drops_conf, text_stays_on_one_line, long_text_is_cut, rate_limit_per_site,
	  next_window_tells_how_many, dropped_statements_use_no_budget,
	  rate_limit_holds_between_threads, sinks_end_lines, level_names)
