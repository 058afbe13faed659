/* SPDX-License-Identifier: MIT */
/*
 * I/O commands: checked here against the namespace, done by its disk. Input: private copies of
 * submission queue entries. A request belongs to one generation of the controller; after a reset
 * its end is noted and told to nobody.
 */
#include "ckd.h"
#include "log.h"
#include "nvme_priv.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#define LOG_AREA "nvme"

/* ---- life of a request ----------------------------------------------------------------------- */

static struct nvme_req *get_req(struct nvme_ctrl *c, struct nvme_ns *ns, uint16_t sqid,
				uint16_t cid)
{
	struct nvme_req *rq = container_of(list_pop(&c->free), struct nvme_req, link);

	rq->ns = ns;
	rq->gen = c->gen;
	rq->sqid = sqid;
	rq->cid = cid;
	rq->next = NULL;
	rq->pr = NULL;
	rq->dr = (struct disk_req){ .done = rq->dr.done, .ctx = rq };
	ns->inflight++;
	c->inflight++;
	return rq;
}

static void put_req(struct nvme_req *rq)
{
	free(rq->pr);
	rq->pr = NULL;
	list_add_tail(&rq->c->free, &rq->link);
	rq->ns->inflight--;
	rq->c->inflight--;
}

static bool is_dead(const struct nvme_req *rq)
{
	return rq->gen != rq->c->gen;
}

/* It has ended, one way or the other. */
static void finish(struct nvme_req *rq, uint16_t status)
{
	struct nvme_ctrl *c = rq->c;

	if (!is_dead(rq)) {
		if (status == NVME_OK && rq->pr)
			status = nvme_resv_done(rq);
		nvme_complete(c, rq->sqid, rq->cid, status, 0);
	}
	put_req(rq);
	nvme_kick(c); /* interrupts, and room for others */
}

/* Hand it to the disk, or keep it until that can take it. */
static void submit(struct nvme_req *rq)
{
	if (disk_submit(rq->ns->q, &rq->dr) < 0)
		list_add_tail(&rq->c->parked, &rq->link);
}

void nvme_unpark(struct nvme_ctrl *c)
{
	struct list still;

	list_init(&still);
	while (!list_empty(&c->parked)) {
		struct nvme_req *rq = container_of(list_pop(&c->parked), struct nvme_req, link);

		if (is_dead(rq) || rq->ns->gone)
			finish(rq, NVME_ABORT_REQUESTED);
		else if (disk_submit(rq->ns->q, &rq->dr) < 0)
			list_add_tail(&still, &rq->link);
	}
	while (!list_empty(&still))
		list_add_tail(&c->parked, list_pop(&still));
}

static void disk_done(struct disk_req *dr)
{
	struct nvme_req *rq = dr->ctx;
	int r = 0;

	if (dr->status == NVME_OK && rq->next && !is_dead(rq) && !rq->ns->gone) {
		r = rq->next(rq);
		if (r == 1) {
			submit(rq);
			return;
		}
	}
	finish(rq, r ? (uint16_t)r : dr->status & NVME_STATUS_MASK);
}

/* ---- checks ---------------------------------------------------------------------------------- */

static uint64_t slba_of(const struct nvme_sqe *sqe)
{
	return sqe->cdw10 | (uint64_t)sqe->cdw11 << 32;
}

static uint32_t blocks_of(const struct nvme_sqe *sqe)
{
	return (sqe->cdw12 & 0xffff) + 1;
}

static uint16_t check_range(const struct nvme_ns *ns, uint64_t lba, uint64_t blocks)
{
	return range_ok(lba, blocks, ns->info.blocks) ? NVME_OK : NVME_LBA_OUT_OF_RANGE;
}

static uint16_t check_write(const struct nvme_ns *ns)
{
	return ns->info.read_only ? NVME_NS_WRITE_PROTECTED : NVME_OK;
}

/* Without a write cache, or so it was asked for, writes are durable when they are done. */
static uint32_t write_flags(const struct nvme_req *rq, const struct nvme_sqe *sqe)
{
	return (sqe->cdw12 & NVME_RW_FUA) || !rq->c->feat.write_cache ? DISK_FUA : 0;
}

/* ---- commands: a status; NVME_OK: submit what is prepared; NVME_LATER: nothing to do --------- */

static uint16_t do_flush(struct nvme_req *rq, const struct nvme_sqe *sqe)
{
	rq->dr.op = DISK_FLUSH;
	return NVME_OK;
}

static uint16_t do_rw(struct nvme_req *rq, const struct nvme_sqe *sqe)
{
	struct nvme_ctrl *c = rq->c;
	const bool is_read = sqe->opcode == NVME_IO_READ;
	const uint32_t blocks = blocks_of(sqe);
	const uint64_t bytes = (uint64_t)blocks << rq->ns->shift;
	uint16_t st = is_read ? NVME_OK : check_write(rq->ns);

	if (bytes > NVME_MAX_DATA)
		return NVME_INVALID_FIELD;
	if (st == NVME_OK)
		st = check_range(rq->ns, slba_of(sqe), blocks);
	if (st == NVME_OK)
		st = nvme_map(c, sqe, (uint32_t)bytes, is_read, rq->iov, &rq->n_iov);
	if (st != NVME_OK)
		return st;
	rq->dr.op = is_read ? DISK_READ : DISK_WRITE;
	rq->dr.flags = is_read ? 0 : write_flags(rq, sqe);
	rq->dr.lba = slba_of(sqe);
	rq->dr.blocks = blocks;
	rq->dr.iov = rq->iov;
	rq->dr.n_iov = rq->n_iov;
	c->count.reads += is_read;
	c->count.writes += !is_read;
	*(is_read ? &c->count.read_units : &c->count.write_units) += bytes / 512;
	return NVME_OK;
}

static uint16_t do_verify(struct nvme_req *rq, const struct nvme_sqe *sqe)
{
	rq->dr.op = DISK_VERIFY;
	rq->dr.lba = slba_of(sqe);
	rq->dr.blocks = blocks_of(sqe);
	return check_range(rq->ns, rq->dr.lba, rq->dr.blocks);
}

/* Where the disk cannot do it: writes of zeros, one after the other. */
static int next_zeros(struct nvme_req *rq)
{
	const uint32_t most = NVME_MAX_DATA >> rq->ns->shift;
	const uint32_t now = (uint32_t)MIN(rq->left, most);

	if (!now)
		return 0;
	/* Only read from. */
	rq->iov[0] =
		(struct iovec){ (void *)(uintptr_t)rq->c->zeros, (size_t)now << rq->ns->shift };
	rq->dr.lba = rq->lba;
	rq->dr.blocks = now;
	rq->lba += now;
	rq->left -= now;
	return 1;
}

static uint16_t do_write_zeroes(struct nvme_req *rq, const struct nvme_sqe *sqe)
{
	uint16_t st = check_write(rq->ns);

	if (st == NVME_OK)
		st = check_range(rq->ns, slba_of(sqe), blocks_of(sqe));
	if (st != NVME_OK)
		return st;
	rq->dr.flags = write_flags(rq, sqe);
	rq->dr.lba = rq->lba = slba_of(sqe);
	rq->dr.blocks = blocks_of(sqe);
	rq->left = rq->dr.blocks;
	if (rq->ns->info.write_zeroes) {
		rq->dr.op = DISK_WRITE_ZEROES;
		return NVME_OK;
	}
	rq->dr.op = DISK_WRITE;
	rq->dr.iov = rq->iov;
	rq->dr.n_iov = 1;
	rq->next = next_zeros;
	return next_zeros(rq) == 1 ? NVME_OK : NVME_LATER;
}

/* The next range that is not empty. */
static int next_range(struct nvme_req *rq)
{
	while (rq->at < rq->n_ranges) {
		const struct nvme_dsm_range *r = &rq->range[rq->at++];

		if (!r->blocks)
			continue;
		rq->dr.lba = r->lba;
		rq->dr.blocks = r->blocks;
		return 1;
	}
	return 0;
}

static uint16_t do_dsm(struct nvme_req *rq, const struct nvme_sqe *sqe)
{
	const uint32_t n = (sqe->cdw10 & 0xff) + 1;
	uint16_t st = check_write(rq->ns);

	if (st == NVME_OK)
		st = nvme_take(rq->c, sqe, rq->range, n * (uint32_t)sizeof(rq->range[0]));
	for (uint32_t i = 0; i < n && st == NVME_OK; i++)
		st = check_range(rq->ns, rq->range[i].lba, rq->range[i].blocks);
	if (st != NVME_OK)
		return st;
	/* Other attributes are hints. */
	if (!(sqe->cdw11 & NVME_DSM_AD) || !rq->ns->info.unmap_granularity)
		return NVME_LATER;
	rq->dr.op = DISK_UNMAP;
	rq->n_ranges = n;
	rq->at = 0;
	rq->next = next_range;
	return next_range(rq) == 1 ? NVME_OK : NVME_LATER;
}

static uint16_t prepare(struct nvme_req *rq, const struct nvme_sqe *sqe)
{
	switch (sqe->opcode) {
	case NVME_IO_FLUSH:
		return do_flush(rq, sqe);
	case NVME_IO_READ:
	case NVME_IO_WRITE:
		return do_rw(rq, sqe);
	case NVME_IO_WRITE_ZEROES:
		return do_write_zeroes(rq, sqe);
	case NVME_IO_DSM:
		return do_dsm(rq, sqe);
	case NVME_IO_VERIFY:
		return do_verify(rq, sqe);
	case NVME_IO_RESV_REGISTER:
	case NVME_IO_RESV_REPORT:
	case NVME_IO_RESV_ACQUIRE:
	case NVME_IO_RESV_RELEASE:
		return nvme_resv(rq, sqe);
	default:
		return NVME_INVALID_OPCODE;
	}
}

uint16_t nvme_io(struct nvme_ctrl *c, uint16_t sqid, const struct nvme_sqe *sqe)
{
	struct nvme_ns *ns = nvme_ns_find(c, sqe->nsid);
	struct nvme_req *rq;
	uint16_t st;

	if (!sqe->nsid || sqe->nsid > NVME_CTRL_MAX_NS)
		return NVME_INVALID_NAMESPACE;
	if (!ns)
		return NVME_INVALID_FIELD; /* a namespace that is not there just now */
	rq = get_req(c, ns, sqid, sqe->cid);
	st = prepare(rq, sqe);
	if (st == NVME_OK) {
		submit(rq);
		return NVME_LATER;
	}
	put_req(rq);
	return st == NVME_LATER ? NVME_OK : st;
}

/* Called once for every request that is made. */
void nvme_req_init(struct nvme_ctrl *c, struct nvme_req *rq)
{
	rq->c = c;
	rq->dr.done = disk_done;
	list_add_tail(&c->free, &rq->link);
}
