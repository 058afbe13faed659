/* SPDX-License-Identifier: MIT */
#include "log.h"
#include "log_format.h"
#include "log_record.h"
#include "log_span.h"

#include <errno.h>
#include <pthread.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "unit.h"

#define LOG_AREA "test"

static struct {
	pthread_mutex_t lock;
	int n;
	enum log_level level;
	char last[LOG_LINE_MAX];
} seen = { .lock = PTHREAD_MUTEX_INITIALIZER };

static void collect(void *ctx, const struct log_record *rec)
{
	ck_assert_ptr_eq(ctx, &seen);
	(void)pthread_mutex_lock(&seen.lock);
	seen.n++;
	seen.level = rec->level;
	(void)log_format_plain(rec, seen.last);
	(void)pthread_mutex_unlock(&seen.lock);
}

static void start(enum log_level level, bool confidential)
{
	seen.n = 0;
	seen.last[0] = 0;
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

START_TEST(nothing_before_the_decision)
{
	/* Not one log_init() yet: confidential until somebody knows better. */
	static struct log_site conf = LOG_SITE(LOG_ERR, CONF, false, NULL);
	static struct log_site allowed = LOG_SITE(LOG_ERR, ALLOWED, false, NULL);

	ck_assert(!log_wanted(&conf));
	ck_assert(log_wanted(&allowed));
	start(LOG_INFO, false);
	ck_assert(log_wanted(&conf));
}
END_TEST

START_TEST(spans_have_a_class_too)
{
	for (int restricted = 0; restricted < 2; restricted++) {
		start(LOG_INFO, restricted);
		{
			LOG_SPAN(allowed, LOG_INFO, ALLOWED, "allowed");
			ck_assert_int_eq(seen.n, 1);
			ck_assert_str_eq(seen.last, "keel info test: allowed: new");
		}
		ck_assert_int_eq(seen.n, 2);
		{
			LOG_SPAN(conf, LOG_INFO, CONF, "conf", log_u64("gpa", 0x1000));
			ck_assert_int_eq(seen.n, restricted ? 2 : 3);
		}
		ck_assert_int_eq(seen.n, restricted ? 2 : 4);
	}
}
END_TEST

START_TEST(arguments_of_dropped_statements_are_not_touched)
{
	int touched = 0;

	start(LOG_INFO, true);
	log_err(CONF, "%d", ++touched);
	log_debug(ALLOWED, "%d", ++touched);
	log_kv(LOG_ERR, CONF, LOG_KV(log_u64("x", (uint64_t)++touched)), "x");
	ck_assert_int_eq(touched, 0);
	log_err(ALLOWED, "%d", ++touched);
	ck_assert_int_eq(touched, 1);
}
END_TEST

START_TEST(fields)
{
	start(LOG_INFO, false);
	log_kv(LOG_INFO, ALLOWED,
	       LOG_KV(log_u64("size", 255), log_i64("error", -2), log_bool("ok", false),
		      log_str("name", "a \"b\"\n")),
	       "made %d", 1);
	ck_assert_str_eq(seen.last, "keel info test: made 1 size=0xff error=-2 ok=false "
				    "name=\"a \\\"b\\\"?\"");
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
	ck_assert_uint_eq(strlen(seen.last), strlen("keel info test: ") + LOG_TEXT_MAX - 1);
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
	log_set_rate_limits(false);
	for (int i = 0; i < 100; i++)
		speak();
	ck_assert_int_eq(seen.n, 111);
}
END_TEST

static struct log_site limited = LOG_SITE(LOG_INFO, ALLOWED, true, NULL);

static void emit_limited(void)
{
	if (log_wanted(&limited))
		log_emit(&limited, LOG_NO_KV, "x");
}

START_TEST(next_window_tells_how_many)
{
	start(LOG_INFO, false);
	for (int i = 0; i < 17; i++)
		emit_limited();
	ck_assert_int_eq(seen.n, 10);
	limited.rl.window_start_ns -= 5000000000ull;
	emit_limited();
	ck_assert_int_eq(seen.n, 11);
	ck_assert_str_eq(seen.last, "keel info test: (7 lines squashed) x");
	emit_limited();
	ck_assert_str_eq(seen.last, "keel info test: x");
}
END_TEST

START_TEST(dropped_statements_use_no_budget)
{
	start(LOG_WARN, false);
	for (int i = 0; i < 100; i++)
		emit_limited();
	ck_assert_uint_eq(limited.rl.in_window, 0);
}
END_TEST

static void *storm(void *arg)
{
	(void)arg;
	for (int i = 0; i < 20000; i++)
		emit_limited();
	return NULL;
}

START_TEST(rate_limit_holds_between_threads)
{
	pthread_t threads[4];

	start(LOG_INFO, false);
	for (size_t i = 0; i < 4; i++)
		ck_assert_int_eq(pthread_create(&threads[i], NULL, storm, NULL), 0);
	for (size_t i = 0; i < 4; i++)
		ck_assert_int_eq(pthread_join(threads[i], NULL), 0);
	/* A race for the first window may let a few more through, and only a few. */
	ck_assert_int_ge(seen.n, 10);
	ck_assert_int_le(seen.n, 14);
	ck_assert_uint_ge(limited.rl.squashed + (unsigned)seen.n, 80000 - 4);
}
END_TEST

static int levels_heard(void)
{
	seen.n = 0;
	log_err(ALLOWED, "e");
	log_warn(ALLOWED, "w");
	log_info(ALLOWED, "i");
	log_debug(ALLOWED, "d");
	log_trace(ALLOWED, "t");
	return seen.n;
}

START_TEST(filter_changes_while_running)
{
	char text[LOG_FILTER_MAX], why[200] = "";

	start(LOG_INFO, false);
	log_filter_get(text);
	ck_assert_str_eq(text, "info");
	ck_assert_int_eq(levels_heard(), 3);
	ck_assert_int_eq(log_filter_set("error,test=trace", NULL, 0), 0);
	ck_assert_int_eq(levels_heard(), 5);
	log_filter_get(text);
	ck_assert_str_eq(text, "error,test=trace");
	ck_assert_int_eq(log_filter_set("off", NULL, 0), 0);
	ck_assert_int_eq(levels_heard(), 0);
	ck_assert_int_eq(log_filter_set("test=loud", why, sizeof(why)), -EINVAL);
	ck_assert_ptr_nonnull(strstr(why, "invalid filter: "));
	log_filter_get(text);
	ck_assert_str_eq(text, "off");
	ck_assert_int_eq(log_filter_set("te", NULL, 0), 0);
	ck_assert_int_eq(levels_heard(), 5);
	ck_assert_int_eq(log_filter_set("other=trace", NULL, 0), 0);
	ck_assert_int_eq(levels_heard(), 0);
}
END_TEST

/* The filter widens nothing where diagnostics are restricted. */
START_TEST(filter_does_not_open_conf)
{
	start(LOG_INFO, true);
	ck_assert_int_eq(log_filter_set("trace", NULL, 0), 0);
	log_err(CONF, "secret");
	ck_assert_int_eq(seen.n, 0);
}
END_TEST

static volatile int talking;

static void *chatter(void *arg)
{
	(void)arg;
	while (__atomic_load_n(&talking, __ATOMIC_RELAXED)) {
		log_info(ALLOWED, "x");
		log_debug(ALLOWED, "y");
	}
	return NULL;
}

/* Every reader sees a whole filter, whoever changes it and how often. */
START_TEST(filter_changes_under_load)
{
	static const char *const filters[] = { "info,test=debug", "off", "warn", "test" };
	pthread_t threads[3];

	start(LOG_INFO, false);
	talking = 1;
	for (size_t i = 0; i < ARRAY_SIZE(threads); i++)
		ck_assert_int_eq(pthread_create(&threads[i], NULL, chatter, NULL), 0);
	for (int i = 0; i < 2000; i++) {
		char text[LOG_FILTER_MAX];
		const char *want = filters[i % (int)ARRAY_SIZE(filters)];

		ck_assert_int_eq(log_filter_set(want, NULL, 0), 0);
		log_filter_get(text);
		ck_assert_str_eq(text, want);
	}
	__atomic_store_n(&talking, 0, __ATOMIC_RELAXED);
	for (size_t i = 0; i < ARRAY_SIZE(threads); i++)
		ck_assert_int_eq(pthread_join(threads[i], NULL), 0);
	ck_assert_int_eq(log_filter_set("off", NULL, 0), 0);
	ck_assert_int_eq(levels_heard(), 0);
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
	struct log_kmsg kmsg = { .fd = fd };

	log_init(LOG_TRACE, false, log_sink_kmsg, &kmsg);
	log_err(ALLOWED, "e");
	log_warn(ALLOWED, "w");
	log_info(ALLOWED, "i");
	log_debug(ALLOWED, "d");
	log_trace(ALLOWED, "t");
}

START_TEST(sinks_end_lines)
{
	char text[512];

	captured(STDERR_FILENO, text, sizeof(text), to_stderr);
	ck_assert_str_eq(text, "keel info test: one\n");
	captured(-1, text, sizeof(text), to_kmsg);
	ck_assert_str_eq(text, "<27>test: ERROR e\n<28>test:  WARN w\n<30>test:  INFO i\n"
			       "<31>test: DEBUG d\n<31>test: TRACE t\n");
}
END_TEST

START_TEST(level_names)
{
	static const struct {
		const char *text;
		enum log_level level;
	} good[] = {
		{ "error", LOG_ERR },	{ "warn", LOG_WARN },	{ "info", LOG_INFO },
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

UNIT_MAIN("rt/log", nothing_before_the_decision, line_has_name_level_area_text,
	  levels_below_are_dropped, confidential_drops_conf, spans_have_a_class_too,
	  arguments_of_dropped_statements_are_not_touched, fields, text_stays_on_one_line,
	  long_text_is_cut, rate_limit_per_site, next_window_tells_how_many,
	  dropped_statements_use_no_budget, rate_limit_holds_between_threads,
	  filter_changes_while_running, filter_does_not_open_conf, filter_changes_under_load,
	  sinks_end_lines, level_names)
