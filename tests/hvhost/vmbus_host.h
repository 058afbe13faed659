/* SPDX-License-Identifier: MIT */
/*
 * The host's end of VMBus: message and event ports that VTL2's hypercalls reach, the channel server
 * of VTL2 behind them, and delivery into SynIC slots. VP threads only queue; everything else runs
 * on the device thread's loop. Trust: both VTLs are hostile. Spec: spec/vmbus.md chapters 1 and 2,
 * spec/hypervisor.md 5.4.
 */
#pragma once

#include <stddef.h>
#include <stdint.h>

#include "gmem.h"
#include "hvcall.h"
#include "hvmsg.h"
#include "loop.h"
#include "macros.h"

struct vmbus_host;
struct vmbus_server;

/* What the KVM core offers. Called on the device thread only. Both may kick the VP. */
struct vmbus_host_synic_ops {
	/*
	 * Put the message into slot @sint of (@vtl, @vp) and raise the SINT.
	 * HV_OK; HV_OBJECT_IN_USE: the slot is taken: set its message_pending flag and call
	 * vmbus_host_slot_free() when the guest has freed it and written EOM; any other status: not
	 * deliverable now (SINT masked, pages off): tried again later, then dropped.
	 */
	enum hv_status (*post_message)(void *ctx, uint8_t vtl, uint32_t vp, uint8_t sint,
				       const struct hv_message *msg);
	/* Set event flag @flag (0..2047) of @sint and raise the SINT if it was clear. */
	enum hv_status (*signal_event)(void *ctx, uint8_t vtl, uint32_t vp, uint8_t sint,
				       uint16_t flag);
};

struct vmbus_host_cfg {
	struct gmem *gm; /* everything VTL2 may point a ring at */
	struct gmem *vtl0_gm; /* the same for VTL0; NULL: no channels for VTL0 */
	struct loop *loop; /* of the device thread */
	uint32_t vps;
	const struct vmbus_host_synic_ops *synic;
	void *ctx;
	/* VTL2's kernel agreed on a version (device thread); may be NULL. */
	void (*connected)(void *ctx, uint32_t version);
};

/**
 * vmbus_host_create / vmbus_host_destroy
 * Returns: 0, -ENOMEM, -EINVAL. Context: before VPs run / after they have stopped and after the
 * devices that offer channels were destroyed.
 */
must_check int vmbus_host_create(const struct vmbus_host_cfg *cfg, struct vmbus_host **ret_vh);
void vmbus_host_destroy(struct vmbus_host *vh);

/* The server to offer VTL2's channels on. */
struct vmbus_server *vmbus_host_server(struct vmbus_host *vh);

/* The one for VTL0's channels, reached through the paravisor's relay. NULL: there is none. */
struct vmbus_server *vmbus_host_vtl0_server(struct vmbus_host *vh);

/**
 * vmbus_host_post - HvPostMessage
 * @caller_vtl: the VTL that made the hypercall
 * @payload: private copy of @size bytes (0..240)
 * Returns: HV_OK; HV_INVALID_CONNECTION_ID (no such port: in VTL0 raise the unknown-connection
 * intercept if installed); HV_OPERATION_DENIED; HV_INSUFFICIENT_BUFFERS (queue full: the guest
 * tries again); HV_INVALID_PARAMETER. Context: any thread, does not block.
 */
enum hv_status vmbus_host_post(struct vmbus_host *vh, uint8_t caller_vtl, uint32_t connection_id,
			       uint32_t type, const void *payload, size_t size);

/* HvSignalEvent: as above. */
enum hv_status vmbus_host_signal(struct vmbus_host *vh, uint8_t caller_vtl, uint32_t connection_id,
				 uint16_t flag);

/* The guest freed a slot that had message_pending set (EOM). Any thread, does not block. */
void vmbus_host_slot_free(struct vmbus_host *vh, uint8_t vtl, uint32_t vp, uint8_t sint);
