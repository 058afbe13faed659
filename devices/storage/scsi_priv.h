/* SPDX-License-Identifier: MIT */
/* Shared by the files of the SCSI units; nobody else includes this. */
#pragma once

#include <pthread.h>
#include <stdatomic.h>

#include "le.h"
#include "list.h"
#include "loop.h"
#include "scsi.h"
#include "scsi_data.h"
#include "scsi_proto.h"

struct scsi_slot;

/* What a kind of unit is. */
struct scsi_unit_ops {
	const char *kind;
	/* Run slot->cmd; it ends with one of the scsi_end_*() functions, now or later. */
	void (*exec)(struct scsi_slot *s);
	uint8_t peripheral; /* device type of INQUIRY */
	void (*inspect)(struct inspect *in, const struct scsi_unit *u);
	void (*destroy)(struct scsi_unit *u); /* frees it */
};

enum scsi_counter {
	SCSI_N_COMMANDS,
	SCSI_N_READS,
	SCSI_N_READ_BYTES,
	SCSI_N_WRITES,
	SCSI_N_WRITE_BYTES,
	SCSI_N_FLUSHES,
	SCSI_N_UNMAPS,
	SCSI_N_ERRORS,
	SCSI_N_CONFLICTS,
	SCSI_N_ATTENTIONS,
	SCSI_N_COUNTERS,
};

struct scsi_unit {
	const struct scsi_unit_ops *ops;
	struct scsi_unit *self; /* for readers that must take the lock */
	atomic_uint refs;
	struct scsi_unit_cfg cfg;
	char name[64];
	struct disk *disk; /* of a drive: the present medium, NULL = none; see scsi_dvd.c */
	uint8_t id[16];
	/* protects: queues, past, and a drive's disk and state; rank: outside the disks' */
	pthread_mutex_t lock;
	uint64_t past[SCSI_N_COUNTERS]; /* of queues that are gone */
	struct list queues;
};

/* One command being executed: what it needs beyond the command. */
struct scsi_slot {
	struct list link; /* free list, or waiting for scratch or for the disk */
	struct scsi_queue *q;
	struct scsi_cmd *cmd;
	struct disk_req req;
	void (*next)(struct scsi_slot *s); /* when req ended well */
	/* of commands that take several steps */
	uint64_t lba;
	uint32_t left; /* blocks or list entries that are still to do */
	uint32_t done; /* bytes or list entries done */
	uint32_t block_size;
	bool fua;
	struct iovec scratch_iov;
};

#define SCSI_SCRATCH_BYTES 65536u

struct scsi_queue {
	struct list link; /* in the unit's list */
	struct scsi_unit *u;
	struct loop *loop;
	struct disk_queue *dq; /* NULL: no medium */
	atomic_bool swap; /* the unit's disk is another one now; written under the unit's lock */
	bool pumping;
	unsigned depth, busy;
	_Atomic uint64_t count[SCSI_N_COUNTERS]; /* written by the loop's thread */
	struct list free;
	struct list starved; /* slots whose request the disk did not take yet */
	struct list scratch_waiters;
	struct scsi_slot *scratch_owner;
	uint8_t *scratch; /* page aligned; one command at a time */
	uint8_t sense[SCSI_SENSE_FIXED_LEN]; /* of the last check condition; first byte 0 = none */
	struct scsi_slot slots[];
};

/* The disk as this unit shows it: configuration applied. Any thread. */
void scsi_unit_info(const struct scsi_unit *u, struct disk_info *ret_info);

/* For the constructors: everything but what the kind adds. Takes over @d on success. */
must_check int scsi_unit_init(struct scsi_unit *u, const struct scsi_unit_ops *ops,
			      const struct scsi_unit_cfg *cfg, struct disk *d);
void scsi_unit_fini(struct scsi_unit *u);

/* ---- the end of a command -------------------------------------------------------------------- */

void scsi_end_ok(struct scsi_slot *s, uint32_t transferred);
/* Check condition; @asc: enum scsi_asc. */
void scsi_end_sense(struct scsi_slot *s, uint8_t srb, uint8_t key, uint16_t asc);
void scsi_end_invalid(struct scsi_slot *s, uint16_t asc); /* illegal request */
void scsi_end_nvme(struct scsi_slot *s, uint16_t status);
void scsi_end_conflict(struct scsi_slot *s);

/* ---- data ------------------------------------------------------------------------------------ */

/* Answer with @len bytes, cut to the allocation length and to the guest's memory; ends it. */
void scsi_reply(struct scsi_slot *s, const void *buf, uint32_t len, uint32_t alloc);

/* ---- the disk -------------------------------------------------------------------------------- */

/* Submit s->req (op, flags, lba, blocks, iov, pr are set); @next runs when it ended well, errors
 * end the command. */
void scsi_submit(struct scsi_slot *s, void (*next)(struct scsi_slot *s));
/* The queue's scratch memory: @next runs at once or when it is this command's turn. Given back at
 * the command's end. */
void scsi_scratch(struct scsi_slot *s, void (*next)(struct scsi_slot *s));

/* ---- commands (slot, disk) ------------------------------------------------------------------- */

void scsi_inquiry(struct scsi_slot *s, const struct disk_info *info);
void scsi_mode_sense(struct scsi_slot *s, const struct disk_info *info);
void scsi_mode_select(struct scsi_slot *s, const struct disk_info *info);
void scsi_read(struct scsi_slot *s, const struct disk_info *info);
void scsi_write(struct scsi_slot *s, const struct disk_info *info);
void scsi_verify(struct scsi_slot *s, const struct disk_info *info);
void scsi_write_verify(struct scsi_slot *s, const struct disk_info *info);
void scsi_sync_cache(struct scsi_slot *s, const struct disk_info *info);
void scsi_write_same(struct scsi_slot *s, const struct disk_info *info);
void scsi_unmap(struct scsi_slot *s, const struct disk_info *info);
void scsi_pr_in(struct scsi_slot *s, const struct disk_info *info);
void scsi_pr_out(struct scsi_slot *s, const struct disk_info *info);
void scsi_request_sense(struct scsi_slot *s);

/* A drive's medium in its own blocks; 0 = there is none. */
struct scsi_dvd_state {
	uint32_t blocks;
	bool tray_open;
};
#define DVD_BLOCK 2048u

/* What MMC commands tell about the drive and its medium (scsi_mmc.c). */
void scsi_mmc_get_configuration(struct scsi_slot *s, const struct scsi_dvd_state *st);
void scsi_mmc_read_toc(struct scsi_slot *s, const struct scsi_dvd_state *st);
void scsi_mmc_mode_sense(struct scsi_slot *s, const struct scsi_dvd_state *st);
void scsi_mmc_read_track_info(struct scsi_slot *s, const struct scsi_dvd_state *st);
void scsi_mmc_read_disc_info(struct scsi_slot *s, const struct scsi_dvd_state *st);
void scsi_mmc_read_structure(struct scsi_slot *s, const struct scsi_dvd_state *st);
void scsi_mmc_get_performance(struct scsi_slot *s, const struct scsi_dvd_state *st);
void scsi_mmc_mechanism_status(struct scsi_slot *s, const struct scsi_dvd_state *st);
void scsi_mmc_buffer_capacity(struct scsi_slot *s, const struct scsi_dvd_state *st);
void scsi_mmc_set_streaming(struct scsi_slot *s, const struct scsi_dvd_state *st);

/* A disk's unit. */
struct scsi_disk_unit {
	struct scsi_unit u;
	_Atomic uint32_t generation; /* of the capacity the guest knows */
	atomic_bool write_through; /* every write is durable when done */
	struct scsi_pr *pr; /* reservations kept here, for disks without their own */
};

static inline struct scsi_disk_unit *scsi_disk_unit(struct scsi_unit *u)
{
	return container_of(u, struct scsi_disk_unit, u);
}

/* Reservations in memory (scsi_pr_mem.c). Any thread. */
struct scsi_pr;
must_check int scsi_pr_create(struct scsi_pr **ret_pr);
void scsi_pr_destroy(struct scsi_pr *pr);
/* Returns the NVMe status; fills what DISK_PR_IN asks for. */
uint16_t scsi_pr_do(struct scsi_pr *pr, struct disk_pr *req);
void scsi_pr_inspect(struct inspect *in, const void *pr);

static inline void scsi_count(struct scsi_queue *q, enum scsi_counter which, uint64_t n)
{
	/* One writer; others only want to see whole numbers. */
	uint64_t now = atomic_load_explicit(&q->count[which], memory_order_relaxed);

	atomic_store_explicit(&q->count[which], now + n, memory_order_relaxed);
}

/* The range that a read, write or verify CDB names, by its size (6 to 16 bytes). */
struct scsi_range {
	uint64_t lba;
	uint32_t blocks;
};
struct scsi_range scsi_cdb_range(const uint8_t *cdb);

/* Has the medium changed, and this queue still has the old one? */
static inline bool scsi_medium_moved(const struct scsi_queue *q)
{
	/* Pairs with the release of whoever changed it. */
	return atomic_load_explicit(&q->swap, memory_order_acquire);
}

/* Lengths in CDBs. */
static inline uint16_t scsi_cdb16(const struct scsi_slot *s, unsigned at)
{
	return be16_get(s->cmd->cdb + at);
}
