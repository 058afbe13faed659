/* SPDX-License-Identifier: MIT */
/*
 * A VMBus guest for tests: memory, a connection to a channel server in the same process, and the
 * guest's ends of its channels. Nothing is asynchronous: vmguest_step() delivers what is pending.
 */
#pragma once

#include <stdatomic.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "gmem.h"
#include "guid.h"
#include "loop.h"
#include "pipe.h"
#include "server.h"

#define VMGUEST_PAGES 4096u
#define VMGUEST_BASE 0x100000ull
#define VMGUEST_MAX_MSGS 512
#define VMGUEST_MESSAGE_ID 0x800024u

struct vmguest_msg {
	uint32_t vp;
	size_t len;
	uint8_t raw[VMBUS_MAX_MESSAGE];
};

struct vmguest_chan {
	uint32_t id;
	uint32_t gpadl;
	struct vmbus_offer offer;
	struct pipe pipe; /* the guest's end */
	void *pages[64];
	bool host_signal; /* the host must look */
	atomic_bool guest_signal; /* the guest was interrupted */
	atomic_uint interrupts;
	uint32_t last_vp; /* where the last interrupt went */
	bool open;
};

struct vmguest {
	struct gmem *gm;
	uint8_t *mem;
	uint32_t next_page;
	uint32_t next_gpadl;
	struct vmbus_server *server;
	struct loop *loop; /* of the server; runs when the test polls it */
	uint8_t sint; /* where messages are expected */
	struct vmguest_msg msgs[VMGUEST_MAX_MSGS]; /* what the server posted, oldest first */
	unsigned n_msgs;
	uint32_t ports[VMBUS_MAX_CHANNELS];
	uint32_t version_told;
	struct vmguest_chan chans[16];
	unsigned n_chans;
};

/* Memory and a server for a VTL2 client with these limits. Aborts the test on failure. */
void vmguest_init(struct vmguest *g, uint32_t max_version, uint32_t features);
void vmguest_fini(struct vmguest *g);

/* Send a message / take the oldest posted one (NULL when none; valid until the next call). */
void vmguest_send(struct vmguest *g, const void *msg, size_t len);
const struct vmguest_msg *vmguest_take(struct vmguest *g);

/* Take the oldest message, which must be of this type. */
const struct vmguest_msg *vmguest_expect(struct vmguest *g, uint32_t type);

/* Version negotiation and offers: afterwards msgs holds what followed VERSION_RESPONSE. */
void vmguest_contact(struct vmguest *g, uint32_t version, uint32_t features);

/* Take offers up to ALL_OFFERS_DELIVERED; returns how many. */
unsigned vmguest_offers(struct vmguest *g);

/* The offered channel with this instance (or interface), or NULL. */
struct vmguest_chan *vmguest_find(struct vmguest *g, const struct guid *instance);

/* GPADL over fresh pages in any number of messages; returns its id. The first page: *ret_page. */
uint32_t vmguest_gpadl(struct vmguest *g, uint32_t chan, uint32_t n_pages, uint32_t *ret_page);

/* GPADL and OPEN; true when the result is success. The guest's pipe is attached. */
bool vmguest_open(struct vmguest *g, struct vmguest_chan *c, uint32_t pages_each);

/* The guest's end of rings that begin at this page. */
void vmguest_attach(struct vmguest *g, struct vmguest_chan *c, uint32_t page, uint32_t pages_each);

/* Deliver signals both ways until there are none. */
void vmguest_step(struct vmguest *g);
