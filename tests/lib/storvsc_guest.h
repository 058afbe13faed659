/* SPDX-License-Identifier: MIT */
/*
 * A guest with a storvsc driver, in the test's process: memory, a connection to a real channel
 * server, rings, and threads that run the loops of its VPs. The test's thread is the owner of the
 * server and of everything that belongs to the owner; a channel's guest side may be used by one
 * thread at a time. Aborts the test on failure.
 */
#pragma once

#include <pthread.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>

#include "bug.h"
#include "gmem.h"
#include "ring.h"
#include "server.h"
#include "storvsp.h"
#include "storvsp_proto.h"

#define SG_BASE 0x200000ull
#define SG_PAGES 16384u
#define SG_MAX_VPS 8u
#define SG_MAX_CHANS 300u
#define SG_MAX_REQS 256u /* of a channel, in flight */
#define SG_RING_PAGES 17u /* of one direction, control page included */

struct sg_req {
	bool used, done;
	struct storvsp_packet reply;
	uint32_t reply_len;
};

struct sg_chan {
	uint32_t id;
	struct vmbus_offer offer;
	bool rescinded, open;
	uint32_t gpadl, vp;
	gpa_t ring; /* both directions */
	uint32_t out_in; /* where the next packet goes */
	struct ring_in in;
	atomic_uint interrupts;
	atomic_uint last_vp;
	unsigned completions, notices;
	struct sg_req reqs[SG_MAX_REQS]; /* by transaction id - 1 */
	/* ops->bell */
	struct loop *_Atomic bell_loop;
	struct loop_work *_Atomic bell_work;
	_Atomic unsigned bell_looks; /* signals that read the two above */
	unsigned signals; /* sent */
};

struct sg {
	struct gmem *gm;
	uint8_t *mem;
	uint32_t next_page, next_gpadl;
	struct vmbus_server *server;
	struct loop *owner;
	unsigned vps;
	bool inl; /* no threads */
	struct loop *loops[SG_MAX_VPS];
	pthread_t threads[SG_MAX_VPS];
	struct sg_chan *chans[SG_MAX_CHANS];
	atomic_uint n_chans;
	bool offers_done;
	unsigned modified; /* answers to MODIFY_CHANNEL */
	unsigned torn; /* GPADLs that are the guest's again */
	uint32_t open_status;
};

/* Memory, loops and their threads, a server with a client that has asked for offers. */
void sg_init(struct sg *g, unsigned vps);
/* The same with one VP whose loop is the owner's: everything happens in loop_poll(g->owner). */
void sg_init_inline(struct sg *g);
void sg_fini(struct sg *g); /* everything of the owner's must be gone */
struct storvsp_wiring sg_wiring(struct sg *g);

/* Let the owner's loop work. sg_until: until @cond, at most 20 s. */
void sg_step(struct sg *g);
#define sg_until(g, cond)                                    \
	do {                                                 \
		for (int left_ = 200000; !(cond); left_--) { \
			BUG_ON(left_ <= 0);                  \
			sg_step(g);                          \
		}                                            \
	} while (0)

/* The channel with that sub-channel index that was not rescinded, or NULL. */
struct sg_chan *sg_find(struct sg *g, uint16_t index);
/* Open it with its interrupts at @vp. Returns the status. */
uint32_t sg_open(struct sg *g, struct sg_chan *c, uint32_t vp);
/* CLOSE and GPADL_TEARDOWN; the answer to the latter comes when the host has let go. */
void sg_close(struct sg *g, struct sg_chan *c);
void sg_teardown(struct sg *g, struct sg_chan *c);
void sg_release(struct sg *g, struct sg_chan *c); /* RELID_RELEASED after a rescind */
void sg_modify(struct sg *g, struct sg_chan *c, uint32_t vp);
/* The client goes away. */
void sg_reset(struct sg *g);

/* Fresh guest pages that lie together. */
gpa_t sg_pages(struct sg *g, uint32_t n);
uint8_t *sg_at(struct sg *g, gpa_t gpa);

/* A packet: in-band when @n_pfns is 0, else GPA-direct with one range. False: the ring is full. */
bool sg_send_raw(struct sg *g, struct sg_chan *c, uint16_t flags, uint64_t txid, const void *pkt,
		 uint32_t len, uint32_t bytes, uint32_t offset, const uint64_t *pfns,
		 uint32_t n_pfns);
/* Make what was sent visible; signal when the host wants it. */
void sg_commit(struct sg *g, struct sg_chan *c);
/* The host's doorbell, whether it wants it or not. */
void sg_signal(struct sg *g, struct sg_chan *c);
/* Take what the host has put: completions end their requests. */
void sg_poll(struct sg *g, struct sg_chan *c);

/* A packet of the protocol, and its answer. */
struct storvsp_packet sg_call(struct sg *g, struct sg_chan *c, const struct storvsp_packet *pkt,
			      uint32_t len);
/* The whole negotiation on the primary channel. */
void sg_negotiate(struct sg *g, struct sg_chan *c, uint16_t version);

struct sg_cmd {
	uint8_t cdb[16];
	uint8_t path, target, lun;
	uint8_t data_in; /* STORVSP_DATA_* */
	gpa_t data; /* @len bytes that lie together; or: */
	const uint64_t *pfns;
	uint32_t offset, len;
	uint32_t timeout;
};

/* Put a command into the ring (visible after sg_commit()). Its transaction id; 0: no room. */
uint64_t sg_start(struct sg *g, struct sg_chan *c, const struct sg_cmd *cmd);
/* Has it ended? Then its answer, and the id is free. */
bool sg_ended(struct sg_chan *c, uint64_t txid, struct storvsp_srb *ret_srb);
/* Start, commit, wait. */
struct storvsp_srb sg_run(struct sg *g, struct sg_chan *c, const struct sg_cmd *cmd);
/* READ(10) and WRITE(10). */
struct sg_cmd sg_rw(uint8_t lun, bool write, uint32_t lba, uint16_t blocks, gpa_t data);
