/* SPDX-License-Identifier: MIT */
/* ATA commands of a hard disk. Everything but ata_submit() runs with the channel's lock held. */
#include <string.h>

#include "ide_priv.h"
#include "le.h"

/* 28 bits of address; the highest count of each form is written as zero. */
#define LBA28_SECTORS (1ull << 28)
#define COUNT28_ZERO 256u
#define COUNT48_ZERO 65536u

/* What a command code means. */
enum ata_op { OP_READ, OP_WRITE, OP_VERIFY, OP_OTHER };
#define F_EXT BIT(0) /* 48-bit registers */
#define F_DMA BIT(1)
#define F_MULTI BIT(2)
#define F_FUA BIT(3)

static const struct ata_form {
	uint8_t cmd, op, flags;
} forms[] = {
	{ ATA_CMD_READ, OP_READ, 0 },
	{ ATA_CMD_READ_ONCE, OP_READ, 0 },
	{ ATA_CMD_READ_EXT, OP_READ, F_EXT },
	{ ATA_CMD_READ_MULTI, OP_READ, F_MULTI },
	{ ATA_CMD_READ_MULTI_EXT, OP_READ, F_MULTI | F_EXT },
	{ ATA_CMD_READ_DMA, OP_READ, F_DMA },
	{ ATA_CMD_READ_DMA_ONCE, OP_READ, F_DMA },
	{ ATA_CMD_READ_DMA_EXT, OP_READ, F_DMA | F_EXT },
	{ ATA_CMD_WRITE, OP_WRITE, 0 },
	{ ATA_CMD_WRITE_ONCE, OP_WRITE, 0 },
	{ ATA_CMD_WRITE_EXT, OP_WRITE, F_EXT },
	{ ATA_CMD_WRITE_MULTI, OP_WRITE, F_MULTI },
	{ ATA_CMD_WRITE_MULTI_EXT, OP_WRITE, F_MULTI | F_EXT },
	{ ATA_CMD_WRITE_MULTI_FUA, OP_WRITE, F_MULTI | F_EXT | F_FUA },
	{ ATA_CMD_WRITE_DMA, OP_WRITE, F_DMA },
	{ ATA_CMD_WRITE_DMA_ONCE, OP_WRITE, F_DMA },
	{ ATA_CMD_WRITE_DMA_EXT, OP_WRITE, F_DMA | F_EXT },
	{ ATA_CMD_WRITE_DMA_FUA, OP_WRITE, F_DMA | F_EXT | F_FUA },
	{ ATA_CMD_VERIFY, OP_VERIFY, 0 },
	{ ATA_CMD_VERIFY_ONCE, OP_VERIFY, 0 },
	{ ATA_CMD_VERIFY_EXT, OP_VERIFY, F_EXT },
};

static const struct ata_form *form_of(uint8_t cmd)
{
	for (size_t i = 0; i < ARRAY_SIZE(forms); i++) {
		if (forms[i].cmd == cmd)
			return &forms[i];
	}
	return NULL;
}

/* ---- identity -------------------------------------------------------------------------------- */

static void put_word(uint8_t *buf, unsigned word, uint16_t val)
{
	le16_store(buf + 2u * word, val);
}

/* Text of ATA: two characters per word, the first one in the high byte, padded with blanks. */
static void put_text(uint8_t *buf, unsigned word, unsigned chars, const char *text)
{
	bool ended = false;

	for (unsigned i = 0; i < chars; i++) {
		ended |= !text[ended ? 0 : i];
		buf[2u * word + (i ^ 1)] = (uint8_t)(ended ? ' ' : text[i]);
	}
}

static void identify(struct ide_chan *ch)
{
	const struct ide_drive *d = ide_current(ch);
	const uint32_t low = (uint32_t)MIN(d->sectors, LBA28_SECTORS - 1);
	const uint64_t cylinders = d->sectors / (16 * 63);
	struct disk_info info;
	uint8_t *b = ch->buf;
	unsigned exp = 0;

	disk_info(d->disk, &info);
	while (exp < 3 && info.physical_block_size >= ATA_SECTOR << (exp + 1))
		exp++;
	memset(b, 0, ATA_SECTOR);
	put_word(b, 0, 0x045a);
	put_word(b, 1, (uint16_t)MIN(cylinders, 16383u));
	put_word(b, 3, 16);
	put_word(b, 6, 63);
	put_text(b, 10, 20, d->serial);
	put_text(b, 23, 8, "1.0");
	put_text(b, 27, 40, "Virtual HD");
	put_word(b, 47, 0x8000 | IDE_MULTI_MAX);
	put_word(b, 48, 1); /* 32-bit data port */
	put_word(b, 49, 0x0f00); /* LBA, DMA, IORDY */
	put_word(b, 51, 0x0200);
	put_word(b, 52, 0x0200);
	put_word(b, 53, 0x0003);
	put_word(b, 54, (uint16_t)MIN(cylinders, 16383u));
	put_word(b, 55, 16);
	put_word(b, 56, 63);
	le32_store(b + 2 * 57, (uint32_t)MIN(cylinders, 16383u) * 16 * 63);
	put_word(b, 59, d->multiple ? 0x0100 | d->multiple : 0);
	le32_store(b + 2 * 60, low);
	put_word(b, 63, 0x0407); /* multiword DMA 0 to 2, 2 is on */
	put_word(b, 64, 0x0003);
	put_word(b, 65, 0x0078);
	put_word(b, 66, 0x0078);
	put_word(b, 67, 0x014d);
	put_word(b, 68, 0x0078);
	put_word(b, 80, 0x01f0); /* ATA-4 to ATA-8 */
	put_word(b, 82, 0x0008 | (info.write_cache ? 0x0020 : 0));
	put_word(b, 83, 0x7400); /* 48 bits, both flushes */
	put_word(b, 84, 0x4040); /* FUA */
	put_word(b, 85, 0x0008 | (info.write_cache && !d->write_cache_off ? 0x0020 : 0));
	put_word(b, 86, 0x3400);
	put_word(b, 87, 0x4040);
	le64_store(b + 2 * 100, d->sectors);
	put_word(b, 106, (uint16_t)(0x4000 | (exp ? 0x2000 | exp : 0)));
	put_word(b, 209, 0x4000);
	ch->x = (struct ide_xfer){ .block = ATA_SECTOR };
	ide_guest_moves(ch, IDE_DATA_IN, ATA_SECTOR, true);
}

/* ---- address and count ----------------------------------------------------------------------- */

static void take_address(struct ide_chan *ch, bool ext)
{
	const struct ide_drive *d = ide_current(ch);

	ch->x.lba = (uint64_t)d->lba[2][0] << 16 | (uint64_t)d->lba[1][0] << 8 | d->lba[0][0];
	if (ext) {
		ch->x.lba |= (uint64_t)d->lba[2][1] << 40 | (uint64_t)d->lba[1][1] << 32 |
			     (uint64_t)d->lba[0][1] << 24;
		ch->x.sectors = (uint32_t)d->count[1] << 8 | d->count[0];
		if (!ch->x.sectors)
			ch->x.sectors = COUNT48_ZERO;
		return;
	}
	ch->x.sectors = d->count[0] ? d->count[0] : COUNT28_ZERO;
	if (d->device & ATA_DEV_LBA) {
		ch->x.lba |= (uint64_t)(d->device & 15) << 24;
	} else { /* cylinder, head, sector */
		const uint64_t cyl = (uint64_t)d->lba[2][0] << 8 | d->lba[1][0];

		ch->x.lba = (cyl * 16 + (d->device & 15)) * 63 + d->lba[0][0] - 1;
	}
}

static bool in_range(const struct ide_chan *ch)
{
	const uint64_t sectors = ch->drive[ch->selected].sectors;

	return ch->x.lba < sectors && ch->x.sectors <= sectors - ch->x.lba;
}

/* Where the command stopped, for the guest to read. */
static void put_address(struct ide_drive *d, uint64_t lba)
{
	for (unsigned i = 0; i < 3; i++) {
		d->lba[i][0] = (uint8_t)(lba >> 8 * i);
		d->lba[i][1] = (uint8_t)(lba >> (24 + 8 * i));
	}
}

/* ---- transfers ------------------------------------------------------------------------------- */

static uint32_t step_bytes(const struct ide_chan *ch)
{
	return ch->x.dma ? ch->x.sectors * ATA_SECTOR
			 : MIN(ch->x.sectors * ATA_SECTOR, IDE_BUF_BYTES);
}

static void on_io_done(struct disk_req *req);

static void prepare(struct ide_chan *ch, enum disk_op op)
{
	ch->req = (struct disk_req){
		.op = op,
		.flags = ch->x.fua ? DISK_FUA : 0,
		.lba = ch->x.lba,
		.done = on_io_done,
		.ctx = ch,
	};
	if (op == DISK_FLUSH)
		ch->req.lba = 0;
}

static void run(struct ide_chan *ch, enum disk_op op)
{
	prepare(ch, op);
	if (op != DISK_FLUSH) {
		ch->x.bytes = op == DISK_VERIFY ? ch->x.sectors * ATA_SECTOR : step_bytes(ch);
		ch->req.blocks = ch->x.bytes / ATA_SECTOR;
	}
	if (op == DISK_READ || op == DISK_WRITE) {
		if (!ch->x.dma) {
			ch->iov[0] = (struct iovec){ ch->buf, ch->x.bytes };
			ch->n_iov = 1;
		}
		ch->req.iov = ch->iov;
		ch->req.n_iov = ch->n_iov;
	}
	ide_busy(ch);
}

void ata_submit(struct ide_chan *ch)
{
	if (disk_submit(ide_current(ch)->dq, &ch->req) == 0)
		return;
	/* There is one request at a time and room for one. */
	ch->req.status = NVME_INTERNAL_ERROR;
	on_io_done(&ch->req);
}

static void failed(struct ide_chan *ch, uint16_t status)
{
	put_address(ide_current(ch), ch->x.lba);
	if (ch->x.dma)
		ch->bm_status = (uint8_t)((ch->bm_status & ~IDE_BM_ACTIVE) | IDE_BM_ERROR);
	switch (status) {
	case NVME_LBA_OUT_OF_RANGE:
		return ide_fail(ch, ATA_ERR_ID | ATA_ERR_ABORT);
	case NVME_UNRECOVERED_READ:
		return ide_fail(ch, ATA_ERR_UNC);
	default:
		return ide_fail(ch, ATA_ERR_ABORT);
	}
}

/* A piece is on the disk or in the buffer: whose turn is it? */
static void step_done(struct ide_chan *ch)
{
	const uint32_t sectors = ch->req.op == DISK_FLUSH ? 0 : ch->x.bytes / ATA_SECTOR;

	ch->x.lba += sectors;
	if (ch->req.op == DISK_READ && !ch->x.dma)
		return ide_guest_moves(ch, IDE_DATA_IN, ch->x.bytes, true);
	ch->x.sectors -= MIN(ch->x.sectors, sectors);
	if (ch->x.dma)
		ch->bm_status &= (uint8_t)~IDE_BM_ACTIVE;
	if (ch->x.sectors && ch->req.op == DISK_WRITE)
		return ide_guest_moves(ch, IDE_DATA_OUT, step_bytes(ch), true);
	ide_done(ch);
}

static void on_io_done(struct disk_req *req)
{
	struct ide_chan *ch = req->ctx;

	device_lock(&ch->dev);
	if (ide_io_ended(ch)) {
		if ((req->status & NVME_STATUS_MASK) == NVME_OK)
			step_done(ch);
		else
			failed(ch, req->status & NVME_STATUS_MASK);
	}
	device_unlock(&ch->dev);
}

void ata_guest_done(struct ide_chan *ch)
{
	if (ch->phase == IDE_DATA_OUT)
		return run(ch, DISK_WRITE);
	ch->x.sectors -= MIN(ch->x.sectors, ch->x.bytes / ATA_SECTOR);
	if (ch->x.sectors)
		return run(ch, DISK_READ);
	/* The last block was announced; nothing else is when it has been read. */
	ch->phase = IDE_IDLE;
	ide_current(ch)->status = ATA_ST_READY | ATA_ST_SEEK;
}

void ata_bus_master(struct ide_chan *ch)
{
	const bool to_memory = ch->bm_command & IDE_BM_TO_MEMORY;

	if (to_memory == ch->x.write || ide_prd_iov(ch, step_bytes(ch)) < 0)
		return failed(ch, NVME_DATA_TRANSFER_ERROR);
	run(ch, ch->x.write ? DISK_WRITE : DISK_READ);
}

static void transfer(struct ide_chan *ch, const struct ata_form *f)
{
	struct ide_drive *d = ide_current(ch);

	ch->x = (struct ide_xfer){
		.block = ATA_SECTOR,
		.write = f->op == OP_WRITE,
		.dma = f->flags & F_DMA,
		/* Without its write cache a disk has everything on the medium when it says so. */
		.fua = f->flags & F_FUA || d->write_cache_off,
	};
	take_address(ch, f->flags & F_EXT);
	if (f->flags & F_MULTI) {
		if (!d->multiple)
			return ide_fail(ch, ATA_ERR_ABORT);
		ch->x.block = d->multiple * ATA_SECTOR;
	}
	if (!in_range(ch))
		return failed(ch, NVME_LBA_OUT_OF_RANGE);
	if (f->op == OP_VERIFY)
		return run(ch, DISK_VERIFY);
	if (ch->x.dma) {
		ch->phase = IDE_DMA_WAIT;
		d->status = ATA_ST_READY | ATA_ST_DRQ;
		if (ch->bm_status & IDE_BM_ACTIVE)
			ata_bus_master(ch);
	} else if (ch->x.write) {
		ide_guest_moves(ch, IDE_DATA_OUT, step_bytes(ch), false);
	} else {
		run(ch, DISK_READ);
	}
}

/* ---- the rest -------------------------------------------------------------------------------- */

static void set_features(struct ide_chan *ch)
{
	struct ide_drive *d = ide_current(ch);

	switch (d->feature[0]) {
	case ATA_FEAT_WRITE_CACHE_ON:
		d->write_cache_off = false;
		return ide_done(ch);
	case ATA_FEAT_WRITE_CACHE_OFF:
		/* What was written before must not be lost either. */
		d->write_cache_off = true;
		ch->x = (struct ide_xfer){ 0 };
		return run(ch, DISK_FLUSH);
	case ATA_FEAT_TRANSFER_MODE:
	case ATA_FEAT_LOOK_AHEAD_ON:
	case ATA_FEAT_LOOK_AHEAD_OFF:
	case ATA_FEAT_REVERT_ON:
	case ATA_FEAT_REVERT_OFF:
		return ide_done(ch);
	default:
		return ide_fail(ch, ATA_ERR_ABORT);
	}
}

static void set_multiple(struct ide_chan *ch)
{
	struct ide_drive *d = ide_current(ch);
	const uint8_t n = d->count[0];

	if (n > IDE_MULTI_MAX || (n & (n - 1)))
		return ide_fail(ch, ATA_ERR_ABORT);
	d->multiple = n;
	ide_done(ch);
}

static void read_max(struct ide_chan *ch, bool ext)
{
	struct ide_drive *d = ide_current(ch);
	const uint64_t last = MIN(d->sectors, ext ? d->sectors : LBA28_SECTORS - 1) - 1;

	put_address(d, last);
	if (!ext)
		d->device = (uint8_t)((d->device & 0xf0) | (last >> 24 & 15));
	ide_done(ch);
}

void ata_command(struct ide_chan *ch, uint8_t cmd)
{
	const struct ata_form *f = form_of(cmd);
	struct ide_drive *d = ide_current(ch);

	if (f)
		return transfer(ch, f);
	switch (cmd) {
	case ATA_CMD_IDENTIFY:
		return identify(ch);
	case ATA_CMD_FLUSH:
	case ATA_CMD_FLUSH_EXT:
	case ATA_CMD_STANDBY_NOW:
	case ATA_CMD_STANDBY:
	case ATA_CMD_SLEEP:
		ch->x = (struct ide_xfer){ 0 };
		return run(ch, DISK_FLUSH);
	case ATA_CMD_SET_FEATURES:
		return set_features(ch);
	case ATA_CMD_SET_MULTI:
		return set_multiple(ch);
	case ATA_CMD_READ_MAX:
	case ATA_CMD_READ_MAX_EXT:
		return read_max(ch, cmd == ATA_CMD_READ_MAX_EXT);
	case ATA_CMD_CHECK_POWER:
		d->count[0] = 0xff; /* active or idle */
		return ide_done(ch);
	case ATA_CMD_RECALIBRATE:
	case ATA_CMD_SEEK:
	case ATA_CMD_INIT_PARAMS:
	case ATA_CMD_IDLE_NOW:
	case ATA_CMD_IDLE:
		return ide_done(ch);
	case ATA_CMD_IDENTIFY_PACKET: /* this is none: the signature tells the guest */
	default:
		return ide_fail(ch, ATA_ERR_ABORT);
	}
}
