/* SPDX-License-Identifier: MIT */
/*
 * storvsp: SCSI controllers and IDE accelerator channels over VMBus. The controller belongs to the
 * owner's thread of the VMBus server; each open channel is served on the loop of its target VP.
 * Trust: VTL0 is hostile. Spec: spec/storage-net.md 1.
 */
#pragma once

#include <stdbool.h>
#include <stdint.h>

#include "guid.h"
#include "macros.h"
#include "scsi.h"

struct gmem;
struct inspect;
struct loop;
struct storvsp;
struct vmbus_server;

#define STORVSP_TARGETS 2u
#define STORVSP_LUNS 64u
#define STORVSP_MAX_SUBCHANNELS 256u

struct storvsp_cfg {
	struct guid instance;
	bool ide; /* accelerator of one IDE disk: path and target are its place */
	uint8_t ide_path, ide_target;
	uint16_t max_subchannels; /* 0..STORVSP_MAX_SUBCHANNELS */
	uint32_t queue_depth; /* requests in flight per channel, 1..1024 */
	uint32_t poll_depth; /* with so many in flight the guest is not asked to signal; 0 = 1 */
	uint32_t max_transfer; /* bytes per request, multiple of 4096; 0 = 256 KiB */
};

struct storvsp_wiring {
	struct vmbus_server *server;
	struct loop *owner; /* of the server's thread */
	struct gmem *gm; /* what requests may point at */
	struct loop *(*vp_loop)(void *ctx, uint32_t vp); /* who serves channels of that VP */
	void *ctx;
};

/**
 * storvsp_create - offer a controller without disks
 * Returns: 0, -EINVAL, -EEXIST (same instance), -ENOMEM. Context: owner's thread.
 */
must_check int storvsp_create(const struct storvsp_cfg *cfg, const struct storvsp_wiring *w,
			      struct storvsp **ret_s);

/* Withdraw it. @done: on the owner's thread when every request has ended and all is freed. */
void storvsp_destroy(struct storvsp *s, void (*done)(void *ctx), void *ctx);

/**
 * storvsp_attach - put a unit at (path 0, target, lun); the guest is told when it runs
 * Takes over the reference to @u on success. Returns: 0; -EEXIST; -EINVAL. Owner's thread.
 */
must_check int storvsp_attach(struct storvsp *s, uint8_t target, uint8_t lun, struct scsi_unit *u);

/**
 * storvsp_detach - take it away; requests in flight end with an error
 * @done: on the owner's thread once nothing touches the unit; may be NULL. Returns: 0, -ENOENT.
 */
must_check int storvsp_detach(struct storvsp *s, uint8_t target, uint8_t lun,
			      void (*done)(void *ctx), void *ctx);

/* A unit has another size: the guest is asked to look at all of them. It hears of it with its next
 * command in any case; this is for a guest that sends none. Owner's thread. */
void storvsp_rescan(struct storvsp *s);

/* Channels, state, counters (requests, wake-ups, signals, batches): inspect_fn. Owner's thread. */
void storvsp_inspect(struct inspect *in, const void *s);
