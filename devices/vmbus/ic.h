/* SPDX-License-Identifier: MIT */
/*
 * The part every integration component shares: the channel, version negotiation (the server speaks
 * first) and requests of which one is on its way at a time. A component embeds struct ic.
 * Context: the server's thread, for everything here. Trust: the guest is hostile; a message that
 * makes no sense closes the conversation until the guest opens the channel anew.
 * Spec: spec/vmbus.md chapter 8.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "ic_proto.h"
#include "macros.h"
#include "server.h"

struct ic;
struct inspect;

struct ic_ops {
	enum ic_type type;
	const struct ic_version *versions; /* best first */
	unsigned n_versions;
	/* Versions are agreed: requests may be sent. */
	void (*ready)(struct ic *ic);
	/* The answer to ic_request(); the body is a private copy of at most IC_BODY_MAX bytes. */
	void (*reply)(struct ic *ic, uint32_t status, const void *body, size_t len);
	/* The conversation ended: no answer will come. */
	void (*gone)(struct ic *ic);
};

#define IC_BODY_MAX 2060u

enum ic_state { IC_CLOSED, IC_NEGOTIATING, IC_READY };

struct ic {
	const struct ic_ops *ops;
	struct vmbus_chan *chan;
	enum ic_state state;
	bool waiting; /* a request is on its way */
	uint8_t transaction;
	struct ic_version fw, msg; /* agreed */
	uint64_t requests, replies, violations;
};

/**
 * ic_init - offer the component
 * Returns: 0; -errno of vmbus_chan_offer()
 */
must_check int ic_init(struct ic *ic, struct vmbus_server *s, const struct guid *interface_id,
		       const struct guid *instance_id, const struct ic_ops *ops);

/* Before the server is destroyed. */
void ic_fini(struct ic *ic);

/**
 * ic_request - send a request
 * Returns: 0: reply or gone follows; -ENOTCONN (no guest driver, or not agreed yet); -EBUSY (one is
 * on its way); -EAGAIN (the guest does not read)
 */
must_check int ic_request(struct ic *ic, const void *body, size_t len);

static inline uint32_t ic_agreed(const struct ic *ic)
{
	return IC_VERSION(ic->msg.major, ic->msg.minor);
}

/* State, versions, counters: an inspect_fn on the struct ic. */
void ic_inspect(struct inspect *in, const void *ic);
