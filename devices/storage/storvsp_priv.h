/* SPDX-License-Identifier: MIT */
/*
 * Shared by the files of storvsp; nobody else includes this.
 *
 * Two sides: the owner's thread has the controller, its channels and its units; each open channel
 * is served (struct storvsp_serve) by the loop of its target VP. Neither touches what the other
 * side owns; they post each other. A work lies in the object it is about, and the owner frees an
 * object of a loop only after that loop has said that it is done with it: posts of one thread
 * arrive in order, so nothing older is on its way then.
 */
#pragma once

#include <stdatomic.h>

#include "list.h"
#include "loop.h"
#include "ring.h"
#include "scsi.h"
#include "server.h"
#include "storvsp.h"
#include "storvsp_proto.h"

struct gmem;
struct storvsp_serve;

#define STORVSP_MAX_TRANSFER (4u << 20)
#define STORVSP_MAX_PAGES (STORVSP_MAX_TRANSFER / KEEL_PAGE_SIZE + 1)
/* The largest packet body that is taken: ranges, page numbers and the request. */
#define STORVSP_MAX_BODY                                                     \
	((uint32_t)sizeof(struct storvsp_gpa_head) + STORVSP_MAX_PAGES * 8 + \
	 (uint32_t)sizeof(struct storvsp_packet))

/* ---- packets (storvsp_packet.c) -------------------------------------------------------------- */

/* A packet as it came, taken apart. */
struct storvsp_req {
	struct storvsp_packet pkt; /* short ones filled with zeros */
	uint32_t pkt_len; /* bytes of the packet that came */
	uint32_t range_bytes, range_offset;
	const uint8_t *pfns; /* in the caller's buffer */
	uint32_t n_pages;
};

/**
 * storvsp_parse - take a ring packet's body apart
 * @body: private copy, from the end of the descriptor on; stays in use as long as ret_req->pfns
 * Returns: 0; -EBADMSG: no packet of this protocol
 */
must_check int storvsp_parse(const struct ring_pkt *rp, const uint8_t *body,
			     struct storvsp_req *ret_req);

/**
 * storvsp_map - the first @bytes of a request's range as pieces of host memory, neighbours merged
 * @cap: room in @ret_iov
 * Returns: number of pieces; -EFAULT (not RAM); -EMSGSIZE (the range is shorter, or @cap too small)
 */
must_check int storvsp_map(struct gmem *gm, const struct storvsp_req *req, uint32_t bytes,
			   struct iovec *ret_iov, uint32_t cap);

/* The NT status that goes with an SRB status. */
uint32_t storvsp_nt_status(uint8_t srb_status);

/* ---- negotiation (storvsp_init.c) ------------------------------------------------------------ */

enum storvsp_state { STV_BEGIN, STV_VERSION, STV_PROPERTIES, STV_END, STV_READY };

struct storvsp_proto {
	enum storvsp_state state;
	uint16_t version;
};

struct storvsp_limits {
	uint16_t max_subchannels;
	uint32_t max_transfer;
};

enum storvsp_event { STV_NOTHING, STV_IS_READY, STV_SUBCHANNELS };

/* Is it part of the negotiation? */
bool storvsp_is_init(uint32_t op);

/* Answer a packet of the negotiation: @pkt becomes the reply. Returns what follows from it. */
enum storvsp_event storvsp_negotiate(struct storvsp_proto *p, const struct storvsp_limits *limits,
				     struct storvsp_packet *pkt);

/* ---- the serving side (storvsp_serve.c, storvsp_srb.c): thread of sv->loop ------------------- */

/* A unit on one channel. Made and freed by the owner, used by the loop in between. */
struct storvsp_port {
	struct list link; /* in sv->ports */
	struct storvsp_serve *sv;
	struct storvsp_lun *lun; /* the owner's */
	uint8_t target, num;
	struct scsi_queue *q; /* NULL: gone */
	bool going; /* acknowledged when its queue is empty */
	struct loop_work add, del, gone; /* the first two to the loop, the last to the owner */
};

struct storvsp_slot {
	struct list link; /* free or done */
	struct storvsp_serve *sv;
	uint64_t txid;
	uint32_t reply_len;
	struct storvsp_packet pkt;
	struct scsi_cmd cmd;
	struct iovec *iov;
};

enum storvsp_counter {
	STV_N_WAKEUPS, /* times it was run */
	STV_N_BELLS, /* because the guest signalled */
	STV_N_REQUESTS,
	STV_N_COMPLETIONS,
	STV_N_BATCHES, /* index updates with completions in them */
	STV_N_SIGNALS,
	STV_N_POLLS, /* runs that left the guest's signals off */
	STV_N_FULL, /* completions that found no room */
	STV_N_ABSENT, /* requests for units that are not there */
	STV_N_FAULTS, /* requests with memory that is not there */
	STV_N_VIOLATIONS,
	STV_N_COUNTERS,
};

/* What a guest's signal runs; outlives the channel (see vmbus_server_ops.bell). */
struct storvsp_bell {
	struct list link; /* in the channel's list; must be first */
	struct loop_work work;
	struct loop *loop;
	struct storvsp_serve *sv; /* the loop's: NULL = served elsewhere or not at all */
};

struct storvsp_serve {
	struct storvsp *s; /* the constant parts and the atomics of it */
	struct storvsp_chan *chan; /* the owner's: passed back in posts */
	struct loop *loop;
	struct storvsp_bell *bell;
	uint16_t index; /* 0 = primary */
	struct ring_in in;
	struct ring_out out;
	struct vmbus_irq irq;

	struct storvsp_slot *slots;
	struct iovec *iovs;
	unsigned depth, poll_depth, busy;
	struct list free, done;
	struct list ports;
	struct storvsp_port *map[STORVSP_TARGETS][STORVSP_LUNS];
	uint8_t *body; /* STORVSP_MAX_BODY bytes */

	bool started, failed;
	bool armed; /* the guest signals new requests */
	bool pumping;
	bool kicked; /* kick is on its way */
	bool draining; /* takes no requests, ends when all are answered */
	bool stopping; /* the same, but nothing is answered any more */
	bool stopped;
	bool notify; /* tell the guest to look for units */

	struct loop_work kick; /* completions are there; to its own loop */
	struct loop_work start, poke, rescan, drain, stop, abort; /* from the owner */
	struct loop_work ended, stop_seen, reset; /* to the owner */
	struct loop_timer backstop;
	uint64_t backstop_seen;
	bool unmask; /* the backstop saw no end of anything */

	_Atomic uint64_t count[STV_N_COUNTERS]; /* written by the loop's thread */
};

static inline void storvsp_count(struct storvsp_serve *sv, enum storvsp_counter which, uint64_t n)
{
	/* One writer; others only want to see whole numbers. */
	uint64_t now = atomic_load_explicit(&sv->count[which], memory_order_relaxed);

	atomic_store_explicit(&sv->count[which], now + n, memory_order_relaxed);
}

/* Owner: memory for a channel's service. Rings must be attached by the caller. */
struct storvsp_serve *storvsp_serve_alloc(struct storvsp_chan *chan, struct loop *loop);
void storvsp_serve_free(struct storvsp_serve *sv);
/* Owner: put a unit there, before the start. */
void storvsp_serve_plug(struct storvsp_serve *sv, struct storvsp_port *port);

/* Loop: run an SRB; ends in storvsp_slot_done(). */
void storvsp_execute(struct storvsp_slot *slot, const struct storvsp_req *req);
/* Loop: the slot's packet is the answer. */
void storvsp_slot_done(struct storvsp_slot *slot);

/* ---- the owner's side (storvsp.c, storvsp_chan.c) -------------------------------------------- */

struct storvsp_lun {
	struct list link; /* in s->leaving while it goes */
	struct storvsp *s;
	struct scsi_unit *u;
	uint8_t target, num;
	unsigned waiting; /* channels that still use it */
	void (*done)(void *ctx);
	void *ctx;
};

enum storvsp_run { RUN_CLOSED, RUN_SERVED, RUN_ENDING };
enum storvsp_after { AFTER_CLOSE, AFTER_MOVE, AFTER_REVOKE };

struct storvsp_chan {
	struct list link; /* in s->chans */
	struct storvsp *s;
	struct vmbus_chan *ch;
	uint16_t index;
	enum storvsp_run run;
	enum storvsp_after after; /* what follows RUN_ENDING */
	bool revoking;
	bool closing; /* the server waits for vmbus_chan_close_done() */
	bool ended; /* the loop is done */
	bool stop_sent, stop_seen;
	unsigned going; /* ports that leave */
	struct storvsp_serve *sv;
	struct storvsp_port *ports[STORVSP_TARGETS][STORVSP_LUNS];
	struct list bells;
	uint64_t past[STV_N_COUNTERS];
	uint64_t opens, moves;
};

struct storvsp {
	/* constant */
	struct storvsp_cfg cfg;
	struct storvsp_wiring w;
	struct storvsp_limits limits;
	uint32_t max_iov;
	/* the owner's */
	struct list chans;
	struct storvsp_lun *luns[STORVSP_TARGETS][STORVSP_LUNS];
	struct list leaving;
	uint16_t subchannels; /* offered */
	bool dying;
	bool revoking; /* the channels, right now */
	void (*done)(void *ctx);
	void *ctx;
	struct loop_work ready_work, sub_work; /* from the primary's loop */
	/* the loop of the primary channel's */
	struct storvsp_proto proto;
	/* shared */
	_Atomic uint32_t version; /* negotiated; 0: not ready */
	_Atomic uint32_t sub_wanted; /* sub-channels asked for */
};

/* storvsp_chan.c */
must_check int storvsp_chan_offer(struct storvsp *s, uint16_t index);
struct storvsp_chan *storvsp_chan_find(struct storvsp *s, uint16_t index);
void storvsp_chan_revoke(struct storvsp_chan *c);
must_check int storvsp_chan_plug(struct storvsp_chan *c, struct storvsp_lun *lun);
/* Returns: must the channel be waited for? */
bool storvsp_chan_unplug(struct storvsp_chan *c, struct storvsp_lun *lun);
void storvsp_chan_rescan(struct storvsp *s);
void storvsp_chan_ended(void *chan); /* work: the loop is done with the channel */
void storvsp_chan_stop_seen(void *chan); /* work: it has taken the stop */
void storvsp_chan_reset(void *chan); /* work: the guest reset the bus */
void storvsp_chan_port_gone(void *port); /* work */

/* storvsp.c */
void storvsp_lun_left(struct storvsp_lun *lun); /* one channel less uses it */
void storvsp_settle(struct storvsp *s); /* the end of it, when it is time */
