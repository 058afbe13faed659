/* SPDX-License-Identifier: MIT */
/* See log_span.h. */
#include "log_span.h"

#include <stdatomic.h>
#include <stdio.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "log_format.h"
#include "log_record.h"

#define SHOWN_SPANS 8u /* of a deeper nest the innermost */

/* The innermost span this thread is in. */
static _Thread_local struct log_span *innermost;

static uint64_t now_ns(void)
{
	struct timespec ts;

	(void)clock_gettime(CLOCK_MONOTONIC, &ts); /* cannot fail for this clock */
	return (uint64_t)ts.tv_sec * 1000000000u + (uint64_t)ts.tv_nsec;
}

/* Unique on this machine until it restarts: 48 bits of time, 16 of the process, 64 of a count. */
static struct guid new_activity(uint64_t now)
{
	static _Atomic uint64_t count;
	const uint64_t n = atomic_fetch_add_explicit(&count, 1, memory_order_relaxed) + 1;
	struct guid g = { .d1 = (uint32_t)now,
			  .d2 = (uint16_t)(now >> 32),
			  .d3 = (uint16_t)getpid() };

	memcpy(g.d4, &n, sizeof(g.d4));
	return g;
}

static void append(char *text, size_t size, const char *more)
{
	const size_t len = strlen(text);

	(void)snprintf(text + len, size - len, "%s", more);
}

void log_span_around(struct log_record *rec, char *ret_context)
{
	const struct log_span *spans[SHOWN_SPANS];
	size_t n = 0;

	ret_context[0] = 0;
	if (!innermost)
		return;
	rec->related = innermost->activity;
	rec->correlation = innermost->correlation;
	for (const struct log_span *s = innermost; s && n < SHOWN_SPANS; s = s->outer)
		spans[n++] = s;
	while (n--) {
		append(ret_context, LOG_CONTEXT_MAX, spans[n]->shown);
		if (n)
			append(ret_context, LOG_CONTEXT_MAX, ":");
	}
}

static void emit(const struct log_span *span, enum log_kind kind, uint64_t now,
		 struct log_fields fields)
{
	char context[LOG_CONTEXT_MAX];
	struct log_record rec = { .kind = kind,
				  .level = span->site->level,
				  .cls = span->site->cls,
				  .time_ns = now,
				  .activity = span->activity,
				  .target = span->site->target,
				  .name = span->site->name,
				  .context = context,
				  .text = "",
				  .fields = fields.p,
				  .n_fields = fields.n };

	log_span_around(&rec, context);
	if (context[0])
		append(context, sizeof(context), ":");
	append(context, sizeof(context), span->shown);
	rec.related = span->related;
	rec.correlation = span->correlation;
	if (kind == LOG_SPAN_EXIT) {
		rec.taken_ns = now - span->opened_ns;
		rec.busy_ns = span->busy_ns;
	}
	log_emit_record(&rec);
}

void log_span_open(struct log_span *span, struct log_site *site, struct log_fields fields)
{
	const uint64_t now = now_ns();

	span->site = NULL;
	if (!log_wanted(site))
		return;
	*span = (struct log_span){ .site = site, .opened_ns = now, .activity = new_activity(now) };
	if (innermost) {
		span->related = innermost->activity;
		span->correlation = innermost->correlation;
	}
	log_format_span(site->name, fields, span->shown, sizeof(span->shown));
	emit(span, LOG_SPAN_ENTER, now, fields);
}

void log_span_enter(struct log_span *span)
{
	if (!span->site || span->entered)
		return;
	span->entered = true;
	span->entered_ns = now_ns();
	span->outer = innermost;
	innermost = span;
}

void log_span_leave(struct log_span *span)
{
	struct log_span **at = &innermost;

	if (!span->site || !span->entered)
		return;
	span->entered = false;
	span->busy_ns += now_ns() - span->entered_ns;
	/* The innermost one, but for a mistake in nesting. */
	while (*at && *at != span)
		at = &(*at)->outer;
	if (*at)
		*at = span->outer;
	span->outer = NULL;
}

void log_span_close(struct log_span *span)
{
	if (!span->site)
		return;
	emit(span, LOG_SPAN_EXIT, now_ns(), (struct log_fields){ NULL, 0 });
	span->site = NULL;
}

void log_span_end(struct log_span *span)
{
	log_span_leave(span);
	log_span_close(span);
}
