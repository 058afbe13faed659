/* SPDX-License-Identifier: MIT */
/*
 * See log_ring.h. A putter reserves room by moving the tail, writes its bytes, then publishes them
 * by the entry's first word: length and a mark. The taker clears all words of an entry before it
 * gives the room back, so a reserved entry reads as zero until it is published.
 */
#include "log_ring.h"

#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>

#define RING_BYTES 65536u /* power of two */
#define WORD 8u
#define PUBLISHED (1ull << 32)

struct log_ring {
	_Atomic uint64_t head, tail; /* bytes since the start */
	_Atomic uint32_t records;
	_Atomic uint64_t lost, gap;
	_Atomic uint64_t words[RING_BYTES / WORD];
};

struct log_ring *log_ring_create(void)
{
	return calloc(1, sizeof(struct log_ring));
}

void log_ring_destroy(struct log_ring *ring)
{
	free(ring);
}

static _Atomic uint64_t *word_at(struct log_ring *ring, uint64_t at)
{
	return &ring->words[at % RING_BYTES / WORD];
}

static uint64_t entry_size(size_t len)
{
	return WORD + (len + WORD - 1) / WORD * WORD;
}

/* Room for an entry, or false. */
static bool reserve(struct log_ring *ring, uint64_t size, uint64_t *ret_at)
{
	uint64_t tail = atomic_load_explicit(&ring->tail, memory_order_relaxed);

	if (atomic_fetch_add_explicit(&ring->records, 1, memory_order_relaxed) >= LOG_RING_RECORDS)
		goto full;
	do {
		/* Acquire pairs with the release in log_ring_take(): the room is cleared. */
		const uint64_t head = atomic_load_explicit(&ring->head, memory_order_acquire);

		/* A head newer than the tail we saw: the exchange will fail and tell. */
		if (tail >= head && tail - head + size > RING_BYTES)
			goto full;
	} while (!atomic_compare_exchange_weak_explicit(&ring->tail, &tail, tail + size,
							memory_order_relaxed,
							memory_order_relaxed));
	*ret_at = tail;
	return true;
full:
	atomic_fetch_sub_explicit(&ring->records, 1, memory_order_relaxed);
	return false;
}

bool log_ring_put(struct log_ring *ring, const struct log_record *rec)
{
	uint8_t buf[LOG_RECORD_MAX + WORD];
	struct log_record mine = *rec;
	uint64_t at, gap = 0;
	size_t len;

	if (atomic_load_explicit(&ring->gap, memory_order_relaxed))
		gap = atomic_exchange_explicit(&ring->gap, 0, memory_order_relaxed);
	mine.missed += gap;
	len = log_record_encode(&mine, buf);
	if (!reserve(ring, entry_size(len), &at)) {
		/* What the record itself had to tell waits for the next one, too. */
		atomic_fetch_add_explicit(&ring->lost, 1, memory_order_relaxed);
		atomic_fetch_add_explicit(&ring->gap, 1 + mine.missed, memory_order_relaxed);
		return false;
	}
	memset(buf + len, 0, WORD);
	for (size_t i = 0; i < len; i += WORD) {
		uint64_t word;

		memcpy(&word, buf + i, WORD);
		atomic_store_explicit(word_at(ring, at + WORD + i), word, memory_order_relaxed);
	}
	/* Release pairs with the acquire in log_ring_take(): the bytes are there. */
	atomic_store_explicit(word_at(ring, at), PUBLISHED | len, memory_order_release);
	return true;
}

bool log_ring_take(struct log_ring *ring, struct log_ring_slot *ret_slot)
{
	const uint64_t head = atomic_load_explicit(&ring->head, memory_order_relaxed);
	const uint64_t first = atomic_load_explicit(word_at(ring, head), memory_order_acquire);
	const size_t len = first & UINT32_MAX;

	if (!(first & PUBLISHED))
		return false;
	atomic_store_explicit(word_at(ring, head), 0, memory_order_relaxed);
	for (size_t i = 0; i < len; i += WORD) {
		_Atomic uint64_t *at = word_at(ring, head + WORD + i);
		const uint64_t word = atomic_load_explicit(at, memory_order_relaxed);

		atomic_store_explicit(at, 0, memory_order_relaxed);
		memcpy(ret_slot->bytes + i, &word, MIN((size_t)WORD, len - i));
	}
	atomic_store_explicit(&ring->head, head + entry_size(len), memory_order_release);
	atomic_fetch_sub_explicit(&ring->records, 1, memory_order_relaxed);
	/* Encoded by ourselves: it cannot fail, and if it did there would be nothing to show. */
	return log_record_decode(ret_slot->bytes, len, ret_slot->fields, &ret_slot->rec) == 0;
}

bool log_ring_empty(const struct log_ring *ring)
{
	return atomic_load_explicit(&ring->head, memory_order_relaxed) ==
	       atomic_load_explicit(&ring->tail, memory_order_relaxed);
}

uint64_t log_ring_lost(const struct log_ring *ring)
{
	return atomic_load_explicit(&ring->lost, memory_order_relaxed);
}

void log_ring_add_lost(struct log_ring *ring, uint64_t n)
{
	atomic_fetch_add_explicit(&ring->lost, n, memory_order_relaxed);
	atomic_fetch_add_explicit(&ring->gap, n, memory_order_relaxed);
}
