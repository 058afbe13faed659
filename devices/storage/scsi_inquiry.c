/* SPDX-License-Identifier: MIT */
/*
 * INQUIRY and the vital product data pages. Identity is Hyper-V's: guests choose drivers and quirks
 * by it. Input: CDBs of a guest; thread: the queue's loop. Spec: SPC-4 6.4 and 7.8, SBC-3 6.5,
 * spec/storage-net.md 2.2.
 */
#include "scsi_priv.h"

#include "guid.h"

#include <string.h>

#define PAGE_MAX 128u
#define WRITE_SAME_MAX (8u << 20) /* bytes of one WRITE SAME */

/* Fixed-width text of SCSI: left-aligned, filled with blanks, printable. */
static void put_text(uint8_t *to, size_t width, const char *text)
{
	const size_t len = strnlen(text, width);

	memset(to, ' ', width);
	for (size_t i = 0; i < len; i++)
		to[i] = text[i] >= ' ' && text[i] <= '~' ? (uint8_t)text[i] : ' ';
}

static void standard(struct scsi_slot *s, uint32_t alloc)
{
	const struct scsi_unit *u = s->q->u;
	uint8_t d[SCSI_INQUIRY_LEN] = { 0 };

	d[0] = u->ops->peripheral;
	d[1] = u->ops->peripheral == SCSI_PERIPHERAL_DVD ? SCSI_INQUIRY_RMB : 0;
	d[2] = SCSI_VERSION_SPC3;
	d[3] = SCSI_INQUIRY_FORMAT;
	d[4] = sizeof(d) - 5;
	d[7] = SCSI_INQUIRY_CMDQUE;
	put_text(d + 8, 8, u->cfg.vendor);
	put_text(d + 16, 16, u->cfg.product);
	put_text(d + 32, 4, u->cfg.revision);
	scsi_reply(s, d, sizeof(d), alloc);
}

/* ---- pages: each fills what follows the header and returns its length ------------------------ */

static const char *serial_of(const struct scsi_unit *u, const struct disk_info *info)
{
	return u->cfg.serial[0] || !info ? u->cfg.serial : info->serial;
}

static bool page_offered(const struct scsi_unit *u, const struct disk_info *info, uint8_t page)
{
	switch (page) {
	case VPD_SUPPORTED:
	case VPD_DEVICE_ID:
		return true;
	case VPD_SERIAL:
		return serial_of(u, info)[0];
	case VPD_BLOCK_LIMITS:
	case VPD_CHARACTERISTICS:
	case VPD_MS_PAGING_EXTENTS:
	case VPD_MS_VIRTUAL_DEVICE:
		return info;
	case VPD_PROVISIONING:
		return info && info->unmap_granularity;
	default:
		return false;
	}
}

static uint32_t page_list(const struct scsi_unit *u, const struct disk_info *info, uint8_t *d)
{
	uint32_t n = 0;

	for (unsigned page = 0; page < 256; page++) {
		if (page_offered(u, info, (uint8_t)page))
			d[n++] = (uint8_t)page;
	}
	return n;
}

static uint32_t page_serial(const struct scsi_unit *u, const struct disk_info *info, uint8_t *d)
{
	const char *serial = serial_of(u, info);
	const uint32_t len = (uint32_t)strlen(serial);

	put_text(d, len, serial);
	return len;
}

/* Two designators made of the disk's id: vendor specific and NAA. */
static uint32_t page_device_id(const struct scsi_unit *u, uint8_t *d)
{
	static const uint8_t naa[4] = { 0x60, 0x02, 0x24, 0x80 };
	uint8_t *n = d + 28;

	d[0] = 1; /* binary */
	d[1] = 1; /* T10 vendor id */
	d[3] = 24;
	put_text(d + 4, 8, u->cfg.vendor);
	memcpy(d + 12, u->id, 16);
	n[0] = 1;
	n[1] = 3; /* NAA */
	n[3] = 16;
	memcpy(n + 4, naa, sizeof(naa));
	memcpy(n + 8, u->id, 6);
	memcpy(n + 14, u->id + 10, 6);
	return 48;
}

static uint32_t page_block_limits(const struct scsi_unit *u, const struct disk_info *info,
				  uint8_t *d)
{
	uint8_t *const p = d - VPD_HEADER; /* offsets as the standard gives them */
	const uint32_t physical = info->physical_block_size / info->block_size;

	p[4] = 1; /* WSNZ: a WRITE SAME of zero blocks is refused */
	be16_put(p + 6, (uint16_t)MIN(physical, UINT16_MAX));
	be32_store(p + 8, u->cfg.max_transfer / info->block_size);
	if (info->unmap_granularity) {
		be32_store(p + 20, UINT32_MAX);
		be32_store(p + 24, UNMAP_MAX_DESCRIPTORS);
		be32_store(p + 28, info->unmap_granularity);
		be32_store(p + 32, 0x80000000u); /* alignment: valid, 0 */
	}
	be64_put(p + 36, MIN(u->cfg.max_transfer, WRITE_SAME_MAX) / info->block_size);
	return VPD_BLOCK_LIMITS_LEN - VPD_HEADER;
}

static uint32_t page_characteristics(const struct scsi_unit *u, const struct disk_info *info,
				     uint8_t *d)
{
	const uint32_t rate = u->cfg.medium_rotation_rate;

	/* 0: not reported; 1: does not rotate. A disk that rotates has an unknown rate. */
	be16_put(d, rate ? (uint16_t)MIN(rate, UINT16_MAX) : info->rotational ? 0 : 1);
	return VPD_CHARACTERISTICS_LEN - VPD_HEADER;
}

static uint32_t page_provisioning(const struct disk_info *info, uint8_t *d)
{
	d[0] = 1; /* threshold exponent */
	d[1] = 0x80; /* LBPU: UNMAP */
	if (info->unmap_zeroes)
		d[1] |= 0x04; /* LBPRZ: reads give zeros afterwards */
	d[2] = 2; /* thin */
	return 4;
}

static uint32_t page_paging_extents(uint8_t *d)
{
	d[0] = 1;
	d[1] = 1;
	return 4;
}

static uint32_t page_virtual_device(uint8_t *d)
{
	static const struct guid id = GUID_INIT(0x89a98f15, 0xc928, 0x4d8b, 0x94, 0xcd, 0xef, 0x51,
						0xfa, 0xa9, 0x9d, 0x33);

	d[0] = 1; /* version */
	memcpy(d + 4, &id, sizeof(id));
	return 4 + sizeof(id);
}

static uint32_t page_fill(struct scsi_slot *s, const struct disk_info *info, uint8_t page,
			  uint8_t *d)
{
	const struct scsi_unit *u = s->q->u;

	switch (page) {
	case VPD_SUPPORTED:
		return page_list(u, info, d);
	case VPD_SERIAL:
		return page_serial(u, info, d);
	case VPD_DEVICE_ID:
		return page_device_id(u, d);
	case VPD_BLOCK_LIMITS:
		return page_block_limits(u, info, d);
	case VPD_CHARACTERISTICS:
		return page_characteristics(u, info, d);
	case VPD_PROVISIONING:
		return page_provisioning(info, d);
	case VPD_MS_PAGING_EXTENTS:
		return page_paging_extents(d);
	case VPD_MS_VIRTUAL_DEVICE:
		return page_virtual_device(d);
	default:
		return 0;
	}
}

void scsi_inquiry(struct scsi_slot *s, const struct disk_info *info)
{
	const uint8_t *cdb = s->cmd->cdb;
	const uint32_t alloc = scsi_cdb16(s, 3);
	uint8_t d[PAGE_MAX] = { 0 };
	uint32_t len;

	if (!(cdb[1] & (SCSI_INQUIRY_EVPD | SCSI_INQUIRY_CMDDT)) && cdb[2] == 0) {
		standard(s, alloc);
		return;
	}
	if (!(cdb[1] & SCSI_INQUIRY_EVPD) || (cdb[1] & SCSI_INQUIRY_CMDDT) ||
	    !page_offered(s->q->u, info, cdb[2])) {
		scsi_end_invalid(s, ASC_CDB_FIELD);
		return;
	}
	len = page_fill(s, info, cdb[2], d + VPD_HEADER);
	d[0] = s->q->u->ops->peripheral;
	d[1] = cdb[2];
	be16_put(d + 2, (uint16_t)len);
	scsi_reply(s, d, VPD_HEADER + len, alloc);
}
