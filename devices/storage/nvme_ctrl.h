/* SPDX-License-Identifier: MIT */
/*
 * An NVMe controller: registers, admin and I/O queues, namespaces on disks. A PCI function
 * (pci_func.h) whose work runs on one loop. Trust: the driver is hostile: queues, PRP and SGL lists
 * and doorbells may be anything. Spec: NVM Express Base 2.0, NVM Command Set 1.0, PCIe transport
 * 1.0; spec/storage-net.md 4.
 */
#pragma once

#include <stdbool.h>
#include <stdint.h>

#include "diskio.h"
#include "macros.h"
#include "msi.h"

struct gmem;
struct inspect;
struct loop;
struct nvme_ctrl;
struct pci_func;

#define NVME_CTRL_MAX_NS 64u
#define NVME_CTRL_MAX_QUEUES 64u

struct nvme_ctrl_cfg {
	const char *name;
	char serial[21], model[41], subnqn[224]; /* empty: defaults */
	unsigned max_queues; /* I/O queue pairs, 1..NVME_CTRL_MAX_QUEUES */
	unsigned msix_vectors;
	struct gmem *gm; /* what it may do DMA to */
	struct loop *loop; /* where its work runs */
	struct msi_sink msi;
};

must_check int nvme_ctrl_create(const struct nvme_ctrl_cfg *cfg, struct nvme_ctrl **ret_c);
/* Every queue is stopped first; @done on the loop's thread when nothing touches guest memory. */
void nvme_ctrl_destroy(struct nvme_ctrl *c, void (*done)(void *ctx), void *ctx);

/* The function to put on a bus. */
struct pci_func *nvme_ctrl_pci(struct nvme_ctrl *c);

/* nvme_ctrl_attach - namespace @nsid on @d (takes over the reference); the driver is told by an
 * asynchronous event. Returns 0, -EEXIST, -EINVAL. Loop's thread or before it runs. */
must_check int nvme_ctrl_attach(struct nvme_ctrl *c, uint32_t nsid, struct disk *d);
/* Commands in flight end with an error. Returns 0, -ENOENT. */
must_check int nvme_ctrl_detach(struct nvme_ctrl *c, uint32_t nsid);

/* What a broken controller does; tests and scenarios. Loop's thread. */
enum nvme_ctrl_fault {
	NVME_FAULT_NONE,
	NVME_FAULT_FATAL, /* CSTS.CFS */
	NVME_FAULT_GONE, /* every register reads all ones */
	NVME_FAULT_STUCK, /* no completion is posted any more */
	NVME_FAULT_NOT_READY, /* CSTS.RDY never comes */
};
void nvme_ctrl_fault(struct nvme_ctrl *c, enum nvme_ctrl_fault f);

void nvme_ctrl_inspect(struct inspect *in, const void *c);
