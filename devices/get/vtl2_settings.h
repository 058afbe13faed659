/* SPDX-License-Identifier: MIT */
/*
 * VTL2 settings: which controllers and disks VTL0 sees and what is behind them, as the host says.
 * Protobuf or JSON, outer and chunks alike. Trust: the host is hostile: sizes, counts and ranges
 * are checked. Spec: spec/get-vmgs.md chapter 12.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "guid.h"
#include "macros.h"

struct inspect;

#define VTL2S_MAX_BYTES (1024u * 1024)
#define VTL2S_MAX_CONTROLLERS 16u
#define VTL2S_MAX_LUNS 256u
#define VTL2S_MAX_STRIPE 64u
#define VTL2S_MAX_NICS 64u

enum vtl2s_protocol { VTL2S_SCSI = 1, VTL2S_IDE = 2, VTL2S_NVME = 3 };
enum vtl2s_device_type { VTL2S_DEV_NVME = 1, VTL2S_DEV_VSCSI = 2 };

/* What is behind a LUN: a namespace or LUN (sub path) of a device of the host. */
struct vtl2s_device {
	enum vtl2s_device_type type;
	struct guid path;
	uint32_t sub_path;
};

struct vtl2s_lun {
	uint8_t channel; /* IDE */
	uint32_t location; /* LUN, IDE drive, NSID */
	struct guid device_id;
	char vendor[9], product[17], revision[5], serial[65], model[41];
	uint32_t medium_rotation_rate, physical_sector_size;
	bool has_fua, fua, has_write_cache, write_cache, odx, disable_thin_provisioning, is_dvd;
	uint64_t max_transfer_length, scsi_disk_size; /* 0 = default */
	bool auto_format; /* an empty disk is to be given an NTFS */
	uint32_t chunk_kb; /* of a striped one; 0 = default */
	uint32_t n_devices; /* 0 = empty DVD drive, 1 = single, more = striped */
	struct vtl2s_device *devices;
};

struct vtl2s_controller {
	struct guid instance;
	enum vtl2s_protocol protocol;
	uint32_t io_queue_depth; /* 0 = default */
	uint32_t n_luns;
	struct vtl2s_lun *luns;
};

struct vtl2s_nic {
	struct guid instance, subordinate;
	bool has_subordinate;
	uint32_t max_sub_channels; /* 0 = default */
};

struct vtl2_settings {
	uint32_t scsi_sub_channels, io_ring_size, max_bounce_buffer_pages;
	uint32_t n_controllers, n_nics; /* io_ring_size: entries, the default filled in */
	struct vtl2s_controller *controllers;
	struct vtl2s_nic *nics;
};

/* Why a document was refused, in OpenHCL's words: "Category.Name" and a sentence. */
struct vtl2s_error {
	const char *id; /* static */
	char text[160];
};

#define VTL2S_ERROR_JSON 512u

/* For errors found by others: @id is one of OpenHCL's, static. */
void vtl2s_error_set(struct vtl2s_error *err, const char *id, const char *fmt, ...)
	printf_like(3, 4);

/* As the host wants to read it: an array of one object. */
void vtl2s_error_json(const struct vtl2s_error *err, char ret_json[VTL2S_ERROR_JSON]);

/**
 * vtl2_settings_parse - parse and validate (12.3)
 * @raw: private copy
 * @old: the settings so far, NULL = none: what the document does not speak of stays as it is
 * Returns: 0 (release with vtl2_settings_free()); -EBADMSG, -E2BIG with *ret_err; -ENOMEM (with
 * *ret_err, too). Any thread.
 */
must_check int vtl2_settings_parse(const void *raw, size_t len, const struct vtl2_settings *old,
				   struct vtl2_settings **ret_s, struct vtl2s_error *ret_err);
void vtl2_settings_free(struct vtl2_settings *s); /* accepts NULL */

/* May a running VM go from one to the other (12.4)? 0; -EPERM with *ret_err. */
must_check int vtl2_settings_may_change(const struct vtl2_settings *from,
					const struct vtl2_settings *to,
					struct vtl2s_error *ret_err);

/* The controller with this instance, the LUN at this place; NULL = none. */
const struct vtl2s_controller *vtl2s_controller_at(const struct vtl2_settings *s,
						   const struct guid *instance);
const struct vtl2s_lun *vtl2s_lun_at(const struct vtl2s_controller *c, uint8_t channel,
				     uint32_t location);

/* Are these the same in everything, or in everything but the devices behind them? */
bool vtl2s_lun_eq(const struct vtl2s_lun *a, const struct vtl2s_lun *b);
bool vtl2s_lun_same_drive(const struct vtl2s_lun *a, const struct vtl2s_lun *b);

void vtl2_settings_inspect(struct inspect *in, const void *s);
