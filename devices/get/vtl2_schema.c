/* SPDX-License-Identifier: MIT */
#include "vtl2_schema.h"

#include "vtl2_settings.h"

#define MAX_CHUNKS 16u

#define FIELD(st, n, nm, k, m) .name = nm, .no = n, .kind = k, .off = offsetof(struct st, m)
#define HAS(st, m) .has_off = offsetof(struct st, m)
#define TYPE(st, fs)                                                                \
	{                                                                           \
		.fields = fs, .n_fields = ARRAY_SIZE(fs), .size = sizeof(struct st) \
	}

static const struct mt_name version_names[] = { { "UNKNOWN", 0 }, { "V1", RAW_VERSION_1 }, { 0 } };

static const struct mt_name protocol_names[] = {
	{ "UNKNOWN", 0 },
	{ "SCSI", VTL2S_SCSI },
	{ "IDE", VTL2S_IDE },
	{ "NVME", VTL2S_NVME },
	{ "scsi", VTL2S_SCSI },
	{ "ide", VTL2S_IDE },
	{ 0 },
};

static const struct mt_name backing_names[] = {
	{ "UNKNOWN", RAW_BACKING_UNKNOWN }, { "SINGLE", RAW_SINGLE },	 { "STRIPED", RAW_STRIPED },
	{ "single", RAW_SINGLE },	    { "striping", RAW_STRIPED }, { 0 },
};

static const struct mt_name device_names[] = {
	{ "UNKNOWN", 0 },
	{ "NVME", VTL2S_DEV_NVME },
	{ "VSCSI", VTL2S_DEV_VSCSI },
	{ "NVMe", VTL2S_DEV_NVME },
	{ "nvme", VTL2S_DEV_NVME },
	{ "VScsi", VTL2S_DEV_VSCSI },
	{ "vscsi", VTL2S_DEV_VSCSI },
	{ 0 },
};

static const struct mt_field device_fields[] = {
	{ FIELD(raw_device, 1, "device_type", MT_ENUM, type), .names = device_names },
	{ FIELD(raw_device, 2, "device_path", MT_STR, path) },
	{ FIELD(raw_device, 3, "sub_device_path", MT_U32, sub_path) },
};
static const struct mt_type device_type = TYPE(raw_device, device_fields);

static const struct mt_field devices_fields[] = {
	{ FIELD(raw_devices, 1, "type", MT_ENUM, type), .names = backing_names },
	{ FIELD(raw_devices, 2, "device", MT_MSG, device), .type = &device_type },
	{ FIELD(raw_devices, 3, "devices", MT_LIST, devices), .type = &device_type,
	  .max = VTL2S_MAX_STRIPE },
};
static const struct mt_type devices_type = TYPE(raw_devices, devices_fields);

static const struct mt_field lun_fields[] = {
	{ FIELD(raw_lun, 1, "channel", MT_U32, channel), HAS(raw_lun, has_channel) },
	{ FIELD(raw_lun, 2, "location", MT_U32, location) },
	{ FIELD(raw_lun, 3, "device_id", MT_STR, device_id) },
	{ FIELD(raw_lun, 4, "vendor_id", MT_STR, vendor) },
	{ FIELD(raw_lun, 5, "product_id", MT_STR, product) },
	{ FIELD(raw_lun, 6, "product_revision_level", MT_STR, revision) },
	{ FIELD(raw_lun, 7, "serial_number", MT_STR, serial) },
	{ FIELD(raw_lun, 8, "model_number", MT_STR, model) },
	{ FIELD(raw_lun, 9, "medium_rotation_rate", MT_U32, rotation_rate) },
	{ FIELD(raw_lun, 10, "physical_sector_size", MT_U32, physical_sector_size) },
	{ FIELD(raw_lun, 11, "fua", MT_BOOL, fua), HAS(raw_lun, has_fua) },
	{ FIELD(raw_lun, 12, "write_cache", MT_BOOL, write_cache), HAS(raw_lun, has_write_cache) },
	{ FIELD(raw_lun, 13, "odx", MT_BOOL, odx) },
	{ FIELD(raw_lun, 14, "disable_thin_provisioning", MT_BOOL, no_thin) },
	{ FIELD(raw_lun, 15, "max_transfer_length", MT_U64, max_transfer) },
	{ FIELD(raw_lun, 16, "physical_devices", MT_MSG, devices), .type = &devices_type },
	{ FIELD(raw_lun, 17, "is_dvd", MT_BOOL, is_dvd) },
	{ FIELD(raw_lun, 18, "chunk_size_in_kb", MT_U32, chunk_kb) },
	{ FIELD(raw_lun, 19, "scsi_disk_size_in_bytes", MT_U64, disk_size) },
	{ FIELD(raw_lun, 20, "ntfs_guid", MT_STR, ntfs_guid), HAS(raw_lun, has_ntfs_guid) },
	{ FIELD(raw_lun, 1001, "total_logic_size_in_kb", MT_U32, total_kb) },
	{ FIELD(raw_lun, 1002, "device_type", MT_ENUM, old_type), .names = device_names,
	  HAS(raw_lun, has_old_type) },
	{ FIELD(raw_lun, 1003, "device_path", MT_STR, old_path), HAS(raw_lun, has_old_path) },
	{ FIELD(raw_lun, 1004, "sub_device_path", MT_U32, old_sub_path),
	  HAS(raw_lun, has_old_sub_path) },
};
static const struct mt_type lun_type = TYPE(raw_lun, lun_fields);

static const struct mt_field controller_fields[] = {
	{ FIELD(raw_controller, 1, "instance_id", MT_STR, instance) },
	{ FIELD(raw_controller, 2, "protocol", MT_ENUM, protocol), .names = protocol_names },
	{ FIELD(raw_controller, 3, "luns", MT_LIST, luns), .type = &lun_type,
	  .max = VTL2S_MAX_LUNS },
	{ FIELD(raw_controller, 4, "io_queue_depth", MT_U32, io_queue_depth) },
};
static const struct mt_type controller_type = TYPE(raw_controller, controller_fields);

static const struct mt_field legacy_nic_fields[] = {
	{ FIELD(raw_nic, 1, "instance_id", MT_STR, instance) },
	{ FIELD(raw_nic, 2, "subordinate_instance_id", MT_STR, subordinate),
	  HAS(raw_nic, has_subordinate) },
	{ FIELD(raw_nic, 3, "max_sub_channels", MT_U32, max_sub_channels) },
};
static const struct mt_type legacy_nic_type = TYPE(raw_nic, legacy_nic_fields);

static const struct mt_field fixed_fields[] = {
	{ FIELD(raw_fixed, 1, "scsi_sub_channels", MT_U32, scsi_sub_channels) },
	{ FIELD(raw_fixed, 2, "io_ring_size", MT_U32, io_ring_size),
	  HAS(raw_fixed, has_io_ring_size) },
	{ FIELD(raw_fixed, 3, "max_bounce_buffer_pages", MT_U32, max_bounce_buffer_pages) },
};
static const struct mt_type fixed_type = TYPE(raw_fixed, fixed_fields);

static const struct mt_field dynamic_fields[] = {
	{ FIELD(raw_dynamic, 1, "storage_controllers", MT_LIST, controllers),
	  .type = &controller_type, .max = VTL2S_MAX_CONTROLLERS },
	{ FIELD(raw_dynamic, 2, "nic_devices", MT_LIST, nics), .type = &legacy_nic_type,
	  .max = VTL2S_MAX_NICS },
};
static const struct mt_type dynamic_type = TYPE(raw_dynamic, dynamic_fields);

static const struct mt_field base_fields[] = {
	{ FIELD(raw_base, 1, "version", MT_ENUM, version), .names = version_names },
	{ FIELD(raw_base, 2, "fixed", MT_MSG, fixed), .type = &fixed_type },
	{ FIELD(raw_base, 3, "dynamic", MT_MSG, dynamic), .type = &dynamic_type },
};
const struct mt_type raw_base_type = TYPE(raw_base, base_fields);

static const struct mt_field nic_fields[] = {
	{ FIELD(raw_nic, 1, "instance_id", MT_STR, instance) },
	{ FIELD(raw_nic, 2, "max_sub_channels", MT_U32, max_sub_channels) },
};
static const struct mt_type nic_type = TYPE(raw_nic, nic_fields);

static const struct mt_field nics_fields[] = {
	{ FIELD(raw_nics, 1, "nic_devices", MT_LIST, nics), .type = &nic_type,
	  .max = VTL2S_MAX_NICS },
};
const struct mt_type raw_nics_type = TYPE(raw_nics, nics_fields);

static const struct mt_field acceleration_nic_fields[] = {
	{ FIELD(raw_nic, 1, "instance_id", MT_STR, instance) },
	{ FIELD(raw_nic, 2, "subordinate_instance_id", MT_STR, subordinate),
	  HAS(raw_nic, has_subordinate) },
};
static const struct mt_type acceleration_nic_type = TYPE(raw_nic, acceleration_nic_fields);

static const struct mt_field acceleration_fields[] = {
	{ FIELD(raw_nics, 1, "nic_acceleration", MT_LIST, nics), .type = &acceleration_nic_type,
	  .max = VTL2S_MAX_NICS },
};
const struct mt_type raw_acceleration_type = TYPE(raw_nics, acceleration_fields);

static const struct mt_field chunk_fields[] = {
	{ FIELD(raw_chunk, 1, "namespace", MT_STR, name) },
	{ FIELD(raw_chunk, 2, "settings", MT_BYTES, settings) },
};
static const struct mt_type chunk_type = TYPE(raw_chunk, chunk_fields);

static const struct mt_field settings_fields[] = {
	{ FIELD(raw_settings, 1, "namespace_settings", MT_LIST, chunks), .type = &chunk_type,
	  .max = MAX_CHUNKS },
	{ FIELD(raw_settings, 2, "version", MT_ENUM, base.version), .names = version_names },
	{ FIELD(raw_settings, 3, "fixed", MT_MSG, base.fixed), .type = &fixed_type },
	{ FIELD(raw_settings, 4, "dynamic", MT_MSG, base.dynamic), .type = &dynamic_type },
};
const struct mt_type raw_settings_type = TYPE(raw_settings, settings_fields);
