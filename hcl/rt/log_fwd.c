/* SPDX-License-Identifier: MIT */
/* See log_fwd.h. */
#include "log_fwd.h"

#include <stdatomic.h>
#include <stdbool.h>
#include <stdlib.h>

#include "log_ring.h"

/* Per turn of the loop, so that a flood of records leaves time for everything else. */
#define PER_TURN 32u

struct log_fwd {
	struct log_ring *ring;
	_Atomic(struct loop *) loop; /* NULL = not attached */
	struct loop_work work;
	/* From here on the loop's thread only. */
	struct ipc *ipc; /* NULL = not attached, or gone */
	uint32_t type;
	struct log_ring_slot slot;
	uint8_t bytes[LOG_RECORD_MAX];
};

/* Up to max records; false = there are no more. */
static bool send_some(struct log_fwd *fwd, unsigned int max)
{
	for (unsigned int i = 0; i < max; i++) {
		size_t len;

		if (!log_ring_take(fwd->ring, &fwd->slot))
			return false;
		fwd->slot.rec.context = ""; /* for the kernel's log only */
		len = log_record_encode(&fwd->slot.rec, fwd->bytes);
		/* A queue full for megabytes, or nobody there: like a full ring. */
		if (fwd->ipc && ipc_send(fwd->ipc, fwd->type, 0, fwd->bytes, len) < 0)
			log_ring_add_lost(fwd->ring, 1 + fwd->slot.rec.missed);
	}
	return true;
}

static void on_work(void *ctx)
{
	struct log_fwd *fwd = ctx;

	if (send_some(fwd, PER_TURN))
		loop_post(atomic_load_explicit(&fwd->loop, memory_order_relaxed), &fwd->work);
}

struct log_fwd *log_fwd_create(void)
{
	struct log_fwd *fwd = calloc(1, sizeof(*fwd));

	if (!fwd)
		return NULL;
	fwd->ring = log_ring_create();
	if (!fwd->ring) {
		free(fwd);
		return NULL;
	}
	fwd->work = (struct loop_work){ .fn = on_work, .ctx = fwd };
	return fwd;
}

void log_fwd_put(void *ctx, const struct log_record *rec)
{
	struct log_fwd *fwd = ctx;
	struct loop *loop;

	(void)log_ring_put(fwd->ring, rec);
	/* Acquire pairs with the release in log_fwd_attach(): the work is set up. */
	loop = atomic_load_explicit(&fwd->loop, memory_order_acquire);
	if (loop)
		loop_post(loop, &fwd->work);
}

void log_fwd_attach(struct log_fwd *fwd, struct loop *loop, struct ipc *ipc, uint32_t type)
{
	fwd->ipc = ipc;
	fwd->type = type;
	atomic_store_explicit(&fwd->loop, loop, memory_order_release);
	loop_post(loop, &fwd->work);
}

void log_fwd_detach(struct log_fwd *fwd)
{
	fwd->ipc = NULL;
}

void log_fwd_flush(struct log_fwd *fwd)
{
	if (atomic_load_explicit(&fwd->loop, memory_order_relaxed))
		(void)send_some(fwd, LOG_RING_RECORDS);
}
