/* SPDX-License-Identifier: MIT */
/*
 * The DVD drive: a read-only unit of 2048-byte blocks whose medium comes and goes. Input: CDBs of a
 * guest (hostile); state: under the unit's lock, media change rarely; thread: the loop of each
 * queue, changes from anywhere. Spec: MMC-6, SPC-4; spec/storage-net.md 2.6.
 */
#include "scsi_priv.h"

#include "ckd.h"
#include "inspect.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

struct scsi_dvd {
	struct scsi_unit u;
	/* under u.lock */
	bool tray_open, prevented;
	bool removed, inserted; /* events that nobody has asked for yet */
	atomic_bool attention; /* the next command is told that the medium is another one */
};

static struct scsi_dvd *dvd_of(struct scsi_unit *u)
{
	return container_of(u, struct scsi_dvd, u);
}

/* ---- the medium ------------------------------------------------------------------------------ */

/* Blocks of a disk as a medium shows them. */
static uint32_t medium_blocks(const struct disk *d)
{
	struct disk_info info;
	uint64_t blocks;

	if (!d)
		return 0;
	disk_info(d, &info);
	blocks = info.blocks / (DVD_BLOCK / info.block_size);
	return (uint32_t)MIN(blocks, UINT32_MAX);
}

static bool fits(const struct disk *d)
{
	struct disk_info info;

	if (!d)
		return true;
	disk_info(d, &info);
	return info.block_size && info.block_size <= DVD_BLOCK;
}

static struct scsi_dvd_state get_state(struct scsi_dvd *dvd, uint32_t *ret_block_size)
{
	struct scsi_dvd_state st;
	struct disk_info info = { .block_size = DVD_BLOCK };

	(void)pthread_mutex_lock(&dvd->u.lock);
	st = (struct scsi_dvd_state){ medium_blocks(dvd->u.disk), dvd->tray_open };
	if (dvd->u.disk)
		disk_info(dvd->u.disk, &info);
	(void)pthread_mutex_unlock(&dvd->u.lock);
	*ret_block_size = info.block_size;
	return st;
}

/* Another medium, or none: every queue finds out by itself. Returns the old one. */
static struct disk *set_medium(struct scsi_dvd *dvd, struct disk *d)
{
	struct disk *old;

	(void)pthread_mutex_lock(&dvd->u.lock);
	old = dvd->u.disk;
	dvd->u.disk = d;
	dvd->removed = dvd->removed || old;
	dvd->inserted = d;
	dvd->tray_open = !d;
	list_for_each(l, &dvd->u.queues) {
		struct scsi_queue *q = container_of(l, struct scsi_queue, link);

		/* Pairs with the acquire in scsi_medium_moved(). */
		atomic_store_explicit(&q->swap, true, memory_order_release);
	}
	atomic_store_explicit(&dvd->attention, d, memory_order_release);
	(void)pthread_mutex_unlock(&dvd->u.lock);
	return old;
}

static void put_medium(struct disk *d)
{
	if (d)
		disk_put(d);
}

void scsi_dvd_change_medium(struct scsi_unit *u, struct disk *d)
{
	if (!fits(d)) {
		put_medium(d);
		d = NULL;
	}
	put_medium(set_medium(dvd_of(u), d));
}

/* ---- commands -------------------------------------------------------------------------------- */

static void no_medium(struct scsi_slot *s, const struct scsi_dvd_state *st)
{
	scsi_end_sense(s, SRB_ERROR, SENSE_NOT_READY,
		       st->tray_open ? ASC_NO_MEDIUM_OPEN : ASC_NO_MEDIUM_CLOSED);
}

static void test_unit_ready(struct scsi_slot *s, const struct scsi_dvd_state *st)
{
	(void)st;
	scsi_end_ok(s, 0);
}

static void inquiry(struct scsi_slot *s, const struct scsi_dvd_state *st)
{
	(void)st;
	scsi_inquiry(s, NULL);
}

static void request_sense(struct scsi_slot *s, const struct scsi_dvd_state *st)
{
	(void)st;
	scsi_request_sense(s);
}

static void report_luns(struct scsi_slot *s, const struct scsi_dvd_state *st)
{
	uint8_t d[16] = { 0 };

	(void)st;
	be32_store(d, 8);
	scsi_reply(s, d, sizeof(d), be32_load(s->cmd->cdb + 6));
}

static void read_capacity(struct scsi_slot *s, const struct scsi_dvd_state *st)
{
	uint8_t d[8];

	be32_store(d, st->blocks - 1);
	be32_store(d + 4, DVD_BLOCK);
	scsi_reply(s, d, sizeof(d), sizeof(d));
}

static void read_done(struct scsi_slot *s)
{
	scsi_count(s->q, SCSI_N_READS, 1);
	scsi_count(s->q, SCSI_N_READ_BYTES, s->cmd->data_len);
	scsi_end_ok(s, s->cmd->data_len);
}

static void read(struct scsi_slot *s, const struct scsi_dvd_state *st)
{
	const struct scsi_range r = scsi_cdb_range(s->cmd->cdb);
	const uint64_t bytes = (uint64_t)r.blocks * DVD_BLOCK;
	const uint32_t factor = DVD_BLOCK / s->block_size;

	if (!range_ok(r.lba, r.blocks, st->blocks)) {
		scsi_end_invalid(s, ASC_LBA);
	} else if (bytes > scsi_room(s->cmd, SCSI_FROM_DEVICE) ||
		   bytes > s->q->u->cfg.max_transfer || (s->cmd->cdb[1] & CDB_RELADR)) {
		scsi_end_invalid(s, ASC_CDB_FIELD);
	} else if (!bytes) {
		scsi_end_ok(s, 0);
	} else {
		scsi_trim(s->cmd, (uint32_t)bytes);
		s->req = (struct disk_req){ .op = DISK_READ,
					    .lba = r.lba * factor,
					    .blocks = r.blocks * factor,
					    .iov = s->cmd->iov,
					    .n_iov = s->cmd->n_iov };
		scsi_submit(s, read_done);
	}
}

/* Events are told one at a time: a medium that was replaced went first and then came. */
static void get_event_status(struct scsi_slot *s, const struct scsi_dvd_state *st)
{
	enum {
		EV_NONE,
		EV_NEW = 2,
		EV_REMOVAL = 3,
		CLASS_MEDIA = 4,
		MASK_MEDIA = 0x10,
		NEA = 0x80
	};
	struct scsi_dvd *dvd = dvd_of(s->q->u);
	uint8_t d[8] = { 0, 2, NEA, MASK_MEDIA };
	uint32_t len = 4;

	if (!(s->cmd->cdb[1] & 1)) { /* only polled */
		scsi_end_invalid(s, ASC_CDB_FIELD);
		return;
	}
	if (s->cmd->cdb[4] & MASK_MEDIA) {
		len = sizeof(d);
		d[1] = 6;
		d[2] = CLASS_MEDIA;
		(void)pthread_mutex_lock(&dvd->u.lock);
		if (dvd->removed) {
			d[4] = EV_REMOVAL;
			dvd->removed = false;
		} else if (dvd->inserted) {
			d[4] = EV_NEW;
			dvd->inserted = false;
		}
		(void)pthread_mutex_unlock(&dvd->u.lock);
		d[5] = (uint8_t)((st->tray_open ? 1 : 0) | (st->blocks ? 2 : 0));
	}
	scsi_reply(s, d, len, scsi_cdb16(s, 7));
}

static void prevent_allow(struct scsi_slot *s, const struct scsi_dvd_state *st)
{
	struct scsi_dvd *dvd = dvd_of(s->q->u);

	(void)st;
	(void)pthread_mutex_lock(&dvd->u.lock);
	dvd->prevented = s->cmd->cdb[4] & 1;
	(void)pthread_mutex_unlock(&dvd->u.lock);
	scsi_end_ok(s, 0);
}

/* What is ejected is gone: nobody puts it back but the host. */
static void start_stop(struct scsi_slot *s, const struct scsi_dvd_state *st)
{
	struct scsi_dvd *dvd = dvd_of(s->q->u);
	const bool load = s->cmd->cdb[4] & 2, go = s->cmd->cdb[4] & 1;
	bool prevented;

	(void)st;
	(void)pthread_mutex_lock(&dvd->u.lock);
	prevented = dvd->prevented;
	if (load && go)
		dvd->tray_open = false;
	(void)pthread_mutex_unlock(&dvd->u.lock);
	if (!load || go) {
		scsi_end_ok(s, 0);
	} else if (prevented) {
		scsi_end_sense(s, SRB_ERROR, SENSE_ILLEGAL_REQUEST, ASC_REMOVAL_PREVENTED);
	} else {
		put_medium(set_medium(dvd, NULL));
		scsi_end_ok(s, 0);
	}
}

/* Nothing here can be changed; an empty list changes nothing. */
static void mode_select(struct scsi_slot *s, const struct scsi_dvd_state *st)
{
	(void)st;
	if (scsi_cdb16(s, 7))
		scsi_end_invalid(s, ASC_PARAMETER);
	else
		scsi_end_ok(s, 0);
}

/* ---- dispatch -------------------------------------------------------------------------------- */

#define OP_MEDIUM BIT(0) /* nothing to do without one */
#define OP_ALWAYS BIT(1) /* no unit attention is in its way */

static const struct dvd_op {
	void (*run)(struct scsi_slot *s, const struct scsi_dvd_state *st);
	uint8_t flags;
} ops[256] = {
	[SCSI_TEST_UNIT_READY] = { test_unit_ready, OP_MEDIUM },
	[SCSI_REQUEST_SENSE] = { request_sense, OP_ALWAYS },
	[SCSI_INQUIRY] = { inquiry, OP_ALWAYS },
	[SCSI_START_STOP_UNIT] = { start_stop, 0 },
	[SCSI_PREVENT_ALLOW] = { prevent_allow, 0 },
	[SCSI_READ_CAPACITY_10] = { read_capacity, OP_MEDIUM },
	[SCSI_READ_10] = { read, OP_MEDIUM },
	[SCSI_READ_12] = { read, OP_MEDIUM },
	[SCSI_READ_16] = { read, OP_MEDIUM },
	[SCSI_READ_TOC] = { scsi_mmc_read_toc, OP_MEDIUM },
	[SCSI_GET_CONFIGURATION] = { scsi_mmc_get_configuration, OP_ALWAYS },
	[SCSI_GET_EVENT_STATUS] = { get_event_status, OP_ALWAYS },
	[SCSI_READ_DISC_INFO] = { scsi_mmc_read_disc_info, OP_MEDIUM },
	[SCSI_READ_TRACK_INFO] = { scsi_mmc_read_track_info, OP_MEDIUM },
	[SCSI_MODE_SELECT_10] = { mode_select, 0 },
	[SCSI_MODE_SENSE_10] = { scsi_mmc_mode_sense, 0 },
	[SCSI_READ_BUFFER_CAPACITY] = { scsi_mmc_buffer_capacity, 0 },
	[SCSI_REPORT_LUNS] = { report_luns, OP_ALWAYS },
	[SCSI_GET_PERFORMANCE] = { scsi_mmc_get_performance, OP_MEDIUM },
	[SCSI_READ_DVD_STRUCTURE] = { scsi_mmc_read_structure, OP_MEDIUM },
	[SCSI_SET_STREAMING] = { scsi_mmc_set_streaming, 0 },
	[SCSI_MECHANISM_STATUS] = { scsi_mmc_mechanism_status, 0 },
};

static void dvd_exec(struct scsi_slot *s)
{
	struct scsi_dvd *dvd = dvd_of(s->q->u);
	const struct dvd_op *op = &ops[s->cmd->cdb[0]];
	const struct scsi_dvd_state st = get_state(dvd, &s->block_size);

	if (!op->run) {
		scsi_end_invalid(s, ASC_OPCODE);
	} else if (!(op->flags & OP_ALWAYS) &&
		   atomic_exchange_explicit(&dvd->attention, false, memory_order_acquire)) {
		scsi_count(s->q, SCSI_N_ATTENTIONS, 1);
		scsi_end_sense(s, SRB_ERROR, SENSE_UNIT_ATTENTION, ASC_MEDIUM_CHANGED);
	} else if ((op->flags & OP_MEDIUM) && !st.blocks) {
		no_medium(s, &st);
	} else if ((op->flags & OP_MEDIUM) && scsi_medium_moved(s->q)) {
		/* Reads of the old medium are in flight. */
		scsi_end_sense(s, SRB_ERROR, SENSE_NOT_READY, ASC_BECOMING_READY);
	} else {
		op->run(s, &st);
	}
}

/* ---- the unit -------------------------------------------------------------------------------- */

static void dvd_inspect(struct inspect *in, const struct scsi_unit *u)
{
	struct scsi_dvd *dvd = dvd_of(u->self);
	struct disk *d;
	bool tray_open, prevented;

	(void)pthread_mutex_lock(&dvd->u.lock);
	d = dvd->u.disk ? disk_get(dvd->u.disk) : NULL;
	tray_open = dvd->tray_open;
	prevented = dvd->prevented;
	(void)pthread_mutex_unlock(&dvd->u.lock);
	inspect_bool(in, SENS_SAFE, "medium", d);
	inspect_bool(in, SENS_SAFE, "tray_open", tray_open);
	inspect_bool(in, SENS_SAFE, "prevented", prevented);
	if (d)
		inspect_dir(in, SENS_SAFE, "disk", disk_inspect, d);
	put_medium(d);
}

static void dvd_destroy(struct scsi_unit *u)
{
	scsi_unit_fini(u);
	free(dvd_of(u));
}

static const struct scsi_unit_ops dvd_ops = {
	.kind = "dvd",
	.exec = dvd_exec,
	.peripheral = SCSI_PERIPHERAL_DVD,
	.inspect = dvd_inspect,
	.destroy = dvd_destroy,
};

int scsi_dvd_create(const struct scsi_unit_cfg *cfg, struct disk *d, struct scsi_unit **ret_u)
{
	struct scsi_dvd *dvd;
	int r;

	if (!fits(d))
		return -EINVAL;
	dvd = calloc(1, sizeof(*dvd));
	if (!dvd)
		return -ENOMEM;
	r = scsi_unit_init(&dvd->u, &dvd_ops, cfg, d);
	if (r < 0) {
		free(dvd);
		return r;
	}
	if (!dvd->u.cfg.product[0])
		memcpy(dvd->u.cfg.product, "Virtual DVD-ROM", sizeof("Virtual DVD-ROM"));
	*ret_u = &dvd->u;
	return 0;
}
