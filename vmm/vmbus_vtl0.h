/* SPDX-License-Identifier: MIT */
/*
 * The VMBus that VTL0 sees: connects the channel server (server.h) with VTL0's hypercalls on the
 * one side and with HvPostMessageDirect and HvSignalEventDirect on the other. The server runs on
 * the control loop; VP threads only queue messages, and post the work of channels that are served
 * elsewhere. Trust: VTL0 is hostile. Spec: spec/vmbus.md 1.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "gmem.h"
#include "hvc.h"
#include "loop.h"
#include "macros.h"

struct inspect;
struct vcpu;
struct vmbus_server;
struct vmbus_vtl0;

struct vmbus_vtl0_cfg {
	struct gmem *gm;
	struct hvc *hvc;
	struct loop *ctl;
	uint32_t vps;
	/* NULL: VTL0 does not run (any more). Any thread. */
	struct vcpu *(*vcpu)(void *ctx, vpidx_t vp);
	void *ctx;
};

/* Returns: 0, -EINVAL, -ENOMEM. Context: control thread, before VPs run. */
must_check int vmbus_vtl0_create(const struct vmbus_vtl0_cfg *cfg, struct vmbus_vtl0 **ret_vb);
/* After VPs have stopped and the devices were destroyed. Accepts NULL. */
void vmbus_vtl0_destroy(struct vmbus_vtl0 *vb);

struct vmbus_server *vmbus_vtl0_server(struct vmbus_vtl0 *vb);

/*
 * For struct vcpu_env. Any VP thread, each for its own VP; none blocks. The first two: enum
 * hv_status. HV_INSUFFICIENT_BUFFERS: too much is waiting, VTL0 tries again.
 */
uint16_t vmbus_vtl0_post(struct vmbus_vtl0 *vb, vpidx_t vp, uint32_t connection, uint32_t type,
			 const void *payload, size_t len);
uint16_t vmbus_vtl0_signal(struct vmbus_vtl0 *vb, vpidx_t vp, uint32_t connection, uint16_t flag);
void vmbus_vtl0_sints_free(struct vmbus_vtl0 *vb, vpidx_t vp, uint16_t sints);

/* Server, connection and channels, and what is on its way: an inspect_fn. Control thread. */
void vmbus_vtl0_inspect(struct inspect *in, const void *vb);
