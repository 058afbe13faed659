/* SPDX-License-Identifier: MIT */
/* Device tree writer. Input: our own code; names and values may stem from the host. */
#include "dt_wr.h"

#include <errno.h>
#include <string.h>

#include "ckd.h"
#include "le.h"

#define HEADER_LEN 40u
#define MAGIC 0xd00dfeedu
#define VERSION 17u
#define COMPAT 16u
#define TOK_BEGIN 1u
#define TOK_END 2u
#define TOK_PROP 3u
#define TOK_STOP 9u

/* Room for len bytes, padded to a token boundary and zeroed; NULL when the buffer is full. */
static uint8_t *room(struct dtw *w, size_t len)
{
	size_t padded = align_up(len, 4);
	uint8_t *p = w->buf + w->off;

	if (w->bad || len > w->max || padded > w->max - w->off) {
		w->bad = true;
		return NULL;
	}
	memset(p, 0, padded);
	w->off += padded;
	return p;
}

static void put_u32(struct dtw *w, uint32_t v)
{
	uint8_t *p = room(w, 4);

	if (p)
		be32_store(p, v);
}

static void be64_put(uint8_t *p, uint64_t v)
{
	be32_store(p, (uint32_t)(v >> 32));
	be32_store(p + 4, (uint32_t)v);
}

void dtw_start(struct dtw *w, void *buf, size_t max, uint32_t boot_cpu)
{
	memset(w, 0, sizeof(*w));
	w->buf = buf;
	w->max = align_down(max, 4);
	w->boot_cpu = boot_cpu;
	(void)room(w, HEADER_LEN);
}

void dtw_reserve(struct dtw *w, uint64_t base, uint64_t len)
{
	uint8_t *p = room(w, 16);

	if (!p)
		return;
	be64_put(p, base);
	be64_put(p + 8, len);
}

void dtw_begin(struct dtw *w, const char *name)
{
	size_t len = strlen(name) + 1;
	uint8_t *p;

	if (!w->depth++) {
		(void)room(w, 16); /* ends the list of reserved ranges */
		w->st = w->off;
	}
	put_u32(w, TOK_BEGIN);
	p = room(w, len);
	if (p)
		memcpy(p, name, len);
}

void dtw_begin_at(struct dtw *w, const char *name, uint64_t unit)
{
	size_t len = strlen(name);
	char full[DTW_NAME_MAX];
	int digits = 1;

	if (len + 18 > sizeof(full)) { /* '@', 16 digits, NUL */
		w->bad = true;
		return;
	}
	while (digits < 16 && unit >> (4 * digits))
		digits++;
	memcpy(full, name, len);
	full[len++] = '@';
	while (digits--)
		full[len++] = "0123456789abcdef"[(unit >> (4 * digits)) & 15];
	full[len] = 0;
	dtw_begin(w, full);
}

void dtw_end(struct dtw *w)
{
	if (!w->depth) {
		w->bad = true;
		return;
	}
	w->depth--;
	put_u32(w, TOK_END);
}

/* Offset of a property name in the table of names, added when new. */
static uint32_t name_off(struct dtw *w, const char *name)
{
	size_t len = strlen(name) + 1;

	for (size_t off = 0; off < w->str_len; off += strlen(w->str + off) + 1)
		if (!strcmp(w->str + off, name))
			return (uint32_t)off;
	if (len > sizeof(w->str) - w->str_len) {
		w->bad = true;
		return 0;
	}
	memcpy(w->str + w->str_len, name, len);
	w->str_len += len;
	return (uint32_t)(w->str_len - len);
}

/* Head of a property and room for its value. */
static uint8_t *prop(struct dtw *w, const char *name, size_t len)
{
	uint32_t off = name_off(w, name);

	put_u32(w, TOK_PROP);
	put_u32(w, (uint32_t)len);
	put_u32(w, off);
	return room(w, len);
}

void dtw_bytes(struct dtw *w, const char *name, const void *data, size_t len)
{
	uint8_t *p = prop(w, name, len);

	if (p && len)
		memcpy(p, data, len);
}

void dtw_u32(struct dtw *w, const char *name, uint32_t v)
{
	uint8_t *p = prop(w, name, 4);

	if (p)
		be32_store(p, v);
}

void dtw_u64(struct dtw *w, const char *name, uint64_t v)
{
	dtw_u64s(w, name, &v, 1);
}

void dtw_u64s(struct dtw *w, const char *name, const uint64_t *v, size_t n)
{
	uint8_t *p = prop(w, name, n * 8);

	for (size_t i = 0; p && i < n; i++)
		be64_put(p + 8 * i, v[i]);
}

void dtw_str(struct dtw *w, const char *name, const char *v)
{
	dtw_bytes(w, name, v, strlen(v) + 1);
}

void dtw_empty(struct dtw *w, const char *name)
{
	dtw_bytes(w, name, NULL, 0);
}

int dtw_finish(struct dtw *w, size_t *ret_len)
{
	size_t st_end, str;
	uint8_t *p;

	if (w->depth || !w->st)
		return w->bad ? -ENOSPC : -EINVAL;
	put_u32(w, TOK_STOP);
	st_end = w->off;
	str = w->off;
	p = room(w, w->str_len);
	if (!p)
		return -ENOSPC;
	memcpy(p, w->str, w->str_len);
	p = w->buf;
	be32_store(p, MAGIC);
	be32_store(p + 4, (uint32_t)w->off);
	be32_store(p + 8, (uint32_t)w->st);
	be32_store(p + 12, (uint32_t)str);
	be32_store(p + 16, HEADER_LEN);
	be32_store(p + 20, VERSION);
	be32_store(p + 24, COMPAT);
	be32_store(p + 28, w->boot_cpu);
	be32_store(p + 32, (uint32_t)w->str_len);
	be32_store(p + 36, (uint32_t)(st_end - w->st));
	*ret_len = w->off;
	return 0;
}
