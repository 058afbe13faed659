/* SPDX-License-Identifier: MIT */
/*
 * Queues of disks: checking requests, cutting them into parts that the back end takes, copying what
 * it cannot reach, time-outs and aborts. See disk_priv.h.
 *
 * Everything runs on the queue's thread. A request's done() is the last thing that happens in any
 * function that may call it, so that it may submit, abort or, when nothing is left, destroy.
 *
 * Trust: requests were checked by a front end, and are checked here again; pieces are guest memory.
 */
#include "disk_priv.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "bug.h"
#include "ckd.h"
#include "nvme_scsi.h"

#define NS_PER_MS 1000000ull
#define AGAIN_MS 1u /* until a back end that was busy is asked again */
#define CANCEL_AGAIN_MS 1000u /* until a request that does not end is cancelled once more */

static void count(struct disk_queue *q, enum disk_stat stat, uint64_t n)
{
	/* Only this thread writes; others read. */
	atomic_store_explicit(&q->stats[stat],
			      atomic_load_explicit(&q->stats[stat], memory_order_relaxed) + n,
			      memory_order_relaxed);
}

static bool is_data(enum disk_op op)
{
	return op == DISK_READ || op == DISK_WRITE;
}

static bool is_range(enum disk_op op)
{
	return op == DISK_UNMAP || op == DISK_WRITE_ZEROES || op == DISK_VERIFY;
}

/* ---- time ------------------------------------------------------------------------------------ */

static void timer_until(struct disk_queue *q, uint64_t deadline_ns)
{
	if (deadline_ns >= q->timer_ns)
		return;
	q->timer_ns = deadline_ns;
	loop_timer_arm(&q->timer, deadline_ns);
}

void disk_part_sleep(struct disk_part *p, uint32_t ms)
{
	struct disk_queue *q = p->q;

	p->state = PART_SLEEPING;
	p->wake_ns = loop_now_ns() + ms * NS_PER_MS;
	list_add_tail(&q->sleeping, &p->link);
	count(q, DISK_N_RETRIES, 1);
	timer_until(q, p->wake_ns);
	/* It may have been given up while it was with the device. */
	if (p->slot->stop)
		timer_until(q, loop_now_ns());
}

uint32_t disk_part_left_ms(const struct disk_part *p)
{
	uint64_t now = loop_now_ns();

	if (p->slot->deadline_ns <= now)
		return 1;
	return (uint32_t)MIN((p->slot->deadline_ns - now) / NS_PER_MS + 1, UINT32_MAX);
}

bool disk_part_wanted(const struct disk_part *p)
{
	return !p->slot->stop;
}

/* ---- parts ----------------------------------------------------------------------------------- */

void disk_part_later(struct disk_part *p, uint16_t status)
{
	struct disk_queue *q = p->q;

	p->status = status;
	p->state = PART_LATER;
	if (list_empty(&q->later))
		loop_post(q->loop, &q->later_work);
	list_add_tail(&q->later, &p->link);
}

/* The part belongs to its slot from here on, until it is released. */
static void part_begin(struct disk_slot *s, struct disk_part *p)
{
	p->slot = s;
	p->req = s->req;
	p->step = 0;
	p->retries = 0;
	p->run = NULL;
	p->discard = false;
	list_add_tail(&s->parts, &p->of_slot);
	s->in_flight++;
}

static void part_start(struct disk_part *p)
{
	int r;

	p->state = PART_STARTED;
	r = p->q->d->ops->start(p);
	if (r == -EAGAIN)
		disk_part_sleep(p, AGAIN_MS);
	else if (r < 0)
		disk_part_later(p, errno_to_nvme(-r, p->op != DISK_READ));
}

void *disk_part_page(struct disk_part *p)
{
	if (!p->run) {
		p->one.iov_len = KEEL_PAGE_SIZE;
		p->run = bounce_get(&p->q->bounce, KEEL_PAGE_SIZE);
	}
	return p->run;
}

static struct disk_part *pool_get(struct disk_queue *q)
{
	struct list *l = list_pop(&q->free_parts);

	return l ? container_of(l, struct disk_part, link) : NULL;
}

static void pool_put(struct disk_part *p)
{
	if (p->pooled)
		list_add_tail(&p->q->free_parts, &p->link);
}

static void part_release(struct disk_part *p)
{
	p->state = PART_IDLE;
	list_del(&p->of_slot);
	p->slot->in_flight--;
	if (p->run)
		bounce_put(&p->q->bounce, p->run, p->one.iov_len);
	p->run = NULL;
	pool_put(p);
}

/* ---- cutting --------------------------------------------------------------------------------- */

/* May this piece follow what was gathered? @first: nothing was. */
static bool piece_fits(const struct disk_limits *lim, const struct iovec *v, bool first)
{
	uint64_t addr = (uintptr_t)v->iov_base;

	return !(addr & lim->addr_mask) && !(v->iov_len & lim->len_mask) &&
	       (first || !(addr & lim->gap_mask));
}

/* Shorten a piece to the pages that are left. Returns: is anything left of it? */
static bool fit_pages(const struct disk_limits *lim, struct iovec *v, uint64_t *pages)
{
	uint64_t off = (uintptr_t)v->iov_base & (KEEL_PAGE_SIZE - 1), room;

	if (!lim->max_pages)
		return true;
	if (*pages >= lim->max_pages)
		return false;
	room = (lim->max_pages - *pages) * KEEL_PAGE_SIZE - off;
	v->iov_len = (size_t)MIN(v->iov_len, room);
	*pages += (off + v->iov_len + KEEL_PAGE_SIZE - 1) / KEEL_PAGE_SIZE;
	return true;
}

/* Drop the end of what was gathered until it is whole blocks. */
static uint64_t trim(struct disk_part *p, uint64_t bytes, uint32_t block_size)
{
	uint64_t drop = bytes % block_size;

	bytes -= drop;
	while (drop) {
		struct iovec *last = &p->cut[p->n_iov - 1];
		size_t n = (size_t)MIN(drop, last->iov_len);

		last->iov_len -= n;
		drop -= n;
		if (!last->iov_len)
			p->n_iov--;
	}
	return bytes;
}

/*
 * Take pieces of the request from where its slot is, as many as the back end accepts at once and up
 * to @max bytes. Returns: bytes, whole blocks; 0: the first ones do not fit, they must be copied.
 */
static uint64_t gather(struct disk_part *p, uint64_t max)
{
	const struct disk_limits *lim = &p->q->d->lim;
	const struct disk_req *req = p->req;
	struct iov_pos pos = p->slot->pos;
	uint64_t bytes = 0, pages = 0;

	p->n_iov = 0;
	while (bytes < max && p->n_iov < DISK_PART_IOV && pos.idx < req->n_iov) {
		const struct iovec *from = &req->iov[pos.idx];
		struct iovec *v = &p->cut[p->n_iov];

		*v = (struct iovec){ (uint8_t *)from->iov_base + pos.off, from->iov_len - pos.off };
		pos = (struct iov_pos){ .idx = pos.idx + 1 };
		if (!v->iov_len)
			continue;
		v->iov_len = (size_t)MIN(v->iov_len, max - bytes);
		if (!piece_fits(lim, v, bytes == 0) || !fit_pages(lim, v, &pages))
			break;
		p->n_iov++;
		bytes += v->iov_len;
		/* What follows an end in the middle of a page must begin another part. */
		if (((uintptr_t)v->iov_base + v->iov_len) & lim->gap_mask)
			break;
	}
	p->iov = p->cut;
	return trim(p, bytes, p->q->info.block_size);
}

/* Most bytes from the slot's place on that one part may have. */
static uint64_t part_max(const struct disk_slot *s)
{
	const struct disk_queue *q = s->part.q;
	const struct disk_limits *lim = &q->d->lim;
	uint32_t blocks = s->total - s->issued;
	uint64_t lba = s->req->lba + s->issued, bytes;

	if (lim->chunk_blocks)
		blocks = (uint32_t)MIN(blocks, lim->chunk_blocks - lba % lim->chunk_blocks);
	bytes = (uint64_t)blocks * q->info.block_size;
	return lim->max_bytes ? MIN(bytes, lim->max_bytes) : bytes;
}

static void set_range(struct disk_part *p, enum disk_op op, uint64_t bytes)
{
	struct disk_slot *s = p->slot;

	p->op = op;
	p->flags = s->req->flags;
	p->lba = s->req->lba + s->issued;
	p->bytes = bytes;
	p->blocks = (uint32_t)(bytes / p->q->info.block_size);
}

/* One piece of bounce memory as the part's only one. Returns: is there some? */
static bool use_run(struct disk_part *p, uint64_t bytes)
{
	p->run = bounce_get(&p->q->bounce, (size_t)bytes);
	p->one = (struct iovec){ p->run, (size_t)bytes };
	p->iov = &p->one;
	p->n_iov = 1;
	return p->run;
}

/* ---- starting -------------------------------------------------------------------------------- */

/* Return of the functions that begin a part: 1 begun, 0 something is missing, wait. */

static int issue_whole(struct disk_slot *s)
{
	struct disk_part *p = &s->part;

	part_begin(s, p);
	set_range(p, s->req->op, (uint64_t)s->total * p->q->info.block_size);
	p->iov = s->req->iov;
	p->n_iov = s->req->n_iov;
	s->issued = s->total;
	count(p->q, DISK_N_DIRECT_BYTES, p->bytes);
	part_start(p);
	return 1;
}

/* The part is to have the next @bytes. */
static void take_bytes(struct disk_slot *s, struct disk_part *p, uint64_t bytes)
{
	set_range(p, s->req->op, bytes);
	p->pos = s->pos;
	iov_skip(s->req->iov, &s->pos, (size_t)bytes);
	if (!s->issued && p->blocks < s->total)
		count(p->q, DISK_N_SPLIT, 1);
	s->issued += p->blocks;
}

static void issue_cut(struct disk_slot *s, struct disk_part *p, uint64_t bytes)
{
	take_bytes(s, p, bytes);
	count(p->q, DISK_N_DIRECT_BYTES, bytes);
	part_start(p);
}

static int issue_bounced(struct disk_slot *s, struct disk_part *p, uint64_t max)
{
	uint64_t bytes = MIN(max, BOUNCE_RUN_BYTES);
	int r = 0;

	if (!use_run(p, bytes)) {
		part_release(p);
		return 0;
	}
	take_bytes(s, p, bytes);
	s->bounced = true;
	count(p->q, DISK_N_BOUNCED_BYTES, bytes);
	if (p->op == DISK_WRITE)
		r = bounce_from(p->run, s->req->iov, p->pos, (size_t)bytes);
	if (r < 0)
		disk_part_later(p, errno_to_nvme(-r, true));
	else
		part_start(p);
	return 1;
}

static int issue_data(struct disk_slot *s)
{
	struct disk_queue *q = s->part.q;
	uint64_t max = part_max(s), bytes = 0;
	bool all = s->issued == 0 && max == (uint64_t)s->total * q->info.block_size;
	bool copy = q->d->lim.bounce || s->force_bounce;
	struct disk_part *p;

	if (all && s->direct && !copy)
		return issue_whole(s);
	if (copy && all && max <= BOUNCE_RUN_BYTES)
		p = &s->part;
	else
		p = pool_get(q);
	if (!p)
		return 0;
	part_begin(s, p);
	if (!copy)
		bytes = gather(p, max);
	if (!bytes)
		return issue_bounced(s, p, max);
	issue_cut(s, p, bytes);
	return 1;
}

static uint32_t range_max(const struct disk_limits *lim, enum disk_op op)
{
	uint32_t max = op == DISK_UNMAP		 ? lim->max_unmap_blocks
		       : op == DISK_WRITE_ZEROES ? lim->max_zero_blocks
						 : lim->max_verify_blocks;

	return max ? max : UINT32_MAX;
}

/* What the back end cannot do is done by reading or writing bounce memory. One after another. */
static int issue_range(struct disk_slot *s)
{
	struct disk_part *p = &s->part;
	const struct disk_limits *lim = &p->q->d->lim;
	const uint32_t bs = p->q->info.block_size;
	enum disk_op op = s->req->op;
	bool emulate =
		(op == DISK_WRITE_ZEROES && !lim->zeroes) || (op == DISK_VERIFY && !lim->verify);
	uint64_t bytes = (uint64_t)MIN(s->total - s->issued, range_max(lim, op)) * bs;

	part_begin(s, p);
	if (emulate) {
		bytes = MIN(part_max(s), BOUNCE_RUN_BYTES);
		if (!use_run(p, bytes)) {
			part_release(p);
			return 0;
		}
		p->discard = true;
		memset(p->run, 0, (size_t)bytes);
		op = op == DISK_VERIFY ? DISK_READ : DISK_WRITE;
	}
	set_range(p, op, bytes);
	s->issued += p->blocks;
	part_start(p);
	return 1;
}

static int issue_command(struct disk_slot *s)
{
	struct disk_part *p = &s->part;

	part_begin(s, p);
	set_range(p, s->req->op, 0);
	p->lba = 0; /* nobody has looked at that of the request */
	s->issued = s->total;
	part_start(p);
	return 1;
}

/* Begin what can be begun. Returns: false: something is missing, it wants to wait in line. */
static bool advance(struct disk_slot *s)
{
	enum disk_op op = s->req->op;
	int r = 1;

	while (r && !s->stop && s->issued < s->total) {
		if (is_data(op))
			r = issue_data(s);
		else if (s->in_flight)
			return true;
		else
			r = is_range(op) ? issue_range(s) : issue_command(s);
	}
	return r;
}

static void advance_or_wait(struct disk_queue *q, struct disk_slot *s)
{
	if (list_empty(&q->starved) && advance(s))
		return;
	list_add_tail(&q->starved, &s->wait);
	count(q, DISK_N_WAITS, 1);
}

static void serve_starved(struct disk_queue *q)
{
	while (!list_empty(&q->starved)) {
		struct disk_slot *s = container_of(q->starved.next, struct disk_slot, wait);

		if (!advance(s))
			return;
		list_del(&s->wait);
	}
}

/* ---- ending ---------------------------------------------------------------------------------- */

static uint16_t final_status(const struct disk_slot *s)
{
	uint16_t gave_up = s->timed_out ? NVME_PATH_HOST_ABORTED : NVME_ABORT_REQUESTED;

	if (!s->timed_out && !s->aborting)
		return s->status;
	if (s->status == NVME_OK)
		return s->issued == s->total ? NVME_OK : gave_up;
	/* How being given up looks from the other side. */
	if (s->status == NVME_ABORT_REQUESTED || s->status == NVME_PATH_INTERNAL)
		return gave_up;
	return s->status;
}

/* The last word: calls done(). */
static void slot_end(struct disk_slot *s)
{
	struct disk_queue *q = s->part.q;
	struct disk_req *req = s->req;

	req->status = final_status(s);
	req->slot = NULL;
	if (is_data(req->op) && s->issued)
		count(q, s->bounced ? DISK_N_BOUNCED : DISK_N_DIRECT, 1);
	if (req->status != NVME_OK)
		count(q, DISK_N_ERRORS, 1);
	list_del(&s->wait);
	list_del(&s->link);
	list_add_tail(&q->free, &s->link);
	q->busy--;
	req->done(req);
}

/* Memory could not be pinned after all: once more from the beginning, with copies. */
static void restart_bounced(struct disk_slot *s)
{
	s->force_bounce = true;
	s->stop = false;
	s->status = NVME_OK;
	s->issued = 0;
	s->pos = (struct iov_pos){ 0 };
	count(s->part.q, DISK_N_FAULTS, 1);
	advance_or_wait(s->part.q, s);
}

/* A part has gone. Returns: it was the last one of the request. */
static bool settle(struct disk_slot *s)
{
	if (!s->stop && s->issued < s->total) {
		if (list_empty(&s->wait))
			advance_or_wait(s->part.q, s);
		return false;
	}
	if (s->in_flight)
		return false;
	if (s->faulted && !s->force_bounce && !s->timed_out && !s->aborting) {
		restart_bounced(s);
		return false;
	}
	return true;
}

/* Returns: status, after what was read went where it belongs. */
static uint16_t copy_back(struct disk_part *p, uint16_t status)
{
	int r;

	if (status != NVME_OK || !p->run || p->discard || p->op != DISK_READ)
		return status;
	r = bounce_to(p->req->iov, p->pos, p->run, (size_t)p->bytes);
	return errno_to_nvme(-r, false);
}

void disk_part_done(struct disk_part *p, uint16_t status)
{
	struct disk_slot *s = p->slot;
	struct disk_queue *q = p->q;
	bool last;

	status = copy_back(p, status);
	part_release(p);
	if (status != NVME_OK) {
		if (s->status == NVME_OK)
			s->status = status;
		s->stop = true;
		list_del(&s->wait);
	}
	last = settle(s);
	serve_starved(q);
	if (last)
		slot_end(s);
}

void disk_part_fault(struct disk_part *p)
{
	if (is_data(p->op) && !p->run)
		p->slot->faulted = true;
	disk_part_done(p, errno_to_nvme(EFAULT, p->op == DISK_WRITE));
}

static void run_later(void *ctx)
{
	struct disk_queue *q = ctx;
	struct list batch, *l;

	if (list_empty(&q->later))
		return;
	/* What is added meanwhile is for the next visit. */
	batch = q->later;
	batch.next->prev = batch.prev->next = &batch;
	list_init(&q->later);
	while ((l = list_pop(&batch))) {
		struct disk_part *p = container_of(l, struct disk_part, link);

		disk_part_done(p, p->status); /* the last of them may destroy the queue */
	}
}

/* ---- giving up ------------------------------------------------------------------------------- */

static void cancel_part(struct disk_part *p)
{
	switch (p->state) {
	case PART_STARTED:
		p->q->d->ops->cancel(p);
		break;
	case PART_SLEEPING:
		list_del(&p->link);
		disk_part_later(p, NVME_ABORT_REQUESTED);
		break;
	case PART_IDLE:
	case PART_LATER:
		break;
	}
}

static void cancel_slot(struct disk_slot *s)
{
	s->stop = true;
	list_del(&s->wait);
	list_for_each(l, &s->parts)
		cancel_part(container_of(l, struct disk_part, of_slot));
	if (!s->in_flight) {
		part_begin(s, &s->part);
		set_range(&s->part, s->req->op, 0);
		disk_part_later(&s->part, NVME_ABORT_REQUESTED);
	}
	s->deadline_ns = loop_now_ns() + CANCEL_AGAIN_MS * NS_PER_MS;
	timer_until(s->part.q, s->deadline_ns);
}

static void abort_slot(struct disk_slot *s)
{
	if (!s->aborting)
		count(s->part.q, DISK_N_ABORTS, 1);
	s->aborting = true;
	cancel_slot(s);
}

void disk_queue_abort(struct disk_queue *q)
{
	list_for_each(l, &q->active)
		abort_slot(container_of(l, struct disk_slot, link));
}

void disk_cancel(struct disk_queue *q, struct disk_req *req)
{
	if (req->slot)
		abort_slot(req->slot);
}

static void expire(struct disk_slot *s)
{
	if (!s->aborting && !s->timed_out) {
		s->timed_out = true;
		count(s->part.q, DISK_N_TIMEOUTS, 1);
	}
	cancel_slot(s);
}

/* Nothing in here calls done(). */
static void on_timer(void *ctx)
{
	struct disk_queue *q = ctx;
	uint64_t now = loop_now_ns();
	struct list batch, *l;

	q->timer_ns = UINT64_MAX;
	list_init(&batch);
	while ((l = list_pop(&q->sleeping)))
		list_add_tail(&batch, l);
	while ((l = list_pop(&batch))) {
		struct disk_part *p = container_of(l, struct disk_part, link);

		if (p->slot->stop) {
			disk_part_later(p, NVME_ABORT_REQUESTED);
		} else if (p->wake_ns <= now) {
			part_start(p);
		} else {
			list_add_tail(&q->sleeping, &p->link);
			timer_until(q, p->wake_ns);
		}
	}
	list_for_each(i, &q->active) {
		struct disk_slot *s = container_of(i, struct disk_slot, link);

		if (s->deadline_ns <= now)
			expire(s);
		else
			timer_until(q, s->deadline_ns);
	}
}

/* ---- submitting ------------------------------------------------------------------------------ */

/* Do the pieces hold exactly the data, and can the back end use them as they are? */
static uint16_t check_pieces(struct disk_queue *q, struct disk_slot *s, uint64_t bytes)
{
	const struct disk_limits *lim = &q->d->lim;
	const struct disk_req *req = s->req;
	uint64_t left = bytes, addrs = 0, lens = 0, gaps = 0, pages = 0;

	if (req->n_iov > DISK_MAX_IOV)
		return NVME_INVALID_FIELD;
	for (uint32_t i = 0; i < req->n_iov; i++) {
		uint64_t addr = (uintptr_t)req->iov[i].iov_base, len = req->iov[i].iov_len;

		if (len > left)
			return NVME_INVALID_FIELD;
		left -= len;
		addrs |= addr;
		lens |= len;
		gaps |= (i ? addr : 0) | (left ? addr + len : 0);
		pages += (addr % KEEL_PAGE_SIZE + len + KEEL_PAGE_SIZE - 1) / KEEL_PAGE_SIZE;
	}
	if (left)
		return NVME_INVALID_FIELD;
	s->direct = !(addrs & lim->addr_mask) && !(lens & lim->len_mask) &&
		    !(gaps & lim->gap_mask) && req->n_iov <= lim->max_iov &&
		    (!lim->max_pages || pages <= lim->max_pages);
	return NVME_OK;
}

static uint16_t check_range(const struct disk_queue *q, const struct disk_req *req)
{
	if (!range_ok(req->lba, req->blocks, q->info.blocks))
		return NVME_LBA_OUT_OF_RANGE;
	if (q->info.read_only && req->op != DISK_READ && req->op != DISK_VERIFY)
		return NVME_NS_WRITE_PROTECTED;
	if (req->op == DISK_UNMAP && !q->info.unmap_granularity)
		return NVME_INVALID_OPCODE;
	return NVME_OK;
}

/* Returns: NVME_OK with s->total, which is 0 when there is nothing to do. */
static uint16_t check(struct disk_queue *q, struct disk_slot *s)
{
	const struct disk_req *req = s->req;
	uint16_t status;

	if (atomic_load_explicit(&q->d->gone, memory_order_relaxed))
		return NVME_INVALID_NAMESPACE;
	s->total = req->blocks;
	switch (req->op) {
	case DISK_READ:
	case DISK_WRITE:
		status = check_range(q, req);
		if (status != NVME_OK)
			return status;
		return check_pieces(q, s, (uint64_t)req->blocks * q->info.block_size);
	case DISK_UNMAP:
	case DISK_WRITE_ZEROES:
	case DISK_VERIFY:
		return check_range(q, req);
	case DISK_FLUSH:
		s->total = 1;
		return NVME_OK;
	case DISK_PR_IN:
	case DISK_PR_OUT:
		s->total = 1;
		if (!q->info.reservations)
			return NVME_INVALID_OPCODE;
		return req->pr ? NVME_OK : NVME_INVALID_FIELD;
	}
	return NVME_INVALID_OPCODE;
}

static void count_request(struct disk_queue *q, const struct disk_req *req)
{
	uint64_t bytes = (uint64_t)req->blocks * q->info.block_size;

	switch (req->op) {
	case DISK_READ:
		count(q, DISK_N_READ, 1);
		count(q, DISK_N_READ_BYTES, bytes);
		return;
	case DISK_WRITE:
		count(q, DISK_N_WRITE, 1);
		count(q, DISK_N_WRITE_BYTES, bytes);
		return;
	case DISK_FLUSH:
		count(q, DISK_N_FLUSH, 1);
		return;
	case DISK_UNMAP:
		count(q, DISK_N_UNMAP, 1);
		return;
	case DISK_WRITE_ZEROES:
	case DISK_VERIFY:
	case DISK_PR_IN:
	case DISK_PR_OUT:
		break;
	}
	count(q, DISK_N_OTHER, 1);
}

static void slot_begin(struct disk_queue *q, struct disk_slot *s, struct disk_req *req)
{
	uint32_t ms = req->timeout_ms ? req->timeout_ms : DISK_TIMEOUT_MS;

	list_add_tail(&q->active, &s->link);
	req->slot = s;
	s->req = req;
	s->total = s->issued = 0;
	s->pos = (struct iov_pos){ 0 };
	s->status = NVME_OK;
	s->direct = s->stop = s->aborting = s->timed_out = false;
	s->faulted = s->force_bounce = s->bounced = false;
	s->deadline_ns = loop_now_ns() + ms * NS_PER_MS;
	timer_until(q, s->deadline_ns);
	q->busy++;
}

int disk_submit(struct disk_queue *q, struct disk_req *req)
{
	struct list *l = list_pop(&q->free);
	struct disk_slot *s;
	uint16_t status;

	if (!l)
		return -EAGAIN;
	s = container_of(l, struct disk_slot, link);
	slot_begin(q, s, req);
	disk_queue_info(q);
	status = check(q, s);
	if (status != NVME_OK || !s->total) {
		s->total = 0;
		part_begin(s, &s->part);
		set_range(&s->part, req->op, 0);
		disk_part_later(&s->part, status);
		return 0;
	}
	count_request(q, req);
	advance_or_wait(q, s);
	return 0;
}

unsigned disk_queue_busy(const struct disk_queue *q)
{
	return q->busy;
}

/* ---- life ------------------------------------------------------------------------------------ */

static void free_queue(struct disk_queue *q)
{
	bounce_fini(&q->bounce);
	free(q->cuts);
	free(q->slots);
	free(q);
}

static void init_lists(struct disk_queue *q)
{
	list_init(&q->link);
	list_init(&q->free);
	list_init(&q->active);
	list_init(&q->starved);
	list_init(&q->sleeping);
	list_init(&q->later);
	list_init(&q->free_parts);
}

static void init_part(struct disk_queue *q, struct disk_part *p)
{
	p->q = q;
	list_init(&p->of_slot);
	list_init(&p->link);
}

static int alloc_queue(struct disk *d, unsigned depth, struct disk_queue **ret_q)
{
	struct disk_queue *q = calloc(1, sizeof(*q));

	if (!q)
		return -ENOMEM;
	init_lists(q);
	q->d = d;
	q->depth = depth;
	q->slots = calloc(depth, sizeof(*q->slots));
	q->cuts = calloc((size_t)DISK_POOL_PARTS * DISK_PART_IOV, sizeof(*q->cuts));
	if (!q->slots || !q->cuts || bounce_init(&q->bounce, d->lim.bounce) < 0) {
		free_queue(q);
		return -ENOMEM;
	}
	for (unsigned i = 0; i < depth; i++) {
		init_part(q, &q->slots[i].part);
		list_init(&q->slots[i].wait);
		list_init(&q->slots[i].parts);
		list_add_tail(&q->free, &q->slots[i].link);
	}
	for (unsigned i = 0; i < DISK_POOL_PARTS; i++) {
		init_part(q, &q->pool[i]);
		q->pool[i].pooled = true;
		q->pool[i].cut = q->cuts + (size_t)i * DISK_PART_IOV;
		list_add_tail(&q->free_parts, &q->pool[i].link);
	}
	*ret_q = q;
	return 0;
}

int disk_queue_create(struct disk *d, struct loop *loop, unsigned depth, struct disk_queue **ret_q)
{
	struct disk_queue *q;
	int r;

	if (depth < 1 || depth > DISK_MAX_DEPTH)
		return -EINVAL;
	r = alloc_queue(d, depth, &q);
	if (r < 0)
		return r;
	q->loop = loop;
	q->timer_ns = UINT64_MAX;
	q->later_work = (struct loop_work){ .fn = run_later, .ctx = q };
	loop_timer_init(&q->timer, loop, on_timer, q);
	r = d->ops->queue_init ? d->ops->queue_init(q) : 0;
	if (r < 0) {
		free_queue(q);
		return r;
	}
	(void)disk_get(d);
	(void)pthread_mutex_lock(&d->lock);
	list_add_tail(&d->queues, &q->link);
	(void)pthread_mutex_unlock(&d->lock);
	*ret_q = q;
	return 0;
}

void disk_queue_destroy(struct disk_queue *q)
{
	struct disk *d;

	if (!q)
		return;
	BUG_ON(q->busy);
	d = q->d;
	loop_timer_cancel(&q->timer);
	if (d->ops->queue_fini)
		d->ops->queue_fini(q);
	(void)pthread_mutex_lock(&d->lock);
	list_del(&q->link);
	for (int i = 0; i < DISK_STATS; i++)
		d->totals[i] += atomic_load_explicit(&q->stats[i], memory_order_relaxed);
	(void)pthread_mutex_unlock(&d->lock);
	free_queue(q);
	disk_put(d);
}
