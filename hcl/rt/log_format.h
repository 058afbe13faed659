/* SPDX-License-Identifier: MIT */
/*
 * Log records as text: the kernel log's lines, plain lines for people, and the sinks that write
 * them. Pure functions but for the sinks. Spec: OpenHCL diagnostics, kmsg line format.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>

#include "log.h"
#include "macros.h"

#define LOG_KMSG_MAX 976u /* prefix and text; the kernel takes no more in one write */

/* Which spans show in the kernel's log (OPENVMM_SHOW_SPANS). */
enum log_spans { LOG_SPANS_NONE, LOG_SPANS_CLOSE, LOG_SPANS_ALL };

/**
 * log_format_kmsg - one write to /dev/kmsg: "<N>TARGET: LEVEL CONTEXT: TEXT KEY=VALUE...\n"
 * N is the level as the kernel counts it in facility 3. Numbers without sign are hexadecimal,
 * strings are quoted. What does not fit is cut, then without the newline. No NUL.
 * Returns: the length; 0: not to be shown (a span, by @spans)
 */
size_t log_format_kmsg(const struct log_record *rec, enum log_spans spans,
		       char ret_buf[LOG_KMSG_MAX]);

/* "NAME LEVEL TARGET: TEXT KEY=VALUE..." with a NUL, no newline; spans as "enter" and "exit".
 * Returns: the length. */
size_t log_format_plain(const struct log_record *rec, char ret_buf[LOG_LINE_MAX]);

/* "name{key=value ...}", as lines inside the span show it; with a NUL, cut at size. */
void log_format_span(const char *name, struct log_fields fields, char *ret_buf, size_t size);

/* "none"/"0"/"false"/"", "close", "1"/"true". Returns: 0, -EINVAL. */
must_check int log_spans_parse(const char *text, enum log_spans *ret_spans);

struct log_kmsg {
	int fd; /* /dev/kmsg, open for writing */
	enum log_spans spans;
};

/* Sinks. A failed write is lost: there is nobody left to tell. log_sink_stderr writes plain lines
 * and takes no context; log_sink_kmsg takes a struct log_kmsg. */
void log_sink_stderr(void *ctx, const struct log_record *rec);
void log_sink_kmsg(void *ctx, const struct log_record *rec);
