/* SPDX-License-Identifier: MIT */
/*
 * A disk as the front ends (SCSI, IDE, NVMe) see it, whatever holds its data. Requests are
 * asynchronous and go through queues: one per thread and disk, made beforehand with everything a
 * request needs, so that submitting allocates nothing, blocks nowhere and takes no lock.
 *
 * Status is the NVMe status everywhere (nvme_status.h); what a backend knows as errno is translated
 * where it arises.
 *
 * Trust: sizes and addresses of requests are checked by the front end against disk_info and once
 * more by disk_submit(); the data's memory is the guest's: it is handed to the kernel or copied by
 * the fault-safe copies, never read. Spec: architecture 3, spec/storage-net.md 3 and 7.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/uio.h>

#include "guid.h"
#include "list.h"
#include "macros.h"
#include "nvme_status.h"

struct disk;
struct disk_queue;
struct disk_req;
struct inspect;
struct loop;

enum disk_op {
	DISK_READ,
	DISK_WRITE,
	DISK_FLUSH, /* everything completed before is durable */
	DISK_UNMAP, /* lba, blocks: contents become undefined (zeros if info.unmap_zeroes) */
	DISK_WRITE_ZEROES,
	DISK_VERIFY, /* can these blocks be read? */
	DISK_PR_IN, /* reservations, see struct disk_pr */
	DISK_PR_OUT,
};

#define DISK_FUA 1u /* DISK_WRITE, DISK_WRITE_ZEROES: durable when done */

/* Most pieces of memory of one request. They need not be aligned; aligned ones are faster. */
#define DISK_MAX_IOV 1026u

/* What a disk is. A snapshot: capacity may change, `generation` tells. */
struct disk_info {
	uint64_t blocks;
	uint32_t block_size; /* 512..4096, power of two */
	uint32_t physical_block_size;
	uint32_t
		max_bytes; /* of one READ or WRITE, multiple of block_size; larger ones are split by
			     * the queue, so this is a hint */
	uint32_t unmap_granularity; /* blocks; 0 = DISK_UNMAP is not offered */
	uint32_t generation; /* changes with the capacity */
	bool read_only;
	bool write_cache; /* volatile: DISK_FLUSH and FUA mean something */
	bool unmap_zeroes;
	bool write_zeroes;
	bool reservations;
	bool rotational;
	bool has_id;
	uint8_t id[16]; /* NGUID, or made of the EUI64 */
	char serial[21]; /* printable, terminated, may be empty */
};

enum disk_pr_action {
	DISK_PR_READ_KEYS,
	DISK_PR_READ_RESERVATION,
	DISK_PR_READ_FULL, /* DISK_PR_IN */
	DISK_PR_REGISTER,
	DISK_PR_REGISTER_IGNORE,
	DISK_PR_RESERVE,
	DISK_PR_RELEASE,
	DISK_PR_CLEAR,
	DISK_PR_PREEMPT,
	DISK_PR_PREEMPT_ABORT, /* DISK_PR_OUT */
};

#define DISK_PR_MAX_KEYS 64u

/* Persistent reservations: what PR OUT asks for and PR IN answers. Types are SCSI's (1..8). */
struct disk_pr {
	enum disk_pr_action action;
	uint64_t key, new_key; /* reservation key, service action key */
	uint8_t type;
	bool aptpl;
	/* DISK_PR_IN */
	uint32_t generation;
	uint32_t n_keys;
	struct {
		uint64_t key;
		uint64_t host;
		bool holder;
	} keys[DISK_PR_MAX_KEYS];
	bool reserved;
	uint64_t holder_key;
};

/* One request. Owned by the front end, untouched by it between submit and done. */
struct disk_req {
	/* set by the front end */
	enum disk_op op;
	uint32_t flags;
	uint64_t lba;
	uint32_t blocks; /* READ, WRITE: the iovecs hold exactly blocks * block_size bytes */
	uint32_t n_iov;
	const struct iovec *iov; /* stays valid and unchanged until done */
	struct disk_pr *pr;
	uint32_t timeout_ms; /* 0 = the backend's default; see disk_submit() */
	void (*done)(struct disk_req *req); /* on the loop's thread, never inside disk_submit() */
	void *ctx;
	/* set by the backend before done */
	uint16_t status; /* enum nvme_status */
	/* private to the queue */
	struct list link;
	void *slot;
};

/**
 * disk_info - what it is now. Any thread, lock-free.
 */
void disk_info(const struct disk *d, struct disk_info *ret_info);

/**
 * disk_queue_create - a path to the disk for one thread
 * @loop: its callbacks run there
 * @depth: most requests in flight, 1..1024
 * Returns: 0, -ENOMEM, -errno. Context: any thread, before @loop's thread uses it.
 */
must_check int disk_queue_create(struct disk *d, struct loop *loop, unsigned depth,
				 struct disk_queue **ret_q);

/* Nothing is in flight any more. Context: the loop's thread, or after that has ended. NULL:
 * no-op. */
void disk_queue_destroy(struct disk_queue *q);

/**
 * disk_submit - start a request
 * Returns: 0: done() will be called once, whatever happens: a device that is gone or does not
 * answer within the time-out gives an error status. -EAGAIN: depth requests are in flight, try
 * again after the next done(). Requests that make no sense (range, sizes) are done with
 * NVME_LBA_OUT_OF_RANGE or NVME_INVALID_FIELD. Context: the loop's thread.
 */
must_check int disk_submit(struct disk_queue *q, struct disk_req *req);

/* Ask that what is in flight ends soon, with NVME_ABORT_REQUESTED where it was not done yet. The
 * memory of a request is not touched after its done(). Context: the loop's thread. */
void disk_queue_abort(struct disk_queue *q);

/* Requests in flight. Context: the loop's thread. */
unsigned disk_queue_busy(const struct disk_queue *q);

/**
 * disk_watch - be told that disk_info() changed (capacity, medium gone)
 * @fn: on @loop's thread, coalesced. One watcher per disk; NULL ends it (on @loop's thread).
 */
void disk_watch(struct disk *d, struct loop *loop, void (*fn)(void *ctx), void *ctx);

/* References: front ends and configuration may hold the same disk. Any thread. */
struct disk *disk_get(struct disk *d);
void disk_put(struct disk *d);

/* Kind, name, info, counters (zero-copy and bounced requests and bytes): an inspect_fn on the disk.
 */
void disk_inspect(struct inspect *in, const void *d);

/* ---- backends (each in its file) ------------------------------ */

/* How data of guest memory reaches the kernel. */
enum disk_bounce {
	DISK_BOUNCE_NEVER, /* pages can be pinned: the probe said so, or the memory is ordinary */
	DISK_BOUNCE_ALWAYS,
};

struct disk_file_cfg {
	const char *name; /* for inspect and logs */
	const char *path; /* file or block device */
	bool read_only;
	bool direct; /* O_DIRECT */
	enum disk_bounce bounce;
};

/* disk_file_open - a file or block device. Returns 0, -errno. Context: start-up or control
 * thread. */
must_check int disk_file_open(const struct disk_file_cfg *cfg, struct disk **ret_d);

struct disk_nvme_cfg {
	const char *name;
	const char *path; /* /dev/ngXnY */
	bool read_only;
	enum disk_bounce bounce;
};

/* disk_nvme_open - a namespace, by passthrough. Returns 0, -errno, -EOPNOTSUPP (no passthrough). */
must_check int disk_nvme_open(const struct disk_nvme_cfg *cfg, struct disk **ret_d);

/* disk_stripe_open - @n >= 2 equal members, each @chunk bytes in turn; takes over the
 * references. */
must_check int disk_stripe_open(const char *name, struct disk *const *members, unsigned n,
				uint32_t chunk, struct disk **ret_d);

/* disk_ram_open - zeros at first, sparse, gone at the end. */
must_check int disk_ram_open(const char *name, uint64_t bytes, uint32_t block_size,
			     struct disk **ret_d);

/* disk_null_open - completes everything with success and touches nothing: for benchmarks. */
must_check int disk_null_open(const char *name, uint64_t bytes, struct disk **ret_d);

/**
 * disk_fault_open - a disk that misbehaves as told: tests and hvhost scenarios
 * disk_fault_set() changes what happens to requests from now on. Takes over the reference.
 */
struct disk_fault {
	uint32_t op_mask; /* bits 1 << enum disk_op */
	uint64_t lba, blocks; /* only requests that touch these; blocks 0 = all */
	uint16_t status; /* NVME_OK = none */
	uint32_t delay_ms;
	bool drop; /* never completes (until the front end's time-out or abort) */
	uint32_t count; /* so many times, 0 = for ever */
};
must_check int disk_fault_open(struct disk *inner, struct disk **ret_d);
void disk_fault_set(struct disk *d, const struct disk_fault *f);

/* disk_fault_resize - show so many blocks of the disk behind it from now on; 0 = all. Returns 0,
 * -EFBIG (it has less). Any thread. */
must_check int disk_fault_resize(struct disk *d, uint64_t blocks);
