/* SPDX-License-Identifier: MIT */
/*
 * ATAPI commands of a DVD drive: the CDB comes through the data port and is run by the SCSI unit.
 * What the guest reads word by word goes through the channel's buffer, long reads in pieces.
 * Everything but atapi_submit() runs with the channel's lock held. Spec: SFF-8020i, MMC.
 */
#include <string.h>

#include "ide_priv.h"
#include "le.h"

#define READ10 0x28
#define READ12 0xa8
#define MODE_SELECT10 0x55
#define SENSE_KEY(sense) ((sense)[2] & 15)
/* The largest even number of bytes a block may have. */
#define BLOCK_MAX 0xfffeu

static uint32_t be16(const uint8_t *p)
{
	return (uint32_t)p[0] << 8 | p[1];
}

static uint32_t be32(const uint8_t *p)
{
	return be16(p) << 16 | be16(p + 2);
}

static void put_be32(uint8_t *p, uint32_t val)
{
	for (unsigned i = 0; i < 4; i++)
		p[i] = (uint8_t)(val >> (24 - 8 * i));
}

/* ---- how much data a command moves ----------------------------------------------------------- */

static bool is_read(const uint8_t *cdb)
{
	return cdb[0] == READ10 || cdb[0] == READ12;
}

/* What the CDB says that it takes at most, by its form. */
static uint32_t allocation(const uint8_t *cdb)
{
	switch (cdb[0]) {
	case 0x00: /* TEST UNIT READY */
	case 0x1b: /* START STOP UNIT */
	case 0x1e: /* PREVENT/ALLOW */
	case 0x2b: /* SEEK */
	case 0x35: /* SYNCHRONIZE CACHE */
	case 0x4e: /* STOP PLAY */
		return 0;
	case 0x25: /* READ CAPACITY */
		return 8;
	case 0xac: /* GET PERFORMANCE: descriptors of 16 bytes behind 8 */
		return 8 + be16(cdb + 8) * 16;
	case 0xad: /* READ DVD STRUCTURE */
	case 0xbd: /* MECHANISM STATUS */
		return be16(cdb + 8);
	case 0xb6: /* SET STREAMING */
		return be16(cdb + 9);
	default:
		break;
	}
	switch (cdb[0] >> 5) {
	case 0:
		return cdb[4];
	case 1:
	case 2:
		return be16(cdb + 7);
	default:
		return be32(cdb + 6);
	}
}

static bool to_device(const uint8_t *cdb)
{
	return cdb[0] == MODE_SELECT10 || cdb[0] == 0x15 || cdb[0] == 0xb6;
}

/* ---- answers --------------------------------------------------------------------------------- */

static void reason(struct ide_drive *d, uint8_t ir)
{
	d->count[0] = ir;
}

static void ended(struct ide_chan *ch)
{
	reason(ide_current(ch), ATAPI_IR_COMMAND | ATAPI_IR_TO_HOST);
	if (ch->x.dma)
		ch->bm_status &= (uint8_t)~IDE_BM_ACTIVE;
	ide_done(ch);
}

static void failed(struct ide_chan *ch)
{
	const uint8_t key = ch->scsi.sense_len ? SENSE_KEY(ch->scsi.sense) : 4;

	reason(ide_current(ch), ATAPI_IR_COMMAND | ATAPI_IR_TO_HOST);
	if (ch->x.dma)
		ch->bm_status &= (uint8_t)~IDE_BM_ACTIVE;
	ide_fail(ch, (uint8_t)((uint64_t)key << 4 | ATA_ERR_ABORT));
}

void atapi_block(struct ide_chan *ch)
{
	struct ide_drive *d = ide_current(ch);
	const uint32_t n = MIN(ch->x.block, ch->len - ch->pos);

	reason(d, ch->phase == IDE_DATA_IN ? ATAPI_IR_TO_HOST : 0);
	d->lba[1][0] = (uint8_t)n;
	d->lba[2][0] = (uint8_t)(n >> 8);
}

static void guest_moves(struct ide_chan *ch, enum ide_phase phase, uint32_t len)
{
	ch->phase = phase;
	ch->pos = 0;
	ch->len = len;
	atapi_block(ch);
	ide_guest_moves(ch, phase, len, true);
}

/* ---- running a CDB --------------------------------------------------------------------------- */

static void on_scsi_done(struct scsi_cmd *cmd);

/* The next command for the unit: the guest's own, or a piece of its read. */
static void run(struct ide_chan *ch)
{
	ch->scsi = (struct scsi_cmd){
		.cdb_len = ATAPI_CDB,
		.dir = to_device(ch->x.cdb) ? SCSI_TO_DEVICE
					    : (ch->x.bytes ? SCSI_FROM_DEVICE : SCSI_NO_DATA),
		.data_len = ch->x.bytes,
		.done = on_scsi_done,
		.ctx = ch,
	};
	memcpy(ch->scsi.cdb, ch->x.cdb, sizeof(ch->scsi.cdb));
	if (is_read(ch->x.cdb) && !ch->x.dma) {
		ch->scsi.cdb[0] = READ12;
		put_be32(ch->scsi.cdb + 2, (uint32_t)ch->x.lba);
		put_be32(ch->scsi.cdb + 6, ch->x.bytes / ATAPI_SECTOR);
		ch->scsi.cdb[10] = 0;
	}
	if (!ch->x.dma) {
		ch->iov[0] = (struct iovec){ ch->buf, ch->x.bytes };
		ch->n_iov = ch->x.bytes ? 1 : 0;
	}
	ch->scsi.iov = ch->iov;
	ch->scsi.n_iov = ch->n_iov;
	ide_busy(ch);
}

void atapi_submit(struct ide_chan *ch)
{
	if (scsi_exec(ide_current(ch)->sq, &ch->scsi) == 0)
		return;
	ch->scsi.srb_status = SRB_BUSY;
	on_scsi_done(&ch->scsi);
}

static void step_done(struct ide_chan *ch)
{
	const uint32_t got = MIN(ch->scsi.transferred, ch->x.bytes);

	if (ch->scsi.srb_status != SRB_SUCCESS || ch->scsi.scsi_status)
		return failed(ch);
	if (ch->x.dma || ch->scsi.dir != SCSI_FROM_DEVICE || !got)
		return ended(ch);
	/* An odd length still moves whole words. */
	if (got % 2)
		ch->buf[got] = 0;
	ch->x.lba += got / ATAPI_SECTOR;
	ch->x.sectors -= MIN(ch->x.sectors, got / ATAPI_SECTOR);
	guest_moves(ch, IDE_DATA_IN, (got + 1) & ~1u);
}

static void on_scsi_done(struct scsi_cmd *cmd)
{
	struct ide_chan *ch = cmd->ctx;

	device_lock(&ch->dev);
	if (ide_io_ended(ch))
		step_done(ch);
	device_unlock(&ch->dev);
}

static uint32_t piece_of_read(const struct ide_chan *ch)
{
	return MIN(ch->x.sectors, IDE_BUF_BYTES / ATAPI_SECTOR) * ATAPI_SECTOR;
}

/* The CDB is complete. */
static void start(struct ide_chan *ch)
{
	struct ide_drive *d = ide_current(ch);
	const uint32_t limit = (uint32_t)d->lba[2][0] << 8 | d->lba[1][0];
	uint64_t want;

	memset(ch->x.cdb, 0, sizeof(ch->x.cdb));
	memcpy(ch->x.cdb, ch->buf, ATAPI_CDB);
	ch->x.block = MAX(MIN(limit ? limit : BLOCK_MAX, BLOCK_MAX) & ~1u, 2u);
	ch->x.dma = d->feature[0] & ATAPI_FEAT_DMA;
	ch->x.lba = 0;
	ch->x.sectors = 0;
	want = allocation(ch->x.cdb);
	if (is_read(ch->x.cdb)) {
		ch->x.lba = be32(ch->x.cdb + 2);
		ch->x.sectors = ch->x.cdb[0] == READ10 ? be16(ch->x.cdb + 7) : be32(ch->x.cdb + 6);
		want = (uint64_t)ch->x.sectors * ATAPI_SECTOR;
	}
	ch->x.bytes = (uint32_t)MIN(want, ch->x.dma ? UINT32_MAX : IDE_BUF_BYTES - 1);
	if (is_read(ch->x.cdb) && !ch->x.dma)
		ch->x.bytes = piece_of_read(ch);
	if (ch->x.dma && ch->x.bytes) {
		ch->phase = IDE_DMA_WAIT;
		d->status = ATA_ST_READY | ATA_ST_DRQ;
		if (ch->bm_status & IDE_BM_ACTIVE)
			atapi_bus_master(ch);
	} else if (to_device(ch->x.cdb) && ch->x.bytes) {
		guest_moves(ch, IDE_DATA_OUT, (ch->x.bytes + 1) & ~1u);
	} else {
		ch->x.dma = false;
		run(ch);
	}
}

void atapi_bus_master(struct ide_chan *ch)
{
	const bool to_memory = ch->bm_command & IDE_BM_TO_MEMORY;

	/* Short lists are usual: a guest gives what it has for an answer of unknown length. */
	if (to_memory == to_device(ch->x.cdb) || ide_prd_iov(ch, ch->x.bytes) < 0) {
		ch->bm_status = (uint8_t)((ch->bm_status & ~IDE_BM_ACTIVE) | IDE_BM_ERROR);
		ch->scsi.sense_len = 0;
		return failed(ch);
	}
	run(ch);
}

void atapi_guest_done(struct ide_chan *ch)
{
	if (ch->phase == IDE_PACKET)
		return start(ch);
	if (ch->phase == IDE_DATA_OUT)
		return run(ch);
	if (!ch->x.bytes) { /* an answer in the manner of ATA: nothing is said when it was read */
		ch->phase = IDE_IDLE;
		ide_current(ch)->status = ATA_ST_READY | ATA_ST_SEEK;
		return;
	}
	if (ch->x.sectors) {
		ch->x.bytes = piece_of_read(ch);
		return run(ch);
	}
	ended(ch);
}

/* ---- ATA commands of an ATAPI drive ---------------------------------------------------------- */

static void put_text(uint8_t *buf, unsigned word, unsigned chars, const char *text)
{
	const size_t n = strlen(text);

	for (unsigned i = 0; i < chars; i++)
		buf[2u * word + (i ^ 1)] = (uint8_t)(i < n ? text[i] : ' ');
}

static void identify(struct ide_chan *ch)
{
	uint8_t *b = ch->buf;

	memset(b, 0, ATA_SECTOR);
	le16_store(b, 0x8580); /* ATAPI, CD-ROM, removable, 12-byte packets */
	put_text(b, 10, 20, "");
	put_text(b, 23, 8, "1.0");
	put_text(b, 27, 40, "Virtual CD");
	le16_store(b + 2 * 49, 0x0f00); /* DMA, LBA, IORDY */
	le16_store(b + 2 * 53, 0x0003);
	le16_store(b + 2 * 63, 0x0407);
	le16_store(b + 2 * 64, 0x0003);
	le16_store(b + 2 * 65, 0x0078);
	le16_store(b + 2 * 66, 0x0078);
	le16_store(b + 2 * 67, 0x014d);
	le16_store(b + 2 * 68, 0x0078);
	le16_store(b + 2 * 80, 0x01f0);
	ch->x = (struct ide_xfer){ .block = ATA_SECTOR };
	ide_guest_moves(ch, IDE_DATA_IN, ATA_SECTOR, true);
}

void atapi_command(struct ide_chan *ch, uint8_t cmd)
{
	struct ide_drive *d = ide_current(ch);

	switch (cmd) {
	case ATA_CMD_PACKET:
		ch->x = (struct ide_xfer){ .block = ATAPI_CDB };
		reason(d, ATAPI_IR_COMMAND);
		return ide_guest_moves(ch, IDE_PACKET, ATAPI_CDB, false);
	case ATA_CMD_IDENTIFY_PACKET:
		return identify(ch);
	case ATA_CMD_DEVICE_RESET:
		ide_signature(d);
		ch->phase = IDE_IDLE;
		return;
	case ATA_CMD_SET_FEATURES:
		if (d->feature[0] == ATA_FEAT_TRANSFER_MODE)
			return ide_done(ch);
		return ide_fail(ch, ATA_ERR_ABORT);
	case ATA_CMD_CHECK_POWER:
		d->count[0] = 0xff;
		return ide_done(ch);
	case ATA_CMD_IDLE_NOW:
	case ATA_CMD_STANDBY_NOW:
	case ATA_CMD_SLEEP:
		return ide_done(ch);
	case ATA_CMD_IDENTIFY: /* the signature says what this drive is */
	case ATA_CMD_READ:
		ide_signature(d);
		return ide_fail(ch, ATA_ERR_ABORT);
	default:
		return ide_fail(ch, ATA_ERR_ABORT);
	}
}
