/* SPDX-License-Identifier: MIT */
/*
 * What a request of VTL0 costs between the ring and the disk, natively: the real storvsp, SCSI disk
 * and disk queues, a guest in the same process. Output: one JSON object per case.
 *
 *   bench_storage count [FILE]
 *       User-mode instructions per request, from the signal to the completion packet: on a disk
 *       that does nothing, and on FILE (in the page cache) by io_uring.
 *   bench_storage load FILE direct|cached [SECONDS]
 *       Random reads and writes, 4 KiB, and sequential ones of 256 KiB of FILE: requests per
 *       second, and per second of processor time of everything but the guest, which is a second
 *       thread; latency; signals. "solo": guest and server take turns on one thread, as they do on
 *       a virtual processor; its processor time is that of both.
 */
#include "bench_guest.h"

#include <fcntl.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#include "bench_count.h"
#include "diskio.h"
#include "log.h"
#include "storvsp.h"

#define ENTRIES 256u
#define PAGE 4096u
#define SAMPLES (1u << 20)
#define NULL_BYTES (1ull << 30)

static struct bench_guest bg;
static uint32_t disk_blocks; /* of PAGE bytes */

static uint32_t next_random(void)
{
	static uint64_t x = 88172645463325252ull;

	x ^= x << 13;
	x ^= x >> 7;
	x ^= x << 17;
	return (uint32_t)(x >> 16);
}

static struct disk *open_file(const char *path, bool direct)
{
	struct disk_file_cfg cfg = { .name = "bench", .path = path, .direct = direct };
	struct disk_info info;
	struct disk *d;

	if (disk_file_open(&cfg, &d) < 0) {
		(void)fprintf(stderr, "benchmark: cannot open %s\n", path);
		exit(1);
	}
	disk_info(d, &info);
	disk_blocks = (uint32_t)(info.blocks * info.block_size / PAGE);
	return d;
}

static struct disk *open_null(void)
{
	struct disk *d;

	if (disk_null_open("bench", NULL_BYTES, &d) < 0)
		exit(1);
	disk_blocks = NULL_BYTES / PAGE;
	return d;
}

static struct loop *make_loop(void)
{
	struct loop *loop;

	if (loop_create_io(ENTRIES, true, &loop) < 0)
		exit(1);
	return loop;
}

/* ---- counting -------------------------------------------------------------------------------- */

struct count_case {
	const char *name;
	unsigned batch;
	bool write;
	const char *path; /* NULL: the disk that does nothing */
};

static volatile bool *counting; /* shared with the one who steps */

/* @batch requests under way at a time, all complete at the end. */
static void run_batch(const struct count_case *c)
{
	uint32_t slots[BENCH_DEPTH];
	unsigned done = 0;
	bool signal;

	for (unsigned i = 0; i < c->batch; i++)
		bench_guest_put(&bg, i, c->write, next_random() % disk_blocks, PAGE);
	signal = bench_guest_commit(&bg);
	while (done < c->batch) {
		*counting = true;
		if (signal)
			bench_guest_signal(&bg);
		loop_poll(bg.vp_loop);
		*counting = false;
		signal = false;
		done += bench_guest_reap(&bg, slots, BENCH_DEPTH);
	}
}

static void run_rounds(const void *ctx, unsigned n)
{
	while (n--)
		run_batch(ctx);
}

static void poll_loop(struct loop *loop)
{
	loop_poll(loop);
}

/* Everything anew: what has a ring of the kernel's does not survive a fork. */
static void prepare(const void *ctx)
{
	const struct count_case *c = ctx;

	bench_guest_init(&bg, c->path ? open_file(c->path, false) : open_null(), make_loop(),
			 poll_loop);
	run_rounds(ctx, 50);
}

static double ns_per_request(const struct count_case *c)
{
	const unsigned rounds = 40000 / c->batch;
	double best = 1e18;

	prepare(c);
	for (int i = 0; i < 5; i++) {
		uint64_t t0 = bench_now_ns();

		run_rounds(c, rounds);
		best = MIN(best, (double)(bench_now_ns() - t0) / rounds / c->batch);
	}
	return best;
}

static void count(const char *disk, const char *path)
{
	const struct count_case cases[] = {
		{ "read", 1, false, path },
		{ "read", 32, false, path },
		{ "write", 1, true, path },
		{ "write", 32, true, path },
	};

	for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
		const struct count_case *c = &cases[i];
		const struct bench_work work = { prepare,  run_rounds, c,
						 counting, 1,	       1 + 64 / c->batch };
		double n = bench_instructions(&work), ns = ns_per_request(c);

		(void)printf("{\"case\":\"%s_%s_4k_batch%u\",\"ns_with_guest\":%.0f,"
			     "\"iops_per_core\":%.0f,\"instructions\":%.1f}\n",
			     disk, c->name, c->batch, ns, 1e9 / ns, n / c->batch);
		(void)fflush(stdout);
	}
}

static void main_count(const char *path)
{
	counting = mmap(NULL, PAGE, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
	if (counting == MAP_FAILED)
		exit(1);
	count("null", NULL);
	if (path)
		count("file", path);
}

/* ---- load ------------------------------------------------------------------------------------ */

struct load_case {
	const char *name;
	unsigned depth;
	uint32_t bytes;
	bool write, sequential;
};

static bool solo; /* no thread but this one */
static uint64_t put_ns[BENCH_DEPTH];
static uint32_t samples[SAMPLES];
static unsigned n_samples;

static void *serve_thread(void *arg)
{
	if (loop_run(arg) < 0)
		abort();
	return NULL;
}

static uint64_t cpu_ns(clockid_t clock)
{
	struct timespec ts;

	(void)clock_gettime(clock, &ts);
	return (uint64_t)ts.tv_sec * 1000000000u + (uint64_t)ts.tv_nsec;
}

static void put_next(const struct load_case *c, uint32_t slot)
{
	static uint32_t next;
	const uint32_t per = c->bytes / PAGE, n = disk_blocks / per;

	put_ns[slot] = bench_now_ns();
	bench_guest_put(&bg, slot, c->write, (c->sequential ? next++ % n : next_random() % n) * per,
			c->bytes);
}

static void commit(void)
{
	if (bench_guest_commit(&bg))
		bench_guest_signal(&bg);
}

/* Until the guest is interrupted. */
static void wait_for_host(void)
{
	while (!bench_guest_interrupted(&bg)) {
		if (!solo)
			__builtin_ia32_pause();
		else if (loop_pending(bg.vp_loop))
			loop_poll(bg.vp_loop);
		else if (loop_wait(bg.vp_loop) < 0)
			exit(1);
	}
}

/* Keep @depth requests under way until @end, then let them end. */
static void drive(const struct load_case *c, uint64_t end)
{
	uint32_t slots[BENCH_DEPTH];
	unsigned busy = 0;
	bool more = true;

	for (; busy < c->depth; busy++)
		put_next(c, busy);
	commit();
	while (busy) {
		unsigned n;
		uint64_t now;

		wait_for_host();
		n = bench_guest_reap(&bg, slots, BENCH_DEPTH);
		now = bench_now_ns();
		more = more && now < end;
		for (unsigned i = 0; i < n; i++) {
			if (n_samples < SAMPLES)
				samples[n_samples++] = (uint32_t)(now - put_ns[slots[i]]);
			if (more)
				put_next(c, slots[i]);
			else
				busy--;
		}
		commit();
	}
}

static int by_size(const void *a, const void *b)
{
	const uint32_t *x = a, *y = b;

	return (*x > *y) - (*x < *y);
}

static double percentile_us(double p)
{
	return n_samples ? samples[(size_t)((n_samples - 1) * p)] / 1000.0 : 0;
}

static void load(const struct load_case *c, double seconds)
{
	const uint64_t t0 = bench_now_ns(), requests = bg.requests, signals = bg.signals,
		       interrupts = bench_guest_interrupts(&bg);
	const uint64_t all0 = cpu_ns(CLOCK_PROCESS_CPUTIME_ID),
		       guest0 = cpu_ns(CLOCK_THREAD_CPUTIME_ID);
	double n, s, cpu;

	n_samples = 0;
	drive(c, t0 + (uint64_t)(seconds * 1e9));
	s = (double)(bench_now_ns() - t0) / 1e9;
	cpu = (double)(cpu_ns(CLOCK_PROCESS_CPUTIME_ID) - all0) / 1e9;
	if (!solo)
		cpu -= (double)(cpu_ns(CLOCK_THREAD_CPUTIME_ID) - guest0) / 1e9;
	n = (double)(bg.requests - requests);
	qsort(samples, n_samples, sizeof(samples[0]), by_size);
	(void)printf("{\"case\":\"%s%s\",\"depth\":%u,\"bytes\":%u,\"iops\":%.0f,\"mib_s\":%.1f,"
		     "\"iops_per_core\":%.0f,\"us_p50\":%.1f,\"us_p99\":%.1f,\"us_p999\":%.1f,"
		     "\"requests_per_signal\":%.2f,\"requests_per_interrupt\":%.2f}\n",
		     solo ? "solo_" : "", c->name, c->depth, c->bytes, n / s,
		     n * c->bytes / s / 1048576, n / cpu, percentile_us(0.5), percentile_us(0.99),
		     percentile_us(0.999), n / (double)MAX(bg.signals - signals, 1u),
		     n / (double)MAX(bench_guest_interrupts(&bg) - interrupts, 1u));
	(void)fflush(stdout);
}

static void all_cases(double seconds)
{
	static const struct load_case cases[] = {
		{ "randread_4k", 1, PAGE, false, false },
		{ "randread_4k", 32, PAGE, false, false },
		{ "randread_4k", 128, PAGE, false, false },
		{ "randwrite_4k", 32, PAGE, true, false },
		{ "read_256k", BENCH_BIG, BENCH_SLOT, false, true },
		{ "write_256k", BENCH_BIG, BENCH_SLOT, true, true },
	};

	for (size_t i = 0; i < ARRAY_SIZE(cases); i++)
		load(&cases[i], seconds);
}

static void main_load(const char *path, bool direct, double seconds)
{
	struct loop *loop = make_loop();
	pthread_t t;

	solo = true;
	bench_guest_init(&bg, open_file(path, direct), loop, poll_loop);
	(void)printf("{\"case\":\"memory\",\"queue_depth\":%u,\"channel_heap_bytes\":%zu}\n",
		     BENCH_DEPTH, bg.heap_bytes);
	all_cases(seconds);
	solo = false;
	loop = make_loop();
	if (pthread_create(&t, NULL, serve_thread, loop) != 0)
		exit(1);
	bench_guest_init(&bg, open_file(path, direct), loop, NULL);
	all_cases(seconds);
	loop_stop(loop);
	(void)pthread_join(t, NULL);
}

int main(int argc, char **argv)
{
	log_init(LOG_WARN, false, NULL, NULL);
	if (argc >= 2 && strcmp(argv[1], "count") == 0) {
		main_count(argc > 2 ? argv[2] : NULL);
	} else if (argc >= 4 && strcmp(argv[1], "load") == 0) {
		main_load(argv[2], strcmp(argv[3], "direct") == 0,
			  argc > 4 ? strtod(argv[4], NULL) : 2);
	} else {
		(void)fprintf(stderr, "usage: bench_storage count [FILE] | "
				      "load FILE direct|cached [SECONDS]\n");
		return 2;
	}
	return 0;
}
