/* SPDX-License-Identifier: MIT */
/*
 * A bounded queue of log records: any number of threads put, one takes. Neither side ever waits for
 * the other, allocates or makes a system call. What does not fit is counted, and the next record
 * that does says how many went missing before it.
 */
#pragma once

#include <stdbool.h>
#include <stdint.h>

#include "log_record.h"
#include "macros.h"

#define LOG_RING_RECORDS 256u /* held at most */

struct log_ring;

/* A record that was taken, and what its strings point to. */
struct log_ring_slot {
	struct log_record rec;
	struct log_field fields[LOG_FIELDS_MAX];
	uint8_t bytes[LOG_RECORD_MAX];
};

/* NULL = out of memory. */
struct log_ring *log_ring_create(void);
void log_ring_destroy(struct log_ring *ring); /* accepts NULL */

/* Queue a copy. False: there was no room. Any thread. */
bool log_ring_put(struct log_ring *ring, const struct log_record *rec);

/* The oldest record. False: there is none, or its putter is not done yet. One thread at a time. */
bool log_ring_take(struct log_ring *ring, struct log_ring_slot *ret_slot);

/* Nothing queued? Any thread. */
bool log_ring_empty(const struct log_ring *ring);

/* Records lost since the start. Any thread. */
uint64_t log_ring_lost(const struct log_ring *ring);

/* Count records that were lost behind the ring; the next one put tells. Any thread. */
void log_ring_add_lost(struct log_ring *ring, uint64_t n);
