/* SPDX-License-Identifier: MIT */
#include "log_span.h"

#include <pthread.h>
#include <stdio.h>
#include <string.h>
#include <time.h>

#include "log_record.h"
#include "unit.h"

#define LOG_AREA "test"

/* What came, in order. */
static struct {
	struct log_record rec;
	char name[LOG_NAME_MAX], context[LOG_CONTEXT_MAX], text[LOG_TEXT_MAX];
} seen[32];
static unsigned n_seen;
static const struct guid zero;

static void collect(void *ctx, const struct log_record *rec)
{
	(void)ctx;
	ck_assert_uint_lt(n_seen, ARRAY_SIZE(seen));
	seen[n_seen].rec = *rec;
	(void)snprintf(seen[n_seen].name, LOG_NAME_MAX, "%s", rec->name);
	(void)snprintf(seen[n_seen].context, LOG_CONTEXT_MAX, "%s", rec->context);
	(void)snprintf(seen[n_seen].text, LOG_TEXT_MAX, "%s", rec->text);
	n_seen++;
}

static void start(bool restricted)
{
	n_seen = 0;
	log_init(LOG_INFO, restricted, collect, NULL);
}

static void expect(unsigned i, enum log_kind kind, const char *what, const char *context)
{
	ck_assert_uint_lt(i, n_seen);
	ck_assert_int_eq(seen[i].rec.kind, kind);
	ck_assert_str_eq(kind == LOG_EVENT ? seen[i].text : seen[i].name, what);
	ck_assert_str_eq(seen[i].context, context);
}

START_TEST(scope_and_nesting)
{
	start(false);
	{
		LOG_SPAN(outer, LOG_INFO, ALLOWED, "outer", log_u64("n", 1));
		log_info(ALLOWED, "in outer");
		{
			LOG_SPAN(inner, LOG_INFO, ALLOWED, "inner");
			log_info(ALLOWED, "in inner");
		}
		log_info(ALLOWED, "again");
	}
	log_info(ALLOWED, "outside");
	ck_assert_uint_eq(n_seen, 8);
	expect(0, LOG_SPAN_ENTER, "outer", "outer{n=0x1}");
	expect(1, LOG_EVENT, "in outer", "outer{n=0x1}");
	expect(2, LOG_SPAN_ENTER, "inner", "outer{n=0x1}:inner");
	expect(3, LOG_EVENT, "in inner", "outer{n=0x1}:inner");
	expect(4, LOG_SPAN_EXIT, "inner", "outer{n=0x1}:inner");
	expect(5, LOG_EVENT, "again", "outer{n=0x1}");
	expect(6, LOG_SPAN_EXIT, "outer", "outer{n=0x1}");
	expect(7, LOG_EVENT, "outside", "");
	/* Ids: unique, the same at both ends, handed down. */
	ck_assert(!guid_eq(&seen[0].rec.activity, &zero));
	ck_assert(guid_eq(&seen[0].rec.related, &zero));
	ck_assert(guid_eq(&seen[0].rec.activity, &seen[6].rec.activity));
	ck_assert(guid_eq(&seen[1].rec.related, &seen[0].rec.activity));
	ck_assert(guid_eq(&seen[1].rec.activity, &zero));
	ck_assert(guid_eq(&seen[2].rec.related, &seen[0].rec.activity));
	ck_assert(!guid_eq(&seen[2].rec.activity, &seen[0].rec.activity));
	ck_assert(guid_eq(&seen[3].rec.related, &seen[2].rec.activity));
	ck_assert(guid_eq(&seen[4].rec.related, &seen[0].rec.activity));
	ck_assert(guid_eq(&seen[5].rec.related, &seen[0].rec.activity));
	ck_assert(guid_eq(&seen[7].rec.related, &zero));
	ck_assert_uint_eq(seen[0].rec.n_fields, 1);
	ck_assert_uint_eq(seen[6].rec.n_fields, 0);
	ck_assert_uint_ge(seen[6].rec.taken_ns, seen[4].rec.taken_ns);
	ck_assert_uint_le(seen[6].rec.busy_ns, seen[6].rec.taken_ns);
}
END_TEST

/* A restricted VM: a CONF span is not there, and what is inside belongs to the one around. */
START_TEST(conf_spans_leave_no_trace)
{
	start(true);
	{
		LOG_SPAN(outer, LOG_INFO, ALLOWED, "outer");
		LOG_SPAN(secret, LOG_ERR, CONF, "secret", log_u64("rax", 0x5ec2e7));
		log_info(ALLOWED, "inside");
		log_err(CONF, "dropped");
	}
	ck_assert_uint_eq(n_seen, 3);
	expect(0, LOG_SPAN_ENTER, "outer", "outer");
	expect(1, LOG_EVENT, "inside", "outer");
	expect(2, LOG_SPAN_EXIT, "outer", "outer");
	ck_assert(guid_eq(&seen[1].rec.related, &seen[0].rec.activity));
	start(false);
	{
		LOG_SPAN(secret, LOG_ERR, CONF, "secret");
		log_err(CONF, "shown");
	}
	ck_assert_uint_eq(n_seen, 3);
	ck_assert_int_eq(seen[0].rec.cls, CONF);
	expect(1, LOG_EVENT, "shown", "secret");
}
END_TEST

static struct log_site async_site = LOG_SITE(LOG_INFO, ALLOWED, false, "request");

static void pause_ms(long ms)
{
	const struct timespec ts = { .tv_nsec = ms * 1000000 };

	(void)nanosleep(&ts, NULL);
}

/* Work in pieces: only the time inside counts as busy, and other work is not inside. */
START_TEST(in_pieces)
{
	struct log_span span;

	start(false);
	log_span_open(&span, &async_site, LOG_NO_KV);
	pause_ms(20);
	log_info(ALLOWED, "not inside");
	log_span_enter(&span);
	log_info(ALLOWED, "inside");
	log_span_leave(&span);
	pause_ms(20);
	log_span_enter(&span);
	log_span_enter(&span); /* twice is once */
	log_span_leave(&span);
	log_span_leave(&span);
	log_span_close(&span);
	log_span_close(&span);
	ck_assert_uint_eq(n_seen, 4);
	expect(0, LOG_SPAN_ENTER, "request", "request");
	expect(1, LOG_EVENT, "not inside", "");
	expect(2, LOG_EVENT, "inside", "request");
	expect(3, LOG_SPAN_EXIT, "request", "request");
	ck_assert_uint_ge(seen[3].rec.taken_ns, 40000000);
	ck_assert_uint_lt(seen[3].rec.busy_ns, seen[3].rec.taken_ns - 30000000);
}
END_TEST

/* Left in the wrong order: each leaves only itself. */
START_TEST(wrong_order)
{
	struct log_span a, b;

	start(false);
	log_span_open(&a, &async_site, LOG_NO_KV);
	log_span_open(&b, &async_site, LOG_NO_KV);
	log_span_enter(&a);
	log_span_enter(&b);
	log_span_leave(&a);
	log_info(ALLOWED, "in b");
	ck_assert(guid_eq(&seen[2].rec.related, &seen[1].rec.activity));
	log_span_leave(&b);
	log_info(ALLOWED, "outside");
	ck_assert(guid_eq(&seen[3].rec.related, &zero));
	log_span_close(&a);
	log_span_close(&b);
}
END_TEST

START_TEST(filtered_out)
{
	start(false);
	{
		LOG_SPAN(span, LOG_DEBUG, ALLOWED, "quiet");
		log_info(ALLOWED, "x");
		/* Whoever opens the filter now has not seen the beginning. */
		ck_assert_int_eq(log_filter_set("trace", NULL, 0), 0);
	}
	ck_assert_uint_eq(n_seen, 1);
	expect(0, LOG_EVENT, "x", "");
	{
		LOG_SPAN(span, LOG_DEBUG, ALLOWED, "loud");
		ck_assert_int_eq(log_filter_set("off", NULL, 0), 0);
	}
	/* The end of what was begun is told. */
	ck_assert_uint_eq(n_seen, 3);
	expect(2, LOG_SPAN_EXIT, "loud", "loud");
}
END_TEST

static void *other_thread(void *arg)
{
	(void)arg;
	log_info(ALLOWED, "elsewhere");
	return NULL;
}

START_TEST(threads_are_apart)
{
	pthread_t t;

	start(false);
	{
		LOG_SPAN(span, LOG_INFO, ALLOWED, "here");
		ck_assert_int_eq(pthread_create(&t, NULL, other_thread, NULL), 0);
		ck_assert_int_eq(pthread_join(t, NULL), 0);
	}
	expect(1, LOG_EVENT, "elsewhere", "");
	ck_assert(guid_eq(&seen[1].rec.related, &zero));
}
END_TEST

UNIT_MAIN("rt/log_span", scope_and_nesting, conf_spans_leave_no_trace, in_pieces, wrong_order,
	  filtered_out, threads_are_apart)
