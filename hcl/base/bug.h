/* SPDX-License-Identifier: MIT */
/*
 * BUG_ON: an invariant of our own code is broken. Always compiled in, no side effects in the
 * condition. A value that any other party can influence must never reach it.
 */
#pragma once

#define BUG_ON(cond)                                                   \
	do {                                                           \
		if (__builtin_expect(!!(cond), 0))                     \
			bug_hit(__FILE__, __LINE__, __func__, #cond);  \
	} while (0)

/**
 * bug_abort - abort() whose stack a debugger can follow in a core
 * The C library's own functions have no unwind information in the static daemon.
 * Context: any thread; never returns. Not in the boot shim.
 */
_Noreturn void bug_abort(void);

/**
 * bug_hit - report a broken invariant on stderr and abort the process
 * Context: any thread; never returns. The boot shim supplies its own definition.
 */
_Noreturn void bug_hit(const char *file, int line, const char *func, const char *cond);
