/* SPDX-License-Identifier: MIT */
#include "nvme_rig.h"

#include "bug.h"
#include "loop.h"

#include <string.h>
#include <sys/mman.h>

static void deliver(void *ctx, uint64_t addr, uint32_t data)
{
	struct nvr *r = ctx;

	BUG_ON(addr != 0xfee00000 || data >= NVR_VECTORS);
	r->irqs[data]++;
}

void nvr_init(struct nvr *r)
{
	struct gmem_region region = { .gpa = NVR_BASE,
				      .len = (uint64_t)NVR_PAGES * KEEL_PAGE_SIZE };
	struct nvme_ctrl_cfg cfg = { .name = "nvme",
				     .max_queues = NVR_QUEUES,
				     .msix_vectors = NVR_VECTORS,
				     .msi = { .deliver = deliver, .ctx = r } };

	memset(r, 0, sizeof(*r));
	r->mem = mmap(NULL, region.len, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	BUG_ON(r->mem == MAP_FAILED);
	region.host = r->mem;
	BUG_ON(gmem_create(&region, 1, &r->gm) < 0);
	BUG_ON(loop_create(64, &r->loop) < 0);
	cfg.gm = r->gm;
	cfg.loop = r->loop;
	BUG_ON(nvme_ctrl_create(&cfg, &r->c) < 0);
	r->pci = nvme_ctrl_pci(r->c);
}

static void on_destroyed(void *ctx)
{
	struct nvr *r = ctx;

	r->destroyed = true;
}

void nvr_fini(struct nvr *r)
{
	nvme_ctrl_destroy(r->c, on_destroyed, r);
	nvr_run(r);
	BUG_ON(!r->destroyed);
	loop_destroy(r->loop);
	gmem_destroy(r->gm);
	(void)munmap(r->mem, NVR_PAGES * (size_t)KEEL_PAGE_SIZE);
}

void nvr_run(struct nvr *r)
{
	loop_poll(r->loop);
	for (int i = 0; i < 1000 && loop_pending(r->loop); i++)
		loop_poll(r->loop);
}

gpa_t nvr_pages(struct nvr *r, uint32_t n)
{
	const gpa_t gpa = NVR_BASE + (uint64_t)r->next_page * KEEL_PAGE_SIZE;

	r->next_page += n;
	BUG_ON(r->next_page > NVR_PAGES);
	return gpa;
}

void *nvr_at(struct nvr *r, gpa_t gpa)
{
	BUG_ON(gpa < NVR_BASE || gpa >= NVR_BASE + (uint64_t)NVR_PAGES * KEEL_PAGE_SIZE);
	return r->mem + (gpa - NVR_BASE);
}

/* ---- registers ------------------------------------------------------------------------------- */

uint32_t nvr_read32(struct nvr *r, uint32_t off)
{
	uint64_t val;

	BUG_ON(!pci_func_mmio_read(r->pci, NVR_BAR + off, 4, &val));
	return (uint32_t)val;
}

uint64_t nvr_read64(struct nvr *r, uint32_t off)
{
	uint64_t val;

	BUG_ON(!pci_func_mmio_read(r->pci, NVR_BAR + off, 8, &val));
	return val;
}

void nvr_write32(struct nvr *r, uint32_t off, uint32_t val)
{
	BUG_ON(!pci_func_mmio_write(r->pci, NVR_BAR + off, 4, val));
}

void nvr_write64(struct nvr *r, uint32_t off, uint64_t val)
{
	BUG_ON(!pci_func_mmio_write(r->pci, NVR_BAR + off, 8, val));
}

static void put_bar(struct nvr *r, unsigned bar, uint64_t addr)
{
	pci_func_cfg_write(r->pci, 0x10 + 4 * bar, 4, (uint32_t)addr);
	pci_func_cfg_write(r->pci, 0x14 + 4 * bar, 4, (uint32_t)(addr >> 32));
}

void nvr_pci(struct nvr *r)
{
	put_bar(r, 0, NVR_BAR);
	put_bar(r, 4, NVR_MSIX_BAR);
	pci_func_cfg_write(r->pci, 4, 2, 6);
	pci_func_cfg_write(r->pci, 0x42, 2, 0x8000);
	for (unsigned i = 0; i < NVR_VECTORS; i++) {
		const uint64_t at = NVR_MSIX_BAR + 16 * i;

		BUG_ON(!pci_func_mmio_write(r->pci, at, 8, 0xfee00000));
		BUG_ON(!pci_func_mmio_write(r->pci, at + 8, 8, i));
	}
}

bool nvr_enable(struct nvr *r, uint32_t entries)
{
	struct nvr_queue *q = &r->q[0];

	memset(r->q, 0, sizeof(r->q));
	r->shadow = r->event_idx = 0;
	*q = (struct nvr_queue){ .sq = nvr_pages(r, 1),
				 .cq = nvr_pages(r, 1),
				 .sq_size = entries,
				 .cq_size = entries,
				 .phase = 1 };
	memset(nvr_at(r, q->cq), 0, KEEL_PAGE_SIZE);
	nvr_write32(r, NVME_REG_AQA, (entries - 1) | (entries - 1) << 16);
	nvr_write32(r, NVME_REG_ASQ, (uint32_t)q->sq);
	nvr_write32(r, NVME_REG_ASQ + 4, (uint32_t)(q->sq >> 32));
	nvr_write64(r, NVME_REG_ACQ, q->cq);
	nvr_write32(r, NVME_REG_CC, 0x00460001);
	nvr_run(r);
	return nvr_read32(r, NVME_REG_CSTS) & NVME_CSTS_RDY;
}

/* ---- queues ---------------------------------------------------------------------------------- */

static uint32_t load32(struct nvr *r, gpa_t gpa)
{
	uint32_t val;

	memcpy(&val, nvr_at(r, gpa), sizeof(val));
	return val;
}

/* A doorbell as Linux rings it: in memory first; the register when the controller asks for it. */
static void doorbell(struct nvr *r, unsigned qid, bool is_cq, uint32_t val)
{
	const uint32_t off = 8 * qid + (is_cq ? 4 : 0);

	if (r->shadow && qid) {
		const uint16_t old = (uint16_t)load32(r, r->shadow + off);
		const uint16_t idx = (uint16_t)load32(r, r->event_idx + off);

		memcpy(nvr_at(r, r->shadow + off), &val, sizeof(val));
		if ((uint16_t)(val - idx - 1) >= (uint16_t)(val - old))
			return;
	}
	r->rings++;
	nvr_write32(r, NVME_REG_DOORBELLS + off, val);
}

uint16_t nvr_push(struct nvr *r, unsigned qid, struct nvme_sqe sqe)
{
	struct nvr_queue *q = &r->q[qid];

	sqe.cid = q->cid++;
	memcpy(nvr_at(r, q->sq + (uint64_t)q->tail * sizeof(sqe)), &sqe, sizeof(sqe));
	q->tail = (q->tail + 1) % q->sq_size;
	return sqe.cid;
}

void nvr_ring(struct nvr *r, unsigned qid)
{
	doorbell(r, qid, false, r->q[qid].tail);
}

bool nvr_poll(struct nvr *r, unsigned qid, struct nvme_cqe *ret_cqe)
{
	struct nvr_queue *q = &r->q[qid];
	struct nvme_cqe e;

	memcpy(&e, nvr_at(r, q->cq + (uint64_t)q->head * sizeof(e)), sizeof(e));
	if ((e.status & 1) != q->phase)
		return false;
	if (++q->head == q->cq_size) {
		q->head = 0;
		q->phase ^= 1;
	}
	doorbell(r, qid, true, q->head);
	*ret_cqe = e;
	return true;
}

uint16_t nvr_do(struct nvr *r, unsigned qid, struct nvme_sqe sqe, struct nvme_cqe *ret_cqe)
{
	const uint16_t cid = nvr_push(r, qid, sqe);
	struct nvme_cqe e;

	nvr_ring(r, qid);
	nvr_run(r);
	BUG_ON(!nvr_poll(r, qid, &e));
	BUG_ON(e.cid != cid || e.sq_id != qid);
	if (ret_cqe)
		*ret_cqe = e;
	return e.status >> 1 & NVME_STATUS_MASK;
}

uint16_t nvr_create_cq(struct nvr *r, unsigned qid, uint32_t entries, uint16_t vector)
{
	struct nvr_queue *q = &r->q[qid];
	const struct nvme_sqe sqe = { .opcode = NVME_ADM_CREATE_CQ,
				      .prp1 = nvr_pages(r, 1),
				      .cdw10 = qid | (entries - 1) << 16,
				      .cdw11 = 3 | (uint32_t)vector << 16 };

	q->cq = sqe.prp1;
	q->cq_size = entries;
	q->phase = 1;
	q->head = 0;
	memset(nvr_at(r, q->cq), 0, KEEL_PAGE_SIZE);
	return nvr_do(r, 0, sqe, NULL);
}

uint16_t nvr_create_sq(struct nvr *r, unsigned qid, uint32_t entries, uint16_t cqid)
{
	struct nvr_queue *q = &r->q[qid];
	const struct nvme_sqe sqe = { .opcode = NVME_ADM_CREATE_SQ,
				      .prp1 = nvr_pages(r, 4),
				      .cdw10 = qid | (entries - 1) << 16,
				      .cdw11 = 1 | (uint32_t)cqid << 16 };

	q->sq = sqe.prp1;
	q->sq_size = entries;
	q->tail = 0;
	return nvr_do(r, 0, sqe, NULL);
}

void nvr_ready(struct nvr *r)
{
	nvr_pci(r);
	BUG_ON(!nvr_enable(r, 32));
	BUG_ON(nvr_create_cq(r, 1, 64, 1) != NVME_OK);
	BUG_ON(nvr_create_sq(r, 1, 64, 1) != NVME_OK);
}

struct nvme_sqe nvr_rw(uint8_t opcode, uint32_t nsid, uint64_t lba, uint32_t blocks, gpa_t prp1,
		       gpa_t prp2)
{
	return (struct nvme_sqe){ .opcode = opcode,
				  .nsid = nsid,
				  .prp1 = prp1,
				  .prp2 = prp2,
				  .cdw10 = (uint32_t)lba,
				  .cdw11 = (uint32_t)(lba >> 32),
				  .cdw12 = blocks - 1 };
}
