/* SPDX-License-Identifier: MIT */
#include "bench_count.h"

#include <signal.h>
#include <stdio.h>
#include <sys/ptrace.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#define FEW 4u
#define MANY 36u

/* Everything up to the stop is free, what follows is counted. */
static _Noreturn void counted_child(const struct bench_work *work, unsigned int rounds)
{
	if (ptrace(PTRACE_TRACEME, 0, NULL, NULL) < 0)
		_exit(1);
	work->prepare(work->ctx);
	(void)raise(SIGSTOP);
	work->run(work->ctx, rounds);
	_exit(0);
}

/* Instructions of a child from its stop to its end; 0 when it cannot be traced. */
static uint64_t count_child(const struct bench_work *work, unsigned int rounds)
{
	pid_t pid = fork();
	uint64_t steps = 0;
	int status;

	if (pid == 0)
		counted_child(work, rounds);
	if (pid < 0 || waitpid(pid, &status, 0) != pid || !WIFSTOPPED(status))
		return 0;
	while (ptrace(PTRACE_SINGLESTEP, pid, NULL, NULL) == 0 && waitpid(pid, &status, 0) == pid &&
	       WIFSTOPPED(status))
		steps += !work->counting || *work->counting;
	return WIFEXITED(status) && WEXITSTATUS(status) == 0 ? steps : 0;
}

double bench_instructions(const struct bench_work *work)
{
	const unsigned int n_few = work->many ? work->few : FEW,
			   n_many = work->many ? work->many : MANY;
	uint64_t few = count_child(work, n_few), many = count_child(work, n_many);

	return few && many > few ? (double)(many - few) / (n_many - n_few) : 0;
}

uint64_t bench_now_ns(void)
{
	struct timespec ts;

	(void)clock_gettime(CLOCK_MONOTONIC, &ts);
	return (uint64_t)ts.tv_sec * 1000000000u + (uint64_t)ts.tv_nsec;
}

void bench_print(const char *name, double ns, double instructions)
{
	(void)printf("{\"case\":\"%s\",\"ns\":%.1f", name, ns);
	if (instructions > 0)
		(void)printf(",\"instructions\":%.1f", instructions);
	(void)printf("}\n");
}
