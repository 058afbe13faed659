/* SPDX-License-Identifier: MIT */
/* See core_threads.h. */
#include "core_threads.h"

#include <dirent.h>
#include <errno.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/ptrace.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#define STEP_NS 1000000L
#define ROUNDS_MAX 16 /* a process that makes threads faster than we find them is given up */

static bool known(const struct core_threads *t, pid_t tid)
{
	for (size_t i = 0; i < t->n; i++) {
		if (t->t[i].tid == tid)
			return true;
	}
	return false;
}

static int add(struct core_threads *t, pid_t tid, int sig)
{
	if (t->n >= CORE_THREADS_MAX)
		return -E2BIG;
	if (t->n == t->cap) {
		size_t cap = t->cap ? t->cap * 2 : 32;
		struct core_thread *p = reallocarray(t->t, cap, sizeof(*p));

		if (!p)
			return -ENOMEM;
		t->t = p;
		t->cap = cap;
	}
	t->t[t->n++] = (struct core_thread){ tid, sig };
	return 0;
}

/* Wait for a seized thread to stop. Returns: 1; 0 = it ended; -ETIMEDOUT. */
static int wait_stop(pid_t tid, unsigned timeout_ms, int *ret_sig)
{
	const struct timespec step = { .tv_nsec = STEP_NS };

	for (unsigned i = 0; i <= timeout_ms; i++) {
		int status;
		pid_t got = waitpid(tid, &status, __WALL | WNOHANG);

		if (got < 0 && errno != EINTR)
			return 0;
		if (got == tid) {
			/* Without an event it stopped because a signal came first. */
			*ret_sig = status >> 16 ? 0 : WSTOPSIG(status);
			return WIFSTOPPED(status);
		}
		(void)nanosleep(&step, NULL);
	}
	return -ETIMEDOUT;
}

static int hold_one(struct core_threads *t, pid_t tid, unsigned timeout_ms)
{
	int sig = 0, r;

	if (ptrace(PTRACE_SEIZE, tid, NULL, NULL) < 0)
		return errno == ESRCH || (t->n && errno == EPERM) ? 0 : -errno; /* it is gone */
	r = ptrace(PTRACE_INTERRUPT, tid, NULL, NULL) < 0 ? 0 : wait_stop(tid, timeout_ms, &sig);
	if (r == 1)
		r = add(t, tid, sig);
	if (r < 0)
		(void)ptrace(PTRACE_DETACH, tid, NULL, (void *)(intptr_t)sig);
	return r;
}

/* Hold what is not held yet. Returns: 0, -errno. */
static int hold_round(struct core_threads *t, unsigned timeout_ms)
{
	char path[40];
	struct dirent *de;
	int r = 0;
	DIR *d;

	(void)snprintf(path, sizeof(path), "/proc/%d/task", t->pid);
	d = opendir(path);
	if (!d)
		return errno == ENOENT ? -ESRCH : -errno;
	while (r == 0 && (de = readdir(d))) {
		pid_t tid = (pid_t)strtol(de->d_name, NULL, 10);

		if (tid > 0 && !known(t, tid))
			r = hold_one(t, tid, timeout_ms);
	}
	(void)closedir(d);
	return r;
}

/*
 * The process's own thread goes first: readers take the first one as the process. Then the rest,
 * until a look round finds nobody new.
 */
static int hold_all(struct core_threads *t, unsigned timeout_ms)
{
	int r = hold_one(t, t->pid, timeout_ms);

	if (r < 0)
		return r;
	if (!t->n)
		return -ESRCH;
	for (unsigned i = 0; i < ROUNDS_MAX; i++) {
		const size_t before = t->n;

		r = hold_round(t, timeout_ms);
		if (r < 0 || t->n == before)
			return r;
	}
	return -EBUSY;
}

int core_threads_hold(pid_t pid, unsigned timeout_ms, struct core_threads *ret_threads)
{
	struct core_threads t = { .pid = pid };
	int r = hold_all(&t, timeout_ms);

	if (r < 0) {
		core_threads_release(&t);
		return r;
	}
	*ret_threads = t;
	return 0;
}

void core_threads_release(struct core_threads *threads)
{
	for (size_t i = 0; i < threads->n; i++)
		(void)ptrace(PTRACE_DETACH, threads->t[i].tid, NULL,
			     (void *)(intptr_t)threads->t[i].sig);
	free(threads->t);
	threads->t = NULL;
	threads->n = threads->cap = 0;
}
