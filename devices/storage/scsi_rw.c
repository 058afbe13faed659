/* SPDX-License-Identifier: MIT */
/*
 * READ, WRITE, VERIFY, WRITE AND VERIFY and SYNCHRONIZE CACHE. Data goes between the guest's memory
 * and the disk without being touched; only a comparison copies both sides. Input: CDBs of a guest;
 * thread: the queue's loop. Spec: SBC-3 5; spec/storage-net.md 2.1.
 */
#include "scsi_priv.h"

#include "ckd.h"

#include <string.h>

struct scsi_range scsi_cdb_range(const uint8_t *cdb)
{
	switch (cdb[0] >> 5) {
	case 0: /* a length of 0 means 256 */
		return (struct scsi_range){ be24_get(cdb + 1) & 0x1fffff, cdb[4] ? cdb[4] : 256 };
	case 1:
	case 2:
		return (struct scsi_range){ be32_load(cdb + 2), be16_get(cdb + 7) };
	case 5:
		return (struct scsi_range){ be32_load(cdb + 2), be32_load(cdb + 6) };
	default:
		return (struct scsi_range){ be64_load(cdb + 2), be32_load(cdb + 10) };
	}
}

/* Checks what all of these commands have in common; ends the command when something is wrong. */
static bool check_range(struct scsi_slot *s, const struct disk_info *info, uint8_t bad_bits,
			struct scsi_range *ret_range)
{
	const uint8_t *cdb = s->cmd->cdb;
	const struct scsi_range r = scsi_cdb_range(cdb);

	if (cdb[0] >> 5 && (cdb[1] & bad_bits)) {
		scsi_end_invalid(s, ASC_CDB_FIELD);
		return false;
	}
	if (!range_ok(r.lba, r.blocks, info->blocks)) {
		scsi_end_invalid(s, ASC_LBA);
		return false;
	}
	*ret_range = r;
	return true;
}

/* Does the guest's memory hold that many blocks, and may so many go in one command? */
static bool check_size(struct scsi_slot *s, const struct disk_info *info, enum scsi_dir dir,
		       uint32_t blocks)
{
	const uint64_t bytes = (uint64_t)blocks * info->block_size;

	if (bytes <= scsi_room(s->cmd, dir) && bytes <= s->q->u->cfg.max_transfer)
		return true;
	scsi_end_invalid(s, ASC_CDB_FIELD);
	return false;
}

/* A request that moves the command's memory. */
static void set_req(struct scsi_slot *s, enum disk_op op, const struct scsi_range *r)
{
	struct scsi_cmd *cmd = s->cmd;

	s->req.op = op;
	s->req.flags = s->fua ? DISK_FUA : 0;
	s->req.lba = r->lba;
	s->req.blocks = r->blocks;
	s->req.iov = cmd->iov;
	s->req.n_iov = cmd->n_iov;
	s->req.pr = NULL;
}

/* ---- READ ------------------------------------------------------------------------------------ */

static void read_done(struct scsi_slot *s)
{
	scsi_count(s->q, SCSI_N_READS, 1);
	scsi_count(s->q, SCSI_N_READ_BYTES, s->cmd->data_len);
	scsi_end_ok(s, s->cmd->data_len);
}

/* FUA: what comes is on the medium, so the cache was emptied to it. */
static void read_flushed(struct scsi_slot *s)
{
	const struct scsi_range r = { s->lba, s->left };

	s->fua = false;
	set_req(s, DISK_READ, &r);
	scsi_submit(s, read_done);
}

void scsi_read(struct scsi_slot *s, const struct disk_info *info)
{
	const uint8_t *cdb = s->cmd->cdb;
	struct scsi_range r;

	if (!check_range(s, info, CDB_PROTECT | CDB_RELADR, &r) ||
	    !check_size(s, info, SCSI_FROM_DEVICE, r.blocks))
		return;
	if (!r.blocks) {
		scsi_end_ok(s, 0);
		return;
	}
	scsi_trim(s->cmd, r.blocks * info->block_size);
	s->fua = false;
	if (cdb[0] >> 5 && (cdb[1] & CDB_FUA) && info->write_cache) {
		s->lba = r.lba;
		s->left = r.blocks;
		s->req = (struct disk_req){ .op = DISK_FLUSH };
		scsi_submit(s, read_flushed);
		return;
	}
	set_req(s, DISK_READ, &r);
	scsi_submit(s, read_done);
}

/* ---- WRITE ----------------------------------------------------------------------------------- */

static void write_done(struct scsi_slot *s)
{
	scsi_count(s->q, SCSI_N_WRITES, 1);
	scsi_count(s->q, SCSI_N_WRITE_BYTES, s->cmd->data_len);
	scsi_end_ok(s, s->cmd->data_len);
}

/* Must a write be durable when it is done? */
static bool wants_fua(const struct scsi_slot *s, const struct disk_info *info)
{
	const struct scsi_disk_unit *du = scsi_disk_unit(s->q->u);
	const uint8_t *cdb = s->cmd->cdb;

	return info->write_cache &&
	       ((cdb[0] >> 5 && (cdb[1] & CDB_FUA)) ||
		atomic_load_explicit(&du->write_through, memory_order_relaxed));
}

void scsi_write(struct scsi_slot *s, const struct disk_info *info)
{
	struct scsi_range r;

	if (!check_range(s, info, CDB_PROTECT | CDB_RELADR, &r) ||
	    !check_size(s, info, SCSI_TO_DEVICE, r.blocks))
		return;
	if (!r.blocks) {
		scsi_end_ok(s, 0);
		return;
	}
	scsi_trim(s->cmd, r.blocks * info->block_size);
	s->fua = wants_fua(s, info);
	set_req(s, DISK_WRITE, &r);
	scsi_submit(s, write_done);
}

/* ---- VERIFY ---------------------------------------------------------------------------------- */

static void verify_next(struct scsi_slot *s);

static void verify_done(struct scsi_slot *s)
{
	scsi_end_ok(s, s->cmd->dir == SCSI_TO_DEVICE ? s->done : 0);
}

/* Blocks of the medium are in the first half of the scratch memory: the guest's go to the other. */
static void compare(struct scsi_slot *s)
{
	const uint32_t bytes = s->req.blocks * s->block_size;
	uint8_t *mine = s->q->scratch + SCSI_SCRATCH_BYTES / 2;

	if (scsi_copy_in(s->cmd, s->done, mine, bytes) < 0) {
		scsi_end_invalid(s, ASC_CDB_FIELD);
		return;
	}
	if (memcmp(mine, s->q->scratch, bytes) != 0) {
		scsi_end_sense(s, SRB_ERROR, SENSE_MISCOMPARE, ASC_MISCOMPARE);
		return;
	}
	s->done += bytes;
	s->lba += s->req.blocks;
	s->left -= s->req.blocks;
	verify_next(s);
}

static void verify_next(struct scsi_slot *s)
{
	const uint32_t blocks = MIN(s->left, SCSI_SCRATCH_BYTES / 2 / s->block_size);

	if (!s->left) {
		verify_done(s);
		return;
	}
	s->scratch_iov = (struct iovec){ s->q->scratch, blocks * s->block_size };
	s->req = (struct disk_req){
		.op = DISK_READ, .lba = s->lba, .blocks = blocks, .n_iov = 1, .iov = &s->scratch_iov
	};
	scsi_submit(s, compare);
}

/* Compare (BYTCHK 1) or just read (BYTCHK 0) s->left blocks from s->lba on. */
static void start_verify(struct scsi_slot *s)
{
	const unsigned bytchk = (s->cmd->cdb[1] & CDB_BYTCHK) >> CDB_BYTCHK_SHIFT;

	if (bytchk) {
		s->done = 0;
		scsi_scratch(s, verify_next);
		return;
	}
	s->req = (struct disk_req){ .op = DISK_VERIFY, .lba = s->lba, .blocks = s->left };
	scsi_submit(s, verify_done);
}

void scsi_verify(struct scsi_slot *s, const struct disk_info *info)
{
	const unsigned bytchk = (s->cmd->cdb[1] & CDB_BYTCHK) >> CDB_BYTCHK_SHIFT;
	struct scsi_range r;

	if (bytchk > 1) {
		scsi_end_invalid(s, ASC_CDB_FIELD);
		return;
	}
	if (!check_range(s, info, CDB_PROTECT | CDB_RELADR, &r) ||
	    (bytchk && !check_size(s, info, SCSI_TO_DEVICE, r.blocks)))
		return;
	if (!r.blocks) {
		scsi_end_ok(s, 0);
		return;
	}
	s->lba = r.lba;
	s->left = r.blocks;
	s->done = 0;
	s->block_size = info->block_size;
	start_verify(s);
}

/* The data is on the disk; now see that it can be read back. */
static void written(struct scsi_slot *s)
{
	scsi_count(s->q, SCSI_N_WRITES, 1);
	scsi_count(s->q, SCSI_N_WRITE_BYTES, s->cmd->data_len);
	s->done = s->cmd->data_len;
	start_verify(s);
}

void scsi_write_verify(struct scsi_slot *s, const struct disk_info *info)
{
	const unsigned bytchk = (s->cmd->cdb[1] & CDB_BYTCHK) >> CDB_BYTCHK_SHIFT;
	struct scsi_range r;

	if (bytchk > 1) {
		scsi_end_invalid(s, ASC_CDB_FIELD);
		return;
	}
	if (!check_range(s, info, CDB_PROTECT | CDB_RELADR, &r) ||
	    !check_size(s, info, SCSI_TO_DEVICE, r.blocks))
		return;
	if (!r.blocks) {
		scsi_end_ok(s, 0);
		return;
	}
	scsi_trim(s->cmd, r.blocks * info->block_size);
	s->lba = r.lba;
	s->left = r.blocks;
	s->block_size = info->block_size;
	s->fua = info->write_cache; /* verified is what the medium holds */
	set_req(s, DISK_WRITE, &r);
	scsi_submit(s, written);
}

/* ---- SYNCHRONIZE CACHE ----------------------------------------------------------------------- */

static void flush_done(struct scsi_slot *s)
{
	scsi_count(s->q, SCSI_N_FLUSHES, 1);
	scsi_end_ok(s, 0);
}

/* All of the disk is flushed, whatever the range; and waited for, IMMED or not. */
void scsi_sync_cache(struct scsi_slot *s, const struct disk_info *info)
{
	struct scsi_range r;

	if (!check_range(s, info, CDB_RELADR, &r))
		return;
	s->req = (struct disk_req){ .op = DISK_FLUSH };
	scsi_submit(s, flush_done);
}
