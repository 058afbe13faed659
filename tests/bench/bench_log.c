/* SPDX-License-Identifier: MIT */
/*
 * What a log statement costs where it stands: user-mode instructions and nanoseconds of one that is
 * filtered out, of one that is dropped by its class, and of one that goes into the queue. The cost
 * of an empty round is subtracted. Counted like the exits (bench_exit.c): by single-stepping a
 * child through two different numbers of rounds. Output: one JSON object per case.
 */
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/ptrace.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "log.h"
#include "log_ring.h"
#include "log_span.h"

#define LOG_AREA "bench"

#define FEW 4u
#define MANY 36u
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

static void run_rounds(const struct bench_case *c, unsigned int n)
{
	for (unsigned int i = 0; i < n; i++)
		c->round(100 + i % 100);
}

/* In the child: everything up to the stop is free, what follows is counted. */
static _Noreturn void counted_child(const struct bench_case *c, unsigned int rounds)
{
	if (ptrace(PTRACE_TRACEME, 0, NULL, NULL) < 0)
		_exit(1);
	run_rounds(c, WARM_UP);
	drain();
	(void)raise(SIGSTOP);
	run_rounds(c, rounds);
	_exit(0);
}

/* Instructions of a child from its stop to its end; 0 when it cannot be traced. */
static uint64_t count_child(const struct bench_case *c, unsigned int rounds)
{
	pid_t pid = fork();
	uint64_t steps = 0;
	int status;

	if (pid == 0)
		counted_child(c, rounds);
	if (pid < 0 || waitpid(pid, &status, 0) != pid || !WIFSTOPPED(status))
		return 0;
	while (ptrace(PTRACE_SINGLESTEP, pid, NULL, NULL) == 0 && waitpid(pid, &status, 0) == pid &&
	       WIFSTOPPED(status))
		steps++;
	return WIFEXITED(status) && WEXITSTATUS(status) == 0 ? steps : 0;
}

static double instructions(const struct bench_case *c)
{
	uint64_t few = count_child(c, FEW), many = count_child(c, MANY);

	return few && many > few ? (double)(many - few) / (MANY - FEW) : 0;
}

static uint64_t now_ns(void)
{
	struct timespec ts;

	(void)clock_gettime(CLOCK_MONOTONIC, &ts);
	return (uint64_t)ts.tv_sec * 1000000000u + (uint64_t)ts.tv_nsec;
}

/* The best of several repeats: disturbance only ever adds. A ring that fills is emptied, uncounted,
 * before that. */
static double nanoseconds(const struct bench_case *c)
{
	const unsigned int batch = c->fills ? LOG_RING_RECORDS / 2 : ROUNDS;
	double best = 1e18;

	run_rounds(c, WARM_UP);
	for (int i = 0; i < REPEATS; i++) {
		uint64_t sum = 0;

		for (unsigned int done = 0; done < ROUNDS; done += batch) {
			uint64_t t0;

			drain();
			t0 = now_ns();
			run_rounds(c, batch);
			sum += now_ns() - t0;
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
		double n = instructions(&cases[i]), ns = nanoseconds(&cases[i]);

		if (i == 0) {
			empty_ns = ns;
			empty_instructions = n;
			continue;
		}
		(void)printf("{\"case\":\"%s\",\"ns\":%.1f", cases[i].name, ns - empty_ns);
		if (n > 0)
			(void)printf(",\"instructions\":%.1f", n - empty_instructions);
		(void)printf("}\n");
	}
	return 0;
}
