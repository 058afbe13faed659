/* SPDX-License-Identifier: MIT */
/*
 * Records as bytes: fixed head, then target, name, context, text and fields, every string with its
 * NUL. See log_record.h.
 */
#include "log_record.h"

#include <errno.h>
#include <stdbool.h>
#include <string.h>

#include "rd.h"

#define HEAD_BYTES 96u
BUILD_ASSERT(LOG_RECORD_MAX <= UINT16_MAX, "lengths are 16 bits");

static void put_printable(uint8_t *to, const char *s, size_t n)
{
	for (size_t i = 0; i < n; i++)
		to[i] = s[i] < 0x20 || s[i] > 0x7e ? '?' : (uint8_t)s[i];
	to[n] = 0;
}

/* A string and its NUL, cut at max; the bytes taken. */
static uint16_t put_str(struct wr *w, const char *s, size_t max)
{
	const size_t n = strnlen(s, max - 1);
	uint8_t *to = wr_room(w, n + 1);

	if (to)
		put_printable(to, s, n);
	return (uint16_t)(n + 1);
}

/* One field: type, key, then the number or a string with its length in front. */
static bool put_field(struct wr *w, const struct log_field *f)
{
	struct wr at = *w;
	uint8_t *len;
	uint16_t n;

	wr_u8(&at, (uint8_t)f->type);
	(void)put_str(&at, f->key[0] ? f->key : "?", LOG_KEY_MAX);
	if (f->type == LOG_F_STR) {
		len = wr_room(&at, 2);
		if (!len || at.left < 1)
			return false;
		n = put_str(&at, f->str, at.left);
		le16_store(len, n);
	} else {
		wr_le64(&at, f->u64);
	}
	if (at.bad)
		return false;
	*w = at;
	return true;
}

static uint16_t put_fields(struct wr *w, const struct log_record *rec, uint8_t *ret_n)
{
	uint8_t *start = w->p;
	struct wr part = wr_make(start, MIN(w->left, (size_t)LOG_FIELDS_BYTES));
	uint8_t n = 0;

	while (n < MIN(rec->n_fields, (size_t)LOG_FIELDS_MAX) && put_field(&part, &rec->fields[n]))
		n++;
	*ret_n = n;
	(void)wr_room(w, part.done);
	return (uint16_t)part.done;
}

size_t log_record_encode(const struct log_record *rec, uint8_t ret_buf[LOG_RECORD_MAX])
{
	struct wr w = wr_make(ret_buf + HEAD_BYTES, LOG_RECORD_MAX - HEAD_BYTES);
	const uint16_t target = put_str(&w, rec->target, LOG_TARGET_MAX);
	const uint16_t name = put_str(&w, rec->name, LOG_NAME_MAX);
	const uint16_t context = put_str(&w, rec->context, LOG_CONTEXT_MAX);
	const uint16_t text = put_str(&w, rec->text, LOG_TEXT_MAX);
	uint8_t n_fields;
	const uint16_t fields = put_fields(&w, rec, &n_fields);

	/* The head has fixed places and room for them: no cursor. */
	ret_buf[0] = (uint8_t)rec->kind;
	ret_buf[1] = (uint8_t)rec->level;
	ret_buf[2] = (uint8_t)rec->cls;
	ret_buf[3] = n_fields;
	le16_store(ret_buf + 4, target);
	le16_store(ret_buf + 6, name);
	le16_store(ret_buf + 8, context);
	le16_store(ret_buf + 10, text);
	le16_store(ret_buf + 12, fields);
	le16_store(ret_buf + 14, 0);
	le64_store(ret_buf + 16, rec->time_ns);
	le64_store(ret_buf + 24, rec->missed);
	le64_store(ret_buf + 32, rec->taken_ns);
	le64_store(ret_buf + 40, rec->busy_ns);
	memcpy(ret_buf + 48, &rec->activity, sizeof(rec->activity));
	memcpy(ret_buf + 64, &rec->related, sizeof(rec->related));
	memcpy(ret_buf + 80, &rec->correlation, sizeof(rec->correlation));
	return HEAD_BYTES + w.done;
}

/* A string of exactly len bytes with the NUL; NULL = it is not one. */
static const char *get_str(struct rd *r, size_t len, size_t max)
{
	const char *s = len >= 1 && len <= max ? rd_bytes(r, len) : NULL;

	if (!s || s[len - 1] != 0)
		return NULL;
	for (size_t i = 0; i + 1 < len; i++) {
		if (s[i] < 0x20 || s[i] > 0x7e)
			return NULL;
	}
	return s;
}

static const char *get_key(struct rd *r)
{
	const size_t max = MIN(r->left, (size_t)LOG_KEY_MAX);
	const size_t n = r->bad ? 0 : strnlen((const char *)r->p, max);

	return n && n < max ? get_str(r, n + 1, LOG_KEY_MAX) : NULL;
}

static bool get_field(struct rd *r, struct log_field *ret_field)
{
	const uint8_t type = rd_u8(r);

	ret_field->key = get_key(r);
	if (!ret_field->key || type > LOG_F_STR)
		return false;
	ret_field->type = (enum log_field_type)type;
	if (type == LOG_F_STR) {
		ret_field->str = get_str(r, rd_le16(r), LOG_FIELDS_BYTES);
		return ret_field->str != NULL;
	}
	ret_field->u64 = rd_le64(r);
	return !r->bad && (type != LOG_F_BOOL || ret_field->u64 <= 1);
}

static void get_guid(struct rd *r, struct guid *ret_guid)
{
	const void *p = rd_bytes(r, sizeof(*ret_guid));

	if (p)
		memcpy(ret_guid, p, sizeof(*ret_guid));
}

int log_record_decode(const uint8_t *buf, size_t len, struct log_field ret_fields[LOG_FIELDS_MAX],
		      struct log_record *ret_rec)
{
	struct rd r = rd_make(buf, len);
	const uint8_t kind = rd_u8(&r), level = rd_u8(&r), cls = rd_u8(&r), n_fields = rd_u8(&r);
	struct log_field fields[LOG_FIELDS_MAX];
	struct log_record rec = { .n_fields = n_fields, .fields = ret_fields };
	uint16_t lens[6];

	if (len > LOG_RECORD_MAX || kind > LOG_SPAN_EXIT || level > LOG_TRACE || cls > CONF ||
	    n_fields > LOG_FIELDS_MAX)
		return -EBADMSG;
	rec.kind = (enum log_kind)kind;
	rec.level = (enum log_level)level;
	rec.cls = (enum log_class)cls;
	for (size_t i = 0; i < ARRAY_SIZE(lens); i++)
		lens[i] = rd_le16(&r);
	rec.time_ns = rd_le64(&r);
	rec.missed = rd_le64(&r);
	rec.taken_ns = rd_le64(&r);
	rec.busy_ns = rd_le64(&r);
	get_guid(&r, &rec.activity);
	get_guid(&r, &rec.related);
	get_guid(&r, &rec.correlation);
	rec.target = get_str(&r, lens[0], LOG_TARGET_MAX);
	rec.name = get_str(&r, lens[1], LOG_NAME_MAX);
	rec.context = get_str(&r, lens[2], LOG_CONTEXT_MAX);
	rec.text = get_str(&r, lens[3], LOG_TEXT_MAX);
	if (!rec.target || !rec.name || !rec.context || !rec.text || lens[5] || r.left != lens[4] ||
	    lens[4] > LOG_FIELDS_BYTES)
		return -EBADMSG;
	for (size_t i = 0; i < n_fields; i++) {
		if (!get_field(&r, &fields[i]))
			return -EBADMSG;
	}
	if (!rd_end(&r))
		return -EBADMSG;
	memcpy(ret_fields, fields, n_fields * sizeof(fields[0]));
	*ret_rec = rec;
	return 0;
}
