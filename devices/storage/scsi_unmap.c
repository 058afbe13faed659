/* SPDX-License-Identifier: MIT */
/*
 * UNMAP and WRITE SAME. A parameter list is checked as a whole first; each descriptor that is then
 * used is checked again, because the guest may have changed it meanwhile. Input: CDBs and parameter
 * lists of a guest; thread: the queue's loop. Spec: SBC-3 5.28, 5.42; spec/storage-net.md 2.3.
 */
#include "scsi_priv.h"

#include "ckd.h"

#include <errno.h>
#include <string.h>

#define WRITE_SAME_MAX (8u << 20) /* bytes, as the block limits page says */

/* ---- UNMAP ----------------------------------------------------------------------------------- */

/* Descriptor @i, copied and checked. */
static int get_descriptor(const struct scsi_slot *s, const struct disk_info *info, uint32_t i,
			  struct scsi_range *ret_range)
{
	uint8_t raw_d[UNMAP_DESCRIPTOR];
	struct scsi_range r;

	if (scsi_copy_in(s->cmd, UNMAP_HEADER + i * UNMAP_DESCRIPTOR, raw_d, sizeof(raw_d)) < 0)
		return -EFAULT;
	r = (struct scsi_range){ be64_load(raw_d), be32_load(raw_d + 8) };
	if (!range_ok(r.lba, r.blocks, info->blocks))
		return -ERANGE;
	*ret_range = r;
	return 0;
}

static void unmap_next(struct scsi_slot *s)
{
	struct scsi_range r;
	struct disk_info info;
	int err;

	scsi_unit_info(s->q->u, &info);
	while (s->left) {
		err = get_descriptor(s, &info, s->done, &r);
		if (err < 0) {
			scsi_end_invalid(s, err == -ERANGE ? ASC_LBA : ASC_CDB_FIELD);
			return;
		}
		s->left--;
		s->done++;
		if (!r.blocks)
			continue;
		s->req = (struct disk_req){ .op = DISK_UNMAP, .lba = r.lba, .blocks = r.blocks };
		scsi_submit(s, unmap_next);
		return;
	}
	scsi_count(s->q, SCSI_N_UNMAPS, 1);
	scsi_end_ok(s, s->cmd->data_len);
}

/* The list's header. Returns: descriptors; -EMSGSIZE, -EBADMSG, -EFAULT. */
static int unmap_header(const struct scsi_slot *s, uint32_t len)
{
	uint8_t raw_h[UNMAP_HEADER];
	uint32_t desc;

	if (len < UNMAP_HEADER || len > scsi_room(s->cmd, SCSI_TO_DEVICE))
		return -EMSGSIZE;
	if (scsi_copy_in(s->cmd, 0, raw_h, sizeof(raw_h)) < 0)
		return -EFAULT;
	desc = be16_get(raw_h + 2);
	if (be16_get(raw_h) != len - 2 || desc > len - UNMAP_HEADER)
		return -EBADMSG;
	return desc / UNMAP_DESCRIPTOR > UNMAP_MAX_DESCRIPTORS ? -EBADMSG
							       : (int)(desc / UNMAP_DESCRIPTOR);
}

void scsi_unmap(struct scsi_slot *s, const struct disk_info *info)
{
	const uint32_t len = scsi_cdb16(s, 7);
	struct scsi_range r;
	int n;

	if (!info->unmap_granularity || (s->cmd->cdb[1] & CDB_UNMAP_ANCHOR)) {
		scsi_end_invalid(s, ASC_CDB_FIELD);
		return;
	}
	if (!len) {
		scsi_end_ok(s, 0);
		return;
	}
	n = unmap_header(s, len);
	if (n < 0) {
		scsi_end_invalid(s, n == -EMSGSIZE  ? ASC_LIST_LENGTH
				    : n == -EBADMSG ? ASC_PARAMETER
						    : ASC_CDB_FIELD);
		return;
	}
	for (int i = 0; i < n; i++) {
		int err = get_descriptor(s, info, (uint32_t)i, &r);

		if (err < 0) {
			scsi_end_invalid(s, err == -ERANGE ? ASC_LBA : ASC_CDB_FIELD);
			return;
		}
	}
	s->left = (uint32_t)n;
	s->done = 0;
	unmap_next(s);
}

/* ---- WRITE SAME ------------------------------------------------------------------------------ */

static void same_done(struct scsi_slot *s)
{
	scsi_count(s->q, SCSI_N_WRITES, 1);
	scsi_end_ok(s, s->cmd->dir == SCSI_TO_DEVICE ? s->block_size : 0);
}

/* The pattern fills the scratch memory: write it until all is done. */
static void same_next(struct scsi_slot *s)
{
	const uint32_t blocks = MIN(s->left, SCSI_SCRATCH_BYTES / s->block_size);

	if (!s->left) {
		same_done(s);
		return;
	}
	s->scratch_iov = (struct iovec){ s->q->scratch, blocks * s->block_size };
	s->req = (struct disk_req){ .op = DISK_WRITE,
				    .flags = s->fua ? DISK_FUA : 0,
				    .lba = s->lba,
				    .blocks = blocks,
				    .n_iov = 1,
				    .iov = &s->scratch_iov };
	s->lba += blocks;
	s->left -= blocks;
	scsi_submit(s, same_next);
}

static bool is_zero(const uint8_t *p, uint32_t len)
{
	return p[0] == 0 && memcmp(p, p + 1, len - 1) == 0;
}

static void same_zeroes(struct scsi_slot *s)
{
	s->req = (struct disk_req){ .op = DISK_WRITE_ZEROES,
				    .flags = s->fua ? DISK_FUA : 0,
				    .lba = s->lba,
				    .blocks = s->left };
	scsi_submit(s, same_done);
}

/* The scratch memory is ours: get the block and find the best way. */
static void same_start(struct scsi_slot *s)
{
	uint8_t *const scratch = s->q->scratch;
	const uint8_t *cdb = s->cmd->cdb;
	const bool no_data = cdb[0] == SCSI_WRITE_SAME_16 && (cdb[1] & CDB_WS_NDOB);
	struct disk_info info;

	scsi_unit_info(s->q->u, &info);
	if (no_data) {
		memset(scratch, 0, s->block_size);
	} else if (scsi_copy_in(s->cmd, 0, scratch, s->block_size) < 0) {
		scsi_end_invalid(s, ASC_CDB_FIELD);
		return;
	}
	if (is_zero(scratch, s->block_size)) {
		if ((cdb[1] & CDB_WS_UNMAP) && info.unmap_granularity && info.unmap_zeroes) {
			s->req = (struct disk_req){ .op = DISK_UNMAP,
						    .lba = s->lba,
						    .blocks = s->left };
			scsi_submit(s, same_done);
			return;
		}
		if (info.write_zeroes) {
			same_zeroes(s);
			return;
		}
	}
	for (uint32_t at = s->block_size; at < SCSI_SCRATCH_BYTES; at += s->block_size)
		memcpy(scratch + at, scratch, s->block_size);
	same_next(s);
}

void scsi_write_same(struct scsi_slot *s, const struct disk_info *info)
{
	const uint8_t bad = CDB_PROTECT | CDB_WS_ANCHOR | CDB_LBDATA_PBDATA;
	const struct scsi_range r = scsi_cdb_range(s->cmd->cdb);
	const uint8_t flags = s->cmd->cdb[1];
	const bool ndob = s->cmd->cdb[0] == SCSI_WRITE_SAME_16 && (flags & CDB_WS_NDOB);

	/* Bit 0 of WRITE SAME(10) is RELADR's old place. */
	if ((flags & bad) || (s->cmd->cdb[0] == SCSI_WRITE_SAME_10 && (flags & CDB_RELADR)) ||
	    !r.blocks || (uint64_t)r.blocks * info->block_size > WRITE_SAME_MAX ||
	    (!ndob && scsi_room(s->cmd, SCSI_TO_DEVICE) < info->block_size)) {
		scsi_end_invalid(s, ASC_CDB_FIELD);
		return;
	}
	if ((flags & CDB_WS_UNMAP) && !info->unmap_granularity) {
		scsi_end_invalid(s, ASC_CDB_FIELD);
		return;
	}
	if (!range_ok(r.lba, r.blocks, info->blocks)) {
		scsi_end_invalid(s, ASC_LBA);
		return;
	}
	s->lba = r.lba;
	s->left = r.blocks;
	s->block_size = info->block_size;
	s->fua = info->write_cache && atomic_load_explicit(&scsi_disk_unit(s->q->u)->write_through,
							   memory_order_relaxed);
	scsi_scratch(s, same_start);
}
