/* SPDX-License-Identifier: MIT */
/*
 * SCSI logical units: what a CDB means. A unit is shared by the channels of a controller; each
 * thread reaches it through a queue of its own. Trust: CDBs, parameter lists and data memory are
 * the guest's: hostile. Spec: spec/storage-net.md 2, SPC-4, SBC-3, MMC-6.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/uio.h>

#include "diskio.h"
#include "guid.h"
#include "macros.h"

struct inspect;
struct loop;
struct scsi_queue;
struct scsi_unit;

#define SCSI_CDB_MAX 16u
#define SCSI_SENSE_MAX 20u

enum scsi_dir { SCSI_TO_DEVICE, SCSI_FROM_DEVICE, SCSI_NO_DATA };

/* SRB status as in spec/storage-net.md 1.4, without the autosense bit. */
enum srb_status {
	SRB_PENDING = 0x00,
	SRB_SUCCESS = 0x01,
	SRB_ABORTED = 0x02,
	SRB_ERROR = 0x04,
	SRB_BUSY = 0x05,
	SRB_INVALID_REQUEST = 0x06,
	SRB_INVALID_PATH = 0x07,
	SRB_NO_DEVICE = 0x08,
	SRB_TIMEOUT = 0x09,
	SRB_SELECTION_TIMEOUT = 0x0a,
	SRB_COMMAND_TIMEOUT = 0x0b,
	SRB_BUS_RESET = 0x0e,
	SRB_NO_HBA = 0x11,
	SRB_DATA_OVERRUN = 0x12,
	SRB_BAD_LENGTH = 0x15,
	SRB_FLUSHED = 0x16,
	SRB_INVALID_LUN = 0x20,
	SRB_INVALID_TARGET = 0x21,
	SRB_BAD_FUNCTION = 0x22,
};

/* One command. Owned by the front end, untouched by it between exec and done. */
struct scsi_cmd {
	/* set by the front end */
	uint8_t cdb[SCSI_CDB_MAX]; /* private copy, zero padded */
	uint8_t cdb_len;
	enum scsi_dir dir;
	uint32_t data_len; /* bytes the iovecs hold */
	struct iovec *iov; /* guest memory; the unit may shorten it */
	uint32_t n_iov;
	uint32_t timeout_ms; /* 0 = default */
	void (*done)(struct scsi_cmd *cmd); /* loop's thread; may run inside scsi_exec() */
	void *ctx;
	/* the answer */
	uint8_t scsi_status; /* 0, 2, 0x18, 0x40 */
	uint8_t srb_status; /* enum srb_status */
	uint8_t sense_len; /* 0 = none */
	uint8_t sense[SCSI_SENSE_MAX];
	uint32_t transferred;
	/* private to the unit */
	void *slot;
};

/* Identity and behaviour that configuration gives (VTL2 settings chapter 12.2 of
 * spec/get-vmgs.md). */
struct scsi_unit_cfg {
	const char *name; /* for inspect and logs */
	uint8_t device_id[16]; /* VPD page 83; all zero: the disk's own id */
	char vendor[9], product[17], revision[5]; /* empty: "Msft", "Virtual Disk", "1.0" */
	char serial[65];
	uint32_t medium_rotation_rate; /* 0 = default (1: no rotation) */
	uint32_t physical_block_size; /* 0 = the disk's */
	uint64_t size_bytes; /* 0 = the disk's */
	uint32_t max_transfer; /* bytes; 0 = 8 MiB */
	bool no_fua, no_unmap, no_write_cache;
};

/* scsi_disk_create - takes over the reference to @d. Returns 0, -ENOMEM, -EINVAL. */
must_check int scsi_disk_create(const struct scsi_unit_cfg *cfg, struct disk *d,
				struct scsi_unit **ret_u);

/* scsi_dvd_create - @d NULL: empty drive. Block size of @d may be 512; shown as 2048. */
must_check int scsi_dvd_create(const struct scsi_unit_cfg *cfg, struct disk *d,
			       struct scsi_unit **ret_u);

/* scsi_dvd_change_medium - eject and insert (NULL: eject only); takes over @d. Control thread. */
void scsi_dvd_change_medium(struct scsi_unit *u, struct disk *d);

struct scsi_unit *scsi_unit_get(struct scsi_unit *u);
void scsi_unit_put(struct scsi_unit *u);
void scsi_unit_inspect(struct inspect *in, const void *u);

/* As disk_queue_create() and so on. */
must_check int scsi_queue_create(struct scsi_unit *u, struct loop *loop, unsigned depth,
				 struct scsi_queue **ret_q);
void scsi_queue_destroy(struct scsi_queue *q);
void scsi_queue_abort(struct scsi_queue *q);
unsigned scsi_queue_busy(const struct scsi_queue *q);

/**
 * scsi_exec - run a command; done() is called exactly once
 * Returns: 0; -EAGAIN (depth commands are in flight). Context: the loop's thread.
 */
must_check int scsi_exec(struct scsi_queue *q, struct scsi_cmd *cmd);
