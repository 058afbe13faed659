/* SPDX-License-Identifier: MIT */
/*
 * Between the generic half of a disk (disk.c, disk_queue.c) and its back ends. Nobody else includes
 * this.
 *
 * A request takes a slot of its queue and becomes one part, or several when it is larger than the
 * back end takes at once, crosses a boundary, or has pieces of memory that need a copy. A back end
 * sees parts only: each fits its limits. Most requests are one part that uses the request's own
 * pieces; the others draw parts, and bounce memory, from small pools of the queue and wait in line
 * when these are empty. All on the queue's thread.
 */
#pragma once

#include <pthread.h>
#include <stdatomic.h>

#include "bounce.h"
#include "diskio.h"
#include "loop.h"

#define DISK_MAX_DEPTH 1024u
#define DISK_POOL_PARTS 8u /* of a queue, besides one per slot */
#define DISK_PART_IOV 256u /* most pieces of a part that was cut out of a request */
#define DISK_TIMEOUT_MS 30000u /* of a request that does not say */
#define DISK_NAME_MAX 64u

struct disk_part;
struct disk_slot;

/* What a back end takes at once. 0 = no limit, unless said otherwise. */
struct disk_limits {
	uint32_t max_bytes; /* of a data part; multiple of the block size */
	uint32_t max_iov; /* pieces, >= DISK_PART_IOV */
	uint32_t max_pages; /* pages that the pieces may touch */
	uint32_t addr_mask; /* bits that must be clear in addresses of pieces ... */
	uint32_t len_mask; /* ... and in their lengths, ... */
	uint32_t gap_mask; /* ... and in the address where one ends and the next begins */
	uint32_t chunk_blocks; /* no data part crosses a multiple of this */
	uint32_t max_unmap_blocks, max_zero_blocks, max_verify_blocks;
	bool zeroes; /* does DISK_WRITE_ZEROES; else zeros are written */
	bool verify; /* does DISK_VERIFY; else blocks are read and dropped */
	bool bounce; /* nothing of the guest's memory may be given to start() */
};

struct disk_ops {
	const char *kind;
	void (*destroy)(struct disk *d); /* frees it */
	/* State of a queue (q->be); both optional. */
	int (*queue_init)(struct disk_queue *q);
	void (*queue_fini)(struct disk_queue *q);
	/* Begin. 0: exactly one of disk_part_done, _fault, _sleep follows (never inside), or _later
	 * (inside). -EAGAIN: asked again soon. -errno: it failed. */
	int (*start)(struct disk_part *p);
	/* Make it end soon; it ends all the same, with whatever status. */
	void (*cancel)(struct disk_part *p);
	/* Call disk_set_info() or disk_set_gone() from now on when something changes; NULL: no
	 * more. On the thread of the loop that watches. Optional. */
	void (*watch)(struct disk *d, struct loop *loop);
	void (*inspect)(struct inspect *in, const struct disk *d); /* more entries; optional */
};

enum disk_stat {
	DISK_N_READ,
	DISK_N_WRITE,
	DISK_N_FLUSH,
	DISK_N_UNMAP,
	DISK_N_OTHER,
	DISK_N_READ_BYTES,
	DISK_N_WRITE_BYTES,
	DISK_N_DIRECT, /* requests whose memory the kernel or the device used itself */
	DISK_N_DIRECT_BYTES,
	DISK_N_BOUNCED, /* requests of which at least some bytes were copied here */
	DISK_N_BOUNCED_BYTES,
	DISK_N_SPLIT,
	DISK_N_ERRORS,
	DISK_N_TIMEOUTS,
	DISK_N_ABORTS,
	DISK_N_RETRIES,
	DISK_N_FAULTS, /* memory that the kernel could not pin after all */
	DISK_N_WAITS, /* a request that had to wait for a part or bounce memory */
	DISK_STATS,
};

#define DISK_INFO_WORDS ((sizeof(struct disk_info) + 7) / 8)

struct disk {
	const struct disk_ops *ops;
	struct disk_limits lim;
	char name[DISK_NAME_MAX];
	atomic_uint refs;
	atomic_bool gone;
	/* The snapshot: odd while it is written. */
	_Atomic uint32_t seq;
	_Atomic uint64_t info[DISK_INFO_WORDS];

	pthread_mutex_t lock; /* protects: writes of info, queues, totals, watch; rank: leaf */
	struct list queues;
	uint64_t totals[DISK_STATS]; /* of queues that are gone */
	struct loop *watch_loop;
	void (*watch_fn)(void *ctx);
	void *watch_ctx;
	struct loop_work watch_work;
	bool watch_queued; /* holds a reference */
};

enum part_state { PART_IDLE, PART_STARTED, PART_SLEEPING, PART_LATER };

/* One transfer, or one command. */
struct disk_part {
	/* for the back end */
	struct disk_queue *q;
	const struct disk_req *req; /* for req->pr; data and ranges are below */
	enum disk_op op;
	uint32_t flags;
	uint64_t lba;
	uint32_t blocks; /* of FLUSH, PR_IN, PR_OUT: 0 */
	const struct iovec *iov;
	uint32_t n_iov;
	uint64_t bytes;
	union {
		struct loop_io io;
		struct disk_req sub; /* of back ends that use other disks */
	};
	uint8_t step; /* 0 at first; the back end's own afterwards */
	uint8_t retries; /* 0 at first */
	_Alignas(16) uint8_t small[32]; /* memory for a command's parameters */
	/* private to disk_queue.c */
	enum part_state state;
	uint16_t status;
	bool pooled, discard;
	struct disk_slot *slot;
	struct list of_slot, link;
	uint64_t wake_ns;
	void *run; /* bounce memory */
	struct iovec one;
	struct iov_pos pos; /* where in the request's pieces it begins */
	struct iovec *cut; /* pieces of its own; of pooled parts only */
};

struct disk_slot {
	struct disk_req *req;
	struct list link; /* in free or active */
	struct list wait; /* in starved, or alone */
	struct list parts;
	uint64_t deadline_ns;
	uint32_t total, issued; /* blocks; of FLUSH, PR_IN, PR_OUT: 1 */
	struct iov_pos pos;
	uint32_t in_flight;
	uint16_t status;
	bool direct; /* fits the back end as it is */
	bool stop; /* issue no more */
	bool aborting, timed_out;
	bool faulted, force_bounce; /* memory could not be pinned; so copy */
	bool bounced;
	struct disk_part part;
};

struct disk_queue {
	struct disk *d;
	struct loop *loop;
	void *be; /* the back end's */
	unsigned depth, busy;
	struct list link; /* of d->queues */
	struct list free, active, starved, sleeping, later, free_parts;
	struct loop_work later_work;
	struct loop_timer timer;
	uint64_t timer_ns;
	struct disk_info info;
	uint32_t info_seq;
	struct bounce bounce;
	_Atomic uint64_t stats[DISK_STATS]; /* written by the owner only */
	struct disk_slot *slots;
	struct disk_part pool[DISK_POOL_PARTS];
	struct iovec *cuts;
};

/* ---- for back ends: the disk ------------------------------------ */

/* Fill in a zeroed object that embeds a struct disk as its first member. Returns: 0, -errno. */
must_check int disk_init(struct disk *d, const struct disk_ops *ops, const char *name,
			 const struct disk_info *info, const struct disk_limits *lim);
/* What disk_init() made; called by destroy(). */
void disk_fini(struct disk *d);

/* Replace the snapshot and tell the watcher. A new capacity gets a new generation. Any thread. */
void disk_set_info(struct disk *d, const struct disk_info *info);
/* The device is not there any more: what comes now fails. Any thread. */
void disk_set_gone(struct disk *d);

/* ---- for back ends: parts. On the queue's thread. ----------------- */

/* It has ended. Not inside start() or cancel(). May destroy the queue. */
void disk_part_done(struct disk_part *p, uint16_t status);
/* The same, in the next visit of the loop. Inside start() and cancel(). */
void disk_part_later(struct disk_part *p, uint16_t status);
/* The memory of its pieces cannot be used (-EFAULT): try again with copies. As _done. */
void disk_part_fault(struct disk_part *p);
/* start() again after @ms. Inside start(), too, which then returns 0. */
void disk_part_sleep(struct disk_part *p, uint32_t ms);
/* Is somebody waiting for its end, or was it given up? Then trying again makes no sense. */
bool disk_part_wanted(const struct disk_part *p);
/* Time that is left for it, at least 1. */
uint32_t disk_part_left_ms(const struct disk_part *p);
/* A page of bounce memory for answers, once per part; NULL: none now, return -EAGAIN. */
void *disk_part_page(struct disk_part *p);

/* Give up one request. disk_queue_abort() of one. */
void disk_cancel(struct disk_queue *q, struct disk_req *req);

/* ---- for back ends that use other disks --------------------------- */

/* Depth of the inner queue that never refuses what the outer one sends. */
unsigned disk_inner_depth(const struct disk_queue *q);
/* Send the part's data, or its command, to another disk at another place. For start(). @done:
 * NULL: what becomes of it is what becomes of the part. */
must_check int disk_part_forward(struct disk_part *p, struct disk_queue *inner, uint64_t lba,
				 uint32_t blocks, void (*done)(struct disk_req *sub));

/* Refresh q->info. */
void disk_queue_info(struct disk_queue *q);
