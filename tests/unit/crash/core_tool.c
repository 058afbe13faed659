/* SPDX-License-Identifier: MIT */
/*
 * For test_gdb.sh: `core_tool victim` is a process with threads that can be told apart, `core_tool
 * PID` writes its core to stdout.
 */
#include "core_write.h"

#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define THREADS 3

static volatile int forever = 1;

int keel_wait_here(void);
void *keel_thread(void *arg);

__attribute__((noinline)) int keel_wait_here(void)
{
	while (forever)
		(void)pause();
	return 0;
}

__attribute__((noinline)) void *keel_thread(void *arg)
{
	return keel_wait_here() ? arg : NULL;
}

static int victim(void)
{
	pthread_t t;

	for (int i = 0; i < THREADS; i++) {
		if (pthread_create(&t, NULL, keel_thread, NULL))
			return EXIT_FAILURE;
	}
	puts("ready");
	(void)fflush(stdout);
	return keel_wait_here() + 1;
}

static int sink(void *ctx, const void *buf, size_t len)
{
	(void)ctx;
	return fwrite(buf, 1, len, stdout) == len ? 0 : -1;
}

int main(int argc, char **argv)
{
	struct core_write_cfg cfg = { .stop_timeout_ms = 5000, .sink = sink };
	struct core_write_stats stats;

	if (argc != 2)
		return EXIT_FAILURE;
	if (strcmp(argv[1], "victim") == 0)
		return victim();
	cfg.pid = (pid_t)strtol(argv[1], NULL, 10);
	return core_write(&cfg, &stats) < 0 || fflush(stdout) ? EXIT_FAILURE : EXIT_SUCCESS;
}
