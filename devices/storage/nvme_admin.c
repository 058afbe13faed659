/* SPDX-License-Identifier: MIT */
/* Admin commands: queues, features, events. Input: private copies of submission queue entries. */
#include "log.h"
#include "nvme_priv.h"

#include <string.h>

#define LOG_AREA "nvme"

/* ---- queues ---------------------------------------------------------------------------------- */

static uint16_t low16(uint32_t v)
{
	return (uint16_t)v;
}

static uint16_t high16(uint32_t v)
{
	return (uint16_t)(v >> 16);
}

/* What both CREATE commands have in common. */
static uint16_t check_create(const struct nvme_ctrl *c, const struct nvme_sqe *sqe,
			     unsigned granted, bool exists)
{
	const uint16_t qid = low16(sqe->cdw10), size = high16(sqe->cdw10);

	if (!qid || qid > granted || exists)
		return NVME_QID_INVALID;
	if (!size || size >= NVME_QUEUE_ENTRIES)
		return NVME_QUEUE_SIZE_INVALID;
	if (!(sqe->cdw11 & NVME_QUEUE_CONTIGUOUS))
		return NVME_INVALID_FIELD;
	if (sqe->prp1 % KEEL_PAGE_SIZE)
		return NVME_PRP_OFFSET_INVALID;
	return NVME_OK;
}

static bool sq_exists(const struct nvme_ctrl *c, uint16_t qid)
{
	return qid <= c->cfg.max_queues && c->sq[qid].live;
}

static bool cq_exists(const struct nvme_ctrl *c, uint16_t qid)
{
	return qid <= c->cfg.max_queues && c->cq[qid].live;
}

static uint16_t create_cq(struct nvme_ctrl *c, const struct nvme_sqe *sqe)
{
	const uint16_t qid = low16(sqe->cdw10), vector = high16(sqe->cdw11);
	const bool irq = sqe->cdw11 & NVME_CQ_IRQ_ENABLED;
	uint16_t st = check_create(c, sqe, c->feat.cqs, cq_exists(c, qid));

	if (st != NVME_OK)
		return st;
	if (irq && vector >= c->cfg.msix_vectors)
		return NVME_INTERRUPT_VECTOR;
	if (NVME_CC_IOCQES(atomic_load(&c->regs.cc)) != 4)
		return NVME_QUEUE_SIZE_INVALID;
	if (nvme_cq_init(c, qid, sqe->prp1, high16(sqe->cdw10) + 1u, irq ? vector : 0, irq) < 0)
		return NVME_INVALID_FIELD;
	return NVME_OK;
}

static uint16_t create_sq(struct nvme_ctrl *c, const struct nvme_sqe *sqe)
{
	const uint16_t qid = low16(sqe->cdw10), cqid = high16(sqe->cdw11);
	uint16_t st = check_create(c, sqe, c->feat.sqs, sq_exists(c, qid));

	if (st != NVME_OK)
		return st;
	if (cqid > c->feat.cqs)
		return NVME_QID_INVALID;
	if (!cqid || !cq_exists(c, cqid))
		return NVME_CQ_INVALID;
	if (NVME_CC_IOSQES(atomic_load(&c->regs.cc)) != 6)
		return NVME_QUEUE_SIZE_INVALID;
	if (nvme_sq_init(c, qid, sqe->prp1, high16(sqe->cdw10) + 1u, cqid) < 0)
		return NVME_INVALID_FIELD;
	return NVME_OK;
}

static uint16_t delete_cq(struct nvme_ctrl *c, const struct nvme_sqe *sqe)
{
	const uint16_t qid = low16(sqe->cdw10);

	if (!qid || !cq_exists(c, qid))
		return NVME_QID_INVALID;
	if (c->cq[qid].sqs)
		return NVME_QUEUE_DELETION;
	c->due[qid / 64] &= ~BIT(qid & 63);
	c->cq[qid].live = false;
	return NVME_OK;
}

/* What is in flight ends first. */
static uint16_t delete_sq(struct nvme_ctrl *c, const struct nvme_sqe *sqe)
{
	const uint16_t qid = low16(sqe->cdw10);
	struct nvme_sq *sq;

	if (!qid || !sq_exists(c, qid) || c->sq[qid].deleting)
		return NVME_QID_INVALID;
	sq = &c->sq[qid];
	sq->deleting = true;
	sq->delete_cid = sqe->cid;
	if (sq->inflight)
		return NVME_LATER;
	sq->live = false;
	c->cq[sq->cqid].sqs--;
	return NVME_OK;
}

void nvme_sq_settle(struct nvme_ctrl *c, uint16_t qid)
{
	struct nvme_sq *sq = &c->sq[qid];

	sq->live = sq->deleting = false;
	c->cq[sq->cqid].sqs--;
	nvme_complete(c, 0, sq->delete_cid, NVME_OK, 0);
}

static uint16_t doorbell_buffer(struct nvme_ctrl *c, const struct nvme_sqe *sqe)
{
	void *shadow, *idx;

	if (sqe->prp1 % KEEL_PAGE_SIZE || sqe->prp2 % KEEL_PAGE_SIZE || sqe->prp1 == sqe->prp2)
		return NVME_INVALID_FIELD;
	if (gm_host_range(c->cfg.gm, sqe->prp1, KEEL_PAGE_SIZE, &shadow) < 0 ||
	    gm_host_range(c->cfg.gm, sqe->prp2, KEEL_PAGE_SIZE, &idx) < 0)
		return NVME_INVALID_FIELD;
	nvme_shadow_start(c, shadow, idx);
	return NVME_OK;
}

/* ---- events ---------------------------------------------------------------------------------- */

/* What the driver is to be told next; 0: nothing. */
static uint32_t next_event(struct nvme_ctrl *c)
{
	uint32_t event = 0;

	if (atomic_exchange_explicit(&c->regs.bad_doorbell, false, memory_order_relaxed))
		c->bad_doorbell = NVME_AEN_BAD_DOORBELL;
	if (c->bad_doorbell && !c->error_told) {
		event = c->bad_doorbell | BIT(31); /* told apart from 0 */
		c->error_told = true;
		c->bad_doorbell = 0;
	} else if (c->changed && !c->changed_told && (c->feat.async_events & NVME_OAES_NS_ATTR)) {
		event = NVME_AEN_NS_CHANGED;
		c->changed_told = true;
	}
	return event;
}

/* An event command outlives its place in the queue's accounts, so that many of them do not stop a
 * small queue. It takes one again to end. */
static void end_aer(struct nvme_ctrl *c, unsigned i, uint16_t status, uint32_t result)
{
	const uint16_t cid = c->aer_cid[i];

	c->n_aer--;
	memmove(&c->aer_cid[i], &c->aer_cid[i + 1], (c->n_aer - i) * sizeof(c->aer_cid[0]));
	c->sq[0].inflight++;
	c->cq[0].promised++;
	nvme_complete(c, 0, cid, status, result);
}

void nvme_events(struct nvme_ctrl *c)
{
	uint32_t event;

	while (c->n_aer && c->state == NVME_RUNNING && nvme_cq_room(c, 0)) {
		event = next_event(c);
		if (!event)
			return;
		end_aer(c, 0, NVME_OK, event & ~(uint32_t)BIT(31));
	}
}

static uint16_t async_event(struct nvme_ctrl *c, const struct nvme_sqe *sqe)
{
	if (c->n_aer == NVME_AERS)
		return NVME_AER_LIMIT;
	c->aer_cid[c->n_aer++] = sqe->cid;
	c->sq[0].inflight--;
	c->cq[0].promised--;
	return NVME_LATER;
}

void nvme_error_log(struct nvme_ctrl *c, uint16_t sqid, uint16_t cid, uint16_t status)
{
	memmove(&c->error[1], &c->error[0], sizeof(c->error) - sizeof(c->error[0]));
	c->error[0] = (struct nvme_error_entry){ .count = ++c->n_errors,
						 .sq_id = sqid,
						 .cid = cid,
						 .status = (uint16_t)(status << 1),
						 .location = UINT16_MAX };
	if ((status >> 8 & 7) == 2)
		c->count.media_errors++;
}

/* Only event commands can be aborted: the others are with a disk, and will end. */
static uint16_t abort_cmd(struct nvme_ctrl *c, const struct nvme_sqe *sqe, uint32_t *ret_result)
{
	*ret_result = 1; /* not aborted */
	if (low16(sqe->cdw10) == 0) {
		for (unsigned i = 0; i < c->n_aer; i++) {
			if (c->aer_cid[i] != high16(sqe->cdw10) || !nvme_cq_room(c, 0))
				continue;
			end_aer(c, i, NVME_ABORT_REQUESTED, 0);
			*ret_result = 0;
			break;
		}
	}
	return NVME_OK;
}

/* ---- features -------------------------------------------------------------------------------- */

void nvme_features_reset(struct nvme_ctrl *c)
{
	c->feat = (struct nvme_features){ .temp_over = NVME_KELVIN + 60,
					  .write_cache = true,
					  .sqs = (uint16_t)c->cfg.max_queues,
					  .cqs = (uint16_t)c->cfg.max_queues };
}

static bool any_io_queue(const struct nvme_ctrl *c)
{
	for (unsigned q = 1; q <= c->cfg.max_queues; q++) {
		if (c->sq[q].live || c->cq[q].live)
			return true;
	}
	return false;
}

static uint32_t granted(const struct nvme_ctrl *c)
{
	return (c->feat.sqs - 1u) | (c->feat.cqs - 1u) << 16;
}

static uint16_t set_queues(struct nvme_ctrl *c, uint32_t val, uint32_t *ret_result)
{
	if (any_io_queue(c))
		return NVME_COMMAND_SEQUENCE;
	if (low16(val) == UINT16_MAX || high16(val) == UINT16_MAX)
		return NVME_INVALID_FIELD;
	c->feat.sqs = (uint16_t)MIN(low16(val) + 1u, c->cfg.max_queues);
	c->feat.cqs = (uint16_t)MIN(high16(val) + 1u, c->cfg.max_queues);
	*ret_result = granted(c);
	return NVME_OK;
}

/* Threshold of the composite sensor, or of all (15); the others do not exist. */
static uint16_t temperature(struct nvme_ctrl *c, uint32_t cdw11, bool set, uint32_t *ret_result)
{
	const uint32_t sensor = cdw11 >> 16 & 0xf, type = cdw11 >> 20 & 3;
	uint32_t *t = type ? &c->feat.temp_under : &c->feat.temp_over;

	if (type > 1 || (sensor && !(set && sensor == 0xf)))
		return NVME_INVALID_FIELD;
	if (set)
		*t = low16(cdw11);
	*ret_result = set ? 0 : *t;
	return NVME_OK;
}

static uint16_t set_vector(struct nvme_ctrl *c, uint32_t val)
{
	if (low16(val) >= c->cfg.msix_vectors)
		return NVME_INVALID_FIELD;
	c->feat.no_coalescing[low16(val)] = val & BIT(16);
	return NVME_OK;
}

static uint16_t set_host_id(struct nvme_ctrl *c, const struct nvme_sqe *sqe)
{
	uint8_t id[16] = { 0 };
	uint16_t st = nvme_take(c, sqe, id, sqe->cdw11 & 1 ? 16 : 8);

	if (st != NVME_OK)
		return st;
	memcpy(c->feat.host_id, id, sizeof(id));
	c->feat.host_id_ext = sqe->cdw11 & 1;
	return NVME_OK;
}

/* A feature of the controller takes no namespace. */
static bool ns_is_wrong(const struct nvme_sqe *sqe)
{
	return sqe->nsid != 0 && sqe->nsid != NVME_NSID_ALL;
}

uint16_t nvme_set_features(struct nvme_ctrl *c, const struct nvme_sqe *sqe, uint32_t *ret_result)
{
	const uint32_t val = sqe->cdw11;
	const uint8_t fid = (uint8_t)sqe->cdw10;

	if (sqe->cdw10 & NVME_FEAT_SAVE)
		return NVME_FEATURE_NOT_SAVEABLE;
	if (fid != NVME_FEAT_ERROR_RECOVERY && ns_is_wrong(sqe))
		return NVME_FEATURE_NOT_NS_SPECIFIC;
	switch (fid) {
	case NVME_FEAT_ARBITRATION:
		c->feat.arbitration = val;
		return NVME_OK;
	case NVME_FEAT_POWER:
		return val & 0x1f ? NVME_INVALID_FIELD : NVME_OK;
	case NVME_FEAT_TEMPERATURE:
		return temperature(c, val, true, ret_result);
	case NVME_FEAT_ERROR_RECOVERY:
		if (val >> 16)
			return NVME_INVALID_FIELD; /* errors of deallocated blocks */
		c->feat.error_recovery = val;
		return NVME_OK;
	case NVME_FEAT_WRITE_CACHE:
		c->feat.write_cache = val & 1;
		return NVME_OK;
	case NVME_FEAT_QUEUES:
		return set_queues(c, val, ret_result);
	case NVME_FEAT_COALESCING:
		c->feat.coalescing = low16(val);
		return NVME_OK;
	case NVME_FEAT_VECTOR:
		return set_vector(c, val);
	case NVME_FEAT_ATOMICITY:
		c->feat.atomicity = val & 1;
		return NVME_OK;
	case NVME_FEAT_ASYNC_EVENTS:
		c->feat.async_events = val;
		return NVME_OK;
	case NVME_FEAT_HOST_ID:
		return set_host_id(c, sqe);
	default:
		return NVME_INVALID_FIELD;
	}
}

static uint16_t get_vector(struct nvme_ctrl *c, uint32_t val, uint32_t *ret_result)
{
	const uint16_t v = low16(val);

	if (v >= c->cfg.msix_vectors)
		return NVME_INVALID_FIELD;
	*ret_result = v | (c->feat.no_coalescing[v] ? 1u << 16 : 0);
	return NVME_OK;
}

uint16_t nvme_get_features(struct nvme_ctrl *c, const struct nvme_sqe *sqe, uint32_t *ret_result)
{
	if (NVME_FEAT_SEL(sqe->cdw10))
		return NVME_INVALID_FIELD; /* the present values only */
	switch ((uint8_t)sqe->cdw10) {
	case NVME_FEAT_ARBITRATION:
		*ret_result = c->feat.arbitration;
		return NVME_OK;
	case NVME_FEAT_POWER:
		*ret_result = 0;
		return NVME_OK;
	case NVME_FEAT_TEMPERATURE:
		return temperature(c, sqe->cdw11, false, ret_result);
	case NVME_FEAT_ERROR_RECOVERY:
		*ret_result = c->feat.error_recovery;
		return NVME_OK;
	case NVME_FEAT_WRITE_CACHE:
		*ret_result = c->feat.write_cache;
		return NVME_OK;
	case NVME_FEAT_QUEUES:
		*ret_result = granted(c);
		return NVME_OK;
	case NVME_FEAT_COALESCING:
		*ret_result = c->feat.coalescing;
		return NVME_OK;
	case NVME_FEAT_VECTOR:
		return get_vector(c, sqe->cdw11, ret_result);
	case NVME_FEAT_ATOMICITY:
		*ret_result = c->feat.atomicity;
		return NVME_OK;
	case NVME_FEAT_ASYNC_EVENTS:
		*ret_result = c->feat.async_events;
		return NVME_OK;
	case NVME_FEAT_HOST_ID:
		return nvme_give(c, sqe, c->feat.host_id, sqe->cdw11 & 1 ? 16 : 8);
	default:
		return NVME_INVALID_FIELD;
	}
}

/* ---- dispatch -------------------------------------------------------------------------------- */

uint16_t nvme_admin(struct nvme_ctrl *c, const struct nvme_sqe *sqe, uint32_t *ret_result)
{
	if (sqe->flags & NVME_FLAGS_PSDT)
		return NVME_INVALID_FIELD; /* no SGLs here on PCIe */
	switch (sqe->opcode) {
	case NVME_ADM_DELETE_SQ:
		return delete_sq(c, sqe);
	case NVME_ADM_CREATE_SQ:
		return create_sq(c, sqe);
	case NVME_ADM_GET_LOG:
		return nvme_get_log(c, sqe);
	case NVME_ADM_DELETE_CQ:
		return delete_cq(c, sqe);
	case NVME_ADM_CREATE_CQ:
		return create_cq(c, sqe);
	case NVME_ADM_IDENTIFY:
		return nvme_identify(c, sqe);
	case NVME_ADM_ABORT:
		return abort_cmd(c, sqe, ret_result);
	case NVME_ADM_SET_FEATURES:
		return nvme_set_features(c, sqe, ret_result);
	case NVME_ADM_GET_FEATURES:
		return nvme_get_features(c, sqe, ret_result);
	case NVME_ADM_ASYNC_EVENT:
		return async_event(c, sqe);
	case NVME_ADM_DOORBELL_BUFFER:
		return doorbell_buffer(c, sqe);
	default:
		/* FORMAT, KEEP ALIVE, namespace management, firmware, security: not here */
		return NVME_INVALID_OPCODE;
	}
}
