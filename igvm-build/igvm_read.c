/* SPDX-License-Identifier: MIT */
/*
 * The outer half of the IGVM reader: fixed header, checksum, splitting the variable headers, order
 * of sections; and the walk over a checked file. The rules of single headers are in
 * igvm_check.c. Input: a hostile file, already a private copy. No state outside the object.
 * Spec: IGVM file format, "Overall layout".
 */
#include "igvm_read.h"

#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "ckd.h"
#include "crc.h"
#include "igvm_priv.h"
#include "le.h"

#define NO_MASK 0xff

/* Body length of each kind, and where in the body its mask stands. */
static const struct kind {
	uint32_t type;
	uint16_t len;
	uint8_t mask_off;
} kinds[] = {
	{ IGVM_SUPPORTED_PLATFORM, sizeof(struct igvm_platform), 0 },
	{ IGVM_GUEST_POLICY, sizeof(struct igvm_guest_policy), 8 },
	{ IGVM_RELOCATABLE_REGION, sizeof(struct igvm_reloc_region), 0 },
	{ IGVM_PAGE_TABLE_RELOCATION, sizeof(struct igvm_pt_reloc), 0 },
	{ IGVM_CORIM_DOCUMENT, sizeof(struct igvm_corim), 0 },
	{ IGVM_CORIM_SIGNATURE, sizeof(struct igvm_corim), 0 },
	{ IGVM_CCA_POLICY, sizeof(struct igvm_cca_policy), 0 },
	{ IGVM_PARAMETER_AREA, sizeof(struct igvm_param_area), NO_MASK },
	{ IGVM_PAGE_DATA, sizeof(struct igvm_page_data), 8 },
	{ IGVM_PARAMETER_INSERT, sizeof(struct igvm_param_insert), 8 },
	{ IGVM_VP_CONTEXT, IGVM_VP_CONTEXT_LEN, 8 },
	{ IGVM_REQUIRED_MEMORY, sizeof(struct igvm_required_memory), 8 },
	{ IGVM_VP_COUNT_PARAMETER, sizeof(struct igvm_param), NO_MASK },
	{ IGVM_SRAT, sizeof(struct igvm_param), NO_MASK },
	{ IGVM_MADT, sizeof(struct igvm_param), NO_MASK },
	{ IGVM_MMIO_RANGES, sizeof(struct igvm_param), NO_MASK },
	{ IGVM_SNP_ID_BLOCK, IGVM_SNP_ID_BLOCK_LEN, 0 },
	{ IGVM_MEMORY_MAP, sizeof(struct igvm_param), NO_MASK },
	{ IGVM_ERROR_RANGE, sizeof(struct igvm_error_range), 8 },
	{ IGVM_COMMAND_LINE, sizeof(struct igvm_param), NO_MASK },
	{ IGVM_SLIT, sizeof(struct igvm_param), NO_MASK },
	{ IGVM_PPTT, sizeof(struct igvm_param), NO_MASK },
	{ IGVM_VBS_MEASUREMENT, IGVM_VBS_MEASUREMENT_LEN, 0 },
	{ IGVM_DEVICE_TREE, sizeof(struct igvm_param), NO_MASK },
	{ IGVM_ENVIRONMENT_INFO, sizeof(struct igvm_param), NO_MASK },
};

enum section {
	SECTION_PLATFORM,
	SECTION_INIT,
	SECTION_DIRECTIVE,
	SECTION_NONE,
};

static const char *const section_names[] = { "platform", "initialization", "directive" };

int igvm_fail(struct igvm_error *err, uint64_t off, const char *fmt, ...)
{
	va_list ap;

	err->off = off;
	va_start(ap, fmt);
	(void)vsnprintf(err->rule, sizeof(err->rule), fmt, ap); /* cut when too long */
	va_end(ap);
	return -EBADMSG;
}

bool igvm_is_file_data(const struct igvm_file *f, uint32_t off, uint64_t len)
{
	return off >= f->var_end && range_ok(off, len, f->len);
}

static const struct kind *kind_find(uint32_t type)
{
	for (size_t i = 0; i < ARRAY_SIZE(kinds); i++)
		if (kinds[i].type == type)
			return &kinds[i];
	return NULL;
}

static enum section section_of(uint32_t type)
{
	type &= ~IGVM_TYPE_OPTIONAL;
	if (type >= IGVM_PLATFORM_FIRST && type <= IGVM_PLATFORM_LAST)
		return SECTION_PLATFORM;
	if (type >= IGVM_INIT_FIRST && type <= IGVM_INIT_LAST)
		return SECTION_INIT;
	if (type >= IGVM_DIRECTIVE_FIRST && type <= IGVM_DIRECTIVE_LAST)
		return SECTION_DIRECTIVE;
	return SECTION_NONE;
}

/* CRC of the fixed header with its checksum field zero, then of the variable headers. */
static uint32_t checksum_of(const struct igvm_file *f, size_t fixed_len)
{
	uint8_t fixed[sizeof(struct igvm_fixed_v2)];
	uint32_t crc;

	memcpy(fixed, f->data, fixed_len);
	memset(fixed + offsetof(struct igvm_fixed_v1, checksum), 0, 4);
	crc = crc32_update(0, fixed, fixed_len);
	return crc32_update(crc, f->data + f->var_off, f->var_end - f->var_off);
}

static int check_fixed_v2(struct igvm_file *f, struct igvm_error *err)
{
	struct igvm_fixed_v2 x;

	if (f->len < sizeof(x))
		return igvm_fail(err, 0,
				 "file is shorter than the version 2 fixed header (32 bytes)");
	memcpy(&x, f->data, sizeof(x));
	if (x.arch != IGVM_ARCH_X64 && x.arch != IGVM_ARCH_AARCH64)
		return igvm_fail(err, 24, "architecture %u is neither x64 (0) nor AArch64 (1)",
				 x.arch);
	if (x.page_size != KEEL_PAGE_SIZE)
		return igvm_fail(err, 28, "page size %u is not 4096", x.page_size);
	f->arch = x.arch;
	return 0;
}

static int check_fixed_sizes(struct igvm_file *f, const struct igvm_fixed_v1 *x, size_t fixed_len,
			     struct igvm_error *err)
{
	if (x->file_size != f->len)
		return igvm_fail(err, 16, "total file size says %u bytes, the file has %zu",
				 x->file_size, f->len);
	if (x->var_off < fixed_len || x->var_off % 8)
		return igvm_fail(err, 8,
				 "variable header offset %#x is in the fixed header or misaligned",
				 x->var_off);
	if (x->var_size % 8)
		return igvm_fail(err, 12, "variable header size %#x is not a multiple of 8",
				 x->var_size);
	if ((uint64_t)x->var_off + x->var_size >= f->len)
		return igvm_fail(err, 12,
				 "variable headers end at %#llx, past or at the end of the file",
				 (unsigned long long)x->var_off + x->var_size);
	f->var_off = x->var_off;
	f->var_end = x->var_off + x->var_size;
	return 0;
}

static int check_fixed(struct igvm_file *f, struct igvm_error *err)
{
	struct igvm_fixed_v1 x;
	size_t fixed_len;
	uint32_t crc;
	int r;

	if (f->len < sizeof(x))
		return igvm_fail(err, 0, "file is shorter than the fixed header (24 bytes)");
	memcpy(&x, f->data, sizeof(x));
	if (x.magic != IGVM_MAGIC)
		return igvm_fail(err, 0, "magic is not \"IGVM\": this is not an IGVM file");
	if (x.version != IGVM_V1 && x.version != IGVM_V2)
		return igvm_fail(err, 4, "format version %u is neither 1 nor 2", x.version);
	f->version = x.version;
	f->arch = IGVM_ARCH_X64;
	fixed_len = x.version == IGVM_V1 ? sizeof(x) : sizeof(struct igvm_fixed_v2);
	r = x.version == IGVM_V2 ? check_fixed_v2(f, err) : 0;
	if (r < 0)
		return r;
	r = check_fixed_sizes(f, &x, fixed_len, err);
	if (r < 0)
		return r;
	crc = checksum_of(f, fixed_len);
	if (crc != x.checksum)
		return igvm_fail(err, 20, "checksum is %#010x, the headers give %#010x", x.checksum,
				 crc);
	f->checksum = crc;
	return 0;
}

/* Split off one header at *pos. *ret_skip: unknown but optional. */
static int decode_one(struct igvm_file *f, uint32_t *pos, struct igvm_header *ret, bool *ret_skip,
		      struct igvm_error *err)
{
	const uint8_t *p = f->data + *pos;
	uint32_t left = f->var_end - *pos; /* a multiple of 8, at least 8 */
	uint32_t type = le32_load(p), len = le32_load(p + 4);
	const struct kind *k = kind_find(type);
	uint64_t padded = align_up((uint64_t)len, 8);

	if (padded > left - 8)
		return igvm_fail(err, *pos,
				 "header of type %#x and length %u runs past the variable headers",
				 type, len);
	if (!k && (!(type & IGVM_TYPE_OPTIONAL) || section_of(type) == SECTION_NONE))
		return igvm_fail(err, *pos, "unknown header type %#x that is not optional", type);
	if (k && len != k->len)
		return igvm_fail(err, *pos + 4, "%s has length %u, must be %u",
				 igvm_type_name(type), len, k->len);
	for (uint64_t i = len; i < padded; i++)
		if (p[8 + i])
			return igvm_fail(err, *pos + 8 + i, "padding after the header is not zero");

	*ret = (struct igvm_header){ .type = type, .len = len, .off = *pos, .mask = ~0u };
	if (k) {
		memcpy(&ret->platform, p + 8, MIN(len, sizeof(struct igvm_reloc_region)));
		ret->masked = k->mask_off != NO_MASK;
		if (ret->masked)
			ret->mask = le32_load(p + 8 + k->mask_off);
	}
	*ret_skip = !k;
	*pos += 8 + (uint32_t)padded;
	return 0;
}

static int check_order(enum section *last, const struct igvm_header *h, struct igvm_error *err)
{
	enum section s = section_of(h->type);

	if (s < *last)
		return igvm_fail(err, h->off, "%s header after the first %s header",
				 section_names[s], section_names[*last]);
	*last = s;
	return 0;
}

static int check_one(struct check *c, const struct igvm_header *h)
{
	enum section s = section_of(h->type);

	if (s == SECTION_PLATFORM)
		return igvm_check_platform(c, h);
	if (h->masked && (!h->mask || (h->mask & ~c->platforms)))
		return igvm_fail(c->err, h->off,
				 "%s: compatibility mask %#x names no platform of this file",
				 igvm_type_name(h->type), h->mask);
	return s == SECTION_INIT ? igvm_check_init(c, h) : igvm_check_directive(c, h);
}

static int check_headers(struct check *c)
{
	struct igvm_file *f = c->f;
	enum section last = SECTION_PLATFORM;
	uint32_t pos = f->var_off;
	int r;

	while (pos < f->var_end) {
		struct igvm_header *h = &f->hdr[f->n_hdr];
		bool skip = false;

		r = decode_one(f, &pos, h, &skip, c->err);
		if (r < 0)
			return r;
		r = check_order(&last, h, c->err);
		if (r < 0)
			return r;
		if (skip)
			continue;
		r = check_one(c, h);
		if (r < 0)
			return r;
		f->n_hdr++;
	}
	if (!c->platforms)
		return igvm_fail(c->err, f->var_off, "no SUPPORTED_PLATFORM header");
	return igvm_check_whole(c);
}

/* Upper bound of the number of headers: how many fit if their lengths are taken at face value. */
static size_t count_headers(const struct igvm_file *f)
{
	uint64_t pos = f->var_off;
	size_t n = 0;

	while (pos < f->var_end) {
		n++;
		pos += 8 + align_up((uint64_t)le32_load(f->data + pos + 4), 8);
	}
	return n;
}

int igvm_parse(const void *data, size_t len, struct igvm_file **ret_file, struct igvm_error *err)
{
	struct check *c = calloc(1, sizeof(*c));
	struct igvm_file *f = calloc(1, sizeof(*f));
	int r = -ENOMEM;

	if (!c || !f)
		goto out;
	f->data = data;
	f->len = len;
	r = check_fixed(f, err);
	if (r < 0)
		goto out;
	f->hdr = calloc(count_headers(f) + 1, sizeof(*f->hdr));
	if (!f->hdr) {
		r = -ENOMEM;
		goto out;
	}
	c->f = f;
	c->err = err;
	r = check_headers(c);
out:
	for (size_t i = 0; c && i < IGVM_PLATFORMS_MAX; i++)
		free(c->vp_seen[i]);
	free(c);
	if (r < 0)
		igvm_destroy(f);
	else
		*ret_file = f;
	return r;
}

void igvm_destroy(struct igvm_file *file)
{
	if (!file)
		return;
	free(file->hdr);
	free(file);
}

uint32_t igvm_version(const struct igvm_file *file)
{
	return file->version;
}

uint32_t igvm_arch(const struct igvm_file *file)
{
	return file->arch;
}

uint32_t igvm_checksum(const struct igvm_file *file)
{
	return file->checksum;
}

size_t igvm_file_size(const struct igvm_file *file)
{
	return file->len;
}

const struct igvm_platform *igvm_platform_find(const struct igvm_file *file, uint32_t type)
{
	for (size_t i = 0; i < file->n_hdr && file->hdr[i].type == IGVM_SUPPORTED_PLATFORM; i++)
		if (file->hdr[i].platform.type == type)
			return &file->hdr[i].platform;
	return NULL;
}

enum igvm_vsm igvm_vsm_isolation(const struct igvm_file *file)
{
	const struct igvm_platform *p = igvm_platform_find(file, IGVM_PLATFORM_VSM_ISOLATION);
	const struct igvm_header *h;
	size_t pos = 0;

	while (p && (h = igvm_next(file, &pos, p->mask)))
		if (h->type == IGVM_GUEST_POLICY)
			return h->policy.policy & IGVM_VBS_POLICY_DEBUG ? IGVM_VSM_VBS_DEBUG
									: IGVM_VSM_VBS;
	return IGVM_VSM_NONE;
}

const struct igvm_header *igvm_next(const struct igvm_file *file, size_t *pos, uint32_t mask)
{
	while (*pos < file->n_hdr) {
		const struct igvm_header *h = &file->hdr[(*pos)++];

		if (!h->masked || (h->mask & mask))
			return h;
	}
	return NULL;
}

const void *igvm_header_body(const struct igvm_file *file, const struct igvm_header *hdr)
{
	return file->data + hdr->off + sizeof(struct igvm_var);
}

const void *igvm_data(const struct igvm_file *file, const struct igvm_header *hdr, size_t *ret_len)
{
	uint32_t off = 0;
	size_t len = 0;

	switch (hdr->type) {
	case IGVM_PARAMETER_AREA:
		off = hdr->area.file_off;
		len = hdr->area.size;
		break;
	case IGVM_PAGE_DATA:
		off = hdr->page.file_off;
		len = KEEL_PAGE_SIZE;
		break;
	case IGVM_VP_CONTEXT:
		off = hdr->vp.file_off;
		len = file->len - off;
		break;
	case IGVM_CORIM_DOCUMENT:
	case IGVM_CORIM_SIGNATURE:
		off = hdr->corim.file_off;
		len = hdr->corim.size;
		break;
	default:
		break;
	}
	*ret_len = off ? len : 0;
	return off ? file->data + off : NULL;
}

uint32_t igvm_vbs_reg_count(const struct igvm_file *file, const struct igvm_header *hdr)
{
	return le32_load(file->data + hdr->vp.file_off);
}

struct igvm_reg igvm_vbs_reg_get(const struct igvm_file *file, const struct igvm_header *hdr,
				 uint32_t i)
{
	struct igvm_vbs_reg raw;
	struct igvm_reg reg;

	memcpy(&raw, file->data + hdr->vp.file_off + 4 + (size_t)i * sizeof(raw), sizeof(raw));
	reg.vtl = raw.vtl;
	reg.name = le32_load(raw.name);
	memcpy(&reg.val, raw.value, sizeof(reg.val));
	return reg;
}
