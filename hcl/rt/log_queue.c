/* SPDX-License-Identifier: MIT */
/* See log_queue.h. */
#include "log_queue.h"

#include <errno.h>
#include <pthread.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <sys/eventfd.h>
#include <unistd.h>

#include "log_ring.h"

#define STACK_BYTES 65536u

struct log_queue {
	struct log_ring *ring;
	int event_fd;
	atomic_bool woken; /* the writer will look again */
	pthread_mutex_t lock; /* protects: the taking end and slot; rank: innermost */
	struct log_ring_slot slot;
	struct log_output outputs[LOG_OUTPUTS_MAX];
	size_t n_outputs; /* 0 = not started */
};

struct log_queue *log_queue_create(void)
{
	struct log_queue *q = calloc(1, sizeof(*q));

	if (!q)
		return NULL;
	q->ring = log_ring_create();
	q->event_fd = eventfd(0, EFD_CLOEXEC);
	if (!q->ring || q->event_fd < 0) {
		if (q->event_fd >= 0)
			(void)close(q->event_fd);
		log_ring_destroy(q->ring);
		free(q);
		return NULL;
	}
	(void)pthread_mutex_init(&q->lock, NULL);
	return q;
}

void log_queue_put(void *ctx, const struct log_record *rec)
{
	struct log_queue *q = ctx;
	const uint64_t one = 1;

	(void)log_ring_put(q->ring, rec);
	/* Sequentially consistent, like the writer's clearing: either it sees the record, or we see
	 * that it rests. */
	if (!atomic_exchange(&q->woken, true) && write(q->event_fd, &one, sizeof(one)) < 0)
		return; /* the counter is full: it is awake */
}

/* As much as the ring can hold, so that a flood does not keep a flushing thread here. False: there
 * is nothing more. */
static bool drain(struct log_queue *q)
{
	unsigned int left = LOG_RING_RECORDS;

	(void)pthread_mutex_lock(&q->lock);
	while (left && q->n_outputs && log_ring_take(q->ring, &q->slot)) {
		for (size_t i = 0; i < q->n_outputs; i++)
			q->outputs[i].put(q->outputs[i].ctx, &q->slot.rec);
		left--;
	}
	(void)pthread_mutex_unlock(&q->lock);
	return left == 0;
}

static void *writer(void *arg)
{
	struct log_queue *q = arg;
	uint64_t n;

	for (;;) {
		if (read(q->event_fd, &n, sizeof(n)) < 0 && errno != EINTR)
			return NULL;
		atomic_store(&q->woken, false);
		while (drain(q))
			;
	}
}

int log_queue_start(struct log_queue *q, const struct log_output *outputs, size_t n)
{
	sigset_t all, before;
	pthread_attr_t attr;
	pthread_t thread;
	int r;

	if (n > LOG_OUTPUTS_MAX)
		return -E2BIG;
	(void)pthread_mutex_lock(&q->lock);
	for (size_t i = 0; i < n; i++)
		q->outputs[i] = outputs[i];
	q->n_outputs = n;
	(void)pthread_mutex_unlock(&q->lock);
	(void)pthread_attr_init(&attr);
	(void)pthread_attr_setstacksize(&attr, STACK_BYTES);
	(void)pthread_attr_setdetachstate(&attr, PTHREAD_CREATE_DETACHED);
	(void)sigfillset(&all);
	(void)pthread_sigmask(SIG_SETMASK, &all, &before);
	r = pthread_create(&thread, &attr, writer, q);
	(void)pthread_sigmask(SIG_SETMASK, &before, NULL);
	(void)pthread_attr_destroy(&attr);
	return -r;
}

void log_queue_flush(struct log_queue *q)
{
	(void)drain(q);
}

uint64_t log_queue_lost(const struct log_queue *q)
{
	return log_ring_lost(q->ring);
}
