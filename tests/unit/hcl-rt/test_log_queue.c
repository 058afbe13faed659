/* SPDX-License-Identifier: MIT */
/* The ring and the writer thread. */
#include "log_queue.h"
#include "log_ring.h"

#include <errno.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdio.h>
#include <string.h>
#include <time.h>

#include "unit.h"

#define LOG_AREA "test"

static struct log_ring *ring;
static struct log_ring_slot slot;

static bool put(const char *text)
{
	const struct log_record rec = { .target = "t", .name = "", .context = "", .text = text };

	return log_ring_put(ring, &rec);
}

START_TEST(order_and_limit)
{
	char text[32];

	ring = log_ring_create();
	ck_assert_ptr_nonnull(ring);
	ck_assert(!log_ring_take(ring, &slot));
	for (int round = 0; round < 50; round++) {
		for (unsigned i = 0; i < LOG_RING_RECORDS; i++) {
			(void)snprintf(text, sizeof(text), "%u", i);
			ck_assert(put(text));
		}
		ck_assert(!put("one more"));
		ck_assert(!put("and another"));
		ck_assert(!log_ring_empty(ring));
		for (unsigned i = 0; i < LOG_RING_RECORDS; i++) {
			(void)snprintf(text, sizeof(text), "%u", i);
			ck_assert(log_ring_take(ring, &slot));
			ck_assert_str_eq(slot.rec.text, text);
			ck_assert_uint_eq(slot.rec.missed, i == 0 && round ? 2 : 0);
		}
		ck_assert(!log_ring_take(ring, &slot));
		ck_assert(log_ring_empty(ring));
		ck_assert_uint_eq(log_ring_lost(ring), 2 * (unsigned)(round + 1));
	}
	log_ring_destroy(ring);
}
END_TEST

/* Long records: the bytes are the limit. */
START_TEST(long_records)
{
	static char text[LOG_TEXT_MAX];
	unsigned n = 0, taken = 0;

	memset(text, 'x', sizeof(text) - 1);
	ring = log_ring_create();
	for (int round = 0; round < 5; round++) {
		while (put(text))
			n++;
		while (log_ring_take(ring, &slot)) {
			ck_assert_uint_eq(strlen(slot.rec.text), sizeof(text) - 1);
			taken++;
		}
	}
	ck_assert_uint_eq(n, taken);
	ck_assert_uint_gt(n, 5 * 50);
	ck_assert_uint_lt(n, 5 * LOG_RING_RECORDS);
	log_ring_destroy(ring);
}
END_TEST

#define THREADS 4u
#define EACH 20000u

static atomic_uint done;

static void *putter(void *arg)
{
	const unsigned me = *(const unsigned *)arg;
	char text[32];

	for (unsigned i = 0; i < EACH; i++) {
		(void)snprintf(text, sizeof(text), "%u %u", me, i);
		(void)put(text);
	}
	atomic_fetch_add(&done, 1);
	return NULL;
}

/* Each thread's records come in its order, whole, and all losses are told. */
START_TEST(several_putters)
{
	unsigned ids[THREADS], next[THREADS] = { 0 };
	uint64_t n = 0, missed = 0;
	pthread_t t[THREADS];
	bool last = false;

	ring = log_ring_create();
	for (unsigned i = 0; i < THREADS; i++) {
		ids[i] = i;
		ck_assert_int_eq(pthread_create(&t[i], NULL, putter, &ids[i]), 0);
	}
	while (!last) {
		last = atomic_load(&done) == THREADS;
		while (log_ring_take(ring, &slot)) {
			unsigned who, i;

			ck_assert_int_eq(sscanf(slot.rec.text, "%u %u", &who, &i), 2);
			ck_assert_uint_lt(who, THREADS);
			ck_assert_uint_ge(i, next[who]);
			next[who] = i + 1;
			missed += slot.rec.missed;
			n++;
		}
	}
	for (unsigned i = 0; i < THREADS; i++)
		(void)pthread_join(t[i], NULL);
	ck_assert(put("0 99999"));
	ck_assert(log_ring_take(ring, &slot));
	missed += slot.rec.missed;
	ck_assert_uint_eq(missed, log_ring_lost(ring));
	ck_assert_uint_eq(n + log_ring_lost(ring), THREADS * EACH);
	log_ring_destroy(ring);
}
END_TEST

/* ---- the writer ------------------------------------------------------------------------------ */

static atomic_uint written;
static char last_text[64];
static pthread_t writer_thread;
static atomic_bool hold;

static void output(void *ctx, const struct log_record *rec)
{
	const struct timespec ts = { .tv_nsec = 1000000 };

	ck_assert_ptr_eq(ctx, &written);
	while (atomic_load(&hold))
		(void)nanosleep(&ts, NULL);
	(void)snprintf(last_text, sizeof(last_text), "%s", rec->text);
	writer_thread = pthread_self();
	atomic_fetch_add(&written, 1);
}

START_TEST(early_records_and_flush)
{
	const struct log_output out = { output, &written };
	const struct log_output many[LOG_OUTPUTS_MAX + 1] = { { output, &written } };
	struct log_queue *q = log_queue_create();

	ck_assert_ptr_nonnull(q);
	log_init(LOG_INFO, false, log_queue_put, q);
	log_info(ALLOWED, "early");
	log_queue_flush(q); /* nobody to give it to yet */
	ck_assert_uint_eq(atomic_load(&written), 0);
	ck_assert_int_eq(log_queue_start(q, many, ARRAY_SIZE(many)), -E2BIG);
	ck_assert_int_eq(log_queue_start(q, &out, 1), 0);
	log_info(ALLOWED, "second");
	log_queue_flush(q);
	ck_assert_uint_eq(atomic_load(&written), 2);
	ck_assert_str_eq(last_text, "second");
}
END_TEST

START_TEST(writer_writes)
{
	const struct timespec ts = { .tv_nsec = 1000000 };
	const struct log_output out = { output, &written };
	struct log_queue *q = log_queue_create();

	ck_assert_int_eq(log_queue_start(q, &out, 1), 0);
	log_init(LOG_INFO, false, log_queue_put, q);
	for (unsigned i = 1; i <= 100; i++) {
		log_info(ALLOWED, "%u", i);
		for (int tries = 0; tries < 5000 && atomic_load(&written) != i; tries++)
			(void)nanosleep(&ts, NULL);
		ck_assert_uint_eq(atomic_load(&written), i);
	}
	ck_assert(!pthread_equal(writer_thread, pthread_self()));
}
END_TEST

/* An output that blocks stops the writer, never a statement. */
START_TEST(statements_do_not_wait)
{
	const struct log_output out = { output, &written };
	struct log_queue *q = log_queue_create();

	ck_assert_int_eq(log_queue_start(q, &out, 1), 0);
	log_init(LOG_INFO, false, log_queue_put, q);
	atomic_store(&hold, true);
	for (unsigned i = 0; i < 2 * LOG_RING_RECORDS; i++)
		log_info(ALLOWED, "%u", i);
	ck_assert_uint_ge(log_queue_lost(q), LOG_RING_RECORDS - 2);
	ck_assert_uint_eq(atomic_load(&written), 0);
	atomic_store(&hold, false);
	log_queue_flush(q);
	ck_assert_uint_eq(atomic_load(&written) + log_queue_lost(q), 2 * LOG_RING_RECORDS);
}
END_TEST

UNIT_MAIN("rt/log_queue", order_and_limit, long_records, several_putters, early_records_and_flush,
	  writer_writes, statements_do_not_wait)
