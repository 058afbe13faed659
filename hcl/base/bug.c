/* SPDX-License-Identifier: MIT */
#include "bug.h"

#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/syscall.h>
#include <unistd.h>

_Noreturn void bug_abort(void)
{
#ifdef __x86_64__
	const long pid = getpid(), tid = syscall(SYS_gettid);
	long r = SYS_tgkill;

	__asm__ volatile("syscall"
			 : "+a"(r)
			 : "D"(pid), "S"(tid), "d"((long)SIGABRT)
			 : "rcx", "r11", "memory");
#endif
	abort(); /* the signal was blocked or handled */
}

_Noreturn void bug_hit(const char *file, int line, const char *func, const char *cond)
{
	fprintf(stderr, "BUG: %s:%d: %s: %s\n", file, line, func, cond);
	bug_abort();
}
