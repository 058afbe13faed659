/* SPDX-License-Identifier: MIT */
/*
 * VMBus client: the conversation a relay has with the host's server on behalf of another VTL.
 * Messages go out in order through a bounded queue; nothing blocks. Context: one thread, the
 * owner's. Trust: the host is hostile; what it says is checked for form here, for sense by the
 * user. Spec: spec/vmbus.md chapter 2, 6.1.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "guid.h"
#include "macros.h"
#include "vmbus_proto.h"

struct inspect;
struct loop;
struct vmbus_client;

struct vmbus_client_ops {
	/* Give the host one message. 0; -EAGAIN: not now, try again; other errors end it. */
	int (*post)(void *ctx, uint32_t connection_id, const void *msg, size_t len);
	/* The host took us (@version) or refuses (0). */
	void (*connected)(void *ctx, uint32_t version);
	void (*offer)(void *ctx, const struct vmbus_offer *offer);
	void (*rescinded)(void *ctx, uint32_t chan_id);
	void (*opened)(void *ctx, uint32_t chan_id, bool ok);
	void (*gpadl_created)(void *ctx, uint32_t chan_id, uint32_t gpadl, bool ok);
	void (*gpadl_torndown)(void *ctx, uint32_t gpadl);
	void (*modified)(void *ctx, uint32_t chan_id, bool ok);
};

struct vmbus_client_cfg {
	const struct vmbus_client_ops *ops;
	void *ctx;
	struct loop *loop;
	uint32_t connection_id; /* of the first contact */
	uint8_t vtl; /* whose channels they are */
	uint32_t features; /* VMBUS_FEAT_* wanted */
	uint32_t needed; /* of these, the ones without which it is of no use */
	struct guid client_id;
};

must_check int vmbus_client_create(const struct vmbus_client_cfg *cfg, struct vmbus_client **ret_c);
/* Nothing is told to the host. Accepts NULL. */
void vmbus_client_destroy(struct vmbus_client *c);

/* Begin: ops->connected follows, then offers. */
void vmbus_client_connect(struct vmbus_client *c);

/* A message of the host: private copy. */
void vmbus_client_message(struct vmbus_client *c, const void *raw, size_t len);

struct vmbus_client_open {
	uint32_t chan_id, ring_gpadl, target_vp, downstream_page;
	uint8_t user[VMBUS_USER_DATA];
	uint32_t connection_id; /* what the other VTL signals */
	uint16_t event_flag; /* what is to be raised there */
	bool redirect_interrupt;
};

/* Requests; their answers come by the ops. After an error of the transport they do nothing. */
void vmbus_client_open(struct vmbus_client *c, const struct vmbus_client_open *o);
void vmbus_client_close(struct vmbus_client *c, uint32_t chan_id);
void vmbus_client_release(struct vmbus_client *c, uint32_t chan_id);
void vmbus_client_modify(struct vmbus_client *c, uint32_t chan_id, uint32_t target_vp);

/* @words: @n_words u64 as in a GPADL message: each range's head, then its page numbers. */
void vmbus_client_gpadl(struct vmbus_client *c, uint32_t chan_id, uint32_t gpadl, uint16_t n_ranges,
			const uint64_t *words, uint32_t n_words);
void vmbus_client_teardown(struct vmbus_client *c, uint32_t chan_id, uint32_t gpadl);

/* Version agreed, 0 = not connected. */
uint32_t vmbus_client_version(const struct vmbus_client *c);

/* An inspect_fn on the struct vmbus_client. */
void vmbus_client_inspect(struct inspect *in, const void *c);
