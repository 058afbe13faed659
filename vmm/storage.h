/* SPDX-License-Identifier: MIT */
/*
 * VTL0's disks: makes controllers and units of the VTL2 settings, finds what is behind them in
 * this VTL (NVMe namespaces and SCSI disks of the host), and follows changes while VTL0 runs.
 * Context: control loop. Spec: spec/get-vmgs.md 12, spec/storage-net.md 3.2.
 */
#pragma once

#include <stddef.h>
#include <stdint.h>

#include "diskio.h"
#include "gmem.h"
#include "hostdev.h"
#include "loop.h"
#include "macros.h"
#include "msi.h"

struct inspect;
struct pci_vtl0;
struct piix4_ide;
struct storage;
struct vmbus_server;

struct storage_cfg {
	struct loop *ctl;
	struct gmem *gm;
	struct vmbus_server *server;
	uint32_t vps;
	struct loop *(*vp_loop)(void *ctx, uint32_t vp); /* valid as long as the storage */
	void *ctx;
	struct piix4_ide *ide; /* NULL: the machine has none */
	struct pci_vtl0 *pci; /* NULL: no NVMe controllers */
	struct msi_sink msi; /* theirs */
	uint32_t wait_ms; /* for devices of the host to appear */
	enum disk_bounce bounce; /* how data of guest memory reaches the kernel */
	struct hostdev_roots roots; /* NULLs: the usual ones */
};

/**
 * storage_create - build what the settings say; waits for devices while it runs the control loop
 * @raw: the settings blob, NULL = none
 * Returns: 0; -errno with the reason logged. VTL0 is not running yet.
 */
must_check int storage_create(const struct storage_cfg *cfg, const void *raw, size_t len,
			      struct storage **ret_st);

/**
 * storage_modify - new settings while VTL0 runs
 * Everything that is needed is got first; when that fails, or wait_ms is over, nothing was changed.
 * @raw: used during the call only
 * @done: on the control loop, perhaps inside the call; err 0, or -errno with a JSON text for the
 * host (MODIFY_VTL2_SETTINGS_COMPLETED)
 * Returns: 0: done is called once, unless the storage is destroyed before; -EBUSY: one at a time
 */
must_check int storage_modify(struct storage *st, const void *raw, size_t len,
			      void (*done)(void *ctx, int err, const char *json), void *ctx);

/* VTL0 does not run and the server was reset, because nobody is there to let go of channels; the
 * threads of its VPs serve their loops still. Runs the control loop until all requests have ended.
 * Accepts NULL. */
void storage_destroy(struct storage *st);

/* Settings, controllers with their units and disks. */
void storage_inspect(struct inspect *in, const void *st);
