/* SPDX-License-Identifier: MIT */
/* Reader and writer: the published-format vector, and every rule with the offset it reports. */
#include "igvm_read.h"

#include <errno.h>

#include "crc.h"
#include "igvm_sample.h"
#include "unit.h"

/* The smallest useful file: first 112 bytes, then one page of 0xaa. */
static const uint8_t vector_head[112] = {
	0x49, 0x47, 0x56, 0x4d, 0x01, 0x00, 0x00, 0x00, 0x18, 0x00, 0x00, 0x00, 0x58, 0x00,
	0x00, 0x00, 0x70, 0x10, 0x00, 0x00, 0xe2, 0x09, 0x28, 0x5a, 0x01, 0x00, 0x00, 0x00,
	0x10, 0x00, 0x00, 0x00, 0x01, 0x00, 0x00, 0x00, 0x02, 0x01, 0x01, 0x00, 0x00, 0x00,
	0x00, 0x00, 0x00, 0x00, 0x00, 0x00, 0x05, 0x03, 0x00, 0x00, 0x18, 0x00, 0x00, 0x00,
	0x00, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00, 0x01, 0x00, 0x00, 0x00, 0x00, 0x20,
	0x00, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00, 0x02, 0x03, 0x00, 0x00,
	0x18, 0x00, 0x00, 0x00, 0x00, 0x10, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00, 0x01, 0x00,
	0x00, 0x00, 0x70, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00,
};

#define VECTOR_LEN (sizeof(vector_head) + KEEL_PAGE_SIZE)

static void vector_make(uint8_t *file)
{
	memcpy(file, vector_head, sizeof(vector_head));
	memset(file + sizeof(vector_head), 0xaa, KEEL_PAGE_SIZE);
}

/* Compute the checksum anew after a change. */
static void fix_crc(uint8_t *file)
{
	uint32_t fixed = le32_load(file + 4) == IGVM_V2 ? 32 : 24, crc;

	le32_store(file + 20, 0);
	crc = crc32_update(0, file, fixed);
	crc = crc32_update(crc, file + le32_load(file + 8), le32_load(file + 12));
	le32_store(file + 20, crc);
}

START_TEST(vector_is_read)
{
	uint8_t file[VECTOR_LEN];
	const struct igvm_header *h;
	struct igvm_error err;
	struct igvm_file *f;
	const uint8_t *data;
	size_t pos = 0, len;

	vector_make(file);
	ck_assert_int_eq(igvm_parse(file, sizeof(file), &f, &err), 0);
	ck_assert_uint_eq(igvm_version(f), 1);
	ck_assert_uint_eq(igvm_arch(f), IGVM_ARCH_X64);
	ck_assert_uint_eq(igvm_checksum(f), 0x5a2809e2);
	h = igvm_next(f, &pos, 1);
	ck_assert_uint_eq(h->type, IGVM_SUPPORTED_PLATFORM);
	ck_assert_ptr_eq(igvm_platform_find(f, IGVM_PLATFORM_VSM_ISOLATION), &h->platform);
	ck_assert_ptr_null(igvm_platform_find(f, IGVM_PLATFORM_NATIVE));
	h = igvm_next(f, &pos, 1);
	ck_assert_uint_eq(h->type, IGVM_REQUIRED_MEMORY);
	ck_assert_uint_eq(h->required.size, 0x2000);
	h = igvm_next(f, &pos, 1);
	ck_assert_uint_eq(h->type, IGVM_PAGE_DATA);
	ck_assert_uint_eq(h->page.gpa, 0x1000);
	data = igvm_data(f, h, &len);
	ck_assert_uint_eq(len, KEEL_PAGE_SIZE);
	ck_assert_ptr_eq(data, file + 0x70);
	ck_assert_ptr_null(igvm_next(f, &pos, 1));
	igvm_destroy(f);
}
END_TEST

START_TEST(vector_is_written)
{
	struct igvm_platform p = {
		.mask = 1, .highest_vtl = 2, .version = 1, .type = IGVM_PLATFORM_VSM_ISOLATION
	};
	struct igvm_required_memory m = { .mask = 1, .size = 0x2000 };
	struct igvm_page_data d = { .gpa = 0x1000, .mask = 1, .file_off = 99 /* overwritten */ };
	struct igvm_writer *w = igvm_writer_create(IGVM_V1, IGVM_ARCH_X64);
	static uint8_t want[VECTOR_LEN], page[KEEL_PAGE_SIZE];
	void *file;
	size_t len;

	vector_make(want);
	memset(page, 0xaa, sizeof(page));
	ck_assert_int_eq(igvm_writer_add(w, IGVM_SUPPORTED_PLATFORM, &p, sizeof(p), NULL, 0), 0);
	ck_assert_int_eq(igvm_writer_add(w, IGVM_REQUIRED_MEMORY, &m, sizeof(m), NULL, 0), 0);
	ck_assert_int_eq(igvm_writer_add(w, IGVM_PAGE_DATA, &d, sizeof(d), page, sizeof(page)), 0);
	ck_assert_int_eq(igvm_writer_finish(w, &file, &len), 0);
	ck_assert_uint_eq(len, sizeof(want));
	ck_assert_mem_eq(file, want, sizeof(want));
	free(file);
	igvm_writer_destroy(w);
}
END_TEST

START_TEST(equal_pages_are_stored_once)
{
	struct igvm_writer *w = igvm_writer_create(IGVM_V1, IGVM_ARCH_X64);
	uint8_t page[KEEL_PAGE_SIZE] = { 1, 2, 3 };
	struct igvm_page_data d = { .mask = 1 };
	size_t len;
	void *file;

	for (unsigned i = 0; i < 8; i++) {
		/* Short data is padded with zeros: the same page. */
		d.gpa = i * KEEL_PAGE_SIZE;
		ck_assert_int_eq(igvm_writer_add(w, IGVM_PAGE_DATA, &d, sizeof(d), page,
						 i % 2 ? 2048 : sizeof(page)),
				 0);
	}
	ck_assert_int_eq(igvm_writer_finish(w, &file, &len), 0);
	/* At most one blob per unpadded length. */
	ck_assert_uint_le(len, 24 + 8 * 32 + 2 * KEEL_PAGE_SIZE);
	free(file);
	d.gpa = 0;
	ck_assert_int_eq(igvm_writer_add(w, IGVM_PAGE_DATA, &d, sizeof(d), page, sizeof(page) + 1),
			 -EINVAL);
	ck_assert_int_eq(igvm_writer_add(w, IGVM_PARAMETER_INSERT, &d, 16, page, 1), -EINVAL);
	igvm_writer_destroy(w);
}
END_TEST

static int parse_sample(const struct sample *s, uint32_t version, struct igvm_error *err)
{
	struct igvm_file *f;
	size_t len;
	uint8_t *file = sample_write(s, version, IGVM_ARCH_X64, &len);
	int r;

	ck_assert_ptr_nonnull(file);
	r = igvm_parse(file, len, &f, err);
	if (r == 0)
		igvm_destroy(f);
	free(file);
	return r;
}

START_TEST(sample_is_good)
{
	struct igvm_error err = { 0 };
	struct sample s;

	sample_make(&s);
	ck_assert_uint_eq(s.n, AT_END);
	ck_assert_int_eq(parse_sample(&s, IGVM_V1, &err), 0);
	ck_assert_int_eq(parse_sample(&s, IGVM_V2, &err), 0);
	sample_fini(&s);
}
END_TEST

START_TEST(mask_selects_headers)
{
	struct igvm_error err;
	const struct igvm_header *h;
	struct igvm_file *f;
	size_t len, pos = 0, n[3] = { 0 };
	struct sample s;
	uint8_t *file;

	sample_make(&s);
	file = sample_write(&s, IGVM_V1, IGVM_ARCH_X64, &len);
	ck_assert_int_eq(igvm_parse(file, len, &f, &err), 0);
	for (uint32_t mask = 1; mask <= 2; mask++)
		for (pos = 0; (h = igvm_next(f, &pos, mask)); n[mask]++)
			ck_assert(!h->masked || (h->mask & mask));
	/* four parameter headers have no mask, one insert has both bits */
	ck_assert_uint_eq(n[1], 4 + 1 + 11);
	ck_assert_uint_eq(n[2], 4 + 1 + 5);
	igvm_destroy(f);
	free(file);
	sample_fini(&s);
}
END_TEST

/* --- fixed header --------------------------------------------------------------------------- */

static const struct {
	uint32_t off;
	uint32_t val;
	bool keep_crc; /* leave the checksum as it was */
	uint64_t err_off;
	const char *rule;
} fixed_cases[] = {
	{ 0, 0x4d564748, false, 0, "magic" },
	{ 4, 0, false, 4, "format version" },
	{ 4, 3, false, 4, "format version" },
	{ 8, 16, true, 8, "variable header offset" },
	{ 8, 28, true, 8, "variable header offset" },
	{ 12, 84, true, 12, "not a multiple of 8" },
	{ 12, VECTOR_LEN - 24, true, 12, "past or at the end" },
	{ 12, 0xfffffff8, true, 12, "past or at the end" },
	{ 16, VECTOR_LEN + 1, false, 16, "total file size" },
	{ 16, VECTOR_LEN - 1, false, 16, "total file size" },
	{ 20, 0x5a2809e3, true, 20, "checksum" },
	{ 12, 80, false, 80, "runs past the variable headers" },
	{ 12, 24, false, 0, NULL }, /* a platform header alone is a file */
	{ 12, 0, false, 24, "no SUPPORTED_PLATFORM" },
	{ 28, 24, false, 28, "must be 16" },
	{ 48, 0x306, false, 48, "unknown header type" },
	{ 48, 0x80000306, false, 0, NULL }, /* unknown but optional */
	{ 48, 0x80000500, false, 48, "unknown header type" }, /* of no section */
	{ 84, 0xffffffff, false, 80, "runs past the variable headers" },
	{ 84, 0xfffffff8, false, 80, "runs past the variable headers" },
};

START_TEST(fixed_header_rules)
{
	for (size_t i = 0; i < ARRAY_SIZE(fixed_cases); i++) {
		uint8_t file[VECTOR_LEN];
		struct igvm_error err = { 0 };
		struct igvm_file *f;
		int r;

		vector_make(file);
		le32_store(file + fixed_cases[i].off, fixed_cases[i].val);
		if (!fixed_cases[i].keep_crc)
			fix_crc(file);
		r = igvm_parse(file, sizeof(file), &f, &err);
		if (!fixed_cases[i].rule) {
			ck_assert_msg(r == 0, "case %zu: %s", i, err.rule);
			igvm_destroy(f);
			continue;
		}
		ck_assert_msg(r == -EBADMSG, "case %zu was accepted", i);
		ck_assert_msg(err.off == fixed_cases[i].err_off &&
				      strstr(err.rule, fixed_cases[i].rule),
			      "case %zu: offset %lu: %s", i, (unsigned long)err.off, err.rule);
	}
}
END_TEST

START_TEST(every_truncation_is_refused)
{
	uint8_t file[VECTOR_LEN];
	struct igvm_error err;
	struct igvm_file *f;

	vector_make(file);
	for (size_t len = 0; len < sizeof(file); len++) {
		/* An exact-size copy, so that a sanitizer sees any read behind it. */
		uint8_t *cut = malloc(len ? len : 1);

		memcpy(cut, file, len);
		ck_assert_int_eq(igvm_parse(cut, len, &f, &err), -EBADMSG);
		if (len >= 24) { /* a file that lies about its size consistently */
			le32_store(cut + 16, (uint32_t)len);
			if (len >= 112)
				fix_crc(cut);
			ck_assert_int_eq(igvm_parse(cut, len, &f, &err), -EBADMSG);
		}
		free(cut);
	}
}
END_TEST

START_TEST(version_2_fields)
{
	static const struct {
		uint32_t off, val;
		const char *rule;
	} cases[] = { { 24, 2, "architecture" }, { 28, 16384, "page size" } };
	struct igvm_error err;
	struct igvm_file *f;
	struct sample s;
	uint8_t *file;
	size_t len;

	sample_make(&s);
	for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
		file = sample_write(&s, IGVM_V2, IGVM_ARCH_X64, &len);
		le32_store(file + cases[i].off, cases[i].val);
		fix_crc(file);
		ck_assert_int_eq(igvm_parse(file, len, &f, &err), -EBADMSG);
		ck_assert_uint_eq(err.off, cases[i].off);
		ck_assert_ptr_nonnull(strstr(err.rule, cases[i].rule));
		free(file);
	}
	/* The SNP platform does not exist on ARM64. */
	file = sample_write(&s, IGVM_V2, IGVM_ARCH_AARCH64, &len);
	ck_assert_int_eq(igvm_parse(file, len, &f, &err), -EBADMSG);
	ck_assert_uint_eq(err.off, sample_off(&s, AT_SNP, IGVM_V2));
	free(file);
	sample_fini(&s);
}
END_TEST

/* --- header rules --------------------------------------------------------------------------- */

enum change {
	BODY, /* store val (1, 2, 4 or 8 bytes) at off in the body */
	DATA, /* the same in the data */
	LEN, /* set the header's length */
	DROP, /* leave the header out */
	TWICE, /* write it twice */
	SWAP, /* exchange it with the header at val */
};

#define F(type, member) BODY, offsetof(type, member), sizeof(((type *)NULL)->member)
#define REG(i, off) DATA, 4 + (i)*32 + (off)

static const struct {
	enum sample_at at;
	enum change change;
	size_t off, size;
	uint64_t val;
	enum sample_at err_at;
	const char *rule;
} header_cases[] = {
	{ AT_VSM, F(struct igvm_platform, mask), 3, AT_VSM, "exactly one bit" },
	{ AT_VSM, F(struct igvm_platform, mask), 0, AT_VSM, "exactly one bit" },
	{ AT_SNP, F(struct igvm_platform, mask), 1, AT_SNP, "used twice" },
	{ AT_VSM, F(struct igvm_platform, highest_vtl), 1, AT_VSM, "highest VTL" },
	{ AT_VSM, F(struct igvm_platform, highest_vtl), 0, AT_VP, "highest VTL" },
	{ AT_VSM, F(struct igvm_platform, type), 7, AT_VSM, "unknown" },
	{ AT_SNP, F(struct igvm_platform, type), 1, AT_SNP, "second platform header" },
	{ AT_VSM, F(struct igvm_platform, type), 6, AT_VSM, "architecture" },
	{ AT_VSM, F(struct igvm_platform, version), 2, AT_VSM, "version" },
	{ AT_VSM, F(struct igvm_platform, shared_gpa_boundary), 4096, AT_VSM,
	  "shared GPA boundary" },
	{ AT_SNP, F(struct igvm_platform, shared_gpa_boundary), 3, AT_SNP, "shared GPA boundary" },
	{ AT_VSM, SWAP, 0, 0, AT_POLICY, AT_VSM, "no platform" },
	{ AT_POLICY, F(struct igvm_guest_policy, rsvd), 1, AT_POLICY, "reserved" },
	{ AT_POLICY, F(struct igvm_guest_policy, policy), 0x1001f, AT_POLICY, "bit 17" },
	{ AT_POLICY, F(struct igvm_guest_policy, mask), 1, AT_POLICY, "only bit 0" },
	{ AT_POLICY, F(struct igvm_guest_policy, mask), 3, AT_POLICY, "only bit 0" },
	{ AT_POLICY, F(struct igvm_guest_policy, mask), 4, AT_POLICY, "no platform" },
	{ AT_POLICY, F(struct igvm_guest_policy, mask), 0, AT_POLICY, "no platform" },
	{ AT_POLICY, TWICE, 0, 0, 0, AT_REGION, "second GUEST_POLICY" },
	{ AT_POLICY, SWAP, 0, 0, AT_REQUIRED, AT_REGION, "after the first directive" },
	{ AT_REGION, F(struct igvm_reloc_region, alignment), 0, AT_REGION, "alignment" },
	{ AT_REGION, F(struct igvm_reloc_region, alignment), 0x800, AT_REGION, "alignment" },
	{ AT_REGION, F(struct igvm_reloc_region, size), 0, AT_REGION, "size" },
	{ AT_REGION, F(struct igvm_reloc_region, size), 0x1800, AT_REGION, "size" },
	{ AT_REGION, F(struct igvm_reloc_region, gpa), 0x8001000, AT_REGION, "multiple" },
	{ AT_REGION, F(struct igvm_reloc_region, min_gpa), 0x1000, AT_REGION, "multiple" },
	{ AT_REGION, F(struct igvm_reloc_region, max_gpa), 0x1000, AT_REGION, "multiple" },
	{ AT_REGION, F(struct igvm_reloc_region, max_gpa), SAMPLE_BASE, AT_REGION, "own limits" },
	{ AT_REGION, F(struct igvm_reloc_region, max_gpa), BIT(60), AT_REGION, "own limits" },
	{ AT_REGION, F(struct igvm_reloc_region, size), 0 - 0x1000ull, AT_REGION, "own limits" },
	{ AT_REGION, F(struct igvm_reloc_region, flags), 8, AT_REGION, "flags" },
	{ AT_REGION, F(struct igvm_reloc_region, size), 0x201000, AT_TABLES,
	  "overlaps the region" },
	{ AT_REGION, F(struct igvm_reloc_region, vp_index), 1, AT_REGION, "no VP_CONTEXT" },
	{ AT_REGION, F(struct igvm_reloc_region, vtl), 0, AT_REGION, "no VP_CONTEXT" },
	{ AT_REGION, F(struct igvm_reloc_region, vtl), 255, AT_REGION, "no VP_CONTEXT" },
	{ AT_REGION, F(struct igvm_reloc_region, mask), 2, AT_REGION, "no VP_CONTEXT" },
	{ AT_TABLES, F(struct igvm_pt_reloc, rsvd), 1, AT_TABLES, "reserved" },
	{ AT_TABLES, F(struct igvm_pt_reloc, gpa), SAMPLE_TABLES + 8, AT_TABLES, "multiple" },
	{ AT_TABLES, F(struct igvm_pt_reloc, used_size), 0x9000, AT_TABLES, "used size" },
	{ AT_TABLES, F(struct igvm_pt_reloc, used_size), 0, AT_TABLES, "used size" },
	{ AT_TABLES, F(struct igvm_pt_reloc, gpa), SAMPLE_TABLES + 0x1000, AT_TABLES, "CR3" },
	{ AT_TABLES, TWICE, 0, 0, 0, AT_REQUIRED, "second PAGE_TABLE_RELOCATION" },
	{ AT_VP, DROP, 0, 0, 0, AT_REGION, "no VP_CONTEXT" },
	{ AT_REQUIRED, F(struct igvm_required_memory, gpa), 0x800, AT_REQUIRED, "misaligned" },
	{ AT_REQUIRED, F(struct igvm_required_memory, size), 0, AT_REQUIRED, "empty" },
	{ AT_REQUIRED, F(struct igvm_required_memory, size), 0x1001, AT_REQUIRED, "misaligned" },
	{ AT_REQUIRED, F(struct igvm_required_memory, gpa), 0 - 0x1000ull, AT_REQUIRED,
	  "too high" },
	{ AT_REQUIRED, F(struct igvm_required_memory, flags), 2, AT_REQUIRED, "flags" },
	{ AT_REQUIRED, F(struct igvm_required_memory, rsvd), 1, AT_REQUIRED, "reserved" },
	{ AT_AREA0, F(struct igvm_param_area, size), 0x1800, AT_AREA0, "multiple" },
	{ AT_AREA0, F(struct igvm_param_area, size), 0, AT_AREA0, "multiple" },
	{ AT_AREA0, F(struct igvm_param_area, size), BIT(40), AT_AREA0, "parameter areas" },
	{ AT_AREA1, F(struct igvm_param_area, index), 0, AT_AREA1, "allocated twice" },
	{ AT_AREA1, F(struct igvm_param_area, size), 0x100000, AT_AREA1, "initial data" },
	{ AT_AREA0, TWICE, 0, 0, 0, AT_DT, "allocated twice" },
	{ AT_AREA0, DROP, 0, 0, 0, AT_AREA0, "does not exist" },
	{ AT_DT, F(struct igvm_param, index), 3, AT_DT, "does not exist" },
	{ AT_DT, F(struct igvm_param, byte_off), 0x2000, AT_DT, "does not fit" },
	{ AT_MMIO, F(struct igvm_param, byte_off), 0x1000 - 31, AT_MMIO, "does not fit" },
	{ AT_DT, SWAP, 0, 0, AT_INSERT0, AT_INSERT0, "after its PARAMETER_INSERT" },
	{ AT_INSERT0, DROP, 0, 0, 0, AT_AREA0, "never inserted" },
	{ AT_INSERT0, TWICE, 0, 0, 0, AT_INSERT1, "inserted twice" },
	{ AT_INSERT0, F(struct igvm_param_insert, index), 9, AT_INSERT0, "does not exist" },
	{ AT_INSERT0, F(struct igvm_param_insert, gpa), SAMPLE_DT + 1, AT_INSERT0, "misaligned" },
	{ AT_INSERT0, F(struct igvm_param_insert, gpa), BIT(52) - 0x1000, AT_INSERT0, "too high" },
	{ AT_INSERT0, F(struct igvm_param_insert, gpa), SAMPLE_TABLES, AT_INSERT0, "page tables" },
	{ AT_INSERT0, F(struct igvm_param_insert, gpa), SAMPLE_BASE, AT_CODE, "overlaps" },
	{ AT_INSERT1, F(struct igvm_param_insert, gpa), SAMPLE_DT + 0x1000, AT_INSERT1,
	  "overlaps" },
	{ AT_INSERT1, F(struct igvm_param_insert, mask), 4, AT_INSERT1, "no platform" },
	{ AT_CODE, F(struct igvm_page_data, gpa), SAMPLE_BASE + 1, AT_CODE, "misaligned" },
	{ AT_CODE, F(struct igvm_page_data, gpa), BIT(52), AT_CODE, "too high" },
	{ AT_CODE, F(struct igvm_page_data, gpa), SAMPLE_TABLES, AT_CODE, "overlaps" },
	{ AT_CODE, F(struct igvm_page_data, flags), 1, AT_CODE, "2 MiB" },
	{ AT_CODE, F(struct igvm_page_data, flags), 8, AT_CODE, "flags" },
	{ AT_CODE, F(struct igvm_page_data, type), 1, AT_CODE, "SEV_SNP only" },
	{ AT_CODE, F(struct igvm_page_data, type), 4, AT_CODE, "unknown" },
	{ AT_CODE, F(struct igvm_page_data, rsvd), 1, AT_CODE, "reserved" },
	{ AT_CODE, F(struct igvm_page_data, mask), 5, AT_CODE, "no platform" },
	{ AT_CODE, TWICE, 0, 0, 0, AT_SNP_PAGE, "overlaps" },
	{ AT_SNP_SECRETS, F(struct igvm_page_data, mask), 3, AT_SNP_SECRETS, "SEV_SNP only" },
	{ AT_SNP_PAGE, F(struct igvm_page_data, gpa), 0x7000, AT_VMSA, "overlaps" },
	{ AT_VP, F(struct igvm_vp_context, mask), 3, AT_VP, "exactly one platform" },
	{ AT_VP, F(struct igvm_vp_context, gpa), 0x1000, AT_VP, "must be 0" },
	{ AT_VP, F(struct igvm_vp_context, vp_index), 1, AT_VP, "must be 0" },
	{ AT_VP, F(struct igvm_vp_context, rsvd), 1, AT_VP, "reserved" },
	{ AT_VP, TWICE, 0, 0, 0, AT_INSERT0, "second VP_CONTEXT" },
	{ AT_VP, DATA, 0, 4, 0, AT_VP, "registers are none" },
	{ AT_VP, DATA, 0, 4, 129, AT_VP, "too many" },
	{ AT_VP, DATA, 0, 4, 0xffffffff, AT_VP, "too many" },
	{ AT_VP, REG(1, 0), 1, 0, AT_END, "in one VP_CONTEXT" },
	{ AT_VP, REG(1, 1), 4, HVREG_RIP, AT_END, "appears twice" },
	{ AT_VP, REG(3, 1), 4, HVREG_CR2, AT_END, "not one that can be loaded" },
	{ AT_VP, REG(2, 7), 1, 1, AT_END, "reserved byte" },
	{ AT_VP, REG(0, 0), 1, 3, AT_VP, "above the platform's highest" },
	{ AT_VMSA, F(struct igvm_vp_context, gpa), 0x7010, AT_VMSA, "misaligned" },
	{ AT_VMSA, TWICE, 0, 0, 0, AT_ERROR, "second VP_CONTEXT" },
	{ AT_ERROR, F(struct igvm_error_range, size), 0x800, AT_ERROR, "misaligned" },
	{ AT_ERROR, F(struct igvm_error_range, gpa), SAMPLE_DT, AT_ERROR, "overlaps" },
	{ AT_ERROR, LEN, 0, 0, 12, AT_ERROR, "must be 16" },
	{ AT_ERROR, LEN, 0, 0, 20, AT_ERROR, "must be 16" },
};

static void store(uint8_t *p, size_t size, uint64_t val)
{
	for (size_t i = 0; i < size; i++)
		p[i] = (uint8_t)(val >> (8 * i));
}

/* Apply a change; the list still owns each data pointer once. */
static void apply(struct sample *s, enum sample_at at, enum change change, size_t off, size_t size,
		  uint64_t val)
{
	struct sample_hdr *h = &s->h[at], tmp;

	switch (change) {
	case BODY:
		store(h->body + off, size, val);
		break;
	case DATA:
		store(h->data + off, size, val);
		break;
	case LEN:
		h->len = (uint32_t)val;
		break;
	case DROP:
		free(h->data);
		memmove(h, h + 1, (s->n - at - 1) * sizeof(*h));
		s->n--;
		break;
	case TWICE:
		memmove(h + 1, h, (s->n - at) * sizeof(*h));
		s->n++;
		if (h->data) {
			h->data = malloc(h->data_len);
			memcpy(h->data, h[1].data, h->data_len);
		}
		break;
	case SWAP:
		tmp = *h;
		*h = s->h[val];
		s->h[val] = tmp;
		break;
	}
}

START_TEST(header_rules)
{
	for (size_t i = 0; i < ARRAY_SIZE(header_cases); i++) {
		__typeof__(&header_cases[0]) t = &header_cases[i];
		struct igvm_error err = { 0 };
		struct sample s;
		int r;

		sample_make(&s);
		apply(&s, t->at, t->change, t->off, t->size, t->val);
		r = parse_sample(&s, IGVM_V1, &err);
		ck_assert_msg(r == -EBADMSG, "case %zu (%s) was accepted", i, t->rule);
		ck_assert_msg(strstr(err.rule, t->rule), "case %zu: want \"%s\", got \"%s\"", i,
			      t->rule, err.rule);
		/* AT_END: inside the register list, that is behind all headers */
		if (t->err_at == AT_END)
			ck_assert_uint_ge(err.off, sample_off(&s, s.n, IGVM_V1));
		else
			ck_assert_msg(err.off == sample_off(&s, t->err_at, IGVM_V1) ||
					      (t->change == LEN &&
					       err.off == sample_off(&s, t->err_at, IGVM_V1) + 4),
				      "case %zu: %s: offset %lu", i, err.rule,
				      (unsigned long)err.off);
		sample_fini(&s);
	}
}
END_TEST

START_TEST(file_data_must_be_behind_the_headers)
{
	static const uint32_t offs[] = { 1, 24, 0xffffffff, 0xfffff001 };
	struct igvm_error err;
	struct igvm_file *f;
	struct sample s;
	uint8_t *file;
	size_t len;

	sample_make(&s);
	for (size_t i = 0; i < ARRAY_SIZE(offs) + 1; i++) {
		uint64_t at = sample_off(&s, AT_CODE, IGVM_V1) + 8 + 12;

		file = sample_write(&s, IGVM_V1, IGVM_ARCH_X64, &len);
		/* last: one byte short of a page at the end of the file */
		le32_store(file + at, i < ARRAY_SIZE(offs) ? offs[i] : (uint32_t)len - 4095);
		fix_crc(file);
		ck_assert_int_eq(igvm_parse(file, len, &f, &err), -EBADMSG);
		ck_assert_uint_eq(err.off, sample_off(&s, AT_CODE, IGVM_V1));
		ck_assert_ptr_nonnull(strstr(err.rule, "not inside the file data"));
		free(file);
	}
	sample_fini(&s);
}
END_TEST

START_TEST(padding_must_be_zero)
{
	struct igvm_error err;
	struct igvm_file *f;
	struct sample s;
	uint8_t *file;
	size_t len;
	uint64_t at;

	sample_make(&s);
	file = sample_write(&s, IGVM_V1, IGVM_ARCH_X64, &len);
	at = sample_off(&s, AT_VP, IGVM_V1) + 8 + IGVM_VP_CONTEXT_LEN;
	file[at + 3] = 1;
	fix_crc(file);
	ck_assert_int_eq(igvm_parse(file, len, &f, &err), -EBADMSG);
	ck_assert_uint_eq(err.off, at + 3);
	free(file);
	sample_fini(&s);
}
END_TEST

UNIT_MAIN("igvm/read", vector_is_read, vector_is_written, equal_pages_are_stored_once,
	  sample_is_good, mask_selects_headers, fixed_header_rules, every_truncation_is_refused,
	  version_2_fields, header_rules, file_data_must_be_behind_the_headers,
	  padding_must_be_zero)
