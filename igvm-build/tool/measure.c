/* SPDX-License-Identifier: MIT */
/*
 * Launch digests. Input: a checked file. One sequential hash chain per platform; the shape of each
 * link is the platform's. Spec: igvm-boot, "SNP launch digest", "TDX MRTD", "VBS digest".
 */
#include "measure.h"

#include <errno.h>
#include <string.h>

#include <openssl/evp.h>

#include "le.h"

static const uint8_t zero_page[KEEL_PAGE_SIZE];

/* What a platform hashes for one page. */
enum page_kind {
	PAGE_MEASURED,
	PAGE_UNMEASURED,
	PAGE_SECRETS,
	PAGE_CPUID,
	PAGE_VP,
	PAGE_ERROR,
};

typedef int page_fn(void *ctx, uint64_t gpa, enum page_kind kind, const uint8_t *page);

static enum page_kind kind_of(const struct igvm_page_data *p)
{
	if (p->type == IGVM_PAGE_SECRETS)
		return PAGE_SECRETS;
	if (p->type == IGVM_PAGE_CPUID_DATA || p->type == IGVM_PAGE_CPUID_XF)
		return PAGE_CPUID;
	return p->flags & IGVM_PAGE_UNMEASURED ? PAGE_UNMEASURED : PAGE_MEASURED;
}

static int range_pages(page_fn *fn, void *ctx, uint64_t gpa, uint64_t len, enum page_kind kind)
{
	int r = 0;

	for (uint64_t off = 0; off < len && r == 0; off += KEEL_PAGE_SIZE)
		r = fn(ctx, gpa + off, kind, zero_page);
	return r;
}

static uint64_t area_size(const struct igvm_file *f, uint32_t index)
{
	const struct igvm_header *h;
	size_t pos = 0;

	while ((h = igvm_next(f, &pos, ~0u)))
		if (h->type == IGVM_PARAMETER_AREA && h->area.index == index)
			return h->area.size;
	return 0;
}

/* Call fn for every page the platform sees, in file order. */
static int each_page(const struct igvm_file *f, uint32_t mask, page_fn *fn, void *ctx)
{
	const struct igvm_header *h;
	const uint8_t *data;
	size_t pos = 0, len;
	int r = 0;

	while (r == 0 && (h = igvm_next(f, &pos, mask))) {
		switch (h->type) {
		case IGVM_PAGE_DATA:
			data = igvm_data(f, h, &len);
			if (!(h->page.flags & IGVM_PAGE_SHARED))
				r = fn(ctx, h->page.gpa, kind_of(&h->page),
				       data ? data : zero_page);
			break;
		case IGVM_PARAMETER_INSERT:
			r = range_pages(fn, ctx, h->insert.gpa, area_size(f, h->insert.index),
					PAGE_UNMEASURED);
			break;
		case IGVM_ERROR_RANGE:
			r = range_pages(fn, ctx, h->error_range.gpa, h->error_range.size,
					PAGE_ERROR);
			break;
		case IGVM_VP_CONTEXT:
			r = fn(ctx, h->vp.gpa, PAGE_VP, igvm_data(f, h, &len));
			break;
		default:
			break;
		}
	}
	return r;
}

static int hash(const EVP_MD *md, const void *a, size_t a_len, const void *b, size_t b_len,
		uint8_t *ret)
{
	EVP_MD_CTX *ctx = EVP_MD_CTX_new();
	int ok;

	ok = ctx && EVP_DigestInit_ex(ctx, md, NULL) && EVP_DigestUpdate(ctx, a, a_len) &&
	     EVP_DigestUpdate(ctx, b, b_len) && EVP_DigestFinal_ex(ctx, ret, NULL);
	EVP_MD_CTX_free(ctx);
	return ok ? 0 : -ENOMEM;
}

/* --- VBS: d = SHA-256(d || chunk), registers last ---------------------------------------- */

#define VBS_PAGE_HEAD 32u
#define VBS_UNMEASURED 4u
#define VBS_ACCEPT_ERROR 3u
#define VBS_REG_LEN 48u

static int vbs_page(void *ctx, uint64_t gpa, enum page_kind kind, const uint8_t *page)
{
	uint8_t chunk[VBS_PAGE_HEAD + KEEL_PAGE_SIZE] = { 0 }, *d = ctx;
	uint64_t metadata = 0;

	if (kind == PAGE_VP)
		return 0; /* registers come after all pages */
	if (kind == PAGE_UNMEASURED)
		metadata = VBS_UNMEASURED;
	else if (kind == PAGE_ERROR)
		metadata = VBS_UNMEASURED | VBS_ACCEPT_ERROR;
	le32_store(chunk, sizeof(chunk));
	le32_store(chunk + 4, 2);
	le64_store(chunk + 16, metadata);
	le64_store(chunk + 24, gpa / KEEL_PAGE_SIZE);
	if (!metadata)
		memcpy(chunk + VBS_PAGE_HEAD, page, KEEL_PAGE_SIZE);
	return hash(EVP_sha256(), d, MEASURE_VBS_LEN, chunk, sizeof(chunk), d);
}

static int vbs_regs(const struct igvm_file *f, const struct igvm_header *h, uint8_t *d)
{
	uint32_t n = igvm_vbs_reg_count(f, h);
	int r = 0;

	for (uint32_t i = 0; i < n && r == 0; i++) {
		struct igvm_reg reg = igvm_vbs_reg_get(f, h, i);
		uint8_t chunk[VBS_REG_LEN] = { 0 };

		le32_store(chunk, sizeof(chunk));
		chunk[20] = reg.vtl;
		le32_store(chunk + 28, reg.name);
		memcpy(chunk + 32, &reg.val, sizeof(reg.val));
		r = hash(EVP_sha256(), d, MEASURE_VBS_LEN, chunk, sizeof(chunk), d);
	}
	return r;
}

int measure_vbs(const struct igvm_file *f, uint32_t mask, uint8_t ret[MEASURE_VBS_LEN])
{
	uint8_t d[MEASURE_VBS_LEN] = { 0 };
	const struct igvm_header *h;
	size_t pos = 0;
	int r = each_page(f, mask, vbs_page, d);

	while (r == 0 && (h = igvm_next(f, &pos, mask)))
		if (h->type == IGVM_VP_CONTEXT)
			r = vbs_regs(f, h, d);
	if (r == 0)
		memcpy(ret, d, sizeof(d));
	return r;
}

/* --- SNP: PAGE_INFO chain ---------------------------------------------------------------- */

#define SNP_INFO_LEN 112u

static int snp_page(void *ctx, uint64_t gpa, enum page_kind kind, const uint8_t *page)
{
	static const uint8_t type[] = {
		[PAGE_MEASURED] = 1, [PAGE_UNMEASURED] = 4, [PAGE_SECRETS] = 5,
		[PAGE_CPUID] = 6,    [PAGE_VP] = 2,	    [PAGE_ERROR] = 4
	};
	uint8_t info[SNP_INFO_LEN] = { 0 }, *d = ctx;
	int r = 0;

	memcpy(info, d, MEASURE_SNP_LEN);
	if (kind == PAGE_MEASURED || kind == PAGE_VP)
		r = hash(EVP_sha384(), page, KEEL_PAGE_SIZE, NULL, 0, info + MEASURE_SNP_LEN);
	le16_store(info + 96, SNP_INFO_LEN);
	info[98] = type[kind];
	le64_store(info + 104, gpa);
	return r < 0 ? r : hash(EVP_sha384(), info, sizeof(info), NULL, 0, d);
}

int measure_snp(const struct igvm_file *f, uint32_t mask, uint8_t ret[MEASURE_SNP_LEN])
{
	uint8_t d[MEASURE_SNP_LEN] = { 0 };
	int r = each_page(f, mask, snp_page, d);

	if (r == 0)
		memcpy(ret, d, sizeof(d));
	return r;
}

/* --- TDX: one stream --------------------------------------------------------------------- */

#define TDX_OP_LEN 128u
#define TDX_CHUNK 256u

static int tdx_op(EVP_MD_CTX *ctx, const char name[16], uint64_t gpa)
{
	uint8_t op[TDX_OP_LEN] = { 0 };

	memcpy(op, name, 16);
	le64_store(op + 16, gpa);
	return EVP_DigestUpdate(ctx, op, sizeof(op)) ? 0 : -ENOMEM;
}

static int tdx_page(void *ctx, uint64_t gpa, enum page_kind kind, const uint8_t *page)
{
	static const char add[16] = "MEM.PAGE.ADD", extend[16] = "MR.EXTEND";
	int r = tdx_op(ctx, add, gpa);

	for (unsigned off = 0; off < KEEL_PAGE_SIZE && kind == PAGE_MEASURED && r == 0;
	     off += TDX_CHUNK) {
		r = tdx_op(ctx, extend, gpa + off);
		if (r == 0 && !EVP_DigestUpdate(ctx, page + off, TDX_CHUNK))
			r = -ENOMEM;
	}
	return r;
}

int measure_tdx(const struct igvm_file *f, uint32_t mask, uint8_t ret[MEASURE_TDX_LEN])
{
	EVP_MD_CTX *ctx = EVP_MD_CTX_new();
	int r = -ENOMEM;

	if (ctx && EVP_DigestInit_ex(ctx, EVP_sha384(), NULL))
		r = each_page(f, mask, tdx_page, ctx);
	if (r == 0 && !EVP_DigestFinal_ex(ctx, ret, NULL))
		r = -ENOMEM;
	EVP_MD_CTX_free(ctx);
	return r;
}
