/* SPDX-License-Identifier: MIT */
/* VTL2 settings compared: what changed, and whether a running VM can follow; and as a tree. */
#include "vtl2_settings.h"

#include <errno.h>
#include <string.h>

#include "inspect.h"

/* ---- finding and comparing ------------------------------------------------------------------- */

const struct vtl2s_controller *vtl2s_controller_at(const struct vtl2_settings *s,
						   const struct guid *instance)
{
	for (uint32_t i = 0; i < s->n_controllers; i++) {
		if (guid_eq(&s->controllers[i].instance, instance))
			return &s->controllers[i];
	}
	return NULL;
}

const struct vtl2s_lun *vtl2s_lun_at(const struct vtl2s_controller *c, uint8_t channel,
				     uint32_t location)
{
	for (uint32_t i = 0; i < c->n_luns; i++) {
		if (c->luns[i].channel == channel && c->luns[i].location == location)
			return &c->luns[i];
	}
	return NULL;
}

static bool devices_eq(const struct vtl2s_lun *a, const struct vtl2s_lun *b)
{
	if (a->n_devices != b->n_devices || a->chunk_kb != b->chunk_kb)
		return false;
	for (uint32_t i = 0; i < a->n_devices; i++) {
		if (a->devices[i].type != b->devices[i].type ||
		    a->devices[i].sub_path != b->devices[i].sub_path ||
		    !guid_eq(&a->devices[i].path, &b->devices[i].path))
			return false;
	}
	return true;
}

static bool same_identity(const struct vtl2s_lun *a, const struct vtl2s_lun *b)
{
	return guid_eq(&a->device_id, &b->device_id) && strcmp(a->vendor, b->vendor) == 0 &&
	       strcmp(a->product, b->product) == 0 && strcmp(a->revision, b->revision) == 0 &&
	       strcmp(a->serial, b->serial) == 0 && strcmp(a->model, b->model) == 0;
}

static bool same_behaviour(const struct vtl2s_lun *a, const struct vtl2s_lun *b)
{
	return a->medium_rotation_rate == b->medium_rotation_rate &&
	       a->physical_sector_size == b->physical_sector_size && a->has_fua == b->has_fua &&
	       a->fua == b->fua && a->has_write_cache == b->has_write_cache &&
	       a->write_cache == b->write_cache && a->odx == b->odx &&
	       a->disable_thin_provisioning == b->disable_thin_provisioning &&
	       a->max_transfer_length == b->max_transfer_length &&
	       a->scsi_disk_size == b->scsi_disk_size && a->auto_format == b->auto_format;
}

bool vtl2s_lun_same_drive(const struct vtl2s_lun *a, const struct vtl2s_lun *b)
{
	return a->channel == b->channel && a->location == b->location && a->is_dvd == b->is_dvd &&
	       same_identity(a, b) && same_behaviour(a, b);
}

bool vtl2s_lun_eq(const struct vtl2s_lun *a, const struct vtl2s_lun *b)
{
	return vtl2s_lun_same_drive(a, b) && devices_eq(a, b);
}

/* ---- changes of a running VM ----------------------------------------------------------------- */

static int no_controllers(struct vtl2s_error *err)
{
	vtl2s_error_set(err, "Configuration.StorageCannotAddRemoveControllerAtRuntime",
			"cannot add/remove storage controllers at runtime");
	return -EPERM;
}

static int no_ide(struct vtl2s_error *err)
{
	vtl2s_error_set(err, "Configuration.StorageCannotModifyIdeAtRuntime",
			"cannot modify IDE configuration at runtime");
	return -EPERM;
}

/* A medium goes into one drive or comes out of it; nothing else. */
static int ide_may_change(const struct vtl2s_controller *from, const struct vtl2s_controller *to,
			  struct vtl2s_error *err)
{
	uint32_t changed = 0;

	if (from->n_luns != to->n_luns || from->io_queue_depth != to->io_queue_depth)
		return no_ide(err);
	for (uint32_t i = 0; i < to->n_luns; i++) {
		const struct vtl2s_lun *n = &to->luns[i];
		const struct vtl2s_lun *o = vtl2s_lun_at(from, n->channel, n->location);

		if (o && vtl2s_lun_eq(o, n))
			continue;
		if (!o || !n->is_dvd || !vtl2s_lun_same_drive(o, n) ||
		    (o->n_devices == 0) == (n->n_devices == 0) || ++changed > 1)
			return no_ide(err);
	}
	return 0;
}

static int lun_may_change(const struct vtl2s_lun *from, const struct vtl2s_lun *to,
			  struct vtl2s_error *err)
{
	if (from && to && vtl2s_lun_eq(from, to))
		return 0;
	if ((!from || from->n_devices < 2) && (!to || to->n_devices < 2))
		return 0;
	vtl2s_error_set(err, "Configuration.StripedStorageCannotChangeControllerAtRuntime",
			"Striping devices don't support runtime change");
	return -EPERM;
}

static int luns_may_change(const struct vtl2s_controller *from, const struct vtl2s_controller *to,
			   struct vtl2s_error *err)
{
	int r = 0;

	for (uint32_t i = 0; r == 0 && i < to->n_luns; i++)
		r = lun_may_change(vtl2s_lun_at(from, 0, to->luns[i].location), &to->luns[i], err);
	for (uint32_t i = 0; r == 0 && i < from->n_luns; i++) {
		if (!vtl2s_lun_at(to, 0, from->luns[i].location))
			r = lun_may_change(&from->luns[i], NULL, err);
	}
	return r;
}

static int controller_may_change(const struct vtl2s_controller *from,
				 const struct vtl2s_controller *to, struct vtl2s_error *err)
{
	if (!from || !to || from->protocol != to->protocol)
		return (from && from->protocol == VTL2S_IDE) || (to && to->protocol == VTL2S_IDE)
			       ? no_ide(err)
			       : no_controllers(err);
	switch (to->protocol) {
	case VTL2S_IDE:
		return ide_may_change(from, to, err);
	case VTL2S_SCSI:
	case VTL2S_NVME:
		return luns_may_change(from, to, err);
	}
	return no_controllers(err);
}

int vtl2_settings_may_change(const struct vtl2_settings *from, const struct vtl2_settings *to,
			     struct vtl2s_error *ret_err)
{
	int r = 0;

	for (uint32_t i = 0; r == 0 && i < from->n_controllers; i++) {
		const struct vtl2s_controller *c = &from->controllers[i];

		r = controller_may_change(c, vtl2s_controller_at(to, &c->instance), ret_err);
	}
	for (uint32_t i = 0; r == 0 && i < to->n_controllers; i++) {
		if (!vtl2s_controller_at(from, &to->controllers[i].instance))
			r = controller_may_change(NULL, &to->controllers[i], ret_err);
	}
	return r;
}

/* ---- inspect --------------------------------------------------------------------------------- */

static void show_guid(struct inspect *in, const char *name, const struct guid *g)
{
	char text[GUID_STR_LEN + 1];

	guid_format(g, text);
	inspect_str(in, SENS_UNSPEC, name, text);
}

static void inspect_device(struct inspect *in, const void *obj)
{
	const struct vtl2s_device *d = obj;

	inspect_str(in, SENS_UNSPEC, "device_type", d->type == VTL2S_DEV_NVME ? "nvme" : "vscsi");
	show_guid(in, "vmbus_instance_id", &d->path);
	inspect_u64(in, SENS_UNSPEC, "sub_device_path", d->sub_path);
}

static void inspect_devices(struct inspect *in, const void *obj)
{
	const struct vtl2s_lun *l = obj;

	for (uint32_t i = 0; i < l->n_devices; i++)
		inspect_dir_at(in, SENS_UNSPEC, i, inspect_device, &l->devices[i]);
}

static void inspect_identity(struct inspect *in, const void *obj)
{
	const struct vtl2s_lun *l = obj;

	/* These identify a disk, and with it whose VM this is. */
	if (inspect_wants(in, "device_id")) {
		char text[GUID_STR_LEN + 1];

		guid_format(&l->device_id, text);
		inspect_str(in, SENS_SENSITIVE, "device_id", text);
	}
	inspect_str(in, SENS_SENSITIVE, "serial_number", l->serial);
	inspect_str(in, SENS_UNSPEC, "vendor_id", l->vendor);
	inspect_str(in, SENS_UNSPEC, "product_id", l->product);
	inspect_str(in, SENS_UNSPEC, "product_revision_level", l->revision);
	inspect_str(in, SENS_UNSPEC, "model_number", l->model);
}

static void inspect_lun(struct inspect *in, const void *obj)
{
	const struct vtl2s_lun *l = obj;

	inspect_u64(in, SENS_UNSPEC, "channel", l->channel);
	inspect_u64(in, SENS_UNSPEC, "location", l->location);
	inspect_flatten(in, inspect_identity, l);
	inspect_u64(in, SENS_UNSPEC, "medium_rotation_rate", l->medium_rotation_rate);
	if (l->physical_sector_size)
		inspect_u64(in, SENS_UNSPEC, "physical_sector_size", l->physical_sector_size);
	if (l->has_fua)
		inspect_bool(in, SENS_UNSPEC, "fua", l->fua);
	if (l->has_write_cache)
		inspect_bool(in, SENS_UNSPEC, "write_cache", l->write_cache);
	inspect_bool(in, SENS_UNSPEC, "odx", l->odx);
	inspect_bool(in, SENS_UNSPEC, "disable_thin_provisioning", l->disable_thin_provisioning);
	if (l->max_transfer_length)
		inspect_u64(in, SENS_UNSPEC, "max_transfer_length", l->max_transfer_length);
	if (l->scsi_disk_size)
		inspect_u64(in, SENS_UNSPEC, "scsi_disk_size_in_bytes", l->scsi_disk_size);
	inspect_bool(in, SENS_UNSPEC, "is_dvd", l->is_dvd);
	if (l->n_devices > 1)
		inspect_u64(in, SENS_UNSPEC, "chunk_size_in_kb", l->chunk_kb);
	inspect_dir(in, SENS_UNSPEC, "physical_devices", inspect_devices, l);
}

static void inspect_luns(struct inspect *in, const void *obj)
{
	const struct vtl2s_controller *c = obj;

	for (uint32_t i = 0; i < c->n_luns; i++)
		inspect_dir_at(in, SENS_UNSPEC, i, inspect_lun, &c->luns[i]);
}

static void inspect_controller(struct inspect *in, const void *obj)
{
	static const char *const names[] = {
		[VTL2S_SCSI] = "scsi", [VTL2S_IDE] = "ide", [VTL2S_NVME] = "nvme"
	};
	const struct vtl2s_controller *c = obj;

	show_guid(in, "instance_id", &c->instance);
	inspect_str(in, SENS_UNSPEC, "protocol", names[c->protocol]);
	if (c->io_queue_depth)
		inspect_u64(in, SENS_UNSPEC, "io_queue_depth", c->io_queue_depth);
	inspect_dir(in, SENS_UNSPEC, "luns", inspect_luns, c);
}

static void inspect_controllers(struct inspect *in, const void *obj)
{
	const struct vtl2_settings *s = obj;

	for (uint32_t i = 0; i < s->n_controllers; i++)
		inspect_dir_at(in, SENS_UNSPEC, i, inspect_controller, &s->controllers[i]);
}

static void inspect_nic(struct inspect *in, const void *obj)
{
	const struct vtl2s_nic *n = obj;

	show_guid(in, "instance_id", &n->instance);
	if (n->has_subordinate)
		show_guid(in, "subordinate_instance_id", &n->subordinate);
	if (n->max_sub_channels)
		inspect_u64(in, SENS_UNSPEC, "max_sub_channels", n->max_sub_channels);
}

static void inspect_nics(struct inspect *in, const void *obj)
{
	const struct vtl2_settings *s = obj;

	for (uint32_t i = 0; i < s->n_nics; i++)
		inspect_dir_at(in, SENS_UNSPEC, i, inspect_nic, &s->nics[i]);
}

static void inspect_fixed(struct inspect *in, const void *obj)
{
	const struct vtl2_settings *s = obj;

	inspect_u64(in, SENS_UNSPEC, "scsi_sub_channels", s->scsi_sub_channels);
	inspect_u64(in, SENS_UNSPEC, "io_ring_size", s->io_ring_size);
	if (s->max_bounce_buffer_pages)
		inspect_u64(in, SENS_UNSPEC, "max_bounce_buffer_pages", s->max_bounce_buffer_pages);
}

static void inspect_dynamic(struct inspect *in, const void *s)
{
	inspect_dir(in, SENS_UNSPEC, "storage_controllers", inspect_controllers, s);
	inspect_dir(in, SENS_UNSPEC, "nic_devices", inspect_nics, s);
}

void vtl2_settings_inspect(struct inspect *in, const void *s)
{
	inspect_dir(in, SENS_UNSPEC, "fixed", inspect_fixed, s);
	inspect_dir(in, SENS_UNSPEC, "dynamic", inspect_dynamic, s);
}
