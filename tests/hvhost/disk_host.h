/* SPDX-License-Identifier: MIT */
/*
 * Disks towards VTL2: NVMe controllers behind VPCI channels, with namespaces on files or RAM. A
 * disk can appear, go in order or by surprise, and misbehave while the VM runs.
 * Context: the device thread, or before it and VPs run. Trust: VTL2 is hostile; that is dealt with
 * by the controller and channel models. Spec: spec/storage-net.md 4, 5, 9.3.
 */
#pragma once

#include <stddef.h>
#include <stdint.h>

#include "disk_opt.h"
#include "diskio.h"
#include "macros.h"
#include "nvme_ctrl.h"

struct disk_host;
struct gmem;
struct loop;
struct pci_host;
struct vmbus_server;

struct disk_host_cfg {
	struct vmbus_server *server;
	struct loop *loop;
	struct gmem *gm; /* what VTL2 may name for data */
	struct pci_host *pci;
	uint32_t vps;
	const struct disk_opt *opts; /* copied */
	unsigned n;
};

/**
 * disk_host_create - open every disk, offer those that are there from the start
 * @ret_why: a sentence on failure. Returns: 0, -errno.
 */
must_check int disk_host_create(const struct disk_host_cfg *cfg, struct disk_host **ret_dh,
				char *ret_why, size_t size);

/* VPs have stopped and the loop does not run: it is driven here until everything is done. Resets
 * the server's connection. Accepts NULL. */
void disk_host_destroy(struct disk_host *dh);

/* The disk with that id: its number, or -ENOENT. */
int disk_host_find(const struct disk_host *dh, const char *id);

unsigned disk_host_count(const struct disk_host *dh);

/* Where disk @i is; @ret_p->id and the like stay valid. Returns: is it there now? */
bool disk_host_place(const struct disk_host *dh, unsigned i, struct disk_place *ret_p);

/**
 * disk_host_add / disk_host_remove - a namespace appears on, or disappears from, its controller
 * A controller of the disk's own comes and goes with it.
 * Returns: 0; -EEXIST / -ENOENT (it is there / not there already); -EBUSY (its controller has not
 * gone yet); -errno.
 */
must_check int disk_host_add(struct disk_host *dh, unsigned i);
must_check int disk_host_remove(struct disk_host *dh, unsigned i);

/**
 * disk_host_rescind - take the disk's controller away at once, with every disk that is on it
 * @eject: ask VTL2 to let go of it instead
 * Returns: 0; -ENOENT (it is not there).
 */
must_check int disk_host_rescind(struct disk_host *dh, unsigned i, bool eject);

/**
 * disk_host_resize - the disk has so many bytes from now on
 * Returns: 0; -EINVAL (not whole sectors); -EFBIG (more than the block device has); -errno.
 */
must_check int disk_host_resize(struct disk_host *dh, unsigned i, uint64_t bytes);

/* What happens to requests, as disk_fault_set(). */
void disk_host_fault(struct disk_host *dh, unsigned i, const struct disk_fault *f);

/* What its controller does. Returns 0, -ENOENT (it is not there). */
must_check int disk_host_ctrl_fault(struct disk_host *dh, unsigned i, enum nvme_ctrl_fault f);

/* What the disk is now. */
void disk_host_info(const struct disk_host *dh, unsigned i, struct disk_info *ret_info);
