/* SPDX-License-Identifier: MIT */
/*
 * Classed, levelled, rate-limited logging. Every statement says how sensitive its text is; there is
 * no default class and no class at run time. Where diagnostics are restricted CONF statements and
 * spans are dropped before they are formatted, for every sink.
 *
 * What is logged beyond that is up to a filter in the syntax of OPENVMM_LOG: entries separated by
 * commas, each `LEVEL` (for everything), `TARGET=LEVEL` or `TARGET` (all of it); levels are off,
 * error, warn, info, debug, trace, or 0 to 5. A target is what a source file calls its LOG_AREA;
 * an entry is for all targets that start with its own, and the longest such entry counts. What no
 * entry is for is not logged. The filter can be replaced at any time by any thread; a statement
 * that is filtered out costs two loads and a comparison.
 *
 * A statement makes one record (log_record.h) and hands it to one sink; it does not block or
 * allocate as long as the sink does not. Any thread.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "macros.h"

#define LOG_LINE_MAX 1400 /* a record as one line of text, with the NUL */
#define LOG_FILTER_MAX 1024 /* text of a filter, with the NUL */

enum log_level { LOG_ERR, LOG_WARN, LOG_INFO, LOG_DEBUG, LOG_TRACE };

/* What a statement may reveal: ALLOWED constants, names, counts, ids the host knows; CONF register
 * values, guest addresses, guest strings. Secrets are not printable at all. */
enum log_class { ALLOWED, CONF };

/* Exactly these two words are classes: anything else in their place does not compile. */
#define LOG_CLASS_ALLOWED ALLOWED
#define LOG_CLASS_CONF CONF

/* State of one rate-limited site. All members are touched by atomic operations only. */
struct log_rl {
	uint64_t window_start_ns;
	uint32_t in_window;
	uint32_t squashed;
};

/* One statement or span in the source; made by the macros. */
struct log_site {
	const char *target;
	const char *name; /* of a span, else NULL */
	enum log_level level;
	enum log_class cls;
	bool limited;
	uint32_t state; /* the epoch of the last decision plus 1 if it was yes; atomic */
	struct log_rl rl;
};

enum log_field_type { LOG_F_U64, LOG_F_I64, LOG_F_BOOL, LOG_F_STR };

/* A value with a name. */
struct log_field {
	const char *key;
	enum log_field_type type;
	union {
		uint64_t u64; /* also LOG_F_BOOL: 0 or 1 */
		int64_t i64;
		const char *str;
	};
};

struct log_fields {
	const struct log_field *p;
	size_t n;
};

struct log_record;

/* Takes a record, valid during the call. Any thread, several at a time; must not log. */
typedef void (*log_sink_fn)(void *ctx, const struct log_record *rec);

/**
 * log_init - set filter, confidentiality and sink
 * @level: of everything, until log_filter_set()
 * @restricted: drop CONF statements. Before the first call they are dropped.
 * @sink: NULL = log_sink_stderr
 * Context: once at start, before other threads exist.
 */
void log_init(enum log_level level, bool restricted, log_sink_fn sink, void *ctx);

/**
 * log_set_name - the first word of every plain line, such as "keel" or "hvhost"
 * @name: static string. Context: once at start, before other threads exist.
 */
void log_set_name(const char *name);

/* Are rate limits in force? They are unless told otherwise. Context: like log_init(). */
void log_set_rate_limits(bool on);

/**
 * log_filter_set - replace the filter
 * @text: less than LOG_FILTER_MAX bytes, at most 64 entries
 * @ret_why: a reason in words when it is refused; may be NULL with @why_size 0
 * Returns: 0; -EINVAL: refused, the old one stays; -EBUSY: another thread is at it and does not end
 * Context: any thread; may sleep for a moment while a statement reads the filter before the last.
 * Trust: the text may come from the host.
 */
must_check int log_filter_set(const char *text, char *ret_why, size_t why_size);

/* The filter's text as it was set. Any thread. */
void log_filter_get(char ret_text[LOG_FILTER_MAX]);

/**
 * log_level_parse - turn "error", "warn", "info", "debug", "trace" into a level
 * Returns: 0, -EINVAL
 */
must_check int log_level_parse(const char *text, enum log_level *ret_level);

/* Even; changes whenever a decision about a site may have become another. Private. */
extern uint32_t log_epoch;

/* The slow half of log_wanted(): ask the filter, once per site and filter. Private. */
bool log_decide(struct log_site *site);

/* Is this site's output wanted? */
static inline bool log_wanted(struct log_site *site)
{
	const uint32_t state = __atomic_load_n(&site->state, __ATOMIC_RELAXED);

	if (__builtin_expect((state ^ __atomic_load_n(&log_epoch, __ATOMIC_RELAXED)) > 1, 0))
		return log_decide(site);
	return state & 1;
}

/* Use the macros below. */
void log_emit(struct log_site *site, struct log_fields fields, const char *fmt, ...)
	printf_like(3, 4);

#define LOG_SITE(lvl, cls_, is_limited, span_name)                                                \
	{                                                                                         \
		.target = LOG_AREA, .name = (span_name), .level = (lvl), .cls = LOG_CLASS_##cls_, \
		.limited = (is_limited),                                                          \
	}

#define LOG_AT(lvl, cls, limited, fields, ...)                                    \
	do {                                                                      \
		static struct log_site site_ = LOG_SITE(lvl, cls, limited, NULL); \
		if (log_wanted(&site_))                                           \
			log_emit(&site_, fields, __VA_ARGS__);                    \
	} while (0)

#define LOG_NO_KV ((struct log_fields){ NULL, 0 })

/* Each source file defines LOG_AREA "name" before its first statement. */
#define log_err(cls, ...) LOG_AT(LOG_ERR, cls, false, LOG_NO_KV, __VA_ARGS__)
#define log_warn(cls, ...) LOG_AT(LOG_WARN, cls, false, LOG_NO_KV, __VA_ARGS__)
#define log_info(cls, ...) LOG_AT(LOG_INFO, cls, false, LOG_NO_KV, __VA_ARGS__)
#define log_debug(cls, ...) LOG_AT(LOG_DEBUG, cls, false, LOG_NO_KV, __VA_ARGS__)
#define log_trace(cls, ...) LOG_AT(LOG_TRACE, cls, false, LOG_NO_KV, __VA_ARGS__)

/* For statements a guest or host can trigger at will: 10 records per 5 s and site; the first of a
 * later window says how many were squashed. */
#define log_rl(level, cls, ...) LOG_AT(level, cls, true, LOG_NO_KV, __VA_ARGS__)
#define log_err_rl(cls, ...) log_rl(LOG_ERR, cls, __VA_ARGS__)
#define log_warn_rl(cls, ...) log_rl(LOG_WARN, cls, __VA_ARGS__)
#define log_info_rl(cls, ...) log_rl(LOG_INFO, cls, __VA_ARGS__)
#define log_debug_rl(cls, ...) log_rl(LOG_DEBUG, cls, __VA_ARGS__)
#define log_trace_rl(cls, ...) log_rl(LOG_TRACE, cls, __VA_ARGS__)

/* With fields, which the statement's class covers too:
 * log_kv(LOG_INFO, ALLOWED, LOG_KV(log_u64("vps", n), log_str("kind", k)), "partition made"); */
#define log_kv(level, cls, fields, ...) LOG_AT(level, cls, false, fields, __VA_ARGS__)
#define log_kv_rl(level, cls, fields, ...) LOG_AT(level, cls, true, fields, __VA_ARGS__)

#define LOG_KV(...)                                                         \
	((struct log_fields){ (const struct log_field[]){ __VA_ARGS__ },    \
			      sizeof((struct log_field[]){ __VA_ARGS__ }) / \
				      sizeof(struct log_field) })

static inline struct log_field log_u64(const char *key, uint64_t val)
{
	return (struct log_field){ .key = key, .type = LOG_F_U64, .u64 = val };
}

static inline struct log_field log_i64(const char *key, int64_t val)
{
	return (struct log_field){ .key = key, .type = LOG_F_I64, .i64 = val };
}

static inline struct log_field log_bool(const char *key, bool val)
{
	return (struct log_field){ .key = key, .type = LOG_F_BOOL, .u64 = val };
}

static inline struct log_field log_str(const char *key, const char *val)
{
	return (struct log_field){ .key = key, .type = LOG_F_STR, .str = val };
}
