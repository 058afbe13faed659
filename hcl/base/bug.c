/* SPDX-License-Identifier: MIT */
#include "bug.h"

#include <stdio.h>
#include <stdlib.h>

_Noreturn void bug_hit(const char *file, int line, const char *func, const char *cond)
{
	fprintf(stderr, "BUG: %s:%d: %s: %s\n", file, line, func, cond);
	abort();
}
