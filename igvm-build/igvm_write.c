/* SPDX-License-Identifier: MIT */
/*
 * IGVM writer. Input: our own tool. Spec: IGVM file format, "Overall layout".
 */
#include "igvm_write.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "ckd.h"
#include "crc.h"
#include "le.h"

#define NO_BLOB UINT32_MAX
#define BUCKETS 65536u /* power of two; tens of thousands of pages at most */

struct buf {
	uint8_t *p;
	size_t len, cap;
};

struct blob {
	uint64_t off; /* in data */
	size_t len;
	uint32_t next; /* of the same bucket */
};

struct fixup {
	size_t var_off; /* of the file_off member, in var */
	uint32_t blob;
};

struct igvm_writer {
	uint32_t version, arch;
	struct buf var, data, blobs, fixups;
	uint32_t bucket[BUCKETS];
};

struct igvm_writer *igvm_writer_create(uint32_t version, uint32_t arch)
{
	struct igvm_writer *w = calloc(1, sizeof(*w));

	if (!w)
		return NULL;
	w->version = version;
	w->arch = arch;
	memset(w->bucket, 0xff, sizeof(w->bucket));
	return w;
}

void igvm_writer_destroy(struct igvm_writer *w)
{
	if (!w)
		return;
	free(w->var.p);
	free(w->data.p);
	free(w->blobs.p);
	free(w->fixups.p);
	free(w);
}

/* Room for len zeroed bytes at the end. */
static void *buf_room(struct buf *b, size_t len)
{
	size_t need, cap;
	uint8_t *p;

	if (ckd_add(&need, b->len, len))
		return NULL;
	if (need > b->cap) {
		cap = MAX(need, b->cap + b->cap / 2 + 4096);
		p = realloc(b->p, cap);
		if (!p)
			return NULL;
		b->p = p;
		b->cap = cap;
	}
	p = b->p + b->len;
	memset(p, 0, len);
	b->len = need;
	return p;
}

/* Store data once. Returns: blob number, or NO_BLOB when memory is short. */
static uint32_t blob_store(struct igvm_writer *w, const void *data, size_t len, size_t padded)
{
	uint32_t *bucket = &w->bucket[crc32_update((uint32_t)padded, data, len) % BUCKETS];
	struct blob *b;
	uint8_t *p;
	uint32_t n;

	for (n = *bucket; n != NO_BLOB; n = b->next) {
		b = (struct blob *)(void *)w->blobs.p + n;
		/* The stored blob may have been longer before padding: its tail must be zeros. */
		if (b->len == padded && !memcmp(w->data.p + b->off, data, len)) {
			size_t i = len;

			while (i < padded && !w->data.p[b->off + i])
				i++;
			if (i == padded)
				return n;
		}
	}
	n = (uint32_t)(w->blobs.len / sizeof(*b));
	p = buf_room(&w->data, padded);
	b = buf_room(&w->blobs, sizeof(*b));
	if (!p || !b)
		return NO_BLOB;
	memcpy(p, data, len);
	*b = (struct blob){ .off = (uint64_t)(p - w->data.p), .len = padded, .next = *bucket };
	*bucket = n;
	return n;
}

/* Offset of the file_off member in the body; 0: the kind has none. */
static size_t file_off_at(uint32_t type)
{
	switch (type) {
	case IGVM_PARAMETER_AREA:
		return offsetof(struct igvm_param_area, file_off);
	case IGVM_PAGE_DATA:
		return offsetof(struct igvm_page_data, file_off);
	case IGVM_VP_CONTEXT:
		return offsetof(struct igvm_vp_context, file_off);
	case IGVM_CORIM_DOCUMENT:
	case IGVM_CORIM_SIGNATURE:
		return offsetof(struct igvm_corim, file_off);
	default:
		return 0;
	}
}

int igvm_writer_add(struct igvm_writer *w, uint32_t type, const void *body, uint32_t len,
		    const void *data, size_t data_len)
{
	struct igvm_var *v = buf_room(&w->var, sizeof(*v) + align_up(len, 8));
	size_t padded = data_len, body_off;
	struct fixup *fix;
	uint32_t blob;

	if (!v)
		return -ENOMEM;
	*v = (struct igvm_var){ .type = type, .len = len };
	memcpy(v + 1, body, len);
	body_off = w->var.len - align_up(len, 8);
	if (file_off_at(type))
		le32_store(w->var.p + body_off + file_off_at(type), 0);
	if (!data || !data_len)
		return 0;
	if (!file_off_at(type) || (type == IGVM_PAGE_DATA && data_len > KEEL_PAGE_SIZE))
		return -EINVAL;
	if (type == IGVM_PAGE_DATA)
		padded = KEEL_PAGE_SIZE;
	blob = blob_store(w, data, data_len, padded);
	fix = buf_room(&w->fixups, sizeof(*fix));
	if (blob == NO_BLOB || !fix)
		return -ENOMEM;
	*fix = (struct fixup){ .var_off = body_off + file_off_at(type), .blob = blob };
	return 0;
}

static void fill_fixed(const struct igvm_writer *w, uint8_t *file, size_t fixed_len, size_t len)
{
	struct igvm_fixed_v2 x = {
		.v1 = { .magic = IGVM_MAGIC,
			.version = w->version,
			.var_off = (uint32_t)fixed_len,
			.var_size = (uint32_t)w->var.len,
			.file_size = (uint32_t)len },
		.arch = w->arch,
		.page_size = KEEL_PAGE_SIZE,
	};

	memcpy(file, &x, fixed_len);
	x.v1.checksum = crc32_update(0, file, fixed_len + w->var.len);
	memcpy(file, &x, fixed_len);
}

int igvm_writer_finish(struct igvm_writer *w, void **ret_file, size_t *ret_len)
{
	size_t fixed_len =
		w->version == IGVM_V1 ? sizeof(struct igvm_fixed_v1) : sizeof(struct igvm_fixed_v2);
	size_t data_off = fixed_len + w->var.len;
	/* At least one byte of file data must follow the headers. */
	size_t len = data_off + MAX(w->data.len, (size_t)1);
	uint8_t *file;

	if (len > UINT32_MAX)
		return -EFBIG;
	file = calloc(1, len);
	if (!file)
		return -ENOMEM;
	for (size_t i = 0; i < w->fixups.len / sizeof(struct fixup); i++) {
		const struct fixup *fix = (const struct fixup *)(const void *)w->fixups.p + i;
		const struct blob *b = (const struct blob *)(const void *)w->blobs.p + fix->blob;

		le32_store(w->var.p + fix->var_off, (uint32_t)(data_off + b->off));
	}
	memcpy(file + fixed_len, w->var.p, w->var.len);
	if (w->data.len)
		memcpy(file + data_off, w->data.p, w->data.len);
	fill_fixed(w, file, fixed_len, len);
	*ret_file = file;
	*ret_len = len;
	return 0;
}
