/* SPDX-License-Identifier: MIT */
/*
 * What a log statement costs where it stands: user-mode instructions and nanoseconds of one that is
 * filtered out, of one that is dropped by its class, and of one that goes into the queue. The cost
 * of an empty round is subtracted. Output: one JSON object per case.
 */
#include "bench_count.h"
#include "log.h"
#include "log_ring.h"
#include "log_span.h"

#define LOG_AREA "bench"

#define WARM_UP 64u /* every site has its decision, the ring its pages */
#define ROUNDS 200000u
#define REPEATS 5

static struct log_ring *ring;
static struct log_ring_slot slot;

static void into_ring(void *ctx, const struct log_record *rec)
{
	(void)ctx;
	(void)log_ring_put(ring, rec);
}

static void nothing(unsigned int i)
{
	__asm__ volatile("" : : "r"(i));
}

static void filtered_out(unsigned int i)
{
	log_debug(ALLOWED, "exit %u of vp %u", i, 3);
}

static void dropped_by_class(unsigned int i)
{
	log_err(CONF, "exit %u of vp %u", i, 3);
}

static void limited(unsigned int i)
{
	log_warn_rl(ALLOWED, "exit %u of vp %u", i, 3);
}

static void queued(unsigned int i)
{
	log_info(ALLOWED, "exit %u of vp %u", i, 3);
}

static void queued_with_fields(unsigned int i)
{
	log_kv(LOG_INFO, ALLOWED, LOG_KV(log_u64("vp", 3), log_u64("exit", i)), "exit");
}

static void span_filtered_out(unsigned int i)
{
	LOG_SPAN(span, LOG_DEBUG, ALLOWED, "exit", log_u64("exit", i));
}

static const struct bench_case {
	const char *name;
	void (*round)(unsigned int i);
	bool fills; /* the ring */
} cases[] = {
	{ "empty", nothing, false },
	{ "log_filtered_out", filtered_out, false },
	{ "log_dropped_by_class", dropped_by_class, false },
	{ "log_rate_limited", limited, false },
	{ "log_span_filtered_out", span_filtered_out, false },
	{ "log_queued", queued, true },
	{ "log_queued_with_fields", queued_with_fields, true },
};

static void drain(void)
{
	while (log_ring_take(ring, &slot))
		;
}

static void run_rounds(const void *ctx, unsigned int n)
{
	const struct bench_case *c = ctx;

	for (unsigned int i = 0; i < n; i++)
		c->round(100 + i % 100);
}

static void warm_up(const void *ctx)
{
	run_rounds(ctx, WARM_UP);
	drain();
}

/* The best of several repeats: disturbance only ever adds. A ring that fills is emptied, uncounted,
 * before that. */
static double nanoseconds(const struct bench_case *c)
{
	const unsigned int batch = c->fills ? LOG_RING_RECORDS / 2 : ROUNDS;
	double best = 1e18;

	warm_up(c);
	for (int i = 0; i < REPEATS; i++) {
		uint64_t sum = 0;

		for (unsigned int done = 0; done < ROUNDS; done += batch) {
			uint64_t t0;

			drain();
			t0 = bench_now_ns();
			run_rounds(c, batch);
			sum += bench_now_ns() - t0;
		}
		best = MIN(best, (double)sum / ROUNDS);
	}
	drain();
	return best;
}

int main(void)
{
	double empty_ns = 0, empty_instructions = 0;

	ring = log_ring_create();
	if (!ring)
		return 1;
	log_init(LOG_INFO, true, into_ring, NULL);
	for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
		const struct bench_work work = { warm_up, run_rounds, &cases[i] };
		double n = bench_instructions(&work), ns = nanoseconds(&cases[i]);

		if (i == 0) {
			empty_ns = ns;
			empty_instructions = n;
			continue;
		}
		bench_print(cases[i].name, ns - empty_ns, n > 0 ? n - empty_instructions : 0);
	}
	return 0;
}
