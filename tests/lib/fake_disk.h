/* SPDX-License-Identifier: MIT */
/*
 * A disk in memory that a test holds in its hand: it implements diskio.h's side towards front ends
 * itself, remembers what it was asked for, answers when and how it is told.
 */
#pragma once

#include <stdint.h>

#include "diskio.h"

#define FAKE_DISK_LOG 256u

struct fake_disk_seen {
	enum disk_op op;
	uint32_t flags;
	uint64_t lba;
	uint32_t blocks, n_iov, timeout_ms;
};

/* A disk of zeros. Aborts the test without memory. */
struct disk *fake_disk(uint64_t blocks, uint32_t block_size);

/* What disk_info() says from now on; a changed capacity should change the generation. The watcher
 * is called at once: the loop's thread then. */
void fake_disk_set_info(struct disk *d, const struct disk_info *info);

/* Requests wait until they are let go or aborted. Any thread. */
void fake_disk_hold(struct disk *d, bool hold);

/* The next @n requests of these operations (bits 1 << op) end with @status. Any thread. */
void fake_disk_fail(struct disk *d, uint32_t op_mask, uint16_t status, unsigned n);

/* Requests in flight on all queues; the most there ever were; all there ever were. */
unsigned fake_disk_busy(struct disk *d);
unsigned fake_disk_peak(struct disk *d);
unsigned fake_disk_total(struct disk *d);

/* The last requests, oldest first: how many there are (at most FAKE_DISK_LOG); forget them. */
unsigned fake_disk_log(struct disk *d, const struct fake_disk_seen **ret_log);
void fake_disk_forget(struct disk *d);

/*
 * The file @fd is the medium and the contents a volatile cache before it, filled from it now: what
 * is flushed or written with FUA gets to the medium, and some of the rest, at the cache's whim. So
 * the end of the process is a power cut. Takes over @fd.
 */
void fake_disk_medium(struct disk *d, int fd);

/* The contents. */
uint8_t *fake_disk_data(struct disk *d, uint64_t lba);
unsigned fake_disk_refs(struct disk *d);
