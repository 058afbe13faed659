/* SPDX-License-Identifier: MIT */
/*
 * What a DVD drive tells about itself and its medium: one session, one data track. Input: CDBs of
 * a guest; no state but the medium's size. Spec: MMC-6 chapters 5 and 6, spec/storage-net.md 2.6.
 */
#include "scsi_priv.h"

#include <string.h>

#define LEADOUT 0xaau
#define DATA_TRACK 0x14u /* ADR 1, control: data */
#define PROFILE_DVD_ROM 0x0010u
#define PROFILE_CD_ROM 0x0008u
#define MSF_OFFSET 150u /* address 0 is two seconds into the disc */

/* An address in blocks, or as minutes, seconds and frames. */
static void put_address(uint8_t *d, uint32_t lba, bool msf)
{
	if (!msf) {
		be32_store(d, lba);
		return;
	}
	lba += MSF_OFFSET;
	d[0] = 0;
	d[1] = (uint8_t)MIN(lba / (75 * 60), 255u);
	d[2] = (uint8_t)(lba / 75 % 60);
	d[3] = (uint8_t)(lba % 75);
}

/* ---- READ TOC -------------------------------------------------------------------------------- */

static void put_track(uint8_t *d, uint8_t number, uint32_t lba, bool msf)
{
	d[1] = DATA_TRACK;
	d[2] = number;
	put_address(d + 4, lba, msf);
}

void scsi_mmc_read_toc(struct scsi_slot *s, const struct scsi_dvd_state *st)
{
	const uint8_t *cdb = s->cmd->cdb;
	const bool msf = cdb[1] & 2;
	/* The older place of the format is in the control byte. */
	const uint8_t format = cdb[2] & 0x0f ? cdb[2] & 0x0f : cdb[9] >> 6;
	uint8_t d[4 + 2 * 8] = { 0, 0, 1, 1 };
	uint32_t len = 4;

	if (format > 1 || (format == 0 && cdb[6] > 1 && cdb[6] != LEADOUT)) {
		scsi_end_invalid(s, ASC_CDB_FIELD);
		return;
	}
	if (format == 1 || cdb[6] <= 1) {
		put_track(d + len, 1, 0, msf);
		len += 8;
	}
	if (format == 0) {
		put_track(d + len, LEADOUT, st->blocks, msf);
		len += 8;
	}
	be16_put(d, (uint16_t)(len - 2));
	scsi_reply(s, d, len, scsi_cdb16(s, 7));
}

/* ---- GET CONFIGURATION ----------------------------------------------------------------------- */

#define FEATURE_PROFILES 0x0000u
#define FEATURE_CURRENT 1u
#define FEATURE_PERSISTENT 2u

static const struct feature {
	uint16_t code;
	uint8_t version; /* of the feature */
	bool persistent;
	bool with_medium; /* current only then */
	uint8_t len;
	uint8_t data[8];
} features[] = {
	{ 0x0000, 0, true, false, 8, { 0, 0x10, 0, 0, 0, 0x08, 0, 0 } }, /* profiles */
	{ 0x0001, 2, true, false, 8, { 0, 0, 0, 1, 0, 0, 0, 0 } }, /* core, SCSI family */
	{ 0x0002, 1, true, false, 4, { 0x02, 0, 0, 0 } }, /* morphing: events are polled */
	{ 0x0003, 1, true, false, 4, { 0x29, 0, 0, 0 } }, /* removable: tray, eject, lock */
	{ 0x0010, 0, false, true, 8, { 0, 0, 8, 0, 0, 1, 0, 0 } }, /* random readable, 2048 */
	{ 0x001e, 2, false, false, 4, { 0, 0, 0, 0 } }, /* CD read */
	{ 0x001f, 1, false, true, 4, { 0, 0, 0, 0 } }, /* DVD read */
	{ 0x0100, 0, true, false, 0, { 0 } }, /* power management */
	{ 0x0107, 4, false, true, 4, { 0x11, 0, 0, 0 } }, /* streaming: SET STREAMING */
};

static uint32_t put_feature(uint8_t *d, const struct feature *f, bool medium)
{
	const bool current = f->persistent || (f->with_medium && medium);

	be16_put(d, f->code);
	d[2] = (uint8_t)((unsigned)f->version << 2 | (f->persistent ? FEATURE_PERSISTENT : 0u) |
			 (current ? FEATURE_CURRENT : 0u));
	d[3] = f->len;
	memcpy(d + 4, f->data, f->len);
	if (f->code == FEATURE_PROFILES)
		d[6] = medium; /* the first one is current */
	return 4u + f->len;
}

void scsi_mmc_get_configuration(struct scsi_slot *s, const struct scsi_dvd_state *st)
{
	const unsigned which = s->cmd->cdb[1] & 3;
	const uint16_t first = scsi_cdb16(s, 2);
	uint8_t d[8 + ARRAY_SIZE(features) * 12] = { 0 };
	uint32_t len = 8;

	if (which == 3) {
		scsi_end_invalid(s, ASC_CDB_FIELD);
		return;
	}
	for (size_t i = 0; i < ARRAY_SIZE(features); i++) {
		const struct feature *f = &features[i];
		const bool current = f->persistent || (f->with_medium && st->blocks);

		if (which == 2 ? f->code != first : f->code < first)
			continue;
		if (which == 1 && !current)
			continue;
		len += put_feature(d + len, f, st->blocks);
	}
	be32_store(d, len - 4);
	be16_put(d + 6, st->blocks ? PROFILE_DVD_ROM : 0);
	scsi_reply(s, d, len, scsi_cdb16(s, 7));
}

/* ---- MODE SENSE ------------------------------------------------------------------------------ */

/* Page 2A, capabilities: reads DVD-ROM; tray, eject, lock. */
static uint32_t put_capabilities(uint8_t *d, bool zero)
{
	d[0] = MODE_PAGE_CD_CAPABILITIES;
	d[1] = 18;
	if (zero) /* what can be changed: nothing */
		return 20;
	d[2] = 0x08; /* DVD-ROM */
	d[4] = 0x40; /* multi-session */
	d[6] = 0x29; /* tray; eject; lock */
	be16_put(d + 8, 5540); /* speeds in kB/s, obsolete: DVD 4x */
	be16_put(d + 14, 5540);
	return 20;
}

void scsi_mmc_mode_sense(struct scsi_slot *s, const struct scsi_dvd_state *st)
{
	const uint8_t page = s->cmd->cdb[2] & 0x3f, pc = s->cmd->cdb[2] >> 6;
	uint8_t d[8 + 20] = { 0 };
	uint32_t len;

	(void)st;
	if (pc == MODE_SAVED) {
		scsi_end_invalid(s, ASC_SAVING);
		return;
	}
	if (page != MODE_PAGE_CD_CAPABILITIES && page != MODE_PAGE_ALL) {
		scsi_end_invalid(s, ASC_CDB_FIELD);
		return;
	}
	len = 8 + put_capabilities(d + 8, pc == MODE_CHANGEABLE);
	be16_put(d, (uint16_t)(len - 2));
	scsi_reply(s, d, len, scsi_cdb16(s, 7));
}

/* ---- the medium ------------------------------------------------------------------------------ */

void scsi_mmc_read_track_info(struct scsi_slot *s, const struct scsi_dvd_state *st)
{
	const unsigned type = s->cmd->cdb[1] & 3;
	const uint32_t at = be32_load(s->cmd->cdb + 2);
	uint8_t d[36] = { 0, 34, 1, 1 };

	/* By address, by track, by session: there is one of each. */
	if (type == 3 || (type == 0 && at >= st->blocks) || (type && at != 1)) {
		scsi_end_invalid(s, ASC_CDB_FIELD);
		return;
	}
	d[5] = 0x04; /* data track */
	d[6] = 0x01; /* mode 1 */
	be32_store(d + 24, st->blocks);
	d[32] = d[33] = 0;
	scsi_reply(s, d, sizeof(d), scsi_cdb16(s, 7));
}

void scsi_mmc_read_disc_info(struct scsi_slot *s, const struct scsi_dvd_state *st)
{
	/* Complete disc, last session complete, one session with one track, unrestricted use. */
	static const uint8_t d[34] = { 0, 32, 0x0e, 1, 1, 1, 1, 0x20 };

	(void)st;
	if (s->cmd->cdb[1] & 7)
		scsi_end_invalid(s, ASC_CDB_FIELD);
	else
		scsi_reply(s, d, sizeof(d), scsi_cdb16(s, 7));
}

#define DVD_FIRST_SECTOR 0x30000u

void scsi_mmc_read_structure(struct scsi_slot *s, const struct scsi_dvd_state *st)
{
	const uint8_t *cdb = s->cmd->cdb;
	uint8_t d[4 + DVD_BLOCK] = { 0 };
	uint32_t len;

	/* A DVD with one layer. */
	if ((cdb[1] & 0x0f) || cdb[6] || cdb[7] > 1) {
		scsi_end_invalid(s, ASC_CDB_FIELD);
		return;
	}
	if (cdb[7] == 0) { /* physical format */
		d[4] = 0x01; /* DVD-ROM, version 1 */
		d[5] = 0x02; /* 120 mm, 10 Mbit/s */
		d[6] = 0x01; /* one layer, embossed data */
		be32_store(d + 8, DVD_FIRST_SECTOR);
		be32_store(d + 12, DVD_FIRST_SECTOR + st->blocks - 1);
		len = 4 + DVD_BLOCK;
	} else { /* copyright: none, all regions */
		len = 4 + 4;
	}
	be16_put(d, (uint16_t)(len - 2));
	scsi_reply(s, d, len, scsi_cdb16(s, 8));
}

/* ---- the drive ------------------------------------------------------------------------------- */

void scsi_mmc_get_performance(struct scsi_slot *s, const struct scsi_dvd_state *st)
{
	uint8_t d[8 + 16] = { 0 };

	/* Nominal read performance only. */
	if (s->cmd->cdb[10] || (s->cmd->cdb[1] & 0x04)) {
		scsi_end_invalid(s, ASC_CDB_FIELD);
		return;
	}
	be32_store(d, sizeof(d) - 4);
	be32_store(d + 12, 5540);
	be32_store(d + 16, st->blocks - 1);
	be32_store(d + 20, 5540);
	/* The CDB counts descriptors. */
	scsi_reply(s, d, scsi_cdb16(s, 8) ? sizeof(d) : 8, sizeof(d));
}

void scsi_mmc_mechanism_status(struct scsi_slot *s, const struct scsi_dvd_state *st)
{
	uint8_t d[8] = { 0 };

	d[1] = st->tray_open ? 0x10 : 0;
	scsi_reply(s, d, sizeof(d), scsi_cdb16(s, 8));
}

/* It has no buffer for writing. */
void scsi_mmc_buffer_capacity(struct scsi_slot *s, const struct scsi_dvd_state *st)
{
	static const uint8_t d[12] = { 0, 10 };

	(void)st;
	scsi_reply(s, d, sizeof(d), scsi_cdb16(s, 7));
}

/* Any speed is fine. */
void scsi_mmc_set_streaming(struct scsi_slot *s, const struct scsi_dvd_state *st)
{
	const uint32_t len = scsi_cdb16(s, 9);

	(void)st;
	if (len && (len != 28 || scsi_room(s->cmd, SCSI_TO_DEVICE) < len))
		scsi_end_invalid(s, ASC_LIST_LENGTH);
	else
		scsi_end_ok(s, len);
}
