/* SPDX-License-Identifier: MIT */
/*
 * MODE SENSE and MODE SELECT of disks: the caching page. The write cache can be switched off by the
 * guest: every write is then durable when it is done. Input: CDBs and parameter lists of a guest;
 * thread: the queue's loop. Spec: SPC-4 6.8 to 6.11, SBC-3 6.4, spec/storage-net.md 2.1.
 */
#include "scsi_priv.h"

#include <errno.h>
#include <string.h>

#define HEADER_6 4u
#define HEADER_10 8u
#define SELECT_MAX 64u /* header, block descriptor and page of a parameter list */

static bool is_10(const struct scsi_slot *s)
{
	return s->cmd->cdb[0] == SCSI_MODE_SENSE_10 || s->cmd->cdb[0] == SCSI_MODE_SELECT_10;
}

static bool cache_on(const struct scsi_slot *s, const struct disk_info *info)
{
	const struct scsi_disk_unit *du = scsi_disk_unit(s->q->u);

	return info->write_cache && !atomic_load_explicit(&du->write_through, memory_order_relaxed);
}

static void fill_caching(const struct scsi_slot *s, const struct disk_info *info,
			 enum scsi_mode_control pc, uint8_t *d)
{
	const bool can = info->write_cache && !s->q->u->cfg.no_write_cache;
	bool wce = false;

	switch (pc) {
	case MODE_CURRENT:
		wce = cache_on(s, info);
		break;
	case MODE_CHANGEABLE:
	case MODE_DEFAULT:
		wce = can;
		break;
	case MODE_SAVED:
		break;
	}
	d[0] = MODE_PAGE_CACHING;
	d[1] = MODE_CACHING_LEN - 2;
	d[2] = wce ? MODE_CACHING_WCE : 0;
}

void scsi_mode_sense(struct scsi_slot *s, const struct disk_info *info)
{
	const uint8_t *cdb = s->cmd->cdb;
	const uint8_t page = cdb[2] & 0x3f;
	const enum scsi_mode_control pc = cdb[2] >> 6;
	const uint32_t head = is_10(s) ? HEADER_10 : HEADER_6;
	const uint32_t len = head + MODE_CACHING_LEN;
	uint8_t d[HEADER_10 + MODE_CACHING_LEN] = { 0 };
	uint8_t dev = 0;

	if (pc == MODE_SAVED) {
		scsi_end_invalid(s, ASC_SAVING);
		return;
	}
	if (page != MODE_PAGE_CACHING && page != MODE_PAGE_ALL) {
		scsi_end_invalid(s, ASC_CDB_FIELD);
		return;
	}
	if (info->read_only)
		dev |= MODE_DEV_WP;
	if (!s->q->u->cfg.no_fua)
		dev |= MODE_DEV_DPOFUA;
	if (is_10(s)) {
		be16_put(d, (uint16_t)(len - 2));
		d[3] = dev;
	} else {
		d[0] = (uint8_t)(len - 1);
		d[2] = dev;
	}
	fill_caching(s, info, pc, d + head);
	scsi_reply(s, d, len, is_10(s) ? scsi_cdb16(s, 7) : cdb[4]);
}

/* ---- MODE SELECT ----------------------------------------------------------------------------- */

static void select_done(struct scsi_slot *s)
{
	scsi_end_ok(s, 0);
}

/* Changing the cache: what was written before must be durable when it goes. */
static void set_cache(struct scsi_slot *s, const struct disk_info *info, bool on)
{
	struct scsi_disk_unit *du = scsi_disk_unit(s->q->u);

	if (on == cache_on(s, info)) {
		scsi_end_ok(s, 0);
		return;
	}
	if (!info->write_cache || du->u.cfg.no_write_cache) {
		scsi_end_invalid(s, ASC_PARAMETER);
		return;
	}
	atomic_store_explicit(&du->write_through, !on, memory_order_relaxed);
	if (on) {
		scsi_end_ok(s, 0);
		return;
	}
	s->req = (struct disk_req){ .op = DISK_FLUSH };
	scsi_submit(s, select_done);
}

/* The list behind its header: descriptors that change nothing, then at most a caching page.
 * Returns: 1 with *ret_wce; 0: it has no page; -EBADMSG. */
static int parse_list(const struct scsi_slot *s, const struct disk_info *info, const uint8_t *d,
		      uint32_t len, bool *ret_wce)
{
	const uint32_t head = is_10(s) ? HEADER_10 : HEADER_6;
	const uint32_t desc = is_10(s) ? be16_get(d + 6) : d[3];
	uint8_t want[MODE_CACHING_LEN];

	if ((desc != 0 && desc != 8) || len < head + desc)
		return -EBADMSG;
	if (desc && be24_get(d + head + 5) != info->block_size)
		return -EBADMSG;
	if (len == head + desc)
		return 0;
	if (len != head + desc + MODE_CACHING_LEN)
		return -EBADMSG;
	d += head + desc;
	memset(want, 0, sizeof(want));
	fill_caching(s, info, MODE_CURRENT, want);
	want[2] = d[2] & MODE_CACHING_WCE;
	*ret_wce = want[2];
	/* PS is reserved here but comes back from those who send what MODE SENSE gave them. */
	return (d[0] & 0x7f) == want[0] && memcmp(d + 1, want + 1, sizeof(want) - 1) == 0
		       ? 1
		       : -EBADMSG;
}

void scsi_mode_select(struct scsi_slot *s, const struct disk_info *info)
{
	const uint8_t *cdb = s->cmd->cdb;
	const uint32_t head = is_10(s) ? HEADER_10 : HEADER_6;
	const uint32_t len = is_10(s) ? scsi_cdb16(s, 7) : cdb[4];
	uint8_t raw_d[SELECT_MAX] = { 0 };
	bool wce = false;
	int r;

	if ((cdb[1] & 1) || !(cdb[1] & 0x10)) { /* saved pages; not in page format */
		scsi_end_invalid(s, ASC_CDB_FIELD);
		return;
	}
	if (len == 0) {
		scsi_end_ok(s, 0);
		return;
	}
	if (len < head || len > sizeof(raw_d) || len > scsi_room(s->cmd, SCSI_TO_DEVICE)) {
		scsi_end_invalid(s, ASC_LIST_LENGTH);
		return;
	}
	if (scsi_copy_in(s->cmd, 0, raw_d, len) < 0) {
		scsi_end_invalid(s, ASC_CDB_FIELD);
		return;
	}
	r = parse_list(s, info, raw_d, len, &wce);
	if (r < 0)
		scsi_end_invalid(s, ASC_PARAMETER);
	else if (r == 0)
		scsi_end_ok(s, 0);
	else
		set_cache(s, info, wce);
}
