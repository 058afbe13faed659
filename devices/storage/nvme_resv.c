/* SPDX-License-Identifier: MIT */
/* Reservation commands, in the terms of struct disk_pr (which are SCSI's). */
#include "nvme_priv.h"

#include <stdlib.h>
#include <string.h>

/* enum nvme_resv_type and SCSI's types */
static const uint8_t scsi_type[] = { 0, 1, 3, 5, 6, 7, 8 };

static uint16_t to_scsi_type(uint8_t nvme, uint8_t *ret_type)
{
	if (nvme == NVME_RTYPE_NONE || nvme >= ARRAY_SIZE(scsi_type))
		return NVME_INVALID_FIELD;
	*ret_type = scsi_type[nvme];
	return NVME_OK;
}

static uint8_t to_nvme_type(uint8_t scsi)
{
	for (uint8_t i = 0; i < ARRAY_SIZE(scsi_type); i++) {
		if (scsi_type[i] == scsi)
			return i;
	}
	return NVME_RTYPE_NONE;
}

static uint16_t do_register(struct disk_pr *pr, uint32_t cdw10, const struct nvme_resv_keys *k)
{
	const bool ignore = cdw10 & NVME_RESV_IEKEY;

	pr->action = ignore ? DISK_PR_REGISTER_IGNORE : DISK_PR_REGISTER;
	pr->aptpl = NVME_RESV_CPTPL(cdw10) == 3;
	switch (NVME_RESV_ACTION(cdw10)) {
	case NVME_RREGA_REGISTER:
		pr->new_key = k->other; /* there is none yet */
		return k->other ? NVME_OK : NVME_INVALID_FIELD;
	case NVME_RREGA_UNREGISTER:
		pr->key = k->current;
		return NVME_OK;
	case NVME_RREGA_REPLACE:
		pr->key = k->current;
		pr->new_key = k->other;
		return k->other ? NVME_OK : NVME_INVALID_FIELD;
	default:
		return NVME_INVALID_FIELD;
	}
}

static uint16_t do_acquire(struct disk_pr *pr, uint32_t cdw10, const struct nvme_resv_keys *k)
{
	pr->key = k->current;
	pr->new_key = k->other;
	if (cdw10 & NVME_RESV_IEKEY)
		return NVME_INVALID_FIELD; /* as told by rescap */
	switch (NVME_RESV_ACTION(cdw10)) {
	case NVME_RACQA_ACQUIRE:
		pr->action = DISK_PR_RESERVE;
		pr->new_key = 0;
		break;
	case NVME_RACQA_PREEMPT:
		pr->action = DISK_PR_PREEMPT;
		break;
	case NVME_RACQA_PREEMPT_ABORT:
		pr->action = DISK_PR_PREEMPT_ABORT;
		break;
	default:
		return NVME_INVALID_FIELD;
	}
	return to_scsi_type(NVME_RESV_TYPE(cdw10), &pr->type);
}

static uint16_t do_release(struct disk_pr *pr, uint32_t cdw10, const struct nvme_resv_keys *k)
{
	pr->key = k->current;
	if (cdw10 & NVME_RESV_IEKEY)
		return NVME_INVALID_FIELD;
	switch (NVME_RESV_ACTION(cdw10)) {
	case NVME_RRELA_RELEASE:
		pr->action = DISK_PR_RELEASE;
		return to_scsi_type(NVME_RESV_TYPE(cdw10), &pr->type);
	case NVME_RRELA_CLEAR:
		pr->action = DISK_PR_CLEAR;
		return NVME_OK;
	default:
		return NVME_INVALID_FIELD;
	}
}

static uint16_t do_report(struct nvme_req *rq, const struct nvme_sqe *sqe)
{
	const uint64_t bytes = ((uint64_t)sqe->cdw10 + 1) * 4;

	if (bytes > NVME_MAX_DATA)
		return NVME_INVALID_FIELD;
	rq->eds = sqe->cdw11 & NVME_RESV_REPORT_EDS;
	if (rq->eds != rq->c->feat.host_id_ext)
		return NVME_HOST_ID_FORMAT;
	rq->bytes = (uint32_t)bytes;
	rq->pr->action = DISK_PR_READ_FULL;
	return nvme_map(rq->c, sqe, rq->bytes, true, rq->iov, &rq->n_iov);
}

static uint16_t do_out(struct nvme_req *rq, const struct nvme_sqe *sqe)
{
	const uint32_t len =
		sqe->opcode == NVME_IO_RESV_RELEASE ? 8 : sizeof(struct nvme_resv_keys);
	struct nvme_resv_keys k = { 0 };
	uint16_t st = nvme_take(rq->c, sqe, &k, len);

	if (st != NVME_OK)
		return st;
	if (sqe->opcode == NVME_IO_RESV_REGISTER)
		return do_register(rq->pr, sqe->cdw10, &k);
	if (sqe->opcode == NVME_IO_RESV_ACQUIRE)
		return do_acquire(rq->pr, sqe->cdw10, &k);
	return do_release(rq->pr, sqe->cdw10, &k);
}

uint16_t nvme_resv(struct nvme_req *rq, const struct nvme_sqe *sqe)
{
	const bool is_report = sqe->opcode == NVME_IO_RESV_REPORT;

	if (!rq->ns->info.reservations)
		return NVME_INVALID_OPCODE;
	rq->pr = calloc(1, sizeof(*rq->pr)); /* rare, and limited by the number of requests */
	if (!rq->pr)
		return NVME_INTERNAL_ERROR;
	rq->dr.op = is_report ? DISK_PR_IN : DISK_PR_OUT;
	rq->dr.pr = rq->pr;
	return is_report ? do_report(rq, sqe) : do_out(rq, sqe);
}

static bool is_holder(const struct disk_pr *pr, uint32_t i)
{
	return pr->keys[i].holder || (pr->reserved && pr->keys[i].key == pr->holder_key);
}

static size_t put_registrant(uint8_t *at, const struct disk_pr *pr, uint32_t i, bool eds)
{
	struct nvme_resv_registrant r = { .ctrl_id = UINT16_MAX,
					  .rcsts = is_holder(pr, i),
					  .host_id = pr->keys[i].host,
					  .key = pr->keys[i].key };
	struct nvme_resv_registrant_ext x = { .ctrl_id = r.ctrl_id,
					      .rcsts = r.rcsts,
					      .key = r.key };

	if (!eds) {
		memcpy(at, &r, sizeof(r));
		return sizeof(r);
	}
	memcpy(x.host_id, &r.host_id, sizeof(r.host_id));
	memcpy(at, &x, sizeof(x));
	return sizeof(x);
}

uint16_t nvme_resv_done(struct nvme_req *rq)
{
	const struct disk_pr *pr = rq->pr;
	uint8_t buf[NVME_RESV_EXT_HEADER +
		    DISK_PR_MAX_KEYS * sizeof(struct nvme_resv_registrant_ext)] = { 0 };
	const uint32_t n = MIN(pr->n_keys, DISK_PR_MAX_KEYS);
	struct nvme_resv_status s = { .generation = pr->generation,
				      .type = pr->reserved ? to_nvme_type(pr->type) : 0,
				      .registrants = { (uint8_t)n } };
	size_t len = rq->eds ? NVME_RESV_EXT_HEADER : sizeof(s);

	if (rq->dr.op != DISK_PR_IN)
		return NVME_OK;
	memcpy(buf, &s, sizeof(s));
	for (uint32_t i = 0; i < n; i++)
		len += put_registrant(buf + len, pr, i, rq->eds);
	return nvme_copy_out(rq->iov, rq->n_iov, buf, MIN(len, rq->bytes));
}
