/* SPDX-License-Identifier: MIT */
#include "fake_disk.h"

#include "bug.h"
#include "ckd.h"
#include "gmem.h"
#include "inspect.h"
#include "loop.h"

#include <errno.h>
#include <pthread.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

struct disk {
	pthread_mutex_t lock; /* protects: everything but the queues' lists */
	struct disk_info info;
	uint8_t *data;
	unsigned refs, busy, peak, total, n_log;
	struct fake_disk_seen log[FAKE_DISK_LOG];
	bool hold;
	uint32_t fail_mask;
	uint16_t fail_status;
	unsigned fail_left;
	struct list queues;
	void (*watch)(void *ctx);
	void *watch_ctx;
	int medium; /* -1: none */
	bool *dirty; /* of each block: the medium has something else */
	unsigned whim;
};

struct disk_queue {
	struct list link;
	struct disk *d;
	struct loop *loop;
	unsigned depth, busy;
	struct list pending;
	struct loop_work *work; /* owned by the disk's queue; freed with it by its own run */
	bool aborting;
};

static void lock(struct disk *d)
{
	BUG_ON(pthread_mutex_lock(&d->lock));
}

static void unlock(struct disk *d)
{
	BUG_ON(pthread_mutex_unlock(&d->lock));
}

struct disk *fake_disk(uint64_t blocks, uint32_t block_size)
{
	struct disk *d = calloc(1, sizeof(*d));

	BUG_ON(!d);
	d->data = calloc(blocks, block_size);
	BUG_ON(!d->data || pthread_mutex_init(&d->lock, NULL));
	d->info = (struct disk_info){
		.blocks = blocks,
		.block_size = block_size,
		.physical_block_size = MAX(block_size, 4096u),
		.max_bytes = 1u << 20,
		.unmap_granularity = 8,
		.write_cache = true,
		.unmap_zeroes = true,
		.write_zeroes = true,
	};
	d->refs = 1;
	d->medium = -1;
	list_init(&d->queues);
	return d;
}

void fake_disk_medium(struct disk *d, int fd)
{
	const size_t bytes = d->info.blocks * d->info.block_size;

	d->medium = fd;
	d->dirty = calloc(d->info.blocks, sizeof(*d->dirty));
	BUG_ON(!d->dirty || pread(fd, d->data, bytes, 0) != (ssize_t)bytes);
}

void fake_disk_set_info(struct disk *d, const struct disk_info *info)
{
	lock(d);
	d->info = *info;
	unlock(d);
	if (d->watch)
		d->watch(d->watch_ctx);
}

void fake_disk_fail(struct disk *d, uint32_t op_mask, uint16_t status, unsigned n)
{
	lock(d);
	d->fail_mask = op_mask;
	d->fail_status = status;
	d->fail_left = n;
	unlock(d);
}

unsigned fake_disk_busy(struct disk *d)
{
	unsigned n;

	lock(d);
	n = d->busy;
	unlock(d);
	return n;
}

unsigned fake_disk_peak(struct disk *d)
{
	unsigned n;

	lock(d);
	n = d->peak;
	unlock(d);
	return n;
}

unsigned fake_disk_total(struct disk *d)
{
	unsigned n;

	lock(d);
	n = d->total;
	unlock(d);
	return n;
}

unsigned fake_disk_log(struct disk *d, const struct fake_disk_seen **ret_log)
{
	*ret_log = d->log;
	return d->n_log;
}

void fake_disk_forget(struct disk *d)
{
	lock(d);
	d->n_log = 0;
	unlock(d);
}

uint8_t *fake_disk_data(struct disk *d, uint64_t lba)
{
	return d->data + lba * d->info.block_size;
}

unsigned fake_disk_refs(struct disk *d)
{
	unsigned n;

	lock(d);
	n = d->refs;
	unlock(d);
	return n;
}

/* ---- the medium behind the cache --------------------------------------------------------- */

static void write_back(struct disk *d, uint64_t lba)
{
	const size_t size = d->info.block_size;

	BUG_ON(pwrite(d->medium, fake_disk_data(d, lba), size, (off_t)(lba * size)) !=
	       (ssize_t)size);
	d->dirty[lba] = false;
}

/* After @req has changed the contents. One block in 16 is written back without being asked for. */
static void persist(struct disk *d, const struct disk_req *req)
{
	const bool changes =
		req->op == DISK_WRITE || req->op == DISK_UNMAP || req->op == DISK_WRITE_ZEROES;

	if (d->medium < 0)
		return;
	for (uint64_t i = 0; changes && i < req->blocks; i++) {
		d->dirty[req->lba + i] = true;
		if ((req->flags & DISK_FUA) || d->whim++ % 16 == 0)
			write_back(d, req->lba + i);
	}
	for (uint64_t i = 0; req->op == DISK_FLUSH && i < d->info.blocks; i++) {
		if (d->dirty[i])
			write_back(d, i);
	}
}

/* ---- what requests do ------------------------------------------------------------------------ */

static uint16_t move(struct disk *d, const struct disk_req *req)
{
	uint8_t *at = fake_disk_data(d, req->lba);
	int r = 0;

	for (uint32_t i = 0; r == 0 && i < req->n_iov; i++) {
		const struct iovec *v = &req->iov[i];

		r = req->op == DISK_READ ? gm_copy_out(v->iov_base, at, v->iov_len)
					 : gm_copy_in(at, v->iov_base, v->iov_len);
		at += v->iov_len;
	}
	return r < 0 ? NVME_DATA_TRANSFER_ERROR : NVME_OK;
}

static uint16_t perform(struct disk *d, const struct disk_req *req)
{
	const size_t bytes = (size_t)req->blocks * d->info.block_size;

	switch (req->op) {
	case DISK_READ:
	case DISK_WRITE:
		return move(d, req);
	case DISK_UNMAP:
	case DISK_WRITE_ZEROES:
		memset(fake_disk_data(d, req->lba), 0, bytes);
		return NVME_OK;
	case DISK_FLUSH:
	case DISK_VERIFY:
		return NVME_OK;
	case DISK_PR_IN:
		req->pr->generation = 7;
		req->pr->n_keys = 1;
		req->pr->keys[0].key = 0x1122334455667788;
		req->pr->keys[0].host = 5;
		return NVME_OK;
	case DISK_PR_OUT:
		return req->pr->key == 1 ? NVME_RESERVATION_CONFLICT : NVME_OK;
	}
	return NVME_INVALID_OPCODE;
}

static bool valid(const struct disk *d, const struct disk_req *req)
{
	uint64_t bytes = 0;

	if (req->op == DISK_FLUSH || req->op == DISK_PR_IN || req->op == DISK_PR_OUT)
		return true;
	for (uint32_t i = 0; i < req->n_iov; i++)
		bytes += req->iov[i].iov_len;
	if ((req->op == DISK_READ || req->op == DISK_WRITE) &&
	    bytes != (uint64_t)req->blocks * d->info.block_size)
		return false;
	return req->blocks && range_ok(req->lba, req->blocks, d->info.blocks);
}

static void finish(struct disk_queue *q, struct disk_req *req)
{
	struct disk *d = q->d;

	lock(d);
	if (q->aborting) {
		req->status = NVME_ABORT_REQUESTED;
	} else if (d->fail_left && (d->fail_mask & 1u << req->op)) {
		d->fail_left--;
		req->status = d->fail_status;
	} else {
		req->status = valid(d, req) ? perform(d, req) : NVME_LBA_OUT_OF_RANGE;
		if (req->status == NVME_OK)
			persist(d, req);
	}
	d->busy--;
	q->busy--;
	unlock(d);
	req->done(req);
}

static bool held(struct disk *d)
{
	bool hold;

	lock(d);
	hold = d->hold;
	unlock(d);
	return hold;
}

/* Runs on the loop. Those that come meanwhile are for the next run. */
static void run(void *ctx)
{
	struct loop_work *work = ctx;
	struct disk_queue *q;
	struct list todo, *l;

	memcpy(&q, work + 1, sizeof(q));
	if (!q) { /* the queue is gone */
		free(work);
		return;
	}
	if (held(q->d) && !q->aborting)
		return;
	list_init(&todo);
	while ((l = list_pop(&q->pending)))
		list_add_tail(&todo, l);
	while ((l = list_pop(&todo)))
		finish(q, container_of(l, struct disk_req, link));
	q->aborting = false;
}

void fake_disk_hold(struct disk *d, bool hold)
{
	lock(d);
	d->hold = hold;
	if (!hold) {
		list_for_each(l, &d->queues) {
			struct disk_queue *q = container_of(l, struct disk_queue, link);

			loop_post(q->loop, q->work);
		}
	}
	unlock(d);
}

/* ---- diskio.h -------------------------------------------------------------------------------- */

void disk_info(const struct disk *d, struct disk_info *ret_info)
{
	*ret_info = d->info;
}

int disk_queue_create(struct disk *d, struct loop *loop, unsigned depth, struct disk_queue **ret_q)
{
	struct disk_queue *q = calloc(1, sizeof(*q));

	BUG_ON(!q);
	q->work = calloc(1, sizeof(*q->work) + sizeof(q));
	BUG_ON(!q->work);
	*q->work = (struct loop_work){ .fn = run, .ctx = q->work };
	memcpy(q->work + 1, &q, sizeof(q));
	q->d = disk_get(d);
	q->loop = loop;
	q->depth = depth;
	list_init(&q->pending);
	lock(d);
	list_add_tail(&d->queues, &q->link);
	unlock(d);
	*ret_q = q;
	return 0;
}

void disk_queue_destroy(struct disk_queue *q)
{
	if (!q)
		return;
	BUG_ON(q->busy);
	lock(q->d);
	list_del(&q->link);
	unlock(q->d);
	/* It may be on its way to the loop: its last run frees it. */
	memset(q->work + 1, 0, sizeof(q));
	loop_post(q->loop, q->work);
	disk_put(q->d);
	free(q);
}

int disk_submit(struct disk_queue *q, struct disk_req *req)
{
	struct disk *d = q->d;

	if (q->busy >= q->depth)
		return -EAGAIN;
	lock(d);
	q->busy++;
	d->busy++;
	d->total++;
	d->peak = MAX(d->peak, d->busy);
	if (d->n_log < FAKE_DISK_LOG)
		d->log[d->n_log++] = (struct fake_disk_seen){
			req->op, req->flags, req->lba, req->blocks, req->n_iov, req->timeout_ms,
		};
	unlock(d);
	list_add_tail(&q->pending, &req->link);
	loop_post(q->loop, q->work);
	return 0;
}

void disk_queue_abort(struct disk_queue *q)
{
	if (list_empty(&q->pending))
		return;
	q->aborting = true;
	loop_post(q->loop, q->work);
}

unsigned disk_queue_busy(const struct disk_queue *q)
{
	return q->busy;
}

void disk_watch(struct disk *d, struct loop *loop, void (*fn)(void *ctx), void *ctx)
{
	d->watch = fn;
	d->watch_ctx = ctx;
}

struct disk *disk_get(struct disk *d)
{
	lock(d);
	d->refs++;
	unlock(d);
	return d;
}

void disk_put(struct disk *d)
{
	bool last;

	lock(d);
	last = --d->refs == 0;
	unlock(d);
	if (!last)
		return;
	BUG_ON(pthread_mutex_destroy(&d->lock));
	if (d->medium >= 0)
		(void)close(d->medium);
	free(d->dirty);
	free(d->data);
	free(d);
}

void disk_inspect(struct inspect *in, const void *d)
{
	const struct disk *fd = d;

	inspect_u64(in, SENS_SAFE, "blocks", fd->info.blocks);
}
