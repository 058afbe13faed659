/* SPDX-License-Identifier: MIT */
/* Folders that look like /sys and /dev with the host's storage devices in them; disks are files. */
#pragma once

#include <stdint.h>

#include "hostdev.h"

struct fake_sysfs {
	char top[64], sys[80], dev[80];
	struct hostdev_roots roots;
};

/* Make the folders, empty; remove them with all that is in them. */
void fake_sysfs_init(struct fake_sysfs *fs);
void fake_sysfs_fini(struct fake_sysfs *fs);

/* A file with this text, and the folders it needs; the path is below the top. */
void fake_sysfs_file(struct fake_sysfs *fs, const char *text, const char *fmt, ...)
	__attribute__((format(printf, 3, 4)));
void fake_sysfs_remove(struct fake_sysfs *fs, const char *fmt, ...)
	__attribute__((format(printf, 2, 3)));

/* An NVMe namespace: controller @ctrl behind the channel, block device nvme<ctrl>n<ns>, @bytes. */
void fake_sysfs_nvme(struct fake_sysfs *fs, const struct guid *instance, uint32_t ctrl, uint32_t ns,
		     uint32_t nsid, uint64_t bytes);
/* A SCSI disk of host @host. */
void fake_sysfs_scsi(struct fake_sysfs *fs, const struct guid *instance, uint32_t host,
		     uint32_t lun, const char *name, uint64_t bytes);
