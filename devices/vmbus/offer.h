/* SPDX-License-Identifier: MIT */
/*
 * The offer message of a channel: what its kind implies, and what the agreed version hides.
 * Spec: spec/vmbus.md 2.4.
 */
#pragma once

#include "server.h"
#include "vmbus_proto.h"

/* The part that never changes: identity, flags, pipe type. Connection id is 0. */
void offer_fill(struct vmbus_offer *ret_offer, const struct vmbus_chan_cfg *cfg, uint32_t chan_id);

/* What a client with these features may see of it. */
struct vmbus_offer offer_for_client(const struct vmbus_offer *offer, uint32_t features,
				    uint8_t vtl);

/* The order in which offers are made: by interface, instance, subchannel. <0, 0, >0. */
int offer_cmp(const struct vmbus_offer *a, const struct vmbus_offer *b);
