/* SPDX-License-Identifier: MIT */
#include "log.h"

#include <errno.h>
#include <pthread.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#define RL_WINDOW_NS 5000000000ull
#define RL_LINES 10

static struct {
	enum log_level level;
	bool confidential;
	const char *name;
	log_sink_fn sink;
	void *ctx;
	pthread_mutex_t lock; /* protects: the order of lines; rank: innermost */
} logger = {
	.level = LOG_INFO,
	.name = "keel",
	.lock = PTHREAD_MUTEX_INITIALIZER,
};

static const char *const level_names[] = {
	[LOG_ERR] = "error",   [LOG_WARN] = "warn",   [LOG_INFO] = "info",
	[LOG_DEBUG] = "debug", [LOG_TRACE] = "trace",
};

/* One write per line, so that lines of several processes on one console do not mix. */
static void sink_stderr(const char *line, size_t len)
{
	char buf[LOG_LINE_MAX + 1];

	memcpy(buf, line, len);
	buf[len] = '\n';
	if (write(STDERR_FILENO, buf, len + 1) < 0)
		return; /* nobody left to tell */
}

void log_init(enum log_level level, bool confidential, log_sink_fn sink, void *ctx)
{
	logger.level = level;
	logger.confidential = confidential;
	logger.sink = sink;
	logger.ctx = ctx;
}

void log_set_name(const char *name)
{
	logger.name = name;
}

void log_sink_kmsg(void *ctx, enum log_level level, const char *line)
{
	/* Facility 3 (daemon) times 8 plus the kernel's level. */
	static const int priority[] = { 24 + 3, 24 + 4, 24 + 6, 24 + 7, 24 + 7 };
	const int *fd = ctx;
	char buf[LOG_LINE_MAX + 16];
	int n = snprintf(buf, sizeof(buf), "<%d>%s\n", priority[level], line);

	if (n > 0 && write(*fd, buf, MIN((size_t)n, sizeof(buf) - 1)) < 0)
		return;
}

int log_level_parse(const char *text, enum log_level *ret_level)
{
	for (int i = LOG_ERR; i <= LOG_TRACE; i++) {
		if (strcmp(text, level_names[i]) == 0) {
			*ret_level = (enum log_level)i;
			return 0;
		}
	}
	return -EINVAL;
}

static uint64_t now_ns(void)
{
	struct timespec ts;

	(void)clock_gettime(CLOCK_MONOTONIC, &ts); /* cannot fail for this clock */
	return (uint64_t)ts.tv_sec * 1000000000u + (uint64_t)ts.tv_nsec;
}

/*
 * May this site speak? No lock: threads that race for a new window may let a few lines more
 * through, never an unbounded number.
 */
static bool rl_pass(struct log_rl *rl, uint32_t *ret_squashed)
{
	uint64_t now = now_ns();
	uint64_t start = __atomic_load_n(&rl->window_start_ns, __ATOMIC_RELAXED);

	*ret_squashed = 0;
	if (!start || now - start >= RL_WINDOW_NS) {
		if (__atomic_compare_exchange_n(&rl->window_start_ns, &start, now, false,
						__ATOMIC_RELAXED, __ATOMIC_RELAXED)) {
			__atomic_store_n(&rl->in_window, 0, __ATOMIC_RELAXED);
			*ret_squashed = __atomic_exchange_n(&rl->squashed, 0, __ATOMIC_RELAXED);
		}
	}
	/* Look before adding: the count must not wrap back to a passing value. */
	if (__atomic_load_n(&rl->in_window, __ATOMIC_RELAXED) < RL_LINES &&
	    __atomic_fetch_add(&rl->in_window, 1, __ATOMIC_RELAXED) < RL_LINES)
		return true;
	if (__atomic_load_n(&rl->squashed, __ATOMIC_RELAXED) < UINT32_MAX / 2)
		(void)__atomic_fetch_add(&rl->squashed, 1, __ATOMIC_RELAXED);
	return false;
}

/* Move an snprintf-style result along; what did not fit is cut. */
static size_t advance(size_t at, int n)
{
	if (n < 0)
		return at;
	return MIN(at + (size_t)n, (size_t)LOG_LINE_MAX - 1);
}

static void make_printable(char *line, size_t len)
{
	for (size_t i = 0; i < len; i++) {
		if (line[i] < 0x20 || line[i] > 0x7e)
			line[i] = '?';
	}
}

void log_emit(enum log_level level, enum log_class cls, struct log_rl *rl, const char *area,
	      const char *fmt, ...)
{
	char line[LOG_LINE_MAX];
	uint32_t squashed = 0;
	size_t len;
	va_list ap;

	if (level > logger.level || (cls == CONF && logger.confidential))
		return;
	if (rl && !rl_pass(rl, &squashed))
		return;

	len = advance(0, snprintf(line, sizeof(line), "%s %s %s: ", logger.name, level_names[level],
				  area));
	if (squashed)
		len = advance(len, snprintf(line + len, sizeof(line) - len, "(%u lines squashed) ",
					    squashed));
	va_start(ap, fmt);
	len = advance(len, vsnprintf(line + len, sizeof(line) - len, fmt, ap));
	va_end(ap);
	make_printable(line, len);

	(void)pthread_mutex_lock(&logger.lock);
	if (logger.sink)
		logger.sink(logger.ctx, level, line);
	else
		sink_stderr(line, len);
	(void)pthread_mutex_unlock(&logger.lock);
}
