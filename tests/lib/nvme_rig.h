/* SPDX-License-Identifier: MIT */
/*
 * An NVMe driver in the hand of a test: memory, a controller, queues. Everything runs on the test's
 * thread; nvr_run() lets the controller work until it has nothing to do.
 */
#pragma once

#include <stdbool.h>
#include <stdint.h>

#include "gmem.h"
#include "nvme_ctrl.h"
#include "nvme_proto.h"
#include "pci_func.h"

#define NVR_BASE 0x100000ull
#define NVR_PAGES 4096u
#define NVR_BAR 0x4000000000ull
#define NVR_MSIX_BAR 0x4000100000ull
#define NVR_VECTORS 8u
#define NVR_QUEUES 6u

struct nvr_queue {
	gpa_t sq, cq;
	uint32_t sq_size, cq_size;
	uint32_t tail, head;
	uint16_t phase;
	uint16_t cid;
};

struct nvr {
	uint8_t *mem;
	struct gmem *gm;
	struct loop *loop;
	struct nvme_ctrl *c;
	struct pci_func *pci;
	uint32_t next_page;
	unsigned irqs[NVR_VECTORS];
	struct nvr_queue q[NVR_QUEUES + 1];
	gpa_t shadow, event_idx; /* 0: doorbells are registers */
	uint64_t rings; /* doorbell registers written */
	bool destroyed;
};

void nvr_init(struct nvr *r);
void nvr_fini(struct nvr *r);
void nvr_run(struct nvr *r);

/* Memory: fresh pages; where an address is. */
gpa_t nvr_pages(struct nvr *r, uint32_t n);
void *nvr_at(struct nvr *r, gpa_t gpa);

uint32_t nvr_read32(struct nvr *r, uint32_t off);
uint64_t nvr_read64(struct nvr *r, uint32_t off);
void nvr_write32(struct nvr *r, uint32_t off, uint32_t val);
void nvr_write64(struct nvr *r, uint32_t off, uint64_t val);

/* PCI set-up of BARs, bus mastering, MSI-X. */
void nvr_pci(struct nvr *r);
/* What a driver does until CSTS.RDY; true: it came. */
bool nvr_enable(struct nvr *r, uint32_t entries);

/* Put a command into a queue, without and with ringing; the cid given to it. */
uint16_t nvr_push(struct nvr *r, unsigned qid, struct nvme_sqe sqe);
void nvr_ring(struct nvr *r, unsigned qid);
/* The next completion, if there is one; the doorbell is rung. */
bool nvr_poll(struct nvr *r, unsigned qid, struct nvme_cqe *ret_cqe);

/* One command, from the start to its completion: the status without DNR. */
uint16_t nvr_do(struct nvr *r, unsigned qid, struct nvme_sqe sqe, struct nvme_cqe *ret_cqe);

/* CREATE CQ and SQ; the status of the first that fails. */
uint16_t nvr_create_cq(struct nvr *r, unsigned qid, uint32_t entries, uint16_t vector);
uint16_t nvr_create_sq(struct nvr *r, unsigned qid, uint32_t entries, uint16_t cqid);
/* All the way to queue pair 1. */
void nvr_ready(struct nvr *r);

/* READ, WRITE and the like at PRP1 (and PRP2). */
struct nvme_sqe nvr_rw(uint8_t opcode, uint32_t nsid, uint64_t lba, uint32_t blocks, gpa_t prp1,
		       gpa_t prp2);
