/* SPDX-License-Identifier: MIT */
/*
 * A process's log: statements of all threads go into a ring, one writer thread takes them out and
 * hands them to the outputs, which may block. So no thread that runs a guest ever waits for a
 * console. Records wait in the ring until the writer is started.
 */
#pragma once

#include <stdint.h>

#include "log.h"
#include "macros.h"

#define LOG_OUTPUTS_MAX 4u

struct log_queue;

/* Takes records one at a time: on the writer thread, or on the one that calls log_queue_flush(). */
struct log_output {
	log_sink_fn put;
	void *ctx;
};

/* NULL = out of memory. Never destroyed: threads may log until the very end. */
struct log_queue *log_queue_create(void);

/* The sink for log_init(). @ctx: the queue. Any thread; one eventfd write when the writer rests. */
void log_queue_put(void *ctx, const struct log_record *rec);

/**
 * log_queue_start - begin to write
 * Returns: 0; -errno; -E2BIG: too many outputs. Once. The thread blocks all signals.
 */
must_check int log_queue_start(struct log_queue *q, const struct log_output *outputs, size_t n);

/* Everything that was logged before is with the outputs when this returns. Any thread that may
 * wait; not from an output. */
void log_queue_flush(struct log_queue *q);

/* Records lost since the start. Any thread. */
uint64_t log_queue_lost(const struct log_queue *q);
