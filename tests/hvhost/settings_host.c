/* SPDX-License-Identifier: MIT */
#include "settings_host.h"

#include "cleanup.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* A document under construction: a stream into memory. */
struct doc {
	FILE *f;
	char *buf;
	size_t len;
};

static int doc_open(struct doc *d)
{
	*d = (struct doc){ 0 };
	d->f = open_memstream(&d->buf, &d->len);
	return d->f ? 0 : -ENOMEM;
}

/* The stream ends; buf and len are the document. */
static int doc_close(struct doc *d)
{
	const int bad = ferror(d->f);

	if (fclose(d->f) == 0 && !bad)
		return 0;
	free(d->buf);
	d->buf = NULL;
	return -ENOMEM;
}

/* ---- protobuf -------------------------------------------------------------------------------- */

static void put_varint(FILE *f, uint64_t val)
{
	for (; val > 0x7f; val >>= 7)
		(void)fputc((int)(0x80 | (val & 0x7f)), f);
	(void)fputc((int)val, f);
}

static void put_u64(FILE *f, unsigned int no, uint64_t val)
{
	put_varint(f, (uint64_t)no << 3);
	put_varint(f, val);
}

/* Zero is what is not written. */
static void put_nonzero(FILE *f, unsigned int no, uint64_t val)
{
	if (val)
		put_u64(f, no, val);
}

static void put_bytes(FILE *f, unsigned int no, const void *data, size_t len)
{
	put_varint(f, (uint64_t)no << 3 | 2);
	put_varint(f, len);
	(void)fwrite(data, 1, len, f);
}

static void put_text(FILE *f, unsigned int no, const char *text)
{
	if (*text)
		put_bytes(f, no, text, strlen(text));
}

static void put_guid(FILE *f, unsigned int no, const struct guid *g)
{
	char text[GUID_STR_LEN + 1];

	guid_format(g, text);
	put_text(f, no, text);
}

/* A message inside: @fn writes it into a document of its own first. */
static int put_message(FILE *f, unsigned int no, int (*fn)(FILE *f, const void *obj),
		       const void *obj)
{
	struct doc d;
	int r = doc_open(&d), close_r;

	if (r)
		return r;
	r = fn(d.f, obj);
	close_r = doc_close(&d);
	if (close_r)
		return close_r;
	if (r == 0)
		put_bytes(f, no, d.buf, d.len);
	free(d.buf);
	return r;
}

static int pb_device(FILE *f, const void *obj)
{
	const struct vtl2s_device *d = obj;

	put_u64(f, 1, d->type);
	put_guid(f, 2, &d->path);
	put_nonzero(f, 3, d->sub_path);
	return 0;
}

static int pb_devices(FILE *f, const void *obj)
{
	const struct vtl2s_lun *l = obj;
	int r = 0;

	put_u64(f, 1, l->n_devices > 1 ? 2 : 1);
	if (l->n_devices == 1)
		return put_message(f, 2, pb_device, &l->devices[0]);
	for (uint32_t i = 0; r == 0 && i < l->n_devices; i++)
		r = put_message(f, 3, pb_device, &l->devices[i]);
	return r;
}

/* The channel is written for IDE only: the caller knows. */
struct lun_of {
	const struct vtl2s_controller *c;
	const struct vtl2s_lun *l;
};

static int pb_lun(FILE *f, const void *obj)
{
	const struct lun_of *of = obj;
	const struct vtl2s_lun *l = of->l;

	if (of->c->protocol == VTL2S_IDE)
		put_u64(f, 1, l->channel);
	put_nonzero(f, 2, l->location);
	put_guid(f, 3, &l->device_id);
	put_text(f, 4, l->vendor);
	put_text(f, 5, l->product);
	put_text(f, 6, l->revision);
	put_text(f, 7, l->serial);
	put_text(f, 8, l->model);
	put_nonzero(f, 9, l->medium_rotation_rate);
	put_nonzero(f, 10, l->physical_sector_size);
	if (l->has_fua)
		put_u64(f, 11, l->fua);
	if (l->has_write_cache)
		put_u64(f, 12, l->write_cache);
	put_nonzero(f, 13, l->odx);
	put_nonzero(f, 14, l->disable_thin_provisioning);
	put_nonzero(f, 15, l->max_transfer_length);
	put_nonzero(f, 17, l->is_dvd);
	put_nonzero(f, 18, l->chunk_kb);
	put_nonzero(f, 19, l->scsi_disk_size);
	return l->n_devices ? put_message(f, 16, pb_devices, l) : 0;
}

static int pb_controller(FILE *f, const void *obj)
{
	const struct vtl2s_controller *c = obj;
	int r = 0;

	put_guid(f, 1, &c->instance);
	put_u64(f, 2, c->protocol);
	for (uint32_t i = 0; r == 0 && i < c->n_luns; i++)
		r = put_message(f, 3, pb_lun, &(struct lun_of){ c, &c->luns[i] });
	put_nonzero(f, 4, c->io_queue_depth);
	return r;
}

static int pb_fixed(FILE *f, const void *obj)
{
	const struct vtl2_settings *s = obj;

	put_nonzero(f, 1, s->scsi_sub_channels);
	put_nonzero(f, 2, s->io_ring_size);
	put_nonzero(f, 3, s->max_bounce_buffer_pages);
	return 0;
}

static int pb_dynamic(FILE *f, const void *obj)
{
	const struct vtl2_settings *s = obj;
	int r = 0;

	for (uint32_t i = 0; r == 0 && i < s->n_controllers; i++)
		r = put_message(f, 1, pb_controller, &s->controllers[i]);
	return r;
}

/* Version, fixed and dynamic: consecutive numbers, from 1 in the chunk, from 2 in the flat form. */
static int pb_base_from(FILE *f, const struct vtl2_settings *s, unsigned int no)
{
	int r;

	put_u64(f, no, 1);
	r = put_message(f, no + 1, pb_fixed, s);
	return r ? r : put_message(f, no + 2, pb_dynamic, s);
}

static int pb_base(FILE *f, const void *obj)
{
	return pb_base_from(f, obj, 1);
}

static int pb_flat(FILE *f, const void *obj)
{
	return pb_base_from(f, obj, 2);
}

static int pb_nic(FILE *f, const void *obj)
{
	const struct vtl2s_nic *n = obj;

	put_guid(f, 1, &n->instance);
	put_nonzero(f, 2, n->max_sub_channels);
	return 0;
}

static int pb_nics(FILE *f, const void *obj)
{
	const struct vtl2_settings *s = obj;
	int r = 0;

	for (uint32_t i = 0; r == 0 && i < s->n_nics; i++)
		r = put_message(f, 1, pb_nic, &s->nics[i]);
	return r;
}

static int pb_pair(FILE *f, const void *obj)
{
	const struct vtl2s_nic *n = obj;

	put_guid(f, 1, &n->instance);
	put_guid(f, 2, &n->subordinate);
	return 0;
}

static int pb_acceleration(FILE *f, const void *obj)
{
	const struct vtl2_settings *s = obj;
	int r = 0;

	for (uint32_t i = 0; r == 0 && i < s->n_nics; i++)
		r = put_message(f, 1, pb_pair, &s->nics[i]);
	return r;
}

/* ---- JSON ------------------------------------------------------------------------------------ */

static void put_quoted(FILE *f, const char *text)
{
	(void)fputc('"', f);
	for (; *text; text++) {
		if (*text == '"' || *text == '\\')
			(void)fputc('\\', f);
		if ((unsigned char)*text < ' ')
			(void)fprintf(f, "\\u%04x", (unsigned char)*text);
		else
			(void)fputc(*text, f);
	}
	(void)fputc('"', f);
}

static void js_text(FILE *f, const char *name, const char *text)
{
	if (!*text)
		return;
	(void)fprintf(f, ",\"%s\":", name);
	put_quoted(f, text);
}

static void js_guid(FILE *f, const char *name, const struct guid *g)
{
	char text[GUID_STR_LEN + 1];

	guid_format(g, text);
	(void)fprintf(f, "\"%s\":\"%s\"", name, text);
}

static void js_nonzero(FILE *f, const char *name, uint64_t val)
{
	if (val)
		(void)fprintf(f, ",\"%s\":%llu", name, (unsigned long long)val);
}

static void js_flag(FILE *f, const char *name, bool there, bool val)
{
	if (there)
		(void)fprintf(f, ",\"%s\":%s", name, val ? "true" : "false");
}

static void js_device(FILE *f, const struct vtl2s_device *d)
{
	(void)fprintf(f, "{\"device_type\":\"%s\",", d->type == VTL2S_DEV_NVME ? "nvme" : "vscsi");
	js_guid(f, "device_path", &d->path);
	(void)fprintf(f, ",\"sub_device_path\":%u}", d->sub_path);
}

static void js_devices(FILE *f, const struct vtl2s_lun *l)
{
	if (!l->n_devices)
		return;
	if (l->n_devices == 1) {
		(void)fprintf(f, ",\"physical_devices\":{\"type\":\"single\",\"device\":");
		js_device(f, &l->devices[0]);
		(void)fprintf(f, "}");
		return;
	}
	(void)fprintf(f, ",\"physical_devices\":{\"type\":\"striping\",\"devices\":[");
	for (uint32_t i = 0; i < l->n_devices; i++) {
		if (i)
			(void)fputc(',', f);
		js_device(f, &l->devices[i]);
	}
	(void)fprintf(f, "]}");
}

static void js_lun(FILE *f, const struct vtl2s_controller *c, const struct vtl2s_lun *l)
{
	(void)fputc('{', f);
	js_guid(f, "device_id", &l->device_id);
	if (c->protocol == VTL2S_IDE)
		(void)fprintf(f, ",\"channel\":%u", l->channel);
	(void)fprintf(f, ",\"location\":%u", l->location);
	js_text(f, "vendor_id", l->vendor);
	js_text(f, "product_id", l->product);
	js_text(f, "product_revision_level", l->revision);
	js_text(f, "serial_number", l->serial);
	js_text(f, "model_number", l->model);
	js_nonzero(f, "medium_rotation_rate", l->medium_rotation_rate);
	js_nonzero(f, "physical_sector_size", l->physical_sector_size);
	js_flag(f, "fua", l->has_fua, l->fua);
	js_flag(f, "write_cache", l->has_write_cache, l->write_cache);
	js_flag(f, "odx", l->odx, true);
	js_flag(f, "disable_thin_provisioning", l->disable_thin_provisioning, true);
	js_nonzero(f, "max_transfer_length", l->max_transfer_length);
	js_flag(f, "is_dvd", l->is_dvd, true);
	js_nonzero(f, "chunk_size_in_kb", l->chunk_kb);
	js_nonzero(f, "scsi_disk_size_in_bytes", l->scsi_disk_size);
	js_devices(f, l);
	(void)fputc('}', f);
}

static void js_controller(FILE *f, const struct vtl2s_controller *c)
{
	static const char *const names[] = {
		[VTL2S_SCSI] = "SCSI", [VTL2S_IDE] = "IDE", [VTL2S_NVME] = "NVME"
	};

	(void)fputc('{', f);
	js_guid(f, "instance_id", &c->instance);
	(void)fprintf(f, ",\"protocol\":\"%s\"", names[c->protocol]);
	js_nonzero(f, "io_queue_depth", c->io_queue_depth);
	(void)fprintf(f, ",\"luns\":[");
	for (uint32_t i = 0; i < c->n_luns; i++) {
		if (i)
			(void)fputc(',', f);
		js_lun(f, c, &c->luns[i]);
	}
	(void)fprintf(f, "]}");
}

static int js_base(FILE *f, const void *obj)
{
	const struct vtl2_settings *s = obj;

	(void)fprintf(f, "{\"version\":\"V1\",\"fixed\":{\"scsi_sub_channels\":%u",
		      s->scsi_sub_channels);
	js_nonzero(f, "io_ring_size", s->io_ring_size);
	js_nonzero(f, "max_bounce_buffer_pages", s->max_bounce_buffer_pages);
	(void)fprintf(f, "},\"dynamic\":{\"storage_controllers\":[");
	for (uint32_t i = 0; i < s->n_controllers; i++) {
		if (i)
			(void)fputc(',', f);
		js_controller(f, &s->controllers[i]);
	}
	(void)fprintf(f, "]}}");
	return 0;
}

static int js_nics(FILE *f, const void *obj)
{
	const struct vtl2_settings *s = obj;

	(void)fprintf(f, "{\"nic_devices\":[");
	for (uint32_t i = 0; i < s->n_nics; i++) {
		(void)fprintf(f, i ? ",{" : "{");
		js_guid(f, "instance_id", &s->nics[i].instance);
		js_nonzero(f, "max_sub_channels", s->nics[i].max_sub_channels);
		(void)fputc('}', f);
	}
	(void)fprintf(f, "]}");
	return 0;
}

static int js_acceleration(FILE *f, const void *obj)
{
	const struct vtl2_settings *s = obj;

	(void)fprintf(f, "{\"nic_acceleration\":[");
	for (uint32_t i = 0; i < s->n_nics; i++) {
		(void)fprintf(f, i ? ",{" : "{");
		js_guid(f, "instance_id", &s->nics[i].instance);
		(void)fputc(',', f);
		js_guid(f, "subordinate_instance_id", &s->nics[i].subordinate);
		(void)fputc('}', f);
	}
	(void)fprintf(f, "]}");
	return 0;
}

/* ---- chunks ---------------------------------------------------------------------------------- */

char *settings_host_base64(const void *data, size_t len)
{
	static const char digits[] =
		"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
	const uint8_t *p = data;
	char *text = malloc((len + 2) / 3 * 4 + 1);
	size_t n = 0;

	if (!text)
		return NULL;
	for (size_t i = 0; i < len; i += 3) {
		const uint32_t v = (uint32_t)p[i] << 16 |
				   (i + 1 < len ? (uint32_t)p[i + 1] << 8 : 0) |
				   (i + 2 < len ? p[i + 2] : 0);

		text[n++] = digits[v >> 18];
		text[n++] = digits[v >> 12 & 63];
		text[n++] = i + 1 < len ? digits[v >> 6 & 63] : '=';
		text[n++] = i + 2 < len ? digits[v & 63] : '=';
	}
	text[n] = 0;
	return text;
}

struct chunk {
	const char *name;
	int (*pb)(FILE *f, const void *obj);
	int (*js)(FILE *f, const void *obj);
};

static const struct chunk chunks[] = {
	{ "Base", pb_base, js_base },
	{ "NetworkDevice", pb_nics, js_nics },
	{ "NetworkAcceleration", pb_acceleration, js_acceleration },
};

static int put_chunk(FILE *f, const struct chunk *c, const struct vtl2_settings *s,
		     enum settings_form form, bool first)
{
	auto_free char *b64 = NULL;
	struct doc in, msg;
	int r = doc_open(&in), close_r;

	if (r)
		return r;
	r = form == SETTINGS_PROTOBUF ? c->pb(in.f, s) : c->js(in.f, s);
	close_r = doc_close(&in);
	if (close_r)
		return close_r;
	if (r == 0 && form == SETTINGS_JSON) {
		b64 = settings_host_base64(in.buf, in.len);
		r = b64 ? 0 : -ENOMEM;
		(void)fprintf(f, "%s{\"namespace\":\"%s\",\"settings\":\"%s\"}", first ? "" : ",",
			      c->name, b64 ? b64 : "");
	} else if (r == 0) {
		r = doc_open(&msg);
		if (r == 0) {
			put_text(msg.f, 1, c->name);
			put_bytes(msg.f, 2, in.buf, in.len);
			r = doc_close(&msg);
		}
		if (r == 0) {
			put_bytes(f, 1, msg.buf, msg.len);
			free(msg.buf);
		}
	}
	free(in.buf);
	return r;
}

static int put_chunks(FILE *f, const struct vtl2_settings *s, enum settings_form form)
{
	const size_t n = s->n_nics ? ARRAY_SIZE(chunks) : 1;
	int r = 0;

	if (form == SETTINGS_JSON)
		(void)fprintf(f, "{\"namespace_settings\":[");
	for (size_t i = 0; r == 0 && i < n; i++)
		r = put_chunk(f, &chunks[i], s, form, i == 0);
	if (form == SETTINGS_JSON)
		(void)fprintf(f, "]}");
	return r;
}

int settings_host_write(const struct vtl2_settings *s, enum settings_form form, uint8_t **ret_buf,
			size_t *ret_len)
{
	struct doc d;
	int r = doc_open(&d), close_r;

	if (r)
		return r;
	if (form == SETTINGS_FLAT_PROTOBUF)
		r = pb_flat(d.f, s);
	else if (form == SETTINGS_FLAT_JSON)
		r = js_base(d.f, s);
	else
		r = put_chunks(d.f, s, form);
	close_r = doc_close(&d);
	if (close_r || r) {
		if (!close_r)
			free(d.buf);
		return close_r ? close_r : r;
	}
	*ret_buf = (uint8_t *)d.buf;
	*ret_len = d.len;
	return 0;
}
