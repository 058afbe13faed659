/* SPDX-License-Identifier: MIT */
/* Disks of every kind for tests, and requests that check their data. */
#pragma once

#include "diskio.h"
#include "loop.h"

/* Kinds of disks; all of them RIG_BYTES large, zeros at first. */
enum rig_kind {
	RIG_RAM,
	RIG_RAM_4K, /* blocks of 4096 */
	RIG_TIGHT, /* a RAM disk that takes little at a time, and that neatly aligned */
	RIG_FILE,
	RIG_DIRECT, /* O_DIRECT */
	RIG_BOUNCE, /* every byte is copied */
	RIG_STRIPE, /* of three RAM disks */
	RIG_STRIPE_FILES,
	RIG_FAULT, /* that does nothing so far */
	RIG_NVME, /* passthrough, to a node in this process */
	RIG_NVME_SMALL, /* that takes 8 KiB at a time */
	RIG_EPOLL, /* a file, and a loop without io_uring */
	RIG_KINDS,
};

#define RIG_BYTES (3u << 20)

struct rig {
	enum rig_kind kind;
	struct loop *loop;
	struct disk *disk;
	struct disk *inner; /* of RIG_FAULT; no reference */
	struct disk_queue *q;
	struct disk_info info;
	char path[3][64], dir[32]; /* of files, "" = unused */
};

/* Make the disk, a loop and a queue of this depth. Fails the test when that fails. */
void rig_init(struct rig *r, enum rig_kind kind, unsigned depth);
void rig_fini(struct rig *r);

/* Run the loop until nothing is in flight on the queue. */
void rig_drain(struct rig *r);

/* One request from begin to end. Returns its status. */
uint16_t rig_do(struct rig *r, struct disk_req *req);
uint16_t rig_rw(struct rig *r, enum disk_op op, uint64_t lba, void *buf, uint32_t blocks,
		uint32_t flags);
