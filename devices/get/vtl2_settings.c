/* SPDX-License-Identifier: MIT */
#include "vtl2_settings.h"

#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "vtl2_schema.h"

#define IO_RING_DEFAULT 256u
#define MAX_SCSI_CONTROLLERS 4u
#define MAX_SCSI_LUN 64u
/* Many times what the largest sensible document needs. */
#define ARENA_BYTES (8u * 1024 * 1024)
#define MAX_CHUNK_KB (1024u * 1024)

/* ---- errors ---------------------------------------------------------------------------------- */

void vtl2s_error_set(struct vtl2s_error *err, const char *id, const char *fmt, ...)
{
	va_list ap;

	err->id = id;
	va_start(ap, fmt);
	(void)vsnprintf(err->text, sizeof(err->text), fmt, ap);
	va_end(ap);
}

void vtl2s_error_json(const struct vtl2s_error *err, char ret_json[VTL2S_ERROR_JSON])
{
	char text[2 * sizeof(err->text)];
	size_t n = 0;

	/* Parts of the document may be in there: printable characters, two for one at most. */
	for (const char *p = err->text; *p; p++) {
		if (*p == '"' || *p == '\\')
			text[n++] = '\\';
		text[n++] = *p >= ' ' && *p < 0x7f ? *p : '?';
	}
	text[n] = 0;
	(void)snprintf(ret_json, VTL2S_ERROR_JSON,
		       "[{\"error_id\":\"%s\",\"message\":\"%s\",\"file_name\":\"vtl2_settings\","
		       "\"line\":0}]",
		       err->id, text);
}

#define REFUSE(err, id, ...) (vtl2s_error_set(err, "Configuration." id, __VA_ARGS__), -EBADMSG)

static int no_memory(struct vtl2s_error *err)
{
	vtl2s_error_set(err, "Underhill.InternalFailure", "out of memory");
	return -ENOMEM;
}

/* ---- text ------------------------------------------------------------------------------------ */

/* For messages: as much of it as is reasonable. */
static int shown(const struct mt_str *s)
{
	return (int)MIN(s->len, (size_t)48);
}

static bool to_guid(const struct mt_str *s, struct guid *ret_g)
{
	return s->p && guid_parse(s->p, s->len, ret_g);
}

static int get_instance(const struct mt_str *s, struct guid *ret_g, struct vtl2s_error *err)
{
	if (to_guid(s, ret_g))
		return 0;
	return REFUSE(err, "InvalidInstanceId", "invalid instance ID '%.*s'", shown(s),
		      s->p ? s->p : "");
}

/* Identification: up to cap - 1 characters of 0x20..0x7e, or false. */
static bool to_text(const struct mt_str *s, char *ret_text, size_t cap)
{
	if (s->len >= cap)
		return false;
	for (size_t i = 0; i < s->len; i++) {
		if (s->p[i] < ' ' || s->p[i] > '~')
			return false;
	}
	if (s->len)
		memcpy(ret_text, s->p, s->len);
	ret_text[s->len] = 0;
	return true;
}

/* Serial and model numbers are not checked by anybody: what fits, made printable. */
static void to_free_text(const struct mt_str *s, char *ret_text, size_t cap)
{
	const size_t n = MIN(s->len, cap - 1);

	for (size_t i = 0; i < n; i++)
		ret_text[i] = s->p[i] >= ' ' && s->p[i] <= '~' ? s->p[i] : '?';
	ret_text[n] = 0;
}

static bool str_is(const struct mt_str *s, const char *text)
{
	return s->len == strlen(text) && memcmp(s->p, text, s->len) == 0;
}

/* ---- what is behind a LUN -------------------------------------------------------------------- */

static int get_device(int32_t type, const struct mt_str *path, uint32_t sub_path,
		      struct vtl2s_device *ret_d, struct vtl2s_error *err)
{
	if (type != VTL2S_DEV_NVME && type != VTL2S_DEV_VSCSI)
		return REFUSE(err, "StorageUnsupportedDeviceType", "invalid device type");
	ret_d->type = (enum vtl2s_device_type)type;
	ret_d->sub_path = sub_path;
	return get_instance(path, &ret_d->path, err);
}

static int alloc_devices(struct vtl2s_lun *l, uint32_t n, struct vtl2s_error *err)
{
	l->devices = calloc(n, sizeof(*l->devices));
	if (!l->devices)
		return no_memory(err);
	l->n_devices = n;
	return 0;
}

static int bad_disk_count(const struct raw_devices *raw, struct vtl2s_error *err)
{
	return REFUSE(err, "StorageInvalidPhysicalDiskCount",
		      "invalid physical disk count: physical_disk_count = %u",
		      raw->devices.n + (raw->device ? 1 : 0));
}

static int get_single(const struct raw_devices *raw, struct vtl2s_lun *l, struct vtl2s_error *err)
{
	const struct raw_device *d = raw->device;
	int r;

	if (!d || raw->devices.n)
		return bad_disk_count(raw, err);
	r = alloc_devices(l, 1, err);
	return r ? r : get_device(d->type, &d->path, d->sub_path, &l->devices[0], err);
}

static int get_striped(const struct raw_devices *raw, uint32_t chunk_kb, struct vtl2s_lun *l,
		       struct vtl2s_error *err)
{
	uint32_t i = 0;
	int r;

	if (raw->devices.n < 2 || raw->device)
		return bad_disk_count(raw, err);
	if (chunk_kb > MAX_CHUNK_KB)
		return REFUSE(err, "JsonFormatError", "chunk size of %u KiB", chunk_kb);
	l->chunk_kb = chunk_kb;
	r = alloc_devices(l, raw->devices.n, err);
	for (const struct mt_link *p = raw->devices.first; r == 0 && p; p = p->next) {
		const struct raw_device *d = (const struct raw_device *)(const void *)p;

		r = get_device(d->type, &d->path, d->sub_path, &l->devices[i++], err);
	}
	return r;
}

/* A document of the time when a LUN had one device. */
static int get_old_device(const struct raw_lun *raw, struct vtl2s_lun *l, struct vtl2s_error *err)
{
	int r;

	if (!raw->has_old_path || !raw->has_old_sub_path)
		return REFUSE(err, "JsonFormatError",
			      "build-to-build schema compat error: could not find any physical "
			      "devices");
	r = alloc_devices(l, 1, err);
	return r ? r
		 : get_device(raw->old_type, &raw->old_path, raw->old_sub_path, &l->devices[0],
			      err);
}

static int get_devices(const struct raw_lun *raw, struct vtl2s_lun *l, struct vtl2s_error *err)
{
	if ((raw->is_dvd || raw->devices) &&
	    (raw->has_old_type || raw->has_old_path || raw->has_old_sub_path))
		return REFUSE(err, "JsonFormatError",
			      "build-to-build schema compat error: cannot mix old/new physical "
			      "device schema declarations");
	if (!raw->devices)
		return raw->is_dvd ? 0 : get_old_device(raw, l, err);
	switch (raw->devices->type) {
	case RAW_SINGLE:
		return get_single(raw->devices, l, err);
	case RAW_STRIPED:
		return get_striped(raw->devices, raw->chunk_kb, l, err);
	default:
		return REFUSE(err, "StorageUnsupportedDeviceType", "invalid device type");
	}
}

/* ---- LUNs ------------------------------------------------------------------------------------ */

/* Who it says it is. Only SCSI and IDE disks show that to anybody. */
static int get_identity(const struct raw_lun *raw, bool shows, struct vtl2s_lun *l,
			struct vtl2s_error *err)
{
	static const struct guid none;

	if (!to_text(&raw->vendor, l->vendor, sizeof(l->vendor)) && shows)
		return REFUSE(err, "StorageInvalidVendorId",
			      "failed to parse Vendor ID: LUN = %u, vendor_id = '%.*s'",
			      raw->location, shown(&raw->vendor), raw->vendor.p);
	if (!to_text(&raw->product, l->product, sizeof(l->product)) && shows)
		return REFUSE(err, "StorageInvalidProductId",
			      "failed to parse Product ID: LUN = %u, product_id = '%.*s'",
			      raw->location, shown(&raw->product), raw->product.p);
	if (!to_text(&raw->revision, l->revision, sizeof(l->revision)) && shows)
		return REFUSE(err, "StorageInvalidProductRevisionLevel",
			      "failed to parse Product Revision Level: LUN = %u, "
			      "product_revision_level = '%.*s'",
			      raw->location, shown(&raw->revision), raw->revision.p);
	if ((!to_guid(&raw->device_id, &l->device_id) || guid_eq(&l->device_id, &none)) && shows)
		return REFUSE(err, "StorageInvalidDeviceId",
			      "failed to parse Device ID: LUN = %u, device_id = '%.*s'",
			      raw->location, shown(&raw->device_id),
			      raw->device_id.p ? raw->device_id.p : "");
	to_free_text(&raw->serial, l->serial, sizeof(l->serial));
	to_free_text(&raw->model, l->model, sizeof(l->model));
	return 0;
}

static int check_place(const struct raw_lun *raw, enum vtl2s_protocol protocol,
		       struct vtl2s_error *err)
{
	switch (protocol) {
	case VTL2S_SCSI:
		if (raw->location >= MAX_SCSI_LUN)
			return REFUSE(err, "StorageLunLocationExceedsMaxLimits",
				      "disk location exceeds limits 64, scsi LUN %u",
				      raw->location);
		return 0;
	case VTL2S_IDE:
		if (!raw->has_channel)
			return REFUSE(err, "StorageIdeChannelNotProvided",
				      "ide controller channel not provided");
		/* One id for both. */
		if (raw->channel > 1 || raw->location > 1)
			return REFUSE(err, "StorageIdeChannelExceedsMaxLimits",
				      "ide controller %s, ide device %u/%u",
				      raw->channel > 1
					      ? "channel exceeds 2 max channels"
					      : "location exceeds 2 allowed drives per channel",
				      raw->channel, raw->location);
		return 0;
	case VTL2S_NVME:
		if (raw->location == 0 || raw->location == UINT32_MAX)
			return REFUSE(err, "StorageLunLocationExceedsMaxLimits",
				      "NVMe namespace id is invalid, nvme namespace ID %u",
				      raw->location);
		if (raw->is_dvd)
			return REFUSE(err, "StorageUnsupportedDeviceType",
				      "NVMe namespace can't be a DVD drive, nvme namespace ID %u",
				      raw->location);
		return 0;
	}
	return -EBADMSG;
}

static int get_lun(const struct raw_lun *raw, enum vtl2s_protocol protocol, struct vtl2s_lun *l,
		   struct vtl2s_error *err)
{
	struct guid ntfs;
	int r = check_place(raw, protocol, err);

	if (r == 0)
		r = get_identity(raw, protocol != VTL2S_NVME && !raw->is_dvd, l, err);
	if (r == 0)
		r = get_devices(raw, l, err);
	if (r)
		return r;
	if (raw->has_ntfs_guid && protocol != VTL2S_NVME && !to_guid(&raw->ntfs_guid, &ntfs))
		return REFUSE(err, "StorageInvalidNtfsFormatGuid", "invalid ntfs guid '%.*s'",
			      shown(&raw->ntfs_guid), raw->ntfs_guid.p ? raw->ntfs_guid.p : "");
	l->auto_format = raw->has_ntfs_guid && protocol != VTL2S_NVME;
	l->channel = protocol == VTL2S_IDE ? (uint8_t)raw->channel : 0;
	l->location = raw->location;
	l->medium_rotation_rate = (uint16_t)raw->rotation_rate;
	l->physical_sector_size = raw->physical_sector_size;
	l->has_fua = raw->has_fua;
	l->fua = raw->fua;
	l->has_write_cache = raw->has_write_cache;
	l->write_cache = raw->write_cache;
	l->odx = raw->odx;
	l->disable_thin_provisioning = raw->no_thin;
	l->is_dvd = raw->is_dvd;
	l->max_transfer_length = raw->max_transfer;
	l->scsi_disk_size = raw->disk_size;
	return 0;
}

/* ---- controllers ----------------------------------------------------------------------------- */

static int get_luns(const struct raw_controller *raw, struct vtl2s_controller *c,
		    struct vtl2s_error *err)
{
	int r = 0;

	c->luns = raw->luns.n ? calloc(raw->luns.n, sizeof(*c->luns)) : NULL;
	if (raw->luns.n && !c->luns)
		return no_memory(err);
	for (const struct mt_link *p = raw->luns.first; r == 0 && p; p = p->next) {
		struct vtl2s_lun *l = &c->luns[c->n_luns++];

		r = get_lun((const struct raw_lun *)(const void *)p, c->protocol, l, err);
		if (r || vtl2s_lun_at(c, l->channel, l->location) == l)
			continue;
		if (c->protocol == VTL2S_IDE)
			return REFUSE(err, "StorageIdeChannelInvalidConfiguration",
				      "ide controller has invalid configuration, ide device %u/%u",
				      l->channel, l->location);
		return REFUSE(err, "StorageLunLocationDuplicated",
			      "disk location is duplicated, %u", l->location);
	}
	return r;
}

static int get_controller(const struct raw_controller *raw, struct vtl2s_controller *c,
			  struct vtl2s_error *err)
{
	int r = get_instance(&raw->instance, &c->instance, err);

	if (r)
		return r;
	if (raw->protocol != VTL2S_SCSI && raw->protocol != VTL2S_IDE &&
	    raw->protocol != VTL2S_NVME)
		return REFUSE(err, "StorageInvalidControllerType",
			      "controller has unknown storage protocol");
	c->protocol = (enum vtl2s_protocol)raw->protocol;
	c->io_queue_depth = raw->io_queue_depth;
	return get_luns(raw, c, err);
}

static int check_controllers(const struct vtl2_settings *s, struct vtl2s_error *err)
{
	char id[GUID_STR_LEN + 1];
	uint32_t scsi = 0, ide = 0;

	for (uint32_t i = 0; i < s->n_controllers; i++) {
		const struct vtl2s_controller *c = &s->controllers[i];

		guid_format(&c->instance, id);
		if (c->protocol == VTL2S_SCSI && ++scsi > MAX_SCSI_CONTROLLERS)
			return REFUSE(err, "StorageScsiControllerExceedsMaxLimits",
				      "exceeded 4 max SCSI controllers, instance ID: %s", id);
		if (c->protocol == VTL2S_IDE && ++ide > 1)
			return REFUSE(err, "StorageIdeChannelExceedsMaxLimits",
				      "ide controller channel exceeds 1 max controller, "
				      "instance ID: %s",
				      id);
		if (vtl2s_controller_at(s, &c->instance) != c)
			return REFUSE(err, "StorageControllerGuidAlreadyExists",
				      "controller already exists, instance ID: %s", id);
	}
	return 0;
}

static int get_controllers(const struct raw_dynamic *raw, struct vtl2_settings *s,
			   struct vtl2s_error *err)
{
	const uint32_t n = raw ? raw->controllers.n : 0;
	int r = 0;

	s->controllers = n ? calloc(n, sizeof(*s->controllers)) : NULL;
	if (n && !s->controllers)
		return no_memory(err);
	for (const struct mt_link *p = n ? raw->controllers.first : NULL; r == 0 && p; p = p->next)
		r = get_controller((const struct raw_controller *)(const void *)p,
				   &s->controllers[s->n_controllers++], err);
	return r ? r : check_controllers(s, err);
}

/* ---- NICs ------------------------------------------------------------------------------------ */

static int get_nic(const struct raw_nic *raw, struct vtl2s_nic *n, struct vtl2s_error *err)
{
	static const struct guid none;
	int r = get_instance(&raw->instance, &n->instance, err);

	if (r == 0 && raw->has_subordinate)
		r = get_instance(&raw->subordinate, &n->subordinate, err);
	n->has_subordinate = !guid_eq(&n->subordinate, &none);
	n->max_sub_channels = (uint16_t)raw->max_sub_channels;
	return r;
}

static int get_nics(const struct mt_list *raw, struct vtl2_settings *s, struct vtl2s_error *err)
{
	int r = 0;

	free(s->nics);
	s->n_nics = 0;
	s->nics = raw->n ? calloc(raw->n, sizeof(*s->nics)) : NULL;
	if (raw->n && !s->nics)
		return no_memory(err);
	for (const struct mt_link *p = raw->first; r == 0 && p; p = p->next)
		r = get_nic((const struct raw_nic *)(const void *)p, &s->nics[s->n_nics++], err);
	return r;
}

/* Pairs of a NIC that is there and its function; others mean nothing. */
static int get_acceleration(const struct mt_list *raw, struct vtl2_settings *s,
			    struct vtl2s_error *err)
{
	for (const struct mt_link *p = raw->first; p; p = p->next) {
		struct vtl2s_nic n = { 0 };
		int r = get_nic((const struct raw_nic *)(const void *)p, &n, err);

		if (r)
			return r;
		for (uint32_t i = 0; i < s->n_nics; i++) {
			if (!guid_eq(&s->nics[i].instance, &n.instance))
				continue;
			s->nics[i].subordinate = n.subordinate;
			s->nics[i].has_subordinate = n.has_subordinate;
			break;
		}
	}
	return 0;
}

/* ---- the whole ------------------------------------------------------------------------------- */

/* What a document consists of after its chunks have been read. */
struct parts {
	struct mt_arena arena;
	struct raw_settings outer;
	struct raw_base base;
	struct raw_nics nics, acceleration;
	bool has_base, has_nics, has_acceleration;
};

static int read_message(struct parts *p, const struct mt_type *type, const void *buf, size_t len,
			void *obj, struct vtl2s_error *err)
{
	struct mt_why why = { 0 };
	int r = mt_read(type, buf, len, &p->arena, obj, &why);

	if (r == -ENOMEM)
		return no_memory(err);
	if (r)
		vtl2s_error_set(err,
				why.json ? "Configuration.JsonFormatError"
					 : "Configuration.ProtobufFormatError",
				"%s: %s", r == -E2BIG ? "too much" : "bad format", why.field);
	return r;
}

static int check_version(int32_t version, struct vtl2s_error *err)
{
	if (version == RAW_VERSION_1)
		return 0;
	return REFUSE(err, "UnsupportedSchemaVersion", "unsupported schema version %#x",
		      (uint32_t)version);
}

static int read_chunk(struct parts *p, const struct raw_chunk *c, struct vtl2s_error *err)
{
	const struct mt_type *type;
	void *obj;
	int r;

	if (!c->settings.len)
		return REFUSE(err, "EmptyNamespaceChunk", "empty namespace settings chunk %.*s",
			      shown(&c->name), c->name.p ? c->name.p : "");
	if (str_is(&c->name, "Base")) {
		p->has_base = true;
		type = &raw_base_type;
		obj = &p->base;
	} else if (str_is(&c->name, "NetworkDevice")) {
		p->has_nics = true;
		type = &raw_nics_type;
		obj = &p->nics;
	} else if (str_is(&c->name, "NetworkAcceleration")) {
		p->has_acceleration = true;
		type = &raw_acceleration_type;
		obj = &p->acceleration;
	} else {
		return REFUSE(err, "UnsupportedSchemaNamespace",
			      "unsupported schema namespace %.*s", shown(&c->name),
			      c->name.p ? c->name.p : "");
	}
	r = read_message(p, type, c->settings.p, c->settings.len, obj, err);
	return r == 0 && type == &raw_base_type ? check_version(p->base.version, err) : r;
}

static int read_parts(struct parts *p, const void *raw, size_t len, struct vtl2s_error *err)
{
	int r = read_message(p, &raw_settings_type, raw, len, &p->outer, err);

	if (r)
		return r;
	p->base = p->outer.base;
	p->has_base = p->base.fixed || p->base.dynamic;
	if (p->has_base)
		r = check_version(p->base.version, err);
	for (const struct mt_link *c = p->outer.chunks.first; r == 0 && c; c = c->next)
		r = read_chunk(p, (const struct raw_chunk *)(const void *)c, err);
	return r;
}

static int copy_controllers(struct vtl2_settings *s, const struct vtl2_settings *old)
{
	s->controllers =
		old->n_controllers ? calloc(old->n_controllers, sizeof(*s->controllers)) : NULL;
	if (old->n_controllers && !s->controllers)
		return -ENOMEM;
	for (uint32_t i = 0; i < old->n_controllers; i++) {
		const struct vtl2s_controller *from = &old->controllers[i];
		struct vtl2s_controller *to = &s->controllers[s->n_controllers++];

		*to = *from;
		to->n_luns = 0;
		to->luns = from->n_luns ? calloc(from->n_luns, sizeof(*to->luns)) : NULL;
		if (from->n_luns && !to->luns)
			return -ENOMEM;
		for (; to->n_luns < from->n_luns; to->n_luns++) {
			const struct vtl2s_lun *l = &from->luns[to->n_luns];
			struct vtl2s_device *d = NULL;

			if (l->n_devices) {
				d = calloc(l->n_devices, sizeof(*d));
				if (!d)
					return -ENOMEM;
				memcpy(d, l->devices, l->n_devices * sizeof(*d));
			}
			to->luns[to->n_luns] = *l;
			to->luns[to->n_luns].devices = d;
		}
	}
	return 0;
}

static int copy_nics(struct vtl2_settings *s, const struct vtl2_settings *old)
{
	if (!old->n_nics)
		return 0;
	s->nics = calloc(old->n_nics, sizeof(*s->nics));
	if (!s->nics)
		return -ENOMEM;
	memcpy(s->nics, old->nics, old->n_nics * sizeof(*s->nics));
	s->n_nics = old->n_nics;
	return 0;
}

static int set_base(struct vtl2_settings *s, const struct parts *p, const struct vtl2_settings *old,
		    struct vtl2s_error *err)
{
	static const struct raw_fixed no_fixed;
	const struct raw_fixed *fixed = p->base.fixed ? p->base.fixed : &no_fixed;
	int r;

	if (!p->has_base && old) {
		s->scsi_sub_channels = old->scsi_sub_channels;
		s->io_ring_size = old->io_ring_size;
		s->max_bounce_buffer_pages = old->max_bounce_buffer_pages;
		return copy_controllers(s, old) ? no_memory(err) : 0;
	}
	s->scsi_sub_channels = (uint16_t)fixed->scsi_sub_channels;
	s->io_ring_size = fixed->has_io_ring_size ? fixed->io_ring_size : IO_RING_DEFAULT;
	s->max_bounce_buffer_pages = fixed->max_bounce_buffer_pages;
	r = get_controllers(p->base.dynamic, s, err);
	if (r == 0 && p->base.dynamic && p->base.dynamic->nics.n)
		r = get_nics(&p->base.dynamic->nics, s, err);
	return r;
}

static int set_all(struct vtl2_settings *s, const struct parts *p, const struct vtl2_settings *old,
		   struct vtl2s_error *err)
{
	int r = set_base(s, p, old, err);

	if (r == 0 && !s->n_nics && !p->has_nics && old)
		r = copy_nics(s, old) ? no_memory(err) : 0;
	if (r == 0 && p->has_nics)
		r = get_nics(&p->nics.nics, s, err);
	if (r == 0 && p->has_acceleration)
		r = get_acceleration(&p->acceleration.nics, s, err);
	return r;
}

int vtl2_settings_parse(const void *raw, size_t len, const struct vtl2_settings *old,
			struct vtl2_settings **ret_s, struct vtl2s_error *ret_err)
{
	struct parts p = { .arena.left = ARENA_BYTES };
	struct vtl2_settings *s;
	int r;

	if (len > VTL2S_MAX_BYTES) {
		vtl2s_error_set(ret_err, "Configuration.ProtobufFormatError", "more than %u bytes",
				VTL2S_MAX_BYTES);
		return -E2BIG;
	}
	s = calloc(1, sizeof(*s));
	if (!s)
		return no_memory(ret_err);
	r = read_parts(&p, raw, len, ret_err);
	if (r == 0)
		r = set_all(s, &p, old, ret_err);
	mt_arena_fini(&p.arena);
	if (r) {
		vtl2_settings_free(s);
		return r;
	}
	*ret_s = s;
	return 0;
}

void vtl2_settings_free(struct vtl2_settings *s)
{
	if (!s)
		return;
	for (uint32_t i = 0; i < s->n_controllers; i++) {
		struct vtl2s_controller *c = &s->controllers[i];

		for (uint32_t k = 0; k < c->n_luns; k++)
			free(c->luns[k].devices);
		free(c->luns);
	}
	free(s->controllers);
	free(s->nics);
	free(s);
}
