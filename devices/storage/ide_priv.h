/* SPDX-License-Identifier: MIT */
/* Shared by the files of the IDE channel; nobody else includes this. */
#pragma once

#include "ata.h"
#include "device.h"
#include "diskio.h"
#include "ide.h"
#include "loop.h"
#include "scsi.h"

/* One transfer by the processor or with a bounce: 256 sectors, or 64 of a DVD. */
#define IDE_BUF_BYTES (128u * 1024)
#define IDE_MULTI_MAX 128u
#define IDE_PRD_MAX 1024u

enum ide_phase {
	IDE_IDLE, /* waits for a command */
	IDE_DATA_IN, /* the guest reads buf */
	IDE_DATA_OUT, /* the guest fills buf */
	IDE_PACKET, /* the guest sends a CDB */
	IDE_DMA_WAIT, /* a command waits for the bus master */
	IDE_BUSY, /* input or output runs on the loop */
};

enum ide_kind { IDE_NONE, IDE_ATA, IDE_ATAPI };

struct ide_drive {
	enum ide_kind kind;
	struct disk *disk;
	struct disk_queue *dq;
	struct scsi_unit *unit;
	struct scsi_queue *sq;
	char serial[21];
	uint64_t sectors;
	uint8_t multiple; /* sectors per interrupt, 0 = not set */
	bool write_cache_off;
	/* Registers with their previous contents. */
	uint8_t feature[2], count[2], lba[3][2], device, status, error;
};

/* What a command still has to do. */
struct ide_xfer {
	uint64_t lba;
	uint32_t sectors; /* left, in units of the drive's sector */
	uint32_t block; /* bytes per DRQ */
	bool write, dma, fua;
	uint32_t bytes; /* ATAPI: what this step moves */
	uint8_t cdb[SCSI_CDB_MAX];
};

struct ide_chan {
	struct device dev; /* first */
	struct ide_chan_cfg cfg;
	struct ide_drive drive[IDE_DRIVES];
	uint8_t selected;
	uint8_t control;
	bool irq; /* INTRQ */
	uint8_t bm_command, bm_status;
	uint32_t bm_prdt;
	enum ide_phase phase;
	bool reset_wanted; /* when what runs has ended */
	struct ide_xfer x;

	/* The loop's while IDE_BUSY, else the guest's under the lock. */
	uint8_t *buf;
	uint32_t pos, len; /* of what the guest moves */
	struct iovec iov[DISK_MAX_IOV];
	uint32_t n_iov;
	struct disk_req req;
	struct scsi_cmd scsi;
	struct loop_work start, abort;
	bool running; /* on the loop */
	void (*stopped)(void *ctx);
	void *stopped_ctx;
};

static inline struct ide_drive *ide_current(struct ide_chan *ch)
{
	return &ch->drive[ch->selected];
}

/* ide.c; all with the lock held. */
void ide_interrupt(struct ide_chan *ch);
void ide_done(struct ide_chan *ch); /* the command ended well */
void ide_fail(struct ide_chan *ch, uint8_t error); /* ATA_ERR_x */
void ide_busy(struct ide_chan *ch); /* go on on the loop */
/* Let the guest move len bytes of buf, block by block; drq also interrupts unless first. */
void ide_guest_moves(struct ide_chan *ch, enum ide_phase phase, uint32_t len, bool interrupt);
void ide_signature(struct ide_drive *d);
/* Memory of the bus master: exactly @bytes, or 0 pieces and -EFAULT. */
must_check int ide_prd_iov(struct ide_chan *ch, uint32_t bytes);

/* What ran on the loop has ended, its memory is free. False: a reset was waiting; that is all. */
bool ide_io_ended(struct ide_chan *ch);

/* ata_disk.c */
void ata_command(struct ide_chan *ch, uint8_t cmd);
void ata_submit(struct ide_chan *ch); /* loop's thread, without the lock */
void ata_guest_done(struct ide_chan *ch); /* it moved the whole buffer; lock held */
void ata_bus_master(struct ide_chan *ch); /* IDE_DMA_WAIT and the bus master starts; lock held */

/* atapi.c: the same for DVD drives. */
void atapi_command(struct ide_chan *ch, uint8_t cmd);
void atapi_submit(struct ide_chan *ch);
void atapi_guest_done(struct ide_chan *ch);
void atapi_bus_master(struct ide_chan *ch);
void atapi_block(struct ide_chan *ch); /* announce the next block; lock held */
