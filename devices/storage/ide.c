/* SPDX-License-Identifier: MIT */
/* Registers, resets and bus master of an IDE channel; commands are in ata_disk.c and atapi.c. */
#include "ide.h"

#include "gmem.h"
#include "ide_priv.h"
#include "inspect.h"
#include "le.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

/* What an empty cable reads as. */
#define NO_DRIVE 0x7fu

static struct ide_chan *chan_of_dev(struct device *dev)
{
	return container_of(dev, struct ide_chan, dev);
}

static bool empty(const struct ide_chan *ch)
{
	return !ch->drive[0].kind && !ch->drive[1].kind;
}

/* ---- for the commands ------------------------------------------------------------------------ */

static void update_irq(struct ide_chan *ch)
{
	irq_line_set(&ch->cfg.irq, ch->irq && !(ch->control & ATA_CTL_NIEN));
}

void ide_interrupt(struct ide_chan *ch)
{
	ch->irq = true;
	ch->bm_status |= IDE_BM_INTERRUPT;
	update_irq(ch);
}

void ide_done(struct ide_chan *ch)
{
	struct ide_drive *d = ide_current(ch);

	ch->phase = IDE_IDLE;
	d->status = ATA_ST_READY | ATA_ST_SEEK;
	d->error = 0;
	ide_interrupt(ch);
}

void ide_fail(struct ide_chan *ch, uint8_t error)
{
	struct ide_drive *d = ide_current(ch);

	ch->phase = IDE_IDLE;
	d->status = ATA_ST_READY | ATA_ST_SEEK | ATA_ST_ERR;
	d->error = error;
	ide_interrupt(ch);
}

void ide_busy(struct ide_chan *ch)
{
	ch->phase = IDE_BUSY;
	ide_current(ch)->status = ATA_ST_BUSY;
	ch->running = true;
	loop_post(ch->cfg.loop, &ch->start);
}

void ide_guest_moves(struct ide_chan *ch, enum ide_phase phase, uint32_t len, bool interrupt)
{
	ch->phase = phase;
	ch->pos = 0;
	ch->len = len;
	ide_current(ch)->status = ATA_ST_READY | ATA_ST_SEEK | ATA_ST_DRQ;
	if (interrupt)
		ide_interrupt(ch);
}

void ide_signature(struct ide_drive *d)
{
	const bool atapi = d->kind == IDE_ATAPI;

	d->count[0] = 1;
	d->lba[0][0] = 1;
	d->lba[1][0] = atapi ? 0x14 : 0;
	d->lba[2][0] = atapi ? 0xeb : 0;
	d->error = 1; /* passed its self-test */
	d->status = atapi ? 0 : ATA_ST_READY | ATA_ST_SEEK;
	d->multiple = 0;
}

/* One piece of guest memory to the list, joined with the last one if it follows it. */
static int add_piece(struct ide_chan *ch, gpa_t gpa, uint32_t len)
{
	struct iovec *last = ch->n_iov ? &ch->iov[ch->n_iov - 1] : NULL;
	void *host;
	int r = gm_host_range(ch->cfg.gm, gpa, len, &host);

	if (r < 0)
		return r;
	if (last && (char *)last->iov_base + last->iov_len == (char *)host) {
		last->iov_len += len;
		return 0;
	}
	if (ch->n_iov == ARRAY_SIZE(ch->iov))
		return -E2BIG;
	ch->iov[ch->n_iov++] = (struct iovec){ host, len };
	return 0;
}

int ide_prd_iov(struct ide_chan *ch, uint32_t bytes)
{
	gpa_t at = ch->bm_prdt;

	ch->n_iov = 0;
	for (unsigned i = 0; i < IDE_PRD_MAX && bytes; i++, at += sizeof(struct ide_prd)) {
		struct ide_prd raw;
		uint32_t len;

		if (gm_read(ch->cfg.gm, at, &raw, sizeof(raw)) < 0)
			break;
		len = raw.count & ~1u;
		len = MIN(len ? len : 65536u, bytes);
		if (add_piece(ch, raw.base & ~1u, len) < 0)
			break;
		bytes -= len;
		if (raw.flags & IDE_PRD_LAST)
			break;
	}
	if (!bytes)
		return 0;
	ch->n_iov = 0;
	return -EFAULT;
}

/* ---- reset ----------------------------------------------------------------------------------- */

static void reset_drives(struct ide_chan *ch)
{
	ch->reset_wanted = false;
	ch->phase = IDE_IDLE;
	ch->selected = 0;
	ch->irq = false;
	ch->bm_status &= (uint8_t)~IDE_BM_ACTIVE;
	for (unsigned i = 0; i < IDE_DRIVES; i++) {
		ide_signature(&ch->drive[i]);
		ch->drive[i].device = 0;
	}
	update_irq(ch);
}

/* What runs on the loop is ended first: its memory is not ours to touch afterwards. */
static void reset_soon(struct ide_chan *ch)
{
	if (!ch->running) {
		reset_drives(ch);
		return;
	}
	ch->reset_wanted = true;
	loop_post(ch->cfg.loop, &ch->abort);
}

static void ide_reset(struct device *dev)
{
	struct ide_chan *ch = chan_of_dev(dev);

	ch->control = 0;
	ch->bm_command = ch->bm_status = 0;
	ch->bm_prdt = 0;
	reset_soon(ch);
}

/* ---- the loop -------------------------------------------------------------------------------- */

static void on_start(void *ctx)
{
	struct ide_chan *ch = ctx;

	if (ide_current(ch)->kind == IDE_ATAPI)
		atapi_submit(ch);
	else
		ata_submit(ch);
}

static void on_abort(void *ctx)
{
	struct ide_chan *ch = ctx;

	for (unsigned i = 0; i < IDE_DRIVES; i++) {
		if (ch->drive[i].dq)
			disk_queue_abort(ch->drive[i].dq);
		if (ch->drive[i].sq)
			scsi_queue_abort(ch->drive[i].sq);
	}
}

bool ide_io_ended(struct ide_chan *ch)
{
	ch->running = false;
	ch->n_iov = 0;
	if (ch->stopped)
		ch->stopped(ch->stopped_ctx);
	ch->stopped = NULL;
	if (!ch->reset_wanted)
		return true;
	reset_drives(ch);
	return false;
}

void ide_chan_stop(struct ide_chan *ch, void (*done)(void *ctx), void *ctx)
{
	bool running;

	device_lock(&ch->dev);
	running = ch->running;
	if (running) {
		ch->stopped = done;
		ch->stopped_ctx = ctx;
		ch->reset_wanted = true;
	}
	device_unlock(&ch->dev);
	if (running)
		on_abort(ch);
	else
		done(ctx);
}

/* ---- registers ------------------------------------------------------------------------------- */

static void guest_done(struct ide_chan *ch)
{
	if (ide_current(ch)->kind == IDE_ATAPI)
		atapi_guest_done(ch);
	else
		ata_guest_done(ch);
}

/* The guest moved some bytes: the next block, or the end of what is in the buffer. */
static void moved(struct ide_chan *ch, unsigned size)
{
	ch->pos += size;
	if (ch->pos >= ch->len) {
		guest_done(ch);
	} else if (ch->phase != IDE_PACKET && ch->pos % ch->x.block == 0) {
		if (ide_current(ch)->kind == IDE_ATAPI)
			atapi_block(ch);
		ide_interrupt(ch);
	}
}

static uint64_t read_data(struct ide_chan *ch, unsigned size)
{
	uint64_t val = 0;

	if (ch->phase != IDE_DATA_IN)
		return 0;
	memcpy(&val, ch->buf + ch->pos, MIN(size, ch->len - ch->pos));
	moved(ch, size);
	return val;
}

static void write_data(struct ide_chan *ch, unsigned size, uint64_t val)
{
	if (ch->phase != IDE_DATA_OUT && ch->phase != IDE_PACKET)
		return;
	memcpy(ch->buf + ch->pos, &val, MIN(size, ch->len - ch->pos));
	moved(ch, size);
}

static uint8_t read_status(const struct ide_chan *ch)
{
	const struct ide_drive *d = &ch->drive[ch->selected];

	if (empty(ch))
		return NO_DRIVE;
	if (ch->control & ATA_CTL_SRST || ch->running)
		return ATA_ST_BUSY;
	return d->kind ? d->status : 0;
}

static uint8_t read_reg(struct ide_chan *ch, unsigned reg)
{
	/* An absent drive's registers are those of the other one, but for the status. */
	const struct ide_drive *d = ide_current(ch)->kind ? ide_current(ch) : &ch->drive[0];
	const unsigned old = ch->control & ATA_CTL_HOB ? 1 : 0;

	if (empty(ch))
		return NO_DRIVE;
	switch (reg) {
	case ATA_ERROR:
		return d->error;
	case ATA_COUNT:
		return d->count[old];
	case ATA_LBA_LOW:
	case ATA_LBA_MID:
	case ATA_LBA_HIGH:
		return d->lba[reg - ATA_LBA_LOW][old];
	case ATA_DEVICE:
		return (d->device & (uint8_t)~ATA_DEV_DRIVE) | ATA_DEV_OBSOLETE |
		       (ch->selected ? ATA_DEV_DRIVE : 0);
	default:
		ch->irq = false;
		update_irq(ch);
		return read_status(ch);
	}
}

static void shift_in(uint8_t reg[2], uint8_t val)
{
	reg[1] = reg[0];
	reg[0] = val;
}

static void write_parameter(struct ide_chan *ch, unsigned reg, uint8_t val)
{
	for (unsigned i = 0; i < IDE_DRIVES; i++) {
		struct ide_drive *d = &ch->drive[i];

		switch (reg) {
		case ATA_ERROR:
			shift_in(d->feature, val);
			break;
		case ATA_COUNT:
			shift_in(d->count, val);
			break;
		case ATA_DEVICE:
			d->device = val;
			break;
		default:
			shift_in(d->lba[reg - ATA_LBA_LOW], val);
			break;
		}
	}
	if (reg == ATA_DEVICE)
		ch->selected = val & ATA_DEV_DRIVE ? 1 : 0;
}

static void command(struct ide_chan *ch, uint8_t cmd)
{
	struct ide_drive *d = ide_current(ch);

	/* A drive that runs a command takes only one: the reset of an ATAPI drive. */
	if (ch->running) {
		if (cmd == ATA_CMD_DEVICE_RESET && d->kind == IDE_ATAPI)
			reset_soon(ch);
		return;
	}
	ch->irq = false;
	update_irq(ch);
	if (cmd == ATA_CMD_DIAGNOSTIC) {
		for (unsigned i = 0; i < IDE_DRIVES; i++)
			ide_signature(&ch->drive[i]);
		ch->phase = IDE_IDLE;
		ch->selected = 0;
		ide_interrupt(ch);
	} else if (d->kind == IDE_ATAPI) {
		atapi_command(ch, cmd);
	} else if (d->kind == IDE_ATA) {
		ata_command(ch, cmd);
	}
}

static void write_reg(struct ide_chan *ch, unsigned reg, uint8_t val)
{
	ch->control &= (uint8_t)~ATA_CTL_HOB;
	if (reg == ATA_STATUS)
		command(ch, val);
	else if (!ch->running)
		write_parameter(ch, reg, val);
}

static void write_control(struct ide_chan *ch, uint8_t val)
{
	const uint8_t old = ch->control;

	ch->control = val & (ATA_CTL_NIEN | ATA_CTL_SRST | ATA_CTL_HOB);
	if (val & ~old & ATA_CTL_SRST)
		reset_soon(ch);
	update_irq(ch);
}

static enum bus_status ide_read(struct device *dev, const struct bus_access *a, uint64_t *ret_val)
{
	struct ide_chan *ch = chan_of_dev(dev);
	const bool data = a->region == IDE_REGION_COMMAND && a->off == ATA_DATA;

	if (data ? a->size > 4 || a->size < 2 : a->size != 1)
		return BUS_BAD;
	if (a->region == IDE_REGION_CONTROL)
		*ret_val = read_status(ch);
	else if (data)
		*ret_val = empty(ch) ? 0xffffff00u | NO_DRIVE : read_data(ch, a->size);
	else
		*ret_val = read_reg(ch, (unsigned)a->off);
	return BUS_OK;
}

static enum bus_status ide_write(struct device *dev, const struct bus_access *a, uint64_t val)
{
	struct ide_chan *ch = chan_of_dev(dev);
	const bool data = a->region == IDE_REGION_COMMAND && a->off == ATA_DATA;

	if (data ? a->size > 4 || a->size < 2 : a->size != 1)
		return BUS_BAD;
	if (a->region == IDE_REGION_CONTROL)
		write_control(ch, (uint8_t)val);
	else if (data)
		write_data(ch, a->size, val);
	else
		write_reg(ch, (unsigned)a->off, (uint8_t)val);
	return BUS_OK;
}

/* ---- bus master ------------------------------------------------------------------------------ */

static void bm_start(struct ide_chan *ch)
{
	ch->bm_status |= IDE_BM_ACTIVE;
	if (ch->phase != IDE_DMA_WAIT)
		return;
	if (ide_current(ch)->kind == IDE_ATAPI)
		atapi_bus_master(ch);
	else
		ata_bus_master(ch);
}

static void bm_command(struct ide_chan *ch, uint8_t val)
{
	const uint8_t old = ch->bm_command;

	ch->bm_command = val & (IDE_BM_START | IDE_BM_TO_MEMORY);
	if (ch->bm_command & ~old & IDE_BM_START)
		bm_start(ch);
	if (old & ~ch->bm_command & IDE_BM_START) {
		ch->bm_status &= (uint8_t)~IDE_BM_ACTIVE;
		if (ch->running && ch->x.dma)
			loop_post(ch->cfg.loop, &ch->abort);
	}
}

uint32_t ide_chan_bm_read(struct ide_chan *ch, unsigned off, unsigned size)
{
	uint8_t regs[IDE_BM_PORTS] = { 0 };
	uint32_t val = 0;

	device_lock(&ch->dev);
	regs[IDE_BM_COMMAND] = ch->bm_command;
	regs[IDE_BM_STATUS] = ch->bm_status;
	le32_store(regs + IDE_BM_PRDT, ch->bm_prdt);
	device_unlock(&ch->dev);
	if (off < IDE_BM_PORTS && size <= IDE_BM_PORTS - off && size <= sizeof(val))
		memcpy(&val, regs + off, size);
	return val;
}

void ide_chan_bm_write(struct ide_chan *ch, unsigned off, unsigned size, uint32_t val)
{
	uint8_t prdt[4];

	if (off >= IDE_BM_PORTS || size > IDE_BM_PORTS - off || size > sizeof(val))
		return;
	device_lock(&ch->dev);
	if (off >= IDE_BM_PRDT) {
		le32_store(prdt, ch->bm_prdt);
		memcpy(prdt + (off - IDE_BM_PRDT), &val, size);
		ch->bm_prdt = le32_load(prdt) & ~3u;
	}
	for (unsigned i = 0; i < size && off < IDE_BM_PRDT; i++) {
		const uint8_t byte = (uint8_t)(val >> 8 * i);
		const uint8_t cleared = byte & (IDE_BM_ERROR | IDE_BM_INTERRUPT);

		if (off + i == IDE_BM_COMMAND)
			bm_command(ch, byte);
		else if (off + i == IDE_BM_STATUS) /* two bits are cleared by ones */
			ch->bm_status = (uint8_t)((ch->bm_status & ~(IDE_BM_CAPABLE | cleared)) |
						  (byte & IDE_BM_CAPABLE));
	}
	device_unlock(&ch->dev);
}

/* ---- life cycle ------------------------------------------------------------------------------ */

static void inspect_drive(struct inspect *in, const void *obj)
{
	static const char *const kinds[] = { "none", "ata", "atapi" };
	const struct ide_drive *d = obj;

	inspect_str(in, SENS_UNSPEC, "kind", kinds[d->kind]);
	if (d->disk)
		inspect_dir(in, SENS_UNSPEC, "disk", disk_inspect, d->disk);
	if (d->unit)
		inspect_dir(in, SENS_UNSPEC, "unit", scsi_unit_inspect, d->unit);
	inspect_hex(in, SENS_SENSITIVE, "status", d->status);
	inspect_hex(in, SENS_SENSITIVE, "error", d->error);
}

static void ide_inspect(struct device *dev, struct inspect *in)
{
	static const char *const phases[] = { "idle",	"data_in",  "data_out",
					      "packet", "dma_wait", "busy" };
	struct ide_chan *ch = chan_of_dev(dev);
	struct ide_drive drives[IDE_DRIVES];
	uint8_t bm[2], control;
	enum ide_phase phase;

	device_lock(dev);
	memcpy(drives, ch->drive, sizeof(drives));
	phase = ch->phase;
	control = ch->control;
	bm[0] = ch->bm_command;
	bm[1] = ch->bm_status;
	device_unlock(dev);
	inspect_str(in, SENS_UNSPEC, "phase", phases[phase]);
	inspect_hex(in, SENS_SENSITIVE, "control", control);
	inspect_hex(in, SENS_SENSITIVE, "bus_master_command", bm[0]);
	inspect_hex(in, SENS_SENSITIVE, "bus_master_status", bm[1]);
	for (unsigned i = 0; i < IDE_DRIVES; i++)
		inspect_dir_at(in, SENS_UNSPEC, i, inspect_drive, &drives[i]);
}

static void ide_destroy(struct device *dev)
{
	struct ide_chan *ch = chan_of_dev(dev);

	for (unsigned i = 0; i < IDE_DRIVES; i++) {
		struct ide_drive *d = &ch->drive[i];

		disk_queue_destroy(d->dq);
		scsi_queue_destroy(d->sq);
		if (d->disk)
			disk_put(d->disk);
		if (d->unit)
			scsi_unit_put(d->unit);
	}
	device_fini(dev);
	free(ch->buf);
	free(ch);
}

static const struct device_ops ide_ops = {
	.name = "ide",
	.reset = ide_reset,
	.io_read = ide_read,
	.io_write = ide_write,
	.inspect = ide_inspect,
	.destroy = ide_destroy,
};

int ide_chan_create(const struct ide_chan_cfg *cfg, struct ide_chan **ret_ch)
{
	struct ide_chan *ch = calloc(1, sizeof(*ch));

	if (!ch)
		return -ENOMEM;
	ch->buf = malloc(IDE_BUF_BYTES);
	if (!ch->buf) {
		free(ch);
		return -ENOMEM;
	}
	ch->cfg = *cfg;
	ch->start = (struct loop_work){ .fn = on_start, .ctx = ch };
	ch->abort = (struct loop_work){ .fn = on_abort, .ctx = ch };
	device_init(&ch->dev, &ide_ops, cfg->name);
	reset_drives(ch);
	*ret_ch = ch;
	return 0;
}

struct device *ide_chan_device(struct ide_chan *ch)
{
	return &ch->dev;
}

static bool place_free(const struct ide_chan *ch, unsigned drive)
{
	return drive < IDE_DRIVES && !ch->drive[drive].kind;
}

int ide_chan_attach_disk(struct ide_chan *ch, unsigned drive, struct disk *d, const char *serial)
{
	struct disk_info info;
	struct ide_drive *id;
	int r;

	disk_info(d, &info);
	if (drive >= IDE_DRIVES || info.block_size != ATA_SECTOR)
		return -EINVAL;
	if (!place_free(ch, drive))
		return -EEXIST;
	id = &ch->drive[drive];
	r = disk_queue_create(d, ch->cfg.loop, 1, &id->dq);
	if (r < 0)
		return r;
	id->kind = IDE_ATA;
	id->disk = d;
	id->sectors = info.blocks;
	for (size_t i = 0; serial && serial[i] && i < sizeof(id->serial) - 1; i++)
		id->serial[i] = serial[i];
	ide_signature(id);
	return 0;
}

int ide_chan_attach_dvd(struct ide_chan *ch, unsigned drive, struct scsi_unit *u)
{
	struct ide_drive *id;
	int r;

	if (drive >= IDE_DRIVES)
		return -EINVAL;
	if (!place_free(ch, drive))
		return -EEXIST;
	id = &ch->drive[drive];
	r = scsi_queue_create(u, ch->cfg.loop, 1, &id->sq);
	if (r < 0)
		return r;
	id->kind = IDE_ATAPI;
	id->unit = u;
	ide_signature(id);
	return 0;
}
