/* SPDX-License-Identifier: MIT */
/*
 * Holds every thread of a live process for a moment. The threads are seized, not attached to, and
 * without any option: when this process ends, by whatever means, the kernel lets all of them run
 * on. Registers are read while they are held. Context: one thread does everything (ptrace).
 */
#pragma once

#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

#include "macros.h"

#define CORE_THREADS_MAX 8192u

struct core_thread {
	pid_t tid;
	int sig; /* it was about to get this signal, which it gets when it runs on; 0 = none */
};

struct core_threads {
	pid_t pid;
	struct core_thread *t; /* the first one is the process's own */
	size_t n, cap;
};

/**
 * core_threads_hold - stop all threads of a process
 * Threads that end meanwhile are left out; new ones are found.
 * @timeout_ms: how long the slowest thread may take to stop
 * Returns: 0; -ESRCH (no such process); -EPERM (not ours to trace); -ETIMEDOUT; -E2BIG; -ENOMEM;
 * -errno. On failure nothing is held.
 */
must_check int core_threads_hold(pid_t pid, unsigned timeout_ms, struct core_threads *ret_threads);

/* Let all of them run on. Safe on an empty list. */
void core_threads_release(struct core_threads *threads);
