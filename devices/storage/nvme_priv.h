/* SPDX-License-Identifier: MIT */
/*
 * Shared by the files of the NVMe controller; nobody else includes this. Everything runs on the
 * controller's loop, but for the registers (struct nvme_regs), which VP threads write.
 */
#pragma once

#include <stdatomic.h>

#include "gmem.h"
#include "list.h"
#include "loop.h"
#include "nvme_ctrl.h"
#include "nvme_proto.h"
#include "pci_func.h"

#define NVME_QS (NVME_CTRL_MAX_QUEUES + 1) /* with the admin queue */
#define NVME_QUEUE_ENTRIES 256u /* largest queue */
#define NVME_MDTS 7u /* 512 KiB of data per command */
#define NVME_MAX_DATA (KEEL_PAGE_SIZE << NVME_MDTS)
#define NVME_MAX_IOV 256u
#define NVME_AERS 4u
#define NVME_ERRORS 4u
#define NVME_CNTLID 1u
#define NVME_KELVIN 300u

BUILD_ASSERT(NVME_MAX_IOV <= DISK_MAX_IOV, "a command is one request");
BUILD_ASSERT(NVME_CTRL_MAX_NS == 64, "one bit each");

enum nvme_state {
	NVME_OFF,
	NVME_RUNNING,
	NVME_FAILED, /* CSTS.CFS: waits for a reset */
	NVME_DRAINING, /* reset: waits for the disks */
};

/* What VP threads touch. */
struct nvme_regs {
	_Atomic uint32_t cc, csts, intms;
	_Atomic uint32_t aqa;
	_Atomic uint64_t asq, acq;
	_Atomic uint32_t sq_tail[NVME_QS], cq_head[NVME_QS]; /* as last written */
	_Atomic uint64_t sq_rung[2]; /* bit per queue: look at its tail */
	_Atomic uint32_t cq_waits[NVME_QS]; /* commands wait for room: a new head wakes the loop */
	_Atomic bool reset; /* CC.EN fell, or the function was reset */
	_Atomic bool bad_doorbell; /* of no queue */
	_Atomic bool master;
	_Atomic int fault; /* enum nvme_ctrl_fault */
	_Atomic uint64_t doorbells; /* writes */
};

struct nvme_sq {
	bool live;
	bool deleting; /* DELETE SQ waits for inflight */
	uint16_t delete_cid;
	uint16_t cqid;
	uint32_t size, head;
	uint32_t inflight;
	gpa_t base;
	const uint8_t *host;
};

struct nvme_cq {
	bool live, irq;
	uint16_t vector;
	uint16_t phase;
	uint32_t size, head, tail;
	uint32_t promised; /* commands whose completions will go here */
	uint32_t fresh; /* completions not announced yet */
	uint32_t sqs;
	gpa_t base;
	uint8_t *host;
};

struct nvme_ns {
	struct nvme_ctrl *c;
	uint32_t nsid;
	struct disk *disk;
	struct disk_queue *q;
	struct disk_info info;
	uint8_t shift; /* log2 of the block size */
	unsigned inflight;
	bool gone; /* detached: goes when nothing is in flight */
	struct disk_req flush; /* of a shutdown */
	bool flushing;
	struct list link; /* gone ones */
};

/* A command that the disk works on. */
struct nvme_req {
	struct list link; /* free or parked */
	struct nvme_ctrl *c;
	struct nvme_ns *ns;
	struct disk_req dr;
	uint32_t gen; /* of the controller when it was fetched */
	uint16_t sqid, cid;
	/* What comes after a part of a command has ended well; NULL: nothing. 1: another was
	 * prepared in dr, 0: that was all, else an NVMe status. */
	int (*next)(struct nvme_req *rq);
	uint64_t lba, left; /* of WRITE ZEROES */
	uint32_t n_ranges, at; /* of DSM */
	struct disk_pr *pr; /* of reservations */
	uint32_t bytes, n_iov;
	bool eds;
	union {
		struct iovec iov[NVME_MAX_IOV];
		struct nvme_dsm_range range[NVME_DSM_MAX_RANGES];
	};
};

struct nvme_features {
	uint32_t arbitration, temp_over, temp_under, error_recovery;
	uint32_t coalescing; /* threshold - 1, then 100 us */
	uint32_t async_events;
	uint32_t atomicity;
	bool write_cache;
	bool no_coalescing[PCI_MSIX_MAX];
	uint16_t sqs, cqs; /* granted */
	uint8_t host_id[16];
	bool host_id_ext;
};

struct nvme_counts {
	uint64_t commands, admin, completions, interrupts, visits;
	uint64_t reads, writes, read_units, write_units; /* units: 512 bytes */
	uint64_t errors, media_errors, resets, shadow_updates;
};

struct nvme_ctrl {
	struct nvme_ctrl_cfg cfg;
	char name[32];
	struct pci_func *pci;
	struct nvme_regs regs;
	struct loop_work kick;
	struct loop_timer timer; /* coalescing */

	enum nvme_state state;
	uint32_t gen; /* grows with every reset: what is older is dead */
	struct nvme_sq sq[NVME_QS];
	struct nvme_cq cq[NVME_QS];
	uint64_t active[2]; /* bit per SQ: may hold commands */
	unsigned turn; /* which SQ comes first */
	uint64_t due[2]; /* bit per CQ: has fresh completions */

	/* Of the admin command just being run. */
	struct iovec tmp[NVME_MAX_IOV];
	_Alignas(8) uint8_t page[NVME_IDENTIFY_BYTES];

	struct nvme_req *reqs;
	unsigned n_reqs, inflight;
	struct list free, parked; /* of struct nvme_req */

	struct nvme_ns *ns[NVME_CTRL_MAX_NS]; /* by nsid - 1 */
	struct list gone; /* of struct nvme_ns */

	struct nvme_features feat;
	uint16_t aer_cid[NVME_AERS];
	unsigned n_aer;
	uint64_t changed; /* namespaces, bit per nsid - 1 */
	bool changed_told; /* until the log is read */
	uint32_t bad_doorbell; /* event to tell, 0 = none */
	bool error_told;
	struct nvme_error_entry error[NVME_ERRORS]; /* newest first */
	uint64_t n_errors;

	const uint8_t *shadow; /* doorbells in memory, NULL: none */
	uint8_t *event_idx;

	unsigned shutdown_left; /* flushes */
	void *sink; /* NVME_MAX_DATA bytes that nobody reads: bit buckets */
	const void *zeros; /* as many */
	struct nvme_counts count;

	void (*destroyed)(void *ctx); /* being destroyed: who wants to know when */
	void *destroyed_ctx;
	bool dying, last; /* the next visit frees it */
};

/* The loop is to look. Any thread. */
void nvme_kick(struct nvme_ctrl *c);
/* CSTS.CFS: nothing goes on until a reset. */
void nvme_fail(struct nvme_ctrl *c, const char *why);
/* The namespace, or NULL: nothing is attached there. */
struct nvme_ns *nvme_ns_find(struct nvme_ctrl *c, uint32_t nsid);

/* ---- nvme_queue.c ---------------------------------------------------------------------------- */

/* Fetch and run commands, within bounds; true: more is to do. */
bool nvme_run_queues(struct nvme_ctrl *c);
/* Announce fresh completions. */
void nvme_flush_irqs(struct nvme_ctrl *c, bool now);
/* Forget all queues. */
void nvme_clear_queues(struct nvme_ctrl *c);
/* A command of @sqid has ended. @status: enum nvme_status; DNR is added where it belongs. */
void nvme_complete(struct nvme_ctrl *c, uint16_t sqid, uint16_t cid, uint16_t status,
		   uint32_t result);
/* Room for one completion more than is promised? */
bool nvme_cq_room(struct nvme_ctrl *c, uint16_t cqid);
must_check int nvme_sq_init(struct nvme_ctrl *c, uint16_t qid, gpa_t base, uint32_t size,
			    uint16_t cqid);
must_check int nvme_cq_init(struct nvme_ctrl *c, uint16_t qid, gpa_t base, uint32_t size,
			    uint16_t vector, bool irq);
/* What the driver's memory says of doorbells from now on. */
void nvme_shadow_start(struct nvme_ctrl *c, const void *shadow, void *event_idx);

/* ---- nvme_admin.c, nvme_ident.c, nvme_io.c, nvme_resv.c -------------------------------------- */

#define NVME_LATER 0xffffu /* no status: completed later */

void nvme_req_init(struct nvme_ctrl *c, struct nvme_req *rq);

/* Run a command: its status, or NVME_LATER. @ret_result: dword 0 of the completion. */
uint16_t nvme_admin(struct nvme_ctrl *c, const struct nvme_sqe *sqe, uint32_t *ret_result);
uint16_t nvme_io(struct nvme_ctrl *c, uint16_t sqid, const struct nvme_sqe *sqe);
uint16_t nvme_identify(struct nvme_ctrl *c, const struct nvme_sqe *sqe);
uint16_t nvme_get_log(struct nvme_ctrl *c, const struct nvme_sqe *sqe);
uint16_t nvme_set_features(struct nvme_ctrl *c, const struct nvme_sqe *sqe, uint32_t *ret_result);
uint16_t nvme_get_features(struct nvme_ctrl *c, const struct nvme_sqe *sqe, uint32_t *ret_result);
void nvme_features_reset(struct nvme_ctrl *c);
/* Tell the driver what there is to tell, as far as it listens. */
void nvme_events(struct nvme_ctrl *c);
void nvme_error_log(struct nvme_ctrl *c, uint16_t sqid, uint16_t cid, uint16_t status);
/* A deferred DELETE SQ can end. */
void nvme_sq_settle(struct nvme_ctrl *c, uint16_t qid);
/* Submit what waited for room in a disk's queue; end what is dead. */
void nvme_unpark(struct nvme_ctrl *c);
/* Reservation commands: prepare rq->dr. A status; NVME_OK: submit it. */
uint16_t nvme_resv(struct nvme_req *rq, const struct nvme_sqe *sqe);
/* After a report has ended well: hand out the data. */
uint16_t nvme_resv_done(struct nvme_req *rq);

/* ---- nvme_dma.c ------------------------------------------------------------------------------ */

/**
 * nvme_map - turn the data pointers of a command into host addresses
 * @bytes: 1..NVME_MAX_DATA; @to_host: the controller writes
 * @iov: room for NVME_MAX_IOV
 * Returns: an NVMe status
 */
uint16_t nvme_map(struct nvme_ctrl *c, const struct nvme_sqe *sqe, uint32_t bytes, bool to_host,
		  struct iovec *iov, uint32_t *ret_n);

/* Copy between the first bytes of a mapping and private memory. A status. */
uint16_t nvme_copy_out(const struct iovec *iov, uint32_t n, const void *buf, size_t len);
uint16_t nvme_copy_in(const struct iovec *iov, uint32_t n, void *ret_buf, size_t len);

/* Map and copy at once: the answer, or the parameters, of an admin command. */
uint16_t nvme_give(struct nvme_ctrl *c, const struct nvme_sqe *sqe, const void *buf, uint32_t len);
uint16_t nvme_take(struct nvme_ctrl *c, const struct nvme_sqe *sqe, void *ret_buf, uint32_t len);
