/* SPDX-License-Identifier: MIT */
/* See aml.h. Container lengths always take the four-byte form, so nothing ever has to move. */
#include "aml.h"

#include <string.h>

enum aml_op {
	AML_ZERO = 0x00,
	AML_ONE = 0x01,
	AML_NAME = 0x08,
	AML_BYTE = 0x0a,
	AML_WORD = 0x0b,
	AML_DWORD = 0x0c,
	AML_STRING = 0x0d,
	AML_QWORD = 0x0e,
	AML_SCOPE = 0x10,
	AML_BUFFER = 0x11,
	AML_PACKAGE = 0x12,
	AML_EXT = 0x5b,
	AML_EXT_DEVICE = 0x82,
};

#define PKG_LENGTH_BYTES 4
#define SEG_LEN 4

void aml_init(struct aml *a, void *buf, size_t len)
{
	*a = (struct aml){ .w = wr_make(buf, len) };
}

size_t aml_end(const struct aml *a)
{
	return a->w.bad || a->depth || a->resources ? 0 : a->w.done;
}

static void open_length(struct aml *a)
{
	uint8_t *p = wr_room(&a->w, PKG_LENGTH_BYTES);

	if (a->depth == AML_MAX_DEPTH)
		a->w.bad = true;
	else
		a->open[a->depth++] = p;
}

void aml_close(struct aml *a)
{
	uint8_t *p;
	uint32_t len;

	if (!a->depth) {
		a->w.bad = true;
		return;
	}
	p = a->open[--a->depth];
	if (a->w.bad)
		return;
	len = (uint32_t)(a->w.p - p); /* the length field counts itself */
	p[0] = (uint8_t)((PKG_LENGTH_BYTES - 1) << 6 | (len & 15));
	p[1] = (uint8_t)(len >> 4);
	p[2] = (uint8_t)(len >> 12);
	p[3] = (uint8_t)(len >> 20);
}

/* A root prefix, if any, and one name segment. */
static void put_path(struct aml *a, const char *path)
{
	wr_bytes(&a->w, path, strnlen(path, SEG_LEN + 1));
}

void aml_scope(struct aml *a, const char *path)
{
	wr_u8(&a->w, AML_SCOPE);
	open_length(a);
	put_path(a, path);
}

void aml_device(struct aml *a, const char *name)
{
	wr_u8(&a->w, AML_EXT);
	wr_u8(&a->w, AML_EXT_DEVICE);
	open_length(a);
	put_path(a, name);
}

void aml_package(struct aml *a, uint8_t n_elements)
{
	wr_u8(&a->w, AML_PACKAGE);
	open_length(a);
	wr_u8(&a->w, n_elements);
}

void aml_name(struct aml *a, const char *path)
{
	wr_u8(&a->w, AML_NAME);
	put_path(a, path);
}

void aml_integer(struct aml *a, uint64_t val)
{
	if (val <= 1) {
		wr_u8(&a->w, val ? AML_ONE : AML_ZERO);
	} else if (val <= 0xff) {
		wr_u8(&a->w, AML_BYTE);
		wr_u8(&a->w, (uint8_t)val);
	} else if (val <= 0xffff) {
		wr_u8(&a->w, AML_WORD);
		wr_le16(&a->w, (uint16_t)val);
	} else if (val <= 0xffffffff) {
		wr_u8(&a->w, AML_DWORD);
		wr_le32(&a->w, (uint32_t)val);
	} else {
		wr_u8(&a->w, AML_QWORD);
		wr_le64(&a->w, val);
	}
}

void aml_name_integer(struct aml *a, const char *path, uint64_t val)
{
	aml_name(a, path);
	aml_integer(a, val);
}

void aml_name_string(struct aml *a, const char *path, const char *text)
{
	aml_name(a, path);
	wr_u8(&a->w, AML_STRING);
	wr_bytes(&a->w, text, strlen(text) + 1);
}

static uint32_t hex_digit(char c)
{
	return (uint32_t)(c <= '9' ? c - '0' : c - 'A' + 10);
}

void aml_name_eisaid(struct aml *a, const char *path, const char *id)
{
	uint32_t val = 0;

	/* Three letters of five bits, then the product number; stored most significant byte
	 * first. */
	for (unsigned int i = 0; i < 3; i++)
		val = val << 5 | (uint32_t)(id[i] - '@');
	for (unsigned int i = 3; i < 7; i++)
		val = val << 4 | hex_digit(id[i]);
	aml_name(a, path);
	wr_u8(&a->w, AML_DWORD);
	wr_le32(&a->w, __builtin_bswap32(val));
}

void aml_crs_open(struct aml *a)
{
	aml_name(a, "_CRS");
	wr_u8(&a->w, AML_BUFFER);
	open_length(a);
	wr_u8(&a->w, AML_WORD);
	a->resources = wr_room(&a->w, 2);
}

void aml_crs_close(struct aml *a)
{
	wr_u8(&a->w, 0x79); /* end tag, checksum not used */
	wr_u8(&a->w, 0);
	if (!a->w.bad && a->resources)
		le16_store(a->resources, (uint16_t)(a->w.p - a->resources - 2));
	a->resources = NULL;
	aml_close(a);
}

void aml_res_io(struct aml *a, uint16_t base, uint8_t len)
{
	wr_u8(&a->w, 0x47);
	wr_u8(&a->w, 1); /* decodes 16 bits */
	wr_le16(&a->w, base);
	wr_le16(&a->w, base);
	wr_u8(&a->w, 1); /* alignment */
	wr_u8(&a->w, len);
}

void aml_res_memory32(struct aml *a, uint32_t base, uint32_t len)
{
	wr_u8(&a->w, 0x86);
	wr_le16(&a->w, 9);
	wr_u8(&a->w, 1); /* writable */
	wr_le32(&a->w, base);
	wr_le32(&a->w, len);
}

void aml_res_qword_window(struct aml *a, uint64_t base, uint64_t len)
{
	wr_u8(&a->w, 0x8a);
	wr_le16(&a->w, 43);
	wr_u8(&a->w, 0); /* memory */
	wr_u8(&a->w, 0x0c); /* producer, positive decode, minimum and maximum fixed */
	wr_u8(&a->w, 1); /* writable, not cacheable */
	wr_le64(&a->w, 0); /* granularity */
	wr_le64(&a->w, base);
	wr_le64(&a->w, base + len - 1);
	wr_le64(&a->w, 0); /* translation */
	wr_le64(&a->w, len);
}

static void word_window(struct aml *a, uint8_t type, uint8_t flags, uint16_t first, uint16_t last)
{
	wr_u8(&a->w, 0x88);
	wr_le16(&a->w, 13);
	wr_u8(&a->w, type);
	wr_u8(&a->w, 0x0c); /* producer, positive decode, minimum and maximum fixed */
	wr_u8(&a->w, flags);
	wr_le16(&a->w, 0); /* granularity */
	wr_le16(&a->w, first);
	wr_le16(&a->w, last);
	wr_le16(&a->w, 0); /* translation */
	wr_le16(&a->w, (uint16_t)(last - first + 1));
}

void aml_res_bus_window(struct aml *a, uint8_t first, uint8_t last)
{
	word_window(a, 2, 0, first, last);
}

void aml_res_io_window(struct aml *a, uint16_t first, uint16_t last)
{
	word_window(a, 1, 3, first, last); /* the whole range, ISA and not */
}

void aml_res_interrupt(struct aml *a, uint32_t gsi, bool level)
{
	wr_u8(&a->w, 0x89);
	wr_le16(&a->w, 6);
	wr_u8(&a->w, level ? 1 : 3); /* consumer, edge bit 1, active high, not shared */
	wr_u8(&a->w, 1);
	wr_le32(&a->w, gsi);
}
