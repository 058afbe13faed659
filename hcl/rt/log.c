/* SPDX-License-Identifier: MIT */
/*
 * Statements: the decision about a site, its rate limit, the record. The filter lives in two slots.
 * A reader announces itself in the slot that the epoch names and looks at the epoch again; a writer
 * fills the other slot once its last reader has left, then moves the epoch. So readers never wait
 * and the memory is bounded however often the filter changes.
 */
#include "log.h"

#include <errno.h>
#include <pthread.h>
#include <stdarg.h>
#include <stdatomic.h>
#include <stdio.h>
#include <string.h>
#include <time.h>

#include "log_filter.h"
#include "log_format.h"
#include "log_record.h"
#include "log_span.h"

#define RL_WINDOW_NS 5000000000ull
#define RL_LINES 10
/* A reader is in its slot for microseconds, unless its thread loses the CPU. */
#define SLOT_WAIT_NS 1000000
#define SLOT_WAITS 1000

static struct {
	bool restricted; /* until somebody knows better */
	bool unlimited;
	log_sink_fn sink;
	void *ctx;
} logger = {
	.restricted = true,
	.sink = log_sink_stderr,
};

static struct slot {
	_Atomic uint32_t readers;
	struct log_filter filter;
} slots[2] = {
	{ .filter = { .text = "info", .n = 1, .entries = { { .level = LOG_INFO } } } },
};

/* Even; slot epoch / 2 % 2 is the one in force. */
uint32_t log_epoch = 4;

static pthread_mutex_t filter_lock = PTHREAD_MUTEX_INITIALIZER; /* protects: who may replace */

static const char *const level_names[] = {
	[LOG_ERR] = "error",   [LOG_WARN] = "warn",   [LOG_INFO] = "info",
	[LOG_DEBUG] = "debug", [LOG_TRACE] = "trace",
};

/* ---- the filter ------------------------------------------------------------------------------ */

static struct slot *slot_of(uint32_t epoch)
{
	return &slots[epoch / 2 % 2];
}

/* The slot in force, held until slot_leave(). */
static struct slot *slot_enter(uint32_t *ret_epoch)
{
	for (;;) {
		/* All sequentially consistent: either the writer sees us or we see its epoch. */
		const uint32_t epoch = __atomic_load_n(&log_epoch, __ATOMIC_SEQ_CST);
		struct slot *slot = slot_of(epoch);

		atomic_fetch_add(&slot->readers, 1);
		if (__atomic_load_n(&log_epoch, __ATOMIC_SEQ_CST) == epoch) {
			*ret_epoch = epoch;
			return slot;
		}
		atomic_fetch_sub(&slot->readers, 1);
	}
}

static void slot_leave(struct slot *slot)
{
	atomic_fetch_sub(&slot->readers, 1);
}

bool log_decide(struct log_site *site)
{
	uint32_t epoch;
	struct slot *slot = slot_enter(&epoch);
	const bool yes = (int)site->level <= log_filter_level(&slot->filter, site->target) &&
			 !(logger.restricted && site->cls == CONF);

	slot_leave(slot);
	__atomic_store_n(&site->state, epoch | yes, __ATOMIC_RELAXED);
	return yes;
}

/* Under filter_lock. */
static int replace(const struct log_filter *filter)
{
	const struct timespec wait = { .tv_nsec = SLOT_WAIT_NS };
	const uint32_t next = log_epoch + 2;
	struct slot *slot = slot_of(next);

	for (int i = 0; atomic_load(&slot->readers); i++) {
		if (i == SLOT_WAITS)
			return -EBUSY;
		(void)nanosleep(&wait, NULL);
	}
	slot->filter = *filter;
	__atomic_store_n(&log_epoch, next, __ATOMIC_SEQ_CST);
	return 0;
}

int log_filter_set(const char *text, char *ret_why, size_t why_size)
{
	struct log_filter filter;
	int r = log_filter_parse(text, &filter, ret_why, why_size);

	if (r < 0)
		return r;
	(void)pthread_mutex_lock(&filter_lock);
	r = replace(&filter);
	(void)pthread_mutex_unlock(&filter_lock);
	if (r < 0 && why_size)
		(void)snprintf(ret_why, why_size, "the last filter is still in use");
	return r;
}

void log_filter_get(char ret_text[LOG_FILTER_MAX])
{
	uint32_t epoch;
	struct slot *slot = slot_enter(&epoch);

	memcpy(ret_text, slot->filter.text, LOG_FILTER_MAX);
	slot_leave(slot);
}

/* ---- set-up ---------------------------------------------------------------------------------- */

void log_init(enum log_level level, bool restricted, log_sink_fn sink, void *ctx)
{
	logger.restricted = restricted;
	logger.sink = sink ? sink : log_sink_stderr;
	logger.ctx = ctx;
	if (log_filter_set(level_names[level], NULL, 0) < 0)
		return; /* not with one thread; the old filter stays */
}

void log_set_rate_limits(bool on)
{
	logger.unlimited = !on;
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

/* ---- statements ------------------------------------------------------------------------------ */

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
static bool rl_pass(struct log_rl *rl, uint64_t now, uint32_t *ret_squashed)
{
	uint64_t start = __atomic_load_n(&rl->window_start_ns, __ATOMIC_RELAXED);

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

void log_emit(struct log_site *site, struct log_fields fields, const char *fmt, ...)
{
	char text[LOG_TEXT_MAX], context[LOG_CONTEXT_MAX];
	struct log_record rec = { .kind = LOG_EVENT,
				  .level = site->level,
				  .cls = site->cls,
				  .time_ns = now_ns(),
				  .target = site->target,
				  .name = "",
				  .context = context,
				  .text = text,
				  .fields = fields.p,
				  .n_fields = fields.n };
	uint32_t squashed = 0;
	int at = 0;
	va_list ap;

	if (site->limited && !logger.unlimited && !rl_pass(&site->rl, rec.time_ns, &squashed))
		return;
	if (squashed)
		at = snprintf(text, sizeof(text), "(%u lines squashed) ", squashed);
	va_start(ap, fmt);
	if (vsnprintf(text + at, sizeof(text) - (size_t)at, fmt, ap) < 0)
		text[at] = 0;
	va_end(ap);
	log_span_around(&rec, context);
	logger.sink(logger.ctx, &rec);
}

void log_emit_record(const struct log_record *rec)
{
	logger.sink(logger.ctx, rec);
}
