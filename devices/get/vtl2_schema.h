/* SPDX-License-Identifier: MIT */
/*
 * The messages of VTL2 settings as they are written, before anything is checked but their form.
 * Private to the reader in vtl2_settings.c. Spec: spec/get-vmgs.md 12.1, 12.2.
 */
#pragma once

#include <stdbool.h>
#include <stdint.h>

#include "msgtab.h"

struct raw_device {
	struct mt_link link;
	int32_t type; /* enum vtl2s_device_type */
	struct mt_str path;
	uint32_t sub_path;
};

enum raw_backing { RAW_BACKING_UNKNOWN = 0, RAW_SINGLE = 1, RAW_STRIPED = 2 };

struct raw_devices {
	int32_t type; /* enum raw_backing */
	struct raw_device *device;
	struct mt_list devices;
};

struct raw_lun {
	struct mt_link link;
	bool has_channel, has_fua, has_write_cache, has_ntfs_guid;
	bool has_old_type, has_old_path, has_old_sub_path;
	bool fua, write_cache, odx, no_thin, is_dvd;
	uint32_t channel, location;
	struct mt_str device_id, vendor, product, revision, serial, model, ntfs_guid;
	uint32_t rotation_rate, physical_sector_size, chunk_kb, total_kb;
	uint64_t max_transfer, disk_size;
	struct raw_devices *devices;
	/* Documents written before there were several devices per LUN. */
	int32_t old_type;
	struct mt_str old_path;
	uint32_t old_sub_path;
};

struct raw_controller {
	struct mt_link link;
	struct mt_str instance;
	int32_t protocol; /* enum vtl2s_protocol */
	struct mt_list luns;
	uint32_t io_queue_depth;
};

/* A NIC of all three kinds. */
struct raw_nic {
	struct mt_link link;
	struct mt_str instance, subordinate;
	bool has_subordinate;
	uint32_t max_sub_channels;
};

struct raw_fixed {
	uint32_t scsi_sub_channels, io_ring_size, max_bounce_buffer_pages;
	bool has_io_ring_size;
};

struct raw_dynamic {
	struct mt_list controllers, nics;
};

struct raw_base {
	int32_t version;
	struct raw_fixed *fixed;
	struct raw_dynamic *dynamic;
};

struct raw_nics {
	struct mt_list nics;
};

struct raw_chunk {
	struct mt_link link;
	struct mt_str name, settings;
};

struct raw_settings {
	struct raw_base base; /* the old flat form */
	struct mt_list chunks;
};

#define RAW_VERSION_1 1

extern const struct mt_type raw_settings_type, raw_base_type; /* whole; chunk "Base" */
extern const struct mt_type raw_nics_type; /* chunk "NetworkDevice" */
extern const struct mt_type raw_acceleration_type; /* chunk "NetworkAcceleration": raw_nics too */
