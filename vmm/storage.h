/* SPDX-License-Identifier: MIT */
/*
 * VTL0's disks: makes controllers and units of the VTL2 settings, finds what is behind them in
 * this VTL (NVMe namespaces and SCSI disks of the host), and follows changes while VTL0 runs.
 * Context: control loop. Spec: spec/get-vmgs.md 12, spec/storage-net.md 3.2.
 */
#pragma once

#include <stddef.h>
#include <stdint.h>

#include "gmem.h"
#include "loop.h"
#include "macros.h"

struct inspect;
struct machine;
struct storage;
struct vmbus_server;

struct storage_cfg {
	struct loop *ctl;
	struct gmem *gm;
	struct vmbus_server *server;
	uint32_t vps;
	struct loop *(*vp_loop)(void *ctx, uint32_t vp);
	void *ctx;
	uint32_t wait_ms; /* for devices of the host to appear */
};

/**
 * storage_create - build what the settings say; probes how guest memory reaches the kernel
 * @raw: the settings blob, NULL = none
 * Returns: 0; -errno with the reason logged. VTL0 is not running yet.
 */
must_check int storage_create(const struct storage_cfg *cfg, const void *raw, size_t len,
			      struct storage **ret_st);

/**
 * storage_modify - new settings while VTL0 runs
 * @done: on the control loop; err 0, or -errno with a JSON text for the host
 * (MODIFY_VTL2_SETTINGS_COMPLETED). One at a time: -EBUSY.
 */
must_check int storage_modify(struct storage *st, const void *raw, size_t len,
			      void (*done)(void *ctx, int err, const char *json), void *ctx);

/* VPs have stopped. Accepts NULL. */
void storage_destroy(struct storage *st);

void storage_inspect(struct inspect *in, const void *st);
