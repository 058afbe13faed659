/* SPDX-License-Identifier: MIT */
#include "initlog.h"

#include <fcntl.h>
#include <stdarg.h>
#include <stdio.h>
#include <unistd.h>

/* Facility 2 tells init's lines from the kernel's (0) and the daemon's (3). */
#define FACILITY (2 << 3)

static int kmsg_fd = -1;

void initlog_open(void)
{
	if (kmsg_fd < 0)
		kmsg_fd = open("/dev/kmsg", O_WRONLY | O_CLOEXEC);
}

static printf_like(2, 0) void emit(int level, const char *fmt, va_list ap)
{
	char line[512];
	int n = snprintf(line, sizeof(line), "<%d>underhill_init: ", FACILITY | level);
	int m;

	if (n < 0)
		return;
	m = vsnprintf(line + n, sizeof(line) - (size_t)n - 1, fmt, ap);
	if (m < 0)
		return;
	n = MIN(n + m, (int)sizeof(line) - 2);
	line[n++] = '\n';
	if (write(kmsg_fd >= 0 ? kmsg_fd : STDERR_FILENO, line, (size_t)n) < 0)
		return; /* nobody left to tell */
}

void initlog_err(const char *fmt, ...)
{
	va_list ap;

	va_start(ap, fmt);
	emit(3, fmt, ap);
	va_end(ap);
}

void initlog_warn(const char *fmt, ...)
{
	va_list ap;

	va_start(ap, fmt);
	emit(4, fmt, ap);
	va_end(ap);
}

void initlog_info(const char *fmt, ...)
{
	va_list ap;

	va_start(ap, fmt);
	emit(5, fmt, ap);
	va_end(ap);
}
