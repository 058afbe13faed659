/* SPDX-License-Identifier: MIT */
/* What is behind a LUN: devices of the host are found and opened, and become one unit. */
#include "storage_priv.h"

#include <errno.h>
#include <string.h>

#include "log.h"

#define LOG_AREA "storage"

#define DEFAULT_CHUNK_KB 128u

static const char *type_name(enum vtl2s_device_type type)
{
	return type == VTL2S_DEV_NVME ? "NVMe" : "VScsi";
}

/* ---- disks ----------------------------------------------------------------------------------- */

/* As a namespace when commands can be passed through, as a block device otherwise. */
static int open_disk(const struct storage *st, const struct hostdev *hd, bool read_only,
		     struct disk **ret_d)
{
	const struct disk_nvme_cfg nvme = { .name = hd->block_name,
					    .path = hd->nvme_path,
					    .read_only = read_only,
					    .bounce = st->cfg.bounce };
	const struct disk_file_cfg file = { .name = hd->block_name,
					    .path = hd->block_path,
					    .read_only = read_only,
					    .direct = true,
					    .bounce = st->cfg.bounce };
	int r = hd->nvme_path[0] ? disk_nvme_open(&nvme, ret_d) : -EOPNOTSUPP;

	if (r != -EOPNOTSUPP && r != -ENOTTY)
		return r;
	if (hd->nvme_path[0])
		log_warn_rl(ALLOWED, "%s: no passthrough, used as a block device", hd->block_name);
	r = hostdev_set_up(&st->cfg.roots, hd);
	if (r)
		log_warn_rl(ALLOWED, "%s: scheduling stays as it is (%d)", hd->block_name, r);
	return disk_file_open(&file, ret_d);
}

static void cannot(struct vtl2s_error *err, const char *id, const char *what,
		   const struct vtl2s_device *d, int r)
{
	char guid[GUID_STR_LEN + 1];

	guid_format(&d->path, guid);
	vtl2s_error_set(err, id, "failed to %s %s disk at %s/%u (%d)", what, type_name(d->type),
			guid, d->sub_path, r);
}

void lun_missing(const struct lun_parts *p, struct vtl2s_error *ret_err)
{
	cannot(ret_err, "Configuration.StorageCannotFindVtl2Device", "find", &p->lun->devices[p->n],
	       -ETIMEDOUT);
}

/* The next device of a LUN. */
static int acquire_one(const struct storage *st, struct lun_parts *p, struct vtl2s_error *err)
{
	const struct vtl2s_device *d = &p->lun->devices[p->n];
	struct hostdev hd;
	int r = hostdev_find(&st->cfg.roots, d, &hd);

	if (r == -EAGAIN)
		return r;
	if (r) {
		cannot(err, "Configuration.StorageCannotFindVtl2Device", "find", d, r);
		return r;
	}
	r = open_disk(st, &hd, p->lun->is_dvd, &p->disks[p->n]);
	if (r == 0) {
		p->n++;
		return 0;
	}
	cannot(err, "Underhill.StorageCannotOpenVtl2Device", "open", d, r);
	/* -EAGAIN has a meaning here. */
	return r == -EAGAIN ? -EIO : r;
}

int lun_acquire(const struct storage *st, struct lun_parts *p, struct vtl2s_error *ret_err)
{
	if (p->lun->auto_format) {
		vtl2s_error_set(ret_err, "Underhill.StorageCannotOpenVtl2Device",
				"formatting of disks is not supported, LUN %u", p->lun->location);
		return -EOPNOTSUPP;
	}
	while (p->n < p->lun->n_devices && !p->no_medium) {
		int r = acquire_one(st, p, ret_err);

		if (r == 0)
			continue;
		if (r == -EAGAIN || !p->lun->is_dvd ||
		    strcmp(ret_err->id, "Underhill.StorageCannotOpenVtl2Device") != 0)
			return r;
		log_warn_rl(ALLOWED, "DVD at %u/%u stays empty: %s", p->lun->channel,
			    p->lun->location, ret_err->text);
		lun_release(p);
		p->no_medium = true;
	}
	return 0;
}

void lun_release(struct lun_parts *p)
{
	while (p->n)
		disk_put(p->disks[--p->n]);
}

int lun_disk(struct lun_parts *p, const char *name, struct disk **ret_d,
	     struct vtl2s_error *ret_err)
{
	const uint32_t n = p->n;
	int r;

	if (n < 2) {
		p->n = 0;
		*ret_d = n ? p->disks[0] : NULL;
		return 0;
	}
	r = disk_stripe_open(name, p->disks, n,
			     (p->lun->chunk_kb ? p->lun->chunk_kb : DEFAULT_CHUNK_KB) * 1024,
			     ret_d);
	if (r)
		vtl2s_error_set(ret_err, "Underhill.StorageCannotOpenVtl2Device",
				"%s: cannot stripe %u disks (%d)", name, n, r);
	else
		p->n = 0;
	return r;
}

/* ---- units ----------------------------------------------------------------------------------- */

static struct scsi_unit_cfg unit_cfg(const struct vtl2s_lun *l, const char *name)
{
	struct scsi_unit_cfg cfg = {
		.name = name,
		.medium_rotation_rate = l->medium_rotation_rate,
		.physical_block_size = l->physical_sector_size,
		.size_bytes = l->scsi_disk_size,
		.max_transfer = (uint32_t)MIN(l->max_transfer_length, (uint64_t)UINT32_MAX),
		.no_fua = l->has_fua && !l->fua,
		.no_unmap = l->disable_thin_provisioning,
		.no_write_cache = l->has_write_cache && !l->write_cache,
	};

	memcpy(cfg.device_id, &l->device_id, sizeof(cfg.device_id));
	memcpy(cfg.vendor, l->vendor, sizeof(cfg.vendor));
	memcpy(cfg.product, l->product, sizeof(cfg.product));
	memcpy(cfg.revision, l->revision, sizeof(cfg.revision));
	memcpy(cfg.serial, l->serial, sizeof(cfg.serial));
	return cfg;
}

int lun_unit(const struct vtl2s_lun *l, const char *name, struct disk *d, struct scsi_unit **ret_u,
	     struct vtl2s_error *ret_err)
{
	const struct scsi_unit_cfg cfg = unit_cfg(l, name);
	int r;

	BUILD_ASSERT(sizeof(cfg.vendor) == sizeof(l->vendor) &&
			     sizeof(cfg.product) == sizeof(l->product) &&
			     sizeof(cfg.revision) == sizeof(l->revision) &&
			     sizeof(cfg.serial) == sizeof(l->serial),
		     "identification strings");
	r = l->is_dvd ? scsi_dvd_create(&cfg, d, ret_u) : scsi_disk_create(&cfg, d, ret_u);
	if (r)
		vtl2s_error_set(ret_err, "Underhill.StorageAttachDiskFailed",
				"failed to add disk at lun %u (%d)", l->location, r);
	if (r)
		disk_put(d);
	return r;
}
