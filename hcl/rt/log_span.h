/* SPDX-License-Identifier: MIT */
/*
 * Spans: work that begins and ends, with an id of its own (an activity). Records made inside, on
 * the same thread, carry the id of the innermost span as related activity, and so do spans opened
 * inside. A span has a class like a statement and passes the same filter: one that is dropped or
 * filtered out leaves no trace, and what is inside belongs to the span around it.
 *
 * The plain form is a scope:
 *	LOG_SPAN(span, LOG_INFO, ALLOWED, "load_vtl0", log_u64("pages", n));
 * opens and enters the span here and leaves and closes it at the end of the block. Work that goes
 * on in callbacks keeps a struct log_span in its request: log_span_open() once, log_span_enter()
 * and log_span_leave() around each piece, on any one thread at a time, log_span_close() at the end.
 */
#pragma once

#include <stdbool.h>
#include <stdint.h>

#include "guid.h"
#include "log.h"

#define LOG_SPAN_SHOWN 64u

struct log_record;

/* All members private. */
struct log_span {
	const struct log_site *site; /* NULL: not wanted, or closed */
	struct log_span *outer; /* while entered: the next one out on this thread */
	bool entered;
	struct guid activity, related, correlation;
	uint64_t opened_ns, entered_ns, busy_ns;
	char shown[LOG_SPAN_SHOWN]; /* name and fields, as lines inside show them */
};

/* Open when wanted. @site: static. Context: any thread; the span's memory is the caller's. */
void log_span_open(struct log_span *span, struct log_site *site, struct log_fields fields);

/* The time between these two counts as busy. To be nested properly on each thread. */
void log_span_enter(struct log_span *span);
void log_span_leave(struct log_span *span);

/* The end, once; after log_span_leave(). */
void log_span_close(struct log_span *span);

/* Leave and close. */
void log_span_end(struct log_span *span);

/* Open and enter. */
static inline void log_span_begin(struct log_span *span, struct log_site *site,
				  struct log_fields fields)
{
	span->site = NULL;
	if (!log_wanted(site))
		return;
	log_span_open(span, site, fields);
	log_span_enter(span);
}

#define LOG_SPAN(var, lvl, cls, name, ...)                                   \
	static struct log_site var##_site = LOG_SITE(lvl, cls, false, name); \
	__attribute__((cleanup(log_span_end))) struct log_span var;          \
	log_span_begin(&var, &var##_site, LOG_SPAN_FIELDS(__VA_ARGS__))

/* Like LOG_KV, and none is fine, too. */
#define LOG_SPAN_FIELDS(...)                                                                    \
	((struct log_fields){ (const struct log_field[]){ __VA_ARGS__ __VA_OPT__(, ){ 0 } },    \
			      sizeof((struct log_field[]){ __VA_ARGS__ __VA_OPT__(, ){ 0 } }) / \
					      sizeof(struct log_field) -                        \
				      1 })

/**
 * log_span_around - fill in what a record inherits from the spans around it on this thread
 * @ret_context: LOG_CONTEXT_MAX bytes: their names, outermost first
 * Context: log.c.
 */
void log_span_around(struct log_record *rec, char *ret_context);

/* Hand a finished record to the sink. Context: log_span.c. */
void log_emit_record(const struct log_record *rec);
