/* SPDX-License-Identifier: MIT */
#include "offer.h"

#include "le.h"

#include <string.h>

#define MONITOR_NONE 0xff

/* user[] of an hvsock channel: pipe type, then these at odd offsets. */
#define HVSOCK_FOR_GUEST_ACCEPT 4
#define HVSOCK_VERSION 6
#define HVSOCK_VERSION_RS5 1u

void offer_fill(struct vmbus_offer *ret_offer, const struct vmbus_chan_cfg *cfg, uint32_t chan_id)
{
	struct vmbus_offer o = { .h.type = VMBUS_OFFER_CHANNEL,
				 .interface_id = cfg->interface_id,
				 .instance_id = cfg->instance_id,
				 .mmio_mb = cfg->mmio_mb,
				 .subchannel = cfg->subchannel,
				 .chan_id = chan_id,
				 .monitor_id = MONITOR_NONE,
				 .dedicated_interrupt = 1 };

	switch (cfg->kind) {
	case VMBUS_CHAN_RAW:
		o.flags = cfg->interface ? VMBUS_OFFER_ENUMERATE : 0;
		if (cfg->user)
			memcpy(o.user, cfg->user, sizeof(o.user));
		break;
	case VMBUS_CHAN_PIPE:
		o.flags = VMBUS_OFFER_ENUMERATE | VMBUS_OFFER_NAMED_PIPE;
		le32_store(o.user, VMBUS_PIPE_MESSAGE);
		break;
	case VMBUS_CHAN_HVSOCK:
		o.flags = VMBUS_OFFER_ENUMERATE | VMBUS_OFFER_NAMED_PIPE | VMBUS_OFFER_TLNPI;
		le32_store(o.user, VMBUS_PIPE_BYTE);
		o.user[HVSOCK_FOR_GUEST_ACCEPT] = cfg->hvsock_from_host;
		le32_store(o.user + HVSOCK_VERSION, HVSOCK_VERSION_RS5);
		break;
	case VMBUS_CHAN_RELAYED:
		/* Monitors, ids and what only a trusted host may claim are not passed on. */
		o.flags = cfg->relayed->flags & (uint16_t) ~(VMBUS_OFFER_CONFIDENTIAL_RING |
							     VMBUS_OFFER_CONFIDENTIAL_EXTERNAL);
		o.mmio_mb = cfg->relayed->mmio_mb;
		o.mmio_optional_mb = cfg->relayed->mmio_optional_mb;
		memcpy(o.user, cfg->relayed->user, sizeof(o.user));
		break;
	}
	*ret_offer = o;
}

struct vmbus_offer offer_for_client(const struct vmbus_offer *offer, uint32_t features, uint8_t vtl)
{
	struct vmbus_offer o = *offer;

	if (!(features & VMBUS_FEAT_CONFIDENTIAL))
		o.flags &= (uint16_t) ~(VMBUS_OFFER_CONFIDENTIAL_RING |
					VMBUS_OFFER_CONFIDENTIAL_EXTERNAL);
	if (!(features & VMBUS_FEAT_GPA_PINNING))
		o.flags &= (uint16_t)~VMBUS_OFFER_PINNED_EXTERNAL;
	o.connection_id = VMBUS_EVENT_ID(o.chan_id, VMBUS_SINT, vtl);
	return o;
}

int offer_cmp(const struct vmbus_offer *a, const struct vmbus_offer *b)
{
	int r = memcmp(&a->interface_id, &b->interface_id, sizeof(a->interface_id));

	if (!r)
		r = memcmp(&a->instance_id, &b->instance_id, sizeof(a->instance_id));
	return r ? r : (int)a->subchannel - (int)b->subchannel;
}
