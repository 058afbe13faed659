/* SPDX-License-Identifier: MIT */
/*
 * Classed, levelled, rate-limited logging. Every statement says how sensitive its text is; there is
 * no default class. On a confidential VM CONF statements are dropped before they are formatted.
 * One line per call: "<name> <level> <area>: text", cut at LOG_LINE_MAX; bytes that are not
 * printable ASCII become '?', so no text can start a line of its own. Any thread; never blocks on
 * an exit path as long as guest-triggered statements use the _rl forms.
 */
#pragma once

#include <stdbool.h>
#include <stdint.h>

#include "macros.h"

#define LOG_LINE_MAX 512

enum log_level { LOG_ERR, LOG_WARN, LOG_INFO, LOG_DEBUG, LOG_TRACE };

/* What a statement may reveal: ALLOWED constants, names, counts, ids the host knows; CONF register
 * values, guest addresses, guest strings. Secrets are not printable at all. */
enum log_class { ALLOWED, CONF };

/* Where finished lines go (no trailing newline). Called with the log lock held; must not log. */
typedef void (*log_sink_fn)(void *ctx, enum log_level level, const char *line);

/* State of one rate-limited site. All members are touched by atomic operations only. */
struct log_rl {
	uint64_t window_start_ns;
	uint32_t in_window;
	uint32_t squashed;
};

/**
 * log_init - set level, confidentiality and sink
 * @confidential: drop CONF statements
 * @sink: NULL = one line per write to stderr
 * Context: once at start, before other threads exist.
 */
void log_init(enum log_level level, bool confidential, log_sink_fn sink, void *ctx);

/**
 * log_set_name - the first word of every line, such as "keel" or "hvhost"
 * @name: static string. Context: once at start, before other threads exist.
 */
void log_set_name(const char *name);

/**
 * log_sink_kmsg - a sink for log_init() that writes to the kernel's log
 * @ctx: pointer to the int that holds an fd of /dev/kmsg, open for writing
 * Levels become the kernel's; the facility is 3 (daemon). A failed write is lost: there is nobody
 * left to tell.
 */
void log_sink_kmsg(void *ctx, enum log_level level, const char *line);

/**
 * log_level_parse - turn "error", "warn", "info", "debug", "trace" into a level
 * Returns: 0, -EINVAL
 */
must_check int log_level_parse(const char *text, enum log_level *ret_level);

/* Use the macros below. @rl: NULL = not rate-limited. */
void log_emit(enum log_level level, enum log_class cls, struct log_rl *rl, const char *area,
	      const char *fmt, ...) printf_like(5, 6);

/* Each source file defines LOG_AREA "name" before including this header's users' macros. */
#define log_err(cls, ...) log_emit(LOG_ERR, cls, NULL, LOG_AREA, __VA_ARGS__)
#define log_warn(cls, ...) log_emit(LOG_WARN, cls, NULL, LOG_AREA, __VA_ARGS__)
#define log_info(cls, ...) log_emit(LOG_INFO, cls, NULL, LOG_AREA, __VA_ARGS__)
#define log_debug(cls, ...) log_emit(LOG_DEBUG, cls, NULL, LOG_AREA, __VA_ARGS__)
#define log_trace(cls, ...) log_emit(LOG_TRACE, cls, NULL, LOG_AREA, __VA_ARGS__)

/* For statements a guest or host can trigger at will: 10 lines per 5 s and site; the
 * first line of a later window says how many were squashed. */
#define log_rl(level, cls, ...)                                    \
	do {                                                       \
		static struct log_rl rl_;                          \
		log_emit(level, cls, &rl_, LOG_AREA, __VA_ARGS__); \
	} while (0)
#define log_warn_rl(cls, ...) log_rl(LOG_WARN, cls, __VA_ARGS__)
#define log_info_rl(cls, ...) log_rl(LOG_INFO, cls, __VA_ARGS__)
#define log_debug_rl(cls, ...) log_rl(LOG_DEBUG, cls, __VA_ARGS__)
