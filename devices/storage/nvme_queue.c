/* SPDX-License-Identifier: MIT */
/*
 * Submission and completion queues. Input: the driver's doorbells (numbers of any size) and queue
 * memory; an entry is copied once. A command is fetched only when its completion queue has room for
 * it, so completions never wait.
 */
#include "log.h"
#include "nvme_priv.h"

#include <errno.h>
#include <string.h>

#define LOG_AREA "nvme"

#define SQ_BATCH 32u /* commands of one queue before the next has its turn */
#define VISIT_MAX 256u /* commands of one visit */

static uint64_t bit(unsigned q)
{
	return BIT(q & 63);
}

/* ---- doorbells ------------------------------------------------------------------------------- */

/* The admin queue's doorbells are never in memory. @off: of a 32-bit word; -EFAULT: failed. */
static bool in_memory(const struct nvme_ctrl *c, unsigned qid)
{
	return c->shadow && qid;
}

static uint32_t shadow_off(unsigned qid, bool is_cq)
{
	return 8 * qid + (is_cq ? 4 : 0);
}

static int doorbell_load(struct nvme_ctrl *c, unsigned qid, bool is_cq, uint32_t *ret_val)
{
	_Atomic uint32_t *reg = is_cq ? &c->regs.cq_head[qid] : &c->regs.sq_tail[qid];
	int r;

	if (!in_memory(c, qid)) {
		/* Acquire pairs with the release of the VP: the entry is there. */
		*ret_val = atomic_load_explicit(reg, memory_order_acquire);
		return 0;
	}
	r = gm_copy_in(ret_val, c->shadow + shadow_off(qid, is_cq), sizeof(*ret_val));
	atomic_thread_fence(memory_order_acquire);
	return r;
}

/* Ask for a write to the doorbell when it moves on from @val. Then look again. */
static int ask_for_doorbell(struct nvme_ctrl *c, unsigned qid, bool is_cq, uint32_t val)
{
	int r = gm_copy_out(c->event_idx + shadow_off(qid, is_cq), &val, sizeof(val));

	/* Pairs with the driver's fence between writing its doorbell and reading the index. */
	atomic_thread_fence(memory_order_seq_cst);
	return r;
}

static void bad_doorbell(struct nvme_ctrl *c, unsigned qid, bool is_cq, uint32_t val)
{
	log_warn_rl(CONF, "%s: %s %u: doorbell value %u", c->name, is_cq ? "CQ" : "SQ", qid, val);
	nvme_error_log(c, (uint16_t)qid, UINT16_MAX, NVME_INVALID_FIELD);
	c->bad_doorbell = NVME_AEN_BAD_DOORBELL_VALUE;
}

void nvme_shadow_start(struct nvme_ctrl *c, const void *shadow, void *event_idx)
{
	uint8_t *to = (uint8_t *)(uintptr_t)shadow; /* only here we write the driver's half */
	int r = 0;

	for (unsigned q = 1; q <= c->cfg.max_queues && r == 0; q++) {
		const uint32_t tail = atomic_load(&c->regs.sq_tail[q]);
		const uint32_t head = atomic_load(&c->regs.cq_head[q]);

		if (c->sq[q].live)
			r = gm_copy_out(to + shadow_off(q, false), &tail, sizeof(tail));
		if (c->cq[q].live && r == 0)
			r = gm_copy_out(to + shadow_off(q, true), &head, sizeof(head));
		if (r == 0)
			r = gm_copy_out((uint8_t *)event_idx + shadow_off(q, false), &tail,
					sizeof(tail));
		if (r == 0)
			r = gm_copy_out((uint8_t *)event_idx + shadow_off(q, true), &head,
					sizeof(head));
	}
	c->shadow = shadow;
	c->event_idx = event_idx;
	if (r < 0)
		nvme_fail(c, "doorbells in memory");
	for (unsigned q = 1; q <= c->cfg.max_queues; q++) {
		if (c->sq[q].live)
			c->active[q / 64] |= bit(q);
	}
}

/* ---- completion queues ----------------------------------------------------------------------- */

static uint32_t cq_used(const struct nvme_cq *cq, uint32_t head)
{
	return cq->tail >= head ? cq->tail - head : cq->size - head + cq->tail;
}

/* Take note of the driver's head, if it makes sense: between the last one and our tail. */
static int update_head(struct nvme_ctrl *c, uint16_t cqid)
{
	struct nvme_cq *cq = &c->cq[cqid];
	uint32_t raw_head;

	if (doorbell_load(c, cqid, true, &raw_head) < 0)
		return -EFAULT;
	if (raw_head == cq->head)
		return 0;
	if (raw_head >= cq->size || cq_used(cq, raw_head) > cq_used(cq, cq->head))
		bad_doorbell(c, cqid, true, raw_head);
	else
		cq->head = raw_head;
	return 0;
}

static bool has_room(const struct nvme_cq *cq)
{
	return cq_used(cq, cq->head) + cq->promised < cq->size - 1;
}

bool nvme_cq_room(struct nvme_ctrl *c, uint16_t cqid)
{
	struct nvme_cq *cq = &c->cq[cqid];
	int r;

	if (has_room(cq))
		return true;
	r = update_head(c, cqid);
	if (r == 0 && !has_room(cq)) {
		/* Be told, then look once more: the VP stores the head before it reads this. */
		atomic_store_explicit(&c->regs.cq_waits[cqid], 1, memory_order_seq_cst);
		if (in_memory(c, cqid))
			r = ask_for_doorbell(c, cqid, true, cq->head);
		if (r == 0)
			r = update_head(c, cqid);
	}
	if (r < 0)
		nvme_fail(c, "doorbells in memory");
	return r == 0 && has_room(cq);
}

int nvme_cq_init(struct nvme_ctrl *c, uint16_t qid, gpa_t base, uint32_t size, uint16_t vector,
		 bool irq)
{
	void *host;

	if (gm_host_range(c->cfg.gm, base, (uint64_t)size * NVME_CQE_BYTES, &host) < 0)
		return -EFAULT;
	c->cq[qid] = (struct nvme_cq){ .live = true,
				       .irq = irq,
				       .vector = vector,
				       .phase = 1,
				       .size = size,
				       .base = base,
				       .host = host };
	atomic_store_explicit(&c->regs.cq_head[qid], 0, memory_order_relaxed);
	atomic_store_explicit(&c->regs.cq_waits[qid], 0, memory_order_relaxed);
	return 0;
}

static void post(struct nvme_ctrl *c, uint16_t cqid, struct nvme_cqe *e)
{
	struct nvme_cq *cq = &c->cq[cqid];
	uint8_t *at = cq->host + (size_t)cq->tail * NVME_CQE_BYTES;
	int r;

	e->status = (uint16_t)(e->status << 1 | cq->phase);
	r = gm_copy_out(at, e, 8);
	/* The driver looks at the phase in the second half: the first must be there by then. */
	atomic_thread_fence(memory_order_release);
	if (r == 0)
		r = gm_copy_out(at + 8, (const uint8_t *)e + 8, 8);
	if (r < 0) {
		nvme_fail(c, "completion queue");
		return;
	}
	if (++cq->tail == cq->size) {
		cq->tail = 0;
		cq->phase ^= 1;
	}
	cq->fresh++;
	c->due[cqid / 64] |= bit(cqid);
	c->count.completions++;
}

/* Errors that the same command would meet again. */
static bool is_permanent(uint16_t status)
{
	switch (status) {
	case NVME_OK:
	case NVME_DATA_TRANSFER_ERROR:
	case NVME_POWER_LOSS_ABORT:
	case NVME_INTERNAL_ERROR:
	case NVME_ABORT_REQUESTED:
	case NVME_ABORT_SQ_DELETED:
	case NVME_COMMAND_INTERRUPTED:
	case NVME_TRANSIENT_TRANSPORT:
	case NVME_NS_NOT_READY:
	case NVME_FORMAT_IN_PROGRESS:
		return false;
	default:
		return true;
	}
}

void nvme_complete(struct nvme_ctrl *c, uint16_t sqid, uint16_t cid, uint16_t status,
		   uint32_t result)
{
	struct nvme_sq *sq = &c->sq[sqid];
	struct nvme_cqe e = {
		.result = result, .sq_head = (uint16_t)sq->head, .sq_id = sqid, .cid = cid
	};

	e.status = status & NVME_STATUS_MASK;
	if (is_permanent(e.status))
		e.status |= NVME_STATUS_DNR;
	if (e.status) {
		c->count.errors++;
		if (e.status == NVME_INTERNAL_ERROR || (e.status >> 8 & 7) == 2)
			nvme_error_log(c, sqid, cid, e.status);
	}
	sq->inflight--;
	c->cq[sq->cqid].promised--;
	if (c->state == NVME_RUNNING && atomic_load(&c->regs.fault) != NVME_FAULT_STUCK)
		post(c, sq->cqid, &e);
	if (sq->deleting && !sq->inflight)
		nvme_sq_settle(c, sqid);
}

/* ---- interrupts ------------------------------------------------------------------------------ */

/* May this queue's interrupt wait for more? */
static bool may_wait(const struct nvme_ctrl *c, uint16_t cqid)
{
	const struct nvme_cq *cq = &c->cq[cqid];
	const uint32_t threshold = c->feat.coalescing & 0xff, time = c->feat.coalescing >> 8;

	return cqid && time && threshold && cq->fresh <= threshold &&
	       !c->feat.no_coalescing[cq->vector];
}

static void announce(struct nvme_ctrl *c, uint16_t cqid)
{
	struct nvme_cq *cq = &c->cq[cqid];

	c->due[cqid / 64] &= ~bit(cqid);
	cq->fresh = 0;
	if (!cq->irq)
		return;
	c->count.interrupts++;
	pci_func_msix(c->pci, cq->vector);
}

void nvme_flush_irqs(struct nvme_ctrl *c, bool now)
{
	bool waiting = false;

	for (unsigned w = 0; w < ARRAY_SIZE(c->due); w++) {
		for (uint64_t left = c->due[w]; left; left &= left - 1) {
			const uint16_t q = (uint16_t)(w * 64 + (unsigned)__builtin_ctzll(left));

			if (!now && may_wait(c, q))
				waiting = true;
			else
				announce(c, q);
		}
	}
	if (waiting && !c->timer.armed)
		loop_timer_arm(&c->timer, loop_now_ns() + (c->feat.coalescing >> 8) * 100000ull);
}

/* ---- submission queues ----------------------------------------------------------------------- */

int nvme_sq_init(struct nvme_ctrl *c, uint16_t qid, gpa_t base, uint32_t size, uint16_t cqid)
{
	void *host;

	if (gm_host_range(c->cfg.gm, base, (uint64_t)size * NVME_SQE_BYTES, &host) < 0)
		return -EFAULT;
	c->sq[qid] = (struct nvme_sq){
		.live = true, .cqid = cqid, .size = size, .base = base, .host = host
	};
	c->cq[cqid].sqs++;
	atomic_store_explicit(&c->regs.sq_tail[qid], 0, memory_order_relaxed);
	/* With doorbells in memory nobody need write the register for the first command. */
	if (in_memory(c, qid))
		c->active[qid / 64] |= bit(qid);
	return 0;
}

void nvme_clear_queues(struct nvme_ctrl *c)
{
	memset(c->sq, 0, sizeof(c->sq));
	memset(c->cq, 0, sizeof(c->cq));
	for (unsigned q = 0; q < NVME_QS; q++)
		atomic_store_explicit(&c->regs.cq_waits[q], 0, memory_order_relaxed);
	for (unsigned w = 0; w < ARRAY_SIZE(c->active); w++)
		c->active[w] = c->due[w] = 0;
	c->shadow = NULL;
	c->event_idx = NULL;
}

/* The driver's tail; UINT32_MAX: none that makes sense. */
static uint32_t load_tail(struct nvme_ctrl *c, uint16_t qid)
{
	uint32_t raw_tail;

	if (doorbell_load(c, qid, false, &raw_tail) < 0) {
		nvme_fail(c, "doorbells in memory");
		return UINT32_MAX;
	}
	if (raw_tail < c->sq[qid].size)
		return raw_tail;
	bad_doorbell(c, qid, false, raw_tail);
	return UINT32_MAX;
}

static bool fetch(struct nvme_ctrl *c, uint16_t qid, struct nvme_sqe *ret_sqe)
{
	struct nvme_sq *sq = &c->sq[qid];

	if (gm_copy_in(ret_sqe, sq->host + (size_t)sq->head * NVME_SQE_BYTES, sizeof(*ret_sqe)) <
	    0) {
		nvme_fail(c, "submission queue");
		return false;
	}
	if (++sq->head == sq->size)
		sq->head = 0;
	sq->inflight++;
	c->cq[sq->cqid].promised++;
	c->count.commands++;
	return true;
}

static void run(struct nvme_ctrl *c, uint16_t qid, const struct nvme_sqe *sqe)
{
	uint32_t result = 0;
	uint16_t st;

	c->count.admin += !qid;
	if (sqe->flags & NVME_FLAGS_FUSE)
		st = NVME_INVALID_FIELD;
	else if (qid)
		st = nvme_io(c, qid, sqe);
	else
		st = nvme_admin(c, sqe, &result);
	if (st != NVME_LATER)
		nvme_complete(c, qid, sqe->cid, st, result);
}

static bool can_take(struct nvme_ctrl *c, uint16_t qid)
{
	return (!qid || !list_empty(&c->free)) && nvme_cq_room(c, c->sq[qid].cqid);
}

/* Nothing more at @tail: may the queue be left alone until its doorbell rings? */
static bool is_idle(struct nvme_ctrl *c, uint16_t qid, uint32_t tail)
{
	if (!in_memory(c, qid))
		return true;
	c->count.shadow_updates++;
	if (ask_for_doorbell(c, qid, false, tail) < 0) {
		nvme_fail(c, "doorbells in memory");
		return true;
	}
	return load_tail(c, qid) == tail;
}

/* A turn of one queue; true: it has more to do and could do it. */
static bool run_sq(struct nvme_ctrl *c, uint16_t qid, unsigned *budget)
{
	struct nvme_sq *sq = &c->sq[qid];
	uint32_t tail = sq->live && !sq->deleting ? load_tail(c, qid) : UINT32_MAX;
	struct nvme_sqe sqe;

	for (unsigned n = 0; n < SQ_BATCH && *budget && tail != UINT32_MAX; n++) {
		if (sq->head == tail) {
			if (is_idle(c, qid, tail))
				tail = UINT32_MAX;
			else
				tail = load_tail(c, qid);
			continue;
		}
		if (!can_take(c, qid))
			return false; /* stays active: whoever makes room kicks */
		if (!fetch(c, qid, &sqe))
			return false;
		--*budget;
		run(c, qid, &sqe);
		if (!sq->live || sq->deleting || c->state != NVME_RUNNING)
			tail = UINT32_MAX;
	}
	if (tail != UINT32_MAX)
		return true;
	c->active[qid / 64] &= ~bit(qid);
	return false;
}

bool nvme_run_queues(struct nvme_ctrl *c)
{
	unsigned budget = VISIT_MAX;
	bool more = false;

	for (unsigned w = 0; w < ARRAY_SIZE(c->active); w++)
		/* Acquire: the tails that were written before. */
		c->active[w] |=
			atomic_exchange_explicit(&c->regs.sq_rung[w], 0, memory_order_acquire);
	for (unsigned i = 0; i <= c->cfg.max_queues && c->state == NVME_RUNNING; i++) {
		const uint16_t q = (uint16_t)((c->turn + i) % (c->cfg.max_queues + 1));

		if (c->active[q / 64] & bit(q))
			more |= run_sq(c, q, &budget);
	}
	c->turn = (c->turn + 1) % (c->cfg.max_queues + 1);
	return more && c->state == NVME_RUNNING;
}
